use proptest::prelude::*;
use widthwise_testing::{assert_relative, assert_within, reference, round_off};
use widthwise_theory::activation::Activation;
use widthwise_theory::dual::{Dual, exp_normalized_dual, gaussian_expectation};

use crate::activation::{all, expression, is_kinked};

const LEAKY: Activation = Activation::LeakyRelu { slope: 0.2 };
const SIN: Activation = Activation::Sin { frequency: 1.5, phase: 0.3 };
const COS: Activation = Activation::Cos { frequency: 1.0, phase: 0.0 };

fn power(degree: usize) -> Activation {
    let mut coefficients = vec![0.0; degree + 1];
    coefficients[degree] = 1.0;
    Activation::Polynomial { coefficients }
}

/// The quadrature's own rounding: sums of a few hundred terms of order one.
const QUADRATURE: usize = 2000;

#[test]
fn dual_activations_match_reference_values() {
    let rows = [
        (Activation::Erf, 0.267720472801, 0.474508362278),
        (Activation::Gelu, 0.257008135491, 0.365192175587),
        (SIN, 0.192009209236, 0.482761013634),
        (COS, 0.436108282015, 0.234211764020),
        (Activation::Gaussian, 0.372677996250, 0.124225998750),
        (Activation::Relu, 0.332989528650, 0.358261773054),
        (LEAKY, 0.333113298336, 0.429287534755),
        (Activation::Abs, 0.731958114598, 0.433047092216),
        (Activation::Tanh, 0.229492597286, 0.401976610047),
        (Activation::Silu, 0.211636979429, 0.325978050410),
        (Activation::Softplus, 0.805378097558, 0.275889727798),
        (Activation::Exp, 4.953032424395, 4.953032424395),
    ];
    for (phi, value, derivative) in rows {
        let dual = phi.dual_pair(1.3, 0.6, 0.7);
        assert_within(dual.value, value, reference(12), phi.name());
        assert_within(dual.derivative, derivative, reference(12), phi.name());
    }
    for (degree, value) in [(2, 1.63), (3, 6.21), (4, 34.1505)] {
        assert_relative(power(degree).dual(1.3, 0.6, 0.7), value, round_off(40), "power");
    }
    let rows = [
        (Activation::Erf, -0.400149115441, 0.420690186998),
        (Activation::Gelu, -0.068729121480, 0.084366138312),
        (Activation::Relu, 0.015530724377, 0.097016824601),
        (Activation::Tanh, -0.348375607139, 0.356605954869),
        (Activation::Silu, -0.143587588745, 0.133169745051),
        (Activation::Softplus, 0.466420649361, 0.207467378374),
    ];
    for (phi, value, derivative) in rows {
        let dual = phi.dual_pair(2.0, -1.1, 0.9);
        assert_within(dual.value, value, reference(12), phi.name());
        assert_within(dual.derivative, derivative, reference(12), phi.name());
    }
    let rows = [
        (Activation::Tanh, 0.394294025995, 0.464402602245),
        (Activation::Silu, 0.355775140335, 0.379482207799),
        (Activation::Relu, 0.499999500150, 0.499774920902),
        (Activation::Erf, 0.464558484988, 0.569409579206),
    ];
    for (phi, value, derivative) in rows {
        let dual = phi.dual_pair(1.0, 0.999999, 1.0);
        assert_within(dual.value, value, reference(12), phi.name());
        assert_within(dual.derivative, derivative, reference(12), phi.name());
    }
    assert_within(Activation::Tanh.dual(100.0, 60.0, 100.0), 0.4057904748, reference(10), "tanh at large variance");
}

#[test]
fn hermite_coefficients_match_reference_values() {
    // E[tanh(z) he_k(z)] for k = 1, 3, 5: seen through correlations with polynomials of one order.
    let he = [
        (Activation::Polynomial { coefficients: vec![0.0, 1.0] }, 0.6057055096),
        (Activation::Polynomial { coefficients: vec![0.0, -3.0, 0.0, 1.0] }, -0.1484371908 * 6_f64.sqrt()),
        (Activation::Polynomial { coefficients: vec![0.0, 15.0, 0.0, -10.0, 0.0, 1.0] }, 0.0625475238 * 120_f64.sqrt()),
    ];
    let tanh = Activation::Tanh.hermite_series(1.0);
    for (polynomial, expected) in he {
        let measured = tanh.dual(&polynomial.hermite_series(1.0), 1.0).value;
        assert_within(measured, expected, reference(10) * 11.0, "Hermite coefficient");
    }
}

