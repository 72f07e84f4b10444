//! What every engine promises, as tests: one function each, named as the promise.
//!
//! `store_conformance!` makes a test of each of them for an engine. They panic when the promise is broken.
#![expect(clippy::missing_panics_doc, reason = "that is what all of them are for")]

mod asides; // messages that were laid aside, returned, forgotten
mod contents; // bodies, journals, tries
mod message_damage; // damage of messages and of what belongs to them
mod messages; // messages that wait, their tries and journals
mod request_damage; // damage of requests and answers
mod requests; // messages with a request id, and the answers to them
mod state_damage; // damage of states and heads
mod states; // states, epochs, numbers of commits

pub use {
    asides::*, contents::*, message_damage::*, messages::*, request_damage::*, requests::*, state_damage::*,
    states::*,
};

use super::record::{ContentKey, FORMAT, RecordKey, STORE_HEAD_KEY, Slot, actor_prefix, reformat};
use super::{
    Batch, BatchOutcome, CONTENT_LEN_MAX, CommitSeq, Damage, DamagePlace, DamageReason, Delivered,
    JournalEntry, LaidAside, REQUEST_LEN_MAX, Record, SNAPSHOT_LEN_MAX, Scan, Snapshot, Store, StoreError,
    StoredAnswer, StoredMessage, Tries,
};
use crate::address::{ActorPath, Epoch};
use crate::message::MessageId;

/// How the tests reach an engine: they open its content, and damage it while it is closed.
pub trait StoreHarness {
    /// Opens the content; the opening before was dropped. The first time the content is empty.
    ///
    /// # Errors
    ///
    /// What the engine says.
    fn open(&self) -> Result<Box<dyn Store>, StoreError>;
    /// Every raw record, sorted by key. Called between openings.
    fn raw_records(&self) -> Vec<(Vec<u8>, Vec<u8>)>;
    /// Puts a raw record in its place, or removes it. Called between openings.
    fn put_raw(&self, key: Vec<u8>, value: Option<Vec<u8>>);
}

/// Runs all promises of a [`Store`] on an engine: `store_conformance!(my_store, MyHarness::new());`.
///
/// The harness is made anew for each promise.
#[macro_export]
macro_rules! store_conformance {
    ($name:ident, $harness:expr) => {
        mod $name {
            use super::*;

            $crate::store_conformance!(@tests $harness;
                an_actor_without_records_is_empty
                the_newest_record_is_there_after_a_commit
                the_newest_record_is_there_after_reopening
                a_refused_group_leaves_nothing
                batches_of_one_actor_apply_in_their_order
                a_stale_epoch_fails_only_its_own_batch
                a_claim_fences_the_life_before
                the_epoch_survives_reopening
                commits_are_numbered_without_gaps
                snapshots_of_every_length_come_back
                a_shorter_snapshot_leaves_nothing_of_a_longer_one
                a_damaged_chunk_costs_one_snapshot_and_is_reported
                a_damaged_slot_header_costs_one_snapshot_and_is_reported
                a_damaged_head_costs_no_snapshot_and_is_reported
                a_lost_write_is_reported
                damage_in_both_slots_leaves_no_snapshot_and_is_reported
                damage_in_the_spare_slot_is_reported
                a_record_under_a_foreign_key_is_refused
                after_damage_the_next_snapshot_spares_the_good_slot
                actors_do_not_see_one_another
                actors_are_listed_sorted
                a_newer_format_is_refused_with_both_named
                a_damaged_head_of_the_store_is_refused
                a_store_has_one_owner_at_a_time

                a_delivered_message_is_in_each_later_scan
                messages_and_commits_share_their_numbers
                a_store_that_was_only_asked_again_opens
                a_done_message_leaves_with_its_tries_and_its_journal
                done_is_all_or_nothing_with_the_state_and_the_deliveries_beside_it
                a_stale_batch_delivers_nothing
                from_outside_only_messages_are_written
                bodies_of_every_length_come_back_and_leave_nothing
                a_journal_entry_replaces_the_one_in_its_place
                tries_are_those_of_a_message_that_waits
                contents_beyond_the_limits_are_refused
                batches_of_a_group_see_one_another
                batches_of_a_group_see_what_is_gone
                an_inbox_makes_no_new_life

                a_repeated_request_adds_nothing
                an_answered_request_is_answered_as_then
                done_without_an_answer_forgets_the_request
                ended_answers_are_deleted_by_later_ones_and_not_before
                answers_of_a_group_are_deleted_like_others
                an_answer_to_another_request_is_not_kept
                requests_of_different_actors_are_different

                what_is_laid_aside_keeps_request_and_journal
                what_is_returned_waits_under_a_new_number
                what_is_forgotten_leaves_nothing
                what_was_not_laid_aside_is_not_returned
                a_returned_message_disturbs_no_request_but_its_own
                a_long_cause_is_cut_between_letters

                damage_of_messages_is_reported_where_it_is
                a_newer_format_of_a_message_is_refused
                damage_in_one_inbox_leaves_the_others_alone
                a_damaged_request_is_not_taken_for_an_unknown_one
                a_message_disturbs_no_request_but_its_own
                a_message_with_a_damaged_request_can_be_done
                a_damaged_answer_goes_when_its_time_is_over
                an_old_end_takes_no_newer_answer
                a_damaged_end_stops_no_other
                a_new_journal_entry_replaces_a_damaged_one
                a_delivery_makes_up_no_lost_head
            );
        }
    };
    (@tests $harness:expr; $($promise:ident)*) => {
        $(#[test]
        fn $promise() {
            $crate::store::conformance::$promise(&$harness);
        })*
    };
}

