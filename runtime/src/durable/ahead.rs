//! Running ahead: an actor goes on to the next message while the commits of those before are under way.
//!
//! The commits of a life form a [`Chain`]: none is kept unless those before it are. If one is refused, the life goes back
//! to the state of before it, its message and all behind it are in their places again, and it takes those one by one: then
//! the one that cannot be committed fails like any other, and nobody else has to pay for it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::{future, pin::Pin};

use tokio::sync::oneshot;

use super::durability::Journal;
use super::logs::Marks;
use crate::message::MessageId;
use crate::store::{Chain, CommitError, Link};

/// What the commits under way of one actor may hold in memory, in bytes, before it waits for them.
const AHEAD_BYTES_MAX: usize = 1 << 20;

/// What becomes of a commit.
pub(super) type Outcome<T> = oneshot::Receiver<Result<T, CommitError>>;

/// The commits of a life that are under way.
pub(crate) struct RunAhead {
    /// How many there may be.
    limit: usize,
    /// Oldest first.
    under_way: VecDeque<UnderWay>,
    /// What they hold in memory.
    bytes: usize,
    chain: Arc<Chain>,
    /// What became of the oldest, if it was refused.
    refused: Option<(UnderWay, CommitError)>,
    /// Messages up to this one are taken one by one.
    one_by_one: MessageId,
}

struct UnderWay {
    message: MessageId,
    outcome: Outcome<()>,
    bytes: usize,
    /// What there was before, if there is a new state.
    before: Option<Before>,
}

/// A state, as it was stored: its number, its bytes, its logs.
struct Before {
    seq: u64,
    state: Vec<u8>,
    logs: Marks,
}

impl RunAhead {
    pub(super) fn new(limit: u32) -> Self {
        RunAhead {
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            under_way: VecDeque::new(),
            bytes: 0,
            chain: Arc::default(),
            refused: None,
            one_by_one: MessageId::default(),
        }
    }

    /// The process ended over the first of the messages that wait, or over one that was handled ahead while the first waited
    /// for its commit: they are taken one by one, so that the next end, if there is one, finds the culprit first in line.
    pub(super) fn is_suspect(&mut self, waiting: &[MessageId]) {
        let last = self.limit.min(waiting.len().saturating_sub(1));
        self.one_by_one = waiting.get(last).copied().unwrap_or_default();
    }

    /// Whether the life need not wait for the commit of the message with that number.
    pub(super) fn may_begin(&self, message: MessageId) -> bool {
        self.limit > 1 && message > self.one_by_one
    }

    /// For a commit that is waited for.
    pub(super) fn follows(&self) -> Link {
        if self.is_empty() { Link::Free } else { Link::Follows(self.chain.clone()) }
    }

    /// For a commit that is not.
    pub(super) fn carries(&self) -> Link {
        Link::Carries(self.chain.clone())
    }

    fn is_empty(&self) -> bool {
        self.under_way.is_empty() && self.refused.is_none()
    }

    fn is_full(&self) -> bool {
        self.under_way.len() >= self.limit || self.bytes > AHEAD_BYTES_MAX
    }

    /// Waits until the oldest is kept, or refused. Ready at once if there is none, or it is known. May be dropped.
    fn poll_oldest(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.refused.is_some() {
            return Poll::Ready(());
        }
        let Some(oldest) = self.under_way.front_mut() else { return Poll::Ready(()) };
        let outcome = ready!(Pin::new(&mut oldest.outcome).poll(context));
        self.oldest_is(outcome.unwrap_or(Err(CommitError::Unavailable)));
        Poll::Ready(())
    }

    fn oldest_is(&mut self, outcome: Result<(), CommitError>) {
        let Some(oldest) = self.under_way.pop_front() else { return };
        self.bytes -= oldest.bytes;
        if let Err(error) = outcome {
            self.refused = Some((oldest, error));
        }
    }

    /// Waits until one more may be under way, or one was refused.
    pub(super) async fn has_room(&mut self) {
        while self.is_full() && self.refused.is_none() {
            future::poll_fn(|context| self.poll_oldest(context)).await;
        }
    }
}

impl Journal {
    /// For a commit of this life that is waited for.
    pub(crate) fn follows(&self) -> Link {
        self.ahead.follows()
    }

    /// Whether commits are under way, or one was refused.
    pub(crate) fn is_ahead(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Whether a commit was refused, as far as is known by now.
    pub(crate) fn was_refused(&mut self) -> bool {
        let ahead = &mut self.ahead;
        while ahead.refused.is_none()
            && let Some(oldest) = ahead.under_way.front_mut()
        {
            match oldest.outcome.try_recv() {
                Ok(outcome) => ahead.oldest_is(outcome),
                Err(oneshot::error::TryRecvError::Empty) => break,
                Err(oneshot::error::TryRecvError::Closed) => ahead.oldest_is(Err(CommitError::Unavailable)),
            }
        }
        ahead.refused.is_some()
    }

    /// A commit of `bytes` was queued, of the message with that number. `is_new`: with the state in `scratch`.
    pub(super) fn runs_ahead(
        &mut self,
        message: MessageId,
        outcome: Outcome<()>,
        bytes: usize,
        is_new: bool,
    ) {
        let before = is_new.then(|| {
            let (seq, logs) = (self.seq, self.logs.marks());
            self.is_queued();
            Before { seq, state: std::mem::take(&mut self.scratch), logs }
        });
        let held = bytes + before.as_ref().map_or(0, |before| before.state.len());
        self.ahead.bytes += held;
        self.ahead.under_way.push_back(UnderWay { message, outcome, bytes: held, before });
        self.forget_old_entries();
    }

    /// Lets go the entries of logs that no state knows to which the life may go back.
    pub(super) fn forget_old_entries(&mut self) {
        let Journal { logs, ahead, .. } = self;
        let refused = ahead.refused.as_ref().map(|(refused, _)| refused);
        let may_come_back = refused.into_iter().chain(&ahead.under_way);
        let oldest = may_come_back.filter_map(|under_way| under_way.before.as_ref()).next();
        logs.forget_before(oldest.map(|before| &before.logs));
    }

    /// Waits for `woken`, or until more is known of the commits under way.
    pub(crate) async fn known_or(&mut self, woken: impl Future<Output = ()>) {
        let mut woken = std::pin::pin!(woken);
        future::poll_fn(|context| match self.ahead.poll_oldest(context) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => woken.as_mut().poll(context),
        })
        .await;
    }

    /// Waits for all commits under way.
    ///
    /// # Errors
    ///
    /// Why one was refused. Then the journal is that of before it, for none behind it was kept either.
    pub(crate) async fn all_kept(&mut self) -> Result<(), CommitError> {
        while self.ahead.refused.is_none() && !self.ahead.under_way.is_empty() {
            future::poll_fn(|context| self.ahead.poll_oldest(context)).await;
        }
        let Some((refused, error)) = self.ahead.refused.take() else { return Ok(()) };
        // Those behind it are refused as well; waited for, so that what they held back is let go.
        let (mut before, mut last) = (refused.before, refused.message);
        for UnderWay { message, outcome, before: then, .. } in self.ahead.under_way.drain(..) {
            last = message;
            drop(outcome.await);
            before = before.or(then);
        }
        if let Some(Before { seq, state, logs }) = before {
            (self.seq, self.last) = (seq, state);
            self.logs.rewind(logs);
        }
        self.ahead.bytes = 0;
        self.ahead.chain = Arc::default();
        self.ahead.one_by_one = last;
        Err(error)
    }
}
