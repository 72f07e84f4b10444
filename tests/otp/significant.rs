//! Group `significant`: which end of a child ends its supervisor. The upgrades of the group are in `upgrade.rs`.

use greenroom::{
    AutoShutdown, ChildSpec, DynamicSupervisor, ExitReason, Restart, SpecComplaint, Strategy, SuperviseError,
    SuperviseExt, Supervisor,
};

use crate::case::{Case, End, counts, listed, transient};
use crate::support::{Child, Stage, path, secs};

const MODES: [AutoShutdown; 3] =
    [AutoShutdown::Never, AutoShutdown::AnySignificant, AutoShutdown::AllSignificant];

fn mode(mode: AutoShutdown) -> Supervisor {
    Supervisor::named("sup").intensity(5, secs(5)).auto_shutdown(mode)
}

/// A significant `child1` and `child2`, and a `child3` that is not.
async fn with_three(auto_shutdown: AutoShutdown, restart: Restart) -> Case {
    let case = Case::of(mode(auto_shutdown)).await;
    case.start("child1", |spec| spec.restart(restart).significant()).await;
    case.start("child2", |spec| spec.restart(restart).significant()).await;
    case.start("child3", |spec| spec.restart(restart)).await;
    case
}

/// The end of `child`, and of the others in that order, ended the supervisor.
async fn ended_with(mut case: Case, child: &str, how: End, others: &[&str]) {
    let others = others.iter().map(|other| format!("sup/{other} shutdown"));
    let mut expected = vec![format!("sup/{child} {}", how.label())];
    expected.extend(others.chain(["sup auto_shutdown".to_owned()]));

    assert_eq!(case.end(child, how).await, expected, "{how:?}");
    let Some(ExitReason::AutoShutdown { child: last, caused_by }) = case.sup.closed().await else {
        panic!("it ended otherwise")
    };
    assert_eq!(last.as_str(), format!("sup/{child}"));
    assert_eq!(caused_by.label(), how.label());
    case.over("auto_shutdown").await;
}

