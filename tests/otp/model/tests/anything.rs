//! Whatever happens, in any order: what must hold after every event of a random life.

use std::collections::BTreeSet;

use super::*;

/// Goal: no sequence of events leaves the tree in a state it could not say why it is in.
/// Method: random trees live random lives, each twice; what was seen must explain what is listed.
#[test]
fn random_lives_leave_a_tree_that_what_was_seen_explains() {
    for seed in 1..=400 {
        let mut dice = Dice(seed);
        let top = dice.supervisor(2);
        assert!(top.is_valid(), "seed {seed}");
        let (mut model, seen) = Model::start(top.clone(), "top");
        let (mut twin, _) = Model::start(top, "top");
        let mut alive = BTreeSet::new();
        account(&seen, &mut alive, seed);
        let mut now_ms = 0;

        for _ in 0..60 {
            now_ms += dice.below(400);
            let event = dice.event(&model);
            let seen = model.apply(now_ms, event.clone());

            assert_eq!(seen, twin.apply(now_ms, event), "seed {seed}");
            account(&seen, &mut alive, seed);
            assert_eq!(alive, running(&model), "seed {seed}: {}", tell(&seen));
            assert!(model.retry_once(now_ms).is_none(), "seed {seed}");
        }
    }
}

/// Keeps the set of those alive by what was seen. Nobody starts twice, and nobody ends who was not there.
fn account(seen: &[Seen], alive: &mut BTreeSet<String>, seed: u64) {
    for seen in seen {
        match seen {
            Seen::Started(path) => assert!(alive.insert(path.clone()), "seed {seed}: {path} started twice"),
            Seen::Stopped(path) | Seen::Ended(path) => {
                assert!(alive.remove(path), "seed {seed}: {path} was not there");
            }
            Seen::Unordered(set) => {
                assert!(set.len() > 1 && set.is_sorted());
                account(set, alive, seed);
            }
            Seen::StartFailed(_) | Seen::Declined(_) | Seen::Answer(_) => {}
        }
    }
}

fn running(model: &Model) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for (supervisor, children) in model.listing() {
        for (name, state) in children {
            assert_ne!(state, ChildState::Restarting, "{supervisor}/{name}");
            if state == ChildState::Running {
                paths.insert(format!("{supervisor}/{name}"));
            }
        }
        paths.insert(supervisor);
    }
    paths
}

/// A xorshift generator: the same seed, the same life.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound.max(1)
    }

    fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize].clone()
    }

    fn supervisor(&mut self, levels: u32) -> SupervisorSpec {
        let intensity = Intensity { max: self.below(4) as u32, within_ms: self.below(1_000) };
        if self.below(4) == 0 {
            let instance = self.child("instance", AutoShutdown::Never, levels);
            return SupervisorSpec { intensity, ..template(instance) };
        }
        let auto_shutdown =
            self.one_of(&[AutoShutdown::Never, AutoShutdown::AnySignificant, AutoShutdown::AllSignificant]);
        let children: Vec<_> = ["a", "b", "c"][..self.below(4) as usize]
            .iter()
            .map(|name| self.child(name, auto_shutdown, levels))
            .collect();
        SupervisorSpec { intensity, auto_shutdown, ..spec(self.one_of(&ORDERED), children) }
    }

    fn child(&mut self, name: &str, mode: AutoShutdown, levels: u32) -> ChildSpec {
        let restart = self.one_of(&RESTARTS);
        let child = if levels > 0 && self.below(3) == 0 {
            supervisor(name, restart, self.supervisor(levels - 1))
        } else {
            worker(name, restart)
        };
        let is_significant = self.below(3) == 0 && significant(child.clone()).fits(mode);
        ChildSpec { significant: is_significant, ..child }
    }

    fn event(&mut self, model: &Model) -> Event {
        let listing = model.listing();
        let supervisors: Vec<_> = listing.keys().cloned().chain(["top".into()]).collect();
        let paths: Vec<_> = listing
            .iter()
            .flat_map(|(supervisor, children)| {
                children.iter().map(move |(name, _)| format!("{supervisor}/{name}"))
            })
            .chain(["top/a".into()])
            .collect();
        let (supervisor, path) = (self.one_of(&supervisors), self.one_of(&paths));
        let name = self.one_of(&["a", "b", "c", "d"]).to_owned();

        match self.below(40) {
            0 => Event::KillSupervisor { path: supervisor },
            1..3 => Event::KillSupervisor { path },
            3..6 => Event::FailStarts { path, count: self.below(4) as u32 },
            6..8 => Event::DeclineStart { path },
            8..14 => Event::Start { supervisor, child: self.child(&name, AutoShutdown::AllSignificant, 1) },
            14..17 => Event::Terminate { supervisor, name },
            17..20 => Event::Restart { supervisor, name },
            20..22 => Event::Delete { supervisor, name },
            _ => Event::Exit { path, how: self.one_of(&EXITS) },
        }
    }
}
