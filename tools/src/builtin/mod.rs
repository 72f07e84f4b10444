//! Tools that are there already, each behind a feature of its name.

#[cfg(feature = "files")]
mod files;
#[cfg(feature = "rest")]
mod rest;
#[cfg(feature = "system")]
mod system;

#[cfg(feature = "files")]
pub use files::{
    FileLimits, FileRoots, FileRootsError, ListFiles, Listed, ReadFile, ReadText, ToList, ToRead, ToWrite,
    WriteFile, Written,
};
#[cfg(feature = "rest")]
pub use rest::{RestAnswer, RestLimits, RestRequest, RestResolver, RestTool, RestToolBuilder, RestToolError};
#[cfg(feature = "system")]
pub use system::{
    Enforcement, ProgramEnded, RunProgram, SandboxLimits, SystemTool, SystemToolBuilder, SystemToolError,
};
