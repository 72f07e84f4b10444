//! The writes of a group: what each record of each batch means for the records of the store.

use std::collections::BTreeMap;

use super::content::{self, Parts};
use super::layout::{Engine, Entries, Writes};
use super::record::{
    ContentKey, Envelope, FORMAT, Kind, PAYLOAD_LEN_MAX, RecordKey, STORE_HEAD_KEY, Slot, actor_prefix,
    answer_ends_prefix, journal_prefix,
};
use super::recovery::{ActorHead, SlotHeader, recover, seal_tries};
use super::stored_form::{
    Request, laid_aside_to_bytes, message_from_bytes, message_to_bytes, split_laid_aside, timer_from_bytes,
    timer_to_bytes,
};
use super::{
    Batch, BatchOutcome, CONTENT_LEN_MAX, CommitSeq, DamageReason, Delivered, JournalEntry, REQUEST_LEN_MAX,
    Record, SNAPSHOT_LEN_MAX, Snapshot, StoreError, StoredAnswer, StoredMessage, StoredTimer, Writer,
};
use crate::address::{ActorPath, Epoch};
use crate::message::MessageId;

/// Longest name of a type in bytes; it shares a record with other things.
const NAME_LEN_MAX: usize = 255;

/// Answers whose time is over and that one answered request deletes.
pub(super) const ANSWERS_DELETED_MAX: usize = 2;

/// The writes of a group, seen by its later batches as if they had happened.
pub(crate) struct Plan<'a, E> {
    engine: &'a E,
    begun: CommitSeq,
    seq: CommitSeq,
    writes: Writes,
}

impl<'a, E: Engine> Plan<'a, E> {
    pub(crate) fn begin(engine: &'a E, seq: CommitSeq) -> Self {
        Plan { engine, begun: seq, seq, writes: Writes::new() }
    }

    /// # Errors
    ///
    /// The whole group is refused: nothing of the plan is to be used.
    pub(crate) fn add(&mut self, batch: &Batch) -> Result<BatchOutcome, StoreError> {
        for record in &batch.records {
            check_size(whose(batch, record)?, record)?;
        }
        let mut head = match &batch.writer {
            Some(writer) => {
                let head = self.head_of_writer(writer, batch.records.is_empty())?;
                if writer.epoch < head.epoch {
                    return Ok(BatchOutcome::Stale { stored: head.epoch });
                }
                Some(ActorHead { epoch: writer.epoch, ..head })
            }
            None => None,
        };
        let mut deliveries = Vec::new();
        for record in &batch.records {
            match (record, &batch.writer, &mut head) {
                (Record::Deliver { to, message }, ..) => deliveries.push(self.deliver(to, message)?),
                (Record::Return { to, message }, ..) => deliveries.push(self.give_back(to, *message)?),
                (Record::Forget { of, message }, ..) => self.forget(of, *message)?,
                (Record::Birth { of, content }, ..) => self.put_birth(of, content)?,
                (Record::Erase { of }, ..) => self.erase(of)?,
                (Record::Fire { name, due_ms, next_ms }, Some(writer), _) => {
                    deliveries.push(self.fire(&writer.actor, name, *due_ms, *next_ms)?);
                }
                (record, Some(writer), Some(head)) => self.own_record(writer, head, record)?,
                (_, None, _) | (_, _, None) => return Err(StoreError::NoWriter),
            }
        }
        if let (Some(writer), Some(head)) = (&batch.writer, head) {
            self.put_head(&writer.actor, head);
        }
        self.seq.0 += 1;
        Ok(BatchOutcome::Committed { seq: self.seq, deliveries })
    }

    /// What is to be written, unless nothing is.
    pub(crate) fn finish(mut self) -> Option<Writes> {
        if self.seq == self.begun {
            return None;
        }
        // Also if nothing else is written: a number that was answered is never given again.
        let head = Envelope { kind: Kind::StoreHead, seq: self.seq.0, epoch: Epoch(0), payload: &[FORMAT] };
        self.writes.insert(STORE_HEAD_KEY.to_vec(), Some(head.seal(STORE_HEAD_KEY)));
        Some(self.writes)
    }

