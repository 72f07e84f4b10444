//! What a store must hold, as plain maps.

use crate::store::Tries;
use std::collections::{BTreeMap, BTreeSet};

use super::actor::Actor;
use super::*;
use crate::message::MessageId;
use crate::store::record::{RecordKey, actor_prefix};
use crate::store::{
    BatchOutcome, CaseChange, CaseOffer, CaseOwner, CommitSeq, Delivered, JournalEntry, LaidAside,
    ListedCase, LogEntry, StoredMessage, StoredTimer,
};

/// What is kept of each actor, and how many numbers were given.
#[derive(Clone, Default)]
pub(in super::super) struct Model {
    pub(super) actors: [Actor; ACTORS.len()],
    numbers: u64,
    pub(super) cases: BTreeMap<&'static str, CaseOwner>,
}

/// Carries out `steps`, each outcome and what is found at the end compared with the model's.
pub(in super::super) fn agrees_with_the_model(store: &dyn Store, steps: &[Step]) -> Model {
    let mut model = Model::default();
    for steps in steps.chunk_by(|step, _| !step.ends_group) {
        let before = model.clone();
        let (group, expected): (Vec<_>, Vec<_>) = steps.iter().map(|step| model.carry_out(step)).unzip();
        match steps.iter().any(|step| step.is_refused) {
            true => {
                assert!(matches!(store.commit(&group), Err(StoreError::NoWriter)));
                model = before;
            }
            false => assert_eq!(store.commit(&group).unwrap(), expected),
        }
        for actor in &mut model.actors {
            actor.answers.values_mut().for_each(|is_new| *is_new = false);
        }
    }
    assert!(model.is_found_in(store));
    assert_eq!(store.actors().unwrap(), model.sorted(|actor| actor.has_records));
    assert_eq!(store.unfinished().unwrap(), model.sorted(Actor::is_unfinished));
    model
}

impl Model {
    fn sorted(&self, is_listed: impl Fn(&Actor) -> bool) -> Vec<ActorPath> {
        let listed = ACTORS.iter().zip(&self.actors).filter(|(_, actor)| is_listed(actor));
        let mut listed: Vec<_> = listed.map(|(name, _)| path(name)).collect();
        listed.sort();
        listed
    }

    /// The batch of `step`, and what must become of it.
    fn carry_out(&mut self, step: &Step) -> (Batch, BatchOutcome) {
        let writer = step.writer.map(|(actor, ahead)| {
            (actor, self.actors[actor].epoch.saturating_add_signed(ahead), self.actors[actor].epoch)
        });
        let before = self.clone();
        if let Some((actor, epoch, _)) = writer {
            // So it has an epoch to be raised, should it be erased in this very batch.
            (self.actors[actor].epoch, self.actors[actor].has_records) = (epoch, true);
        }
        let (mut records, mut deliveries) = (Vec::new(), Vec::new());
        let mut conflict = None;
        for act in &step.acts {
            let by = writer.map(|(actor, ..)| actor);
            if let Act::Case { case, what } = *act {
                let Some(change) = what.change(by) else { continue };
                if conflict.is_none() && !self.change(CASES[case], what, by) {
                    conflict = Some((CASES[case].to_owned(), self.cases.get(CASES[case]).cloned()));
                }
                records.push(Record::Case { case: CASES[case].into(), change });
                continue;
            }
            records.extend(self.act(by, *act, &mut deliveries));
        }
        if step.is_refused {
            records.push(Record::Tries { message: MessageId(1), tries: Tries { falls: 1, openings: 1 } });
            return (Batch::from_outside(records), BatchOutcome::Stale { stored: Epoch(0) });
        }
        if let Some((case, found)) = conflict {
            *self = before;
            let (batch, stale) = match writer {
                None => (Batch::from_outside(records), None),
                Some((actor, epoch, stored)) => {
                    let batch = Batch::of(path(ACTORS[actor]), Epoch(epoch), records);
                    (batch, (epoch < stored).then_some(BatchOutcome::Stale { stored: Epoch(stored) }))
                }
            };
            return (batch, stale.unwrap_or(BatchOutcome::Conflict { case, found }));
        }
        self.numbers += 1;
        let committed = BatchOutcome::Committed { seq: CommitSeq(self.numbers), deliveries };
        match writer {
            None => (Batch::from_outside(records), committed),
            Some((actor, epoch, stored)) => {
                let batch = Batch::of(path(ACTORS[actor]), Epoch(epoch), records);
                if epoch < stored {
                    *self = before;
                    return (batch, BatchOutcome::Stale { stored: Epoch(stored) });
                }
                (batch, committed)
            }
        }
    }

