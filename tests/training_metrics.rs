//! Numbers along training against the whole Jacobian and the weights that a run kept.

use std::fs;
use std::path::Path;

use burn::tensor::{DType, Device, Int, Tensor};
use faer::{Mat, Side};
use widthwise::config::{Loss, parse};
use widthwise::data::Data;
use widthwise::ntk::ntk_by_layer;
use widthwise::objective::{Targets, output_gradients};
use widthwise::observation::Observation;
use widthwise::record::checkpoint::weights_file_at;
use widthwise::record::npy;
use widthwise::record::row::Row;
use widthwise::record::weights::Weights;
use widthwise::training::gradient::gradient;
use widthwise_probes::{Observed, gradient_covariance_trace, gradient_covariance_trace_of_kernel, trace_shares};
use widthwise_statistics::information::kde_bounds;
use widthwise_tensors::to_f64;
use widthwise_testing::{assert_near, round_off};
use widthwise_theory::architecture::{Parameterization, UpdateRule};

use crate::networks::{families, inputs, layered, network};
use crate::program::widthwise;
use crate::structured_derivatives::jacobian;

/// Numbers that a layer has in a row of the Jacobian, layer by layer.
fn parameters_by_layer(network: &widthwise::network::Network) -> Vec<usize> {
    let count = |tensor: &Tensor<2>| tensor.shape().num_elements();
    network.parameters.iter().map(|p| count(&p.weight) + p.bias.as_ref().map_or(0, count)).collect()
}

#[test]
fn layer_shares_are_those_of_the_jacobian() {
    for parameterization in [Parameterization::Ntk, Parameterization::Mup] {
        for (name, architecture) in families(7, parameterization).into_iter().chain(layered(7, parameterization)) {
            let network = network(&architecture, 0);
            let batch = network.batch(&inputs(4, architecture.input.features()));
            let rows = jacobian(&network, &batch, architecture.outputs().unwrap());
            let total: f64 = rows.iter().flatten().map(|g| g * g).sum();
            let shares = trace_shares(&ntk_by_layer(&Observation::new(&network, &batch)));
            let mut first = 0;
            for (share, count) in shares.iter().zip(parameters_by_layer(&network)) {
                let squares: f64 = rows.iter().flat_map(|row| &row[first..first + count]).map(|g| g * g).sum();
                assert_near(*share, squares / total, round_off(4000));
                first += count;
            }
            assert_eq!(first, rows[0].len(), "{name}");
            assert_near(shares.iter().sum(), 1.0, round_off(40));
        }
    }
}

/// `(sum |g|^2 - N |mean g|^2) / (N - 1)` as the sum of variances of the parameters' gradients.
fn covariance_trace(gradients: &[Vec<f64>]) -> f64 {
    let n = gradients.len() as f64;
    (0..gradients[0].len())
        .map(|j| {
            let mean = gradients.iter().map(|g| g[j]).sum::<f64>() / n;
            gradients.iter().map(|g| (g[j] - mean).powi(2)).sum::<f64>() / (n - 1.0)
        })
        .sum()
}

/// Per-example gradients `sum_o c_o df_o`, from the rows of the Jacobian.
fn loss_gradients(rows: &[Vec<f64>], cotangents: &[f64], outputs: usize) -> Vec<Vec<f64>> {
    rows.chunks(outputs)
        .zip(cotangents.chunks(outputs))
        .map(|(rows, c)| (0..rows[0].len()).map(|j| rows.iter().zip(c).map(|(row, c)| c * row[j]).sum()).collect())
        .collect()
}

#[test]
fn the_covariance_of_gradients_is_that_of_the_jacobian() {
    for parameterization in [Parameterization::Standard, Parameterization::MeanField] {
        for (name, architecture) in families(7, parameterization).into_iter().chain(layered(7, parameterization)) {
            let network = network(&architecture, 0);
            let batch = network.batch(&inputs(5, architecture.input.features()));
            let outputs = architecture.outputs().unwrap();
            let cotangents = inputs(5, outputs);
            let rows = jacobian(&network, &batch, outputs);
            let expected = covariance_trace(&loss_gradients(&rows, &cotangents, outputs));
            let tensor = Tensor::<1>::from_data(cotangents.as_slice(), (&Device::flex(), DType::F64));
            let observation = Observation::new(&network, &batch);
            let found = gradient_covariance_trace(&observation, tensor.reshape([5, outputs])).unwrap();
            assert!((found - expected).abs() <= 1e4 * f64::EPSILON * expected, "{name}: {found} {expected}");
            // One output, from the kernel.
            let cotangents = &cotangents[..5];
            let first: Vec<Vec<f64>> = rows.iter().step_by(outputs).cloned().collect();
            let expected = covariance_trace(&loss_gradients(&first, cotangents, 1));
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let kernel = Mat::from_fn(5, 5, |i, j| dot(&first[i], &first[j]));
            let found = gradient_covariance_trace_of_kernel(&kernel, cotangents).unwrap();
            assert!((found - expected).abs() <= 1e4 * f64::EPSILON * expected, "{name}: {found} {expected}");
        }
    }
}

