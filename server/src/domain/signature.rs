//! Standard Webhooks signatures, scheme `v1`: HMAC-SHA256 over `id.timestamp.body`.
//!
//! Stages sign with it, `belfry receive` verifies with it. Source: the Standard Webhooks
//! specification, <https://www.standardwebhooks.com>. One key for each project (what it sends) and one
//! for each trigger (what fires it) is derived from the server's master key, so that nothing secret
//! is stored and rotation is a number.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use entity::Instant;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

/// How far the timestamp of a message may be from `now`, either way: the tolerance that the
/// specification's own libraries use.
pub const TOLERANCE_SECS: i64 = 5 * 60;

/// What the text form of a secret begins with.
pub const SECRET_PREFIX: &str = "whsec_";

/// Shortest and longest secret in bytes, by the specification.
pub const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// SHA-256's block, to which HMAC pads its key.
const BLOCK_BYTES: usize = 64;

/// The secret that signs what one project sends, or what fires one trigger. Never printed but by [`SigningKey::secret`].
#[derive(Clone)]
pub struct SigningKey(Vec<u8>);

/// The three headers of a signed message.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// `webhook-id`: the same on every attempt.
    pub id: &'a str,
    /// `webhook-timestamp`: seconds since the epoch, of this attempt.
    pub timestamp: &'a str,
    /// `webhook-signature`: one or more `v1,<base64>`, separated by spaces.
    pub signature: &'a str,
}

/// Why a message is not to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// The timestamp is not a number of seconds.
    #[error("the timestamp is not a number of seconds since 1970")]
    TimestampUnreadable,
    /// The message is older than the tolerance, or the clocks differ: it may be a repetition.
    #[error("the timestamp is more than 5 minutes old")]
    TooOld,
    /// The message comes from the future by more than the tolerance.
    #[error("the timestamp is more than 5 minutes ahead")]
    TooNew,
    /// No signature in the header is that of this message under this key.
    #[error("no signature matches")]
    NoMatch,
}

impl SigningKey {
    /// The key of a project or a trigger: HKDF-SHA256 over the server's master key, bound to the id
    /// (whose prefix tells the two apart) and to the number of times that the key was rotated.
    #[must_use]
    pub fn derive(master: &[u8; 32], id: &str, generation: u32) -> Self {
        let info = format!("belfry webhook signing v1\0{id}\0{generation}");
        let mut key = vec![0; 32];
        #[expect(clippy::expect_used, reason = "HKDF-SHA256 yields up to 255 × 32 bytes")]
        Hkdf::<Sha256>::new(None, master)
            .expand(info.as_bytes(), &mut key)
            .expect("32 bytes are within HKDF's bound");
        Self(key)
    }

