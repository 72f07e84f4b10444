//! The prices of the crate `genai-prices`, taken out of it once, as integers.
//!
//! It computes with floats and does not show its rates, so each is asked for: what a million tokens of its kind cost.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use genai_prices::{Calculator, PriceCalculation, PriceRequest, Usage, UsageKey};

use super::rates::{ModelPrice, Rates, Tier};
use super::table::{PriceError, PriceTable};

/// The release of the crate, which is the version of its prices; `Cargo.toml` pins it.
const VERSION: &str = "0.2.1";
/// No request is longer.
const INPUT_MAX: u64 = 16_000_000;
const HALF_HOURS: u64 = 48;

impl PriceTable {
    /// The prices of these models, by provider and model, on the day of `wall_ms` (milliseconds since 1970, as
    /// [`Clock::wall_ms`](greenroom_runtime::Clock::wall_ms) says). Takes tens of milliseconds the first time: load them once,
    /// at the start.
    ///
    /// Standard service, caches for five minutes, no batches. What a provider charges besides tokens is not in it.
    ///
    /// # Errors
    ///
    /// [`PriceError::NotTold`] for a model that the crate does not know, and for a price that depends on the hour.
    pub fn bundled<'a>(
        models: impl IntoIterator<Item = (&'a str, &'a str)>,
        wall_ms: u64,
    ) -> Result<Self, PriceError> {
        let day = wall_ms / 86_400_000;
        let mut prices = Vec::new();
        for (provider, model) in models {
            prices.push((provider.to_owned(), model.to_owned(), Asked { provider, model, day }.price()?));
        }
        Ok(PriceTable::new("genai-prices", VERSION, format!("day {day} since 1970"), prices))
    }
}

struct Asked<'a> {
    provider: &'a str,
    model: &'a str,
    day: u64,
}

impl Asked<'_> {
    fn price(&self) -> Result<ModelPrice, PriceError> {
        let rates = self.rates(1, 0)?;
        let longest = self.rates(INPUT_MAX, 0)?;
        for half_hour in 1..HALF_HOURS {
            if self.rates(1, half_hour)? != rates || self.rates(INPUT_MAX, half_hour)? != longest {
                return Err(self.not_told("it depends on the hour; give it in a price file"));
            }
        }
        let mut tiers = Vec::new();
        self.find(1, rates, INPUT_MAX, longest, &mut tiers)?;
        Ok(ModelPrice { rates, tiers })
    }

    /// Finds all lengths between two at which the rates change, from rates that differ.
    fn find(
        &self,
        short: u64,
        rates: Rates,
        long: u64,
        others: Rates,
        tiers: &mut Vec<Tier>,
    ) -> Result<(), PriceError> {
        if rates == others {
            return Ok(());
        }
        if long - short == 1 {
            tiers.push(Tier { above_input_tokens: short, rates: others });
            return Ok(());
        }
        let middle = short + (long - short) / 2;
        let between = self.rates(middle, 0)?;
        self.find(short, rates, middle, between, tiers)?;
        self.find(middle, between, long, others, tiers)
    }

    /// What the kinds cost in a request with so many input tokens.
    fn rates(&self, tokens: u64, half_hour: u64) -> Result<Rates, PriceError> {
        const MILLION: f64 = 1e6;
        let count = tokens as f64;
        let with = |more: &[(UsageKey, f64)]| {
            let mut usage = Usage::from([(UsageKey::INPUT_TOKENS, count)]);
            for (key, value) in more {
                usage.insert(key.clone(), *value);
            }
            self.ask(&usage, half_hour)
        };
        let input = |price: PriceCalculation| self.nano(price.input_price / count * MILLION);
        let said = [(UsageKey::OUTPUT_TOKENS, MILLION)];
        let thought = [(UsageKey::OUTPUT_TOKENS, MILLION), (UsageKey::OUTPUT_REASONING_TOKENS, MILLION)];
        Ok(Rates {
            input: input(with(&[])?)?,
            cache_read: input(with(&[(UsageKey::CACHE_READ_TOKENS, count)])?)?,
            cache_creation: input(with(&[(UsageKey::CACHE_WRITE_TOKENS, count)])?)?,
            output: self.nano(with(&said)?.output_price)?,
            reasoning: self.nano(with(&thought)?.output_price)?,
            call: {
                let price = with(&[(UsageKey::REQUESTS, 1.0)])?;
                self.nano((price.total_price - price.input_price - price.output_price).max(0.0))?
            },
        })
    }

    fn ask(&self, usage: &Usage, half_hour: u64) -> Result<PriceCalculation, PriceError> {
        let at: SystemTime = UNIX_EPOCH + Duration::from_secs(self.day * 86_400 + half_hour * 1_800);
        let request = PriceRequest::new(self.model, usage).with_provider_id(self.provider).with_timestamp(at);
        Calculator::bundled().calculate(&request).map_err(|error| self.not_told(&error.to_string()))
    }

    /// The nearest nano-dollar: a float has digits enough for prices up to a million dollars.
    fn nano(&self, usd: f64) -> Result<u64, PriceError> {
        let nano = (usd * 1e9).round();
        if (0.0..1e15).contains(&nano) { Ok(nano as u64) } else { Err(self.not_told("it is no price")) }
    }

    fn not_told(&self, why: &str) -> PriceError {
        let (provider, model) = (self.provider.to_owned(), self.model.to_owned());
        PriceError::NotTold { provider, model, why: why.to_owned() }
    }
}
