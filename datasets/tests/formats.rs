//! The parsers against well-formed, damaged and arbitrary bytes: each input is accepted as written or refused, never a panic.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use std::io::Write;
use widthwise_datasets::cifar::{self, CifarVariant};
use widthwise_datasets::idx::{self, Idx};
use widthwise_datasets::source::{self, Length};
use widthwise_datasets::{FormatError, ImageShape, bundled};

fn written(dims: &[usize], values: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    idx::write(&mut bytes, dims, values).unwrap();
    bytes
}

fn read(bytes: &[u8]) -> Result<Idx, FormatError> {
    idx::read(bytes, Length::Exact(bytes.len() as u64))
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Reads as a `.gz` file on disk, the way a data set does.
fn read_gz(gz: &[u8]) -> Result<Idx, FormatError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.gz");
    std::fs::write(&path, gz).unwrap();
    let (reader, length) = source::open(&path).unwrap();
    idx::read(reader, length)
}

fn small_idx() -> impl Strategy<Value = (Vec<usize>, Vec<u8>)> {
    prop::collection::vec(1_usize..6, 1..=4).prop_flat_map(|dims| {
        let count = dims.iter().product::<usize>();
        (Just(dims), prop::collection::vec(any::<u8>(), count))
    })
}

proptest! {
    #[test]
    fn idx_reads_what_was_written((dims, values) in small_idx()) {
        let bytes = written(&dims, &values);
        let expected = Idx { dims, data: values };
        prop_assert_eq!(&read(&bytes).unwrap(), &expected);
        prop_assert_eq!(&read_gz(&gzipped(&bytes)).unwrap(), &expected);
    }

    #[test]
    fn every_truncation_of_idx_is_refused((dims, values) in small_idx(), cut in any::<prop::sample::Index>()) {
        let bytes = written(&dims, &values);
        let short = &bytes[..cut.index(bytes.len())];
        prop_assert!(read(short).is_err());
        prop_assert!(idx::read(short, Length::AtMost(1_000_000)).is_err());
    }

    #[test]
    fn every_extension_of_idx_is_refused((dims, values) in small_idx(), extra in prop::collection::vec(any::<u8>(), 1..9)) {
        let mut bytes = written(&dims, &values);
        bytes.extend(extra);
        let is_length_error = |result| matches!(result, Err(FormatError::Length { .. }));
        prop_assert!(is_length_error(read(&bytes)));
        prop_assert!(is_length_error(idx::read(&bytes[..], Length::AtMost(1_000_000))));
    }

    #[test]
    fn a_flipped_bit_in_the_header_is_refused((dims, values) in small_idx(), bit in any::<prop::sample::Index>()) {
        let mut bytes = written(&dims, &values);
        let bit = bit.index(8 * (4 + 4 * dims.len()));
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(read(&bytes).is_err());
    }

    #[test]
    fn a_flipped_bit_in_a_gz_is_refused_or_harmless((dims, values) in small_idx(), bit in any::<prop::sample::Index>()) {
        // Some bits say nothing about the contents: the header's time stamp, padding after the last block.
        let bytes = written(&dims, &values);
        let mut gz = gzipped(&bytes);
        let bit = bit.index(8 * gz.len());
        gz[bit / 8] ^= 1 << (bit % 8);
        if let Ok(found) = read_gz(&gz) {
            prop_assert_eq!(found, Idx { dims, data: values });
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), header in any::<bool>()) {
        let bytes = if header { [&[0, 0, 8][..], &bytes].concat() } else { bytes };
        let _ = read(&bytes);
        let _ = idx::read(&bytes[..], Length::AtMost(u64::MAX));
        let _ = read_gz(&bytes);
        for variant in [CifarVariant::Ten, CifarVariant::Hundred] {
            prop_assert!(cifar::read(&bytes[..], Length::Exact(bytes.len() as u64), variant, 10).is_err());
        }
    }

    #[test]
    fn an_absurd_header_is_refused_before_memory_is_taken(dims in prop::collection::vec(1_u32 << 28..=u32::MAX, 1..=4)) {
        let mut bytes = vec![0, 0, 8, dims.len() as u8];
        bytes.extend(dims.iter().flat_map(|dim| dim.to_be_bytes()));
        let is_claim = |result| matches!(result, Err(FormatError::Claim { .. }));
        prop_assert!(is_claim(read(&bytes)));
        prop_assert!(is_claim(read_gz(&gzipped(&bytes))));
    }

    #[test]
    fn cifar_reads_what_was_written(labels in prop::collection::vec(0_u8..10, 1..5), fill in any::<u8>()) {
        for variant in [CifarVariant::Ten, CifarVariant::Hundred] {
            let bytes = records(variant, &labels, fill);
            let (pixels, found) = read_cifar(&bytes, variant, 4).unwrap();
            prop_assert_eq!(&found, &labels);
            prop_assert_eq!(pixels.len(), labels.len() * 3072);
            prop_assert!(pixels.iter().enumerate().all(|(at, &pixel)| pixel == fill.wrapping_add(at as u8)));
        }
    }

    #[test]
    fn every_truncation_of_cifar_to_part_of_a_record_is_refused(cut in 1_usize..3073) {
        let bytes = records(CifarVariant::Ten, &[1, 2], 0);
        let result = read_cifar(&bytes[..bytes.len() - cut], CifarVariant::Ten, 4);
        let is_records = matches!(result, Err(FormatError::Records { record: 3073, .. }));
        prop_assert!(is_records || cut == 3073);
    }
}

