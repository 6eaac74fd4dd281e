//! A look, probe by probe.

use burn::tensor::{DType, Tensor};
use faer::Mat;
use widthwise_probes::{
    KernelSummary, Observed, centred_alignment, effective_rank, empirical_nngp, gradient_covariance_trace,
    gradient_covariance_trace_of_kernel, label_overlap, mean_entries, partial_jacobian_norms, relative_distance,
    target_alignment, trace_shares, velocity,
};
use widthwise_statistics::gaussianity::MemberMoments;
use widthwise_statistics::information::{BinnedLayer, BinningRule, InformationError, kde_bounds};
use widthwise_tensors::{to_f32, to_f64};

use super::{Evaluation, InitialWeights, Measured, Past, Snapshot, evaluate, evaluate_from};
use crate::config::{Loss, ProbesConfig};
use crate::data::Data;
use crate::network::Network;
use crate::ntk::{ntk_by_layer, total};
use crate::objective::output_gradients;
use crate::observation::Observation;
use crate::quantity::Quantity;

/// Units of one layer kept for the pooled Kolmogorov-Smirnov distance.
const POOLED_UNITS: usize = 64;

/// Numbers of a tensor that are worked on at once where they are many.
const CACHED: usize = 1 << 16;

/// The parts of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// Loss and accuracy on the whole training and test sets.
    Evaluation,
    /// The forward pass of the probe examples that the other probes read, unless they are all training examples: then the evaluation's
    /// is read.
    ForwardPass,
    /// Mean entries of the empirical NNGP kernel of the readout.
    Nngp,
    /// The empirical NTK, a matrix a layer (`probes.ntk`).
    Ntk,
    /// Eigenvalues, alignments, changes and layer shares of that kernel (`probes.ntk`).
    NtkMetrics,
    /// Covariance of per-example loss gradients (`probes.ntk`).
    GradientCovariance,
    /// Distances of the weights from their start.
    WeightDistance,
    /// Partial Jacobian norms (`probes.jacobian_vectors`, `probes.jacobian_examples`).
    PartialJacobian,
    /// Mean squared pre-activations.
    PreactivationVariance,
    /// Information by binning (`probes.information`).
    InformationBinning,
    /// Bounds on information by kernel density estimates (`probes.information`).
    InformationKde,
    /// Power sums of pre-activations, at the first and last look (`probes.gaussianity`).
    Gaussianity,
}

impl Probe {
    /// All, in the order in which they are taken.
    pub const ALL: [Self; 12] = [
        Self::Evaluation,
        Self::ForwardPass,
        Self::Nngp,
        Self::Ntk,
        Self::NtkMetrics,
        Self::GradientCovariance,
        Self::WeightDistance,
        Self::PartialJacobian,
        Self::PreactivationVariance,
        Self::InformationBinning,
        Self::InformationKde,
        Self::Gaussianity,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Evaluation => "evaluation",
            Self::ForwardPass => "forward_pass",
            Self::Nngp => "nngp",
            Self::Ntk => "ntk",
            Self::NtkMetrics => "ntk_metrics",
            Self::GradientCovariance => "gradient_covariance",
            Self::WeightDistance => "weight_distance",
            Self::PartialJacobian => "partial_jacobian",
            Self::PreactivationVariance => "preactivation_variance",
            Self::InformationBinning => "information_binning",
            Self::InformationKde => "information_kde",
            Self::Gaussianity => "gaussianity",
        }
    }
}

/// A look at a network under way.
pub struct Look<'a> {
    network: &'a Network,
    data: &'a Data,
    config: &'a ProbesConfig,
    kind: Loss,
    /// Seed, member, step.
    place: (u64, usize, u64),
    past: &'a Past<'a>,
    seen: Seen,
    evaluation: Option<Evaluation>,
    observation: Option<Observation<'a>>,
    ntk_by_layer: Vec<Mat<f64>>,
    ntk: Option<Mat<f64>>,
    moments: Option<Mat<f64>>,
    units: Option<Mat<f64>>,
}

impl<'a> Look<'a> {
    /// Nothing is measured yet. `place` is the run's seed, the member and its step.
    pub fn new(
        network: &'a Network,
        data: &'a Data,
        config: &'a ProbesConfig,
        kind: Loss,
        place: (u64, usize, u64),
        past: &'a Past<'a>,
    ) -> Self {
        Self {
            network,
            data,
            config,
            kind,
            place,
            past,
            seen: Seen::default(),
            evaluation: None,
            observation: None,
            ntk_by_layer: Vec::new(),
            ntk: None,
            moments: None,
            units: None,
        }
    }

