//! What is refused of a spec, and that everything else is accepted: OTP's `child_specs`, `child_specs_map` and
//! `sup_flags`.
//!
//! Adapted, all three: what OTP refuses as `invalid_mfa`, `invalid_restart_type`, `invalid_shutdown`, `invalid_child_type`,
//! `invalid_modules`, `invalid_significant`, `invalid_strategy`, `invalid_intensity` or `invalid_auto_shutdown` does not
//! compile here (`greenroom::ChildSpec` shows it), and a list of modules there is none. The rest are complaints.

use std::time::Duration;

use greenroom::{
    AdminError, AutoShutdown, ChildSpec, DynamicSupervisor, Restart, Shutdown, SpecComplaint, Strategy,
    SuperviseError, SuperviseExt, Supervisor,
};

use crate::common::{RESTARTS, Running, counts, empty, shows, stops_in_order, template};
use crate::support::{Child, Crash, Part, Stage, child, secs};

const SHUTDOWNS: [Shutdown; 4] = [
    Shutdown::Within(Duration::ZERO),
    Shutdown::Within(Duration::from_secs(1)),
    Shutdown::Infinity,
    Shutdown::Brutal,
];

const MODES: [AutoShutdown; 3] =
    [AutoShutdown::Never, AutoShutdown::AnySignificant, AutoShutdown::AllSignificant];

/// Each legal combination of what a spec says besides its significance: OTP's `restart × shutdown × type`.
fn each_spec(part: &Part) -> Vec<(Restart, ChildSpec)> {
    let mut specs = Vec::new();
    for restart in RESTARTS {
        for shutdown in SHUTDOWNS {
            let number = specs.len();
            let supervisor = ChildSpec::supervisor(Supervisor::named(format!("c-{number}")));
            let worker = ChildSpec::actor::<Child>(format!("c-{}", number + 1), part.clone());
            let both = [supervisor, worker].map(|spec| spec.restart(restart).shutdown(shutdown));
            specs.extend(both.map(|spec| (restart, spec)));
        }
    }
    specs
}

/// OTP's two `bad_combination`s.
fn about_significance(mode: AutoShutdown, restart: Restart, child: &str) -> Vec<SpecComplaint> {
    let (supervisor, name) = (|| "sup".to_owned(), || child.to_owned());
    let in_vain = SpecComplaint::SignificantInVain { supervisor: supervisor(), name: name() };
    let permanent = SpecComplaint::SignificantPermanent { supervisor: supervisor(), name: name() };
    let mut complaints = Vec::new();
    complaints.extend((mode == AutoShutdown::Never).then_some(in_vain));
    complaints.extend((restart == Restart::Permanent).then_some(permanent));
    complaints
}

/// What the start of `supervisor` is refused with; nothing of it is left.
async fn complaints(stage: &Stage, supervisor: impl Into<Supervisor>) -> Vec<SpecComplaint> {
    let supervisor = supervisor.into();
    let looked = supervisor.complaints();
    let refused = stage.runtime.supervise(supervisor).await;
    let Err(SuperviseError::Spec(complaints)) = refused else { panic!("it should be refused: {refused:?}") };
    assert_eq!(complaints, looked, "a look at the spec says the same as its start");
    assert_eq!(stage.paths(), [""; 0]);
    complaints
}

#[tokio::test(start_paused = true)]
async fn child_specs() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let specs: Vec<_> = each_spec(&a).into_iter().map(|(_, spec)| spec).collect();
    assert_eq!(specs.len(), 3 * 4 * 2);

    // Accepted means that it runs, whether it was there at the start or comes by request.
    let at_start = stage.supervise(Supervisor::named("sup").children(specs.clone())).await;
    let by_request = stage.supervise(Supervisor::named("other")).await;
    for spec in specs {
        by_request.start_child(spec).await.expect("there is nothing wrong with it");
    }
    for tree in [at_start, by_request] {
        assert_eq!(counts(&tree).await, [24, 24, 12, 12]);
        // One of those that may take for ever to stop would hang here, if a stop was not heard.
        stops_in_order(&stage, &tree).await;
    }

    // Two of one name, whatever else they say.
    let one = a.spec().shutdown(Shutdown::Infinity);
    let two = ChildSpec::supervisor(Supervisor::named("a")).shutdown(Shutdown::Brutal);
    let twice = SpecComplaint::DuplicateChild { supervisor: "sup".to_owned(), name: "a".to_owned() };
    assert_eq!(complaints(&stage, empty().children([one.clone(), two.clone()])).await, [twice]);

    // A template is one spec. That there must be one, the types say.
    let beside = |name: &str| SpecComplaint::BesideTemplate { supervisor: "sup".into(), name: name.into() };
    let crowded = Supervisor::from(template()).children([one, stage.part("b").spec()]);
    assert_eq!(complaints(&stage, crowded).await, [beside("a"), beside("b")]);
    stage.end().await;
}

