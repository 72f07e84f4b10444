//! Work that a stop lets come to its end.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::cell::{CellCore, Incarnation};
use crate::message::Failure;

/// The deadline of protected work has passed, and the work was dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the protected work was not done within {after:?}")]
pub struct ProtectionOver {
    /// The deadline that was given.
    pub after: Duration,
}

impl From<ProtectionOver> for Failure {
    fn from(error: ProtectionOver) -> Self {
        Failure::exhausted(error)
    }
}

/// Protects while it lives.
pub(crate) struct Protection {
    core: Arc<CellCore>,
    number: u64,
}

impl Protection {
    pub(crate) fn begin(core: &Arc<CellCore>, incarnation: Incarnation, until: Instant) -> Self {
        Protection { core: core.clone(), number: core.protect(incarnation, until) }
    }
}

impl Drop for Protection {
    fn drop(&mut self) {
        self.core.unprotect(self.number);
    }
}
