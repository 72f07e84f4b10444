//! An error and what lies below it, in one line.

use std::error::Error;
use std::fmt;

/// Writes an error with its causes, for logs, for records, and for people: `a failed: b failed: the disk is full`.
///
/// ```
/// use greenroom_runtime::{Chain, Failure, NoReply};
///
/// let error = NoReply::Failed(Failure::external("the provider is down"));
/// assert_eq!(Chain(&error).to_string(), "the handler failed: the provider is down");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a>(pub &'a (dyn Error + 'a));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
