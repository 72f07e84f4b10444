//! What runs between the runtime and a sandboxed program: the guardian, and the program's own process up to its exec.
//!
//! Both are forks of a process with many threads, so here nothing allocates, locks or panics: only system calls, on what
//! [`Plan`] has ready. The guardian ends when its lifeline does, so it cannot outlive the runtime, and whatever the program
//! started ends with the guardian.
#![expect(unsafe_code, reason = "raw system calls: between fork and exec nothing else is allowed")]

use std::mem::zeroed;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr::null_mut;

use libc::{c_int, c_long, pid_t};

use super::plan::{Isolation, Plan, Report};

/// How long a killed program is waited for, so that its usage can be told. One that hangs in the kernel is left to it.
const LAST_WAIT_MS: i64 = 20;
/// How often orphans that ended by themselves are reaped: until then they count as processes.
const REAPING_MS: i64 = 100;
/// Rounds of killing orphans, a millisecond each, where no namespace does it.
const ADOPTION_ROUNDS: u32 = 2_000;

/// The steps of the child that can fail, in their order; [`step_name`] has the words.
#[derive(Clone, Copy)]
#[repr(i64)]
enum Step {
    Descriptors = 1,
    Maps,
    Namespace,
    Adoption,
    Fork,
    Session,
    Pipes,
    Directory,
    Limits,
    Capabilities,
    NoNewPrivileges,
    Landlock,
    Seccomp,
    Exec,
}

/// What a failed step was about.
pub(super) fn step_name(step: i64) -> &'static str {
    const NAMES: [&str; 14] = [
        "closing descriptors",
        "mapping the user",
        "its namespace",
        "adopting orphans",
        "fork",
        "its own session",
        "its pipes",
        "its directory",
        "its limits",
        "dropping capabilities",
        "no_new_privs",
        "landlock",
        "seccomp",
        "exec",
    ];
    let at = usize::try_from(step).ok().and_then(|step| step.checked_sub(1));
    at.and_then(|at| NAMES.get(at)).copied().unwrap_or("an unknown step")
}

/// The guardian. Entered with all signals blocked.
pub(super) fn guard(plan: &Plan) -> ! {
    let lifeline = plan.lifeline.as_raw_fd();
    // SAFETY: system calls on descriptors and memory of `plan`, which lives as long as this process.
    unsafe {
        default_signals();
        for (first, last) in &plan.foreign {
            must(plan, Step::Descriptors, libc::syscall(libc::SYS_close_range, *first, *last, 0));
        }
        libc::setsid();
        if let Some(maps) = &plan.maps {
            write_file(plan, c"/proc/self/setgroups", b"deny");
            write_file(plan, c"/proc/self/uid_map", &maps.user);
            write_file(plan, c"/proc/self/gid_map", &maps.group);
        }
        // This is a copy of the runtime, with all its secrets.
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
        // What all of the rest relies on: only the first process takes the others with it.
        if plan.isolation != Isolation::Adoption && libc::getpid() != 1 {
            must(plan, Step::Namespace, -1);
        }
        if plan.isolation == Isolation::Adoption {
            let adopts = libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
            must(plan, Step::Adoption, c_long::from(adopts));
        }
        // Until the runtime has put this process where it belongs.
        let mut go = 0_u8;
        if libc::read(lifeline, (&raw mut go).cast(), 1) != 1 {
            libc::_exit(0);
        }
        let started = now_ms();
        let mut pidfd: c_int = -1;
        let flags = c_long::from(libc::CLONE_PIDFD);
        let child = libc::syscall(libc::SYS_clone, flags, 0, &raw mut pidfd, 0, 0);
        if child == 0 {
            become_program(plan);
        }
        must(plan, Step::Fork, child);
        // Whoever reads the program's output shall see its end.
        for fd in [&plan.stdin, &plan.stdout, &plan.stderr] {
            libc::close(fd.as_raw_fd());
        }
        watch(plan, child as pid_t, pidfd, started)
    }
}

