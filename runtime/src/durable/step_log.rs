//! The journal of the steps of an actor's messages: what was begun outside, and what came of it.
//!
//! Each step has a number within its message, in the order in which the handler made it, and two places in the journal:
//! `2 * number` for what it intends, `2 * number + 1` for what came of it. What is no call, such as a look at the clock,
//! has only the second.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::message::{Failure, FailureClass, MessageId};
use crate::store::{JournalEntry, Record};
use crate::sync::lock;

/// How a step may be repeated when nobody can say whether it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// It changes nothing outside, such as a question to a model: repeated.
    Pure,
    /// The other side recognises the [`key`](crate::Step::key): repeated with the same key.
    Idempotent,
    /// Neither: the actor is parked until somebody says whether it happened.
    Once,
}

/// What a step is about to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Intent {
    pub(crate) name: String,
    pub(crate) effect: Effect,
    /// A hash of the encoded input.
    pub(crate) input: u64,
    /// A person said that it did not happen.
    #[serde(default)]
    pub(crate) may_repeat: bool,
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Completion {
    /// The encoded result.
    Result(Vec<u8>),
    /// It failed, and would fail again.
    Failed { class: FailureClass, text: String },
    /// The handler let it go before it was through.
    Dropped,
    /// A look at the clock: milliseconds since 1970.
    Time(u64),
    /// New code runs from here on: see [`Context::changed`](crate::Context::changed).
    Changed(String),
}

impl Completion {
    pub(crate) fn of_failure(failure: &Failure) -> Self {
        Completion::Failed { class: failure.class(), text: failure.to_string() }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let encoded = |tag: u8, rest: &[u8]| [&[tag], rest].concat();
        match self {
            Completion::Result(result) => encoded(0, result),
            Completion::Failed { class, text } => {
                let failure = rmp_serde::to_vec(&(class, text));
                encoded(1, &failure.expect("a class and a text have an encoded form"))
            }
            Completion::Dropped => vec![2],
            Completion::Time(ms) => encoded(3, &ms.to_be_bytes()),
            Completion::Changed(name) => encoded(4, name.as_bytes()),
        }
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        match tag {
            0 => Some(Completion::Result(rest.to_vec())),
            1 => {
                let (class, text) = rmp_serde::from_slice(rest).ok()?;
                Some(Completion::Failed { class, text })
            }
            2 => Some(Completion::Dropped),
            3 => Some(Completion::Time(u64::from_be_bytes(rest.try_into().ok()?))),
            4 => Some(Completion::Changed(String::from_utf8(rest.to_vec()).ok()?)),
            _ => None,
        }
    }
}

/// What is written of one step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recorded {
    pub(crate) intent: Option<Intent>,
    pub(crate) completion: Option<Completion>,
}

/// The journals of the messages of one actor, as they are on disk.
#[derive(Debug, Default)]
pub(crate) struct StepLog(Mutex<Content>);

#[derive(Debug, Default)]
struct Content {
    on_disk: BTreeMap<(MessageId, u32), Recorded>,
    /// What goes along with the next commit: nothing outside knows of it yet.
    pending: Vec<JournalEntry>,
}

impl StepLog {
    /// Reads what is stored, and says of which messages an entry makes no sense.
    pub(crate) fn read(entries: Vec<JournalEntry>) -> (Self, Vec<MessageId>) {
        let mut on_disk: BTreeMap<_, Recorded> = BTreeMap::new();
        let mut damaged = Vec::new();
        for JournalEntry { message, place, content } in entries {
            let recorded = on_disk.entry((message, place / 2)).or_default();
            let is_read = if place % 2 == 0 {
                recorded.intent = rmp_serde::from_slice(&content).ok();
                recorded.intent.is_some()
            } else {
                recorded.completion = Completion::from_bytes(&content);
                recorded.completion.is_some()
            };
            if !is_read {
                damaged.push(message);
            }
        }
        (StepLog(Mutex::new(Content { on_disk, pending: Vec::new() })), damaged)
    }

    /// What is known of step `number` of `message`.
    pub(crate) fn recorded(&self, message: MessageId, number: u32) -> Option<Recorded> {
        lock(&self.0).on_disk.get(&(message, number)).cloned()
    }

    /// The first step of `message` from `number` on.
    pub(crate) fn next_from(&self, message: MessageId, number: u32) -> Option<(u32, Recorded)> {
        let content = lock(&self.0);
        let mut steps = content.on_disk.range((message, number)..=(message, u32::MAX));
        steps.next().map(|((_, number), recorded)| (*number, recorded.clone()))
    }

