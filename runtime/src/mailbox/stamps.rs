//! When messages came and were taken, for those who look at the tree. Noted for few of them: to read the clock for each
//! would cost a tenth of a tell or of an ask.
//!
//! * A message is stamped when its number is a multiple of 64, and when no message that waits is stamped, unless it wakes
//!   an actor that waits for it. So the oldest is shown as older than it is by at most the time in which the 63 before it
//!   came. One that woke its actor and was not taken at once is as old as the one behind it, or is counted from the first
//!   look that found it.
//! * The time at which a message is taken is noted for one in 64, for the first of a life, for the first after one whose
//!   handler waited, and whenever a handler waits for the first time. Before that it may be shown as in hand for too long,
//!   by the time of the 63 before it. One that woke its actor is counted from the message behind it, or from the first
//!   look that found it.

use crate::clock::Clock;
use crate::message::MessageId;

/// One message in so many is stamped when it comes, and one in so many when it is taken.
const STAMPED_EVERY: u64 = 64;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Stamp {
    id: MessageId,
    /// Milliseconds since the start of the runtime.
    at_ms: u64,
}

/// When the messages of one queue came. Holds one stamp for each 64 that wait, and no memory of its own while fewer do.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    first: Option<Stamp>,
    /// Rising, behind `first`; empty without it.
    later: Vec<Stamp>,
}

impl Arrivals {
    /// Whether the message with that number is stamped wherever it stands.
    #[inline(always)]
    pub(crate) fn is_due(id: MessageId) -> bool {
        id.0.is_multiple_of(STAMPED_EVERY)
    }

    /// Whether nobody is stamped.
    #[inline(always)]
    pub(crate) fn is_blank(&self) -> bool {
        self.first.is_none()
    }

    /// Stamps the message that stands behind all others; `oldest` is the number of the one in front.
    pub(crate) fn note(&mut self, id: MessageId, oldest: MessageId, now_ms: u64) {
        let stamp = Stamp { id, at_ms: now_ms };
        if self.first.is_none() {
            self.first = Some(stamp);
            return;
        }
        // A queue whose oldest are shed is never empty: what is older than the stamp of its oldest goes here.
        let passed = self.later.partition_point(|stamp| stamp.id <= oldest);
        if let Some(nearest) = self.later[..passed].last() {
            self.first = Some(*nearest);
            self.later.drain(..passed);
        }
        self.later.push(stamp);
    }

    /// When the message with that number came: the stamp nearest before it, else the one nearest behind it.
    pub(crate) fn of(&self, id: MessageId) -> Option<u64> {
        let passed = self.later.partition_point(|stamp| stamp.id <= id);
        self.later[..passed].last().or(self.first.as_ref()).map(|stamp| stamp.at_ms)
    }

    /// When the message with that number came, which is still there; noted now if nothing is known.
    pub(crate) fn found(&mut self, id: MessageId, now_ms: u64) -> u64 {
        if self.is_blank() {
            self.note(id, id, now_ms);
        }
        self.of(id).unwrap_or(now_ms)
    }

    /// When the first that is stamped came.
    #[inline]
    pub(crate) fn first(&self) -> Option<u64> {
        self.first.map(|stamp| stamp.at_ms)
    }

    /// Takes over the stamps of another queue, and forgets its own.
    #[inline]
    pub(crate) fn take_over(&mut self, other: &mut Arrivals) {
        self.first = other.first.take();
        self.later.clear();
        if !other.later.is_empty() {
            std::mem::swap(&mut self.later, &mut other.later);
        }
    }

    /// Adds the stamps of a queue whose messages all came later.
    pub(crate) fn append(&mut self, later: &mut Arrivals) {
        match self.first {
            None => self.first = later.first,
            Some(_) => self.later.extend(later.first),
        }
        self.later.append(&mut later.later);
        later.first = None;
    }
}

/// Since when the incarnation has its message in hand.
#[derive(Debug, Default)]
pub(crate) struct InHandSince {
    /// Milliseconds since the start of the runtime; `None` for a message that woke its actor.
    at_ms: Option<u64>,
    /// The clock is read again with the message that finds 1 here, or less. 0: the handler of the last one has waited, or
    /// there is none yet.
    left: u64,
}

