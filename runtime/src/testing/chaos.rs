//! Kills somebody at random, the same somebody for the same seed.

use std::hash::{BuildHasher, RandomState};

use crate::cell::{LifeState, Place};
use crate::dice;
use crate::runtime::Runtime;

/// The number in the environment variable `SEED`, or one of chance. Printed, so that a failing run can be repeated.
///
/// # Panics
///
/// If `SEED` is no number: a run that was to be repeated must not be another one.
#[must_use]
pub fn seed() -> u64 {
    let seed = match std::env::var("SEED") {
        Ok(text) => text.parse().expect("SEED is a number"),
        Err(_) => RandomState::new().hash_one(()),
    };
    println!("SEED={seed}");
    seed
}

/// A source of misfortune for chaos tests. Print the seed, and accept one, so that a run can be repeated.
///
/// ```
/// use greenroom_runtime::testing::{Chaos, TestRuntime};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let world = TestRuntime::start().await;
/// let mut chaos = Chaos::seeded(42);
/// assert!(chaos.strike(&world, |_| true).is_none(), "nobody is there to be struck");
/// world.end().await;
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Chaos {
    state: u64,
}

impl Chaos {
    /// Misfortune that repeats for the same seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Chaos { state: seed }
    }

    /// A number below `bound` (at least 1).
    pub fn below(&mut self, bound: u64) -> u64 {
        let number = dice::mix(self.state);
        self.state = self.state.wrapping_add(dice::STEP);
        number % bound.max(1)
    }

    /// Kills one running actor that `may_die`, and says which; `None` if there is none. Whoever is killed hears it at its
    /// next `.await`; its supervisor decides what follows.
    pub fn strike(&mut self, runtime: &Runtime, may_die: impl Fn(&Place) -> bool) -> Option<Place> {
        let mut running = runtime.places();
        running.retain(|place| place.state() == LifeState::Running && may_die(place));
        if running.is_empty() {
            return None;
        }
        let at = usize::try_from(self.below(running.len() as u64)).unwrap_or(0);
        let struck = running.swap_remove(at);
        struck.kill();
        Some(struck)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::probe::tests::Ping;
    use crate::testing::{Probe, TestRuntime};

    #[tokio::test]
    async fn the_same_seed_strikes_the_same_actor() {
        let mut struck = Vec::new();
        for _ in 0..2 {
            let world = TestRuntime::start().await;
            let mut probes = Vec::new();
            for name in ["a", "b", "c", "d", "e"] {
                probes.push(Probe::<Ping>::spawn(&world, name).await);
            }
            let place = Chaos::seeded(7).strike(&world, |_| true).unwrap();
            place.closed().await;
            struck.push(place.path().clone());
            world.end().await;
        }

        assert_eq!(struck[0], struck[1]);
    }
}