    fn own_record(
        &mut self,
        writer: &Writer,
        head: &mut ActorHead,
        record: &Record,
    ) -> Result<(), StoreError> {
        let actor = &writer.actor;
        match record {
            Record::Snapshot(snapshot) => {
                debug_assert!(snapshot.seq > head.seq, "the snapshots of an actor are numbered upwards");
                let slot = head.active.map_or(Slot::Zero, Slot::other);
                self.put_snapshot(actor, slot, writer.epoch, snapshot)?;
                head.active = Some(slot);
                head.seq = snapshot.seq;
                Ok(())
            }
            Record::Done { message, answer } => self.done(actor, *message, answer.as_ref()),
            Record::Tries { message, tries } => {
                let waits = RecordKey::Content(ContentKey::Message(*message), 0).encode(actor);
                if self.get(&waits)?.is_some() {
                    let key = RecordKey::Tries(*message).encode(actor);
                    let value = seal_tries(*tries, &key);
                    self.writes.insert(key, Some(value));
                }
                Ok(())
            }
            Record::ForgetJournal { message } => self.remove_journal(actor, *message),
            Record::LayAside { message, cause } => self.lay_aside(actor, *message, cause),
            Record::Journal(JournalEntry { message, place, content }) => {
                self.remove(actor, &ContentKey::Journal(*message, *place))?;
                content::put(&mut self.writes, actor, &ContentKey::Journal(*message, *place), content);
                Ok(())
            }
            Record::SetTimer(timer) => self.set_timer(actor, timer),
            Record::CancelTimer { name } => self.remove(actor, &ContentKey::Timer(name.clone())),
            Record::Deliver { .. }
            | Record::Return { .. }
            | Record::Forget { .. }
            | Record::Fire { .. }
            | Record::Birth { .. }
            | Record::Erase { .. } => unreachable!("these are dealt with before"),
        }
    }

    // ---- heads and snapshots ----

    /// The head of the writer. A claim, or a head that is missing or damaged, gets one that says what a scan finds:
    /// then the next snapshot overwrites the damaged slot and not the one that was fallen back to.
    fn head_of_writer(&self, writer: &Writer, is_claim: bool) -> Result<ActorHead, StoreError> {
        let key = RecordKey::ActorHead.encode(&writer.actor);
        let stored = match self.get(&key)? {
            Some(value) => ActorHead::open(&key, &value).ok(),
            None => None,
        };
        match stored {
            Some(head) if !is_claim => Ok(head),
            _ => {
                let entries: Entries = self.entries(&actor_prefix(&writer.actor))?.into_iter().collect();
                Ok(recover(&writer.actor, &entries)?.head())
            }
        }
    }

    fn put_head(&mut self, actor: &ActorPath, head: ActorHead) {
        let key = RecordKey::ActorHead.encode(actor);
        let value = head.seal(&key);
        self.writes.insert(key, Some(value));
    }

    fn put_snapshot(
        &mut self,
        actor: &ActorPath,
        slot: Slot,
        epoch: Epoch,
        snapshot: &Snapshot,
    ) -> Result<(), StoreError> {
        let header_key = RecordKey::SlotHeader(slot).encode(actor);
        // First out with all that the slot holds, header and chunks: a longer snapshot must leave nothing behind.
        for key in self.entries(&header_key)?.into_keys() {
            self.writes.insert(key, None);
        }
        let header = SlotHeader::of(snapshot, epoch);
        let value = header.seal(&header_key);
        self.writes.insert(header_key, Some(value));
        for (index, payload) in (0..).zip(snapshot.state.chunks(PAYLOAD_LEN_MAX)) {
            let key = RecordKey::Chunk(slot, index).encode(actor);
            let value = Envelope { kind: Kind::Chunk, seq: snapshot.seq, epoch, payload }.seal(&key);
            self.writes.insert(key, Some(value));
        }
        Ok(())
    }

    // ---- messages ----

    fn next_id(&mut self) -> MessageId {
        self.seq.0 += 1;
        MessageId(self.seq.0)
    }

    fn deliver(&mut self, to: &ActorPath, message: &StoredMessage) -> Result<Delivered, StoreError> {
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
        let message = StoredMessage { id, origin: id, ..message.clone() };
        self.put_message(to, &message);
        self.put_waiting(to, &message);
        Ok(Delivered::New(id))
    }

    /// Each actor with records has a head, so that a lost one is noticed; a lost one stays lost until its writer settles
    /// on what is left.
    fn plant_head(&mut self, of: &ActorPath) -> Result<(), StoreError> {
        if self.get(&RecordKey::ActorHead.encode(of))?.is_none() && !self.has_records(of)? {
            self.put_head(of, ActorHead { epoch: Epoch(0), seq: 0, active: None });
        }
        Ok(())
    }

    fn put_message(&mut self, to: &ActorPath, message: &StoredMessage) {
        content::put(&mut self.writes, to, &ContentKey::Message(message.id), &message_to_bytes(message));
    }

    fn put_waiting(&mut self, to: &ActorPath, message: &StoredMessage) {
        if let Some(request) = &message.request {
            let waiting = Request::Waiting(message.id).to_bytes();
            content::put(&mut self.writes, to, &ContentKey::Request(request.clone()), &waiting);
        }
    }

