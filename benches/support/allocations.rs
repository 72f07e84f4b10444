//! Allocations per message: an allocator that counts, switched on for the counted runs alone.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::instructions::{COUNTED, LONG, SHORT};
use super::table::Table;
use super::workload::{Side, Workload, on_one_thread};

struct Counting;

static ON: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[expect(
    unsafe_code,
    reason = "an allocator is unsafe by its trait; this one hands everything on to the system's"
)]
// SAFETY: each call goes to `System` with the arguments it came with.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if ON.load(Relaxed) {
            COUNT.fetch_add(1, Relaxed);
        }
        // SAFETY: what the caller owes us, it owes `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: `memory` is from `alloc`, and so from `System`.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if ON.load(Relaxed) {
            COUNT.fetch_add(1, Relaxed);
        }
        // SAFETY: as for `dealloc`.
        unsafe { System.realloc(memory, layout, size) }
    }
}

/// Allocations of one message, for each counted workload and side.
pub(crate) struct Allocations(Vec<(Workload, Side, f64)>);

pub(crate) fn per_message() -> Allocations {
    let mut counted = Vec::new();
    for workload in COUNTED {
        for side in Side::ALL {
            let more = count(side, workload, LONG).saturating_sub(count(side, workload, SHORT));
            counted.push((workload, side, more as f64 / (LONG - SHORT) as f64));
        }
    }
    Allocations(counted)
}

fn count(side: Side, workload: Workload, times: u64) -> u64 {
    COUNT.store(0, Relaxed);
    ON.store(true, Relaxed);
    on_one_thread(side, workload, times);
    ON.store(false, Relaxed);
    COUNT.load(Relaxed)
}

impl Allocations {
    pub(crate) fn of(&self, workload: Workload, side: Side) -> Option<f64> {
        self.0.iter().find(|(w, s, _)| (*w, *s) == (workload, side)).map(|(.., count)| *count)
    }
}

impl fmt::Display for Allocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = "allocations per message (counted, one thread)";
        let mut table = Table::new(title, &["", "greenroom", "greenroom-open", "ractor", "tokio"]);
        for workload in COUNTED {
            let mut row = vec![workload.name().to_owned()];
            row.extend(Side::ALL.map(|side| {
                self.of(workload, side).map_or_else(|| "-".to_owned(), |count| format!("{count:.3}"))
            }));
            table.row(row);
        }
        table.fmt(f)
    }
}
