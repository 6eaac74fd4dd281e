//! Training with squared loss on batches, in the order in which `widthwise run` takes them.

use faer::MatRef;
use widthwise_theory::dynamics::{BatchLoss, LinearResponse, MinibatchTraining, Prediction, Spectrum};

use super::PredictError;
use super::answer::{Answer, PredictedOutputs, PredictedSplit, Report};
use super::dense::Whole;
use super::question::{Question, Time};
use crate::training::batches::Batches;

/// An ensemble whose members all see the same batches of `size` examples, at each of `times`.
///
/// # Errors
/// A batch larger than the training set.
pub(super) fn trained(
    whole: &Whole<'_>,
    targets: MatRef<'_, f64>,
    times: &[Time],
    size: usize,
    question: &Question,
) -> Result<Answer, PredictError> {
    let examples = whole.train;
    if size > examples {
        return Err(PredictError::LargeBatch { size, examples });
    }
    let (kernel, name) = whole.of(question.method);
    let [train, cross, _] = whole.parts(kernel);
    let prior = whole.prior(question.method);
    let [prior_train, prior_cross, prior_test] = whole.parts(&prior);
    let mut ntk = train.to_owned();
    (0..examples).for_each(|i| ntk[(i, i)] += question.jitter);
    let training = MinibatchTraining {
        learning_rate: question.learning_rate.unwrap_or(1.0),
        rule: question.rule(),
        loss: BatchLoss::Sum,
        ridge: question.ridge,
    };
    let mut response = LinearResponse::new(training, ntk.as_ref())?;
    // All members see the batches of the first one.
    let mut batches = Batches::new(question.seed, 0, examples, Some(size));
    let mut outputs = Vec::new();
    for &time in times {
        while (response.steps() as f64) < time.number() {
            let batch: Vec<usize> = batches.indices(response.steps()).iter().map(|&index| index as usize).collect();
            response.step(&batch)?;
        }
        let mut push = |half, Prediction { mean, covariance }| {
            let time = Some(time.number());
            outputs.push(PredictedOutputs::with_covariance(half, time, mean, covariance, question.covariance));
        };
        push(PredictedSplit::Train, response.train_prediction(prior_train, targets)?);
        if cross.nrows() > 0 {
            push(PredictedSplit::Test, response.test_prediction(cross, prior_train, prior_cross, prior_test, targets)?);
        }
    }
    let spectrum = Spectrum::of(train)?;
    let mut report = Report { solver: "direct", kernel: name, steps: Some(response.steps()), ..Report::default() };
    report.set_spectrum(spectrum.smallest(), spectrum.largest(), spectrum.zero_below, question.jitter + question.ridge);
    report.remarks.push(format!(
        "all members see the same batches of {size} of {examples} examples, those of member 0 of a run with seed {}",
        question.seed
    ));
    Ok(Answer::new(outputs, report))
}
