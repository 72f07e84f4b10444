//! Greenroom's floor 1: who comes back, in which order, after which delay.
//!
//! `docs/supervision.md` draws each strategy and explains the rest; the facade shows it as `greenroom::supervision`.
//!
//! ```
//! # use greenroom_runtime::{Actor, Context, Failure, Handler, Message, Open, Runtime};
//! use greenroom_supervision::{ChildSpec, Restart, Shutdown, Strategy, SuperviseExt, Supervisor};
//! use std::time::Duration;
//! # struct Desk;
//! # struct Hello;
//! # impl Message for Hello { type Reply = &'static str; }
//! # impl Actor for Desk {
//! #     type Args = ();
//! #     type Inbox = Open<Self>;
//! #     async fn start(_: &()) -> Result<Self, Failure> { Ok(Desk) }
//! # }
//! # impl Handler<Hello> for Desk {
//! #     async fn handle(&mut self, _: Hello, _: &mut Context<'_, Self>) -> Result<&'static str, Failure> { Ok("hello") }
//! # }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = Runtime::builder().start().await?;
//! let support = runtime
//!     .supervise(
//!         Supervisor::named("support")
//!             .strategy(Strategy::OneForOne)
//!             .intensity(3, Duration::from_secs(10))
//!             .child(
//!                 ChildSpec::actor::<Desk>("desk", ())
//!                     .restart(Restart::Permanent)
//!                     .shutdown(Shutdown::Within(Duration::from_secs(5))),
//!             ),
//!     )
//!     .await?;
//! let desk = support.actor::<Desk>("desk")?;
//! assert_eq!(desk.ask(Hello).await?, "hello");
//! assert!(runtime.shutdown(Duration::from_secs(5)).await.is_clean());
//! # Ok(())
//! # }
//! ```

mod admin;
mod board;
mod child;
mod child_spec;
mod children;
mod comeback; // durable children, and who of them comes back with the process
mod dynamic_supervisor;
mod dynamic_trees;
#[cfg(any(test, feature = "testing"))]
mod planted;
mod policy;
mod pool;
mod pool_ref;
mod rerouting;
mod route;
mod routing;
mod starting;
mod supervisor;
mod supervisor_ref;
mod supervisor_spec;
mod tree;
mod tree_text;

pub use admin::{AdminError, ChildCounts, ChildInfo};
pub use child_spec::{ChildKind, ChildSettings, ChildSpec, Mailbox};
pub use dynamic_supervisor::{DynamicRef, DynamicSupervisor};
pub use dynamic_trees::DynamicTrees;
#[cfg(any(test, feature = "testing"))]
pub use planted::PlantedBug;
pub use policy::{AutoShutdown, ChildState, CustomStrategy, Restart, RestartIntensity, Shutdown, Strategy};
pub use pool::Pool;
pub use pool_ref::{PoolAsk, PoolRef, RouteError};
pub use route::{IntoStep, Route, Routed};
pub use routing::Routing;
pub use supervisor_ref::{SuperviseError, SuperviseExt, SupervisorRef};
pub use supervisor_spec::{SpecComplaint, Supervisor};
pub use tree::{NodeKind, SupervisorShape, SupervisorView, Tree, TreeBreaker, TreeMailbox, TreeNode};
pub use tree_text::TreeText;
