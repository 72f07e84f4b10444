//! A walk over all places of a runtime that never holds anybody up.

use crate::address::ActorPath;
use crate::cell::Place;
use crate::runtime::Runtime;

/// So many places are copied out of the directory at a time: some 50 µs, in which nobody is put in or found.
const PAGE: usize = 512;

impl Runtime {
    /// The places below `path`, or all there are, in the order of their paths, which is parents before children.
    ///
    /// Unlike [`places`](Runtime::places) it locks the directory for a page of 512 at a time. Who comes or goes meanwhile
    /// may or may not be among them.
    pub fn walk(&self, below: Option<&ActorPath>) -> impl Iterator<Item = Place> + use<'_> {
        let directory = &self.world().directory;
        // `0` follows `/`: all that begins with the path and a slash, and none of its longer-named siblings.
        let beyond = below.map(|path| format!("{path}0"));
        let mut last = below.map_or_else(String::new, |path| format!("{path}/"));
        let mut page = Vec::new().into_iter();
        std::iter::from_fn(move || {
            if page.as_slice().is_empty() {
                page = directory.page(&last, beyond.as_deref(), PAGE).into_iter();
                if let Some(place) = page.as_slice().last() {
                    place.path().as_str().clone_into(&mut last);
                }
            }
            page.next()
        })
    }
}
