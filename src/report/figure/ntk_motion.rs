//! How the empirical NTK and the gradients move over the training steps.

use super::super::read::Records;
use super::Figure;
use super::over_steps::{StepAxis, figure};
use crate::quantity::Quantity;

pub(super) fn draw(records: &Records) -> Option<Figure> {
    let quantities = [
        (Quantity::NtkVelocity.name(), StepAxis::Log),
        (Quantity::NtkInitialCka.name(), StepAxis::Linear),
        (Quantity::NtkEffectiveRank.name(), StepAxis::Linear),
        (Quantity::NtkLabelOverlap.name(), StepAxis::Linear),
        (Quantity::GradientCovarianceTrace.name(), StepAxis::Log),
    ];
    let about = "The empirical neural tangent kernel Θ during training: its relative change a step since it was last measured, its \
                 centred alignment with the initial one, its effective rank (exp of the entropy of its eigenvalues), the share \
                 of the targets in the span of as many leading eigenvectors as there are outputs; and the variance of the \
                 gradients of single examples, summed over parameters.";
    figure(records, "ntk_motion", "Kernel and gradients in motion", about, &quantities)
}
