use widthwise_testing::{assert_relative, assert_within, reference, round_off};
use widthwise_theory::TheoryError;
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{GateFunction, Gates, InputShape, Layer, Padding};
use widthwise_theory::kernel::Inputs;
use widthwise_theory::signal::{
    exact_excess_kurtosis, kurtosis_factor, layer_fluctuations, log_variance_step, ntk_second_moment,
};

use crate::networks::{convolution, dense, flat_inputs, gated, mlp, network, numbers, variance};

fn unit_input() -> Result<Inputs, TheoryError> {
    Inputs::new(vec![1.0, -1.0], InputShape::flat(2))
}

#[test]
fn tanh_corrections_match_reference_values() -> Result<(), TheoryError> {
    let n = 128.0;
    let net = mlp(2, &[128; 3], &Activation::Tanh, variance(1.0, 0.0));
    let rows = &layer_fluctuations(&net, &unit_input()?)?[0];
    let expected = [
        (1.0, 0.0, 0.0),
        (0.3942944904, 0.0975237381, 0.0),
        (0.2364504105, 0.0678074939, -0.0309325199),
        (0.1666563538, 0.0501465965, -0.0526824673),
    ];
    for (row, (k, v, k1)) in rows.iter().zip(expected) {
        assert_within(row.nngp, k, reference(10), "K");
        assert_within(n * row.variance, v, reference(10), "V");
        assert_within(n * row.nngp_correction, k1, reference(10), "K^{1}");
    }
    // Depth asymptotics at criticality, from a recursion to layer 2000.
    let net = mlp(2, &[1; 1999], &Activation::Tanh, variance(1.0, 0.0));
    let rows = &layer_fluctuations(&net, &unit_input()?)?[0];
    let last = rows[1999];
    assert_within(last.variance / (last.nngp.powi(2) * 2000.0), 0.66531, reference(5), "V/(K^2 l)");
    assert_within(last.nngp_correction / (last.nngp * 2000.0), -0.33188, reference(5), "K1/(K l)");
    Ok(())
}

#[test]
fn corrections_of_scale_invariant_networks_are_the_first_order_of_the_exact_product() -> Result<(), TheoryError> {
    for (phi, sigma_w2) in
        [(Activation::Relu, 2.0), (Activation::Identity, 1.1), (Activation::LeakyRelu { slope: 0.2 }, 1.4)]
    {
        let widths = [20, 50, 30];
        let net = mlp(2, &widths, &phi, variance(sigma_w2, 0.0));
        let rows = &layer_fluctuations(&net, &unit_input()?)?[0];
        let kappa = kurtosis_factor(&phi)?;
        let mut sum = 0.0;
        for (row, width) in rows.iter().skip(1).zip(widths) {
            sum += kappa / f64::from(width as u32);
            assert_relative(row.excess_kurtosis(), 3.0 * sum, round_off(500), phi.name());
            assert_within(row.nngp_correction, 0.0, round_off(500), phi.name());
        }
    }
    Ok(())
}

#[test]
fn exact_kurtosis_matches_reference_values() -> Result<(), TheoryError> {
    let rows = [(Activation::Identity, [1.0833, 1.2714, 1.4921]), (Activation::Relu, [1.2083, 1.7643, 2.5759])];
    for (phi, expected) in rows {
        let kurtosis = exact_excess_kurtosis(&mlp(2, &[24; 5], &phi, variance(2.0, 0.0)))?;
        for (layer, expected) in [2, 4, 6].into_iter().zip(expected) {
            assert_within(kurtosis[layer - 1] / 3.0 + 1.0, expected, reference(4), phi.name());
        }
        assert_eq!(kurtosis[0], 0.0);
    }
    assert_within(kurtosis_factor(&Activation::LeakyRelu { slope: 0.2 })?, 4.5562130178, reference(10), "leaky");
    assert!(exact_excess_kurtosis(&mlp(2, &[24], &Activation::Tanh, variance(1.0, 0.0))).is_err());
    assert!(exact_excess_kurtosis(&mlp(2, &[24], &Activation::Relu, variance(1.0, 0.1))).is_err());
    Ok(())
}

