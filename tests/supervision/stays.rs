//! What does not move when a member of a pool is down: what is its own, and what finds no room.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenroom::{
    Actor, ActorSpec, AskError, ChildSpec, Context, Durable, DurableMessage, Failure, Handler, MemoryStore,
    Message, Overflow, Pool, Routing, Runtime, SuperviseExt, inbox,
};
use serde::{Deserialize, Serialize};

use crate::crew::{
    AFTER, Crew, Do, FallUnlessAt, Job, Member, Opening, Remind, ask, beside, busy, fell, jobs, moving, pool,
    routed, sleep, waiting,
};
use crate::support::{OFTEN, Stage, millis, secs, sup};

// ---- what is its own ----

#[tokio::test(start_paused = true)]
async fn under_by_key_nothing_moves_unless_asked() {
    for (after, expected) in [(None, "1 at 1"), (Some(AFTER), "1 at 2")] {
        let (stage, crew, pool) = pool(2, |pool| {
            let pool = pool.routing(Routing::ByKey);
            if after.is_some() { pool.reroute_after(after) } else { pool }
        })
        .await;
        let key = (0..).map(|key: u32| key.to_string()).find(|key| pool.by_key(key).path().name() == "1");
        let key = key.unwrap();
        crew.opens("1", Opening::Takes(secs(20)));
        fell(&stage, &pool.members()[0]).await;

        pool.by_key(&key).try_tell(Job(1)).unwrap();
        sleep(&stage, secs(21)).await;

        assert_eq!(jobs(&stage), [expected], "{after:?}");
        stage.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn with_rerouting_off_everything_waits_for_its_member() {
    let (stage, crew, pool) = pool(2, |pool| pool.reroute_after(None)).await;
    let members = routed(&pool);
    crew.opens("1", Opening::Takes(secs(20)));
    fell(&stage, &members[0]).await;

    let answer = ask(&members[0], 1).await;
    sleep(&stage, secs(21)).await;

    assert_eq!(answer.await.unwrap().unwrap(), "1");
    stage.end().await;
}

/// Counts, and keeps the count.
#[derive(Serialize, Deserialize, Default)]
struct Till {
    total: u64,
    #[serde(skip)]
    name: String,
}

#[derive(Serialize, Deserialize)]
struct Pay(u64);

/// Keeps the till busy for ever.
#[derive(Serialize, Deserialize)]
struct Audit;

impl Message for Pay {
    type Reply = (String, u64);
    const NAME: Option<&'static str> = Some("pay");
}
impl Message for Audit {
    type Reply = ();
    const NAME: Option<&'static str> = Some("audit");
}
impl DurableMessage for Pay {}
impl DurableMessage for Audit {}

inbox!(durable TillInbox for Till: Pay, Audit);

impl Actor for Till {
    type Args = Arc<Mutex<BTreeMap<String, Duration>>>;
    type Inbox = TillInbox;
    async fn start(_: &Self::Args) -> Result<Self, Failure> {
        Ok(Till::default())
    }
    async fn started(&mut self, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        self.name = cx.path().name().to_owned();
        let wait = cx.args().lock().expect("no holder panics").get(&self.name).copied();
        if let Some(wait) = wait {
            cx.clock().sleep(wait).await;
        }
        Ok(())
    }
}

impl Durable for Till {
    const NAME: &'static str = "till";
}

impl Handler<Pay> for Till {
    async fn handle(&mut self, pay: Pay, _cx: &mut Context<'_, Self>) -> Result<(String, u64), Failure> {
        self.total += pay.0;
        Ok((self.name.clone(), self.total))
    }
}

impl Handler<Audit> for Till {
    async fn handle(&mut self, _: Audit, _cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_durable_member_has_accepted_never_moves() {
    let runtime = Runtime::builder().store(MemoryStore::new()).start().await.unwrap();
    let waits = Arc::new(Mutex::new(BTreeMap::new()));
    let tills = Pool::<Till>::new("tills", 2, waits.clone())
        .intensity(OFTEN.0, OFTEN.1)
        .reroute_after(Some(AFTER))
        .each(|spec| spec.durable().redeliveries(0));
    let tills = runtime.supervise(tills).await.unwrap().as_pool::<Till>().await.unwrap();
    let one = &tills.members()[0];
    assert_eq!(one.ask(Pay(5)).await.unwrap(), ("1".into(), 5));
    waits.lock().unwrap().insert("1".into(), secs(5));
    one.tell(Audit).await.unwrap();
    let paid = {
        let one = one.clone();
        beside(async move { one.ask(Pay(7)).within(secs(60)).await }).await
    };

    one.kill();
    runtime.clock().sleep(secs(6)).await;

    assert_eq!(paid.await.unwrap().unwrap(), ("1".into(), 12), "on the state that its member has kept");
    assert!(runtime.shutdown(secs(5)).await.is_clean());
}

/// A timer, a result of spawned work: what an actor tells itself means nobody else.
/// The story: a colleague got the reminder, and handled what it had never begun.
#[tokio::test(start_paused = true)]
async fn what_a_member_tells_itself_stays() {
    let (stage, crew, pool) = pool(2, moving).await;
    let members = routed(&pool);
    let one = &members[0];
    one.ask(Remind(millis(10), 7)).await.unwrap();
    busy(&stage, one).await;
    sleep(&stage, millis(20)).await;
    one.try_tell(Job(8)).unwrap();
    assert_eq!(waiting(&pool), [2, 0]);
    crew.opens("1", Opening::Takes(secs(1)));
    fell(&stage, one).await;
    sleep(&stage, secs(2)).await;

    assert_eq!(jobs(&stage), ["8 at 2", "7 at 1"]);
    stage.end().await;
}

/// The story: whatever waited at a member that was down moved, also what was meant for that member and nobody else.
#[tokio::test(start_paused = true)]
async fn what_is_sent_to_a_member_itself_stays_and_what_the_pool_routed_moves() {
    let (stage, crew, pool) = pool(2, moving).await;
    let (one, chosen) = (&pool.members()[0], &routed(&pool)[0]);
    crew.opens("1", Opening::Takes(secs(1)));
    fell(&stage, one).await;
    one.try_tell(Job(1)).unwrap();
    chosen.try_tell(Job(2)).unwrap();
    one.tell(Job(3)).await.unwrap();
    chosen.tell(Job(4)).await.unwrap();
    stage.runtime.resolve(&one.address()).unwrap().try_tell(Job(5)).unwrap();
    let (asked, routed) = (ask(one, 6).await, ask(chosen, 7).await);

    sleep(&stage, secs(2)).await;

    assert_eq!(jobs(&stage), ["2 at 2", "4 at 2", "7 at 2", "1 at 1", "3 at 1", "5 at 1", "6 at 1"]);
    assert_eq!((asked.await.unwrap().unwrap(), routed.await.unwrap().unwrap()), ("1".into(), "2".into()));
    stage.end().await;
}

/// Goal: every way through the pool is a way whose messages may move.
/// Method: member 1 is down and the only one that can be chosen; member 2 comes back first.
#[tokio::test(start_paused = true)]
async fn what_goes_through_the_pool_moves_whichever_way_it_was_sent() {
    let (stage, crew, pool) = pool(2, |pool| moving(pool).routing(Routing::FirstAvailable)).await;
    crew.opens("1", Opening::Hangs);
    crew.opens("2", Opening::Takes(millis(50)));
    pool.members()[1].kill();
    pool.members()[0].kill();
    stage.quiet().await;

    pool.tell(Job(1)).await.unwrap();
    pool.pick().unwrap().try_tell(Job(2)).unwrap();
    let asker = crate::crew::ask_pool(&pool, 3).await;
    assert_eq!(waiting(&pool).iter().sum::<usize>(), 3);
    sleep(&stage, secs(1)).await;

    assert_eq!(asker.await.unwrap().unwrap(), "2");
    let mut lines = jobs(&stage);
    lines.sort();
    assert_eq!(lines, ["1 at 2", "2 at 2", "3 at 2"]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_at_a_member_that_was_stopped_is_a_dead_letter_and_does_not_move() {
    let (stage, _, pool) = pool(2, moving).await;
    let members = routed(&pool);
    let one = &members[0];
    let asker = {
        busy(&stage, one).await;
        ask(one, 1).await
    };

    pool.supervisor().terminate_child("1").await.unwrap();
    sleep(&stage, 5 * AFTER).await;

    assert!(matches!(asker.await.unwrap(), Err(AskError::Stopped { .. })));
    assert_eq!(jobs(&stage), [""; 0]);
    stage.end().await;
}

/// Goal: a member that was laid aside is watched again when it is started again.
#[tokio::test(start_paused = true)]
async fn a_stopped_member_that_hangs_in_its_next_start_is_watched_again() {
    let (stage, crew, pool) = pool(2, moving).await;
    let members = routed(&pool);
    pool.supervisor().terminate_child("1").await.unwrap();
    sleep(&stage, secs(1)).await;
    crew.opens("1", Opening::Hangs);
    let starting = {
        let supervisor = pool.supervisor().clone();
        beside(async move { supervisor.restart_child("1").await }).await
    };
    stage.quiet().await;

    let answer = ask(&members[0], 1).await;
    sleep(&stage, AFTER + millis(1)).await;

    assert!(answer.is_finished());
    assert_eq!(answer.await.unwrap().unwrap(), "2");
    members[0].kill();
    assert!(starting.await.unwrap().is_err());
    stage.end().await;
}

// ---- where there is no room ----

#[tokio::test(start_paused = true)]
async fn what_finds_no_room_elsewhere_stays_in_its_place_and_order() {
    let (stage, crew, pool) = pool(2, |pool| moving(pool).each(|spec| spec.capacity(5))).await;
    let members = routed(&pool);
    let [one, two] = &*members else { panic!("two members") };
    busy(&stage, one).await;
    let bell = busy(&stage, two).await;
    for number in 0..5 {
        one.try_tell(Job(number)).unwrap();
    }
    for number in 10..13 {
        two.try_tell(Job(number)).unwrap();
    }
    crew.opens("1", Opening::Takes(millis(250)));
    stage.log.take();

    fell(&stage, one).await;
    sleep(&stage, 2 * AFTER).await;
    assert_eq!(waiting(&pool), [3, 5], "as many as there was room for");
    stage.log.until("start at 1").await;
    stage.quiet().await;
    bell.notify_one();
    stage.quiet().await;

    assert_eq!(
        jobs(&stage),
        ["2 at 1", "3 at 1", "4 at 1", "10 at 2", "11 at 2", "12 at 2", "0 at 2", "1 at 2"]
    );
    stage.end().await;
}

/// The story: a move emptied the mailbox, which let those who stood in line in; then it put back what had found no
/// room elsewhere. Each round left more in the mailbox than it may hold.
#[tokio::test(start_paused = true)]
async fn a_move_that_finds_no_room_lets_nobody_in_beyond_the_bound() {
    let (stage, crew, pool) = pool(2, |pool| moving(pool).each(|spec| spec.capacity(2))).await;
    let members = routed(&pool);
    let [one, two] = &*members else { panic!("two members") };
    crew.opens("1", Opening::Hangs);
    fell(&stage, one).await;
    let bell = busy(&stage, two).await;
    for (number, member) in [(0, one), (1, one), (10, two), (11, two)] {
        member.try_tell(Job(number)).unwrap();
    }
    let mut in_line = Vec::new();
    for number in 2..6 {
        in_line.push(ask(one, number).await);
    }

    sleep(&stage, 5 * AFTER).await;
    assert_eq!(waiting(&pool), [2, 2]);
    bell.notify_one();
    sleep(&stage, 5 * AFTER).await;

    for asker in in_line {
        assert!(asker.is_finished());
        assert_eq!(asker.await.unwrap().unwrap(), "2");
    }
    let numbers: Vec<String> =
        jobs(&stage).iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(numbers, ["10", "11", "0", "1", "2", "3", "4", "5"]);
    stage.end().await;
}

/// The story: under `DropNewest` the message that moved was itself shed by a full colleague; under `DropOldest` it
/// pushed out what waited there. At its own place it was safe.
#[tokio::test(start_paused = true)]
async fn nothing_is_shed_for_what_moves() {
    for overflow in [Overflow::Wait, Overflow::Reject, Overflow::DropNewest, Overflow::DropOldest] {
        let each = move |spec: ActorSpec<Member>| spec.capacity(1).overflow(overflow);
        let (stage, crew, pool) = pool(2, |pool| moving(pool).each(each)).await;
        let members = routed(&pool);
        let [one, two] = &*members else { panic!("two members") };
        let bell = busy(&stage, two).await;
        let at_two = ask(two, 2).await;
        crew.opens("1", Opening::Hangs);
        fell(&stage, one).await;
        let at_one = ask(one, 1).await;

        sleep(&stage, 3 * AFTER).await;
        assert_eq!(waiting(&pool), [1, 1], "{overflow:?}");
        bell.notify_one();
        sleep(&stage, 2 * AFTER).await;

        assert_eq!(at_two.await.unwrap().unwrap(), "2", "{overflow:?}");
        assert_eq!(at_one.await.unwrap().unwrap(), "2", "{overflow:?}");
        assert_eq!(stage.letters(), ["pool/1 cut"; 0], "{overflow:?}");
        stage.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_moves_goes_only_where_somebody_runs() {
    let (stage, crew, pool) = pool(4, |pool| moving(pool).restart(greenroom::Restart::Transient)).await;
    let members = routed(&pool);
    let [one, two, three, four] = &*members else { panic!("four members") };
    pool.supervisor().terminate_child("2").await.unwrap();
    let bell = busy(&stage, three).await;
    three.drain();
    busy(&stage, one).await;
    let mut askers = Vec::new();
    for number in 0..4 {
        askers.push(ask(one, number).await);
    }
    crew.opens("1", Opening::Hangs);

    fell(&stage, one).await;
    sleep(&stage, AFTER).await;

    for asker in askers {
        assert_eq!(asker.await.unwrap().unwrap(), "4");
    }
    assert_eq!((two.observe().waiting, three.observe().waiting, four.observe().waiting), (0, 0, 0));
    bell.notify_one();
    stage.end().await;
}

/// Goal: who moves messages cannot do harm with a choice that is old, or wrong.
/// Method: [`greenroom::Place::move_waiting`] itself, to those that take nothing, to itself, to another runtime.
#[tokio::test(start_paused = true)]
async fn nothing_moves_to_who_takes_nothing() {
    let (stage, crew, pool) = pool(4, |pool| pool.restart(greenroom::Restart::Transient)).await;
    let members = routed(&pool);
    let [one, stopped, draining, deleted] = &*members else { panic!("four members") };
    let other = Stage::new().await;
    let elsewhere = crate::crew::supervise(&other, Crew::new(&other).pool(1)).await;
    busy(&stage, draining).await;
    draining.drain();
    for name in ["2", "4"] {
        pool.supervisor().terminate_child(name).await.unwrap();
    }
    pool.supervisor().delete_child("4").await.unwrap();
    crew.opens("1", Opening::Takes(secs(1)));
    fell(&stage, one).await;
    let answer = ask(one, 1).await;

    for to in [stopped, draining, deleted, one, &elsewhere.members()[0]] {
        assert_eq!(one.place().move_waiting(&[to.place()]), 0, "{to:?}");
    }

    assert_eq!(answer.await.unwrap().unwrap(), "1");
    stage.end_with_some_busy().await;
    other.end().await;
}

/// Goal: while there is one colleague, the order of a sender is kept: who found no room is not overtaken.
/// Method: on many threads, move upon move, to a colleague with little room that makes some in the middle of a move.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_colleague_gets_what_moves_in_order() {
    const JOBS: usize = 2_000;
    let stage = Stage::new().await;
    let crew = Crew::new(&stage);
    let member = |name, capacity| ActorSpec::<Member>::new(name, crew.clone()).capacity(capacity);
    let members = [ChildSpec::of(member("1", JOBS)), ChildSpec::of(member("2", 4))];
    let members = stage.supervise(sup(members)).await;
    let [one, two] = ["1", "2"].map(|name| members.actor::<Member>(name).unwrap().routed());
    crew.opens("1", Opening::Hangs);
    one.kill();
    let done = Arc::new(Mutex::new(Vec::new()));
    for number in 0..JOBS {
        let done = done.clone();
        let work = Do::new(move || async move {
            done.lock().expect("no holder panics").push(number);
            Ok(String::new())
        });
        one.try_tell(work).unwrap();
    }

    let mut moved = 0;
    while moved < JOBS {
        moved += one.place().move_waiting(&[two.place()]);
        tokio::task::yield_now().await;
    }
    two.ask(Job(0)).await.unwrap();

    assert!(done.lock().unwrap().iter().copied().eq(0..JOBS), "{:?}", done.lock());
    one.kill();
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_comes_again_moves_with_its_tries() {
    let (stage, crew, pool) = pool(2, moving).await;
    let members = routed(&pool);
    let one = &members[0];
    crew.opens("1", Opening::Hangs);
    stage.log.take();

    let tries = one.ask(FallUnlessAt("2")).await.unwrap();

    assert_eq!(tries, 1);
    assert_eq!(stage.log.take(), ["try 0 at 1", "try 1 at 2"]);
    stage.end().await;
}
