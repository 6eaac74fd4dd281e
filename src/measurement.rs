//! One look at a network: every probe that the configuration asks for, as numbers with names.

use burn::tensor::{DType, Tensor};
use faer::Mat;
use widthwise_probes::gaussianity::MemberMoments;
use widthwise_probes::information::{BinnedLayer, BinningRule, InformationError, kde_bounds};
use widthwise_probes::{
    KernelSummary, Observed, Remembering, centred_alignment, effective_rank, empirical_nngp, empirical_ntk,
    gradient_covariance_trace, label_overlap, ntk_layer_shares, partial_jacobian_norms, relative_distance,
    target_alignment, to_f32, to_f64, velocity,
};

use crate::config::{Loss, ProbesConfig};
use crate::data::Data;
use crate::network::{Network, NoTap, Parameters};
use crate::observation::Observation;
use crate::quantity::Quantity;
use crate::record::kill_point::kill_point;
use crate::training::loss::{Targets, loss, output_gradients};

/// Units of one layer kept for the pooled Kolmogorov-Smirnov distance.
const POOLED_UNITS: usize = 64;

/// One number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// What it is.
    pub quantity: Quantity,
    /// Earlier layer of a pair.
    pub layer_from: Option<usize>,
    /// Layer.
    pub layer: Option<usize>,
    /// The number; `None` where it is undefined.
    pub value: Option<f64>,
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

/// Loss and accuracy.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Evaluation {
    /// Loss on the training set.
    pub train_loss: f64,
    /// Loss on the test set; `None` without test examples.
    pub test_loss: Option<f64>,
    /// Accuracy on the training set; `None` without classes.
    pub train_accuracy: Option<f64>,
    /// Accuracy on the test set.
    pub test_accuracy: Option<f64>,
}

/// Loss and accuracy of `network` on the whole training and test sets.
pub fn evaluate(network: &Network, data: &Data, kind: Loss) -> Evaluation {
    let outputs = network.forward(&data.train, &mut NoTap);
    let (train_loss, train_accuracy) = score(outputs, &data.train_targets, data.classes, kind);
    let (test_loss, test_accuracy) = match &data.test {
        Some((batch, targets)) => {
            let (loss, accuracy) = score(network.forward(batch, &mut NoTap), targets, data.classes, kind);
            (Some(loss), accuracy)
        }
        None => (None, None),
    };
    Evaluation { train_loss, test_loss, train_accuracy, test_accuracy }
}

fn score(outputs: Tensor<2>, targets: &Targets, classes: usize, kind: Loss) -> (f64, Option<f64>) {
    let value = to_f64(loss(kind, outputs.clone(), targets))[0];
    let [n, columns] = outputs.dims();
    if classes == 0 {
        return (value, None);
    }
    let scores = to_f64(outputs);
    let labels: Vec<i64> = targets.classes.to_data().iter::<i64>().collect();
    let goals = if columns == 1 { to_f64(targets.values.clone()) } else { Vec::new() };
    let right = (0..n).filter(|&i| {
        let row = &scores[i * columns..(i + 1) * columns];
        let predicted = if columns == 1 {
            // Binary +-1 targets: the sign of the one output against that of the target.
            return row[0] * goals[i] > 0.0;
        } else {
            (0..columns).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0)
        };
        predicted as i64 == labels[i]
    });
    (value, Some(right.count() as f64 / n as f64))
}

/// What a look at a member is held against, where there is something.
#[derive(Debug, Clone, Copy, Default)]
pub struct Past<'a> {
    /// Its empirical NTK at step 0.
    pub ntk: Option<&'a Mat<f64>>,
    /// Its empirical NTK at the look before, and the steps since.
    pub previous_ntk: Option<(&'a Mat<f64>, u64)>,
    /// Its weights at step 0.
    pub weights: Option<&'a [Parameters]>,
}

