//! Norms, dropout, sums of branches and sum pooling: against formulas written out here, and what is refused and why.

use widthwise_testing::{assert_relative, assert_within, reference, round_off};
use widthwise_theory::TheoryError;
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{Architecture, Branch, InputShape, Layer, Padding};
use widthwise_theory::kernel::{Inputs, TrainedLayers, kernels, kernels_by_layer};

use crate::networks::{activation, convolution, dense, flat_inputs, gated, network, numbers, open_gate, variance};

const SIGMA_W2: f64 = 1.8;
const SIGMA_B2: f64 = 0.2;
const LAYER_NORM: Layer = Layer::LayerNorm { epsilon: 0.0 };
const RMS_NORM: Layer = Layer::RmsNorm { epsilon: 0.0 };

fn weights(width: usize) -> Layer {
    dense(width, variance(SIGMA_W2, SIGMA_B2))
}

fn relu() -> Layer {
    activation(&Activation::Relu)
}

fn flat(features: usize, layers: Vec<Layer>) -> Architecture {
    network(InputShape::flat(features), layers)
}

/// Variances and covariance of the first preactivations.
fn first(inputs: &Inputs, i: usize, j: usize) -> [f64; 3] {
    let product = |i: usize, j: usize| {
        let sum: f64 = inputs.example(i).iter().zip(inputs.example(j)).map(|(x, y)| x * y).sum();
        SIGMA_W2 * sum / inputs.example(i).len() as f64 + SIGMA_B2
    };
    [product(i, i), product(i, j), product(j, j)]
}

/// One output neuron of two examples, `K` and `Theta`.
fn kernel_of(net: &Architecture, inputs: &Inputs, i: usize, j: usize) -> Result<[f64; 2], TheoryError> {
    let kernels = kernels(net, inputs, None)?;
    Ok([kernels.nngp[(i, j)], kernels.ntk[(i, j)]])
}

#[test]
fn norms_have_the_published_tangent_kernels() -> Result<(), TheoryError> {
    // Two ReLU blocks with sigma_w2 = 1.8, sigma_b2 = 0.2: numbers of an independent program that sampled networks confirm.
    // On the diagonal they do not depend on the input.
    let inputs = flat_inputs(3, 5)?;
    let before = vec![weights(8), LAYER_NORM, relu(), weights(8), LAYER_NORM, relu(), weights(1)];
    let after = vec![weights(8), relu(), LAYER_NORM, weights(8), relu(), LAYER_NORM, weights(1)];
    for i in 0..3 {
        assert_within(kernel_of(&flat(5, before.clone()), &inputs, i, i)?[1], 2.7364, reference(4), "before");
        assert_within(kernel_of(&flat(5, after.clone()), &inputs, i, i)?[1], 8.1266, reference(4), "after");
    }
    Ok(())
}

#[test]
fn norms_before_an_activation_divide_by_standard_deviations() -> Result<(), TheoryError> {
    let inputs = flat_inputs(2, 5)?;
    let [a, c, b] = first(&inputs, 0, 1);
    let epsilon = 0.3;
    for norm in [Layer::LayerNorm { epsilon }, Layer::RmsNorm { epsilon }] {
        for phi in [Activation::Relu, Activation::Erf, Activation::Tanh] {
            let net = flat(5, vec![weights(8), norm.clone(), activation(&phi), weights(1)]);
            let scale = ((a + epsilon) * (b + epsilon)).sqrt();
            let dual = phi.dual_pair(a / (a + epsilon), c / scale, b / (b + epsilon));
            let k = SIGMA_W2 * dual.value + SIGMA_B2;
            let found = kernel_of(&net, &inputs, 0, 1)?;
            assert_relative(found[0], k, round_off(5000), "K");
            assert_relative(found[1], k + SIGMA_W2 * dual.derivative * c / scale, round_off(5000), "Theta");
        }
    }
    Ok(())
}

