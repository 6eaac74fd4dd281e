//! Loss and accuracy on the whole training and test sets.

use burn::tensor::Tensor;
use widthwise_statistics::information::InformationError;
use widthwise_tensors::to_f64;

use super::Measured;
use super::shared::Shared;
use super::snapshot::{Collected, Measure};
use crate::config::Loss;
use crate::data::Data;
use crate::network::{Network, NoTap};
use crate::objective::{Evaluation, Targets, loss};
use crate::quantity::Quantity;

pub(super) struct Losses;

impl Measure for Losses {
    fn measure(&self, shared: &Shared<'_>, found: &mut Collected) -> Result<(), InformationError> {
        let evaluation = shared.evaluation();
        found.measured.push(Measured::new(Quantity::TrainLoss, evaluation.train_loss));
        found.measured.extend(evaluation.test_loss.map(|loss| Measured::new(Quantity::TestLoss, loss)));
        Ok(())
    }
}

/// The evaluation of a snapshot: from the forward pass of its probe examples where they are all training examples.
pub(super) fn evaluate_shared(shared: &Shared<'_>) -> Evaluation {
    if shared.data.probe_is_train {
        evaluate_from(shared.observation().outputs(), shared.network, shared.data, shared.kind)
    } else {
        evaluate(shared.network, shared.data, shared.kind)
    }
}

/// Loss and accuracy of `network` on the whole training and test sets.
pub fn evaluate(network: &Network, data: &Data, kind: Loss) -> Evaluation {
    evaluate_from(network.forward(&data.train, &mut NoTap), network, data, kind)
}

/// The same from the outputs on the training set.
fn evaluate_from(outputs: Tensor<2>, network: &Network, data: &Data, kind: Loss) -> Evaluation {
    let (train_loss, train_accuracy) = score(outputs, &data.train_targets, data.classes, kind);
    let (test_loss, test_accuracy) = match &data.test {
        Some((batch, targets)) => {
            let (loss, accuracy) = score(network.forward(batch, &mut NoTap), targets, data.classes, kind);
            (Some(loss), accuracy)
        }
        None => (None, None),
    };
    Evaluation { train_loss, test_loss, train_accuracy, test_accuracy }
}

fn score(outputs: Tensor<2>, targets: &Targets, classes: usize, kind: Loss) -> (f64, Option<f64>) {
    let value = to_f64(loss(kind, outputs.clone(), targets))[0];
    let [n, columns] = outputs.dims();
    if classes == 0 {
        return (value, None);
    }
    let scores = to_f64(outputs);
    let labels: Vec<i64> = targets.classes.to_data().iter::<i64>().collect();
    let signs = if columns == 1 { to_f64(targets.values.clone()) } else { Vec::new() };
    let right = (0..n).filter(|&i| {
        let row = &scores[i * columns..(i + 1) * columns];
        let predicted = if columns == 1 {
            // Binary +-1 targets: the sign of the one output against that of the target.
            return row[0] * signs[i] > 0.0;
        } else {
            (0..columns).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0)
        };
        predicted as i64 == labels[i]
    });
    (value, Some(right.count() as f64 / n as f64))
}
