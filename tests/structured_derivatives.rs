//! One number computed in two ways: structured derivatives against Burn's automatic differentiation.

use burn::tensor::Tensor;
use faer::Mat;
use widthwise::network::{Batch, Network, Tap};
use widthwise::observation::Observation;
use widthwise_probes::{Observed, empirical_ntk, empirical_ntk_full};
use widthwise_tensors::to_f64;
use widthwise_theory::architecture::Parameterization;

use crate::bounds::relative_difference;
use crate::networks::{families, inputs, layered, network};

pub(crate) const PARAMETERIZATIONS: [Parameterization; 5] = [
    Parameterization::Standard,
    Parameterization::StandardLayerwise,
    Parameterization::Ntk,
    Parameterization::MeanField,
    Parameterization::Mup,
];

/// Examples with the masks of dropout on.
pub(crate) fn masked_batch(network: &Network, examples: usize) -> Batch {
    let batch = network.batch(&inputs(examples, network.architecture().input.features()));
    network.with_masks(batch, &mut widthwise_datasets::stream(5, "test.masks"))
}

/// The whole Jacobian, one backward pass an example and output: rows example-major, each parameter weighted with the root of
/// its learning-rate factor.
pub(crate) fn jacobian(network: &Network, batch: &Batch, outputs: usize) -> Vec<Vec<f64>> {
    let mut rows: Vec<Vec<f64>> = Vec::new();
    for x in 0..batch.examples() {
        for o in 0..outputs {
            let mut tracked = network.clone();
            tracked.parameters =
                network.parameters.iter().map(|p| p.map(|t| t.clone().autodiff().require_grad())).collect();
            let single = Batch {
                inputs: batch.inputs.clone().narrow(0, x, 1),
                gates: batch.gates.clone().map(|g| g.narrow(0, x, 1)),
                masks: batch.masks.iter().map(|mask| mask.clone().narrow(0, x, 1)).collect(),
            };
            let f = tracked.forward(&single, &mut widthwise::network::NoTap);
            let gradients = f.narrow(1, o, 1).sum().backward();
            let mut row = Vec::new();
            for (p, s) in tracked.parameters.iter().zip(network.scalings()) {
                row.extend(to_f64(p.weight.grad(&gradients).unwrap()).iter().map(|g| g * s.weight_rate.sqrt()));
                if let Some(bias) = &p.bias {
                    row.extend(to_f64(bias.grad(&gradients).unwrap()).iter().map(|g| g * s.bias_rate.sqrt()));
                }
            }
            rows.push(row);
        }
    }
    rows
}

fn brute_force(network: &Network, batch: &Batch, outputs: usize) -> Mat<f64> {
    let rows = jacobian(network, batch, outputs);
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    Mat::from_fn(rows.len(), rows.len(), |i, j| dot(&rows[i], &rows[j]))
}

#[test]
fn structured_ntk_equals_the_jacobian_gram_for_every_family_and_parameterization() {
    for parameterization in PARAMETERIZATIONS {
        for (name, architecture) in families(7, parameterization).into_iter().chain(layered(7, parameterization)) {
            let network = network(&architecture, 0);
            let batch = masked_batch(&network, 4);
            let observation = Observation::new(&network, &batch);
            let outputs = architecture.outputs().unwrap();
            let expected = brute_force(&network, &batch, outputs);
            let difference = relative_difference(&empirical_ntk_full(&observation), &expected);
            assert!(difference < 1e-10, "{name}, {parameterization:?}: full kernel off by {difference:e}");
            let diagonal_block = |i: usize, j: usize| {
                (0..outputs).map(|o| expected[(outputs * i + o, outputs * j + o)]).sum::<f64>() / outputs as f64
            };
            let traced = Mat::from_fn(4, 4, diagonal_block);
            let difference = relative_difference(&empirical_ntk(&observation), &traced);
            assert!(difference < 1e-10, "{name}, {parameterization:?}: traced kernel off by {difference:e}");
        }
    }
}

/// Adds a zero leaf at every pre-activation, whose gradient is the derivative there.
struct Leaves(Vec<Tensor<2>>);

impl Tap for Leaves {
    fn preactivation(&mut self, _layer: usize, state: Tensor<2>) -> Tensor<2> {
        let leaf = state.clone().inner().zeros_like().autodiff().require_grad();
        self.0.push(leaf.clone());
        state + leaf
    }
}

