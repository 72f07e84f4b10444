//! What leaves when the handler is done: work beside it, and the answers through kept ports.

use greenroom::testing::Fault;
use greenroom::{AskError, MemoryStore};

use super::{Answer, Beside, Later, Plan, add, faulty, stored, tally, volatile};
use crate::support::{Board, Note, Probe, end, soon};

#[tokio::test(start_paused = true)]
async fn work_beside_begins_when_its_handler_succeeded_and_is_dropped_when_it_failed() {
    for spec in [volatile, tally] {
        let runtime = stored(MemoryStore::new()).await;
        let plan = Plan::default();
        let tally = runtime.spawn_spec(spec(&plan)).await.unwrap();
        let holders = plan.board.holders();

        let failed = tally.ask(Beside { fails: true }).await;
        tally.ask(add(1)).await.unwrap();

        assert!(matches!(failed, Err(AskError::Refused { .. })));
        let lines = plan.board.lines();
        assert!(!lines.contains(&"works".to_owned()), "{lines:?}");
        assert_eq!(plan.board.holders(), holders, "the work is gone");

        tally.ask(Beside { fails: false }).await.unwrap();

        assert_eq!(plan.board.until(4).await[2..], ["works", "came back"]);
        end(runtime).await;
    }
}

#[tokio::test(start_paused = true)]
async fn work_beside_begins_only_after_the_commit_and_not_at_all_without_it() {
    let store = faulty();
    let runtime = stored(store.clone()).await;
    let plan = Plan::default();
    let tally = runtime.spawn_spec(tally(&plan)).await.unwrap();
    let bystander = runtime.spawn::<Probe>("bystander", Board::default()).await.unwrap();
    let next = store.commits() + 2; // behind the one that accepts the message
    let held = store.hold_commits_after(1);

    tally.tell(Beside { fails: false }).await.unwrap();
    soon(store.commit_arrived(next)).await;
    bystander.ask(Note(0)).await.unwrap();
    let during = plan.board.lines();
    drop(held);
    plan.board.until(3).await;
    tally.ask(add(0)).await.unwrap(); // behind the commit of what came back
    let after = plan.board.lines();
    store.fail_commit_after(1, Fault::Write);
    let unstored = tally.ask(Beside { fails: false }).await;
    bystander.ask(Note(0)).await.unwrap();

    assert_eq!(during, ["started with 0"]);
    assert_eq!(after[1..], ["works", "came back", "0 on 1"]);
    assert!(matches!(unstored, Err(AskError::StoreUnavailable { .. })));
    assert_eq!(plan.board.lines(), after);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_kept_port_is_answered_when_the_handler_succeeded_and_let_go_when_it_failed() {
    for spec in [volatile, tally] {
        let runtime = stored(MemoryStore::new()).await;
        let plan = Plan::default();
        let tally = runtime.spawn_spec(spec(&plan)).await.unwrap();

        for fails in [true, false] {
            let asked = async { tally.ask(Later).await };
            let answered = async {
                plan.gate.entered().await;
                tally.ask(Answer { fails }).await
            };
            let (asked, answered) = tokio::join!(asked, answered);

            if fails {
                assert!(matches!(asked, Err(AskError::NoReply { .. })), "{asked:?}");
                assert!(matches!(answered, Err(AskError::Refused { .. })));
            } else {
                assert!(asked.unwrap() >= 3);
                answered.unwrap();
            }
        }
        end(runtime).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_kept_port_is_answered_only_after_the_commit_and_let_go_without_it() {
    let store = faulty();
    let runtime = stored(store.clone()).await;
    let plan = Plan::default();
    let tally = runtime.spawn_spec(tally(&plan)).await.unwrap();
    let bystander = runtime.spawn::<Probe>("bystander", Board::default()).await.unwrap();

    let mut asked = std::pin::pin!(async { tally.ask(Later).await });
    let checked = async {
        plan.gate.entered().await;
        // A message of no effect: behind it the state with the kept port is stored.
        tally.ask(add(0)).await.unwrap();
        let next = store.commits() + 2;
        let held = store.hold_commits_after(1);
        tally.tell(Answer { fails: false }).await.unwrap();
        soon(store.commit_arrived(next)).await;
        bystander.ask(Note(0)).await.unwrap();
        drop(held);
    };
    tokio::select! { biased; answer = &mut asked => panic!("{answer:?}"), () = checked => {} }
    assert_eq!(asked.await.unwrap(), 2);

    let asked = async { tally.ask(Later).await };
    let unstored = async {
        plan.gate.entered().await;
        tally.ask(add(0)).await.unwrap();
        store.fail_commit_after(1, Fault::Write);
        tally.ask(Answer { fails: false }).await
    };
    let (asked, unstored) = tokio::join!(asked, unstored);

    assert!(matches!(unstored, Err(AskError::StoreUnavailable { .. })), "{unstored:?}");
    assert!(matches!(asked, Err(AskError::NoReply { .. })), "{asked:?}");
    end(runtime).await;
}
