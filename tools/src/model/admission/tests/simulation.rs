//! Five hundred agents on a server that takes fifty requests a second, for two minutes of paused time.
//!
//! Goal: little is wasted, in refused requests and in unused room, and tenants get the same, however many agents they have.
//! Method: servers that count in each of the known ways; and without the pace, and without the queue, the bars fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use greenroom_runtime::Clock;
use tokio::task::JoinSet;

use crate::model::{Attempt, Model};

use super::super::{Admission, Call, Lane, LaneSpec};
use super::servers::{Counts, Says, Server, request};

const TIME: Duration = Duration::from_secs(120);
const TENANTS: usize = 10;

#[derive(Clone, Copy, PartialEq)]
enum Agents {
    Admitted,
    /// All wait as one tenant.
    WithoutFairness,
    /// Each asks at once, and again after `Retry-After`.
    WithoutPace,
}

#[derive(Debug)]
struct Measured {
    goodput: f64,
    wasted: f64,
    unfairness: f64,
    failed: u64,
}

/// One tenant has four hundred agents, nine have eleven; the last has one more.
fn tenant_of(agent: usize) -> usize {
    if agent < 400 { 0 } else { (1 + (agent - 400) / 11).min(TENANTS - 1) }
}

async fn run(server: &Server, offered: f64, how: Agents) -> Measured {
    run_for(TIME, server, offered, how).await
}

async fn run_for(time: Duration, server: &Server, offered: f64, how: Agents) -> Measured {
    let clock = Clock::default();
    let admission = Admission::new(&Lane::new(server.clone(), LaneSpec::default()));
    let failed = Arc::new(AtomicU64::new(0));
    let mut agents = JoinSet::new();
    for agent in 0..500 {
        let (admission, server, failed) = (admission.clone(), server.clone(), failed.clone());
        let name = format!("t{}", tenant_of(agent));
        let tenant = if how == Agents::WithoutFairness { "all".to_owned() } else { name.clone() };
        agents.spawn(async move {
            let mut sizes = [100_u32, 300, 200, 50, 350].into_iter().cycle().skip(agent % 5);
            loop {
                let request = request(&name, sizes.next().unwrap_or(1));
                if how == Agents::WithoutPace {
                    while let Err(error) = server.attempt(&request, Attempt::new()).await {
                        clock.sleep(error.facts.retry_after.unwrap_or(Duration::from_millis(500))).await;
                    }
                    continue;
                }
                let tokens = u64::from(request.max_output_tokens());
                let call = Call::new(&tenant, clock.after(Duration::from_secs(900))).tokens(tokens);
                if admission.call(&request, call).await.is_err() {
                    failed.fetch_add(1, Ordering::Relaxed);
                    clock.sleep(Duration::from_secs(1)).await;
                }
            }
        });
    }
    clock.sleep(time).await;
    agents.shutdown().await;
    assert_eq!(
        (admission.lanes()[0].waiting(), admission.lanes()[0].under_way()),
        (0, 0),
        "all places are back"
    );

    let taken = server.taken();
    let mut of_tenant = [0_u32; TENANTS];
    taken.iter().for_each(|(_, who)| of_tenant[who[1..].parse::<usize>().unwrap()] += 1);
    let (max, min) = (of_tenant.iter().max().unwrap(), of_tenant.iter().min().unwrap());
    Measured {
        goodput: taken.len() as f64 / offered,
        wasted: server.refused() as f64 / (taken.len() as f64 + server.refused() as f64),
        unfairness: f64::from(*max) / f64::from(*min),
        failed: failed.load(Ordering::Relaxed),
    }
}

const BUCKET: Counts = Counts::Bucket { burst: 50.0 };
const STRICT: Counts = Counts::Bucket { burst: 1.0 };
/// Requests of 200 tokens on average: fifty of them a second.
const TOKENS: Counts = Counts::Tokens { burst: 10_000.0 };