/// Paths of which one is the start of another, or sorts oddly beside it.
const ALIKE: [&str; 6] = ["a", "a/b", "a-b", "ab", "a0", "a/b/c"];

fn flip(harness: &dyn StoreHarness, key: &[u8]) {
    let mut value = value_of(&harness.raw_records(), key).expect("the record was written");
    let middle = value.len() / 2;
    value[middle] ^= 0x01;
    harness.put_raw(key.to_vec(), Some(value));
}

fn value_of(records: &[(Vec<u8>, Vec<u8>)], key: &[u8]) -> Option<Vec<u8>> {
    records.iter().find(|(found, _)| found == key).map(|(_, value)| value.clone())
}

fn open(harness: &dyn StoreHarness) -> Box<dyn Store> {
    harness.open().expect("the store opens")
}

fn commit(store: &dyn Store, batch: Batch) -> BatchOutcome {
    store.commit(&[batch]).expect("the store writes").remove(0)
}

/// A batch that put no message into an inbox.
fn committed(seq: u64) -> BatchOutcome {
    BatchOutcome::Committed { seq: CommitSeq(seq), deliveries: Vec::new() }
}

fn scan(store: &dyn Store, actor: &str) -> Scan {
    store.scan(&path(actor)).expect("the store reads")
}

fn path(actor: &str) -> ActorPath {
    ActorPath::parse(actor).expect("a path of the tests is well formed")
}

fn key(actor: &str, record: RecordKey) -> Vec<u8> {
    let key = record.encode(&path(actor));
    debug_assert!(key.starts_with(&actor_prefix(&path(actor))));
    key
}

fn damage(actor: &str, place: DamagePlace, reason: DamageReason) -> Damage {
    Damage { actor: path(actor), place, reason }
}

fn claim(actor: &str, epoch: u64) -> Batch {
    Batch::claim(path(actor), Epoch(epoch))
}

fn batch(actor: &str, epoch: u64, seq: u64, len: usize) -> Batch {
    Batch { records: vec![Record::Snapshot(snapshot(seq, len))], ..claim(actor, epoch) }
}

fn whole(epoch: u64, seq: u64, len: usize) -> Scan {
    Scan { epoch: Epoch(epoch), snapshot: Some(snapshot(seq, len)), ..Scan::default() }
}

fn snapshot(seq: u64, len: usize) -> Snapshot {
    Snapshot { type_name: "test.state".into(), version: seq as u16, seq, state: bytes(len, seq) }
}

