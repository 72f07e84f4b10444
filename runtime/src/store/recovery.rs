//! Recovery: from the records of one actor to the newest snapshot that can be vouched for, and to the messages that
//! wait. Pure.
//!
//! The slot that the head names, if it is whole and carries the head's sequence number; else the newest whole slot;
//! else none. Both slots are always checked, and whatever is refused is reported, also where it did no harm: damage in
//! the spare slot is better known before it is needed. A damaged message, entry of a journal or a log, timer or birth is left out and
//! reported; and so is a lost one, where another record [tells of it](Tie).

use std::collections::{BTreeMap, BTreeSet};

use super::content::Parts;
use super::layout::Entries;
use super::record::{
    ContentKey, Envelope, Kind, PAYLOAD_LEN_MAX, RecordKey, Refused, Slot, actor_prefix, take,
};
use super::stored_form::{Request, laid_aside_from_bytes, message_from_bytes, timer_from_bytes};
use super::ties::Tie;
use super::{
    Damage, DamagePlace, DamageReason, JournalEntry, LogEntry, SNAPSHOT_LEN_MAX, Snapshot, StoreError,
    StoredMessage, StoredTimer, Tries,
};
use crate::address::{ActorPath, Epoch};

/// What the records of one actor amount to.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// Highest epoch in any record that could be read.
    pub(crate) epoch: Epoch,
    pub(crate) newest: Option<(Slot, Snapshot)>,
    /// How many records of each slot there are.
    pub(crate) extents: Extents,
    pub(crate) inbox: Vec<StoredMessage>,
    pub(crate) journal: Vec<JournalEntry>,
    pub(crate) logs: Vec<LogEntry>,
    pub(crate) timers: Vec<StoredTimer>,
    pub(crate) birth: Option<Vec<u8>>,
    pub(crate) damage: Vec<Damage>,
}

impl Recovered {
    /// The head that says just this.
    pub(crate) fn head(&self) -> ActorHead {
        let (active, seq) = self.newest.as_ref().map_or((None, 0), |(slot, kept)| (Some(*slot), kept.seq));
        ActorHead { epoch: self.epoch, seq, active, extents: self.extents }
    }
}

