//! A group of the kernel that bounds how many processes a call has, where this process may make one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

const ROOT: &str = "/sys/fs/cgroup";
const PREFIX: &str = "greenroom-";

/// A group for one call; its drop removes it.
#[derive(Debug)]
pub(super) struct Cgroup(PathBuf);

/// Groups this process has made: names have to differ.
static MADE: AtomicU64 = AtomicU64::new(0);

impl Cgroup {
    /// A group below `parent` with at most `processes`, the guardian among them.
    pub(super) fn make(parent: &Path, processes: u32) -> Result<Self, String> {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("{PREFIX}{}-{number}", std::process::id()));
        let told = |error: std::io::Error| format!("{}: {error}", path.display());
        fs::create_dir(&path).map_err(told)?;
        let group = Cgroup(path.clone());
        // Without the controller there is no such file, and none can be made.
        fs::write(path.join("pids.max"), processes.saturating_add(1).to_string()).map_err(told)?;
        Ok(group)
    }

    /// Takes a process in, and all it will start.
    pub(super) fn take(&self, pid: i32) -> Result<(), String> {
        let procs = self.0.join("cgroup.procs");
        fs::write(&procs, pid.to_string()).map_err(|error| format!("{}: {error}", procs.display()))
    }
}

impl Drop for Cgroup {
    /// Only an empty one can be removed; what stays is swept by the next tool that is built.
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.0));
    }
}

/// Where groups can be made: `wished`, or the group of this process. Tried out, not guessed.
pub(super) fn parent(wished: Option<&Path>) -> Option<PathBuf> {
    let candidates = match wished {
        Some(wished) => vec![wished.to_owned()],
        None => own(&fs::read_to_string("/proc/self/cgroup").unwrap_or_default()),
    };
    let usable = |parent: &PathBuf| {
        sweep(parent);
        Cgroup::make(parent, 1).is_ok()
    };
    candidates.into_iter().find(usable)
}

/// The directories that `/proc/self/cgroup` names: of the controller `pids` in version 1, and the one of version 2.
fn own(text: &str) -> Vec<PathBuf> {
    let place = |line: &str| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?.trim_start_matches('/'));
        match controllers {
            "" => Some(Path::new(ROOT).join(path)),
            _ if controllers.split(',').any(|name| name == "pids") => {
                Some(Path::new(ROOT).join("pids").join(path))
            }
            _ => None,
        }
    };
    text.lines().filter_map(place).collect()
}

/// Removes the groups of processes that are gone.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            drop(fs::remove_dir(entry.path()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_group_is_read_from_either_version() {
        let text = "12:pids:/docker/abc\n9:cpu,pids:/x\n3:memory:/y\n0::/user.slice/a\n";

        let found: Vec<_> = own(text).iter().map(|path| path.display().to_string()).collect();

        let expected =
            ["/sys/fs/cgroup/pids/docker/abc", "/sys/fs/cgroup/pids/x", "/sys/fs/cgroup/user.slice/a"];
        assert_eq!(found, expected);
    }
}
