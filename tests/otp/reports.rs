//! What is told of a child to those who watch: events, texts that are bounded, causes that are named once.

use std::error::Error;

use greenroom::{
    Actor, AdminError, AutoShutdown, Chain, ChildSpec, Context, ExitReason, Failure, Handler, Message, Open,
    Restart, RuntimeEvent, SuperviseExt, Supervisor,
};
use tokio::sync::broadcast::Receiver;

use crate::common::empty;
use crate::support::{Child, Crash, Finish, Stage, Start, chain, child, secs};

/// The events since the last look, without what they carry.
fn words(events: &mut Receiver<RuntimeEvent>) -> Vec<String> {
    let mut words = Vec::new();
    while let Ok(event) = events.try_recv() {
        words.push(match event {
            RuntimeEvent::Started { path, epoch } => format!("started {path} {epoch}"),
            RuntimeEvent::Ended { path, reason, .. } => format!("ended {path} {}", reason.label()),
            RuntimeEvent::Restarting { path, .. } => format!("restarting {path}"),
            other => format!("{other:?}"),
        });
    }
    words
}

/// Adapted: OTP's progress report of a restart is the event `Restarting`. Whoever asks for a start or a restart knows of it
/// and needs none.
#[tokio::test(start_paused = true)]
async fn external_start_no_progress_log() {
    let stage = Stage::new().await;
    let a = stage.part("a");
    let tree = stage.supervise(empty()).await;
    let mut events = stage.runtime.events();

    tree.start_child(a.spec()).await.expect("it starts");
    assert_eq!(words(&mut events), ["started sup/a 1"]);

    child(&tree, "a").tell(Finish).await.unwrap();
    stage.quiet().await;
    assert_eq!(words(&mut events), ["ended sup/a normal", "restarting sup/a", "started sup/a 2"]);

    tree.terminate_child("a").await.expect("it is a child");
    tree.restart_child("a").await.expect("it is stopped");
    assert_eq!(words(&mut events), ["ended sup/a shutdown", "started sup/a 3"]);
    stage.end().await;
}

/// Panics with its arguments.
struct Loud;

impl Actor for Loud {
    type Args = String;
    type Inbox = Open<Self>;

    async fn start(text: &String) -> Result<Self, Failure> {
        panic!("{text}")
    }
}

/// The handler panics with this.
struct Shout(String);

impl Message for Shout {
    type Reply = ();
}

impl Handler<Shout> for Child {
    async fn handle(&mut self, shout: Shout, _cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        panic!("{}", shout.0)
    }
}

fn panic_text(reason: Option<ExitReason>) -> String {
    match reason {
        Some(ExitReason::Panicked { text, .. }) => text.to_string(),
        other => panic!("it did not panic: {other:?}"),
    }
}

/// Adapted: OTP limits the depth of what it prints; here the text of a panic is cut to 2,048 bytes where it is caught, and
/// so everywhere it goes.
#[tokio::test(start_paused = true)]
async fn format_log_1() {
    let long = "x".repeat(10_000);
    let wide = "€".repeat(1_000); // three bytes each
    let table = [("short".to_owned(), 5), ("x".repeat(2_048), 2_048), (long, 2_048), (wide, 2_046)];

    for (said, kept) in table {
        let stage = Stage::new().await;
        let a = stage.part("a");
        let tree = stage.supervise(empty().child(a.spec())).await;

        child(&tree, "a").tell(Shout(said.clone())).await.unwrap();
        stage.quiet().await;
        let refused = tree.start_child(ChildSpec::actor::<Loud>("loud", said.clone())).await;

        let in_handler = panic_text(child(&tree, "a").observe().last_exit);
        let Err(AdminError::StartFailed { reason, .. }) = refused else { panic!("{refused:?}") };
        let whole = Chain(&reason).to_string();
        for text in [in_handler, panic_text(Some(reason))] {
            assert_eq!(text, said[..kept]);
        }
        assert!(whole.len() <= kept + 100, "{} bytes: {whole}", whole.len());
        stage.end().await;
    }
}

/// The text of one report: it names the child, and each of its causes once.
fn report(error: &dyn Error) -> String {
    let whole = Chain(error).to_string();
    for links in chain(error).windows(2) {
        assert!(!links[0].contains(&links[1]), "`{}` twice in `{whole}`", links[1]);
    }
    assert!(whole.contains("sup/a"), "{whole}");
    assert!(!whole.contains('\n'), "{whole}");
    whole
}

/// Adapted: OTP's report has the supervisor, the context, the reason and the offender. Here they are the links of one chain
/// of errors, and it is one line.
#[tokio::test(start_paused = true)]
async fn format_log_2() {
    let stage = Stage::new().await;
    let [a, b] = stage.parts(["a", "b"]);
    let broken = "failed while starting: the start is broken: \
                  an error occurred when formatting an argument";

    // The start of a tree, and of a tree below it.
    a.next_starts([Start::Fails, Start::Fails]);
    let error = stage.runtime.supervise(empty().child(a.spec())).await.unwrap_err();
    assert_eq!(report(&error), format!("sup did not start: could not start sup/a: {broken}"));
    let below = Supervisor::named("a").child(b.spec());
    b.next_starts([Start::Fails]);
    let error = stage.runtime.supervise(empty().child(ChildSpec::supervisor(below))).await.unwrap_err();
    let expected = format!("sup did not start: could not start sup/a: could not start sup/a/b: {broken}");
    assert_eq!(report(&error), expected);

    // A start by request: one that fails, and one that declines.
    let tree = stage.supervise(empty()).await;
    let error = tree.start_child(a.spec()).await.unwrap_err();
    assert_eq!(report(&error), format!("sup/a did not start: {broken}"));
    a.next_starts([Start::Declines]);
    let error = tree.start_child(a.spec().restart(Restart::Temporary)).await.unwrap_err();
    assert_eq!(report(&error), "nothing is kept of sup/a: declined to start: it is not configured");
    tree.stop(secs(1)).await.expect("it was running");
    tree.closed().await;

    // A supervisor that gave up, and one that ended with a significant child.
    let tree = stage.supervise(empty().intensity(0, secs(5)).child(a.spec())).await;
    child(&tree, "a").tell(Crash).await.unwrap();
    let reason = tree.closed().await.expect("it was running");
    let expected = "gave up: sup/a needed too many restarts: panicked while handling a message: a panics";
    assert_eq!(report(&reason), expected);
    let significant = a.spec().restart(Restart::Temporary).significant();
    let spec = empty().auto_shutdown(AutoShutdown::AnySignificant).child(significant);
    let tree = stage.supervise(spec).await;
    child(&tree, "a").tell(Finish).await.unwrap();
    let reason = tree.closed().await.expect("it was running");
    let expected = "ended because sup/a, a significant child, had ended: ended normally";
    assert_eq!(report(&reason), expected);
    stage.end().await;
}
