//! Requests: what is known of each, and how long an answer is kept.

use std::collections::BTreeSet;

use super::Plan;
use super::malformed;
use super::reading::behind;
use crate::address::{ActorPath, Epoch};
use crate::store::content;
use crate::store::layout::Engine;
use crate::store::record::{
    ContentKey, Envelope, Kind, RecordKey, actor_prefix, answer_ends_prefix, requests_prefix,
};
use crate::store::stored_form::Request;
use crate::store::{StoreError, StoredAnswer, StoredMessage};

/// Answers whose time is over and that one answered request deletes.
pub(in crate::store) const ANSWERS_DELETED_MAX: usize = 2;

impl<E: Engine> Plan<'_, E> {
    pub(super) fn request(&self, actor: &ActorPath, request: &str) -> Result<Option<Request>, StoreError> {
        let key = ContentKey::Request(request.to_owned());
        let Some(bytes) = self.content(actor, &key)? else { return Ok(None) };
        Request::from_bytes(&bytes).map(Some).ok_or_else(|| malformed(actor, &key))
    }

    /// All that are known of `actor`, by name. Costs a look at each.
    pub(super) fn requests(&self, actor: &ActorPath) -> Result<BTreeSet<String>, StoreError> {
        let prefix_len = actor_prefix(actor).len();
        let keys = self.keys(&requests_prefix(actor))?;
        let names = keys.iter().filter_map(|key| match RecordKey::decode(&key[prefix_len..]) {
            Some(RecordKey::Content(ContentKey::Request(name), _)) => Some(name),
            _ => None,
        });
        Ok(names.collect())
    }

    /// Removes the record of the request of `message`, and says which that is. `None`: it has no request, or that tells
    /// of another message. Of a damaged record it cannot be told, but this message names it.
    pub(super) fn remove_request<'m>(
        &mut self,
        actor: &ActorPath,
        message: &'m StoredMessage,
    ) -> Result<Option<&'m String>, StoreError> {
        let Some(request) = &message.request else { return Ok(None) };
        match self.request(actor, request) {
            Ok(Some(Request::Waiting(id))) if id == message.id => {}
            Ok(None) | Err(StoreError::Damaged { .. }) => {}
            Ok(Some(_)) => return Ok(None),
            Err(error) => return Err(error),
        }
        self.remove(actor, &ContentKey::Request(request.clone()))?;
        Ok(Some(request))
    }

    pub(super) fn keep_answer(&mut self, actor: &ActorPath, answer: &StoredAnswer) -> Result<(), StoreError> {
        let StoredAnswer { request, at_ms, until_ms, body } = answer;
        for (until_ms, request) in self.ended_answers(actor, *at_ms)? {
            let end = RecordKey::AnswerEnd { until_ms, request: request.clone() }.encode(actor);
            self.remove_answer(actor, until_ms, request)?;
            self.writes.insert(end, None);
        }
        let answered = Request::Answered { until_ms: *until_ms, answer: body.clone() }.to_bytes();
        content::put(&mut self.writes, actor, &ContentKey::Request(request.clone()), &answered);
        let key = RecordKey::AnswerEnd { until_ms: *until_ms, request: request.clone() }.encode(actor);
        let value = Envelope { kind: Kind::AnswerEnd, seq: 0, epoch: Epoch(0), payload: &[] }.seal(&key);
        self.writes.insert(key, Some(value));
        Ok(())
    }

    /// The ends of answers that lie before `at_ms`: at most so many of those that were there before, and all that are
    /// planned. Damaged ones are left to whoever reads the report of [`Scan::damage`](super::Scan::damage).
    fn ended_answers(&self, actor: &ActorPath, at_ms: u64) -> Result<Vec<(u64, String)>, StoreError> {
        let (prefix, prefix_len) = (answer_ends_prefix(actor), actor_prefix(actor).len());
        let read = |key: &[u8], value: &[u8]| match RecordKey::decode(&key[prefix_len..]) {
            Some(RecordKey::AnswerEnd { until_ms, request })
                if Envelope::open(key, value, Kind::AnswerEnd).is_ok() =>
            {
                Some((until_ms, request))
            }
            _ => None,
        };
        let planned = self.planned(&prefix).filter_map(|(key, value)| read(key, value.as_ref()?));
        let mut ended: Vec<_> = planned.filter(|(until_ms, _)| *until_ms < at_ms).collect();
        let most = ended.len() + ANSWERS_DELETED_MAX;
        let mut from = prefix.clone();
        // Sorted by time, so those behind the first that lasts last too.
        while ended.len() < most
            && let Some(key) = self.engine.next_key(&from)?.filter(|key| key.starts_with(&prefix))
        {
            if !self.writes.contains_key(&key)
                && let Some(end) = self.engine.get(&key)?.and_then(|value| read(&key, &value))
            {
                if end.0 >= at_ms {
                    break;
                }
                ended.push(end);
            }
            from = behind(key);
        }
        Ok(ended)
    }

    /// Unless the same request was sent, or answered, again since. A damaged record is what is left of the answer.
    fn remove_answer(&mut self, actor: &ActorPath, ended_ms: u64, request: String) -> Result<(), StoreError> {
        match self.request(actor, &request) {
            Ok(Some(Request::Answered { until_ms, .. })) if until_ms == ended_ms => {}
            Err(StoreError::Damaged { .. }) => {}
            other => return other.map(drop),
        }
        self.remove(actor, &ContentKey::Request(request))
    }
}