/// Looks at `network`. `past` is that of the same member; `moments` asks for the sums from which the ensemble's Gaussianity is
/// found. Random vectors come from the stream `probes.<member>.<step>`.
///
/// # Errors
/// Values that no estimator accepts, which a finite network does not have.
pub fn measure(
    network: &Network,
    data: &Data,
    config: &ProbesConfig,
    kind: Loss,
    (seed, member, step): (u64, usize, u64),
    past: &Past<'_>,
    moments: bool,
) -> Result<Snapshot, InformationError> {
    let evaluation = evaluate(network, data, kind);
    let mut seen = Seen::default();
    seen.push(Quantity::TrainLoss, Some(evaluation.train_loss));
    if let Some(test_loss) = evaluation.test_loss {
        seen.push(Quantity::TestLoss, Some(test_loss));
    }
    if !evaluation.train_loss.is_finite() {
        // A diverged network has nothing to show.
        return Ok(Snapshot { measured: seen.0, evaluation, ntk: None, moments: None, units: None });
    }
    let observation = Observation::new(network, &data.probe);
    let readout = observation.layers();

    let nngp = KernelSummary::new(&empirical_nngp(&observation, readout));
    seen.push(Quantity::NngpMeanDiagonal, Some(nngp.mean_diagonal));
    seen.push(Quantity::NngpMeanOffDiagonal, Some(nngp.mean_off_diagonal));
    // The outputs are pulled back once, for the kernel and for the shares of its layers.
    let remembering = Remembering::new(&observation);
    let ntk = config.ntk.then(|| empirical_ntk(&remembering));
    if let Some(ntk) = &ntk {
        let (_, dtype) = network.placement();
        let epsilon = if dtype == DType::F64 { f64::EPSILON } else { f64::from(f32::EPSILON) };
        measure_ntk(&mut seen, ntk, past, &data.probe_targets, epsilon);
        for (layer, share) in (1..).zip(ntk_layer_shares(&remembering)) {
            seen.push_layers(Quantity::NtkLayerShare, None, Some(layer), Some(share));
        }
        let cotangents = output_gradients(kind, observation.outputs(), &data.probe_targets_on_device);
        seen.push(Quantity::GradientCovarianceTrace, gradient_covariance_trace(&observation, cotangents));
    }
    drop(remembering);
    measure_weights(&mut seen, network, past.weights.unwrap_or_default());
    kill_point("probe");
    if config.jacobian_vectors > 0 {
        let mut random = widthwise_datasets::stream(seed, &format!("probes.{member}.{step}"));
        let subset = data.probe.first(config.jacobian_examples.min(data.probe.examples()));
        let narrowed = Observation::new(network, &subset);
        for norm in partial_jacobian_norms(&narrowed, config.jacobian_vectors, &mut random) {
            seen.push_layers(Quantity::PartialJacobianNorm, Some(norm.layer_from), Some(norm.layer), Some(norm.value));
        }
    }
    let layers = 1..=readout;
    let variances: Vec<f64> = layers.clone().map(|layer| mean_square(observation.preactivations(layer))).collect();
    for (layer, variance) in layers.clone().zip(variances) {
        seen.push_layers(Quantity::PreactivationVariance, None, Some(layer), Some(variance));
    }
    if config.information && data.classes > 0 {
        for layer in layers.clone() {
            match measure_information(&mut seen, &observation, layer, config, &data.probe_labels) {
                // Activations about to overflow: no number, and no reason to stop before the loss says so.
                Ok(()) | Err(InformationError::NotFinite { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
    let wanted = moments && config.gaussianity;
    Ok(Snapshot {
        measured: seen.0,
        evaluation,
        ntk,
        moments: wanted.then(|| power_sums(&observation)),
        units: wanted.then(|| first_units(&observation)),
    })
}

#[derive(Default)]
struct Seen(Vec<Measured>);

impl Seen {
    fn push(&mut self, quantity: Quantity, value: Option<f64>) {
        self.push_layers(quantity, None, None, value);
    }

    fn push_layers(&mut self, quantity: Quantity, layer_from: Option<usize>, layer: Option<usize>, value: Option<f64>) {
        self.0.push(Measured { quantity, layer_from, layer, value: value.filter(|value| value.is_finite()) });
    }
}

fn measure_ntk(seen: &mut Seen, ntk: &Mat<f64>, past: &Past<'_>, targets: &Mat<f64>, epsilon: f64) {
    let summary = KernelSummary::new(ntk);
    seen.push(Quantity::NtkMeanDiagonal, Some(summary.mean_diagonal));
    seen.push(Quantity::NtkMeanOffDiagonal, Some(summary.mean_off_diagonal));
    seen.push(Quantity::NtkTrace, Some(summary.mean_diagonal * ntk.nrows() as f64));
    let ranked = [Quantity::NtkTopEigenvalue, Quantity::NtkSecondEigenvalue, Quantity::NtkThirdEigenvalue];
    for (quantity, eigenvalue) in ranked.into_iter().zip(&summary.eigenvalues) {
        seen.push(quantity, Some(*eigenvalue));
    }
    seen.push(Quantity::NtkConditionNumber, summary.condition_number(epsilon));
    seen.push(Quantity::NtkEffectiveRank, Some(effective_rank(&summary.eigenvalues)));
    if let Some(initial) = past.ntk {
        seen.push(Quantity::NtkRelativeChange, Some(relative_distance(ntk, initial)));
        seen.push(Quantity::NtkInitialCka, Some(centred_alignment(ntk, initial)));
    }
    if let Some((previous, steps)) = past.previous_ntk {
        seen.push(Quantity::NtkVelocity, Some(velocity(ntk, previous, steps)));
    }
    seen.push(Quantity::NtkTargetAlignment, Some(target_alignment(ntk, targets)));
    seen.push(Quantity::NtkLabelOverlap, Some(label_overlap(ntk, targets)));
}

/// Distances of the weights of every layer from `initial`, biases left out; none without initial weights.
fn measure_weights(seen: &mut Seen, network: &Network, initial: &[Parameters]) {
    // Summed by axis first: one order of addition for any number of threads.
    let squares = |weight: Tensor<2>| to_f64(weight.square().sum_dim(1)).iter().sum::<f64>();
    for (layer, (now, before)) in (1..).zip(network.parameters.iter().zip(initial)) {
        let count = now.weight.shape().num_elements() as f64;
        let moved = squares(now.weight.clone() - before.weight.clone());
        let distance = (moved / squares(before.weight.clone())).sqrt();
        seen.push_layers(Quantity::WeightDistance, None, Some(layer), Some(distance));
        seen.push_layers(Quantity::WeightRmsChange, None, Some(layer), Some((moved / count).sqrt()));
    }
}

/// T is what the next layer receives; the outputs for the readout. The noise of the KDE bounds scales with the layer.
fn measure_information(
    seen: &mut Seen,
    observation: &Observation<'_>,
    layer: usize,
    config: &ProbesConfig,
    labels: &[u8],
) -> Result<(), InformationError> {
    let activations = observation.activations(layer);
    let units = activations.dims()[1];
    let examples = activations.dims()[0] as f64;
    let values = to_f32(activations);
    let squared_norm = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / examples;
    let binned = BinnedLayer::new(&values, units, BinningRule::Adaptive { bins: config.information_bins })?;
    let mut push = |quantity, value| seen.push_layers(quantity, None, Some(layer), value);
    let (input, label) = (binned.input_information(None)?, binned.label_information(labels)?);
    push(Quantity::InformationInputBinning, Some(input.value));
    push(Quantity::InformationLabelBinning, Some(label.value));
    if squared_norm > 0.0 {
        let bounds = kde_bounds(&values, units, config.information_noise * squared_norm, labels)?;
        push(Quantity::InformationInputKdeUpper, Some(bounds.input_upper.value));
        push(Quantity::InformationInputKdeLower, Some(bounds.input_lower.value));
        push(Quantity::InformationLabelKde, Some(bounds.label_estimate.value));
    }
    if layer == 1 {
        seen.push(Quantity::InformationInputCeiling, Some(input.ceiling));
        seen.push(Quantity::InformationLabelCeiling, Some(label.ceiling));
    }
    Ok(())
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
