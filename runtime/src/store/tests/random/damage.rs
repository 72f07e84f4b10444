//! One damaged record among many is never silently wrong.
//!
//! Every actor is read as if nothing had happened, but for what was in the damaged record, and that is reported.
//!
//! A bit of a key that flips moves a record: it is lost in one place, and foreign in another. Where it is foreign it is
//! reported, for the actor whose it seems to be now; unless its key is that of no actor. The loss alone cannot be seen
//! where the record stood for itself, with none beside it that tells of it; so a scan without damage is tolerated, and
//! expected, where the record moved out of its actor, and was
//!
//! * a message without a request id, an entry of a journal or a log, a timer or a birth that fits into one record,
//! * a count of tries,
//! * the head of an actor that has no other record,
//! * the owner of a case: that one has nobody then.

use super::actor::Actor;
use super::model::Model;
use super::*;
use crate::store::Tries;
use crate::store::record::{CASES_PREFIX, ContentKey, RecordKey, STORE_HEAD_KEY, actor_prefix, case_key};
use crate::store::{BatchOutcome, CaseOwner, Delivered, Scan, StoredMessage};

/// Goal: no flipped bit gives what was never committed, or less in silence.
#[test]
fn a_flipped_bit_is_never_silently_wrong() {
    fn property(steps: Vec<Step>, record: usize, bit: usize) -> bool {
        is_never_silently_wrong(&steps, record, |key, mut value| {
            let bit = bit % (value.len() * 8);
            value[bit / 8] ^= 1 << (bit % 8);
            (key, value)
        })
    }
    quickcheck(1_000, property as fn(Vec<Step>, usize, usize) -> bool);
}

/// Goal: the same for a bit in a key, where a record seems lost and another one, unknown, appears.
#[test]
fn a_flipped_bit_in_a_key_is_never_silently_wrong() {
    fn property(steps: Vec<Step>, record: usize, bit: usize) -> bool {
        is_never_silently_wrong(&steps, record, |mut key, value| {
            let bit = bit % (key.len() * 8);
            key[bit / 8] ^= 1 << (bit % 8);
            (key, value)
        })
    }
    quickcheck(1_000, property as fn(Vec<Step>, usize, usize) -> bool);
}

/// Goal: the same for a value that lost its end.
#[test]
fn a_cut_value_is_never_silently_wrong() {
    fn property(steps: Vec<Step>, record: usize, len: usize) -> bool {
        is_never_silently_wrong(&steps, record, |key, mut value| {
            value.truncate(len % value.len());
            (key, value)
        })
    }
    quickcheck(500, property as fn(Vec<Step>, usize, usize) -> bool);
}

fn is_never_silently_wrong(
    steps: &[Step],
    record: usize,
    do_damage: impl FnOnce(Vec<u8>, Vec<u8>) -> (Vec<u8>, Vec<u8>),
) -> bool {
    let store = MemoryStore::new();
    let model = agrees_with_the_model(&store, steps);
    let before = store.raw_records();
    let Some((from, value)) = before.get(record % before.len().max(1)).cloned() else { return true };
    let (to, value) = do_damage(from.clone(), value);
    store.put_raw(from.clone(), None);
    store.put_raw(to.clone(), Some(value));
    if from == STORE_HEAD_KEY {
        return ACTORS.iter().all(|name| matches!(store.scan(&path(name)), Err(StoreError::HeadDamaged)));
    }

    if !are_rightly_owned(&store, &model, &from, &to) {
        println!("the cases are wrong: {:?}", store.cases(None, 9));
        return false;
    }
    if !is_reported(&store, &to) {
        println!("{to:?} is not reported");
        return false;
    }
    let stood_alone = !from.starts_with(&CASES_PREFIX) && stood_alone(&from, &before);
    ACTORS.iter().zip(&model.actors).all(|(name, actor)| {
        let (from, to) = (Place::of(name, &from), Place::of(name, &to));
        let is_told_of = is_told_of(&from, actor);
        let damaged = Damaged { from, to, stood_alone, is_told_of };
        let is_right =
            damaged.is_rightly_scanned(&store, name, actor) && damaged.is_rightly_asked(&store, name, actor);
        if !is_right {
            println!("{name} is wrong: {damaged:?}, found {:?}", store.scan(&path(name)));
        }
        is_right
    })
}

