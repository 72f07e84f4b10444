//! What a picture of the tree shows, and that nobody is waited for while it is taken.

use std::sync::mpsc::channel;

use greenroom::supervision::RestartIntensity;
use greenroom::{
    Actor, AutoShutdown, Backoff, ChildSpec, ChildState, CustomStrategy, DynamicSupervisor, Failure,
    LifeState, NodeKind, Open, Place, Pool, Restart, Routing, Shutdown, Strategy, SuperviseExt, Supervisor,
    SupervisorShape, SupervisorView, Tree, TreeNode,
};

use crate::support::{Block, Crash, Finish, Note, Stage, Start, child, millis, path, secs, sup};

pub(crate) fn node<'t>(tree: &'t Tree, path: &str) -> &'t TreeNode {
    tree.node(path).unwrap_or_else(|| panic!("`{path}` is not in\n{tree}"))
}

fn view(node: &TreeNode) -> SupervisorView {
    match &node.kind {
        NodeKind::Supervisor(view) => **view,
        other => panic!("{} is a {other:?}", node.path),
    }
}

fn paths(tree: &Tree) -> Vec<&str> {
    tree.nodes().map(|node| node.path.as_str()).collect()
}

/// One of many alike.
struct Session;

impl Actor for Session {
    type Args = ();
    type Inbox = Open<Self>;
    async fn start(_: &()) -> Result<Self, Failure> {
        Ok(Session)
    }
}

// ---- who is there ----

#[tokio::test(start_paused = true)]
async fn each_place_is_shown_below_its_supervisor_in_start_order() {
    let stage = Stage::new().await;
    let [z, b, a] = stage.parts(["z", "b", "a"]);
    let below = Supervisor::named("below").children([b.spec(), a.spec()]);
    let tree = stage.supervise(sup([z.spec(), ChildSpec::supervisor(below)])).await;
    stage.supervise(Supervisor::named("sup-two").child(a.spec())).await;
    let many = DynamicSupervisor::<Session>::named("many");
    let many = stage.runtime.supervise(many).await.unwrap().dynamic::<Session>();
    for _ in 0..11 {
        many.start_unnamed(()).await.unwrap();
    }

    let all = stage.runtime.tree();

    let mut expected: Vec<String> = vec!["many".into()];
    expected.extend((1..=11).map(|number| format!("many/child-{number}")));
    expected.extend(
        ["sup", "sup/z", "sup/below", "sup/below/b", "sup/below/a", "sup-two", "sup-two/a"].map(String::from),
    );
    assert_eq!(paths(&all), expected);
    assert_eq!(paths(&tree.tree()), ["sup", "sup/z", "sup/below", "sup/below/b", "sup/below/a"]);
    assert_eq!(paths(&tree.below("below").unwrap().tree()), ["sup/below", "sup/below/b", "sup/below/a"]);
    assert!(all.node("sup/below/c").is_none() && all.node("su").is_none());
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_walk_meets_everybody_below_and_nobody_else() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let many = (0..1_100).map(|number| ChildSpec::actor::<Session>(format!("s-{number}"), ()));
    stage.supervise(sup(many)).await;
    stage.supervise(Supervisor::named("sup-two").child(a.spec())).await;
    let top = path("sup");

    let paths = |places: &mut dyn Iterator<Item = Place>| -> Vec<_> {
        places.map(|place| place.path().clone()).collect()
    };
    let below = paths(&mut stage.runtime.walk(Some(&top)));
    let all = paths(&mut stage.runtime.walk(None));

    assert_eq!(below.len(), 1_100);
    assert_eq!(below, paths(&mut stage.runtime.places_below(&top).into_iter()));
    assert_eq!(all, paths(&mut stage.runtime.places().into_iter()));
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn each_supervisor_shows_what_kind_it_is_and_what_it_bears() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let family = Strategy::Custom(CustomStrategy { name: "family", concerned: |_, failed| vec![failed] });
    let named = Supervisor::named("named").strategy(family).auto_shutdown(AutoShutdown::AnySignificant);
    let made = Supervisor::from_fn("made", || {
        Ok(Some(Supervisor::named("nobody-reads-this").strategy(Strategy::OneForAll).intensity(7, secs(70))))
    });
    let pool = Pool::<Session>::new("pool", 2, ()).routing(Routing::ByKey);
    let many = DynamicSupervisor::<Session>::named("many").max_children(9);
    let tree = [ChildSpec::supervisor(named), ChildSpec::supervisor(made), ChildSpec::supervisor(many)];
    let tree = stage.supervise(sup([a.spec(), ChildSpec::pool(pool)]).children(tree)).await;

    let tree = tree.tree();

    let worker = node(&tree, "sup/a");
    assert_eq!((worker.kind.clone(), worker.type_name), (NodeKind::Worker, "Child"));
    let shape = |path| view(node(&tree, path)).shape;
    assert_eq!(shape("sup"), SupervisorShape::Named);
    assert_eq!(shape("sup/pool"), SupervisorShape::Pool { routing: Routing::ByKey });
    assert_eq!(shape("sup/many"), SupervisorShape::Dynamic { max_children: 9 });
    assert_eq!(view(node(&tree, "sup/named")).strategy, family);
    assert_eq!(view(node(&tree, "sup/named")).auto_shutdown, AutoShutdown::AnySignificant);
    let made = view(node(&tree, "sup/made"));
    assert_eq!(
        (made.strategy, made.intensity),
        (Strategy::OneForAll, RestartIntensity { max: 7, within: secs(70) })
    );
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_was_changed_shows_what_is_in_force_now() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let tree = stage.supervise(sup([a.spec(), b.spec()])).await;
    child(&tree, "a").tell(Crash).await.unwrap();
    stage.quiet().await;

    let new = sup([b.spec(), a.spec()]).strategy(Strategy::RestForOne).intensity(5, secs(50));
    tree.change(new).await.unwrap();

    let seen = tree.tree();
    let view = view(node(&seen, "sup"));
    assert_eq!((view.strategy, view.intensity.max, view.restarts_counted), (Strategy::RestForOne, 5, 1));
    assert_eq!(paths(&seen), ["sup", "sup/b", "sup/a"]);
    stage.end().await;
}

