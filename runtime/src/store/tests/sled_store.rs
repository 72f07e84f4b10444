//! The engine on disk, and its guards one by one.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::random::{agrees_with_the_model, quickcheck};
use super::*;
use crate::store::{CommitSeq, SledConfig, SledStore, StoredMessage};

crate::store_conformance!(conformance, SledFolder::new());

/// A folder that is gone with its test.
struct SledFolder(TempDir);

impl SledFolder {
    fn new() -> Self {
        SledFolder(tempfile::tempdir().unwrap())
    }

    fn store(&self) -> PathBuf {
        self.0.path().join("store")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.store().join(name)
    }

    /// Lengths of the logs in front of the engine.
    fn log_lens(&self) -> [u64; 2] {
        ["greenroom.log.0", "greenroom.log.1"].map(|name| fs::metadata(self.file(name)).unwrap().len())
    }

    /// As a kill of the process that has it open would leave it.
    fn killed(&self) -> SledFolder {
        let killed = SledFolder::new();
        fs::create_dir_all(killed.file("blobs")).unwrap();
        for file in fs::read_dir(self.store()).unwrap().map(Result::unwrap) {
            if file.file_type().unwrap().is_file() {
                fs::copy(file.path(), killed.file(file.file_name().to_str().unwrap())).unwrap();
            }
        }
        killed
    }

    /// Names of sled's own snapshot files.
    fn short_cuts(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.store()).unwrap().map(|file| file.unwrap().path());
        files.filter(|file| file.file_name().unwrap().to_str().unwrap().starts_with("snap.")).collect()
    }
}

impl StoreHarness for SledFolder {
    fn open(&self) -> Result<Box<dyn Store>, StoreError> {
        Ok(Box::new(SledStore::open(self.store())?))
    }

    fn raw_records(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        SledStore::raw_records(&self.store())
    }

    fn put_raw(&self, key: Vec<u8>, value: Option<Vec<u8>>) {
        SledStore::put_raw(&self.store(), key, value);
    }
}

#[test]
fn any_sequence_of_commits_leaves_what_the_model_says() {
    fn property(steps: Vec<super::random::Step>) -> bool {
        let folder = SledFolder::new();
        let model = agrees_with_the_model(&*folder.open().unwrap(), &steps);
        model.is_found_in(&*folder.open().unwrap())
    }
    quickcheck(20, property as fn(Vec<super::random::Step>) -> bool);
}

#[test]
fn a_dropped_store_can_be_opened_again_at_once() {
    let folder = SledFolder::new();
    for seq in 1..=100 {
        let store = folder.open().unwrap();
        store.commit(&[batch("a", 1, seq, 6_000)]).unwrap();
        drop(store);
    }
    assert_eq!(folder.open().unwrap().scan(&path("a")).unwrap().snapshot, Some(snapshot(100, 6_000)));
}

#[test]
fn a_second_opener_is_refused_and_disturbs_nothing() {
    let folder = SledFolder::new();
    let first = folder.open().unwrap();
    first.commit(&[batch("a", 1, 1, 10)]).unwrap();
    let in_progress = folder.file("snap.00.generating");
    fs::write(&in_progress, b"the first one is writing this").unwrap();

    let second = folder.open();

    assert!(matches!(second, Err(StoreError::Locked { path }) if path == folder.store()));
    assert!(in_progress.exists());
    first.commit(&[batch("a", 1, 2, 10)]).unwrap();
    assert_eq!(first.scan(&path("a")).unwrap().snapshot, Some(snapshot(2, 10)));
}

/// Goal: another program that opened the folder with sled alone is noticed too.
#[test]
fn a_foreign_opener_is_noticed() {
    let folder = SledFolder::new();
    drop(folder.open().unwrap());
    let foreign = fs::File::options().read(true).write(true).open(folder.file("db")).unwrap();
    foreign.try_lock().unwrap();

    assert!(matches!(folder.open(), Err(StoreError::Locked { .. })));
}

/// Goal: guard G1. `kill -9` while sled writes its snapshot file leaves a torn one, which sled then takes for the newest
/// and refuses to open: `Read corrupted data at file offset None`.
#[test]
fn a_torn_snapshot_file_of_the_engine_is_removed() {
    let folder = committed();
    let torn = folder.file("snap.00000000000FFFFF.generating");
    fs::write(&torn, b"torn").unwrap();

    assert_eq!(folder.open().unwrap().scan(&path("a")).unwrap().snapshot, Some(snapshot(1, 10)));
    assert!(!torn.exists() && !folder.file("aside.snap.00000000000FFFFF.generating").exists());
}

