use std::f64::consts::{FRAC_PI_4, PI};

use widthwise_testing::{assert_relative, assert_within, reference, round_off};
use widthwise_theory::TheoryError;
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{GateFunction, Gates, InputShape, Layer, Padding, Parameterization};
use widthwise_theory::kernel::{Inputs, preactivation_variances};
use widthwise_theory::signal::{Phase, edge_of_chaos, half_stable_point, partial_jacobian_norms};

use crate::networks::{activation, convolution, dense, flat_inputs, gated, mlp, network, numbers, variance};

#[test]
fn edge_of_chaos_matches_reference_values() -> Result<(), TheoryError> {
    let tanh = [
        (0.0, 1.0, 0.0),
        (0.1, 1.1775690962, 0.0008322804),
        (0.5, 1.6879751206, 0.0380412011),
        (1.0, 2.1533026489, 0.1509646294),
        (2.0, 2.8611624000, 0.5122649476),
        (4.0, 3.9070063228, 1.5180303411),
    ];
    let erf = [
        (0.0, FRAC_PI_4, 0.0),
        (0.1, 0.9292956392, 0.0009363804),
        (0.5, 1.3603495232, 0.0465501589),
        (1.0, 1.7562036828, 0.1841396778),
        (2.0, 0.75 * PI, 0.6090571730),
        (4.0, 3.2382795859, 1.7427768045),
    ];
    for (phi, rows) in [(Activation::Tanh, tanh), (Activation::Erf, erf)] {
        for (q, sigma_w2, sigma_b2) in rows {
            let init = edge_of_chaos(&phi, q)?;
            assert_within(init.sigma_w2, sigma_w2, reference(10), "sigma_w2");
            assert_within(init.sigma_b2, sigma_b2, reference(10), "sigma_b2");
            if q > 0.0 {
                let closed = q - init.sigma_w2 * phi.dual_diagonal(q).value;
                assert_within(init.sigma_b2, closed, round_off(10), "fixed variance");
                let point = init.fixed_point(&phi, 0.7 * q)?;
                assert_eq!(point.phase, Phase::Critical);
                assert_relative(point.q_star, q, reference(9), "fixed point");
                assert!(point.xi_c.is_infinite());
            }
        }
    }
    let init = edge_of_chaos(&Activation::LeakyRelu { slope: 0.2 }, 1.7)?;
    assert_within(init.sigma_w2, 2.0 / 1.04, round_off(10), "leaky");
    assert_within(init.sigma_b2, 0.0, round_off(10), "leaky bias");
    assert!(edge_of_chaos(&Activation::Abs, 1.0).is_ok());
    assert!(edge_of_chaos(&Activation::Softplus, 1.0).is_err());
    Ok(())
}

#[test]
fn half_stable_points_match_reference_values() -> Result<(), TheoryError> {
    let (q, init) = half_stable_point(&Activation::Gelu)?;
    assert_within(q, 0.5 * (3.0 + 17_f64.sqrt()), reference(10), "GELU K*");
    assert_within(init.sigma_w2, 1.9830582574, reference(10), "GELU sigma_w2");
    assert_within(init.sigma_b2, 0.1729223908, reference(10), "GELU sigma_b2");
    let (q, init) = half_stable_point(&Activation::Silu)?;
    assert_within(q, 14.3201736180, reference(10), "SiLU K*");
    assert_within(init.sigma_w2, 1.9880046783, reference(10), "SiLU sigma_w2");
    assert_within(init.sigma_b2, 0.5551431707, reference(10), "SiLU sigma_b2");
    for phi in [Activation::Tanh, Activation::Relu, Activation::Identity] {
        assert!(half_stable_point(&phi).is_err(), "{}", phi.name());
    }
    Ok(())
}

