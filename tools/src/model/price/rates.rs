//! What each kind of token costs, exactly.

use serde::{Deserialize, Serialize};

use crate::model::usage::Usage;

use super::money::NanoUsd;

/// A million tokens.
const PER: u128 = 1_000_000;

/// Prices of each kind of token, in nano-dollars a million, and of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// Input that is neither read from the cache nor written to it.
    pub input: u64,
    /// Input read from the cache.
    pub cache_read: u64,
    /// Input written to the cache.
    pub cache_creation: u64,
    /// Output that is no reasoning.
    pub output: u64,
    /// Output that was thought and not said.
    pub reasoning: u64,
    /// Nano-dollars for the call itself.
    pub call: u64,
}

/// Other prices for requests with long inputs: they hold for all tokens of such a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// For requests with more input tokens than that.
    pub above_input_tokens: u64,
    /// What they cost.
    pub rates: Rates,
}

/// What a model costs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelPrice {
    /// What a request costs that belongs to no tier.
    pub rates: Rates,
    /// Other prices for longer requests, by length.
    pub tiers: Vec<Tier>,
}

impl ModelPrice {
    /// What `usage` costs: exact, and rounded half up to a nano-dollar once, for the whole call. `None` above 18 billion
    /// dollars.
    ///
    /// Where the parts are more than the whole, which no provider should say, each part is charged.
    pub fn cost(&self, usage: &Usage) -> Option<NanoUsd> {
        let rates = self.rates_for(usage.input_tokens);
        let plain = usage
            .input_tokens
            .saturating_sub(usage.cache_read_tokens.saturating_add(usage.cache_creation_tokens));
        let said = usage.output_tokens.saturating_sub(usage.reasoning_tokens);
        let total = sum([
            (plain, rates.input),
            (usage.cache_read_tokens, rates.cache_read),
            (usage.cache_creation_tokens, rates.cache_creation),
            (said, rates.output),
            (usage.reasoning_tokens, rates.reasoning),
        ])?;
        amount(total.checked_add(PER / 2)? / PER, rates.call)
    }

    /// The most that a call can cost with so many tokens or fewer; rounded up.
    pub fn most(&self, input_tokens: u64, output_tokens: u64) -> Option<NanoUsd> {
        let reachable = self.tiers.iter().filter(|tier| input_tokens > tier.above_input_tokens);
        let all = || std::iter::once(&self.rates).chain(reachable.clone().map(|tier| &tier.rates));
        let most = |of: fn(&Rates) -> u64| all().map(of).max().unwrap_or(0);
        let input = most(|rates| rates.input.max(rates.cache_read).max(rates.cache_creation));
        let output = most(|rates| rates.output.max(rates.reasoning));
        let total = sum([(input_tokens, input), (output_tokens, output)])?;
        amount(total.div_ceil(PER), most(|rates| rates.call))
    }

    fn rates_for(&self, input_tokens: u64) -> &Rates {
        let reached = self.tiers.iter().filter(|tier| input_tokens > tier.above_input_tokens);
        reached.max_by_key(|tier| tier.above_input_tokens).map_or(&self.rates, |tier| &tier.rates)
    }
}

fn sum<const N: usize>(parts: [(u64, u64); N]) -> Option<u128> {
    parts.iter().try_fold(0_u128, |sum, (tokens, rate)| {
        sum.checked_add(u128::from(*tokens).checked_mul(u128::from(*rate))?)
    })
}

fn amount(tokens: u128, call: u64) -> Option<NanoUsd> {
    u64::try_from(tokens.checked_add(u128::from(call))?).ok().map(NanoUsd)
}
