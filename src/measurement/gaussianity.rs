//! What the ensemble's Gaussianity is found from: power sums and some units of every layer's pre-activations. The numbers themselves need
//! all members.

use faer::Mat;
use widthwise_probes::Observed;
use widthwise_statistics::gaussianity::MemberMoments;
use widthwise_statistics::information::InformationError;
use widthwise_tensors::{to_f32, to_f64};

use super::shared::Shared;
use super::snapshot::{Collected, Measure};
use crate::observation::Observation;

/// Units of one layer kept for the pooled Kolmogorov-Smirnov distance.
const POOLED_UNITS: usize = 64;

pub(super) struct Gaussianity;

impl Measure for Gaussianity {
    fn measure(&self, shared: &Shared<'_>, found: &mut Collected) -> Result<(), InformationError> {
        found.moments = Some(power_sums(shared.observation()));
        found.units = Some(first_units(shared.observation()));
        Ok(())
    }
}

fn power_sums(observation: &Observation<'_>) -> Mat<f64> {
    let mut rows: Vec<[f64; 6]> = Vec::new();
    for layer in 1..=observation.layers() {
        let [n, positions, units] = observation.preactivations(layer).dims();
        // One position, in the middle of the image: positions have variances of their own and are correlated.
        let z =
            observation.preactivations(layer).narrow(1, middle(observation, layer, positions), 1).reshape([n, units]);
        if let Ok(moments) = MemberMoments::new(&to_f32(z), units) {
            let units = units as f64;
            rows.extend(moments.sums.iter().map(|[s1, s2, s3, s4]| [layer as f64, *s1, *s2, *s3, *s4, units]));
        }
    }
    Mat::from_fn(rows.len(), 6, |i, j| rows[i][j])
}

/// The position in the middle of the image that `layer` makes, row by row.
fn middle(observation: &Observation<'_>, layer: usize, positions: usize) -> usize {
    let network = observation.network();
    let shape = network.nodes()[network.weight_layers()[layer - 1].index].shape;
    if shape.height * shape.width == positions {
        shape.height / 2 * shape.width + shape.width / 2
    } else {
        positions / 2
    }
}

fn first_units(observation: &Observation<'_>) -> Mat<f64> {
    let mut rows: Vec<[f64; 2]> = Vec::new();
    for layer in 1..=observation.layers() {
        let z = observation.preactivations(layer).narrow(0, 0, 1);
        let [_, positions, _] = z.dims();
        // One position, in the middle of the image.
        let units = to_f64(z.narrow(1, middle(observation, layer, positions), 1));
        rows.extend(units.into_iter().take(POOLED_UNITS).map(|z| [layer as f64, z]));
    }
    Mat::from_fn(rows.len(), 2, |i, j| rows[i][j])
}
