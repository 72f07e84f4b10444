//! Messages of other programs in the inbox: older ones, newer ones, and unknown ones.

use greenroom::{
    Actor, ActorRef, ActorSpec, Chain, Context, DecodeError, Durable, DurableMessage, Failure, Handler,
    Message, SpawnError, Store, inbox,
};
use serde::{Deserialize, Serialize};

use super::{Disk, Entry, Office, Process, plain};
use crate::support::path;

/// The clerk of the next program.
#[derive(Serialize, Deserialize)]
struct Newer {
    heard: Vec<u32>,
}

/// Version 2 of an entry.
#[derive(Serialize, Deserialize)]
struct NewEntry {
    text: String,
}

/// A message that the program before does not know.
#[derive(Serialize, Deserialize)]
struct Extra;

impl Message for NewEntry {
    type Reply = Vec<u32>;
    const NAME: Option<&'static str> = Some("entry");
    const VERSION: u16 = 2;
}
impl Message for Extra {
    type Reply = ();
    const NAME: Option<&'static str> = Some("extra");
}
impl DurableMessage for NewEntry {
    fn upgrade(version: u16, bytes: &[u8]) -> Result<Self, DecodeError> {
        assert_eq!(version, 1, "there is no other");
        let Entry { number, .. } = rmp_serde::from_slice(bytes)?;
        Ok(new(number))
    }
}
impl DurableMessage for Extra {}

inbox!(durable NewerInbox for Newer: NewEntry, Extra);

impl Actor for Newer {
    type Args = Office;
    type Inbox = NewerInbox;
    async fn start(_: &Office) -> Result<Self, Failure> {
        Ok(Newer { heard: Vec::new() })
    }
}
impl Durable for Newer {
    const NAME: &'static str = "clerk";
}
impl Handler<NewEntry> for Newer {
    async fn handle(&mut self, entry: NewEntry, cx: &mut Context<'_, Self>) -> Result<Vec<u32>, Failure> {
        cx.args().gate.pass().await;
        self.heard.push(entry.text.parse().map_err(Failure::bug)?);
        Ok(self.heard.clone())
    }
}
impl Handler<Extra> for Newer {
    async fn handle(&mut self, _: Extra, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        cx.args().gate.pass().await;
        self.heard.push(1_000);
        Ok(())
    }
}

fn new(number: u32) -> NewEntry {
    NewEntry { text: number.to_string() }
}

async fn newer(process: &Process) -> ActorRef<Newer> {
    let spec = ActorSpec::<Newer>::new("clerk", process.office.clone()).durable();
    process.runtime.spawn_spec(spec).await.expect("the newer program reads everything")
}

/// What the program of before says to what it finds there.
async fn refused_by_the_program_before(disk: &Disk) -> String {
    let process = disk.process().await;
    let spec = super::clerk("clerk", &process.office);
    let error = process.runtime.spawn_spec(spec).await.expect_err("it cannot read everything");
    assert!(matches!(error, SpawnError::StartFailed { .. }));
    assert!(process.office.board.lines().is_empty(), "nothing was handled");
    process.dies().await;
    Chain(&error).to_string()
}

async fn heard_by_the_newer(disk: &Disk) -> Vec<u32> {
    let process = disk.process().await;
    process.office.gate.open();
    let heard = newer(&process).await.ask(new(9)).await.expect("it answers");
    process.dies().await;
    heard
}

#[tokio::test(start_paused = true)]
async fn a_message_of_an_older_version_is_upgraded_when_it_is_read_back() {
    let disk = Disk::default();
    let process = disk.process().await;
    let clerk = process.busy_clerk("clerk").await;
    clerk.tell(plain(1)).await.unwrap();
    process.dies().await;

    assert_eq!(heard_by_the_newer(&disk).await, [0, 1, 9]);
}

#[tokio::test(start_paused = true)]
async fn a_message_of_an_unknown_version_is_a_failed_start_that_names_both_and_nothing_is_lost() {
    let disk = Disk::default();
    let process = disk.process().await;
    newer(&process).await.tell(new(1)).await.unwrap();
    process.dies().await;

    let told = refused_by_the_program_before(&disk).await;

    let both = "the message `entry` is stored as version 2, this program knows version 1";
    assert!(told.contains(both), "{told}");
    assert_eq!(heard_by_the_newer(&disk).await, [1, 9]);
}

/// Not even what stands behind it, and could be read: it would overtake it.
#[tokio::test(start_paused = true)]
async fn an_unknown_message_is_a_failed_start_that_names_it_and_nothing_is_lost_or_overtakes_it() {
    let disk = Disk::default();
    let process = disk.process().await;
    process.busy_clerk("clerk").await;
    process.dies().await;
    let process = disk.process().await;
    let clerk = newer(&process).await;
    clerk.tell(Extra).await.unwrap();
    clerk.tell(new(2)).await.unwrap();
    process.dies().await;

    let told = refused_by_the_program_before(&disk).await;

    assert!(told.contains("this inbox takes no message `extra` (version 1)"), "{told}");
    let inbox = disk.0.scan(&path("clerk")).unwrap().inbox;
    assert_eq!(inbox.iter().map(|message| &*message.name).collect::<Vec<_>>(), ["entry", "extra", "entry"]);
    assert_eq!(heard_by_the_newer(&disk).await, [0, 1_000, 2, 9]);
}
