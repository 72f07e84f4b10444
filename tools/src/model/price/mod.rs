//! What a call costs, and what it may cost at most: in whole nano-dollars, by prices that have a version.
//!
//! `docs/admission.md` has the format of a price file.

#[cfg(feature = "prices")]
mod bundled; // the prices of the crate `genai-prices`
mod file; // prices from JSON
mod money; // nano-dollars, and exact decimals
mod rates; // what each kind of token costs
mod table; // all prices of one version
#[cfg(test)]
mod tests;

pub use file::PriceFileError;
pub use money::NanoUsd;
pub use rates::{ModelPrice, Rates, Tier};
pub use table::{PriceError, PriceTable, PriceVersion, Priced, WorstCase};