#[test]
fn one_example_has_no_covariance() {
    let (_, architecture) = families(5, Parameterization::Ntk).swap_remove(0);
    let network = network(&architecture, 0);
    let batch = network.batch(&inputs(1, architecture.input.features()));
    let cotangents = Tensor::<2>::ones([1, 3], (&Device::flex(), DType::F64));
    assert_eq!(gradient_covariance_trace(&Observation::new(&network, &batch), cotangents), None);
    assert_eq!(gradient_covariance_trace_of_kernel(&Mat::from_fn(1, 1, |_, _| 1.0), &[1.0]), None);
}

#[test]
fn gradients_of_losses_at_the_outputs_lead_to_those_of_the_weights() {
    let (_, architecture) = families(6, Parameterization::Standard).swap_remove(0);
    let mut network = network(&architecture, 0);
    let batch = network.batch(&inputs(4, architecture.input.features()));
    let device = Device::flex();
    let values = Tensor::<1>::from_data(inputs(4, 3).as_slice(), (&device, DType::F64)).reshape([4, 3]);
    let classes = Tensor::<1, Int>::from_data([2, 0, 1, 1], &device);
    let targets = Targets { values, classes };
    let rows = jacobian(&network, &batch, 3);
    for kind in [Loss::HalfSum, Loss::HalfMean, Loss::CrossEntropy] {
        let cotangents = to_f64(output_gradients(kind, Observation::new(&network, &batch).outputs(), &targets));
        for (example, expected) in loss_gradients(&rows, &cotangents, 3).iter().enumerate() {
            let index = || Tensor::<1, Int>::from_data([example as i64], &device);
            let (_, gradients) = gradient(&mut network, &batch.select(index()), &targets.select(index()), kind);
            let found: Vec<f64> = gradients
                .iter()
                .flat_map(|p| [Some(&p.weight), p.bias.as_ref()].into_iter().flatten().flat_map(|t| to_f64(t.clone())))
                .collect();
            let scale = expected.iter().map(|g| g.abs()).fold(0.0, f64::max);
            for (found, expected) in found.iter().zip(expected) {
                assert_near(*found, *expected, scale * round_off(400));
            }
        }
    }
}

const WATCHED: &str = r#"
[run]
name = "watched"
seed = 3
members = 2
precision = "f64"
keep_weights = "probes"
[dataset.preprocessing]
train = 24
test = 8
[network]
depth = 2
width = 9
activation = "tanh"
parameterization = "standard"
[training]
optimizer = "momentum"
learning_rate = { critical = 0.1 }
[training.stop]
steps = 7
[probes]
schedule = { every = 3 }
examples = 12
jacobian_examples = 4
"#;

