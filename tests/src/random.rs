//! Random values from a fixed seed, so that a failure repeats.
//!
//! Texts are made of a few pieces that have gone wrong somewhere before (wildcards, quotes, letters
//! whose case folds beyond ASCII, both ends of each UTF-8 length).

const PIECES: [&str; 33] = [
    "a",
    "b",
    "B",
    "Z",
    "z",
    "ab",
    "aB",
    "%",
    "_",
    "\\",
    "'",
    "''",
    "\"",
    " ",
    "ä",
    "Ä",
    "ß",
    "é",
    "e\u{301}",
    "\u{130}",
    "\u{212a}",
    "K",
    "k",
    "\n",
    "\u{7f}",
    "\u{80}",
    "\u{7ff}",
    "\u{800}",
    "\u{d7ff}",
    "\u{e000}",
    "\u{ffff}",
    "\u{10000}",
    "\u{10ffff}",
];
const ATTACKS: [&str; 6] =
    ["'; DROP TABLE event; --", "x' OR '1'='1", "$1", "?", ") OR (1 = 1", "\\'; SELECT 1 --"];

/// A small generator of its own (SplitMix64, Steele et al. 2014): the same numbers everywhere.
pub struct Random(pub u64);

impl Random {
    /// Any 64 bits.
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.bits() % end as u64).expect("it is below a usize")
    }

    /// True `percent` times in a hundred.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of `items`.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// A text of a few pieces, at times an attack or nothing.
    pub fn text(&mut self) -> String {
        if self.chance(5) {
            return (*self.pick(&ATTACKS)).to_owned();
        }
        (0..self.below(4)).map(|_| *self.pick(&PIECES)).collect()
    }

    /// A text, or none.
    pub fn maybe_text(&mut self) -> Option<String> {
        if self.chance(25) { None } else { Some(self.text()) }
    }

    /// One of `choices`, or none.
    pub fn one_of(&mut self, choices: &[&str]) -> Option<String> {
        if self.chance(25) { None } else { Some((*self.pick(choices)).to_owned()) }
    }
}
