//! Whether the end of a significant child ends its supervisor.

use super::{ChildFacts, ChildState};

/// Says whether a supervisor ends itself when significant children have ended. Default: [`AutoShutdown::Never`], as in
/// OTP.
///
/// Only an end counts that a significant child came to by itself and that it does not come back from: any end of a
/// temporary one, an end in order of a transient one. A child that its supervisor stops, by request or with a group,
/// does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AutoShutdown {
    /// It does not. No child may be significant.
    #[default]
    Never,
    /// With the first significant child that ended.
    AnySignificant,
    /// With the last one: no other significant child runs, or is about to.
    AllSignificant,
}

impl AutoShutdown {
    /// Whether the supervisor ends because the child at `ended` has ended, for good and by itself.
    pub(crate) fn ends_supervisor(self, children: &[ChildFacts], ended: usize) -> bool {
        let is_significant = children.get(ended).is_some_and(|child| child.significant);
        match self {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => is_significant,
            AutoShutdown::AllSignificant => {
                let mut others = children.iter().enumerate().filter(|(at, _)| *at != ended);
                is_significant
                    && !others.any(|(_, child)| child.significant && child.state != ChildState::Stopped)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::AutoShutdown::{AllSignificant, AnySignificant, Never};
    use super::*;
    use crate::policy::{OnExternal, Restart};

    #[test]
    fn the_end_of_a_significant_child_ends_whom_otp_says() {
        // Small letters do not run, `r` waits for its next try. s: significant, x: not.
        #[rustfmt::skip]
        let table = [
            // children, ended, never, any,   all
            ("S",   0, [false, true,  true]),
            ("X",   0, [false, false, false]),
            ("SS",  0, [false, true,  false]),
            ("Ss",  0, [false, true,  true]),
            ("SrX", 0, [false, true,  false]),
            ("SXX", 0, [false, true,  true]),
            ("XS",  0, [false, false, false]),
            ("",    0, [false, false, false]),
        ];

        for (letters, ended, expected) in table {
            let children: Vec<ChildFacts> = letters.chars().map(child).collect();
            let actual =
                [Never, AnySignificant, AllSignificant].map(|mode| mode.ends_supervisor(&children, ended));

            assert_eq!(actual, expected, "child {ended} of {letters}");
        }
    }

    fn child(letter: char) -> ChildFacts {
        ChildFacts {
            restart: Restart::Temporary,
            state: match letter {
                'r' => ChildState::Restarting,
                letter if letter.is_uppercase() => ChildState::Running,
                _ => ChildState::Stopped,
            },
            on_external: OnExternal::Counts,
            significant: matches!(letter, 's' | 'S' | 'r'),
        }
    }
}
