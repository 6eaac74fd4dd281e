//! Pairs near collinear, exact parity and scales at the ends of the range, against mpmath (see `results/kernel_accuracy`) and
//! against symmetries that hold to the last bit.

use widthwise_testing::{assert_within, reference, round_off};
use widthwise_theory::TheoryError;
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{Architecture, InputShape, Layer, Padding};
use widthwise_theory::kernel::{
    Inputs, KernelEngine, KernelTile, TrainedLayers, kernels, kernels_by_layer, kernels_when_training,
};

use crate::activation::expression;
use crate::networks::{activation, convolution, dense, mlp, network, numbers, variance};

fn deep(features: usize, depth: usize, function: &Activation, sigma_w2: f64, sigma_b2: f64) -> Architecture {
    mlp(features, &vec![8; depth], function, variance(sigma_w2, sigma_b2))
}

fn rows(values: &[&[f64]]) -> Result<Inputs, TheoryError> {
    Inputs::new(values.concat(), InputShape::flat(values[0].len()))
}

fn odd() -> Vec<Activation> {
    vec![
        Activation::Identity,
        Activation::Tanh,
        Activation::Erf,
        Activation::Sin { frequency: 2.5, phase: 0.0 },
        Activation::Cos { frequency: 1.5, phase: std::f64::consts::FRAC_PI_2 },
        Activation::Hermite { degree: 3 },
        Activation::Polynomial { coefficients: vec![0.0, 1.0, 0.0, -0.1] },
        Activation::Sign,
        expression("x * exp(-x^2)"),
        expression("x * abs(x) / (1 + x^2)"),
    ]
}

fn even() -> Vec<Activation> {
    vec![
        Activation::Abs,
        Activation::Gaussian,
        Activation::Cos { frequency: 1.5, phase: 0.0 },
        Activation::Hermite { degree: 2 },
        expression("x * tanh(x)"),
    ]
}

fn trained(function: &Activation) -> TrainedLayers {
    if function.has_tangent_limit() { TrainedLayers::All } else { TrainedLayers::ReadoutOnly }
}

#[test]
fn an_odd_function_sixty_layers_deep_keeps_its_parity() -> Result<(), TheoryError> {
    let inputs = rows(&[&[0.3, -1.1, 0.7], &[-0.3, 1.1, -0.7], &[0.3, -1.1, 0.7]])?;
    let tanh = kernels(&deep(3, 60, &Activation::Tanh, 9.0, 0.0), &inputs, None)?;
    assert_within(tanh.nngp[(0, 1)], -6.305_391_478_778_854, reference(12), "tanh");
    for (functions, sign) in [(odd(), -1.0), (even(), 1.0)] {
        for phi in functions {
            // Polynomials of sixty layers would leave the range of numbers.
            let growing = matches!(phi, Activation::Hermite { .. } | Activation::Polynomial { .. });
            let few = growing || matches!(phi, Activation::Expression { .. });
            let net = if few { deep(3, 2, &phi, 0.3, 0.0) } else { deep(3, 60, &phi, 9.0, 0.0) };
            for kernels in [
                kernels_when_training(&net, &inputs, None, trained(&phi))?,
                kernels_when_training(&net, &inputs, Some(&inputs), trained(&phi))?,
            ] {
                assert_eq!(kernels.nngp[(0, 1)], sign * kernels.nngp[(0, 0)], "{phi:?}");
                assert_eq!(kernels.ntk[(1, 0)], sign * kernels.ntk[(0, 0)], "{phi:?}");
                assert_eq!(kernels.nngp[(1, 2)], sign * kernels.nngp[(0, 2)], "{phi:?}");
            }
        }
    }
    // Of images with pooling, and layer by layer.
    let net = network(
        InputShape { channels: 1, height: 4, width: 4 },
        vec![
            convolution([3, 3], 1, Padding::Same, variance(1.5, 0.0)),
            activation(&Activation::Erf),
            Layer::GlobalAveragePool,
            dense(1, variance(1.0, 0.0)),
        ],
    );
    let image = numbers(16);
    let values = image.iter().copied().chain(image.iter().map(|x| -x)).collect();
    let inputs = Inputs::new(values, net.input)?;
    let pooled = kernels(&net, &inputs, None)?;
    assert_eq!([pooled.nngp[(0, 1)], pooled.ntk[(1, 0)]], [-pooled.nngp[(0, 0)], -pooled.ntk[(0, 0)]]);
    for layer in kernels_by_layer(&net, &inputs, None, TrainedLayers::All)? {
        assert_eq!([layer.nngp[(0, 1)], layer.ntk[(0, 1)]], [-layer.nngp[(0, 0)], -layer.ntk[(0, 0)]]);
    }
    Ok(())
}

