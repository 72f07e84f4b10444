//! The roots of the file tools: directories with names, opened once.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use crate::permission::LimitKind;
use crate::tool_context::ToolContext;
use crate::tool_error::ToolError;

/// Longest path in bytes.
const PATH_MAX: usize = 1_024;

/// What one call may read, write and list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLimits {
    /// Most bytes a call reads. Default: 12 KiB; more is read with an offset.
    pub read: usize,
    /// Longest file a call writes, in bytes. Default: 256 KiB.
    pub write: usize,
    /// Most names a call lists. Default: 500.
    pub list: usize,
}

impl Default for FileLimits {
    fn default() -> Self {
        FileLimits { read: 12 * 1024, write: 256 * 1024, list: 500 }
    }
}

/// Directories with names. The model says the name and a path below it; it never learns where that is. Cloning is one count.
#[derive(Clone, Debug, Default)]
pub struct FileRoots {
    roots: Arc<BTreeMap<String, Root>>,
    pub(super) limits: FileLimits,
}

#[derive(Clone, Debug)]
struct Root {
    dir: Arc<Dir>,
    writable: bool,
}

/// Why a root was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileRootsError {
    /// The directory cannot be opened.
    #[error("the root `{name}` cannot be opened")]
    NotOpened {
        /// The name.
        name: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// There is one of that name.
    #[error("there are two roots `{name}`")]
    TwiceNamed {
        /// The name.
        name: String,
    },
}

/// What a root is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    Reading,
    Writing,
}

impl FileRoots {
    /// Without a root.
    pub fn new() -> Self {
        FileRoots::default()
    }

    /// And with the directory `path`, to be read.
    ///
    /// # Errors
    ///
    /// [`FileRootsError`].
    pub fn reads(self, name: impl Into<String>, path: impl AsRef<Path>) -> Result<Self, FileRootsError> {
        self.with(name.into(), path.as_ref(), false)
    }

    /// And with the directory `path`, to be read and written.
    ///
    /// # Errors
    ///
    /// [`FileRootsError`].
    pub fn writes(self, name: impl Into<String>, path: impl AsRef<Path>) -> Result<Self, FileRootsError> {
        self.with(name.into(), path.as_ref(), true)
    }

    /// Within these bounds.
    #[must_use]
    pub fn limits(mut self, limits: FileLimits) -> Self {
        self.limits = limits;
        self
    }

    fn with(mut self, name: String, path: &Path, writable: bool) -> Result<Self, FileRootsError> {
        if self.roots.contains_key(&name) {
            return Err(FileRootsError::TwiceNamed { name });
        }
        match Dir::open_ambient_dir(path, ambient_authority()) {
            Ok(dir) => {
                Arc::make_mut(&mut self.roots).insert(name, Root { dir: Arc::new(dir), writable });
                Ok(self)
            }
            Err(cause) => Err(FileRootsError::NotOpened { name, cause }),
        }
    }

    /// The names, for the schema.
    pub(super) fn names(&self, purpose: For) -> Vec<String> {
        let fits = |root: &Root| purpose == For::Reading || root.writable;
        self.roots.iter().filter(|(_, root)| fits(root)).map(|(name, _)| name.clone()).collect()
    }

    /// The root of that name, if the tool and the grant allow it.
    pub(super) fn open(
        &self,
        tool: &str,
        name: &str,
        purpose: For,
        cx: &ToolContext,
    ) -> Result<Arc<Dir>, ToolError> {
        let kind = if purpose == For::Reading { LimitKind::Reads } else { LimitKind::Writes };
        if !cx.grant().permits(tool, kind, name) {
            return Err(ToolError::not_allowed(format!("the grant has no root `{name}`")));
        }
        let root = self.roots.get(name).filter(|root| purpose == For::Reading || root.writable);
        let expected = || format!("one of {}", self.names(purpose).join(", "));
        let root = root.ok_or_else(|| ToolError::Arguments { path: "root".into(), expected: expected() })?;
        cx.enforced(format!("within the root {name}"));
        Ok(root.dir.clone())
    }
}

/// Refuses what is no path of a file in any case; that it stays inside is for `cap-std` to see.
pub(super) fn checked(path: &str) -> Result<&str, ToolError> {
    if path.len() > PATH_MAX || path.contains('\0') {
        let expected = format!("at most {PATH_MAX} bytes, none of them zero");
        return Err(ToolError::Arguments { path: "path".into(), expected });
    }
    Ok(if path.is_empty() { "." } else { path })
}

/// Does it where blocking is allowed. Dropped, it goes on to its end: one small operation.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ToolError> + Send + 'static,
) -> Result<T, ToolError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| ToolError::broken(error.to_string()))?
}

/// What an error of the file system means for the model. It names no path of the host.
pub(super) fn told(error: &io::Error) -> ToolError {
    match error.kind() {
        ErrorKind::NotFound => ToolError::refused("there is no such file"),
        ErrorKind::PermissionDenied => {
            ToolError::not_allowed("no such path inside of the root, or no permission")
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => ToolError::unavailable("the disk is full"),
        kind => ToolError::refused(kind.to_string()),
    }
}
