//! What headers tell of limits: only what two readings agree on. Pure.
//!
//! Servers of OpenAI and Anthropic say how much is left of a limit and when it will be full again. Divided that is the rate
//! at which it fills, whatever the span of the limit is. Of a window, which does not fill but begins anew, the same numbers
//! mean something else, and two readings do not agree.

/// What a header says is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limited {
    Requests,
    Tokens,
}

/// What is left is a whole number: of fewer that would be too coarse.
const USED_MIN: f64 = 20.0;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Reading {
    used: f64,
    rate: f64,
}

/// What was read so far of one limit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told(Option<Reading>);

impl Told {
    /// Takes in the headers of an answer; says the rate, in units a second, once it is sure.
    pub(super) fn read(&mut self, headers: &[(String, String)], of: Limited, wall_ms: u64) -> Option<f64> {
        let new = reading(headers, of, wall_ms)?;
        let Some(old) = self.0.filter(|old| (old.rate - new.rate).abs() <= 0.1 * old.rate) else {
            self.0 = Some(new);
            return None;
        };
        // The same use twice is the same reading twice.
        if (old.used - new.used).abs() < 0.2 * old.used.max(new.used) {
            return None;
        }
        self.0 = Some(new);
        // The one that used more is the finer one.
        Some(if old.used > new.used { old.rate } else { new.rate })
    }
}

/// Whether the headers say that there is nothing left of it.
pub(super) fn is_used_up(headers: &[(String, String)], of: Limited) -> bool {
    value(headers, of, "remaining").is_some_and(|left| left.trim() == "0")
}

fn reading(headers: &[(String, String)], of: Limited, wall_ms: u64) -> Option<Reading> {
    let number = |what| value(headers, of, what)?.trim().parse::<f64>().ok();
    let used = number("limit")? - number("remaining")?;
    let full_in = full_in(value(headers, of, "reset")?.trim(), wall_ms)?;
    let rate = used / full_in;
    (used >= USED_MIN && full_in >= 0.02 && rate.is_finite()).then_some(Reading { used, rate })
}

/// `x-ratelimit-limit-requests` and `anthropic-ratelimit-requests-limit`.
fn value<'a>(headers: &'a [(String, String)], of: Limited, what: &str) -> Option<&'a str> {
    let of = if of == Limited::Requests { "requests" } else { "tokens" };
    let names = [format!("x-ratelimit-{what}-{of}"), format!("anthropic-ratelimit-{of}-{what}")];
    let mut found = headers.iter().filter(|(name, _)| names.contains(name));
    found.next().map(|(_, value)| value.as_str())
}

/// Seconds: `6m0s`, `20ms`, `1.5`, or until an instant such as `2026-11-21T23:51:10Z`.
fn full_in(text: &str, wall_ms: u64) -> Option<f64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Some(seconds);
    }
    if text.contains('T') {
        // Whole seconds: near the end it says nothing.
        let left = (unix_seconds(text)? * 1_000).checked_sub(i64::try_from(wall_ms).ok()?)?;
        return (left >= 5_000).then_some(left as f64 / 1_000.0);
    }
    let (mut seconds, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let unit = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number = rest[..unit].parse::<f64>().ok()?;
        let end = rest[unit..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| unit + at);
        let scale = match &rest[unit..end] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        seconds += number * scale;
        rest = &rest[end..];
    }
    (!text.is_empty()).then_some(seconds)
}

/// Seconds since 1970 of an instant in UTC as RFC 3339 writes it.
fn unix_seconds(text: &str) -> Option<i64> {
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<u16>().ok().map(i64::from);
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let time = part(11, 13)? * 3_600 + part(14, 16)? * 60 + part(17, 19)?;
    // Years that begin in March have the day that is not always there at their end.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 719_469;
    (text.ends_with('Z') || text.ends_with("+00:00")).then_some(days * 86_400 + time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(limit: u32, left: u32, reset: &str) -> Vec<(String, String)> {
        let of = |what: &str, value: String| (format!("x-ratelimit-{what}-requests"), value);
        vec![of("limit", limit.to_string()), of("remaining", left.to_string()), of("reset", reset.to_owned())]
    }

    #[test]
    fn two_readings_of_a_bucket_agree_and_two_of_a_window_do_not() {
        let mut bucket = Told::default();
        assert_eq!(bucket.read(&headers(3_000, 2_900, "2s"), Limited::Requests, 0), None);
        assert_eq!(
            bucket.read(&headers(3_000, 2_899, "2.02s"), Limited::Requests, 0),
            None,
            "the same again"
        );
        let told = bucket.read(&headers(3_000, 2_800, "4s"), Limited::Requests, 0).unwrap();
        assert!((told - 50.0).abs() < 1.0, "{told}");

        let mut window = Told::default();
        for used in 5..60 {
            let reset = format!("{}s", 60 - used);
            let told = window.read(&headers(3_000, 3_000 - used * 50, &reset), Limited::Requests, 0);
            assert_eq!(told, None, "after {used} seconds");
        }
    }

    #[test]
    fn every_way_to_write_a_reset_is_read() {
        let cases = [
            ("6m0s", Some(360.0)),
            ("20ms", Some(0.02)),
            ("1h2m3.5s", Some(3_723.5)),
            ("7", Some(7.0)),
            ("1970-01-01T00:00:10Z", Some(9.0)),
            ("1970-01-01T00:00:03Z", None),
            ("soon", None),
            ("7x", None),
            ("", None),
        ];
        for (text, seconds) in cases {
            assert_eq!(full_in(text, 1_000), seconds, "{text}");
        }
        assert_eq!(unix_seconds("2024-02-29T00:00:00Z"), Some(1_709_164_800));
    }

    #[test]
    fn no_text_at_all_brings_it_down() {
        fn property(text: String) -> bool {
            let _ = (full_in(&text, 0), unix_seconds(&text));
            true
        }
        quickcheck::quickcheck(property as fn(String) -> bool);
    }
}
