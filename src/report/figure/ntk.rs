//! The empirical NTK over the training steps: its size, how far it has moved, how well it is aligned with the targets.

use super::super::read::Records;
use super::Figure;
use super::over_steps::{Axis, figure};

pub(super) fn draw(records: &Records) -> Option<Figure> {
    let quantities =
        [("ntk_trace", Axis::Linear), ("ntk_relative_change", Axis::Log), ("ntk_target_alignment", Axis::Linear)];
    let about = "The empirical neural tangent kernel during training: its trace, its change relative to step 0 in the \
                 Frobenius norm, and its alignment with the targets.";
    figure(records, "ntk", "Neural tangent kernel over training", about, &quantities)
}
