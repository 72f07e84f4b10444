//! Messages: delivered, done, laid aside, returned, forgotten; with their tries and their journals.

use super::Plan;
use super::malformed;
use crate::address::ActorPath;
use crate::message::MessageId;
use crate::store::content;
use crate::store::layout::Engine;
use crate::store::record::{ContentKey, RecordKey, journal_prefix};
use crate::store::stored_form::{
    Request, laid_aside_to_bytes, message_from_bytes, message_front, split_laid_aside, split_message,
};
use crate::store::{Delivered, StoreError, StoredAnswer, StoredMessage};

impl<E: Engine> Plan<'_, E> {
    pub(super) fn next_id(&mut self) -> MessageId {
        self.seq.0 += 1;
        MessageId(self.seq.0)
    }

    pub(super) fn deliver(
        &mut self,
        to: &ActorPath,
        message: &StoredMessage,
    ) -> Result<Delivered, StoreError> {
        if let Some(request) = &message.request
            && let Some(known) = self.request(to, request)?
        {
            return Ok(match known {
                Request::Waiting(id) => Delivered::Waiting(id),
                Request::Answered { answer, .. } => Delivered::Answered(answer),
            });
        }
        self.plant_head(to)?;
        let id = self.next_id();
        self.put_message(to, message, id, id);
        self.put_waiting(to, message, id);
        Ok(Delivered::New(id))
    }

    fn put_message(&mut self, to: &ActorPath, message: &StoredMessage, id: MessageId, origin: MessageId) {
        let pieces = [&message_front(message, origin)[..], &message.body];
        content::put_pieces(&mut self.writes, to, &ContentKey::Message(id), &pieces);
    }

    fn put_waiting(&mut self, to: &ActorPath, message: &StoredMessage, id: MessageId) {
        if let Some(request) = &message.request {
            let waiting = Request::Waiting(id).to_bytes();
            content::put(&mut self.writes, to, &ContentKey::Request(request.clone()), &waiting);
        }
    }

    pub(super) fn done(
        &mut self,
        actor: &ActorPath,
        id: MessageId,
        answer: Option<&StoredAnswer>,
    ) -> Result<(), StoreError> {
        let key = ContentKey::Message(id);
        let Some(bytes) = self.content(actor, &key)? else { return Ok(()) };
        let (message, _) = split_message(id, &bytes).ok_or_else(|| malformed(actor, &key))?;
        self.remove_read(actor, &key, &bytes)?;
        if message.origin != id {
            self.remove_tries(actor, id)?;
        }
        self.remove_tries_and_journal(actor, message.origin)?;
        let Some(request) = self.remove_request(actor, &message)? else { return Ok(()) };
        match answer.filter(|answer| answer.request == *request) {
            Some(answer) => self.keep_answer(actor, answer),
            None => Ok(()),
        }
    }

    pub(super) fn lay_aside(
        &mut self,
        actor: &ActorPath,
        id: MessageId,
        cause: &str,
    ) -> Result<(), StoreError> {
        let key = ContentKey::Message(id);
        let Some(message) = self.content(actor, &key)? else { return Ok(()) };
        self.remove(actor, &key)?;
        self.remove_tries(actor, id)?;
        let aside = laid_aside_to_bytes(&message, cause);
        content::put(&mut self.writes, actor, &ContentKey::LaidAside(id), &aside);
        Ok(())
    }

    fn take_aside(&mut self, actor: &ActorPath, id: MessageId) -> Result<Option<StoredMessage>, StoreError> {
        let key = ContentKey::LaidAside(id);
        let Some(bytes) = self.content(actor, &key)? else { return Ok(None) };
        let message = split_laid_aside(&bytes).and_then(|(_, message)| message_from_bytes(id, message));
        self.remove(actor, &key)?;
        message.map(Some).ok_or_else(|| malformed(actor, &key))
    }

    pub(super) fn give_back(&mut self, to: &ActorPath, id: MessageId) -> Result<Delivered, StoreError> {
        let Some(message) = self.take_aside(to, id)? else { return Ok(Delivered::Unknown) };
        let (new_id, origin) = (self.next_id(), message.origin);
        let has_request = self.remove_request(to, &message)?.is_some();
        let back = StoredMessage { expires_ms: None, ..message };
        self.put_message(to, &back, new_id, origin);
        if has_request {
            self.put_waiting(to, &back, new_id);
        }
        Ok(Delivered::New(new_id))
    }

    pub(super) fn forget(&mut self, of: &ActorPath, id: MessageId) -> Result<(), StoreError> {
        let Some(message) = self.take_aside(of, id)? else { return Ok(()) };
        self.remove_journal(of, message.origin)?;
        self.remove_request(of, &message).map(drop)
    }

    pub(super) fn remove_tries(&mut self, actor: &ActorPath, id: MessageId) -> Result<(), StoreError> {
        let key = RecordKey::Tries(id).encode(actor);
        if self.get(&key)?.is_some() {
            self.writes.insert(key, None);
        }
        Ok(())
    }

    pub(super) fn remove_journal(&mut self, actor: &ActorPath, of: MessageId) -> Result<(), StoreError> {
        let prefix = journal_prefix(actor, of);
        for key in self.keys(&prefix)? {
            if key != prefix {
                self.writes.insert(key, None);
            }
        }
        Ok(())
    }

    fn remove_tries_and_journal(&mut self, actor: &ActorPath, of: MessageId) -> Result<(), StoreError> {
        for key in self.keys(&journal_prefix(actor, of))? {
            self.writes.insert(key, None);
        }
        Ok(())
    }
}
