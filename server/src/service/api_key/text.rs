//! What a key that Belfry makes reads: `blf_<id>_<secret>`. The id says which row it is in a list, the
//! secret has 192 random bits and ends in a checksum, so that a mistyped key is told from a wrong
//! one without a look-up and scanners can find leaked ones.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entity::KeyId;
use rand::Rng as _;
use sha2::{Digest as _, Sha256};

/// Random bytes of a secret: 192 bits.
const SECRET_BYTES: usize = 24;
/// Bytes of the checksum.
const CHECK_BYTES: usize = 3;

/// The text of a new key.
pub(super) fn new_text(id: KeyId) -> String {
    let mut secret = [0_u8; SECRET_BYTES];
    rand::rng().fill_bytes(&mut secret);
    let id = id.to_string().replacen("key_", "", 1);
    let body = format!("blf_{id}_{}", URL_SAFE_NO_PAD.encode(secret));
    let check = checksum(&body);
    format!("{body}{check}")
}

/// A key of Belfry's form must end in its checksum; the operator's own form has none.
pub(super) fn has_valid_checksum(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("blf_") else { return true };
    let check_chars = CHECK_BYTES * 4 / 3;
    let Some(split) = rest.len().checked_sub(check_chars) else { return false };
    if !text.is_ascii() {
        return false;
    }
    let body = &text[..split + 4];
    checksum(body) == text[split + 4..]
}

fn checksum(body: &str) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(body.as_bytes())[..CHECK_BYTES])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_key_carries_its_id_and_a_checksum() {
        let id = KeyId(uuid::Uuid::from_u128(7));
        let text = new_text(id);
        assert!(text.starts_with("blf_00000000000000000000000007_"));
        assert!(has_valid_checksum(&text));
        let mut mistyped = text.into_bytes();
        mistyped[40] = if mistyped[40] == b'a' { b'b' } else { b'a' };
        assert!(!has_valid_checksum(&String::from_utf8(mistyped).expect("ASCII")));
        assert!(!has_valid_checksum("blf_"));
    }
}