    fn done(
        &mut self,
        actor: &ActorPath,
        id: MessageId,
        answer: Option<&StoredAnswer>,
    ) -> Result<(), StoreError> {
        let key = ContentKey::Message(id);
        let Some(bytes) = self.content(actor, &key)? else { return Ok(()) };
        let message = message_from_bytes(id, &bytes).ok_or_else(|| malformed(actor, &key))?;
        self.remove(actor, &key)?;
        self.remove_tries(actor, id)?;
        self.remove_journal(actor, message.origin)?;
        let Some(request) = self.remove_request(actor, &message)? else { return Ok(()) };
        match answer.filter(|answer| answer.request == *request) {
            Some(answer) => self.keep_answer(actor, answer),
            None => Ok(()),
        }
    }

    fn lay_aside(&mut self, actor: &ActorPath, id: MessageId, cause: &str) -> Result<(), StoreError> {
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

    fn give_back(&mut self, to: &ActorPath, id: MessageId) -> Result<Delivered, StoreError> {
        let Some(message) = self.take_aside(to, id)? else { return Ok(Delivered::Unknown) };
        let back = StoredMessage { id: self.next_id(), expires_ms: None, ..message.clone() };
        self.put_message(to, &back);
        if self.remove_request(to, &message)?.is_some() {
            self.put_waiting(to, &back);
        }
        Ok(Delivered::New(back.id))
    }

    fn forget(&mut self, of: &ActorPath, id: MessageId) -> Result<(), StoreError> {
        let Some(message) = self.take_aside(of, id)? else { return Ok(()) };
        self.remove_journal(of, message.origin)?;
        self.remove_request(of, &message).map(drop)
    }

    // ---- timers, and how an actor was made ----

    fn set_timer(&mut self, actor: &ActorPath, timer: &StoredTimer) -> Result<(), StoreError> {
        let key = ContentKey::Timer(timer.name.clone());
        self.remove(actor, &key)?;
        content::put(&mut self.writes, actor, &key, &timer_to_bytes(timer));
        Ok(())
    }

    fn fire(
        &mut self,
        actor: &ActorPath,
        name: &str,
        due_ms: u64,
        next_ms: Option<u64>,
    ) -> Result<Delivered, StoreError> {
        let key = ContentKey::Timer(name.to_owned());
        let Some(bytes) = self.content(actor, &key)? else { return Ok(Delivered::Unknown) };
        let timer = timer_from_bytes(name, &bytes).ok_or_else(|| malformed(actor, &key))?;
        if timer.due_ms != due_ms {
            return Ok(Delivered::Unknown); // set anew since
        }
        match next_ms {
            Some(due_ms) => self.set_timer(actor, &StoredTimer { due_ms, ..timer.clone() })?,
            None => self.remove(actor, &key)?,
        }
        self.deliver(actor, &StoredMessage { due_ms: Some(due_ms), ..timer.message })
    }

    fn put_birth(&mut self, of: &ActorPath, content: &[u8]) -> Result<(), StoreError> {
        self.plant_head(of)?;
        self.remove(of, &ContentKey::Birth)?;
        content::put(&mut self.writes, of, &ContentKey::Birth, content);
        Ok(())
    }

    fn erase(&mut self, of: &ActorPath) -> Result<(), StoreError> {
        let entries: Entries = self.entries(&actor_prefix(of))?.into_iter().collect();
        if entries.is_empty() {
            return Ok(());
        }
        let epoch = recover(of, &entries)?.epoch.next();
        for (key, _) in entries {
            self.writes.insert(key, None);
        }
        self.put_head(of, ActorHead { epoch, seq: 0, active: None });
        Ok(())
    }

    fn remove_tries(&mut self, actor: &ActorPath, id: MessageId) -> Result<(), StoreError> {
        let key = RecordKey::Tries(id).encode(actor);
        if self.get(&key)?.is_some() {
            self.writes.insert(key, None);
        }
        Ok(())
    }

    fn remove_journal(&mut self, actor: &ActorPath, of: MessageId) -> Result<(), StoreError> {
        for key in self.keys(&journal_prefix(actor, of))? {
            self.writes.insert(key, None);
        }
        Ok(())
    }

    // ---- requests ----

    fn request(&self, actor: &ActorPath, request: &str) -> Result<Option<Request>, StoreError> {
        let key = ContentKey::Request(request.to_owned());
        let Some(bytes) = self.content(actor, &key)? else { return Ok(None) };
        Request::from_bytes(&bytes).map(Some).ok_or_else(|| malformed(actor, &key))
    }

    /// Removes the record of the request of `message`, and says which that is. `None`: it has no request, or that tells
    /// of another message. Of a damaged record it cannot be told, but this message names it.
    fn remove_request<'m>(
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

    fn keep_answer(&mut self, actor: &ActorPath, answer: &StoredAnswer) -> Result<(), StoreError> {
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

    // ---- reading ----

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.writes.get(key) {
            Some(planned) => Ok(planned.clone()),
            None => self.engine.get(key),
        }
    }

    fn entries(&self, prefix: &[u8]) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, StoreError> {
        let mut entries: BTreeMap<_, _> = self.engine.entries(prefix)?.into_iter().collect();
        for (key, value) in self.planned(prefix) {
            match value {
                Some(value) => entries.insert(key.clone(), value.clone()),
                None => entries.remove(key),
            };
        }
        Ok(entries)
    }

    /// All keys that start with `prefix`, in no order.
    fn keys(&self, prefix: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
        let planned = self.planned(prefix).filter(|(_, value)| value.is_some());
        let mut keys: Vec<Vec<u8>> = planned.map(|(key, _)| key.clone()).collect();
        let mut from = prefix.to_vec();
        while let Some(key) = self.engine.next_key(&from)?.filter(|key| key.starts_with(prefix)) {
            if !self.writes.contains_key(&key) {
                keys.push(key.clone());
            }
            from = behind(key);
        }
        Ok(keys)
    }

    fn has_records(&self, actor: &ActorPath) -> Result<bool, StoreError> {
        let prefix = actor_prefix(actor);
        let is_planned = self.planned(&prefix).next().is_some();
        Ok(is_planned || self.engine.next_key(&prefix)?.is_some_and(|key| key.starts_with(&prefix)))
    }

    /// What is planned for keys that start with `prefix`.
    fn planned<'p>(&'p self, prefix: &'p [u8]) -> impl Iterator<Item = (&'p Vec<u8>, &'p Option<Vec<u8>>)> {
        self.writes.range(prefix.to_vec()..).take_while(move |(key, _)| key.starts_with(prefix))
    }

