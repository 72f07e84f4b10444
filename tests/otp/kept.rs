//! What a supervisor keeps of its children: specs of those that may come back, and start arguments of nobody.

use std::sync::Arc;

use greenroom::{
    Actor, AdminError, ChildSpec, DynamicSupervisor, Failure, Open, Restart, Strategy, Supervisor,
    SupervisorRef,
};

use crate::case::{Case, End, flags};
use crate::support::{Stage, secs};

const STRATEGIES: [Strategy; 3] = [Strategy::OneForAll, Strategy::OneForOne, Strategy::RestForOne];
const RESTARTS: [Restart; 3] = [Restart::Permanent, Restart::Transient, Restart::Temporary];
const CHILDREN: usize = 100;

/// Something large that actors are started with. Who holds it is counted.
type Load = Arc<Vec<u8>>;

struct Laden;

impl Actor for Laden {
    type Args = Load;
    type Inbox = Open<Self>;
    async fn start(_: &Load) -> Result<Self, Failure> {
        Ok(Laden)
    }
}

fn name(number: usize) -> String {
    format!("child-{number}")
}

/// Starts them by request, each with the same load.
async fn start_laden(sup: &SupervisorRef, restart: Option<Restart>, load: &Load) {
    for number in 1..=CHILDREN {
        match restart {
            Some(restart) => {
                let spec = ChildSpec::actor::<Laden>(name(number), load.clone()).restart(restart);
                sup.start_child(spec).await.map(drop)
            }
            None => sup.dynamic::<Laden>().start_unnamed(load.clone()).await.map(drop),
        }
        .expect("it starts");
    }
}

/// Adapted, and stronger: instead of sizes, who holds the arguments is counted. The supervisor itself holds none of
/// any child; the place of the child holds them once, and only as long as the child may be started again.
#[tokio::test(start_paused = true)]
async fn do_not_save_start_parameters_for_temporary_children() {
    for restart in RESTARTS {
        let template = DynamicSupervisor::<Laden>::named("sup").intensity(2, secs(3_600)).restart(restart);
        let template = (Supervisor::from(template), None);
        let others = STRATEGIES.map(|strategy| (flags(strategy, 2), Some(restart)));
        for (sup, by_spec) in others.into_iter().chain([template]) {
            let stage = Stage::new().await;
            let sup = stage.supervise(sup).await;
            let load: Load = Arc::default();

            start_laden(&sup, by_spec, &load).await;
            assert_eq!(Arc::strong_count(&load), 1 + CHILDREN, "{restart:?}, {by_spec:?}");

            for number in 1..=CHILDREN {
                sup.terminate_child(&name(number)).await.expect("it is listed");
            }
            let is_kept = by_spec.is_some() && restart != Restart::Temporary;
            let kept = if is_kept { CHILDREN } else { 0 };
            assert_eq!(Arc::strong_count(&load), 1 + kept, "{restart:?}, {by_spec:?}");
            sup.stop(secs(60)).await.expect("it was running");
            sup.closed().await;
            assert_eq!(Arc::strong_count(&load), 1);
            stage.end().await;
        }
    }
}

/// Adapted as the case above: the first of these to die must not change what is held of those that come after it.
#[tokio::test(start_paused = true)]
async fn simple_one_for_one_corruption() {
    let stage = Stage::new().await;
    let sup = DynamicSupervisor::<Laden>::named("sup").restart(Restart::Temporary);
    let sup = stage.supervise(sup.intensity(2, secs(3_600)).into()).await.dynamic::<Laden>();
    let first = sup.start_unnamed(Load::default()).await.unwrap();
    first.kill();
    stage.quiet().await;
    let load: Load = Arc::new(vec![0; 50_000]);

    let second = sup.start_unnamed(load.clone()).await.unwrap();
    assert_eq!(Arc::strong_count(&load), 2, "the test and the place of the child");
    second.kill();
    drop(second); // a reference holds the place it leads to, also when it is deleted
    stage.quiet().await;

    assert_eq!(Arc::strong_count(&load), 1);
    assert_eq!(stage.paths(), ["sup"]);
    stage.end().await;
}

/// What there is of a child after its end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kept {
    Restarted,
    SpecAlone,
    Nothing,
}

fn expected(restart: Restart, how: End) -> Kept {
    match (restart, how) {
        (Restart::Temporary, _) => Kept::Nothing,
        (Restart::Permanent | Restart::Transient, End::ByRequest) => Kept::SpecAlone,
        (Restart::Transient, End::Normal | End::Shutdown) => Kept::SpecAlone,
        (Restart::Permanent, End::Normal | End::Shutdown) => Kept::Restarted,
        (Restart::Permanent | Restart::Transient, End::Kill | End::Crash) => Kept::Restarted,
    }
}

#[tokio::test(start_paused = true)]
async fn do_not_save_child_specs_for_temporary_children() {
    for strategy in STRATEGIES {
        for how in [End::Kill, End::Normal, End::Crash, End::ByRequest] {
            let mut case = Case::of(flags(strategy, 2)).await;
            for (name, restart) in ["child1", "child2", "child3"].into_iter().zip(RESTARTS) {
                let part = case.start(name, |spec| spec.restart(restart)).await;

                case.end(name, how).await;

                let again = case.sup.start_child(part.spec().restart(restart)).await;
                let kept = match again {
                    Ok(_) => Kept::Nothing,
                    Err(AdminError::AlreadyStarted { .. }) => Kept::Restarted,
                    Err(AdminError::AlreadyPresent { .. }) => {
                        case.sup.restart_child(name).await.expect("it is stopped");
                        Kept::SpecAlone
                    }
                    Err(error) => panic!("{error}"),
                };
                assert_eq!(kept, expected(restart, how), "{strategy:?}, {restart:?}, {how:?}");
            }
            let [specs, active, ..] = case.counts().await;
            assert_eq!((specs, active), (3, 3));
            case.stop().await;
        }
    }
}
