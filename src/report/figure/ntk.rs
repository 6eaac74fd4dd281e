//! The empirical NTK over the training steps: its size, how far it has moved, how well it is aligned with the targets.

use super::super::read::Records;
use super::Figure;
use super::over_steps::{StepAxis, figure};
use crate::quantity::Quantity;

pub(super) fn draw(records: &Records) -> Option<Figure> {
    let quantities = [
        (Quantity::NtkMeanDiagonal.name(), StepAxis::Linear),
        (Quantity::NtkRelativeChange.name(), StepAxis::Log),
        (Quantity::NtkTargetAlignment.name(), StepAxis::Linear),
    ];
    let about = "The empirical neural tangent kernel Θ during training: its size, its change |Θ − Θ₀| / |Θ₀| since step 0 in \
                 the Frobenius norm, and its alignment ⟨Θ, YYᵀ⟩ / (|Θ| |YYᵀ|) with the targets.";
    figure(records, "ntk", "Neural tangent kernel over training", about, &quantities)
}
