//! One call of a system tool: starts the guardian, feeds and hears the program, and never leaves anything behind.

use std::ffi::CString;
use std::io::{self, PipeReader, PipeWriter, Write, pipe};
use std::os::fd::OwnedFd;
use std::time::Duration;

use greenroom_runtime::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::Instant;

use super::cgroup::Cgroup;
use super::output::HeadAndTail;
use super::plan::{Plan, Report, Strings};
use super::sandbox::{Inside, Sandbox};
use super::spec::Enforcement;
use super::{ProgramEnded, guardian, kernel};
use crate::tool_context::ToolContext;
use crate::tool_error::ToolError;

/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_millis(30);

/// Runs `program`, which the caller has checked.
pub(super) async fn run(
    sandbox: &Sandbox,
    program: &str,
    arguments: Vec<String>,
    input: Option<String>,
    cx: &ToolContext,
) -> Result<ProgramEnded, ToolError> {
    let inside = sandbox.0.clone();
    let kept = inside.limits.output;
    let wall = cx.time_left(inside.limits.wall);
    let deadline = cx.clock().after(wall);
    let name = program.to_owned();
    for what in inside.enforced.words() {
        cx.enforced(what);
    }
    let clock = cx.clock();
    // Opening rulesets and forking a large process take a while, and block.
    let started = spawn_blocking(move || start(&inside, &name, &arguments, deadline, clock)).await;
    let mut running = started.map_err(|error: JoinError| ToolError::broken(error.to_string()))??;

    let (mut stdout, mut stderr) = (HeadAndTail::new(kept), HeadAndTail::new(kept));
    let (report, ..) = tokio::join!(
        all(running.report.take(), Report::BYTES * 2),
        hear(running.stdout.take(), &mut stdout),
        hear(running.stderr.take(), &mut stderr),
        feed(running.stdin.take(), input),
    );
    running.ended().await;
    cx.enforced(usage(&report));
    ended(Report::first(&report), wall, stdout, stderr)
}

fn usage(report: &[u8]) -> String {
    match Report::first(report) {
        Some(Report { cpu_us, memory_kib, kind: Report::ENDED | Report::DEADLINE, .. }) => {
            format!("used {} ms of cpu, {memory_kib} KiB", cpu_us / 1_000)
        }
        _ => "its usage is not known".into(),
    }
}

/// What a report means for the caller.
fn ended(
    report: Option<Report>,
    wall: Duration,
    stdout: HeadAndTail,
    stderr: HeadAndTail,
) -> Result<ProgramEnded, ToolError> {
    let report = report.ok_or_else(|| ToolError::unavailable("the guardian of the process was killed"))?;
    match report.kind {
        Report::DEADLINE => Err(ToolError::TimedOut { after: wall }),
        Report::FAILED => {
            let error = io::Error::from_raw_os_error(i32::try_from(report.value).unwrap_or(0));
            Err(ToolError::unavailable(format!("{}: {error}", guardian::step_name(report.code))))
        }
        _ => {
            let value = i32::try_from(report.value).ok();
            let by_itself = report.code == i64::from(libc::CLD_EXITED);
            let (status, signal) = if by_itself { (value, None) } else { (None, value) };
            Ok(ProgramEnded { status, signal, stdout: stdout.text(), stderr: stderr.text() })
        }
    }
}

/// A guardian at work. Its drop ends it, and with it the program and all it started.
struct Running {
    lifeline: Option<PipeWriter>,
    pidfd: Option<OwnedFd>,
    report: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    stdin: Option<OwnedFd>,
    cgroup: Option<Cgroup>,
}

