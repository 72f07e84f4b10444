//! The cases about code change: what is in force is replaced while the supervisor runs, here by
//! [`SupervisorRef::change`], which is given what OTP's `init` would return anew.
//!
//! [`SupervisorRef::change`]: greenroom::SupervisorRef::change

use greenroom::{
    AdminError, AutoShutdown, ChildSpec, DynamicSupervisor, Restart, Shutdown, SpecComplaint, Strategy,
    Supervisor,
};

use crate::case::{Case, End, flags, simple_flags, transient};
use crate::support::{Child, Stop, millis, secs};

fn mode(auto_shutdown: AutoShutdown) -> Supervisor {
    Supervisor::named("sup").auto_shutdown(auto_shutdown)
}

fn significant(spec: ChildSpec) -> ChildSpec {
    transient(spec).significant()
}

impl Case {
    /// Under `never` a significant child is refused, and nothing is kept of it.
    async fn refuses_a_significant(&self, name: &'static str) {
        let listed = self.listed().await;
        let refused = self.sup.start_child(significant(self.stage.part(name).spec())).await;

        let Err(AdminError::Spec(complaints)) = refused else { panic!("{refused:?}") };
        assert!(matches!(&complaints[..], [SpecComplaint::SignificantInVain { .. }]), "{complaints:?}");
        assert_eq!(self.listed().await, listed);
    }

    /// A change is refused, and nothing has changed that can be seen; says why.
    async fn refuses(&self, change: Supervisor) -> AdminError {
        let before = (self.listed().await, self.stage.paths());
        let why = self.sup.change(change).await.expect_err("it is to be refused");
        assert_eq!((self.listed().await, self.stage.paths()), before);
        why
    }

    /// Changes the mode, and nobody notices.
    async fn upgrade(&mut self, to: AutoShutdown) {
        self.stage.exits();
        let listed = self.listed().await;
        self.sup.change(mode(to)).await.expect("a mode can be changed");
        self.stage.quiet().await;
        assert_eq!((self.stage.exits(), self.listed().await), (Vec::new(), listed));
    }
}

/// Significant children `child1` and `child2`, under `to` since before or after they started.
async fn with_two(from: AutoShutdown, to: AutoShutdown) -> Case {
    let mut case = Case::of(mode(from)).await;
    if from == AutoShutdown::Never {
        case.refuses_a_significant("child1").await;
        case.upgrade(to).await;
    }
    for name in ["child1", "child2"] {
        case.start(name, significant).await;
    }
    if from != AutoShutdown::Never {
        case.upgrade(to).await;
    }
    case
}

async fn ends_with_the_first(mut case: Case) {
    let expected = ["sup/child1 normal", "sup/child2 shutdown", "sup auto_shutdown"];
    assert_eq!(case.end("child1", End::Normal).await, expected);
    case.over("auto_shutdown").await;
}

async fn ends_with_the_last(mut case: Case) {
    case.end_alone("child1", End::Normal).await;
    assert_eq!(case.listed().await, ["child1, stopped", "child2, life 1"]);
    assert_eq!(case.end("child2", End::Normal).await, ["sup/child2 normal", "sup auto_shutdown"]);
    case.over("auto_shutdown").await;
}

/// A significant child from before goes on, and its end means nothing any more; no other is taken.
async fn never_ends_any_more(from: AutoShutdown) {
    let mut case = Case::of(mode(from)).await;
    case.start("child1", significant).await;
    case.upgrade(AutoShutdown::Never).await;
    case.refuses_a_significant("child2").await;

    case.end_alone("child1", End::Normal).await;
    case.sup.restart_child("child1").await.expect("it is stopped");
    assert_eq!(case.listed().await, ["child1, life 2"]);
    case.stop().await;
}

#[tokio::test(start_paused = true)]
async fn significant_upgrade_never_any() {
    ends_with_the_first(with_two(AutoShutdown::Never, AutoShutdown::AnySignificant).await).await;
}

#[tokio::test(start_paused = true)]
async fn significant_upgrade_any_never() {
    never_ends_any_more(AutoShutdown::AnySignificant).await;
}

#[tokio::test(start_paused = true)]
async fn significant_upgrade_never_all() {
    ends_with_the_last(with_two(AutoShutdown::Never, AutoShutdown::AllSignificant).await).await;
}

#[tokio::test(start_paused = true)]
async fn significant_upgrade_all_never() {
    never_ends_any_more(AutoShutdown::AllSignificant).await;
}

