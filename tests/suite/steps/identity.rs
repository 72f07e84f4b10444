//! Which step is which when the message is handled again.

use greenroom::{Effect, Failure, MemoryStore, Parked, ParkedFor, Resolution};

use super::{Times, call, job, start, until_parked, worker};
use crate::support::{Board, BoxFuture, Gate, end, keep};

type Cx<'a, 'c> = greenroom::Context<'c, super::Worker>;

/// What a program does with the calls of its first run written on the board.
type Part = for<'a, 'c> fn(&'a Cx<'a, 'c>, &'a Board) -> BoxFuture<'a, Result<String, Failure>>;

/// Runs `old` up to its end, where its life ends, and `new` in the next: over what it parks, and what it called and
/// answered after that is over by [`Resolution::StartOver`], or at once.
async fn changed(old: Part, new: Part) -> (Option<Parked>, Vec<String>, String) {
    let (board, panics) = (Board::default(), Times::new(1));
    let runtime = start(&MemoryStore::new()).await;
    let spec = worker({
        let board = board.clone();
        let runs = Times::new(1);
        move |_, cx| {
            let (board, panics) = (board.clone(), panics.clone());
            let part = if runs.take() { old } else { new };
            Box::pin(async move {
                let did = part(cx, &board).await;
                assert!(!panics.take(), "at its end");
                did
            })
        }
    });
    let kept = keep(&runtime, spec).await;
    let mut events = runtime.events();
    let decided = async {
        let parked = until_parked(&mut events).await;
        assert!(kept.actor.decide(Resolution::StartOver));
        parked
    };
    let mut parked = None;
    let asked = async { kept.actor.ask(job("a")).await };
    tokio::pin!(asked, decided);
    let answer = tokio::select! {
        answer = &mut asked => answer,
        found = &mut decided => {
            parked = Some(found);
            asked.await
        }
    };
    end(runtime).await;
    let answer = answer.unwrap_or_else(|error| error.to_string());
    let calls =
        board.lines().iter().map(|line| line[..line.find(' ').unwrap_or(line.len())].to_owned()).collect();
    (parked, calls, answer)
}

fn look<'a>(cx: &'a Cx<'a, '_>, board: &'a Board) -> BoxFuture<'a, Result<String, Failure>> {
    Box::pin(async move { call(cx, board, "look", Effect::Pure).await })
}

fn look_and_pay<'a>(cx: &'a Cx<'a, '_>, board: &'a Board) -> BoxFuture<'a, Result<String, Failure>> {
    Box::pin(async move {
        call(cx, board, "look", Effect::Pure).await?;
        call(cx, board, "pay", Effect::Pure).await
    })
}

