//! The etag of services and revisions: quoted base64 of the time of the last write.
//!
//! Cloud Run encodes seconds (field 1) and nanoseconds (field 2) as a protocol buffer; the number
//! that its conflict text names is the same time in microseconds.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// The etag of a version (microseconds since 1970).
pub(crate) fn encode(version: i64) -> String {
    let version = u64::try_from(version).unwrap_or(0);
    let mut bytes = vec![0x08];
    varint(version / 1_000_000, &mut bytes);
    bytes.push(0x10);
    varint(version % 1_000_000 * 1_000, &mut bytes);
    format!("\"{}\"", STANDARD_NO_PAD.encode(bytes))
}

/// The version in an etag; the quotes may be missing. `None`: it is no etag of this server.
pub(crate) fn decode(etag: &str) -> Option<i64> {
    let bytes = STANDARD_NO_PAD
        .decode(etag.trim_matches('"').trim_end_matches('='))
        .ok()?;
    let rest = bytes.strip_prefix(&[0x08])?;
    let (seconds, rest) = read_varint(rest)?;
    let (nanos, rest) = read_varint(rest.strip_prefix(&[0x10])?)?;
    if !rest.is_empty() {
        return None;
    }
    i64::try_from(seconds.checked_mul(1_000_000)?.checked_add(nanos / 1_000)?).ok()
}

fn varint(mut number: u64, bytes: &mut Vec<u8>) {
    while number >= 0x80 {
        bytes.push((number & 0x7F) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn read_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(9) {
        number |= u64::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((number, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_can_be_decoded() {
        for version in [0, 1, 1_786_872_223_639_166, 1_786_872_000_000_000] {
            let etag = encode(version);
            assert!(etag.starts_with("\"C") && etag.ends_with('"'), "{etag}");
            assert_eq!(decode(&etag), Some(version));
            assert_eq!(decode(etag.trim_matches('"')), Some(version));
        }
    }

    #[test]
    fn strange_text_is_no_etag() {
        for text in ["", "\"\"", "abc", "\"AAAA\"", "W/\"1\""] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