#[tokio::test(start_paused = true)]
async fn five_hundred_agents_use_nearly_all_of_a_limit_waste_little_and_get_equal_shares() {
    let mut complaints = Vec::new();
    for counts in [BUCKET, STRICT, Counts::Window] {
        for says in [Says::Exactly, Says::WholeSeconds, Says::Nothing, Says::Headers] {
            for seed in [1, 2] {
                let server = Server::new(counts, says, &[(0.0, 50.0)], seed);
                let measured = run(&server, 50.0 * TIME.as_secs_f64(), Agents::Admitted).await;
                println!("{counts:?}, says {says:?}, seed {seed}: {measured:?}");
                let good = measured.goodput >= 0.95
                    && measured.wasted <= 0.02
                    && measured.unfairness <= 1.2
                    && measured.failed == 0;
                if !good {
                    complaints.push(format!("{counts:?} {says:?} {seed}: {measured:?}"));
                }
            }
        }
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_tokens_is_kept_by_what_requests_weigh() {
    for says in [Says::Exactly, Says::WholeSeconds] {
        let server = Server::new(TOKENS, says, &[(0.0, 10_000.0)], 3);
        let measured = run(&server, 50.0 * TIME.as_secs_f64(), Agents::Admitted).await;
        println!("tokens, says {says:?}: {measured:?}");
        assert!(measured.goodput >= 0.95 && measured.wasted <= 0.02, "{measured:?}");
        assert!(measured.unfairness <= 1.2 && measured.failed == 0, "{measured:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn slow_answers_do_not_hold_up_the_pace() {
    let server = Server::new(BUCKET, Says::WholeSeconds, &[(0.0, 50.0)], 4)
        .slow(Duration::from_secs(3), Duration::from_secs(6));
    // Tenants with eleven agents cannot use their share when each answer takes that long.
    let measured = run(&server, 50.0 * TIME.as_secs_f64(), Agents::Admitted).await;
    println!("slow: {measured:?}");
    assert!(measured.goodput >= 0.95 && measured.wasted <= 0.02 && measured.failed == 0, "{measured:?}");
}

#[tokio::test(start_paused = true)]
async fn requests_that_overtake_each_other_on_the_way_do_not_upset_the_pace() {
    for counts in [BUCKET, Counts::Window] {
        let server =
            Server::new(counts, Says::WholeSeconds, &[(0.0, 50.0)], 8).arriving(Duration::from_millis(20));
        let measured = run(&server, 50.0 * TIME.as_secs_f64(), Agents::Admitted).await;
        println!("{counts:?}, jitter: {measured:?}");
        assert!(measured.goodput >= 0.93 && measured.wasted <= 0.02, "{measured:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_falls_is_found_in_seconds_and_one_that_rises_in_two_minutes() {
    for counts in [BUCKET, STRICT, Counts::Window] {
        for says in [Says::Exactly, Says::WholeSeconds] {
            let server = Server::new(counts, says, &[(0.0, 50.0), (40.0, 20.0), (80.0, 80.0)], 5);
            let all = 40.0 * 70.0 + 200.0 * 80.0;
            let measured = run_for(Duration::from_secs(280), &server, all, Agents::Admitted).await;
            let taken = server.taken();
            let of =
                |from: f64, to: f64| taken.iter().filter(|(at, _)| (from..to).contains(at)).count() as f64;
            let (low, high) = (of(40.0, 80.0) / 800.0, of(220.0, 280.0) / 4_800.0);
            println!(
                "{counts:?}, says {says:?}: {low} of the low limit, {high} of the high one, {measured:?}"
            );
            assert!(measured.wasted <= 0.02 && measured.failed == 0, "{measured:?}");
            assert!(low >= 0.75 && high >= 0.85, "{counts:?}, {says:?}: {low} and {high}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_pace_most_requests_are_wasted_and_without_the_queue_one_tenant_gets_most() {
    let server = Server::new(BUCKET, Says::WholeSeconds, &[(0.0, 50.0)], 6);
    let wild = run(&server, 50.0 * TIME.as_secs_f64(), Agents::WithoutPace).await;
    println!("without pace: {wild:?}");
    assert!(wild.wasted > 0.2, "{wild:?}");

    let server = Server::new(BUCKET, Says::WholeSeconds, &[(0.0, 50.0)], 7);
    let unfair = run(&server, 50.0 * TIME.as_secs_f64(), Agents::WithoutFairness).await;
    println!("without fairness: {unfair:?}");
    assert!(unfair.unfairness > 5.0, "{unfair:?}");
}
