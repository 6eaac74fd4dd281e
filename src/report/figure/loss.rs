//! Loss and accuracy over the training steps.

use super::super::read::Records;
use super::Figure;
use super::over_steps::{StepAxis, figure};
use crate::quantity::Quantity;

pub(super) fn draw(records: &Records) -> Option<Figure> {
    let quantities = [
        (Quantity::TrainLoss.name(), StepAxis::Log),
        (Quantity::TestLoss.name(), StepAxis::Log),
        ("train_accuracy", StepAxis::Linear),
        ("test_accuracy", StepAxis::Linear),
    ];
    figure(records, "loss", "Loss and accuracy", "Loss and accuracy during training.", &quantities)
}