#[test]
fn closed_forms_series_and_quadrature_agree() {
    let points = [
        (1.3, 0.6, 0.7),
        (2.0, -1.1, 0.9),
        (1.0, 0.999999, 1.0),
        (0.3, 0.0, 4.0),
        (9.0, -8.5, 9.0),
        (0.5, -0.4999, 0.5),
        (0.0, 0.0, 1.0),
    ];
    for phi in all() {
        for (a, c, b) in points {
            let what = format!("{} at ({a}, {c}, {b})", phi.name());
            let oracle = phi.dual_by_quadrature(a, c, b);
            let dual = phi.dual_pair(a, c, b);
            assert_relative(dual.value, oracle.value, round_off(QUADRATURE), &what);
            // A kinked function of a constant zero has no derivative; the closed form takes the limit of small variance.
            let kinked = is_kinked(&phi);
            if a > 0.0 || !kinked {
                assert_relative(dual.derivative, oracle.derivative, round_off(QUADRATURE), &what);
            }
            if !kinked {
                let (left, right) = (phi.hermite_series(a), phi.hermite_series(b));
                let series = phi.dual_in_series((&left, a), c, (&right, b));
                // The terms are as large as the norms, which for exp dwarf a sum of alternating ones.
                let (left, right) = (phi.dual_diagonal(a), phi.dual_diagonal(b));
                let bound = |left: f64, right: f64| round_off(4 * QUADRATURE) * (1.0 + (left * right).sqrt());
                assert_within(series.value, oracle.value, bound(left.value, right.value), &what);
                assert_within(series.derivative, oracle.derivative, bound(left.derivative, right.derivative), &what);
            }
        }
    }
}

#[test]
fn duals_without_a_finite_network_or_a_tangent_kernel() {
    for (a, c, b) in [(1.3, 0.6, 0.7), (2.0, -1.1, 0.9), (1.0, 0.999999, 1.0)] {
        let (a, c, b): (f64, f64, f64) = (a, c, b);
        let rho = c / (a * b).sqrt();
        let sign = Activation::Sign.dual_pair(a, c, b);
        assert_relative(sign.value, std::f64::consts::FRAC_2_PI * rho.asin(), round_off(2_000), "sign");
        assert_relative(sign.value, Activation::Sign.dual_by_quadrature(a, c, b).value, round_off(QUADRATURE), "sign");
        // Price's theorem holds where the derivative exists, by the closed form and by the series of a function that jumps.
        let h = 1e-4 * (1.0 - rho);
        let slope = (Activation::Sign.dual(a, c + h, b) - Activation::Sign.dual(a, c - h, b)) / (2.0 * h);
        assert_relative(sign.derivative, slope, 1e-6, "slope of sign, error h^2 V'''/6 and rounding/h");
        let shrunk = exp_normalized_dual(0.7, a, c, b);
        assert_relative(shrunk.value, (a * b).sqrt() * (0.7 * (rho - 1.0)).exp(), round_off(4), "exp-normalized");
        assert_relative(shrunk.derivative * (a * b).sqrt(), 0.7 * shrunk.value, round_off(4), "exp-normalized");
    }
    assert_eq!(Activation::Sign.dual(0.0, 0.0, 1.0), 0.0);
    let own = expression("sign(x)");
    let (left, right) = (own.hermite_series(1.3), own.hermite_series(0.7));
    let (series, closed) =
        (own.dual_in_series((&left, 1.3), 0.6, (&right, 0.7)), Activation::Sign.dual_pair(1.3, 0.6, 0.7));
    assert_relative(series.value, closed.value, round_off(QUADRATURE), "sign as an expression");
    assert_relative(series.derivative, closed.derivative, round_off(QUADRATURE), "sign as an expression");
}

