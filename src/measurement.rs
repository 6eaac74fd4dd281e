//! One snapshot of a network: every probe that the configuration asks for, as numbers with names. One probe a file, all behind one
//! interface; what several of them read is made once.

mod evaluation;
mod gaussianity;
mod gradient_covariance;
mod information;
mod information_binning;
mod information_kde;
mod layer_variances;
mod nngp;
mod ntk;
mod partial_jacobian;
mod preactivation_variance;
mod shared;
mod snapshot;
mod weight_distance;

use std::borrow::Cow;
use std::fmt::Display;

use faer::Mat;
use widthwise_statistics::information::{EstimateKind, InformationError, InformationEstimate};

use crate::config::{Loss, ProbesConfig};
use crate::data::Data;
use crate::network::{LayerParameters, Network};
use crate::objective::Evaluation;
use crate::quantity::{Flag, Kind, Probe, Quantity, Trust};
use crate::record::kill_point::kill_point;

pub use evaluation::evaluate;
pub(crate) use preactivation_variance::mean_square;
use snapshot::Measure;
pub use snapshot::{Measurement, SharedPiece};

/// What measures `probe`.
fn implementation(probe: Probe) -> &'static dyn Measure {
    match probe {
        Probe::Evaluation => &evaluation::Losses,
        Probe::Nngp => &nngp::Nngp,
        Probe::Ntk => &ntk::Ntk,
        Probe::GradientCovariance => &gradient_covariance::GradientCovariance,
        Probe::WeightDistance => &weight_distance::WeightDistance,
        Probe::PartialJacobian => &partial_jacobian::PartialJacobian,
        Probe::PreactivationVariance => &preactivation_variance::PreactivationVariance,
        Probe::LayerVariances => &layer_variances::VariancesOfLayers,
        Probe::InformationBinning => &information_binning::InformationBinning,
        Probe::InformationKde => &information_kde::InformationKde,
        Probe::Gaussianity => &gaussianity::Gaussianity,
    }
}

/// One number, and how far it is to be trusted.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// What it is.
    pub quantity: Quantity,
    /// Earlier layer of a pair.
    pub layer_from: Option<usize>,
    /// Layer.
    pub layer: Option<usize>,
    /// The number; `None` where it is undefined.
    pub value: Option<f64>,
    /// Its standard error and how that was found, where it has one of its own.
    pub std_error: Option<(f64, Cow<'static, str>)>,
    /// How it was found and what it says.
    pub trust: Trust,
}

impl Measured {
    /// A number of `quantity` as its table describes it; `None` and numbers that are not finite are undefined.
    pub fn new(quantity: Quantity, value: impl Into<Option<f64>>) -> Self {
        let value = value.into().filter(|value| value.is_finite());
        Self { quantity, layer_from: None, layer: None, value, std_error: None, trust: quantity.trust() }
    }

    /// An information as its estimator describes it, found with the setting `detail`.
    pub fn information(quantity: Quantity, estimate: InformationEstimate, detail: impl Display) -> Self {
        let trust = Trust {
            kind: match estimate.kind {
                EstimateKind::Exact => Kind::Exact,
                EstimateKind::Lower => Kind::Lower,
                EstimateKind::Upper => Kind::Upper,
                EstimateKind::Estimate => Kind::Estimate,
            },
            ceiling: Some(estimate.ceiling),
            flag: estimate.saturated.then_some(Flag::Saturated),
            ..quantity.trust()
        };
        Self { trust, ..Self::new(quantity, estimate.value) }.detailed(detail)
    }

    /// The number of `layer`.
    pub fn of_layer(self, layer: usize) -> Self {
        Self { layer: Some(layer), ..self }
    }

    /// The same with the setting `detail` of its method.
    pub fn detailed(mut self, detail: impl Display) -> Self {
        self.trust.method = format!("{}({detail})", self.trust.method).into();
        self
    }
}

/// Everything seen at one step of one member.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Scalars, in a fixed order.
    pub measured: Vec<Measured>,
    /// Loss and accuracy on the training and test sets.
    pub evaluation: Evaluation,
    /// Empirical NTK on the probe examples, outputs averaged.
    pub ntk: Option<Mat<f64>>,
    /// Power sums of every layer's pre-activations, an input a row: `layer, sum z, sum z^2, sum z^3, sum z^4, units`.
    pub moments: Option<Mat<f64>>,
    /// Pre-activations of the first probe example, one a row: `layer, z`, at most `POOLED_UNITS` a layer.
    pub units: Option<Mat<f64>>,
}

/// What a snapshot of a member is held against, where there is something.
#[derive(Debug, Clone, Copy, Default)]
pub struct Past<'a> {
    /// Its empirical NTK at step 0.
    pub ntk: Option<&'a Mat<f64>>,
    /// Its empirical NTK at the last step at which it was measured, and the steps since.
    pub previous_ntk: Option<(&'a Mat<f64>, u64)>,
    /// Its weights at step 0.
    pub weights: Option<&'a InitialWeights>,
}

/// The weights with which a member began, and their squared norms.
#[derive(Debug, Clone, Default)]
pub struct InitialWeights {
    parameters: Vec<LayerParameters>,
    squared_norms: Vec<f64>,
}

impl InitialWeights {
    /// Keeps `parameters`, one set a weight layer.
    pub fn new(parameters: Vec<LayerParameters>) -> Self {
        let squared_norms = parameters.iter().map(|layer| weight_distance::squared_norm(&layer.weight, None)).collect();
        Self { parameters, squared_norms }
    }
}

/// A snapshot of `network` by the probes that `takes` names. `past` is that of the same member. Random vectors come from the stream
/// `probes.<member>.<step>`.
///
/// # Errors
/// Values that no estimator accepts, which a finite network does not have.
pub fn measure(
    network: &Network,
    data: &Data,
    config: &ProbesConfig,
    kind: Loss,
    place: (u64, usize, u64),
    past: &Past<'_>,
    takes: impl Fn(Probe) -> bool,
) -> Result<Snapshot, InformationError> {
    let mut measurement = Measurement::new(network, data, config, kind, place, past);
    for &probe in Probe::ALL {
        if probe == Probe::Evaluation || takes(probe) {
            measurement.take(probe)?;
        }
        if probe == Probe::WeightDistance && measurement.is_finite() {
            kill_point("probe");
        }
    }
    Ok(measurement.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_keeps_its_kind_its_ceiling_and_its_saturation() {
        let estimate = InformationEstimate { value: 1.9, kind: EstimateKind::Upper, ceiling: 2.0, saturated: true };
        let measured = Measured::information(Quantity::InformationInputKdeUpper, estimate, 0.1).of_layer(3);
        assert_eq!((measured.value, measured.layer), (Some(1.9), Some(3)));
        let Trust { kind, method, ceiling, flag } = measured.trust;
        assert_eq!((kind, &*method, ceiling, flag), (Kind::Upper, "kde(0.1)", Some(2.0), Some(Flag::Saturated)));
    }

    #[test]
    fn what_is_not_finite_is_undefined() {
        assert_eq!(Measured::new(Quantity::NtkTrace, f64::NAN).value, None);
        assert_eq!(Measured::new(Quantity::NtkTrace, None).value, None);
    }
}