#[test]
fn norms_after_an_activation_divide_what_is_left_without_the_mean() -> Result<(), TheoryError> {
    let inputs = flat_inputs(2, 5)?;
    let [a, c, b] = first(&inputs, 0, 1);
    let epsilon = 0.3;
    let phis = [
        Activation::Relu,
        Activation::LeakyRelu { slope: 0.2 },
        Activation::Gelu,
        Activation::Softplus,
        Activation::Sin { frequency: 1.3, phase: 0.4 },
        Activation::Gaussian,
        Activation::Tanh,
    ];
    for phi in phis {
        let mean = |q: f64| phi.expectation(q, |z| phi.value(q.sqrt() * z));
        let square = |q: f64| phi.dual_diagonal(q).value;
        let dual = phi.dual_pair(a, c, b);
        for (norm, m) in [(Layer::LayerNorm { epsilon }, [mean(a), mean(b)]), (Layer::RmsNorm { epsilon }, [0.0, 0.0])]
        {
            let net = flat(5, vec![weights(8), activation(&phi), norm, weights(1)]);
            let scale = ((square(a) - m[0] * m[0] + epsilon) * (square(b) - m[1] * m[1] + epsilon)).sqrt();
            let k = SIGMA_W2 * (dual.value - m[0] * m[1]) / scale + SIGMA_B2;
            let found = kernel_of(&net, &inputs, 0, 1)?;
            assert_relative(found[0], k, round_off(5000), phi.name());
            assert_relative(found[1], k + SIGMA_W2 * dual.derivative * c / scale, round_off(5000), phi.name());
        }
    }
    Ok(())
}

#[test]
fn norms_forget_scales_and_repeat_without_effect() -> Result<(), TheoryError> {
    let inputs = flat_inputs(3, 5)?;
    let louder = Inputs::new(inputs.values.iter().map(|x| 3.0 * x).collect(), inputs.shape)?;
    let unbiased = || dense(8, variance(1.3, 0.0));
    for norm in [LAYER_NORM, RMS_NORM] {
        let once = flat(5, vec![unbiased(), relu(), norm.clone(), unbiased()]);
        let twice = flat(5, vec![unbiased(), relu(), norm.clone(), norm.clone(), unbiased()]);
        for (i, j) in [(0, 1), (2, 2), (1, 2)] {
            let expected = kernel_of(&once, &inputs, i, j)?;
            assert_relative(kernel_of(&once, &louder, i, j)?[0], expected[0], round_off(200), "scale");
            let found = kernel_of(&twice, &inputs, i, j)?;
            assert_relative(found[0], expected[0], round_off(200), "K of twice");
            assert_relative(found[1], expected[1], round_off(200), "Theta of twice");
        }
    }
    // A mean that the norm takes away: adding a constant to the activation changes nothing.
    let shifted = |c: f64| Activation::Polynomial { coefficients: vec![c, 0.5, 0.25] };
    let net = |phi: Activation| flat(5, vec![unbiased(), activation(&phi), LAYER_NORM, unbiased()]);
    let (with, without) =
        (kernel_of(&net(shifted(3.0)), &inputs, 0, 1)?, kernel_of(&net(shifted(0.0)), &inputs, 0, 1)?);
    assert_relative(with[0], without[0], round_off(500), "K without the constant");
    assert_relative(with[1], without[1], round_off(500), "Theta without the constant");
    Ok(())
}