#[test]
fn logarithmic_moments_match_reference_values() -> Result<(), TheoryError> {
    for (width, expected) in [(16, 0.41959339), (64, 0.08299735), (256, 0.01981871)] {
        let step = log_variance_step(&Activation::Relu, width)?;
        assert_within(step.variance, expected, reference(8), "ReLU variance");
        assert_relative(step.mean * f64::from(width as u32) / -2.5, 1.0, 10.0 / f64::from(width as u32), "ReLU mean");
    }
    // chi^2_2/2 is exponential: mean -gamma, variance pi^2/6.
    let step = log_variance_step(&Activation::Identity, 2)?;
    assert_within(step.mean, -0.577_215_664_901_532_9, round_off(20), "Euler's constant");
    assert_within(step.variance, std::f64::consts::PI.powi(2) / 6.0, round_off(40), "pi^2/6");
    Ok(())
}

#[test]
fn tangent_kernel_moments_match_reference_values() -> Result<(), TheoryError> {
    let linear = [(8, 3, 1.5336914062), (16, 4, 1.3503295898), (32, 16, 1.9918218404)];
    for (width, depth, expected) in linear {
        let measured = ntk_second_moment(&Activation::Identity, width, depth)?;
        assert_within(measured, expected, reference(10), "linear");
    }
    let relu = [
        (16, 4, 2.2358551025),
        (32, 8, 2.4121463582),
        (64, 16, 2.5244586630),
        (64, 32, 7.0752664032),
        (1024, 512, 7.7132610984),
    ];
    for (width, depth, expected) in relu {
        let measured = ntk_second_moment(&Activation::Relu, width, depth)?;
        assert_within(measured, expected, reference(10), "ReLU");
    }
    Ok(())
}

#[test]
fn biases_and_gates_enter_the_corrections() -> Result<(), TheoryError> {
    // One linear hidden layer: S_2 = C_W (1/n) sum h^2 + C_b has variance 2 C_W^2 K_1^2/n.
    let net = mlp(2, &[40], &Activation::Identity, variance(1.5, 0.3));
    let rows = &layer_fluctuations(&net, &unit_input()?)?[0];
    assert_relative(rows[1].variance, 2.0 * (1.5 * 1.8_f64).powi(2) / 40.0, round_off(100), "bias");
    assert_relative(rows[1].nngp, 1.5 * 1.8 + 0.3, round_off(100), "bias in K");

    let gates = Gates { function: GateFunction::Heaviside, directions: numbers(12), thresholds: vec![0.0; 4] };
    let net = gated(3, 2, variance(1.3, 0.0), gates);
    let inputs = flat_inputs(5, 3)?;
    let exact = exact_excess_kurtosis(&net)?;
    for rows in layer_fluctuations(&net, &inputs)?.iter().filter(|rows| rows[2].nngp > 0.0) {
        // Gates rescale and leave the relative fluctuations of a deep linear network: 2/16 a layer.
        assert_relative(rows[1].excess_kurtosis(), exact[1], round_off(100), "first gated layer");
        assert_relative(rows[2].excess_kurtosis(), 3.0 * 4.0 / 16.0, round_off(100), "second gated layer");
    }
    Ok(())
}

#[test]
fn positions_have_no_prediction() -> Result<(), TheoryError> {
    let init = variance(1.0, 0.0);
    let shape = InputShape { channels: 1, height: 2, width: 2 };
    let layers: Vec<Layer> = vec![convolution([1, 1], 1, Padding::Valid, init), dense(1, init)];
    let net = network(shape, layers);
    let inputs = Inputs::new(numbers(4), shape)?;
    assert!(matches!(layer_fluctuations(&net, &inputs), Err(TheoryError::NoPrediction { .. })));
    assert!(matches!(exact_excess_kurtosis(&net), Err(TheoryError::NoPrediction { .. })));
    Ok(())
}
