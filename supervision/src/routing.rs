//! Who of several gets a message: pure, over what is known of each at one instant.

use greenroom_runtime::dice;

/// Says which member of a pool gets a message. Default: [`Routing::RoundRobin`].
///
/// Every one of them passes over members that are down, stopped, draining, over their watermark, or behind an open
/// [breaker](crate::Pool::breaker), as long as there are others; a member that is being restarted is the last resort, for
/// its mailbox stands. Above all watermarks an ask is refused, and a tell takes what room there is; and so it is when all
/// breakers are open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Routing {
    /// Each in turn.
    #[default]
    RoundRobin,
    /// The one with the fewest messages waiting or in hand; of equals, each in turn.
    LeastLoaded,
    /// The first that has nothing to do, else the first: keeps the last ones free for peaks.
    FirstAvailable,
    /// The same member for the same key, given with [`PoolRef::by_key`](crate::PoolRef::by_key). Without a key: each in
    /// turn.
    ByKey,
}

/// What a choice knows of one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) standing: Standing,
    /// Messages waiting and in hand.
    pub(crate) load: usize,
}

/// Whether a member may be given a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// It runs and has room.
    Ready,
    /// It does not run, but will: its mailbox takes messages.
    Restarting,
    /// It is over its watermark.
    HasEnough,
    /// It failed too often: its breaker lets no call through.
    Tripped,
    /// It takes nothing.
    Out,
}

impl Routing {
    /// The members to try, best first: those that are ready, then those that are coming back, then those that have
    /// enough, then those whose breaker is open. `turn` is a number that rises with every choice.
    pub(crate) fn order(self, members: &[Candidate], turn: usize) -> Vec<usize> {
        let len = members.len();
        let mut order: Vec<usize> = match self {
            Routing::FirstAvailable => (0..len).collect(),
            Routing::RoundRobin | Routing::LeastLoaded | Routing::ByKey => {
                (0..len).map(|step| (turn % len.max(1) + step) % len).collect()
            }
        };
        order.retain(|&at| members[at].standing != Standing::Out);
        // Stable sorts: who is equal keeps the order from above.
        match self {
            Routing::RoundRobin | Routing::ByKey => {}
            Routing::LeastLoaded => order.sort_by_key(|&at| members[at].load),
            Routing::FirstAvailable => order.sort_by_key(|&at| members[at].load > 0),
        }
        order.sort_by_key(|&at| members[at].standing);
        order
    }
}

/// The position of the member that is responsible for `key`: rendezvous hashing over the names of the members, so that
/// another member more or less, whichever it is, moves only the keys that are its own. 0 when there are none.
///
/// D. Thaler, C. Ravishankar: "Using name-based mappings to increase hit rates", IEEE/ACM Transactions on Networking
/// 6(1), 1998. As for the members of a role: the id of a handoff is such a key.
pub(crate) fn responsible<'n>(key: &[u8], members: impl Iterator<Item = &'n str>) -> usize {
    let weighed = members.enumerate().map(|(at, name)| (weight(key, name), at));
    weighed.max().map_or(0, |(_, at)| at)
}

/// The positions of all members in the order in which they stand in for one another for `key`: first the one that is
/// [`responsible`]; each is the one that would be if those before it were not there.
pub(crate) fn ring<'n>(key: &[u8], members: impl Iterator<Item = &'n str>) -> Vec<usize> {
    let mut weighed: Vec<(u64, usize)> =
        members.enumerate().map(|(at, name)| (weight(key, name), at)).collect();
    weighed.sort_unstable_by(|one, other| other.cmp(one));
    weighed.into_iter().map(|(_, at)| at).collect()
}

