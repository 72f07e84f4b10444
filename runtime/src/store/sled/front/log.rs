//! One of the two files in front of the engine.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// Whether the log is synced with each group.
#[derive(Clone, Copy, Debug)]
pub(in crate::store::sled) enum LogSync {
    EachCommit,
    /// A bug on purpose, see `SledStore::open_skipping_fdatasync`.
    #[cfg(feature = "testing")]
    Skipped,
}

/// A log, written from its start whenever its turn comes: to write over blocks that are there already spares the disk the
/// new length of the file.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
}

impl LogFile {
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
        Ok(LogFile { path, file })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn content(&mut self) -> Result<Vec<u8>, StoreError> {
        let mut content = Vec::new();
        let read = self.file.seek(SeekFrom::Start(0)).and_then(|_| self.file.read_to_end(&mut content));
        read.map_err(|error| StoreError::Open {
            path: self.path.clone(),
            source: std::sync::Arc::new(error),
        })?;
        Ok(content)
    }

    /// The next frame goes to the start of the file.
    pub(super) fn rewind(&mut self) -> Result<(), StoreError> {
        self.file.seek(SeekFrom::Start(0)).map(drop).map_err(StoreError::write)
    }

    pub(super) fn append(&mut self, frame: &[u8], sync: LogSync) -> Result<(), StoreError> {
        self.file.write_all(frame).map_err(StoreError::write)?;
        match sync {
            LogSync::EachCommit => self.file.sync_data().map_err(StoreError::write),
            #[cfg(feature = "testing")]
            LogSync::Skipped => Ok(()),
        }
    }

    /// Empties the file, durably. To be called when the engine has all that is in it.
    pub(super) fn clear(&mut self) -> Result<(), StoreError> {
        let cleared = self.file.metadata().and_then(|metadata| match metadata.len() {
            0 => Ok(()),
            _ => self.file.set_len(0).and_then(|()| self.file.sync_data()),
        });
        cleared.map_err(StoreError::write)?;
        self.rewind()
    }
}
