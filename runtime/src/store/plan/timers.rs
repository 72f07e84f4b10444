//! Timers: set, cancelled, fired.

use super::Plan;
use super::malformed;
use crate::address::ActorPath;
use crate::store::content;
use crate::store::layout::Engine;
use crate::store::record::ContentKey;
use crate::store::stored_form::{timer_from_bytes, timer_to_bytes};
use crate::store::{Delivered, StoreError, StoredMessage, StoredTimer};

impl<E: Engine> Plan<'_, E> {
    pub(super) fn set_timer(&mut self, actor: &ActorPath, timer: &StoredTimer) -> Result<(), StoreError> {
        let key = ContentKey::Timer(timer.name.clone());
        self.remove(actor, &key)?;
        content::put(&mut self.writes, actor, &key, &timer_to_bytes(timer));
        Ok(())
    }

    pub(super) fn fire(
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
}
