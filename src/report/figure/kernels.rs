//! Entries and spectrum of the empirical NTK and NNGP kernel over the training steps.

use super::super::read::Records;
use super::Figure;
use super::over_steps::{StepAxis, figure};
use crate::quantity::Quantity;

pub(super) fn draw(records: &Records) -> Option<Figure> {
    let quantities = [
        (Quantity::NtkMeanOffDiagonal.name(), StepAxis::Linear),
        (Quantity::NtkTrace.name(), StepAxis::Linear),
        (Quantity::NtkTopEigenvalue.name(), StepAxis::Log),
        (Quantity::NtkSecondEigenvalue.name(), StepAxis::Log),
        (Quantity::NtkThirdEigenvalue.name(), StepAxis::Log),
        (Quantity::NtkConditionNumber.name(), StepAxis::Log),
        (Quantity::NngpMeanDiagonal.name(), StepAxis::Linear),
        (Quantity::NngpMeanOffDiagonal.name(), StepAxis::Linear),
    ];
    let about = "Entries and spectrum of the empirical NTK, and entries of the empirical NNGP kernel.";
    figure(records, "kernels", "Kernel entries and spectrum", about, &quantities)
}