    /// Whether the loss was a number; a diverged network has nothing else to show.
    pub fn is_finite(&self) -> bool {
        self.evaluation.is_some_and(|evaluation| evaluation.train_loss.is_finite())
    }

    /// Takes the next probe of [`Probe::ALL`], or nothing if the configuration leaves it out.
    ///
    /// # Errors
    /// Values that no estimator accepts, which a finite network does not have.
    pub fn take(&mut self, probe: Probe) -> Result<(), InformationError> {
        match probe {
            Probe::Evaluation => self.take_evaluation(),
            _ if !self.is_finite() => {}
            Probe::ForwardPass => {
                let (network, data) = (self.network, self.data);
                self.observation.get_or_insert_with(|| Observation::new(network, &data.probe));
            }
            probe => {
                let Some(observation) = self.observation.take() else { unreachable!("the forward pass comes first") };
                let taken = self.take_observed(probe, &observation);
                self.observation = Some(observation);
                taken?;
            }
        }
        Ok(())
    }

    /// What was seen.
    pub fn finish(self) -> Snapshot {
        let evaluation = self.evaluation.unwrap_or_default();
        Snapshot { measured: self.seen.0, evaluation, ntk: self.ntk, moments: self.moments, units: self.units }
    }

    fn take_evaluation(&mut self) {
        let evaluation = if self.data.probe_is_train {
            let observation = Observation::new(self.network, &self.data.probe);
            let outputs = observation.outputs();
            self.observation = Some(observation);
            evaluate_from(outputs, self.network, self.data, self.kind)
        } else {
            evaluate(self.network, self.data, self.kind)
        };
        self.seen.push(Quantity::TrainLoss, Some(evaluation.train_loss));
        if let Some(test_loss) = evaluation.test_loss {
            self.seen.push(Quantity::TestLoss, Some(test_loss));
        }
        self.evaluation = Some(evaluation);
    }