#[test]
fn fixed_points_match_reference_values() -> Result<(), TheoryError> {
    let point = variance(1.0, 0.05).fixed_point(&Activation::Tanh, 1.0)?;
    assert_eq!(point.phase, Phase::Ordered);
    assert_within(point.q_star, 0.1935925202, reference(10), "K*");
    assert_within(point.chi_perp, 0.7590316472, reference(10), "chi_perp");
    assert_within(point.chi_par, 0.5642799820, reference(10), "chi_par");
    assert_within(point.xi_c, 3.626976, reference(6), "xi_c");
    assert_within(point.xi_q, 1.747626, reference(6), "xi_q");
    assert_eq!(point.c_star, 1.0);

    let point = variance(2.25, 0.3).fixed_point(&Activation::Tanh, 1.0)?;
    assert_within(point.q_star, 1.2925856933, reference(10), "K*");
    assert_within(point.chi_perp, 0.9443202392, reference(10), "chi_perp");
    assert_within(point.chi_par, 0.3181321042, reference(10), "chi_par");

    let point = variance(2.25, 0.05).fixed_point(&Activation::Tanh, 1.0)?;
    assert_eq!(point.phase, Phase::Chaotic);
    assert_within(point.q_star, 0.8894249173, reference(10), "K*");
    assert_within(point.chi_perp, 1.0923379295, reference(10), "chi_perp");
    assert_within(point.c_star, 0.5672249268, reference(10), "c*");
    assert_within(point.c_slope, 0.9359901623, reference(10), "slope at c*");
    assert_within(point.xi_c, -1.0 / point.c_slope.ln(), round_off(10), "xi_c");

    let point = variance(2.0, 0.1).fixed_point(&Activation::Erf, 1.0)?;
    assert_within(point.q_star, 1.0462553601, reference(10), "K*");
    assert_within(point.chi_perp, 1.1183167661, reference(10), "chi_perp");
    assert_within(point.chi_par, 0.3616209828, reference(10), "chi_par");
    Ok(())
}

#[test]
fn scale_invariant_and_critical_flows() -> Result<(), TheoryError> {
    // Any variance is fixed at (2, 0); below, the variance decays to the bias; above, it grows.
    let point = variance(2.0, 0.0).fixed_point(&Activation::Relu, 1.7)?;
    assert_eq!((point.q_star, point.phase), (1.7, Phase::Critical));
    let point = variance(1.5, 0.5).fixed_point(&Activation::Relu, 0.1)?;
    assert_relative(point.q_star, 2.0, round_off(100), "sigma_b2 / (1 - sigma_w2/2)");
    assert_within(point.xi_q, -1.0 / 0.75_f64.ln(), round_off(100), "xi_q");
    assert!(variance(2.1, 0.0).fixed_point(&Activation::Relu, 1.0).is_err());
    // Critical tanh decays like 1/(2 l): slower than any exponential, to zero.
    let point = variance(1.0, 0.0).fixed_point(&Activation::Tanh, 1.0)?;
    assert_within(point.q_star, 0.0, round_off(5000), "critical tanh");
    assert_eq!(point.phase, Phase::Critical);
    let flow = variance(1.0, 0.0).variance_flow(&Activation::Tanh, 1.0, 2000);
    // The correction to the leading law is logarithmic.
    assert_within(2.0 * 2000.0 * flow[1999], 1.0, 2000_f64.ln() / 2000.0, "K_l -> 1/(2 l)");
    Ok(())
}

#[test]
fn chi_par_is_the_slope_of_the_variance_map() {
    let h = 1e-4;
    for phi in crate::activation::all() {
        let init = variance(1.7, 0.2);
        for k in [0.4, 2.0] {
            let slope = (init.next_variance(&phi, k + h) - init.next_variance(&phi, k - h)) / (2.0 * h);
            assert_relative(init.chi_par(&phi, k), slope, 20.0 * h * h + 1e4 * f64::EPSILON, phi.name());
        }
    }
}