#[test]
fn numbers_along_training_are_those_of_the_weights_that_were_kept() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("watched.toml"), WATCHED).unwrap();
    let run = at("run");
    widthwise(["run", "-q", &at("watched.toml"), "--output", &run]).ran();
    let rows: Vec<Row> = csv::Reader::from_path(Path::new(&run).join("results.csv"))
        .unwrap()
        .deserialize()
        .map(|row| row.unwrap())
        .collect();
    let cell = |member: usize, step: u64, quantity: &str, layer: Option<usize>| {
        let is_it = |row: &&Row| {
            (row.members.as_str(), row.step, row.quantity.as_str(), row.layer)
                == (member.to_string().as_str(), step, quantity, layer)
        };
        rows.iter().find(is_it).and_then(|row| row.measured)
    };

    let experiment = parse(WATCHED, "watched", &[]).unwrap();
    let dataset = widthwise_datasets::load(&experiment.dataset.source, None, 3).unwrap();
    let prepared = widthwise_datasets::prepare(&dataset, &experiment.dataset.preprocessing, 3).unwrap();
    let infinite = npy::read(&Path::new(&run).join("kernels/ntk_infinite.npy")).unwrap();
    for member in [0, 1] {
        let kept = |step: u64| {
            let folder = Path::new(&run).join("members").join(format!("{member:03}"));
            let weights = Weights::read(&folder.join(weights_file_at(step))).unwrap();
            weights.network(UpdateRule::Linear, &Device::flex(), DType::F64).unwrap()
        };
        let initial = kept(0);
        let mut initial_kernel: Option<Mat<f64>> = None;
        let mut previous: Option<(u64, Mat<f64>)> = None;
        for step in [0, 3, 6, 7] {
            let network = kept(step);
            let data = Data::new(&prepared, network.architecture(), 12, &Device::flex(), DType::F64);
            let jacobian = jacobian(&network, &data.probe, 10);
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let entry = |i: usize, j: usize| {
                (0..10).map(|o| dot(&jacobian[10 * i + o], &jacobian[10 * j + o])).sum::<f64>() / 10.0
            };
            let kernel = Mat::from_fn(12, 12, entry);
            // Relative to the largest that such a number can be; some thousand additions behind each kernel entry.
            let close = |quantity: &str, layer: Option<usize>, expected: f64| {
                let found = cell(member, step, quantity, layer).unwrap_or_else(|| panic!("{quantity} at {step}"));
                assert!(
                    (found - expected).abs() <= 1e5 * f64::EPSILON * expected.abs(),
                    "{quantity} {layer:?} at {step}: {found} against {expected}"
                );
            };
            let norm = |kernel: &Mat<f64>| kernel.norm_l2();
            let centred = |kernel: &Mat<f64>| {
                let h = Mat::from_fn(12, 12, |i, j| f64::from(u8::from(i == j)) - 1.0 / 12.0);
                &h * kernel * &h
            };
            let cka = |a: &Mat<f64>, b: &Mat<f64>| {
                let (a, b) = (centred(a), centred(b));
                let product = &a * &b;
                (0..12).map(|i| product[(i, i)]).sum::<f64>() / (norm(&a) * norm(&b))
            };
            let decomposed = kernel.self_adjoint_eigen(Side::Lower).unwrap();
            let total: f64 = (0..12).map(|i| kernel[(i, i)]).sum();
            let shares = (0..12).map(|i| decomposed.S()[i] / total);
            close("ntk_effective_rank", None, shares.map(|p| p.powf(-p)).product());
            close("ntk_infinite_cka", None, cka(&kernel, &infinite));
            // All but the part along the two last of twelve eigenvectors.
            let along =
                |k: usize, o: usize| (0..12).map(|i| decomposed.U()[(i, k)] * data.probe_targets[(i, o)]).sum::<f64>();
            let left_out: f64 =
                (0..2).flat_map(|k| (0..10).map(move |o| (k, o))).map(|(k, o)| along(k, o).powi(2)).sum();
            close("ntk_label_overlap", None, 1.0 - left_out / data.probe_targets.squared_norm_l2());
            let rows_of = |values: &[Vec<f64>]| values.iter().flatten().map(|g| g * g).sum::<f64>();
            let mut first = 0;
            for (layer, count) in (1..).zip(parameters_by_layer(&network)) {
                let part: Vec<Vec<f64>> = jacobian.iter().map(|row| row[first..first + count].to_vec()).collect();
                close("ntk_layer_share", Some(layer), rows_of(&part) / rows_of(&jacobian));
                first += count;
            }
            let observation = Observation::new(&network, &data.probe);
            let outputs = to_f64(observation.outputs());
            // Noise is measured by what a layer hands on, tanh of the pre-activations below the readout, and by all its units together.
            for layer in 1..=observation.layers() {
                let z = to_f64(observation.preactivations(layer));
                let is_readout = layer == observation.layers();
                let handed_on: Vec<f32> = z.iter().map(|z| if is_readout { *z } else { z.tanh() } as f32).collect();
                let norm = handed_on.iter().map(|t| f64::from(*t).powi(2)).sum::<f64>() / 12.0;
                let noise = experiment.probes.information_noise * norm;
                let bounds = kde_bounds(&handed_on, handed_on.len() / 12, noise, &data.probe_labels).unwrap();
                close("information_input_kde_upper", Some(layer), bounds.input_upper.value);
                close("information_input_kde_lower", Some(layer), bounds.input_lower.value);
            }
            let targets = (0..120).map(|i| data.probe_targets[(i / 10, i % 10)]);
            let residuals: Vec<f64> = outputs.iter().zip(targets).map(|(f, y)| f - y).collect();
            close("gradient_covariance_trace", None, covariance_trace(&loss_gradients(&jacobian, &residuals, 10)));
            for (layer, (now, before)) in (1..).zip(network.parameters.iter().zip(&initial.parameters)) {
                let (now, before) = (to_f64(now.weight.clone()), to_f64(before.weight.clone()));
                let moved: f64 = now.iter().zip(&before).map(|(a, b)| (a - b).powi(2)).sum();
                if step > 0 {
                    let start: f64 = before.iter().map(|w| w * w).sum();
                    close("weight_distance", Some(layer), (moved / start).sqrt());
                    close("weight_rms_change", Some(layer), (moved / now.len() as f64).sqrt());
                } else {
                    assert_eq!(cell(member, 0, "weight_distance", Some(layer)), None);
                }
            }
            match (&previous, &initial_kernel) {
                (Some((earlier, before)), Some(start)) => {
                    close("ntk_velocity", None, norm(&(&kernel - before)) / norm(before) / (step - earlier) as f64);
                    close("ntk_initial_cka", None, cka(&kernel, start));
                }
                _ => {
                    assert_eq!(cell(member, 0, "ntk_velocity", None), None);
                    assert_eq!(cell(member, 0, "ntk_initial_cka", None), None);
                    initial_kernel = Some(kernel.clone());
                }
            }
            previous = Some((step, kernel));
        }
    }
}
