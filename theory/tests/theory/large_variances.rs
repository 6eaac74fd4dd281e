//! Duals where something used to cancel, to overflow or to take for ever: small covariances, large variances, long formulas.

use std::time::{Duration, Instant};

use widthwise_testing::{assert_relative, assert_within, reference, round_off};
use widthwise_theory::TheoryError;
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::InputShape;
use widthwise_theory::dual::Dual;
use widthwise_theory::infinite_depth::InfiniteDepth;
use widthwise_theory::kernel::{Inputs, kernels};

use crate::activation::expression;
use crate::networks::{mlp, variance};

const LOGISTIC: [Activation; 4] = [Activation::Tanh, Activation::Sigmoid, Activation::Silu, Activation::Softplus];

/// Asserts `|measured - expected| <= bound |expected|`.
#[track_caller]
fn assert_close(measured: f64, expected: f64, bound: f64, what: &str) {
    assert!((measured - expected).abs() <= bound * expected.abs(), "{what}: {measured:e} instead of {expected:e}");
}

fn sin(frequency: f64, phase: f64) -> Activation {
    Activation::Sin { frequency, phase }
}

#[test]
fn waves_do_not_cancel_through_many_layers() {
    for phi in [sin(1.0, 0.0), sin(2.0, 0.3), sin(0.1, 0.0), sin(1.0, 1e-6)] {
        let (mut closed, mut plain) = ([1.3, 0.02, 0.7], [1.3, 0.02, 0.7]);
        for _ in 0..40 {
            let layer = |[a, c, b]: [f64; 3], dual: &dyn Fn(f64, f64, f64) -> Dual| {
                [dual(a, a, a), dual(a, c, b), dual(b, b, b)].map(|dual| 0.5 * dual.value)
            };
            closed = layer(closed, &|a, c, b| phi.dual_pair(a, c, b));
            plain = layer(plain, &|a, c, b| phi.dual_by_quadrature(a, c, b));
            (0..3).for_each(|i| assert_close(closed[i], plain[i], 1e-12, &format!("{phi:?}")));
        }
    }
    let turned = Activation::Cos { frequency: 1.0, phase: std::f64::consts::FRAC_PI_2 };
    let (turned, sine) = (turned.dual(1e-3, 1e-9, 2.0), sin(1.0, 0.0).dual(1e-3, 1e-9, 2.0));
    assert_close(turned, sine, round_off(4), "a cosine turned by a right angle");
    // exp(-(a + b)/2) sinh(c), by mpmath.
    assert_close(
        sin(1.0, 0.0).dual(0.3, 1e-9, 0.2),
        7.788_007_830_714_049e-10,
        round_off(4),
        "sin at a small covariance",
    );
    assert_close(sin(1.0, 0.0).dual(1e-13, 3e-14, 1e-13), 2.9999999999997e-14, round_off(4), "sin at small variances");
    let [there, back] = [0.3, -0.3].map(|c| sin(1.5, 0.0).dual_pair(1.0, c, 2.0));
    assert_eq!((there.value, there.derivative), (-back.value, back.derivative), "sin is odd");
    let [there, back] = [0.3, -0.3].map(|c| Activation::Cos { frequency: 1.5, phase: 0.0 }.dual_pair(1.0, c, 2.0));
    assert_eq!((there.value, there.derivative), (back.value, -back.derivative), "cos is even");
}

