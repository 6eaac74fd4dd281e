//! A snapshot, probe by probe.

use faer::Mat;
use widthwise_statistics::information::InformationError;

use super::shared::Shared;
use super::{Measured, Past, Snapshot, implementation};
use crate::config::{Loss, ProbesConfig};
use crate::data::Data;
use crate::network::Network;
use crate::quantity::Probe;

/// One probe. What it needs it asks `shared` for, which makes each piece once a snapshot.
pub(super) trait Measure {
    /// Adds its numbers to `found`.
    ///
    /// # Errors
    /// Values that no estimator accepts, which a finite network does not have.
    fn measure(&self, shared: &Shared<'_>, found: &mut Collected) -> Result<(), InformationError>;
}

/// What the probes of a snapshot found.
#[derive(Default)]
pub(super) struct Collected {
    /// Numbers, in the order in which they are written.
    pub(super) measured: Vec<Measured>,
    /// See [`Snapshot::moments`].
    pub(super) moments: Option<Mat<f64>>,
    /// See [`Snapshot::units`].
    pub(super) units: Option<Mat<f64>>,
}

/// A piece that several probes read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharedPiece {
    /// The forward pass of the probe examples.
    ForwardPass,
    /// The empirical NTK, a matrix a layer.
    Ntk,
}

/// A snapshot of a network under way.
pub struct Measurement<'a> {
    shared: Shared<'a>,
    found: Collected,
}

impl<'a> Measurement<'a> {
    /// Nothing is measured yet. `place` is the run's seed, the member and its step.
    pub fn new(
        network: &'a Network,
        data: &'a Data,
        config: &'a ProbesConfig,
        kind: Loss,
        place: (u64, usize, u64),
        past: &'a Past<'a>,
    ) -> Self {
        Self { shared: Shared::new(network, data, config, kind, place, past), found: Collected::default() }
    }

    /// Whether the loss is a number; a diverged network has nothing else to show.
    pub fn is_finite(&self) -> bool {
        self.shared.is_finite()
    }

    /// Makes a piece before a probe asks for it.
    pub fn prepare(&self, piece: SharedPiece) {
        match piece {
            SharedPiece::ForwardPass => drop(self.shared.observation()),
            SharedPiece::Ntk => drop(self.shared.ntk()),
        }
    }

    /// Adds the numbers of `probe`, unless the configuration turns it off or the network has diverged.
    ///
    /// # Errors
    /// Values that no estimator accepts, which a finite network does not have.
    pub fn take(&mut self, probe: Probe) -> Result<(), InformationError> {
        if probe == Probe::Evaluation || self.shared.config.is_on(probe) && self.shared.is_finite() {
            implementation(probe).measure(&self.shared, &mut self.found)?;
        }
        Ok(())
    }

    /// What was found.
    pub fn finish(self) -> Snapshot {
        let Collected { measured, moments, units } = self.found;
        let evaluation = *self.shared.evaluation();
        Snapshot { measured, evaluation, ntk: self.shared.into_ntk(), moments, units }
    }
}
