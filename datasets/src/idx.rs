//! The IDX format of MNIST and Fashion-MNIST (Y. LeCun, C. Cortes, C. Burges, "The MNIST database").
//!
//! Two zero bytes, a type byte (08 = unsigned byte, the only one accepted), the number of dimensions, the dimensions as
//! big-endian 32-bit numbers, then the values with the last dimension running fastest.

use crate::format_error::FormatError;
use crate::shape::ImageShape;
use crate::source::{Length, read_at_most, read_full};
use std::io::Read;

/// The most dimensions an accepted file has.
const MAX_DIMENSIONS: u8 = 4;

/// The contents of one IDX file of unsigned bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idx {
    /// Dimensions, outermost first.
    pub dims: Vec<usize>,
    /// Values; as many as the product of the dimensions.
    pub data: Vec<u8>,
}

/// Reads one IDX file to its end.
///
/// `length` bounds the bytes that `source` can yield, header included; the header's claim is checked against it before
/// any memory is taken.
///
/// # Errors
/// [`FormatError`] when the magic number, a dimension or the length is wrong, or when reading fails.
pub fn read(mut source: impl Read, length: Length) -> Result<Idx, FormatError> {
    let mut magic = [0_u8; 4];
    let found = read_full(&mut source, &mut magic)?;
    if found < magic.len() {
        return Err(FormatError::HeaderTruncated { expected: 4, found: found as u64 });
    }
    if magic[..3] != [0, 0, 8] || magic[3] == 0 || magic[3] > MAX_DIMENSIONS {
        return Err(FormatError::Magic { found: magic });
    }
    let mut header = vec![0_u8; 4 * usize::from(magic[3])];
    let found = read_full(&mut source, &mut header)?;
    if found < header.len() {
        return Err(FormatError::HeaderTruncated { expected: 4 + header.len() as u64, found: 4 + found as u64 });
    }
    let dims: Vec<u32> = header.chunks_exact(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]])).collect();
    let header_bytes = 4 + header.len() as u64;
    let claim = claimed_values(&dims, header_bytes, length)?;

    let data = read_at_most(&mut source, claim + 1)?;
    if data.len() as u64 != claim {
        return Err(FormatError::Length { expected: claim, found: data.len() as u64 });
    }
    Ok(Idx { dims: dims.iter().map(|&dim| dim as usize).collect(), data })
}

fn claimed_values(dims: &[u32], header_bytes: u64, length: Length) -> Result<u64, FormatError> {
    if dims.contains(&0) {
        return Err(FormatError::Empty { dims: dims.to_vec() });
    }
    let too_large = || FormatError::Claim { dims: dims.to_vec(), available: length.bound() };
    let claim =
        dims.iter().try_fold(1_u64, |product, &dim| product.checked_mul(u64::from(dim))).ok_or_else(too_large)?;
    let available = length.bound().saturating_sub(header_bytes);
    if claim > available {
        return Err(too_large());
    }
    if matches!(length, Length::Exact(_)) && claim < available {
        return Err(FormatError::Length { expected: claim, found: available });
    }
    Ok(claim)
}

/// Writes the IDX form of `values` with these dimensions.
///
/// # Errors
/// Whatever `target` fails with.
///
/// # Panics
/// If the dimensions do not multiply to the number of values or do not fit the format.
pub fn write(mut target: impl std::io::Write, dims: &[usize], values: &[u8]) -> std::io::Result<()> {
    assert_eq!(dims.iter().product::<usize>(), values.len(), "dimensions must multiply to the number of values");
    assert!((1..=usize::from(MAX_DIMENSIONS)).contains(&dims.len()), "1 to {MAX_DIMENSIONS} dimensions");
    target.write_all(&[0, 0, 8, dims.len() as u8])?;
    for &dim in dims {
        let dim = u32::try_from(dim).map_err(std::io::Error::other)?;
        target.write_all(&dim.to_be_bytes())?;
    }
    target.write_all(values)
}

/// Joins the two files of one split, checking counts, image size and labels.
///
/// # Errors
/// [`FormatError`] when the files do not belong together or do not fit `shape` and `classes`.
pub fn pair(images: Idx, labels: Idx, shape: ImageShape, classes: usize) -> Result<(Vec<u8>, Vec<u8>), FormatError> {
    let (count, height, width) = image_dims(&images)?;
    let label_count = label_dims(&labels)?;
    if (height, width) != (shape.height, shape.width) {
        return Err(FormatError::ImageSize {
            found_height: height,
            found_width: width,
            height: shape.height,
            width: shape.width,
        });
    }
    if count != label_count {
        return Err(FormatError::Counts { images: count, labels: label_count });
    }
    check_labels(&labels.data, classes)?;
    Ok((images.data, labels.data))
}

/// Count, height and width of an image file.
///
/// # Errors
/// [`FormatError::Dimensions`] for another number of dimensions than three.
pub fn image_dims(images: &Idx) -> Result<(usize, usize, usize), FormatError> {
    match images.dims[..] {
        [count, height, width] => Ok((count, height, width)),
        _ => Err(FormatError::Dimensions { what: "images", expected: 3, found: images.dims.len() }),
    }
}

/// Number of labels in a label file.
///
/// # Errors
/// [`FormatError::Dimensions`] for another number of dimensions than one.
pub fn label_dims(labels: &Idx) -> Result<usize, FormatError> {
    match labels.dims[..] {
        [count] => Ok(count),
        _ => Err(FormatError::Dimensions { what: "labels", expected: 1, found: labels.dims.len() }),
    }
}

pub(crate) fn check_labels(labels: &[u8], classes: usize) -> Result<(), FormatError> {
    match labels.iter().position(|&label| usize::from(label) >= classes) {
        Some(index) => Err(FormatError::Label { index, found: labels[index], classes }),
        None => Ok(()),
    }
}