// ---- how they fare ----

#[tokio::test(start_paused = true)]
async fn restarts_are_shown_with_their_times_and_causes() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([a.spec()]).intensity(2, secs(10))).await;
    let actor = child(&tree, "a");
    let begun = stage.runtime.clock().elapsed();
    for wait in [secs(0), secs(4), secs(8), secs(12)] {
        stage.runtime.clock().sleep_until(stage.runtime.clock().after(wait)).await;
        actor.tell(Crash).await.unwrap();
        stage.quiet().await;
    }

    let seen = tree.tree();

    let a = node(&seen, "sup/a");
    assert_eq!((a.restarts, a.epoch.0, a.life), (4, 5, LifeState::Running));
    let exits: Vec<_> = a.exits.iter().map(|exit| (exit.epoch.0, exit.at - begun)).collect();
    // Each came a millisecond of quiet after the wait before it.
    assert_eq!(exits, [(2, millis(4_001)), (3, millis(12_002)), (4, millis(24_003))]);
    assert!(a.exits.iter().all(|exit| exit.reason.to_string().ends_with("a panics")), "{:?}", a.exits);
    assert_eq!(view(node(&seen, "sup")).restarts_counted, 1);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_restarts_that_count_are_those_within_the_window_of_now() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let spec = sup([a.spec(), b.spec()]).strategy(Strategy::OneForAll).intensity(5, secs(10));
    let tree = stage.supervise(spec).await;
    let counted = || view(node(&tree.tree(), "sup")).restarts_counted;
    for name in ["a", "b"] {
        child(&tree, name).tell(Crash).await.unwrap();
        stage.quiet().await;
    }

    assert_eq!(counted(), 2, "a group counts once");
    stage.runtime.clock().sleep(millis(9_998)).await;
    assert_eq!(counted(), 2, "the edge belongs to the window");
    stage.quiet().await;
    assert_eq!(counted(), 1);
    stage.runtime.clock().sleep(secs(1)).await;
    assert_eq!(counted(), 0);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_child_that_waits_for_its_next_try_shows_when_that_is_due() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let backoff = Backoff { first: secs(3), jitter: 0.0, ..Backoff::default() };
    let tree = stage.supervise(sup([a.spec().backoff(backoff)])).await;
    let before = tree.tree();
    child(&tree, "a").tell(Crash).await.unwrap();
    stage.quiet().await;

    let waiting = tree.tree();
    stage.log.until_times("start a", 2).await;
    stage.quiet().await;
    let after = tree.tree();

    let state = |tree: &Tree| {
        let a = node(tree, "sup/a");
        (a.life, a.child_state, a.next_try)
    };
    assert_eq!(state(&before), (LifeState::Running, Some(ChildState::Running), None));
    let (life, child_state, next_try) = state(&waiting);
    assert_eq!((life, child_state), (LifeState::Vacant, Some(ChildState::Restarting)));
    let due = next_try.expect("it waits") - waiting.taken_at;
    assert!(due > millis(1_900) && due < millis(2_000), "the longest wait is 2 s: {due:?}");
    assert!(waiting.to_string().contains("restarting in 1.9 s"), "{waiting}");
    assert_eq!(state(&after), (LifeState::Running, Some(ChildState::Running), None));
    stage.end().await;
}

