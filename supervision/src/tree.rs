//! A picture of the running tree: who lives where, how it fares, and what happened to it.

use std::time::Duration;

use greenroom_runtime::{ActorPath, BreakerState, Clock, Epoch, InHand, LifeState, PastExit, Place, Runtime};

use crate::board::{Board, Mark};
use crate::policy::{AutoShutdown, ChildState, RestartIntensity, Strategy};
use crate::routing::Routing;
use crate::tree_text::TreeText;

/// A picture of a tree, taken by [`SuperviseExt::tree`](crate::SuperviseExt::tree) or
/// [`SupervisorRef::tree`](crate::SupervisorRef::tree). Printed with `{}` it is a text with one line a node.
///
/// Everything in it is taken from the cells, place by place: no actor and no supervisor is asked, so none is waited for,
/// whatever it does. Each node is right in itself; two of them may have been looked at some milliseconds apart, and who
/// comes or goes meanwhile may be missing. Costs about a microsecond and 200 bytes for each place: of 100,000 it takes a tenth of
/// a second on the thread that takes it.
///
/// All times are counted from the start of the runtime, in whole milliseconds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Tree {
    /// When it was taken: when the last of its nodes was looked at.
    pub taken_at: Duration,
    /// The uppermost nodes.
    pub roots: Vec<TreeNode>,
}

/// One place in a [`Tree`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TreeNode {
    /// Where it is.
    pub path: ActorPath,
    /// The Rust type that lives there.
    pub type_name: &'static str,
    /// Whether it works or supervises, and how.
    pub kind: NodeKind,
    /// Where its cell is in its life.
    pub life: LifeState,
    /// What its supervisor has in mind; `None` when nobody supervises it. While the supervisor itself is down: what it
    /// had in mind last.
    pub child_state: Option<ChildState>,
    /// When a restarting child is due that waits for its backoff.
    pub next_try: Option<Duration>,
    /// Which life.
    pub epoch: Epoch,
    /// Lives after the first.
    pub restarts: u64,
    /// How the last lives ended, at most three, the newest last.
    pub exits: Vec<PastExit>,
    /// Fenced lives that have not come back: each still blocks a thread.
    pub blocked_lives: u32,
    /// What waits; `None` for a supervisor.
    pub mailbox: Option<TreeMailbox>,
    /// The message being handled.
    pub in_hand: Option<InHand>,
    /// The breaker in front of it; `None` unless it is a member of a pool that [has them](crate::Pool::breaker), once
    /// somebody has a reference to that pool.
    pub breaker: Option<Box<TreeBreaker>>,
    /// Its children, in start order.
    pub children: Vec<TreeNode>,
    rank: u64,
}

/// Whether a node works or supervises, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeKind {
    /// An actor, or an overseer of your own that shows nothing of itself.
    Worker,
    /// A supervisor.
    Supervisor(Box<SupervisorView>),
}

/// What a supervisor shows of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SupervisorView {
    /// Where its children come from.
    pub shape: SupervisorShape,
    /// Which siblings a restart concerns.
    pub strategy: Strategy,
    /// Whether the end of a significant child ends it.
    pub auto_shutdown: AutoShutdown,
    /// How many restarts it bears.
    pub intensity: RestartIntensity,
    /// How many restarts of this life count now: one more is too many when this is `intensity.max`.
    pub restarts_counted: usize,
}

/// Where the children of a supervisor come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SupervisorShape {
    /// Its spec names each.
    Named,
    /// A [`Pool`](crate::Pool).
    Pool {
        /// Who of them gets a message.
        routing: Routing,
    },
    /// A [`DynamicSupervisor`](crate::DynamicSupervisor): they come by request.
    Dynamic {
        /// How many there may be.
        max_children: usize,
    },
}

/// What waits at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TreeMailbox {
    /// Messages waiting, places promised to senders included.
    pub waiting: usize,
    /// The bound of `waiting`.
    pub capacity: usize,
    /// How long the oldest has waited; `None` when none does. Not exact: see
    /// [`Observation::oldest_age`](greenroom_runtime::Observation).
    pub oldest_age: Option<Duration>,
}

/// The breaker in front of a member of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TreeBreaker {
    /// Whether it lets calls through.
    pub state: BreakerState,
    /// When an open one lets the next call through as a trial: now, if that time has passed. `None` when it is not open.
    pub next_trial: Option<Duration>,
}

impl TreeBreaker {
    fn of(place: &Place, clock: Clock) -> Option<Self> {
        let state = place.breaker()?.state();
        let next_trial = match state {
            BreakerState::Open { until } => {
                Some(clock.elapsed() + until.saturating_duration_since(clock.now()))
            }
            BreakerState::Closed | BreakerState::HalfOpen => None,
        };
        Some(TreeBreaker { state, next_trial: next_trial.map(whole_ms) })
    }
}

fn whole_ms(time: Duration) -> Duration {
    Duration::from_millis(time.as_millis() as u64)
}

