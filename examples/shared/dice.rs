//! Seeded numbers: the same seed draws the same, on every machine and with every version of Rust.

/// The finalizer of splitmix64. Ours, because the hasher of the standard library may differ between its versions.
pub(crate) fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The number as a share, from 0 to less than 1.
pub(crate) fn share(dice: u64) -> f64 {
    (dice >> 11) as f64 / (1_u64 << 53) as f64
}