/// Waits for the program, the deadline, or the end of the runtime.
unsafe fn watch(plan: &Plan, child: pid_t, pidfd: RawFd, started: i64) -> ! {
    let wall = i64::try_from(plan.wall.as_millis()).unwrap_or(i64::MAX / 4);
    let grace = i64::try_from(plan.grace.as_millis()).unwrap_or(0);
    let deadline = started.saturating_add(wall);
    // SAFETY: as in `guard`.
    unsafe {
        let mut kind = Report::ENDED;
        let mut heard = Heard::Time;
        while heard == Heard::Time && now_ms() < deadline {
            heard = wait(plan, pidfd, deadline.min(now_ms().saturating_add(REAPING_MS)));
            reap_orphans(child);
        }
        if heard == Heard::Time {
            kind = Report::DEADLINE;
            terminate(child);
            heard = wait(plan, pidfd, deadline.saturating_add(grace));
        }
        if heard == Heard::Time {
            libc::kill(child, libc::SIGKILL);
            heard = wait(plan, pidfd, now_ms().saturating_add(LAST_WAIT_MS));
        }
        if plan.isolation == Isolation::Adoption {
            // Before the program is waited for: until then nobody else can have its number.
            libc::kill(-child, libc::SIGKILL);
            libc::kill(child, libc::SIGKILL);
        }
        if heard != Heard::RuntimeGone {
            report(plan, &usage(pidfd, kind));
        }
        if plan.isolation == Isolation::Adoption {
            kill_orphans();
        }
        libc::_exit(0)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Heard {
    Program,
    Time,
    RuntimeGone,
}

unsafe fn wait(plan: &Plan, pidfd: RawFd, until: i64) -> Heard {
    // SAFETY: as in `guard`.
    unsafe {
        loop {
            let left = until.saturating_sub(now_ms()).clamp(0, i64::from(c_int::MAX));
            let mut heard = [
                libc::pollfd { fd: plan.lifeline.as_raw_fd(), events: libc::POLLIN, revents: 0 },
                libc::pollfd { fd: pidfd, events: libc::POLLIN, revents: 0 },
            ];
            let ready = libc::poll(heard.as_mut_ptr(), 2, left as c_int);
            let [lifeline, program] = heard;
            if ready > 0 && lifeline.revents != 0 {
                return Heard::RuntimeGone;
            }
            if ready > 0 && program.revents != 0 {
                return Heard::Program;
            }
            if now_ms() >= until {
                return Heard::Time;
            }
        }
    }
}

/// Asks the program's group to end. Not `kill(-1)`, although in a namespace of their own that would reach all: without the
/// namespace it would reach all of the machine, and SIGKILL comes to the others in a moment anyway.
unsafe fn terminate(child: pid_t) {
    // SAFETY: no memory is involved.
    unsafe { libc::kill(-child, libc::SIGTERM) };
}

/// How the program ended, and what it used.
unsafe fn usage(pidfd: RawFd, kind: i64) -> Report {
    // SAFETY: both structures are plain numbers, and large enough for what the kernel writes.
    unsafe {
        let mut info: libc::siginfo_t = zeroed();
        let mut used: libc::rusage = zeroed();
        let options = libc::WEXITED | libc::WNOHANG | libc::__WALL;
        libc::syscall(libc::SYS_waitid, libc::P_PIDFD, pidfd, &raw mut info, options, &raw mut used);
        let micros = |time: libc::timeval| time.tv_sec.wrapping_mul(1_000_000).wrapping_add(time.tv_usec);
        Report {
            kind,
            code: i64::from(info.si_code),
            value: i64::from(info.si_status()),
            cpu_us: micros(used.ru_utime).wrapping_add(micros(used.ru_stime)),
            memory_kib: used.ru_maxrss,
        }
    }
}

/// Reaps those that ended, up to the program itself, which is kept for its report.
unsafe fn reap_orphans(child: pid_t) {
    // SAFETY: the structure is plain numbers, and the kernel's to fill.
    unsafe {
        loop {
            let mut info: libc::siginfo_t = zeroed();
            let peek = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
            libc::waitid(libc::P_ALL, 0, &raw mut info, peek);
            let pid = info.si_pid();
            if pid == 0 || pid == child {
                return;
            }
            let take = libc::WEXITED | libc::WNOHANG | libc::__WALL;
            libc::waitid(libc::P_PID, pid.cast_unsigned(), &raw mut info, take);
        }
    }
}

/// Kills all children, those that come to this process when their parents die, and so on, until there are none.
unsafe fn kill_orphans() {
    // SAFETY: as in `guard`; the buffer is this function's own.
    unsafe {
        for _ in 0..ADOPTION_ROUNDS {
            let mut buffer = [0_u8; 4_096];
            let list = libc::open(c"/proc/thread-self/children".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
            let read = libc::read(list, buffer.as_mut_ptr().cast(), buffer.len());
            libc::close(list);
            let mut pid: pid_t = 0;
            // A number that is cut at the end of the buffer has no blank behind it, and waits for the next round.
            for byte in buffer.iter().take(read.max(0).cast_unsigned()) {
                if byte.is_ascii_digit() {
                    pid = pid.wrapping_mul(10).wrapping_add(pid_t::from(byte.wrapping_sub(b'0')));
                } else {
                    if pid > 1 {
                        libc::kill(pid, libc::SIGKILL);
                    }
                    pid = 0;
                }
            }
            let options = libc::WEXITED | libc::WNOHANG | libc::__WALL;
            let mut info: libc::siginfo_t = zeroed();
            let none = libc::waitid(libc::P_ALL, 0, &raw mut info, options);
            if none < 0 && *libc::__errno_location() == libc::ECHILD {
                return;
            }
            libc::poll(null_mut(), 0, 1);
        }
    }
}

/// The program's own process, up to its exec.
unsafe fn become_program(plan: &Plan) -> ! {
    // SAFETY: as in `guard`.
    unsafe {
        must(plan, Step::Session, c_long::from(libc::setsid()));
        // Nobody else would end it if the guardian itself were killed, where no namespace does it.
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
        for (fd, standard) in [(&plan.stdin, 0), (&plan.stdout, 1), (&plan.stderr, 2)] {
            must(plan, Step::Pipes, c_long::from(libc::dup2(fd.as_raw_fd(), standard)));
        }
        must(plan, Step::Directory, c_long::from(libc::fchdir(plan.directory.as_raw_fd())));
        libc::umask(0o077);
        for (resource, wanted) in &plan.limits {
            let mut limit: libc::rlimit = zeroed();
            must(plan, Step::Limits, c_long::from(libc::getrlimit(*resource, &raw mut limit)));
            limit.rlim_max = limit.rlim_max.min(*wanted);
            limit.rlim_cur = limit.rlim_max;
            must(plan, Step::Limits, c_long::from(libc::setrlimit(*resource, &raw const limit)));
        }
        drop_capabilities(plan);
        let none = libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        must(plan, Step::NoNewPrivileges, c_long::from(none));
        default_signals();
        let mut signals: libc::sigset_t = zeroed();
        libc::sigemptyset(&raw mut signals);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const signals, null_mut());
        if let Some(fence) = &plan.fence {
            let fenced = libc::syscall(libc::SYS_landlock_restrict_self, fence.as_raw_fd(), 0);
            must(plan, Step::Landlock, fenced);
        }
        for filter in &plan.filters {
            let program =
                libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut().cast() };
            let mode = libc::SECCOMP_SET_MODE_FILTER;
            must(plan, Step::Seccomp, libc::syscall(libc::SYS_seccomp, mode, 0, &raw const program));
        }
        let (arguments, environment) = (plan.arguments.as_ptr(), plan.environment.as_ptr());
        let program = plan.program.as_raw_fd();
        let here = c"".as_ptr();
        let ran =
            libc::syscall(libc::SYS_execveat, program, here, arguments, environment, libc::AT_EMPTY_PATH);
        must(plan, Step::Exec, ran);
        libc::_exit(127)
    }
}

/// All capabilities go, also those that root would get at its exec.
unsafe fn drop_capabilities(plan: &Plan) {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: c_int,
    }
    const VERSION_3: u32 = 0x2008_0522;
    // SAFETY: the two structures are what version 3 of the call reads.
    unsafe {
        for capability in 0..64 {
            // Refused to those who have none to drop, and beyond the last that there is.
            libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0);
        }
        libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        let header = Header { version: VERSION_3, pid: 0 };
        let none = [0_u32; 6];
        must(plan, Step::Capabilities, libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()));
    }
}

