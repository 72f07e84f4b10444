//! The root of a runtime: it starts what it is given, never restarts it, and brings all down in reverse order.

use std::time::Duration;

use crate::actor::ExitReason;
use crate::address::ActorPath;
use crate::cell::{ChildExit, Flow, Incarnation, LaunchError, Overseer, OverseerContext, Place};
use tokio::sync::oneshot;

/// The top of the tree.
pub(crate) struct Root {
    /// In the order in which they were started.
    children: Vec<Child>,
}

struct Child {
    place: Place,
    incarnation: Incarnation,
    patience: Option<Duration>,
}

pub(crate) enum RootMessage {
    Launch {
        place: Place,
        /// How long it gets to end in order; `None`: as long as it takes.
        patience: Option<Duration>,
        answer: oneshot::Sender<Result<Incarnation, LaunchError>>,
    },
    /// Stops what runs, the newest first, until `deadline`; then kills the rest.
    StopAll { within: Duration, begun: oneshot::Sender<()>, answer: oneshot::Sender<Vec<ActorPath>> },
}

impl Root {
    pub(crate) fn new() -> Self {
        Root { children: Vec::new() }
    }

    /// The paths of those that did not end in order.
    async fn stop_all(&mut self, within: Duration, cx: &OverseerContext) -> Vec<ActorPath> {
        let clock = cx.runtime().clock();
        let deadline = clock.after(within);
        let mut late = Vec::new();
        while let Some(child) = self.children.pop() {
            let left = deadline.saturating_duration_since(clock.now());
            let patience = child.patience.map_or(left, |own| own.min(left));
            let reason = child.place.bring_down_within(patience).await;
            // A supervisor that was killed took its children along; they are named below.
            if matches!(reason, Some(ExitReason::Killed { .. } | ExitReason::Unresponsive)) {
                late.push(child.place.path().clone());
                // Its children were killed with it; whoever of them blocks a thread is fenced, and named too.
                for below in cx.runtime().places_below(child.place.path()).into_iter().rev() {
                    below.bring_down(Some(Duration::ZERO)).await;
                }
            }
            child.place.close();
        }
        late
    }
}

impl Overseer for Root {
    type Message = RootMessage;

    async fn begin(&mut self, _cx: &OverseerContext) -> Flow {
        Flow::Stay
    }

    async fn on_message(&mut self, message: RootMessage, cx: &OverseerContext) -> Flow {
        match message {
            RootMessage::Launch { place, patience, answer } => {
                let launched = place.launch(cx.link()).await;
                if let Ok(incarnation) = launched {
                    self.children.push(Child { place, incarnation, patience });
                }
                // A caller that gave up still has its actor: it is in the directory.
                drop(answer.send(launched));
                Flow::Stay
            }
            RootMessage::StopAll { within, begun, answer } => {
                let _unless_gone: Result<(), ()> = begun.send(());
                let late = self.stop_all(within, cx).await;
                drop(answer.send(late));
                Flow::Leave(ExitReason::Shutdown)
            }
        }
    }

    async fn on_child_exit(&mut self, exit: ChildExit, _cx: &OverseerContext) -> Flow {
        // Nobody up here brings anything back: whoever wants that puts a supervisor below.
        if let Some(at) = self.children.iter().position(|child| child.incarnation == exit.incarnation) {
            let child = self.children.remove(at);
            child.place.close();
        }
        Flow::Stay
    }

    async fn on_stop(&mut self, cx: &OverseerContext) -> ExitReason {
        self.stop_all(Duration::ZERO, cx).await;
        ExitReason::Shutdown
    }
}
