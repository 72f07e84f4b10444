//! The bank as a process of its own: opens the store, takes work in, and goes on until it is killed or told to finish.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use greenroom::{ActorRef, Backoff, LifeState, Place, Resolution, Runtime, RuntimeConfig, SledStore, Store};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::args::Args;
use crate::bank::{self, IsQuiet, Payment};
use crate::bent::{Bend, Bent};
use crate::boundary::StopsAt;
use crate::dice::mix;
use crate::early::{Early, EarlyAnswers};
use crate::item::{COUNTERS, Item, SENDERS, path};
use crate::outside::Outside;
use crate::sabotage::Sabotage;
use crate::told::Told;
use crate::zombie::Haunted;

/// Between two kills of actors.
const KILL_EVERY: Duration = Duration::from_millis(25);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// So many looks in a row must find nothing to do before the bank counts as finished.
const IDLE_LOOKS: u32 = 20;
/// So many looks for reminders to come.
const LOOKS_MAX: u32 = 500;
const PATIENCE: Duration = Duration::from_secs(20);

/// Lives one life.
///
/// # Errors
///
/// The store cannot be opened, somebody cannot be started, or the parent is gone.
pub(crate) async fn live(args: &Args) -> Result<(), Box<dyn Error>> {
    let [parent, server] = args.child[..] else { return Err("a child has two addresses".into()) };
    let folder = args.store.as_ref().ok_or("a child has a store")?;
    let told = Arc::new(Told::connect(parent, args.life)?);
    let outside = Outside { server, life: args.life, told: told.clone(), sabotage: args.sabotage };

    let config = RuntimeConfig {
        events_kept: 1 << 16,
        // The bank comes up all at once: who is early tries again soon.
        external_backoff: Backoff {
            first: Duration::from_millis(20),
            max: Duration::from_millis(200),
            ..Backoff::default()
        },
        // Long enough for whoever repeats something, and short enough to be over while the bank is killed on.
        answers_kept: Duration::from_secs(30),
        ..RuntimeConfig::default()
    };
    let store = stacked(Arc::new(SledStore::open(folder)?), args, &told);
    let runtime = Runtime::builder().config(config).store(store).seed(args.seed).resource(outside.clone());
    let runtime = runtime.start().await?;
    told.listen(runtime.events());
    bank::open(&runtime, &told).await?;

    let mut tasks = JoinSet::new();
    for sender in 0..SENDERS {
        let lines = connect(parent, args.life, &format!("client {sender}")).await?;
        tasks.spawn(serve(lines, sender, runtime.clone().into_guest()));
    }
    tasks.spawn(decide(runtime.clone().into_guest(), outside.clone()));
    let dice = mix(args.seed ^ u64::from(args.life) << 32);
    let kills = tasks.spawn(kill_actors(runtime.clone().into_guest(), dice));
    let mut orders = connect(parent, args.life, "orders").await?;
    told.say("ready");

    let mut order = String::new();
    orders.read_line(&mut order).await?;
    kills.abort();
    finish(&runtime).await;
    tasks.shutdown().await;
    told.say_events();
    let report = runtime.shutdown(PATIENCE).await;
    if !report.is_clean() {
        told.say(&format!("trouble not ended in time: {:?}", report.late));
    }
    told.say("bye");
    Ok(())
}

/// The store with all that stands in front of it.
fn stacked(sled: Arc<dyn Store>, args: &Args, told: &Arc<Told>) -> Arc<dyn Store> {
    let haunted = Arc::new(Haunted::new(sled, args.sabotage == Some(Sabotage::NoEpochCheck)));
    let bent: Arc<dyn Store> = match args.sabotage {
        Some(Sabotage::AckBeforeFlush) => Arc::new(EarlyAnswers::new(haunted, Early::All)),
        Some(Sabotage::ReleaseBeforeCommit) => Arc::new(EarlyAnswers::new(haunted, Early::Releases)),
        Some(Sabotage::DropStepResult) => Arc::new(Bent::new(haunted, Bend::StepResults)),
        Some(Sabotage::ForgetDedup) => Arc::new(Bent::new(haunted, Bend::Requests)),
        Some(Sabotage::SplitInboxRemoval) => Arc::new(Bent::new(haunted, Bend::Removals)),
        Some(Sabotage::ForgetTimers) => Arc::new(Bent::new(haunted, Bend::Timers)),
        Some(Sabotage::ForgetBirths) => Arc::new(Bent::new(haunted, Bend::Births)),
        Some(Sabotage::NoEpochCheck | Sabotage::ClearOwnerBeforeAccept) | None => haunted,
    };
    match args.at {
        Some(boundary) => {
            Arc::new(StopsAt { inner: bent, boundary, told: told.clone(), calls: Default::default() })
        }
        None => bent,
    }
}

