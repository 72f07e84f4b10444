//! Nothing of a tool outlives its deadline, its call or its runtime.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use greenroom::Clock;
use greenroom::tools::builtin::SandboxLimits;
use greenroom::tools::{AnyTool, Grant, ToolContext, ToolError};

use crate::bench::{Bench, block_on, shell, short, without_namespaces};

/// Runs on whatever it is told, and leaves others behind: one in the background, one in a session of its own, and one whose
/// parents are gone.
const FAMILY: &str = "trap '' TERM; exec 9>presence; sleep 300 & setsid sleep 300 & (setsid sh -c 'trap \"\" TERM; sleep 300 & sleep 300' &) ; echo here >&9;";

pub(crate) fn a_tool_that_ignores_sigterm_frees_its_agent() {
    for namespaces in [true, false, true, false] {
        let bench = Bench::new();
        let presence = bench.presence();
        let wall = Duration::from_millis(400);
        let limits = SandboxLimits { wall, processes: 16, ..short() };
        let tool = if namespaces { bench.shell() } else { bench.shell_without_namespaces() };
        let tool = AnyTool::new(tool.limits(limits).build().unwrap());
        let clock = Clock::default();
        let script = format!("{FAMILY} while :; do :; done");
        let call = serde_json::json!({"program": "sh", "arguments": ["-c", script]}).to_string();

        let (error, took) = block_on(async {
            let cx = ToolContext::new("me", Grant::all());
            let before = clock.now();
            (tool.run(&call, &cx).await.unwrap_err(), clock.now() - before)
        });

        assert!(matches!(error, ToolError::TimedOut { .. }), "{error}");
        assert!(took < wall + Duration::from_millis(100), "{took:?}");
        presence.here();
        presence.gone();
        println!("answered {:?} after the deadline, {error}", took - wall);
    }
}

pub(crate) fn no_orphan_outlives_its_call() {
    for namespaces in [true, false] {
        let bench = Bench::new();
        let presence = bench.presence();
        let tool = if namespaces { bench.shell() } else { bench.shell_without_namespaces() };

        let ended = bench.run(tool, &format!("{FAMILY} echo done")).unwrap();

        assert_eq!(ended.stdout, "done\n", "{ended:?}");
        presence.here();
        presence.gone();
    }
    // And of one that is dropped half-way.
    let bench = Bench::new();
    let presence = bench.presence();
    let tool = AnyTool::new(bench.shell().build().unwrap());
    let call =
        serde_json::json!({"program": "sh", "arguments": ["-c", format!("{FAMILY} sleep 300")]}).to_string();
    block_on(async {
        let cx = ToolContext::new("me", Grant::all());
        let here = tokio::task::spawn_blocking(move || {
            presence.here();
            presence
        });
        let presence = tokio::select! {
            ended = tool.run(&call, &cx) => panic!("{ended:?}"),
            presence = here => presence.unwrap(),
        };
        presence.gone();
    });
}

const JOB: &str = "TOOLS_JOB";

/// Where this process is to be killed; `None` for the one that kills.
pub(crate) fn job() -> Option<String> {
    std::env::var(JOB).ok()
}

/// A runtime with a tool at work, which nobody ever ends.
pub(crate) fn be_killed(job: &str) -> ! {
    let (kind, root) = job.split_once(':').unwrap();
    let tool = shell(Path::new(root));
    let tool = if kind == "namespaces" { tool } else { without_namespaces(tool) };
    let tool = AnyTool::new(
        tool.limits(SandboxLimits { wall: Duration::from_secs(300), processes: 16, ..short() })
            .build()
            .unwrap(),
    );
    let call =
        serde_json::json!({"program": "sh", "arguments": ["-c", format!("{FAMILY} sleep 300")]}).to_string();
    let ended = block_on(async { tool.run(&call, &ToolContext::new("me", Grant::all())).await });
    panic!("it ended: {ended:?}");
}

pub(crate) fn no_process_outlives_the_runtime() {
    for kind in ["namespaces", "adoption"] {
        let bench = Bench::new();
        let presence = bench.presence();
        let mut host = Command::new(std::env::current_exe().unwrap())
            .env(JOB, format!("{kind}:{}", bench.root.display()))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();

        presence.here();
        host.kill().unwrap();
        host.wait().unwrap();

        presence.gone();
    }
}