#[test]
fn infinitely_deep_sines_have_a_kernel() -> Result<(), TheoryError> {
    for frequency in [0.3, 1.0, 2.0, 7.0] {
        let phi = sin(frequency, 0.0);
        let InfiniteDepth::Singular(kernel) = InfiniteDepth::of(&phi)? else { panic!("sine of {frequency}") };
        let scale = phi.dual(1.0, 1.0, 1.0);
        // a_1^2 = w^2 e^{-w^2} / E sin^2.
        let square = frequency * frequency;
        assert_close(kernel.decay(), square * (-square).exp() / scale, round_off(20), "a_1^2");
        for rho in [-0.9, -0.3, 1e-5, 0.4, 0.8] {
            let image = phi.dual(1.0, rho, 1.0) / scale;
            let (before, after) = (kernel.value(1.0 - rho)?, kernel.value(1.0 - image)?);
            // 1 - rho keeps 1e-16 / rho of rho.
            let bound = 1e-10 + 4.0 * f64::EPSILON / image.abs();
            assert_close(after, kernel.decay() * before, bound, &format!("frequency {frequency}, rho {rho}"));
        }
        let (train, targets) = (faer::mat![[1.0, 0.0], [0.0, 1.0]], faer::mat![[1.0], [-1.0]]);
        let classifier = InfiniteDepth::Singular(kernel);
        let score = |test: faer::Mat<f64>| classifier.classify(train.as_ref(), targets.as_ref(), test.as_ref());
        assert!(score(faer::mat![[0.8, 0.6]])?[(0, 0)] > 0.0);
        assert!(score(faer::mat![[0.6, 0.8]])?[(0, 0)] < 0.0);
    }
    Ok(())
}

#[test]
fn inputs_that_nothing_decides_are_refused() -> Result<(), TheoryError> {
    let classifier = InfiniteDepth::of(&sin(1.0, 0.0))?;
    let (train, targets) = (faer::mat![[1.0, 0.0]], faer::mat![[1.0]]);
    let found = classifier.classify(train.as_ref(), targets.as_ref(), faer::mat![[0.0, 1.0]].as_ref());
    let message = found.map_or_else(|error| error.to_string(), |_| "answered".to_owned());
    assert!(message.contains("test input 1 is orthogonal to every training example"), "{message}");
    Ok(())
}

#[test]
fn logistic_functions_have_their_digits_at_every_variance() {
    // By mpmath, two integrals.
    let tanh = Activation::Tanh.dual_pair(1e4, 0.7e4, 1.2e4);
    assert_within(tanh.value, 0.4412713677884506, reference(15), "tanh");
    assert_close(tanh.derivative, 7.554324147571823e-5, 1e-14, "slope of tanh");
    for phi in LOGISTIC {
        for (a, rho, b) in
            [(1e-20, -0.5, 1e-20), (2.0, 0.3, 1e3), (1e8, 0.7, 1.2e8), (1e8, -0.99999, 1e8), (1e8, 0.5, 1e-8)]
        {
            let c = rho * f64::sqrt(a * b);
            let what = format!("{} at ({a}, {c}, {b})", phi.name());
            let (average, plane) = (phi.dual_pair(a, c, b), phi.dual_by_quadrature(a, c, b));
            assert_close(average.value, plane.value, 1e-12, &what);
            assert_close(average.derivative, plane.derivative, 1e-12, &what);
            let mirrored = phi.dual_pair(b, c, a);
            assert_eq!(average, mirrored, "{what}");
        }
        // One integral on the diagonal.
        for q in [1e-300, 1e-8, 1.0, 1e4, 1e10, 1e150] {
            let (dual, moments) = (phi.dual_diagonal(q), phi.moments(q));
            assert_close(dual.value, moments.square, 1e-12, &format!("{} at {q:e}", phi.name()));
            assert_close(dual.derivative, moments.derivative_square, 1e-12, &format!("{} at {q:e}", phi.name()));
            let mean = phi.expectation(q, |z| phi.value(q.sqrt() * z));
            assert_relative(phi.mean(q) / (1.0 + q.sqrt()), mean / (1.0 + q.sqrt()), round_off(400), phi.name());
        }
        // At 1e300 tanh is a sign and softplus and silu are rectifiers.
        let limit = match phi {
            Activation::Tanh => 2.0 / std::f64::consts::PI * 0.5_f64.asin(),
            Activation::Sigmoid => 0.25 + 0.5_f64.asin() / (2.0 * std::f64::consts::PI),
            _ => 1e300 * Activation::Relu.dual(1.0, 0.5, 1.0),
        };
        assert_close(phi.dual(1e300, 0.5e300, 1e300), limit, 1e-12, phi.name());
    }
    let [there, back] = [0.7e8, -0.7e8].map(|c| Activation::Tanh.dual_pair(1e8, c, 2e8));
    assert_eq!((there.value, there.derivative), (-back.value, back.derivative), "tanh is odd");
}

