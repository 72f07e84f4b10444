//! The files a sandboxed program reaches: a ruleset of Landlock.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, RulesetError, Scope,
};

/// The newest version this list knows; a kernel with less enforces what it has.
const NEWEST: ABI = ABI::V9;

/// What may be done where. Everything else is refused.
#[derive(Clone, Debug, Default)]
pub(super) struct Fence {
    pub(super) execute: Vec<PathBuf>,
    pub(super) read: Vec<PathBuf>,
    pub(super) write: Vec<PathBuf>,
}

/// Devices without which hardly a program runs.
const READ_DEVICES: [&str; 3] = ["/dev/zero", "/dev/urandom", "/dev/random"];
const NOWHERE: &str = "/dev/null";

impl Fence {
    /// A ruleset for one call. The paths are opened now: a directory that was replaced meanwhile is another one.
    pub(super) fn ruleset(&self) -> Result<OwnedFd, String> {
        let ruleset = self.created().map_err(|error| error.to_string())?;
        Option::<OwnedFd>::from(ruleset).ok_or_else(|| "the kernel has no Landlock".to_owned())
    }

    fn created(&self) -> Result<RulesetCreated, RulesetError> {
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let execute = AccessFs::Execute | AccessFs::ReadFile;
        let mut write = AccessFs::from_all(NEWEST);
        write.remove(AccessFs::Execute);
        // No device files, whoever runs this.
        write.remove(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev);
        let mut ruleset = Ruleset::default()
            .handle_access(AccessFs::from_all(NEWEST))?
            .handle_access(AccessNet::from_all(NEWEST))?
            .scope(Scope::from_all(NEWEST))?
            .create()?;
        for path in &self.execute {
            ruleset = allow(ruleset, path, execute)?;
        }
        for path in self.read.iter().map(PathBuf::as_path).chain(READ_DEVICES.map(Path::new)) {
            ruleset = allow(ruleset, path, read)?;
        }
        for path in &self.write {
            ruleset = allow(ruleset, path, write)?;
        }
        allow(ruleset, Path::new(NOWHERE), AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate)
    }
}

/// A path that cannot be opened is not allowed: less, never more.
fn allow(
    ruleset: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let Ok(fd) = PathFd::new(path) else { return Ok(ruleset) };
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(NEWEST) };
    ruleset.add_rule(PathBeneath::new(fd, access))
}
