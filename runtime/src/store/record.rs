//! One stored record: its key, its envelope, and the proof that both belong together.
//!
//! ```text
//! key    00                                   head of the store
//!        10 <path> 00 00                      head of an actor
//!        10 <path> 00 01 <slot>               header of a snapshot slot
//!        10 <path> 00 01 <slot> <index u32>   one chunk of the state in that slot
//!
//! value  "Gr" | format u8 | kind u8 | payload length u32 | seq u64 | epoch u64 | payload | CRC32 u32
//! ```
//!
//! Numbers are big-endian. A path holds no zero byte, so all records of an actor are neighbours and `a` is no prefix
//! of `a/b`. The checksum covers the key too: a record in the wrong place is refused like one with a flipped bit.
//! Magic, format and the checksum keep their places in every future format.

use super::StoreError;
use crate::address::{ActorPath, Epoch};

/// The format this version writes, and the newest it reads.
pub(crate) const FORMAT: u8 = 1;

/// Longest value; larger ones make sled write files that it never syncs.
pub(crate) const VALUE_LEN_MAX: usize = 4_096;

/// Longest payload.
pub(crate) const PAYLOAD_LEN_MAX: usize = VALUE_LEN_MAX - HEADER_LEN - CHECKSUM_LEN;

const MAGIC: [u8; 2] = *b"Gr";
const HEADER_LEN: usize = 24;
const CHECKSUM_LEN: usize = 4;

/// Key of the store's head.
pub(crate) const STORE_HEAD_KEY: &[u8] = &[0x00];
/// What every actor's key starts with.
pub(crate) const ACTOR_PREFIX: u8 = 0x10;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordKey {
    ActorHead,
    SlotHeader(Slot),
    Chunk(Slot, u32),
}

impl RecordKey {
    pub(crate) fn encode(self, actor: &ActorPath) -> Vec<u8> {
        let mut key = actor_prefix(actor);
        match self {
            RecordKey::ActorHead => key.push(0x00),
            RecordKey::SlotHeader(slot) => key.extend([0x01, slot.number()]),
            RecordKey::Chunk(slot, index) => {
                key.extend([0x01, slot.number()]);
                key.extend(index.to_be_bytes());
            }
        }
        key
    }

    /// Reads the part of a key behind the actor's prefix; `None` for a key that this version does not write.
    pub(crate) fn decode(rest: &[u8]) -> Option<Self> {
        match *rest {
            [0x00] => Some(RecordKey::ActorHead),
            [0x01, slot] => Some(RecordKey::SlotHeader(Slot::from_number(slot)?)),
            [0x01, slot, a, b, c, d] => {
                Some(RecordKey::Chunk(Slot::from_number(slot)?, u32::from_be_bytes([a, b, c, d])))
            }
            _ => None,
        }
    }
}

/// What the keys of all records of `actor` start with.
pub(crate) fn actor_prefix(actor: &ActorPath) -> Vec<u8> {
    let mut key = vec![ACTOR_PREFIX];
    key.extend(actor.as_str().as_bytes());
    key.push(0x00);
    key
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
        debug_assert!(self.payload.len() <= PAYLOAD_LEN_MAX, "values stay within {VALUE_LEN_MAX} bytes");
        let mut value = Vec::with_capacity(HEADER_LEN + self.payload.len() + CHECKSUM_LEN);
        value.extend(MAGIC);
        value.extend([FORMAT, self.kind as u8]);
        value.extend((self.payload.len() as u32).to_be_bytes());
        value.extend(self.seq.to_be_bytes());
        value.extend(self.epoch.0.to_be_bytes());
        value.extend(self.payload);
        value.extend(checksum(key, &value).to_be_bytes());
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
        let keys = slots.flat_map(|slot| [RecordKey::SlotHeader(slot), RecordKey::Chunk(slot, 70_000)]);
        for key in keys.chain([RecordKey::ActorHead]) {
            let encoded = key.encode(&actor);
            let rest = encoded.strip_prefix(actor_prefix(&actor).as_slice()).unwrap();
            assert_eq!(RecordKey::decode(rest), Some(key));
        }
        assert_eq!(RecordKey::decode(&[0x01, 2]), None);
        assert_eq!(RecordKey::decode(&[0x09]), None);
    }
}
