//! A file, and the loop that appends to it and syncs it: what durability costs at least.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use super::RECORD_LEN;

pub(crate) struct Bare(File);

impl Bare {
    /// A file with room for so many records, written once and synced: a file that grows with each record would have to sync its
    /// length as well.
    pub(crate) fn new(folder: &Path, room: usize) -> Self {
        let mut file = File::create(folder.join("bare")).expect("a file");
        (0..room).for_each(|_| file.write_all(&[0; RECORD_LEN]).expect("room on the disk"));
        file.sync_all().expect("a disk that syncs");
        Bare(file)
    }

    /// Writes `records`, and syncs after each `group` of them.
    pub(crate) fn append(&mut self, records: usize, group: usize) {
        self.0.seek(SeekFrom::Start(0)).expect("a file has a start");
        let record = [7; RECORD_LEN];
        for written in 1..=records {
            self.0.write_all(&record).expect("room on the disk");
            if written % group == 0 {
                self.0.sync_data().expect("a disk that syncs");
            }
        }
    }
}
