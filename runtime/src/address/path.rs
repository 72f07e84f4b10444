//! Where an actor lives in the tree, and which life of it is meant.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest path, in bytes.
pub const PATH_LEN_MAX: usize = 255;

/// Where an actor lives in the tree, such as `support/desk` or `support/billing/2`.
///
/// A path is made of `/`-separated segments of `[a-z0-9-]+`, at most [`PATH_LEN_MAX`] bytes in all. It is stable
/// across restarts of the actor and of the process; [`Epoch`] tells one life from the next. Cloning is one
/// reference count.
///
/// ```
/// use greenroom_runtime::ActorPath;
///
/// let desk = ActorPath::parse("support/desk")?;
/// assert_eq!(desk.name(), "desk");
/// assert_eq!(desk.parent().unwrap().as_str(), "support");
/// assert!(ActorPath::parse("Support Desk").is_err());
/// # Ok::<(), greenroom_runtime::PathError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ActorPath(Arc<str>);

/// Why a text is no [`ActorPath`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// The text is empty. Give at least one segment.
    #[error("an actor path needs at least one segment")]
    Empty,
    /// The path is longer than [`PATH_LEN_MAX`] bytes. Shorten the names on the way.
    #[error("the actor path is {len} bytes long, at most {PATH_LEN_MAX} are allowed")]
    TooLong {
        /// Length of the refused text in bytes.
        len: usize,
    },
    /// A segment holds something else than lowercase letters, digits and `-`. Rename it.
    #[error("`{segment}` is no path segment: use lowercase letters, digits and `-`")]
    BadSegment {
        /// The first segment that was refused.
        segment: String,
    },
}

impl Borrow<str> for ActorPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl ActorPath {
    /// Parses a path of `/`-separated segments.
    ///
    /// # Errors
    ///
    /// [`PathError`] names what is wrong; nothing was registered anywhere.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if text.is_empty() {
            return Err(PathError::Empty);
        }
        if text.len() > PATH_LEN_MAX {
            return Err(PathError::TooLong { len: text.len() });
        }
        match text.split('/').find(|segment| !is_segment(segment)) {
            Some(segment) => Err(PathError::BadSegment { segment: segment.into() }),
            None => Ok(ActorPath(text.into())),
        }
    }

    /// The path of an actor called `name` at the top of the tree.
    ///
    /// # Errors
    ///
    /// [`PathError`] when `name` is no segment, or too long. A name with a `/` in it is a path, and no name.
    pub fn top(name: &str) -> Result<Self, PathError> {
        match name {
            "" => Err(PathError::Empty),
            name if name.contains('/') => Err(PathError::BadSegment { segment: name.into() }),
            name => Self::parse(name),
        }
    }

    /// The path of a child called `name` under this one.
    ///
    /// # Errors
    ///
    /// [`PathError`] when `name` is no segment or the whole grows too long.
    pub fn child(&self, name: &str) -> Result<Self, PathError> {
        if !is_segment(name) {
            return Err(PathError::BadSegment { segment: name.into() });
        }
        Self::parse(&format!("{self}/{name}"))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last segment.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The path one level up, or `None` for a top-level actor.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| ActorPath(parent.into()))
    }

    /// Whether `self` lies below `ancestor`; a path is not below itself.
    pub fn is_below(&self, ancestor: &ActorPath) -> bool {
        self.0.strip_prefix(ancestor.as_str()).is_some_and(|rest| rest.starts_with('/'))
    }
}

fn is_segment(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

impl std::str::FromStr for ActorPath {
    type Err = PathError;

    /// As [`ActorPath::parse`].
    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

impl fmt::Display for ActorPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ActorPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActorPath({})", self.0)
    }
}

impl Serialize for ActorPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ActorPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        ActorPath::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Which life of a cell: raised by one with each new incarnation, across restarts of the process for durable actors.
///
/// The store and the mailbox refuse whoever comes with an older epoch than the newest they have seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Epoch(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_parsed_or_refused_with_the_segment_named() {
        for good in ["a", "support/desk", "support/billing-2/0"] {
            assert_eq!(ActorPath::parse(good).unwrap().as_str(), good);
        }
        for (bad, segment) in [("a//b", ""), ("/a", ""), ("a/B", "B"), ("a b", "a b"), ("ä", "ä")] {
            assert_eq!(ActorPath::parse(bad), Err(PathError::BadSegment { segment: segment.into() }));
        }
        assert_eq!(ActorPath::parse(""), Err(PathError::Empty));
        assert_eq!(ActorPath::parse(&"a".repeat(256)), Err(PathError::TooLong { len: 256 }));
    }

    #[test]
    fn a_name_at_the_top_is_one_segment() {
        assert_eq!(ActorPath::top("desk-2").unwrap().as_str(), "desk-2");
        for bad in ["support/desk", "/", "Desk"] {
            assert_eq!(ActorPath::top(bad), Err(PathError::BadSegment { segment: bad.into() }));
        }
        assert_eq!(ActorPath::top(""), Err(PathError::Empty));
        assert_eq!(ActorPath::top(&"a".repeat(256)), Err(PathError::TooLong { len: 256 }));
    }

    #[test]
    fn below_means_a_whole_segment_below() {
        let root = ActorPath::parse("support").unwrap();

        assert!(root.child("desk").unwrap().is_below(&root));
        assert!(!ActorPath::parse("support-2/desk").unwrap().is_below(&root));
        assert!(!root.is_below(&root));
        assert!(root.child("a/b").is_err());
    }
}
