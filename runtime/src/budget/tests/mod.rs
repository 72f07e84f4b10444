//! The tree of budgets: by hand, and against a model that keeps no sums.

mod ledger; // by hand
mod random; // random trees, beside a model that adds everything up anew
