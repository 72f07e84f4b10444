//! The judge: compares what the clients were told with what lies in the store. It asks no actor.
//!
//! Every message that one actor sends to another is committed with its sender's state, and so at each instant what was sent
//! has been applied by the receiver, or waits for it; so is every reminder, with the state of who set it. The judge checks
//! that at each kill, and at the end that nothing waits.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use crate::applied::Applied;
use crate::bank::{
    self, BEAT, Credit, Debit, Due, IN_WORK, NewCase, NewOrder, Offered, Pay, Remind, Ship, Ticker,
};
use crate::clients::Books;
use crate::item::{ACCOUNTS, DEPOSIT, Item, Lane, TAKERS, Work, path};
use crate::picture::{Lying, Picture};
use crate::verdict::Verdict;

/// Whether there may be work under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    AfterKill,
    AtTheEnd,
}

/// What is wrong in one picture. Each counts from the beginning of the run, because the states do.
pub(crate) fn judge(picture: &Picture, books: &Books, when: When, verdict: &mut Verdict) {
    verdict.accepted = books.accepted();
    verdict.lost += picture.damage.len() as u64;
    let applied = all_applied(picture);
    verdict.applied_twice = applied.iter().map(|applied| applied.twice()).sum();
    verdict.reordered = applied.iter().map(|applied| applied.reordered()).sum();
    for hop in hops(picture, books) {
        let there = hop.applied.count(hop.lane) + hop.waiting;
        match when {
            When::AtTheEnd => {} // counted below, over the whole way
            When::AfterKill => verdict.lost += hop.sent.start().saturating_sub(there),
        }
        // Its sender no longer knows of it, and will send it again; or it was applied, and will be again.
        verdict.applied_twice += there.saturating_sub(*hop.sent.end()) + hop.waiting_again;
    }
    for lane in Lane::all() {
        verdict.lost += told_too_early(picture, books, lane);
    }
    verdict.outlived = picture.tickers.iter().map(|ticker| ticker.state.outlived).sum();
    for ticker in &picture.tickers {
        judge_timers(ticker, verdict);
    }
    verdict.money_drift += money_drift(picture);
    owners(picture, verdict);
    if when == When::AtTheEnd {
        judge_end(picture, books, verdict);
    }
}

fn all_applied(picture: &Picture) -> Vec<&Applied> {
    let mut all = Vec::new();
    all.extend(picture.accounts.iter().flat_map(|account| [&account.state.debits, &account.state.credits]));
    all.extend(picture.receptions.iter().map(|reception| &reception.state.applied));
    all.extend(picture.payments.iter().map(|payment| &payment.state.applied));
    all.extend(picture.shippings.iter().map(|shipping| &shipping.state.applied));
    all.extend(picture.givers.iter().map(|giver| &giver.state.cases));
    all.extend(picture.takers.iter().map(|taker| &taker.state.offers));
    all.extend(picture.tickers.iter().map(|ticker| &ticker.state.set));
    all
}

/// What waits although its client was told that it is handled.
fn told_too_early(picture: &Picture, books: &Books, lane: Lane) -> u64 {
    let counter = usize::from(lane.counter());
    let accepted = books.of(lane.sender()).accepted;
    let is_told = |item: &Item| item.lane() == lane && item.is_asked() && item.number < accepted;
    let waiting = match lane.work() {
        Work::Transfer => {
            let from = &picture.accounts[usize::from(lane.accounts().0)];
            from.waiting(bank::name::<Debit>()).filter(is_told).count()
        }
        Work::Order => picture.receptions[counter].waiting(bank::name::<NewOrder>()).filter(is_told).count(),
        Work::Case => picture.givers[counter].waiting(bank::name::<NewCase>()).filter(is_told).count(),
        Work::Reminder => picture.tickers[counter].waiting(bank::name::<Remind>()).filter(is_told).count(),
    };
    waiting as u64
}

/// One way to an actor, of one lane.
struct Hop<'a> {
    lane: Lane,
    /// How much was sent at least, and at most: what a client sent last it may not have been told of, and who asks writes
    /// down that it asked only when it has the answer.
    sent: RangeInclusive<u64>,
    applied: &'a Applied,
    /// What waits there and was not applied.
    waiting: u64,
    /// What waits there although it was applied.
    waiting_again: u64,
}

