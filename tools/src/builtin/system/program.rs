//! A program that may be run: resolved once, and known again.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::spec::SystemToolError;

/// A binary, as it was when the tool was built.
#[derive(Clone, Debug)]
pub(super) struct Program {
    /// Without links.
    pub(super) path: PathBuf,
    identity: Identity,
}

/// What changes when a file is replaced or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    /// Of its content and of its entry, in nanoseconds: the latter cannot be set back.
    changed: (i128, i128),
    mode: u32,
}

impl Identity {
    fn of(file: &File) -> std::io::Result<Self> {
        let meta = file.metadata()?;
        let nanos = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        let changed = (nanos(meta.mtime(), meta.mtime_nsec()), nanos(meta.ctime(), meta.ctime_nsec()));
        Ok(Identity { device: meta.dev(), inode: meta.ino(), size: meta.size(), changed, mode: meta.mode() })
    }
}

impl Program {
    /// Resolves `path`.
    pub(super) fn resolve(path: &Path) -> Result<Self, SystemToolError> {
        let wrong = |reason: String| SystemToolError::Path { path: path.to_owned(), reason };
        if !path.is_absolute() {
            return Err(wrong("a program needs an absolute path".into()));
        }
        let resolved = path.canonicalize().map_err(|error| wrong(error.to_string()))?;
        let mut file = File::open(&resolved).map_err(|error| wrong(error.to_string()))?;
        let identity = Identity::of(&file).map_err(|error| wrong(error.to_string()))?;
        if identity.mode & 0o170_000 != 0o100_000 || identity.mode & 0o111 == 0 {
            return Err(wrong("no executable file".into()));
        }
        let mut magic = [0; 4];
        match file.read_exact(&mut magic) {
            Ok(()) if &magic == b"\x7fELF" => Ok(Program { path: resolved, identity }),
            _ => Err(wrong("no binary: of a script, name its interpreter".into())),
        }
    }

    /// Opens what was resolved, and nothing else: what is run is this very file.
    pub(super) fn open(&self) -> Result<File, String> {
        let changed = |why: String| format!("{} is not what it was: {why}", self.path.display());
        let file = File::open(&self.path).map_err(|error| changed(error.to_string()))?;
        match Identity::of(&file) {
            Ok(identity) if identity == self.identity => Ok(file),
            Ok(_) => Err(changed("it was replaced or written; build the tool again".into())),
            Err(error) => Err(changed(error.to_string())),
        }
    }
}
