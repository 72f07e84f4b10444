//! Groups `normal_termination`, `shutdown_termination` and `abnormal_termination`: each restart type after each end.

use greenroom::{
    ChildSpec, ExitReason, Restart, SpawnError, Strategy, SuperviseError, SuperviseExt, Supervisor,
};

use crate::case::{Case, End, flags};
use crate::support::{Start, path, secs, sup};

/// How `child1` ends. OTP's `{shutdown, Term}` is said of supervisors alone here: one that gave up, for instance.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Of(End),
    GivesUp,
}

const NORMAL: &[Way] = &[Way::Of(End::Normal)];
const SHUTDOWN: &[Way] = &[Way::Of(End::Shutdown), Way::GivesUp];
const ABNORMAL: &[Way] = &[Way::Of(End::Crash), Way::Of(End::Kill)];

/// A supervisor with a `child1` that comes to its end in one of these ways.
struct Termination {
    case: Case,
    spec: ChildSpec,
    way: Way,
}

impl Termination {
    async fn of(restart: Restart, way: Way) -> Self {
        let case = Case::of(flags(Strategy::OneForOne, 2)).await;
        let spec = match way {
            Way::Of(_) => case.stage.part("child1").spec(),
            Way::GivesUp => {
                let below = Supervisor::named("child1").intensity(0, secs(5));
                ChildSpec::supervisor(below.child(case.stage.part("below").spec()))
            }
        };
        let termination = Termination { case, spec: spec.restart(restart), way };
        termination.start().await;
        termination
    }

    async fn start(&self) {
        self.case.sup.start_child(self.spec.clone()).await.expect("there is none of that name");
    }

    /// `child1` ends, and nobody but it.
    async fn end(&mut self) {
        match self.way {
            Way::Of(end) => self.case.end_alone("child1", end).await,
            Way::GivesUp => {
                let exits = self.case.end("child1/below", End::Crash).await;
                assert_eq!(exits, ["sup/child1/below panicked", "sup/child1 intensity_exceeded"]);
            }
        }
    }

    /// That `child1` is listed so, with that many active, whichever kind it is.
    async fn lists(&self, child1: &str, active: usize) {
        assert_eq!(self.case.listed().await, [child1], "{:?}", self.way);
        let [supervisors, workers] = if self.way == Way::GivesUp { [1, 0] } else { [0, 1] };
        assert_eq!(self.case.counts().await, [1, active, supervisors, workers], "{:?}", self.way);
    }
}

async fn is_restarted(restart: Restart, ways: &[Way]) {
    for way in ways {
        let mut termination = Termination::of(restart, *way).await;
        for life in 2..=3 {
            termination.end().await;
            termination.lists(&format!("child1, life {life}"), 1).await;
        }
        termination.case.stop().await;
    }
}

async fn stays_listed_and_can_be_restarted_by_hand(restart: Restart, ways: &[Way]) {
    for way in ways {
        let mut termination = Termination::of(restart, *way).await;
        termination.end().await;
        termination.lists("child1, stopped", 0).await;

        termination.case.sup.restart_child("child1").await.expect("it is stopped");
        termination.lists("child1, life 2", 1).await;

        termination.end().await;
        termination.lists("child1, stopped", 0).await;
        termination.case.stop().await;
    }
}

async fn is_gone_and_can_be_started_anew(restart: Restart, ways: &[Way]) {
    for way in ways {
        let mut termination = Termination::of(restart, *way).await;
        for _ in 0..2 {
            termination.lists("child1, life 1", 1).await;
            termination.end().await;
            assert_eq!(termination.case.listed().await, [""; 0], "{way:?}");
            assert_eq!(termination.case.counts().await, [0, 0, 0, 0]);
            assert_eq!(termination.case.stage.paths(), ["sup"]);
            termination.start().await;
        }
        termination.case.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn permanent_normal() {
    is_restarted(Restart::Permanent, NORMAL).await;
}

#[tokio::test(start_paused = true)]
async fn permanent_shutdown() {
    is_restarted(Restart::Permanent, SHUTDOWN).await;
}

#[tokio::test(start_paused = true)]
async fn permanent_abnormal() {
    is_restarted(Restart::Permanent, ABNORMAL).await;
}

#[tokio::test(start_paused = true)]
async fn transient_normal() {
    stays_listed_and_can_be_restarted_by_hand(Restart::Transient, NORMAL).await;
}

#[tokio::test(start_paused = true)]
async fn transient_shutdown() {
    stays_listed_and_can_be_restarted_by_hand(Restart::Transient, SHUTDOWN).await;
}

#[tokio::test(start_paused = true)]
async fn transient_abnormal() {
    is_restarted(Restart::Transient, ABNORMAL).await;
}

#[tokio::test(start_paused = true)]
async fn temporary_normal() {
    is_gone_and_can_be_started_anew(Restart::Temporary, NORMAL).await;
}

#[tokio::test(start_paused = true)]
async fn temporary_shutdown() {
    is_gone_and_can_be_started_anew(Restart::Temporary, SHUTDOWN).await;
}

#[tokio::test(start_paused = true)]
async fn temporary_abnormal() {
    is_gone_and_can_be_started_anew(Restart::Temporary, ABNORMAL).await;
}

/// Adapted: an application is a tree at the top. Whoever starts it is told which child did not start, and why.
#[tokio::test(start_paused = true)]
async fn faulty_application_shutdown() {
    let mut case = Case::of(Supervisor::named("bystander")).await;
    let server = case.stage.part("server");
    server.next_starts([Start::Panics]);

    let refused = case.stage.runtime.supervise(sup([server.spec()])).await;

    let Err(SuperviseError::Spawn(SpawnError::StartFailed { path: application, reason })) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(application, path("sup"));
    assert!(reason.is_shutdown());
    let ExitReason::ChildFailedToStart { child, caused_by } = reason else { panic!("{reason}") };
    assert_eq!(child, path("sup/server"));
    assert_eq!(caused_by.to_string(), "panicked while starting: the start of server panics");
    assert_eq!(case.stage.exits(), ["sup/server panicked", "sup child_failed_to_start"]);
    assert_eq!(case.stage.paths(), ["bystander"]);
    case.stage.supervise(sup([server.spec()])).await;
    case.stage.end().await;
}