impl InHandSince {
    /// A message was taken.
    #[inline]
    pub(crate) fn took(&mut self, clock: &Clock) {
        if self.left > 1 {
            self.left -= 1;
        } else {
            self.note(clock, STAMPED_EVERY);
        }
    }

    /// What is taken from now on came at `came_ms` or later.
    #[inline]
    pub(crate) fn not_before(&mut self, came_ms: Option<u64>) {
        self.at_ms = self.at_ms.max(came_ms);
    }

    /// Nothing is there to be taken: the next message will wake the actor, however long that may be.
    #[inline]
    pub(crate) fn rests(&mut self) {
        self.at_ms = None;
    }

    /// The handler waits. Only the first time counts; when it is done, much time may have passed.
    pub(crate) fn waits(&mut self, clock: &Clock) {
        if self.left > 0 {
            self.note(clock, 0);
        }
    }

    /// Another incarnation takes messages from now on.
    pub(crate) fn begin(&mut self) {
        self.left = 0;
    }

    /// Since when the message is in hand, which is still there; `latest_ms` if nothing is known.
    pub(crate) fn found(&mut self, latest_ms: u64) -> u64 {
        *self.at_ms.get_or_insert(latest_ms)
    }

    #[cold]
    #[inline(never)]
    fn note(&mut self, clock: &Clock, left: u64) {
        self.at_ms = Some(clock.elapsed_ms());
        self.left = left;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A queue of the given numbers, each put in a millisecond after the one before, the first into an empty one.
    async fn queue(clock: Clock, numbers: std::ops::RangeInclusive<u64>) -> Arrivals {
        let mut arrivals = Arrivals::default();
        let first = *numbers.start();
        for number in numbers {
            put(&mut arrivals, clock, number, first).await;
        }
        arrivals
    }

    async fn put(arrivals: &mut Arrivals, clock: Clock, number: u64, oldest: u64) {
        if arrivals.is_blank() || Arrivals::is_due(MessageId(number)) {
            arrivals.note(MessageId(number), MessageId(oldest), clock.elapsed_ms());
        }
        clock.sleep(std::time::Duration::from_millis(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_is_as_old_as_the_nearest_stamped_one_before_it() {
        let clock = Clock::default();
        let arrivals = queue(clock, 10..=200).await;

        // 10 came at 0 ms, 64 at 54 ms, 128 at 118 ms, 192 at 182 ms.
        let table = [(9, 0), (10, 0), (63, 0), (64, 54), (127, 54), (200, 182)];
        for (number, came_ms) in table {
            assert_eq!(arrivals.of(MessageId(number)), Some(came_ms), "message {number}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_sheds_its_oldest_for_ever_holds_few_stamps() {
        let clock = Clock::default();
        let mut arrivals = Arrivals::default();
        for number in 1..=10_000_u64 {
            let oldest = number.saturating_sub(100).max(1);
            put(&mut arrivals, clock, number, oldest).await;
        }

        assert!(arrivals.later.len() <= 3, "{}", arrivals.later.len());
        let came_ms = arrivals.of(MessageId(9_900)).expect("the oldest is known");
        assert!((9_899 - 64..=9_899).contains(&came_ms), "{came_ms}");
    }

    #[tokio::test(start_paused = true)]
    async fn stamps_of_two_queues_are_joined_in_their_order() {
        let clock = Clock::default();
        let (mut early, mut late) = (queue(clock, 1..=70).await, queue(clock, 71..=130).await);

        early.append(&mut late);

        let table = [(1, Some(0)), (70, Some(63)), (71, Some(70)), (130, Some(127))];
        for (number, came_ms) in table {
            assert_eq!(early.of(MessageId(number)), came_ms, "message {number}");
        }
        assert_eq!((late.first(), late.of(MessageId(130))), (None, None));
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_is_read_for_one_message_taken_in_64_and_after_each_that_waited() {
        let clock = Clock::default();
        let mut since = InHandSince::default();
        let mut seen = Vec::new();
        for number in 0..130_u64 {
            since.took(&clock);
            if number == 100 {
                since.waits(&clock);
            }
            seen.push(since.found(u64::MAX));
            clock.sleep(std::time::Duration::from_millis(1)).await;
        }

        let noted: Vec<u64> = (0..130).filter(|&at| seen[at as usize] == at).collect();
        assert_eq!(noted, [0, 64, 100, 101]);
        assert_eq!((seen[63], seen[99], seen[129]), (0, 64, 101));
    }
}
