//! What the cases share: OTP's usual supervisor, looks at its children, and a stranger among them.

use std::time::Duration;

use greenroom::overseer::{ChildExit, Flow, Overseer, OverseerContext, OverseerRef, PlaceSpec};
use greenroom::{
    ActorPath, ActorSpec, ChildState, DynamicRef, DynamicSupervisor, ExitReason, Place, Restart, Shutdown,
    Supervisor, SupervisorRef,
};

use crate::support::{Child, Part, Stage, path, secs};

pub(crate) use ChildState::{Restarting, Running, Stopped};

/// In the order in which OTP's cases go through them.
pub(crate) const RESTARTS: [Restart; 3] = [Restart::Temporary, Restart::Transient, Restart::Permanent];

/// OTP's `1000`.
pub(crate) const ONE_SECOND: Shutdown = Shutdown::Within(Duration::from_secs(1));

/// `sup_test` of most cases: `{{one_for_one, 2, 3600}, []}`.
pub(crate) fn empty() -> Supervisor {
    Supervisor::named("sup").intensity(2, secs(3_600))
}

/// The same with a template: `{{simple_one_for_one, 2, 3600}, [Child]}`.
pub(crate) fn template() -> DynamicSupervisor<Child> {
    DynamicSupervisor::named("sup").intensity(2, secs(3_600)).shutdown(ONE_SECOND)
}

pub(crate) async fn dynamic(stage: &Stage, of: DynamicSupervisor<Child>) -> DynamicRef<Child> {
    stage.supervise(of.into()).await.dynamic()
}

/// Specs, active, supervisors, workers.
pub(crate) async fn counts(tree: &SupervisorRef) -> [usize; 4] {
    let counts = tree.count_children().await.expect("the supervisor runs");
    [counts.specs, counts.active, counts.supervisors, counts.workers]
}

/// Name and state of each child, in start order.
pub(crate) async fn listed(tree: &SupervisorRef) -> Vec<(String, ChildState)> {
    let children = tree.children().await.expect("the supervisor runs");
    children.into_iter().map(|child| (child.name, child.state)).collect()
}

/// That the children are exactly these, and are counted as `[specs, active, supervisors, workers]`.
#[track_caller]
pub(crate) fn shows<'a>(
    tree: &'a SupervisorRef,
    children: &'a [(&str, ChildState)],
    counted: [usize; 4],
) -> impl Future<Output = ()> + 'a {
    let at = std::panic::Location::caller();
    async move {
        let seen = listed(tree).await;
        let seen: Vec<_> = seen.iter().map(|(name, state)| (name.as_str(), *state)).collect();
        assert_eq!(seen, children, "the list at {at}");
        assert_eq!(counts(tree).await, counted, "the counts at {at}");
    }
}

/// OTP's `terminate(SupPid, shutdown)`: it ends as it was asked to, and nothing is left of it.
pub(crate) async fn stops_in_order(stage: &Stage, tree: &SupervisorRef) {
    let reason = tree.stop(secs(100_000)).await.expect("it was running");
    assert_eq!(reason.label(), "shutdown");
    tree.closed().await;
    let left: Vec<_> =
        stage.paths().into_iter().filter(|left| left.starts_with(tree.path().as_str())).collect();
    assert_eq!(left, [""; 0]);
}

/// OTP's timetrap, of an hour that nobody waits for: what hangs fails.
pub(crate) async fn timetrap<T>(stage: &Stage, work: impl Future<Output = T>) -> T {
    stage.runtime.clock().within(secs(3_600), work).await.expect("the supervisor hangs")
}

/// Puts an actor at `parent`/`part.name` that is no child of the supervisor there: OTP's process that has registered
/// the name.
pub(crate) async fn stranger(stage: &Stage, parent: &str, part: &Part) -> Place {
    let parent = path(parent);
    let at = parent.child(part.name).expect("a part's name is a path segment");
    let spec = PlaceSpec::from(ActorSpec::<Child>::new(part.name, part.clone()));
    let build = move || Landlord { parent: parent.clone(), spec: spec.clone(), tenant: None };
    stage.runtime.plant(&OverseerRef::spec("landlord", build), None).await.expect("it starts its tenant");
    stage.runtime.place(&at).expect("the tenant lives there")
}

/// Starts somebody under a path that is not its own.
#[derive(Clone)]
struct Landlord {
    parent: ActorPath,
    spec: PlaceSpec,
    tenant: Option<Place>,
}

impl Overseer for Landlord {
    type Message = ();

    async fn begin(&mut self, cx: &OverseerContext) -> Flow {
        let place = self.spec.place(cx.runtime(), Some(&self.parent)).expect("nobody lives there");
        let incarnation = place.launch(cx.link()).await.expect("the place is vacant");
        place.started(incarnation).await.expect("its start works");
        self.tenant = Some(place);
        Flow::Stay
    }

    async fn on_message(&mut self, (): (), _cx: &OverseerContext) -> Flow {
        Flow::Stay
    }

    async fn on_child_exit(&mut self, _exit: ChildExit, _cx: &OverseerContext) -> Flow {
        Flow::Stay
    }

    async fn on_stop(&mut self, _cx: &OverseerContext) -> ExitReason {
        if let Some(tenant) = &self.tenant {
            tenant.bring_down(Some(secs(1))).await;
        }
        ExitReason::Shutdown
    }
}
