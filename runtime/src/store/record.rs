//! One stored record: its key, its envelope, and the proof that both belong together.
//!
//! ```text
//! key    00                                      head of the store
//!        10 <path> 00 00                         head of an actor
//!        10 <path> 00 01 <slot>                  header of a snapshot slot, with the state if that fits
//!        10 <path> 00 01 <slot> <index u32>      one chunk of the state in that slot, if it does not
//!        10 <path> 00 02 <message u64>           a message that waits (*)
//!        10 <path> 00 04 <message u64>           how often it was tried
//!        10 <path> 00 04 <message u64> <u32>     one entry of its journal (*)
//!        10 <path> 00 05 <length u8> <request>   what became of a request (*)
//!        10 <path> 00 06 <ms u64> <request>      when the answer to a request may go
//!        10 <path> 00 07 <message u64>           a message that was laid aside (*)
//!        10 <path> 00 08 <length u8> <name>      a timer (*)
//!        10 <path> 00 09                         how the actor was made (*)
//!        10 <path> 00 0a <log u32> <index u64>   one entry of a log of its state (*)
//!        20 00 <case>                            who owns a case
//!        20 01 <budget>                          a budget: what was granted, what was spent
//!        20 02 <budget> 00 <path> 00 <message u64> <step u32> <attempt u32>
//!                                                what a call is charged that is not settled
//!
//! (*)    what does not fit goes on under the same key and <index u32>, from 1: see `content`
//!
//! value  "Gr" | format u8 | kind u8 | payload length u32 | seq u64 | epoch u64 | payload | CRC32 u32
//! ```
//!
//! Numbers are big-endian. A path holds no zero byte, so all records of an actor are neighbours and `a` is no prefix
//! of `a/b`. The checksum covers the key too: a record in the wrong place is refused like one with a flipped bit.
//! Magic, format and the checksum keep their places in every future format.

use super::{CaseOwner, ChargeKey, DamageReason, StoreError, StoredBudget};
use crate::address::{ActorPath, Epoch};
use crate::budget::{Amount, BudgetPath};
use crate::message::MessageId;

/// The format this version writes, and the newest it reads.
pub(crate) const FORMAT: u8 = 1;

/// Longest value; larger ones make sled write files that it never syncs.
pub(crate) const VALUE_LEN_MAX: usize = 4_096;

/// Longest payload.
pub(crate) const PAYLOAD_LEN_MAX: usize = VALUE_LEN_MAX - HEADER_LEN - CHECKSUM_LEN;

const MAGIC: [u8; 2] = *b"Gr";
const HEADER_LEN: usize = 24;
/// Length of what stands behind the payload.
pub(crate) const CHECKSUM_LEN: usize = 4;

/// Key of the store's head.
pub(crate) const STORE_HEAD_KEY: &[u8] = &[0x00];
/// What every actor's key starts with.
pub(crate) const ACTOR_PREFIX: u8 = 0x10;
/// What the keys of all owners of cases start with.
pub(crate) const CASES_PREFIX: [u8; 2] = [0x20, 0x00];
/// What the keys of all budgets start with.
pub(crate) const BUDGETS_PREFIX: [u8; 2] = [0x20, 0x01];
/// What the keys of all charges start with.
pub(crate) const CHARGES_PREFIX: [u8; 2] = [0x20, 0x02];

/// Room behind the prefix for most keys: those with a name of their own may be longer.
const BEHIND_PREFIX_LEN: usize = 24;

/// One of the two places of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Zero,
    One,
}

impl Slot {
    pub(crate) const BOTH: [Slot; 2] = [Slot::Zero, Slot::One];

    pub(crate) fn other(self) -> Self {
        match self {
            Slot::Zero => Slot::One,
            Slot::One => Slot::Zero,
        }
    }

    pub(crate) fn number(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Slot::BOTH.into_iter().find(|slot| slot.number() == number)
    }
}

/// What a record under an actor's prefix is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RecordKey {
    ActorHead,
    SlotHeader(Slot),
    Chunk(Slot, u32),
    Tries(MessageId),
    AnswerEnd {
        until_ms: u64,
        request: String,
    },
    /// Part `.1` of something long; 0 is the first.
    Content(ContentKey, u32),
}

