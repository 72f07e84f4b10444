//! System calls of a child: listed, and made to fail or to kill.
//!
//! strace counts the calls of each thread and of each name by themselves: `when=3` strikes at the third `pwrite64` of
//! whichever thread comes to make three. sled hands its writes to seven threads in no fixed order, so what is hit then
//! is chance; it is read from the list, not assumed. With [`IoThreads::One`] six of the seven are refused to sled, which
//! bears that, and every write can be struck at.

use std::collections::BTreeMap;
use std::fs;

use crate::place::Place;
use crate::process::{Ended, PATIENCE, command, watch};

/// Every call that changes what is on disk or brings it there, and the one by which the child speaks.
pub(crate) const CHANGING: [&str; 15] = [
    "mkdir",
    "openat",
    "write",
    "writev",
    "pwrite64",
    "fdatasync",
    "fsync",
    "sync_file_range",
    "ftruncate",
    "fallocate",
    "rename",
    "unlink",
    "copy_file_range",
    "sendfile",
    "flock",
];

/// The call that starts a thread.
const THREAD_START: &str = "clone3";

/// Whether strace can be run; says so if not.
pub(crate) fn is_here() -> bool {
    let is_here =
        std::process::Command::new("strace").arg("-V").output().is_ok_and(|out| out.status.success());
    if !is_here {
        println!(
            "SKIPPED: strace is not installed, so nothing was proven here (Debian: apt-get install strace)"
        );
    }
    is_here
}

/// What befalls the child.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strike<'a> {
    /// Name of the system call.
    pub(crate) call: &'a str,
    /// `signal=KILL`, `error=EIO`, ….
    pub(crate) what: &'a str,
    /// The how manieth of one thread.
    pub(crate) when: u64,
    pub(crate) lasts: Lasts,
    pub(crate) threads: IoThreads,
}

/// How many threads sled gets for its writes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum IoThreads {
    One,
    /// As many as it wants: seven.
    All,
}

/// Whether the calls after it fare better.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lasts {
    Once,
    /// As on a disk that is and stays full.
    FromThenOn,
}

/// One system call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// Thread, arguments and result as strace writes them.
    pub(crate) text: String,
    pub(crate) thread: u32,
    /// Line at which it began, and line at which it ended: `usize::MAX` if it never did.
    pub(crate) begun: usize,
    pub(crate) ended: usize,
}

/// What a traced child did.
#[derive(Debug)]
pub(crate) struct Traced {
    pub(crate) ended: Ended,
    pub(crate) calls: Vec<Call>,
}

impl Traced {
    pub(crate) fn calls_of(&self, name: &str) -> Vec<&Call> {
        self.calls.iter().filter(|call| call.name == name).collect()
    }

    /// Which call the strike fell upon: its number among those of its name in all threads, from 1, and its arguments.
    pub(crate) fn hit(&self, strike: Strike<'_>) -> Option<(usize, &Call)> {
        let mut of_thread = BTreeMap::new();
        (1..).zip(self.calls_of(strike.call)).find(|(_, call)| {
            let count = of_thread.entry(call.thread).or_insert(0);
            *count += 1;
            *count == strike.when
        })
    }
}

/// Runs `job` at `place` and lists its calls of `names`.
pub(crate) fn trace(place: &Place, job: &str, names: &[&str], strike: Option<Strike<'_>>) -> Traced {
    let mut before: Vec<String> = ["strace", "-f", "-q", "-y", "-s", "40", "-o"].map(str::to_owned).into();
    before.push(place.calls().into_os_string().into_string().unwrap());
    before.extend(["-e".to_owned(), format!("trace={},{THREAD_START}", names.join(","))]);
    if let Some(Strike { call, what, when, lasts, threads }) = strike {
        if matches!(threads, IoThreads::One) && call != THREAD_START {
            // Either the opening thread starts sled's background thread and then these, or that one starts these alone.
            before.extend(["-e".to_owned(), format!("inject={THREAD_START}:error=EAGAIN:when=2..7")]);
        }
        let and_later = if matches!(lasts, Lasts::FromThenOn) { "+" } else { "" };
        before.extend(["-e".to_owned(), format!("inject={call}:{what}:when={when}{and_later}")]);
    }
    let ended = watch(command(&before, job), &place.errors(), PATIENCE);
    let list = fs::read_to_string(place.calls()).unwrap();
    let ended = ended.unwrap_or_else(|lines| {
        let last: Vec<&str> = list.lines().rev().take(20).collect();
        panic!("{strike:?}: hangs after {lines:?}; last calls: {last:#?}")
    });
    Traced { ended, calls: calls(&list) }
}

/// Reads strace's list; a call that another one interrupts is written in two parts.
fn calls(list: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    for (at, line) in list.lines().enumerate() {
        let (thread, text) = line.trim_start().split_once(' ').unwrap();
        let (thread, text) = (thread.parse().unwrap(), text.trim_start());
        if let Some((name, rest)) = text.strip_prefix("<... ").and_then(|text| text.split_once(" resumed>")) {
            let call = calls.iter_mut().rev().find(|call| call.thread == thread && call.name == name);
            if let Some(call) = call {
                call.text.push_str(rest);
                call.ended = at;
            }
        } else if let Some((name, _)) = text.split_once('(').filter(|(name, _)| is_name(name)) {
            let ended = if text.ends_with("<unfinished ...>") { usize::MAX } else { at };
            calls.push(Call { name: name.into(), text: text.into(), thread, begun: at, ended });
        }
    }
    calls
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
