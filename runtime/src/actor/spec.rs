//! The spec of one actor: its name, its arguments, and the bounds of its cell.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::actor::{Actor, Durable, DurableInbox, SnapshotPolicy};
use crate::address::ActorPath;
use crate::cell::{Cell, CellCore, CellSettings, Keeps, PlaceSpec, Terms};
use crate::durable::Durability;
use crate::mailbox::{MailboxSpec, Overflow};
use crate::message::short_type_name;
use crate::runtime::Runtime;
use crate::sync::Quiet;

/// How to make one actor. Turned into a [`PlaceSpec`] by `into()`.
///
/// ```
/// # use greenroom_runtime::{Actor, ActorSpec, Failure, Open, Overflow};
/// # struct Reader;
/// # impl Actor for Reader {
/// #     type Args = String;
/// #     type Inbox = Open<Self>;
/// #     async fn start(_: &String) -> Result<Self, Failure> { Ok(Reader) }
/// # }
/// let spec = ActorSpec::<Reader>::new("reader", "input.txt".to_owned())
///     .capacity(64)
///     .overflow(Overflow::Reject)
///     .start_within(std::time::Duration::from_secs(2));
/// ```
pub struct ActorSpec<A: Actor> {
    name: String,
    args: Arc<Quiet<A::Args>>,
    settings: CellSettings,
    durability: Option<Arc<Durability<A>>>,
}

impl<A: Actor> ActorSpec<A> {
    /// An actor called `name` that is started with `args` at each life.
    pub fn new(name: impl Into<String>, args: A::Args) -> Self {
        ActorSpec {
            name: name.into(),
            args: Arc::new(Quiet::new(args)),
            settings: CellSettings {
                mailbox: MailboxSpec::default(),
                start_within: Duration::from_secs(30),
                redeliveries: 3,
                quarantines: false,
                openings: 10,
                inbox_bytes: 64 << 20,
                run_ahead: 32,
                progress_within: None,
            },
            durability: None,
        }
    }

    /// What it is started with. For the crates that build on this one.
    #[doc(hidden)]
    pub fn args(&self) -> &A::Args {
        &self.args
    }

    /// The same spec under another name: for one of several that are alike.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// How many messages may wait in its mailbox, at least 1. Default: 1,024.
    pub fn capacity(mut self, capacity: usize) -> Self {
        self.settings.mailbox.capacity = capacity;
        self
    }

    /// What happens to one message more when its mailbox is full. Default: [`Overflow::Wait`].
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.settings.mailbox.overflow = overflow;
        self
    }

    /// How long `start` may take. Default: 30 s.
    pub fn start_within(mut self, limit: Duration) -> Self {
        self.settings.start_within = limit;
        self
    }

    /// How often a message comes again after the handler fell over it, if its type allows
    /// ([`Message::again`](crate::Message::again)) or its inbox is durable; and how often a durable actor tries it again
    /// after an [`External`](crate::FailureClass::External) failure. Default: 3.
    pub fn redeliveries(mut self, times: u32) -> Self {
        self.settings.redeliveries = times;
        self
    }

    /// How often the process may end while the same message of a durable actor is first in line, before it is laid aside
    /// instead of run once more: perhaps it is what ends the process. An end in order, by
    /// [`Runtime::shutdown`], does not count, nor does a stop of the actor; a process that is killed often while an actor is
    /// parked needs more. Default: 10.
    pub fn process_ends(mut self, times: u32) -> Self {
        self.settings.openings = times.max(1);
        self
    }

    /// Lays a message aside that the handler fell over `times` times (at least 1), with its cause, instead of letting it
    /// end as a dead letter: see [`ActorRef::quarantined`](crate::ActorRef::quarantined). Its asker is told
    /// [`AskError::ActorFailed`](crate::AskError::ActorFailed). Under a supervisor only the first fall counts for the
    /// intensity. For messages that may come again
    /// ([`Message::again`](crate::Message::again), durable inboxes); of others nothing is left to lay aside. Replaces
    /// [`redeliveries`](ActorSpec::redeliveries). Default: no quarantine.
    pub fn quarantine_after(mut self, times: u32) -> Self {
        self.settings.redeliveries = times.max(1) - 1;
        self.settings.quarantines = true;
        self
    }

    /// How long a handler may take for one message. Then it is cut at its next `.await` and the incarnation is replaced
    /// ([`ExitReason::NoProgress`](crate::ExitReason::NoProgress)); one that blocks its thread is fenced and reported
    /// ([`ExitReason::Unresponsive`](crate::ExitReason::Unresponsive)) after at most two and a half times as long and the
    /// kill grace. Costs a timer a message. Default: no limit.
    pub fn progress_within(mut self, limit: Duration) -> Self {
        self.settings.progress_within = Some(limit);
        self
    }
}

