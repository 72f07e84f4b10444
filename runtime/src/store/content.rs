//! What may be too long for one record: cut into parts, and put together again.
//!
//! The first part begins with length and CRC32 of the whole, both `u32` and big-endian; so parts of two writings do not
//! pass for one.

use std::collections::BTreeMap;

use super::layout::Writes;
use super::record::{CHECKSUM_LEN, ContentKey, Envelope, Kind, PAYLOAD_LEN_MAX, RecordKey, Refused, take};
use super::{CONTENT_LEN_MAX, Damage, DamagePlace, DamageReason, StoreError};
use crate::address::{ActorPath, Epoch};

const HEADER_LEN: usize = 8;
/// What fits into the first part.
const START_LEN_MAX: usize = PAYLOAD_LEN_MAX - HEADER_LEN;
/// Room for what is stored beside the content proper: names, ids, causes.
const LEN_MAX: usize = CONTENT_LEN_MAX + (64 << 10);

/// Adds the records of `content` to `writes`.
pub(crate) fn put(writes: &mut Writes, actor: &ActorPath, key: &ContentKey, content: &[u8]) {
    put_pieces(writes, actor, key, &[content]);
}

/// As [`put`], of a content that comes in pieces.
pub(crate) fn put_pieces(writes: &mut Writes, actor: &ActorPath, key: &ContentKey, pieces: &[&[u8]]) {
    let (mut hasher, mut len) = (crc32fast::Hasher::new(), 0);
    for piece in pieces {
        hasher.update(piece);
        len += piece.len();
    }
    let mut header = [0; HEADER_LEN];
    header[..4].copy_from_slice(&(len as u32).to_be_bytes());
    header[4..].copy_from_slice(&hasher.finalize().to_be_bytes());
    let mut seal = |kind, part, start: &[u8], more: &[&[u8]]| {
        let record = RecordKey::Content(key.clone(), part).encode(actor);
        let value = Envelope { kind, seq: 0, epoch: Epoch(0), payload: start }.seal_with(more, &record);
        writes.insert(record, Some(value));
    };
    if is_one_part(len) {
        return seal(key.kind(), 0, &header, pieces);
    }
    let content = pieces.concat();
    let (start, rest) = content.split_at(START_LEN_MAX);
    seal(key.kind(), 0, &header, &[start]);
    for (part, payload) in (1..).zip(rest.chunks(PAYLOAD_LEN_MAX)) {
        seal(Kind::Part, part, payload, &[]);
    }
}

/// Whether a content of that length is one record.
pub(crate) fn is_one_part(len: usize) -> bool {
    len <= START_LEN_MAX
}

struct Header {
    len: usize,
    crc: u32,
}

impl Header {
    /// The header, and the start of the content behind it.
    fn open<'a>(key: &[u8], value: &'a [u8], kind: Kind) -> Result<(Self, &'a [u8]), Refused> {
        let mut rest = Envelope::open(key, value, kind)?.payload;
        let read = (|| {
            let len = u32::from_be_bytes(*take(&mut rest)?) as usize;
            Some(Header { len, crc: u32::from_be_bytes(*take(&mut rest)?) })
        })();
        let header = read.filter(|header| header.len <= LEN_MAX).ok_or(Refused::Malformed)?;
        Ok((header, rest))
    }

    fn parts(&self) -> u32 {
        1 + self.len.saturating_sub(START_LEN_MAX).div_ceil(PAYLOAD_LEN_MAX) as u32
    }
}

/// The content, if the first part is all of it.
pub(crate) fn of_one_part(key: &[u8], mut value: Vec<u8>, kind: Kind) -> Option<Vec<u8>> {
    let (header, content) = Header::open(key, &value, kind).ok()?;
    let is_whole = header.len == content.len() && crc32fast::hash(content) == header.crc;
    let len = content.len();
    value.truncate(value.len() - CHECKSUM_LEN);
    value.drain(..value.len() - len);
    is_whole.then_some(value)
}

/// The parts of something long, as they were found: keys with values.
#[derive(Default)]
pub(crate) struct Parts<'a>(pub(crate) BTreeMap<u32, (&'a [u8], &'a [u8])>);

/// Why parts make no whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    Refused(Refused),
    Lost(DamageReason),
}

impl Broken {
    /// The error of whoever needs the content of `key` to go on.
    pub(crate) fn into_error(self, actor: &ActorPath, key: &ContentKey) -> StoreError {
        match self {
            Broken::Refused(refused) => refused
                .newer_format()
                .unwrap_or_else(|| StoreError::Damaged { damage: damage(actor, key, refused.reason()) }),
            Broken::Lost(reason) => StoreError::Damaged { damage: damage(actor, key, reason) },
        }
    }
}

/// The damage of something long, as a whole.
pub(crate) fn damage(actor: &ActorPath, key: &ContentKey, reason: DamageReason) -> Damage {
    let place = match key {
        ContentKey::Message(id) => DamagePlace::Message { id: *id },
        ContentKey::Journal(message, place) => DamagePlace::Journal { message: *message, place: *place },
        ContentKey::Request(_) => DamagePlace::Request,
        ContentKey::LaidAside(id) => DamagePlace::LaidAside { id: *id },
        ContentKey::Timer(_) => DamagePlace::Timer,
        ContentKey::Birth => DamagePlace::Birth,
        ContentKey::Entry(log, index) => DamagePlace::LogEntry { log: *log, index: *index },
    };
    Damage { actor: actor.clone(), place, reason }
}

impl From<Refused> for Broken {
    fn from(refused: Refused) -> Self {
        Broken::Refused(refused)
    }
}

impl Parts<'_> {
    /// The content, if every part of it is there and fits.
    pub(crate) fn join(&self, kind: Kind) -> Result<Vec<u8>, Broken> {
        let missing = Broken::Lost(DamageReason::Missing);
        let (key, value) = self.0.get(&0).ok_or(missing)?;
        let (header, start) = Header::open(key, value, kind)?;
        let mut content = Vec::with_capacity(header.len);
        content.extend(start);
        for part in 1..header.parts() {
            let (key, value) = self.0.get(&part).ok_or(missing)?;
            content.extend(Envelope::open(key, value, Kind::Part)?.payload);
        }
        let fits = content.len() == header.len && crc32fast::hash(&content) == header.crc;
        if !fits || self.0.len() > header.parts() as usize {
            return Err(Broken::Lost(DamageReason::OutOfStep));
        }
        Ok(content)
    }
}
