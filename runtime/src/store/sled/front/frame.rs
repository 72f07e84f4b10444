//! Frames: a group as it stands in a log, and what of a log's content is whole.
//!
//! `CRC32 u32 | length u32 | round u64`, big-endian, and then for each write `length of the key u32 | length of the value u32`,
//! the key and the value. The checksum goes over all that follows it, and begins with that of the frame before: a frame that
//! was left over from earlier fits behind none.

use crc32fast::Hasher;

use crate::store::layout::Writes;
use crate::store::record::STORE_HEAD_KEY;
use crate::store::{CommitSeq, StoreError, StoreHead};

/// Before each frame.
pub(super) const HEADER_LEN: usize = 16;
/// Before each key and value.
const LENGTHS_LEN: usize = 8;
/// Stands for the length of a value: the key is removed.
const REMOVED: u32 = u32::MAX;

/// `writes` as a frame of `round`, behind the frame with the checksum `last`; and its own checksum.
pub(super) fn frame(writes: &Writes, round: CommitSeq, last: u32) -> Result<(Vec<u8>, u32), StoreError> {
    let lens = writes.iter().map(|(key, value)| LENGTHS_LEN + key.len() + value.as_ref().map_or(0, Vec::len));
    let len: usize = lens.sum();
    // So each length in it is below `REMOVED` as well.
    let too_long = || StoreError::Failed { reason: "a group is longer than 4 GiB".into() };
    let word = u32::try_from(len).map_err(|_| too_long())?;
    let mut frame = Vec::with_capacity(HEADER_LEN + len);
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(&word.to_be_bytes());
    frame.extend_from_slice(&round.0.to_be_bytes());
    for (key, value) in writes {
        let value_len = value.as_ref().map_or(REMOVED, |value| value.len() as u32);
        frame.extend_from_slice(&(key.len() as u32).to_be_bytes());
        frame.extend_from_slice(&value_len.to_be_bytes());
        frame.extend_from_slice(key);
        frame.extend_from_slice(value.as_deref().unwrap_or_default());
    }
    let crc = checksum(&frame[4..], last);
    frame[..4].copy_from_slice(&crc.to_be_bytes());
    Ok((frame, crc))
}

fn checksum(content: &[u8], last: u32) -> u32 {
    let mut hasher = hasher(last);
    hasher.update(content);
    hasher.finalize()
}

/// For the content of a frame behind the one with the checksum `last`.
fn hasher(last: u32) -> Hasher {
    let mut hasher = Hasher::new();
    hasher.update(&last.to_be_bytes());
    hasher
}

/// What a log holds for a round.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) writes: Writes,
    /// What the store says of itself in the last whole frame.
    pub(super) newest: Option<StoreHead>,
    /// Where the last whole frame ends.
    pub(super) end: usize,
    /// There is a frame behind what is not whole, which was written when that had been acknowledged.
    pub(super) is_damaged: bool,
}

/// All that stands in the frames of `round`, up to the first that is not whole.
pub(super) fn read(content: &[u8], round: CommitSeq) -> Found {
    let (mut found, mut last) = (Found::default(), 0);
    while let Some(frame) = Frame::at(content, found.end, last).filter(|frame| frame.round == round)
        && let Some((writes, head)) = frame.writes()
        && found.newest.is_none_or(|before| before.id == head.id && before.seq <= head.seq)
    {
        found.writes.extend(writes);
        found.newest = Some(head);
        (found.end, last) = (frame.end, frame.crc);
    }
    found.is_damaged = is_followed(content, found.end, round, last);
    found
}

/// The round of the first frame of a log, and what the store said of itself in it; `None` if that frame is not whole.
pub(super) fn first(content: &[u8]) -> Option<(CommitSeq, StoreHead)> {
    let frame = Frame::at(content, 0, 0)?;
    Some((frame.round, frame.writes()?.1))
}

/// Whether a whole frame of `round` stands behind the one at `at`, which is not whole. A frame is written when the one
/// before it is synced: so that one was acknowledged, and was damaged later.
fn is_followed(content: &[u8], at: usize, round: CommitSeq, last: u32) -> bool {
    let Some(stored) = number(content, at) else { return false };
    let begins = at + HEADER_LEN..content.len().saturating_sub(HEADER_LEN);
    let (mut between, mut until) = (hasher(last), at + 4);
    begins.filter(|begin| looks_like_a_frame(&content[*begin..], round)).any(|begin| {
        // Gone through once, however many places look like a frame: a state may be 16 MiB of anything.
        between.update(&content[until..begin]);
        until = begin;
        // Of the frame between, either the checksum is damaged or what it is made over.
        let before = [stored, between.clone().finalize()];
        before.into_iter().any(|before| Frame::at(content, begin, before).is_some())
    })
}

/// Whether `content` may begin with a frame of `round`: then the first key in it is that of the store's head, below which there is none.
fn looks_like_a_frame(content: &[u8], round: CommitSeq) -> bool {
    let Some((header, carried)) = content.split_at_checked(HEADER_LEN) else { return false };
    let first_key = carried.get(LENGTHS_LEN..).and_then(|keys| keys.get(..STORE_HEAD_KEY.len()));
    header[8..] == round.0.to_be_bytes()
        && number(carried, 0) == Some(STORE_HEAD_KEY.len() as u32)
        && first_key == Some(STORE_HEAD_KEY)
}

/// A frame whose checksum is right.
struct Frame<'a> {
    crc: u32,
    round: CommitSeq,
    carried: &'a [u8],
    end: usize,
}

impl<'a> Frame<'a> {
    fn at(content: &'a [u8], at: usize, last: u32) -> Option<Self> {
        let (crc, len) = (number(content, at)?, number(content, at + 4)? as usize);
        let round = CommitSeq(u64::from_be_bytes(*content.get(at + 8..)?.first_chunk()?));
        let end = (at + HEADER_LEN).checked_add(len).filter(|end| *end <= content.len())?;
        let carried = &content[at + HEADER_LEN..end];
        (checksum(&content[at + 4..end], last) == crc).then_some(Frame { crc, round, carried, end })
    }

    fn writes(&self) -> Option<(Writes, StoreHead)> {
        let (mut writes, mut content) = (Writes::new(), self.carried);
        while !content.is_empty() {
            let (key_len, value_len) = (number(content, 0)? as usize, number(content, 4)?);
            let (key, rest) = content.get(LENGTHS_LEN..)?.split_at_checked(key_len)?;
            let (value, rest) = match value_len {
                REMOVED => (None, rest),
                len => {
                    let (value, rest) = rest.split_at_checked(len as usize)?;
                    (Some(value.to_vec()), rest)
                }
            };
            writes.insert(key.to_vec(), value);
            content = rest;
        }
        let head = head_of(&writes)?;
        Some((writes, head))
    }
}

/// What the store says of itself in `writes`.
pub(super) fn head_of(writes: &Writes) -> Option<StoreHead> {
    StoreHead::open(writes.get(STORE_HEAD_KEY)?.as_ref()?).ok()
}

fn number(content: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*content.get(at..)?.first_chunk()?))
}