#[test]
fn finite_series_are_the_closed_sums() {
    for (a, c, b) in [(1.3, 0.6, 0.7), (2.0, -1.1, 0.9), (1.0, 0.999999, 1.0), (0.0, 0.0, 2.0)] {
        let (a, c, b): (f64, f64, f64) = (a, c, b);
        let factorial = |n: usize| (1..=n).map(|i| i as f64).product::<f64>();
        // V of x^k: sum over j = k, k-2, ... of (k!/(m! 2^m))^2/j! a^m b^m c^j, m = (k-j)/2.
        let monomial = |k: usize| -> f64 {
            (0..=k / 2)
                .map(|m| {
                    let (j, m_power) = (k - 2 * m, m as i32);
                    let weight = factorial(k) / (factorial(m) * 2_f64.powi(m_power));
                    weight * weight / factorial(j) * (a * b).powi(m_power) * c.powi(j as i32)
                })
                .sum()
        };
        for k in 1..=6 {
            let dual = power(k).dual_pair(a, c, b);
            assert_relative(dual.value, monomial(k), round_off(200), "monomial");
            assert_relative(dual.derivative, (k * k) as f64 * monomial(k - 1), round_off(200), "slope of a monomial");
        }
        let rbf = Activation::Rbf { gamma: 0.4 }.dual_pair(a, c, b);
        assert_relative(rbf.value, (-0.4 * (a + b - 2.0 * c)).exp(), round_off(4), "rbf");
        assert_relative(rbf.derivative, 0.8 * rbf.value, round_off(4), "slope of rbf");
    }
    for k in 0..8 {
        let hermite = Activation::Hermite { degree: k }.dual_pair(1.0, 0.6, 1.0);
        let k = k as i32;
        assert_relative(hermite.value, 0.6_f64.powi(k), round_off(20), "Hermite at unit variances");
        assert_relative(hermite.derivative, f64::from(k) * 0.6_f64.powi((k - 1).max(0)), round_off(20), "its slope");
    }
}

