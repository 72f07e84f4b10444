//! The judge: compares what the clients were told with what lies in the store. It asks no actor.
//!
//! Every message that one actor sends to another is committed with its sender's state, and so at each instant what was sent
//! has been applied by the receiver, or waits for it. The judge checks that at each kill, and at the end that nothing waits.

use std::collections::BTreeSet;

use crate::applied::Applied;
use crate::bank::{self, Credit, Debit, Enter, NewCase, NewOrder, Offered, Pay, Remind, Ring, Ship};
use crate::clients::Books;
use crate::item::{ACCOUNTS, DEPOSIT, Item, Lane, SENDERS, Work};
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
    verdict.reordered = applied.iter().map(|applied| applied.reordered()).sum::<u64>()
        + picture.fronts.iter().map(|front| front.state.reordered).sum::<u64>();
    for sender in 0..SENDERS {
        verdict.lost += lost_at_the_front(&picture.fronts[usize::from(sender)], books, sender);
    }
    for hop in hops(picture) {
        let (sent, there) = (hop.sent, hop.applied.count(hop.lane) + hop.waiting);
        match (when, hop.is_timer) {
            (When::AtTheEnd, _) => {} // counted below, over the whole way
            (When::AfterKill, true) => verdict.timers_missed += sent.saturating_sub(there),
            (When::AfterKill, false) => verdict.lost += sent.saturating_sub(there),
        }
        // Its sender no longer knows of it, and will send it again; or it was applied, and will be again.
        verdict.applied_twice += there.saturating_sub(sent) + hop.waiting_again;
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
    all.extend(picture.tickers.iter().map(|ticker| &ticker.state.applied));
    all.extend(picture.bells.iter().map(|bell| &bell.state.rung));
    all
}

/// What a client was told is accepted is in the state of its front or waits there; what it was told is handled is in the
/// state.
fn lost_at_the_front(front: &Lying<bank::Front>, books: &Books, sender: u8) -> u64 {
    let (book, next) = (books.of(sender), front.state.next);
    let waiting: BTreeSet<u64> = front.waiting(bank::name::<Enter>()).map(|item| item.number).collect();
    let not_there = (next..book.accepted).filter(|number| !waiting.contains(number)).count() as u64;
    not_there + u64::from(book.handled > next && waiting.contains(&(book.handled - 1)))
}

/// One way from an actor to the next, of one lane.
struct Hop<'a> {
    lane: Lane,
    sent: u64,
    applied: &'a Applied,
    /// What waits there and was not applied.
    waiting: u64,
    /// What waits there although it was applied.
    waiting_again: u64,
    is_timer: bool,
}

impl<'a> Hop<'a> {
    fn of<S>(lane: Lane, sent: u64, at: &Lying<S>, message: &str, applied: &'a Applied) -> Self {
        let (mut waiting, mut waiting_again) = (BTreeSet::new(), 0);
        for item in at.waiting(message).filter(|item| item.lane() == lane) {
            let is_new = !applied.has(lane, item.index()) && waiting.insert(item);
            waiting_again += u64::from(!is_new);
        }
        Hop { lane, sent, applied, waiting: waiting.len() as u64, waiting_again, is_timer: false }
    }
}

fn hops(picture: &Picture) -> Vec<Hop<'_>> {
    let mut hops = Vec::new();
    for lane in Lane::all() {
        let sent = lane.len_after(picture.fronts[usize::from(lane.sender())].state.next);
        let counter = usize::from(lane.counter());
        match lane.work() {
            Work::Transfer => {
                let (from, to) = lane.accounts();
                let (from, to) = (&picture.accounts[usize::from(from)], &picture.accounts[usize::from(to)]);
                let (debits, credits) = (&from.state.debits, &to.state.credits);
                hops.push(Hop::of(lane, sent, from, bank::name::<Debit>(), debits));
                hops.push(Hop::of(lane, debits.count(lane), to, bank::name::<Credit>(), credits));
            }
            Work::Order => {
                let reception = &picture.receptions[counter];
                let (payment, shipping) = (&picture.payments[counter], &picture.shippings[counter]);
                let [first, second, third] =
                    [&reception.state.applied, &payment.state.applied, &shipping.state.applied];
                hops.push(Hop::of(lane, sent, reception, bank::name::<NewOrder>(), first));
                hops.push(Hop::of(lane, first.count(lane), payment, bank::name::<Pay>(), second));
                hops.push(Hop::of(lane, second.count(lane), shipping, bank::name::<Ship>(), third));
            }
            Work::Case => {
                let giver = &picture.givers[counter];
                hops.push(Hop::of(lane, sent, giver, bank::name::<NewCase>(), &giver.state.cases));
            }
            Work::Reminder => {
                let (ticker, bell) = (&picture.tickers[counter], &picture.bells[counter]);
                let applied = &ticker.state.applied;
                hops.push(Hop::of(lane, sent, ticker, bank::name::<Remind>(), applied));
                let due = ticker.state.due.values().filter(|item| item.lane() == lane).count() as u64;
                let rung = applied.count(lane) - due;
                let ring = Hop::of(lane, rung, bell, bank::name::<Ring>(), &bell.state.rung);
                hops.push(Hop { is_timer: true, ..ring });
            }
        }
    }
    hops
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

/// Each case that came in has one owner: the taker that says it has it, else the giver that still lists it.
fn owners(picture: &Picture, verdict: &mut Verdict) {
    let takers = || picture.takers.iter().map(|taker| &taker.state);
    verdict.handoffs_offered = takers().map(|taker| taker.offers.total()).sum();
    verdict.handoffs_accepted = takers().map(|taker| taker.taken.total()).sum();
    verdict.handoffs_refused = takers().map(|taker| taker.refused.total()).sum();
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
        }
    }
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
            Work::Reminder => picture.bells[counter].state.rung.count(lane),
        };
        match lane.work() {
            Work::Reminder => verdict.timers_missed += accepted.saturating_sub(ended),
            _ => verdict.lost += accepted.saturating_sub(ended),
        }
    }
    verdict.lost += picture.givers.iter().map(|giver| giver.state.open.len() as u64).sum::<u64>();
}