/// Whether each case is told of as the model has it, or as damaged; only one whose record is gone from its place, with
/// nothing left there, has nobody. None has another owner than it had.
fn are_rightly_owned(store: &MemoryStore, model: &Model, from: &[u8], to: &[u8]) -> bool {
    let is_right = |(case, found): (&str, Result<Option<CaseOwner>, StoreError>)| {
        let (was, is) = (case_key(case) == from, case_key(case) == to);
        match found {
            Ok(None) => !model.cases.contains_key(case) || (was && !is),
            Ok(found) => found.as_ref() == model.cases.get(case) && !was && !is,
            Err(StoreError::CaseDamaged { case: named, .. }) => named == case && is,
            Err(error) => panic!("{error}"),
        }
    };
    let listed = store.cases(None, 9).unwrap();
    let are_listed = listed.into_iter().all(|(case, found)| match found {
        Ok(owner) => model.cases.get(case.as_str()) == Some(&owner) && case_key(&case) != to,
        Err(_) => case_key(&case) == to,
    });
    are_listed && CASES.iter().all(|case| is_right((case, store.case(case))))
}

/// Whether another record names the one at `place`: a request and its message, an answer and its end name each other.
fn is_told_of(place: &Place, actor: &Actor) -> bool {
    let Place::Of(record) = place else { return false };
    match record {
        RecordKey::AnswerEnd { .. } | RecordKey::Content(ContentKey::Request(_), _) => true,
        RecordKey::Content(ContentKey::Message(id) | ContentKey::LaidAside(id), _) => {
            let aside = actor.aside.get(id).map(|aside| &aside.message);
            actor.inbox.get(id).or(aside).is_some_and(|message| message.request.is_some())
        }
        _ => false,
    }
}

/// Whether what is kept under `key` is one record, and no other.
fn stood_alone(key: &[u8], records: &[(Vec<u8>, Vec<u8>)]) -> bool {
    let count = |prefix: &[u8]| records.iter().filter(|(key, _)| key.starts_with(prefix)).count();
    let name = ACTORS.iter().find(|name| key.starts_with(&actor_prefix(&path(name)))).unwrap();
    match Place::of(name, key) {
        Place::Of(RecordKey::Content(content, _)) => {
            count(&RecordKey::Content(content, 0).encode(&path(name))) == 1
        }
        Place::Of(RecordKey::ActorHead) => count(&actor_prefix(&path(name))) == 1,
        Place::Of(RecordKey::Tries(_) | RecordKey::AnswerEnd { .. }) => true,
        _ => false,
    }
}

/// Whether the record that is now under `key` is reported for the actor whose it seems to be.
fn is_reported(store: &MemoryStore, key: &[u8]) -> bool {
    let actors = store.actors().unwrap();
    let owner = actors.iter().find(|actor| key.starts_with(&actor_prefix(actor)));
    owner.is_none_or(|owner| !store.scan(owner).unwrap().damage.is_empty())
}

/// What a key is to one actor.
#[derive(Debug, PartialEq)]
enum Place {
    Of(RecordKey),
    /// Among its records, but none that this version writes.
    Stray,
    Elsewhere,
}

impl Place {
    fn of(actor: &str, key: &[u8]) -> Self {
        match key.strip_prefix(actor_prefix(&path(actor)).as_slice()).map(RecordKey::decode) {
            Some(Some(record)) => Place::Of(record),
            Some(None) => Place::Stray,
            None => Place::Elsewhere,
        }
    }

    fn is_of_state(&self) -> bool {
        matches!(self, Place::Of(RecordKey::ActorHead | RecordKey::SlotHeader(_) | RecordKey::Chunk(..)))
    }

    fn is_of(&self, content: &ContentKey) -> bool {
        matches!(self, Place::Of(RecordKey::Content(found, _)) if found == content)
    }
}

/// The damaged record as one actor sees it: where it was, and where it is.
#[derive(Debug)]
struct Damaged {
    from: Place,
    to: Place,
    stood_alone: bool,
    is_told_of: bool,
}

