//! Kernels with positions: convolutions and pooling.

use widthwise_testing::{assert_relative, round_off};
use widthwise_theory::TheoryError;
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{Architecture, InputShape, Layer, Padding};
use widthwise_theory::kernel::{Inputs, TrainedLayers, kernels, kernels_by_layer};

use crate::networks::{activation, convolution, dense, mlp, network, numbers, variance};

const INIT: (f64, f64) = (1.7, 0.2);

fn init() -> widthwise_theory::architecture::InitVariance {
    variance(INIT.0, INIT.1)
}

fn functions() -> [Activation; 4] {
    [Activation::Relu, Activation::Erf, Activation::Gelu, Activation::Tanh]
}

#[test]
fn one_by_one_convolutions_on_one_position_are_dense_layers() -> Result<(), TheoryError> {
    let shape = InputShape { channels: 5, height: 1, width: 1 };
    let values = numbers(4 * 5);
    for phi in functions() {
        let mut layers = Vec::new();
        for _ in 0..2 {
            layers.push(convolution([1, 1], 1, Padding::Valid, init()));
            layers.push(activation(&phi));
        }
        let expected =
            kernels(&mlp(5, &[8, 8], &phi, init()), &Inputs::new(values.clone(), InputShape::flat(5))?, None)?;
        for pooled in [false, true] {
            let mut layers = layers.clone();
            if pooled {
                layers.push(Layer::GlobalAveragePool);
            }
            layers.push(dense(1, init()));
            let found = kernels(&network(shape, layers), &Inputs::new(values.clone(), shape)?, None)?;
            for i in 0..4 {
                for j in 0..4 {
                    assert_relative(found.nngp[(i, j)], expected.nngp[(i, j)], round_off(300), phi.name());
                    assert_relative(found.ntk[(i, j)], expected.ntk[(i, j)], round_off(300), phi.name());
                }
            }
        }
    }
    Ok(())
}

#[test]
fn constant_images_under_circular_padding_are_pixels() -> Result<(), TheoryError> {
    let shape = InputShape { channels: 3, height: 4, width: 5 };
    let pixels = numbers(4 * 3);
    let images = Inputs::new(pixels.iter().flat_map(|&x| [x; 20]).collect(), shape)?;
    for phi in functions() {
        let flat = Inputs::new(pixels.clone(), InputShape::flat(3))?;
        let expected = kernels(&mlp(3, &[8, 8], &phi, init()), &flat, None)?;
        let ends = [vec![], vec![Layer::GlobalAveragePool], vec![pool([2, 2], 1, Padding::Circular)]];
        for end in ends {
            let mut layers = vec![convolution([3, 2], 1, Padding::Circular, init()), activation(&phi)];
            layers.extend([convolution([2, 3], 2, Padding::Circular, init()), activation(&phi)]);
            layers.extend(end);
            layers.push(dense(1, init()));
            let found = kernels(&network(shape, layers), &images, None)?;
            for i in 0..4 {
                for j in 0..4 {
                    assert_relative(found.nngp[(i, j)], expected.nngp[(i, j)], round_off(500), phi.name());
                    assert_relative(found.ntk[(i, j)], expected.ntk[(i, j)], round_off(500), phi.name());
                }
            }
        }
    }
    Ok(())
}

fn pool(window: [usize; 2], stride: usize, padding: Padding) -> Layer {
    Layer::AveragePool { window, stride: [stride, stride], padding }
}

