//! The tool for stores that no runtime has open.

use greenroom::{ActorPath, Batch, Epoch, MessageId, Record, SledStore, Snapshot, Store, StoredMessage};

use super::{assert_success, example, in_time};

async fn run(store: &std::path::Path, arguments: &[&str]) -> std::process::Output {
    let output = example("store_tool").arg(store).args(arguments).output();
    in_time("store_tool", output).await.expect("it runs")
}

fn text(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// An actor with a state, a message that was laid aside, and one that waits.
fn fill(folder: &std::path::Path) -> MessageId {
    let store = SledStore::open(folder).expect("the test's own stage");
    let desk = ActorPath::parse("desk").expect("the test's own stage");
    let message = StoredMessage { name: "ticket".into(), version: 3, ..StoredMessage::default() };
    let deliver = |message: &StoredMessage| Record::Deliver { to: desk.clone(), message: message.clone() };
    let outcome = store
        .commit(&[Batch::from_outside(vec![deliver(&message), deliver(&message)])])
        .expect("the test's own stage");
    let greenroom::BatchOutcome::Committed { deliveries, .. } = &outcome[0] else { panic!("{outcome:?}") };
    let greenroom::Delivered::New(first) = deliveries[0] else { panic!("{deliveries:?}") };
    let state = Snapshot { type_name: "desk.state".into(), version: 2, seq: 1, state: vec![7; 30] };
    let aside = Record::LayAside { message: first, cause: "the handler fell over it".into() };
    store
        .commit(&[Batch::of(desk, Epoch(4), vec![Record::Snapshot(state), aside])])
        .expect("the test's own stage");
    first
}

#[tokio::test]
async fn the_store_tool_lists_what_is_kept_and_takes_up_what_was_laid_aside() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let aside = fill(&store).to_string();

    let list = run(&store, &["list"]).await;
    assert_success("store_tool", &list);
    assert!(text(&list).contains("desk.state v2, 30 bytes"), "{}", text(&list));
    let show = text(&run(&store, &["show", "desk"]).await);
    assert!(show.contains("1 messages wait") && show.contains("the handler fell over it"), "{show}");

    assert_success("store_tool", &run(&store, &["take-up", "desk", &aside]).await);

    let show = text(&run(&store, &["show", "desk"]).await);
    assert!(show.contains("2 messages wait") && !show.contains("the handler fell over it"), "{show}");
    assert!(!run(&store, &["take-up", "desk", &aside]).await.status.success(), "it is taken up already");
    assert!(!run(&store, &["show", "nobody"]).await.status.success());
    assert!(!run(&folder.path().join("nothing"), &["list"]).await.status.success(), "and makes no store");
}

#[tokio::test]
async fn the_store_tool_inspects_a_message_and_purges_what_was_laid_aside() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let aside = fill(&store);
    let waiting = MessageId(aside.0 + 1).to_string();

    let inspected = run(&store, &["inspect", "desk", &aside.to_string()]).await;
    assert_success("store_tool", &inspected);
    let told = text(&inspected);
    assert!(told.contains("ticket v3") && told.contains("laid aside: the handler fell over it"), "{told}");
    let inspected = text(&run(&store, &["inspect", "desk", &waiting]).await);
    assert!(inspected.contains("ticket v3") && !inspected.contains("laid aside"), "{inspected}");
    assert!(!run(&store, &["inspect", "desk", "99999"]).await.status.success(), "there is no such message");

    let purged = run(&store, &["purge", "desk"]).await;
    assert_success("store_tool", &purged);
    assert!(text(&purged).starts_with("1 deleted"), "{}", text(&purged));
    let show = text(&run(&store, &["show", "desk"]).await);
    assert!(show.contains("1 messages wait") && !show.contains("the handler fell over it"), "{show}");
    assert!(!run(&store, &["take-up", "desk", &aside.to_string()]).await.status.success(), "it is gone");
}
