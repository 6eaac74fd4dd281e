//! Kernels on examples, tile by tile within a memory budget: of infinite width from theory ([`analytic`]), and of one finite network
//! ([`empirical`]). Both are jobs on files that may be stopped anywhere and go on later.

pub mod analytic;
mod blocks;
mod budget;
mod compare;
pub mod empirical;
mod error;
mod files;
mod job;
mod lanczos;
mod precision;
mod rows;
mod sampled;
mod statistics;

use std::path::PathBuf;

use widthwise_theory::conventions::KernelKind;
use widthwise_theory::kernel::Inputs;

use crate::record::tiles::{MatrixFile, StoredNumber};
pub use blocks::{Blocks, WantedKernels};
pub use budget::{Budget, BudgetError};
pub(crate) use budget::{VARIATION, roomy};
pub use compare::{ComparedWith, KernelDifference, LikelyReasons, OtherKernel};
pub use error::KernelError;
pub use files::KernelFiles;
pub use precision::PRECISION_SAMPLE;
pub use sampled::SampledComparison;
pub use statistics::KernelStatistics;

/// Examples of the rows, and of the columns where these are others.
#[derive(Debug, Clone, Copy)]
pub struct KernelInputs<'a> {
    /// Of the rows.
    pub left: &'a Inputs,
    /// Of the columns.
    pub right: Option<&'a Inputs>,
}

/// How a kernel is stored and cut into tiles.
#[derive(Debug, Clone, Copy)]
pub struct JobOptions {
    /// Numbers in the files; computed in `f64` either way.
    pub storage: StoredNumber,
    /// Rows of a tile, or examples where one has several rows; as many as fit into memory if left out. Changes no number.
    pub tile: Option<usize>,
    /// Forgets an unfinished job of the same files.
    pub restart: bool,
    /// Writes text also of large kernels.
    pub csv: bool,
}

impl Default for JobOptions {
    /// Double precision, tiles as large as fit.
    fn default() -> Self {
        Self { storage: StoredNumber::F64, tile: None, restart: false, csv: false }
    }
}

/// A kernel with its files.
#[derive(Debug)]
pub struct ComputedKernel {
    /// What it is like.
    pub statistics: KernelStatistics,
    /// Its numbers.
    pub file: MatrixFile,
    /// Where they are.
    pub npy: PathBuf,
    /// Where they are as text.
    pub csv: Option<PathBuf>,
    /// Largest relative error of single precision found, where numbers are stored in it and computed again.
    pub storage_error: Option<f64>,
}

/// How a job ends.
#[derive(Debug)]
pub enum KernelsEnd {
    /// All tiles are there.
    Done(Vec<ComputedKernel>),
    /// It was stopped, and goes on when it is asked for again.
    Stopped {
        /// Tiles that are there.
        done: usize,
        /// Tiles of the job.
        all: usize,
    },
}

/// The name of a kernel in files and tables.
pub fn kind_name(kernel: KernelKind) -> &'static str {
    match kernel {
        KernelKind::Nngp => "nngp",
        KernelKind::Ntk => "ntk",
    }
}

/// Examples that stand for all of their size where memory is foreseen.
pub(crate) const SAMPLE: usize = 4;

/// Numbers in place of those that are not read yet; no two examples are multiples of each other.
pub(crate) fn stand_in(count: usize) -> Vec<f64> {
    (0..count).map(|i| 0.5 + ((i * i + 3 * i) % 17) as f64 / 17.0).collect()
}
