//! What the promises write: states, messages and records, made up.

use super::*;

pub(super) fn snapshot(seq: u64, len: usize) -> Snapshot {
    Snapshot { type_name: "test.state".into(), version: seq as u16, seq, state: bytes(len, seq) }
}

pub(super) fn delivery(to: &str, message: StoredMessage) -> Record {
    Record::Deliver { to: path(to), message }
}

pub(super) fn message(len: usize) -> StoredMessage {
    StoredMessage { name: "test.message".into(), version: 1, body: bytes(len, 7), ..StoredMessage::default() }
}

/// A message with a request id.
pub(super) fn asked(request: &str, len: usize) -> StoredMessage {
    StoredMessage { request: Some(request.into()), ..message(len) }
}

/// What is found of `message`, once it was accepted as `id`.
pub(super) fn accepted(id: MessageId, message: StoredMessage) -> StoredMessage {
    StoredMessage { id, origin: id, ..message }
}

pub(super) fn done(message: MessageId) -> Record {
    Record::Done { message, answer: None }
}

/// Done, with the answer to `request` that came in millisecond `at_ms` and is kept until `until_ms`.
pub(super) fn answered(message: MessageId, request: &str, at_ms: u64, until_ms: u64, len: usize) -> Record {
    let answer = StoredAnswer { request: request.into(), at_ms, until_ms, body: bytes(len, 9) };
    Record::Done { message, answer: Some(answer) }
}

pub(super) fn lay_aside(message: MessageId, cause: &str) -> Record {
    Record::LayAside { message, cause: cause.into() }
}

pub(super) fn give_back(to: &str, message: MessageId) -> Record {
    Record::Return { to: path(to), message }
}

pub(super) fn forget(of: &str, message: MessageId) -> Record {
    Record::Forget { of: path(of), message }
}

pub(super) fn counted(n: u32) -> Tries {
    Tries { falls: n, openings: n.wrapping_mul(3) }
}

pub(super) fn tries(message: MessageId, tries: u32) -> Record {
    Record::Tries { message, tries: counted(tries) }
}

pub(super) fn journal(message: MessageId, place: u32, len: usize) -> Record {
    Record::Journal(entry(message, place, len))
}

pub(super) fn entry(message: MessageId, place: u32, len: usize) -> JournalEntry {
    JournalEntry { message, place, content: bytes(len, u64::from(place) + len as u64) }
}

/// No two salts give the same bytes, and no two places in them are alike.
pub(super) fn bytes(len: usize, salt: u64) -> Vec<u8> {
    (0..len as u64).map(|at| (at ^ (at >> 8) ^ (salt * 31)) as u8).collect()
}

pub(super) fn forget_journal(message: MessageId) -> Record {
    Record::ForgetJournal { message }
}

/// Sets a timer that is due once.
pub(super) fn set(name: &str, due_ms: u64, message: StoredMessage) -> Record {
    Record::SetTimer(timer(name, due_ms, message))
}

pub(super) fn timer(name: &str, due_ms: u64, message: StoredMessage) -> StoredTimer {
    StoredTimer { name: name.into(), due_ms, every_ms: None, message }
}

pub(super) fn cancel(name: &str) -> Record {
    Record::CancelTimer { name: name.into() }
}

pub(super) fn fire(name: &str, due_ms: u64, next_ms: Option<u64>) -> Record {
    Record::Fire { name: name.into(), due_ms, next_ms }
}

pub(super) fn birth(of: &str, len: usize) -> Record {
    Record::Birth { of: path(of), content: bytes(len, 5) }
}

pub(super) fn erase(of: &str) -> Record {
    Record::Erase { of: path(of) }
}