    /// The record of `act`, unless nobody can write it.
    fn act(&mut self, writer: Option<usize>, act: Act, deliveries: &mut Vec<Delivered>) -> Option<Record> {
        let own = writer.map(|actor| &mut self.actors[actor]);
        match act {
            Act::Snapshot { len } => {
                let own = own?;
                own.snapshots.push(snapshot(own.snapshots.len() as u64 + 1, len));
                Some(Record::Snapshot(own.snapshots.last()?.clone()))
            }
            Act::Deliver { to, request, len } => {
                let request = request.map(|request| REQUESTS[request].to_owned());
                let sender = writer.map(|actor| path(ACTORS[actor]));
                let body = vec![len as u8; len];
                let message = StoredMessage { request, sender, expires_ms: Some(7), body, ..message() };
                deliveries.push(self.actors[to].deliver(&mut self.numbers, message.clone()));
                Some(Record::Deliver { to: path(ACTORS[to]), message })
            }
            Act::Done { which, answer } => Some(own?.done(which, answer)),
            Act::Tries { which, tries } => {
                let own = own?;
                let message = own.any(which);
                own.inbox.get_mut(&message).into_iter().for_each(|waiting| waiting.tries = tries);
                Some(Record::Tries { message, tries })
            }
            Act::LayAside { which } => {
                let own = own?;
                let (message, cause) = (own.any(which), which.to_string());
                if let Some(waiting) = own.inbox.remove(&message) {
                    let aside = LaidAside {
                        message: StoredMessage { tries: Tries::default(), ..waiting },
                        cause: cause.clone(),
                    };
                    if let Some(request) = &aside.message.request
                        && let Some(known) = own.requests.get_mut(request)
                        && *known == Delivered::Waiting(message)
                    {
                        *known = Delivered::LaidAside { id: message, cause: cause.clone() };
                    }
                    own.aside.insert(message, aside);
                }
                Some(Record::LayAside { message, cause })
            }
            Act::Return { to, which } => {
                let actor = &mut self.actors[to];
                let message = actor.any(which);
                deliveries.push(actor.give_back(&mut self.numbers, message));
                Some(Record::Return { to: path(ACTORS[to]), message })
            }
            Act::Forget { of, which } => {
                let actor = &mut self.actors[of];
                let message = actor.any(which);
                if let Some(aside) = actor.aside.remove(&message) {
                    actor.journal.retain(|(of, _), _| *of != aside.message.origin);
                    aside.message.request.map(|request| actor.requests.remove(&request));
                }
                Some(Record::Forget { of: path(ACTORS[of]), message })
            }
            Act::Journal { which, place, len } => {
                let own = own?;
                let id = own.any(which);
                let aside = own.aside.get(&id).map(|aside| &aside.message);
                let message = own.inbox.get(&id).or(aside)?.origin;
                let content = vec![place as u8; len];
                own.journal.insert((message, place), content.clone());
                Some(Record::Journal(JournalEntry { message, place, content }))
            }
            Act::ForgetJournal { which } => {
                let own = own?;
                let id = own.any(which);
                let aside = own.aside.get(&id).map(|aside| &aside.message);
                let message = own.inbox.get(&id).or(aside).map_or(id, |message| message.origin);
                own.journal.retain(|(of, _), _| *of != message);
                Some(Record::ForgetJournal { message })
            }
            Act::SetTimer { name, due_ms, request, len } => {
                let request = request.map(|request| REQUESTS[request].to_owned());
                let message =
                    StoredMessage { request, expires_ms: Some(9), body: vec![len as u8; len], ..message() };
                let every_ms = (due_ms > 0).then_some(due_ms);
                let timer = StoredTimer { name: TIMERS[name].into(), due_ms, every_ms, message };
                own?.timers.insert(timer.name.clone(), timer.clone());
                Some(Record::SetTimer(timer))
            }
            Act::CancelTimer { name } => {
                own?.timers.remove(TIMERS[name]);
                Some(Record::CancelTimer { name: TIMERS[name].into() })
            }
            Act::Fire { name, due_ms, next_ms } => {
                deliveries.push(own?.fire(&mut self.numbers, TIMERS[name], due_ms, next_ms));
                Some(Record::Fire { name: TIMERS[name].into(), due_ms, next_ms })
            }
            Act::Birth { of, len } => {
                let content = vec![of as u8; len];
                (self.actors[of].birth, self.actors[of].has_records) = (Some(content.clone()), true);
                Some(Record::Birth { of: path(ACTORS[of]), content })
            }
            Act::Append { log, index, len } => {
                let content = vec![index as u8; len];
                own?.logs.insert((log, index), content.clone());
                Some(Record::Append(LogEntry { log, index, content }))
            }
            Act::Trim { log, from, keep } => {
                let keep = from..from + keep;
                own?.logs.retain(|(of, index), _| *of != log || keep.contains(index));
                Some(Record::Trim { log, keep })
            }
            Act::Case { .. } => unreachable!("dealt with before"),
            Act::Erase { of } => {
                self.actors[of].erase();
                Some(Record::Erase { of: path(ACTORS[of]) })
            }
        }
    }

