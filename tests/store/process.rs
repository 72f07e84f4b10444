//! A child under watch: this very program again, with a job in its environment.
//!
//! It speaks in lines on its stdout. Silence beyond the deadline is a hang: the child is killed and the proof fails.

use std::io::{BufRead, BufReader, IoSlice, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

const JOB: &str = "STORE_JOB";
/// First line of every child.
const BEGINS: &str = "process ";

/// Longest silence of a child that is not measured by it: far above what a loaded machine needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What this process is to do; `None` for the parent of all.
pub(crate) fn job() -> Option<String> {
    std::env::var(JOB).ok()
}

/// Says a line to the parent. By `writev`, which the proofs let alone: they make `write` fail.
pub(crate) fn say(line: &str) {
    let stdout = std::io::stdout();
    let mut pipe = std::fs::File::from(stdout.as_fd().try_clone_to_owned().unwrap());
    let line = format!("{line}\n");
    let written = pipe.write_vectored(&[IoSlice::new(line.as_bytes())]).unwrap();
    assert_eq!(written, line.len());
}

/// Says who this is, so that the parent can kill it also when somebody stands between.
pub(crate) fn begin() {
    say(&format!("{BEGINS}{}", std::process::id()));
}

/// This program with `job`, to be started by itself or behind another one.
pub(crate) fn command(before: &[String], job: &str) -> Command {
    let program = std::env::current_exe().unwrap();
    let mut command = match before {
        [] => Command::new(program),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    };
    // cargo's search path, which costs the loader fifty calls.
    command.env(JOB, job).env_remove("LD_LIBRARY_PATH");
    command
}

/// How a child ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// Without the first line; `None` if it did not come to say even that.
    pub(crate) lines: Option<Vec<String>>,
}

impl Ended {
    /// How many lines begin so.
    pub(crate) fn count(&self, start: &str) -> u64 {
        self.lines.iter().flatten().filter(|line| line.starts_with(start)).count() as u64
    }

    /// What follows in the first line that begins so.
    pub(crate) fn after(&self, start: &str) -> Option<&str> {
        self.lines.iter().flatten().find_map(|line| line.strip_prefix(start))
    }
}

/// Starts `command` and hears it to its end; stderr goes into `errors`. `Err` is what it said before it fell silent.
pub(crate) fn watch(mut command: Command, errors: &Path, patience: Duration) -> Result<Ended, Vec<String>> {
    let stderr = std::fs::File::create(errors).unwrap();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
    let (heard, reader) = hear(&mut child);
    let mut lines = Vec::new();
    loop {
        match heard.recv_timeout(patience) {
            Ok(line) => lines.push(line),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                if let Some(process) = lines.first().and_then(|line: &String| line.strip_prefix(BEGINS)) {
                    drop(Command::new("kill").args(["-9", process]).status());
                }
                child.kill().unwrap();
                child.wait().unwrap();
                reader.join().unwrap();
                return Err(lines);
            }
        }
    }
    reader.join().unwrap();
    let status = child.wait().unwrap();
    let began = lines.first().is_some_and(|line| line.starts_with(BEGINS));
    Ok(Ended { status, lines: began.then(|| lines.split_off(1)) })
}

/// What the child says, line by line, until it ends.
fn hear(child: &mut Child) -> (Receiver<String>, JoinHandle<()>) {
    let pipe = BufReader::new(child.stdout.take().unwrap());
    let (say, heard) = sync_channel(64);
    let reader = std::thread::spawn(move || {
        for line in pipe.lines().map_while(Result::ok) {
            if say.send(line).is_err() {
                return;
            }
        }
    });
    (heard, reader)
}

/// `watch` with the everyday patience; a hang or an end by anything but `exit(0)` fails the proof.
pub(crate) fn run(job: &str, errors: &Path) -> Ended {
    let ended = watch(command(&[], job), errors, PATIENCE);
    let text = || std::fs::read_to_string(errors).unwrap_or_default();
    let ended = ended.unwrap_or_else(|lines| panic!("`{job}` hangs after {lines:?}: {}", text()));
    assert!(ended.status.success(), "`{job}` ended with {}: {}", ended.status, text());
    ended
}
