//! One call: what is refused, what is bounded, and what is written down.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenroom_runtime::{Clock, Effect, Failure, FailureClass};
use serde_json::json;

use super::*;
use crate::approval::Approval;
use crate::permission::Grant;
use crate::tool::{ToolLimits, tool_fn};

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Add {
    a: i64,
    b: i64,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Empty {}

fn add() -> AnyTool {
    tool_fn("add", "Adds.", |input: Add| async move { Ok(input.a + input.b) }).pure().into()
}

type Records = Arc<Mutex<Vec<AuditRecord>>>;

fn context(grant: Grant) -> (ToolContext, Records) {
    let records = Records::default();
    let sink = records.clone();
    let cx = ToolContext::new("root/desk", grant)
        .with_key("key-1")
        .with_audit(move |record: &AuditRecord| sink.lock().unwrap().push(record.clone()));
    (cx, records)
}

fn only(records: &Records) -> AuditRecord {
    let mut records = records.lock().unwrap();
    assert_eq!(records.len(), 1);
    records.remove(0)
}

#[tokio::test]
async fn a_call_is_answered_and_written_down() {
    let (cx, records) = context(Grant::of(["add"]));

    let result = add().run(r#"{"a":2,"b":3}"#, &cx).await.unwrap();

    assert_eq!(result, ToolResult { text: "5".into(), cut: 0 });
    let record = only(&records);
    assert_eq!((&*record.caller, &*record.key, &*record.tool), ("root/desk", "key-1", "add"));
    assert_eq!(record.arguments, Some(ArgumentHash::of("add", &json!({"b": 3, "a": 2}))));
    assert_eq!(record.outcome, CallEnd::Answered { bytes: 1, cut: 0 });
    assert_eq!(add().description().effect, Effect::Pure);
}

#[tokio::test]
async fn what_is_refused_never_reaches_the_tool() {
    let runs = Arc::new(Mutex::new(0));
    let count = runs.clone();
    let tool: AnyTool = tool_fn("add", "Adds.", move |_: Add| {
        *count.lock().unwrap() += 1;
        async { Ok(()) }
    })
    .limits(ToolLimits { arguments_max: 100, ..ToolLimits::default() })
    .into();
    let long = format!(r#"{{"a":1,"b":2,"c":"{:100}"}}"#, "");
    let good = r#"{"a":1,"b":2}"#;

    for (grant, arguments) in [
        (Grant::none(), good),
        (Grant::of(["other"]), good),
        (Grant::all(), r#"{"a":1}"#),
        (Grant::all(), "not json"),
        (Grant::all(), &long),
        (Grant::all().with_approval("add"), good),
    ] {
        let (cx, records) = context(grant);
        let error = tool.run(arguments, &cx).await.unwrap_err();
        assert_eq!(error.class(), FailureClass::Invalid, "{error}");
        assert!(error.is_before_the_call());
        assert!(matches!(only(&records).outcome, CallEnd::Failed { class: FailureClass::Invalid, .. }));
    }
    assert_eq!(*runs.lock().unwrap(), 0);
}

#[tokio::test]
async fn an_approval_is_valid_for_its_arguments_alone() {
    let pay: AnyTool =
        tool_fn("pay", "Pays.", |input: Add| async move { Ok(input.a) }).with_approval().into();
    let (cx, records) = context(Grant::all());
    let asked = pay.run(r#"{"a":1,"b":2}"#, &cx).await.unwrap_err();
    let ToolError::NeedsApproval { tool, arguments } = asked else { panic!("{asked}") };
    let yes = cx.with_approval(Approval { tool, arguments, by: "ann".into(), at_ms: 7 });
    records.lock().unwrap().clear();

    assert_eq!(pay.run(r#"{ "b":2, "a":1 }"#, &yes).await.unwrap().text, "1");
    assert_eq!(only(&records).approved_by.as_deref(), Some("ann"));
    let changed = pay.run(r#"{"a":1000,"b":2}"#, &yes).await.unwrap_err();
    assert!(matches!(changed, ToolError::NeedsApproval { .. }), "{changed}");
}

#[tokio::test]
async fn a_long_result_is_cut_and_says_so() {
    let talk: AnyTool = tool_fn("talk", "Talks.", |_: Empty| async { Ok("ä".repeat(50)) })
        .limits(ToolLimits { result_max: 33, ..ToolLimits::default() })
        .into();
    let (cx, records) = context(Grant::all());

    let result = talk.run("", &cx).await.unwrap();

    assert_eq!(result.text, format!("{}\n[cut: 68 more bytes]", "ä".repeat(16)));
    assert_eq!(result.cut, 68);
    assert!(matches!(only(&records).outcome, CallEnd::Answered { cut: 68, .. }));
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_hangs_is_dropped_at_the_sooner_deadline() {
    struct Gone(Arc<Mutex<bool>>);
    impl Drop for Gone {
        fn drop(&mut self) {
            *self.0.lock().unwrap() = true;
        }
    }
    let gone = Arc::new(Mutex::new(false));
    let mark = gone.clone();
    let hang: AnyTool = tool_fn("hang", "Hangs.", move |_: Empty| {
        let guard = Gone(mark.clone());
        async move {
            let _guard = guard;
            std::future::pending::<Result<(), _>>().await
        }
    })
    .into();
    let clock = Clock::default();

    for (own, took) in [(None, 30), (Some(5), 5)] {
        let (mut cx, _) = context(Grant::all());
        if let Some(own) = own {
            cx = cx.with_deadline(clock.after(Duration::from_secs(own)));
        }
        *gone.lock().unwrap() = false;
        let before = clock.now();
        let error = hang.run("", &cx).await.unwrap_err();
        assert_eq!(error, ToolError::TimedOut { after: Duration::from_secs(took) });
        assert_eq!((clock.now() - before).as_secs(), took);
        assert!(*gone.lock().unwrap());
    }
}

#[tokio::test]
async fn a_panic_is_a_bug_of_the_tool_and_no_more() {
    let fall: AnyTool = tool_fn("fall", "Falls.", |input: Add| async move {
        assert_eq!(input.a, input.b, "they differ");
        Ok(())
    })
    .into();
    let (cx, _) = context(Grant::all());

    let error = fall.run(r#"{"a":1,"b":2}"#, &cx).await.unwrap_err();

    assert_eq!(Failure::from(error.clone()).class(), FailureClass::Bug);
    assert!(error.to_string().contains("they differ"), "{error}");
}

#[tokio::test]
async fn a_call_that_is_dropped_half_way_is_written_down() {
    let hang: AnyTool =
        tool_fn("hang", "Hangs.", |_: Empty| std::future::pending::<Result<(), ToolError>>()).into();
    let (cx, records) = context(Grant::all());

    {
        let mut call = pin!(hang.run("", &cx));
        let first = std::future::poll_fn(|task| Poll::Ready(call.as_mut().poll(task).is_pending())).await;
        assert!(first);
    }

    assert_eq!(only(&records).outcome, CallEnd::Dropped);
}
