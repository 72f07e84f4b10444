//! A supervisor of very many trees that are all alike and come by request, such as one for each tenant.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::child_spec::{ChildSettings, ChildSpec};
use crate::dynamic_supervisor::Template;
use crate::policy::{Restart, RestartIntensity, Shutdown};
use crate::supervisor_spec::Supervisor;

/// As [`DynamicSupervisor`](crate::DynamicSupervisor), for supervisors: each is made of its own `T`, and started with
/// [`SupervisorRef::start_tree`](crate::SupervisorRef::start_tree).
///
/// ```
/// # use greenroom_runtime::{Actor, Failure, Open, Runtime};
/// # struct Desk;
/// # impl Actor for Desk {
/// #     type Args = String;
/// #     type Inbox = Open<Self>;
/// #     async fn start(_: &String) -> Result<Self, Failure> { Ok(Desk) }
/// # }
/// use greenroom_supervision::{ChildSpec, DynamicTrees, SuperviseExt, Supervisor};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = Runtime::builder().start().await?;
/// let tenants = DynamicTrees::named("tenants", |name: &str, language: String| {
///     Supervisor::named(name).child(ChildSpec::actor::<Desk>("desk", language))
/// });
/// let tenants = runtime.supervise(tenants).await?;
///
/// let acme = tenants.start_tree("acme", "en".to_owned()).await?;
/// assert_eq!(acme.actor::<Desk>("desk")?.path().as_str(), "tenants/acme/desk");
/// # runtime.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok(())
/// # }
/// ```
pub struct DynamicTrees<T> {
    name: String,
    intensity: RestartIntensity,
    max_children: usize,
    settings: ChildSettings,
    make: Arc<MakeTree<T>>,
}

type MakeTree<T> = dyn Fn(&str, T) -> Supervisor + Send + Sync;

impl<T: Send + 'static> DynamicTrees<T> {
    /// A supervisor called `name` of trees that `make` makes, each of its name and its `T`: 1 restart in 5 s, permanent
    /// trees, which get all the time they need to stop, at most 100,000 of them.
    pub fn named(
        name: impl Into<String>,
        make: impl Fn(&str, T) -> Supervisor + Send + Sync + 'static,
    ) -> Self {
        DynamicTrees {
            name: name.into(),
            intensity: RestartIntensity::default(),
            max_children: 100_000,
            settings: ChildSettings::SUPERVISOR,
            make: Arc::new(make),
        }
    }

    /// Gives up at more than `max` restarts, of all trees together, `within` any stretch of that length.
    #[must_use]
    pub fn intensity(mut self, max: u32, within: Duration) -> Self {
        self.intensity = RestartIntensity { max, within };
        self
    }

    /// How many trees there may be at a time.
    #[must_use]
    pub fn max_children(mut self, max: usize) -> Self {
        self.max_children = max;
        self
    }

    /// Whether a tree comes back. Default: [`Restart::Permanent`].
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.settings.restart = restart;
        self
    }

    /// How trees are stopped. Default: all the time they need, all at once when the supervisor stops.
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.settings.shutdown = shutdown;
        self
    }
}

impl<T> fmt::Debug for DynamicTrees<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DynamicTrees({})", self.name)
    }
}

impl<T: Send + 'static> From<DynamicTrees<T>> for Supervisor {
    fn from(trees: DynamicTrees<T>) -> Self {
        let DynamicTrees { name, intensity, max_children, settings, make } = trees;
        let make = move |name: String, of: Box<dyn Any + Send>| {
            let of = of.downcast::<T>().ok()?;
            let tree = make(&name, *of);
            Some(ChildSpec::supervisor(Supervisor { name, ..tree }))
        };
        let template = Template { max_children, settings, make: Arc::new(make), memory: None };
        Supervisor { intensity, template: Some(template), ..Supervisor::named(name) }
    }
}
