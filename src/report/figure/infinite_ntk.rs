//! The empirical NTK against the infinite-width NTK: overlap (1 if proportional) and relative Frobenius distance.

use super::super::read::Records;
use super::Figure;
use super::over_steps::{Axis, figure};

pub(super) fn draw(records: &Records) -> Option<Figure> {
    let quantities = [("ntk_overlap", Axis::Linear), ("ntk_distance", Axis::Linear)];
    let about = "The empirical NTK against the infinite-width NTK: their overlap, 1 where the two are proportional, and \
                 their distance in the Frobenius norm relative to the infinite-width NTK.";
    figure(records, "infinite_ntk", "Distance to the infinite-width kernel", about, &quantities)
}