#[test]
fn norms_of_flattened_images_run_over_all_units() -> Result<(), TheoryError> {
    let shape = InputShape { channels: 3, height: 2, width: 3 };
    let inputs = Inputs::new(numbers(2 * shape.features()), shape)?;
    let (x, y) = (inputs.example(0), inputs.example(1));
    let covariance = |x: &[f64], y: &[f64], p: usize, r: usize| {
        let sum: f64 = (0..3).map(|c| x[6 * c + p] * y[6 * c + r]).sum();
        SIGMA_W2 * sum / 3.0 + SIGMA_B2
    };
    let pixelwise = convolution([1, 1], 1, Padding::Valid, variance(SIGMA_W2, SIGMA_B2));
    let mean = |f: &dyn Fn(usize) -> f64| (0..6).map(f).sum::<f64>() / 6.0;
    let relu_mean = |q: f64| (q / (2.0 * std::f64::consts::PI)).sqrt();
    let phi = Activation::Relu;
    let (a, b) = (|p: usize| covariance(x, x, p, p), |p: usize| covariance(y, y, p, p));
    let dual = |p: usize, r: usize| phi.dual_pair(a(p), covariance(x, y, p, r), b(r));

    // Flattened: one mean and one variance over positions and channels.
    let (m, n) = (mean(&|p| relu_mean(a(p))), mean(&|p| relu_mean(b(p))));
    let (v, w) = (mean(&|p| a(p) / 2.0) - m * m, mean(&|p| b(p) / 2.0) - n * n);
    let centred = |p: usize| dual(p, p).value - m * relu_mean(b(p)) - n * relu_mean(a(p)) + m * n;
    let scale = (v * w).sqrt();
    let k = SIGMA_W2 * mean(&centred) / scale + SIGMA_B2;
    let theta = k + SIGMA_W2 * mean(&|p| dual(p, p).derivative * covariance(x, y, p, p)) / scale;
    let net = network(shape, vec![pixelwise.clone(), relu(), Layer::Flatten, LAYER_NORM, weights(1)]);
    let found = kernel_of(&net, &inputs, 0, 1)?;
    assert_relative(found[0], k, round_off(200), "flattened K");
    assert_relative(found[1], theta, round_off(200), "flattened Theta");

    // Position by position, after pooling: means travel through the pool.
    let pool = Layer::AveragePool { window: [2, 3], stride: [1, 1], padding: Padding::Valid };
    let all = |f: &dyn Fn(usize, usize) -> f64| mean(&|p| mean(&|r| f(p, r)));
    let within = |x: &[f64], y: &[f64]| {
        all(&|p, r| phi.dual(covariance(x, x, p, p), covariance(x, y, p, r), covariance(y, y, r, r)))
    };
    let scale = ((within(x, x) - m * m) * (within(y, y) - n * n)).sqrt();
    let k = SIGMA_W2 * (within(x, y) - m * n) / scale + SIGMA_B2;
    let theta = k + SIGMA_W2 * all(&|p, r| dual(p, r).derivative * covariance(x, y, p, r)) / scale;
    let net = network(shape, vec![pixelwise, relu(), pool, LAYER_NORM, weights(1)]);
    let found = kernel_of(&net, &inputs, 0, 1)?;
    assert_relative(found[0], k, round_off(1000), "pooled K");
    assert_relative(found[1], theta, round_off(1000), "pooled Theta");
    Ok(())
}

#[test]
fn norms_before_the_first_weights_act_on_the_data() -> Result<(), TheoryError> {
    let inputs = flat_inputs(2, 5)?;
    let normalized = |centers: bool| {
        let example = |i: usize| {
            let x = inputs.example(i);
            let mean = if centers { x.iter().sum::<f64>() / 5.0 } else { 0.0 };
            let root = (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 5.0 + 0.1).sqrt();
            x.iter().map(|x| (x - mean) / root).collect::<Vec<_>>()
        };
        Inputs::new([example(0), example(1)].concat(), inputs.shape)
    };
    let body = vec![weights(8), relu(), weights(1)];
    for (norm, centers) in [(Layer::LayerNorm { epsilon: 0.1 }, true), (Layer::RmsNorm { epsilon: 0.1 }, false)] {
        let net = flat(5, [vec![norm], body.clone()].concat());
        let expected = kernels(&flat(5, body.clone()), &normalized(centers)?, None)?;
        let found = kernels(&net, &inputs, None)?;
        assert_relative(found.ntk[(0, 1)], expected.ntk[(0, 1)], round_off(100), "Theta");
        assert_relative(found.nngp[(1, 1)], expected.nngp[(1, 1)], round_off(100), "K");
    }
    Ok(())
}

