//! What can be wrong with the bytes of a data file.

use std::io;

/// A file that is not what its format allows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The first bytes are not those of an IDX file of unsigned bytes.
    #[error(
        "an IDX file of unsigned bytes starts with 00 00 08 and the number of dimensions (1 to 4), but this one starts with \
         {found:02x?}; it is damaged or of another kind, still compressed or a web page: fetch or import it again"
    )]
    Magic {
        /// First four bytes.
        found: [u8; 4],
    },
    /// The file ends before its header does.
    #[error(
        "the file ends inside its header, after {found} of {expected} bytes; it is truncated or damaged: fetch or import it \
         again"
    )]
    HeaderTruncated {
        /// Bytes that a header needs.
        expected: u64,
        /// Bytes present.
        found: u64,
    },
    /// The header claims more values than a file of this length can hold.
    #[error(
        "the header claims the dimensions {dims:?}, more values than the file of {available} bytes can hold; it is \
         truncated or damaged: fetch or import it again"
    )]
    Claim {
        /// Dimensions in the header.
        dims: Vec<u32>,
        /// Length of the file in bytes.
        available: u64,
    },
    /// A dimension is zero.
    #[error(
        "the header claims the dimensions {dims:?}; every dimension must be at least 1: fetch or import the file again"
    )]
    Empty {
        /// Dimensions in the header.
        dims: Vec<u32>,
    },
    /// The number of bytes differs from what the header or the format asks for.
    #[error("{expected} bytes of data are expected but {found} were found; the file is {}: fetch or import it again",
        if found < expected { "truncated" } else { "too long" })]
    Length {
        /// Bytes that should follow.
        expected: u64,
        /// Bytes that do; when too many, counting stops one past the expected number.
        found: u64,
    },
    /// Another number of dimensions than this kind of file has.
    #[error("{what} need {expected} dimensions but the header has {found}; images and labels may be exchanged")]
    Dimensions {
        /// "images" or "labels".
        what: &'static str,
        /// Dimensions asked for.
        expected: usize,
        /// Dimensions found.
        found: usize,
    },
    /// Not a whole number of records, or none at all.
    #[error(
        "{found} bytes are not a whole, positive number of {record}-byte records; the file is truncated or is not in this \
         format: fetch or import it again"
    )]
    Records {
        /// Bytes a record has.
        record: usize,
        /// Bytes found.
        found: u64,
    },
    /// A label outside its range.
    #[error("example {index} has the label {found}, but labels run from 0 to {}; the file is damaged: fetch or import it again",
        classes - 1)]
    Label {
        /// Position of the example.
        index: usize,
        /// Label found.
        found: u8,
        /// Number of classes.
        classes: usize,
    },
    /// Different numbers of images and labels.
    #[error("there are {images} images but {labels} labels; both files must come from the same split")]
    Counts {
        /// Number of images.
        images: usize,
        /// Number of labels.
        labels: usize,
    },
    /// Images of another size than the data set's.
    #[error("the images are {found_height} x {found_width} pixels, but this data set has {height} x {width}")]
    ImageSize {
        /// Rows found.
        found_height: usize,
        /// Columns found.
        found_width: usize,
        /// Rows expected.
        height: usize,
        /// Columns expected.
        width: usize,
    },
    /// The bytes could not be read or decompressed.
    #[error("reading stopped with \"{0}\"; if the file is compressed it may be damaged: fetch or import it again")]
    Read(#[from] io::Error),
}