/// What may be too long for one record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ContentKey {
    Message(MessageId),
    Journal(MessageId, u32),
    Request(String),
    LaidAside(MessageId),
    Timer(String),
    Birth,
    /// Of which log, and at which index.
    Entry(u32, u64),
}

impl ContentKey {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            ContentKey::Message(_) => Kind::Message,
            ContentKey::Journal(..) => Kind::Journal,
            ContentKey::Request(_) => Kind::Request,
            ContentKey::LaidAside(_) => Kind::LaidAside,
            ContentKey::Timer(_) => Kind::Timer,
            ContentKey::Birth => Kind::Birth,
            ContentKey::Entry(..) => Kind::Entry,
        }
    }

    fn write(&self, key: &mut Vec<u8>) {
        match self {
            ContentKey::Message(id) => tagged(key, MESSAGE, id.0),
            ContentKey::Journal(message, place) => {
                tagged(key, JOURNAL, message.0);
                key.extend(place.to_be_bytes());
            }
            ContentKey::Request(request) => named(key, REQUEST, request),
            ContentKey::Timer(name) => named(key, TIMER, name),
            ContentKey::Birth => key.push(BIRTH),
            ContentKey::Entry(log, index) => {
                key.push(LOG);
                key.extend(log.to_be_bytes());
                key.extend(index.to_be_bytes());
            }
            ContentKey::LaidAside(id) => tagged(key, LAID_ASIDE, id.0),
        }
    }

    /// Reads the key and what stands behind it.
    fn read(rest: &[u8]) -> Option<(Self, &[u8])> {
        let (tag, mut rest) = rest.split_first()?;
        let key = match *tag {
            MESSAGE => ContentKey::Message(message(&mut rest)?),
            JOURNAL => ContentKey::Journal(message(&mut rest)?, u32::from_be_bytes(*take(&mut rest)?)),
            REQUEST => ContentKey::Request(name(&mut rest)?),
            TIMER => ContentKey::Timer(name(&mut rest)?),
            BIRTH => ContentKey::Birth,
            LOG => {
                let log = u32::from_be_bytes(*take(&mut rest)?);
                ContentKey::Entry(log, u64::from_be_bytes(*take(&mut rest)?))
            }
            LAID_ASIDE => ContentKey::LaidAside(message(&mut rest)?),
            _ => return None,
        };
        Some((key, rest))
    }
}

const HEAD: u8 = 0x00;
const SLOT: u8 = 0x01;
const MESSAGE: u8 = 0x02;
/// Before its journal, how often the message was tried: one look finds both.
const JOURNAL: u8 = 0x04;
const REQUEST: u8 = 0x05;
const ANSWER_END: u8 = 0x06;
const LAID_ASIDE: u8 = 0x07;
const TIMER: u8 = 0x08;
const BIRTH: u8 = 0x09;
const LOG: u8 = 0x0a;

fn tagged(key: &mut Vec<u8>, tag: u8, number: u64) {
    key.push(tag);
    key.extend(number.to_be_bytes());
}

fn named(key: &mut Vec<u8>, tag: u8, name: &str) {
    key.extend([tag, name.len() as u8]);
    key.extend(name.as_bytes());
}

fn name(rest: &mut &[u8]) -> Option<String> {
    let (len, behind) = rest.split_first()?;
    let (name, behind) = behind.split_at_checked((*len).into())?;
    *rest = behind;
    Some(std::str::from_utf8(name).ok()?.to_owned())
}

fn message(rest: &mut &[u8]) -> Option<MessageId> {
    Some(MessageId(u64::from_be_bytes(*take(rest)?)))
}

