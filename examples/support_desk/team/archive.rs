//! The archive: writes each finished ticket once, and tells whoever waits for it. The out file is its state.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use greenroom::DurableMessage;
use greenroom::prelude::*;
use serde::{Deserialize, Serialize};

use crate::out_file::{OutFile, OutLine};

pub(crate) struct Archive {
    file: Arc<OutFile>,
    finished: BTreeSet<String>,
    waiting: BTreeMap<String, Vec<ReplyPort<()>>>,
}

/// Writes the line, unless the ticket is finished already. Answered when it is on disk.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Finish(pub(crate) OutLine);

/// Whether the ticket is finished.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct IsFinished(pub(crate) String);

/// Answered when the ticket is finished.
#[derive(Clone)]
pub(crate) struct WhenFinished(pub(crate) String);

inbox!(pub(crate) ArchiveInbox for Archive: Finish, IsFinished, WhenFinished);

impl Actor for Archive {
    /// The out file.
    type Args = PathBuf;
    type Inbox = ArchiveInbox;

    async fn start(path: &PathBuf) -> Result<Self, Failure> {
        let path = path.clone();
        let opened = tokio::task::spawn_blocking(move || OutFile::open(&path)).await;
        let (file, finished) = opened.map_err(Failure::bug)?.map_err(Failure::external)?;
        Ok(Archive { file: Arc::new(file), finished, waiting: BTreeMap::new() })
    }
}

impl Handler<Finish> for Archive {
    async fn handle(&mut self, Finish(line): Finish, _cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        let ticket = line.ticket.clone();
        if self.finished.contains(&ticket) {
            return Ok(());
        }
        let file = self.file.clone();
        let written = tokio::task::spawn_blocking(move || file.append(&line)).await.map_err(Failure::bug)?;
        // A line that failed may be torn. The next life takes it away, as it does after a kill.
        written.map_err(Failure::bug)?;
        for port in self.waiting.remove(&ticket).into_iter().flatten() {
            let _unless_gone: Result<(), ()> = port.send(());
        }
        self.finished.insert(ticket);
        Ok(())
    }
}

impl Handler<IsFinished> for Archive {
    async fn handle(&mut self, m: IsFinished, _cx: &mut Context<'_, Self>) -> Result<bool, Failure> {
        Ok(self.finished.contains(&m.0))
    }
}

impl Handler<WhenFinished> for Archive {
    async fn handle(&mut self, m: WhenFinished, cx: &mut Context<'_, Self>) -> Result<(), Failure> {
        if self.finished.contains(&m.0) {
            return Ok(());
        }
        let waiting = self.waiting.entry(m.0).or_default();
        cx.reply_later(|port| waiting.push(port))
    }
}

impl Message for Finish {
    type Reply = ();
    const NAME: Option<&'static str> = Some("support-desk/finish");
    fn again(&self) -> Option<Self> {
        Some(self.clone())
    }
}

impl Message for IsFinished {
    type Reply = bool;
    const NAME: Option<&'static str> = Some("support-desk/is-finished");
    fn again(&self) -> Option<Self> {
        Some(self.clone())
    }
}

// Asked by durable roles, as steps.
impl DurableMessage for Finish {}
impl DurableMessage for IsFinished {}

impl Message for WhenFinished {
    type Reply = ();
    fn again(&self) -> Option<Self> {
        Some(self.clone())
    }
}
