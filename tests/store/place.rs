//! Folders of the proofs: made, filled with a store, copied, changed.

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::child::job;
use crate::process::run;

/// A folder with one store in it, gone with its proof. It lies where `TMPDIR` says: a disk, if it is not set.
#[derive(Debug)]
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Place(tempfile::tempdir().unwrap())
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.0.path().join("store")
    }

    /// Where a child's stderr goes.
    pub(crate) fn errors(&self) -> PathBuf {
        self.0.path().join("errors")
    }

    /// Where the list of system calls goes.
    pub(crate) fn calls(&self) -> PathBuf {
        self.0.path().join("calls")
    }

    /// With a store that was opened once for each range of commits, so that all of its files are there; `lens` as in
    /// [`Lens`](crate::contents::Lens).
    pub(crate) fn used(openings: &[RangeInclusive<u64>], lens: &str) -> Self {
        let place = Place::new();
        for commits in openings {
            let (first, last) = (commits.start(), commits.end());
            let ended = run(&job("commit", &[&place.store().display(), first, last, &lens]), &place.errors());
            assert_eq!(ended.count("acknowledged "), last + 1 - first, "{ended:?}");
        }
        place
    }

    /// A place with the same store.
    pub(crate) fn copy(&self) -> Place {
        let copy = Place::new();
        Files::read(&self.store()).write(&copy.store());
        copy
    }
}

/// The content of a folder, by name; subfolders hold nothing in it and are kept as names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    folders: Vec<String>,
}

impl Files {
    /// Reads a folder; empty if there is none.
    pub(crate) fn read(folder: &Path) -> Self {
        let mut read = Files::default();
        for entry in fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            if entry.path().is_dir() {
                assert_eq!(fs::read_dir(entry.path()).unwrap().count(), 0, "{name} holds something");
                read.folders.push(name);
            } else {
                read.files.insert(name, fs::read(entry.path()).unwrap());
            }
        }
        read
    }

    pub(crate) fn write(&self, folder: &Path) {
        if *self == Files::default() {
            return;
        }
        fs::create_dir_all(folder).unwrap();
        self.folders.iter().for_each(|name| fs::create_dir_all(folder.join(name)).unwrap());
        self.files.iter().for_each(|(name, content)| fs::write(folder.join(name), content).unwrap());
    }
}
