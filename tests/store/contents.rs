//! What is committed, and whether what is found again is that. The only file here that knows batches, records and scans.
//!
//! Commit `n` is the one batch of actor `n % 3`; so the whole content of a store follows from the number of its last
//! commit, and content that follows from none was half applied. Each batch holds a state, and mail: message `n` goes to
//! the next actor, which writes a journal for it with its commit `n + 1`, and with `n + 4` is done with it or lays it
//! aside, to forget it with `n + 7`. The timer that is set with `n` fires with `n + 3`, and what it sent is done with
//! `n + 6`. Each commit appends an entry to a log, and trims it to the newest three.

use std::ops::RangeInclusive;

use greenroom::{
    ActorPath, Batch, BatchOutcome, CommitSeq, Damage, Delivered, Epoch, JournalEntry, LaidAside, LogEntry,
    MessageId, Record, Scan, Snapshot, Store, StoreError, StoredAnswer, StoredMessage, StoredTimer, Tries,
};

/// Paths of which one is the start of another.
const ACTORS: [&str; 3] = ["desk", "desk/a", "desk/b"];
const EPOCH: Epoch = Epoch(7);
/// From nothing over a part of one chunk to several of them.
const LENS: [usize; 5] = [300, 13_000, 0, 5_000, 8_136];
/// Lengths of what belongs to mail: within one record, and in parts.
const MAIL_LENS: [usize; 7] = [10, 0, 4_100, 100, 300, 1, 9_000];
const TIMER: &str = "wake";

/// How long the states are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lens {
    /// From nothing to four chunks.
    Mixed,
    All(usize),
}

/// What a store was found to hold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Everything up to this commit, nothing of a later one, and no damage.
    Whole(u64),
    /// Everything, and damage that did no harm was reported.
    WholeReported,
    /// For some actor the state before, or none, or not all of its mail; and that was reported.
    FellBackReported,
    /// The store said no.
    Refused(String),
    /// What no history of commits leaves, without a word about it.
    Wrong(String),
}

/// What is kept of one actor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Kept {
    /// Without its damage.
    scan: Scan,
    asides: Vec<LaidAside>,
}

/// Carries out commit `n`.
///
/// # Errors
///
/// What the store says, in words; also when it numbered commit or messages otherwise.
pub(crate) fn commit(store: &dyn Store, n: u64, lens: Lens) -> Result<(), String> {
    let fired = (n > 3).then_some(fired_id(n));
    let deliveries = fired.into_iter().chain([message_id(n)]).map(Delivered::New).collect();
    let committed = BatchOutcome::Committed { seq: CommitSeq(numbers(n)), deliveries };
    match store.commit(&[batch(n, lens)]) {
        Ok(outcomes) if outcomes == [committed] => Ok(()),
        Ok(outcomes) => Err(format!("misnumbered: {outcomes:?}")),
        Err(error) => Err(told(&error)),
    }
}

/// Sends again what was sent with a request id not long before commit `n`, which is the last.
///
/// # Errors
///
/// What the store says, in words; also when it does not know each of them.
pub(crate) fn ask_again(store: &dyn Store, n: u64) -> Result<(), String> {
    let known = |m: &u64| request(*m).is_some() && !(is_laid_aside(*m) && m + 7 <= n);
    let messages: Vec<u64> = (n.saturating_sub(9).max(1)..=n).filter(known).collect();
    let again = messages.iter().map(|m| Record::Deliver { to: path(receiver(*m)), message: message(*m) });
    let told_of = |m: &u64| match (m + 4 <= n, is_laid_aside(*m)) {
        (true, false) => Delivered::Answered(answer(*m).body),
        (true, true) => Delivered::LaidAside { id: message_id(*m), cause: CAUSE.into() },
        (false, _) => Delivered::Waiting(message_id(*m)),
    };
    let deliveries = messages.iter().map(told_of).collect();
    let committed = BatchOutcome::Committed { seq: CommitSeq(numbers(n) + 1), deliveries };
    match store.commit(&[Batch::from_outside(again.collect())]) {
        Ok(outcomes) if outcomes == [committed] => Ok(()),
        Ok(outcomes) => Err(format!("asked again after {n}: {outcomes:?}")),
        Err(error) => Err(told(&error)),
    }
}

