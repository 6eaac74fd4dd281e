//! Taylor models of networks against automatic differentiation and finite differences, for every layer that there is.

use burn::tensor::{DType, Tensor};
use widthwise::config::Loss;
use widthwise::network::{Batch, LayerParameters, Network, NoTap, TaylorModel, TaylorOrder, from_f64};
use widthwise::objective::{Targets, loss};
use widthwise::training::gradient::gradient;
use widthwise_tensors::{to_f64, to_matrix};
use widthwise_theory::architecture::Parameterization;

use crate::bounds::relative_difference;
use crate::networks::{families, inputs, layered, network};
use crate::structured_derivatives::jacobian;

const EXAMPLES: usize = 3;

fn every_network() -> Vec<(&'static str, Network, Batch)> {
    let every = families(6, Parameterization::Ntk).into_iter().chain(layered(6, Parameterization::Ntk));
    let built = every.map(|(name, architecture)| {
        let network = network(&architecture, 2);
        let batch = network.batch(&inputs(EXAMPLES, architecture.input.features()));
        let batch = network.with_masks(batch, &mut widthwise_datasets::stream(5, "test.masks"));
        (name, network, batch)
    });
    built.collect()
}

/// Parameters with Gaussian entries, shaped as those of `network`.
fn direction(network: &Network) -> Vec<LayerParameters> {
    let mut values = inputs(1, network.parameter_count()).into_iter();
    let (device, dtype) = network.placement();
    let mut draw = |like: &Tensor<2>| {
        let [rows, columns] = like.dims();
        from_f64(values.by_ref().take(rows * columns).collect(), [rows, columns], device, dtype)
    };
    network.parameters.iter().map(|parameters| parameters.map(&mut draw)).collect()
}

fn moved(parameters: &[LayerParameters], along: &[LayerParameters], by: f64) -> Vec<LayerParameters> {
    let pairs = parameters.iter().zip(along);
    pairs
        .map(|(p, d)| LayerParameters {
            weight: p.weight.clone() + d.weight.clone().mul_scalar(by),
            bias: p.bias.clone().zip(d.bias.clone()).map(|(p, d)| p + d.mul_scalar(by)),
        })
        .collect()
}

fn outputs(network: &Network, batch: &Batch, along: &[LayerParameters], by: f64) -> faer::Mat<f64> {
    let mut other = network.clone();
    other.parameters = moved(&network.parameters, along, by);
    to_matrix(other.forward(batch, &mut NoTap))
}

#[test]
fn pushing_forward_is_the_product_with_the_jacobian() {
    for (name, network, batch) in every_network() {
        let along = direction(&network);
        let found = to_matrix(network.push_forward(&batch, &along));
        let width = found.ncols();
        // Rows of the Jacobian carry the root of the rates, which are 1 here.
        let rows = jacobian(&network, &batch, width);
        let flat: Vec<f64> = along
            .iter()
            .flat_map(|p| [Some(p.weight.clone()), p.bias.clone()].into_iter().flatten().flat_map(to_f64))
            .collect();
        let expected = faer::Mat::from_fn(EXAMPLES, width, |i, o| {
            rows[i * width + o].iter().zip(&flat).map(|(j, d)| j * d).sum::<f64>()
        });
        let off = relative_difference(&found, &expected);
        assert!(off < 1e-12, "{name}: {off:e}");
    }
}

#[test]
fn the_second_order_model_has_the_second_derivative_of_a_finite_step() {
    for (name, network, batch) in every_network() {
        // Five points: truncation of order step^4, round-off of order eps / step^2. No unit may cross its kink on the way.
        let has_kink = format!("{:?}", network.architecture()).contains("Relu");
        let (step, bound): (f64, f64) = if has_kink { (1e-5, 1e-4) } else { (1e-3, 1e-8) };
        let along = direction(&network);
        let at = |by: f64| outputs(&network, &batch, &along, by * step);
        let curvature = (at(1.0) + at(-1.0)) * 16.0 - (at(2.0) + at(-2.0)) - at(0.0) * 30.0;
        let expected = curvature * (0.5 / (12.0 * step * step));
        let mut model = TaylorModel::new(network.clone(), TaylorOrder::Second);
        model.parameters = moved(&network.parameters, &along, 1.0);
        let term = to_matrix(model.forward(&batch) - network.push_forward(&batch, &along)) - at(0.0);
        let scale = expected.norm_max().max(1e-3);
        let off = (&term - &expected).norm_max() / scale;
        eprintln!("{name}: quadratic term {:.2e}, off by {off:.1e}", expected.norm_max());
        assert!(off < bound, "{name}: {off:e}");
    }
}