/// Goal: guard G2. One flipped byte in sled's settings makes it refuse to open.
#[test]
fn damaged_settings_of_the_engine_are_restored() {
    let folder = committed();
    let settings = fs::read(folder.file("conf")).unwrap();
    for at in 0..settings.len() {
        let mut damaged = settings.clone();
        damaged[at] ^= 0x20;
        fs::write(folder.file("conf"), damaged).unwrap();

        assert_eq!(
            folder.open().unwrap().scan(&path("a")).unwrap().snapshot,
            Some(snapshot(1, 10)),
            "byte {at}"
        );
    }
}

#[test]
fn settings_left_torn_by_a_kill_during_creation_are_written_anew() {
    let folder = SledFolder::new();
    fs::create_dir_all(folder.store()).unwrap();
    fs::write(folder.file("conf"), b"segment_size: 52").unwrap();

    assert!(folder.open().is_ok());
}

/// Goal: a damaged snapshot file of sled is only a lost short cut: the log holds everything.
#[test]
fn a_damaged_snapshot_file_of_the_engine_is_set_aside() {
    let folder = committed();
    drop(folder.open().unwrap());
    assert_ne!(folder.short_cuts(), [] as [PathBuf; 0]);
    for short_cut in folder.short_cuts() {
        let mut content = fs::read(&short_cut).unwrap();
        let middle = content.len() / 2;
        content[middle] ^= 0x20;
        fs::write(short_cut, content).unwrap();
    }

    assert_eq!(folder.open().unwrap().scan(&path("a")).unwrap().snapshot, Some(snapshot(1, 10)));
}

#[test]
fn a_store_that_cannot_be_opened_is_left_as_it_was() {
    let folder = committed();
    drop(folder.open().unwrap());
    assert_ne!(folder.short_cuts(), [] as [PathBuf; 0]);
    let store_file = |name: &str| fs::read(folder.file(name)).unwrap();
    fs::remove_file(folder.file("greenroom.conf")).unwrap();
    fs::write(folder.file("conf"), b"this is no settings file").unwrap();
    let before = (store_file("db"), store_file("conf"), folder.short_cuts());

    let refused = folder.open().err();

    assert!(
        matches!(&refused, Some(StoreError::Open { path, .. }) if *path == folder.store()),
        "{refused:?}"
    );
    assert!(refused.unwrap().to_string().contains("restore it from a backup"));
    assert_eq!((store_file("db"), store_file("conf"), folder.short_cuts()), before);
}

/// Goal: no file in the folder takes the caller's thread along. Method: sled unwraps the name of each file among its blobs.
#[cfg(target_os = "linux")]
#[test]
fn a_panic_of_the_engine_while_it_opens_is_an_open_error() {
    use std::os::unix::ffi::OsStrExt;

    let folder = committed();
    let nameless = folder.file("blobs").join(std::ffi::OsStr::from_bytes(b"\xff"));
    fs::write(&nameless, b"").unwrap();

    let refused = folder.open().err();

    let Some(StoreError::Open { source, .. }) = refused else { panic!("{refused:?}") };
    assert!(source.to_string().contains("the engine panicked"), "{source}");
    fs::remove_file(nameless).unwrap();
    assert_eq!(folder.open().unwrap().scan(&path("a")).unwrap().snapshot, Some(snapshot(1, 10)));
}

#[test]
fn a_folder_that_cannot_be_made_is_an_open_error() {
    let folder = SledFolder::new();
    fs::write(folder.store(), b"a file where the folder should be").unwrap();

    assert!(matches!(folder.open(), Err(StoreError::Open { .. })));
}

/// Goal: a log that opens without a word although its newest commits are gone is noticed. Method: the whole engine is
/// put back to an earlier state, all but the marker; the logs in front of it are empty once it is closed.
#[test]
fn lost_commits_are_noticed() {
    let folder = committed();
    let earlier: Vec<_> =
        ["db", "conf"].iter().map(|name| (*name, fs::read(folder.file(name)).unwrap())).collect();
    folder.open().unwrap().commit(&[batch("a", 1, 2, 10), batch("a", 1, 3, 10)]).unwrap();
    folder.short_cuts().iter().for_each(|file| fs::remove_file(file).unwrap());
    earlier.into_iter().for_each(|(name, content)| fs::write(folder.file(name), content).unwrap());

    let refused = folder.open().err();

    assert!(
        matches!(&refused, Some(StoreError::Shortened { stored, acknowledged, .. })
            if (*stored, *acknowledged) == (CommitSeq(1), CommitSeq(3))),
        "{refused:?}"
    );
    let told = refused.unwrap().to_string();
    assert!(
        told.contains("restore it from a backup, or delete") && told.contains("greenroom.marker"),
        "{told}"
    );
    fs::remove_file(folder.file("greenroom.marker")).unwrap();
    assert_eq!(folder.open().unwrap().scan(&path("a")).unwrap().snapshot, Some(snapshot(1, 10)));
}

