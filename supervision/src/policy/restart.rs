//! Whether a child comes back at all.

use super::ExitClass;

/// Says which exits a child comes back from. Default: [`Restart::Permanent`], as in OTP.
///
/// One edge is sharp, and OTP's own: a supervisor that gives up counts as shut down, so as a
/// *transient* child it does not come back; as a permanent one it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Restart {
    /// Always comes back.
    #[default]
    Permanent,
    /// Comes back unless it ended by itself or was asked to. A kill brings it back.
    Transient,
    /// Never comes back; its spec is removed as soon as it ends, also when a restart of its group took it down.
    Temporary,
}

impl Restart {
    /// Whether a child of this type comes back from `exit`, intensity permitting.
    #[must_use]
    pub(crate) fn comes_back(self, exit: ExitClass) -> bool {
        match (self, exit) {
            (Restart::Permanent, _) => true,
            (Restart::Transient, ExitClass::Abnormal | ExitClass::External | ExitClass::Repeat) => true,
            (Restart::Transient, ExitClass::Normal | ExitClass::Shutdown) => false,
            (Restart::Temporary, _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_comes_back_from_the_exits_otp_says() {
        use ExitClass::{Abnormal, External, Normal, Repeat, Shutdown};
        let table = [
            (Restart::Permanent, [Normal, Shutdown, Abnormal, External, Repeat].as_slice()),
            (Restart::Transient, &[Abnormal, External, Repeat]),
            (Restart::Temporary, &[]),
        ];

        for (restart, comes_back_from) in table {
            for exit in ExitClass::ALL {
                assert_eq!(
                    restart.comes_back(exit),
                    comes_back_from.contains(&exit),
                    "{restart:?} after {exit:?}"
                );
            }
        }
    }

    #[test]
    fn a_child_is_permanent_unless_it_says_otherwise() {
        assert_eq!(Restart::default(), Restart::Permanent);
    }
}
