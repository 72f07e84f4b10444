//! Commits that stand on one another: none is kept unless those before it are.

use std::sync::{Arc, OnceLock};

use super::StoreError;

/// The commits of one life that follow one another without waiting. The first that is refused breaks it, and whatever
/// follows is refused with the same error. Broken in the writer's turn alone, and looked at there.
#[derive(Debug, Default)]
pub(crate) struct Chain(OnceLock<StoreError>);

/// How a commit stands to the commits before it.
#[derive(Clone, Debug, Default)]
pub(crate) enum Link {
    /// It stands alone.
    #[default]
    Free,
    /// It is kept only if all of the chain are, and is no part of it itself: whoever makes it waits for it.
    Follows(Arc<Chain>),
    /// It is a part of the chain: others are queued behind it before anybody knows what became of it.
    Carries(Arc<Chain>),
}

impl Link {
    pub(crate) fn is_free(&self) -> bool {
        matches!(self, Link::Free)
    }

    /// Whether others may stand on it.
    pub(super) fn carries(&self) -> bool {
        matches!(self, Link::Carries(_))
    }

    /// Why the chain is broken, if it is.
    pub(super) fn broken(&self) -> Option<StoreError> {
        match self {
            Link::Free => None,
            Link::Follows(chain) | Link::Carries(chain) => chain.0.get().cloned(),
        }
    }

    /// The commit was refused.
    pub(super) fn was_refused(&self, error: &StoreError) {
        if let Link::Carries(chain) = self {
            let _the_first_counts: Result<(), StoreError> = chain.0.set(error.clone());
        }
    }
}
