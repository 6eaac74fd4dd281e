//! The binary versions of CIFAR-10 and CIFAR-100 (A. Krizhevsky, "Learning multiple layers of features from tiny
//! images", 2009): records without any header.
//!
//! A CIFAR-10 record is one label byte and 3072 pixel bytes, a CIFAR-100 record one coarse label (of 20), one fine label
//! (of 100) and 3072 pixel bytes. Pixels are the red, green and blue planes, each 32 rows of 32.

use crate::format_error::FormatError;
use crate::idx::check_labels;
use crate::shape::ImageShape;
use crate::source::{Length, read_at_most};
use std::io::Read;

/// Shape of every CIFAR image.
pub const SHAPE: ImageShape = ImageShape { channels: 3, height: 32, width: 32 };

/// Which of the two record layouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CifarVariant {
    /// CIFAR-10: one label byte.
    Ten,
    /// CIFAR-100: a coarse and a fine label byte; the fine one is used.
    Hundred,
}

impl CifarVariant {
    /// Number of classes.
    #[must_use]
    pub const fn classes(self) -> usize {
        match self {
            Self::Ten => 10,
            Self::Hundred => 100,
        }
    }

    /// Label bytes at the start of a record.
    #[must_use]
    pub const fn label_bytes(self) -> usize {
        match self {
            Self::Ten => 1,
            Self::Hundred => 2,
        }
    }

    /// Bytes of one record.
    #[must_use]
    pub const fn record_bytes(self) -> usize {
        self.label_bytes() + SHAPE.len()
    }
}

/// Reads one CIFAR file to its end: pixels (records x 3072) and labels.
///
/// `max_records` limits what a compressed file may expand to, since the format has no header that says how much is
/// meant.
///
/// # Errors
/// [`FormatError`] when the length is not a whole, positive number of records up to `max_records`, when a label is out
/// of range, or when reading fails.
pub fn read(
    source: impl Read,
    length: Length,
    variant: CifarVariant,
    max_records: usize,
) -> Result<(Vec<u8>, Vec<u8>), FormatError> {
    let record = variant.record_bytes();
    let limit = max_records as u64 * record as u64;
    if let Length::Exact(bytes) = length {
        check_length(bytes, limit, record)?;
    }
    let bytes = read_at_most(source, limit + 1)?;
    check_length(bytes.len() as u64, limit, record)?;

    let count = bytes.len() / record;
    let mut pixels = Vec::with_capacity(count * SHAPE.len());
    let mut labels = Vec::with_capacity(count);
    for (index, example) in bytes.chunks_exact(record).enumerate() {
        let (label, image) = example.split_at(variant.label_bytes());
        if variant == CifarVariant::Hundred && label[0] >= 20 {
            return Err(FormatError::Label { index, found: label[0], classes: 20 });
        }
        labels.push(label[label.len() - 1]);
        pixels.extend_from_slice(image);
    }
    check_labels(&labels, variant.classes())?;
    Ok((pixels, labels))
}

fn check_length(bytes: u64, limit: u64, record: usize) -> Result<(), FormatError> {
    if bytes > limit {
        return Err(FormatError::Length { expected: limit, found: bytes });
    }
    if bytes == 0 || !bytes.is_multiple_of(record as u64) {
        return Err(FormatError::Records { record, found: bytes });
    }
    Ok(())
}