/// The step of the journal that was not made, and how many calls were made until then.
async fn diverged(old: Part, new: Part) -> (u32, String) {
    let (parked, ..) = changed(old, new).await;
    match parked.expect("it diverges").why {
        ParkedFor::Diverged { number, made, .. } => (number, made),
        why => panic!("{why:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_program_does_not_diverge() {
    let (parked, calls, answer) = changed(look_and_pay, look_and_pay).await;

    assert_eq!((parked, calls.len(), &*answer), (None, 2, "did pay"));
}

#[tokio::test(start_paused = true)]
async fn another_name_effect_or_input_parks_the_actor() {
    let others: [Part; 3] = [
        |cx, board| Box::pin(async move { call(cx, board, "see", Effect::Pure).await }),
        |cx, board| Box::pin(async move { call(cx, board, "look", Effect::Once).await }),
        |cx, _| {
            Box::pin(async move {
                cx.step("look", Effect::Pure, "there").run(|| async { Ok(String::new()) }).await
            })
        },
    ];
    for other in others {
        let (number, made) = diverged(look, other).await;
        assert_eq!(number, 0);
        assert!(!made.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_made_no_more_parks_the_actor() {
    assert_eq!(diverged(look_and_pay, look).await, (1, String::new()));
}

/// Goal: to refuse a message ends it, with the journal of what it did; so that is looked at as if it were done.
#[tokio::test(start_paused = true)]
async fn a_step_that_is_made_no_more_parks_the_actor_also_when_the_message_is_refused() {
    let refuses: Part = |_, _| Box::pin(async { Err(Failure::invalid("no")) });

    assert_eq!(diverged(look, refuses).await, (0, String::new()));
}

#[tokio::test(start_paused = true)]
async fn a_step_more_behind_an_old_journal_is_made() {
    let (parked, calls, answer) = changed(look, look_and_pay).await;

    assert_eq!((parked, calls, &*answer), (None, vec!["look".into(), "pay".into()], "did pay"));
}

/// Goal: what has a number and leaves nothing in the journal must not push a step that was paid to another number.
#[tokio::test(start_paused = true)]
async fn a_name_or_a_look_at_the_clock_in_the_place_of_a_step_parks_the_actor() {
    let others: [Part; 3] = [
        |cx, board| {
            cx.new_id();
            look(cx, board)
        },
        |cx, board| {
            cx.random();
            look(cx, board)
        },
        |cx, board| {
            cx.time_ms();
            look(cx, board)
        },
    ];
    for other in others {
        let (number, made) = diverged(look, other).await;
        assert_eq!(number, 0);
        assert!(!made.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn new_code_runs_beside_an_old_journal() {
    let new: Part = |cx, board| {
        Box::pin(async move {
            if cx.changed("see first") {
                call(cx, board, "see", Effect::Pure).await?;
            }
            look(cx, board).await
        })
    };
    // The old program's journal: it goes on as it began. None: the new code, and stable from then on.
    let nothing: Part = |_, _| Box::pin(async { Ok(String::new()) });

    let (parked, calls, _) = changed(look, new).await;
    assert_eq!((parked, calls), (None, vec!["look".to_owned()]));
    let (parked, calls, _) = changed(nothing, new).await;
    assert_eq!((parked, calls), (None, vec!["see".to_owned(), "look".to_owned()]));
    let (parked, calls, _) = changed(new, new).await;
    assert_eq!((parked, calls), (None, vec!["see".to_owned(), "look".to_owned()]));
}

/// Goal: an old journal is one also where its first number left nothing behind.
#[tokio::test(start_paused = true)]
async fn new_code_sees_an_old_journal_behind_a_name() {
    let old: Part = |cx, board| {
        cx.new_id();
        look(cx, board)
    };
    let new: Part = |cx, board| {
        Box::pin(async move {
            if cx.changed("see first") {
                call(cx, board, "see", Effect::Pure).await?;
            }
            cx.new_id();
            look(cx, board).await
        })
    };

    let (parked, calls, _) = changed(old, new).await;

    assert_eq!((parked, calls), (None, vec!["look".to_owned()]));
}

/// Goal: steps are told apart by the order in which they are made, not by the order in which they are polled.
/// Method: two side by side; the first waits for the second in the first life, and the second is polled first in the next.
#[tokio::test(start_paused = true)]
async fn two_steps_side_by_side_keep_their_identity_whatever_the_order_of_polling() {
    let (board, gate, panics) = (Board::default(), Gate::new(), Times::new(1));
    let runtime = start(&MemoryStore::new()).await;
    let spec = worker({
        let board = board.clone();
        move |_, cx| {
            let (board, gate, panics) = (board.clone(), gate.clone(), panics.clone());
            Box::pin(async move {
                let (a, b) = (cx.step("a", Effect::Once, ""), cx.step("b", Effect::Once, ""));
                let is_first = panics.take();
                let run_a = a.run(|| async {
                    gate.pass().await;
                    board.write("a");
                    Ok("of a".to_owned())
                });
                let run_b = b.run(|| async {
                    board.write("b");
                    gate.open();
                    Ok("of b".to_owned())
                });
                let (of_a, of_b) = if is_first {
                    tokio::join!(run_a, run_b)
                } else {
                    let (of_b, of_a) = tokio::join!(biased; run_b, run_a);
                    (of_a, of_b)
                };
                assert!(!is_first, "after the calls");
                Ok(format!("{} {}", of_a?, of_b?))
            })
        }
    });
    let kept = keep(&runtime, spec).await;

    assert_eq!(kept.actor.ask(job("a")).await.unwrap(), "of a of b");

    assert_eq!(board.lines(), ["b", "a"]);
    end(runtime).await;
}
