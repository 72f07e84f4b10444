//! Proofs of the reply slot's races; [`crate::races`] says how they are run.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use loom::thread;

use crate::clock::Clock;
use crate::message::NoReply;
use crate::message::reply::{Answer, AnyReply, ErasedReply, ReplyPort, ReplySlot};
use crate::races::{Bell, in_every_schedule, in_schedules_of, wait_for};

type Slot = Arc<ReplySlot<u32>>;

/// A slot, its port, and the same port as the supervisor has it.
fn slot() -> (Slot, ReplyPort<u32>, ErasedReply) {
    let (slot, port) = ReplySlot::new(Clock::default().now(), &Bell::new().1);
    let erased = port.erased().expect("somebody asks");
    (slot, port, erased)
}

fn answer(slot: &Slot) -> Answer<u32> {
    wait_for(poll_fn(|context| slot.poll(context.waker())))
}

fn is_answered(slot: &Slot) -> bool {
    slot.poll(&Bell::new().1).is_ready()
}

#[test]
fn an_asker_that_falls_asleep_hears_one_of_the_handler_and_the_supervisor() {
    in_every_schedule(|| {
        let (slot, port, erased) = slot();
        let handler = thread::spawn(move || port.send(1));
        let supervisor = thread::spawn(move || erased.fail(NoReply::Stopped));

        let heard = answer(&slot);

        supervisor.join().unwrap();
        match (handler.join().unwrap(), heard.map_err(|why| *why)) {
            (Ok(()), Ok(1)) | (Err(1), Err(NoReply::Stopped)) => {}
            other => panic!("{other:?}"),
        }
        assert!(!slot.is_open() && !is_answered(&slot), "answered once");
    });
}

/// Goal: who is refused can rely on it: an asker that has not gone away has another answer then.
/// Method: the deadline of the asker passes after its first look, whatever that showed.
#[test]
fn an_asker_whose_deadline_passes_is_answered_at_most_once() {
    in_schedules_of(3, || {
        let (slot, port, erased) = slot();
        let handler = thread::spawn(move || port.send(1));
        let supervisor = thread::spawn(move || erased.fail(NoReply::Stopped));

        let heard = match slot.poll(&Bell::new().1) {
            Poll::Ready(answer) => Some(answer.map_err(|why| *why)),
            Poll::Pending => None,
        };
        slot.close();
        assert!(!slot.is_open());

        supervisor.join().unwrap();
        match (handler.join().unwrap(), heard) {
            // It went away: whoever came first speaks to nobody.
            (_, None) | (Ok(()), Some(Ok(1))) | (Err(1), Some(Err(NoReply::Stopped))) => {}
            other => panic!("{other:?}"),
        }
        assert!(!slot.is_open() && !is_answered(&slot), "closed for good");
    });
}

/// Goal: an asker that was just made saves itself the first look if the slot is still open: then it will be woken.
#[test]
fn an_asker_that_finds_the_slot_open_without_its_lock_is_woken() {
    in_every_schedule(|| {
        let (bell, waker) = Bell::new();
        let (slot, port) = ReplySlot::<u32>::new(Clock::default().now(), &waker);
        let handler = thread::spawn(move || port.send(1));

        if slot.is_open() {
            bell.sleep();
        }

        assert!(matches!(slot.poll(&waker), Poll::Ready(Ok(1))));
        assert_eq!(handler.join().unwrap(), Ok(()));
    });
}

/// Goal: an asker that is polled from elsewhere, and so has another waker, is woken there.
#[test]
fn an_asker_that_moves_meanwhile_is_woken_where_it_is() {
    in_every_schedule(|| {
        let (slot, port, erased) = slot();
        drop(erased);
        let handler = thread::spawn(move || port.send(1));

        let (_, before) = Bell::new();
        let heard = match slot.poll(&before) {
            Poll::Ready(answer) => answer,
            Poll::Pending => answer(&slot),
        };

        assert!(matches!(heard, Ok(1)));
        assert_eq!(handler.join().unwrap(), Ok(()));
    });
}

#[test]
fn an_asker_hears_when_the_last_of_its_ports_is_dropped() {
    in_every_schedule(|| {
        let (slot, port, erased) = slot();
        let handler = thread::spawn(move || drop(port));
        let supervisor = thread::spawn(move || drop(erased.clone()));

        let heard = answer(&slot);

        assert!(matches!(heard.map_err(|why| *why), Err(NoReply::Dropped)));
        handler.join().unwrap();
        supervisor.join().unwrap();
    });
}

/// Goal: a port that takes the place of another, as for a redelivery, is never the last one too late.
#[test]
fn a_port_that_is_passed_on_answers_although_the_others_are_dropped() {
    in_every_schedule(|| {
        let (slot, port, erased) = slot();
        let dropped = thread::spawn(move || drop(port));
        let passed_on = thread::spawn(move || {
            let copy = erased.clone();
            drop(erased);
            copy.typed::<u32>().twin().send(1)
        });

        assert!(matches!(answer(&slot), Ok(1)));

        dropped.join().unwrap();
        assert_eq!(passed_on.join().unwrap(), Ok(()));
    });
}