#[tokio::test(start_paused = true)]
async fn significant_upgrade_any_all() {
    ends_with_the_last(with_two(AutoShutdown::AnySignificant, AutoShutdown::AllSignificant).await).await;
}

#[tokio::test(start_paused = true)]
async fn significant_upgrade_all_any() {
    ends_with_the_first(with_two(AutoShutdown::AllSignificant, AutoShutdown::AnySignificant).await).await;
}

#[tokio::test(start_paused = true)]
async fn significant_upgrade_child() {
    let [never, any] = [AutoShutdown::Never, AutoShutdown::AnySignificant].map(mode);

    let case = Case::of(never.clone()).await;
    let child = case.start("child", transient).await;
    let refused = case.sup.change(never.child(significant(child.spec()))).await;
    let Err(AdminError::Spec(complaints)) = refused else { panic!("{refused:?}") };
    assert!(matches!(&complaints[..], [SpecComplaint::SignificantInVain { .. }]), "{complaints:?}");
    assert_eq!(case.listed().await, ["child, life 1"]);
    assert!(!case.sup.child_spec("child").await.unwrap().significant);
    case.stop().await;

    let mut case = Case::of(any.clone()).await;
    let child = case.start("child", transient).await;
    case.sup.change(any.clone().child(significant(child.spec()))).await.unwrap();
    assert_eq!(case.listed().await, ["child, life 1"]);
    assert_eq!(case.end("child", End::Normal).await, ["sup/child normal", "sup auto_shutdown"]);
    case.over("auto_shutdown").await;

    let mut case = Case::of(any.clone()).await;
    let child = case.start("child", significant).await;
    case.sup.change(any.child(transient(child.spec()))).await.unwrap();
    assert_eq!(case.listed().await, ["child, life 1"]);
    case.end_alone("child", End::Normal).await;
    assert_eq!(case.listed().await, ["child, stopped"]);
    case.stop().await;
}

/// Adapted: what changed is shown by what it does. An `init` that ignores or returns nonsense has no counterpart, for
/// a spec is handed over, not a way to make one: such a way is refused.
#[tokio::test(start_paused = true)]
async fn code_change() {
    let mut case = Case::of(flags(Strategy::OneForOne, 0)).await;
    let flags = || flags(Strategy::OneForAll, 1);
    let slow = case.stage.part("child1").stopping(Stop::Takes(millis(1_500)));
    let child1 = |patience| slow.spec().shutdown(Shutdown::Within(secs(patience)));
    let [child2, child3] = case.stage.parts(["child2", "child3"]);

    assert!(matches!(case.refuses(flags().children([slow.spec(), slow.spec()])).await, AdminError::Spec(_)));

    // Children are added, and not started.
    case.sup.change(flags().children([child1(2), child2.spec()])).await.unwrap();
    assert_eq!(case.listed().await, ["child1, stopped", "child2, stopped"]);
    assert_eq!(case.stage.log.take(), [""; 0]);
    case.sup.restart_child("child1").await.unwrap();
    case.sup.restart_child("child2").await.unwrap();
    assert_eq!(case.end("child1", End::ByRequest).await, ["sup/child1 shutdown"]);
    case.sup.restart_child("child1").await.unwrap();

    // A place keeps its type; whoever was given one before that was seen gives it back.
    let retyped = ChildSpec::supervisor(Supervisor::named("child2"));
    let refused = case.refuses(flags().children([child1(1), child3.spec(), retyped])).await;
    assert!(matches!(refused, AdminError::Place(_)), "{refused:?}");

    // One is changed, one added, and one that is not named any more stays.
    case.sup.change(flags().children([child1(1), child3.spec()])).await.unwrap();
    assert_eq!(case.listed().await, ["child1, life 2", "child3, stopped", "child2, life 1"]);
    assert_eq!(case.end("child1", End::ByRequest).await, ["sup/child1 killed"]);

    // Strategy and intensity are those of the change: one restart is borne, and it brings up all.
    case.end_alone("child2", End::Crash).await;
    assert_eq!(case.listed().await, ["child1, life 3", "child3, life 1", "child2, life 2"]);

    let init = Supervisor::from_fn("sup", || Ok(None));
    assert!(matches!(case.refuses(init).await, AdminError::OtherKind));
    assert!(matches!(case.refuses(flags().intensity(1, secs(0))).await, AdminError::Spec(_)));

    // Nothing of what was refused is in force; the order of the change is.
    case.sup.stop(secs(60)).await.expect("it was running");
    let expected = ["sup/child2 shutdown", "sup/child3 shutdown", "sup/child1 killed", "sup shutdown"];
    assert_eq!(case.stage.exits(), expected);
    case.over("shutdown").await;
}

