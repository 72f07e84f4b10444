//! The layout every engine shares: how batches become records, and how records are found again.
//!
//! A snapshot goes into the slot that is not in use, whole or in chunks; the actor's head flips in the same batch. So the
//! snapshot before stays whole until the next one, and a damaged one has something to fall back to. Nothing is
//! remembered between calls: each decision is taken from the records themselves.

use std::collections::BTreeMap;

use super::content::{Broken, Parts};
use super::plan::{Plan, behind};
use super::record::{
    ACTOR_PREFIX, BUDGETS_PREFIX, CASES_PREFIX, CHARGES_PREFIX, ContentKey, Kind, RecordKey, Refused,
    STORE_HEAD_KEY, actor_prefix, budget_of, case_key, charge_of, laid_aside_prefix, open_budget, open_case,
    open_charge, unfinished_prefixes,
};
use super::recovery::{Recovered, recover};
use super::stored_form::laid_aside_from_bytes;
use super::{
    Batch, BatchOutcome, CaseOwner, CommitSeq, DamageReason, LaidAside, ListedCase, Scan, StoreError,
    StoreHead, StoreId, StoredBudgets,
};
use crate::address::ActorPath;

/// Keys with their values.
pub(crate) type Entries = Vec<(Vec<u8>, Vec<u8>)>;
/// What to put (`Some`) or remove (`None`), by key.
pub(crate) type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// What an engine does for the layout: an ordered map of bytes with one atomic, durable write.
pub(crate) trait Engine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// All entries whose key starts with `prefix`, sorted.
    fn entries(&self, prefix: &[u8]) -> Result<Entries, StoreError>;
    /// All keys that start with `prefix`, sorted.
    fn keys(&self, prefix: &[u8]) -> Result<Vec<Vec<u8>>, StoreError>;
    /// The first key that is not below `from`.
    fn next_key(&self, from: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// Makes all of `writes` durable, or none of them.
    fn apply(&self, writes: Writes) -> Result<(), StoreError>;
    /// What the store is called from its first commit on, if there is nothing in it: the same each time it is asked.
    fn fresh_id(&self) -> StoreId;
}

/// [`Store::commit`](super::Store::commit) on any engine.
pub(crate) fn commit(engine: &impl Engine, group: &[Batch]) -> Result<Vec<BatchOutcome>, StoreError> {
    let mut plan = Plan::begin(engine, head(engine)?);
    let outcomes = group.iter().map(|batch| plan.add(batch)).collect::<Result<_, _>>()?;
    if let Some(writes) = plan.finish() {
        engine.apply(writes)?;
    }
    Ok(outcomes)
}

/// [`Store::scan`](super::Store::scan) on any engine.
pub(crate) fn scan(engine: &impl Engine, actor: &ActorPath) -> Result<Scan, StoreError> {
    position(engine)?;
    let Recovered { epoch, newest, inbox, journal, logs, timers, birth, damage, .. } =
        recover(actor, &engine.entries(&actor_prefix(actor))?)?;
    Ok(Scan {
        epoch,
        snapshot: newest.map(|(_, snapshot)| snapshot),
        inbox,
        journal,
        logs,
        timers,
        birth,
        damage,
    })
}

/// [`Store::unfinished`](super::Store::unfinished) on any engine.
pub(crate) fn unfinished(engine: &impl Engine) -> Result<Vec<ActorPath>, StoreError> {
    let mut unfinished = Vec::new();
    for actor in actors(engine)? {
        for prefix in unfinished_prefixes(&actor) {
            if engine.next_key(&prefix)?.is_some_and(|key| key.starts_with(&prefix)) {
                unfinished.push(actor);
                break;
            }
        }
    }
    Ok(unfinished)
}

/// [`Store::laid_aside`](super::Store::laid_aside) on any engine.
pub(crate) fn laid_aside(engine: &impl Engine, actor: &ActorPath) -> Result<Vec<LaidAside>, StoreError> {
    position(engine)?;
    let entries = engine.entries(&laid_aside_prefix(actor))?;
    let prefix_len = actor_prefix(actor).len();
    let mut found: BTreeMap<_, Parts<'_>> = BTreeMap::new();
    for (key, value) in &entries {
        if let Some(RecordKey::Content(ContentKey::LaidAside(id), part)) =
            RecordKey::decode(&key[prefix_len..])
        {
            found.entry(id).or_default().0.insert(part, (key, value));
        }
    }
    let mut whole = Vec::new();
    for (id, parts) in found {
        match parts.join(Kind::LaidAside) {
            Ok(content) => whole.extend(laid_aside_from_bytes(id, &content)),
            Err(Broken::Refused(refused)) => refused.newer_format().map_or(Ok(()), Err)?,
            Err(Broken::Lost(_)) => {}
        }
    }
    Ok(whole)
}

