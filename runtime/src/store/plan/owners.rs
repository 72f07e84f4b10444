//! Cases: what a batch makes of their owners, decided before anything of it is planned.

use std::collections::BTreeMap;

use super::Plan;
use crate::address::ActorPath;
use crate::store::layout::{Engine, Writes};
use crate::store::record::{case_key, open_case, seal_case};
use crate::store::{Batch, BatchOutcome, CaseChange, CaseOwner, Record, StoreError};

impl<E: Engine> Plan<'_, E> {
    /// The writes of all changes of cases in `batch`; or its outcome, if one of them does not hold.
    pub(super) fn change_cases(&self, batch: &Batch) -> Result<Result<Writes, BatchOutcome>, StoreError> {
        let mut changed: BTreeMap<&str, Option<CaseOwner>> = BTreeMap::new();
        for record in &batch.records {
            let Record::Case { case, change } = record else { continue };
            let is_assigned = matches!(change, CaseChange::Assign { .. });
            let kept = match changed.remove(case.as_str()) {
                Some(kept) => kept,
                None => match self.owner(case) {
                    Err(StoreError::CaseDamaged { .. }) if is_assigned => None,
                    kept => kept?,
                },
            };
            let writer = match &batch.writer {
                Some(writer) => Some(&writer.actor),
                None if is_assigned => None,
                None => return Err(StoreError::NoWriter),
            };
            match change.apply(writer, kept.as_ref()) {
                Ok(after) => drop(changed.insert(case, after)),
                Err(_) => return Ok(Err(BatchOutcome::Conflict { case: case.clone(), found: kept })),
            }
        }
        let write = |(case, after): (&str, Option<CaseOwner>)| {
            let key = case_key(case);
            let value = after.map(|after| seal_case(&key, &after));
            (key, value)
        };
        Ok(Ok(changed.into_iter().map(write).collect()))
    }

    fn owner(&self, case: &str) -> Result<Option<CaseOwner>, StoreError> {
        let key = case_key(case);
        self.get(&key)?.map(|value| open_case(case, &key, &value)).transpose()
    }
}

/// Such a change names no actor; it mends a damaged record, else it is nothing.
pub(super) fn is_from_nobody_to_nobody(record: &Record) -> bool {
    matches!(record, Record::Case { change: CaseChange::Assign { from: None, to: None }, .. })
}

/// Whose record a change of a case is, where something has to be named.
pub(super) fn whose_change(change: &CaseChange) -> Option<&ActorPath> {
    match change {
        CaseChange::Assign { from, to } => to.as_ref().or(from.as_ref()),
        _ => None,
    }
}