impl Tree {
    /// All places of `runtime`, or `top` and those below it.
    pub(crate) fn take(runtime: &Runtime, top: Option<&Place>) -> Self {
        let now_ms = runtime.clock().elapsed_ms();
        // Below the path of a deleted place lives somebody else's, if anybody does.
        let is_deleted = top.is_some_and(|top| top.state() == LifeState::Closed);
        let below = runtime.walk(top.map(Place::path)).filter(|_| !is_deleted);
        let mut seen = Seen { nodes: Vec::new(), parents: Vec::new(), has_top: top.is_some() };
        for place in top.cloned().into_iter().chain(below) {
            seen.add(TreeNode::of(&place, runtime.clock(), now_ms));
        }
        // Afterwards, so that nothing in it lies in its future.
        let taken_at = Duration::from_millis(runtime.clock().elapsed_ms());
        Tree { taken_at, roots: seen.into_roots() }
    }

    /// All nodes, parents before children, siblings in start order.
    pub fn nodes(&self) -> impl Iterator<Item = &TreeNode> {
        let mut left: Vec<&TreeNode> = self.roots.iter().rev().collect();
        std::iter::from_fn(move || {
            let node = left.pop()?;
            left.extend(node.children.iter().rev());
            Some(node)
        })
    }

    /// The node at `path`.
    #[must_use]
    pub fn node(&self, path: &str) -> Option<&TreeNode> {
        let leads_there = |node: &&TreeNode| {
            path.strip_prefix(node.path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let mut node = self.roots.iter().find(leads_there)?;
        while node.path.as_str() != path {
            node = node.children.iter().find(leads_there)?;
        }
        Some(node)
    }

    /// The text that `{}` prints, with other settings.
    #[must_use]
    pub fn text(&self) -> TreeText<'_> {
        TreeText::of(self)
    }
}

impl TreeNode {
    fn of(place: &Place, clock: Clock, now_ms: u64) -> Self {
        let seen = place.observe();
        let mark = Mark::on(place);
        let board = place.shown().and_then(|shown| shown.downcast::<Board>().ok());
        TreeNode {
            path: seen.path,
            type_name: seen.type_name,
            kind: board.map_or(NodeKind::Worker, |board| NodeKind::Supervisor(Box::new(board.view(now_ms)))),
            life: seen.state,
            child_state: mark.map(|mark| mark.state),
            next_try: mark.and_then(|mark| mark.due),
            epoch: seen.epoch,
            restarts: seen.restarts,
            exits: seen.exits,
            blocked_lives: seen.blocked_lives,
            mailbox: (seen.capacity > 0).then_some(TreeMailbox {
                waiting: seen.waiting,
                capacity: seen.capacity,
                oldest_age: seen.oldest_age,
            }),
            in_hand: seen.in_hand,
            breaker: TreeBreaker::of(place, clock).map(Box::new),
            children: Vec::new(),
            rank: mark.map_or(0, |mark| mark.rank),
        }
    }
}

/// The nodes in the order of their paths, and whose child each is.
struct Seen {
    nodes: Vec<TreeNode>,
    parents: Vec<Option<usize>>,
    /// Whether the first node is the only root, wherever it stands.
    has_top: bool,
}

impl Seen {
    fn add(&mut self, node: TreeNode) {
        self.parents.push(self.parent_of(&node));
        self.nodes.push(node);
    }

    fn parent_of(&self, node: &TreeNode) -> Option<usize> {
        let (parent, _) = node.path.as_str().rsplit_once('/')?;
        let is_parent = |at: &usize| self.nodes[*at].path.as_str() == parent;
        // That of its neighbour, nearly always.
        let near = self.parents.last().copied().flatten().filter(is_parent);
        near.or_else(|| self.nodes.binary_search_by(|node| node.path.as_str().cmp(parent)).ok())
    }

    /// Gives each node its children, from the last to the first: those below a node stand behind it.
    fn into_roots(mut self) -> Vec<TreeNode> {
        let mut sizes = vec![0; self.nodes.len()];
        self.parents.iter().flatten().for_each(|parent| sizes[*parent] += 1);
        for (node, size) in self.nodes.iter_mut().zip(sizes) {
            node.children.reserve_exact(size);
        }
        let mut roots = Vec::new();
        while let (Some(mut node), Some(parent)) = (self.nodes.pop(), self.parents.pop()) {
            node.children.reverse();
            node.children.sort_by_cached_key(|child| child.rank);
            match parent {
                Some(parent) => self.nodes[parent].children.push(node),
                None if self.is_root(&node) => roots.push(node),
                None => {} // its supervisor came only after the look had passed there
            }
        }
        roots.reverse();
        roots
    }

    fn is_root(&self, node: &TreeNode) -> bool {
        if self.has_top { self.nodes.is_empty() } else { !node.path.as_str().contains('/') }
    }
}