/// [`Store::case`](super::Store::case) on any engine.
pub(crate) fn case(engine: &impl Engine, case: &str) -> Result<Option<CaseOwner>, StoreError> {
    position(engine)?;
    let key = case_key(case);
    engine.get(&key)?.map(|value| open_case(case, &key, &value)).transpose()
}

/// [`Store::cases`](super::Store::cases) on any engine.
pub(crate) fn cases(
    engine: &impl Engine,
    after: Option<&str>,
    most: usize,
) -> Result<Vec<ListedCase>, StoreError> {
    position(engine)?;
    let mut listed = Vec::new();
    let mut from = after.map_or(CASES_PREFIX.to_vec(), |after| behind(case_key(after)));
    while listed.len() < most
        && let Some(key) = engine.next_key(&from)?.filter(|key| key.starts_with(&CASES_PREFIX))
    {
        match (std::str::from_utf8(&key[CASES_PREFIX.len()..]), engine.get(&key)?) {
            (Ok(case), Some(value)) => match open_case(case, &key, &value) {
                Ok(owner) => listed.push((case.to_owned(), Ok(owner))),
                Err(StoreError::CaseDamaged { case, reason }) => listed.push((case, Err(reason))),
                Err(error) => return Err(error),
            },
            _ => tracing::warn!(?key, "a key of the store belongs to no case"),
        }
        from = behind(key);
    }
    Ok(listed)
}

/// [`Store::budgets`](super::Store::budgets) on any engine.
pub(crate) fn budgets(engine: &impl Engine) -> Result<StoredBudgets, StoreError> {
    position(engine)?;
    let mut found = StoredBudgets::default();
    for (key, value) in engine.entries(&BUDGETS_PREFIX)? {
        match budget_of(&key) {
            Some(path) => found.budgets.push((path, readable(open_budget(&key, &value))?)),
            None => tracing::warn!(?key, "a key of the store belongs to no budget"),
        }
    }
    for (key, value) in engine.entries(&CHARGES_PREFIX)? {
        match charge_of(&key) {
            Some(charge) => found.charges.push((charge, readable(open_charge(&key, &value))?)),
            None => tracing::warn!(?key, "a key of the store belongs to no charge"),
        }
    }
    Ok(found)
}

/// Why it cannot be read; a newer format is an error of the whole store.
fn readable<T>(opened: Result<T, Refused>) -> Result<Result<T, DamageReason>, StoreError> {
    match opened {
        Ok(content) => Ok(Ok(content)),
        Err(refused) => refused.newer_format().map_or(Ok(Err(refused.reason())), Err),
    }
}

/// [`Store::actors`](super::Store::actors) on any engine.
pub(crate) fn actors(engine: &impl Engine) -> Result<Vec<ActorPath>, StoreError> {
    position(engine)?;
    let mut actors = Vec::new();
    let mut from = vec![ACTOR_PREFIX];
    while let Some(key) = engine.next_key(&from)?.filter(|key| key[0] == ACTOR_PREFIX) {
        match actor_of(&key) {
            Some(actor) => {
                from = actor_prefix(&actor);
                actors.push(actor);
                // Behind the last record of this actor: its prefix with the zero raised to one.
                from.pop();
                from.push(0x01);
            }
            None => {
                tracing::warn!(?key, "a key of the store belongs to no actor");
                from = key;
                from.push(0x00);
            }
        }
    }
    Ok(actors)
}

/// The newest commit of the store, once its format is known to be ours; 0 for an empty store.
pub(crate) fn position(engine: &impl Engine) -> Result<CommitSeq, StoreError> {
    Ok(head(engine)?.seq)
}

/// [`Store::head`](super::Store::head) on any engine.
pub(crate) fn head(engine: &impl Engine) -> Result<StoreHead, StoreError> {
    match engine.get(STORE_HEAD_KEY)? {
        Some(value) => StoreHead::open(&value)
            .map_err(|refused| refused.newer_format().unwrap_or(StoreError::HeadDamaged)),
        None if engine.next_key(&[])?.is_none() => Ok(StoreHead::empty(engine.fresh_id())),
        // Records without a head: it was lost.
        None => Err(StoreError::HeadDamaged),
    }
}

/// [`Store::end`](super::Store::end) on any engine.
pub(crate) fn end(engine: &impl Engine) -> Result<(), StoreError> {
    let head = head(engine)?;
    if head.ended_in_order {
        return Ok(());
    }
    let ended = StoreHead { ended_in_order: true, ..head }.seal();
    engine.apply(Writes::from([(STORE_HEAD_KEY.to_vec(), Some(ended))]))
}

fn actor_of(key: &[u8]) -> Option<ActorPath> {
    let path = key.strip_prefix(&[ACTOR_PREFIX])?.split(|byte| *byte == 0x00).next()?;
    ActorPath::parse(std::str::from_utf8(path).ok()?).ok()
}