/// Goal: a full disk is a typed, lasting error that costs nothing acknowledged, and opening again with room goes on.
/// Method: a real, small file system; where it cannot be mounted (no root, no Linux) this checks nothing and says so.
#[test]
fn a_full_disk_is_final_for_the_opening_and_costs_nothing_acknowledged() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: cannot mount a small file system here");
        return;
    };
    let filler = disk.0.file("filler");
    fs::create_dir_all(disk.0.store()).unwrap();
    fs::write(&filler, vec![1; 16 << 20]).unwrap();
    let unguarded = SledConfig { refuse_below_bytes: 0, stop_below_bytes: 0 };
    let open = || SledStore::open_with(disk.0.store(), unguarded.clone());
    let store = open().unwrap();

    let mut acknowledged = 0;
    let error = loop {
        match store.commit(&[batch(&format!("a/{acknowledged}"), 1, 1, 100_000)]) {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    fs::remove_file(filler).unwrap();
    let afterwards = store.commit(&[batch("b", 1, 1, 1)]);

    assert!(acknowledged > 0 && matches!(error, StoreError::NoSpace), "{error:?}");
    assert!(matches!(afterwards, Err(StoreError::Failed { .. })), "{afterwards:?}");
    drop(store);
    let store = open().unwrap();
    for number in 0..acknowledged {
        let found = store.scan(&path(&format!("a/{number}"))).unwrap();
        assert_eq!((found.snapshot, found.damage), (Some(snapshot(1, 100_000)), Vec::new()));
    }
    store.commit(&[batch("b", 1, 1, 1)]).unwrap();
}

/// Goal: guard G9. The engine never comes upon a full disk: first new work is refused, and taken again when there is room;
/// then everything, and the error is final though the engine is unharmed.
#[test]
fn a_disk_that_fills_refuses_new_work_first_and_takes_it_again_when_there_is_room() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: cannot mount a small file system here");
        return;
    };
    let config = SledConfig { refuse_below_bytes: 8 << 20, stop_below_bytes: 4 << 20 };
    let open = || SledStore::open_with(disk.0.store(), config.clone()).unwrap();
    let store = open();
    let fill_up_to = |free: u64| {
        fs::write(disk.0.file("filler"), []).unwrap();
        let len = fs2::available_space(disk.0.store()).unwrap().saturating_sub(free);
        fs::write(disk.0.file("filler"), vec![1; len as usize]).unwrap();
    };
    let deliver = || {
        let message = StoredMessage { name: "m".into(), ..StoredMessage::default() };
        Batch::from_outside(vec![Record::Deliver { to: path("a"), message }])
    };
    store.commit(&[batch("a", 1, 1, 10), deliver()]).unwrap();

    fill_up_to(6 << 20);
    let refused = store.commit(&[deliver()]);
    assert!(matches!(refused, Err(StoreError::LowSpace { min_bytes, .. }) if min_bytes == 8 << 20));
    store.commit(&[batch("a", 1, 2, 10)]).unwrap(); // what is in hand goes on
    fill_up_to(12 << 20);
    store.commit(&[deliver()]).unwrap();

    fill_up_to(2 << 20);
    let stopped = store.commit(&[batch("a", 1, 3, 10)]);
    assert!(matches!(stopped, Err(StoreError::NoSpace)), "{stopped:?}");
    fill_up_to(12 << 20);
    assert!(matches!(store.scan(&path("a")), Err(StoreError::Failed { .. })), "final for the opening");
    drop(store);
    let store = open();
    let found = store.scan(&path("a")).unwrap();
    assert_eq!((found.snapshot, found.inbox.len()), (Some(snapshot(2, 10)), 2));
    store.commit(&[batch("a", 1, 3, 10)]).unwrap();
}

