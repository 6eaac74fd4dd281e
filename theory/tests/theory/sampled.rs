//! Theory against finite networks drawn at random, written out layer by layer with forward derivatives.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use widthwise_testing::{assert_within, sampling};
use widthwise_theory::TheoryError;
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{GateFunction, Gates, InitVariance, InputShape, Layer, Padding};
use widthwise_theory::kernel::{Inputs, kernels};
use widthwise_theory::signal::{layer_fluctuations, partial_jacobian_norms};

use crate::networks::{activation, dense, gated, network, numbers, variance};

fn normal(rng: &mut ChaCha8Rng, scale: f64) -> f64 {
    let draw: f64 = StandardNormal.sample(rng);
    scale * draw
}

/// Mean and standard error.
fn mean_of(draws: &[f64]) -> (f64, f64) {
    let count = draws.len() as f64;
    let mean = draws.iter().sum::<f64>() / count;
    let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, (variance / count).sqrt())
}

/// One image row a channel; values and derivatives travel as two images.
type Image = Vec<Vec<f64>>;

/// One-dimensional convolution of several images with the same random weights and bias (no bias on derivatives).
fn convolve(
    images: &[&Image],
    width: usize,
    taps: usize,
    before: usize,
    out: usize,
    init: InitVariance,
    rng: &mut ChaCha8Rng,
) -> Vec<Image> {
    let channels = images[0].len();
    let scale = (init.sigma_w2 / (taps * channels) as f64).sqrt();
    let mut result = vec![vec![vec![0.0; out]; width]; images.len()];
    for o in 0..width {
        let bias = normal(rng, init.sigma_b2.sqrt());
        result[0][o].iter_mut().for_each(|z| *z += bias);
        for c in 0..channels {
            for q in 0..taps {
                let weight = normal(rng, scale);
                for (image, result) in images.iter().zip(&mut result) {
                    for (p, z) in result[o].iter_mut().enumerate() {
                        let cell = (p + q).checked_sub(before).and_then(|cell| image[c].get(cell));
                        *z += weight * cell.copied().unwrap_or(0.0);
                    }
                }
            }
        }
    }
    result
}

fn map(image: &Image, f: impl Fn(f64) -> f64) -> Image {
    image.iter().map(|row| row.iter().map(|&x| f(x)).collect()).collect()
}

fn product(left: &Image, right: &Image) -> Image {
    left.iter().zip(right).map(|(l, r)| l.iter().zip(r).map(|(l, r)| l * r).collect()).collect()
}

fn mean_square(image: &Image) -> f64 {
    let count = image.iter().map(Vec::len).sum::<usize>() as f64;
    image.iter().flatten().map(|x| x * x).sum::<f64>() / count
}

/// Mean over neighbouring pairs of cells.
fn pool(image: &Image) -> Image {
    image.iter().map(|row| row.windows(2).map(|w| 0.5 * (w[0] + w[1])).collect()).collect()
}

fn global_pool(image: &Image) -> Image {
    image.iter().map(|row| vec![row.iter().sum::<f64>() / row.len() as f64]).collect()
}