    /// Something long; `None` if it is not there.
    fn content(&self, actor: &ActorPath, key: &ContentKey) -> Result<Option<Vec<u8>>, StoreError> {
        let first_key = RecordKey::Content(key.clone(), 0).encode(actor);
        if let Some(first) = self.get(&first_key)?
            && let Some(content) = content::of_one_part(&first_key, &first, key.kind())
        {
            return Ok(Some(content));
        }
        let entries = self.entries(&first_key)?;
        let prefix_len = actor_prefix(actor).len();
        let mut parts = Parts::default();
        for (found, value) in &entries {
            if let Some(RecordKey::Content(found_key, part)) = RecordKey::decode(&found[prefix_len..])
                && found_key == *key
            {
                parts.0.insert(part, (found, value));
            }
        }
        // Without the first part, but with others, it was there and is damaged.
        match parts.join(key.kind()) {
            Err(_) if parts.0.is_empty() => Ok(None),
            Ok(content) => Ok(Some(content)),
            Err(broken) => Err(broken.into_error(actor, key)),
        }
    }

    /// Removes something long, whatever is left of it: a damaged first part does not tell how many there are.
    fn remove(&mut self, actor: &ActorPath, key: &ContentKey) -> Result<(), StoreError> {
        for part in self.keys(&RecordKey::Content(key.clone(), 0).encode(actor))? {
            self.writes.insert(part, None);
        }
        Ok(())
    }
}

/// The first key that may come after `key`.
fn behind(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0x00);
    key
}

fn malformed(actor: &ActorPath, key: &ContentKey) -> StoreError {
    StoreError::Damaged { damage: content::damage(actor, key, DamageReason::Malformed) }
}

/// Of whom `record` is.
fn whose<'a>(batch: &'a Batch, record: &'a Record) -> Result<&'a ActorPath, StoreError> {
    let writer = || batch.writer.as_ref().map(|writer| &writer.actor);
    record.receiver().or_else(writer).ok_or(StoreError::NoWriter)
}

fn check_size(actor: &ActorPath, record: &Record) -> Result<(), StoreError> {
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
            check("timer name", timer.name.len(), REQUEST_LEN_MAX)?;
            check("message", timer.message.body.len(), CONTENT_LEN_MAX)
        }
        Record::Birth { content, .. } => check("birth", content.len(), CONTENT_LEN_MAX),
        Record::Journal(entry) => check("journal entry", entry.content.len(), CONTENT_LEN_MAX),
        Record::Done { answer: None, .. }
        | Record::Tries { .. }
        | Record::LayAside { .. }
        | Record::ForgetJournal { .. }
        | Record::CancelTimer { .. }
        | Record::Fire { .. }
        | Record::Erase { .. }
        | Record::Return { .. }
        | Record::Forget { .. } => Ok(()),
    }
}
