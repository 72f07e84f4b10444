//! What is refused: each with a shell as the villain, and each beside something that works, so that the shell is known to run.

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use greenroom::tools::ToolError;
use greenroom::tools::builtin::{SandboxLimits, SystemTool};

use crate::bench::{Bench, SECRET, short};

pub(crate) fn reading_outside_is_refused() {
    let bench = Bench::new();
    let secret = bench.outside.join("secret").display().to_string();

    for path in [&*secret, "../outside/secret", "/etc/passwd", "/proc/self/environ", "/proc/1/environ"] {
        let ended = bench.run(bench.shell(), &format!("echo begins; cat {path}; echo status $?")).unwrap();
        assert_eq!(ended.stdout, "begins\nstatus 1\n", "{path}");
        assert!(ended.stderr.contains("Permission denied"), "{path}: {ended:?}");
    }
    let listed = bench.run(bench.shell(), "echo ../outside/* /etc/*").unwrap();
    assert_eq!(listed.stdout, "../outside/* /etc/*\n");
}

pub(crate) fn writing_outside_is_refused() {
    let bench = Bench::new();
    let script = "echo bad > ../outside/new; echo bad > ../outside/secret; echo bad >> ../outside/secret;
        ln ../outside/secret mine; ln -s x ../outside/link; echo good > new";

    let ended = bench.run(bench.shell(), script).unwrap();

    let there: Vec<_> =
        fs::read_dir(&bench.outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(there, ["secret"], "{ended:?}");
    assert_eq!(fs::read_to_string(bench.outside.join("secret")).unwrap(), SECRET);
    assert!(!fs::exists(bench.root.join("mine")).unwrap());
    assert_eq!(fs::read_to_string(bench.root.join("new")).unwrap(), "good\n");
}

pub(crate) fn a_link_leads_nowhere() {
    let bench = Bench::new();
    std::os::unix::fs::symlink(&bench.outside, bench.root.join("planted")).unwrap();

    let script =
        "ln -s ../outside/secret own; cat own; cat planted/secret; echo bad > planted/new; echo bad > own";
    let ended = bench.run(bench.shell(), script).unwrap();

    assert_eq!(ended.stdout, "");
    assert!(ended.stderr.contains("own: Permission denied"), "{ended:?}");
    assert!(!fs::exists(bench.outside.join("new")).unwrap());
    assert_eq!(fs::read_to_string(bench.outside.join("secret")).unwrap(), SECRET);
}

pub(crate) fn no_connection_leaves() {
    let bench = Bench::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let socket = bench.root.join("socket");
    let unix = UnixListener::bind(&socket).unwrap();
    unix.set_nonblocking(true).unwrap();
    let bash = |script: String| {
        let tool =
            SystemTool::builder("run").program("sh", "/usr/bin/bash").writes(&bench.root).limits(short());
        bench.run(tool, &script).unwrap()
    };

    for kind in ["tcp", "udp"] {
        let ended = bash(format!("echo begins; echo hello > /dev/{kind}/127.0.0.1/{port} && echo connected"));
        assert_eq!(ended.stdout, "begins\n", "{ended:?}");
        assert!(ended.stderr.contains("not permitted"), "{ended:?}");
    }
    let perl = SystemTool::builder("run")
        .program("perl", "/usr/bin/perl")
        .reads("/usr/share/perl")
        .reads("/etc/perl")
        .writes(&bench.root)
        .limits(short());
    let script = "for $f (1, 2, 10, 16, 17) { print $f, socket($s, $f, 1, 0) ? 'open ' : 'shut ' }
        print socketpair($a, $b, 1, 1, 0) ? 'pair' : 'none'";
    let ended =
        bench.call(perl, &serde_json::json!({"program": "perl", "arguments": ["-e", script]}).to_string());
    assert_eq!(ended.unwrap().stdout, "1shut 2shut 10shut 16shut 17shut pair");
    assert!(listener.accept().is_err() && unix.accept().is_err());
}

pub(crate) fn the_environment_of_the_runtime_is_not_read() {
    let bench = Bench::new();
    let own = std::process::id();
    assert!(fs::exists(format!("/proc/{own}/environ")).unwrap());

    // Also one that may look around there.
    let tool = bench.shell().reads("/proc");
    let script = format!(
        "cat /proc/{own}/comm; for f in environ maps mem; do cat /proc/{own}/$f; done; cat /proc/*/environ"
    );
    let ended = bench.run(tool, &script).unwrap();

    let stdout = ended.stdout.replace('\0', "\n");
    let lines: Vec<&str> = stdout.lines().skip(1).collect();
    let mine = |line: &&str| {
        !line.is_empty() && !line.starts_with("PATH=/usr/bin:/bin") && !line.starts_with("PWD=")
    };
    let leaked: Vec<_> = lines.into_iter().filter(mine).collect();
    assert!(stdout.starts_with("tools-"), "it looks around: {ended:?}");
    assert!(leaked.is_empty(), "{leaked:?}");
}

pub(crate) fn the_runtime_and_its_guardian_cannot_be_signalled() {
    for namespaces in [true, false] {
        let bench = Bench::new();
        let tool = if namespaces { bench.shell() } else { bench.shell_without_namespaces() };
        let own = std::process::id();

        let script = format!("kill -0 {own} && echo reached; kill -9 $PPID; kill -9 1; echo still here");
        let ended = bench.run(tool, &script).unwrap();

        assert_eq!(ended.stdout, "still here\n", "{ended:?}");
    }
}

pub(crate) fn another_program_cannot_be_started() {
    let bench = Bench::new();
    fs::copy("/usr/bin/env", bench.root.join("mine")).unwrap();
    fs::copy("/usr/bin/env", bench.outside.join("read")).unwrap();

    let script = "/usr/bin/env; ./mine; ../outside/read; sleep 0; echo status $?";
    let ended = bench.run(bench.shell().reads(&bench.outside), script).unwrap();

    assert_eq!(ended.stdout, "status 0\n", "{ended:?}");
    assert_eq!(ended.stderr.matches("Permission denied").count(), 3, "{ended:?}");
}

pub(crate) fn a_fork_bomb_is_bounded() {
    let bench = Bench::new();
    let presence = bench.presence();
    // A shell that cannot fork gives up, so it counts those that were started before.
    let count = "exec 9>presence; echo here >&9; i=0; while :; do sleep 60 & i=$((i+1)); echo $i >> count; [ $i -gt 100 ] && exit; done";

    let ended = bench.run(bench.shell(), count).unwrap();

    let started = fs::read_to_string(bench.root.join("count")).unwrap_or_default().lines().count();
    assert!((1..16).contains(&started), "{started} were started: {ended:?}");
    presence.here();
    presence.gone();
    let one = SandboxLimits { processes: 1, ..short() };
    let alone = bench.run(bench.shell().limits(one), "echo begins; sleep 0 & wait; echo on").unwrap();
    assert_eq!(alone.stdout, "begins\n", "{alone:?}");
    // The bomb itself: its call ends, in whatever way, and so do all of its processes.
    let wall = SandboxLimits { processes: 16, wall: Duration::from_secs(1), ..short() };
    drop(bench.run(bench.shell().limits(wall), ":(){ : | : & }; :; sleep 5"));
}

pub(crate) fn a_flood_is_cut_and_counted() {
    let bench = Bench::new();
    let tool = || SystemTool::builder("run").program("head", "/usr/bin/head").program("yes", "/usr/bin/yes");
    let limits = SandboxLimits { output: 1_000, ..short() };

    let ended = bench
        .call(
            tool().reads("/dev/zero").limits(limits),
            r#"{"program":"head","arguments":["-c","50000000","/dev/zero"]}"#,
        )
        .unwrap();
    let brief = SandboxLimits { wall: Duration::from_millis(300), ..limits };
    let endless = bench.call(tool().limits(brief), r#"{"program":"yes"}"#).unwrap_err();

    assert!(ended.stdout.contains("[cut: 49999000 bytes]"), "{}", ended.stdout.len());
    assert_eq!(ended.stdout.matches('\0').count(), 1_000);
    assert!(matches!(endless, ToolError::TimedOut { .. }), "{endless}");
}

pub(crate) fn memory_files_and_processor_time_are_bounded() {
    let bench = Bench::new();
    let with = |limits| bench.shell().program("perl", "/usr/bin/perl").limits(limits);
    let perl = |limits, script: &str| {
        let call = serde_json::json!({"program": "perl", "arguments": ["-e", script]}).to_string();
        bench.call(with(limits), &call).unwrap()
    };
    let small =
        SandboxLimits { memory: 100 << 20, file_size: 100_000, cpu: Duration::from_secs(1), ..short() };

    let fits = perl(small, "$x = 'x' x 10_000_000; print length $x");
    let memory = perl(small, "$x = 'x' x 500_000_000; print length $x");
    let file = perl(small, "open F, '>', 'long'; print F 'x' x 1000 for 1..1000; close F; print 'on'");
    let processor = perl(small, "1 while 1");

    assert_eq!(fits.stdout, "10000000", "{fits:?}");
    assert_eq!(memory.stdout, "", "{memory:?}");
    assert_eq!(file.signal, Some(25), "SIGXFSZ: {file:?}");
    assert!(fs::metadata(bench.root.join("long")).unwrap().len() <= 100_000);
    assert!(matches!(processor.signal, Some(9 | 24)), "SIGXCPU: {processor:?}");
}
