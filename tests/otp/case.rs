//! What OTP's suite does in nearly every case: end a child in a given way, look who is listed, and count.

use greenroom::{
    ChildCounts, ChildSpec, ChildState, DynamicSupervisor, Restart, Strategy, Supervisor, SupervisorRef,
};

use crate::support::{Child, Crash, Finish, Part, Stage, child, secs};

/// OTP's `{Strategy, Max, 3600}`: a supervisor called `sup`, still without children.
pub(crate) fn flags(strategy: Strategy, max: u32) -> Supervisor {
    Supervisor::named("sup").strategy(strategy).intensity(max, secs(3_600))
}

/// OTP's `{simple_one_for_one, Max, 3600}`.
pub(crate) fn simple_flags(max: u32) -> DynamicSupervisor<Child> {
    DynamicSupervisor::named("sup").intensity(max, secs(3_600))
}

/// How a child comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By itself, as it wished.
    Normal,
    /// Told to stop by somebody who is not its supervisor.
    Shutdown,
    Kill,
    /// Its handler panics: OTP's `abnormal`.
    Crash,
    /// By `terminate_child`.
    ByRequest,
}

impl End {
    /// How the runtime calls the reason of it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            End::Normal => "normal",
            End::Shutdown | End::ByRequest => "shutdown",
            End::Kill => "killed",
            End::Crash => "panicked",
        }
    }
}

/// One case: a supervisor on a stage.
pub(crate) struct Case {
    pub(crate) stage: Stage,
    pub(crate) sup: SupervisorRef,
}

impl Case {
    pub(crate) async fn of(supervisor: impl Into<Supervisor>) -> Self {
        let stage = Stage::new().await;
        let sup = stage.supervise(supervisor.into()).await;
        Case { stage, sup }
    }

    /// Starts a child by request; permanent, unless `adapt` says otherwise.
    pub(crate) async fn start(&self, name: &'static str, adapt: impl FnOnce(ChildSpec) -> ChildSpec) -> Part {
        let part = self.stage.part(name);
        self.sup.start_child(adapt(part.spec())).await.expect("it starts");
        part
    }

    /// Starts permanent children by request, one after the other.
    pub(crate) async fn start_all<const N: usize>(&self, names: [&'static str; N]) -> [Part; N] {
        let parts = self.stage.parts(names);
        for part in &parts {
            self.sup.start_child(part.spec()).await.expect("it starts");
        }
        parts
    }

    /// Starts instances of the template.
    pub(crate) async fn start_instances<const N: usize>(&self, names: [&'static str; N]) -> [Part; N] {
        let parts = self.stage.parts(names);
        for part in &parts {
            self.sup.dynamic::<Child>().start(part.name, part.clone()).await.expect("it starts");
        }
        parts
    }

    /// Ends a child that way, waits until nothing moves any more, and says who has ended by then, in their order.
    pub(crate) async fn end(&mut self, name: &str, how: End) -> Vec<String> {
        let actor = child(&self.sup, name);
        match how {
            End::Normal => actor.tell(Finish).await.expect("the mailbox has room"),
            End::Crash => actor.tell(Crash).await.expect("the mailbox has room"),
            End::Kill => actor.kill(),
            End::Shutdown => drop(actor.stop(secs(1)).await.expect("it was running")),
            End::ByRequest => self.sup.terminate_child(name).await.expect("it is listed"),
        }
        self.stage.quiet().await;
        self.stage.exits()
    }

    /// As [`end`](Case::end) of a child that takes nobody along.
    pub(crate) async fn end_alone(&mut self, name: &str, how: End) {
        let exits = self.end(name, how).await;
        assert_eq!(exits, [format!("{}/{name} {}", self.sup.path(), how.label())], "{how:?}");
    }

    /// As [`end`](Case::end) by a crash that is one too many: the others end in that order, then the supervisor, and
    /// nothing is left.
    pub(crate) async fn end_all(mut self, name: &str, others: &[&str]) {
        let others = others.iter().map(|other| format!("sup/{other} shutdown"));
        let mut expected = vec![format!("sup/{name} panicked")];
        expected.extend(others.chain(["sup intensity_exceeded".to_owned()]));

        assert_eq!(self.end(name, End::Crash).await, expected);
        self.over("intensity_exceeded").await;
    }

    /// The supervisor has ended for that reason, which is a kind of OTP's `shutdown`, and nothing is left.
    pub(crate) async fn over(self, label: &str) {
        let reason = self.sup.closed().await.expect("it has run");
        assert_eq!(reason.label(), label);
        assert!(reason.is_shutdown());
        assert_eq!(self.stage.paths(), [""; 0]);
        self.stage.end().await;
    }

    /// Stops the supervisor, which has lived until now; nothing is left.
    pub(crate) async fn stop(self) {
        assert_eq!(self.sup.stop(secs(60)).await.expect("it was running").label(), "shutdown");
        self.over("shutdown").await;
    }

    /// OTP's `which_children`, in start order: who is listed, and whether it runs and which life.
    pub(crate) async fn listed(&self) -> Vec<String> {
        listed(&self.sup).await
    }

    pub(crate) async fn counts(&self) -> [usize; 4] {
        counts(&self.sup).await
    }
}

/// OTP's `which_children`, in start order. The same pid is the same life: `child1, life 2`.
pub(crate) async fn listed(sup: &SupervisorRef) -> Vec<String> {
    let children = sup.children().await.expect("the supervisor runs");
    let show = |child: greenroom::ChildInfo| match child.state {
        ChildState::Running => format!("{}, life {}", child.name, child.epoch.0),
        ChildState::Restarting => format!("{}, restarting", child.name),
        ChildState::Stopped => format!("{}, stopped", child.name),
    };
    children.into_iter().map(show).collect()
}

/// OTP's `count_children`: specs, active, supervisors, workers.
pub(crate) async fn counts(sup: &SupervisorRef) -> [usize; 4] {
    let ChildCounts { specs, active, supervisors, workers, .. } =
        sup.count_children().await.expect("the supervisor runs");
    [specs, active, supervisors, workers]
}

pub(crate) fn temporary(spec: ChildSpec) -> ChildSpec {
    spec.restart(Restart::Temporary)
}

pub(crate) fn transient(spec: ChildSpec) -> ChildSpec {
    spec.restart(Restart::Transient)
}
