//! Why kernels are not computed or not compared.

use std::io;
use std::path::PathBuf;

use thiserror::Error;
use widthwise_theory::TheoryError;

use super::budget::BudgetError;
use crate::entries::UnfitKernel;
use crate::examples::ExamplesError;
use crate::record::place::PlaceError;
use crate::record::weights::WeightsError;

/// Why kernels are not computed or not compared.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KernelError {
    /// A network for which theory has no kernel, or one that does not fit its inputs.
    #[error(transparent)]
    Theory(#[from] TheoryError),
    /// More memory than may be taken.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// Examples that cannot be read or do not fit.
    #[error(transparent)]
    Examples(#[from] ExamplesError),
    /// A place that cannot be written.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// Entries that are lost.
    #[error(transparent)]
    Unfit(#[from] UnfitKernel),
    /// A file that cannot be read or written, or holds something else.
    #[error(transparent)]
    File(#[from] io::Error),
    /// A file that cannot be written while tiles are computed; those that are there stay.
    #[error("{done} of {all} tiles are kept; make room and repeat the command to go on")]
    Interrupted {
        /// Tiles that are there.
        done: usize,
        /// Tiles of the job.
        all: usize,
        /// What the system says.
        source: io::Error,
    },
    /// An architecture that cannot be written down.
    #[error("cannot write the architecture down")]
    Architecture(#[source] serde_json::Error),
    /// Weights that cannot be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Weights that are no network.
    #[error("{path}")]
    UnfitWeights {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<WeightsError>,
    },
    /// A folder without the weights of a member.
    #[error(
        "{folder} holds no weights of member {member}; a run keeps them with --set run.keep_weights=true, and an unfinished one has \
         a {checkpoint}"
    )]
    NoWeights {
        /// The folder.
        folder: PathBuf,
        /// The member.
        member: usize,
        /// What an unfinished run has.
        checkpoint: &'static str,
    },
    /// Examples of another size than the network reads.
    #[error("{name} has {found} columns, but the network reads {features}")]
    OtherColumns {
        /// Where they are from.
        name: String,
        /// Numbers in a row.
        found: usize,
        /// What the network reads.
        features: usize,
    },
    /// The kernel of an output that is not there.
    #[error("--output logit={logit}, but the network has {outputs} outputs; the last is logit={}", outputs - 1)]
    NoLogit {
        /// The output, from 0.
        logit: usize,
        /// How many there are.
        outputs: usize,
    },
    /// The diagonal of something that has none.
    #[error("--output diagonal is every example with itself; leave --right and --top-k away")]
    DiagonalAlone,
    /// A product of the kernel with a vector that overflows.
    #[error(
        "the tangent kernel has entries that are not finite: its product with a vector is {value} at example {example}; numbers \
         overflow, or a norm divides 0 by 0"
    )]
    ProductNotFinite {
        /// What it is.
        value: f64,
        /// Counted from 1.
        example: usize,
    },
    /// A comparison with a kernel that is not computed.
    #[error("--compare {kernel}=... asks for the {kernel}, but --only {only} leaves it out; leave one of the two away")]
    LeftOut {
        /// What is compared.
        kernel: &'static str,
        /// What is computed.
        only: &'static str,
    },
    /// A comparison with a kernel of another size.
    #[error("{path} is {} x {}, but the {kernel} here is {} x {}{hint}", found.0, found.1, size.0, size.1)]
    OtherSize {
        /// The file.
        path: PathBuf,
        /// Its rows and columns.
        found: (usize, usize),
        /// Which kernel.
        kernel: &'static str,
        /// Rows and columns here.
        size: (usize, usize),
        /// What it may be.
        hint: &'static str,
    },
    /// A comparison with a kernel that has an infinity, or not a number.
    #[error("{path}: row {row}, column {column} is {value}; kernels are finite")]
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
}