/// Reads `entries`, all records of `actor`.
///
/// # Errors
///
/// [`StoreError::Format`] for a record of a newer version: it may mean more than this version can see.
pub(crate) fn recover(actor: &ActorPath, entries: &Entries) -> Result<Recovered, StoreError> {
    let mut reader = Reader { actor, epoch: Epoch(0), damage: Vec::new() };
    let (mut head, mut slots) = (None, [SlotRecords::default(), SlotRecords::default()]);
    let mut contents: BTreeMap<ContentKey, Parts<'_>> = BTreeMap::new();
    let mut tries = BTreeMap::new();
    let (mut ends, mut ties) = (BTreeSet::new(), Vec::new());
    let prefix_len = actor_prefix(actor).len();
    for (key, value) in entries {
        let entry = (key.as_slice(), value.as_slice());
        match RecordKey::decode(&key[prefix_len..]) {
            Some(RecordKey::ActorHead) => head = Some(entry),
            Some(RecordKey::SlotHeader(slot)) => slots[slot as usize].header = Some(entry),
            Some(RecordKey::Chunk(slot, index)) => {
                slots[slot as usize].chunks.insert(index, entry);
            }
            Some(RecordKey::Tries(id)) => {
                let read = reader.vouched(DamagePlace::Tries { id }, open_tries(key, value))?;
                tries.extend(read.map(|count| (id, count)));
            }
            Some(RecordKey::AnswerEnd { until_ms, request }) => {
                let read =
                    reader.vouched(DamagePlace::Request, Envelope::open(key, value, Kind::AnswerEnd))?;
                ties.extend(read.map(|_| Tie::Request(request.clone())));
                ends.insert((until_ms, request));
            }
            Some(RecordKey::Content(content, part)) => {
                contents.entry(content).or_default().0.insert(part, entry);
            }
            None => reader.refuse(DamagePlace::Stray, DamageReason::Malformed),
        }
    }
    if entries.is_empty() {
        return Ok(Recovered::default());
    }

    let head = reader.head(head)?;
    let mut newest: Option<(Slot, Snapshot)> = None;
    for slot in Slot::BOTH {
        if let Some(snapshot) = reader.slot(slot, &slots[slot as usize])?
            && newest.as_ref().is_none_or(|(_, kept)| kept.seq < snapshot.seq)
        {
            newest = Some((slot, snapshot));
        }
    }
    if let Some(head) = head {
        reader.compare(head, newest.as_ref().map(|(slot, snapshot)| (*slot, snapshot.seq)));
    }
    let extents = slots.each_ref().map(SlotRecords::extent);
    // Of the slot in use `compare` has told.
    if let Some(ActorHead { active: Some(active), extents: told, .. }) = head
        && let spare = active.other()
        && told[spare as usize] > 0
        && extents[spare as usize] == 0
    {
        reader.refuse(DamagePlace::SlotHeader { slot: spare.number() }, DamageReason::Missing);
    }
    let (mut inbox, mut journal, mut logs) = (Vec::new(), Vec::new(), Vec::new());
    let (mut timers, mut birth) = (Vec::new(), None);
    for (key, parts) in &contents {
        let Some(content) = reader.content(key, parts)? else { continue };
        match *key {
            ContentKey::Message(id) => match message_from_bytes(id, &content) {
                Some(message) => {
                    ties.extend(Tie::of_message(&message));
                    let tries = tries.get(&id).copied().unwrap_or_default();
                    inbox.push(StoredMessage { tries, ..message });
                }
                None => reader.refuse(DamagePlace::Message { id }, DamageReason::Malformed),
            },
            ContentKey::Journal(message, place) => journal.push(JournalEntry { message, place, content }),
            ContentKey::Timer(ref name) => match timer_from_bytes(name, &content) {
                Some(timer) => timers.push(timer),
                None => reader.refuse(DamagePlace::Timer, DamageReason::Malformed),
            },
            ContentKey::Birth => birth = Some(content),
            ContentKey::Entry(log, index) => logs.push(LogEntry { log, index, content }),
            // The two below are looked up when they are needed; whether they can be is said here.
            ContentKey::Request(ref name) => match Request::from_bytes(&content) {
                Some(request) => ties.push(Tie::of_request(name, &request)),
                None => reader.refuse(DamagePlace::Request, DamageReason::Malformed),
            },
            ContentKey::LaidAside(id) => match laid_aside_from_bytes(id, &content) {
                Some(aside) => ties.extend(Tie::of_message(&aside.message)),
                None => reader.refuse(DamagePlace::LaidAside { id }, DamageReason::Malformed),
            },
        }
    }
    for lost in ties.iter().filter(|tie| !tie.is_kept(&contents, &ends)) {
        reader.refuse(lost.place(), DamageReason::Missing);
    }
    Ok(Recovered {
        epoch: reader.epoch,
        newest,
        extents,
        inbox,
        journal,
        logs,
        timers,
        birth,
        damage: reader.damage,
    })
}

/// A key with its value.
type Entry<'a> = (&'a [u8], &'a [u8]);

#[derive(Default)]
struct SlotRecords<'a> {
    header: Option<Entry<'a>>,
    chunks: BTreeMap<u32, Entry<'a>>,
}

impl SlotRecords<'_> {
    /// The header, and chunks up to the last one that is there.
    fn extent(&self) -> u32 {
        let chunks = self.chunks.last_key_value().map_or(0, |(index, _)| index.saturating_add(1));
        if chunks > 0 { chunks.saturating_add(1) } else { self.header.is_some().into() }
    }
}

/// Collects on the way what was refused and the highest epoch that was seen.
struct Reader<'a> {
    actor: &'a ActorPath,
    epoch: Epoch,
    damage: Vec<Damage>,
}

