//! The folder of a store on disk: who may open it, and what is mended before the engine looks at it.
//!
//! Each step stands for a failure of the engine that was reproduced (`docs/decisions/0008-mending-the-stores-folder.md`):
//!
//! * A torn snapshot file of the engine makes the store unopenable: it is removed before opening.
//! * One flipped bit in the engine's settings or in its snapshot file does so too. The settings are kept twice; the
//!   snapshot file is only a short cut through the log and can be set aside.
//! * A second opener might do all this to a store in use: so a lock comes first.
//!
//! Apart from torn files, which never held anything that was acknowledged, nothing is ever deleted.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::store::StoreError;

const LOCK: &str = "greenroom.lock";
const MARKER: &str = "greenroom.marker";
/// The logs in front of the engine.
const FRONT: [&str; 2] = ["greenroom.log.0", "greenroom.log.1"];
/// The second copy of the engine's settings.
const SETTINGS_COPY: &str = "greenroom.conf";
/// Goes before the name of a file that was set aside.
const ASIDE: &str = "aside.";

/// Names of the engine.
const SETTINGS: &str = "conf";
const LOG: &str = "db";
const SHORT_CUT_START: &str = "snap.";
const SHORT_CUT_TORN_END: &str = ".generating";

/// A folder that is ours alone until this is dropped.
#[derive(Debug)]
pub(crate) struct StoreFolder {
    path: PathBuf,
    lock: File,
}

impl StoreFolder {
    /// Creates the folder if need be and locks it. [`StoreError::Locked`] at once if somebody else has it.
    pub(crate) fn lock(path: &Path) -> Result<Self, StoreError> {
        let open = |error: io::Error| StoreError::Open { path: path.into(), source: Arc::new(error) };
        fs::create_dir_all(path).map_err(open)?;
        let lock = File::options().write(true).create(true).truncate(false).open(path.join(LOCK));
        let lock = lock.map_err(open)?;
        match lock.try_lock() {
            Ok(()) => Ok(StoreFolder { path: path.into(), lock }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: path.into() }),
            Err(TryLockError::Error(error)) => Err(open(error)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The engine's log.
    pub(crate) fn log(&self) -> PathBuf {
        self.path.join(LOG)
    }

    /// The logs in front of the engine.
    pub(crate) fn front(&self) -> [PathBuf; 2] {
        FRONT.map(|name| self.path.join(name))
    }

    pub(crate) fn marker(&self) -> PathBuf {
        self.path.join(MARKER)
    }

    /// Before the engine opens: takes away what it stumbles over although nothing is lost.
    pub(crate) fn remove_torn_files(&self) -> io::Result<()> {
        for name in self.names_from(SHORT_CUT_START)? {
            if name.ends_with(SHORT_CUT_TORN_END) {
                fs::remove_file(self.path.join(name))?;
            }
        }
        // Settings are written first: without a log the creation was cut short and there is nothing to lose.
        if !self.log().exists() && self.path.join(SETTINGS).exists() {
            fs::remove_file(self.path.join(SETTINGS))?;
        }
        Ok(())
    }

    /// After the engine has opened: makes the copy of its settings, and all new files, last.
    pub(crate) fn settle(&self) -> io::Result<()> {
        if !self.path.join(SETTINGS_COPY).exists() {
            let unfinished = self.path.join("greenroom.conf.new");
            fs::copy(self.path.join(SETTINGS), &unfinished)?;
            File::open(&unfinished)?.sync_all()?;
            fs::rename(unfinished, self.path.join(SETTINGS_COPY))?;
        }
        sync_folder(&self.path)?;
        self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), sync_folder)
    }

    /// The engine found damage: restores its settings from the copy. `false` if that changes nothing.
    pub(crate) fn restore_settings(&self) -> io::Result<bool> {
        let (settings, copy) = (self.path.join(SETTINGS), self.path.join(SETTINGS_COPY));
        if !copy.exists() || fs::read(&settings).ok() == Some(fs::read(&copy)?) {
            return Ok(false);
        }
        if settings.exists() {
            self.set_aside(SETTINGS)?;
        }
        fs::copy(copy, settings)?;
        Ok(true)
    }

    /// The engine found damage: lets it read its whole log. `false` if it did so already.
    pub(crate) fn set_short_cuts_aside(&self) -> io::Result<bool> {
        let short_cuts = self.names_from(SHORT_CUT_START)?;
        short_cuts.iter().try_for_each(|name| self.set_aside(name))?;
        Ok(!short_cuts.is_empty())
    }

    /// Nothing helped: leaves the folder as it was found.
    pub(crate) fn put_back(&self) -> io::Result<()> {
        for name in self.names_from(ASIDE)? {
            fs::rename(self.path.join(&name), self.path.join(&name[ASIDE.len()..]))?;
        }
        Ok(())
    }

    fn set_aside(&self, name: &str) -> io::Result<()> {
        fs::rename(self.path.join(name), self.path.join(format!("{ASIDE}{name}")))
    }

    fn names_from(&self, start: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            names.extend(entry?.file_name().into_string().ok().filter(|name| name.starts_with(start)));
        }
        Ok(names)
    }
}

impl Drop for StoreFolder {
    fn drop(&mut self) {
        // Closing is not enough: a child process being started holds a copy of the file, and with it the lock, for a
        // moment. If this fails, closing must do.
        drop(self.lock.unlock());
    }
}

/// A new name in a folder is durable once the folder is synced; only Unix can, and needs to.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}