impl RecordKey {
    pub(crate) fn encode(&self, actor: &ActorPath) -> Vec<u8> {
        let mut key = actor_prefix(actor);
        match self {
            RecordKey::ActorHead => key.push(HEAD),
            RecordKey::SlotHeader(slot) => key.extend([SLOT, slot.number()]),
            RecordKey::Chunk(slot, index) => {
                key.extend([SLOT, slot.number()]);
                key.extend(index.to_be_bytes());
            }
            RecordKey::Tries(id) => tagged(&mut key, JOURNAL, id.0),
            RecordKey::AnswerEnd { until_ms, request } => {
                tagged(&mut key, ANSWER_END, *until_ms);
                key.extend(request.as_bytes());
            }
            RecordKey::Content(content, part) => {
                content.write(&mut key);
                if *part > 0 {
                    key.extend(part.to_be_bytes());
                }
            }
        }
        key
    }

    /// Reads the part of a key behind the actor's prefix; `None` for a key that this version does not write.
    pub(crate) fn decode(rest: &[u8]) -> Option<Self> {
        match *rest {
            [HEAD] => Some(RecordKey::ActorHead),
            [SLOT, slot] => Some(RecordKey::SlotHeader(Slot::from_number(slot)?)),
            [SLOT, slot, a, b, c, d] => {
                Some(RecordKey::Chunk(Slot::from_number(slot)?, u32::from_be_bytes([a, b, c, d])))
            }
            [JOURNAL, a, b, c, d, e, f, g, h] => {
                Some(RecordKey::Tries(MessageId(u64::from_be_bytes([a, b, c, d, e, f, g, h]))))
            }
            [ANSWER_END, ref rest @ ..] => {
                let mut rest = rest;
                let until_ms = u64::from_be_bytes(*take(&mut rest)?);
                let request = std::str::from_utf8(rest).ok()?.to_owned();
                Some(RecordKey::AnswerEnd { until_ms, request })
            }
            _ => match ContentKey::read(rest)? {
                (content, []) => Some(RecordKey::Content(content, 0)),
                (content, &[a, b, c, d]) => {
                    let part = u32::from_be_bytes([a, b, c, d]);
                    (part > 0).then_some(RecordKey::Content(content, part))
                }
                _ => None,
            },
        }
    }
}

/// What the keys of the whole journal of a message start with, and of its tries.
pub(crate) fn journal_prefix(actor: &ActorPath, of: MessageId) -> Vec<u8> {
    let mut key = actor_prefix(actor);
    tagged(&mut key, JOURNAL, of.0);
    key
}

/// What the keys begin with of whatever an actor has to see to: messages, tries, journals; and timers.
pub(crate) fn unfinished_prefixes(actor: &ActorPath) -> [Vec<u8>; 3] {
    [MESSAGE, JOURNAL, TIMER].map(|tag| {
        let mut key = actor_prefix(actor);
        key.push(tag);
        key
    })
}

/// What the keys of all entries of a log of `actor` start with; they are sorted by index.
pub(crate) fn log_prefix(actor: &ActorPath, log: u32) -> Vec<u8> {
    let mut key = actor_prefix(actor);
    key.push(LOG);
    key.extend(log.to_be_bytes());
    key
}

/// What the keys of everything that was laid aside of `actor` start with.
pub(crate) fn laid_aside_prefix(actor: &ActorPath) -> Vec<u8> {
    let mut key = actor_prefix(actor);
    key.push(LAID_ASIDE);
    key
}

/// What the keys of everything that is known of requests to `actor` start with.
pub(crate) fn requests_prefix(actor: &ActorPath) -> Vec<u8> {
    let mut key = actor_prefix(actor);
    key.push(REQUEST);
    key
}

/// What the keys of the ends of all answers of `actor` start with; they are sorted by time.
pub(crate) fn answer_ends_prefix(actor: &ActorPath) -> Vec<u8> {
    let mut key = actor_prefix(actor);
    key.push(ANSWER_END);
    key
}

/// What the keys of all records of `actor` start with.
pub(crate) fn actor_prefix(actor: &ActorPath) -> Vec<u8> {
    let path = actor.as_str().as_bytes();
    let mut key = Vec::with_capacity(2 + path.len() + BEHIND_PREFIX_LEN);
    key.push(ACTOR_PREFIX);
    key.extend(path);
    key.push(0x00);
    key
}

