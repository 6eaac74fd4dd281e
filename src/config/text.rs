//! The text of a configuration from its bytes: UTF-8, or UTF-16 as editors of Windows save it.

use std::str;

/// The text, without a byte order mark.
///
/// # Errors
/// What the bytes are instead, to follow "is".
pub(super) fn decode(bytes: &[u8]) -> Result<String, String> {
    match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => utf8(rest),
        [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] => Err("UTF-32 text".to_owned()),
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        // TOML begins with a character of ASCII, a comment's "#" at the latest.
        [1..=u8::MAX, 0, ..] => utf16(bytes, u16::from_le_bytes),
        [0, 1..=u8::MAX, ..] => utf16(bytes, u16::from_be_bytes),
        _ => utf8(bytes),
    }
}

fn utf8(bytes: &[u8]) -> Result<String, String> {
    str::from_utf8(bytes).map(str::to_owned).map_err(|error| {
        let (before, rest) = bytes.split_at(error.valid_up_to());
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let byte = rest.first().copied().unwrap_or_default();
        format!("no UTF-8 text (byte {byte:#04x} in line {line})")
    })
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, String> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut text = String::with_capacity(pairs.len());
    for character in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        match character {
            Ok(character) => text.push(character),
            Err(_) => break,
        }
    }
    let is_whole = rest.is_empty() && text.encode_utf16().count() == pairs.len();
    let line = text.matches('\n').count() + 1;
    if is_whole { Ok(text) } else { Err(format!("UTF-16 text that is damaged in line {line}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# σ, 🦀\n[network]\nwidth = 64\n";

    fn utf16_of(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn every_encoding_of_a_text_is_the_text() {
        let [little, big] = [utf16_of(TEXT, u16::to_le_bytes), utf16_of(TEXT, u16::to_be_bytes)];
        assert_eq!(decode(TEXT.as_bytes()).unwrap(), TEXT);
        assert_eq!(decode(&[b"\xEF\xBB\xBF", TEXT.as_bytes()].concat()).unwrap(), TEXT);
        assert_eq!(decode(&little).unwrap(), TEXT);
        assert_eq!(decode(&big).unwrap(), TEXT);
        assert_eq!(decode(&[b"\xFF\xFE".as_slice(), &little].concat()).unwrap(), TEXT);
        assert_eq!(decode(&[b"\xFE\xFF".as_slice(), &big].concat()).unwrap(), TEXT);
        for empty in [b"".as_slice(), b"\xEF\xBB\xBF", b"\xFF\xFE", b"\xFE\xFF"] {
            assert_eq!(decode(empty).unwrap(), "");
        }
    }

    #[test]
    fn what_is_no_text_is_named() {
        let cut = |bytes: Vec<u8>| bytes[..bytes.len() - 1].to_vec();
        let little = utf16_of(TEXT, u16::to_le_bytes);
        for (bytes, expected) in [
            (b"[run]\nname = \"caf\xe9\"\n".to_vec(), "no UTF-8 text (byte 0xe9 in line 2)"),
            (cut(little.clone()), "UTF-16 text that is damaged in line 3"),
            ([&little[..4], b"\x00\xd8", &little[4..]].concat(), "UTF-16 text that is damaged in line 1"),
            (b"\xff\xfe\0\0#\0\0\0".to_vec(), "UTF-32 text"),
            (b"\0\0\xfe\xff\0\0\0#".to_vec(), "UTF-32 text"),
            (b"\x80\x81".to_vec(), "no UTF-8 text (byte 0x80 in line 1)"),
        ] {
            assert_eq!(decode(&bytes).unwrap_err(), expected);
        }
    }
}
