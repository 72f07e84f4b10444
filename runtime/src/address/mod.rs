//! How others reach an actor: its path, references to it, and the directory that joins the two.

mod actor_ref;
mod ask;
pub(crate) mod directory;
mod path;
mod recipient;
pub(crate) mod ring;
pub(crate) mod tell;
mod ticket;

pub use actor_ref::ActorRef;
pub use ask::{Ask, AskError};
pub use directory::{Address, ResolveError};
pub use path::{ActorPath, Epoch, PATH_LEN_MAX, PathError};
pub use recipient::Recipient;
pub(crate) use ring::{Running, Waits};
pub use tell::{Tell, TellError};
pub use ticket::Ticket;
