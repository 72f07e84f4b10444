//! All that the child needs, made before the fork: between fork and exec nothing may allocate, lock or panic.

use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::null;
use std::time::Duration;

use seccompiler::BpfProgram;

/// What one call is carried out with.
pub(super) struct Plan {
    pub(super) program: OwnedFd,
    pub(super) arguments: Strings,
    pub(super) environment: Strings,
    pub(super) directory: OwnedFd,
    pub(super) stdin: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
    /// Its other end is in the runtime alone: one byte lets the program start, the end of it ends everything.
    pub(super) lifeline: OwnedFd,
    pub(super) report: OwnedFd,
    /// Landlock; `None` where there is none and nobody insists.
    pub(super) fence: Option<OwnedFd>,
    pub(super) filters: Vec<BpfProgram>,
    pub(super) limits: Vec<(Resource, u64)>,
    pub(super) wall: Duration,
    pub(super) grace: Duration,
    pub(super) isolation: Isolation,
    /// What is written into the maps of an own user namespace.
    pub(super) maps: Option<Maps>,
    /// Ranges of descriptors that the guardian closes: all but its own.
    pub(super) foreign: Vec<(u32, u32)>,
}

#[cfg(target_env = "gnu")]
pub(super) type Resource = libc::__rlimit_resource_t;
#[cfg(not(target_env = "gnu"))]
pub(super) type Resource = libc::c_int;

/// What keeps the processes of a call together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Isolation {
    /// An own PID namespace: when the guardian, its first process, ends, the kernel kills the rest.
    Processes,
    /// The same, in an own user namespace, for those who are not root.
    User,
    /// None: the guardian adopts what its parent leaves behind, and kills it.
    Adoption,
}

impl Isolation {
    pub(super) fn flags(self) -> libc::c_int {
        match self {
            Isolation::Processes => libc::CLONE_NEWPID | libc::CLONE_NEWIPC,
            Isolation::User => libc::CLONE_NEWUSER | libc::CLONE_NEWPID | libc::CLONE_NEWIPC,
            Isolation::Adoption => 0,
        }
    }
}

/// The own user and group, mapped to themselves.
pub(super) struct Maps {
    pub(super) user: Vec<u8>,
    pub(super) group: Vec<u8>,
}

/// Strings as `execve` takes them.
pub(super) struct Strings {
    pointers: Vec<*const libc::c_char>,
    _owned: Vec<CString>,
}

impl Strings {
    pub(super) fn new(owned: Vec<CString>) -> Self {
        let pointers = owned.iter().map(|text| text.as_ptr()).chain([null()]).collect();
        Strings { pointers, _owned: owned }
    }

    pub(super) fn as_ptr(&self) -> *const *const libc::c_char {
        self.pointers.as_ptr()
    }
}

impl Plan {
    /// The ranges between the descriptors that stay.
    pub(super) fn find_foreign(&mut self) {
        let own = [
            Some(&self.program),
            Some(&self.directory),
            Some(&self.stdin),
            Some(&self.stdout),
            Some(&self.stderr),
            Some(&self.lifeline),
            Some(&self.report),
            self.fence.as_ref(),
        ];
        self.foreign = between(own.into_iter().flatten().map(|fd| fd.as_raw_fd().cast_unsigned()));
    }
}

fn between(kept: impl Iterator<Item = u32>) -> Vec<(u32, u32)> {
    let mut kept: Vec<u32> = kept.collect();
    kept.sort_unstable();
    let mut gaps = Vec::new();
    let mut next = 0;
    for fd in kept {
        if fd > next {
            gaps.push((next, fd - 1));
        }
        next = fd + 1;
    }
    gaps.push((next, u32::MAX));
    gaps
}

/// What the guardian says at the end, in one write that a pipe takes whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    /// See the constants.
    pub(super) kind: i64,
    /// Of an end: `CLD_EXITED` or how it was killed. Of a failure: the step.
    pub(super) code: i64,
    /// Of an end: status or signal. Of a failure: the error number.
    pub(super) value: i64,
    /// Processor time in microseconds, of the program and the children it waited for.
    pub(super) cpu_us: i64,
    /// Most resident memory of one process, in KiB.
    pub(super) memory_kib: i64,
}

impl Report {
    pub(super) const BYTES: usize = 40;
    pub(super) const ENDED: i64 = 1;
    pub(super) const DEADLINE: i64 = 2;
    pub(super) const FAILED: i64 = 3;

    pub(super) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let words = [self.kind, self.code, self.value, self.cpu_us, self.memory_kib];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    /// The first report: of a child that failed before its program, and then of its end, the failure.
    pub(super) fn first(bytes: &[u8]) -> Option<Self> {
        let mut words = bytes
            .get(..Self::BYTES)?
            .chunks_exact(8)
            .map(|word| word.try_into().map(i64::from_ne_bytes).unwrap_or_default());
        let mut next = || words.next().unwrap_or_default();
        Some(Report { kind: next(), code: next(), value: next(), cpu_us: next(), memory_kib: next() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_descriptors_but_the_kept_are_in_a_gap() {
        assert_eq!(between([5, 3, 4].into_iter()), [(0, 2), (6, u32::MAX)]);
        assert_eq!(between([0, 9, 2].into_iter()), [(1, 1), (3, 8), (10, u32::MAX)]);
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let report = Report { kind: 1, code: -2, value: 3, cpu_us: i64::MAX, memory_kib: 5 };
        assert_eq!(Report::first(&report.to_bytes()), Some(report));
        assert_eq!(Report::first(&[0; 39]), None);
    }
}
