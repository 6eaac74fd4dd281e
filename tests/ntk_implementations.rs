//! One kernel computed in many ways: the Jacobian by automatic differentiation, tensors, blocks on the host, kernel-vector products and
//! finite differences, for every family, parameterization and output.

use faer::Mat;
use rand_distr::{Distribution, StandardNormal};
use widthwise::network::{Batch, LayerParameters, Network, NoTap};
use widthwise::ntk::{BlockMaker, ntk, ntk_by_layer};
use widthwise::observation::Observation;
use widthwise_probes::ntk::{
    BlockPlan, ExampleBlock, LayerTerm, NtkOperator, NtkOutput, block_diagonal, block_kernel, empirical_ntk_by_layer,
    gather,
};
use widthwise_tensors::to_f64;
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{
    Architecture, InitScheme, InitVariance, InputShape, Layer, Padding, Parameterization,
};

use crate::bounds::relative_difference;
use crate::networks::{families, layered, network};
use crate::structured_derivatives::{PARAMETERIZATIONS, jacobian, masked_batch};

/// Rows and columns of the cross kernel, of seven examples.
const LEFT: usize = 4;
const EXAMPLES: usize = 7;
/// The bound that every method is held to.
const BOUND: f64 = 1e-10;

fn every(parameterization: Parameterization) -> Vec<(&'static str, Architecture)> {
    let known = families(7, parameterization).into_iter().chain(layered(7, parameterization));
    known.chain(images(parameterization)).collect()
}

/// Convolutions of stride one, which are pulled back on the host, in every position among other layers.
fn images(parameterization: Parameterization) -> Vec<(&'static str, Architecture)> {
    let init = InitVariance { sigma_w2: 1.7, sigma_b2: 0.3 };
    let convolution = |width: usize, filter_size: [usize; 2], padding: Padding| Layer::Convolution {
        width,
        filter_size,
        stride: [1, 1],
        padding,
        init,
    };
    let phi = |function: Activation| Layer::Activation { function };
    let dense = |width: usize| Layer::Dense { width, init };
    let same = |width| convolution(width, [3, 3], Padding::Same);
    let skip = Layer::residual(0.7, vec![phi(Activation::Relu), same(4)]);
    let list = vec![
        ("same, mean", vec![same(4), phi(Activation::Relu), same(3), phi(Activation::Tanh), Layer::GlobalAveragePool]),
        (
            "images that explicit padding makes larger",
            vec![
                convolution(3, [3, 3], Padding::Zeros([2, 1])),
                phi(Activation::Erf),
                convolution(4, [2, 4], Padding::Zeros([0, 3])),
                phi(Activation::Tanh),
                Layer::Flatten,
            ],
        ),
        (
            "even filters, dense on the image",
            vec![
                convolution(3, [2, 4], Padding::Same),
                phi(Activation::Erf),
                convolution(4, [2, 1], Padding::Valid),
                phi(Activation::Gelu),
                phi(Activation::Tanh),
                dense(5),
                phi(Activation::Relu),
            ],
        ),
        (
            "valid, flatten, linear",
            vec![convolution(3, [3, 2], Padding::Valid), convolution(4, [1, 3], Padding::Valid), Layer::Flatten],
        ),
        ("same, same, linear", vec![same(3), same(4), Layer::GlobalAveragePool]),
        ("residual, mean, dense", vec![same(4), skip, phi(Activation::Erf), Layer::GlobalAveragePool, dense(5)]),
    ];
    let input = InputShape { channels: 2, height: 6, width: 5 };
    let whole = |(name, mut layers): (&'static str, Vec<Layer>)| {
        layers.push(dense(2));
        let (gates, init_scheme) = (None, InitScheme::Gaussian);
        (name, Architecture { input, layers, gates, parameterization, init_scheme })
    };
    list.into_iter().map(whole).collect()
}

/// The kernel of every layer between all examples and outputs, from the Jacobian.
fn by_brute_force(network: &Network, batch: &Batch, outputs: usize) -> Vec<Mat<f64>> {
    let rows = jacobian(network, batch, outputs);
    let count =
        |p: &LayerParameters| p.weight.dims().iter().product::<usize>() + p.bias.as_ref().map_or(0, |b| b.dims()[1]);
    let mut start = 0;
    let of_layer = |parameters: &LayerParameters| {
        let own = start..start + count(parameters);
        start = own.end;
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        Mat::from_fn(rows.len(), rows.len(), |i, j| dot(&rows[i][own.clone()], &rows[j][own.clone()]))
    };
    network.parameters.iter().map(of_layer).collect()
}

