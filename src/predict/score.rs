//! How good a prediction is, where targets are known.

use faer::Mat;
use serde::{Serialize, Serializer};
use widthwise_theory::dynamics::OutputLoss;

use super::answer::{PredictedOutputs, PredictedSplit};

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// Which half.
    #[serde(rename = "split")]
    pub half: PredictedSplit,
    /// Flow time or steps, infinite for the limit; `None` for a posterior.
    #[serde(serialize_with = "write_time")]
    pub time: Option<f64>,
    /// How many.
    pub examples: usize,
    /// Share of examples whose largest output is their class, by its side of the middle for one output; none where all
    /// outputs are zero to round-off, as before training.
    pub accuracy: Option<f64>,
    /// Mean of `(mean - target)^2` over examples and outputs, for squared loss.
    pub mean_squared_error: Option<f64>,
    /// `1/2 sum (f - y)^2` over examples and outputs, expected over the ensemble, for squared loss; that of the means where
    /// variances are not known.
    pub expected_half_sum: Option<f64>,
    /// Loss asked for, of the means, a mean over examples.
    pub loss: Option<f64>,
    /// Mean over examples and outputs.
    pub mean_variance: Option<f64>,
}

impl Score {
    /// Of `outputs` against what is known of them; `middle` lies between the two classes of a single output.
    pub(super) fn new(
        outputs: &PredictedOutputs,
        targets: Option<&Mat<f64>>,
        labels: &[u8],
        middle: f64,
        loss: OutputLoss,
    ) -> Self {
        let mean = &outputs.mean;
        let (examples, columns) = mean.shape();
        let entries = (examples * columns) as f64;
        let variance = outputs.variance.as_ref().map(|variance| variance.sum());
        let squared = targets.filter(|_| loss == OutputLoss::Squared).map(|targets| (mean - targets).squared_norm_l2());
        Self {
            half: outputs.half,
            time: outputs.time,
            examples,
            accuracy: (!labels.is_empty() && !is_zero(mean)).then(|| accuracy(mean, labels, middle)),
            mean_squared_error: squared.map(|squared| squared / entries),
            expected_half_sum: squared.map(|squared| 0.5 * (squared + variance.unwrap_or(0.0))),
            loss: targets.map(|targets| loss.value(mean.as_ref(), targets.as_ref()) / examples as f64),
            mean_variance: variance.map(|variance| variance / entries),
        }
    }
}

/// Whether outputs are what is left of zero after sums of targets of size about one.
fn is_zero(mean: &Mat<f64>) -> bool {
    mean.norm_max() <= mean.nrows() as f64 * f64::EPSILON
}

/// JSON has no infinity; it is the text `inf`.
fn write_time<S: Serializer>(time: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) if time.is_infinite() => serializer.serialize_str("inf"),
        time => time.serialize(serializer),
    }
}

fn accuracy(mean: &Mat<f64>, labels: &[u8], middle: f64) -> f64 {
    let class = |i: usize| match mean.ncols() {
        1 => usize::from(mean[(i, 0)] > middle),
        // The first of equals.
        columns => (1..columns).fold(0, |best, o| if mean[(i, o)] > mean[(i, best)] { o } else { best }),
    };
    let right = labels.iter().enumerate().filter(|(i, label)| class(*i) == usize::from(**label)).count();
    right as f64 / labels.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_means_of_what_they_say() {
        let mean = Mat::from_fn(2, 2, |i, j| if i == j { 0.8 } else { 0.1 });
        let targets = Mat::from_fn(2, 2, |i, j| if i == j { 1.0 } else { 0.0 });
        let outputs = PredictedOutputs {
            half: PredictedSplit::Test,
            time: Some(f64::INFINITY),
            variance: Some(Mat::from_fn(2, 2, |_, _| 0.5)),
            mean,
            covariance: None,
        };
        let score = Score::new(&outputs, Some(&targets), &[0, 0], 0.0, OutputLoss::Squared);
        let near = |found: Option<f64>, expected: f64| (found.unwrap() - expected).abs() < 8.0 * f64::EPSILON;
        assert_eq!(score.accuracy, Some(0.5));
        let written = serde_json::to_value(&score).unwrap();
        assert_eq!((&written["split"], &written["time"]), (&"test".into(), &"inf".into()));
        assert!(near(score.mean_squared_error, 0.025) && near(score.mean_variance, 0.5), "{score:?}");
        assert!(near(score.expected_half_sum, 0.5 * (0.1 + 2.0)) && near(score.loss, 0.025), "{score:?}");
        let unknown = Score::new(&outputs, None, &[], 0.0, OutputLoss::Squared);
        assert_eq!((unknown.accuracy, unknown.loss), (None, None));
    }

    #[test]
    fn one_output_is_judged_by_its_side_of_the_middle() {
        let mean = Mat::from_fn(3, 1, |i, _| [0.6, -0.2, 0.4][i]);
        assert_eq!(accuracy(&mean, &[1, 0, 1], 0.0), 1.0);
        assert_eq!(accuracy(&mean, &[1, 0, 0], 0.5), 1.0);
    }
}
