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
                Request::Waiting(id) => self.waits_or_lies_aside(to, id)?,
                Request::Answered { answer, .. } => Delivered::Answered(answer),
            });
        }
        self.plant_head(to)?;
        let id = self.next_id();
        self.put_message(to, message, id, id);
        self.put_waiting(to, message, id);
        Ok(Delivered::New(id))
    }

    /// Where the message is whose request has come again. Only a repeat costs this look.
    fn waits_or_lies_aside(&self, to: &ActorPath, id: MessageId) -> Result<Delivered, StoreError> {
        let cause = match self.content(to, &ContentKey::LaidAside(id)) {
            Ok(None) => return Ok(Delivered::Waiting(id)),
            Ok(Some(bytes)) => split_laid_aside(&bytes).map(|(cause, _)| cause.to_owned()),
            Err(StoreError::Damaged { .. }) => None,
            Err(error) => return Err(error),
        };
        let cause = cause.unwrap_or_else(|| "nobody can say, its record is damaged".to_owned());
        Ok(Delivered::LaidAside { id, cause })
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
        let message = match self.take_aside(of, id) {
            Ok(Some(message)) => message,
            Ok(None) => return Ok(()),
            Err(StoreError::Damaged { .. }) => return self.forget_damaged(of, id),
            Err(error) => return Err(error),
        };
        self.remove_journal(of, message.origin)?;
        self.remove_request(of, &message).map(drop)
    }

    /// What was laid aside cannot be read: whatever names its number goes, so that it can be sent again.
    fn forget_damaged(&mut self, of: &ActorPath, id: MessageId) -> Result<(), StoreError> {
        self.remove(of, &ContentKey::LaidAside(id))?;
        self.remove_journal(of, id)?; // if it was taken up before, its journal had another number, and stays
        for request in self.requests(of)? {
            match self.request(of, &request) {
                Ok(Some(Request::Waiting(waits))) if waits == id => {
                    self.remove(of, &ContentKey::Request(request))?;
                }
                Ok(_) | Err(StoreError::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
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