/// Compares the content of `store` with that after one of `commits`.
pub(crate) fn judge(store: &dyn Store, commits: RangeInclusive<u64>, lens: Lens) -> Found {
    let read = || -> Result<_, StoreError> {
        let (mut kept, mut damage) = (Vec::new(), Vec::new());
        for actor in ACTORS {
            let mut scan = store.scan(&path(actor))?;
            damage.push(std::mem::take(&mut scan.damage));
            kept.push(Kept { scan, asides: store.laid_aside(&path(actor))? });
        }
        Ok((store.actors()?, store.unfinished()?, kept, damage))
    };
    let (paths, unfinished, found, damage): (Vec<_>, Vec<_>, Vec<Kept>, Vec<Vec<Damage>>) = match read() {
        Ok(read) => read,
        Err(error) => return Found::Refused(told(&error)),
    };
    let is_silent = damage.iter().all(Vec::is_empty);
    for n in commits.clone() {
        let expected: Vec<Kept> = (0..ACTORS.len()).map(|actor| kept_after(n, actor, lens)).collect();
        if found == expected && !is_silent {
            return Found::WholeReported;
        }
        let listed = |is_listed: fn(&Kept) -> bool| {
            let listed = ACTORS.iter().zip(&expected).filter(move |(_, kept)| is_listed(kept));
            listed.map(|(actor, _)| path(actor)).collect::<Vec<_>>()
        };
        let (known, busy) = (listed(|kept| *kept != Kept::default()), listed(is_unfinished));
        if found == expected && (&paths, &unfinished) == (&known, &busy) {
            return Found::Whole(n);
        }
        let is_told = |(actor, (found, expected)): (usize, (&Kept, &Kept))| {
            found == expected || !damage[actor].is_empty() && is_left_of(found, expected, actor, n, lens)
        };
        if !is_silent && found.iter().zip(&expected).enumerate().all(is_told) {
            return Found::FellBackReported;
        }
    }
    let seen = |Kept { scan, asides }: &Kept| {
        let state = scan.snapshot.as_ref().map(|s| (s.seq, s.state.len()));
        let inbox: Vec<_> = scan.inbox.iter().map(|message| message.id.0).collect();
        (scan.epoch.0, state, inbox, scan.journal.len(), scan.timers.len(), asides.len())
    };
    let found: Vec<_> = found.iter().map(seen).collect();
    Found::Wrong(format!("not {commits:?}: {found:?}, {damage:?}, {paths:?}, {unfinished:?}"))
}

/// An error in words that begin with its name.
pub(crate) fn told(error: &StoreError) -> String {
    format!("{error:?}")
}

fn batch(n: u64, lens: Lens) -> Batch {
    let mut records = vec![Record::Snapshot(snapshot(n, lens))];
    if n > 4 {
        let message = message_id(n - 4);
        records.push(match is_laid_aside(n - 4) {
            true => Record::LayAside { message, cause: CAUSE.into() },
            false => Record::Done { message, answer: request(n - 4).map(|_| answer(n - 4)) },
        });
    }
    if n > 6 {
        records.push(Record::Done { message: fired_id(n - 3), answer: None });
    }
    if n > 7 && is_laid_aside(n - 7) {
        records.push(Record::Forget { of: path(writer(n)), message: message_id(n - 7) });
    }
    if n > 3 {
        records.push(Record::Fire { name: TIMER.into(), due_ms: n - 3, next_ms: None });
    }
    records.push(Record::SetTimer(timer(n)));
    if n > 1 {
        records.push(Record::Tries { message: message_id(n - 1), tries: tries(n - 1) });
        records.push(Record::Journal(entry(n - 1)));
    }
    records.push(Record::Deliver { to: path(receiver(n)), message: message(n) });
    records.push(Record::Append(logged(n)));
    records.push(Record::Trim { log: 0, keep: n.saturating_sub(6)..n + 1 });
    if is_born(n) {
        records.push(Record::Birth { of: path(receiver(n)), content: mail(n, 3) });
    }
    Batch::of(path(writer(n)), EPOCH, records)
}

/// What is kept of `actor` after commit `n`.
fn kept_after(n: u64, actor: usize, lens: Lens) -> Kept {
    let own = |n: &u64| *n > 0 && actor_of(*n) == actor;
    let sent = |m: &u64| *m > 0 && actor_of(*m + 1) == actor;
    let last = |count| n.saturating_sub(count)..=n;
    let newest = last(2).rev().find(own);

    let waiting = last(3).filter(sent).map(|m| StoredMessage {
        id: message_id(m),
        origin: message_id(m),
        tries: if m < n { tries(m) } else { Tries::default() },
        ..message(m)
    });
    let fired = newest.filter(|n| *n > 3).map(|n| StoredMessage {
        id: fired_id(n),
        origin: fired_id(n),
        due_ms: Some(n - 3),
        ..timer(n - 3).message
    });
    let mut inbox: Vec<_> = waiting.chain(fired).collect();
    inbox.sort_by_key(|message| message.id);
    let is_aside = |m: &u64| sent(m) && is_laid_aside(*m) && m + 4 <= n;
    let has_journal = |m: &u64| is_aside(m) || sent(m) && (m + 1..m + 4).contains(&n);
    let aside = |m| {
        let id = message_id(m);
        LaidAside { message: StoredMessage { id, origin: id, ..message(m) }, cause: CAUSE.into() }
    };
    let scan = Scan {
        epoch: newest.map_or(Epoch(0), |_| EPOCH),
        snapshot: newest.map(|n| snapshot(n, lens)),
        inbox,
        journal: last(6).filter(has_journal).map(entry).collect(),
        logs: newest.into_iter().flat_map(|n| n.saturating_sub(6)..=n).filter(own).map(logged).collect(),
        timers: newest.map(timer).into_iter().collect(),
        birth: (1..=n).rev().find(|n| sent(n) && is_born(*n)).map(|n| mail(n, 3)),
        damage: Vec::new(),
    };
    Kept { scan, asides: last(6).filter(is_aside).map(aside).collect() }
}