/// Adapted as `code_change`; specs have one form here, so this one looks at what `child_spec` shows.
#[tokio::test(start_paused = true)]
async fn code_change_map() {
    let case = Case::of(Supervisor::named("sup")).await;
    let [child1, child2, child3] = case.stage.parts(["child1", "child2", "child3"]);
    let child1 = |patience| child1.spec().shutdown(Shutdown::Within(secs(patience)));
    let flags = || Supervisor::named("sup").intensity(1, secs(3));
    let patience = async |name| case.sup.child_spec(name).await.map(|settings| settings.shutdown).unwrap();

    case.refuses(flags().child(ChildSpec::actor::<Child>("No Name", child2.clone()))).await;

    case.sup.change(flags().children([child1(2), child2.spec()])).await.unwrap();
    case.sup.restart_child("child1").await.unwrap();
    case.sup.restart_child("child2").await.unwrap();
    assert_eq!(case.listed().await, ["child1, life 1", "child2, life 1"]);
    assert_eq!(patience("child1").await, Shutdown::Within(secs(2)));
    assert_eq!(patience("child2").await, Shutdown::WORKER);

    case.sup.change(flags().children([child1(1), transient(child3.spec())])).await.unwrap();
    assert_eq!(case.listed().await, ["child1, life 1", "child3, stopped", "child2, life 1"]);
    assert_eq!(patience("child1").await, Shutdown::Within(secs(1)));
    assert_eq!(case.sup.child_spec("child3").await.unwrap().restart, Restart::Transient);

    case.refuses(flags().intensity(1, secs(0)).child(child1(5))).await;
    assert_eq!(patience("child1").await, Shutdown::Within(secs(1)));
    case.stop().await;
}

/// The template is replaced, also for those that run; it can neither be taken away nor be joined by other specs.
#[tokio::test(start_paused = true)]
async fn code_change_simple() {
    let mut case = Case::of(simple_flags(0).shutdown(Shutdown::Brutal)).await;
    case.start_instances(["a"]).await;
    let template = || simple_flags(0).shutdown(Shutdown::Within(secs(1)));

    case.sup.change(template()).await.unwrap();
    assert_eq!(case.listed().await, ["a, life 1"]);

    let joined = Supervisor::from(template()).child(case.stage.part("child2").spec());
    let AdminError::Spec(complaints) = case.refuses(joined).await else { panic!("for another reason") };
    assert!(matches!(&complaints[..], [SpecComplaint::BesideTemplate { .. }]), "{complaints:?}");
    assert!(matches!(case.refuses(flags(Strategy::OneForOne, 0)).await, AdminError::OtherKind));

    case.sup.stop(secs(60)).await.expect("it was running");
    assert_eq!(
        case.stage.exits(),
        ["sup/a shutdown", "sup shutdown"],
        "no longer killed without being asked"
    );
    case.over("shutdown").await;

    let case = Case::of(flags(Strategy::OneForOne, 0)).await;
    assert!(matches!(case.refuses(template().into()).await, AdminError::OtherKind));
    case.stop().await;
}

/// Adapted as `code_change_map`.
#[tokio::test(start_paused = true)]
async fn code_change_simple_map() {
    let mut case = Case::of(DynamicSupervisor::<Child>::named("sup")).await;
    case.start_instances(["a"]).await;
    assert_eq!(case.sup.child_spec("a").await.unwrap().shutdown, Shutdown::WORKER);

    let template = simple_flags(2).shutdown(Shutdown::Within(secs(1))).restart(Restart::Temporary);
    case.sup.change(template.max_children(2)).await.unwrap();
    case.start_instances(["b"]).await;
    for name in ["a", "b"] {
        assert_eq!(case.sup.child_spec(name).await.unwrap().shutdown, Shutdown::Within(secs(1)));
    }
    let third = case.sup.dynamic::<Child>().start("c", case.stage.part("c")).await;
    assert!(matches!(third, Err(AdminError::TooMany { max: 2 })), "{third:?}");

    case.refuses(Supervisor::named("sup")).await;
    case.end_alone("a", End::Kill).await;
    assert_eq!(case.listed().await, ["b, life 1"]);
    case.stop().await;
}
