//! What is kept of one actor.

use crate::store::Tries;
use std::collections::BTreeMap;

use super::*;
use crate::message::MessageId;
use crate::store::plan::ANSWERS_DELETED_MAX;
use crate::store::record::{ContentKey, RecordKey};
use crate::store::{
    Delivered, JournalEntry, LaidAside, LogEntry, Scan, StoredAnswer, StoredMessage, StoredTimer,
};

#[derive(Clone, Default)]
pub(super) struct Actor {
    pub(super) has_records: bool,
    pub(super) epoch: u64,
    /// Newest last.
    pub(super) snapshots: Vec<Snapshot>,
    pub(super) inbox: BTreeMap<MessageId, StoredMessage>,
    pub(super) aside: BTreeMap<MessageId, LaidAside>,
    pub(super) journal: BTreeMap<(MessageId, u32), Vec<u8>>,
    /// What a repeated request is told.
    pub(super) requests: BTreeMap<String, Delivered>,
    /// Each answer by its end and its request, and whether it was given in the group that is being made.
    pub(super) answers: BTreeMap<(u64, String), bool>,
    pub(super) timers: BTreeMap<String, StoredTimer>,
    pub(super) birth: Option<Vec<u8>>,
    pub(super) logs: BTreeMap<(u32, u64), Vec<u8>>,
}

impl Actor {
    pub(super) fn scan(&self) -> Scan {
        let entry = |(&(message, place), content): (&_, &Vec<u8>)| JournalEntry {
            message,
            place,
            content: content.clone(),
        };
        let logged =
            |(&(log, index), content): (&_, &Vec<u8>)| LogEntry { log, index, content: content.clone() };
        Scan {
            epoch: Epoch(self.epoch),
            snapshot: self.snapshots.last().cloned(),
            inbox: self.inbox.values().cloned().collect(),
            journal: self.journal.iter().map(entry).collect(),
            logs: self.logs.iter().map(logged).collect(),
            timers: self.timers.values().cloned().collect(),
            birth: self.birth.clone(),
            damage: Vec::new(),
        }
    }

    pub(super) fn asides(&self) -> Vec<LaidAside> {
        self.aside.values().cloned().collect()
    }

    /// One of the messages that wait or were laid aside, or one that never was.
    pub(super) fn any(&self, which: usize) -> MessageId {
        let ids: Vec<_> = self.inbox.keys().chain(self.aside.keys()).copied().collect();
        ids.get(which % (ids.len() + 1)).copied().unwrap_or(MessageId(u64::MAX))
    }

    pub(super) fn deliver(&mut self, numbers: &mut u64, message: StoredMessage) -> Delivered {
        if let Some(known) = message.request.as_ref().and_then(|request| self.requests.get(request)) {
            return known.clone();
        }
        *numbers += 1;
        let id = MessageId(*numbers);
        self.accept(StoredMessage { id, origin: id, ..message })
    }

    fn accept(&mut self, message: StoredMessage) -> Delivered {
        let id = message.id;
        self.has_records = true;
        message.request.clone().map(|request| self.requests.insert(request, Delivered::Waiting(id)));
        self.inbox.insert(id, message);
        Delivered::New(id)
    }

    pub(super) fn give_back(&mut self, numbers: &mut u64, message: MessageId) -> Delivered {
        let Some(aside) = self.aside.remove(&message) else { return Delivered::Unknown };
        *numbers += 1;
        self.accept(StoredMessage { id: MessageId(*numbers), expires_ms: None, ..aside.message })
    }

    pub(super) fn fire(
        &mut self,
        numbers: &mut u64,
        name: &str,
        due_ms: u64,
        next_ms: Option<u64>,
    ) -> Delivered {
        let is_due = |timer: &&mut StoredTimer| timer.due_ms == due_ms;
        let Some(timer) = self.timers.get_mut(name).filter(is_due) else { return Delivered::Unknown };
        let message = StoredMessage { due_ms: Some(due_ms), ..timer.message.clone() };
        match next_ms {
            Some(next_ms) => timer.due_ms = next_ms,
            None => drop(self.timers.remove(name)),
        }
        self.deliver(numbers, message)
    }

    pub(super) fn erase(&mut self) {
        if self.has_records {
            *self = Actor { has_records: true, epoch: self.epoch + 1, ..Actor::default() };
        }
    }

    pub(super) fn is_unfinished(&self) -> bool {
        !(self.inbox.is_empty() && self.journal.is_empty() && self.timers.is_empty())
    }

    pub(super) fn done(&mut self, which: usize, answer: Option<Answer>) -> Record {
        let message = self.any(which);
        let waiting = self.inbox.remove(&message);
        let request = waiting.as_ref().and_then(|waiting| waiting.request.clone());
        let answer = answer.map(|Answer { at_ms, until_ms, len, is_misled }| {
            let request = request.clone().filter(|_| !is_misled).unwrap_or_else(|| "r1".into());
            StoredAnswer { request, at_ms, until_ms, body: vec![7; len] }
        });
        if let Some(waiting) = waiting {
            self.journal.retain(|(of, _), _| *of != waiting.origin);
        }
        if let Some(request) = request {
            self.requests.remove(&request);
            answer.iter().filter(|answer| answer.request == request).for_each(|answer| self.keep(answer));
        }
        Record::Done { message, answer }
    }

    fn keep(&mut self, answer: &StoredAnswer) {
        let has_ended = |(until_ms, _): &(u64, String)| *until_ms < answer.at_ms;
        let ended = self.answers.iter().filter(|(end, _)| has_ended(end));
        let (new, old): (Vec<_>, Vec<_>) = ended.partition(|(_, is_new)| **is_new);
        let deleted = new.into_iter().chain(old.into_iter().take(ANSWERS_DELETED_MAX));
        for end in deleted.map(|(end, _)| end.clone()).collect::<Vec<_>>() {
            self.answers.remove(&end);
            self.requests.remove(&end.1);
        }
        self.answers.insert((answer.until_ms, answer.request.clone()), true);
        self.requests.insert(answer.request.clone(), Delivered::Answered(answer.body.clone()));
    }

    /// The records that all of this is in: the first of each content.
    pub(super) fn records(&self) -> impl Iterator<Item = RecordKey> {
        let waiting = self.inbox.keys().map(|id| ContentKey::Message(*id));
        let aside = self.aside.keys().map(|id| ContentKey::LaidAside(*id));
        let journal = self.journal.keys().map(|(of, place)| ContentKey::Journal(*of, *place));
        let requests = self.requests.keys().map(|request| ContentKey::Request(request.clone()));
        let tried = self.inbox.values().filter(|message| message.tries != Tries::default());
        let ends = self.answers.keys().cloned();
        let timers = self.timers.keys().map(|name| ContentKey::Timer(name.clone()));
        let birth = self.birth.iter().map(|_| ContentKey::Birth);
        let logs = self.logs.keys().map(|(log, index)| ContentKey::Entry(*log, *index));
        let contents =
            waiting.chain(aside).chain(logs).chain(journal).chain(requests).chain(timers).chain(birth);
        let contents = contents.map(|content| RecordKey::Content(content, 0));
        let ends = ends.map(|(until_ms, request)| RecordKey::AnswerEnd { until_ms, request });
        contents.chain(tried.map(|message| RecordKey::Tries(message.id))).chain(ends)
    }
}