/// Goal: what the engine has yet to take has its room on the disk. Method: 3 MiB in the log, 1 MiB more free than is asked for.
#[test]
fn what_is_in_the_logs_counts_as_room_that_is_taken() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: cannot mount a small file system here");
        return;
    };
    let config = SledConfig { refuse_below_bytes: 8 << 20, stop_below_bytes: 0 };
    let store = SledStore::open_with(disk.0.store(), config).unwrap();
    for number in 0..30 {
        store.commit(&[batch(&format!("a/{number}"), 1, 1, 100_000)]).unwrap();
    }
    fs::write(disk.0.file("filler"), []).unwrap();
    let len = fs2::available_space(disk.0.store()).unwrap() - (9 << 20);
    fs::write(disk.0.file("filler"), vec![1; len as usize]).unwrap();

    let message = StoredMessage { name: "m".into(), ..StoredMessage::default() };
    let deliver = Batch::from_outside(vec![Record::Deliver { to: path("a"), message }]);
    let refused = store.commit(&[deliver]);

    let Err(StoreError::LowSpace { free_bytes, .. }) = refused else { panic!("{refused:?}") };
    assert!((5 << 20..7 << 20).contains(&free_bytes), "{free_bytes}");
}

#[test]
fn a_store_that_is_closed_has_all_in_the_engine_and_its_logs_are_empty() {
    let folder = SledFolder::new();
    let store = folder.open().unwrap();
    (1..=3).for_each(|seq| drop(store.commit(&[batch("a", 1, seq, 6_000)]).unwrap()));
    store.end().unwrap();
    assert_ne!(folder.log_lens(), [0, 0]);

    drop(store);

    assert_eq!(folder.log_lens(), [0, 0]);
    let records = SledStore::raw_records(&folder.store());
    let store = folder.open().unwrap();
    assert!(store.head().unwrap().ended_in_order);
    drop(store);
    assert_eq!(SledStore::raw_records(&folder.store()), records, "an opening had nothing to add");
}

/// Goal: what only the log has comes back after a kill; a version from before the log, which opens the engine alone, finds
/// the marker ahead of it and refuses. Method: a copy of the folder of a store that is open.
#[test]
fn a_store_that_was_killed_has_what_only_its_log_had() {
    let folder = committed();
    let store = folder.open().unwrap();
    (2..=3).for_each(|seq| drop(store.commit(&[batch("a", 1, seq, 10)]).unwrap()));
    let (killed, of_before) = (folder.killed(), folder.killed());
    (0..2).for_each(|log| fs::remove_file(of_before.file(&format!("greenroom.log.{log}"))).unwrap());

    let refused = of_before.open().err();

    let is_told = matches!(&refused, Some(StoreError::Shortened { stored, acknowledged, .. })
        if (*stored, *acknowledged) == (CommitSeq(1), CommitSeq(3)));
    assert!(is_told, "{refused:?}");
    assert_eq!(killed.open().unwrap().scan(&path("a")).unwrap().snapshot, Some(snapshot(3, 10)));
    assert_eq!(killed.log_lens(), [0, 0]);
}

/// Goal: a log that was cut where a group ends looks whole: the marker tells.
#[test]
fn a_log_that_was_cut_between_two_groups_is_told_with_its_name_and_place() {
    let folder = committed();
    let store = folder.open().unwrap();
    store.commit(&[batch("a", 1, 2, 10)]).unwrap();
    let end = folder.log_lens()[0];
    store.commit(&[batch("a", 1, 3, 10)]).unwrap();
    let killed = folder.killed();
    fs::File::options().write(true).open(killed.file("greenroom.log.0")).unwrap().set_len(end).unwrap();

    let refused = killed.open().err();

    let is_told = matches!(&refused, Some(StoreError::LogDamaged { log, offset, stored: CommitSeq(2), acknowledged: CommitSeq(3), .. })
        if (log, *offset) == (&killed.file("greenroom.log.0"), end));
    assert!(is_told, "{refused:?}");
    let told = refused.unwrap().to_string();
    assert!(
        told.contains("restore the store from a backup, or delete") && told.contains("greenroom.marker"),
        "{told}"
    );
    fs::remove_file(killed.file("greenroom.marker")).unwrap();
    assert_eq!(killed.open().unwrap().scan(&path("a")).unwrap().snapshot, Some(snapshot(2, 10)));
}

/// A file system of 32 MiB in memory.
struct SmallDisk(SledFolder);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = SledFolder::new();
        let mut mount = Command::new("mount");
        let mount = mount.args(["-t", "tmpfs", "-o", "size=32m", "tmpfs"]).arg(folder.0.path());
        mount.output().is_ok_and(|done| done.status.success()).then_some(SmallDisk(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(self.0.0.path()).output());
    }
}

/// A closed store with snapshot 1 of `a`.
fn committed() -> SledFolder {
    let folder = SledFolder::new();
    folder.open().unwrap().commit(&[batch("a", 1, 1, 10)]).unwrap();
    folder
}
