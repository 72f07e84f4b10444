//! Which cell lives at which path, in one runtime; and addresses, which are paths with a type.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Bound;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::actor::Actor;
use crate::address::{ActorPath, ActorRef, PathError};
use crate::cell::{Cell, Place, Seat};
use crate::runtime::SpawnError;
use crate::sync::lock;

/// The directory of one runtime. Ordered, so that a walk over it is the same in every run.
#[derive(Default)]
pub(crate) struct Directory {
    places: Mutex<BTreeMap<ActorPath, Place>>,
}

impl Directory {
    pub(crate) fn get(&self, path: &ActorPath) -> Option<Place> {
        lock(&self.places).get(path).cloned()
    }

    /// All places below `path`, parents before children.
    pub(crate) fn below(&self, path: &ActorPath) -> Vec<Place> {
        let places = lock(&self.places);
        // `0` follows `/`: all that begins with the path and a slash, and none of its longer-named siblings.
        let (first, beyond) = (format!("{path}/"), format!("{path}0"));
        let below = places.range::<str, _>((Bound::Excluded(&*first), Bound::Excluded(&*beyond)));
        below.map(|(_, place)| place.clone()).collect()
    }

    /// The first places with paths behind `after`, and before `before` if that is given; at most `most`.
    pub(crate) fn page(&self, after: &str, before: Option<&str>, most: usize) -> Vec<Place> {
        let places = lock(&self.places);
        let before = before.map_or(Bound::Unbounded, Bound::Excluded);
        let page = places.range::<str, _>((Bound::Excluded(after), before)).take(most);
        page.map(|(_, place)| place.clone()).collect()
    }

    pub(crate) fn all(&self) -> Vec<Place> {
        lock(&self.places).values().cloned().collect()
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.places).len()
    }

    /// The seat at `path` if it is a `T`: it is claimed with its mailbox. Else a new one.
    pub(crate) fn claim_or_insert<T: Seat>(
        &self,
        path: &ActorPath,
        make: impl FnOnce() -> Arc<T>,
    ) -> Result<Place, SpawnError> {
        let mut places = lock(&self.places);
        let entry = match places.entry(path.clone()) {
            Entry::Vacant(vacant) => return Ok(vacant.insert(Place(make())).clone()),
            Entry::Occupied(occupied) => occupied,
        };
        let place = entry.get();
        if place.0.clone().as_any().downcast::<T>().is_err() {
            return Err(SpawnError::WrongType { path: path.clone(), lives_there: place.0.core().type_name });
        }
        Ok(place.clone())
    }

    /// Removes the place with that identity; a later one at the same path stays.
    pub(crate) fn remove(&self, path: &ActorPath, id: u64) {
        let mut places = lock(&self.places);
        if places.get(path).is_some_and(|place| place.0.core().id == id) {
            places.remove(path);
        }
    }
}

/// A path together with the type that lives there: what is stored and sent in place of an [`ActorRef`].
///
/// Turned back into a reference by [`Context::resolve`](crate::Context::resolve) or
/// [`Runtime::resolve`](crate::Runtime::resolve). Its stored form is the path alone.
pub struct Address<A> {
    path: ActorPath,
    of: PhantomData<fn() -> A>,
}

impl<A> Address<A> {
    /// The address of an `A` at `path`. Nobody need live there yet.
    pub fn new(path: ActorPath) -> Self {
        Address { path, of: PhantomData }
    }

    /// The path.
    pub fn path(&self) -> &ActorPath {
        &self.path
    }
}

impl<A> Clone for Address<A> {
    fn clone(&self) -> Self {
        Address::new(self.path.clone())
    }
}

impl<A> PartialEq for Address<A> {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl<A> Eq for Address<A> {}

impl<A> fmt::Debug for Address<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.path)
    }
}

impl<A> Serialize for Address<A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.path.serialize(serializer)
    }
}

impl<'de, A> Deserialize<'de> for Address<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ActorPath::deserialize(deserializer).map(Address::new)
    }
}

/// Why an address leads to nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The name is no path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Nobody lives there now.
    #[error("nobody lives at {path}")]
    Nobody {
        /// The path.
        path: ActorPath,
    },
    /// Another type lives there.
    #[error("a `{lives_there}` lives at {path}, not a `{expected}`")]
    OtherType {
        /// The path.
        path: ActorPath,
        /// Who lives there.
        lives_there: &'static str,
        /// Who was expected.
        expected: &'static str,
    },
}

impl From<ResolveError> for crate::Failure {
    /// A neighbour that is not there is no bug of ours: `External`.
    fn from(error: ResolveError) -> Self {
        crate::Failure::external(error)
    }
}

/// The typed reference behind `place`.
pub(crate) fn typed<A: Actor>(place: &Place) -> Result<ActorRef<A>, ResolveError> {
    place.0.clone().as_any().downcast::<Cell<A>>().map(ActorRef::new).map_err(|_| ResolveError::OtherType {
        path: place.path().clone(),
        lives_there: place.0.core().type_name,
        expected: crate::message::short_type_name::<A>(),
    })
}