#[test]
fn at_its_centre_a_model_is_the_network_and_has_its_gradient() {
    for (name, mut network, batch) in every_network() {
        let width = network.architecture().outputs().unwrap();
        let (device, dtype) = network.placement();
        let values = from_f64(inputs(EXAMPLES, width), [EXAMPLES, width], device, dtype);
        let classes = Tensor::from_data([0, 1, 0], device);
        let targets = Targets { values, classes };
        let (expected, gradients) = gradient(&mut network, &batch, &targets, Loss::HalfSum);
        for order in [TaylorOrder::First, TaylorOrder::Second] {
            let mut model = TaylorModel::new(network.clone(), order);
            let (found, of_model) = gradient(&mut model, &batch, &targets, Loss::HalfSum);
            // Images are convolved on another method where there is no graph: sums of a few dozen terms in another order.
            let (found, expected) = (to_f64(found)[0], to_f64(expected.clone())[0]);
            assert!((found - expected).abs() <= 64.0 * f64::EPSILON * expected, "{name}: {found} {expected}");
            for (found, expected) in of_model.iter().zip(&gradients) {
                let off = relative_difference(&to_matrix(found.weight.clone()), &to_matrix(expected.weight.clone()));
                assert!(off < 1e-12, "{name}, {order:?}: {off:e}");
            }
        }
    }
}

#[test]
fn gradients_away_from_the_centre_are_those_of_the_model_s_own_loss() {
    for (name, network, batch) in every_network() {
        const STEP: f64 = 1e-4;
        let width = network.architecture().outputs().unwrap();
        let (device, dtype) = network.placement();
        assert_eq!(dtype, DType::F64);
        let values = from_f64(inputs(EXAMPLES, width), [EXAMPLES, width], device, dtype);
        let targets = Targets { values, classes: Tensor::from_data([0, 1, 0], device) };
        let along = direction(&network);
        let mut model = TaylorModel::new(network.clone(), TaylorOrder::Second);
        let start = moved(&network.parameters, &along, 0.3);
        let at = |by: f64| {
            let mut other = model.clone();
            other.parameters = moved(&start, &along, by * STEP);
            to_f64(loss(Loss::HalfSum, other.forward(&batch), &targets))[0]
        };
        let expected = (8.0 * (at(1.0) - at(-1.0)) - (at(2.0) - at(-2.0))) / (12.0 * STEP);
        model.parameters = start.clone();
        let (_, gradients) = gradient(&mut model, &batch, &targets, Loss::HalfSum);
        let dot = |a: &Tensor<2>, b: &Tensor<2>| to_f64((a.clone() * b.clone()).sum())[0];
        let found: f64 = gradients
            .iter()
            .zip(&along)
            .map(|(g, d)| {
                dot(&g.weight, &d.weight) + g.bias.as_ref().zip(d.bias.as_ref()).map_or(0.0, |(g, d)| dot(g, d))
            })
            .sum();
        let off = (found - expected).abs() / expected.abs();
        assert!(off < 1e-8, "{name}: {found} against {expected}");
    }
}

#[test]
fn a_centred_network_starts_at_zero_with_the_same_derivatives() {
    for (name, network, batch) in every_network() {
        let along = direction(&network);
        let centred = network.clone().centred();
        assert!(to_f64(centred.forward(&batch, &mut NoTap)).iter().all(|f| *f == 0.0), "{name}");
        let pushed = |network: &Network| to_f64(network.push_forward(&batch, &along));
        assert_eq!(pushed(&centred), pushed(&network), "{name}");
        let difference = outputs(&network, &batch, &along, 0.1) - to_matrix(network.forward(&batch, &mut NoTap));
        assert_eq!(outputs(&centred, &batch, &along, 0.1), difference, "{name}");
    }
}
