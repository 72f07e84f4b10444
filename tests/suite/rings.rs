//! Actors that would wait for one another in a ring are told so, instead of waiting for their deadlines.

use std::sync::{Arc, Mutex};

use greenroom::{ActorRef, ActorSpec, AskError, Context, Failure, Handler, Message, Runtime, TellError};

use crate::support::{Act, Board, Gate, Note, Probe, act, end, hold, letters, millis, runtime, secs};

async fn pair(runtime: &Runtime) -> (ActorRef<Probe>, ActorRef<Probe>) {
    let a = runtime.spawn::<Probe>("a", Board::default()).await.expect("a fresh name");
    let b = runtime.spawn::<Probe>("b", Board::default()).await.expect("a fresh name");
    (a, b)
}

/// Asks `to` for `message` inside the handler; answers 1 if that would have closed the ring `expected`.
fn asks(to: &ActorRef<Probe>, message: Act, expected: &'static [&'static str]) -> Act {
    let to = to.clone();
    act(move |_, _| {
        Box::pin(async move {
            match to.ask(message).await {
                Ok(answer) => Ok(answer),
                Err(AskError::WaitsInRing { ring, .. }) => {
                    let ring: Vec<&str> = ring.iter().map(|path| path.as_str()).collect();
                    assert_eq!(ring, expected);
                    Ok(1)
                }
                Err(other) => panic!("{other:?}"),
            }
        })
    })
}