#[tokio::test(start_paused = true)]
async fn nonsignificant_temporary() {
    for auto_shutdown in MODES {
        let mut case = Case::of(mode(auto_shutdown)).await;
        for how in [End::ByRequest, End::Kill, End::Crash, End::Normal] {
            case.start("child1", |spec| spec.restart(Restart::Temporary)).await;
            case.end_alone("child1", how).await;
            assert_eq!(case.listed().await, [""; 0], "{auto_shutdown:?}: {how:?}");
        }
        case.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn nonsignificant_transient() {
    for auto_shutdown in MODES {
        let mut case = Case::of(mode(auto_shutdown)).await;
        case.start("child1", transient).await;
        case.end_alone("child1", End::ByRequest).await;
        assert_eq!(case.listed().await, ["child1, stopped"]);
        case.sup.restart_child("child1").await.unwrap();

        case.end_alone("child1", End::Kill).await;
        assert_eq!(case.listed().await, ["child1, life 3"]);
        case.end_alone("child1", End::Crash).await;
        assert_eq!(case.listed().await, ["child1, life 4"]);

        case.end_alone("child1", End::Normal).await;
        assert_eq!(case.listed().await, ["child1, stopped"], "{auto_shutdown:?}");
        case.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn significant_temporary() {
    let mut case = with_three(AutoShutdown::AnySignificant, Restart::Temporary).await;
    case.end_alone("child1", End::ByRequest).await;
    assert_eq!(case.listed().await, ["child2, life 1", "child3, life 1"]);
    case.start("child1", |spec| spec.restart(Restart::Temporary).significant()).await;
    ended_with(case, "child1", End::Kill, &["child3", "child2"]).await;

    for how in [End::Crash, End::Normal, End::Shutdown] {
        let case = with_three(AutoShutdown::AnySignificant, Restart::Temporary).await;
        ended_with(case, "child1", how, &["child3", "child2"]).await;
    }

    let mut case = with_three(AutoShutdown::AllSignificant, Restart::Temporary).await;
    case.end_alone("child1", End::Normal).await;
    assert_eq!(case.listed().await, ["child2, life 1", "child3, life 1"]);
    ended_with(case, "child2", End::Normal, &["child3"]).await;
}

#[tokio::test(start_paused = true)]
async fn significant_transient() {
    let mut case = with_three(AutoShutdown::AnySignificant, Restart::Transient).await;
    case.end_alone("child1", End::ByRequest).await;
    assert_eq!(case.listed().await, ["child1, stopped", "child2, life 1", "child3, life 1"]);
    case.sup.restart_child("child1").await.unwrap();

    case.end_alone("child1", End::Kill).await;
    assert_eq!(case.listed().await, ["child1, life 3", "child2, life 1", "child3, life 1"]);
    case.end_alone("child1", End::Crash).await;
    assert_eq!(case.listed().await, ["child1, life 4", "child2, life 1", "child3, life 1"]);
    ended_with(case, "child1", End::Normal, &["child3", "child2"]).await;

    let mut case = with_three(AutoShutdown::AllSignificant, Restart::Transient).await;
    case.end_alone("child1", End::Normal).await;
    assert_eq!(case.listed().await, ["child1, stopped", "child2, life 1", "child3, life 1"]);
    ended_with(case, "child2", End::Normal, &["child3"]).await;
}

/// A template has no way to say `significant`, so a mode would be in vain: it is refused before anything starts.
#[tokio::test(start_paused = true)]
async fn significant_simple() {
    let template = DynamicSupervisor::<Child>::named("sup");
    let stage = Stage::new().await;
    for mode in [AutoShutdown::AnySignificant, AutoShutdown::AllSignificant] {
        let refused = stage.runtime.supervise(Supervisor::from(template.clone()).auto_shutdown(mode)).await;

        let Err(SuperviseError::Spec(complaints)) = refused else { panic!("{mode:?}: {refused:?}") };
        assert!(matches!(&complaints[..], [SpecComplaint::NotForTemplate { .. }]), "{complaints:?}");
        assert_eq!(stage.paths(), [""; 0]);
    }
    stage.end().await;

    Case::of(Supervisor::from(template).auto_shutdown(AutoShutdown::Never)).await.stop().await;
}

/// Significant siblings that go down with the group of one that is not: they did not end by themselves.
#[tokio::test(start_paused = true)]
async fn significant_bystander() {
    let table: [(Strategy, &[&str], [u64; 3]); 3] = [
        // who goes down with child2, and in which life the three are then
        (Strategy::OneForOne, &[], [1, 2, 1]),
        (Strategy::OneForAll, &["sup/child3 shutdown", "sup/child1 shutdown"], [2, 2, 2]),
        (Strategy::RestForOne, &["sup/child3 shutdown"], [1, 2, 2]),
    ];
    for (strategy, others, lives) in table {
        for auto_shutdown in [AutoShutdown::AnySignificant, AutoShutdown::AllSignificant] {
            let mut case = Case::of(mode(auto_shutdown).strategy(strategy)).await;
            case.start("child1", |spec| transient(spec).significant()).await;
            case.start("child2", transient).await;
            case.start("child3", |spec| transient(spec).significant()).await;

            let exits = case.end("child2", End::Kill).await;

            assert_eq!(exits, [&["sup/child2 killed"], others].concat(), "{strategy:?}, {auto_shutdown:?}");
            let [one, two, three] = lives;
            let expected = [
                format!("child1, life {one}"),
                format!("child2, life {two}"),
                format!("child3, life {three}"),
            ];
            assert_eq!(case.listed().await, expected, "{strategy:?}, {auto_shutdown:?}");
            case.stop().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn significant_escalation() {
    let ends = ["sup/sup1/child1 normal", "sup/sup1 auto_shutdown", "sup auto_shutdown"];
    for (is_significant, ends) in [(true, &ends[..]), (false, &ends[..2])] {
        let mut case = Case::of(mode(AutoShutdown::AnySignificant)).await;
        let sup1 = Supervisor::named("sup1").auto_shutdown(AutoShutdown::AnySignificant);
        let sup1 = ChildSpec::supervisor(sup1).restart(Restart::Transient);
        let sup1 = if is_significant { sup1.significant() } else { sup1 };
        case.sup.start_child(sup1).await.unwrap();
        let child1 = transient(case.stage.part("child1").spec()).significant();
        case.sup.below("sup1").unwrap().start_child(child1).await.unwrap();

        assert_eq!(case.end("sup1/child1", End::Normal).await, ends);

        if is_significant {
            let Some(ExitReason::AutoShutdown { child, caused_by }) = case.sup.closed().await else {
                panic!("it ended otherwise")
            };
            assert_eq!((child, caused_by.label()), (path("sup/sup1"), "auto_shutdown"));
            case.over("auto_shutdown").await;
        } else {
            assert_eq!(listed(&case.sup).await, ["sup1, stopped"]);
            assert_eq!(counts(&case.sup).await, [1, 0, 1, 0]);
            case.stop().await;
        }
    }
}