impl Damaged {
    fn touches(&self, content: &ContentKey) -> bool {
        self.from.is_of(content) || self.to.is_of(content)
    }

    fn is_rightly_scanned(&self, store: &MemoryStore, name: &str, actor: &Actor) -> bool {
        let (found, expected) = (store.scan(&path(name)).unwrap(), self.left_of(actor.scan()));
        let kept = &actor.snapshots[actor.snapshots.len().saturating_sub(2)..];
        let is_right_state = match self.from.is_of_state() || self.to.is_of_state() {
            true => {
                let is_kept = found.snapshot.as_ref().is_none_or(|snapshot| kept.contains(snapshot));
                is_kept && found.epoch <= expected.epoch
            }
            false => (found.epoch, &found.snapshot) == (expected.epoch, &expected.snapshot),
        };
        let mut asides = actor.asides();
        asides.retain(|aside| !self.touches(&ContentKey::LaidAside(aside.message.id)));
        let is_right_damage = match (&self.from, &self.to) {
            (Place::Elsewhere, Place::Elsewhere) => found.damage.is_empty(),
            (Place::Of(RecordKey::ActorHead), Place::Elsewhere) if self.stood_alone => {
                found == Scan::default()
            }
            (_, Place::Elsewhere) if self.stood_alone && !self.is_told_of => found.damage.is_empty(),
            _ => !found.damage.is_empty(),
        };
        (found.inbox, found.journal) == (expected.inbox, expected.journal)
            && (found.timers, found.birth, found.logs) == (expected.timers, expected.birth, expected.logs)
            && store.laid_aside(&path(name)).unwrap() == asides
            && is_right_state
            && is_right_damage
    }

    /// `scan` without what the record held, and without what it lies upon now.
    fn left_of(&self, mut scan: Scan) -> Scan {
        let lost = |id| Place::Of(RecordKey::Tries(id));
        for message in &mut scan.inbox {
            if [&self.from, &self.to].contains(&&lost(message.id)) {
                message.tries = Tries::default();
            }
        }
        scan.inbox.retain(|message| !self.touches(&ContentKey::Message(message.id)));
        scan.journal.retain(|entry| !self.touches(&ContentKey::Journal(entry.message, entry.place)));
        scan.timers.retain(|timer| !self.touches(&ContentKey::Timer(timer.name.clone())));
        scan.logs.retain(|entry| !self.touches(&ContentKey::Entry(entry.log, entry.index)));
        scan.birth = scan.birth.filter(|_| !self.touches(&ContentKey::Birth));
        scan
    }

    /// A request that comes again is told what it would have been told, or refused. Only where its own record, and one
    /// that stood alone, is gone from its place it is unknown.
    fn is_rightly_asked(&self, store: &MemoryStore, name: &str, actor: &Actor) -> bool {
        REQUESTS.iter().all(|request| {
            let key = ContentKey::Request((*request).into());
            let is_lost = self.from.is_of(&key) && !self.to.is_of(&key) && self.stood_alone;
            let message = StoredMessage { request: Some((*request).into()), ..StoredMessage::default() };
            let asked = Batch::from_outside(vec![Record::Deliver { to: path(name), message }]);
            match store.commit(&[asked]).map(|mut outcomes| outcomes.remove(0)) {
                Ok(BatchOutcome::Committed { deliveries, .. }) => {
                    match (&deliveries[0], actor.requests.get(*request)) {
                        (Delivered::New(_), None) => true,
                        (Delivered::New(_), Some(_)) => is_lost,
                        // Why it lies aside, or that it does, is lost with its record.
                        (
                            Delivered::Waiting(told) | Delivered::LaidAside { id: told, .. },
                            Some(Delivered::LaidAside { id, .. }),
                        ) if self.touches(&ContentKey::LaidAside(*id)) => told == id && !is_lost,
                        (told, known) => Some(told) == known && !is_lost,
                    }
                }
                Err(StoreError::Damaged { .. }) => self.touches(&key) && !is_lost,
                other => panic!("{other:?}"),
            }
        })
    }
}
