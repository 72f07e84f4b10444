//! What a system tool is built from: its programs, its roots, its limits, and how much the kernel has to enforce.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use greenroom_runtime::Effect;

use super::SystemTool;
use crate::tool::ApprovalRule;

/// What happens where the kernel cannot enforce everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Enforcement {
    /// The tool cannot be built, or a call is refused. The default.
    #[default]
    Required,
    /// It runs with what there is; the audit record says what that was.
    BestEffort,
}

/// What one call may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SandboxLimits {
    /// Longest time of a call. SIGTERM comes at the deadline, SIGKILL to all 30 ms later. Default: 30 s.
    pub wall: Duration,
    /// Processor time of each process, in whole seconds, rounded up. Default: 30 s.
    pub cpu: Duration,
    /// Address space of each process, in bytes: not of all together. Default: 1 GiB.
    pub memory: u64,
    /// Longest file a process may write, in bytes. Default: 64 MiB.
    pub file_size: u64,
    /// Processes at a time, the program itself among them. Default: 1, the only number that is enforced everywhere: see
    /// `docs/tools.md`. Threads do not count where it is 1; where it is more, they do.
    pub processes: u32,
    /// Open files of each process. Default: 256.
    pub open_files: u64,
    /// How much of stdout and of stderr is kept, in bytes: half from the beginning, half from the end. Default: 6 KiB.
    pub output: usize,
}

impl Default for SandboxLimits {
    fn default() -> Self {
        SandboxLimits {
            wall: Duration::from_secs(30),
            cpu: Duration::from_secs(30),
            memory: 1 << 30,
            file_size: 64 << 20,
            processes: 1,
            open_files: 256,
            output: 6 * 1024,
        }
    }
}

/// Why a [`SystemTool`] was not built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SystemToolError {
    /// It needs Linux.
    #[error("the system tool needs Linux: other systems have no Landlock and no seccomp")]
    NotLinux,
    /// The kernel cannot enforce what [`Enforcement::Required`] asks for.
    #[error("the kernel cannot enforce: {what}")]
    NotEnforceable {
        /// What is missing.
        what: String,
    },
    /// A path of the specification cannot be used.
    #[error("{}: {reason}", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Something else of the specification makes no sense.
    #[error("{what}")]
    Nonsense {
        /// What.
        what: String,
    },
}

/// Builds a [`SystemTool`].
#[derive(Clone, Debug)]
pub struct SystemToolBuilder {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) effect: Effect,
    pub(super) approval: ApprovalRule,
    pub(super) programs: BTreeMap<String, PathBuf>,
    pub(super) starts: Vec<PathBuf>,
    pub(super) reads: Vec<PathBuf>,
    pub(super) writes: Vec<PathBuf>,
    pub(super) libraries: Vec<PathBuf>,
    pub(super) directory: Option<PathBuf>,
    pub(super) environment: BTreeMap<OsString, OsString>,
    pub(super) limits: SandboxLimits,
    pub(super) enforcement: Enforcement,
    pub(super) cgroup: Option<PathBuf>,
    pub(super) namespaces: bool,
}

/// Where dynamic programs find their loader, their libraries and their locale. Those that are absent are skipped.
const LIBRARIES: [&str; 8] = [
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/share/locale",
    "/usr/share/zoneinfo",
    "/etc/ld.so.cache",
    "/etc/localtime",
];

impl SystemTool {
    /// A tool of that name, so far without a program.
    pub fn builder(name: impl Into<String>) -> SystemToolBuilder {
        SystemToolBuilder {
            name: name.into(),
            description: "Runs a program with arguments. There is no shell: no pipes, no wildcards.".into(),
            effect: Effect::Once,
            approval: ApprovalRule::NotNeeded,
            programs: BTreeMap::new(),
            starts: Vec::new(),
            reads: Vec::new(),
            writes: Vec::new(),
            libraries: LIBRARIES.map(PathBuf::from).into(),
            directory: None,
            environment: BTreeMap::new(),
            limits: SandboxLimits::default(),
            enforcement: Enforcement::default(),
            cgroup: None,
            namespaces: true,
        }
    }
}

impl SystemToolBuilder {
    /// What the model is told it does. The programs are told by the schema.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// The model may run `path`, and calls it `name`. An absolute path of a binary; a script needs its interpreter here.
    ///
    /// Links are followed once, when the tool is built. A file that changed since then is refused.
    #[must_use]
    pub fn program(mut self, name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        self.programs.insert(name.into(), path.into());
        self
    }

    /// Programs of this tool may start `path` themselves, such as a compiler its linker. Needs
    /// [`SandboxLimits::processes`] above 1, unless they are to be replaced by it.
    #[must_use]
    pub fn may_start(mut self, path: impl Into<PathBuf>) -> Self {
        self.starts.push(path.into());
        self
    }

    /// What lies at or below `path` may be read.
    #[must_use]
    pub fn reads(mut self, path: impl Into<PathBuf>) -> Self {
        self.reads.push(path.into());
        self
    }

    /// What lies at or below `path` may be read and written, made and removed.
    #[must_use]
    pub fn writes(mut self, path: impl Into<PathBuf>) -> Self {
        self.writes.push(path.into());
        self
    }

    /// Instead of `/lib`, `/usr/lib`, locales and time zones: what may be read so that programs start. Absent paths are
    /// skipped.
    #[must_use]
    pub fn libraries<P: IntoIterator<Item: Into<PathBuf>>>(mut self, paths: P) -> Self {
        self.libraries = paths.into_iter().map(Into::into).collect();
        self
    }

    /// The working directory. Default: the first directory of [`writes`](Self::writes), else of [`reads`](Self::reads), else `/`.
    #[must_use]
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = Some(path.into());
        self
    }

    /// A variable of the environment, which is otherwise empty.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// A variable with the value it has in this process now, if it has one.
    #[must_use]
    pub fn env_from_host(self, name: &str) -> Self {
        match std::env::var_os(name) {
            Some(value) => self.env(name, value),
            None => self,
        }
    }

    /// What one call may use.
    #[must_use]
    pub fn limits(mut self, limits: SandboxLimits) -> Self {
        self.limits = limits;
        self
    }

    /// What happens where the kernel cannot enforce everything. Default: [`Enforcement::Required`].
    #[must_use]
    pub fn enforcement(mut self, enforcement: Enforcement) -> Self {
        self.enforcement = enforcement;
        self
    }

    /// A directory of the cgroup file system in which this process may make groups, with the controller `pids`. Default: it
    /// is looked for.
    #[must_use]
    pub fn cgroup(mut self, path: impl Into<PathBuf>) -> Self {
        self.cgroup = Some(path.into());
        self
    }

    /// Whether a call may be repeated. Default: [`Effect::Once`].
    #[must_use]
    pub fn effect(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }

    /// Each call needs a person's yes.
    #[must_use]
    pub fn with_approval(mut self) -> Self {
        self.approval = ApprovalRule::Needed;
        self
    }

    /// Without namespaces, as where an administrator forbids them. For tests of what is left then.
    #[doc(hidden)]
    #[must_use]
    pub fn without_namespaces(mut self) -> Self {
        self.namespaces = false;
        self
    }
}