/// What `output` takes of a kernel between all examples and outputs.
fn reduced(full: &Mat<f64>, outputs: usize, output: NtkOutput, rows: &[usize], columns: &[usize]) -> Mat<f64> {
    let entry = |x: usize, o: usize, y: usize, u: usize| full[(outputs * x + o, outputs * y + u)];
    let (n, m) = (rows.len(), columns.len());
    match output {
        NtkOutput::Trace => Mat::from_fn(n, m, |i, j| {
            (0..outputs).map(|o| entry(rows[i], o, columns[j], o)).sum::<f64>() / outputs as f64
        }),
        NtkOutput::Logit(o) => Mat::from_fn(n, m, |i, j| entry(rows[i], o, columns[j], o)),
        NtkOutput::Full => Mat::from_fn(n * outputs, m * outputs, |i, j| {
            entry(rows[i / outputs], i % outputs, columns[j / outputs], j % outputs)
        }),
        NtkOutput::Diagonal => {
            Mat::from_fn(n, outputs * outputs, |i, o| entry(rows[i], o / outputs, rows[i], o % outputs))
        }
    }
}

fn part(batch: &Batch, start: usize, count: usize) -> Batch {
    Batch {
        inputs: batch.inputs.clone().narrow(0, start, count),
        gates: batch.gates.clone().map(|gates| gates.narrow(0, start, count)),
        masks: batch.masks.iter().map(|mask| mask.clone().narrow(0, start, count)).collect(),
    }
}

fn sum(matrices: &[Mat<f64>]) -> Mat<f64> {
    matrices.iter().cloned().reduce(|a, b| a + b).unwrap()
}

/// The kernel of blocks, every layer and then the sum.
fn of_blocks(left: &ExampleBlock<f64>, right: Option<&ExampleBlock<f64>>, output: NtkOutput) -> Vec<Mat<f64>> {
    let layers = left.layers.len();
    let columns = match output {
        NtkOutput::Diagonal => left.grouping.per_example.pow(2),
        _ => right.unwrap_or(left).grouping.columns(),
    };
    let values = if output == NtkOutput::Diagonal {
        block_diagonal(left, true)
    } else {
        let mut values = vec![Vec::new(); layers + 1];
        block_kernel(left, right, &mut values);
        values
    };
    let matrix = |v: &Vec<f64>| Mat::from_fn(v.len() / columns, columns, |i, j| v[i * columns + j]);
    values.iter().map(matrix).collect()
}

#[track_caller]
fn assert_layers(found: &[Mat<f64>], expected: &[Mat<f64>], what: &str) {
    let total = sum(expected);
    let scale = (0..total.ncols()).flat_map(|j| (0..total.nrows()).map(move |i| (i, j)));
    let scale = scale.map(|(i, j)| total[(i, j)].abs()).fold(0.0, f64::max);
    for (layer, (found, expected)) in found.iter().zip(expected).enumerate() {
        let difference = found - expected;
        let largest = (0..difference.ncols()).flat_map(|j| (0..difference.nrows()).map(move |i| (i, j)));
        let largest = largest.map(|(i, j)| difference[(i, j)].abs()).fold(0.0, f64::max);
        assert!(largest <= BOUND * scale, "{what}, layer {}: off by {:e}", layer + 1, largest / scale);
    }
    if found.len() > expected.len() {
        let difference = relative_difference(&found[expected.len()], &total);
        assert!(difference <= BOUND, "{what}: sum off by {difference:e}");
    }
}

