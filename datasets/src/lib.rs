//! Data sets for `widthwise`: known files and where they lie, synthetic data, and preprocessing.
//!
//! A [`DatasetSpec`] names a data set, [`load()`] reads or generates it as a [`Dataset`], and [`prepare()`] turns that into the
//! inputs and targets that a network is trained on. Every random choice draws from a [named stream](mod@stream) of the run's
//! seed.
//!
//! ```
//! use widthwise_datasets::{DatasetSpec, Preprocessing, load, prepare};
//!
//! let data = load(&DatasetSpec::TwelveBit {}, None, 0)?;
//! let options = Preprocessing { train: Some(512), ..Preprocessing::default() };
//! let prepared = prepare(&data, &options, 0)?;
//! assert_eq!((prepared.train.n, prepared.shape.len(), prepared.outputs), (512, 12, 2));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | [`spec`] | the choice of a data set as configured |
//! | [`catalog`] | known data sets: files, checksums, addresses |
//! | [`locate`], [`mod@load`] | finding and reading their files |
//! | [`mod@fetch`], [`mod@import`] | getting the files into the data folder |
//! | [`part`] | files on their way |
//! | [`mod@verify`], [`identify`] | holding a file against its checksum, and finding whose it is |
//! | [`bundled`] | the MNIST subset that comes with the program |
//! | [`idx`], [`cifar`], [`mod@table`], [`source`] | file formats |
//! | [`synthetic`] | generated data |
//! | [`mod@prepare`], [`preprocessing`] | from raw data to inputs and targets |

mod aside;
pub mod bundled;
pub mod catalog;
pub mod checksum;
pub mod cifar;
mod dataset;
mod error;
pub mod fetch;
mod fetch_error;
mod format_error;
mod http;
pub mod identify;
pub mod idx;
pub mod import;
pub mod load;
#[cfg(test)]
mod load_tests;
pub mod locate;
#[cfg(test)]
mod mutations;
#[cfg(test)]
#[path = "../../tests/mutator/mod.rs"]
mod mutator;
pub mod part;
pub mod prepare;
mod prepare_error;
#[cfg(test)]
mod prepare_tests;
pub mod preprocessing;
mod shape;
pub mod source;
pub mod spec;
pub mod stream;
pub mod synthetic;
pub mod table;
mod transform;
mod unpack;
pub mod verify;

pub use dataset::{Dataset, RawSplit, SplitInputs};
pub use error::DataError;
pub use fetch_error::{FetchError, MirrorFailure};
pub use format_error::FormatError;
pub use prepare::{Examples, Prepared, prepare};
pub use prepare_error::PrepareError;
pub use preprocessing::{ColourMode, InputScale, Normalize, Preprocessing, TargetForm};
pub use shape::ImageShape;
pub use spec::{DatasetSpec, load};
pub use stream::stream;
pub use table::{Table, TableError};
