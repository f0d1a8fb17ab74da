//! How messages between this program and the page are framed; the other end is `page/channel.js`.
//!
//! The length of the header (four bytes, little-endian), the header as JSON, the parts that its `parts` measures.

use serde_json::{Value, json};

/// A command or an answer with the bytes behind it.
#[derive(Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) header: Value,
    pub(crate) parts: Vec<Vec<u8>>,
}

/// Frames a message.
pub(crate) fn encode(mut header: Value, parts: &[&[u8]]) -> Vec<u8> {
    header["parts"] = json!(parts.iter().map(|part| part.len()).collect::<Vec<_>>());
    let text = header.to_string();
    let length = u32::try_from(text.len()).expect("a header is small");
    let size = 4 + text.len() + parts.iter().map(|part| part.len()).sum::<usize>();
    let mut bytes = Vec::with_capacity(size);
    bytes.extend(length.to_le_bytes());
    bytes.extend(text.as_bytes());
    parts.iter().for_each(|part| bytes.extend(*part));
    bytes
}

/// Reads a message; what a page sends is not trusted.
pub(crate) fn decode(bytes: &[u8]) -> Result<Message, String> {
    let broken = || "the page sent a broken message".to_owned();
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(broken)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| broken())?;
    let (text, mut rest) = rest.split_at_checked(length).ok_or_else(broken)?;
    let header: Value = serde_json::from_slice(text).map_err(|_| broken())?;
    let sizes: Vec<usize> =
        serde_json::from_value(header["parts"].clone()).map_err(|_| broken())?;
    let mut parts = Vec::with_capacity(sizes.len().min(1024));
    for size in sizes {
        let (part, behind) = rest.split_at_checked(size).ok_or_else(broken)?;
        parts.push(part.to_vec());
        rest = behind;
    }
    if rest.is_empty() { Ok(Message { header, parts }) } else { Err(broken()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_as_it_was() {
        let bytes = encode(json!({"id": 1}), &[b"ab", b"", b"c"]);
        let message = decode(&bytes).unwrap();
        assert_eq!(message.header["id"], 1);
        assert_eq!(message.parts, [b"ab".to_vec(), Vec::new(), b"c".to_vec()]);
    }

    #[test]
    fn whatever_else_comes_is_refused() {
        let whole = encode(json!({"id": 1}), &[b"abc"]);
        for length in 0..whole.len() {
            assert!(decode(&whole[..length]).is_err(), "{length} bytes of it");
        }
        assert!(decode(&[whole.as_slice(), b"x"].concat()).is_err());
        let huge = br#"{"parts":[18446744073709551615]}"#;
        let mut bytes = u32::try_from(huge.len()).unwrap().to_le_bytes().to_vec();
        bytes.extend(huge);
        assert!(decode(&bytes).is_err());
        assert!(decode(&[255; 64]).is_err());
        assert!(decode(&encode(json!(null), &[])).is_ok());
        assert!(decode(b"\x02\0\0\0{}").is_err(), "no parts");
    }
}
