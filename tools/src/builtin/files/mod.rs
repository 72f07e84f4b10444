//! The file tools: read, write and list below named roots, through `cap-std`: no path leads out of a root, by no link.

mod list_files;
mod read_file;
mod roots;
mod write_file;

pub use list_files::{ListFiles, Listed, ToList};
pub use read_file::{ReadFile, ReadText, ToRead};
pub use roots::{FileLimits, FileRoots, FileRootsError};
pub use write_file::{ToWrite, WriteFile, Written};

#[cfg(test)]
mod tests;
