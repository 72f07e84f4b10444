//! How a picture of the tree is printed.

use greenroom::{Actor, Backoff, ChildSpec, Failure, Open, Strategy, Supervisor};

use crate::support::{Child, Crash, Note, Stage, Wait, child, millis, secs, sup};

struct Last;

impl Actor for Last {
    type Args = ();
    type Inbox = Open<Self>;
    async fn start(_: &()) -> Result<Self, Failure> {
        Ok(Last)
    }
}

#[tokio::test(start_paused = true)]
async fn many_alike_are_counted_and_those_worth_a_look_are_printed() {
    let stage = Stage::new().await;
    let [troubled, other] = stage.parts(["p-90", "other"]);
    let backoff = Backoff { first: secs(1), jitter: 0.0, ..Backoff::default() };
    let many = (0..5_000).map(|number| {
        let part = if number == 90 { &troubled } else { &other };
        ChildSpec::actor::<Child>(format!("p-{number}"), part.clone()).backoff(backoff)
    });
    let tree = stage.supervise(sup(many).child(ChildSpec::actor::<Last>("last", ()))).await;
    for number in [90, 4_000] {
        child(&tree, &format!("p-{number}")).tell(Crash).await.unwrap();
    }
    stage.quiet().await;

    let seen = tree.tree();

    let text = seen.text().siblings(4).to_string();
    let cells = |line: &str| line.split("  ").next().unwrap_or_default().to_owned();
    let first: Vec<String> = text.lines().map(cells).collect();
    let expected =
        ["sup", "├─ p-0", "├─ p-1", "├─ p-90", "├─ p-4000", "├─ … and 4,996 more (4,996 running)", "└─ last"];
    assert_eq!(first, expected);
    assert_eq!(seen.to_string().lines().count(), 1 + 20 + 1 + 1, "{seen}");
    assert!(seen.to_string().contains("… and 4,980 more (4,980 running)"));
    assert!(seen.text().siblings(1).to_string().contains("… and 4,999 more (4,998 running)"));
    assert_eq!(seen.text().siblings(usize::MAX).to_string().lines().count(), 5_002);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn columns_are_aligned_and_causes_are_short() {
    let stage = Stage::new().await;
    let [a, long] = stage.parts(["a", "a-long-name"]);
    let below =
        Supervisor::named("below").strategy(Strategy::RestForOne).intensity(3, secs(60)).child(a.spec());
    let tree = stage.supervise(sup([ChildSpec::supervisor(below), long.spec()])).await;
    child(&tree, "below/a").tell(Crash).await.unwrap();
    stage.quiet().await;
    child(&tree, "a-long-name").tell(Wait).await.unwrap();
    child(&tree, "a-long-name").tell(Note(1)).await.unwrap();
    stage.runtime.clock().sleep(millis(2_500)).await;

    let expected = "\
sup             supervisor, one-for-one   running  life 1  0 of 1,000,000 restarts in 1 h
├─ below        supervisor, rest-for-one  running  life 1  1 of 3 restarts in 1 min
│  └─ a         Child                     running  life 2  0/1,024                                         1 restart, 2.5 s ago: panicked while handling a message: a panics
└─ a-long-name  Child                     running  life 1  1/1,024, oldest 2.5 s           Wait for 2.5 s";
    assert_eq!(tree.tree().to_string(), expected, "\n{}", tree.tree());
    stage.runtime.shutdown(secs(60)).await;
}