fn records(variant: CifarVariant, labels: &[u8], fill: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut at = 0_usize;
    for &label in labels {
        if variant == CifarVariant::Hundred {
            bytes.push(19);
        }
        bytes.push(label);
        bytes.extend((at..at + 3072).map(|at| fill.wrapping_add(at as u8)));
        at += 3072;
    }
    bytes
}

fn read_cifar(bytes: &[u8], variant: CifarVariant, max: usize) -> Result<(Vec<u8>, Vec<u8>), FormatError> {
    cifar::read(bytes, Length::Exact(bytes.len() as u64), variant, max)
}

#[test]
fn cifar_labels_out_of_range_are_named() {
    let result = read_cifar(&records(CifarVariant::Ten, &[3, 10], 0), CifarVariant::Ten, 4);
    assert!(matches!(result, Err(FormatError::Label { index: 1, found: 10, classes: 10 })));
    let result = read_cifar(&records(CifarVariant::Hundred, &[3, 100], 0), CifarVariant::Hundred, 4);
    assert!(matches!(result, Err(FormatError::Label { index: 1, found: 100, classes: 100 })));
    let mut coarse = records(CifarVariant::Hundred, &[3], 0);
    coarse[0] = 20;
    let result = read_cifar(&coarse, CifarVariant::Hundred, 4);
    assert!(matches!(result, Err(FormatError::Label { index: 0, found: 20, classes: 20 })));
}

#[test]
fn more_cifar_records_than_allowed_are_refused_even_when_compressed() {
    let bytes = records(CifarVariant::Ten, &[1, 2, 3], 0);
    for length in [Length::Exact(bytes.len() as u64), Length::AtMost(u64::MAX)] {
        let result = cifar::read(&bytes[..], length, CifarVariant::Ten, 2);
        assert!(matches!(result, Err(FormatError::Length { expected: 6146, .. })), "{result:?}");
    }
}

#[test]
fn images_and_labels_must_belong_together() {
    let shape = ImageShape { channels: 1, height: 2, width: 2 };
    let images = |count| Idx { dims: vec![count, 2, 2], data: vec![0; 4 * count] };
    let labels = |values: &[u8]| Idx { dims: vec![values.len()], data: values.to_vec() };
    assert!(idx::pair(images(2), labels(&[0, 1]), shape, 2).is_ok());
    assert!(matches!(idx::pair(images(2), labels(&[0]), shape, 2), Err(FormatError::Counts { images: 2, labels: 1 })));
    assert!(matches!(idx::pair(images(2), labels(&[0, 2]), shape, 2), Err(FormatError::Label { index: 1, .. })));
    assert!(matches!(
        idx::pair(labels(&[0, 1]), images(2), shape, 2),
        Err(FormatError::Dimensions { what: "images", expected: 3, found: 1 })
    ));
    let wide = ImageShape { channels: 1, height: 2, width: 3 };
    assert!(matches!(idx::pair(images(2), labels(&[0, 1]), wide, 2), Err(FormatError::ImageSize { .. })));
}

#[test]
fn a_file_still_compressed_is_recognised_by_its_magic() {
    let gz = gzipped(&written(&[3], &[1, 2, 3]));
    let message = read(&gz).unwrap_err().to_string();
    assert!(message.contains("[1f, 8b, 08, 00]") && message.contains("compressed"), "{message}");
}

#[test]
fn the_bundled_subset_is_stratified() {
    let data = bundled::mnist().unwrap();
    assert_eq!((data.train.n, data.test.n), (5000, 1000));
    assert_eq!(data.train.label_counts(10), [500; 10]);
    assert_eq!(data.test.label_counts(10), [100; 10]);
    assert!(bundled::NOTICE.contains("CC BY-SA 3.0"));
}
