//! What the file tools reach, and what they do not.

use std::fs;
use std::os::unix::fs::symlink;

use greenroom_runtime::FailureClass;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::permission::{Grant, LimitKind};
use crate::registry::ToolRegistry;
use crate::tool_context::ToolContext;
use crate::tool_error::ToolError;

struct World {
    all: TempDir,
    tools: ToolRegistry,
}

impl World {
    fn new() -> Self {
        let all = tempfile::tempdir().unwrap();
        for dir in ["notes", "docs", "outside"] {
            fs::create_dir(all.path().join(dir)).unwrap();
        }
        fs::write(all.path().join("outside/secret"), "jewels").unwrap();
        fs::write(all.path().join("docs/guide"), "how to").unwrap();
        let limits = FileLimits { read: 8, write: 20, list: 3 };
        let roots = FileRoots::new().limits(limits);
        let roots = roots.writes("notes", all.path().join("notes")).unwrap();
        let roots = roots.reads("docs", all.path().join("docs")).unwrap();
        let tools = ToolRegistry::new().with(ReadFile::new(&roots)).unwrap();
        let tools = tools.with(WriteFile::new(&roots)).unwrap().with(ListFiles::new(&roots)).unwrap();
        World { all, tools }
    }

    async fn call(&self, tool: &str, arguments: Value) -> Result<Value, ToolError> {
        self.call_with(tool, arguments, Grant::all()).await
    }

    async fn call_with(&self, tool: &str, arguments: Value, grant: Grant) -> Result<Value, ToolError> {
        let cx = ToolContext::new("me", grant);
        let result = self.tools.call(tool, &arguments.to_string(), &cx).await?;
        Ok(serde_json::from_str(&result.text).unwrap())
    }
}

#[tokio::test]
async fn files_are_written_read_and_listed_within_their_bounds() {
    let world = World::new();
    let text = "twelve bytes";

    let written =
        world.call("write_file", json!({"root": "notes", "path": "a/b/c", "text": text})).await.unwrap();
    let first = world.call("read_file", json!({"root": "notes", "path": "a/b/c"})).await.unwrap();
    let rest = world.call("read_file", json!({"root": "notes", "path": "a/b/c", "offset": 8})).await.unwrap();

    assert_eq!(written, json!({"length": 12}));
    assert_eq!(first, json!({"text": "twelve b", "length": 12, "next_offset": 8}));
    assert_eq!(rest, json!({"text": "ytes", "length": 12}));
    world.call("write_file", json!({"root": "notes", "path": "a/b/c", "text": "new"})).await.unwrap();
    assert_eq!(fs::read_to_string(world.all.path().join("notes/a/b/c")).unwrap(), "new");
    let there = world.call("list_files", json!({"root": "notes", "path": "a/b"})).await.unwrap();
    assert_eq!(there, json!({"names": ["c"]}), "nothing unfinished is left");
    let long = world.call("write_file", json!({"root": "notes", "path": "d", "text": "x".repeat(21)})).await;
    assert!(matches!(long, Err(ToolError::Arguments { .. })));
    for name in ["1", "2", "3"] {
        fs::write(world.all.path().join("notes").join(name), "").unwrap();
    }
    let many = world.call("list_files", json!({"root": "notes"})).await.unwrap();
    assert_eq!((many["names"].as_array().unwrap().len(), &many["more"]), (3, &json!(true)));
}

#[tokio::test]
async fn no_path_and_no_link_leads_out_of_a_root() {
    let world = World::new();
    let (root, outside) = (world.all.path().join("notes"), world.all.path().join("outside"));
    symlink(outside.join("secret"), root.join("file")).unwrap();
    symlink(&outside, root.join("dir")).unwrap();
    symlink("../outside", root.join("up")).unwrap();
    let absolute = outside.join("secret").display().to_string();

    for path in
        ["../outside/secret", "file", "dir/secret", "up/secret", &absolute, "a/../../outside/secret", "\0"]
    {
        let read = world.call("read_file", json!({"root": "notes", "path": path})).await.unwrap_err();
        let write = world
            .call("write_file", json!({"root": "notes", "path": path, "text": "bad"}))
            .await
            .unwrap_err();
        for error in [read, write] {
            assert_eq!(error.class(), FailureClass::Invalid, "{path}: {error}");
            assert!(!error.to_string().contains("outside"), "it tells where: {error}");
        }
    }
    for path in ["..", "dir", "up", "/"] {
        assert!(world.call("list_files", json!({"root": "notes", "path": path})).await.is_err(), "{path}");
    }
    assert_eq!(fs::read_to_string(outside.join("secret")).unwrap(), "jewels");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}

#[tokio::test]
async fn a_root_is_what_tool_and_grant_say() {
    let world = World::new();
    let guide = json!({"root": "docs", "path": "guide"});
    let write = json!({"root": "docs", "path": "guide", "text": "bad"});

    assert!(world.call("read_file", guide.clone()).await.is_ok());
    assert!(matches!(world.call("write_file", write).await, Err(ToolError::Arguments { .. })));
    assert!(world.call("read_file", json!({"root": "else", "path": "guide"})).await.is_err());
    let notes = Grant::all().limit("read_file", LimitKind::Reads, ["notes"]);
    assert!(matches!(world.call_with("read_file", guide, notes).await, Err(ToolError::NotAllowed { .. })));
    assert_eq!(
        world.tools.get("write_file").unwrap().description().input_schema["properties"]["root"]["enum"],
        json!(["notes"])
    );
}

#[tokio::test]
async fn a_pipe_with_a_name_holds_nobody_up() {
    let world = World::new();
    let path = world.all.path().join("notes/pipe");
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());

    let read = world.call("read_file", json!({"root": "notes", "path": "pipe"})).await;

    assert!(matches!(read, Err(ToolError::Refused { .. })), "{read:?}");
}