#[test]
fn the_negative_of_one_side_changes_the_sign_of_a_pair_alone() -> Result<(), TheoryError> {
    let (x, y) = (numbers(6), numbers(30));
    let opposite = |row: &[f64]| row.iter().map(|x| -x).collect::<Vec<f64>>();
    // Far from collinear, near, and opposite.
    let near: Vec<f64> = x.iter().enumerate().map(|(i, x)| x * (1.0 + 1e-9 * i as f64)).collect();
    for other in [y[24..].to_vec(), near] {
        let inputs = rows(&[&x, &other, &opposite(&other)])?;
        for (functions, sign) in [(odd(), -1.0), (even(), 1.0)] {
            for phi in functions {
                let net = deep(6, 3, &phi, 0.8, 0.0);
                let kernels = kernels_when_training(&net, &inputs, None, trained(&phi))?;
                assert_eq!(kernels.nngp[(0, 2)], sign * kernels.nngp[(0, 1)], "{phi:?}");
                assert_eq!(kernels.ntk[(0, 2)], sign * kernels.ntk[(0, 1)], "{phi:?}");
            }
        }
    }
    Ok(())
}

#[test]
fn deep_relu_is_homogeneous_at_every_scale() -> Result<(), TheoryError> {
    let depth = 600;
    let values = numbers(12);
    let inputs = Inputs::new(values.clone(), InputShape::flat(3))?;
    let plain_pairs = kernels(&deep(3, depth, &Activation::Relu, 2.0, 0.0), &inputs, None)?;
    for phi in [Activation::Relu, Activation::Abs, Activation::LeakyRelu { slope: 0.25 }] {
        let half = match &phi {
            Activation::Relu => 0.5,
            Activation::Abs => 1.0,
            _ => 0.5 * (1.0 + 0.25 * 0.25),
        };
        let critical = kernels(&deep(3, depth, &phi, 1.0 / half, 0.0), &inputs, None)?;
        for factor in [0.5, 2.0] {
            // The factor^(depth + 1) in steps that stay in range.
            let found = kernels(&deep(3, depth, &phi, factor / half, 0.0), &inputs, None)?;
            let scale = factor.powi(depth as i32 + 1);
            for (i, j) in [(0, 1), (1, 2), (0, 3), (2, 2)] {
                let size = critical.nngp[(i, i)].sqrt() * critical.nngp[(j, j)].sqrt();
                let error = (found.nngp[(i, j)] / scale - critical.nngp[(i, j)]).abs() / size;
                assert!(error < round_off(40 * depth), "{phi:?} {factor} {i} {j}: {error:e}");
            }
        }
    }
    // Inputs of 1e80 and 1e-80: the same angles.
    for exponent in [265, -265] {
        let scale = 2.0_f64.powi(exponent);
        let inputs = Inputs::new(values.iter().map(|x| scale * x).collect(), InputShape::flat(3))?;
        let found = kernels(&deep(3, depth, &Activation::Relu, 2.0, 0.0), &inputs, None)?;
        for (i, j) in [(0, 1), (1, 2), (0, 3)] {
            let (k, t) = (found.nngp[(i, j)] / scale / scale, found.ntk[(i, j)] / scale / scale);
            assert_within(k / plain_pairs.nngp[(i, j)], 1.0, round_off(40 * depth), "nngp");
            assert_within(t / plain_pairs.ntk[(i, j)], 1.0, 1e-9, "ntk");
        }
    }
    Ok(())
}

#[test]
fn sign_tells_inputs_apart_that_nearly_coincide() -> Result<(), TheoryError> {
    let inputs = rows(&[&[0.3, -1.1, 0.7], &[0.300_000_03, -1.1, 0.7], &[0.9, -3.3, 2.1], &[0.6, -2.2, 1.4]])?;
    let net = deep(3, 10, &Activation::Sign, 1.0, 0.0);
    let found = kernels_when_training(&net, &inputs, None, TrainedLayers::ReadoutOnly)?;
    assert_within(found.nngp[(0, 1)], 0.093_641_1, reference(7), "distance 3e-8");
    // Twice the first, to the last bit; three times it is rounded.
    assert_eq!(found.nngp[(0, 3)], 1.0);
    Ok(())
}

