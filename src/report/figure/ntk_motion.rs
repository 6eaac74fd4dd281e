//! How the empirical NTK and the gradients move over the training steps.

use super::super::read::Records;
use super::Figure;
use super::over_steps::{Axis, figure};

pub(super) fn draw(records: &Records) -> Option<Figure> {
    let quantities = [
        ("ntk_velocity", Axis::Log),
        ("ntk_initial_cka", Axis::Linear),
        ("ntk_effective_rank", Axis::Linear),
        ("ntk_label_overlap", Axis::Linear),
        ("gradient_covariance_trace", Axis::Log),
    ];
    let about = "The empirical neural tangent kernel Θ during training: its relative change a step since the look before, its \
                 centred alignment with the initial one, its effective rank (exp of the entropy of its eigenvalues), the share \
                 of the targets in the span of as many leading eigenvectors as there are outputs; and the variance of the \
                 gradients of single examples, summed over parameters.";
    figure(records, "ntk_motion", "Kernel and gradients in motion", about, &quantities)
}
