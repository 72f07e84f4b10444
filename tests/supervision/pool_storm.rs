//! A storm over a pool: members are killed, stopped and started while many ask.
//!
//! The order is random; `SEED=42 cargo test --test supervision pool_storm` repeats one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use greenroom::testing::{Chaos, seed};
use greenroom::{
    Actor, ActorRef, AskError, Context, Failure, Handler, Open, Pool, PoolRef, RouteError, Runtime,
    RuntimeEvent, SuperviseExt, SupervisorRef,
};

use crate::crew::{Job, beside, routed};
use crate::support::{OFTEN, millis, secs};

/// Counts how often each job was done, in whichever member and life.
struct Hand {
    done: Arc<Mutex<BTreeMap<u32, u32>>>,
}

impl Actor for Hand {
    type Args = Arc<Mutex<BTreeMap<u32, u32>>>;
    type Inbox = Open<Self>;
    async fn start(done: &Self::Args) -> Result<Self, Failure> {
        Ok(Hand { done: done.clone() })
    }
    async fn started(&mut self, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        // Every other start is slow enough for messages to move.
        if cx.epoch().0.is_multiple_of(2) {
            cx.clock().sleep(millis(4)).await;
        }
        Ok(())
    }
}

impl Handler<Job> for Hand {
    async fn handle(&mut self, job: Job, _cx: &mut Context<'_, Self>) -> Result<String, Failure> {
        tokio::task::yield_now().await;
        *self.done.lock().expect("no holder panics").entry(job.0).or_default() += 1;
        Ok(job.0.to_string())
    }
}

type Asked = Result<(Job, String), RouteError<Job>>;

/// Asks `one`, or else the pool.
async fn asked(pool: PoolRef<Hand>, one: Option<ActorRef<Hand>>, job: Job) -> Asked {
    let answer = match one {
        Some(one) => one.ask(job.clone()).within(secs(60)).await.map_err(RouteError::Asked)?,
        None => pool.ask(job.clone()).within(secs(60)).await?,
    };
    Ok((job, answer))
}

/// Goal: whatever falls whenever, each ask has one end, and no job is done twice.
/// Method: small mailboxes, so that lines form and moves find no room; kills and stops while asks go on.
async fn storm(rounds: u32, at_once: u32) {
    let mut chaos = Chaos::seeded(seed());
    let mut below = move |bound: usize| usize::try_from(chaos.below(bound as u64)).expect("below a usize");
    let runtime = Runtime::builder().start().await.expect("an empty runtime starts");
    let done = Arc::new(Mutex::new(BTreeMap::new()));
    let mut events = runtime.events();
    let hands = Pool::<Hand>::new("hands", 4, done.clone())
        .intensity(OFTEN.0, OFTEN.1)
        .reroute_after(Some(millis(1)))
        .each(|spec| spec.capacity(8));
    let supervisor: SupervisorRef = runtime.supervise(hands).await.expect("all start");
    let pool = supervisor.as_pool::<Hand>().await.expect("a pool of hands");
    let members = routed(&pool);
    let (mut moved, mut answered, mut typed) = (0, 0, 0);

    for round in 0..rounds {
        let mut asks = Vec::new();
        for number in 0..at_once {
            let job = Job(round * at_once + number);
            // Half of them to one member, whoever it is.
            let one = (number % 2 == 0).then(|| members[below(4)].clone());
            asks.push(beside(asked(pool.clone(), one, job)).await);
            match below(12) {
                0..3 => pool.members()[below(4)].kill(),
                3 => tokio::task::yield_now().await,
                _ => {}
            }
        }
        if round % 8 == 7 {
            let name = (below(4) + 1).to_string();
            supervisor.terminate_child(&name).await.expect("there is such a member");
            supervisor.restart_child(&name).await.expect("its start works");
        }
        for ask in asks {
            match ask.await.expect("no asker panics") {
                Ok((job, answer)) => {
                    assert_eq!(answer, job.0.to_string());
                    answered += 1;
                }
                Err(RouteError::Asked(AskError::DeadlinePassed { .. })) => panic!("an ask was lost"),
                Err(_) => typed += 1,
            }
        }
        while let Ok(event) = events.try_recv() {
            if let RuntimeEvent::Rerouted { count, .. } = event {
                moved += count;
            }
        }
    }

    println!("{answered} answered, {typed} typed errors, {moved} moved");
    let done = std::mem::take(&mut *done.lock().expect("no holder panics"));
    assert!(done.values().all(|times| *times == 1), "done twice: {done:?}");
    assert!(done.len() >= answered, "{} done, {answered} answered", done.len());
    assert!(moved > 0 && answered > typed);
    for member in pool.members() {
        member.ask(Job(u32::MAX - 1)).within(secs(60)).await.expect("it is back");
        assert_eq!(member.observe().waiting, 0, "a place was never given back");
    }
    assert!(runtime.shutdown(secs(30)).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn in_a_storm_on_one_thread_each_ask_has_one_end_and_no_job_is_done_twice() {
    storm(60, 60).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_a_storm_on_many_threads_each_ask_has_one_end_and_no_job_is_done_twice() {
    storm(60, 60).await;
}
