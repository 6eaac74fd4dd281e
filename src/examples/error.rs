//! Why examples cannot be read, or do not fit.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use thiserror::Error;
use widthwise_datasets::{DataError, PrepareError, TableError};

use crate::config::ConfigError;
use crate::network::FamilyError;

/// Why examples cannot be read, or do not fit a network.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExamplesError {
    /// A shape takes the dimensions of an array in another order.
    #[error(
        "{name} holds arrays of {found}, but an example is {asked} (channels, height, width); put the axes in this order \
         (numpy: x.transpose) or change the shape"
    )]
    AxisOrder {
        /// Where the array is from.
        name: String,
        /// Its dimensions after the first.
        found: String,
        /// Those of the shape.
        asked: String,
    },
    /// A file without numbers.
    #[error("{path} holds no numbers; one row is one example")]
    NoNumbers {
        /// The file.
        path: PathBuf,
    },
    /// An infinity, or not a number.
    #[error("{path}: row {row}, column {column} is {value}; inputs must be finite")]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        row: usize,
        /// Counted from 1.
        column: usize,
        /// What stands there.
        value: f64,
    },
    /// Targets of more than two dimensions.
    #[error(
        "{path} holds an array of {shape}, but targets are one row an example; give an array with 1 or 2 dimensions"
    )]
    TooManyDimensions {
        /// The file.
        path: PathBuf,
        /// Its dimensions.
        shape: String,
    },
    /// A file that cannot be opened.
    #[error("cannot read {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A text that is no table of numbers.
    #[error("{path}")]
    Table {
        /// The file.
        path: PathBuf,
        /// Where, and what is wrong there.
        source: TableError,
    },
    /// An array that cannot be read.
    #[error(transparent)]
    Array(#[from] io::Error),
    /// No data set of this name.
    #[error("a source with a colon is NAME:train, NAME:test or CONFIG.toml:train")]
    UnknownSet(#[source] DataError),
    /// A configuration that is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A data set that is not there, is damaged or does not fit into memory.
    #[error(transparent)]
    Data(Box<dyn Error + Send + Sync>),
    /// A preprocessing that does not fit the data set.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// An array that is cut into no whole examples.
    #[error("{numbers} {what} are no whole number for each of {examples} examples; give one row an example")]
    UnevenArray {
        /// `inputs` or `targets`.
        what: &'static str,
        /// How many there are.
        numbers: usize,
        /// Examples.
        examples: usize,
    },
    /// An infinity in an array, or not a number.
    #[error("number {} of the {what} is {value}; give finite ones", index + 1)]
    ArrayNotFinite {
        /// `inputs` or `targets`.
        what: &'static str,
        /// Its place, from 0.
        index: usize,
        /// What stands there.
        value: f64,
    },
    /// A network of images on rows of numbers.
    #[error("the network reads images; say with --shape C,H,W how {columns} columns make one")]
    NeedsShape {
        /// Numbers in a row.
        columns: usize,
    },
    /// Examples of different sizes.
    #[error("{name} has {found} columns, but an example has {features}")]
    OtherSize {
        /// Where they are from.
        name: String,
        /// Numbers in a row.
        found: usize,
        /// What an example has.
        features: usize,
    },
    /// More gates than can be made of the examples.
    #[error("network.gates.count = {count}, but there are only {room} {of}; set fewer gates")]
    TooManyGates {
        /// Gates asked for.
        count: usize,
        /// Gates at most.
        room: usize,
        /// What there is one gate for: `columns` or `examples`.
        of: &'static str,
    },
    /// A network that does not fit the inputs.
    #[error("the architecture does not fit the inputs")]
    Architecture(#[source] FamilyError),
}