#[test]
fn identity_residual_networks_multiply() -> Result<(), TheoryError> {
    // h + s W h: K grows by 1 + s^2 sigma_w2 a block, and Theta by the block's own K besides.
    let (s, sigma_w2, blocks) = (0.6, 1.3, 4);
    let inputs = flat_inputs(2, 3)?;
    let unbiased = || dense(8, variance(sigma_w2, 0.0));
    let mut layers = vec![unbiased()];
    layers.extend((0..blocks).map(|_| Layer::residual(s, vec![unbiased()])));
    layers.push(unbiased());
    let overlap: f64 = inputs.example(0).iter().zip(inputs.example(1)).map(|(x, y)| x * y).sum::<f64>() / 3.0;
    let (mut k, mut theta) = (sigma_w2 * overlap, sigma_w2 * overlap);
    for _ in 0..blocks {
        theta += s * s * (sigma_w2 * k + sigma_w2 * theta);
        k += s * s * sigma_w2 * k;
    }
    let found = kernel_of(&flat(3, layers), &inputs, 0, 1)?;
    assert_relative(found[0], sigma_w2 * k, round_off(100), "K");
    assert_relative(found[1], sigma_w2 * k + sigma_w2 * theta, round_off(100), "Theta");
    Ok(())
}

#[test]
fn sums_of_branches_add_kernels() -> Result<(), TheoryError> {
    let inputs = flat_inputs(2, 4)?;
    let branch = |scale: f64, layers: Vec<Layer>| Branch { scale, layers };
    // Two branches with weights of their own; the sum is Gaussian and may be activated.
    let branches = vec![branch(0.5, vec![weights(8)]), branch(2.0, vec![weights(8), relu(), weights(8)])];
    let net = flat(4, vec![Layer::Branches { branches }, relu(), weights(1)]);
    let single = |layers: Vec<Layer>, i, j| kernel_of(&flat(4, layers), &inputs, i, j);
    let sum = |i, j| -> Result<[f64; 2], TheoryError> {
        let (short, long) = (single(vec![weights(1)], i, j)?, single(vec![weights(8), relu(), weights(1)], i, j)?);
        Ok([0, 1].map(|which| 0.25 * short[which] + 4.0 * long[which]))
    };
    let ([a, _], [c, theta], [b, _]) = (sum(0, 0)?, sum(0, 1)?, sum(1, 1)?);
    let dual = Activation::Relu.dual_pair(a, c, b);
    let k = SIGMA_W2 * dual.value + SIGMA_B2;
    let found = kernel_of(&net, &inputs, 0, 1)?;
    assert_relative(found[0], k, round_off(100), "K");
    assert_relative(found[1], k + SIGMA_W2 * dual.derivative * theta, round_off(100), "Theta");

    // Data may be one of the branches; scales of single branches are squared.
    let skip = flat(4, vec![Layer::residual(0.7, vec![weights(4)]), weights(1)]);
    let [_, c, _] = first(&inputs, 0, 1);
    let data = (c - SIGMA_B2) / SIGMA_W2;
    let expected = SIGMA_W2 * (data + 0.49 * c) + SIGMA_B2;
    assert_relative(kernel_of(&skip, &inputs, 0, 1)?[0], expected, round_off(100), "data and weights");
    let scaled = flat(4, vec![weights(8), Layer::Branches { branches: vec![branch(3.0, vec![relu()])] }, weights(1)]);
    let plain = flat(4, vec![weights(8), relu(), weights(1)]);
    let (found, plain) = (kernel_of(&scaled, &inputs, 0, 1)?, kernel_of(&plain, &inputs, 0, 1)?);
    assert_relative(found[0] - SIGMA_B2, 9.0 * (plain[0] - SIGMA_B2), round_off(100), "scaled");
    // Norms take means away, so that two normalized branches may be added.
    let normalized = || vec![weights(8), relu(), LAYER_NORM];
    let branches = vec![branch(1.0, normalized()), branch(1.0, normalized())];
    let two = kernel_of(&flat(4, vec![Layer::Branches { branches }, weights(1)]), &inputs, 0, 1)?;
    let one = kernel_of(&flat(4, [normalized(), vec![weights(1)]].concat()), &inputs, 0, 1)?;
    assert_relative(two[0] - SIGMA_B2, 2.0 * (one[0] - SIGMA_B2), round_off(100), "normalized branches");
    // A sum of one branch with all nodes in order numbers its weight layers as the list does.
    let layers = kernels_by_layer(&net, &inputs, None, TrainedLayers::All)?;
    assert_eq!(layers.iter().map(|layer| layer.layer).collect::<Vec<_>>(), [1, 2, 3, 4]);
    Ok(())
}

