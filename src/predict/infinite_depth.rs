//! Classifiers of infinitely deep networks: majority vote, nearest neighbour or a singular kernel, by the activation.

use faer::{Mat, MatRef};
use widthwise_theory::infinite_depth::InfiniteDepth;
use widthwise_theory::kernel::Inputs;

use super::PredictError;
use super::answer::{Answer, PredictedOutputs, PredictedSplit, Report};
use crate::config::{Family, NetworkConfig};

/// Scores of every class; the network's activation alone decides, inputs are taken at length one.
///
/// # Errors
/// A network that is no plain one, an activation that depth does not change, or an input of length zero.
pub(super) fn classify(
    network: &NetworkConfig,
    inputs: &Inputs,
    train: usize,
    targets: MatRef<'_, f64>,
) -> Result<Answer, PredictError> {
    if network.family != Family::Mlp {
        return Err(PredictError::InfiniteDepthOfFamily { family: network.family.name() });
    }
    let features = inputs.shape.features();
    let mut unit = Mat::zeros(inputs.examples(), features);
    for i in 0..inputs.examples() {
        let example = inputs.example(i);
        let length = example.iter().map(|x| x * x).sum::<f64>().sqrt();
        if length == 0.0 {
            return Err(PredictError::NoDirection { example: i + 1 });
        }
        (0..features).for_each(|j| unit[(i, j)] = example[j] / length);
    }
    let classifier = InfiniteDepth::of(&network.activation)?;
    let mut remarks = vec![
        "inputs are scaled to |x| = 1, the activation to E phi^2 = 1; variances of weights and biases do not matter"
            .to_owned(),
    ];
    remarks.push(match &classifier {
        InfiniteDepth::MajorityVote => "infinite depth makes a majority vote of this activation".to_owned(),
        InfiniteDepth::NearestNeighbour => {
            "infinite depth makes a nearest-neighbour classifier of this activation".to_owned()
        }
        InfiniteDepth::Singular(kernel) => {
            format!("infinite depth makes a singular kernel, |x - x'|^-{:.6}, of this activation", kernel.exponent())
        }
    });
    let (known, unknown) = unit.as_ref().split_at_row(train);
    let mut outputs = Vec::new();
    for (half, part) in [(PredictedSplit::Train, known), (PredictedSplit::Test, unknown)] {
        if part.nrows() > 0 {
            let mean = classifier.classify(known, targets, part)?;
            outputs.push(PredictedOutputs { half, time: None, mean, variance: None, covariance: None });
        }
    }
    let report = Report { solver: "none", kernel: "infinite_depth", eigenvalues: "none", remarks, ..Report::default() };
    Ok(Answer::new(outputs, report))
}
