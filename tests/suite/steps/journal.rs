//! What is kept of a step, and for how long.

use std::sync::Arc;

use greenroom::testing::FaultyStore;
use greenroom::{
    ActorPath, Batch, BatchOutcome, CaseOwner, Damage, DamagePlace, DamageReason, Effect, Failure,
    FailureClass, LaidAside, ListedCase, MemoryStore, Ownership, Scan, Store, StoreError, StoreHead,
    StorePromise, StoredBudgets,
};

use super::{Times, call, job, process, start, start_on, worker};
use crate::support::{Board, Gate, end, keep, letters, path};

#[tokio::test(start_paused = true)]
async fn a_finished_step_is_answered_from_the_journal_after_a_crash() {
    let (board, panics) = (Board::default(), Times::new(2));
    let runtime = start(&MemoryStore::new()).await;
    let spec = worker({
        let board = board.clone();
        move |_, cx| {
            let (board, panics) = (board.clone(), panics.clone());
            Box::pin(async move {
                let did = call(cx, &board, "pay", Effect::Once).await?;
                assert!(!panics.take(), "after the call");
                Ok(did)
            })
        }
    });
    let kept = keep(&runtime, spec).await;

    assert_eq!(kept.actor.ask(job("a")).await.unwrap(), "did pay");

    assert_eq!(board.lines().len(), 1);
    assert_eq!(kept.exits.lines().len(), 2);
    end(runtime).await;
}

