//! A map for numbers that are given out one after the other: ranks, ids.
//!
//! The values lie in pages of sixteen, found by an index that is one piece of memory and so small that it stays in the
//! caches of the processor where the values do not: one of 100,000 is found about as fast as one of ten. A page goes with
//! its last value: one that outlives its neighbours keeps the room of sixteen, and no more.

use std::collections::VecDeque;

const ROWS: u64 = 16;

/// Values by number, in the order of their numbers.
#[derive(Debug)]
pub struct Pages<V>(VecDeque<(u64, Page<V>)>);

type Page<V> = Box<[Option<V>; ROWS as usize]>;

impl<V> Default for Pages<V> {
    fn default() -> Self {
        Pages(VecDeque::new())
    }
}

impl<V> Pages<V> {
    /// Puts a value in the place of the one that had this number, if any did.
    pub fn insert(&mut self, number: u64, value: V) {
        let at = self.page_of(number).unwrap_or_else(|at| {
            self.0.insert(at, (number / ROWS, Box::new([const { None }; ROWS as usize])));
            at
        });
        self.0[at].1[row(number)] = Some(value);
    }

    /// The value with this number.
    pub fn get(&self, number: u64) -> Option<&V> {
        let at = self.page_of(number).ok()?;
        self.0[at].1[row(number)].as_ref()
    }

    /// The value with this number, to be changed.
    pub fn get_mut(&mut self, number: u64) -> Option<&mut V> {
        let at = self.page_of(number).ok()?;
        self.0[at].1[row(number)].as_mut()
    }

    /// Takes the value with this number out.
    pub fn remove(&mut self, number: u64) -> Option<V> {
        let at = self.page_of(number).ok()?;
        let page = &mut self.0[at].1;
        let (before, from) = page.split_at_mut(row(number));
        let value = from[0].take();
        // The neighbours first, which are at hand by now.
        if from.iter().chain(before.iter()).all(Option::is_none) {
            self.0.remove(at);
        }
        value
    }

    /// All values.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.0.iter().flat_map(|(_, page)| page.iter().flatten())
    }

    /// All values, to be changed.
    pub fn values_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut V> {
        self.0.iter_mut().flat_map(|(_, page)| page.iter_mut().flatten())
    }

    /// All values, taken out.
    pub fn into_values(self) -> impl Iterator<Item = V> {
        self.0.into_iter().flat_map(|(_, page)| page.into_iter().flatten())
    }

    /// Where the page is that has this number, or where it belongs.
    fn page_of(&self, number: u64) -> Result<usize, usize> {
        let page = number / ROWS;
        // Where it is if none before it is gone: most of the time, and then nothing has to be searched.
        let first = self.0.front().map_or(0, |(first, _)| *first);
        match usize::try_from(page.wrapping_sub(first)) {
            Ok(at) if self.0.get(at).is_some_and(|(there, _)| *there == page) => Ok(at),
            _ => self.0.binary_search_by_key(&page, |(page, _)| *page),
        }
    }
}

fn row(number: u64) -> usize {
    (number % ROWS) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use quickcheck::quickcheck;

    use super::*;

    quickcheck! {
        fn it_holds_what_a_plain_map_holds(steps: Vec<(u8, Option<u32>)>) -> bool {
            let (mut pages, mut map) = (Pages::default(), BTreeMap::new());
            for (number, value) in steps {
                let number = u64::from(number);
                match value {
                    Some(value) => {
                        pages.insert(number, value);
                        map.insert(number, value);
                    }
                    None => assert_eq!(pages.remove(number), map.remove(&number)),
                }
                assert_eq!(pages.get(number), map.get(&number));
                assert_eq!(pages.get_mut(number), map.get_mut(&number));
            }
            assert!(pages.values_mut().eq(map.values_mut()) && pages.values().rev().eq(map.values().rev()));
            pages.into_values().eq(map.into_values())
        }
    }

    #[test]
    fn a_page_goes_with_its_last_value() {
        let mut pages = Pages::default();
        (0..1_000).for_each(|number| pages.insert(number, ()));

        (0..1_000).filter(|number| *number != 500).for_each(|number| _ = pages.remove(number));

        assert_eq!(pages.0.len(), 1);
    }
}