/// The key of who owns `case`.
pub(crate) fn case_key(case: &str) -> Vec<u8> {
    [&CASES_PREFIX[..], case.as_bytes()].concat()
}

pub(crate) fn seal_case(key: &[u8], owner: &CaseOwner) -> Vec<u8> {
    let payload = rmp_serde::to_vec_named(owner).expect("names, numbers and paths have an encoded form");
    Envelope { kind: Kind::Case, seq: 0, epoch: Epoch(0), payload: &payload }.seal(key)
}

pub(crate) fn open_case(case: &str, key: &[u8], value: &[u8]) -> Result<CaseOwner, StoreError> {
    let opened = Envelope::open(key, value, Kind::Case)
        .and_then(|envelope| rmp_serde::from_slice(envelope.payload).map_err(|_| Refused::Malformed));
    opened.map_err(|refused| {
        let damaged = || StoreError::CaseDamaged { case: case.to_owned(), reason: refused.reason() };
        refused.newer_format().unwrap_or_else(damaged)
    })
}

/// The key of a budget.
pub(crate) fn budget_key(path: &BudgetPath) -> Vec<u8> {
    [&BUDGETS_PREFIX[..], path.as_str().as_bytes()].concat()
}

/// What the keys of all budgets below `path` start with.
pub(crate) fn budgets_below_prefix(path: &BudgetPath) -> Vec<u8> {
    [&BUDGETS_PREFIX[..], path.as_str().as_bytes(), b"/"].concat()
}

/// What the keys of all charges in a budget start with, but not below it.
pub(crate) fn charges_prefix(path: &BudgetPath) -> Vec<u8> {
    [&CHARGES_PREFIX[..], path.as_str().as_bytes(), &[0]].concat()
}

pub(crate) fn charge_key(charge: &ChargeKey) -> Vec<u8> {
    let mut key = charges_prefix(&charge.node);
    key.extend(charge.actor.as_str().as_bytes());
    key.push(0x00);
    key.extend(charge.message.0.to_be_bytes());
    key.extend(charge.step.to_be_bytes());
    key.extend(charge.attempt.to_be_bytes());
    key
}

/// Reads a key back; `None` for one that this version does not write.
pub(crate) fn budget_of(key: &[u8]) -> Option<BudgetPath> {
    BudgetPath::parse(std::str::from_utf8(key.strip_prefix(&BUDGETS_PREFIX)?).ok()?).ok()
}

/// As [`budget_of`].
pub(crate) fn charge_of(key: &[u8]) -> Option<ChargeKey> {
    let mut pieces = key.strip_prefix(&CHARGES_PREFIX)?.splitn(3, |byte| *byte == 0);
    let mut text = || std::str::from_utf8(pieces.next()?).ok();
    let node = BudgetPath::parse(text()?).ok()?;
    let actor = ActorPath::parse(text()?).ok()?;
    let mut rest = pieces.next()?;
    let message = message(&mut rest)?;
    let step = u32::from_be_bytes(*take(&mut rest)?);
    let attempt = u32::from_be_bytes(*take(&mut rest)?);
    rest.is_empty().then_some(ChargeKey { node, actor, message, step, attempt })
}

pub(crate) fn seal_budget(key: &[u8], budget: &StoredBudget) -> Vec<u8> {
    seal_named(Kind::Budget, key, budget)
}

pub(crate) fn open_budget(key: &[u8], value: &[u8]) -> Result<StoredBudget, Refused> {
    open_named(Kind::Budget, key, value)
}

pub(crate) fn seal_charge(key: &[u8], amount: &Amount) -> Vec<u8> {
    seal_named(Kind::Charge, key, amount)
}

pub(crate) fn open_charge(key: &[u8], value: &[u8]) -> Result<Amount, Refused> {
    open_named(Kind::Charge, key, value)
}

fn seal_named(kind: Kind, key: &[u8], content: &impl serde::Serialize) -> Vec<u8> {
    let payload = rmp_serde::to_vec_named(content).expect("numbers have an encoded form");
    Envelope { kind, seq: 0, epoch: Epoch(0), payload: &payload }.seal(key)
}