#[test]
fn dropout_divides_an_example_with_itself_and_nothing_else() -> Result<(), TheoryError> {
    let keep = 0.8;
    let inputs = flat_inputs(2, 5)?;
    // The last example repeats the first one's numbers and is another example, with masks of its own.
    let values = [inputs.values.clone(), inputs.example(0).to_vec()].concat();
    let inputs = Inputs::new(values, inputs.shape)?;
    let dropout = || Layer::Dropout { keep };
    let net = flat(5, vec![weights(8), relu(), dropout(), weights(8), relu(), dropout(), weights(1)]);
    let q = first(&inputs, 0, 0)[0];
    let phi = Activation::Relu;
    let apart = |a: f64, c: f64, b: f64, theta: f64, share: f64| {
        let dual = phi.dual_pair(a, c, b);
        let k = SIGMA_W2 * dual.value / share + SIGMA_B2;
        [k, k + SIGMA_W2 * dual.derivative * theta / share]
    };
    // With itself: K and Theta over keep at every dropout. ReLU: V(q, q, q) = q/2, Vd = 1/2.
    let mut own = [q, q];
    for _ in 0..2 {
        let k = SIGMA_W2 * own[0] / 2.0 / keep + SIGMA_B2;
        own = [k, k + SIGMA_W2 * own[1] / 2.0 / keep];
    }
    let found = kernels(&net, &inputs, None)?;
    assert_relative(found.nngp[(0, 0)], own[0], round_off(100), "K with itself");
    assert_relative(found.ntk[(0, 0)], own[1], round_off(100), "Theta with itself");
    assert_relative(found.ntk[(2, 2)], own[1], round_off(100), "the copy with itself");
    // With its copy: variances with dropout, covariances without.
    let [variance_of_second, _] = apart(q, q, q, q, keep);
    let [c, theta] = apart(q, q, q, q, 1.0);
    let expected = apart(variance_of_second, c, variance_of_second, theta, 1.0);
    // The equal first preactivations meet the noise of the general formula, 1e-8 in Vd.
    assert_relative(found.nngp[(0, 2)], expected[0], 1e-7, "K with the copy");
    assert_relative(found.ntk[(0, 2)], expected[1], 1e-7, "Theta with the copy");
    assert!(found.nngp[(0, 2)] < 0.95 * found.nngp[(0, 0)], "the copy is another example");
    // Training and test examples are never the same.
    let cross = kernels(&net, &inputs, Some(&inputs))?;
    assert_eq!(cross.nngp[(0, 0)], found.nngp[(0, 2)]);
    let keeps_all = flat(5, vec![weights(8), relu(), Layer::Dropout { keep: 1.0 }, weights(1)]);
    let without = flat(5, vec![weights(8), relu(), weights(1)]);
    assert_eq!(kernels(&keeps_all, &inputs, None)?, kernels(&without, &inputs, None)?);
    Ok(())
}

#[test]
fn dropout_of_pooled_images_counts_at_equal_positions() -> Result<(), TheoryError> {
    let (keep, shape) = (0.6, InputShape { channels: 2, height: 1, width: 3 });
    let inputs = Inputs::new(numbers(2 * shape.features()), shape)?;
    let x = inputs.example(0);
    let covariance = |p: usize, r: usize| SIGMA_W2 * (x[p] * x[r] + x[3 + p] * x[3 + r]) / 2.0 + SIGMA_B2;
    let pixelwise = convolution([1, 1], 1, Padding::Valid, variance(SIGMA_W2, SIGMA_B2));
    let layers = vec![pixelwise, relu(), Layer::Dropout { keep }, Layer::GlobalAveragePool, weights(1)];
    let mut mean = 0.0;
    for p in 0..3 {
        for r in 0..3 {
            let masked = if p == r {
                covariance(p, p) / 2.0 / keep
            } else {
                Activation::Relu.dual(covariance(p, p), covariance(p, r), covariance(r, r))
            };
            mean += masked / 9.0;
        }
    }
    let found = kernel_of(&network(shape, layers), &inputs, 0, 0)?[0];
    assert_relative(found, SIGMA_W2 * mean + SIGMA_B2, round_off(100), "K");
    Ok(())
}

