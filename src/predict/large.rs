//! Means for many training examples: a kernel in single precision, factored in place as a preconditioner of conjugate gradients,
//! and the solution corrected until it holds for the kernel in double precision.

use std::sync::{Mutex, PoisonError};

use faer::reborrow::ReborrowMut;
use faer::{Mat, MatMut, MatRef};
use rayon::prelude::*;
use widthwise_theory::regression::{
    JitterSearch, KernelOperator, KernelStore, RegressionError, RidgeOptions, StopReason,
};

use super::PredictError;
use super::answer::{Answer, PredictedOutputs, PredictedSplit, Report};
use super::options::PredictMethod;
use super::question::Question;
use crate::entries::Entries;
use crate::kernels::{Blocks, Budget};
use crate::monitor::Monitor;

/// Rows and columns of a tile of the kernel.
const TILE: usize = 256;
/// Smallest jitter of the preconditioner, in units of the trace, which bounds the largest eigenvalue: below it rounding in single
/// precision may decide about a pivot, and a failed factorization costs minutes.
const LEAST_JITTER: f64 = f32::EPSILON as f64;
/// Jitters to try, each ten times the one before.
const TRIES: usize = 4;
/// Most iterations of conjugate gradients.
const ITERATIONS: usize = 2000;
/// Vectors of the length of the targets that the iteration holds at once.
const VECTORS: usize = 16;

/// The kernel on some columns, computed again for every product.
struct Exact<'a> {
    blocks: &'a Blocks<'a>,
    name: &'static str,
    train: usize,
}

impl Exact<'_> {
    /// `K(rows, X) vectors`, in an order of sums that does not depend on threads.
    fn product(
        &self,
        start: usize,
        vectors: MatRef<'_, f64>,
        mut product: MatMut<'_, f64>,
    ) -> Result<(), RegressionError> {
        product.fill(0.0);
        product.par_row_chunks_mut(TILE).enumerate().with_max_len(1).try_for_each(|(index, mut part)| {
            let first = start + index * TILE;
            let last = first + part.nrows();
            let mut tile = Mat::zeros(part.nrows(), TILE.min(self.train));
            for column in (0..self.train).step_by(TILE) {
                let columns = column..(column + TILE).min(self.train);
                let width = columns.len();
                let mut tile = tile.as_mut().subcols_mut(0, width);
                self.blocks.tile(first..last, columns, self.name, tile.as_mut())?;
                let vectors = vectors.subrows(column, width);
                faer::linalg::matmul::matmul(
                    part.as_mut(),
                    faer::Accum::Add,
                    tile.as_ref(),
                    vectors,
                    1.0,
                    faer::Par::Seq,
                );
            }
            Ok::<(), RegressionError>(())
        })
    }
}

impl KernelOperator for Exact<'_> {
    fn examples(&self) -> usize {
        self.train
    }

    fn multiply(&self, vectors: MatRef<'_, f64>, product: MatMut<'_, f64>) -> Result<(), RegressionError> {
        self.product(0, vectors, product)
    }
}

/// Bytes that the solver takes for `train` training and `all` examples.
pub(super) fn bytes(blocks: &Blocks<'_>, train: usize, all: usize, outputs: usize) -> u64 {
    let kernel = 4 * (train as u64).pow(2);
    let vectors = (VECTORS * train + 2 * all) * outputs * size_of::<f64>();
    kernel + (vectors + blocks.tile_bytes(TILE, TILE)) as u64
}

/// Means on training and test examples; `blocks` has training examples first, `diagonal` is noise or ridge.
///
/// # Errors
/// A budget too small, or a system that is not solved to the tolerance.
pub(super) fn solve(
    blocks: &Blocks<'_>,
    name: &'static str,
    targets: MatRef<'_, f64>,
    diagonal: f64,
    question: &Question,
    (budget, inputs): (Budget, &[f64]),
    monitor: &dyn Monitor,
) -> Result<Answer, PredictError> {
    let (train, all) = (targets.nrows(), blocks.size().0);
    let outputs = targets.ncols();
    let what = format!("a kernel of {train} x {train} examples in single precision");
    budget.require(bytes(blocks, train, all, outputs), &what)?;
    monitor.note(&format!("computing and factoring the {name} kernel of {train} examples in single precision"));
    let mut store = KernelStore::new(train)?;
    let seen = Mutex::new(Entries::default());
    store.fill(TILE, |rows, columns, mut tile| {
        blocks.tile(rows.clone(), columns.clone(), name, tile.rb_mut())?;
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        // As they are stored.
        let entry = |i: usize, j: usize| f64::from(tile[(i, j)] as f32);
        for i in 0..tile.nrows() {
            (0..tile.ncols()).for_each(|j| seen.add(rows.start + i, columns.start + j, entry(i, j)));
        }
        Ok(())
    })?;
    let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    seen.expect_kernel(format_args!("the {name} kernel in single precision"), inputs)?;
    let trace = store.diagonal().iter().sum::<f64>();
    let diagonal = diagonal + question.jitter;
    let factored = store.factor(&JitterSearch { start: diagonal.max(LEAST_JITTER * trace), tries: TRIES })?;
    let exact = Exact { blocks, name, train };
    let options = RidgeOptions {
        ridge: diagonal,
        tolerance: question.tolerance,
        max_iterations: ITERATIONS,
        ..RidgeOptions::default()
    };
    let solution = factored.solve(targets, &options, Some(&exact))?;
    let residual = solution.exact_residuals.iter().flatten().copied().fold(0.0, f64::max);
    if solution.end != StopReason::Converged {
        let (iterations, end) = (solution.iterations, solution.end);
        return Err(PredictError::Unsolved { residual, iterations, end, tolerance: question.tolerance });
    }
    let mut found = Vec::new();
    for (half, start, count) in [(PredictedSplit::Train, 0, train), (PredictedSplit::Test, train, all - train)] {
        if count > 0 {
            let mut mean = Mat::zeros(count, outputs);
            exact.product(start, solution.weights.as_ref(), mean.as_mut())?;
            let time = (question.method == PredictMethod::Ntk || !question.times.is_empty()).then_some(f64::INFINITY);
            found.push(PredictedOutputs { half, time, mean, variance: None, covariance: None });
        }
    }
    let mut report = Report {
        solver: "cg",
        kernel: name,
        eigenvalues: "estimated",
        preconditioner_jitter: Some(solution.jitter),
        residual: Some(residual),
        steps: Some(solution.iterations as u64),
        ..Report::default()
    };
    let spectrum = &solution.spectrum;
    report.solved_condition_number = spectrum.condition_number();
    report.largest_eigenvalue = spectrum.largest.map(|largest| largest - diagonal);
    report.smallest_eigenvalue = spectrum.smallest().map(|smallest| smallest - diagonal);
    let lost = report.largest_eigenvalue.map_or(0.0, |largest| f64::from(f32::EPSILON) * largest);
    report.condition_number = report
        .smallest_eigenvalue
        .filter(|smallest| *smallest > lost)
        .and_then(|smallest| Some(report.largest_eigenvalue? / smallest));
    report.stable_learning_rate = report.largest_eigenvalue.map(|largest| 2.0 / (largest + question.ridge));
    report.remarks.push(
        "--solver cg finds means: no variances and no evidence; the largest eigenvalue is a lower, the smallest an upper bound"
            .to_owned(),
    );
    Ok(Answer::new(found, report))
}
