//! The newest acknowledged commit, kept outside the engine.
//!
//! An engine that finds its log damaged may stop reading there and open without a word, some commits shorter. The
//! marker notices: it never runs ahead of what the engine has flushed, so a store that ends before it has lost
//! something. It is not synced itself: after a power loss it may be old, which raises no false alarm.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::store::CommitSeq;

/// Two places, written in turn, each in a sector of its own half: a torn write leaves the one before.
const PLACE_LEN: usize = 64;
/// `seq u64 | CRC32 u32`, big-endian.
const MARK_LEN: usize = 12;

/// The file with the newest acknowledged commit.
#[derive(Debug)]
pub(crate) struct CommitMarker {
    file: File,
    acknowledged: CommitSeq,
    /// Where the next mark goes: 0 or 1.
    next_place: u64,
}

impl CommitMarker {
    /// Opens the marker at `path`; one that is missing or unreadable starts from 0.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        // All of it at once, so that marking later needs no space.
        content.resize(2 * PLACE_LEN, 0);
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&content)?;

        let marks = content.chunks(PLACE_LEN).take(2).map(read_mark);
        let newest = (0..).zip(marks).filter_map(|(place, mark)| Some((mark?, place))).max();
        let (acknowledged, place) = newest.unwrap_or((CommitSeq(0), 1));
        Ok(CommitMarker { file, acknowledged, next_place: 1 - place })
    }

    pub(crate) fn acknowledged(&self) -> CommitSeq {
        self.acknowledged
    }

    /// Marks `seq` as acknowledged. One small write, no sync.
    pub(crate) fn acknowledge(&mut self, seq: CommitSeq) -> io::Result<()> {
        let number = seq.0.to_be_bytes();
        let mut mark = [0; MARK_LEN];
        mark[..8].copy_from_slice(&number);
        mark[8..].copy_from_slice(&crc32fast::hash(&number).to_be_bytes());
        self.file.seek(SeekFrom::Start(self.next_place * PLACE_LEN as u64))?;
        self.file.write_all(&mark)?;
        self.next_place = 1 - self.next_place;
        self.acknowledged = seq;
        Ok(())
    }
}

/// The mark in one place; `None` for one that was never written, or is damaged.
fn read_mark(place: &[u8]) -> Option<CommitSeq> {
    let (number, rest) = place.split_first_chunk::<8>()?;
    let stored = rest.first_chunk::<4>()?;
    (crc32fast::hash(number) == u32::from_be_bytes(*stored))
        .then_some(CommitSeq(u64::from_be_bytes(*number)))
        .filter(|seq| seq.0 > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_mark_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("marker");
        for seq in [1, 2, 5, 6, 7] {
            CommitMarker::open(&path).unwrap().acknowledge(CommitSeq(seq)).unwrap();
            assert_eq!(CommitMarker::open(&path).unwrap().acknowledged(), CommitSeq(seq));
        }
    }

    #[test]
    fn a_torn_mark_leaves_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("marker");
        let mut marker = CommitMarker::open(&path).unwrap();
        marker.acknowledge(CommitSeq(1)).unwrap();
        marker.acknowledge(CommitSeq(2)).unwrap();

        let mut content = std::fs::read(&path).unwrap();
        content[PLACE_LEN + 7] ^= 0x40;
        std::fs::write(&path, content).unwrap();

        assert_eq!(CommitMarker::open(&path).unwrap().acknowledged(), CommitSeq(1));
    }
}
