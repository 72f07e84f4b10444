//! Prices from JSON: a file of one's own, or LiteLLM's.

use serde::Deserialize;
use serde_json::{Map, Number, Value};

use super::money::shifted;
use super::rates::{ModelPrice, Rates, Tier};
use super::table::PriceTable;

/// Why a file of prices is none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PriceFileError {
    /// It is no JSON, or has fields that are missing or unknown.
    #[error("not a file of prices: {0}")]
    Json(#[from] serde_json::Error),
    /// A price is below zero, or too large.
    #[error("{text} is no price of {model}")]
    BadPrice {
        /// Whose price.
        model: String,
        /// What it says.
        text: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    source: String,
    version: String,
    valid_from: String,
    models: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    provider: String,
    model: String,
    usd_per_million: PerMillion,
    /// For the call itself.
    usd_per_call: Option<Number>,
    #[serde(default)]
    above: Vec<Above>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Above {
    input_tokens: u64,
    usd_per_million: PerMillion,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PerMillion {
    input: Number,
    output: Number,
    cache_read: Option<Number>,
    cache_creation: Option<Number>,
    reasoning: Option<Number>,
}

impl PerMillion {
    fn rates(&self, model: &str, call: u64) -> Result<Rates, PriceFileError> {
        let read = |number: &Number| exactly(number, 9, model);
        let or = |number: &Option<Number>, other: u64| number.as_ref().map_or(Ok(other), read);
        let (input, output) = (read(&self.input)?, read(&self.output)?);
        Ok(Rates {
            input,
            cache_read: or(&self.cache_read, input)?,
            cache_creation: or(&self.cache_creation, input)?,
            output,
            reasoning: or(&self.reasoning, output)?,
            call,
        })
    }
}

impl PriceTable {
    /// Reads a file of prices in dollars; `docs/admission.md` has its format. What is not given costs as much as the kind that
    /// it is part of.
    ///
    /// # Errors
    ///
    /// [`PriceFileError`].
    pub fn from_json(text: &str) -> Result<Self, PriceFileError> {
        let file: File = serde_json::from_str(text)?;
        let mut prices = Vec::new();
        for entry in file.models {
            let name = &entry.model;
            let call = entry.usd_per_call.as_ref().map_or(Ok(0), |number| exactly(number, 9, name))?;
            let rates = entry.usd_per_million.rates(name, call)?;
            let mut tiers = Vec::new();
            for above in &entry.above {
                let rates = above.usd_per_million.rates(name, call)?;
                tiers.push(Tier { above_input_tokens: above.input_tokens, rates });
            }
            prices.push((entry.provider, entry.model, ModelPrice { rates, tiers }));
        }
        Ok(PriceTable::new(file.source, file.version, file.valid_from, prices))
    }

    /// Reads LiteLLM's `model_prices_and_context_window.json`: its models with prices for input and output tokens. It has no
    /// version of its own, so say which one it is.
    ///
    /// # Errors
    ///
    /// [`PriceFileError`].
    pub fn from_litellm(text: &str, version: &str, valid_from: &str) -> Result<Self, PriceFileError> {
        let all: Map<String, Value> = serde_json::from_str(text)?;
        let mut prices = Vec::new();
        for (name, entry) in &all {
            let Some(provider) = entry["litellm_provider"].as_str() else { continue };
            let Some(rates) = litellm(entry, "", None, name)? else { continue };
            let mut lengths: Vec<u64> =
                entry.as_object().into_iter().flatten().filter_map(|(key, _)| length(key)).collect();
            lengths.sort_unstable();
            lengths.dedup();
            let mut tiers: Vec<Tier> = Vec::new();
            for thousands in lengths {
                let below = tiers.last().map_or(rates, |tier| tier.rates);
                let suffix = format!("_above_{thousands}k_tokens");
                if let Some(rates) = litellm(entry, &suffix, Some(below), name)? {
                    tiers.push(Tier { above_input_tokens: thousands.saturating_mul(1_000), rates });
                }
            }
            let model = name.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/')).unwrap_or(name);
            prices.push((provider.to_owned(), model.to_owned(), ModelPrice { rates, tiers }));
        }
        Ok(PriceTable::new("litellm", version, valid_from, prices))
    }
}

/// `200` of `input_cost_per_token_above_200k_tokens`.
fn length(key: &str) -> Option<u64> {
    key.split_once("_above_")?.1.strip_suffix("k_tokens")?.parse().ok()
}

/// Dollars a token. `below`: what is not said costs that.
fn litellm(
    entry: &Value,
    suffix: &str,
    below: Option<Rates>,
    model: &str,
) -> Result<Option<Rates>, PriceFileError> {
    let read = |key: &str| match &entry[format!("{key}{suffix}")] {
        Value::Number(number) => exactly(number, 15, model).map(Some),
        _ => Ok(None),
    };
    let input = read("input_cost_per_token")?.or(below.map(|rates| rates.input));
    let output = read("output_cost_per_token")?.or(below.map(|rates| rates.output));
    let (Some(input), Some(output)) = (input, output) else { return Ok(None) };
    let or =
        |key: &str, lower: Option<u64>, other: u64| read(key).map(|rate| rate.or(lower).unwrap_or(other));
    let lower = |of: fn(&Rates) -> u64| below.as_ref().map(of);
    Ok(Some(Rates {
        input,
        cache_read: or("cache_read_input_token_cost", lower(|rates| rates.cache_read), input)?,
        cache_creation: or("cache_creation_input_token_cost", lower(|rates| rates.cache_creation), input)?,
        output,
        reasoning: or("output_cost_per_reasoning_token", lower(|rates| rates.reasoning), output)?,
        call: 0,
    }))
}

/// The shortest decimal of a number is what stands in the file.
fn exactly(number: &Number, shift: i32, model: &str) -> Result<u64, PriceFileError> {
    let text = number.to_string();
    shifted(&text, shift).ok_or(PriceFileError::BadPrice { model: model.to_owned(), text })
}
