//! Who is running on this thread, whom it waits for, and whether those waits close a ring.
//!
//! A handler that asks, or waits for room, keeps its own mailbox waiting meanwhile. Actors that wait for one another in
//! a ring would do so until their deadlines; the wait that would close the ring is refused instead.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use tracing::Span;
use tracing::level_filters::LevelFilter;

use crate::address::ActorPath;
use crate::cell::{CellCore, Incarnation};
use crate::message::reply::AnyReply;
use crate::message::{Head, Message};
use crate::sync::lock;

thread_local! {
    // Not a global of the library's: set only while a handler is polled, and holds that handler's own cell.
    static CURRENT: RefCell<Option<Inner>> = const { RefCell::new(None) };
    // Whether there is one: a look at this costs a tenth of a look at that, and most senders are no handlers.
    static IS_RUNNING: Cell<bool> = const { Cell::new(false) };
}

/// An incarnation whose code is about to be polled.
pub(crate) struct Running {
    inner: Option<Inner>,
    /// Entered with the incarnation; only made when somebody records at `trace`.
    span: Option<Box<Span>>,
}

pub(crate) struct Inner {
    pub(crate) core: Arc<CellCore>,
    pub(crate) incarnation: Incarnation,
    pub(crate) trace: u64,
    /// Whether its handler began to wait for somebody.
    has_waited: Cell<bool>,
}

/// While it lives, the thread runs the code of that incarnation.
pub(crate) struct Scope<'a>(&'a mut Running);

impl Running {
    pub(crate) fn new(core: Arc<CellCore>, incarnation: Incarnation) -> Self {
        Running {
            inner: Some(Inner { core, incarnation, trace: 0, has_waited: Cell::default() }),
            span: None,
        }
    }

    /// The same incarnation at work on the message with that head.
    #[inline]
    pub(crate) fn work_on(&mut self, head: &Head) {
        let Some(inner) = &mut self.inner else { return };
        inner.trace = head.trace();
        // Asked first: even a span that nobody records is made, moved and dropped.
        if LevelFilter::current() >= LevelFilter::TRACE {
            let (actor, message_id) = (&inner.core.path, head.id.0);
            let message_type = head.kind.look_up().name;
            let span = tracing::trace_span!("actor.handle", %actor, message_type, message_id);
            self.span = Some(Box::new(span));
        }
    }

    /// Its handler is done, and waits for nobody any more: a wait that is not over was moved elsewhere.
    #[inline]
    pub(crate) fn is_done(&mut self) {
        if let Some(inner) = &self.inner
            && inner.has_waited.take()
            && inner.core.is_current(inner.incarnation)
        {
            inner.core.waits.clear();
        }
    }

    #[inline]
    pub(crate) fn enter(&mut self) -> Scope<'_> {
        self.swap();
        if let Some(span) = &self.span {
            span.with_subscriber(|(id, subscriber)| subscriber.enter(id));
        }
        Scope(self)
    }

    /// In and out: the one before is kept here meanwhile, for a runtime polled inside another's handler.
    fn swap(&mut self) {
        CURRENT.with_borrow_mut(|current| {
            std::mem::swap(current, &mut self.inner);
            IS_RUNNING.set(current.is_some());
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.is_done();
    }
}

impl Drop for Scope<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(span) = &self.0.span {
            span.with_subscriber(|(id, subscriber)| subscriber.exit(id));
        }
        self.0.swap();
    }
}

/// Looks at the incarnation whose handler is being polled on this thread, if any.
#[inline]
pub(crate) fn with_running<T>(look: impl FnOnce(Option<&Inner>) -> T) -> T {
    if !IS_RUNNING.get() {
        return look(None);
    }
    CURRENT.with_borrow(|current| look(current.as_ref()))
}

/// The head of a message of type `M` that is sent now, past the context of its handler; or word that this must not be.
#[inline]
pub(crate) fn stamp<M: Message>() -> Result<Head, NotSent> {
    if !IS_RUNNING.get() {
        return Ok(Head::of::<M>());
    }
    with_running(|running| match running {
        None => Ok(Head::of::<M>()),
        Some(inner) if !inner.core.is_current(inner.incarnation) => Err(NotSent::Fenced),
        Some(inner) if inner.core.is_transactional => Err(NotSent::OutsideTransaction),
        Some(inner) => {
            let sender = Some(inner.core.path.clone());
            Ok(Head { sender, trace: inner.trace, ..Head::of::<M>() })
        }
    })
}