/// Commits `records` of a life of `actor`, and says what became of its deliveries.
fn write(store: &dyn Store, actor: &str, epoch: u64, records: Vec<Record>) -> Vec<Delivered> {
    deliveries(commit(store, Batch::of(path(actor), Epoch(epoch), records)))
}

/// Commits `records` from outside, and says what became of its deliveries.
fn send(store: &dyn Store, records: Vec<Record>) -> Vec<Delivered> {
    deliveries(commit(store, Batch::from_outside(records)))
}

fn deliveries(outcome: BatchOutcome) -> Vec<Delivered> {
    match outcome {
        BatchOutcome::Committed { deliveries, .. } => deliveries,
        stale @ BatchOutcome::Stale { .. } => panic!("{stale:?}"),
    }
}

/// Delivers one message from outside, and says its number.
fn deliver(store: &dyn Store, to: &str, message: StoredMessage) -> MessageId {
    match send(store, vec![delivery(to, message)])[..] {
        [Delivered::New(id)] => id,
        ref other => panic!("{other:?}"),
    }
}

fn delivery(to: &str, message: StoredMessage) -> Record {
    Record::Deliver { to: path(to), message }
}

fn message(len: usize) -> StoredMessage {
    StoredMessage { name: "test.message".into(), version: 1, body: bytes(len, 7), ..StoredMessage::default() }
}

/// A message with a request id.
fn asked(request: &str, len: usize) -> StoredMessage {
    StoredMessage { request: Some(request.into()), ..message(len) }
}

/// What is found of `message`, once it was accepted as `id`.
fn accepted(id: MessageId, message: StoredMessage) -> StoredMessage {
    StoredMessage { id, origin: id, ..message }
}

fn done(message: MessageId) -> Record {
    Record::Done { message, answer: None }
}

/// Done, with the answer to `request` that came in millisecond `at_ms` and is kept until `until_ms`.
fn answered(message: MessageId, request: &str, at_ms: u64, until_ms: u64, len: usize) -> Record {
    let answer = StoredAnswer { request: request.into(), at_ms, until_ms, body: bytes(len, 9) };
    Record::Done { message, answer: Some(answer) }
}

fn lay_aside(message: MessageId, cause: &str) -> Record {
    Record::LayAside { message, cause: cause.into() }
}

fn give_back(to: &str, message: MessageId) -> Record {
    Record::Return { to: path(to), message }
}

fn forget(of: &str, message: MessageId) -> Record {
    Record::Forget { of: path(of), message }
}

fn counted(n: u32) -> Tries {
    Tries { falls: n, openings: n.wrapping_mul(3) }
}

fn tries(message: MessageId, tries: u32) -> Record {
    Record::Tries { message, tries: counted(tries) }
}

fn journal(message: MessageId, place: u32, len: usize) -> Record {
    Record::Journal(entry(message, place, len))
}

fn entry(message: MessageId, place: u32, len: usize) -> JournalEntry {
    JournalEntry { message, place, content: bytes(len, u64::from(place) + len as u64) }
}

fn laid_aside(store: &dyn Store, actor: &str) -> Vec<LaidAside> {
    store.laid_aside(&path(actor)).expect("the store reads")
}

/// No two salts give the same bytes, and no two places in them are alike.
fn bytes(len: usize, salt: u64) -> Vec<u8> {
    (0..len as u64).map(|at| (at ^ (at >> 8) ^ (salt * 31)) as u8).collect()
}

/// The keys of all raw records of `actor` but its head.
fn keys_of(harness: &dyn StoreHarness, actor: &str) -> Vec<Vec<u8>> {
    let keys = harness.raw_records().into_iter().map(|(key, _)| key);
    let head = key(actor, RecordKey::ActorHead);
    keys.filter(|key| key.starts_with(&actor_prefix(&path(actor))) && *key != head).collect()
}

/// An actor with nothing but messages that wait.
fn waiting(epoch: u64, inbox: &[StoredMessage]) -> Scan {
    Scan { epoch: Epoch(epoch), inbox: inbox.to_vec(), ..Scan::default() }
}