#[test]
fn all_roads_lead_to_the_gram_of_the_jacobian() {
    let all: Vec<usize> = (0..EXAMPLES).collect();
    let (rows, columns) = all.split_at(LEFT);
    let mut direct = 0;
    for parameterization in PARAMETERIZATIONS {
        for (name, architecture) in every(parameterization) {
            let network = network(&architecture, 0);
            let batch = masked_batch(&network, EXAMPLES);
            let outputs = architecture.outputs().unwrap();
            let expected = by_brute_force(&network, &batch, outputs);
            let (left, right) = (part(&batch, 0, LEFT), part(&batch, LEFT, EXAMPLES - LEFT));
            let observed = [&batch, &left, &right].map(|batch| Observation::new(&network, batch));
            for output in [NtkOutput::Trace, NtkOutput::Full, NtkOutput::Logit(1), NtkOutput::Diagonal] {
                let of = |rows: &[usize], columns: &[usize]| -> Vec<Mat<f64>> {
                    expected.iter().map(|layer| reduced(layer, outputs, output, rows, columns)).collect()
                };
                let what = format!("{name}, {parameterization:?}, {output:?}");
                if output == NtkOutput::Trace {
                    let looked_at = ntk_by_layer(&observed[0]);
                    assert_layers(&looked_at, &of(&all, &all), &format!("{what}, as a run takes it"));
                    assert_eq!(ntk(&observed[0]), sum(&looked_at));
                }
                let tensors = empirical_ntk_by_layer(&observed[0], None::<&Observation<'_>>, output);
                assert_layers(&tensors, &of(&all, &all), &format!("{what}, tensors"));
                let plan = BlockPlan { output, outputs, rows: EXAMPLES, columns: EXAMPLES };
                let maker = BlockMaker::<f64>::new(&network, plan);
                direct += usize::from(maker.is_direct());
                for (method, block) in [("gathered", gather(&observed[0], &plan)), ("host", maker.block(&batch))] {
                    assert_layers(&of_blocks(&block, None, output), &of(&all, &all), &format!("{what}, {method}"));
                }
                if output == NtkOutput::Diagonal {
                    continue;
                }
                let tensors = empirical_ntk_by_layer(&observed[1], Some(&observed[2]), output);
                assert_layers(&tensors, &of(rows, columns), &format!("{what}, tensors, cross"));
                let blocks = [maker.block(&left), maker.block(&right)];
                let cross = of_blocks(&blocks[0], Some(&blocks[1]), output);
                assert_layers(&cross, &of(rows, columns), &format!("{what}, host, cross"));
                let blocks = [gather(&observed[1], &plan), gather(&observed[2], &plan)];
                let cross = of_blocks(&blocks[0], Some(&blocks[1]), output);
                assert_layers(&cross, &of(rows, columns), &format!("{what}, gathered, cross"));
            }
        }
    }
    // Three dense families, three nets with branches or residual blocks and the four images, unless pairs of positions are
    // cheaper there.
    assert!(direct >= 4 * 5 * 8, "{direct} of them");
}

/// A vector without structure.
fn vector(length: usize) -> Vec<f64> {
    let mut random = widthwise_datasets::stream(13, "test.vector");
    (0..length).map(|_| StandardNormal.sample(&mut random)).collect()
}

#[test]
fn kernel_vector_products_are_those_of_the_kernel() {
    for (name, architecture) in PARAMETERIZATIONS.into_iter().flat_map(every) {
        let network = network(&architecture, 0);
        let batch = masked_batch(&network, EXAMPLES);
        let outputs = architecture.outputs().unwrap();
        let full = sum(&by_brute_force(&network, &batch, outputs));
        let all: Vec<usize> = (0..EXAMPLES).collect();
        for output in [NtkOutput::Trace, NtkOutput::Full, NtkOutput::Logit(1)] {
            let kernel = reduced(&full, outputs, output, &all, &all);
            let v = vector(kernel.ncols());
            let expected = Mat::from_fn(v.len(), 1, |i, _| (0..v.len()).map(|j| kernel[(i, j)] * v[j]).sum());
            let plan = BlockPlan { output, outputs, rows: EXAMPLES, columns: EXAMPLES };
            let maker = BlockMaker::<f64>::new(&network, plan);
            let parts = [part(&batch, 0, LEFT), part(&batch, LEFT, EXAMPLES - LEFT)];
            let blocks: Vec<_> = parts.iter().map(|part| maker.block(part)).collect();
            let gathered: Vec<_> = parts.iter().map(|part| gather(&Observation::new(&network, part), &plan)).collect();
            for (method, blocks) in [("host", blocks), ("gathered", gathered)] {
                let operator = NtkOperator::new(blocks.iter().cloned(), &v);
                let found: Vec<f64> = blocks.iter().flat_map(|block| operator.apply(block)).collect();
                let found = Mat::from_fn(v.len(), 1, |i, _| found[i]);
                let difference = relative_difference(&found, &expected);
                assert!(difference <= BOUND, "{name}, {output:?}, {method}: off by {difference:e}");
            }
        }
    }
}

/// `f` at weights moved by `step` along `direction`.
fn moved(network: &Network, direction: &[LayerParameters], step: f64, batch: &Batch) -> Vec<f64> {
    let mut moved = network.clone();
    for (parameters, along) in moved.parameters.iter_mut().zip(direction) {
        parameters.weight = parameters.weight.clone() + along.weight.clone().mul_scalar(step);
        if let (Some(bias), Some(along)) = (&mut parameters.bias, &along.bias) {
            *bias = bias.clone() + along.clone().mul_scalar(step);
        }
    }
    to_f64(moved.forward(batch, &mut NoTap))
}

#[test]
fn a_step_along_the_gradient_moves_the_outputs_by_the_kernel() {
    for (name, architecture) in PARAMETERIZATIONS.into_iter().flat_map(every) {
        let network = network(&architecture, 0);
        let batch = masked_batch(&network, 3);
        let outputs = architecture.outputs().unwrap();
        let v = vector(3 * outputs);
        // The gradient of v . f, each parameter times its learning-rate factor.
        let mut tracked = network.clone();
        tracked.parameters =
            network.parameters.iter().map(|p| p.map(|t| t.clone().autodiff().require_grad())).collect();
        let like = batch.inputs.clone();
        let weights = burn::tensor::Tensor::<1>::from_data(v.as_slice(), (&like.device(), like.dtype()));
        let f = tracked.forward(&batch, &mut NoTap);
        let gradients = (f * weights.reshape([3, outputs]).autodiff()).sum().backward();
        let direction: Vec<LayerParameters> = tracked
            .parameters
            .iter()
            .zip(network.scalings())
            .map(|(p, s)| LayerParameters {
                weight: p.weight.grad(&gradients).unwrap().mul_scalar(s.weight_rate),
                bias: p.bias.as_ref().map(|b| b.grad(&gradients).unwrap().mul_scalar(s.bias_rate)),
            })
            .collect();
        let plan = BlockPlan { output: NtkOutput::Full, outputs, rows: 3, columns: 3 };
        let block = BlockMaker::<f64>::new(&network, plan).block(&batch);
        let found = NtkOperator::new(std::iter::once(block.clone()), &v).apply(&block);
        // Central differences at two steps, extrapolated: what is left is of fourth order in the step, and round-off over it.
        let step = 1e-3 / found.iter().map(|x| x.abs()).fold(0.0, f64::max);
        let slope = |step: f64| -> Vec<f64> {
            let (above, below) =
                (moved(&network, &direction, step, &batch), moved(&network, &direction, -step, &batch));
            above.iter().zip(&below).map(|(a, b)| (a - b) / (2.0 * step)).collect()
        };
        let (coarse, fine) = (slope(step), slope(step / 2.0));
        let scale = found.iter().map(|x| x.abs()).fold(0.0, f64::max);
        for ((found, coarse), fine) in found.iter().zip(coarse).zip(fine) {
            let extrapolated = (4.0 * fine - coarse) / 3.0;
            // The step between the two estimates bounds the error of the better one; 1e-9 is round-off over the step.
            let bound = (fine - coarse).abs().powi(2) / scale + 1e-9 * scale;
            assert!((found - extrapolated).abs() <= bound, "{name}: {found} against {extrapolated}");
        }
    }
}

#[test]
fn long_sums_and_many_positions_are_taken_in_parts() {
    let init = InitVariance { sigma_w2: 1.7, sigma_b2: 0.3 };
    let phi = || Layer::Activation { function: Activation::Erf };
    let dense = |width: usize| Layer::Dense { width, init };
    let convolution =
        || Layer::Convolution { width: 120, filter_size: [3, 3], stride: [1, 1], padding: Padding::Same, init };
    // 9000 products for every entry of a trace; 306 positions, whose pairs cost less than gradients for one example.
    let wide = vec![dense(900), phi(), dense(900), phi(), dense(10)];
    let image = vec![convolution(), phi(), convolution(), phi(), Layer::GlobalAveragePool, dense(2)];
    for (layers, height, width, examples) in [(wide, 1, 6, 40), (image, 18, 17, 1)] {
        let input = InputShape { channels: 1, height, width };
        let (parameterization, init_scheme) = (Parameterization::Ntk, InitScheme::Gaussian);
        let architecture = Architecture { input, layers, gates: None, parameterization, init_scheme };
        let network = network(&architecture, 0);
        let batch = masked_batch(&network, examples);
        let observed = Observation::new(&network, &batch);
        let outputs = architecture.outputs().unwrap();
        for output in [NtkOutput::Trace, NtkOutput::Full] {
            let expected = empirical_ntk_by_layer(&observed, None::<&Observation<'_>>, output);
            let plan = BlockPlan { output, outputs, rows: examples, columns: examples };
            let blocks = [gather(&observed, &plan), BlockMaker::<f64>::new(&network, plan).block(&batch)];
            if height > 1 {
                assert!(blocks[0].layers.iter().any(|layer| matches!(layer.share, LayerTerm::Positions { .. })));
            }
            for block in &blocks {
                assert_layers(&of_blocks(block, None, output), &expected, &format!("{height} x {width}, {output:?}"));
            }
        }
    }
}
