//! Texts for the parsers: nearly right ones, made of the pieces of each language.

use belfry::domain::cron::Cron;
use belfry::domain::duration;
use belfry::domain::filter::Filter;
use belfry::domain::zone::{DstPolicy, Zone};
use belfry::graphql::guard;
use entity::Instant;

use super::document::mistyped;
use crate::Random;

/// How many texts a parser took and refused.
#[derive(Debug, Default)]
pub struct Parsed {
    /// Those that are right.
    pub taken: usize,
    /// The others.
    pub refused: usize,
}

/// Gives `count` random texts to `parser`, which says whether it takes one. Nothing may panic, and
/// what is taken must be taken again in its own words where the parser has any.
pub fn texts(parser: &str, seed: u64, count: usize) -> Parsed {
    let mut random = Random(seed);
    let mut parsed = Parsed::default();
    for _ in 0..count {
        let is_taken = match parser {
            "cron" => cron(&mut random),
            "duration" => duration(&mut random),
            "filter" => filter(&mut random),
            "guard" => guarded(&mut random),
            other => panic!("there is no parser {other}"),
        };
        if is_taken { parsed.taken += 1 } else { parsed.refused += 1 }
    }
    parsed
}

fn cron(random: &mut Random) -> bool {
    const PIECES: [&str; 28] = [
        "*",
        "0",
        "5",
        "30",
        "59",
        "60",
        "23",
        "31",
        "29",
        "2",
        "/",
        "-",
        ",",
        "L",
        "W",
        "#",
        "?",
        "MON",
        "sun",
        "JAN",
        "7",
        "@daily",
        "@",
        "L-3",
        "15W",
        "1#5",
        "99999999999999999999",
        "é",
    ];
    let field = |random: &mut Random| -> String {
        (0..=random.below(3)).map(|_| *random.pick(&PIECES)).collect()
    };
    let count = *random.pick(&[5, 5, 5, 5, 6, 6, 1, 4, 7]);
    let fields: Vec<String> = (0..count)
        .map(|_| if random.chance(60) { "*".to_owned() } else { field(random) })
        .collect();
    let text = spaced(&fields, random);
    let Ok(cron) = Cron::parse(&text) else { return false };
    let again = Cron::parse(cron.expression());
    assert!(again.is_ok_and(|again| again.words() == cron.words()), "{text:?}");
    // What is taken fires: within 40 years, if it is a rare 29 February.
    let from = Instant::from_millis(4_000_000_000_000);
    let next = cron.next_after(Zone::UTC, DstPolicy::AUTO, from);
    let years_40 = from.plus_ms(41 * 366 * 86_400_000);
    assert!(next.is_some_and(|next| from < next && next < years_40), "{text:?}: {next:?}");
    true
}

fn duration(random: &mut Random) -> bool {
    const PIECES: [&str; 18] = [
        "P",
        "T",
        "1",
        "20",
        "0.5",
        "H",
        "M",
        "S",
        "D",
        "W",
        "Y",
        "-",
        " hour ",
        " minutes",
        "h",
        "99999999999999999999",
        ".",
        "é",
    ];
    let text: String = (0..random.below(7)).map(|_| *random.pick(&PIECES)).collect();
    let text = if random.chance(50) { format!("PT{}S", random.below(100_000)) } else { text };
    let Ok(ms) = duration::parse(&text) else { return false };
    assert_eq!(duration::parse(&duration::format(ms)), Ok(ms), "{text:?}");
    true
}

fn filter(random: &mut Random) -> bool {
    const PIECES: [&str; 34] = [
        "(",
        ")",
        "AND",
        "OR",
        "NOT",
        "email",
        "message",
        "createdAt",
        "data.n",
        "data.a.b",
        "type",
        "severity",
        "nope",
        "eq",
        "ne",
        "ct",
        "sw",
        "gt",
        "gte",
        "lt",
        "lte",
        "in",
        "exists",
        "'x'",
        "'it\\'s'",
        "'",
        "1",
        "-1.5",
        "1e400",
        "true",
        "null",
        "'2018-1-1'",
        "[",
        "]",
    ];
    let clause = |random: &mut Random| {
        let field = *random.pick(&PIECES[5..12]);
        let op = *random.pick(&PIECES[13..21]);
        format!("({field} {op} '{}')", random.text().replace(['\\', '\''], ""))
    };
    let words: Vec<String> = if random.chance(60) {
        let mut words = vec![clause(random)];
        for _ in 0..random.below(4) {
            words.push((*random.pick(&["AND", "OR"])).to_owned());
            words.push(clause(random));
        }
        words
    } else {
        (0..random.below(14)).map(|_| (*random.pick(&PIECES)).to_owned()).collect()
    };
    let text = spaced(&words, random);
    let Ok(filter) = Filter::parse(&text) else { return false };
    let own = filter.to_string();
    assert_eq!(Filter::parse(&own).map(|again| again.to_string()), Ok(own), "{text:?}");
    true
}

fn guarded(random: &mut Random) -> bool {
    const PIECES: [&str; 26] = [
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "query",
        "mutation",
        "fragment F on Query",
        "...",
        "...F",
        "... on Query",
        "viewer",
        "id",
        "a:",
        "$x",
        ":",
        "@skip(if: true)",
        "\"s\"",
        "\"\"\"",
        "#",
        "1",
        "\n",
        "\u{feff}",
        "é",
        "\\u{0}",
    ];
    let text = if random.chance(50) {
        let depth = random.below(90) * random.below(2);
        let (open, close) =
            *random.pick(&[("a { ", "} "), ("... on Query { ", "} "), ("a(x: [", "]) ")]);
        format!("{{ {} viewer {{ id }} {} }}", open.repeat(depth), close.repeat(depth))
    } else {
        (0..random.below(20)).map(|_| format!("{} ", *random.pick(&PIECES))).collect()
    };
    let text = if random.chance(20) { mistyped(&text, random) } else { text };
    guard::check(&text, None).is_ok()
}

/// `words` with spaces between them, at times too many, none, or a wrong letter.
fn spaced(words: &[String], random: &mut Random) -> String {
    let space = *random.pick(&[" ", " ", " ", " ", "  ", "\t", ""]);
    let text = words.join(space);
    if random.chance(10) { mistyped(&text, random) } else { text }
}
