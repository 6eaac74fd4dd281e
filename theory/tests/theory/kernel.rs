use proptest::prelude::*;
use widthwise_testing::{assert_relative, assert_within, reference, round_off};
use widthwise_theory::TheoryError;
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{
    Architecture, GateFunction, Gates, InitScheme, InputShape, Layer, Parameterization,
};
use widthwise_theory::kernel::{
    Inputs, TrainedLayers, kernels, kernels_by_layer, kernels_when_training, preactivation_variances,
};

use crate::networks::{
    activation, correlated_pair, dense, flat_inputs, gated, mlp, network, numbers, open_gate, variance,
};

const LEAKY: Activation = Activation::LeakyRelu { slope: 0.2 };

/// A plain network whose first layer hands on the overlaps of the inputs unchanged.
fn normalized(depth: usize, function: &Activation, sigma_w2: f64, sigma_b2: f64) -> Architecture {
    let mut net = mlp(2, &vec![32; depth], function, variance(sigma_w2, sigma_b2));
    net.layers[0] = dense(32, variance(1.0, 0.0));
    net
}

#[test]
fn recursion_matches_reference_values() -> Result<(), TheoryError> {
    let inputs = correlated_pair()?;
    let rows = [
        (Activation::Relu, 2.0, 0.0, 1, [1.0, 0.6775475678, 2.0, 1.1004472266]),
        (Activation::Relu, 2.0, 0.0, 3, [1.0, 0.7753124348, 4.0, 1.9522866852]),
        (LEAKY, 2.0 / 1.04, 0.0, 1, [1.0, 0.6477215802, 2.0, 1.1387367548]),
        (LEAKY, 2.0 / 1.04, 0.0, 3, [1.0, 0.7199222604, 4.0, 2.0923925382]),
        (Activation::Erf, 1.5, 0.1, 1, [0.7968385816, 0.4929696413, 1.6509536337, 0.9097351121]),
        (Activation::Erf, 1.5, 0.1, 3, [0.7074875099, 0.4757979119, 2.8977422964, 1.4801815230]),
        (Activation::Gelu, 2.0, 0.1, 1, [0.9504429651, 0.6250317239, 1.8621446964, 1.0597866622]),
        (Activation::Gelu, 2.0, 0.1, 3, [0.8558027871, 0.6343070100, 3.1820757572, 1.7199548052]),
    ];
    for (phi, sigma_w2, sigma_b2, depth, [k_same, k_other, t_same, t_other]) in rows {
        let kernels = kernels(&normalized(depth, &phi, sigma_w2, sigma_b2), &inputs, None)?;
        assert_within(kernels.nngp[(0, 0)], k_same, reference(10), phi.name());
        assert_within(kernels.nngp[(0, 1)], k_other, reference(10), phi.name());
        assert_within(kernels.ntk[(1, 1)], t_same, reference(10), phi.name());
        assert_within(kernels.ntk[(1, 0)], t_other, reference(10), phi.name());
    }
    let rows = [
        (Activation::Relu, 2.0, 0.0, 0.7334337858, 1.5444163007),
        (Activation::Erf, 1.5, 0.1, 0.4723641602, 1.1966174309),
        (Activation::Gelu, 2.0, 0.1, 0.6347586831, 1.4251488831),
        (LEAKY, 2.0 / 1.04, 0.0, 0.6870581496, 1.6325796511),
    ];
    for (phi, sigma_w2, sigma_b2, k, t) in rows {
        let kernels = kernels(&normalized(2, &phi, sigma_w2, sigma_b2), &inputs, None)?;
        assert_within(kernels.nngp[(0, 1)], k, reference(10), phi.name());
        assert_within(kernels.ntk[(0, 1)], t, reference(10), phi.name());
    }
    Ok(())
}