/// Whether `actor` once had this state, or none, by commit `n`, and whether all of its mail is among `expected`.
fn is_left_of(found: &Kept, expected: &Kept, actor: usize, n: u64, lens: Lens) -> bool {
    let is_of_the_past = |kept: &Snapshot| {
        (1..=n).contains(&kept.seq) && actor_of(kept.seq) == actor && *kept == snapshot(kept.seq, lens)
    };
    let untried = |message: &StoredMessage| StoredMessage { tries: Tries::default(), ..message.clone() };
    let is_expected = |message: &StoredMessage| {
        expected.scan.inbox.iter().any(|known| message == known || *message == untried(known))
    };
    let (scan, known) = (&found.scan, &expected.scan);
    scan.epoch <= EPOCH
        && scan.snapshot.as_ref().is_none_or(is_of_the_past)
        && scan.inbox.iter().all(is_expected)
        && scan.journal.iter().all(|entry| known.journal.contains(entry))
        && scan.logs.iter().all(|entry| known.logs.contains(entry))
        && scan.timers.iter().all(|timer| known.timers.contains(timer))
        && (scan.birth.is_none() || scan.birth == known.birth)
        && found.asides.iter().all(|aside| expected.asides.contains(aside))
}

fn is_unfinished(kept: &Kept) -> bool {
    !(kept.scan.inbox.is_empty() && kept.scan.journal.is_empty() && kept.scan.timers.is_empty())
}

// ---- what belongs to commit `n` ----

const CAUSE: &str = "it fell";

fn actor_of(n: u64) -> usize {
    n as usize % ACTORS.len()
}

fn writer(n: u64) -> &'static str {
    ACTORS[actor_of(n)]
}

fn receiver(n: u64) -> &'static str {
    writer(n + 1)
}

fn path(actor: &str) -> ActorPath {
    ActorPath::parse(actor).unwrap()
}

fn is_laid_aside(n: u64) -> bool {
    n.is_multiple_of(5)
}

fn is_born(n: u64) -> bool {
    n % 4 == 1
}

/// How many numbers were given after commit `n`: one for itself, one for its message, and from the fourth on one for what
/// its timer sends.
fn numbers(n: u64) -> u64 {
    2 * n + n.saturating_sub(3)
}

/// The number of what the timer sends with commit `n`, from the fourth on.
fn fired_id(n: u64) -> MessageId {
    MessageId(numbers(n - 1) + 1)
}

fn message_id(n: u64) -> MessageId {
    MessageId(numbers(n) - 1)
}

fn request(n: u64) -> Option<String> {
    (!n.is_multiple_of(3)).then(|| format!("order-{n}"))
}

fn message(n: u64) -> StoredMessage {
    StoredMessage {
        name: "proof.message".into(),
        version: 1,
        sender: Some(path(writer(n))),
        request: request(n),
        body: mail(n, 0),
        ..StoredMessage::default()
    }
}

fn tries(n: u64) -> Tries {
    Tries { falls: n as u32, openings: 1 }
}

fn entry(n: u64) -> JournalEntry {
    JournalEntry { message: message_id(n), place: 0, content: mail(n, 1) }
}

/// An entry of a log, of which the newest three are kept.
fn logged(n: u64) -> LogEntry {
    LogEntry { log: 0, index: n, content: mail(n, 5) }
}

fn timer(n: u64) -> StoredTimer {
    let message = StoredMessage { name: "proof.wake".into(), body: mail(n, 2), ..StoredMessage::default() };
    StoredTimer { name: TIMER.into(), due_ms: n, every_ms: None, message }
}

/// The answer to message `n`, which is given with commit `n + 4`.
fn answer(n: u64) -> StoredAnswer {
    let request = request(n).unwrap_or_default();
    StoredAnswer { request, at_ms: n + 4, until_ms: n + 10, body: mail(n, 4) }
}

/// What of commit `n` is no state, each kind of another length.
fn mail(n: u64, kind: u64) -> Vec<u8> {
    bytes(MAIL_LENS[(n + kind * 3) as usize % MAIL_LENS.len()], n * 5 + kind)
}

fn snapshot(n: u64, lens: Lens) -> Snapshot {
    let len = match lens {
        Lens::Mixed => LENS[n as usize % LENS.len()],
        Lens::All(len) => len,
    };
    Snapshot { type_name: "proof.state".into(), version: 1, seq: n, state: bytes(len, n) }
}

/// No two salts give the same bytes, and no two places in them are alike.
fn bytes(len: usize, salt: u64) -> Vec<u8> {
    (0..len as u64).map(|at| (at ^ (at >> 8) ^ salt.wrapping_mul(0x9e37_79b9) >> 8) as u8).collect()
}
