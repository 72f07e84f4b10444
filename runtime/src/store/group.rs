//! A group: requests of the writer's queue, carried out with as few flushes as their order allows.

use std::slice::from_ref;

use super::error::catching;
use super::writer::{Answer, Claim, CommitError, Committed, GROUP_BYTES_MAX, Read, Request, Shared};
use super::{Batch, BatchOutcome, Link, Scan, Store, StoreError, Writer};
use crate::address::{ActorPath, Epoch};

/// Carries out `requests` in their order, with as few flushes as that allows. Blocks.
pub(super) fn carry_out(store: &dyn Store, shared: &Shared, requests: Vec<Request>) {
    let mut group =
        Group { store, shared, batches: Vec::new(), links: Vec::new(), waiters: Vec::new(), loaded_bytes: 0 };
    for request in requests {
        match request {
            Request::Commit { batch, link, answer } => match link.broken() {
                None => group.add(batch, link, Waiter::Commit(answer)),
                Some(error) => answer.give(Err(error.into())),
            },
            Request::Claim { actor, at_least, answer } => group.claim(actor, at_least, answer),
            Request::Read { read, .. } => group.read_all(read),
        }
    }
    group.flush();
}

/// Batches on their way into one flush, each with who waits for it.
struct Group<'a> {
    store: &'a dyn Store,
    shared: &'a Shared,
    batches: Vec<Batch>,
    /// As long as `batches`.
    links: Vec<Link>,
    /// As long as `batches`.
    waiters: Vec<Waiter>,
    /// Contents, in bytes, that were read for claims and wait here for their answer.
    loaded_bytes: usize,
}

enum Waiter {
    Commit(Answer<Committed>),
    Claim(Answer<Claim>, Epoch, Box<Scan>),
}

impl Group<'_> {
    fn add(&mut self, batch: Batch, link: Link, waiter: Waiter) {
        // A conflict refuses one batch alone, and would leave what stands on it: so nothing stands on such a one.
        debug_assert!(!(batch.changes_a_case() && link.carries()), "a change of a case is waited for");
        self.batches.push(batch);
        self.links.push(link);
        self.waiters.push(waiter);
    }

    fn claim(&mut self, actor: ActorPath, at_least: Epoch, answer: Answer<Claim>) {
        match self.read(&actor, |store| store.scan(&actor)) {
            Ok(scan) => {
                let epoch = scan.epoch.max(at_least).next();
                self.loaded_bytes += scan.len_bytes();
                self.add(
                    Batch::claim(actor, epoch),
                    Link::Free,
                    Waiter::Claim(answer, epoch, Box::new(scan)),
                );
            }
            Err(error) => answer.give(Err(error.into())),
        }
    }

    fn read_all(&mut self, read: Read) {
        self.flush();
        match self.shared.failure.get() {
            Some(failure) => read(Err(failure.clone())),
            None => read(Ok(self.store)),
        }
    }

    /// Reads what is kept of `actor`, with all that was queued before.
    fn read<T>(
        &mut self,
        actor: &ActorPath,
        read: impl FnOnce(&dyn Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.loaded_bytes > GROUP_BYTES_MAX || self.batches.iter().any(|batch| batch.touches(actor)) {
            self.flush();
        }
        let found = match self.shared.failure.get() {
            Some(failure) => Err(failure.clone()),
            None => catching(|| read(self.store)),
        };
        found.inspect_err(|error| self.shared.fail(error))
    }

    fn flush(&mut self) {
        let batches = std::mem::take(&mut self.batches);
        let links = std::mem::take(&mut self.links);
        let results = self.commit(&batches, &links);
        for ((batch, waiter), result) in batches.into_iter().zip(self.waiters.drain(..)).zip(results) {
            let committed = match (result, batch.writer) {
                (Ok(BatchOutcome::Committed { seq, deliveries }), _) => Ok(Committed { seq, deliveries }),
                (Ok(BatchOutcome::Stale { stored }), Some(Writer { actor, epoch })) => {
                    Err(CommitError::Stale { actor, epoch, stored })
                }
                (Ok(BatchOutcome::Conflict { case, found }), _) => Err(CommitError::Conflict { case, found }),
                (Ok(BatchOutcome::Stale { .. }), None) => unreachable!("without a writer nothing is stale"),
                (Err(error), _) => Err(CommitError::Store(error)),
            };
            match waiter {
                Waiter::Commit(answer) => answer.give(committed),
                Waiter::Claim(answer, epoch, scan) => {
                    answer.give(committed.map(|Committed { seq, .. }| Claim { epoch, scan: *scan, seq }));
                }
            }
        }
        self.loaded_bytes = 0;
    }

    /// One result for each batch.
    fn commit(&self, batches: &[Batch], links: &[Link]) -> Vec<Result<BatchOutcome, StoreError>> {
        let committed = match (batches, self.shared.failure.get()) {
            ([], _) => return Vec::new(),
            (_, Some(failure)) => Err(failure.clone()),
            (_, None) => catching(|| self.store.commit(batches)),
        };
        match committed {
            Ok(outcomes) => {
                assert_eq!(outcomes.len(), batches.len(), "a store answers each batch of a group");
                self.shared.count(&outcomes);
                outcomes.into_iter().map(Ok).collect()
            }
            // Refused, and nothing written: one by one, so that only the culprit is refused, and what stands on it.
            Err(error) if !error.is_final() && batches.len() > 1 => {
                let mut results = Vec::with_capacity(batches.len());
                for (batch, link) in batches.iter().zip(links) {
                    match link.broken() {
                        None => results.extend(self.commit(from_ref(batch), from_ref(link))),
                        Some(error) => results.push(Err(error)),
                    }
                }
                results
            }
            Err(error) => {
                self.shared.fail(&error);
                links.iter().for_each(|link| link.was_refused(&error));
                batches.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }
}
