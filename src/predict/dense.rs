//! Predictions from whole kernels in memory: posteriors, and training with squared loss in closed form.

use std::borrow::Cow;

use faer::{Mat, MatRef};
use widthwise_theory::bayes::{Regularization, gaussian_process_posterior, student_t_posterior};
use widthwise_theory::dynamics::{KernelDynamics, Prediction};
use widthwise_theory::kernel::Kernels;

use super::PredictError;
use super::answer::{Answer, PredictedOutputs, PredictedSplit, Report};
use super::options::PredictMethod;
use super::question::{Question, Time};
use crate::config::NetworkConfig;
use crate::entries::{Entries, UnfitKernel};
use crate::prediction::initial_covariance;

/// Kernels of all examples, training ones first.
#[derive(Debug)]
pub(super) struct Whole<'a> {
    pub(super) kernels: Kernels,
    pub(super) train: usize,
    pub(super) network: &'a NetworkConfig,
}

impl Whole<'_> {
    /// Training kernel, test against training, and test.
    pub(super) fn parts<'a>(&self, kernel: &'a Mat<f64>) -> [MatRef<'a, f64>; 3] {
        let (n, all) = (self.train, kernel.nrows());
        [kernel.submatrix(0, 0, n, n), kernel.submatrix(n, 0, all - n, n), kernel.submatrix(n, n, all - n, all - n)]
    }

    /// The covariance of outputs before training: readouts alone, and networks with a frozen random function, have that of the
    /// kernel that trains them. Centred networks start at zero.
    pub(super) fn prior(&self, method: PredictMethod) -> Cow<'_, Mat<f64>> {
        let covariance = if method == PredictMethod::Ntk { &self.kernels.nngp } else { self.of(method).0 };
        initial_covariance(self.network, covariance)
    }

    /// Refuses numbers that overflow or underflow before they are taken for repeated examples.
    ///
    /// # Errors
    /// One sentence.
    pub(super) fn expect_kernels(&self, method: PredictMethod, inputs: &[f64]) -> Result<(), UnfitKernel> {
        let (kernel, name) = self.of(method);
        Entries::of(kernel).expect_kernel(format_args!("the {name} kernel"), inputs)?;
        let (prior, name) = (Entries::of(&self.prior(method)), "the kernel of outputs before training");
        // The outputs of a centred network are zero before training.
        if self.network.centred { prior.expect_finite(name) } else { prior.expect_kernel(name, inputs) }
    }

    /// The kernel that a method is about, by name.
    pub(super) fn of(&self, method: PredictMethod) -> (&Mat<f64>, &'static str) {
        match method {
            PredictMethod::Nngp | PredictMethod::StudentT | PredictMethod::InfiniteDepth => {
                (&self.kernels.nngp, "nngp")
            }
            PredictMethod::Ntk | PredictMethod::NtkGp => (&self.kernels.ntk, "ntk"),
        }
    }
}

fn halves(prediction: Prediction, train: usize, keep: bool) -> Vec<PredictedOutputs> {
    let all = prediction.mean.nrows();
    let part = |half, rows: std::ops::Range<usize>| {
        let mean = prediction.mean.subrows(rows.start, rows.len()).to_owned();
        let covariance = prediction.covariance.submatrix(rows.start, rows.start, rows.len(), rows.len()).to_owned();
        PredictedOutputs::with_covariance(half, None, mean, covariance, keep)
    };
    let test = (all > train).then(|| part(PredictedSplit::Test, train..all));
    [part(PredictedSplit::Train, 0..train)].into_iter().chain(test).collect()
}