    /// Carries out `what`; `false`, and nothing is changed, if the case is not as that expects.
    fn change(&mut self, case: &'static str, what: CaseAct, by: Option<usize>) -> bool {
        let kept = self.cases.get(case).cloned();
        let owner = |actor: usize| path(ACTORS[actor]);
        let is_own = by.is_some_and(|by| kept.as_ref().is_some_and(|kept| kept.owner == owner(by)));
        let hop = kept.as_ref().map_or(0, |kept| kept.hop);
        let pending = kept.as_ref().and_then(|kept| kept.offer.as_ref()).map(|offer| offer.hop);
        let found = kept.as_ref().map(|kept| kept.owner.clone());
        let owned = |by: usize, hop| CaseOwner { owner: owner(by), hop, offer: None };
        let after = match (what, by) {
            (CaseAct::Open, Some(by)) if kept.is_none() => Some(owned(by, 0)),
            (CaseAct::Offer(next), Some(by)) if is_own && next > hop => {
                Some(CaseOwner { offer: Some(CaseOffer { hop: next, to: "r".into() }), ..owned(by, hop) })
            }
            (CaseAct::Withdraw, Some(by)) if is_own => Some(owned(by, hop)),
            (CaseAct::Accept { from, hop }, Some(by))
                if pending == Some(hop) && found == Some(owner(from)) =>
            {
                Some(owned(by, hop))
            }
            (CaseAct::Close, Some(_)) if is_own => None,
            (CaseAct::Assign { from, to }, _) if found == from.map(owner) => {
                to.map(|to| owned(to, hop.max(pending.unwrap_or(0))))
            }
            _ => return false,
        };
        match after {
            Some(after) => drop(self.cases.insert(case, after)),
            None => drop(self.cases.remove(case)),
        }
        true
    }

    pub(super) fn listed(&self) -> Vec<ListedCase> {
        self.cases.iter().map(|(case, owner)| ((*case).to_owned(), Ok(owner.clone()))).collect()
    }

    /// Whether `store` finds all of it.
    pub(in super::super) fn is_found_in(&self, store: &dyn Store) -> bool {
        let cases = CASES.iter().all(|case| store.case(case).unwrap().as_ref() == self.cases.get(case));
        let are_listed = store.cases(None, 9).unwrap() == self.listed();
        cases
            && are_listed
            && ACTORS.iter().zip(&self.actors).all(|(name, actor)| {
                let (found, aside) =
                    (store.scan(&path(name)).unwrap(), store.laid_aside(&path(name)).unwrap());
                found == actor.scan() && aside == actor.asides()
            })
    }

    /// Whether the records of messages in `store` are those that the model knows of, and no other.
    pub(in super::super) fn has_left_exactly(&self, store: &MemoryStore) -> bool {
        let is_exact = |(name, actor): (&&str, &Actor)| {
            let prefix = actor_prefix(&path(name));
            let found = store.raw_records().into_iter().filter_map(|(key, _)| {
                let record = RecordKey::decode(key.strip_prefix(prefix.as_slice())?).unwrap();
                let is_first = matches!(record, RecordKey::Content(_, 0));
                (is_first || matches!(record, RecordKey::Tries(_) | RecordKey::AnswerEnd { .. }))
                    .then_some(key)
            });
            found.collect::<BTreeSet<_>>()
                == actor.records().map(|record| record.encode(&path(name))).collect()
        };
        ACTORS.iter().zip(&self.actors).all(is_exact)
    }
}

impl CaseAct {
    /// As a record; `None`: nobody can write it.
    fn change(self, by: Option<usize>) -> Option<CaseChange> {
        let owner = |actor: usize| path(ACTORS[actor]);
        match self {
            CaseAct::Assign { from, to } => {
                return Some(CaseChange::Assign { from: from.map(owner), to: to.map(owner) });
            }
            _ => by?,
        };
        Some(match self {
            CaseAct::Open => CaseChange::Open,
            CaseAct::Offer(hop) => CaseChange::Offer(CaseOffer { hop, to: "r".into() }),
            CaseAct::Withdraw => CaseChange::Withdraw,
            CaseAct::Accept { from, hop } => CaseChange::Accept { from: owner(from), hop },
            CaseAct::Close => CaseChange::Close,
            CaseAct::Assign { .. } => unreachable!("dealt with before"),
        })
    }
}

fn message() -> StoredMessage {
    StoredMessage { name: "test.message".into(), version: 1, trace: 7, ..StoredMessage::default() }
}
