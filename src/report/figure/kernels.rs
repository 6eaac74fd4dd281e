//! Entries and spectrum of the empirical NTK and NNGP kernel over the training steps.

use super::super::read::Records;
use super::Figure;
use super::over_steps::{Axis, figure};

pub(super) fn draw(records: &Records) -> Option<Figure> {
    let quantities = [
        ("ntk_mean_off_diagonal", Axis::Linear),
        ("ntk_trace", Axis::Linear),
        ("ntk_top_eigenvalue", Axis::Log),
        ("ntk_second_eigenvalue", Axis::Log),
        ("ntk_third_eigenvalue", Axis::Log),
        ("ntk_condition_number", Axis::Log),
        ("nngp_mean_diagonal", Axis::Linear),
        ("nngp_mean_off_diagonal", Axis::Linear),
    ];
    let about = "Entries and spectrum of the empirical NTK, and entries of the empirical NNGP kernel.";
    figure(records, "kernels", "Kernel entries and spectrum", about, &quantities)
}