#[test]
fn every_activation_follows_the_recursion_of_its_duals() -> Result<(), TheoryError> {
    let (sigma_w2, sigma_b2) = (1.6, 0.2);
    let inputs = flat_inputs(3, 4)?;
    for phi in crate::activation::all() {
        let kernels = kernels(&mlp(4, &[8, 8], &phi, variance(sigma_w2, sigma_b2)), &inputs, None)?;
        for (i, j) in [(0, 1), (2, 1), (1, 1)] {
            let overlap = |i: usize, j: usize| {
                let product: f64 = inputs.example(i).iter().zip(inputs.example(j)).map(|(x, y)| x * y).sum();
                sigma_w2 * product / 4.0 + sigma_b2
            };
            let (mut a, mut c, mut b) = (overlap(i, i), overlap(i, j), overlap(j, j));
            let mut theta = c;
            for _ in 0..2 {
                let dual = phi.dual_by_quadrature(a, c, b);
                let next = |q: f64| sigma_w2 * phi.dual_diagonal(q).value + sigma_b2;
                let derivative = if i == j { phi.dual_diagonal(a).derivative } else { dual.derivative };
                (a, c, b) = (next(a), sigma_w2 * dual.value + sigma_b2, next(b));
                theta = c + sigma_w2 * derivative * theta;
            }
            assert_relative(kernels.nngp[(i, j)], c, round_off(20_000), phi.name());
            assert_relative(kernels.ntk[(i, j)], theta, round_off(20_000), phi.name());
        }
    }
    Ok(())
}

#[test]
fn deep_linear_networks_have_polynomial_kernels() -> Result<(), TheoryError> {
    let inputs = flat_inputs(4, 3)?;
    let depth = 3;
    for net in
        [mlp(3, &[8; 3], &Activation::Identity, variance(1.3, 0.0)), gated(3, depth, variance(1.3, 0.0), open_gate(3))]
    {
        let kernels = kernels(&net, &inputs, None)?;
        for i in 0..4 {
            for j in 0..4 {
                let overlap: f64 = inputs.example(i).iter().zip(inputs.example(j)).map(|(x, y)| x * y).sum();
                let expected = 1.3_f64.powi(depth as i32 + 1) * overlap / 3.0;
                assert_relative(kernels.nngp[(i, j)], expected, round_off(20), "K");
                assert_relative(kernels.ntk[(i, j)], (depth + 1) as f64 * expected, round_off(40), "Theta");
            }
        }
    }
    Ok(())
}

#[test]
fn gated_kernels_are_powers_of_the_gate_overlap() -> Result<(), TheoryError> {
    let (features, count, depth) = (3, 6, 2);
    let gates = Gates {
        function: GateFunction::Smooth { function: Activation::Softplus },
        directions: numbers(features * count),
        thresholds: numbers(count),
    };
    let (left, right) = (flat_inputs(3, features)?, Inputs::new(numbers(30)[15..].to_vec(), InputShape::flat(3))?);
    let kernels = kernels(&gated(features, depth, variance(1.3, 0.0), gates.clone()), &left, Some(&right))?;
    let (g, h) = (gates.evaluate(&left.values, features), gates.evaluate(&right.values, features));
    for i in 0..3 {
        for j in 0..5 {
            let overlap: f64 = left.example(i).iter().zip(right.example(j)).map(|(x, y)| x * y).sum();
            let open: f64 = (0..count).map(|m| g[i * count + m] * h[j * count + m]).sum::<f64>() / count as f64;
            let expected = (1.3 * open).powi(depth as i32) * 1.3 * overlap / 3.0;
            assert_relative(kernels.nngp[(i, j)], expected, round_off(50), "K");
            assert_relative(kernels.ntk[(i, j)], (depth + 1) as f64 * expected, round_off(100), "Theta = (L+1) K");
        }
    }
    Ok(())
}

