//! A checked specification of a system tool: programs resolved, roots there, and what the kernel enforces decided.

use std::collections::BTreeMap;
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use seccompiler::BpfProgram;

use super::enforcement::{Enforced, Offer, ProcessBound, decide};
use super::fence::Fence;
use super::plan::{Isolation, Maps, Resource};
use super::program::Program;
use super::spec::{Enforcement, SandboxLimits, SystemToolBuilder, SystemToolError};
use super::{cgroup, filter, kernel};

/// What each call of a tool runs in. Cloning is one count.
#[derive(Clone, Debug)]
pub(super) struct Sandbox(pub(super) Arc<Inside>);

#[derive(Debug)]
pub(super) struct Inside {
    pub(super) programs: BTreeMap<String, Program>,
    pub(super) fence: Fence,
    pub(super) directory: PathBuf,
    pub(super) environment: Vec<CString>,
    pub(super) filters: Vec<BpfProgram>,
    pub(super) limits: SandboxLimits,
    pub(super) enforced: Enforced,
    pub(super) enforcement: Enforcement,
    /// Where groups are made, if that is how processes are bounded.
    pub(super) cgroup: Option<PathBuf>,
}

impl Sandbox {
    pub(super) fn new(spec: &SystemToolBuilder) -> Result<Self, SystemToolError> {
        let nonsense = |what: &str| Err(SystemToolError::Nonsense { what: what.into() });
        if spec.programs.is_empty() {
            return nonsense("a system tool without a program");
        }
        if spec.limits.processes == 0 || spec.limits.wall.is_zero() || spec.limits.cpu.is_zero() {
            return nonsense("a limit of zero: no program could run");
        }
        let programs = spec
            .programs
            .iter()
            .map(|(name, path)| Ok((name.clone(), Program::resolve(path)?)))
            .collect::<Result<BTreeMap<_, _>, SystemToolError>>()?;
        let starts = spec.starts.iter().map(|path| Program::resolve(path));
        let starts = starts.collect::<Result<Vec<_>, SystemToolError>>()?;
        let fence = Self::fence(spec, &programs, &starts)?;
        let directory = spec.directory.clone().or_else(|| {
            let roots = spec.writes.iter().chain(&spec.reads);
            roots.into_iter().find(|root| root.is_dir()).cloned()
        });
        let directory = directory.unwrap_or_else(|| PathBuf::from("/"));
        kernel::open_path(&directory)
            .map_err(|error| SystemToolError::Path { path: directory.clone(), reason: error.to_string() })?;
        let parent = (spec.limits.processes > 1).then(|| cgroup::parent(spec.cgroup.as_deref())).flatten();
        let enforced = decide(offer(spec, parent.is_some()), spec.limits.processes, spec.enforcement)
            .map_err(|what| SystemToolError::NotEnforceable { what })?;
        let filters = match enforced.seccomp {
            true => filter::programs(enforced.forks())
                .map_err(|what| SystemToolError::NotEnforceable { what: format!("seccomp: {what}") })?,
            false => Vec::new(),
        };
        Ok(Sandbox(Arc::new(Inside {
            programs,
            fence,
            directory,
            environment: environment(&spec.environment)?,
            filters,
            limits: spec.limits,
            enforced,
            enforcement: spec.enforcement,
            cgroup: parent.filter(|_| enforced.processes == ProcessBound::Cgroup),
        })))
    }

    fn fence(
        spec: &SystemToolBuilder,
        programs: &BTreeMap<String, Program>,
        starts: &[Program],
    ) -> Result<Fence, SystemToolError> {
        let there = |path: &PathBuf| {
            path.canonicalize()
                .map_err(|error| SystemToolError::Path { path: path.clone(), reason: error.to_string() })
        };
        let write = spec.writes.iter().map(there).collect::<Result<Vec<_>, _>>()?;
        let mut read = spec.reads.iter().map(there).collect::<Result<Vec<_>, _>>()?;
        read.extend(spec.libraries.iter().filter_map(|path| path.canonicalize().ok()));
        let mut execute: Vec<PathBuf> = programs.values().chain(starts).map(|one| one.path.clone()).collect();
        for program in &execute {
            if let Some(root) = write.iter().find(|root| program.starts_with(root)) {
                let reason = format!("a program may not lie where it may write: {}", root.display());
                return Err(SystemToolError::Path { path: program.clone(), reason });
            }
        }
        // The loaders of dynamic programs, which the kernel executes too.
        execute.extend(read.iter().flat_map(|root| loaders(root)));
        Ok(Fence { execute, read, write })
    }
}

/// The loaders that lie directly in a directory of libraries, without links.
fn loaders(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(root) else { return Vec::new() };
    let names = entries.flatten().map(|entry| entry.path());
    let is_loader = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("ld-linux") || name.starts_with("ld-musl") || name.starts_with("ld64.so")
    };
    names.filter(is_loader).filter_map(|path| path.canonicalize().ok()).collect()
}

fn offer(spec: &SystemToolBuilder, cgroup: bool) -> Offer {
    let root = kernel::ids().0 == 0;
    // Without a user namespace if that will do: files keep their owners' names.
    let isolations = [Isolation::Processes, Isolation::User];
    let found = isolations.into_iter().find(|isolation| spec.namespaces && kernel::can(*isolation));
    Offer {
        landlock: kernel::landlock_abi(),
        seccomp: kernel::has_seccomp(),
        isolation: found.unwrap_or(Isolation::Adoption),
        cgroup,
        root,
    }
}

fn environment(variables: &BTreeMap<OsString, OsString>) -> Result<Vec<CString>, SystemToolError> {
    let entry = |(name, value): (&OsString, &OsString)| {
        let wrong = || SystemToolError::Nonsense { what: format!("{} is no variable", name.display()) };
        if name.is_empty() || name.as_bytes().contains(&b'=') {
            return Err(wrong());
        }
        CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).map_err(|_| wrong())
    };
    variables.iter().map(entry).collect()
}

impl Inside {
    /// Limits of each process.
    pub(super) fn resources(&self) -> Vec<(Resource, u64)> {
        let SandboxLimits { cpu, memory, file_size, open_files, processes, .. } = self.limits;
        let seconds = (cpu + Duration::from_nanos(999_999_999)).as_secs();
        let mut limits = vec![
            (libc::RLIMIT_CORE, 0),
            (libc::RLIMIT_CPU, seconds),
            (libc::RLIMIT_AS, memory),
            (libc::RLIMIT_FSIZE, file_size),
            (libc::RLIMIT_NOFILE, open_files),
        ];
        if self.enforced.processes == ProcessBound::Namespace {
            // The guardian is one of them.
            limits.push((libc::RLIMIT_NPROC, u64::from(processes) + 1));
        }
        limits
    }

    /// The own user, mapped to itself, where the isolation needs it.
    pub(super) fn maps(&self) -> Option<Maps> {
        let map = |id: u32| format!("{id} {id} 1").into_bytes();
        let (user, group) = kernel::ids();
        (self.enforced.isolation == Isolation::User).then(|| Maps { user: map(user), group: map(group) })
    }
}