impl Reader<'_> {
    fn head(&mut self, entry: Option<Entry<'_>>) -> Result<Option<ActorHead>, StoreError> {
        let Some((key, value)) = entry else {
            self.refuse(DamagePlace::Head, DamageReason::Missing);
            return Ok(None);
        };
        let head = self.vouched(DamagePlace::Head, ActorHead::open(key, value))?;
        self.epoch = self.epoch.max(head.map_or(Epoch(0), |head| head.epoch));
        Ok(head)
    }

    /// The snapshot in `slot`, if every part of it is there and fits.
    fn slot(&mut self, slot: Slot, records: &SlotRecords<'_>) -> Result<Option<Snapshot>, StoreError> {
        let place = DamagePlace::SlotHeader { slot: slot.number() };
        let Some((key, value)) = records.header else {
            if !records.chunks.is_empty() {
                self.refuse(place, DamageReason::Missing);
            }
            return Ok(None);
        };
        let opened = self.vouched(place, SlotHeader::open(key, value))?;
        let Some((header, inside)) = opened else { return Ok(None) };
        self.epoch = self.epoch.max(header.epoch);

        let mut state = Vec::with_capacity(header.len as usize);
        state.extend(inside);
        let mut is_whole = true;
        for index in 0..header.chunks() {
            match self.chunk(slot, index, &header, records)? {
                Some(payload) => state.extend(payload),
                None => is_whole = false,
            }
        }
        for _ in records.chunks.range(header.chunks()..) {
            self.refuse(DamagePlace::Stray, DamageReason::OutOfStep);
        }
        if is_whole && !header.fits(&state) {
            self.refuse(place, DamageReason::OutOfStep);
            is_whole = false;
        }
        let SlotHeader { seq, version, type_name, .. } = header;
        Ok(is_whole.then_some(Snapshot { type_name, version, seq, state }))
    }

    fn chunk<'e>(
        &mut self,
        slot: Slot,
        index: u32,
        header: &SlotHeader,
        records: &SlotRecords<'e>,
    ) -> Result<Option<&'e [u8]>, StoreError> {
        let place = DamagePlace::Chunk { slot: slot.number(), index };
        let Some((key, value)) = records.chunks.get(&index) else {
            self.refuse(place, DamageReason::Missing);
            return Ok(None);
        };
        let chunk = self.vouched(place, Envelope::open(key, value, Kind::Chunk))?;
        let belongs = chunk.filter(|chunk| (chunk.seq, chunk.epoch) == (header.seq, header.epoch));
        if chunk.is_some() && belongs.is_none() {
            self.refuse(place, DamageReason::OutOfStep);
        }
        Ok(belongs.map(|chunk| chunk.payload))
    }

    fn content(&mut self, key: &ContentKey, parts: &Parts<'_>) -> Result<Option<Vec<u8>>, StoreError> {
        match parts.join(key.kind()) {
            Ok(content) => Ok(Some(content)),
            Err(broken) => match broken.into_error(self.actor, key) {
                StoreError::Damaged { damage } => {
                    self.damage.push(damage);
                    Ok(None)
                }
                newer_format => Err(newer_format),
            },
        }
    }

    /// Whether head and slots tell one story. They are written together, so a difference is a lost write.
    fn compare(&mut self, head: ActorHead, newest: Option<(Slot, u64)>) {
        let told = head.active.map(|slot| (slot, head.seq));
        let (head_behind, slot_behind) = match (told, newest) {
            (told, newest) if told == newest => (false, false),
            (None, _) => (true, false),
            (Some(_), None) => (false, true),
            (Some((_, told_seq)), Some((_, seq))) => (seq >= told_seq, seq < told_seq),
        };
        if head_behind || head.epoch < self.epoch {
            self.refuse(DamagePlace::Head, DamageReason::OutOfStep);
        }
        if let Some(slot) = head.active.filter(|_| slot_behind) {
            self.refuse(DamagePlace::SlotHeader { slot: slot.number() }, DamageReason::OutOfStep);
        }
    }

    fn vouched<T>(&mut self, place: DamagePlace, read: Result<T, Refused>) -> Result<Option<T>, StoreError> {
        match read {
            Ok(record) => Ok(Some(record)),
            Err(refused) => {
                if let Some(newer_format) = refused.newer_format() {
                    return Err(newer_format);
                }
                self.refuse(place, refused.reason());
                Ok(None)
            }
        }
    }

    fn refuse(&mut self, place: DamagePlace, reason: DamageReason) {
        self.damage.push(Damage { actor: self.actor.clone(), place, reason });
    }
}

pub(crate) fn seal_tries(tries: Tries, key: &[u8]) -> Vec<u8> {
    let payload = &[tries.falls.to_be_bytes(), tries.openings.to_be_bytes()].concat();
    Envelope { kind: Kind::Tries, seq: 0, epoch: Epoch(0), payload }.seal(key)
}

fn open_tries(key: &[u8], value: &[u8]) -> Result<Tries, Refused> {
    let mut rest = Envelope::open(key, value, Kind::Tries)?.payload;
    let mut count = || take(&mut rest).map(|count| u32::from_be_bytes(*count)).ok_or(Refused::Malformed);
    Ok(Tries { falls: count()?, openings: count()? })
}

/// The head of an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ActorHead {
    pub(crate) epoch: Epoch,
    /// Number of the snapshot in the active slot; 0 without one.
    pub(crate) seq: u64,
    pub(crate) active: Option<Slot>,
    /// So that the loss of the slot that is not in use is noticed, and whoever overwrites it need not look.
    pub(crate) extents: Extents,
}

/// How many records of each slot there are at most: 0 for none, 1 for the header, 2 for the header and one chunk.
pub(crate) type Extents = [u32; 2];

impl ActorHead {
    const NO_SLOT: u8 = 0xff;

    /// That of an actor without a snapshot.
    pub(crate) fn empty(epoch: Epoch) -> Self {
        ActorHead { epoch, seq: 0, active: None, extents: [0; 2] }
    }

