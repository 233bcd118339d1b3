//! The first pass of the guard: one walk over the bytes, before anything parses them.
//!
//! It agrees with async-graphql's grammar on what a string, a block string and a comment is: if
//! the two differed, brackets could hide from the count in what only one of them takes for text.
//! One case needs care: the grammar reads an unterminated `"""` as an empty string followed by
//! another string, so an unterminated string of any kind is refused here.

use async_graphql::Pos;

use super::GuardError;
use crate::limits::{QUERY_CHARS_MAX, QUERY_NESTING_MAX, QUERY_TOKENS_MAX};

const QUOTES: &[u8] = b"\"\"\"";
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Whether `query` is short, has few tokens and nests few brackets.
///
/// # Errors
/// [`GuardError::TooComplex`], or [`GuardError::Syntax`] for a string that does not end.
pub(super) fn check(query: &str) -> Result<(), GuardError> {
    if QUERY_CHARS_MAX < query.chars().count() {
        return Err(too_complex("is longer than", QUERY_CHARS_MAX, "characters"));
    }
    let bytes = query.as_bytes();
    let (mut at, mut tokens, mut open) = (0, 0, 0_usize);
    while let Some(&byte) = bytes.get(at) {
        let end = match byte {
            b' ' | b'\t' | b'\n' | b'\r' | b',' => {
                at += 1;
                continue;
            }
            b'#' => {
                at = comment_end(bytes, at);
                continue;
            }
            _ if bytes[at..].starts_with(BYTE_ORDER_MARK) => {
                at += BYTE_ORDER_MARK.len();
                continue;
            }
            b'"' => string_end(bytes, at).ok_or_else(|| unterminated(query, at))?,
            b'.' if bytes[at..].starts_with(b"...") => at + 3,
            b'-' | b'0'..=b'9' => number_end(bytes, at),
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => name_end(bytes, at),
            _ => at + 1,
        };
        match byte {
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        tokens += 1;
        if QUERY_TOKENS_MAX < tokens {
            return Err(too_complex("has more than", QUERY_TOKENS_MAX, "tokens"));
        }
        if QUERY_NESTING_MAX < open {
            return Err(too_complex("nests more than", QUERY_NESTING_MAX, "brackets"));
        }
        at = end;
    }
    Ok(())
}

fn too_complex(verb: &str, max: usize, noun: &str) -> GuardError {
    GuardError::TooComplex(format!("The query {verb} {max} {noun}."))
}

fn comment_end(bytes: &[u8], start: usize) -> usize {
    let rest = &bytes[start..];
    rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).map_or(bytes.len(), |n| start + n)
}

/// One past the closing quotes of the string that starts at `start`.
fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    if bytes[start..].starts_with(QUOTES) {
        return block_string_end(bytes, start + QUOTES.len());
    }
    let mut at = start + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\n' | b'\r' => return None,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn block_string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
        if rest.starts_with(QUOTES) {
            return Some(at + QUOTES.len());
        }
        at += if rest.starts_with(b"\\\"\"\"") { 1 + QUOTES.len() } else { 1 };
    }
}

fn number_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        let after_exponent = matches!(bytes[at - 1], b'e' | b'E');
        let goes_on = match byte {
            b'+' | b'-' => after_exponent,
            b'.' => !bytes[at..].starts_with(b"..."),
            byte => byte.is_ascii_alphanumeric() || *byte == b'_',
        };
        if !goes_on {
            break;
        }
        at += 1;
    }
    at
}

fn name_end(bytes: &[u8], start: usize) -> usize {
    let rest = &bytes[start..];
    let ends = |byte: &u8| !byte.is_ascii_alphanumeric() && *byte != b'_';
    rest.iter().position(ends).map_or(bytes.len(), |n| start + n)
}

