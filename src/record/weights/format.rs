//! What a file is, from the bytes that it begins with.

use serde_json::Value;

use super::torch::Form;

/// A kind of file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WeightsFormat {
    /// safetensors.
    Safetensors,
    /// What `torch.save` writes, or a pickle.
    Torch(Form),
    /// The index of a state dict in several files.
    Index,
    /// Something that cannot be read, in words.
    Other(String),
}

/// The number with which a file of PyTorch before 1.6 begins, as pickles of protocol 2 and as text.
const STREAM_MAGIC: [&[u8]; 2] =
    [&[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19], b"119547037146038801333356"];

/// The kind of a file of `length` bytes that begins with `head`.
pub(super) fn format_of(head: &[u8], length: u64) -> WeightsFormat {
    let begins = |with: &[u8]| head.starts_with(with);
    let holds =
        |what: &[u8], most: usize| head[..head.len().min(most)].windows(what.len()).any(|window| window == what);
    let other = |what: &str| WeightsFormat::Other(what.to_owned());
    if head.is_empty() {
        return other("it is empty");
    }
    if begins(b"PK\x03\x04") || begins(b"PK\x05\x06") {
        return WeightsFormat::Torch(Form::Zip);
    }
    // The length of a header in JSON, and the header: however long it claims to be, the reader of safetensors says so.
    if head.get(8) == Some(&b'{') && !begins(b"{") {
        return WeightsFormat::Safetensors;
    }
    if head.get(257..262) == Some(b"ustar") {
        return other(
            "it is a tar archive; unpack it and give the file in it (files of PyTorch before 0.1.10 are tar archives themselves: load \
             and save those again with a newer one)",
        );
    }
    if STREAM_MAGIC.iter().any(|magic| holds(magic, 64)) {
        return WeightsFormat::Torch(Form::Stream);
    }
    let known: [(&[u8], &str); 9] = [
        (b"\x1f\x8b", "it is packed with gzip; unpack it first"),
        (b"\x89HDF", "it is an HDF5 file, as Keras writes"),
        (b"\x93NUMPY", "it is a single NumPy array, without names"),
        (b"GGUF", "it is a GGUF file, whose weights are quantized"),
        (b"version https://git-lfs", "it is a pointer of Git LFS and not the file; fetch that with git lfs pull"),
        (b"<", "it is a page of HTML or XML; the download of the file went wrong"),
        (b"BZh", "it is packed with bzip2; unpack it first"),
        (b"\xfd7zXZ", "it is packed with xz; unpack it first"),
        (b"\x28\xb5\x2f\xfd", "it is packed with zstd; unpack it first"),
    ];
    if let Some((_, what)) = known.iter().find(|(magic, _)| begins(magic)) {
        return other(what);
    }
    if begins(b"\x08") && (holds(b"pytorch", 200) || holds(b"onnx", 200) || holds(b"tf2onnx", 200)) {
        return other("it is an ONNX model, which is a graph and not a state dict");
    }
    let text = head.iter().position(|byte| !byte.is_ascii_whitespace()).map(|start| head[start]);
    if text == Some(b'{') {
        return if holds(b"\"weight_map\"", head.len()) || length > head.len() as u64 {
            WeightsFormat::Index
        } else {
            other("it is JSON")
        };
    }
    match head[0] {
        0x80 | b'(' | b']' | b'}' | b'c' => WeightsFormat::Torch(Form::Pickle),
        _ if length < 8 => other("it is too short to hold weights"),
        _ => WeightsFormat::Other(format!(
            "it is no file of weights that is known here (it begins with {})",
            shown(head)
        )),
    }
}

/// The first bytes, as text where they are.
fn shown(head: &[u8]) -> String {
    let first = &head[..head.len().min(8)];
    if first.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
        return format!("\"{}\"", String::from_utf8_lossy(first));
    }
    first.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// What is said of the index of a state dict in several files.
pub(super) fn shards(text: &[u8]) -> String {
    let index: Option<Value> = serde_json::from_slice(text).ok();
    let map = index.as_ref().and_then(|index| index.get("weight_map")).and_then(Value::as_object);
    let Some(map) = map else { return "it is JSON and holds no weights".to_owned() };
    let mut files: Vec<&str> = map.values().filter_map(Value::as_str).collect();
    files.sort_unstable();
    files.dedup();
    let named = files.iter().take(4).copied().collect::<Vec<_>>().join(", ");
    let more = if files.len() > 4 { ", ..." } else { "" };
    format!(
        "it is the index of a state dict in {} files ({named}{more}); load them and write one, \
         safetensors.torch.save_file({{**load_file(first), **load_file(second)}}, ...)",
        files.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_begins_with_says_what_it_is() {
        let other = |head: &[u8], words: &str| match format_of(head, head.len() as u64) {
            WeightsFormat::Other(what) => assert!(what.contains(words), "{what}"),
            found => panic!("{found:?} instead of {words}"),
        };
        other(b"", "empty");
        other(b"\x1f\x8b\x08\x00", "gzip");
        other(b"\x89HDF\r\n\x1a\n", "HDF5");
        other(b"\x93NUMPY\x01\x00", "a single NumPy array");
        other(b"GGUF\x03\x00\x00\x00", "GGUF");
        other(b"version https://git-lfs.github.com/spec/v1\n", "Git LFS");
        other(b"<!DOCTYPE html><html>", "HTML");
        other(b"\x08\x08\x12\x07pytorch\x1a\x051.9.0", "ONNX");
        other(b"{\"a\": 1}", "JSON");
        other(b"hello world", "begins with \"hello wo\"");
        other(&[vec![0; 257], b"ustar\x00".to_vec()].concat(), "tar archive");
        assert_eq!(format_of(b"PK\x03\x04....", 8), WeightsFormat::Torch(Form::Zip));
        assert_eq!(format_of(b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", 16), WeightsFormat::Torch(Form::Stream));
        assert_eq!(format_of(b"\x80\x04}\x94.", 5), WeightsFormat::Torch(Form::Pickle));
        // Headers of 128 bytes begin as a pickle does; of a length that no file has they are safetensors all the same.
        assert_eq!(format_of(b"\x80\0\0\0\0\0\0\0{\"a\"", 200), WeightsFormat::Safetensors);
        assert_eq!(format_of(b"\xff\xff\xff\xff\xff\xff\xff\x7f{\"a\"", 20), WeightsFormat::Safetensors);
        assert_eq!(format_of(b"{\"metadata\": {}, \"weight_map\": {}}", 34), WeightsFormat::Index);
    }

    #[test]
    fn shards_are_named() {
        let text = r#"{"weight_map": {"a.weight": "m-00001-of-00002.safetensors", "b.weight": "m-00002-of-00002.safetensors"}}"#;
        assert!(
            shards(text.as_bytes()).contains("in 2 files (m-00001-of-00002.safetensors, m-00002-of-00002.safetensors)")
        );
        assert!(shards(b"{\"a\": ").contains("JSON"));
    }
}
