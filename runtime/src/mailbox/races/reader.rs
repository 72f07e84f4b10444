//! The reader that falls asleep while somebody has something for it, and the order in which it reads.

use loom::thread;

use super::{left_over, mailbox, message, push, read};
use crate::mailbox::Overflow;
use crate::mailbox::batch::NoMail;
use crate::mailbox::queue::Gate;
use crate::races::{Bell, in_every_schedule, in_schedules_of};

#[test]
fn a_reader_that_falls_asleep_is_woken_and_reads_what_one_sender_sent_in_its_order() {
    in_every_schedule(|| {
        let mailbox = mailbox(2, Overflow::Wait, []);
        let sender = thread::spawn({
            let mailbox = mailbox.clone();
            move || [1, 2].map(|number| push(&mailbox, number))
        });

        assert_eq!(read(&mailbox, 2), [1, 2]);
        assert_eq!(sender.join().unwrap(), [Ok(None), Ok(None)]);
        assert_eq!(left_over(&mailbox), []);
    });
}

#[test]
fn a_reader_hears_each_of_two_senders_in_its_order() {
    in_schedules_of(3, || {
        let mailbox = mailbox(4, Overflow::Wait, []);
        let senders = [[1, 2], [11, 12]].map(|numbers| {
            let mailbox = mailbox.clone();
            thread::spawn(move || numbers.map(|number| push(&mailbox, number).expect("room")))
        });

        let (bell, waker) = Bell::new();
        let mut seen = Vec::new();
        while seen.len() < 4 {
            match mailbox.next(1, &waker) {
                Ok(queued) => seen.push(queued.parcel),
                Err(_) => bell.sleep(),
            }
        }
        senders.into_iter().for_each(|sender| assert_eq!(sender.join().unwrap(), [None; 2]));
        let of = |first: u32| {
            seen.iter().filter(|number| (first..first + 9).contains(*number)).collect::<Vec<_>>()
        };
        assert_eq!((of(1), of(11)), (vec![&1, &2], vec![&11, &12]));
        assert_eq!(left_over(&mailbox), []);
    });
}

#[test]
fn a_reader_that_falls_asleep_is_woken_when_the_gate_is_shut() {
    in_every_schedule(|| {
        let mailbox = mailbox(2, Overflow::Wait, []);
        let closer = thread::spawn({
            let mailbox = mailbox.clone();
            move || mailbox.close(Gate::Closed).len()
        });

        assert_eq!(read(&mailbox, 0), [], "and the read is over");
        assert_eq!(closer.join().unwrap(), 0);
    });
}

/// Goal: an incarnation that was declared down, and whose thread goes on, must not take the place of its successor's waker.
#[test]
fn a_replaced_reader_does_not_take_its_successors_wake_up() {
    in_every_schedule(|| {
        let mailbox = mailbox(2, Overflow::Wait, []);
        let replaced = thread::spawn({
            let mailbox = mailbox.clone();
            move || mailbox.next(1, &Bell::new().1).map(|queued| queued.parcel)
        });
        mailbox.hand_to(2);
        let sender = thread::spawn({
            let mailbox = mailbox.clone();
            move || push(&mailbox, 7)
        });

        let (bell, waker) = Bell::new();
        let read = loop {
            match mailbox.next(2, &waker) {
                Ok(queued) => break queued.parcel,
                Err(_) => bell.sleep(),
            }
        };

        assert_eq!((read, sender.join().unwrap()), (7, Ok(None)));
        assert!(matches!(replaced.join().unwrap(), Err(NoMail::Dry | NoMail::Fenced)));
        assert_eq!(left_over(&mailbox), []);
    });
}

/// Goal: what waits goes on to the successor, in its order, whatever the one before had still begun.
#[test]
fn a_message_is_taken_by_the_reader_or_by_its_successor() {
    in_every_schedule(|| {
        let mailbox = mailbox(2, Overflow::Wait, [1, 2]);
        let replaced = thread::spawn({
            let mailbox = mailbox.clone();
            move || mailbox.next(1, &Bell::new().1).map(|queued| queued.parcel)
        });

        mailbox.hand_to(2);
        let waker = Bell::new().1;
        let mut seen = Vec::new();
        while let Ok(queued) = mailbox.next(2, &waker) {
            seen.push(queued.parcel);
        }

        match replaced.join().unwrap() {
            Ok(first) => assert_eq!((first, seen), (1, vec![2])),
            Err(why) => assert_eq!((why, seen), (NoMail::Fenced, vec![1, 2])),
        }
        assert_eq!(left_over(&mailbox), []);
    });
}

#[test]
fn each_message_is_read_or_shed_when_the_oldest_is_dropped() {
    in_every_schedule(|| {
        let mailbox = mailbox(1, Overflow::DropOldest, [1]);
        let sender = thread::spawn({
            let mailbox = mailbox.clone();
            move || [2, 3].map(|number| push(&mailbox, number).expect("the oldest makes room"))
        });

        let read = read(&mailbox, 3);

        let shed: Vec<u32> = sender.join().unwrap().into_iter().flatten().collect();
        assert!(read.is_sorted() && shed.is_sorted(), "{read:?} {shed:?}");
        let mut all = [read, shed].concat();
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3]);
        assert_eq!(left_over(&mailbox), []);
    });
}

/// Goal: the oldest is found where it is, in the batch, while the reader takes it from there.
#[test]
fn nothing_but_the_oldest_is_dropped_while_the_reader_takes_it() {
    in_every_schedule(|| {
        let mailbox = mailbox(2, Overflow::DropOldest, [1, 2]);
        let waker = Bell::new().1;
        let next = || mailbox.next(1, &waker).ok().map(|queued| queued.parcel);
        assert_eq!(next(), Some(1)); // the second is in the batch now
        push(&mailbox, 3).expect("room");
        let sender = thread::spawn({
            let mailbox = mailbox.clone();
            move || push(&mailbox, 4)
        });

        let read = next();

        match (read, sender.join().unwrap()) {
            (Some(2), Ok(None)) => assert_eq!(left_over(&mailbox), [3, 4]),
            (Some(3), Ok(Some(2))) => assert_eq!(left_over(&mailbox), [4]),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn two_senders_that_drop_the_oldest_do_not_exceed_the_capacity() {
    in_every_schedule(|| {
        let mailbox = mailbox(1, Overflow::DropOldest, [1]);
        let other = thread::spawn({
            let mailbox = mailbox.clone();
            move || push(&mailbox, 2)
        });
        let shed = push(&mailbox, 3);

        let shed = [other.join().unwrap(), shed].map(|shed| shed.expect("room").expect("it was full"));
        let mut all = [&shed[..], &left_over(&mailbox)].concat();
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3]);
    });
}

/// Goal: a message that comes again keeps its place, and its place is counted.
#[test]
fn a_message_that_is_put_back_is_not_overtaken() {
    in_every_schedule(|| {
        let mailbox = mailbox(2, Overflow::Wait, [1]);
        let waker = Bell::new().1;
        let first = mailbox.next(1, &waker).unwrap_or_else(|_| panic!("a message"));
        let sender = thread::spawn({
            let mailbox = mailbox.clone();
            move || push(&mailbox, 2)
        });

        mailbox.put_back(first.parcel, message(0).head);

        assert_eq!(sender.join().unwrap(), Ok(None));
        assert_eq!(left_over(&mailbox), [1, 2]);
    });
}