#[test]
fn pullbacks_equal_automatic_differentiation_for_every_family() {
    let every = families(6, Parameterization::Ntk).into_iter().chain(layered(6, Parameterization::Ntk));
    for (name, architecture) in every {
        let network = network(&architecture, 1);
        let batch = masked_batch(&network, 3);
        let observation = Observation::new(&network, &batch);
        for layer in 1..=observation.layers() {
            let geometry = observation.geometry(layer);
            let count = 3 * geometry.positions * geometry.units;
            let cotangent =
                Tensor::<1>::from_data(inputs(1, count).as_slice(), (&batch.inputs.device(), batch.inputs.dtype()));
            let cotangent = cotangent.reshape([1, 3, geometry.positions, geometry.units]);
            let pulled = observation.pull_back(layer, cotangent.clone());
            // The scalar whose derivative is the pullback: the pre-activation at `layer` against the cotangent.
            struct At<'a>(&'a mut Leaves, usize, Option<Tensor<2>>);
            impl Tap for At<'_> {
                fn preactivation(&mut self, layer: usize, state: Tensor<2>) -> Tensor<2> {
                    let state = self.0.preactivation(layer, state);
                    if layer == self.1 {
                        self.2 = Some(state.clone());
                    }
                    state
                }
            }
            let mut leaves = Leaves(Vec::new());
            let mut at = At(&mut leaves, layer, None);
            let _ = network.forward(&batch, &mut at);
            let z = at.2.unwrap();
            let flat = cotangent.swap_dims(2, 3).reshape([3, geometry.units * geometry.positions]);
            let gradients = (z * flat).sum().backward();
            for earlier in 1..=layer {
                // A layer on another branch is not reached.
                let leaf = &leaves.0[earlier - 1];
                let expected = to_f64(leaf.grad(&gradients).unwrap_or_else(|| leaf.clone().inner().zeros_like()));
                let found = pulled[earlier - 1].clone();
                let [_, n, p, u] = found.dims();
                let found = to_f64(found.swap_dims(2, 3).reshape([n, p * u]));
                let scale = expected.iter().map(|e| e.abs()).fold(0.0, f64::max);
                for (found, expected) in found.iter().zip(&expected) {
                    assert!((found - expected).abs() <= 1e-12 * scale, "{name}: layer {earlier} from {layer}");
                }
            }
        }
    }
}

#[test]
fn a_tangent_kernel_does_not_depend_on_the_optimizer() {
    use burn::tensor::{DType, Device};
    use widthwise_theory::architecture::UpdateRule;
    for parameterization in PARAMETERIZATIONS {
        let (name, architecture) = families(9, parameterization).swap_remove(0);
        let kernels = [UpdateRule::Linear, UpdateRule::ScaleInvariant].map(|rule| {
            let network = Network::new(&architecture, rule, 3, 0, &Device::flex(), DType::F64).unwrap();
            let batch = network.batch(&inputs(3, architecture.input.features()));
            empirical_ntk(&Observation::new(&network, &batch))
        });
        assert_eq!(kernels[0], kernels[1], "{name}, {parameterization:?}");
    }
}

#[test]
fn orthogonal_weights_are_orthogonal_as_the_layers_use_them() {
    use widthwise_theory::architecture::{InitScheme, Layer, Operation};
    for (name, mut architecture) in families(6, Parameterization::Ntk) {
        architecture.init_scheme = InitScheme::Orthogonal;
        let network = network(&architecture, 0);
        for (layer, parameters) in network.weight_layers().iter().zip(&network.parameters) {
            let is_convolution =
                matches!(network.nodes()[layer.index].operation, Operation::Layer(Layer::Convolution { .. }));
            let stored = widthwise_tensors::to_matrix(parameters.weight.clone());
            // Output units in rows.
            let weight = if is_convolution { stored } else { stored.transpose().to_owned() };
            let gram = if weight.nrows() <= weight.ncols() {
                &weight * weight.transpose()
            } else {
                weight.transpose() * &weight
            };
            let scale = gram[(0, 0)];
            let identity = Mat::from_fn(gram.nrows(), gram.ncols(), |i, j| if i == j { scale } else { 0.0 });
            let difference = relative_difference(&gram, &identity);
            assert!(difference < 1e-12, "{name}, layer {}: off by {difference:e}", layer.layer);
        }
    }
}