    pub(crate) fn seal(self, key: &[u8]) -> Vec<u8> {
        let active = &[self.active.map_or(Self::NO_SLOT, Slot::number)];
        let [zero, one] = self.extents.map(u32::to_be_bytes);
        let head = Envelope { kind: Kind::ActorHead, seq: self.seq, epoch: self.epoch, payload: active };
        head.seal_with(&[&zero, &one], key)
    }

    pub(crate) fn open(key: &[u8], value: &[u8]) -> Result<Self, Refused> {
        let head = Envelope::open(key, value, Kind::ActorHead)?;
        let (active, extents) = Self::read(head.payload).ok_or(Refused::Malformed)?;
        Ok(ActorHead { epoch: head.epoch, seq: head.seq, active, extents })
    }

    fn read(mut payload: &[u8]) -> Option<(Option<Slot>, Extents)> {
        let active = match *take(&mut payload)? {
            [Self::NO_SLOT] => None,
            [number] => Some(Slot::from_number(number)?),
        };
        let extents = [u32::from_be_bytes(*take(&mut payload)?), u32::from_be_bytes(*take(&mut payload)?)];
        payload.is_empty().then_some((active, extents))
    }
}

/// The header of a slot: what the chunks make together. A state that fits is in the same record, and has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SlotHeader {
    seq: u64,
    epoch: Epoch,
    version: u16,
    /// Length of the state in bytes.
    len: u32,
    /// Checksum of the whole state.
    state_crc: u32,
    type_name: String,
}

impl SlotHeader {
    /// Length of what stands beside the name and the state.
    const FIXED_LEN: usize = 11;

    pub(crate) fn of(snapshot: &Snapshot, epoch: Epoch) -> Self {
        SlotHeader {
            seq: snapshot.seq,
            epoch,
            version: snapshot.version,
            len: snapshot.state.len() as u32,
            state_crc: crc32fast::hash(&snapshot.state),
            type_name: snapshot.type_name.clone(),
        }
    }

    /// `inside`: [what](SlotHeader::len_inside) of the state goes into the same record.
    pub(crate) fn seal(&self, key: &[u8], inside: &[u8]) -> Vec<u8> {
        let mut payload = Vec::with_capacity(Self::FIXED_LEN + self.type_name.len());
        payload.extend_from_slice(&self.version.to_be_bytes());
        payload.extend_from_slice(&self.len.to_be_bytes());
        payload.extend_from_slice(&self.state_crc.to_be_bytes());
        payload.push(self.type_name.len() as u8); // at most 255, `check_size` sees to that
        payload.extend_from_slice(self.type_name.as_bytes());
        let header = Envelope { kind: Kind::SlotHeader, seq: self.seq, epoch: self.epoch, payload: &payload };
        header.seal_with(&[inside], key)
    }

    /// The header, and what of the state is in the same record.
    fn open<'a>(key: &[u8], value: &'a [u8]) -> Result<(Self, &'a [u8]), Refused> {
        let header = Envelope::open(key, value, Kind::SlotHeader)?;
        let is_sound = |read: &(Self, &[u8])| read.0.len as usize <= SNAPSHOT_LEN_MAX;
        Self::read(header).filter(is_sound).ok_or(Refused::Malformed)
    }

    fn read(header: Envelope<'_>) -> Option<(Self, &[u8])> {
        let mut rest = header.payload;
        let version = u16::from_be_bytes(*take(&mut rest)?);
        let len = u32::from_be_bytes(*take(&mut rest)?);
        let state_crc = u32::from_be_bytes(*take(&mut rest)?);
        let [name_len] = *take(&mut rest)?;
        let (name, inside) = rest.split_at_checked(name_len.into())?;
        let type_name = String::from_utf8(name.to_vec()).ok()?;
        let (seq, epoch) = (header.seq, header.epoch);
        Some((SlotHeader { seq, epoch, version, len, state_crc, type_name }, inside))
    }

    /// How much of the state goes into the record of the header: all, if that fits, or nothing.
    pub(crate) fn len_inside(&self) -> usize {
        let len = self.len as usize;
        if Self::FIXED_LEN + self.type_name.len() + len <= PAYLOAD_LEN_MAX { len } else { 0 }
    }

    pub(crate) fn chunks(&self) -> u32 {
        (self.len - self.len_inside() as u32).div_ceil(PAYLOAD_LEN_MAX as u32)
    }

    fn fits(&self, state: &[u8]) -> bool {
        state.len() == self.len as usize && crc32fast::hash(state) == self.state_crc
    }
}
