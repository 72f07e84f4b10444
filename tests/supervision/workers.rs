//! A crashed actor's task stays for the next life, and goes when there is none.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use greenroom::{
    Actor, Backoff, ChildSpec, ChildState, Context, DynamicSupervisor, Failure, Handler, LifeState, Message,
    Open, Restart, Strategy, SuperviseExt, Supervisor,
};

use crate::support::{Child, Crash, Log, Note, OFTEN, Stage, Stop, child, millis, path, secs, sup};

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// Waits, in paused time, until all that can happen has happened.
async fn settle(stage: &Stage) {
    stage.runtime.clock().sleep(secs(60)).await;
}

/// Lets `a` of the tree crash `times` times and says how many tasks there are more than before.
async fn tasks_left(tree: impl FnOnce(&Stage) -> Supervisor, times: usize) -> isize {
    let stage = Stage::new().await;
    let tree = stage.supervise(tree(&stage)).await;
    settle(&stage).await;
    let before = tasks();
    for _ in 0..times {
        child(&tree, "a").tell(Crash).await.expect("the mailbox has room");
        settle(&stage).await;
    }
    let left = tasks().cast_signed() - before.cast_signed();
    stage.end().await;
    left
}

#[tokio::test(start_paused = true)]
async fn a_crash_and_a_restart_leave_as_many_tasks_as_before() {
    assert_eq!(tasks_left(|stage| sup([stage.part("a").spec()]), 20).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_restart_after_a_wait_leaves_as_many_tasks_as_before() {
    let backoff = Backoff { first: millis(100), ..Backoff::default() };
    assert_eq!(tasks_left(|stage| sup([stage.part("a").spec().backoff(backoff)]), 20).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_group_restart_leaves_as_many_tasks_as_before() {
    let tree = |stage: &Stage| {
        sup(stage.parts(["b", "a", "c"]).map(|part| part.spec())).strategy(Strategy::OneForAll)
    };
    assert_eq!(tasks_left(tree, 20).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_child_that_does_not_come_back_leaves_no_task() {
    let tree = |stage: &Stage| sup([stage.part("a").spec().restart(Restart::Temporary)]);
    assert_eq!(tasks_left(tree, 1).await, -1);
}

/// Kills the supervisor of a worker that rests until the siblings of its group are down.
#[tokio::test(start_paused = true)]
async fn a_supervisor_that_is_killed_takes_the_worker_along_that_rests() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let b = b.stopping(Stop::Takes(secs(3)));
    let below = Supervisor::named("below").strategy(Strategy::OneForAll).intensity(OFTEN.0, OFTEN.1);
    let below = ChildSpec::supervisor(below.children([a.spec(), b.spec()]));
    let tree = stage.supervise(sup([below])).await;
    settle(&stage).await;
    let before = tasks();

    for _ in 0..5 {
        child(&tree, "below/a").tell(Crash).await.expect("the mailbox has room");
        stage.runtime.clock().sleep(secs(1)).await;
        let resting = stage.runtime.place(&path("sup/below/a")).expect("the place stays");
        assert_eq!(resting.state(), LifeState::Vacant);
        stage.runtime.place(&path("sup/below")).expect("the place stays").kill();
        settle(&stage).await;

        assert_eq!(child(&tree, "below/a").ask(Note(1)).await.unwrap(), 1);
        assert_eq!(tasks(), before);
    }
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn many_that_fall_at_once_while_their_supervisor_is_stopped_leave_no_task() {
    let before = tasks();
    let stage = Stage::new().await;
    let many = DynamicSupervisor::<Child>::named("many").intensity(OFTEN.0, OFTEN.1);
    let many = stage.runtime.supervise(many).await.unwrap().dynamic::<Child>();
    let mut children = Vec::new();
    for _ in 0..1_000 {
        children.push(many.start_unnamed(stage.part("x")).await.unwrap());
    }

    children.iter().for_each(|child| child.try_tell(Crash).expect("room"));
    stage.log.until_times("start x", 1_300).await; // some have come back, some rest
    stage.end().await;
    while tasks() > before {
        tokio::task::yield_now().await; // a killed task ends at its next turn
    }

    drop(children);
}

struct Tenant;

struct WhichTask;

impl Message for WhichTask {
    type Reply = tokio::task::Id;
}

impl Actor for Tenant {
    type Args = ();
    type Inbox = Open<Self>;

    async fn start((): &()) -> Result<Self, Failure> {
        Ok(Tenant)
    }
}

impl Handler<WhichTask> for Tenant {
    async fn handle(&mut self, _: WhichTask, _: &mut Context<'_, Self>) -> Result<tokio::task::Id, Failure> {
        Ok(tokio::task::id())
    }
}

impl Handler<Fall> for Tenant {
    async fn handle(&mut self, _: Fall, _: &mut Context<'_, Self>) -> Result<(), Failure> {
        Err(Failure::bug("it falls"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_life_that_follows_a_crash_at_once_begins_in_the_task_of_the_one_before() {
    let stage = Stage::new().await;
    let tree = stage.supervise(sup([ChildSpec::actor::<Tenant>("a", ())])).await;
    let tenant = tree.actor::<Tenant>("a").unwrap();
    let first = tenant.ask(WhichTask).await.unwrap();

    tenant.tell(Fall).await.unwrap();
    let second = tenant.ask(WhichTask).await.unwrap();

    assert_eq!(second, first);
    stage.end().await;
}

/// Holds its thread when it is dropped, until the sender is.
struct Holding(Mutex<Option<Receiver<()>>>, Log);

impl Drop for Holding {
    fn drop(&mut self) {
        let held = self.0.get_mut().expect("no holder panics").take();
        if let Some(held) = held {
            self.1.write("hold".into());
            held.recv().expect_err("nothing is ever sent: the release is the end of the sender");
        }
    }
}

struct Holder;

struct Fall;

impl Message for Fall {
    type Reply = ();
}

impl Actor for Holder {
    type Args = Holding;
    type Inbox = Open<Self>;

    async fn start(_: &Holding) -> Result<Self, Failure> {
        Ok(Holder)
    }
}

impl Handler<Fall> for Holder {
    async fn handle(&mut self, _: Fall, _: &mut Context<'_, Self>) -> Result<(), Failure> {
        Err(Failure::bug("it falls"))
    }
}

/// The supervisor hears of an end when the task of the life has let go of what the life held. Until then it may have
/// begun and ended more lives at that place, as one of a group, than the place remembers.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_worker_whose_end_nobody_remembers_goes() {
    let stage = Stage::new().await;
    let b = stage.part("b");
    let (release, released) = channel();
    let a = |held| ChildSpec::actor::<Holder>("a", Holding(Mutex::new(held), stage.log.clone()));
    let tree = stage.supervise(sup([b.spec()]).strategy(Strategy::OneForAll)).await;
    // Its first life alone has these arguments: the next begin with others.
    tree.start_child(a(Some(released))).await.unwrap();
    tree.change(sup([b.spec(), a(None)]).strategy(Strategy::OneForAll)).await.unwrap();
    tree.count_children().await.unwrap();

    tree.actor::<Holder>("a").unwrap().tell(Fall).await.unwrap();
    stage.log.until("hold").await;
    for times in 1..=17 {
        child(&tree, "b").tell(Crash).await.unwrap();
        stage.log.until_times("start b", times + 1).await;
    }
    tree.count_children().await.unwrap();
    let with_the_forgotten = tasks();
    drop(release);

    let gone = async {
        while tasks() >= with_the_forgotten {
            tokio::task::yield_now().await;
        }
    };
    assert!(stage.runtime.clock().within(secs(10), gone).await.is_some(), "it stayed");
    assert_eq!(tree.child("a").await.unwrap().state, ChildState::Running);
    stage.end().await;
}