fn unterminated(query: &str, at: usize) -> GuardError {
    let before = query.get(..at).unwrap_or(query);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = 1 + before.matches('\n').count();
    let column = 1 + before.get(line_start..).unwrap_or_default().chars().count();
    GuardError::Syntax("Unterminated string.".to_owned(), vec![Pos { line, column }])
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::graphql::guard::GuardError;
    use crate::limits::{QUERY_CHARS_MAX, QUERY_NESTING_MAX, QUERY_TOKENS_MAX};

    fn refusal(query: &str) -> Option<String> {
        check(query).err().map(|error| error.to_string())
    }

    #[test]
    fn characters_are_counted_not_bytes() {
        let query = |chars: usize| format!("{{ a }} #{}", "é".repeat(chars - 7));
        assert_eq!(query(QUERY_CHARS_MAX).chars().count(), QUERY_CHARS_MAX);
        assert_eq!(refusal(&query(QUERY_CHARS_MAX)), None);
        let message = refusal(&query(QUERY_CHARS_MAX + 1)).expect("one past the limit");
        assert_eq!(message, "The query is longer than 15000 characters.");
    }

    #[test]
    fn tokens_are_counted_up_to_the_limit() {
        // Braces, and names up to the limit.
        let query = |tokens: usize| format!("{{{}}}", " a".repeat(tokens - 2));
        assert_eq!(refusal(&query(QUERY_TOKENS_MAX)), None);
        let message = refusal(&query(QUERY_TOKENS_MAX + 1)).expect("one past the limit");
        assert_eq!(message, "The query has more than 2000 tokens.");
    }

    #[test]
    fn every_kind_of_token_counts_once() {
        // { a ( b : number c : string d : block string ) ... on X @ s ! }: 20 tokens.
        let round = "{a(b:-1.5e+3 c:\"x\\\" y\" d:\"\"\"p \"q\" \\\"\"\" r\"\"\")...on X@s!}, #e\n";
        assert_eq!(refusal(&round.repeat(QUERY_TOKENS_MAX / 20)), None);
        assert!(refusal(&format!("{}f", round.repeat(QUERY_TOKENS_MAX / 20))).is_some());
        let glued = "[1-1-1-1 ".repeat(QUERY_NESTING_MAX);
        assert_eq!(refusal(&glued), None);
    }

    #[test]
    fn brackets_of_all_kinds_nest_up_to_the_limit() {
        let query = |levels: usize| "([{".chars().cycle().take(levels).collect::<String>();
        assert_eq!(refusal(&query(QUERY_NESTING_MAX)), None);
        let message = refusal(&query(QUERY_NESTING_MAX + 1)).expect("one past the limit");
        assert_eq!(message, "The query nests more than 64 brackets.");
    }

    #[test]
    fn brackets_in_text_do_not_count() {
        let brackets = "[".repeat(100);
        for query in [
            format!("{{ a(b: \"{brackets}\") }}"),
            format!("{{ a(b: \"\\\"{brackets}\") }}"),
            format!("{{ a(b: \"\"\"\"{brackets}\\\"\"\"{brackets}\"\"\") }}"),
            format!("{{ a }} # \" {brackets}"),
        ] {
            assert_eq!(refusal(&query), None, "{query}");
        }
    }

    #[test]
    fn brackets_do_not_hide_behind_a_string_or_a_comment_that_ends() {
        let brackets = "[".repeat(100);
        for text in ["\"\"", "\"#\"", "\"\\\\\"", "\"\"\"\\\"\"\"\"\"\"", "# \"\r", "# \"\"\"\n"] {
            assert!(refusal(&format!("{{ a(b: {text}{brackets}")).is_some(), "{text}");
        }
    }

    #[test]
    fn an_unterminated_string_is_refused_where_it_starts() {
        // The grammar would read the last of these as "" and "a", and then the brackets.
        for text in ["\"a", "\"a\n\"", "\"a\\", "\"\"\"a\" [[[["] {
            let error = check(&format!("{{\n  a(b: {text}")).expect_err("it does not end");
            let GuardError::Syntax(_, places) = error else { panic!("{error}") };
            assert_eq!((places[0].line, places[0].column), (2, 8));
        }
    }
}