unsafe fn default_signals() {
    for signal in 1..=64 {
        // SAFETY: no handler is installed. Refused for SIGKILL and SIGSTOP, and for what libc keeps to itself.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

unsafe fn write_file(plan: &Plan, path: &std::ffi::CStr, bytes: &[u8]) {
    // SAFETY: the path ends with a zero, the bytes are as long as is said.
    unsafe {
        let file = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        must(plan, Step::Maps, c_long::from(file));
        must(plan, Step::Maps, libc::write(file, bytes.as_ptr().cast(), bytes.len()) as c_long);
        libc::close(file);
    }
}

/// Reports a step that failed and ends this process: nothing goes on with less than was planned.
unsafe fn must(plan: &Plan, step: Step, result: c_long) {
    if result < 0 {
        // SAFETY: reads this thread's error number, then ends the process.
        unsafe {
            let value = i64::from(*libc::__errno_location());
            report(plan, &Report { kind: Report::FAILED, code: step as i64, value, ..Report::default() });
            libc::_exit(127);
        }
    }
}

unsafe fn report(plan: &Plan, report: &Report) {
    let bytes = report.to_bytes();
    // SAFETY: the bytes are as long as is said. A pipe takes so few at once, or its reader is gone.
    unsafe { libc::write(plan.report.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
}

/// Milliseconds of the monotonic clock.
unsafe fn now_ms() -> i64 {
    // SAFETY: the kernel fills the structure.
    unsafe {
        let mut time: libc::timespec = zeroed();
        libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time);
        time.tv_sec.wrapping_mul(1_000).wrapping_add(time.tv_nsec / 1_000_000)
    }
}
