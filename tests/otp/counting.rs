//! What a supervisor says of its children, in every state and in great number.

use greenroom::{
    AdminError, ChildInfo, ChildKind, ChildState, DynamicSupervisor, DynamicTrees, Restart, Shutdown,
    Supervisor, SupervisorRef,
};

use crate::common::{Restarting, Running, Stopped, counts, dynamic, shows, template, timetrap};
use crate::support::{Child, Crash, Stage, Start, child, secs};

/// Two looks at the same children say the same: their names, lives and states.
async fn looks_the_same_twice(tree: &SupervisorRef, children: usize, counted: [usize; 4]) -> Vec<ChildInfo> {
    let mut looks = Vec::new();
    for _ in 0..2 {
        let seen = tree.children().await.expect("the supervisor runs");
        assert_eq!((seen.len(), counts(tree).await), (children, counted));
        looks.push(seen);
    }
    assert_eq!(format!("{:?}", looks[0]), format!("{:?}", looks[1]));
    looks.remove(0)
}

#[tokio::test(start_paused = true)]
async fn count_children() {
    let stage = Stage::new().await;
    let part = stage.part("any");
    let sup = dynamic(&stage, template().restart(Restart::Temporary)).await;
    let tree = sup.supervisor();

    for thousand in 1..=2 {
        for _ in 0..1_000 {
            sup.start_unnamed(part.clone()).await.expect("it starts");
        }
        let all = thousand * 1_000;
        looks_the_same_twice(tree, all, [1, all, 0, all]).await;
    }
    for one in tree.children().await.unwrap() {
        sup.get(&one.name).expect("it lives there").kill();
    }
    stage.quiet().await;

    shows(tree, &[], [1, 0, 0, 0]).await;
    assert_eq!(stage.paths(), ["sup"]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn count_children_supervisor() {
    let stage = Stage::new().await;
    let trees = DynamicTrees::named("sup", |name, ()| Supervisor::named(name)).restart(Restart::Temporary);
    let tree = stage.supervise(trees.into()).await;

    for thousand in 1..=2 {
        for number in (thousand - 1) * 1_000..thousand * 1_000 {
            tree.start_tree(&format!("s-{number}"), ()).await.expect("it starts");
        }
        let all = thousand * 1_000;
        let children = looks_the_same_twice(&tree, all, [1, all, all, 0]).await;
        assert!(children.iter().all(|child| child.kind == ChildKind::Supervisor));
    }
    for one in tree.children().await.unwrap() {
        tree.below(&one.name).expect("it lives there").place().kill();
    }
    stage.quiet().await;

    shows(&tree, &[], [1, 0, 0, 0]).await;
    assert_eq!(stage.paths(), ["sup"]);
    stage.end().await;
}

/// A start that fails takes its time, so that 20 restarts in 10 s are never too many.
#[tokio::test(start_paused = true)]
async fn count_restarting_children() {
    let stage = Stage::new().await;
    let parts = stage.parts(["a", "b", "c"]);
    let of_all = DynamicSupervisor::<Child>::named("sup").intensity(20, secs(10)).shutdown(Shutdown::Brutal);
    let sup = dynamic(&stage, of_all).await;
    let tree = sup.supervisor();
    let fail = |start| parts.iter().for_each(|part| part.always(start));
    let clock = stage.runtime.clock();

    shows(tree, &[], [1, 0, 0, 0]).await;
    for (started, part) in parts.iter().enumerate() {
        assert_eq!(counts(tree).await, [1, started, 0, started]);
        sup.start(part.name, part.clone()).await.expect("it starts");
    }
    for name in ["a", "b", "c"] {
        child(tree, name).tell(Crash).await.unwrap();
    }
    stage.quiet().await;
    let all_run = [("a", Running), ("b", Running), ("c", Running)];
    shows(tree, &all_run, [1, 3, 0, 3]).await;

    // Two of them in a loop of starts that fail: they are workers, but not active ones.
    fail(Start::FailsAfter(secs(2)));
    child(tree, "a").tell(Crash).await.unwrap();
    child(tree, "b").tell(Crash).await.unwrap();
    clock.sleep(secs(4)).await;
    let two_wait = [("a", Restarting), ("b", Restarting), ("c", Running)];
    timetrap(&stage, shows(tree, &two_wait, [1, 1, 0, 3])).await;
    clock.sleep(secs(60)).await;
    shows(tree, &two_wait, [1, 1, 0, 3]).await;
    fail(Start::Works);
    clock.sleep(secs(4)).await;
    shows(tree, &all_run, [1, 3, 0, 3]).await;

    // One that runs, one that is being restarted, and the last.
    sup.terminate("c").await.expect("it is a child");
    shows(tree, &all_run[..2], [1, 2, 0, 2]).await;
    fail(Start::FailsAfter(secs(2)));
    child(tree, "a").tell(Crash).await.unwrap();
    clock.sleep(secs(4)).await;
    shows(tree, &[("a", Restarting), ("b", Running)], [1, 1, 0, 2]).await;
    sup.terminate("a").await.expect("it is a child");
    shows(tree, &all_run[1..2], [1, 1, 0, 1]).await;
    sup.terminate("b").await.expect("it is a child");
    clock.sleep(secs(60)).await;
    shows(tree, &[], [1, 0, 0, 0]).await;
    assert_eq!(stage.paths(), ["sup"]);
    stage.end().await;
}

/// The rows of the list, after a look whether `which_child` says the same of each of `names`, and knows no other.
async fn which(tree: &SupervisorRef, names: [&str; 3]) -> Vec<Row> {
    let listed: Vec<Row> = tree.children().await.expect("the supervisor runs").iter().map(row).collect();
    for name in names {
        match (tree.child(name).await, listed.iter().find(|row| row.0 == name)) {
            (Ok(one), Some(of_list)) => assert_eq!(row(&one), *of_list),
            (Err(AdminError::NotFound { name: unknown }), None) => assert_eq!(unknown, name),
            (one, of_list) => panic!("{name}: {one:?}, in the list {of_list:?}"),
        }
    }
    listed
}

/// Name, state, and which life if one runs: the others may begin one between two looks.
type Row = (String, ChildState, Option<u64>);

fn row(child: &ChildInfo) -> Row {
    (child.name.clone(), child.state, (child.state == Running).then_some(child.epoch.0))
}

fn runs(name: &str, life: u64) -> Row {
    (name.to_owned(), Running, Some(life))
}

fn is(name: &str, state: ChildState) -> Row {
    (name.to_owned(), state, None)
}

/// OTP lists the newest first, we the oldest. Its cases look at children that run or were stopped; here also at those
/// that declined, were restarted, or are being restarted.
#[tokio::test(start_paused = true)]
async fn which_children() {
    let stage = Stage::new().await;
    let [a, b, c] = stage.parts(["a", "b", "c"]);
    let tree = stage.supervise(Supervisor::named("sup").intensity(8, secs(10))).await;
    let names = ["a", "b", "c"];
    assert_eq!(which(&tree, names).await, []);

    let started = tree.start_child(a.spec()).await.expect("it starts");
    assert_eq!(row(&started), runs("a", 1));
    assert_eq!(which(&tree, names).await, [runs("a", 1)]);
    tree.start_child(b.spec()).await.expect("it starts");
    assert_eq!(which(&tree, names).await, [runs("a", 1), runs("b", 1)]);
    tree.terminate_child("a").await.expect("it is a child");
    assert_eq!(which(&tree, names).await, [is("a", Stopped), runs("b", 1)]);
    tree.delete_child("a").await.expect("it is stopped");
    assert_eq!(which(&tree, names).await, [runs("b", 1)]);

    child(&tree, "b").tell(Crash).await.unwrap();
    stage.quiet().await;
    c.next_starts([Start::Declines]);
    tree.start_child(c.spec()).await.expect("to decline is no failure");
    assert_eq!(which(&tree, names).await, [runs("b", 2), is("c", Stopped)]);
    b.always(Start::FailsAfter(secs(2)));
    child(&tree, "b").tell(Crash).await.unwrap();
    stage.quiet().await;
    let rows = timetrap(&stage, which(&tree, names)).await;
    assert_eq!(rows, [is("b", Restarting), is("c", Stopped)]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn which_children_simple_one_for_one() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let sup = dynamic(&stage, DynamicSupervisor::named("sup").restart(Restart::Temporary)).await;
    let tree = sup.supervisor();
    let names = ["a", "b", "sup"];
    assert_eq!(which(tree, names).await, []);

    sup.start("a", a).await.expect("it starts");
    assert_eq!(which(tree, names).await, [runs("a", 1)]);
    sup.start("b", b).await.expect("it starts");
    assert_eq!(which(tree, names).await, [runs("a", 1), runs("b", 1)]);
    sup.terminate("a").await.expect("it is a child");
    assert_eq!(which(tree, names).await, [runs("b", 1)]);

    child(tree, "b").tell(Crash).await.unwrap();
    stage.quiet().await;
    assert_eq!(which(tree, names).await, []);
    stage.end().await;
}
