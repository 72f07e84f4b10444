//! What prices promise: exact sums, bounds that hold, and no model for nothing.

use super::*;
use crate::model::{History, ModelRequest, Origin, Usage};

const FILE: &str = r#"{
    "source": "ours", "version": "7", "valid_from": "2026-11-01",
    "models": [
        { "provider": "openai", "model": "small",
          "usd_per_million": { "input": 0.15, "output": 0.6, "cache_read": 0.075 } },
        { "provider": "anthropic", "model": "large", "usd_per_call": 0.00001,
          "usd_per_million": { "input": 3, "output": 15, "cache_read": 0.3, "cache_creation": 3.75 },
          "above": [ { "input_tokens": 200000, "usd_per_million": { "input": 6, "output": 22.5 } } ] }
    ]
}"#;

fn request(text: &str, output: u32) -> ModelRequest {
    let mut history = History::new();
    history.user(Origin::Customer, text).unwrap();
    ModelRequest::new("be kind", history, output).unwrap()
}

#[test]
fn each_kind_has_its_price_and_a_call_is_rounded_once() {
    let table = PriceTable::from_json(FILE).unwrap();
    let usage = |input, output, read, created| Usage {
        input_tokens: input,
        output_tokens: output,
        cache_read_tokens: read,
        cache_creation_tokens: created,
        ..Usage::default()
    };
    let cases = [
        ("openai", "small", usage(1_000, 500, 0, 0), 450_000),
        ("openai", "small", usage(1_000, 500, 1_000, 0), 375_000),
        ("openai", "small", usage(0, 0, 0, 0), 0),
        ("anthropic", "large", usage(1_000, 0, 0, 0), 3_010_000),
        ("anthropic", "large", usage(1_000, 10, 100, 200), 2_100_000 + 30_000 + 750_000 + 150_000 + 10_000),
        ("anthropic", "large", usage(200_001, 0, 0, 0), 1_200_006_000 + 10_000),
    ];
    for (provider, model, usage, nano) in cases {
        let priced = table.cost(provider, model, &usage).unwrap();
        assert_eq!(priced.nano_usd, NanoUsd(nano), "{model} {usage:?}");
        assert_eq!(priced.price_version.version, "7");
    }
    // Half a nano-dollar is one, and two halves of one call are one together.
    let half = Rates { input: 500_000, output: 500_000, ..Rates::default() };
    let price = ModelPrice { rates: half, tiers: vec![] };
    assert_eq!(price.cost(&usage(1, 0, 0, 0)), Some(NanoUsd(1)));
    assert_eq!(price.cost(&usage(1, 1, 0, 0)), Some(NanoUsd(1)));
}

#[test]
fn a_model_without_a_price_is_not_free() {
    let table = PriceTable::from_json(FILE).unwrap();
    let unknown = table.cost("openai", "large", &Usage::default()).unwrap_err();
    assert!(matches!(unknown, PriceError::UnknownModel { .. }), "{unknown}");
    assert!(table.upper_bound("nobody", "small", &request("hello", 9)).is_err());
    let huge = Usage { input_tokens: u64::MAX, ..Usage::default() };
    assert_eq!(table.cost("anthropic", "large", &huge), Err(PriceError::TooMuch));
}

#[test]
fn no_usage_within_the_limits_costs_more_than_the_bound() {
    fn property(
        rates: Vec<(u64, u64, u64, u64)>,
        text: String,
        output: u16,
        shares: (u8, u8, u8, u8),
    ) -> bool {
        let of = |(input, read, created, out): &(u64, u64, u64, u64)| Rates {
            input: input % 1_000_000_000_000,
            cache_read: read % 1_000_000_000_000,
            cache_creation: created % 1_000_000_000_000,
            output: out % 1_000_000_000_000,
            reasoning: (out >> 20) % 1_000_000_000_000,
            call: created % 1_000_000,
        };
        let tier =
            |(place, rates): (usize, _)| Tier { above_input_tokens: place as u64 * 40, rates: of(rates) };
        let price = ModelPrice {
            rates: rates.first().map(of).unwrap_or_default(),
            tiers: rates.iter().enumerate().skip(1).map(tier).collect(),
        };
        let table = PriceTable::new("s", "1", "now", [("p".to_owned(), "m".to_owned(), price)]);
        let most = table.upper_bound("p", "m", &request(&format!("x{text}"), u32::from(output) + 1)).unwrap();
        let share = |of: u64, share: u8| of * u64::from(share) / 255;
        let input_tokens = share(most.input_tokens, shares.0);
        let output_tokens = share(most.output_tokens, shares.1);
        let cache_read_tokens = share(input_tokens, shares.2);
        let usage = Usage {
            input_tokens,
            output_tokens,
            cache_read_tokens,
            cache_creation_tokens: share(input_tokens - cache_read_tokens, shares.3),
            reasoning_tokens: share(output_tokens, shares.3),
            estimated: false,
        };
        table.cost("p", "m", &usage).unwrap().nano_usd <= most.nano_usd
    }
    type Kinds = Vec<(u64, u64, u64, u64)>;
    quickcheck::quickcheck(property as fn(Kinds, String, u16, (u8, u8, u8, u8)) -> bool);
}

