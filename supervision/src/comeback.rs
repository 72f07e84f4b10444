//! Durable children of a [`DynamicSupervisor`](crate::DynamicSupervisor): how they are written down, and who of them comes
//! back when the process does.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use greenroom_runtime::overseer::{Flow, OverseerContext};
use greenroom_runtime::{ActorPath, ActorSpec, Durable, ExitPhase, ExitReason, Failure, StoreError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::child::Child;
use crate::child_spec::ChildSpec;
use crate::children::Key;
use crate::supervisor::{Began, Supervising};

/// How the arguments of children that are all alike are written down, and read.
#[derive(Clone)]
pub(crate) struct Memory {
    write: Arc<Write>,
    read: Arc<Read>,
}

type Write = dyn Fn(&dyn Any) -> Result<Vec<u8>, Failure> + Send + Sync;
type Read = dyn Fn(&[u8]) -> Result<Box<dyn Any + Send>, Failure> + Send + Sync;

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

impl Memory {
    pub(crate) fn of<A: Durable>() -> Self
    where
        A::Args: Serialize + DeserializeOwned,
    {
        let write = |spec: &dyn Any| {
            let spec = spec
                .downcast_ref::<ActorSpec<A>>()
                .ok_or_else(|| Failure::bug("arguments of another type"))?;
            rmp_serde::to_vec_named(&(A::NAME, spec.args())).map_err(Failure::bug)
        };
        let read = |birth: &[u8]| {
            let args = read_args::<A>(birth)?;
            let spec: Box<dyn Any + Send> = Box::new(ActorSpec::<A>::new("", args));
            Ok(spec)
        };
        Memory { write: Arc::new(write), read: Arc::new(read) }
    }

    /// What is written down of a child that is made of `spec`.
    ///
    /// # Errors
    ///
    /// A [`Bug`](greenroom_runtime::FailureClass::Bug): the arguments have no encoded form, or are of another type.
    pub(crate) fn write(&self, spec: &dyn Any) -> Result<Vec<u8>, Failure> {
        (self.write)(spec)
    }
}

fn read_args<A: Durable>(birth: &[u8]) -> Result<A::Args, Failure>
where
    A::Args: DeserializeOwned,
{
    let (name, args): (String, A::Args) = rmp_serde::from_slice(birth).map_err(Failure::bug)?;
    if name != A::NAME {
        return Err(Failure::bug(format!("`{name}` was made here, and `{}` is expected", A::NAME)));
    }
    Ok(args)
}

impl Supervising {
    /// Makes those children again, and starts them, that an earlier process left with something to see to. All at once:
    /// their claims share a flush.
    pub(crate) async fn bring_back(&mut self, cx: &OverseerContext) -> Result<(), Flow> {
        let Some(template) = self.spec.template.clone() else { return Ok(()) };
        let Some(memory) = &template.memory else { return Ok(()) };
        let births = cx.runtime().births_below(cx.path()).await.map_err(unreadable)?;
        let mut begun = Vec::new();
        for (path, birth) in births {
            let made = (memory.read)(&birth).map(|args| (template.make)(path.name().to_owned(), args));
            let spec = match made {
                Ok(Some(spec)) => ChildSpec { settings: template.settings, ..spec },
                Ok(None) => continue, // cannot be: it was read as what it is made of
                Err(failure) => {
                    tracing::error!(actor = %path, %failure, "it has work to do and cannot be made again: it stays in the store");
                    continue;
                }
            };
            if let Some(key) = self.place_again(&path, spec, cx) {
                begun.push((key, self.launch_child(key, cx).await));
            }
        }
        for (key, launched) in begun {
            let began = match launched {
                Ok(incarnation) => self.await_start(key, incarnation, cx).await,
                Err(began) => began,
            };
            match began {
                Began::Started => {}
                Began::Declined(_) => _ = self.settle_declined(key, cx),
                Began::Failed(reason) => self.announce_try(key, &[key], reason, cx),
                Began::Stopping => return Err(self.leave_stopped(cx).await),
            }
        }
        Ok(())
    }

    fn place_again(&mut self, path: &ActorPath, spec: ChildSpec, cx: &OverseerContext) -> Option<Key> {
        match spec.place.place(cx.runtime(), Some(cx.path())) {
            Ok(place) => Some(self.children.add(Child::new(spec.settings, place))),
            Err(error) => {
                tracing::error!(actor = %path, %error, "it has work to do and got no place: it stays in the store");
                None
            }
        }
    }
}

fn unreadable(error: StoreError) -> Flow {
    Flow::Leave(ExitReason::Failed { phase: ExitPhase::Start, failure: Failure::external(error) })
}