/// The recursion written out on whole `P x P` tensors with explicit indices, layer by layer, no shortcut.
fn plain(architecture: &Architecture, x: &[f64], y: &[f64]) -> Result<(f64, f64), TheoryError> {
    let shapes = architecture.shapes()?;
    let tensor = |x: &[f64], y: &[f64], shape: InputShape| {
        let positions = shape.height * shape.width;
        let entry = |p: usize, r: usize| {
            (0..shape.channels).map(|c| x[c * positions + p] * y[c * positions + r]).sum::<f64>()
                / shape.channels as f64
        };
        (0..positions).map(|p| (0..positions).map(|r| entry(p, r)).collect()).collect::<Vec<Vec<f64>>>()
    };
    let input = architecture.input;
    // Covariances of (x, x), (x, y), (y, y), and Theta of (x, y).
    let mut k = [tensor(x, x, input), tensor(x, y, input), tensor(y, y, input)];
    let mut theta = vec![vec![0.0; k[0].len()]; k[0].len()];
    for (index, layer) in architecture.layers.iter().enumerate() {
        let (before, after) = (shapes[index], shapes[index + 1]);
        match layer {
            Layer::Convolution { filter_size, stride, padding, init, .. } => {
                let taps = window_cells(before, after, *filter_size, *stride, *padding);
                let share = init.sigma_w2 / (filter_size[0] * filter_size[1]) as f64;
                let average = |k: &Vec<Vec<f64>>| {
                    let entry = |p: &Vec<Option<usize>>, r: &Vec<Option<usize>>| {
                        let same_tap = p.iter().zip(r).filter_map(|(p, r)| p.zip(*r));
                        share * same_tap.map(|(p, r)| k[p][r]).sum::<f64>()
                    };
                    taps.iter().map(|p| taps.iter().map(|r| entry(p, r)).collect()).collect::<Vec<Vec<f64>>>()
                };
                let mut passed = average(&theta);
                k = k.each_ref().map(|k| {
                    let mut k = average(k);
                    k.iter_mut().flatten().for_each(|k| *k += init.sigma_b2);
                    k
                });
                passed.iter_mut().flatten().zip(k[1].iter().flatten()).for_each(|(t, k)| *t += k);
                theta = passed;
            }
            Layer::Activation { function } => {
                let (a, b) = (k[0].clone(), k[2].clone());
                for (p, row) in theta.iter_mut().enumerate() {
                    for (r, t) in row.iter_mut().enumerate() {
                        *t *= function.dual_derivative(a[p][p], k[1][p][r], b[r][r]);
                    }
                }
                let (left, right) = ([&a, &a, &b], [&a, &b, &b]);
                for ((k, left), right) in k.iter_mut().zip(left).zip(right) {
                    for (p, row) in k.iter_mut().enumerate() {
                        for (r, c) in row.iter_mut().enumerate() {
                            *c = function.dual(left[p][p], *c, right[r][r]);
                        }
                    }
                }
            }
            Layer::AveragePool { window, stride, padding } => {
                let cells = window_cells(before, after, *window, *stride, *padding);
                let share = 1.0 / ((window[0] * window[1]) as f64).powi(2);
                let average = |k: &Vec<Vec<f64>>| {
                    let entry = |p: &Vec<Option<usize>>, r: &Vec<Option<usize>>| {
                        let row = |p: usize| r.iter().flatten().map(|&r| k[p][r]).sum::<f64>();
                        share * p.iter().flatten().map(|&p| row(p)).sum::<f64>()
                    };
                    cells.iter().map(|p| cells.iter().map(|r| entry(p, r)).collect()).collect::<Vec<Vec<f64>>>()
                };
                (k, theta) = (k.each_ref().map(average), average(&theta));
            }
            Layer::GlobalAveragePool => {
                let average =
                    |k: &Vec<Vec<f64>>| vec![vec![k.iter().flatten().sum::<f64>() / (k.len() as f64).powi(2)]];
                (k, theta) = (k.each_ref().map(average), average(&theta));
            }
            Layer::Dense { init, .. } => {
                let mean = |k: &Vec<Vec<f64>>| (0..k.len()).map(|p| k[p][p]).sum::<f64>() / k.len() as f64;
                k = k.each_ref().map(|k| vec![vec![init.sigma_w2 * mean(k) + init.sigma_b2]]);
                theta = vec![vec![k[1][0][0] + init.sigma_w2 * mean(&theta)]];
            }
            Layer::Flatten | Layer::GatedDense { .. } => {}
            other => panic!("this oracle does not know {}", other.name()),
        }
    }
    Ok((k[1][0][0], theta[0][0]))
}

/// For every output cell the input cells of its window, in the order of the taps.
fn window_cells(
    before: InputShape,
    after: InputShape,
    window: [usize; 2],
    stride: [usize; 2],
    padding: Padding,
) -> Vec<Vec<Option<usize>>> {
    let low = |axis: usize, size: usize, out: usize, window: usize, stride: usize| match padding {
        Padding::Valid => 0,
        Padding::Zeros(cells) => cells[axis],
        _ => ((out - 1) * stride + window).saturating_sub(size) / 2,
    };
    let top = low(0, before.height, after.height, window[0], stride[0]);
    let left = low(1, before.width, after.width, window[1], stride[1]);
    let resolve = |position: i64, size: usize| match padding {
        Padding::Circular => Some(position.rem_euclid(size as i64)),
        _ => (0..size as i64).contains(&position).then_some(position),
    };
    let mut cells = Vec::new();
    for out in 0..after.height * after.width {
        let (row, column) = (out / after.width, out % after.width);
        let mut taps = Vec::new();
        for tap in 0..window[0] * window[1] {
            let y = (row * stride[0] + tap / window[1]) as i64 - top as i64;
            let x = (column * stride[1] + tap % window[1]) as i64 - left as i64;
            let cell = resolve(y, before.height).zip(resolve(x, before.width));
            taps.push(cell.map(|(y, x)| y as usize * before.width + x as usize));
        }
        cells.push(taps);
    }
    cells
}

