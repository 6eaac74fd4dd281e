//! Mean entries of the empirical NNGP kernel of the readout.

use widthwise_probes::{Observed, empirical_nngp, mean_entries};
use widthwise_statistics::information::InformationError;

use super::Measured;
use super::shared::Shared;
use super::snapshot::{Collected, Measure};
use crate::quantity::Quantity;

pub(super) struct Nngp;

impl Measure for Nngp {
    fn measure(&self, shared: &Shared<'_>, found: &mut Collected) -> Result<(), InformationError> {
        let observation = shared.observation();
        let [diagonal, off_diagonal] = mean_entries(&empirical_nngp(observation, observation.layers()));
        found.measured.push(Measured::new(Quantity::NngpMeanDiagonal, diagonal));
        found.measured.push(Measured::new(Quantity::NngpMeanOffDiagonal, off_diagonal));
        Ok(())
    }
}