/// The story: a change puts the children into the order of its spec, and in passing it hid when they were due.
#[tokio::test(start_paused = true)]
async fn a_child_that_waits_through_a_change_still_shows_when_it_is_due() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let backoff = Backoff { first: secs(3), jitter: 0.0, ..Backoff::default() };
    let spec = || sup([a.spec().backoff(backoff), b.spec()]);
    let tree = stage.supervise(spec()).await;
    child(&tree, "a").tell(Crash).await.unwrap();
    stage.quiet().await;
    let before = node(&tree.tree(), "sup/a").next_try;
    assert!(before.is_some());

    tree.change(spec()).await.unwrap();

    assert_eq!(node(&tree.tree(), "sup/a").next_try, before);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn who_is_done_or_unsupervised_is_told_from_who_runs() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let tree = stage.supervise(sup([a.spec().restart(Restart::Transient), b.spec()])).await;
    stage.runtime.spawn::<Session>("alone", ()).await.unwrap();
    child(&tree, "a").ask(Finish).await.unwrap();
    stage.quiet().await;

    let seen = stage.runtime.tree();

    assert_eq!(node(&seen, "sup/a").child_state, Some(ChildState::Stopped));
    assert_eq!(node(&seen, "sup/a").exits[0].reason.label(), "normal");
    assert_eq!(node(&seen, "sup/b").child_state, Some(ChildState::Running));
    assert_eq!(node(&seen, "alone").child_state, None);
    assert_eq!(node(&seen, "sup").child_state, None);
    stage.end().await;
}

// ---- who is waited for ----