#[test]
fn kernels_near_collinearity_and_at_all_scales_match_mpmath() -> Result<(), TheoryError> {
    let mut count = 0;
    for line in include_str!("fixtures/near.csv").lines().skip(1) {
        let words: Vec<&str> = line.split(',').collect();
        let number = |index: usize| words[index].parse::<f64>().expect(line);
        let phi = match words[0].split(':').collect::<Vec<&str>>()[..] {
            ["relu"] => Activation::Relu,
            ["leaky_relu", _] => Activation::LeakyRelu { slope: 0.25 },
            ["abs"] => Activation::Abs,
            ["erf"] => Activation::Erf,
            ["gelu"] => Activation::Gelu,
            ["gaussian"] => Activation::Gaussian,
            ["sign"] => Activation::Sign,
            ["sin", "1", "0"] => Activation::Sin { frequency: 1.0, phase: 0.0 },
            ["tanh"] => Activation::Tanh,
            ["sigmoid"] => Activation::Sigmoid,
            ["silu"] => Activation::Silu,
            ["softplus"] => Activation::Softplus,
            _ => panic!("{line}"),
        };
        let inputs = Inputs::new((4..10).map(number).collect(), InputShape::flat(3))?;
        let net = deep(3, number(3) as usize, &phi, number(1), number(2));
        let found = kernels_when_training(&net, &inputs, None, trained(&phi))?;
        let size = number(10).sqrt() * number(12).sqrt();
        assert!((found.nngp[(0, 1)] - number(11)).abs() <= 2e-12 * size, "{} {line}", found.nngp[(0, 1)]);
        assert_eq!(found.nngp[(0, 1)], found.nngp[(1, 0)]);
        if phi.has_tangent_limit() {
            let size = number(13).sqrt() * number(15).sqrt();
            // Angles have the root of the digits of covariances; layers add up.
            assert!((found.ntk[(0, 1)] - number(14)).abs() <= 2e-11 * size, "{} {line}", found.ntk[(0, 1)]);
        }
        count += 1;
    }
    assert!(count > 100, "{count} rows");
    Ok(())
}

/// `tanh(x)` is `sign(x)` of large `x`, and `silu` and `softplus` are `relu`, to far more than rounding.
#[test]
fn logistic_functions_of_huge_inputs_are_their_limits() -> Result<(), TheoryError> {
    let rows = [[1.0, 2.0, -0.3], [1.000_000_1, 2.0, -0.3], [-0.5, 1.0, 2.0]];
    for scale in [1e20, 1e150] {
        let values: Vec<f64> = rows.iter().flatten().map(|x| x * scale).collect();
        let inputs = Inputs::new(values, InputShape::flat(3))?;
        let of = |phi: &Activation, trained: TrainedLayers| {
            kernels_when_training(&deep(3, 1, phi, 1.5, 0.0), &inputs, None, trained)
        };
        for (phi, limit) in [
            (Activation::Tanh, Activation::Sign),
            (Activation::Silu, Activation::Relu),
            (Activation::Softplus, Activation::Relu),
        ] {
            let trained = trained(&limit);
            let (found, expected) = (of(&phi, trained)?, of(&limit, trained)?);
            for (found, expected) in [(&found.nngp, &expected.nngp), (&found.ntk, &expected.ntk)] {
                for (i, j) in (0..3).flat_map(|i| (0..3).map(move |j| (i, j))) {
                    let size = expected[(i, i)].sqrt() * expected[(j, j)].sqrt();
                    let error = (found[(i, j)] - expected[(i, j)]).abs() / size;
                    assert!(error < 1e-13, "{phi:?} {scale:e} {i} {j}: {error:e}");
                }
            }
        }
    }
    Ok(())
}

#[test]
fn a_near_pair_is_one_number_from_either_side_and_in_any_tile() -> Result<(), TheoryError> {
    let mut values = numbers(5 * 40);
    for row in 1..40 {
        for feature in 0..5 {
            // Every third example close to the first.
            if row % 3 == 0 {
                values[row * 5 + feature] = values[feature] * (1.0 + 1e-7 * (row * feature) as f64);
            }
        }
    }
    let inputs = Inputs::new(values, InputShape::flat(5))?;
    for phi in [Activation::Relu, Activation::Erf, Activation::Sign] {
        let net = deep(5, 40, &phi, 1.5, 0.1);
        let engine = KernelEngine::new(&net, trained(&phi))?;
        let prepared = engine.prepare(&inputs)?;
        let whole = engine.kernels(&prepared, None)?;
        let mut scratch = engine.scratch();
        for (i, j) in [(0, 3), (3, 0), (6, 9), (0, 1), (36, 33)] {
            let mut tile = [faer::Mat::<f64>::zeros(1, 1), faer::Mat::zeros(1, 1)];
            let [nngp, ntk] = &mut tile;
            let out = KernelTile::both(nngp.as_mut(), ntk.as_mut());
            engine.tile(&prepared, i..i + 1, &prepared, j..j + 1, out, &mut scratch)?;
            assert_eq!([tile[0][(0, 0)], tile[1][(0, 0)]], [whole.nngp[(j, i)], whole.ntk[(j, i)]], "{phi:?} {i} {j}");
        }
        let layers = kernels_by_layer(&net, &inputs, None, trained(&phi))?;
        let last = layers.last().expect("a readout");
        assert_eq!([last.nngp[(0, 3)], last.ntk[(0, 3)]], [whole.nngp[(0, 3)], whole.ntk[(0, 3)]], "{phi:?}");
    }
    Ok(())
}
