//! The example as a process: where its program is, how it is run, what it left.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

/// Tickets shipped with the example.
pub(crate) const SHIPPED: u64 = 251;

/// One run's store and out file, in a directory that goes with it.
pub(crate) struct Place {
    directory: TempDir,
}

/// How a run ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Place { directory: tempfile::tempdir().expect("a temporary directory") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.path("finished.jsonl")
    }

    /// The desk at work here, without time for thinking.
    pub(crate) fn desk(&self, more: &[&str]) -> Command {
        let mut command = desk();
        command.arg("--store").arg(self.path("store")).arg("--out").arg(self.out());
        command.args(["--report", "json", "--think-ms", "0"]).args(more);
        command
    }

    /// Runs the desk to its end.
    pub(crate) fn run(&self, more: &[&str]) -> Ended {
        Ended::of(self.desk(more).output().expect("the desk runs"))
    }

    /// The finished tickets, sorted.
    pub(crate) fn finished(&self) -> Vec<String> {
        sorted_lines(&self.out())
    }
}

impl Ended {
    pub(crate) fn of(output: Output) -> Self {
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }

    /// The JSON report: the last line of stdout.
    pub(crate) fn report(&self) -> Value {
        let last = self.stdout.lines().last().unwrap_or_else(|| panic!("no report; stderr: {}", self.stderr));
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {last}"))
    }

    pub(crate) fn count(&self, field: &str) -> u64 {
        self.report()[field].as_u64().unwrap_or_else(|| panic!("no count `{field}` in {}", self.stdout))
    }

    /// Each ticket stands in the out file exactly once.
    #[track_caller]
    pub(crate) fn assert_all_accounted_for(&self) {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        let counts = ["resolved", "escalated", "quarantined"].map(|field| self.count(field));
        assert_eq!(self.count("tickets"), counts.iter().sum::<u64>(), "{}", self.stdout);
        for field in ["lost", "resolved_twice", "unreadable", "left_open"] {
            assert_eq!(self.count(field), 0, "{field} in {}", self.stdout);
        }
    }
}

/// A desk that runs, heard through its stderr.
pub(crate) struct Running {
    pub(crate) child: Child,
    lines: Lines<BufReader<ChildStderr>>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the desk starts");
        let stderr = child.stderr.take().expect("piped");
        Running { child, lines: BufReader::new(stderr).lines() }
    }

    /// Waits for a line that begins so, and gives what follows. `None`: the run ended first.
    pub(crate) fn line(&mut self, start: &str) -> Option<String> {
        let mut lines = self.lines.by_ref().map(|line| line.expect("text"));
        lines.find_map(|line| line.strip_prefix(start).map(str::to_owned))
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    pub(crate) fn end(mut self) -> Ended {
        // Lest it waits for room in the pipe.
        let stderr = self.lines.by_ref().map_while(Result::ok).collect::<Vec<_>>().join("\n");
        let mut ended = Ended::of(self.child.wait_with_output().expect("a child can be waited for"));
        ended.stderr = stderr;
        ended
    }
}

/// The program. `cargo test` builds it with the other examples.
pub(crate) fn desk() -> Command {
    let test = std::env::current_exe().expect("a test has a path");
    let built = test.parent().and_then(Path::parent).expect("tests are in target/<profile>/deps");
    let program = built.join("examples/support_desk");
    assert!(program.exists(), "{} is missing: cargo build --example support_desk", program.display());
    Command::new(program)
}

/// What a run without crashes writes, sorted.
pub(crate) fn reference() -> &'static [String] {
    static LINES: OnceLock<Vec<String>> = OnceLock::new();
    LINES.get_or_init(|| {
        let place = Place::new();
        place.run(&[]).assert_all_accounted_for();
        place.finished()
    })
}

/// The lines differ from those of a run without crashes only where they say that they may.
#[track_caller]
pub(crate) fn assert_differs_only_where_marked(lines: &[String]) {
    let reference: BTreeSet<&String> = reference().iter().collect();
    for line in lines.iter().filter(|line| !reference.contains(line)) {
        let read: Value = serde_json::from_str(line).expect("a line of JSON");
        let marked = read["rerouted"] == true || read["outcome"] == "quarantined";
        assert!(marked, "differs and is not marked: {line}");
    }
}

pub(crate) fn sorted_lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).expect("an out file");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}
