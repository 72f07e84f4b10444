//! How a child left, as far as policy cares.

/// Sorts the ways a child can leave by what supervision does about them.
///
/// OTP looks at the exit reason in the same way: `normal`, `shutdown` with `{shutdown, _}`, and everything else. Only
/// [`ExitClass::External`] is an addition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ExitClass {
    /// The child ended by itself, because it had nothing more to do.
    Normal,
    /// The child was asked to end, or is a supervisor that gave up (OTP's `shutdown`).
    Shutdown,
    /// Everything else: a panic, a failure, a kill, a stop that ran out of patience.
    Abnormal,
    /// Something outside failed, such as a provider that is down: the child could not start for it, or could not read its
    /// state back, or is a supervisor that did not start because one of its children could not for that.
    ///
    /// The same as [`ExitClass::Abnormal`], except that it does not count for the intensity of a child that says
    /// [`OnExternal::BacksOff`](super::OnExternal::BacksOff).
    External,
    /// The child fell again over a message that it had fallen over before, and that its spec sends to quarantine.
    ///
    /// The same as [`ExitClass::Abnormal`], except that it does not count for the intensity: the first fall has.
    Repeat,
}

#[cfg(test)]
impl ExitClass {
    pub(crate) const ALL: [ExitClass; 5] =
        [ExitClass::Normal, ExitClass::Shutdown, ExitClass::Abnormal, ExitClass::External, ExitClass::Repeat];
}
