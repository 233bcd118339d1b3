//! What an attempt keeps of a request and of a response: short JSON, flagged when cut.
//!
//! Called by the stages that talk to somebody. Rows stay narrow whatever a receiver sends, and a
//! person still sees what was said.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use crate::limits::KEPT_BYTES_MAX;

/// Headers that a record keeps, counted in bytes before escaping: a quarter of the record.
pub const KEPT_HEADER_BYTES_MAX: usize = KEPT_BYTES_MAX / 4;

/// Room for the member names and punctuation that end a record.
const FRAME_BYTES: usize = r#","isCut":true,"body":"""#.len();

/// What a header costs besides its name and its value.
const HEADER_FRAME_BYTES: usize = r#""":"","#.len();

/// Whether something is all there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Nothing is missing.
    Whole,
    /// Something was left out.
    Cut,
}

impl Extent {
    /// Cut when either is.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        if self == Self::Cut { Self::Cut } else { other }
    }
}

/// Headers as a JSON object, lines of one name joined by a comma, as many as fit into `bytes_max`
/// before escaping; `show` gives the text of a value.
pub fn header_map(
    headers: &HeaderMap,
    bytes_max: usize,
    show: impl Fn(&HeaderName, &HeaderValue) -> String,
) -> (Map<String, Value>, Extent) {
    let mut map = Map::new();
    let mut bytes_left = bytes_max;
    for name in headers.keys() {
        let lines = headers.get_all(name).iter().map(|value| show(name, value));
        let text = lines.collect::<Vec<_>>().join(", ");
        let cost = name.as_str().len() + text.len() + HEADER_FRAME_BYTES;
        let Some(left) = bytes_left.checked_sub(cost) else { return (map, Extent::Cut) };
        bytes_left = left;
        map.insert(name.as_str().to_owned(), Value::String(text));
    }
    (map, Extent::Whole)
}

/// Bytes as a text that every database holds: what is not UTF-8, and U+0000, become U+FFFD.
#[must_use]
pub fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}")
}

/// A record of at most [`KEPT_BYTES_MAX`]: `fields`, then `isCut` when something is missing, then
/// as much of `body` as fits. `extent` says whether something was left out before.
#[must_use]
pub fn record(mut fields: Map<String, Value>, body: &[u8], extent: Extent) -> String {
    let taken = Value::Object(fields.clone()).to_string().len() + FRAME_BYTES;
    let body = lossy(body);
    let shown = fitting(&body, KEPT_BYTES_MAX.saturating_sub(taken));
    let is_short = shown.len() < body.len();
    if is_short || extent == Extent::Cut {
        fields.insert("isCut".to_owned(), Value::Bool(true));
    }
    fields.insert("body".to_owned(), Value::String(shown.to_owned()));
    Value::Object(fields).to_string()
}

/// The longest beginning of `text` that takes at most `bytes_max` as part of a JSON string.
fn fitting(text: &str, bytes_max: usize) -> &str {
    let mut bytes_left = bytes_max;
    for (index, c) in text.char_indices() {
        let cost = match c {
            '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
            c if c < ' ' => 6,
            c => c.len_utf8(),
        };
        let Some(left) = bytes_left.checked_sub(cost) else { return &text[..index] };
        bytes_left = left;
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields() -> Map<String, Value> {
        Map::from_iter([("status".to_owned(), json!(200))])
    }

    fn parsed(record: &str) -> Value {
        serde_json::from_str(record).expect("a record is JSON")
    }

    #[test]
    fn a_record_is_whole_up_to_its_limit_and_flagged_one_past_it() {
        let frame = record(fields(), b"", Extent::Cut).len();
        let room = KEPT_BYTES_MAX - frame;
        let whole = parsed(&record(fields(), "x".repeat(room).as_bytes(), Extent::Whole));
        assert_eq!(whole.get("isCut"), None);
        assert_eq!(whole["body"].as_str().map(str::len), Some(room));
        let text = record(fields(), "x".repeat(room + 1).as_bytes(), Extent::Whole);
        assert_eq!(text.len(), KEPT_BYTES_MAX);
        assert_eq!(parsed(&text)["isCut"], true);
    }

    #[test]
    fn whatever_a_body_is_made_of_its_record_fits_and_is_json() {
        for unit in ["\"", "\u{1}", "\n", "ä", "\u{1f514}", "\0", "\u{7f}", "\u{2028}"] {
            let text = record(fields(), unit.repeat(KEPT_BYTES_MAX).as_bytes(), Extent::Whole);
            assert!(text.len() <= KEPT_BYTES_MAX, "{unit:?}: {}", text.len());
            assert!(KEPT_BYTES_MAX - 6 <= text.len(), "{unit:?}: {}", text.len());
            assert_eq!(parsed(&text)["isCut"], true, "{unit:?}");
        }
        assert_eq!(
            parsed(&record(fields(), b"a\0\xff", Extent::Whole))["body"],
            "a\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn headers_are_kept_up_to_their_limit() {
        let mut headers = HeaderMap::new();
        headers.append("a", HeaderValue::from_static("1"));
        headers.append("a", HeaderValue::from_static("2"));
        headers.append("b", HeaderValue::from_static("3"));
        let show = |_: &HeaderName, value: &HeaderValue| lossy(value.as_bytes());
        let cost = "a1, 2".len() + "b3".len() + 2 * HEADER_FRAME_BYTES;
        let (map, extent) = header_map(&headers, cost, show);
        assert_eq!((Value::Object(map), extent), (json!({ "a": "1, 2", "b": "3" }), Extent::Whole));
        let (map, extent) = header_map(&headers, cost - 1, show);
        assert_eq!((Value::Object(map), extent), (json!({ "a": "1, 2" }), Extent::Cut));
    }
}
