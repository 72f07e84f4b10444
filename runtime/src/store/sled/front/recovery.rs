//! What of the logs counts when a store is opened, and whether it is all that there was.
//!
//! The engine's commit number decides. A round counts if it began at the number that the engine has: that number rises as the
//! last of what is given of a round. The round in the other log counts if it began where the first one ends.

use std::path::Path;
use std::sync::Arc;

use super::frame::{self, Found};
use super::log::LogFile;
use crate::store::layout::Writes;
use crate::store::{CommitSeq, StoreError, StoreHead};

/// What the engine has yet to be given, and the newest commit then; `head` is what it says of itself. `acknowledged` is what the file `marker` says.
pub(super) fn what_counts(
    logs: &mut [LogFile; 2],
    head: &StoreHead,
    acknowledged: CommitSeq,
    marker: &Path,
) -> Result<(Writes, CommitSeq), StoreError> {
    let contents = {
        let [zero, one] = &mut *logs;
        [zero.content()?, one.content()?]
    };
    let firsts = [frame::first(&contents[0]), frame::first(&contents[1])];
    // An empty engine is given its id with its first round.
    let is_foreign = |(_, said): &&(CommitSeq, StoreHead)| head.seq.0 > 0 && said.id != head.id;
    if let Some(log) = (0..2).find(|log| firsts[*log].as_ref().filter(is_foreign).is_some()) {
        let source = Arc::new(StoreError::Failed { reason: "this log is of another store".into() });
        return Err(StoreError::Open { path: logs[log].path().into(), source });
    }
    // A round begins at a commit that was acknowledged: so the logs themselves know of some.
    let begun = firsts.iter().flatten().map(|(round, _)| *round).max().unwrap_or_default();
    let mut known = acknowledged.max(begun);

    let (mut writes, mut reached, mut unread, mut broken) = (Writes::new(), head.seq, vec![0, 1], None);
    // Of a log whose first frame is not whole nobody knows the round: last, if something stands behind that frame.
    let fits = |log: usize, reached: CommitSeq| match &firsts[log] {
        Some((round, _)) => *round == reached,
        None => frame::read(&contents[log], reached).is_damaged,
    };
    while let Some(at) = unread.iter().position(|log| fits(*log, reached)) {
        let log = unread.remove(at);
        let Found { writes: of_log, newest, end, is_damaged } = frame::read(&contents[log], reached);
        writes.extend(of_log);
        reached = newest.map_or(reached, |newest| newest.seq);
        broken = Some((log, end));
        if is_damaged {
            known = known.max(CommitSeq(reached.0 + 1));
            unread.clear();
        }
    }
    if reached >= known {
        return Ok((writes, reached));
    }
    if acknowledged.0 == 0 {
        // Without a marker: whoever deleted it has accepted the loss, as the error told them.
        tracing::warn!(?reached, ?known, "commits of the store are missing, and there is no marker of them");
        return Ok((writes, reached));
    }
    let is_broken_at_once = |log: &usize| firsts[*log].is_none() && !contents[*log].is_empty();
    let broken = unread.into_iter().find(is_broken_at_once).map(|log| (log, 0)).or(broken);
    let (stored, acknowledged) = (reached, known);
    Err(match broken {
        Some((log, offset)) => {
            let (log, offset) = (logs[log].path().into(), offset as u64);
            StoreError::LogDamaged { log, offset, stored, acknowledged }
        }
        None => StoreError::Shortened { marker: marker.into(), stored, acknowledged },
    })
}
