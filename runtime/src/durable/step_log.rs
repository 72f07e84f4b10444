//! The journal of the steps of an actor's messages: what was begun outside, and what came of it.
//!
//! Each step has a number within its message, in the order in which the handler made it. That is its place in the journal:
//! first what it intends stands there, then that and what came of it. What is no call, such as a look at the clock, has
//! only the second.
//!
//! ```text
//! entry       length u32 | intent in MessagePack, by field name; 0: it is no call
//!             tag u8 | what came of it; nothing: it is in flight
//! ```

use std::collections::{BTreeMap, BTreeSet};
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
    /// What the call noted while it ran, for a later one to go on from.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "anchor_form")]
    pub(crate) anchor: Option<Vec<u8>>,
}

/// An anchor as bytes, not as a list of numbers.
mod anchor_form {
    use std::fmt;

    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        anchor: &Option<Vec<u8>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(anchor.as_deref().unwrap_or_default())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Vec<u8>>, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
        }
        deserializer.deserialize_bytes(Bytes).map(Some)
    }
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

/// Length of the length of an intent.
const INTENT_LEN_LEN: usize = 4;

/// Longest text of a failure that is kept, in characters.
const TEXT_LEN_MAX: usize = 16 << 10;

impl Completion {
    pub(crate) fn of_failure(failure: &Failure) -> Self {
        let text = failure.to_string().chars().take(TEXT_LEN_MAX).collect();
        Completion::Failed { class: failure.class(), text }
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        let mut write = |tag: u8, rest: &[u8]| {
            bytes.reserve(1 + rest.len());
            bytes.push(tag);
            bytes.extend_from_slice(rest);
        };
        match self {
            Completion::Result(result) => write(0, result),
            Completion::Failed { class, text } => {
                let failure = rmp_serde::to_vec(&(class, text));
                write(1, &failure.expect("a class and a text have an encoded form"));
            }
            Completion::Dropped => write(2, &[]),
            Completion::Time(ms) => write(3, &ms.to_be_bytes()),
            Completion::Changed(name) => write(4, name.as_bytes()),
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

/// Which step: its message, and its number within it.
pub(crate) type StepId = (MessageId, u32);

/// The journals of the messages of one actor.
#[derive(Debug, Default)]
pub(crate) struct StepLog(Mutex<Content>);

#[derive(Debug, Default)]
struct Content {
    /// Changed in the writer's turn alone, so that it says what is on disk, whoever still waits for it.
    on_disk: BTreeMap<StepId, Recorded>,
    /// What the handler in hand noted, in front of what is on disk; it goes along with its next commit, or is dropped.
    pending: BTreeMap<StepId, Recorded>,
    /// Steps of which a try ended without a result in this life: begun, and not in flight.
    tried: BTreeSet<StepId>,
}

impl StepLog {
    /// Reads what is stored, and says of which messages an entry makes no sense.
    pub(crate) fn read(entries: Vec<JournalEntry>) -> (Self, Vec<MessageId>) {
        let mut on_disk: BTreeMap<_, Recorded> = BTreeMap::new();
        let mut damaged = Vec::new();
        for JournalEntry { message, place, content } in entries {
            match Recorded::from_bytes(&content) {
                Some(recorded) => drop(on_disk.insert((message, place), recorded)),
                None => damaged.push(message),
            }
        }
        (StepLog(Mutex::new(Content { on_disk, ..Content::default() })), damaged)
    }

    /// What is known of step `number` of `message`.
    pub(crate) fn recorded(&self, message: MessageId, number: u32) -> Option<Recorded> {
        lock(&self.0).recorded((message, number))
    }

    /// The first step of `message` from `number` on.
    pub(crate) fn next_from(&self, message: MessageId, number: u32) -> Option<(u32, Recorded)> {
        let content = lock(&self.0);
        let steps = (message, number)..=(message, u32::MAX);
        let on_disk = content.on_disk.range(steps.clone()).next();
        let noted = content.pending.range(steps).next();
        let first = on_disk.into_iter().chain(noted).map(|(id, _)| *id).min()?;
        Some((first.1, content.recorded(first)?))
    }

    /// Whether anything is known of `message`: then its handler has begun to act.
    pub(crate) fn knows(&self, message: MessageId) -> bool {
        self.next_from(message, 0).is_some()
    }

    /// Notes `recorded` of a step, to go along with the next commit.
    pub(crate) fn note(&self, message: MessageId, number: u32, recorded: Recorded) {
        lock(&self.0).pending.insert((message, number), recorded);
    }

    /// What was noted and is not on disk yet.
    pub(crate) fn pending(&self) -> Vec<(StepId, Recorded)> {
        lock(&self.0).pending.iter().map(|(id, recorded)| (*id, recorded.clone())).collect()
    }

    /// The records of `entries`.
    pub(crate) fn records(entries: &[(StepId, Recorded)]) -> Vec<Record> {
        let record = |((message, number), recorded): &(StepId, Recorded)| {
            let content = recorded.to_bytes();
            Record::Journal(JournalEntry { message: *message, place: *number, content })
        };
        entries.iter().map(record).collect()
    }

    /// These entries are on disk. Called in the writer's turn.
    pub(crate) fn written(&self, entries: Vec<(StepId, Recorded)>) {
        let mut content = lock(&self.0);
        for (id, recorded) in entries {
            if content.pending.get(&id) == Some(&recorded) {
                content.pending.remove(&id);
            }
            let Recorded { intent, completion } = recorded;
            let on_disk = content.on_disk.entry(id).or_default();
            on_disk.intent = intent.or(on_disk.intent.take());
            on_disk.completion = completion.or(on_disk.completion.take());
        }
    }

    /// A try of a step begins: from here on it is in flight. Says whether another one ended in this life.
    pub(crate) fn try_begins(&self, message: MessageId, number: u32) -> bool {
        lock(&self.0).tried.remove(&(message, number))
    }

    /// A try of a step ended without a result.
    pub(crate) fn try_ended(&self, message: MessageId, number: u32) {
        lock(&self.0).tried.insert((message, number));
    }

    /// The message is done, or its journal deleted.
    pub(crate) fn forget(&self, message: MessageId) {
        let mut content = lock(&self.0);
        content.pending.retain(|(of, _), _| *of != message);
        content.on_disk.retain(|(of, _), _| *of != message);
        content.tried.retain(|(of, _)| *of != message);
    }

    /// The handler did not come to its end: what it noted and what never went along with a commit did not happen.
    pub(crate) fn drop_pending(&self) {
        lock(&self.0).pending.clear();
    }
}

impl Content {
    fn recorded(&self, id: StepId) -> Option<Recorded> {
        let (on_disk, noted) = (self.on_disk.get(&id), self.pending.get(&id));
        if on_disk.is_none() && noted.is_none() {
            return None;
        }
        let intent = |recorded: &Recorded| recorded.intent.clone();
        let completion = |recorded: &Recorded| recorded.completion.clone();
        Some(Recorded {
            intent: noted.and_then(intent).or_else(|| on_disk.and_then(intent)),
            completion: noted.and_then(completion).or_else(|| on_disk.and_then(completion)),
        })
    }
}

impl Recorded {
    pub(crate) fn intent(intent: Intent) -> Self {
        Recorded { intent: Some(intent), completion: None }
    }

    /// What came of something that is no call.
    pub(crate) fn completion(completion: Completion) -> Self {
        Recorded { intent: None, completion: Some(completion) }
    }

    /// What came of a step that intended this: both, for they have one place.
    pub(crate) fn through(intent: Intent, completion: Completion) -> Self {
        Recorded { intent: Some(intent), completion: Some(completion) }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(96);
        bytes.extend_from_slice(&[0; INTENT_LEN_LEN]);
        if let Some(intent) = &self.intent {
            let mut writer = rmp_serde::Serializer::new(&mut bytes).with_struct_map();
            intent.serialize(&mut writer).expect("names and numbers have an encoded form");
        }
        let len = (bytes.len() - INTENT_LEN_LEN) as u32;
        bytes[..INTENT_LEN_LEN].copy_from_slice(&len.to_be_bytes());
        if let Some(completion) = &self.completion {
            completion.write(&mut bytes);
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (len, rest) = bytes.split_first_chunk::<INTENT_LEN_LEN>()?;
        let (intent, completion) = rest.split_at_checked(u32::from_be_bytes(*len) as usize)?;
        let intent = match intent {
            [] => None,
            intent => Some(rmp_serde::from_slice(intent).ok()?),
        };
        let completion = match completion {
            [] => None,
            completion => Some(Completion::from_bytes(completion)?),
        };
        (intent.is_some() || completion.is_some()).then_some(Recorded { intent, completion })
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
        let intent = Intent {
            name: "pay".into(),
            effect: Effect::Once,
            input: 5,
            may_repeat: true,
            anchor: Some(vec![7]),
        };
        for completion in completions {
            let alone = Recorded::completion(completion.clone());
            assert_eq!(Recorded::from_bytes(&alone.to_bytes()), Some(alone));
            let through = Recorded::through(intent.clone(), completion);
            assert_eq!(Recorded::from_bytes(&through.to_bytes()), Some(through));
        }
        let in_flight = Recorded::intent(intent);
        assert_eq!(Recorded::from_bytes(&in_flight.to_bytes()), Some(in_flight));
        for nonsense in [&[][..], &[0; 3], &[0; 4], &[0, 0, 0, 0, 9], &[0, 0, 0, 1, 0xc1], &[0, 0, 0, 9, 1]] {
            assert_eq!(Recorded::from_bytes(nonsense), None, "{nonsense:?}");
        }
    }

    #[test]
    fn a_log_is_read_as_it_was_recorded() {
        let (message, other) = (MessageId(7), MessageId(8));
        let intent =
            Intent { name: "pay".into(), effect: Effect::Once, input: 5, may_repeat: false, anchor: None };
        let done = Completion::Result(vec![1]);
        let written = [
            ((message, 0), Recorded::through(intent.clone(), done.clone())),
            ((other, 3), Recorded::intent(intent.clone())),
        ];
        let entries = StepLog::records(&written).into_iter().map(|record| match record {
            Record::Journal(entry) => entry,
            other => panic!("{other:?} is no entry of a journal"),
        });

        let (log, damaged) = StepLog::read(entries.collect());
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
        log.note(MessageId(1), 0, Recorded::completion(Completion::Time(5)));
        assert_eq!(log.recorded(MessageId(1), 0).unwrap().completion, Some(Completion::Time(5)));

        log.drop_pending();

        assert_eq!(log.recorded(MessageId(1), 0), None);
        assert!(log.pending().is_empty());
    }

    #[test]
    fn what_was_noted_hides_what_is_on_disk_until_it_is_dropped() {
        let (log, id) = (StepLog::default(), (MessageId(1), 0));
        let intent =
            Intent { name: "pay".into(), effect: Effect::Once, input: 5, may_repeat: false, anchor: None };
        log.note(id.0, id.1, Recorded::completion(Completion::Dropped));
        log.written(vec![(id, Recorded::intent(intent.clone()))]);
        log.written(vec![(id, Recorded::completion(Completion::Result(vec![1])))]);

        let noted = Recorded { intent: Some(intent), completion: Some(Completion::Dropped) };
        assert_eq!(log.recorded(id.0, id.1), Some(noted));
        log.drop_pending();

        assert_eq!(log.recorded(id.0, id.1).unwrap().completion, Some(Completion::Result(vec![1])));
    }

    #[test]
    fn what_was_noted_goes_along_until_it_is_on_disk() {
        let log = StepLog::default();
        log.note(MessageId(1), 0, Recorded::completion(Completion::Time(5)));

        let went = log.pending();
        assert_eq!(log.pending(), went, "a commit that fails takes nothing with it");
        log.written(went);

        assert!(log.pending().is_empty());
        log.drop_pending();
        assert_eq!(log.recorded(MessageId(1), 0).unwrap().completion, Some(Completion::Time(5)));
    }
}
