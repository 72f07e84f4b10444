//! The same workloads on tokio's own parts, a bounded channel and a task: what an actor cannot be had for less than.
#![expect(clippy::disallowed_methods, reason = "a benchmark owns its tasks and its timeouts")]

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::workload::{CAPACITY, DEADLINE, Hit, PRODUCERS, Tally, Workload, timed};

pub(crate) async fn run(workload: Workload, times: u64) -> Duration {
    match workload {
        Workload::Tell => tell(times, 1).await,
        Workload::FanIn => tell(times, PRODUCERS).await,
        Workload::Ask => ask(times).await,
        Workload::PingPong => ping_pong(times).await,
        Workload::Spawn => spawn(times).await,
        Workload::Restart => restart(times).await,
    }
}

async fn tell(times: u64, producers: u64) -> Duration {
    let share = times.div_ceil(producers);
    let (mut tally, done) = Tally::of(share * producers);
    let (sender, mut mailbox) = mpsc::channel(CAPACITY);
    tokio::spawn(async move {
        while let Some(hit) = mailbox.recv().await {
            tally.add(hit);
        }
    });
    timed(async {
        for _ in 0..producers {
            let sender = sender.clone();
            tokio::spawn(async move {
                for number in 0..share {
                    sender.send(Hit::new(number)).await.expect("the receiver lives");
                }
            });
        }
        done.notified().await;
    })
    .await
}

// ---- ask, spawn, restart ----

enum Question {
    Hit(Hit, oneshot::Sender<u64>),
    Crash,
}

fn answerer() -> (mpsc::Sender<Question>, JoinHandle<()>) {
    let (sender, mut mailbox) = mpsc::channel(CAPACITY);
    let task = tokio::spawn(async move {
        let mut tally = Tally::endless();
        while let Some(question) = mailbox.recv().await {
            match question {
                // Nobody may wait for the answer any more.
                Question::Hit(hit, reply) => drop(reply.send(tally.add(hit))),
                Question::Crash => panic!("as it was told"),
            }
        }
    });
    (sender, task)
}

/// Asks with a deadline, as the others do.
async fn answer(answerer: &mpsc::Sender<Question>, number: u64) {
    let (reply, replied) = oneshot::channel();
    answerer.send(Question::Hit(Hit::new(number), reply)).await.expect("the answerer lives");
    let replied = tokio::time::timeout(DEADLINE, replied).await;
    replied.expect("the answerer is in time").expect("the answerer answers");
}

async fn ask(times: u64) -> Duration {
    let (answerer, _task) = answerer();
    timed(async {
        for number in 0..times {
            answer(&answerer, number).await;
        }
    })
    .await
}

async fn spawn(times: u64) -> Duration {
    let mut spawned = Vec::new();
    timed(async {
        for _ in 0..times {
            spawned.push(answerer());
        }
    })
    .await
}

async fn restart(times: u64) -> Duration {
    let (births, mut born) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (child, task) = answerer();
            if births.send(child).is_err() || task.await.is_ok() {
                return;
            }
        }
    });
    let mut child = born.recv().await.expect("the first life");
    timed(async {
        for number in 0..times {
            child.send(Question::Crash).await.expect("the child lives");
            child = born.recv().await.expect("its next life");
            answer(&child, number).await;
        }
    })
    .await
}

// ---- ping-pong ----

fn player(mut left: u64, partner: mpsc::Sender<Hit>, mut mailbox: mpsc::Receiver<Hit>, done: Arc<Notify>) {
    tokio::spawn(async move {
        while let Some(hit) = mailbox.recv().await {
            if left == 0 {
                done.notify_one();
                return;
            }
            left -= 1;
            if partner.send(hit).await.is_err() {
                return; // the partner has ended the game
            }
        }
    });
}

async fn ping_pong(times: u64) -> Duration {
    let done = Arc::new(Notify::new());
    let (left, left_mailbox) = mpsc::channel(CAPACITY);
    let (right, right_mailbox) = mpsc::channel(CAPACITY);
    player(times / 2, right, left_mailbox, done.clone());
    player(times / 2, left.clone(), right_mailbox, done.clone());
    timed(async {
        left.send(Hit::new(1)).await.expect("the player lives");
        done.notified().await;
    })
    .await
}
