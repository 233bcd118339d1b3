//! THE table of close codes of the WebSocket.
//!
//! The 44xx are of `graphql-transport-ws`, the others RFC 6455's. Clients try again after 1012 and
//! 1013, and do not after the 44xx.
//!
//! | code | event |
//! |---|---|
//! | 1009 | a message over its limit |
//! | 1012 | shutdown |
//! | 1013 | overload, or a client that does not read |
//! | 4400 | a message that is no message of the protocol |
//! | 4401 | `subscribe` before the acknowledgement |
//! | 4403 | the key does not hold, or no longer |
//! | 4406 | another subprotocol, or none |
//! | 4408 | no `connection_init` in time |
//! | 4409 | an id that is in use |
//! | 4429 | a second `connection_init` |
//! | 4499 | two pings without a sign of life |
//! | 4500 | a fault of Belfry |

use axum::extract::ws::{CloseFrame, Utf8Bytes};

/// RFC 6455, 5.5: a control frame carries 125 bytes, of which two are the code.
const REASON_BYTES_MAX: usize = 123;

/// Why the server closes a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Close {
    /// A message is over its limit.
    TooBig,
    /// The server shuts down.
    Restart,
    /// There is no room, or no progress; the text says of what.
    Overload(&'static str),
    /// A message is none of the protocol; the text says why.
    BadMessage(String),
    /// An operation before the acknowledgement.
    NotAcknowledged,
    /// The key does not hold.
    Forbidden,
    /// Another subprotocol, or none.
    Subprotocol,
    /// No `connection_init` in time.
    InitTimeout,
    /// The id of a live operation.
    DuplicateId(String),
    /// A second `connection_init`.
    SecondInit,
    /// Two pings without a sign of life.
    Silent,
    /// A fault of Belfry; the details are in the server's log.
    Fault,
}

impl Close {
    /// The row of the table: code and reason.
    #[must_use]
    pub fn frame(&self) -> CloseFrame {
        let (code, reason) = match self {
            Self::TooBig => (1009, "Message too big".to_owned()),
            Self::Restart => (1012, "Service restart".to_owned()),
            Self::Overload(what) => (1013, (*what).to_owned()),
            Self::BadMessage(why) => (4400, why.clone()),
            Self::NotAcknowledged => (4401, "Unauthorized".to_owned()),
            Self::Forbidden => (4403, "Forbidden".to_owned()),
            Self::Subprotocol => (4406, "Subprotocol not acceptable".to_owned()),
            Self::InitTimeout => (4408, "Connection initialisation timeout".to_owned()),
            Self::DuplicateId(id) => (4409, format!("Subscriber for {id} already exists")),
            Self::SecondInit => (4429, "Too many initialisation requests".to_owned()),
            Self::Silent => (4499, "No answer to pings".to_owned()),
            Self::Fault => (4500, "Internal server error".to_owned()),
        };
        CloseFrame { code, reason: Utf8Bytes::from(cut(reason)) }
    }
}

/// The beginning of `reason` that fits into a close frame, cut between two characters.
fn cut(mut reason: String) -> String {
    reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
    reason
}

#[cfg(test)]
mod tests {
    use super::Close;

    #[test]
    fn a_reason_fits_into_its_frame() {
        let reason = |id: &str| Close::DuplicateId(id.to_owned()).frame().reason;
        let around = "Subscriber for  already exists".len();
        assert_eq!(reason(&"x".repeat(123 - around)).len(), 123);
        assert_eq!(reason(&"x".repeat(124 - around)).len(), 123);
        assert_eq!(reason(&"é".repeat(200)).len(), 123);
        assert_eq!(reason(&format!("x{}", "é".repeat(200))).len(), 122);
    }
}
