//! Apollo's multipart subscriptions: each result is a part of a `multipart/mixed` body.
//!
//! Source: <https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol>
//! and RFC 2046, section 5.1. A part is written together with the boundary after it: only that tells
//! a client that the part is whole.
//!
//! `{}` is a heartbeat, `{"payload": …}` a result, and `{"payload": null, "errors": […]}` the end that
//! the transport made, after which clients may connect again.

use async_graphql::{Response, ServerError};
use serde::Serialize;
use serde_json::json;

use super::Framing;
use crate::http::status::Refusal;

/// See the module.
pub struct Multipart;

/// What stands before the first part.
const OPENING: &[u8] = b"\r\n--graphql";
/// What makes a boundary the last one.
const CLOSING: &[u8] = b"--\r\n";

impl Framing for Multipart {
    fn content_type(&self) -> &'static str {
        r#"multipart/mixed; boundary="graphql"; subscriptionSpec="1.0""#
    }

    fn opening(&self) -> Vec<u8> {
        [OPENING, &self.beat()].concat()
    }

    fn next(&self, result: &Response, _cursor: Option<&str>) -> Vec<u8> {
        part(&Payload { payload: result })
    }

    fn failed(&self, errors: &[ServerError]) -> Vec<u8> {
        part(&json!({ "payload": { "errors": errors } }))
    }

    fn cut(&self, error: &ServerError) -> Vec<u8> {
        part(&json!({ "payload": null, "errors": [error] }))
    }

    fn beat(&self) -> Vec<u8> {
        part(&json!({}))
    }

    fn end(&self) -> Vec<u8> {
        CLOSING.to_vec()
    }

    fn restart(&self) -> Vec<u8> {
        let stopping = Refusal::Unavailable("The server is shutting down.".to_owned());
        [self.cut(&stopping.to_server_error()), self.end()].concat()
    }
}

#[derive(Serialize)]
struct Payload<'a> {
    payload: &'a Response,
}

/// One part and the boundary after it.
fn part(body: &impl Serialize) -> Vec<u8> {
    let mut part = b"\r\nContent-Type: application/json\r\n\r\n".to_vec();
    if let Err(error) = serde_json::to_writer(&mut part, body) {
        tracing::error!(%error, "a result could not be written as JSON");
    }
    part.extend(OPENING);
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_parts_between_boundaries() {
        let result = Response::new(async_graphql::value!({ "a": 1 }));
        let body = [Multipart.opening(), Multipart.next(&result, None), Multipart.end()].concat();
        let head = "\r\nContent-Type: application/json\r\n\r\n";
        let expected = format!(
            "\r\n--graphql{head}{{}}\r\n--graphql{head}{{\"payload\":{{\"data\":{{\"a\":1}}}}}}\
             \r\n--graphql--\r\n"
        );
        assert_eq!(String::from_utf8(body).expect("UTF-8"), expected);
    }
}
