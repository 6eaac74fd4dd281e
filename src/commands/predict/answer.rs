//! What a prediction says, in whatever way it was found.

use anyhow::{Result, bail};
use faer::Mat;
use serde::Serialize;

/// Training or test examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PredictedSplit {
    Train,
    Test,
}

impl PredictedSplit {
    /// The word in tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
        }
    }
}

/// Outputs on one half of the data at one time.
#[derive(Debug, Clone)]
pub(super) struct PredictedOutputs {
    pub(super) half: PredictedSplit,
    /// Flow time or steps, infinite for the limit; `None` for a posterior.
    pub(super) time: Option<f64>,
    /// `examples x outputs`.
    pub(super) mean: Mat<f64>,
    /// The same shape, where it is known.
    pub(super) variance: Option<Mat<f64>>,
    /// `examples x examples`, the same for every output, where it is known and wanted.
    pub(super) covariance: Option<Mat<f64>>,
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
pub(super) struct Report {
    /// `direct`, `cg`, `integrated` or `none`.
    pub(super) solver: &'static str,
    /// `nngp` or `ntk`: the kernel whose spectrum this is.
    pub(super) kernel: &'static str,
    /// Of the training kernel, without noise, ridge and jitter.
    pub(super) smallest_eigenvalue: Option<f64>,
    pub(super) largest_eigenvalue: Option<f64>,
    /// Absent where the smallest eigenvalue is lost in round-off.
    pub(super) condition_number: Option<f64>,
    /// Of the matrix that was solved, noise, ridge and jitter included.
    pub(super) solved_condition_number: Option<f64>,
    /// Whether the eigenvalues are all known or estimated by iteration.
    pub(super) eigenvalues: &'static str,
    pub(super) noise: f64,
    pub(super) ridge: f64,
    pub(super) jitter: f64,
    /// Added to the diagonal of a preconditioner only; the solution does not contain it.
    pub(super) preconditioner_jitter: Option<f64>,
    /// Largest residual of the system, relative to the targets.
    pub(super) residual: Option<f64>,
    pub(super) log_evidence: Option<f64>,
    pub(super) degrees_of_freedom: Option<f64>,
    /// Of gradient descent (or the optimizer asked for) on `1/2 sum (f - y)^2`.
    pub(super) stable_learning_rate: Option<f64>,
    /// Integration steps.
    pub(super) steps: Option<u64>,
    /// Members drawn.
    pub(super) members: Option<usize>,
    /// What else must be said, one sentence each.
    pub(super) remarks: Vec<String>,
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
pub(super) struct Answer {
    pub(super) outputs: Vec<PredictedOutputs>,
    pub(super) report: Report,
}

impl Answer {
    /// Refuses means that are not finite.
    ///
    /// # Errors
    /// One sentence with the first example.
    pub(super) fn expect_finite(&self) -> Result<()> {
        for PredictedOutputs { half, time, mean, .. } in &self.outputs {
            let found = (0..mean.nrows())
                .find_map(|i| (0..mean.ncols()).map(|j| mean[(i, j)]).find(|v| !v.is_finite()).zip(Some(i)));
            if let Some((value, example)) = found {
                let at = time.map_or_else(String::new, |time| format!(" at time {time}"));
                bail!(
                    "the prediction{at} for {} example {} is {value}: numbers overflow; take a smaller --learning-rate if one is \
                     given, or shorter times, or scale inputs and targets",
                    half.name(),
                    example + 1
                );
            }
        }
        Ok(())
    }
}
