//! Money in whole nano-dollars, and decimals that are read without a float.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An amount of money: a billionth of a dollar each. Up to 18 billion dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NanoUsd(pub u64);

impl fmt::Display for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}.{:09}", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

/// The decimal `text` times ten to the power of `shift`, rounded half up. `None` if it is no decimal, below zero, or too
/// large.
pub(super) fn shifted(text: &str, shift: i32) -> Option<u64> {
    let (number, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: String = whole.chars().chain(fraction.chars()).collect();
    if digits.is_empty() || digits.len() > 40 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // How many of the digits stand before the point.
    let before = i32::try_from(whole.len()).ok()?.checked_add(exponent)?.checked_add(shift)?;
    let digit = |at: i32| {
        let at = usize::try_from(at).ok();
        at.and_then(|at| digits.as_bytes().get(at)).map_or(0, |byte| u64::from(byte - b'0'))
    };
    let mut value = 0_u64;
    for at in 0..before.max(0) {
        value = value.checked_mul(10)?.checked_add(digit(at))?;
        if at > 60 && value == 0 {
            return Some(0);
        }
    }
    value.checked_add(u64::from(before >= 0 && digit(before) >= 5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_is_read_to_the_last_digit() {
        let cases = [
            ("1.25", 9, Some(1_250_000_000)),
            ("1.25e-06", 15, Some(1_250_000_000)),
            ("3e-7", 15, Some(300_000_000)),
            ("0.1", 9, Some(100_000_000)),
            ("0.0000000005", 9, Some(1)),
            ("0.00000000049", 9, Some(0)),
            ("2", 0, Some(2)),
            ("2.5", 0, Some(3)),
            ("0", 9, Some(0)),
            ("99999999999999", 9, None),
            ("-1", 9, None),
            ("1e", 9, None),
            ("", 9, None),
            ("1e-400", 9, Some(0)),
            ("0e400000", 9, Some(0)),
        ];
        for (text, shift, value) in cases {
            assert_eq!(shifted(text, shift), value, "{text} shifted by {shift}");
        }
        assert_eq!(NanoUsd(7_000_001).to_string(), "$0.007000001");
    }
}
