//! What an allowed program does: without these, a tool that runs nothing would pass all the rest.

use std::fs;

use greenroom::tools::ToolError;
use greenroom::tools::builtin::SystemTool;

use crate::bench::{Bench, short};

pub(crate) fn an_allowed_program_reads_and_writes_in_its_root() {
    let bench = Bench::new();
    fs::write(bench.root.join("in"), "from the host").unwrap();

    let ended = bench
        .run(bench.shell(), "cat in; echo ' and back' > out; mkdir d; ln -s ../in d/link; cat d/link >&2")
        .unwrap();

    assert_eq!((ended.status, ended.signal), (Some(0), None), "{ended:?}");
    assert_eq!((&*ended.stdout, &*ended.stderr), ("from the host", "from the host"));
    assert_eq!(fs::read_to_string(bench.root.join("out")).unwrap(), " and back\n");
}

pub(crate) fn a_program_reads_what_it_is_given() {
    let bench = Bench::new();
    let tool =
        || SystemTool::builder("count").program("wc", "/usr/bin/wc").writes(&bench.root).limits(short());
    let text = "x\n".repeat(50_000);

    let call = serde_json::json!({"program": "wc", "arguments": ["-l"], "input": text}).to_string();
    let counted = bench.call(tool(), &call).unwrap();
    let nothing = bench.call(tool(), r#"{"program":"wc","arguments":["-c"]}"#).unwrap();

    assert_eq!((counted.stdout.trim(), nothing.stdout.trim()), ("50000", "0"));
}

pub(crate) fn a_program_that_is_not_allowed_is_not_run() {
    let bench = Bench::new();
    for program in ["cat", "/bin/sh", "", "sh\0"] {
        let call = serde_json::json!({"program": program, "arguments": ["-c", "echo hi"]}).to_string();
        let refused = bench.call(bench.shell(), &call).unwrap_err();
        assert!(matches!(&refused, ToolError::Arguments { path, .. } if path == "program"), "{refused}");
    }
    let zero = bench.call(bench.shell(), r#"{"program":"sh","arguments":["-c","echo \u0000"]}"#).unwrap_err();
    assert!(matches!(zero, ToolError::Arguments { .. }), "{zero}");
    // What could be replaced by the program itself is no allow list.
    fs::copy("/bin/sh", bench.root.join("sh")).unwrap();
    assert!(bench.shell().program("mine", bench.root.join("sh")).build().is_err());
    assert!(bench.shell().program("script", "/usr/bin/ldd").build().is_err(), "a script is no binary");
    assert!(bench.shell().program("relative", "bin/sh").build().is_err());
}

pub(crate) fn a_program_that_was_replaced_is_not_run() {
    let bench = Bench::new();
    let program = bench.outside.join("sh");
    fs::copy("/bin/sh", &program).unwrap();
    let tool = SystemTool::builder("run")
        .program("sh", &program)
        .writes(&bench.root)
        .limits(short())
        .build()
        .unwrap();
    fs::remove_file(&program).unwrap();
    fs::copy("/usr/bin/env", &program).unwrap();

    let tool = greenroom::tools::AnyTool::new(tool);
    let cx = greenroom::tools::ToolContext::new("me", greenroom::tools::Grant::all());
    let refused = crate::bench::block_on(tool.run(r#"{"program":"sh"}"#, &cx)).unwrap_err();

    assert!(matches!(refused, ToolError::NotAllowed { .. }), "{refused}");
}

pub(crate) fn the_audit_says_what_was_enforced() {
    let bench = Bench::new();

    bench.run(bench.shell(), "echo hi").unwrap();

    let records = bench.records.lock().unwrap();
    let [record] = &records[..] else { panic!("{records:?}") };
    let all = record.enforced.join(", ");
    for word in ["landlock abi", "seccomp", "no_new_privs", "processes by", "used"] {
        assert!(all.contains(word), "{all}");
    }
    println!("enforced: {all}; took {:?}", record.duration);
}

pub(crate) fn the_environment_has_only_what_was_named() {
    let bench = Bench::new();
    let tool =
        SystemTool::builder("environment").program("env", "/usr/bin/env").env("LANG", "C").limits(short());

    let ended = bench.call(tool, r#"{"program":"env"}"#).unwrap();

    assert_eq!(ended.stdout, "LANG=C\n");
}
