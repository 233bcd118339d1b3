//! Server-sent events, as the "distinct connections mode" of graphql-sse has them.
//!
//! Source: <https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md>, and the WHATWG's HTML,
//! section 9.2. Each result is an event `next`; a batch of the live log has its cursor as `id`, which
//! a browser sends back as `Last-Event-ID`. A stream that ends without `complete` was cut off:
//! clients connect again.

use async_graphql::{Response, ServerError};
use serde::Serialize;
use serde_json::json;

use super::Framing;

/// See the module.
pub struct Sse;

/// A comment: clients pass it over.
const COMMENT: &[u8] = b":\n\n";

impl Framing for Sse {
    fn content_type(&self) -> &'static str {
        "text/event-stream; charset=utf-8"
    }

    fn opening(&self) -> Vec<u8> {
        COMMENT.to_vec()
    }

    fn next(&self, result: &Response, cursor: Option<&str>) -> Vec<u8> {
        event(cursor, result)
    }

    fn failed(&self, errors: &[ServerError]) -> Vec<u8> {
        event(None, &json!({ "errors": errors }))
    }

    fn cut(&self, error: &ServerError) -> Vec<u8> {
        self.failed(std::slice::from_ref(error))
    }

    fn beat(&self) -> Vec<u8> {
        COMMENT.to_vec()
    }

    fn end(&self) -> Vec<u8> {
        b"event: complete\ndata:\n\n".to_vec()
    }

    fn restart(&self) -> Vec<u8> {
        COMMENT.to_vec()
    }
}

/// One `next`. JSON as it is written here has no line breaks, and a cursor has none.
fn event(id: Option<&str>, data: &impl Serialize) -> Vec<u8> {
    let mut event = b"event: next\n".to_vec();
    if let Some(id) = id {
        event.extend(format!("id: {id}\n").into_bytes());
    }
    event.extend(b"data: ");
    if let Err(error) = serde_json::to_writer(&mut event, data) {
        tracing::error!(%error, "a result could not be written as JSON");
    }
    event.extend(b"\n\n");
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(frame: Vec<u8>) -> String {
        String::from_utf8(frame).expect("UTF-8")
    }

    #[test]
    fn a_result_is_one_event_with_its_cursor() {
        let result = Response::new(async_graphql::value!({ "a": "x\ny" }));
        let expected = "event: next\nid: abc\ndata: {\"data\":{\"a\":\"x\\ny\"}}\n\n";
        assert_eq!(text(Sse.next(&result, Some("abc"))), expected);
        assert!(!text(Sse.next(&result, None)).contains("id:"));
    }

    #[test]
    fn errors_are_a_result_without_data() {
        let expected = "event: next\ndata: {\"errors\":[{\"message\":\"no\"}]}\n\n";
        assert_eq!(text(Sse.failed(&[ServerError::new("no", None)])), expected);
    }
}
