//! How long what a record carries may be.

use crate::address::ActorPath;
use crate::store::{
    CONTENT_LEN_MAX, CaseChange, JOURNAL_LEN_MAX, REQUEST_LEN_MAX, Record, SNAPSHOT_LEN_MAX, StoreError,
};

/// Longest name of a type in bytes; it shares a record with other things.
const NAME_LEN_MAX: usize = 255;

pub(super) fn check_size(actor: &ActorPath, record: &Record) -> Result<(), StoreError> {
    let check = |what, len, max| match len > max {
        true => Err(StoreError::TooLarge { actor: actor.clone(), what, len, max }),
        false => Ok(()),
    };
    match record {
        Record::Snapshot(snapshot) => {
            check("type name", snapshot.type_name.len(), NAME_LEN_MAX)?;
            check("state", snapshot.state.len(), SNAPSHOT_LEN_MAX)
        }
        Record::Deliver { message, .. } => {
            check("message name", message.name.len(), NAME_LEN_MAX)?;
            check("request id", message.request.as_ref().map_or(0, String::len), REQUEST_LEN_MAX)?;
            check("message", message.body.len(), CONTENT_LEN_MAX)
        }
        Record::Done { answer: Some(answer), .. } => {
            check("request id", answer.request.len(), REQUEST_LEN_MAX)?;
            check("answer", answer.body.len(), CONTENT_LEN_MAX)
        }
        Record::SetTimer(timer) => {
            check("message name", timer.message.name.len(), NAME_LEN_MAX)?;
            check("request id", timer.message.request.as_ref().map_or(0, String::len), REQUEST_LEN_MAX)?;
            check("timer name", timer.name.len(), REQUEST_LEN_MAX)?;
            check("message", timer.message.body.len(), CONTENT_LEN_MAX)
        }
        Record::Birth { content, .. } => check("birth", content.len(), CONTENT_LEN_MAX),
        Record::Case { case, change } => {
            check("case name", case.len(), REQUEST_LEN_MAX)?;
            match change {
                CaseChange::Offer(offer) => {
                    check("name of whom a case is offered to", offer.to.len(), REQUEST_LEN_MAX)
                }
                _ => Ok(()),
            }
        }
        Record::Append(entry) => check("log entry", entry.content.len(), CONTENT_LEN_MAX),
        Record::Journal(entry) => check("journal entry", entry.content.len(), JOURNAL_LEN_MAX),
        Record::Done { answer: None, .. }
        | Record::Tries { .. }
        | Record::LayAside { .. }
        | Record::ForgetJournal { .. }
        | Record::Trim { .. }
        | Record::Charge { .. }
        | Record::Settle { .. }
        | Record::Budget { .. }
        | Record::CancelTimer { .. }
        | Record::Fire { .. }
        | Record::Erase { .. }
        | Record::Return { .. }
        | Record::Forget { .. } => Ok(()),
    }
}
