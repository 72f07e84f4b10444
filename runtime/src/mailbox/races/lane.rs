//! The control lane: what is raised is heard, however close it comes to the falling asleep.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use loom::thread;

use super::{mailbox, push};
use crate::mailbox::Overflow;
use crate::mailbox::lanes::{ControlLane, Ear, Raised};
use crate::races::{in_every_schedule, in_schedules_of, wait_for};

fn raise(lane: &Arc<ControlLane>, what: Raised) -> thread::JoinHandle<()> {
    let lane = lane.clone();
    thread::spawn(move || lane.raise(what))
}

#[test]
fn what_is_raised_while_a_handler_falls_asleep_is_heard() {
    in_every_schedule(|| {
        let lane = Arc::new(ControlLane::default());
        let mut ear = Ear::new(lane.clone());
        let raises = raise(&lane, Raised::Stop);

        // As an incarnation does at each poll of its handler.
        wait_for(poll_fn(|context| match ear.hear(context) {
            Raised::Nothing => Poll::Pending,
            _ => Poll::Ready(()),
        }));

        raises.join().unwrap();
    });
}

#[test]
fn what_is_raised_while_an_idle_actor_falls_asleep_is_heard() {
    in_every_schedule(|| {
        let lane = Arc::new(ControlLane::default());
        let mut ear = Ear::new(lane.clone());
        let raises = raise(&lane, Raised::Drain);

        wait_for(async {
            while lane.is_quiet() {
                ear.woken().await;
            }
        });

        raises.join().unwrap();
    });
}

/// Goal: the one waker of a task serves both ends. The mailbox has the one that the task had when it waited last, which is
/// nobody's before the first time.
#[test]
fn an_idle_actor_hears_of_its_mail_and_of_a_stop() {
    in_schedules_of(3, || {
        let lane = Arc::new(ControlLane::default());
        let mut ear = Ear::new(lane.clone());
        let mailbox = mailbox(1, Overflow::Wait, []);
        let raises = raise(&lane, Raised::Stop);
        let sender = thread::spawn({
            let mailbox = mailbox.clone();
            move || push(&mailbox, 7)
        });

        // As an incarnation does between two messages.
        let mut read = None;
        wait_for(async {
            while lane.is_quiet() || read.is_none() {
                match mailbox.next(1, ear.waker()) {
                    Ok(queued) => read = Some(queued.parcel),
                    Err(_) => ear.woken().await,
                }
            }
        });

        raises.join().unwrap();
        assert_eq!((read, sender.join().unwrap()), (Some(7), Ok(None)));
    });
}

/// Goal: a stronger word that comes together with a weaker one is heard, and stays.
#[test]
fn the_strongest_of_two_that_are_raised_at_once_is_heard() {
    in_schedules_of(3, || {
        let lane = Arc::new(ControlLane::default());
        let mut ear = Ear::new(lane.clone());
        let raises = [Raised::Kill, Raised::Stop].map(|what| raise(&lane, what));

        wait_for(poll_fn(|context| match ear.hear(context) {
            Raised::Kill => Poll::Ready(()),
            _ => Poll::Pending,
        }));

        raises.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(lane.raised(), Raised::Kill);
    });
}

#[test]
fn a_token_that_is_made_while_a_stop_is_raised_is_fired() {
    in_every_schedule(|| {
        let lane = Arc::new(ControlLane::default());
        let raises = raise(&lane, Raised::Stop);

        let token = lane.token();

        raises.join().unwrap();
        assert!(token.is_fired());
    });
}