/// The dual by the plain product rule: 1800 x 1800 points, no case distinctions.
fn brute_force(phi: &dyn Fn(f64) -> f64, a: f64, rho: f64, b: f64) -> f64 {
    let h = 0.01;
    let weight = |z: f64| h * (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let nodes: Vec<f64> = (-900..=900).map(|i| f64::from(i) * h).collect();
    let s = ((1.0 - rho) * (1.0 + rho)).sqrt();
    let inner = |z1: f64| nodes.iter().map(|z2| weight(*z2) * phi(b.sqrt() * (rho * z1 + s * z2))).sum::<f64>();
    nodes.iter().map(|z1| weight(*z1) * phi(a.sqrt() * z1) * inner(*z1)).sum()
}

#[test]
fn series_hold_at_large_variances_and_all_correlations() {
    for phi in [Activation::Tanh, Activation::Silu, Activation::Softplus, expression("x * sigmoid(1.702 * x)")] {
        for (a, rho, b) in [(100.0, 0.999999, 100.0), (100.0, 0.6, 100.0), (100.0, -0.99, 40.0), (60.0, 1.0, 0.01)] {
            let what = format!("{} at ({a}, {rho}, {b})", phi.name());
            let (left, right) = (phi.hermite_series(a), phi.hermite_series(b));
            let series = phi.dual_in_series((&left, a), rho * (a * b).sqrt(), (&right, b));
            assert_relative(series.value, brute_force(&|x| phi.value(x), a, rho, b), 1e-11, &what);
            assert_relative(series.derivative, brute_force(&|x| phi.derivative(x), a, rho, b), 1e-11, &what);
        }
    }
}

#[test]
fn expressions_with_kinks_are_integrated_between_them() {
    // Leaky rectifiers in disguise, shifted ones through E[f(u - t)], near and away from correlation one.
    let leaky = expression("max(x, 0.2 * x)");
    for (a, c, b) in [(1.3, 0.6, 0.7), (1.0, 0.999999, 1.0), (1.0, -0.9999, 1.0), (4.0, 1.9, 1.0)] {
        let (own, closed) = (leaky.dual_pair(a, c, b), LEAKY.dual_pair(a, c, b));
        assert_relative(own.value, closed.value, round_off(QUADRATURE), "leaky");
        assert_relative(own.derivative, closed.derivative, round_off(QUADRATURE), "leaky");
    }
    // |x - t| - |x + t| is odd and has two kinks; on a constant it is that constant.
    let clipped = expression("0.5 * (abs(x + 1) - abs(x - 1))");
    let diagonal = clipped.dual_diagonal(0.8);
    let nearly = clipped.dual_pair(0.8, 0.8 * (1.0 - 1e-13), 0.8);
    assert_relative(nearly.value, diagonal.value, 1e-12, "clipped");
    // The derivative is 1 inside: V' = P(|u| < 1), with a square-root approach to it.
    let inside = libm_erf(1.0 / 1.6_f64.sqrt());
    assert_relative(diagonal.derivative, inside, round_off(400), "clipped");
    assert_relative(nearly.derivative, inside, 1e-6, "clipped");
}

fn libm_erf(x: f64) -> f64 {
    Activation::Erf.value(x)
}

#[test]
fn series_falls_back_where_it_has_not_converged() {
    for (a, c, b) in [(100.0, 99.99, 100.0), (100.0, -90.0, 100.0), (400.0, 1.5, 0.01), (50.0, 6.9, 1.0)] {
        for phi in [Activation::Tanh, Activation::Silu, Activation::Softplus, Activation::Sigmoid] {
            let what = format!("{} at ({a}, {c}, {b})", phi.name());
            let oracle = phi.dual_by_quadrature(a, c, b);
            let (left, right) = (phi.hermite_series(a), phi.hermite_series(b));
            let series = phi.dual_in_series((&left, a), c, (&right, b));
            assert_relative(series.value, oracle.value, round_off(20_000), &what);
            assert_relative(series.derivative, oracle.derivative, round_off(20_000), &what);
        }
    }
}

#[test]
fn derivative_of_the_dual_is_the_dual_of_the_derivative() {
    // Price's theorem, by central differences: error h^2 V'''/6 and rounding eps/h.
    let h = 1e-4;
    for phi in all() {
        for (a, c, b) in [(1.3, 0.6, 0.7), (2.0, -1.1, 0.9)] {
            let slope = (phi.dual(a, c + h, b) - phi.dual(a, c - h, b)) / (2.0 * h);
            assert_relative(phi.dual_derivative(a, c, b), slope, 2.0 * h * h + 1e4 * f64::EPSILON, phi.name());
        }
    }
}

#[test]
fn diagonal_forms_match_the_general_ones() {
    for phi in all() {
        for q in [0.2, 1.0, 7.3] {
            let (short, Dual { value, derivative }) = (phi.dual_diagonal(q), phi.dual_pair(q, q, q));
            assert_relative(short.value, value, round_off(QUADRATURE), phi.name());
            assert_relative(short.derivative, derivative, round_off(QUADRATURE), phi.name());
        }
    }
}

#[test]
fn moments_match_duals_and_their_slopes() {
    for phi in all() {
        for q in [0.3, 1.7] {
            let moments = phi.moments(q);
            assert_relative(moments.square, phi.dual(q, q, q), round_off(QUADRATURE), phi.name());
            assert_relative(moments.derivative_square, phi.dual_derivative(q, q, q), round_off(QUADRATURE), phi.name());
            assert_relative(moments.mean * moments.mean, phi.dual(q, 0.0, q), round_off(QUADRATURE), phi.name());
            let square = |q: f64| phi.dual_diagonal(q).value;
            let h = 1e-3;
            let slope = (square(q + h) - square(q - h)) / (2.0 * h);
            let curvature = (square(q + h) - 2.0 * square(q) + square(q - h)) / (h * h);
            assert_relative(moments.square_slope, slope, 20.0 * h * h, phi.name());
            assert_relative(moments.square_he4, 4.0 * q * q * curvature, 400.0 * h * h, phi.name());
        }
    }
    let fourth = power(2).moments(1.5).fourth;
    assert_relative(fourth, 105.0 * 1.5_f64.powi(4), round_off(QUADRATURE), "E z^8 = 105");
    assert_relative(gaussian_expectation(1.0, |z| z.powi(6)), 15.0, round_off(QUADRATURE), "E z^6 = 15");
}

proptest! {
    #[test]
    fn duals_are_symmetric_and_bounded(index in 0..19_usize, a in 0.01..4.0, b in 0.01..4.0, rho in -0.999..0.999) {
        let phi = &all()[index];
        let (a, b): (f64, f64) = (a, b);
        let c = rho * (a * b).sqrt();
        let series = |a: f64, c: f64, b: f64| {
            let (left, right) = (phi.hermite_series(a), phi.hermite_series(b));
            phi.dual_in_series((&left, a), c, (&right, b))
        };
        // Kinked functions have slowly decaying series and never use them.
        let kinked = is_kinked(phi);
        let dual = |a, c, b| if kinked { phi.dual_pair(a, c, b) } else { series(a, c, b) };
        let (dual, mirrored) = (dual(a, c, b), dual(b, c, a));
        prop_assert!((dual.value - mirrored.value).abs() <= round_off(QUADRATURE) * (1.0 + dual.value.abs()));
        prop_assert!((dual.derivative - mirrored.derivative).abs() <= round_off(QUADRATURE) * (1.0 + dual.derivative.abs()));
        let (left, right) = (phi.dual_diagonal(a), phi.dual_diagonal(b));
        let slack = 1.0 + round_off(QUADRATURE);
        prop_assert!(dual.value.powi(2) <= left.value * right.value * slack);
        prop_assert!(dual.derivative.powi(2) <= left.derivative * right.derivative * slack);
    }
}
