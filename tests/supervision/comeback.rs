//! Durable children that come back with the process.

use greenroom::{
    Actor, ActorPath, Context, Durable, DurableMessage, DynamicRef, DynamicSupervisor, Failure, Handler,
    MemoryStore, Message, Runtime, SuperviseExt, inbox,
};
use serde::{Deserialize, Serialize};

use tokio::sync::watch;

use crate::support::secs;

/// What happened, in order.
#[derive(Clone, Default)]
struct Board(watch::Sender<Vec<String>>);

impl Board {
    fn write(&self, line: impl ToString) {
        self.0.send_modify(|lines| lines.push(line.to_string()));
    }

    async fn until(&self, count: usize) -> Vec<String> {
        self.0.subscribe().wait_for(|lines| lines.len() >= count).await.expect("the test's own stage").clone()
    }
}

#[derive(Serialize, Deserialize)]
struct Case {
    customer: String,
    notes: Vec<String>,
}

#[derive(Serialize, Deserialize, Clone)]
struct Opening {
    customer: String,
}

/// `waits`: the handler does not come to its end in the first runtime.
#[derive(Serialize, Deserialize)]
struct Note {
    text: String,
    waits: bool,
}

impl Message for Note {
    type Reply = usize;
    const NAME: Option<&'static str> = Some("note");
}
impl DurableMessage for Note {}

inbox!(durable CaseInbox for Case: Note);

impl Actor for Case {
    type Args = Opening;
    type Inbox = CaseInbox;
    async fn start(opening: &Opening) -> Result<Self, Failure> {
        Ok(Case { customer: opening.customer.clone(), notes: Vec::new() })
    }
}

impl Durable for Case {
    const NAME: &'static str = "case";
}

impl Handler<Note> for Case {
    async fn handle(&mut self, note: Note, cx: &mut Context<'_, Self>) -> Result<usize, Failure> {
        let stage = cx.resource::<Stage>()?;
        if note.waits && stage.is_first {
            stage.board.write("waits");
            std::future::pending::<()>().await;
        }
        self.notes.push(note.text);
        stage.board.write(format!("{} of {}: {}", cx.path().name(), self.customer, self.notes.join(", ")));
        Ok(self.notes.len())
    }
}

struct Stage {
    is_first: bool,
    board: Board,
}

async fn world(store: &MemoryStore, is_first: bool) -> (Runtime, DynamicRef<Case>, Board) {
    let board = Board::default();
    let stage = Stage { is_first, board: board.clone() };
    let runtime =
        Runtime::builder().store(store.clone()).resource(stage).start().await.expect("the test's own stage");
    let cases = DynamicSupervisor::<Case>::named("cases").durable();
    let cases = runtime.supervise(cases).await.expect("the test's own stage").dynamic::<Case>();
    (runtime, cases, board)
}

fn opening(customer: &str) -> Opening {
    Opening { customer: customer.into() }
}

fn note(text: &str, waits: bool) -> Note {
    Note { text: text.into(), waits }
}

async fn names(cases: &DynamicRef<Case>) -> Vec<String> {
    cases.children().await.expect("the test's own stage").into_iter().map(|child| child.name).collect()
}

#[tokio::test(start_paused = true)]
async fn a_child_with_mail_comes_back_with_the_process_and_one_without_does_not() {
    let store = MemoryStore::new();
    let (runtime, cases, board) = world(&store, true).await;
    let busy = cases.start("busy", opening("ada")).await.unwrap();
    let idle = cases.start("idle", opening("bob")).await.unwrap();
    busy.ask(note("calls", false)).await.unwrap();
    idle.ask(note("writes", false)).await.unwrap();
    busy.tell(note("waits", true)).await.unwrap();
    busy.tell(note("asks", false)).await.unwrap();
    board.until(3).await;
    runtime.shutdown(secs(1)).await;

    let (runtime, cases, board) = world(&store, false).await;

    assert_eq!(names(&cases).await, ["busy"]);
    let lines = board.until(2).await;
    assert_eq!(lines, ["busy of ada: calls, waits", "busy of ada: calls, waits, asks"]);
    let idle = cases.start("idle", opening("somebody else")).await.unwrap();
    assert_eq!(idle.ask(note("again", false)).await.unwrap(), 2);
    assert_eq!(board.until(3).await[2], "idle of bob: writes, again");
    runtime.shutdown(secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_child_that_was_terminated_does_not_come_back_and_what_waits_for_it_is_listed() {
    let store = MemoryStore::new();
    let (runtime, cases, board) = world(&store, true).await;
    let busy = cases.start("busy", opening("ada")).await.unwrap();
    busy.tell(note("waits", true)).await.unwrap();
    board.until(1).await;
    cases.terminate("busy").await.unwrap();
    assert_eq!(runtime.unclaimed().await.unwrap(), [ActorPath::parse("cases/busy").unwrap()]);
    runtime.shutdown(secs(1)).await;

    let (runtime, cases, _) = world(&store, false).await;

    assert!(names(&cases).await.is_empty());
    let path = ActorPath::parse("cases/busy").unwrap();
    assert_eq!(runtime.unclaimed().await.unwrap(), std::slice::from_ref(&path));
    runtime.erase(&path).await.unwrap();
    assert_eq!(runtime.unclaimed().await.unwrap(), []);
    runtime.shutdown(secs(1)).await;
}