fn weight(key: &[u8], name: &str) -> u64 {
    // 0xff is in no name, so no two pairs run together.
    dice::hash(key.iter().copied().chain([0xff]).chain(name.bytes()))
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;

    #[test]
    fn each_routing_orders_members_as_it_says() {
        // R: ready, r: restarting, E: has enough, T: tripped, -: out; then the load.
        #[rustfmt::skip]
        let table: &[(Routing, &str, usize, &[usize])] = &[
            (Routing::RoundRobin,     "R0 R0 R0", 0, &[0, 1, 2]),
            (Routing::RoundRobin,     "R0 R0 R0", 4, &[1, 2, 0]),
            (Routing::RoundRobin,     "R0 r0 R0", 1, &[2, 0, 1]),
            (Routing::RoundRobin,     "-0 r0 -0", 0, &[1]),
            (Routing::RoundRobin,     "E0 r0 R0", 0, &[2, 1, 0]),
            (Routing::RoundRobin,     "-0 -0",    0, &[]),
            (Routing::RoundRobin,     "",         3, &[]),
            (Routing::RoundRobin,     "T0 E0 r0 R0 -0", 0, &[3, 2, 1, 0]),
            (Routing::LeastLoaded,    "T0 R9 R5", 0, &[2, 1, 0]),
            (Routing::FirstAvailable, "T0 R9",    0, &[1, 0]),
            (Routing::LeastLoaded,    "R5 R2 R9", 0, &[1, 0, 2]),
            (Routing::LeastLoaded,    "R5 R5 R9", 1, &[1, 0, 2]),
            (Routing::LeastLoaded,    "R5 r0 R9", 0, &[0, 2, 1]),
            (Routing::LeastLoaded,    "E7 E5 E6", 0, &[1, 2, 0]),
            (Routing::FirstAvailable, "R5 R0 R0", 2, &[1, 2, 0]),
            (Routing::FirstAvailable, "R5 R3 r0", 2, &[0, 1, 2]),
        ];

        for (routing, letters, turn, expected) in table {
            let members: Vec<Candidate> = letters.split_whitespace().map(candidate).collect();

            assert_eq!(routing.order(&members, *turn), *expected, "{routing:?} of {letters}");
        }
    }

    quickcheck! {
        fn nobody_who_is_out_is_tried_and_everybody_else_once(members: Vec<(u8, u8)>, turn: usize) -> bool {
            let members: Vec<Candidate> = members.into_iter().map(|(standing, load)| Candidate {
                standing: STANDINGS[usize::from(standing % 5)],
                load: load.into(),
            }).collect();
            [Routing::RoundRobin, Routing::LeastLoaded, Routing::FirstAvailable, Routing::ByKey].into_iter().all(|routing| {
                let order = routing.order(&members, turn);
                let mut sorted = order.clone();
                sorted.sort_unstable();
                let expected: Vec<usize> =
                    (0..members.len()).filter(|&at| members[at].standing != Standing::Out).collect();
                sorted == expected && order.is_sorted_by_key(|&at| members[at].standing)
            })
        }

        fn who_stands_in_for_a_key_is_who_would_have_it_without_those_before(key: Vec<u8>, len: u8) -> bool {
            let names: Vec<String> = (1..=usize::from(len % 20) + 1).map(|name| name.to_string()).collect();
            let order = ring(&key, names.iter().map(String::as_str));
            order.len() == names.len() && (0..order.len()).all(|from| {
                let mut left = order[from..].to_vec();
                left.sort_unstable();
                left[responsible(&key, left.iter().map(|at| names[*at].as_str()))] == order[from]
            })
        }

        fn a_member_less_gives_its_keys_away_and_moves_no_others(key: Vec<u8>, len: u8, gone: u8) -> bool {
            let mut names: Vec<String> = (1..=usize::from(len % 20) + 2).map(|name| name.to_string()).collect();
            let of = |names: &[String]| names[responsible(&key, names.iter().map(String::as_str))].clone();
            let before = of(&names);
            let gone = names.remove(usize::from(gone) % names.len());
            before == gone || of(&names) == before
        }
    }

    /// 10,000 keys on 8 members: each gets 1,250 give or take four standard deviations (33 each).
    #[test]
    fn keys_spread_evenly() {
        let mut counts = [0_u32; 8];
        for key in 0..10_000_u32 {
            counts[responsible(&key.to_le_bytes(), ["1", "2", "3", "4", "5", "6", "7", "8"].into_iter())] +=
                1;
        }

        assert!(counts.iter().all(|count| (1_118..=1_382).contains(count)), "{counts:?}");
    }

    const STANDINGS: [Standing; 5] =
        [Standing::Ready, Standing::Restarting, Standing::HasEnough, Standing::Tripped, Standing::Out];

    fn candidate(text: &str) -> Candidate {
        let standing = match &text[..1] {
            "R" => Standing::Ready,
            "r" => Standing::Restarting,
            "E" => Standing::HasEnough,
            "T" => Standing::Tripped,
            _ => Standing::Out,
        };
        Candidate { standing, load: text[1..].parse().expect("a load") }
    }
}
