//! A place to work in, a tool that works there, and a thread that tells when all of its processes are gone.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenroom::tools::builtin::{Enforcement, ProgramEnded, SandboxLimits, SystemTool, SystemToolBuilder};
use greenroom::tools::{AnyTool, AuditRecord, Grant, ToolContext, ToolError};
use tempfile::TempDir;

/// A root the tool may use, and a place beside it that it may not.
pub(crate) struct Bench {
    _all: TempDir,
    pub(crate) root: PathBuf,
    pub(crate) outside: PathBuf,
    pub(crate) records: Arc<Mutex<Vec<AuditRecord>>>,
}

/// What stands in a file outside.
pub(crate) const SECRET: &str = "the crown jewels";

/// Far above what a loaded machine needs; nothing waits so long but a proof that fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

impl Bench {
    pub(crate) fn new() -> Self {
        let all = tempfile::tempdir().unwrap();
        let place = |name: &str| {
            let path = all.path().join(name);
            fs::create_dir(&path).unwrap();
            path
        };
        let (root, outside) = (place("root"), place("outside"));
        fs::write(outside.join("secret"), SECRET).unwrap();
        Bench { _all: all, root, outside, records: Arc::default() }
    }

    /// A tool with a shell, which is what a model must never have, and the programs it may start.
    pub(crate) fn shell(&self) -> SystemToolBuilder {
        shell(&self.root)
    }

    pub(crate) fn shell_without_namespaces(&self) -> SystemToolBuilder {
        without_namespaces(self.shell())
    }

    /// Runs `script` with a shell.
    pub(crate) fn run(&self, tool: SystemToolBuilder, script: &str) -> Result<ProgramEnded, ToolError> {
        self.call(tool, &serde_json::json!({"program": "sh", "arguments": ["-c", script]}).to_string())
    }

    pub(crate) fn call(&self, tool: SystemToolBuilder, arguments: &str) -> Result<ProgramEnded, ToolError> {
        let tool = AnyTool::new(tool.build().unwrap());
        let records = self.records.clone();
        let sink = move |record: &AuditRecord| records.lock().unwrap().push(record.clone());
        let cx = ToolContext::new("root/desk", Grant::all()).with_audit(sink);
        let result = block_on(tool.run(arguments, &cx))?;
        assert_eq!(result.cut, 0, "{}", result.text);
        Ok(serde_json::from_str(&result.text).unwrap())
    }

    /// A pipe with a name in the root: a process that opens it for writing is heard of until it is gone.
    pub(crate) fn presence(&self) -> Presence {
        let path = self.root.join("presence");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let (say, heard) = sync_channel(2);
        std::thread::spawn(move || {
            let mut pipe = fs::File::open(path).unwrap();
            let mut byte = [0];
            // The first word, then the end: nobody holds it open any more.
            while let Ok(1) = pipe.read(&mut byte) {
                if byte == *b"\n" {
                    say.send("here").unwrap();
                }
            }
            say.send("gone").unwrap();
        });
        Presence(heard)
    }
}

/// What is heard of processes that hold `presence` open.
pub(crate) struct Presence(Receiver<&'static str>);

impl Presence {
    pub(crate) fn here(&self) {
        assert_eq!(self.0.recv_timeout(PATIENCE), Ok("here"));
    }

    pub(crate) fn gone(&self) {
        assert_eq!(self.0.recv_timeout(PATIENCE), Ok("gone"), "somebody is left");
    }
}

pub(crate) fn shell(root: &std::path::Path) -> SystemToolBuilder {
    SystemTool::builder("run")
        .program("sh", "/bin/sh")
        .may_start("/usr/bin/cat")
        .may_start("/usr/bin/ln")
        .may_start("/usr/bin/mkdir")
        .may_start("/usr/bin/sleep")
        .may_start("/usr/bin/setsid")
        .writes(root)
        .env("PATH", "/usr/bin:/bin")
        .limits(SandboxLimits { processes: 16, ..short() })
}

/// As where an administrator forbids namespaces. Who is not root has no bound of processes there.
pub(crate) fn without_namespaces(tool: SystemToolBuilder) -> SystemToolBuilder {
    tool.without_namespaces().enforcement(Enforcement::BestEffort)
}

pub(crate) fn short() -> SandboxLimits {
    SandboxLimits { wall: Duration::from_secs(10), ..SandboxLimits::default() }
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future)
}