#[test]
fn a_finished_step_is_answered_from_the_journal_after_a_restart_of_the_process() {
    let (store, board, gate) = (MemoryStore::new(), Board::default(), Gate::new());
    let spec = {
        let (board, gate) = (board.clone(), gate.clone());
        worker(move |_, cx| {
            let (board, gate) = (board.clone(), gate.clone());
            Box::pin(async move {
                let did = call(cx, &board, "pay", Effect::Once).await?;
                gate.pass().await;
                board.write(&did);
                Ok(did)
            })
        })
    };

    process(async {
        let runtime = start(&store).await;
        let kept = keep(&runtime, spec.clone()).await;
        kept.actor.tell(job("a")).await.unwrap();
        gate.entered().await;
    });
    assert_eq!(board.lines().len(), 1);
    gate.open();
    process(async {
        let runtime = start(&store).await;
        let _kept = keep(&runtime, spec).await;
        assert_eq!(board.until(2).await[1], "did pay");
        end(runtime).await;
    });
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_is_no_outage_is_replayed_with_its_class_and_text() {
    for class in [FailureClass::Invalid, FailureClass::Exhausted, FailureClass::Bug] {
        let (board, panics) = (Board::default(), Times::new(1));
        let runtime = start(&MemoryStore::new()).await;
        let spec = worker({
            let board = board.clone();
            move |_, cx| {
                let (board, panics) = (board.clone(), panics.clone());
                Box::pin(async move {
                    let step = cx.step("pay", Effect::Once, "");
                    let refused = step.run(|| async {
                        board.write("call");
                        Err::<(), _>(Failure::of(class, "no such card"))
                    });
                    let failure = refused.await.unwrap_err();
                    assert!(!panics.take(), "after the call");
                    Ok(format!("{:?}: {failure}", failure.class()))
                })
            }
        });
        let kept = keep(&runtime, spec).await;

        let answer = kept.actor.ask(job("a")).await.unwrap();

        assert_eq!(answer, format!("{class:?}: no such card"));
        assert_eq!(board.lines(), ["call"]);
        end(runtime).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_journal_of_a_message_goes_with_it() {
    let (store, board) = (MemoryStore::new(), Board::default());
    let runtime = start(&store).await;
    let spec = worker({
        let (store, board) = (store.clone(), board.clone());
        move |job, cx| {
            let (store, board) = (store.clone(), board.clone());
            Box::pin(async move {
                call(cx, &board, "pay", Effect::Once).await?;
                board.write(store.scan(cx.path()).unwrap().journal.len());
                if job == "bad" { Err(Failure::invalid("no")) } else { Ok("done".into()) }
            })
        }
    });
    let kept = keep(&runtime, spec).await;

    kept.actor.ask(job("good")).await.unwrap();
    assert_eq!(store.scan(kept.actor.path()).unwrap().journal, []);
    kept.actor.ask(job("bad")).await.unwrap_err();
    assert_eq!(store.scan(kept.actor.path()).unwrap().journal, []);

    let lines = board.lines();
    assert_eq!([&lines[1], &lines[3]], ["1", "1"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_with_one_step_costs_four_flushes() {
    let (store, board) = (Arc::new(FaultyStore::new(MemoryStore::new())), Board::default());
    let runtime = start_on(store.clone()).await;
    let kept = keep(
        &runtime,
        worker({
            let board = board.clone();
            move |_, cx| {
                let board = board.clone();
                Box::pin(async move { call(cx, &board, "pay", Effect::Once).await })
            }
        }),
    )
    .await;
    let before = store.commits();

    kept.actor.ask(job("a")).await.unwrap();

    assert_eq!(store.commits() - before, 4, "accepted, intended, completed, done");
    end(runtime).await;
}

/// A store that reports the newest entry of each journal as damaged.
#[derive(Clone)]
struct Damaged(MemoryStore);

impl Store for Damaged {
    fn commit(&self, group: &[Batch]) -> Result<Vec<BatchOutcome>, StoreError> {
        self.0.commit(group)
    }
    fn scan(&self, actor: &ActorPath) -> Result<Scan, StoreError> {
        let mut scan = self.0.scan(actor)?;
        if let Some(entry) = scan.journal.pop() {
            let place = DamagePlace::Journal { message: entry.message, place: entry.place };
            scan.damage.push(Damage { actor: actor.clone(), place, reason: DamageReason::Checksum });
        }
        Ok(scan)
    }
    fn laid_aside(&self, actor: &ActorPath) -> Result<Vec<LaidAside>, StoreError> {
        self.0.laid_aside(actor)
    }
    fn actors(&self) -> Result<Vec<ActorPath>, StoreError> {
        self.0.actors()
    }
    fn unfinished(&self) -> Result<Vec<ActorPath>, StoreError> {
        self.0.unfinished()
    }
    fn case(&self, case: &str) -> Result<Option<CaseOwner>, StoreError> {
        self.0.case(case)
    }
    fn cases(&self, after: Option<&str>, most: usize) -> Result<Vec<ListedCase>, StoreError> {
        self.0.cases(after, most)
    }
    fn budgets(&self) -> Result<StoredBudgets, StoreError> {
        self.0.budgets()
    }
    fn promise(&self) -> StorePromise {
        self.0.promise()
    }
    fn own(&self) -> Result<Ownership, StoreError> {
        self.0.own()
    }
    fn head(&self) -> Result<StoreHead, StoreError> {
        self.0.head()
    }
    fn end(&self) -> Result<(), StoreError> {
        self.0.end()
    }
}

/// Goal: a result that cannot be read must not be paid for a second time.
/// Method: the process ends behind a finished step, and the next one finds its result damaged.
#[test]
fn a_message_whose_journal_is_damaged_is_laid_aside_and_pays_nothing() {
    let (store, board, gate) = (MemoryStore::new(), Board::default(), Gate::new());
    let spec = {
        let (board, gate) = (board.clone(), gate.clone());
        worker(move |job, cx| {
            let (board, gate) = (board.clone(), gate.clone());
            Box::pin(async move {
                if job == "other" {
                    return Ok("done".into());
                }
                let did = call(cx, &board, "pay", Effect::Pure).await?;
                gate.pass().await;
                Ok(did)
            })
        })
    };
    process(async {
        let runtime = start(&store).await;
        let kept = keep(&runtime, spec.clone()).await;
        kept.actor.tell(job("a")).await.unwrap();
        gate.entered().await;
    });
    gate.open();

    process(async {
        let runtime = start_on(Damaged(store.clone())).await;
        let kept = keep(&runtime, spec).await;
        assert_eq!(kept.actor.ask(job("other")).await.unwrap(), "done");
        assert_eq!(letters(&runtime), [("job", "journal_damaged")]);
        assert_eq!(kept.actor.laid_aside().await.unwrap().len(), 1);
        end(runtime).await;
    });

    assert_eq!(board.lines().len(), 1);
    assert!(!store.scan(&path("keeper/worker")).unwrap().journal.is_empty(), "the journal is kept with it");
}
