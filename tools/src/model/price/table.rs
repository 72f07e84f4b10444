//! All prices of one version: what a call did cost, and what one may.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::request::ModelRequest;
use crate::model::usage::Usage;

use super::money::NanoUsd;
use super::rates::ModelPrice;

/// What providers add to a request, in tokens, whatever is in it.
const REQUEST_OVERHEAD: u64 = 64;
/// What they add for tools at all, and for each: they describe the use of tools in words of theirs.
const TOOLS_OVERHEAD: u64 = 1_024;
const TOOL_OVERHEAD: u64 = 32;

/// Prices of one source and version. Never changed: new prices are a new table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceTable {
    version: PriceVersion,
    /// By provider, then by model.
    models: BTreeMap<String, BTreeMap<String, ModelPrice>>,
}

/// Which prices: to be recorded with each spend, so that it can be computed again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PriceVersion {
    /// Where they come from.
    pub source: String,
    /// Which of its versions.
    pub version: String,
    /// Since when they hold, as the source writes it.
    pub valid_from: String,
    /// A hash of all prices: two tables that differ have different ones, whatever they are called.
    pub digest: String,
}

/// What a call cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Priced {
    /// How much.
    pub nano_usd: NanoUsd,
    /// By which prices.
    pub price_version: PriceVersion,
    /// The tokens were estimated, so this is too.
    pub estimated: bool,
}

/// The most that a call can use and cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorstCase {
    /// How much.
    pub nano_usd: NanoUsd,
    /// Tokens of the request.
    pub input_tokens: u64,
    /// Tokens of the answer.
    pub output_tokens: u64,
    /// Calls: one.
    pub calls: u64,
    /// By which prices.
    pub price_version: PriceVersion,
}

/// Why there is no price.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PriceError {
    /// The table does not have the model. A model without a price is never free.
    #[error("{version} has no price for {provider}/{model}")]
    UnknownModel {
        /// Who was asked for.
        provider: String,
        /// And for which model.
        model: String,
        /// Where it was looked for.
        version: Box<PriceVersion>,
    },
    /// More than 18 billion dollars.
    #[error("no amount is that large")]
    TooMuch,
    /// The source does not have it, or it differs from hour to hour.
    #[error("the price of {provider}/{model} cannot be told: {why}")]
    NotTold {
        /// Who.
        provider: String,
        /// Which model.
        model: String,
        /// Why not.
        why: String,
    },
}

impl PriceTable {
    /// A table of these prices.
    pub fn new(
        source: impl Into<String>,
        version: impl Into<String>,
        valid_from: impl Into<String>,
        prices: impl IntoIterator<Item = (String, String, ModelPrice)>,
    ) -> Self {
        let mut models: BTreeMap<String, BTreeMap<String, ModelPrice>> = BTreeMap::new();
        for (provider, model, price) in prices {
            models.entry(provider).or_default().insert(model, price);
        }
        let digest = digest_of(&models);
        let (source, version, valid_from) = (source.into(), version.into(), valid_from.into());
        PriceTable { version: PriceVersion { source, version, valid_from, digest }, models }
    }

    /// Which prices these are.
    pub fn version(&self) -> &PriceVersion {
        &self.version
    }

    /// What a model costs.
    ///
    /// # Errors
    ///
    /// [`PriceError::UnknownModel`].
    pub fn price(&self, provider: &str, model: &str) -> Result<&ModelPrice, PriceError> {
        self.models.get(provider).and_then(|models| models.get(model)).ok_or_else(|| {
            PriceError::UnknownModel {
                provider: provider.to_owned(),
                model: model.to_owned(),
                version: Box::new(self.version.clone()),
            }
        })
    }

    /// What a call cost.
    ///
    /// # Errors
    ///
    /// [`PriceError::UnknownModel`], [`PriceError::TooMuch`].
    pub fn cost(&self, provider: &str, model: &str, usage: &Usage) -> Result<Priced, PriceError> {
        let nano_usd = self.price(provider, model)?.cost(usage).ok_or(PriceError::TooMuch)?;
        Ok(Priced { nano_usd, price_version: self.version.clone(), estimated: usage.estimated })
    }

    /// The most that `request` can cost: each byte counted as a token, with something for what providers write around; all
    /// input at the dearest of its kinds; and an answer as long as the request allows, thought or said.
    ///
    /// A byte is the least that a token of a byte-level tokenizer stands for. Not covered: what a provider does and charges
    /// unasked, such as searches of its own.
    ///
    /// # Errors
    ///
    /// [`PriceError::UnknownModel`], [`PriceError::TooMuch`].
    pub fn upper_bound(
        &self,
        provider: &str,
        model: &str,
        request: &ModelRequest,
    ) -> Result<WorstCase, PriceError> {
        let input_tokens = input_bound(request);
        let output_tokens = u64::from(request.max_output_tokens());
        let most = self.price(provider, model)?.most(input_tokens, output_tokens);
        Ok(WorstCase {
            nano_usd: most.ok_or(PriceError::TooMuch)?,
            input_tokens,
            output_tokens,
            calls: 1,
            price_version: self.version.clone(),
        })
    }
}

fn digest_of(models: &BTreeMap<String, BTreeMap<String, ModelPrice>>) -> String {
    // Maps with strings and numbers: nothing that JSON has no form for.
    let text = serde_json::to_vec(models).expect("prices have a form in JSON");
    Sha256::digest(&text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn input_bound(request: &ModelRequest) -> u64 {
    let tools = u64::try_from(request.tools().len()).unwrap_or(u64::MAX);
    let for_tools = if tools == 0 { 0 } else { TOOLS_OVERHEAD + tools.saturating_mul(TOOL_OVERHEAD) };
    request.input_bytes().saturating_add(REQUEST_OVERHEAD).saturating_add(for_tools)
}

impl fmt::Display for PriceVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.source, self.version, self.digest)
    }
}
