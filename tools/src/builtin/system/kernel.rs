//! What this kernel can enforce, and the runtime's side of a guardian: its start and its end.
#![expect(unsafe_code, reason = "clone, waitid and two questions to the kernel, which std does not ask")]

use std::fs::File;
use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::{null, null_mut};

use libc::c_long;

use super::guardian;
use super::plan::{Isolation, Plan};

/// The version of Landlock; 0: there is none, or it is turned off.
pub(super) fn landlock_abi() -> u32 {
    const VERSION: c_long = 1;
    // SAFETY: a question without a structure.
    let abi = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, null::<u8>(), 0_usize, VERSION) };
    u32::try_from(abi).unwrap_or(0)
}

/// Whether there are filters of system calls.
pub(super) fn has_seccomp() -> bool {
    let action = libc::SECCOMP_RET_ERRNO;
    // SAFETY: the kernel reads one number.
    0 == unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) }
}

/// User and group of this process.
pub(super) fn ids() -> (u32, u32) {
    // SAFETY: cannot fail.
    unsafe { (libc::geteuid(), libc::getegid()) }
}

/// Whether processes can be kept together that way: tried with one that ends at once.
pub(super) fn can(isolation: Isolation) -> bool {
    clone(isolation.flags(), None).is_ok_and(|(_, pidfd)| wait(&pidfd).is_ok())
}

/// Starts the guardian of `plan`, which waits for its first byte. Its number, and what to wait for it by.
pub(super) fn launch(plan: &Plan) -> io::Result<(i32, OwnedFd)> {
    clone(plan.isolation.flags(), Some(plan))
}

/// Waits for the end of a guardian that was told to end: some milliseconds.
pub(super) fn reap(pidfd: &OwnedFd) {
    drop(wait(pidfd));
}

/// The same, not under the number of a standard stream.
pub(super) fn high(file: OwnedFd) -> io::Result<OwnedFd> {
    // A host that closed its own standard streams has other files under their numbers.
    if file.as_raw_fd() > 2 { Ok(file) } else { file.try_clone() }
}

/// A directory, to be entered by its descriptor.
pub(super) fn open_path(path: &std::path::Path) -> io::Result<OwnedFd> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = File::options().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(path)?;
    high(file.into())
}

/// Forks with `flags`; the child is the guardian of `plan`, or ends at once. It has all signals blocked: a handler of the host
/// must not run in it.
fn clone(flags: libc::c_int, plan: Option<&Plan>) -> io::Result<(i32, OwnedFd)> {
    let mut pidfd: RawFd = -1;
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the sets are filled before they are read, and the child does only what is allowed after a fork. Without a signal for the parent: a host that waits for its own
    // children hears nothing of this one.
    unsafe {
        let mut all: libc::sigset_t = zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, before.as_mut_ptr());
        let flags = c_long::from(flags | libc::CLONE_PIDFD);
        let pid = libc::syscall(libc::SYS_clone, flags, 0, &raw mut pidfd, 0, 0);
        if pid == 0 {
            match plan {
                Some(plan) => guardian::guard(plan),
                None => libc::_exit(0),
            }
        }
        let failed = io::Error::last_os_error();
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), null_mut());
        if pid < 0 {
            return Err(failed);
        }
        Ok((i32::try_from(pid).unwrap_or(-1), OwnedFd::from_raw_fd(pidfd)))
    }
}

/// Waits for a child without a signal of its end, which an ordinary `wait` does not see.
fn wait(pidfd: &OwnedFd) -> io::Result<()> {
    let id = pidfd.as_raw_fd().cast_unsigned();
    loop {
        // SAFETY: the structure is plain numbers, and the kernel's to fill.
        let ended = unsafe {
            let mut info: libc::siginfo_t = zeroed();
            libc::waitid(libc::P_PIDFD, id, &raw mut info, libc::WEXITED | libc::__WALL)
        };
        match ended {
            0 => return Ok(()),
            _ => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
        }
    }
}
