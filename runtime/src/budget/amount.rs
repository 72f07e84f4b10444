//! What is spent: tokens, money, time, calls; and how much of each may be.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something that was spent, or may be at most. Each part adds up by itself; nothing is ever rounded.
///
/// ```
/// use greenroom_runtime::Amount;
///
/// let worst = Amount { tokens: 12_000, nano_usd: 3_500_000, ..Amount::call() };
/// assert_eq!(worst.to_string(), "12000 tokens, $0.003500000, 1 calls");
/// assert_eq!(worst.checked_add(Amount::call()).unwrap().calls, 2);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Amount {
    /// Tokens of models, in and out together.
    pub tokens: u64,
    /// Money, in billionths of a US dollar.
    pub nano_usd: u64,
    /// Time on the wall, in milliseconds.
    pub millis: u64,
    /// Calls.
    pub calls: u64,
}

impl Amount {
    /// Nothing.
    pub const ZERO: Amount = Amount { tokens: 0, nano_usd: 0, millis: 0, calls: 0 };

    /// One call, and nothing else.
    pub const fn call() -> Self {
        Amount { calls: 1, ..Amount::ZERO }
    }

    /// Whether it is nothing.
    pub fn is_zero(&self) -> bool {
        *self == Amount::ZERO
    }

    /// How much of one dimension.
    pub const fn of(&self, dimension: Dimension) -> u64 {
        match dimension {
            Dimension::Tokens => self.tokens,
            Dimension::NanoUsd => self.nano_usd,
            Dimension::Millis => self.millis,
            Dimension::Calls => self.calls,
        }
    }

    /// Both together; `None` if a part does not fit into 64 bits.
    #[must_use]
    pub fn checked_add(self, more: Amount) -> Option<Amount> {
        self.zip(more, u64::checked_add)
    }

    /// Without `less`; `None` if there is not so much.
    #[must_use]
    pub fn checked_sub(self, less: Amount) -> Option<Amount> {
        self.zip(less, u64::checked_sub)
    }

    /// By how much it is above `other`, in each dimension; 0 where it is not.
    #[must_use]
    pub fn above(self, other: Amount) -> Amount {
        Amount::from_parts(|dimension| self.of(dimension).saturating_sub(other.of(dimension)))
    }

    pub(crate) fn from_parts(part: impl Fn(Dimension) -> u64) -> Self {
        Amount {
            tokens: part(Dimension::Tokens),
            nano_usd: part(Dimension::NanoUsd),
            millis: part(Dimension::Millis),
            calls: part(Dimension::Calls),
        }
    }

    fn zip(self, other: Amount, with: impl Fn(u64, u64) -> Option<u64>) -> Option<Amount> {
        Some(Amount {
            tokens: with(self.tokens, other.tokens)?,
            nano_usd: with(self.nano_usd, other.nano_usd)?,
            millis: with(self.millis, other.millis)?,
            calls: with(self.calls, other.calls)?,
        })
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "";
        for dimension in Dimension::ALL.into_iter().filter(|dimension| self.of(*dimension) > 0) {
            write!(f, "{before}{}", dimension.text(self.of(dimension)))?;
            before = ", ";
        }
        if before.is_empty() { f.write_str("nothing") } else { Ok(()) }
    }
}

/// One of the things that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dimension {
    /// [`Amount::tokens`].
    Tokens,
    /// [`Amount::nano_usd`].
    NanoUsd,
    /// [`Amount::millis`].
    Millis,
    /// [`Amount::calls`].
    Calls,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Dimension; 4] =
        [Dimension::Tokens, Dimension::NanoUsd, Dimension::Millis, Dimension::Calls];

    /// For labels of metrics.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Dimension::Tokens => "tokens",
            Dimension::NanoUsd => "nano_usd",
            Dimension::Millis => "millis",
            Dimension::Calls => "calls",
        }
    }

    /// So much of it, for people to read.
    pub(crate) fn text(self, value: u64) -> String {
        match self {
            Dimension::Tokens => format!("{value} tokens"),
            Dimension::NanoUsd => format!("${}.{:09}", value / 1_000_000_000, value % 1_000_000_000),
            Dimension::Millis => format!("{value} ms"),
            Dimension::Calls => format!("{value} calls"),
        }
    }
}

/// How much may be spent: a limit for each dimension, or `None` for no limit of its own. Default: no limit at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BudgetGrant {
    /// Most tokens.
    pub tokens: Option<u64>,
    /// Most money, in billionths of a US dollar.
    pub nano_usd: Option<u64>,
    /// Most time on the wall, in milliseconds, of all calls together.
    pub millis: Option<u64>,
    /// Most calls.
    pub calls: Option<u64>,
}

impl BudgetGrant {
    /// No limit of its own: what lies above decides.
    pub const UNLIMITED: BudgetGrant =
        BudgetGrant { tokens: None, nano_usd: None, millis: None, calls: None };

    /// At most so much money, in billionths of a US dollar.
    pub const fn nano_usd(limit: u64) -> Self {
        BudgetGrant { nano_usd: Some(limit), ..BudgetGrant::UNLIMITED }
    }

    /// At most so many tokens.
    pub const fn tokens(limit: u64) -> Self {
        BudgetGrant { tokens: Some(limit), ..BudgetGrant::UNLIMITED }
    }

    /// At most so many calls.
    pub const fn calls(limit: u64) -> Self {
        BudgetGrant { calls: Some(limit), ..BudgetGrant::UNLIMITED }
    }

    /// The limit in one dimension.
    pub const fn of(&self, dimension: Dimension) -> Option<u64> {
        match dimension {
            Dimension::Tokens => self.tokens,
            Dimension::NanoUsd => self.nano_usd,
            Dimension::Millis => self.millis,
            Dimension::Calls => self.calls,
        }
    }

    /// Each limit raised by that much; what has no limit stays without. `None` if one does not fit into 64 bits.
    pub(crate) fn checked_add(self, more: Amount) -> Option<BudgetGrant> {
        let raised = |limit: Option<u64>, by: u64| match limit {
            Some(limit) => limit.checked_add(by).map(Some),
            None => Some(None),
        };
        Some(BudgetGrant {
            tokens: raised(self.tokens, more.tokens)?,
            nano_usd: raised(self.nano_usd, more.nano_usd)?,
            millis: raised(self.millis, more.millis)?,
            calls: raised(self.calls, more.calls)?,
        })
    }
}
