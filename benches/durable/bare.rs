//! A file, and the loop that writes to it and syncs it: what durability costs at least.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use super::RECORD_LEN;

pub(crate) struct Bare {
    /// Grows with each record, so each sync has its length to store as well.
    growing: File,
    /// Has its length from the beginning.
    of_a_length: File,
}

impl Bare {
    pub(crate) fn new(folder: &Path, room: usize) -> Self {
        let file = |name: &str| File::create(folder.join(name)).expect("a file");
        let mut of_a_length = file("of-a-length");
        (0..room).for_each(|_| of_a_length.write_all(&[0; RECORD_LEN]).expect("room on the disk"));
        of_a_length.sync_all().expect("a disk that syncs");
        Bare { growing: file("growing"), of_a_length }
    }

    /// Appends `records`, and syncs after each `group` of them.
    pub(crate) fn append(&mut self, records: usize, group: usize) {
        write(&mut self.growing, records, group);
    }

    /// Writes `records` over what is there, and syncs after each `group` of them: what an engine can do that takes its room
    /// beforehand.
    pub(crate) fn overwrite(&mut self, records: usize, group: usize) {
        self.of_a_length.seek(SeekFrom::Start(0)).expect("a file has a start");
        write(&mut self.of_a_length, records, group);
    }
}

fn write(file: &mut File, records: usize, group: usize) {
    let record = [7; RECORD_LEN];
    for written in 1..=records {
        file.write_all(&record).expect("room on the disk");
        if written % group == 0 {
            file.sync_data().expect("a disk that syncs");
        }
    }
}
