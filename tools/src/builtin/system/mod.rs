//! The system tool: runs an allow-listed program, with arguments and without a shell, in a sandbox of the kernel.
//!
//! ```text
//! runtime ──lifeline──► guardian (fork; first process of a PID namespace) ──► program (Landlock, seccomp, limits; exec)
//! ```
//!
//! The guardian ends when its lifeline does, and the program and all it started end with the guardian: at the deadline, when
//! the call is dropped, and when the runtime dies. Decision 0021 weighs it against a helper binary.

#[cfg(target_os = "linux")]
mod cgroup; // how many processes
#[cfg(target_os = "linux")]
mod enforcement; // what is enforced here: pure
#[cfg(target_os = "linux")]
mod fence; // which files
#[cfg(target_os = "linux")]
mod filter; // which system calls
#[cfg(target_os = "linux")]
mod guardian; // what runs between fork and exec
#[cfg(target_os = "linux")]
mod kernel; // the runtime's side of it
#[cfg(target_os = "linux")]
mod output; // what is kept of what it says
#[cfg(target_os = "linux")]
mod plan; // all that the child needs
#[cfg(target_os = "linux")]
mod program; // resolved once
#[cfg(target_os = "linux")]
mod run; // one call
#[cfg(target_os = "linux")]
mod sandbox; // a checked specification
mod spec;

use greenroom_runtime::Effect;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use spec::{Enforcement, SandboxLimits, SystemToolBuilder, SystemToolError};

use crate::permission::LimitKind;
use crate::schema;
use crate::tool::{ApprovalRule, Tool, ToolLimits};
use crate::tool_context::ToolContext;
use crate::tool_error::ToolError;

#[cfg(target_os = "linux")]
use sandbox::Sandbox;
/// There is none.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
enum Sandbox {}

/// How long after its deadline a call may answer: SIGTERM, 30 ms, SIGKILL, and the way back.
#[cfg(target_os = "linux")]
const ANSWER_WITHIN: std::time::Duration = std::time::Duration::from_millis(90);

/// Runs allow-listed programs in a sandbox. See `docs/tools.md` for what is enforced and what is not.
///
/// A call needs a tokio runtime with its IO driver on. A paused test clock does not pause a process.
#[derive(Debug)]
pub struct SystemTool {
    name: String,
    description: String,
    effect: Effect,
    approval: ApprovalRule,
    limits: SandboxLimits,
    programs: Vec<String>,
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "there is no sandbox to run in"))]
    sandbox: Sandbox,
}

/// What a model gives a [`SystemTool`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunProgram {
    /// Which program.
    pub program: String,
    /// Its arguments, one a string, without the program's own name. No shell reads them.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// What it reads from stdin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
}

/// How a program ended, and what it said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramEnded {
    /// Its status, if it ended by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    /// The signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// What it wrote to stdout: beginning and end, with a line between that counts the rest.
    pub stdout: String,
    /// What it wrote to stderr, likewise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stderr: String,
}

/// Arguments of a program: how many, and how long together.
const ARGUMENTS_MAX: usize = 256;
const ARGUMENT_BYTES_MAX: usize = 64 * 1024;

impl SystemToolBuilder {
    /// Checks all of it, and tries out what the kernel can enforce. Blocks for some milliseconds.
    ///
    /// # Errors
    ///
    /// [`SystemToolError`].
    #[cfg(target_os = "linux")]
    pub fn build(self) -> Result<SystemTool, SystemToolError> {
        let sandbox = Sandbox::new(&self)?;
        Ok(SystemTool {
            name: self.name,
            description: self.description,
            effect: self.effect,
            approval: self.approval,
            limits: self.limits,
            programs: self.programs.into_keys().collect(),
            sandbox,
        })
    }

    /// Refuses: other systems have no Landlock and no seccomp.
    ///
    /// # Errors
    ///
    /// [`SystemToolError::NotLinux`], always.
    #[cfg(not(target_os = "linux"))]
    pub fn build(self) -> Result<SystemTool, SystemToolError> {
        Err(SystemToolError::NotLinux)
    }
}

impl Tool for SystemTool {
    type Input = RunProgram;
    type Output = ProgramEnded;

    fn name(&self) -> &str {
        &self.name
    }

    fn description(&self) -> &str {
        &self.description
    }

    fn effect(&self) -> Effect {
        self.effect
    }

    fn limits(&self) -> ToolLimits {
        let limits = ToolLimits { deadline: self.limits.wall, ..ToolLimits::default() };
        #[cfg(target_os = "linux")]
        let limits = ToolLimits { grace: ANSWER_WITHIN, ..limits };
        limits
    }

    fn approval(&self) -> ApprovalRule {
        self.approval
    }

    fn input_schema(&self) -> Value {
        let mut schema = schema::schema_of::<RunProgram>();
        schema["properties"]["program"]["enum"] = self.programs.clone().into();
        schema
    }

    async fn call(&self, input: RunProgram, cx: &ToolContext) -> Result<ProgramEnded, ToolError> {
        let RunProgram { program, arguments, input: text } = &input;
        if !self.programs.contains(program) {
            let expected = format!("one of {}", self.programs.join(", "));
            return Err(ToolError::Arguments { path: "program".into(), expected });
        }
        if !cx.grant().permits(&self.name, LimitKind::Programs, program) {
            return Err(ToolError::not_allowed(format!("the grant has no program `{program}`")));
        }
        let bytes: usize = arguments.iter().map(String::len).sum();
        if arguments.len() > ARGUMENTS_MAX || bytes > ARGUMENT_BYTES_MAX {
            let expected = format!("at most {ARGUMENTS_MAX} arguments and {ARGUMENT_BYTES_MAX} bytes");
            return Err(ToolError::Arguments { path: "arguments".into(), expected });
        }
        if program.contains('\0') || arguments.iter().any(|argument| argument.contains('\0')) {
            return Err(ToolError::Arguments { path: "arguments".into(), expected: "no zero bytes".into() });
        }
        #[cfg(target_os = "linux")]
        return run::run(&self.sandbox, program, arguments.clone(), text.clone(), cx).await;
        #[cfg(not(target_os = "linux"))]
        {
            let _ = text;
            Err(ToolError::unavailable("there is no sandbox on this system"))
        }
    }
}