/// Why the code on this thread must not send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotSent {
    /// It belongs to an incarnation that was replaced.
    Fenced,
    /// It is the handler of a durable actor, and what it sends must be part of its transaction.
    OutsideTransaction,
}

/// Whether the code on this thread belongs to an incarnation that was replaced.
pub(crate) fn is_fenced() -> bool {
    with_running(|running| running.is_some_and(|inner| !inner.core.is_current(inner.incarnation)))
}

/// What a handler waits for.
pub(crate) enum WaitOn {
    /// A place in the mailbox of that cell.
    Room(Arc<CellCore>),
    /// An answer; who must give it can change, when the ask is forwarded.
    Reply(Arc<dyn AnyReply>),
}

impl WaitOn {
    fn holder(&self) -> Option<Arc<CellCore>> {
        match self {
            WaitOn::Room(cell) => Some(cell.clone()),
            WaitOn::Reply(reply) => reply.holder(),
        }
    }
}

/// The waits of the handler that runs in one cell.
#[derive(Default)]
pub(crate) struct Waits(Mutex<Vec<(u64, WaitOn)>>);

impl Waits {
    pub(crate) fn clear(&self) {
        let old = std::mem::take(&mut *lock(&self.0));
        drop(old);
    }

    fn next(&self) -> Vec<Arc<CellCore>> {
        lock(&self.0).iter().filter_map(|(_, on)| on.holder()).collect()
    }
}

/// A wait that was found to close no ring. Dropping it ends the wait.
pub(crate) struct Waiting {
    from: Arc<CellCore>,
    number: u64,
}

impl Waiting {
    /// Begins a wait of the handler that runs on this thread; `None` when none does: who is no actor closes no ring.
    ///
    /// # Errors
    ///
    /// The paths of the ring the wait would close, beginning with the one who asks.
    pub(crate) fn begin(on: WaitOn) -> Result<Option<Self>, Vec<ActorPath>> {
        let from = with_running(|running| {
            let inner = running?;
            inner.has_waited.set(true);
            Some(inner.core.clone())
        });
        let Some(from) = from else { return Ok(None) };
        let first = on.holder();
        let number = from.world.next_number();
        // Entered before looking: of two waits that close a ring together, at least one sees the other.
        lock(&from.waits.0).push((number, on));
        let waiting = Waiting { from: from.clone(), number };
        match first.and_then(|first| ring(&from, first)) {
            Some(paths) => Err(paths),
            None => Ok(Some(waiting)),
        }
    }

    /// Ends the wait if whoever polls it now is not the one that began it, which goes on without it.
    pub(crate) fn end_if_moved(waiting: &mut Option<Self>) {
        if let Some(Waiting { from, .. }) = waiting
            && !with_running(|running| running.is_some_and(|inner| Arc::ptr_eq(&inner.core, from)))
        {
            *waiting = None;
        }
    }

    /// Polls `work`, which is what is waited for.
    pub(crate) async fn during<F: Future>(mut waiting: Option<Self>, work: F) -> F::Output {
        let mut work = pin!(work);
        poll_fn(|context| {
            Self::end_if_moved(&mut waiting);
            work.as_mut().poll(context)
        })
        .await
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waits = lock(&self.from.waits.0);
        let ended =
            waits.iter().position(|(number, _)| *number == self.number).map(|at| waits.swap_remove(at));
        drop(waits);
        drop(ended);
    }
}

/// The ring that goes through `cell`, if its handler waits for something that only `cell` itself can bring: an ask of
/// its own that was forwarded to it.
pub(crate) fn through(cell: &Arc<CellCore>) -> Option<Vec<ActorPath>> {
    cell.waits.next().into_iter().find_map(|next| ring(cell, next))
}

/// The way along the waits from `first` back to `from`.
fn ring(from: &Arc<CellCore>, first: Arc<CellCore>) -> Option<Vec<ActorPath>> {
    // By identity: numbers are unique within one runtime only, and actors of two may wait for one another.
    let mut seen = vec![first.clone()];
    let mut ways = vec![vec![first]];
    while let Some(way) = ways.pop() {
        let last = way.last()?;
        if Arc::ptr_eq(last, from) {
            let mut paths = vec![from.path.clone()];
            paths.extend(way.iter().map(|cell| cell.path.clone()));
            return Some(paths);
        }
        for next in last.waits.next() {
            if !seen.iter().any(|known| Arc::ptr_eq(known, &next)) {
                seen.push(next.clone());
                let mut longer = way.clone();
                longer.push(next);
                ways.push(longer);
            }
        }
    }
    None
}
