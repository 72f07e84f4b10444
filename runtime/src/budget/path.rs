//! Where a budget stands in the tree of budgets.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::address::{ActorPath, PathError};

/// Most segments of a path.
pub const BUDGET_DEPTH_MAX: usize = 8;

/// Where a budget stands, such as `acme/run-7/researcher`: from the tenant down, written as an [`ActorPath`] is, at most
/// [`BUDGET_DEPTH_MAX`] segments deep.
///
/// ```
/// use greenroom_runtime::BudgetPath;
///
/// let agent = BudgetPath::parse("acme/run-7/researcher")?;
/// assert_eq!(agent.parent().unwrap().as_str(), "acme/run-7");
/// assert_eq!(agent.tenant(), "acme");
/// assert!(BudgetPath::parse("a/b/c/d/e/f/g/h/i").is_err());
/// # Ok::<(), greenroom_runtime::BudgetPathError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BudgetPath(Arc<str>);

/// Why a text is no [`BudgetPath`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BudgetPathError {
    /// It is not written as a path is.
    #[error(transparent)]
    Path(#[from] PathError),
    /// It has too many segments. Leave some out.
    #[error("the budget `{path}` is {depth} deep, at most {BUDGET_DEPTH_MAX} are allowed")]
    TooDeep {
        /// What was refused.
        path: String,
        /// How many segments it has.
        depth: usize,
    },
}

impl BudgetPath {
    /// Parses a path of `/`-separated segments of `[a-z0-9-]+`.
    ///
    /// # Errors
    ///
    /// [`BudgetPathError`] names what is wrong.
    pub fn parse(text: &str) -> Result<Self, BudgetPathError> {
        let depth = text.split('/').count();
        if depth > BUDGET_DEPTH_MAX {
            return Err(BudgetPathError::TooDeep { path: text.into(), depth });
        }
        ActorPath::parse(text)?;
        Ok(BudgetPath(text.into()))
    }

    /// The path of `name` below this one.
    ///
    /// # Errors
    ///
    /// As [`parse`](BudgetPath::parse).
    pub fn child(&self, name: &str) -> Result<Self, BudgetPathError> {
        Self::parse(&format!("{self}/{name}"))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path one level up; `None` for a tenant.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| BudgetPath(parent.into()))
    }

    /// The first segment.
    pub fn tenant(&self) -> &str {
        self.0.split('/').next().unwrap_or(&self.0)
    }

    /// This path, then its parent, and so on up to the tenant.
    pub(crate) fn upwards(&self) -> impl Iterator<Item = BudgetPath> {
        std::iter::successors(Some(self.clone()), BudgetPath::parent)
    }
}

impl Borrow<str> for BudgetPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for BudgetPath {
    type Err = BudgetPathError;

    /// As [`BudgetPath::parse`].
    fn from_str(text: &str) -> Result<Self, BudgetPathError> {
        Self::parse(text)
    }
}

impl fmt::Display for BudgetPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for BudgetPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BudgetPath({})", self.0)
    }
}

impl Serialize for BudgetPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for BudgetPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        BudgetPath::parse(&text).map_err(serde::de::Error::custom)
    }
}