fn start(
    inside: &Inside,
    name: &str,
    arguments: &[String],
    deadline: Instant,
    clock: Clock,
) -> Result<Running, ToolError> {
    let absent = |error: io::Error| ToolError::unavailable(error.to_string());
    let program = inside.programs.get(name).ok_or_else(|| ToolError::refused("there is no such program"))?;
    let file = program.open().map_err(ToolError::not_allowed)?;
    let fence = match inside.fence.ruleset() {
        Ok(fence) => Some(kernel::high(fence).map_err(absent)?),
        Err(_) if inside.enforcement == Enforcement::BestEffort => None,
        Err(why) => return Err(ToolError::not_allowed(format!("the sandbox cannot be closed: {why}"))),
    };
    let pipes =
        || -> io::Result<[(PipeReader, PipeWriter); 5]> { Ok([pipe()?, pipe()?, pipe()?, pipe()?, pipe()?]) };
    let [stdin, stdout, stderr, lifeline, report] = pipes().map_err(absent)?;
    let own = |fd: OwnedFd| kernel::high(fd).map_err(absent);
    let text = |text: &str| CString::new(text).map_err(|_| ToolError::refused("a zero byte"));
    let arguments = [text(name)].into_iter().chain(arguments.iter().map(|argument| text(argument)));
    let mut plan = Plan {
        program: own(file.into())?,
        arguments: Strings::new(arguments.collect::<Result<_, _>>()?),
        environment: Strings::new(inside.environment.clone()),
        directory: kernel::open_path(&inside.directory).map_err(absent)?,
        stdin: own(stdin.0.into())?,
        stdout: own(stdout.1.into())?,
        stderr: own(stderr.1.into())?,
        lifeline: own(lifeline.0.into())?,
        report: own(report.1.into())?,
        fence,
        filters: inside.filters.clone(),
        limits: inside.resources(),
        wall: Duration::ZERO,
        grace: GRACE,
        isolation: inside.enforced.isolation,
        maps: inside.maps(),
        foreign: Vec::new(),
    };
    plan.find_foreign();
    let make = |parent| Cgroup::make(parent, inside.limits.processes).map_err(ToolError::unavailable);
    let cgroup = inside.cgroup.as_deref().map(make).transpose()?;
    plan.wall = deadline.saturating_duration_since(clock.now());
    let (pid, pidfd) =
        kernel::launch(&plan).map_err(|error| ToolError::unavailable(format!("fork: {error}")))?;
    let mut running = Running {
        lifeline: Some(lifeline.1),
        pidfd: Some(pidfd),
        report: Some(report.0.into()),
        stdout: Some(stdout.0.into()),
        stderr: Some(stderr.0.into()),
        stdin: Some(stdin.1.into()),
        cgroup,
    };
    // Its own ends are the guardian's alone now: what it says has an end.
    drop(plan);
    if let Some(cgroup) = &running.cgroup {
        cgroup.take(pid).map_err(ToolError::unavailable)?;
    }
    let go = running.lifeline.as_mut().map_or(Ok(()), |lifeline| lifeline.write_all(b"g"));
    go.map_err(absent)?;
    Ok(running)
}

impl Running {
    /// Waits until the guardian is gone: in a namespace, everything it held is gone before.
    async fn ended(&mut self) {
        if let Some(reap) = self.end() {
            // Dropped half-way, it goes on by itself.
            drop(spawn_blocking(reap).await);
        }
    }

    /// Ends the guardian; what is given back waits for it, some milliseconds.
    fn end(&mut self) -> Option<impl FnOnce() + Send + 'static> {
        self.lifeline = None;
        let (pidfd, cgroup) = (self.pidfd.take()?, self.cgroup.take());
        Some(move || {
            kernel::reap(&pidfd);
            // Only an empty group can be removed.
            drop(cgroup);
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(reap) = self.end() else { return };
        // The tokio runtime waits for it when it ends; without one there is nobody to hold up.
        match tokio::runtime::Handle::try_current() {
            Ok(handle) => drop(handle.spawn_blocking(reap)),
            Err(_) => reap(),
        }
    }
}

fn receiver(fd: Option<OwnedFd>) -> Option<Receiver> {
    fd.and_then(|fd| Receiver::from_owned_fd(fd).ok())
}

/// What a stream says, up to `max` bytes and its end.
async fn all(fd: Option<OwnedFd>, max: usize) -> Vec<u8> {
    let mut kept = Vec::new();
    if let Some(stream) = receiver(fd) {
        drop(stream.take(max as u64).read_to_end(&mut kept).await);
    }
    kept
}

/// Hears a stream to its end, so that nobody who writes into it is held up.
async fn hear(fd: Option<OwnedFd>, kept: &mut HeadAndTail) {
    let Some(mut stream) = receiver(fd) else { return };
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        kept.take(&buffer[..read]);
    }
}

/// Says the input; who does not read it to its end has no need of it.
async fn feed(fd: Option<OwnedFd>, input: Option<String>) {
    let (Some(fd), Some(input)) = (fd, input) else { return };
    if let Ok(mut stream) = Sender::from_owned_fd(fd) {
        drop(stream.write_all(input.as_bytes()).await);
    }
}