impl<'a> Hop<'a> {
    fn of<S>(
        lane: Lane,
        sent: RangeInclusive<u64>,
        at: &Lying<S>,
        message: &str,
        applied: &'a Applied,
    ) -> Self {
        let (mut waiting, mut waiting_again) = (BTreeSet::new(), 0);
        for item in at.waiting(message).filter(|item| item.lane() == lane) {
            let is_new = !applied.has(lane, item.index()) && waiting.insert(item);
            waiting_again += u64::from(!is_new);
        }
        Hop { lane, sent, applied, waiting: waiting.len() as u64, waiting_again }
    }
}

/// What was sent together with what its sender applied.
fn exactly(applied: &Applied, lane: Lane) -> RangeInclusive<u64> {
    applied.count(lane)..=applied.count(lane)
}

fn hops<'a>(picture: &'a Picture, books: &Books) -> Vec<Hop<'a>> {
    let mut hops = Vec::new();
    for lane in Lane::all() {
        let accepted = books.of(lane.sender()).accepted;
        let sent = lane.len_after(accepted)..=lane.len_after(accepted + 1);
        let counter = usize::from(lane.counter());
        match lane.work() {
            Work::Transfer => {
                let (from, to) = lane.accounts();
                let (from, to) = (&picture.accounts[usize::from(from)], &picture.accounts[usize::from(to)]);
                let (debits, credits) = (&from.state.debits, &to.state.credits);
                hops.push(Hop::of(lane, sent, from, bank::name::<Debit>(), debits));
                hops.push(Hop::of(lane, exactly(debits, lane), to, bank::name::<Credit>(), credits));
            }
            Work::Order => {
                let reception = &picture.receptions[counter];
                let (payment, shipping) = (&picture.payments[counter], &picture.shippings[counter]);
                let [first, second, third] =
                    [&reception.state.applied, &payment.state.applied, &shipping.state.applied];
                hops.push(Hop::of(lane, sent, reception, bank::name::<NewOrder>(), first));
                hops.push(Hop::of(lane, exactly(first, lane), payment, bank::name::<Pay>(), second));
                let in_hand = payment.waiting(bank::name::<Pay>()).any(|item| item.lane() == lane);
                let asked = second.count(lane)..=second.count(lane) + u64::from(in_hand);
                hops.push(Hop::of(lane, asked, shipping, bank::name::<Ship>(), third));
            }
            Work::Case => {
                let giver = &picture.givers[counter];
                hops.push(Hop::of(lane, sent, giver, bank::name::<NewCase>(), &giver.state.cases));
            }
            Work::Reminder => {
                let ticker = &picture.tickers[counter];
                hops.push(Hop::of(lane, sent, ticker, bank::name::<Remind>(), &ticker.state.set));
            }
        }
    }
    hops
}

/// Each reminder that is awaited is set, or has come and waits; and no other. Each came once, not before its time.
fn judge_timers(ticker: &Lying<Ticker>, verdict: &mut Verdict) {
    let Ticker { awaited, came, beats, early, beats_missed, .. } = &ticker.state;
    let mut to_come = ticker.timers.clone();
    let beats_on = to_come.remove(BEAT);
    verdict.timers_missed += early + beats_missed + u64::from(beats.is_some() && !beats_on);
    for item in ticker.waiting(bank::name::<Due>()) {
        // It waits already, or is set still.
        verdict.applied_twice += u64::from(!to_come.insert(item.request()));
    }
    let awaited: BTreeSet<String> = awaited.keys().map(|item| item.request()).collect();
    verdict.timers_missed += awaited.difference(&to_come).count() as u64;
    verdict.applied_twice += to_come.difference(&awaited).count() as u64 + came.twice();
}

/// Each balance is what was applied to it; and all balances, with what is on its way, are what there was at first.
fn money_drift(picture: &Picture) -> u64 {
    let mut drift = 0;
    let mut all = 0;
    for account in &picture.accounts {
        let state = &account.state;
        drift += state.balance.abs_diff(DEPOSIT - state.debits.money() + state.credits.money());
        all += state.balance;
        let is_new = |item: &Item| !state.credits.has(item.lane(), item.index());
        let on_their_way = account.waiting(bank::name::<Credit>()).filter(is_new);
        all += on_their_way.map(|item| item.lane().amount()).sum::<i64>();
    }
    drift + all.abs_diff(DEPOSIT * i64::from(ACCOUNTS))
}

