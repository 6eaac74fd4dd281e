//! Loss and accuracy over the training steps.

use super::super::read::Records;
use super::Figure;
use super::over_steps::{Axis, figure};
use crate::quantity::Quantity;

pub(super) fn draw(records: &Records) -> Option<Figure> {
    let quantities = [
        (Quantity::TrainLoss.name(), Axis::Log),
        (Quantity::TestLoss.name(), Axis::Log),
        ("train_accuracy", Axis::Linear),
        ("test_accuracy", Axis::Linear),
    ];
    figure(records, "loss", "Loss and accuracy", "Loss and accuracy during training.", &quantities)
}
