//! What every engine promises, as tests: one function each, named as the promise.
//!
//! `store_conformance!` makes a test of each of them for an engine. They panic when the promise is broken.
#![expect(clippy::missing_panics_doc, reason = "that is what all of them are for")]

mod asides; // messages that were laid aside, returned, forgotten
mod births; // how actors were made, and their end
mod budgets; // budgets and charges
mod contents; // bodies, journals, tries
mod logs; // logs of a state: appended, trimmed, damaged
mod message_damage; // damage of messages and of what belongs to them
mod messages; // messages that wait, their tries and journals
mod owners; // cases: one owner each
mod records; // what the promises write
mod request_damage; // damage of requests and answers
mod requests; // messages with a request id, and the answers to them
mod state_damage; // damage of states and heads
mod states; // states, epochs, numbers of commits
mod timer_damage; // damage of timers and births
mod timers; // timers: set, cancelled, fired
mod unfinished; // who has something to see to

use records::*;
pub use {
    asides::*, births::*, budgets::*, contents::*, logs::*, message_damage::*, messages::*, owners::*,
    request_damage::*, requests::*, state_damage::*, states::*, timer_damage::*, timers::*, unfinished::*,
};

use std::collections::BTreeSet;

use super::record::{
    ContentKey, Envelope, FORMAT, Kind, RecordKey, STORE_HEAD_KEY, Slot, actor_prefix, case_key, reformat,
};
use super::{
    Batch, BatchOutcome, CONTENT_LEN_MAX, CaseChange, CaseOffer, CaseOwner, CommitSeq, Damage, DamagePlace,
    DamageReason, Delivered, JOURNAL_LEN_MAX, JournalEntry, LaidAside, ListedCase, LogEntry, REQUEST_LEN_MAX,
    Record, SNAPSHOT_LEN_MAX, Scan, Snapshot, Store, StoreError, StoredAnswer, StoredMessage, StoredTimer,
    Tries,
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
                a_lost_write_of_a_short_state_is_reported
                a_lost_spare_slot_is_reported
                damage_in_both_slots_leaves_no_snapshot_and_is_reported
                damage_in_the_spare_slot_is_reported
                a_record_under_a_foreign_key_is_refused
                after_damage_the_next_snapshot_spares_the_good_slot
                actors_do_not_see_one_another
                actors_are_listed_sorted
                a_newer_format_is_refused_with_both_named
                a_damaged_head_of_the_store_is_refused
                a_store_has_one_owner_at_a_time
                a_store_keeps_its_id_and_shares_it_with_no_other
                an_end_in_order_is_known_until_the_next_commit

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
                what_is_damaged_can_be_forgotten
                what_was_not_laid_aside_is_not_returned
                a_returned_message_disturbs_no_request_but_its_own
                what_is_returned_expires_no_more
                a_long_cause_is_cut_between_letters

                a_timer_is_there_until_it_is_cancelled
                a_timer_puts_its_message_behind_those_that_wait
                a_timer_that_is_due_again_is_set_anew
                a_timer_that_is_not_due_then_adds_nothing
                a_timer_with_a_request_id_adds_nothing_twice
                a_stale_life_neither_sets_nor_fires
                timers_of_every_length_come_back_and_leave_nothing
                a_group_sets_and_fires_in_its_order

                a_birth_is_there_until_the_next_one
                births_of_every_length_come_back_and_leave_nothing
                a_birth_makes_no_new_life
                an_erased_actor_is_empty_and_its_lives_are_over
                each_erasure_raises_the_epoch
                whoever_has_nothing_is_not_erased
                an_erasure_takes_what_came_before_it_and_not_what_comes_after
                an_actor_that_erases_itself_writes_no_more
                a_stale_life_neither_makes_nor_erases

                the_unfinished_have_something_to_see_to
                the_unfinished_are_finished_in_the_end
                a_forgotten_journal_leaves_its_message

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
                a_lost_request_is_told_of_by_its_message
                a_lost_message_is_told_of_by_its_request
                an_answer_and_its_end_tell_of_each_other

                a_damaged_timer_is_set_or_cancelled_and_not_fired
                a_new_birth_replaces_a_damaged_one
                an_erasure_mends_all_damage

                entries_are_there_until_they_are_trimmed
                an_entry_replaces_the_one_in_its_place
                entries_are_written_with_their_state_or_not_at_all
                a_group_appends_and_trims_in_its_order
                a_damaged_entry_is_left_out_and_reported

                a_case_has_one_owner_until_it_is_closed
                a_change_that_does_not_hold_fails_only_its_own_batch
                of_two_who_accept_one_has_the_case
                changes_of_a_batch_see_one_another
                a_stale_life_changes_no_case
                from_outside_a_case_is_only_assigned
                cases_are_listed_in_pages_sorted
                cases_of_an_erased_actor_stay_until_they_are_assigned
                a_damaged_owner_is_an_error_and_never_nobody
                a_newer_format_of_a_case_is_refused
                names_of_cases_have_a_bound

                what_is_charged_is_listed_until_it_is_settled
                what_is_settled_twice_is_settled_once
                a_bill_above_its_charge_is_an_overdraft_and_stops_its_budget
                a_charge_outlives_its_message_and_its_actor
                what_closed_budgets_spent_goes_to_those_above
                changes_of_a_budget_add_up_in_a_group
                a_stale_life_charges_and_settles_nothing
                a_damaged_budget_is_listed_as_such_until_it_is_opened_anew
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

/// Makes the content what it was, but for the numbers that were given since.
fn restore(harness: &dyn StoreHarness, records: &[(Vec<u8>, Vec<u8>)]) {
    let found = harness.raw_records();
    let all: BTreeSet<_> = found.iter().chain(records).map(|(key, _)| key).collect();
    for key in all.into_iter().filter(|key| *key != STORE_HEAD_KEY) {
        let value = value_of(records, key);
        if value_of(&found, key) != value {
            harness.put_raw(key.clone(), value);
        }
    }
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
        refused => panic!("{refused:?}"),
    }
}

/// Delivers one message from outside, and says its number.
fn deliver(store: &dyn Store, to: &str, message: StoredMessage) -> MessageId {
    match send(store, vec![delivery(to, message)])[..] {
        [Delivered::New(id)] => id,
        ref other => panic!("{other:?}"),
    }
}

fn laid_aside(store: &dyn Store, actor: &str) -> Vec<LaidAside> {
    store.laid_aside(&path(actor)).expect("the store reads")
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