#[test]
fn kernels_of_raw_features_come_to_an_end() -> Result<(), TheoryError> {
    // A rule whose panels have the width of the function, over a Gaussian as wide as these features, would not end within an hour.
    let shape = InputShape::flat(2);
    let inputs = Inputs::new(vec![12000.0, 340.0, 9500.0, 410.0, 15000.0, 290.0], shape)?;
    for phi in LOGISTIC.into_iter().chain([expression("x * sigmoid(1.702 * x)"), expression("abs(tanh(x))")]) {
        let found = kernels(&mlp(2, &[8], &phi, variance(2.0, 0.0)), &inputs, None)?;
        let (a, b) = (12000.0_f64.powi(2) + 340.0_f64.powi(2), 9500.0_f64.powi(2) + 410.0_f64.powi(2));
        let dual = phi.dual_by_quadrature(a, 12000.0 * 9500.0 + 340.0 * 410.0, b);
        assert_close(found.nngp[(0, 1)], 2.0 * dual.value, 1e-10, phi.name());
    }
    Ok(())
}

/// Some examples have a Hermite series, others none: silu and softplus had terms of both parities to search for in an empty one.
#[test]
fn small_and_huge_examples_stand_in_one_batch() -> Result<(), TheoryError> {
    let rows = [[0.6, -1.4], [640.0, -1420.0], [-0.9, 0.2], [3e-9, 2e-9], [-7e4, 3e5], [2e120, 1e120]];
    let all = Inputs::new(rows.concat(), InputShape::flat(2))?;
    let reversed = Inputs::new(rows.iter().rev().flatten().copied().collect(), InputShape::flat(2))?;
    for phi in LOGISTIC {
        let net = mlp(2, &[8], &phi, variance(2.0, 0.0));
        let [there, back] = [kernels(&net, &all, None)?, kernels(&net, &reversed, Some(&all))?];
        for (i, x) in rows.iter().enumerate() {
            for (j, y) in rows.iter().enumerate().filter(|(j, _)| i != *j) {
                let dot = |x: &[f64; 2], y: &[f64; 2]| x[0] * y[0] + x[1] * y[1];
                let [a, b] = [x, y].map(|x| phi.dual_diagonal(dot(x, x)));
                let dual = phi.dual_pair(dot(x, x), dot(x, y), dot(y, y));
                let what = format!("{} {i} {j}", phi.name());
                let size = 2.0 * a.value.sqrt() * b.value.sqrt();
                let tangent = 2.0 * (dual.value + dual.derivative * dot(x, y));
                let tangent_size = [(a, x), (b, y)].map(|(dual, x)| dual.value + dual.derivative * dot(x, x));
                let tangent_size = 2.0 * tangent_size[0].sqrt() * tangent_size[1].sqrt();
                for found in [(there.nngp[(i, j)], there.ntk[(i, j)]), (back.nngp[(5 - i, j)], back.ntk[(5 - i, j)])] {
                    assert_within(found.0 / size, 2.0 * dual.value / size, 1e-12, &what);
                    assert_within(found.1 / tangent_size, tangent / tangent_size, 1e-12, &what);
                }
            }
        }
    }
    Ok(())
}

#[test]
fn formulas_of_any_size_are_read_at_once() {
    let nested = |function: &str, depth: usize| format!("{}x{}", function.repeat(depth), ")".repeat(depth));
    let long: Vec<String> = (1..240).map(|i| format!("tanh(x - {i})")).collect();
    for text in [nested("silu(", 30), nested("max(0.1, ", 30), nested("tanh(", 60), long.join(" + ")] {
        let start = Instant::now();
        let phi = expression(&text);
        let slope = (phi.value(0.7 + 1e-6) - phi.value(0.7 - 1e-6)) / 2e-6;
        assert_relative(phi.derivative(0.7), slope, 1e-7, &text);
        assert_relative(phi.derivative_formula().evaluate(0.7), phi.derivative(0.7), round_off(1000), &text);
        assert!(start.elapsed() < Duration::from_secs(60), "{text} takes {:?}", start.elapsed());
    }
}