    /// Notes what came of a step, to go along with the next commit.
    pub(crate) fn note(&self, message: MessageId, number: u32, completion: Completion) {
        let mut content = lock(&self.0);
        content.pending.push(JournalEntry { message, place: 2 * number + 1, content: completion.to_bytes() });
        content.on_disk.entry((message, number)).or_default().completion = Some(completion);
    }

    /// The records with which a commit begins: what was noted since the last.
    pub(crate) fn take_pending(&self) -> Vec<Record> {
        std::mem::take(&mut lock(&self.0).pending).into_iter().map(Record::Journal).collect()
    }

    pub(crate) fn intent_record(message: MessageId, number: u32, intent: &Intent) -> Record {
        let content = rmp_serde::to_vec_named(intent).expect("names and numbers have an encoded form");
        Record::Journal(JournalEntry { message, place: 2 * number, content })
    }

    pub(crate) fn completion_record(message: MessageId, number: u32, completion: &Completion) -> Record {
        let content = completion.to_bytes();
        Record::Journal(JournalEntry { message, place: 2 * number + 1, content })
    }

    /// An intent is on disk.
    pub(crate) fn intended(&self, message: MessageId, number: u32, intent: Intent) {
        let recorded = Recorded { intent: Some(intent), completion: None };
        lock(&self.0).on_disk.insert((message, number), recorded);
    }

    /// What came of a step is on disk.
    pub(crate) fn completed(&self, message: MessageId, number: u32, completion: Completion) {
        lock(&self.0).on_disk.entry((message, number)).or_default().completion = Some(completion);
    }

    /// The message is done, or its journal deleted.
    pub(crate) fn forget(&self, message: MessageId) {
        let mut content = lock(&self.0);
        content.pending.retain(|entry| entry.message != message);
        content.on_disk.retain(|(of, _), _| *of != message);
    }

    /// The handler did not come to its end: what it noted and what never went along with a commit did not happen.
    pub(crate) fn drop_pending(&self) {
        let mut content = lock(&self.0);
        for entry in std::mem::take(&mut content.pending) {
            let at = (entry.message, entry.place / 2);
            if let Some(recorded) = content.on_disk.get_mut(&at) {
                recorded.completion = None;
                if recorded.intent.is_none() {
                    content.on_disk.remove(&at);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_a_step_is_read_as_it_was_written() {
        let completions = [
            Completion::Result(vec![1, 2, 3]),
            Completion::Result(Vec::new()),
            Completion::Failed { class: FailureClass::Invalid, text: "no such order".into() },
            Completion::Dropped,
            Completion::Time(1_700_000_000_000),
            Completion::Changed("ask twice".into()),
        ];
        for completion in completions {
            assert_eq!(Completion::from_bytes(&completion.to_bytes()), Some(completion));
        }
        assert_eq!(Completion::from_bytes(&[]), None);
        assert_eq!(Completion::from_bytes(&[9]), None);
    }

    #[test]
    fn a_log_is_read_as_it_was_recorded() {
        let (message, other) = (MessageId(7), MessageId(8));
        let intent = Intent { name: "pay".into(), effect: Effect::Once, input: 5, may_repeat: false };
        let done = Completion::Result(vec![1]);
        let records = [
            StepLog::intent_record(message, 0, &intent),
            StepLog::completion_record(message, 0, &done),
            StepLog::intent_record(other, 3, &intent),
        ];
        let entries = records.map(|record| match record {
            Record::Journal(entry) => entry,
            other => panic!("{other:?} is no entry of a journal"),
        });

        let (log, damaged) = StepLog::read(entries.into());
        assert_eq!(damaged, []);

        let recorded = Recorded { intent: Some(intent.clone()), completion: Some(done) };
        assert_eq!(log.recorded(message, 0), Some(recorded));
        assert_eq!(log.recorded(message, 1), None);
        assert_eq!(log.next_from(message, 1), None);
        assert_eq!(log.next_from(other, 0).map(|(number, _)| number), Some(3));
        log.forget(other);
        assert_eq!(log.next_from(other, 0), None);
    }

    #[test]
    fn what_was_only_noted_is_dropped_with_its_handler() {
        let log = StepLog::default();
        log.note(MessageId(1), 0, Completion::Time(5));
        assert_eq!(log.recorded(MessageId(1), 0).unwrap().completion, Some(Completion::Time(5)));

        log.drop_pending();

        assert_eq!(log.recorded(MessageId(1), 0), None);
        assert!(log.take_pending().is_empty());
    }
}