#[test]
fn sum_pooling_is_average_pooling_times_its_cells() -> Result<(), TheoryError> {
    let shape = InputShape { channels: 2, height: 4, width: 5 };
    let inputs = Inputs::new(numbers(2 * shape.features()), shape)?;
    let (window, stride) = ([2, 3], [2, 1]);
    let of = |pool: Layer, cells: f64| {
        let unbiased = |sigma_w2: f64| convolution([2, 2], 1, Padding::Same, variance(sigma_w2, 0.0));
        let layers = vec![unbiased(1.5), relu(), pool, unbiased(1.2 / (cells * cells)), relu(), weights(1)];
        kernel_of(&network(shape, layers), &inputs, 0, 1)
    };
    for padding in [Padding::Same, Padding::Valid] {
        let sum = of(Layer::SumPool { window, stride, padding }, 6.0)?;
        let average = of(Layer::AveragePool { window, stride, padding }, 1.0)?;
        assert_relative(sum[0], average[0], round_off(200), "K");
    }
    // On the data as well.
    let pooled = |pool: Layer, sigma_w2: f64| {
        let layers = vec![pool, dense(8, variance(sigma_w2, 0.1)), relu(), weights(1)];
        kernel_of(&network(shape, layers), &inputs, 0, 1)
    };
    let padding = Padding::Same;
    let sum = pooled(Layer::SumPool { window, stride, padding }, 1.0 / 36.0)?;
    let average = pooled(Layer::AveragePool { window, stride, padding }, 1.0)?;
    assert_relative(sum[0], average[0], round_off(200), "K of pooled data");
    Ok(())
}

/// Positive semi-definite to rounding: `lambda_min >= -c eps N lambda_max`.
fn assert_positive(net: &Architecture, what: &str) -> Result<(), TheoryError> {
    let inputs = Inputs::new(numbers(6 * net.input.features()), net.input)?;
    let kernels = kernels(net, &inputs, None)?;
    for (name, kernel) in [("K", &kernels.nngp), ("Theta", &kernels.ntk)] {
        let eigenvalues = kernel.self_adjoint_eigenvalues(faer::Side::Lower).expect("eigenvalues");
        assert!(eigenvalues[0] >= -round_off(100 * 6) * eigenvalues[5], "{name} of {what}: {eigenvalues:?}");
    }
    Ok(())
}

#[test]
fn kernels_of_every_layer_are_positive() -> Result<(), TheoryError> {
    let shape = InputShape { channels: 2, height: 4, width: 4 };
    let same = || convolution([3, 3], 1, Padding::Same, variance(SIGMA_W2, SIGMA_B2));
    let pool = |sums: bool| {
        let (window, stride, padding) = ([2, 2], [2, 2], Padding::Valid);
        if sums { Layer::SumPool { window, stride, padding } } else { Layer::AveragePool { window, stride, padding } }
    };
    let extra = [
        LAYER_NORM,
        RMS_NORM,
        Layer::Dropout { keep: 0.5 },
        pool(true),
        pool(false),
        Layer::residual(1.0, vec![same(), LAYER_NORM]),
        Layer::Flatten,
        Layer::GlobalAveragePool,
    ];
    for layer in extra {
        for end in [Layer::Flatten, Layer::GlobalAveragePool] {
            let mut layers = vec![same(), activation(&Activation::Gelu), layer.clone()];
            if !matches!(layer, Layer::Flatten | Layer::GlobalAveragePool) {
                layers.push(end);
            }
            layers.push(weights(1));
            assert_positive(&network(shape, layers), layer.name())?;
        }
    }
    assert_positive(&gated(5, 3, variance(SIGMA_W2, SIGMA_B2), open_gate(5)), "gated_dense")
}