#[test]
fn partial_jacobian_norms_match_the_recursion() -> Result<(), TheoryError> {
    // Widths that differ from layer to layer: only chi_perp may enter.
    let init = variance(1.5, 0.1);
    let net = mlp(2, &[64, 32, 100, 7, 50, 20, 9], &Activation::Tanh, init);
    let inputs = Inputs::new(vec![1.0, 1.0, -1.0, 1.0], InputShape::flat(2))?;
    let norms = partial_jacobian_norms(&net, &inputs)?;
    let variances = preactivation_variances(&net, &inputs)?;
    for lower in 0..8 {
        assert_eq!(norms[(lower, lower)], 1.0);
        let mut expected = 1.0;
        for upper in lower + 1..8 {
            expected *= init.chi_perp(&Activation::Tanh, variances[(0, upper - 1)]);
            assert_relative(norms[(upper, lower)], expected, round_off(2000), "J");
            assert_eq!(norms[(lower, upper)], 0.0);
        }
    }
    Ok(())
}

#[test]
fn partial_jacobian_norms_see_gates_and_parameterization() -> Result<(), TheoryError> {
    let gates = Gates { function: GateFunction::Heaviside, directions: numbers(5 * 3), thresholds: vec![0.0; 5] };
    let net = gated(3, 2, variance(1.3, 0.0), gates.clone());
    let inputs = flat_inputs(4, 3)?;
    let values = gates.evaluate(&inputs.values, 3);
    let open = |i: usize| values[5 * i..5 * i + 5].iter().sum::<f64>() / 5.0;
    let norms = partial_jacobian_norms(&net, &inputs)?;
    let expected = (0..4).map(|i| 1.3 * open(i)).sum::<f64>() / 4.0;
    assert_relative(norms[(1, 0)], expected, round_off(20), "one gated layer");
    let expected = (0..4).map(|i| (1.3 * open(i)).powi(2)).sum::<f64>() / 4.0;
    assert_relative(norms[(2, 0)], expected, round_off(20), "two gated layers");

    let mut net = mlp(3, &[10, 25], &Activation::Relu, variance(2.0, 0.0));
    net.parameterization = Parameterization::MeanField;
    let norms = partial_jacobian_norms(&net, &inputs)?;
    assert_relative(norms[(1, 0)], 1.0, round_off(20), "hidden layer");
    assert_relative(norms[(2, 1)], 1.0 / 25.0, round_off(20), "readout of variance 1/n");
    Ok(())
}

#[test]
fn partial_jacobian_norms_on_images() -> Result<(), TheoryError> {
    let init = variance(1.4, 0.3);
    let shape = InputShape { channels: 2, height: 4, width: 5 };
    let inputs = Inputs::new(numbers(3 * shape.features()), shape)?;
    // Circular padding loses nothing: with ReLU every layer multiplies by sigma_w2/2, up to the pooled readout.
    let circular = |end: Vec<Layer>| {
        let mut layers = vec![convolution([3, 3], 1, Padding::Circular, init), activation(&Activation::Relu)];
        layers.extend([convolution([3, 2], 1, Padding::Circular, init), activation(&Activation::Relu)]);
        layers.extend(end);
        network(shape, layers)
    };
    let norms = partial_jacobian_norms(&circular(vec![dense(1, init)]), &inputs)?;
    assert_relative(norms[(1, 0)], 0.7, round_off(100), "convolution");
    assert_relative(norms[(2, 0)], 0.49, round_off(100), "flattened readout");
    // A pooled readout averages P independent unit-norm rows: 1/P of the flattened one from the last convolution.
    let norms = partial_jacobian_norms(&circular(vec![Layer::GlobalAveragePool, dense(1, init)]), &inputs)?;
    assert_relative(norms[(1, 0)], 0.7, round_off(100), "convolution below pooling");
    assert_relative(norms[(2, 1)], 0.7 / 20.0, round_off(100), "pooled readout");
    // Zero padding: a corner has 4 of 9 taps, an edge 6.
    let same = vec![
        convolution([1, 1], 1, Padding::Same, init),
        activation(&Activation::Relu),
        convolution([3, 3], 1, Padding::Same, init),
        dense(1, init),
    ];
    let norms = partial_jacobian_norms(&network(shape, same), &inputs)?;
    let mean_taps = (4.0 * 4.0 + 10.0 * 6.0 + 6.0 * 9.0) / 20.0;
    assert_relative(norms[(1, 0)], 0.7 * mean_taps / 9.0, round_off(100), "zero padding");
    Ok(())
}
