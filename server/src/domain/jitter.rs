//! Jitter: numbers that look random and are always the same for the same thing, so that a repeated
//! decision is the same decision.

/// A number from 0 to `max`, the same for the same `seed` and `number` and evenly spread over
/// others. A UUID is a good seed.
#[must_use]
pub fn share(seed: u128, number: u64, max: u64) -> u64 {
    let [low, high] = [seed as u64, (seed >> 64) as u64];
    let mixed = split_mix(low ^ split_mix(high ^ split_mix(number)));
    if max == u64::MAX { mixed } else { mixed % (max + 1) }
}

/// The output function of SplitMix64 (Steele, Lea, Flood 2014): each input bit sways every output
/// bit, which a UUID needs whose first half is a time.
fn split_mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