    fn take_observed(&mut self, probe: Probe, observation: &Observation<'_>) -> Result<(), InformationError> {
        let config = self.config;
        match probe {
            Probe::Evaluation | Probe::ForwardPass => {}
            Probe::Nngp => {
                let [diagonal, off_diagonal] = mean_entries(&empirical_nngp(observation, observation.layers()));
                self.seen.push(Quantity::NngpMeanDiagonal, Some(diagonal));
                self.seen.push(Quantity::NngpMeanOffDiagonal, Some(off_diagonal));
            }
            Probe::Ntk if config.ntk => {
                self.ntk_by_layer = ntk_by_layer(observation);
                self.ntk = Some(total(&self.ntk_by_layer));
            }
            Probe::NtkMetrics => self.measure_ntk(),
            Probe::GradientCovariance if config.ntk => {
                let targets = &self.data.probe_targets_on_device;
                let cotangents = output_gradients(self.kind, observation.outputs(), targets);
                let trace = match &self.ntk {
                    Some(ntk) if cotangents.dims()[1] == 1 => {
                        gradient_covariance_trace_of_kernel(ntk, &to_f64(cotangents))
                    }
                    _ => gradient_covariance_trace(observation, cotangents),
                };
                self.seen.push(Quantity::GradientCovarianceTrace, trace);
            }
            Probe::WeightDistance => self.measure_weights(),
            Probe::PartialJacobian if config.jacobian_vectors > 0 => self.measure_partial_jacobians(observation),
            Probe::PreactivationVariance => {
                for layer in 1..=observation.layers() {
                    let variance = mean_square(observation.preactivations(layer));
                    self.seen.push_layers(Quantity::PreactivationVariance, None, Some(layer), Some(variance));
                }
            }
            Probe::InformationBinning | Probe::InformationKde if config.information && self.data.classes > 0 => {
                for layer in 1..=observation.layers() {
                    match self.measure_information(probe, observation, layer) {
                        // Activations about to overflow: no number, and no reason to stop before the loss says so.
                        Ok(()) | Err(InformationError::NotFinite { .. }) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
            Probe::Gaussianity if config.gaussianity => {
                self.moments = Some(power_sums(observation));
                self.units = Some(first_units(observation));
            }
            Probe::Ntk
            | Probe::GradientCovariance
            | Probe::PartialJacobian
            | Probe::InformationBinning
            | Probe::InformationKde
            | Probe::Gaussianity => {}
        }
        Ok(())
    }

    fn measure_ntk(&mut self) {
        let Some(ntk) = &self.ntk else { return };
        let (seen, targets) = (&mut self.seen, &self.data.probe_targets);
        let (_, dtype) = self.network.placement();
        let epsilon = if dtype == DType::F64 { f64::EPSILON } else { f64::from(f32::EPSILON) };
        let (summary, leading) = KernelSummary::with_leading(ntk, targets.ncols());
        seen.push(Quantity::NtkMeanDiagonal, Some(summary.mean_diagonal));
        seen.push(Quantity::NtkMeanOffDiagonal, Some(summary.mean_off_diagonal));
        seen.push(Quantity::NtkTrace, Some(summary.mean_diagonal * ntk.nrows() as f64));
        let ranked = [Quantity::NtkTopEigenvalue, Quantity::NtkSecondEigenvalue, Quantity::NtkThirdEigenvalue];
        for (quantity, eigenvalue) in ranked.into_iter().zip(&summary.eigenvalues) {
            seen.push(quantity, Some(*eigenvalue));
        }
        seen.push(Quantity::NtkConditionNumber, summary.condition_number(epsilon));
        seen.push(Quantity::NtkEffectiveRank, Some(effective_rank(&summary.eigenvalues)));
        if let Some(initial) = self.past.ntk {
            seen.push(Quantity::NtkRelativeChange, Some(relative_distance(ntk, initial)));
            seen.push(Quantity::NtkInitialCka, Some(centred_alignment(ntk, initial)));
        }
        if let Some((previous, steps)) = self.past.previous_ntk {
            seen.push(Quantity::NtkVelocity, Some(velocity(ntk, previous, steps)));
        }
        seen.push(Quantity::NtkTargetAlignment, Some(target_alignment(ntk, targets)));
        seen.push(Quantity::NtkLabelOverlap, leading.map(|leading| label_overlap(&leading, targets)));
        for (layer, share) in (1..).zip(trace_shares(&self.ntk_by_layer)) {
            seen.push_layers(Quantity::NtkLayerShare, None, Some(layer), Some(share));
        }
    }

    /// Distances of the weights of every layer from the initial ones, biases left out; none without initial weights.
    fn measure_weights(&mut self) {
        let Some(InitialWeights { parameters, squared_norms }) = self.past.weights else { return };
        let layers = self.network.parameters.iter().zip(parameters).zip(squared_norms);
        for (layer, ((now, before), squared_norm_before)) in (1..).zip(layers) {
            let count = now.weight.shape().num_elements() as f64;
            let moved = squared_norm(&now.weight, Some(&before.weight));
            let distance = (moved / squared_norm_before).sqrt();
            self.seen.push_layers(Quantity::WeightDistance, None, Some(layer), Some(distance));
            self.seen.push_layers(Quantity::WeightRmsChange, None, Some(layer), Some((moved / count).sqrt()));
        }
    }

    fn measure_partial_jacobians(&mut self, observation: &Observation<'_>) {
        let (seed, member, step) = self.place;
        let mut random = widthwise_datasets::stream(seed, &format!("probes.{member}.{step}"));
        let examples = self.config.jacobian_examples.min(self.data.probe.examples());
        let subset = self.data.probe.first(examples);
        let narrowed = observation.narrowed(0..examples, &subset);
        for norm in partial_jacobian_norms(&narrowed, self.config.jacobian_vectors, &mut random) {
            let measured = Measured::new(Quantity::PartialJacobianNorm, norm.value);
            let std_error = norm.std_error.map(|found| (found, "random_vectors"));
            let measured = Measured { layer_from: Some(norm.layer_from), std_error, ..measured.of_layer(norm.layer) };
            self.seen.0.push(measured.detailed(self.config.jacobian_vectors));
        }
    }

    /// T is what the next layer receives; the outputs for the readout. The noise of the KDE bounds scales with the layer.
    fn measure_information(
        &mut self,
        probe: Probe,
        observation: &Observation<'_>,
        layer: usize,
    ) -> Result<(), InformationError> {
        let (config, labels) = (self.config, &self.data.probe_labels);
        let activations = observation.activations(layer);
        let [examples, units] = activations.dims();
        let values = to_f32(activations);
        let seen = &mut self.seen.0;
        let mut push =
            |quantity, estimate, detail| seen.push(Measured::information(quantity, estimate, detail).of_layer(layer));
        if probe == Probe::InformationBinning {
            let bins = config.information_bins;
            let binned = BinnedLayer::new(&values, units, BinningRule::Adaptive { bins })?;
            let (input, label) = (binned.input_information(None)?, binned.label_information(labels)?);
            push(Quantity::InformationInputBinning, input, bins as f64);
            push(Quantity::InformationLabelBinning, label, bins as f64);
            if layer == 1 {
                self.seen.push(Quantity::InformationInputCeiling, Some(input.ceiling));
                self.seen.push(Quantity::InformationLabelCeiling, Some(label.ceiling));
            }
            return Ok(());
        }
        let squared_norm = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / examples as f64;
        if squared_norm > 0.0 {
            let noise = config.information_noise;
            let bounds = kde_bounds(&values, units, noise * squared_norm, labels)?;
            push(Quantity::InformationInputKdeUpper, bounds.input_upper, noise);
            push(Quantity::InformationInputKdeLower, bounds.input_lower, noise);
            push(Quantity::InformationLabelKde, bounds.label_estimate, noise);
            push(Quantity::InformationLabelKdeUpper, bounds.label_upper, noise);
            push(Quantity::InformationLabelKdeLower, bounds.label_lower, noise);
        }
        Ok(())
    }
}

#[derive(Default)]
struct Seen(Vec<Measured>);

impl Seen {
    fn push(&mut self, quantity: Quantity, value: Option<f64>) {
        self.0.push(Measured::new(quantity, value));
    }

    fn push_layers(&mut self, quantity: Quantity, layer_from: Option<usize>, layer: Option<usize>, value: Option<f64>) {
        self.0.push(Measured { layer_from, layer, ..Measured::new(quantity, value) });
    }
}

/// `|W|^2`, or `|W - V|^2`, some rows at a time so that what lies between stays in cache, and each row by itself: one order of addition
/// for any number of threads.
pub(super) fn squared_norm(weight: &Tensor<2>, from: Option<&Tensor<2>>) -> f64 {
    let [rows, columns] = weight.dims();
    let most = (CACHED / columns.max(1)).clamp(1, rows.max(1));
    let sums = (0..rows).step_by(most).map(|start| {
        let part = |tensor: &Tensor<2>| tensor.clone().narrow(0, start, most.min(rows - start));
        let difference = match from {
            Some(from) => part(weight) - part(from),
            None => part(weight),
        };
        difference.square().sum_dim(1)
    });
    to_f64(Tensor::cat(sums.collect(), 0)).iter().sum()
}

/// Mean over everything, summed by axis first: one order of addition for any number of threads.
pub(crate) fn mean_square(z: Tensor<3>) -> f64 {
    let [n, p, u] = z.dims();
    let rows = to_f64(z.square().reshape([n, p * u]).sum_dim(1));
    rows.iter().sum::<f64>() / (n * p * u) as f64
}

fn power_sums(observation: &Observation<'_>) -> Mat<f64> {
    let mut rows: Vec<[f64; 6]> = Vec::new();
    for layer in 1..=observation.layers() {
        let [n, positions, units] = observation.preactivations(layer).dims();
        // One position, in the middle of the image: positions have variances of their own and are correlated.
        let z = observation.preactivations(layer).narrow(1, positions / 2, 1).reshape([n, units]);
        if let Ok(moments) = MemberMoments::new(&to_f32(z), units) {
            let units = units as f64;
            rows.extend(moments.sums.iter().map(|[s1, s2, s3, s4]| [layer as f64, *s1, *s2, *s3, *s4, units]));
        }
    }
    Mat::from_fn(rows.len(), 6, |i, j| rows[i][j])
}

fn first_units(observation: &Observation<'_>) -> Mat<f64> {
    let mut rows: Vec<[f64; 2]> = Vec::new();
    for layer in 1..=observation.layers() {
        let z = observation.preactivations(layer).narrow(0, 0, 1);
        let [_, positions, _] = z.dims();
        // One position, in the middle of the image.
        let units = to_f64(z.narrow(1, positions / 2, 1));
        rows.extend(units.into_iter().take(POOLED_UNITS).map(|z| [layer as f64, z]));
    }
    Mat::from_fn(rows.len(), 2, |i, j| rows[i][j])
}