fn open_named<T: serde::de::DeserializeOwned>(kind: Kind, key: &[u8], value: &[u8]) -> Result<T, Refused> {
    let envelope = Envelope::open(key, value, kind)?;
    rmp_serde::from_slice(envelope.payload).map_err(|_| Refused::Malformed)
}

/// What an envelope carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Envelope<'a> {
    pub(crate) kind: Kind,
    pub(crate) seq: u64,
    pub(crate) epoch: Epoch,
    /// At most [`PAYLOAD_LEN_MAX`] bytes.
    pub(crate) payload: &'a [u8],
}

/// What the payload is, so that no record can pass for one of another kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    StoreHead = 0,
    ActorHead = 1,
    SlotHeader = 2,
    Chunk = 3,
    /// A further part of something long.
    Part = 4,
    Message = 5,
    Tries = 6,
    Journal = 7,
    Request = 8,
    AnswerEnd = 9,
    LaidAside = 10,
    Timer = 11,
    Birth = 12,
    Case = 13,
    /// One entry of a log.
    Entry = 14,
    Budget = 15,
    Charge = 16,
}

/// Why a value is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The bytes are not those that were written under this key.
    Checksum,
    /// The checksum is right, the content is not.
    Malformed,
    /// Written by a newer version.
    Format(u8),
}

impl Refused {
    /// The reason, of damage to one record. (A newer format is none.)
    pub(crate) fn reason(self) -> DamageReason {
        match self {
            Refused::Checksum => DamageReason::Checksum,
            Refused::Malformed | Refused::Format(_) => DamageReason::Malformed,
        }
    }

    /// A newer format is an error of the whole store, anything else is damage of one record.
    pub(crate) fn newer_format(self) -> Option<StoreError> {
        match self {
            Refused::Format(found) => Some(StoreError::Format { found: found.into(), known: FORMAT.into() }),
            Refused::Checksum | Refused::Malformed => None,
        }
    }
}

impl<'a> Envelope<'a> {
    pub(crate) fn seal(&self, key: &[u8]) -> Vec<u8> {
        self.seal_with(&[], key)
    }

    /// As [`seal`](Envelope::seal), with `more` behind the payload as if it were of it.
    pub(crate) fn seal_with(&self, more: &[&[u8]], key: &[u8]) -> Vec<u8> {
        let len = self.payload.len() + more.iter().map(|piece| piece.len()).sum::<usize>();
        debug_assert!(len <= PAYLOAD_LEN_MAX, "values stay within {VALUE_LEN_MAX} bytes");
        let mut value = Vec::with_capacity(HEADER_LEN + len + CHECKSUM_LEN);
        value.extend_from_slice(&MAGIC);
        value.extend_from_slice(&[FORMAT, self.kind as u8]);
        value.extend_from_slice(&(len as u32).to_be_bytes());
        value.extend_from_slice(&self.seq.to_be_bytes());
        value.extend_from_slice(&self.epoch.0.to_be_bytes());
        value.extend_from_slice(self.payload);
        more.iter().for_each(|piece| value.extend_from_slice(piece));
        let checksum = checksum(key, &value);
        value.extend_from_slice(&checksum.to_be_bytes());
        value
    }

    /// Checks first and reads then.
    pub(crate) fn open(key: &[u8], value: &'a [u8], kind: Kind) -> Result<Self, Refused> {
        let (sealed, stored) = value.split_last_chunk::<CHECKSUM_LEN>().ok_or(Refused::Checksum)?;
        if checksum(key, sealed) != u32::from_be_bytes(*stored) {
            return Err(Refused::Checksum);
        }
        match *sealed {
            [m0, m1, format, ..] if [m0, m1] == MAGIC && format != FORMAT => Err(Refused::Format(format)),
            [m0, m1, _, found, ..] if [m0, m1] == MAGIC && found == kind as u8 => {
                Self::read(sealed, kind).ok_or(Refused::Malformed)
            }
            _ => Err(Refused::Malformed),
        }
    }