/// The whole product of OTP's case: what may be significant, and that nothing else is refused for it.
#[tokio::test(start_paused = true)]
async fn child_specs_map() {
    let stage = Stage::new().await;
    let part = stage.part("a");
    for mode in MODES {
        let tree = stage.supervise(empty().auto_shutdown(mode)).await;
        for (restart, spec) in each_spec(&part) {
            let with = |spec: ChildSpec| empty().auto_shutdown(mode).child(spec).complaints();
            assert_eq!(with(spec.clone()), [], "{mode:?}: {spec:?}");

            let significant = spec.significant();
            let expected = about_significance(mode, restart, significant.name());
            assert_eq!(with(significant.clone()), expected, "{mode:?}: {significant:?}");
            match tree.start_child(significant).await {
                Ok(started) => assert_eq!((started.state, expected), (Running, vec![])),
                Err(AdminError::Spec(complaints)) => assert_eq!(complaints, expected),
                Err(error) => panic!("{mode:?}: {error}"),
            }
        }
        // Transient and temporary ones, and to terminate them by request does not end the supervisor.
        let children = tree.children().await.expect("the supervisor runs");
        assert_eq!(children.len(), if mode == AutoShutdown::Never { 0 } else { 2 * 4 * 2 });
        for child in children {
            tree.terminate_child(&child.name).await.expect("it is a child");
        }
        stops_in_order(&stage, &tree).await;
    }

    let in_vain = SpecComplaint::SignificantInVain { supervisor: "sup".to_owned(), name: "a".to_owned() };
    let spec = part.spec().restart(Restart::Temporary).significant();
    assert_eq!(complaints(&stage, empty().child(spec)).await, [in_vain]);
    let twice = SpecComplaint::DuplicateChild { supervisor: "sup".to_owned(), name: "a".to_owned() };
    assert_eq!(complaints(&stage, empty().children([part.spec(), part.spec()])).await, [twice]);
    stage.end().await;
}

/// A period of zero is refused wherever it stands. OTP also refuses `infinity`, which is no number there; here the longest
/// duration is one, and a window that never moves on.
#[tokio::test(start_paused = true)]
async fn sup_flags() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let empty_window = |supervisor: &str| SpecComplaint::EmptyWindow { supervisor: supervisor.to_owned() };
    let none = Duration::ZERO;

    let flat = Supervisor::named("sup").intensity(2, none);
    assert_eq!(complaints(&stage, flat.clone()).await, [empty_window("sup")]);
    let of_many = DynamicSupervisor::<Child>::named("sup").intensity(2, none);
    assert_eq!(complaints(&stage, of_many).await, [empty_window("sup")]);
    let nested = Supervisor::named("top").intensity(0, none).child(ChildSpec::supervisor(flat.clone()));
    assert_eq!(complaints(&stage, nested).await, [empty_window("top"), empty_window("sup")]);
    let tree = stage.supervise(Supervisor::named("top")).await;
    let refused = tree.start_child(ChildSpec::supervisor(flat)).await;
    assert!(matches!(&refused, Err(AdminError::Spec(all)) if *all == [empty_window("sup")]), "{refused:?}");
    shows(&tree, &[], [0; 4]).await;
    stops_in_order(&stage, &tree).await;

    // The ends of what is accepted.
    for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
        for mode in MODES {
            let spec = Supervisor::named("sup").strategy(strategy).auto_shutdown(mode);
            let spec = spec.intensity(u32::MAX, Duration::from_nanos(1)).child(a.spec());
            let tree = stage.supervise(spec).await;
            for _ in 0..3 {
                child(&tree, "a").tell(Crash).await.unwrap();
                stage.quiet().await;
            }
            shows(&tree, &[("a", Running)], [1, 1, 0, 1]).await;
            stops_in_order(&stage, &tree).await;
        }
    }
    let tree = stage.supervise(Supervisor::named("sup").intensity(1, Duration::MAX).child(a.spec())).await;
    child(&tree, "a").tell(Crash).await.unwrap();
    stage.runtime.clock().sleep(secs(365 * 24 * 3_600)).await;
    shows(&tree, &[("a", Running)], [1, 1, 0, 1]).await;
    child(&tree, "a").tell(Crash).await.unwrap();
    assert_eq!(tree.closed().await.unwrap().label(), "intensity_exceeded");
    stage.end().await;
}