#[test]
fn members_in_other_words_share_their_duals() {
    let leaky = |slope| Activation::LeakyRelu { slope };
    for (text, member, square) in [
        ("max(x, 0)", Activation::Relu, 1.0),
        ("abs(x)", Activation::Abs, 1.0),
        ("max(0.2 * x, x)", leaky(0.2), 1.0),
        ("x - 3 * max(x, 0)", leaky(-0.5), 4.0),
        ("-3 * min(x, 0)", Activation::Relu, 9.0),
        ("sin(2 * x - 0.3)", sin(2.0, -0.3), 1.0),
        ("x * sigmoid(x)", Activation::Silu, 1.0),
        ("tanh(x)", Activation::Tanh, 1.0),
    ] {
        let own = expression(text);
        for (a, c, b) in [(1.3, 0.6, 0.7), (1.0, 0.999999, 1.0), (1e8, -0.9e8, 1e8)] {
            let (found, expected) = (own.dual_pair(a, c, b), member.dual_pair(a, c, b));
            assert_relative(found.value, square * expected.value, round_off(8), text);
            assert_relative(found.derivative, square * expected.derivative, round_off(8), text);
            // The formula itself, whatever it was taken for; waves of large variance have too many turns.
            if a > 1e4 && text.contains("sin") {
                continue;
            }
            let plane = own.dual_by_quadrature(a, c, b);
            assert_relative(plane.value, found.value, round_off(4000), text);
            assert_relative(plane.derivative, found.derivative, round_off(4000), text);
        }
        assert_relative(own.mean(1.7), own.expectation(1.7, |z| own.value(1.7_f64.sqrt() * z)), round_off(400), text);
    }
    // Neither a line nor a kink at zero.
    for text in ["max(x, 1)", "max(x - 0.3, 0)", "max(x, 0) + 1", "max(x, 0)^2"] {
        let own = expression(text);
        let plane = own.dual_by_quadrature(1.3, 0.6, 0.7);
        assert_relative(own.dual(1.3, 0.6, 0.7), plane.value, round_off(4000), text);
    }
}

#[test]
fn parities_are_exact() {
    for text in [
        "tanh(sin(x))",
        "abs(tanh(x))",
        "sigmoid(x) - 0.5",
        "x / (1 + x^2)",
        "min(max(x, -1), 1)",
        "cos(x) * exp(-x^2)",
    ] {
        let phi = expression(text);
        let odd = phi.value(-0.7) < 0.0;
        for (a, c, b) in [(1.3, 0.6, 0.7), (1.0, 0.999, 1.0), (40.0, 30.0, 90.0)] {
            let series = |c: f64| phi.dual_in_series((&phi.hermite_series(a), a), c, (&phi.hermite_series(b), b));
            for dual in [&series as &dyn Fn(f64) -> Dual, &|c| phi.dual_by_quadrature(a, c, b)] {
                let (there, back, nothing) = (dual(c), dual(-c), dual(0.0));
                let (odd_pair, even_pair) = ([there.value, back.value], [there.derivative, back.derivative]);
                let (odd_pair, even_pair) = if odd { (odd_pair, even_pair) } else { (even_pair, odd_pair) };
                assert_eq!([odd_pair[0], even_pair[0]], [-odd_pair[1], even_pair[1]], "{text} at ({a}, {c}, {b})");
                assert_eq!(if odd { nothing.value } else { nothing.derivative }, 0.0, "{text} at ({a}, 0, {b})");
            }
        }
        assert_eq!(phi.mean(2.0) == 0.0, odd, "{text}");
    }
}

#[test]
fn waves_in_series_are_complete() {
    // The first coefficients vanish, the largest come behind them.
    let phi = expression("x + sin(x)^2");
    for (a, c, b) in [(100.0, -99.99, 100.0), (60.0, 59.0, 60.0), (30.0, 29.9, 30.0)] {
        let (left, right) = (phi.hermite_series(a), phi.hermite_series(b));
        let (series, plane) = (phi.dual_in_series((&left, a), c, (&right, b)), phi.dual_by_quadrature(a, c, b));
        assert_relative(series.value, plane.value, round_off(20_000), "x + sin^2");
        assert_relative(series.derivative, plane.derivative, round_off(20_000), "slope of x + sin^2");
    }
    // What oscillates too often is no number rather than a wrong one.
    assert!(phi.dual(1e12, 0.5e12, 1e12).is_nan());
}
