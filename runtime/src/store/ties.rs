//! What the records of an actor tell of one another: of a lost one those that name it tell.
//!
//! A request names the message that waits under it, and that message names the request; an answer and its end name each
//! other. A record that is there counts as kept, be it damaged: then it is reported itself.

use std::collections::{BTreeMap, BTreeSet};

use super::content::Parts;
use super::record::ContentKey;
use super::stored_form::Request;
use super::{DamagePlace, StoredMessage};
use crate::message::MessageId;

/// What else must be there, by what a sound record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tie {
    /// The message waits, or lies aside.
    Message(MessageId),
    /// Something is known of the request.
    Request(String),
    AnswerEnd {
        until_ms: u64,
        request: String,
    },
}

impl Tie {
    pub(crate) fn of_message(message: &StoredMessage) -> Option<Self> {
        message.request.clone().map(Tie::Request)
    }

    pub(crate) fn of_request(name: &str, request: &Request) -> Self {
        match request {
            Request::Waiting(id) => Tie::Message(*id),
            Request::Answered { until_ms, .. } => {
                Tie::AnswerEnd { until_ms: *until_ms, request: name.to_owned() }
            }
        }
    }

    pub(crate) fn is_kept(
        &self,
        contents: &BTreeMap<ContentKey, Parts<'_>>,
        ends: &BTreeSet<(u64, String)>,
    ) -> bool {
        match self {
            Tie::Message(id) => {
                contents.contains_key(&ContentKey::Message(*id))
                    || contents.contains_key(&ContentKey::LaidAside(*id))
            }
            Tie::Request(request) => contents.contains_key(&ContentKey::Request(request.clone())),
            Tie::AnswerEnd { until_ms, request } => ends.contains(&(*until_ms, request.clone())),
        }
    }

    /// Where it is missing.
    pub(crate) fn place(&self) -> DamagePlace {
        match self {
            Tie::Message(id) => DamagePlace::Message { id: *id },
            Tie::Request(_) | Tie::AnswerEnd { .. } => DamagePlace::Request,
        }
    }
}
