//! splitmix64 (Steele, Lea, Flood 2014): one addition and one mixing for each number, the same for ever.

/// How far a state is from the next.
pub(crate) const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The number that follows the state `state`. Also a hash of it: every bit of it moves every bit of the result. Never
/// changes: what was chosen by it is chosen again in a later version.
#[must_use]
pub const fn mix(state: u64) -> u64 {
    let z = state.wrapping_add(STEP);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A hash of `bytes` for choices that a later version has to make again.
pub fn hash(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0, |sum, byte| mix(sum ^ u64::from(byte)))
}

/// The number from [0, 1) that follows the state `state`.
pub(crate) const fn share(state: u64) -> f64 {
    (mix(state) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_paper() {
        // The reference implementation, seeded with 1234567.
        let numbers: Vec<u64> =
            (0..3).map(|n: u64| mix(1_234_567_u64.wrapping_add(STEP.wrapping_mul(n)))).collect();

        assert_eq!(
            numbers,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }
}