#[test]
fn an_old_run_is_computed_again_to_the_nano_dollar_and_other_prices_have_another_version() {
    let table = PriceTable::from_json(FILE).unwrap();
    let usage = Usage { input_tokens: 12_345, output_tokens: 678, cache_read_tokens: 9, ..Usage::default() };
    let then = table.cost("anthropic", "large", &usage).unwrap();
    let recorded: Priced = serde_json::from_str(&serde_json::to_string(&then).unwrap()).unwrap();

    let later = PriceTable::from_json(FILE).unwrap();
    assert_eq!(later.version(), &recorded.price_version);
    assert_eq!(later.cost("anthropic", "large", &usage).unwrap(), recorded);

    let dearer = PriceTable::from_json(&FILE.replace("0.15", "0.16")).unwrap();
    assert_ne!(dearer.version(), &recorded.price_version, "the same name, and other prices");
    assert_eq!(table.version().digest, "9b2a0f4b3fa55e9c", "the digest must not change: journals have it");
}

#[test]
fn a_file_that_is_not_understood_is_refused() {
    for (from, to) in [("0.15", "-1"), ("\"output\": 0.6", "\"ouput\": 0.6"), ("\"version\": \"7\",", "")] {
        let text = FILE.replacen(from, to, 1);
        assert_ne!(text, FILE);
        assert!(PriceTable::from_json(&text).is_err(), "{to}");
    }
}

#[test]
fn the_file_of_litellm_is_read() {
    let text = r#"{
        "sample_spec": { "litellm_provider": "one of ...", "mode": "chat" },
        "gpt-x": { "litellm_provider": "openai", "input_cost_per_token": 1.25e-06, "output_cost_per_token": 1e-05,
                   "cache_read_input_token_cost": 1.25e-07 },
        "gemini/flash": { "litellm_provider": "gemini", "input_cost_per_token": 3e-07, "output_cost_per_token": 2.5e-06,
                   "input_cost_per_token_above_200k_tokens": 6e-07 }
    }"#;
    let table = PriceTable::from_litellm(text, "abc", "2026-11-21").unwrap();

    let price = table.price("openai", "gpt-x").unwrap();
    assert_eq!(
        (price.rates.input, price.rates.cache_read, price.rates.output),
        (1_250_000_000, 125_000_000, 10_000_000_000)
    );
    let tier = table.price("gemini", "flash").unwrap().tiers[0];
    assert_eq!(
        (tier.above_input_tokens, tier.rates.input, tier.rates.output),
        (200_000, 600_000_000, 2_500_000_000)
    );
}

#[cfg(feature = "prices")]
#[test]
fn the_prices_of_the_crate_become_integers_and_agree_with_it() {
    use std::time::{Duration, UNIX_EPOCH};
    let day = 20_700;
    let models = [("openai", "gpt-5"), ("anthropic", "claude-sonnet-4-5"), ("google", "gemini-2.5-pro")];
    let table = PriceTable::bundled(models, day * 86_400_000).unwrap();
    for (provider, model) in models {
        println!("{provider}/{model}: {:?}", table.price(provider, model).unwrap());
        for (input, output) in
            [(1_u64, 1_u64), (12_345, 678), (199_999, 5), (200_000, 5), (200_001, 5), (900_000, 64_000)]
        {
            let usage = Usage {
                input_tokens: input,
                output_tokens: output,
                cache_read_tokens: input / 3,
                ..Usage::default()
            };
            let ours = table.cost(provider, model, &usage).unwrap().nano_usd;
            let theirs = genai_prices::Usage::from([
                (genai_prices::UsageKey::INPUT_TOKENS, input as f64),
                (genai_prices::UsageKey::OUTPUT_TOKENS, output as f64),
                (genai_prices::UsageKey::CACHE_READ_TOKENS, (input / 3) as f64),
            ]);
            let at = UNIX_EPOCH + Duration::from_secs(day * 86_400);
            let request =
                genai_prices::PriceRequest::new(model, &theirs).with_provider_id(provider).with_timestamp(at);
            let theirs = genai_prices::calculate(&request).unwrap().total_price * 1e9;
            assert!((ours.0 as f64 - theirs).abs() <= 1.0, "{model} {input}: {ours} and {theirs}");
        }
    }
    assert!(PriceTable::bundled([("openai", "no-such-model")], 0).is_err());
}
