//! The empirical NTK against the infinite-width NTK: overlap, relative Frobenius distance, centred alignment.

use super::super::read::Records;
use super::Figure;
use super::over_steps::{Axis, figure};

pub(super) fn draw(records: &Records) -> Option<Figure> {
    let quantities =
        [("ntk_overlap", Axis::Linear), ("ntk_distance", Axis::Linear), ("ntk_infinite_cka", Axis::Linear)];
    let about = "The empirical NTK Θ against the infinite-width NTK Θ∞: overlap ⟨Θ, Θ∞⟩ / ⟨Θ∞, Θ∞⟩, distance \
                 |Θ − Θ∞| / |Θ∞| in Frobenius norms, and centred alignment (CKA).";
    figure(records, "infinite_ntk", "Distance to the infinite-width kernel", about, &quantities)
}