    /// Reads the text form, `whsec_` and base64.
    ///
    /// # Errors
    /// A sentence that says what was expected; it never repeats the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = "expected whsec_ and the base64 of 24 to 64 bytes";
        let encoded = text.strip_prefix(SECRET_PREFIX).ok_or(expected)?;
        let key = BASE64.decode(encoded).map_err(|_| expected)?;
        if SECRET_BYTES.contains(&key.len()) { Ok(Self(key)) } else { Err(expected.to_owned()) }
    }

    /// The text form, for the eyes of an administrator.
    #[must_use]
    pub fn secret(&self) -> String {
        format!("{SECRET_PREFIX}{}", BASE64.encode(&self.0))
    }

    /// The value of `webhook-signature` for a message.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp_secs: i64, body: &[u8]) -> String {
        let mac = self.mac(id, &timestamp_secs.to_string(), body);
        format!("v1,{}", BASE64.encode(mac))
    }

    /// Whether one of the signatures is that of `body` under this key and the message is no more
    /// than [`TOLERANCE_SECS`] away from `now`. Compares in constant time.
    ///
    /// # Errors
    /// Why the message is not to be trusted.
    pub fn verify(&self, signed: &Signed<'_>, body: &[u8], now: Instant) -> Result<(), Untrusted> {
        let sent: i64 = signed.timestamp.parse().map_err(|_| Untrusted::TimestampUnreadable)?;
        let now = now.millis() / 1_000;
        if sent < now.saturating_sub(TOLERANCE_SECS) {
            return Err(Untrusted::TooOld);
        }
        if now.saturating_add(TOLERANCE_SECS) < sent {
            return Err(Untrusted::TooNew);
        }
        let expected = self.mac(signed.id, signed.timestamp, body);
        let matches = signed
            .signature
            .split(' ')
            .filter_map(|part| part.strip_prefix("v1,"))
            .filter_map(|encoded| BASE64.decode(encoded).ok())
            .any(|given| bool::from(given.as_slice().ct_eq(expected.as_slice())));
        if matches { Ok(()) } else { Err(Untrusted::NoMatch) }
    }

    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> [u8; 32] {
        // HMAC pads a key shorter than a block with zeros (RFC 2104); doing so here leaves no
        // length that could be refused.
        let mut block = [0; BLOCK_BYTES];
        for (padded, byte) in block.iter_mut().zip(&self.0) {
            *padded = *byte;
        }
        let mut mac = Hmac::<Sha256>::new(&block.into());
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

/// Says that there is a key, not which.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(REDACTED)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The vector of the specification's own libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const SENT_SECS: i64 = 1_614_265_330;
    const BODY: &[u8] = b"{\"test\": 2432232314}";
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn key() -> SigningKey {
        SigningKey::parse(SECRET).expect("a secret")
    }

    fn verify(signature: &str, body: &[u8], late_secs: i64) -> Result<(), Untrusted> {
        let sent = SENT_SECS.to_string();
        let signed = Signed { id: ID, timestamp: &sent, signature };
        key().verify(&signed, body, Instant::from_millis((SENT_SECS + late_secs) * 1_000))
    }

    #[test]
    fn the_vector_of_the_specification_holds() {
        assert_eq!(key().sign(ID, SENT_SECS, BODY), SIGNATURE);
        assert_eq!(verify(SIGNATURE, BODY, 0), Ok(()));
    }

    #[test]
    fn one_of_several_signatures_is_enough() {
        let other = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        assert_eq!(verify(&format!("v1a,{other} {other} {SIGNATURE}"), BODY, 0), Ok(()));
        for none in ["", "v1,", other, "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "v1,?"] {
            assert_eq!(verify(none, BODY, 0), Err(Untrusted::NoMatch), "{none:?}");
        }
        assert_eq!(verify(SIGNATURE, b"{\"test\": 2432232315}", 0), Err(Untrusted::NoMatch));
    }

    #[test]
    fn a_message_is_trusted_for_five_minutes_either_way() {
        assert_eq!(verify(SIGNATURE, BODY, 300), Ok(()));
        assert_eq!(verify(SIGNATURE, BODY, 301), Err(Untrusted::TooOld));
        assert_eq!(verify(SIGNATURE, BODY, -300), Ok(()));
        assert_eq!(verify(SIGNATURE, BODY, -301), Err(Untrusted::TooNew));
        for timestamp in ["", "soon", "99999999999999999999", "1.5"] {
            let signed = Signed { id: ID, timestamp, signature: SIGNATURE };
            let refused = key().verify(&signed, BODY, Instant::MIN);
            assert_eq!(refused, Err(Untrusted::TimestampUnreadable), "{timestamp:?}");
        }
        let signed = Signed { id: ID, timestamp: &i64::MIN.to_string(), signature: SIGNATURE };
        assert_eq!(key().verify(&signed, BODY, Instant::MIN), Err(Untrusted::TooOld));
    }

    #[test]
    fn a_project_has_its_own_key_which_never_changes() {
        let project = "prj_01h2xcejqtf2nbrexx3vqjhp41";
        let secret = |master: u8, project: &str, generation| {
            SigningKey::derive(&[master; 32], project, generation).secret()
        };
        // Computed with another implementation: receivers hold what this derives.
        assert_eq!(secret(7, project, 0), "whsec_m2y+qyUlPJ3CHebstQBYF3eJ5qP88UO0UZWUV0Nw+6E=");
        let others = [secret(8, project, 0), secret(7, "prj_other", 0), secret(7, project, 1)];
        assert!(!others.contains(&secret(7, project, 0)));
    }

    #[test]
    fn a_secret_has_24_to_64_bytes_and_is_read_back() {
        let secret = |bytes: usize| format!("whsec_{}", BASE64.encode(vec![b'k'; bytes]));
        for bytes in [24, 32, 64] {
            let key = SigningKey::parse(&secret(bytes)).expect("a secret");
            assert_eq!(key.secret(), secret(bytes));
        }
        for bad in [secret(23), secret(65), "k".repeat(32), "whsec_?".to_owned(), String::new()] {
            let message = SigningKey::parse(&bad).expect_err("it is refused");
            assert_eq!(message, "expected whsec_ and the base64 of 24 to 64 bytes");
        }
    }

    #[test]
    fn a_key_is_not_printed() {
        assert_eq!(format!("{:?}", Some(key())), "Some(SigningKey(REDACTED))");
    }
}