    fn read(sealed: &'a [u8], kind: Kind) -> Option<Self> {
        let (_, mut rest) = sealed.split_at_checked(4)?;
        let len = u32::from_be_bytes(*take(&mut rest)?);
        let seq = u64::from_be_bytes(*take(&mut rest)?);
        let epoch = Epoch(u64::from_be_bytes(*take(&mut rest)?));
        (rest.len() == len as usize).then_some(Envelope { kind, seq, epoch, payload: rest })
    }
}

/// Takes the next `N` bytes off `rest`.
pub(crate) fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(taken)
}

fn checksum(key: &[u8], sealed: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    // The length first: no byte can move from the key into the record.
    hasher.update(&(key.len() as u32).to_be_bytes());
    hasher.update(key);
    hasher.update(sealed);
    hasher.finalize()
}

/// Makes of `value` what a version with `format` would have written.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn reformat(key: &[u8], value: &mut [u8], format: u8) {
    value[2] = format;
    let (sealed, stored) = value.split_last_chunk_mut::<CHECKSUM_LEN>().expect("a record has a checksum");
    *stored = checksum(key, sealed).to_be_bytes();
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Envelope<'_> = Envelope { kind: Kind::ActorHead, seq: 7, epoch: Epoch(3), payload: b"\x01" };

    #[test]
    fn what_is_sealed_is_opened_under_its_key_and_kind_only() {
        let value = HEAD.seal(b"key");

        assert_eq!(Envelope::open(b"key", &value, Kind::ActorHead), Ok(HEAD));
        assert_eq!(Envelope::open(b"kez", &value, Kind::ActorHead), Err(Refused::Checksum));
        assert_eq!(Envelope::open(b"key", &value, Kind::Chunk), Err(Refused::Malformed));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let value = HEAD.seal(b"key");

        for bit in 0..value.len() * 8 {
            let mut flipped = value.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                Envelope::open(b"key", &flipped, Kind::ActorHead),
                Err(Refused::Checksum),
                "bit {bit}"
            );
        }
        for len in 0..value.len() {
            assert_eq!(Envelope::open(b"key", &value[..len], Kind::ActorHead), Err(Refused::Checksum));
        }
    }

    #[test]
    fn a_newer_format_is_told_apart_from_damage() {
        let mut value = HEAD.seal(b"key");
        reformat(b"key", &mut value, FORMAT + 1);

        assert_eq!(Envelope::open(b"key", &value, Kind::ActorHead), Err(Refused::Format(FORMAT + 1)));
    }

    #[test]
    fn keys_are_read_as_they_were_written() {
        let actor = ActorPath::parse("a/b").unwrap();
        let slots = Slot::BOTH.into_iter();
        let slots = slots.flat_map(|slot| [RecordKey::SlotHeader(slot), RecordKey::Chunk(slot, 70_000)]);
        let id = MessageId(70_000);
        let contents = [
            ContentKey::Message(id),
            ContentKey::Journal(id, 3),
            ContentKey::Request("order-17".into()),
            ContentKey::Request(String::new()),
            ContentKey::LaidAside(id),
            ContentKey::Timer("wake".into()),
            ContentKey::Birth,
            ContentKey::Entry(7, 70_000),
        ];
        let contents = contents.into_iter().flat_map(|content| {
            [RecordKey::Content(content.clone(), 0), RecordKey::Content(content, 70_000)]
        });
        let end = RecordKey::AnswerEnd { until_ms: 5, request: "order-17".into() };
        let others = [RecordKey::ActorHead, RecordKey::Tries(id), end];
        for key in slots.chain(contents).chain(others) {
            let encoded = key.encode(&actor);
            let rest = encoded.strip_prefix(actor_prefix(&actor).as_slice()).unwrap();
            assert_eq!(RecordKey::decode(rest), Some(key));
        }
        assert_eq!(RecordKey::decode(&[0x01, 2]), None);
        assert_eq!(RecordKey::decode(&[0x0a]), None);
        assert_eq!(RecordKey::decode(&[REQUEST, 5, b'a']), None);
    }
}