/// Each case that came in has one owner: the taker that says it has it, else the giver that still lists it. The record of
/// the case names the same one, until it is closed.
fn owners(picture: &Picture, verdict: &mut Verdict) {
    let takers = || picture.takers.iter().map(|taker| &taker.state);
    verdict.handoffs_offered = takers().map(|taker| taker.offers.total()).sum();
    verdict.handoffs_accepted = takers().map(|taker| taker.taken.total()).sum();
    verdict.handoffs_refused = takers().map(|taker| taker.refused.total()).sum();
    let mut recorded = 0;
    for lane in Lane::of(Work::Case) {
        let giver = &picture.givers[usize::from(lane.counter())].state;
        for index in 0..giver.cases.next(lane) {
            let owners = takers().filter(|taker| taker.taken.has(lane, index)).count();
            let offered = giver.open.get(&(lane, index));
            // Whoever asks the giver is sent to the taker it names: another one that has the case is a second owner.
            let names_another = offered.is_some_and(|Offered { to }| {
                owners > 0 && !picture.takers[usize::from(*to)].state.taken.has(lane, index)
            });
            verdict.owners_none += u64::from(owners == 0 && offered.is_none());
            verdict.owners_two += u64::from(owners > 1 || names_another);
            recorded += u64::from(is_rightly_recorded(picture, lane, index, verdict));
        }
    }
    // Of a case that never came in.
    verdict.owners_two += (picture.cases.len() as u64).saturating_sub(recorded);
}

/// Holds the record of a case against the states of giver and takers. Whether there is one.
fn is_rightly_recorded(picture: &Picture, lane: Lane, index: u64, verdict: &mut Verdict) -> bool {
    let taken = |n: u8| &picture.takers[usize::from(n)].state.taken;
    let taker = (0..TAKERS).find(|n| taken(*n).has(lane, index));
    let is_closed = taker.is_some_and(|n| is_closed(taken(n), lane, index));
    let Some(record) = picture.cases.get(&lane.item(index).request()) else {
        verdict.owners_none += u64::from(!is_closed);
        return false;
    };
    let offered = picture.givers[usize::from(lane.counter())].state.open.get(&(lane, index));
    let (owner, hop) = match (taker, offered) {
        (Some(n), _) => (Some(path("taker", n)), None),
        (None, Some(Offered { to })) => (Some(path("giver", lane.counter())), Some(lane.hop(*to))),
        (None, None) => (None, None),
    };
    let names_the_same =
        owner.as_ref() == Some(&record.owner) && hop == record.offer.as_ref().map(|offer| offer.hop);
    verdict.owners_two += u64::from(is_closed || !names_the_same);
    true
}

/// A taker closes the case that lies so far behind the newest one of its lane.
fn is_closed(taken: &Applied, lane: Lane, index: u64) -> bool {
    index + IN_WORK < taken.next(lane)
}

/// Nothing waits, and everything has come to its end.
fn judge_end(picture: &Picture, books: &Books, verdict: &mut Verdict) {
    for lane in Lane::all() {
        let (accepted, counter) =
            (lane.len_after(books.of(lane.sender()).accepted), usize::from(lane.counter()));
        let ended = match lane.work() {
            Work::Transfer => picture.accounts[usize::from(lane.accounts().1)].state.credits.count(lane),
            Work::Order => picture.shippings[counter].state.applied.count(lane),
            Work::Case => picture.takers.iter().map(|taker| taker.state.taken.count(lane)).sum(),
            Work::Reminder => picture.tickers[counter].state.came.count(lane),
        };
        match lane.work() {
            Work::Reminder => verdict.timers_missed += accepted.saturating_sub(ended),
            _ => verdict.lost += accepted.saturating_sub(ended),
        }
    }
    verdict.lost += picture.givers.iter().map(|giver| giver.state.open.len() as u64).sum::<u64>();
    let beats = picture.tickers.iter().filter_map(|ticker| ticker.state.beats);
    verdict.timers_missed += beats.filter(|beats| beats.life != verdict.kills).count() as u64;
}
