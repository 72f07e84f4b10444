//! The file of finished tickets: one JSON object a line, whole lines only, each on disk before anybody hears of it.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// How a ticket ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// The team answered.
    Resolved,
    /// A person answered.
    Escalated,
    /// Whoever worked on it fell over it too often; it is set aside for a person to look at.
    Quarantined,
}

/// One finished ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OutLine {
    pub(crate) ticket: String,
    pub(crate) outcome: Outcome,
    /// Who finished it.
    pub(crate) role: String,
    /// How often it was handed over.
    pub(crate) handoffs: u32,
    /// Whether it went another way than it should have, because somebody was down.
    pub(crate) rerouted: bool,
    pub(crate) answer: String,
}

/// The file, opened for one writer.
#[derive(Debug)]
pub(crate) struct OutFile {
    file: File,
}

impl OutFile {
    /// Opens the file, creating it if there is none; takes away a last line that a kill has torn; says which tickets
    /// stand in it. Blocks.
    ///
    /// # Errors
    ///
    /// What the system says; `WouldBlock` if another process writes it.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, BTreeSet<String>)> {
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                io::Error::new(io::ErrorKind::WouldBlock, "another process writes it at this moment")
            }
            TryLockError::Error(error) => error,
        })?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        // A line without its end was never acknowledged: its ticket is simply not finished.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if whole < bytes.len() {
            file.set_len(whole as u64)?;
            file.sync_data()?;
        }
        file.seek(SeekFrom::Start(whole as u64))?;
        let finished = bytes[..whole].split(|byte| *byte == b'\n').filter_map(ticket_of).collect();
        Ok((OutFile { file }, finished))
    }

    /// Writes one line. It is on disk when this returns. Blocks.
    ///
    /// # Errors
    ///
    /// What the system says. The line may be torn then: open the file again.
    pub(crate) fn append(&self, line: &OutLine) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        (&self.file).write_all(&bytes)?;
        self.file.sync_data()
    }
}

fn ticket_of(line: &[u8]) -> Option<String> {
    serde_json::from_slice::<OutLine>(line).ok().map(|line| line.ticket)
}
