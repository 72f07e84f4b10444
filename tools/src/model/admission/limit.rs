//! How many attempts may be under way at once: more while all goes well, a third less after each sign of overload. Pure.

/// The bound. Additive increase, multiplicative decrease.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    now: f64,
    max: f64,
    /// Attempts of an earlier era say nothing about the present bound.
    era: u32,
}

impl Limit {
    pub(super) fn new(max: usize) -> Self {
        let max = max.max(1) as f64;
        Limit { now: max, max, era: 0 }
    }

    pub(super) fn has_room(&self, under_way: usize) -> bool {
        (under_way as f64) < self.now.floor().max(1.0)
    }

    pub(super) fn era(&self) -> u32 {
        self.era
    }

    /// An attempt went well; one more may be under way once each of them did.
    pub(super) fn went_well(&mut self) {
        self.now = (self.now + 1.0 / self.now).min(self.max);
    }

    /// An attempt found its provider overloaded, while so many (with it) were under way.
    pub(super) fn overloaded(&mut self, era: u32, under_way: usize) {
        // One overload shows itself in many attempts.
        if era == self.era {
            self.now = (self.now.min(under_way as f64) * 0.7).max(1.0);
            self.era = self.era.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_overload_is_answered_once_however_many_attempts_met_it() {
        let mut limit = Limit::new(100);

        let era = limit.era();
        (0..10).for_each(|_| limit.overloaded(era, 50));

        assert!(limit.has_room(34));
        assert!(!limit.has_room(35));
    }

    #[test]
    fn it_stays_between_one_and_its_most_and_comes_back() {
        fn property(events: Vec<(bool, u8)>) -> bool {
            let mut limit = Limit::new(20);
            for (well, under_way) in events {
                if well {
                    limit.went_well()
                } else {
                    limit.overloaded(limit.era(), under_way.into())
                }
                assert!(limit.has_room(0) && !limit.has_room(20));
            }
            (0..400).for_each(|_| limit.went_well());
            limit.has_room(19)
        }
        quickcheck::quickcheck(property as fn(Vec<(bool, u8)>) -> bool);
    }
}