impl<A: Durable> ActorSpec<A> {
    /// Makes each message a transaction in the store of the runtime: it is on disk before its sender hears that it was
    /// accepted, and its removal is committed together with the state, the reply and what the handler sent. Asks for a
    /// durable inbox: `inbox!(durable …)`. Costs one flush to accept a message and one to handle it, shared by all that
    /// wait for one at that time.
    pub fn durable(mut self) -> Self
    where
        A::Inbox: DurableInbox,
    {
        self.durability = Some(Arc::new(Durability::of_everything()));
        self
    }

    /// How many messages of a [durable](ActorSpec::durable) actor may wait for their commits, the newest included, while it
    /// goes on to the next: so that many share one flush. At least 1, which waits for each. It waits as well as soon as they
    /// hold more than 1 MiB, and for a message that set a reminder for the first time or that has work to begin
    /// ([`Context::spawn_when_settled`](crate::Context::spawn_when_settled)). Default: 32.
    ///
    /// Nothing leaves earlier for it: answers, sends and calls of [steps](crate::Context::step) wait for the commits of all
    /// messages before. What a handler does past its context does not: it may happen before the messages before it are on
    /// disk. If a commit is refused, the messages from there on are handled again, on the state of before, one by one.
    pub fn run_ahead(mut self, messages: u32) -> Self {
        self.settings.run_ahead = messages;
        self
    }

    /// How long the messages that wait for a [durable](ActorSpec::durable) actor may be in all, in bytes: one that would
    /// exceed it is refused with [`StoreError::InboxFull`](crate::StoreError::InboxFull), unless nothing else waits. Only
    /// messages of 4 KiB and more count, and those to whom they are a burden: the shorter ones are bounded by
    /// [`capacity`](ActorSpec::capacity). What comes from timers, and what is taken up, comes in all the same. Costs a look
    /// at all that wait for each long message. Default: 64 MiB.
    pub fn inbox_bytes(mut self, max: usize) -> Self {
        self.settings.inbox_bytes = max;
        self
    }

    /// Keeps the state alone in the store of the runtime. **The mailbox is in memory: what waits there is gone with the
    /// process**, and a sparing `policy` loses more; [`SnapshotPolicy`] says what.
    pub fn snapshotted(mut self, policy: SnapshotPolicy) -> Self {
        self.durability = Some(Arc::new(Durability::of_state(policy)));
        self
    }
}

impl<A: Actor> From<ActorSpec<A>> for PlaceSpec {
    fn from(spec: ActorSpec<A>) -> Self {
        let ActorSpec { name, args, settings, durability } = spec;
        let terms = Arc::new(Terms::<A> { args, settings });
        let renewed = terms.clone();
        let make = move |runtime: &Runtime, path: ActorPath| {
            let world = runtime.world();
            crate::runtime::check_durable(world, &path, durability.is_some(), settings.mailbox.overflow)?;
            world.directory.claim_or_insert::<Cell<A>>(&path, || {
                let keeps = durability.as_ref().map_or(Keeps::Nothing, |durability| durability.keeps());
                let core = CellCore::new(world.clone(), path.clone(), short_type_name::<A>(), keeps);
                Arc::new(Cell::new(core, terms.clone(), durability.clone()))
            })
        };
        PlaceSpec::new(name, make, move |place| {
            if let Ok(cell) = place.0.clone().as_any().downcast::<Cell<A>>() {
                cell.renew(renewed.clone());
            }
        })
    }
}

impl<A: Actor> Clone for ActorSpec<A> {
    fn clone(&self) -> Self {
        ActorSpec {
            name: self.name.clone(),
            args: self.args.clone(),
            settings: self.settings,
            durability: self.durability.clone(),
        }
    }
}

impl<A: Actor> fmt::Debug for ActorSpec<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActorSpec").field("name", &self.name).field("settings", &self.settings).finish()
    }
}
