//! Messages, answers and what was laid aside, as bytes and back.
//!
//! ```text
//! message     origin u64 | length u16 | head in MessagePack, by field name | body
//! request     00 | message u64                waits
//!             01 | until ms u64 | answer      done
//! laid aside  length u16 | cause | message
//! timer       due ms u64 | period ms u64, 0 for once | message
//! ```

use serde::Serialize;

use super::record::take;
use super::{LaidAside, StoredMessage, StoredTimer};
use crate::message::MessageId;

/// Longest cause that is kept, in bytes.
const CAUSE_LEN_MAX: usize = 4 << 10;

/// What stands in front of the body of `message`, which was accepted first as `origin`.
pub(crate) fn message_front(message: &StoredMessage, origin: MessageId) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    bytes.extend_from_slice(&origin.0.to_be_bytes());
    bytes.extend_from_slice(&[0; 2]);
    let begun = bytes.len();
    let mut writer = rmp_serde::Serializer::new(&mut bytes).with_struct_map();
    message.serialize(&mut writer).expect("names, numbers and paths have an encoded form");
    let len = (bytes.len() - begun) as u16;
    bytes[begun - 2..begun].copy_from_slice(&len.to_be_bytes());
    bytes
}

pub(crate) fn message_from_bytes(id: MessageId, bytes: &[u8]) -> Option<StoredMessage> {
    let (message, body) = split_message(id, bytes)?;
    Some(StoredMessage { body: body.to_vec(), ..message })
}

/// The message without its body, and its body.
pub(crate) fn split_message(id: MessageId, bytes: &[u8]) -> Option<(StoredMessage, &[u8])> {
    let mut rest = bytes;
    let origin = MessageId(u64::from_be_bytes(*take(&mut rest)?));
    let len = u16::from_be_bytes(*take(&mut rest)?);
    let (head, body) = rest.split_at_checked(len.into())?;
    let message: StoredMessage = rmp_serde::from_slice(head).ok()?;
    Some((StoredMessage { id, origin, ..message }, body))
}

/// What is known of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Waiting(MessageId),
    Answered { until_ms: u64, answer: Vec<u8> },
}

impl Request {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Request::Waiting(id) => [&[0][..], &id.0.to_be_bytes()].concat(),
            Request::Answered { until_ms, answer } => [&[1][..], &until_ms.to_be_bytes(), answer].concat(),
        }
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (state, mut rest) = bytes.split_first()?;
        let number = u64::from_be_bytes(*take(&mut rest)?);
        match state {
            0 => Some(Request::Waiting(MessageId(number))),
            1 => Some(Request::Answered { until_ms: number, answer: rest.to_vec() }),
            _ => None,
        }
    }
}

pub(crate) fn timer_to_bytes(timer: &StoredTimer) -> Vec<u8> {
    let every_ms = timer.every_ms.unwrap_or(0);
    let times = [timer.due_ms.to_be_bytes(), every_ms.to_be_bytes()].concat();
    [&times[..], &message_front(&timer.message, timer.message.origin), &timer.message.body].concat()
}

pub(crate) fn timer_from_bytes(name: &str, bytes: &[u8]) -> Option<StoredTimer> {
    let mut rest = bytes;
    let due_ms = u64::from_be_bytes(*take(&mut rest)?);
    let every_ms = Some(u64::from_be_bytes(*take(&mut rest)?)).filter(|every_ms| *every_ms > 0);
    let message = message_from_bytes(MessageId::default(), rest)?;
    Some(StoredTimer { name: name.to_owned(), due_ms, every_ms, message })
}

pub(crate) fn laid_aside_to_bytes(message: &[u8], cause: &str) -> Vec<u8> {
    let end = (0..=cause.len().min(CAUSE_LEN_MAX)).rev().find(|end| cause.is_char_boundary(*end));
    let cause = &cause[..end.unwrap_or(0)];
    [&(cause.len() as u16).to_be_bytes(), cause.as_bytes(), message].concat()
}

/// The cause, and the message as bytes.
pub(crate) fn split_laid_aside(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let mut rest = bytes;
    let len = u16::from_be_bytes(*take(&mut rest)?);
    let (cause, message) = rest.split_at_checked(len.into())?;
    Some((std::str::from_utf8(cause).ok()?, message))
}

pub(crate) fn laid_aside_from_bytes(id: MessageId, bytes: &[u8]) -> Option<LaidAside> {
    let (cause, message) = split_laid_aside(bytes)?;
    Some(LaidAside { message: message_from_bytes(id, message)?, cause: cause.to_owned() })
}
