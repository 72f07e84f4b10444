//! Promises that are broken on purpose: a judge who has never said no proves nothing.

use clap::ValueEnum;

/// Which promise is broken, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sabotage {
    /// Everything is acknowledged before it is on disk.
    AckBeforeFlush,
    /// What a handler sends and answers leaves before its commit is on disk.
    ReleaseBeforeCommit,
    /// A life that was replaced may still write.
    NoEpochCheck,
    /// The results of steps are not kept.
    DropStepResult,
    /// The ids under which work was handed in are forgotten.
    ForgetDedup,
    /// A message leaves the inbox in a later commit than its effects.
    SplitInboxRemoval,
    /// Who offers a case lets go of it before it is accepted.
    ClearOwnerBeforeAccept,
    /// The reminders of earlier lives are forgotten.
    ForgetTimers,
    /// How actors were made is not kept: they do not come back.
    ForgetBirths,
}

impl Sabotage {
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}