/// In real time and on threads, since a blocked thread stops a paused clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_fenced_life_is_shown_until_its_thread_comes_back() {
    let stage = Stage::impatient().await;
    let a = stage.part("a");
    let tree = stage.supervise(sup([a.spec().shutdown(Shutdown::Within(millis(20)))])).await;
    let (release, released) = channel();
    let actor = child(&tree, "a");
    actor.tell(Block(released)).await.unwrap();
    stage.log.until("block a").await;
    let busy = tree.tree();

    actor.stop(millis(20)).await.expect("it was running");
    stage.log.until_times("start a", 2).await;
    actor.ask(Note(1)).await.unwrap();

    let fenced = tree.tree();
    drop(release);
    stage.log.until("unblock a").await;
    let clock = stage.runtime.clock();
    let back = async {
        while node(&tree.tree(), "sup/a").blocked_lives > 0 {
            clock.sleep(millis(1)).await;
        }
    };
    clock.within(secs(60), back).await.expect("it comes back");

    assert_eq!(node(&busy, "sup/a").in_hand.as_ref().expect("it blocks").message, "Block");
    let a = node(&fenced, "sup/a");
    assert_eq!((a.life, a.epoch.0, a.blocked_lives), (LifeState::Running, 2, 1));
    assert_eq!(a.exits.last().expect("an exit").reason.label(), "unresponsive");
    assert!(fenced.to_string().contains("an old life blocks its thread, 1 restart"), "{fenced}");
    stage.end().await;
}

/// Goal: neither an actor that blocks its thread, nor one in the middle of its start, nor a supervisor that waits for
/// that start, is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_picture_waits_for_nobody() {
    let stage = Stage::impatient().await;
    let [a, b] = stage.parts(["a", "b"]);
    let spec = |part: &crate::support::Part| part.spec().shutdown(Shutdown::Brutal);
    let tree = stage.supervise(sup([spec(&a), spec(&b)])).await;
    let (release, released) = channel();
    child(&tree, "a").tell(Block(released)).await.unwrap();
    stage.log.until("block a").await;
    b.next_starts([Start::Hangs]);
    child(&tree, "b").tell(Crash).await.unwrap();
    stage.log.until("hang b").await;

    let (looker, asker) = (tree.clone(), tree.clone());
    let pictures = tokio::task::spawn_blocking(move || (0..1_000).map(|_| looker.tree()).next_back());
    let picture = stage.runtime.clock().within(secs(60), pictures).await.expect("nobody is waited for");
    let asked = stage.runtime.clock().within(millis(50), asker.children()).await;

    let picture = picture.unwrap().expect("a thousand pictures");
    let life = |path| node(&picture, path).life;
    assert_eq!((life("sup/a"), life("sup/b")), (LifeState::Running, LifeState::Starting));
    assert!(asked.is_none(), "the supervisor itself is busy");
    drop(release);
    stage.runtime.shutdown(secs(5)).await;
}

/// The place of a supervisor that was deleted may have another tenant, whose children are not its own.
#[tokio::test(start_paused = true)]
async fn a_picture_of_a_deleted_supervisor_shows_nobody_elses_children() {
    let stage = Stage::new().await;
    let (a, b) = (stage.part("a"), stage.part("b"));
    let old = stage.supervise(sup([a.spec()])).await;
    old.stop(secs(5)).await;
    old.closed().await;

    let new = stage.supervise(sup([b.spec()])).await;

    assert_eq!(paths(&old.tree()), ["sup"]);
    assert_eq!(paths(&new.tree()), ["sup", "sup/b"]);
    stage.end().await;
}

/// Goal: what happened while the picture was taken is not later than it, so that its times may be taken from one another.
/// Method: the last of many falls again and again while pictures are taken on another thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_in_a_picture_lies_in_its_future() {
    let stage = Stage::new().await;
    let last = stage.part("z");
    let crowd = (0..2_000).map(|number| ChildSpec::actor::<Session>(format!("s-{number}"), ()));
    let crowd = sup(crowd.chain([last.spec()])).intensity(u32::MAX, secs(1));
    let last = child(&stage.supervise(crowd).await, "z");

    let runtime = stage.runtime.clone();
    let pictures = std::thread::spawn(move || {
        let is_sound = |picture: Tree| {
            picture.nodes().flat_map(|node| &node.exits).all(|exit| exit.at <= picture.taken_at)
        };
        (0..200).all(|_| is_sound(runtime.tree()))
    });
    while !pictures.is_finished() {
        last.tell(Crash).await.unwrap();
        last.ask(Note(1)).await.unwrap();
    }

    assert!(pictures.join().unwrap());
    stage.end().await;
}
