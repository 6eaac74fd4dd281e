//! The empirical NTK against the infinite-width NTK: overlap, relative Frobenius distance, centred alignment.

use super::super::read::Records;
use super::Figure;
use super::over_steps::{StepAxis, figure};
use crate::quantity::Quantity;

pub(super) fn draw(records: &Records) -> Option<Figure> {
    let quantities = [
        (Quantity::NtkOverlap.name(), StepAxis::Linear),
        (Quantity::NtkDistance.name(), StepAxis::Linear),
        (Quantity::NtkInfiniteCka.name(), StepAxis::Linear),
    ];
    let about = "The empirical NTK Θ against the infinite-width NTK Θ∞: overlap ⟨Θ, Θ∞⟩ / ⟨Θ∞, Θ∞⟩, distance \
                 |Θ − Θ∞| / |Θ∞| in Frobenius norms, and centred alignment (CKA).";
    figure(records, "infinite_ntk", "Distance to the infinite-width kernel", about, &quantities)
}