#[test]
fn pooled_convolutional_networks_have_the_predicted_statistics() -> Result<(), TheoryError> {
    let (width, outputs) = (96, 48);
    let init = variance(1.7, 0.2);
    let shape = InputShape { channels: 2, height: 1, width: 5 };
    let phi = Activation::Relu;
    let conv =
        |filter: usize, padding| Layer::Convolution { width, filter_size: [1, filter], stride: [1, 1], padding, init };
    let net = network(
        shape,
        vec![
            conv(3, Padding::Same),
            activation(&phi),
            Layer::AveragePool { window: [1, 2], stride: [1, 1], padding: Padding::Valid },
            conv(2, Padding::Valid),
            activation(&phi),
            Layer::GlobalAveragePool,
            dense(outputs, init),
        ],
    );
    let inputs = Inputs::new(numbers(10), shape)?;
    let image: Image = inputs.values.chunks_exact(5).map(<[f64]>::to_vec).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut draws: [Vec<f64>; 4] = Default::default();
    for _ in 0..300 {
        let first = convolve(&[&image], width, 3, 1, 5, init, &mut rng).remove(0);
        // A random direction u of preactivations: E |J u|^2 = |J|_F^2.
        let direction = |image: &Image, rng: &mut ChaCha8Rng| {
            image.iter().map(|row| row.iter().map(|_| normal(rng, 1.0)).collect()).collect::<Image>()
        };
        let from_first = direction(&first, &mut rng);
        let values = pool(&map(&first, |x| phi.value(x)));
        let moved = pool(&product(&map(&first, |x| phi.derivative(x)), &from_first));
        let second = convolve(&[&values, &moved], width, 2, 0, 3, init, &mut rng);
        let from_second = direction(&second[0], &mut rng);
        let slope = map(&second[0], |x| phi.derivative(x));
        let values = global_pool(&map(&second[0], |x| phi.value(x)));
        let (moved, moved_second) =
            (global_pool(&product(&slope, &second[1])), global_pool(&product(&slope, &from_second)));
        let readout = convolve(&[&values, &moved, &moved_second], outputs, 1, 0, 1, init, &mut rng);
        draws[0].push(mean_square(&readout[0]));
        draws[1].push(mean_square(&second[1]));
        draws[2].push(mean_square(&readout[1]));
        draws[3].push(mean_square(&readout[2]));
    }
    let norms = partial_jacobian_norms(&net, &inputs)?;
    let expected = [kernels(&net, &inputs, None)?.nngp[(0, 0)], norms[(1, 0)], norms[(2, 0)], norms[(2, 1)]];
    for ((draws, expected), what) in draws.iter().zip(expected).zip(["K", "J^{1,2}", "J^{1,3}", "J^{2,3}"]) {
        let (mean, standard_error) = mean_of(draws);
        assert_within(mean, expected, sampling(standard_error), what);
    }
    Ok(())
}

#[test]
fn gated_networks_fluctuate_as_predicted() -> Result<(), TheoryError> {
    // At width 16 the second order in 1/n shows in the fourth moment: the reference is the exact product (1 + 2/n)^2.
    let (width, count) = (16, 4);
    let gates = Gates {
        function: GateFunction::Smooth { function: Activation::Softplus },
        directions: numbers(count * 3),
        thresholds: vec![0.0; count],
    };
    let net = gated(3, 2, variance(1.3, 0.0), gates.clone());
    let inputs = Inputs::new(vec![0.7, -1.1, 0.4], InputShape::flat(3))?;
    let g = gates.evaluate(&inputs.values, 3);
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let norm = inputs.values.iter().map(|x| x * x).sum::<f64>() / 3.0;
    let (mut second, mut fourth) = (Vec::new(), Vec::new());
    for _ in 0..20_000 {
        let mut hidden: Vec<f64> = (0..width).map(|_| normal(&mut rng, (1.3 * norm).sqrt())).collect();
        let scale = (1.3 / (width * count) as f64).sqrt();
        let unit = |hidden: &[f64], rng: &mut ChaCha8Rng| {
            g.iter().map(|g| hidden.iter().map(|h| g * h * normal(rng, scale)).sum::<f64>()).sum::<f64>()
        };
        hidden = (0..width).map(|_| unit(&hidden, &mut rng)).collect();
        let output = unit(&hidden, &mut rng);
        second.push(output * output);
        fourth.push(output.powi(4));
    }
    let row = layer_fluctuations(&net, &inputs)?[0][2];
    let (mean, standard_error) = mean_of(&second);
    assert_within(mean, row.nngp, sampling(standard_error), "K");
    let exact = (1.0_f64 + 2.0 / width as f64).powi(2);
    let (mean, standard_error) = mean_of(&fourth);
    assert_within(mean, 3.0 * exact * row.nngp.powi(2), sampling(standard_error), "fourth moment");
    Ok(())
}