fn answers(n: u32) -> Act {
    act(move |_, _| Box::pin(async move { Ok(n) }))
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_asks_itself_is_refused() {
    let runtime = runtime().await;
    let (a, _) = pair(&runtime).await;
    let before = runtime.clock().now();

    let answer = a.ask(asks(&a, answers(0), &["a", "a"])).await;

    assert_eq!(answer.unwrap(), 1);
    assert_eq!(runtime.clock().now(), before);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn the_ask_that_closes_a_ring_of_two_is_refused() {
    let runtime = runtime().await;
    let (a, b) = pair(&runtime).await;

    let answer = a.ask(asks(&b, asks(&a, answers(0), &["b", "a", "b"]), &[])).await;

    assert_eq!(answer.unwrap(), 1);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_chain_of_asks_that_closes_no_ring_is_not_refused() {
    let runtime = runtime().await;
    let (a, b) = pair(&runtime).await;
    let c = runtime.spawn::<Probe>("c", Board::default()).await.unwrap();

    let through_b = asks(&b, asks(&c, answers(9), &[]), &[]);
    let (first, second) = tokio::join!(a.ask(through_b), c.ask(answers(4)));

    assert_eq!((first.unwrap(), second.unwrap()), (9, 4));
    end(runtime).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_crossing_asks_at_least_one_is_refused_and_none_hangs() {
    let runtime = runtime().await;
    let (a, b) = pair(&runtime).await;
    for round in 0..200 {
        let together = std::sync::Arc::new(tokio::sync::Barrier::new(2));
        let crossing = |to: &ActorRef<Probe>| {
            let (to, together) = (to.clone(), together.clone());
            act(move |_, _| {
                Box::pin(async move {
                    together.wait().await;
                    match to.ask(answers(0)).within(secs(60)).await {
                        Ok(answer) => Ok(answer),
                        Err(AskError::WaitsInRing { .. }) => Ok(1),
                        Err(other) => panic!("{other:?}"),
                    }
                })
            })
        };

        let (first, second) =
            tokio::join!(a.ask(crossing(&b)).within(secs(60)), b.ask(crossing(&a)).within(secs(60)));

        assert!(first.unwrap() + second.unwrap() >= 1, "round {round}");
    }
    end(runtime).await;
}

/// Fills the one place of `of`'s mailbox, so that whoever tells it must wait.
async fn full(runtime: &Runtime, name: &str) -> ActorRef<Probe> {
    let spec = ActorSpec::<Probe>::new(name, Board::default()).capacity(1);
    runtime.spawn_spec(spec).await.expect("a fresh name")
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_waits_for_room_at_itself_is_refused_with_the_message() {
    let runtime = runtime().await;
    let a = full(&runtime, "a").await;
    let gate = Gate::new();
    let tells_itself = act({
        let (a, gate) = (a.clone(), gate.clone());
        move |_, cx| {
            Box::pin(async move {
                gate.pass().await;
                match cx.tell(&a, Note(5)).await {
                    Err(TellError::WaitsInRing { message: Note(5), ring }) => Ok(ring.len() as u32),
                    other => panic!("{other:?}"),
                }
            })
        }
    });
    let before = runtime.clock().now();
    let asked = async { a.ask(tells_itself).await };
    let filled = async {
        gate.entered().await;
        a.tell(Note(1)).await.unwrap();
        gate.open();
    };

    let (answer, ()) = tokio::join!(asked, filled);

    assert_eq!(answer.unwrap(), 2);
    assert_eq!(runtime.clock().now(), before);
    end(runtime).await;
}

/// Two actors with full mailboxes; the first tells the second, then the second does `back` to the first.
async fn ring_over_full_mailboxes(back: fn(ActorRef<Probe>) -> Act) -> u32 {
    let runtime = runtime().await;
    let (a, b) = (full(&runtime, "a").await, full(&runtime, "b").await);
    let (in_a, in_b) = (Gate::new(), Gate::new());
    let tells_b = act({
        let (b, gate) = (b.clone(), in_a.clone());
        move |_, cx| {
            Box::pin(async move {
                gate.pass().await;
                cx.tell(&b, Note(5)).await.map(|()| 0).map_err(Into::into)
            })
        }
    });
    let back = back(a.clone());
    let later = act({
        let gate = in_b.clone();
        move |probe, cx| {
            Box::pin(async move {
                gate.pass().await;
                (back.0)(probe, cx).await
            })
        }
    });
    let first = async { a.ask(tells_b).await };
    let second = async { b.ask(later).await };
    let steps = async {
        in_a.entered().await;
        in_b.entered().await;
        a.tell(Note(1)).await.expect("one place");
        b.tell(Note(1)).await.expect("one place");
        // A waits for room at B before B turns to A.
        in_a.open();
        tokio::task::yield_now().await;
        in_b.open();
    };

    let (first, second, ()) = tokio::join!(first, second, steps);
    assert_eq!(first.expect("B went on, so there was room"), 0);
    assert!(letters(&runtime).is_empty());
    end(runtime).await;
    second.expect("the handler itself did not fail")
}

#[tokio::test(start_paused = true)]
async fn a_ring_over_full_mailboxes_is_refused() {
    let refused = ring_over_full_mailboxes(|a| {
        act(move |_, cx| {
            Box::pin(async move {
                let told = cx.tell(&a, Note(6)).await;
                Ok(u32::from(matches!(told, Err(TellError::WaitsInRing { message: Note(6), .. }))))
            })
        })
    });

    assert_eq!(refused.await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_ring_of_a_full_mailbox_and_an_ask_is_refused() {
    let refused = ring_over_full_mailboxes(|a| {
        act(move |_, _| {
            Box::pin(async move {
                let asked = a.ask(Note(6)).await;
                Ok(u32::from(matches!(asked, Err(AskError::WaitsInRing { message: Note(6), .. }))))
            })
        })
    });

    assert_eq!(refused.await, 1);
}

#[tokio::test(start_paused = true)]
async fn an_ask_from_spawned_work_closes_no_ring() {
    let runtime = runtime().await;
    let (a, _) = pair(&runtime).await;
    let board = Board::default();
    let asks_itself = act({
        let (a, board) = (a.clone(), board.clone());
        move |_, cx| {
            Box::pin(async move {
                cx.spawn(async move { a.ask(answers(8)).await }, move |answer| {
                    board.write(answer.is_ok());
                    Note(1)
                });
                Ok(0)
            })
        }
    });

    a.ask(asks_itself).await.unwrap();

    assert_eq!(board.until(1).await, ["true"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_comes_later_leaves_no_ring_behind() {
    // B keeps A's question and asks A itself; A, who still waits, is refused no false ring once B has let it go.
    let runtime = runtime().await;
    let (a, b) = pair(&runtime).await;
    let (sender, ports) = std::sync::mpsc::channel();
    let keeps = act(move |_, cx| {
        Box::pin(async move { cx.reply_later(|port| sender.send(port).expect("the test listens")) })
    });
    let gate = Gate::new();
    let asks_b = act({
        let (b, gate) = (b.clone(), gate.clone());
        move |_, _| {
            Box::pin(async move {
                let answer = b.ask(keeps);
                gate.enter();
                answer.await.map_err(Into::into)
            })
        }
    });

    let waiting = async { a.ask(asks_b).await };
    let others = async {
        gate.entered().await;
        b.ask(answers(0)).await.expect("B has given the port away by now");
        // B may wait for A now: A's answer hangs on whoever holds the port, not on B.
        let mut to_a = Box::pin(b.ask(asks(&a, answers(3), &["never"])));
        tokio::select! { biased; answer = &mut to_a => panic!("{answer:?}"), () = tokio::task::yield_now() => {} }
        ports.recv().expect("B sent it").send(4).expect("A waits");
        to_a.await
    };
    let (first, second) = tokio::join!(waiting, others);

    assert_eq!((first.unwrap(), second.unwrap()), (4, 3));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn ring_search_follows_a_forward() {
    let runtime = runtime().await;
    let (a, b) = pair(&runtime).await;
    let c = runtime.spawn::<Probe>("c", Board::default()).await.unwrap();
    // A asks B, B forwards to C, C asks A: the ring is A -> C -> A.
    let closes = asks(&a, answers(0), &["c", "a", "c"]);
    let forwards = act({
        let c = c.clone();
        move |_, cx| Box::pin(async move { cx.forward(&c, closes).await })
    });

    let answer = a.ask(asks(&b, forwards, &[])).await;

    assert_eq!(answer.unwrap(), 1);
    end(runtime).await;
}

/// The story: A asks B, and B forwards the question to A, which is waiting for just that answer. Nobody asks from inside
/// a handler any more when the ring closes, so the search that asks and waits make does not see it.
#[tokio::test(start_paused = true)]
async fn a_question_forwarded_back_to_its_asker_is_refused_at_once() {
    let runtime = runtime().await;
    let (a, b) = pair(&runtime).await;
    let before = runtime.clock().now();
    let forwards_back = act({
        let a = a.clone();
        move |_, cx| Box::pin(async move { cx.forward(&a, answers(0)).await })
    });

    let answer = a.ask(act({
        let b = b.clone();
        move |_, _| {
            Box::pin(async move {
                match b.ask(forwards_back).await {
                    Err(AskError::ForwardedInRing { ring, .. }) => {
                        let ring: Vec<&str> = ring.iter().map(|path| path.as_str()).collect();
                        assert_eq!(ring, ["a", "a"]);
                        Ok(1)
                    }
                    other => panic!("{other:?}"),
                }
            })
        }
    }));

    assert_eq!(answer.await.unwrap(), 1);
    assert_eq!(runtime.clock().now(), before);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_held_gate_is_no_ring() {
    let runtime = runtime().await;
    let (a, b) = pair(&runtime).await;
    let gate = Gate::new();
    b.tell(hold(&gate)).await.unwrap();
    gate.entered().await;

    // B is busy, but waits for nobody: A may wait for it.
    let asked = async { a.ask(asks(&b, answers(2), &["never"])).await };
    let (answer, ()) = tokio::join!(asked, async { gate.open() });

    assert_eq!(answer.unwrap(), 2);
    end(runtime).await;
}

/// Waits a second, asks `to`, and writes on the board what came of it.
fn asks_later(to: &ActorRef<Probe>, board: &Board) -> Act {
    let (to, board) = (to.clone(), board.clone());
    act(move |_, cx| {
        Box::pin(async move {
            cx.clock().sleep(secs(1)).await;
            board.write(format!("{:?}", to.ask(Note(7)).within(secs(10)).await));
            Ok(1)
        })
    })
}

/// Brings back what became of an ask that went on beside its actor.
struct Done;

impl Message for Done {
    type Reply = ();
}

impl Handler<Done> for Probe {
    async fn handle(&mut self, _: Done, _cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        Ok(())
    }
}

/// Goal: who has begun to ask, and lets the ask go on elsewhere, waits for nobody.
/// Method: A asks B for something that takes long, and goes on with the ask in spawned work, or keeps it for later. B
/// then asks A, which is done with its message, or still has it in hand and waits for the clock.
#[tokio::test(start_paused = true)]
async fn an_ask_that_moved_out_of_its_handler_closes_no_ring() {
    for (is_spawned, goes_on) in [(true, secs(0)), (false, secs(0)), (true, secs(5))] {
        let runtime = runtime().await;
        let (a, b) = pair(&runtime).await;
        let (board, kept) = (Board::default(), Arc::new(Mutex::new(None)));
        let work = asks_later(&a, &board);

        let asks_and_goes_on = act({
            let (b, kept) = (b.clone(), kept.clone());
            move |_, cx| {
                Box::pin(async move {
                    let mut asked = Box::pin(async move { b.ask(work).within(secs(60)).await });
                    let answered = cx.clock().within(millis(10), asked.as_mut()).await;
                    assert!(answered.is_none(), "{answered:?}");
                    if is_spawned {
                        cx.spawn(asked, |_| Done);
                    } else {
                        *kept.lock().expect("nobody panics") = Some(asked);
                    }
                    cx.clock().sleep(goes_on).await;
                    Ok(0)
                })
            }
        });
        a.ask(asks_and_goes_on).within(secs(60)).await.unwrap();

        assert_eq!(board.until(1).await, ["Ok(7)"], "spawned: {is_spawned}, goes on for {goes_on:?}");
        drop(kept);
        end(runtime).await;
    }
}

/// As above, of a tell that waits for room.
#[tokio::test(start_paused = true)]
async fn a_tell_in_line_that_moved_out_of_its_handler_closes_no_ring() {
    let runtime = runtime().await;
    let a = runtime.spawn::<Probe>("a", Board::default()).await.unwrap();
    let full = ActorSpec::<Probe>::new("b", Board::default()).capacity(1);
    let b = runtime.spawn_spec(full).await.unwrap();
    let board = Board::default();
    b.tell(asks_later(&a, &board)).await.unwrap();
    runtime.clock().sleep(millis(10)).await;
    b.tell(Note(1)).await.unwrap();

    let tells_and_goes_on = act({
        let b = b.clone();
        move |_, cx| {
            Box::pin(async move {
                let mut told = Box::pin(async move { b.tell(Note(2)).within(secs(60)).await.is_ok() });
                let done = cx.clock().within(millis(10), told.as_mut()).await;
                assert!(done.is_none(), "it waits for room");
                cx.spawn(told, |_| Done);
                cx.clock().sleep(secs(5)).await;
                Ok(0)
            })
        }
    });
    a.ask(tells_and_goes_on).within(secs(60)).await.unwrap();

    assert_eq!(board.until(1).await, ["Ok(7)"]);
    end(runtime).await;
}
