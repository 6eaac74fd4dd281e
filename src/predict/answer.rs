//! What a prediction says, in whatever way it was found.

use faer::Mat;
use serde::Serialize;

use super::PredictError;
use super::score::Score;

/// Training or test examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PredictedSplit {
    /// Training examples.
    Train,
    /// Test examples.
    Test,
}

impl PredictedSplit {
    /// The word in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
        }
    }
}

/// Outputs on one half of the data at one time.
#[derive(Debug, Clone)]
pub struct PredictedOutputs {
    /// Which half.
    pub half: PredictedSplit,
    /// Flow time or steps, infinite for the limit; `None` for a posterior.
    pub time: Option<f64>,
    /// `examples x outputs`.
    pub mean: Mat<f64>,
    /// The same shape, where it is known.
    pub variance: Option<Mat<f64>>,
    /// `examples x examples`, the same for every output, where it is known and wanted.
    pub covariance: Option<Mat<f64>>,
}

impl PredictedOutputs {
    /// With a covariance that all outputs share; `keep` says whether it is wanted whole.
    pub(super) fn with_covariance(
        half: PredictedSplit,
        time: Option<f64>,
        mean: Mat<f64>,
        covariance: Mat<f64>,
        keep: bool,
    ) -> Self {
        let variance = Mat::from_fn(mean.nrows(), mean.ncols(), |i, _| covariance[(i, i)]);
        Self { half, time, mean, variance: Some(variance), covariance: keep.then_some(covariance) }
    }
}

/// What the numbers depend on and how far they can be trusted.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// `direct`, `cg`, `integrated` or `none`.
    pub solver: &'static str,
    /// `nngp` or `ntk`: the kernel whose spectrum this is.
    pub kernel: &'static str,
    /// Of the training kernel, without noise, ridge and jitter.
    pub smallest_eigenvalue: Option<f64>,
    /// As [`Report::smallest_eigenvalue`].
    pub largest_eigenvalue: Option<f64>,
    /// Absent where the smallest eigenvalue is lost in round-off.
    pub condition_number: Option<f64>,
    /// Of the matrix that was solved, noise, ridge and jitter included.
    pub solved_condition_number: Option<f64>,
    /// Whether the eigenvalues are all known or estimated by iteration.
    pub eigenvalues: &'static str,
    /// Variance of the noise on targets.
    pub noise: f64,
    /// Strength of the penalty.
    pub ridge: f64,
    /// Added to the diagonal to make the system solvable.
    pub jitter: f64,
    /// Added to the diagonal of a preconditioner only; the solution does not contain it.
    pub preconditioner_jitter: Option<f64>,
    /// Largest residual of the system, relative to the targets.
    pub residual: Option<f64>,
    /// Of a posterior.
    pub log_evidence: Option<f64>,
    /// Of a Student-t posterior.
    pub degrees_of_freedom: Option<f64>,
    /// Of gradient descent (or the optimizer asked for) on `1/2 sum (f - y)^2`.
    pub stable_learning_rate: Option<f64>,
    /// Integration steps.
    pub steps: Option<u64>,
    /// Members drawn.
    pub members: Option<usize>,
    /// What else must be said, one sentence each.
    pub remarks: Vec<String>,
}

impl Report {
    /// Notes the ends of a spectrum.
    pub(super) fn set_spectrum(&mut self, smallest: f64, largest: f64, zero_below: f64, diagonal: f64) {
        self.smallest_eigenvalue = Some(smallest);
        self.largest_eigenvalue = Some(largest);
        self.condition_number = (smallest > zero_below).then(|| largest / smallest);
        let solved = smallest + diagonal;
        self.solved_condition_number = (solved > zero_below).then(|| (largest + diagonal) / solved);
        self.eigenvalues = "all";
    }
}

/// A prediction.
#[derive(Debug, Clone)]
pub struct Answer {
    /// One for each half of the data and time.
    pub outputs: Vec<PredictedOutputs>,
    /// What the numbers depend on.
    pub report: Report,
    /// How good they are, one for each of the outputs.
    pub scores: Vec<Score>,
}

impl Answer {
    /// Without scores yet.
    pub(super) fn new(outputs: Vec<PredictedOutputs>, report: Report) -> Self {
        Self { outputs, report, scores: Vec::new() }
    }

    /// Refuses means that are not finite.
    ///
    /// # Errors
    /// One sentence with the first example.
    pub(super) fn expect_finite(&self) -> Result<(), PredictError> {
        for PredictedOutputs { half, time, mean, .. } in &self.outputs {
            let found = (0..mean.nrows())
                .find_map(|i| (0..mean.ncols()).map(|j| mean[(i, j)]).find(|v| !v.is_finite()).zip(Some(i)));
            if let Some((value, example)) = found {
                let at = time.map_or_else(String::new, |time| format!(" at time {time}"));
                return Err(PredictError::NotFinite { at, split: half.name(), example: example + 1, value });
            }
        }
        Ok(())
    }
}