#[test]
fn relu_tangent_kernel_grows_with_depth_on_the_diagonal() -> Result<(), TheoryError> {
    let inputs = flat_inputs(5, 4)?;
    for depth in 1..6 {
        let net = mlp(4, &vec![8; depth], &Activation::Relu, variance(2.0, 0.0));
        let kernels = kernels(&net, &inputs, None)?;
        for i in 0..5 {
            let norm: f64 = inputs.example(i).iter().map(|x| x * x).sum();
            let expected = (depth + 1) as f64 * 2.0 * norm / 4.0;
            assert_relative(kernels.ntk[(i, i)], expected, round_off(30), "Theta = (L+1) K^1");
        }
    }
    Ok(())
}

#[test]
fn parameterizations_change_kernels_as_their_table_says() -> Result<(), TheoryError> {
    let inputs = flat_inputs(4, 3)?;
    for mut net in [
        mlp(3, &[11, 17], &Activation::Tanh, variance(1.7, 0.0)),
        mlp(3, &[11, 17], &Activation::Relu, variance(1.7, 0.3)),
        gated(3, 2, variance(1.7, 0.0), Gates { thresholds: vec![0.0; 2], directions: numbers(6), ..open_gate(3) }),
    ] {
        let n = net.scaling_width()? as f64;
        let ntk = kernels(&net, &inputs, None)?;
        for parameterization in [Parameterization::MeanField, Parameterization::Mup] {
            net.parameterization = parameterization;
            let other = kernels(&net, &inputs, None)?;
            for (i, j) in [(0, 0), (0, 3), (2, 1)] {
                assert_relative(other.ntk[(i, j)], ntk.ntk[(i, j)], round_off(100), "tangent kernel");
                assert_relative(n * other.nngp[(i, j)], ntk.nngp[(i, j)], round_off(100), "initial variance 1/n");
            }
        }
        net.parameterization = Parameterization::Standard;
        let other = kernels(&net, &inputs, None)?;
        assert_relative(other.nngp[(0, 1)], ntk.nngp[(0, 1)], round_off(100), "same network");
    }
    // One rate for all standard weights: layer l counts fan_in/sigma_w2, a bias 1/sigma_b2.
    let mut net = mlp(3, &[11], &Activation::Identity, variance(1.7, 0.3));
    net.parameterization = Parameterization::Standard;
    let standard = kernels(&net, &inputs, None)?;
    let overlap: f64 = inputs.example(0).iter().zip(inputs.example(1)).map(|(x, y)| x * y).sum();
    let first = 1.7 * overlap / 3.0 + 0.3;
    let expected = 11.0 * first + 1.0 + 1.7 * (overlap + 1.0);
    assert_relative(standard.ntk[(0, 1)], expected, round_off(50), "standard tangent kernel");
    Ok(())
}

