//! Entries and spectrum of the empirical NTK and NNGP kernel over the training steps.

use super::super::read::Records;
use super::Figure;
use super::over_steps::{Axis, figure};
use crate::quantity::Quantity;

pub(super) fn draw(records: &Records) -> Option<Figure> {
    let quantities = [
        (Quantity::NtkMeanOffDiagonal.name(), Axis::Linear),
        (Quantity::NtkTrace.name(), Axis::Linear),
        (Quantity::NtkTopEigenvalue.name(), Axis::Log),
        (Quantity::NtkSecondEigenvalue.name(), Axis::Log),
        (Quantity::NtkThirdEigenvalue.name(), Axis::Log),
        (Quantity::NtkConditionNumber.name(), Axis::Log),
        (Quantity::NngpMeanDiagonal.name(), Axis::Linear),
        (Quantity::NngpMeanOffDiagonal.name(), Axis::Linear),
    ];
    let about = "Entries and spectrum of the empirical NTK, and entries of the empirical NNGP kernel.";
    figure(records, "kernels", "Kernel entries and spectrum", about, &quantities)
}