async fn connect(parent: SocketAddr, life: u32, hello: &str) -> std::io::Result<BufReader<TcpStream>> {
    let mut stream = TcpStream::connect(parent).await?;
    stream.set_nodelay(true)?;
    stream.write_all(format!("{life} {hello}\n").as_bytes()).await?;
    Ok(BufReader::new(stream))
}

/// Serves one client: each line is a number, and each answer says that it was accepted, or also handled.
async fn serve(mut lines: BufReader<TcpStream>, sender: u8, runtime: Runtime) {
    let mut line = String::new();
    while let Ok(1..) = lines.read_line(&mut line).await {
        let Ok(number) = line.trim().parse() else { return };
        line.clear();
        let answer = match bank::hand_in(&runtime, Item { sender, number }).await {
            Ok(()) => format!("ok {number}\n"),
            Err(error) => format!("no {number} {error}\n"),
        };
        if lines.get_mut().write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The person at the phone: finds out whether the charge in doubt was made, and says so.
async fn decide(runtime: Runtime, outside: Outside) {
    loop {
        for payment in bank::payments(&runtime) {
            decide_one(&payment, &outside).await;
        }
        outside.told.say_events();
        runtime.clock().sleep(LOOK_EVERY).await;
    }
}

async fn decide_one(payment: &ActorRef<Payment>, outside: &Outside) {
    let Some(parked) = payment.parked() else { return };
    let greenroom::ParkedFor::InDoubt { key, .. } = &parked.why else { return };
    outside.told.say_events();
    match outside.was_made(key).await {
        Ok(true) => {
            let receipt = format!("receipt of {key}");
            if let Ok(done) = Resolution::done(&receipt) {
                payment.decide(done);
            }
        }
        Ok(false) => {
            payment.decide(Resolution::NotDone);
        }
        Err(_) => {}
    }
}

/// Takers are down for a moment, givers fall over in the middle: now and then one of them is killed.
async fn kill_actors(runtime: Runtime, seed: u64) {
    let mut dice = seed;
    loop {
        runtime.clock().sleep(KILL_EVERY).await;
        dice = mix(dice);
        let places = bank::killable(&runtime);
        if let Some(place) = places.get((dice % places.len().max(1) as u64) as usize) {
            place.kill();
        }
    }
}

/// Waits until nobody has anything to do but the tickers, which have never done; what they await must have come.
async fn finish(runtime: &Runtime) {
    let tickers: Vec<_> = (0..COUNTERS).map(|n| path("ticker", n)).collect();
    let (mut idle, mut looks) = (0, 0);
    while idle < IDLE_LOOKS {
        let is_idle = |place: &Place| {
            let look = place.observe();
            tickers.contains(place.path())
                || look.waiting == 0 && look.in_hand.is_none() && look.state == LifeState::Running
        };
        looks += 1;
        // After that the judge may say what did not come.
        let is_quiet = looks > LOOKS_MAX || are_quiet(runtime).await;
        idle = if is_quiet && runtime.places().iter().all(is_idle) { idle + 1 } else { 0 };
        runtime.clock().sleep(LOOK_EVERY).await;
    }
}

async fn are_quiet(runtime: &Runtime) -> bool {
    for ticker in bank::tickers(runtime) {
        if !ticker.ask(IsQuiet).await.unwrap_or(false) {
            return false;
        }
    }
    true
}
