//! What of a sandbox is enforced here, and whether that is enough. Pure: what the kernel can do comes in as data.

use super::filter::Forks;
use super::plan::Isolation;
use super::spec::Enforcement;

/// The oldest Landlock that refuses to shorten files outside of the roots, which is writing.
const LANDLOCK_MIN: u32 = 3;
/// The oldest that keeps signals inside.
const LANDLOCK_SIGNALS: u32 = 6;

/// What this machine offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) landlock: u32,
    pub(super) seccomp: bool,
    pub(super) isolation: Isolation,
    pub(super) cgroup: bool,
    pub(super) root: bool,
}

/// How the number of processes is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProcessBound {
    /// To one, by the filter of system calls.
    Filter,
    /// By a cgroup.
    Cgroup,
    /// By `RLIMIT_NPROC`, which counts within an own user namespace.
    Namespace,
    /// Not at all.
    None,
}

/// What is enforced in each call of a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Enforced {
    pub(super) landlock: u32,
    pub(super) seccomp: bool,
    pub(super) isolation: Isolation,
    pub(super) processes: ProcessBound,
}

/// Decides what is enforced, or says what is missing.
pub(super) fn decide(offer: Offer, processes: u32, enforcement: Enforcement) -> Result<Enforced, String> {
    let bound = match processes {
        1 if offer.seccomp => ProcessBound::Filter,
        _ if offer.cgroup => ProcessBound::Cgroup,
        // It does not hold for root, whatever the namespace.
        _ if offer.isolation == Isolation::User && !offer.root => ProcessBound::Namespace,
        _ => ProcessBound::None,
    };
    let enforced = Enforced {
        landlock: offer.landlock,
        seccomp: offer.seccomp,
        isolation: offer.isolation,
        processes: bound,
    };
    let mut missing = Vec::new();
    if offer.landlock < LANDLOCK_MIN {
        missing.push(format!("landlock abi {LANDLOCK_MIN} (there is {})", offer.landlock));
    }
    if !offer.seccomp {
        missing.push("seccomp".to_owned());
    }
    if bound == ProcessBound::None {
        missing
            .push("a bound on the number of processes (no cgroup to be made; allow one process only)".into());
    }
    // Several processes of the user that may be signalled include the guardian, and then nobody ends the rest.
    let alone = bound == ProcessBound::Filter;
    if offer.isolation == Isolation::Adoption && offer.landlock < LANDLOCK_SIGNALS && !alone {
        missing.push("that all processes end (no namespaces, and signals are not kept inside)".into());
    }
    match enforcement {
        Enforcement::Required if !missing.is_empty() => Err(missing.join(", ")),
        _ => Ok(enforced),
    }
}

impl Enforced {
    pub(super) fn forks(&self) -> Forks {
        if self.processes == ProcessBound::Filter { Forks::Refused } else { Forks::Allowed }
    }

    /// For the audit record.
    pub(super) fn words(&self) -> Vec<String> {
        let landlock = match self.landlock {
            0 => "NO landlock".into(),
            abi => format!("landlock abi {abi}"),
        };
        let isolation = match self.isolation {
            Isolation::Processes => "pid namespace",
            Isolation::User => "user and pid namespace",
            Isolation::Adoption => "NO namespace (orphans are adopted)",
        };
        let processes = match self.processes {
            ProcessBound::Filter => "processes by seccomp",
            ProcessBound::Cgroup => "processes by cgroup",
            ProcessBound::Namespace => "processes by rlimit",
            ProcessBound::None => "NO bound of processes",
        };
        let seccomp = if self.seccomp { "seccomp" } else { "NO seccomp" };
        let words = ["no_new_privs", seccomp, isolation, processes, "rlimits"];
        [landlock].into_iter().chain(words.map(str::to_owned)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Offer =
        Offer { landlock: 7, seccomp: true, isolation: Isolation::Processes, cgroup: true, root: true };

    #[test]
    fn what_cannot_be_enforced_is_refused_unless_the_embedder_says_otherwise() {
        let user = Offer { isolation: Isolation::User, root: false, cgroup: false, ..ALL };
        let bare = Offer { isolation: Isolation::Adoption, cgroup: false, ..ALL };
        let cases = [
            (ALL, 1, Some(ProcessBound::Filter)),
            (ALL, 8, Some(ProcessBound::Cgroup)),
            (Offer { cgroup: false, ..ALL }, 8, None),
            (user, 8, Some(ProcessBound::Namespace)),
            (Offer { root: true, ..user }, 8, None),
            (bare, 1, Some(ProcessBound::Filter)),
            (Offer { landlock: 5, ..bare }, 1, Some(ProcessBound::Filter)),
            (Offer { cgroup: true, ..bare }, 8, Some(ProcessBound::Cgroup)),
            (Offer { cgroup: true, landlock: 5, ..bare }, 8, None),
            (Offer { landlock: 2, ..ALL }, 1, None),
            (Offer { landlock: 0, ..ALL }, 1, None),
            (Offer { seccomp: false, ..ALL }, 1, None),
        ];
        for (offer, processes, bound) in cases {
            let required = decide(offer, processes, Enforcement::Required);
            assert_eq!(required.ok().map(|enforced| enforced.processes), bound, "{offer:?}, {processes}");
            assert!(decide(offer, processes, Enforcement::BestEffort).is_ok());
        }
        let nothing = Offer { landlock: 0, seccomp: false, ..bare };
        let words = decide(nothing, 8, Enforcement::BestEffort).unwrap().words();
        assert_eq!(words.iter().filter(|word| word.starts_with("NO ")).count(), 4, "{words:?}");
    }
}