#[test]
fn fast_recursion_equals_the_plain_one() -> Result<(), TheoryError> {
    let shape = InputShape { channels: 3, height: 5, width: 6 };
    let inputs = Inputs::new(numbers(3 * shape.features()), shape)?;
    let other = variance(1.2, 0.05);
    for phi in [Activation::Relu, Activation::Erf, Activation::Gelu] {
        let act = || activation(&phi);
        let nets = [
            vec![
                convolution([3, 3], 1, Padding::Same, init()),
                act(),
                convolution([2, 3], 2, Padding::Same, other),
                act(),
                Layer::Flatten,
                dense(1, init()),
            ],
            vec![
                convolution([3, 2], 1, Padding::Valid, init()),
                act(),
                pool([2, 2], 2, Padding::Valid),
                convolution([2, 2], 1, Padding::Same, other),
                act(),
                Layer::GlobalAveragePool,
                dense(8, init()),
                act(),
                dense(1, other),
            ],
            vec![
                convolution([3, 3], 2, Padding::Circular, init()),
                act(),
                pool([3, 2], 1, Padding::Same),
                convolution([2, 2], 1, Padding::Valid, other),
                act(),
                dense(1, init()),
            ],
            vec![
                convolution([2, 2], 1, Padding::Circular, init()),
                pool([2, 3], 1, Padding::Circular),
                act(),
                pool([1, 1], 2, Padding::Valid),
                convolution([3, 3], 1, Padding::Same, other),
                Layer::Flatten,
                act(),
                dense(1, init()),
            ],
            vec![
                convolution([3, 3], 2, Padding::Zeros([1, 1]), init()),
                act(),
                convolution([4, 3], 1, Padding::Zeros([3, 0]), other),
                act(),
                Layer::Flatten,
                dense(1, init()),
            ],
            vec![
                convolution([3, 4], 2, Padding::Zeros([1, 2]), init()),
                act(),
                pool([3, 2], 2, Padding::Zeros([1, 1])),
                convolution([3, 2], 1, Padding::Zeros([2, 1]), other),
                act(),
                Layer::GlobalAveragePool,
                dense(1, init()),
            ],
            vec![
                // Down to one position, of which pooling with padding makes nine.
                convolution([5, 6], 1, Padding::Valid, init()),
                act(),
                pool([3, 3], 1, Padding::Zeros([2, 2])),
                convolution([2, 2], 1, Padding::Same, other),
                act(),
                Layer::GlobalAveragePool,
                dense(1, init()),
            ],
        ];
        for (number, layers) in nets.into_iter().enumerate() {
            let net = network(shape, layers);
            let found = kernels(&net, &inputs, None)?;
            for (i, j) in [(0, 1), (2, 0), (1, 2)] {
                let (k, theta) = plain(&net, inputs.example(i), inputs.example(j))?;
                let what = format!("{} network {number} entry ({i}, {j})", phi.name());
                assert_relative(found.nngp[(i, j)], k, round_off(300), &what);
                assert_relative(found.ntk[(i, j)], theta, round_off(300), &what);
            }
            if phi != Activation::Relu {
                let (k, theta) = plain(&net, inputs.example(1), inputs.example(1))?;
                assert_relative(found.nngp[(1, 1)], k, round_off(300), "diagonal");
                assert_relative(found.ntk[(1, 1)], theta, round_off(300), "diagonal");
            }
        }
    }
    Ok(())
}

#[test]
fn layer_kernels_of_convolutions_are_means_over_positions() -> Result<(), TheoryError> {
    let shape = InputShape { channels: 2, height: 3, width: 3 };
    let inputs = Inputs::new(numbers(2 * shape.features()), shape)?;
    let body = [convolution([3, 3], 1, Padding::Same, init()), activation(&Activation::Gelu)];
    let with = |end: Vec<Layer>| network(shape, body.iter().cloned().chain(end).collect());
    let flat = kernels_by_layer(&with(vec![dense(1, init())]), &inputs, None, TrainedLayers::All)?;
    let pooled =
        kernels_by_layer(&with(vec![Layer::GlobalAveragePool, dense(1, init())]), &inputs, None, TrainedLayers::All)?;
    for (i, j) in [(0, 0), (0, 1)] {
        assert_relative(pooled[0].nngp[(i, j)], flat[0].nngp[(i, j)], round_off(50), "K");
        assert_relative(pooled[0].ntk[(i, j)], flat[0].ntk[(i, j)], round_off(50), "Theta");
    }
    Ok(())
}

#[test]
fn pooling_before_the_first_weights_acts_on_the_data() -> Result<(), TheoryError> {
    let shape = InputShape { channels: 2, height: 2, width: 4 };
    let inputs = Inputs::new(numbers(2 * shape.features()), shape)?;
    let small = InputShape { channels: 2, height: 1, width: 2 };
    let mean = |image: &[f64], c: usize, x: usize| {
        [0, 1, 4, 5].iter().map(|offset| image[c * 8 + 2 * x + offset]).sum::<f64>() / 4.0
    };
    let pooled = (0..2).flat_map(|i| {
        let image = inputs.example(i);
        [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(c, x)| mean(image, c, x))
    });
    let pooled = Inputs::new(pooled.collect(), small)?;
    let body = vec![convolution([1, 2], 1, Padding::Same, init()), activation(&Activation::Relu), dense(1, init())];
    let mut layers = body.clone();
    layers.insert(0, pool([2, 2], 2, Padding::Valid));
    let (found, expected) =
        (kernels(&network(shape, layers), &inputs, None)?, kernels(&network(small, body), &pooled, None)?);
    assert_relative(found.ntk[(0, 1)], expected.ntk[(0, 1)], round_off(50), "Theta");
    assert_relative(found.nngp[(0, 0)], expected.nngp[(0, 0)], round_off(50), "K");
    Ok(())
}