#[test]
fn trained_layers_select_their_share() -> Result<(), TheoryError> {
    let inputs = flat_inputs(3, 3)?;
    let net = mlp(3, &[9, 9], &Activation::Erf, variance(1.5, 0.4));
    let all = kernels(&net, &inputs, None)?;
    let readout = kernels_when_training(&net, &inputs, None, TrainedLayers::ReadoutOnly)?;
    assert_eq!(readout.ntk, readout.nngp);
    assert_eq!(readout.nngp, all.nngp);
    let frozen = kernels_when_training(&net, &inputs, None, TrainedLayers::BiasesFrozen)?;
    let layers = kernels_by_layer(&net, &inputs, None, TrainedLayers::All)?;
    // Frozen biases take away sigma_b2 of every layer, passed on through the derivatives above.
    let (k1, k2) = (&layers[0].nngp, &layers[1].nngp);
    let (i, j) = (0, 2);
    let slope = |k: &faer::Mat<f64>| 1.5 * Activation::Erf.dual_derivative(k[(i, i)], k[(i, j)], k[(j, j)]);
    let share = 0.4 * (1.0 + slope(k2) * (1.0 + slope(k1)));
    assert_relative(frozen.ntk[(i, j)], all.ntk[(i, j)] - share, round_off(50), "biases");
    assert_eq!(layers.iter().map(|layer| layer.layer).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(layers[2].ntk, all.ntk);
    let variances = preactivation_variances(&net, &inputs)?;
    for (l, layer) in layers.iter().enumerate() {
        assert_eq!(layer.nngp[(i, i)], variances[(i, l)]);
    }
    Ok(())
}

#[test]
fn cross_kernels_contain_the_symmetric_ones() -> Result<(), TheoryError> {
    let inputs = flat_inputs(6, 5)?;
    for phi in [Activation::Relu, Activation::Tanh] {
        let net = mlp(5, &[9, 9, 9], &phi, variance(2.0, 0.1));
        let symmetric = kernels(&net, &inputs, None)?;
        let cross = kernels(&net, &inputs, Some(&inputs))?;
        for i in 0..6 {
            // Repeated inputs are found wherever they stand, so that diagonals agree exactly.
            assert_eq!(symmetric.ntk[(i, i)], cross.ntk[(i, i)]);
            for j in 0..6 {
                assert_eq!(symmetric.nngp[(i, j)], symmetric.nngp[(j, i)]);
                assert_relative(cross.nngp[(i, j)], symmetric.nngp[(i, j)], round_off(500), phi.name());
                assert_relative(cross.ntk[(i, j)], symmetric.ntk[(i, j)], round_off(500), phi.name());
            }
        }
    }
    Ok(())
}

#[test]
fn layers_before_the_first_weights_act_on_the_data() -> Result<(), TheoryError> {
    let inputs = flat_inputs(3, 4)?;
    let init = variance(1.5, 0.1);
    let mut net = mlp(4, &[8], &Activation::Relu, init);
    net.layers.insert(0, activation(&Activation::Tanh));
    let transformed = Inputs::new(inputs.values.iter().map(|x| x.tanh()).collect(), inputs.shape)?;
    let expected = kernels(&mlp(4, &[8], &Activation::Relu, init), &transformed, None)?;
    assert_eq!(kernels(&net, &inputs, None)?, expected);
    Ok(())
}

#[test]
fn requests_without_an_answer_say_why() -> Result<(), TheoryError> {
    let inputs = flat_inputs(2, 3)?;
    let init = variance(1.5, 0.1);
    let mut pytorch = mlp(3, &[8], &Activation::Relu, init);
    pytorch.init_scheme = InitScheme::Pytorch;
    let mut twice = mlp(3, &[8], &Activation::Relu, init);
    twice.layers.insert(2, activation(&Activation::Relu));
    let pooled = network(InputShape::flat(3), vec![dense(8, init), Layer::GlobalAveragePool, dense(1, init)]);
    let silent = mlp(3, &[8], &Activation::Relu, variance(0.0, 0.1));
    for net in [pytorch, twice, pooled, silent] {
        assert!(matches!(kernels(&net, &inputs, None), Err(TheoryError::NoPrediction { .. })));
    }
    let net = mlp(5, &[8], &Activation::Relu, init);
    assert!(matches!(kernels(&net, &inputs, None), Err(TheoryError::ShapeMismatch { expected: 5, found: 3, .. })));
    assert!(Inputs::new(vec![0.0; 5], InputShape::flat(3)).is_err());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn kernels_are_positive_semidefinite(
        index in 0..14_usize,
        values in prop::collection::vec(-2.0..2.0, 24),
        sigma_w2 in 0.3..2.0,
        sigma_b2 in 0.0..0.5,
    ) {
        let phi = &crate::activation::all()[index];
        let net = mlp(4, &[8, 8], phi, variance(sigma_w2, sigma_b2));
        let inputs = Inputs::new(values, InputShape::flat(4)).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let kernels = kernels(&net, &inputs, None).map_err(|e| TestCaseError::fail(e.to_string()))?;
        for kernel in [&kernels.nngp, &kernels.ntk] {
            let eigenvalues = kernel.self_adjoint_eigenvalues(faer::Side::Lower).map_err(|_| TestCaseError::fail("eigenvalues"))?;
            prop_assert!(eigenvalues[0] >= -round_off(2000) * eigenvalues[5]);
        }
    }
}