/// The posterior of a Gaussian or Student-t process, on training and test examples.
///
/// # Errors
/// A kernel that is singular without noise or jitter.
pub(super) fn posterior(
    whole: &Whole<'_>,
    targets: MatRef<'_, f64>,
    question: &Question,
) -> Result<Answer, PredictError> {
    let (kernel, name) = whole.of(question.method);
    let n = whole.train;
    let (train, cross) = (kernel.submatrix(0, 0, n, n), kernel.subcols(0, n));
    let regularization = Regularization { noise: question.noise, jitter: question.jitter };
    let mut report = Report { solver: "direct", kernel: name, ..Report::default() };
    let (prediction, spectrum) = if question.method == PredictMethod::StudentT {
        let prior = question.prior;
        let posterior = student_t_posterior(train, cross, kernel.as_ref(), targets, prior, regularization);
        let posterior = posterior.map_err(PredictError::NotPositiveDefinite)?;
        report.log_evidence = Some(posterior.log_evidence);
        report.degrees_of_freedom = Some(posterior.degrees_of_freedom);
        let prediction = posterior.prediction();
        (prediction.ok_or(PredictError::InfiniteVariance)?, posterior.spectrum)
    } else {
        let posterior = gaussian_process_posterior(train, cross, kernel.as_ref(), targets, regularization);
        let posterior = posterior.map_err(PredictError::NotPositiveDefinite)?;
        report.log_evidence = Some(posterior.log_evidence);
        (posterior.prediction, posterior.spectrum)
    };
    let diagonal = question.noise + question.jitter;
    report.set_spectrum(spectrum.smallest(), spectrum.largest(), spectrum.zero_below, diagonal);
    report.stable_learning_rate = Some(2.0 / spectrum.largest());
    Ok(Answer::new(halves(prediction, n, question.covariance), report))
}

/// An ensemble trained with squared loss, at each of `times`.
///
/// # Errors
/// A training that has no limit, or a kernel that is none.
pub(super) fn trained(
    whole: &Whole<'_>,
    targets: MatRef<'_, f64>,
    times: &[Time],
    question: &Question,
) -> Result<Answer, PredictError> {
    let (kernel, name) = whole.of(question.method);
    let prior = whole.prior(question.method);
    let [train, cross, _] = whole.parts(kernel);
    let [prior_train, prior_cross, prior_test] = whole.parts(&prior);
    let mut with_jitter = train.to_owned();
    (0..whole.train).for_each(|i| with_jitter[(i, i)] += question.jitter);
    let dynamics = KernelDynamics::new(with_jitter.as_ref(), prior_train)?
        .with_test(cross, prior_cross, prior_test)?
        .with_ridge(question.ridge)
        .with_label_noise(question.noise);
    let has_test = cross.nrows() > 0;
    let mut outputs = Vec::new();
    for &time in times {
        let training = question.training(time);
        let mut push = |half, Prediction { mean, covariance }| {
            let time = Some(time.number());
            outputs.push(PredictedOutputs::with_covariance(half, time, mean, covariance, question.covariance));
        };
        push(PredictedSplit::Train, dynamics.train_prediction(targets, &training)?);
        if has_test {
            push(PredictedSplit::Test, dynamics.test_prediction(targets, &training)?);
        }
    }
    let spectrum = dynamics.spectrum();
    let mut report = Report { solver: "direct", kernel: name, ..Report::default() };
    // The decomposition is of the kernel with its jitter, and the report is of the one without.
    let smallest = spectrum.smallest() - question.jitter;
    let largest = spectrum.largest() - question.jitter;
    report.set_spectrum(smallest, largest, spectrum.zero_below, question.jitter + question.ridge);
    let rate = dynamics.stable_learning_rate(&question.training(times[0]));
    let rate = if rate.is_finite() { rate } else { 2.0 / (spectrum.largest() + question.ridge) };
    report.stable_learning_rate = Some(rate);
    if question.learning_rate.is_some_and(|asked| asked > rate) && question.optimizer.is_discrete() {
        report
            .remarks
            .push(format!("the learning rate is above the stable one, {rate:.6e}: outputs grow without bound"));
    }
    let flat = spectrum.eigenvalues.len() - spectrum.rank();
    if flat > 0 {
        report
            .remarks
            .push(format!("{flat} modes of the kernel have eigenvalues within round-off of zero and do not move"));
    }
    Ok(Answer::new(outputs, report))
}
