use widthwise_testing::{assert_relative, round_off};
use widthwise_theory::activation::{Activation, Expression, FormulaError, one_of_each};

/// Every activation that has a slope, and one of the user's with a kink.
pub(crate) fn all() -> Vec<Activation> {
    let Ok(mut found) = one_of_each() else { panic!("every kind of activation can be made") };
    // Its derivative is no function.
    found.retain(|phi| *phi != Activation::Sign);
    found.push(expression("max(x - 0.3, 0)^2 - 0.3 * abs(x + 1)"));
    found
}

/// A function as a user writes it.
pub(crate) fn expression(text: &str) -> Activation {
    match Expression::parse(text) {
        Ok(formula) => Activation::Expression { formula },
        Err(error) => panic!("{text}: {error}"),
    }
}

/// Whether the function is not smooth, so that its Hermite series converges slowly.
pub(crate) fn is_kinked(phi: &Activation) -> bool {
    match phi {
        Activation::Relu | Activation::LeakyRelu { .. } | Activation::Abs | Activation::Sign => true,
        Activation::Expression { formula } => formula.text().contains("max"),
        _ => false,
    }
}

#[test]
fn derivative_is_the_slope_of_the_value() {
    let h = 1e-3;
    for phi in all() {
        for x in [-3.1, -0.7, 0.4, 2.2] {
            let central = |h: f64| (phi.value(x + h) - phi.value(x - h)) / (2.0 * h);
            // Richardson: error h^4 phi^(5)/30 and rounding eps/h, each below 1e-11 for these functions.
            let slope = (4.0 * central(0.5 * h) - central(h)) / 3.0;
            assert_relative(phi.derivative(x), slope, h.powi(4) * 20.0 + f64::EPSILON / h * 4.0, phi.name());
        }
    }
}

#[test]
fn formulas_are_the_functions() {
    let mut members = all();
    members.push(Activation::Sign);
    members.push(Activation::Hermite { degree: 0 });
    for phi in members {
        for x in [-11.0_f64, -3.1, -0.7, -1e-9, 0.0, 1e-9, 0.4, 2.2, 9.0] {
            // GELU's formula has 1 + erf, which loses what erfc keeps far below zero.
            let bound = round_off(8) * (1.0 + x.abs());
            assert_relative(phi.formula().evaluate(x), phi.value(x), bound, phi.name());
            assert_relative(phi.derivative_formula().evaluate(x), phi.derivative(x), bound, phi.name());
        }
    }
}

#[test]
fn symbolic_derivatives_of_formulas_are_the_derivatives() {
    for phi in all() {
        let derivative = phi.formula().derivative();
        for x in [-3.1, -0.7, 0.4, 2.2] {
            assert_relative(derivative.evaluate(x), phi.derivative(x), round_off(40), phi.name());
        }
    }
}

#[test]
fn means_are_those_of_quadrature() {
    for phi in all() {
        for q in [0.0, 0.3_f64, 2.5] {
            let by_quadrature = phi.expectation(q, |z| phi.value(q.sqrt() * z));
            assert_relative(phi.mean(q), by_quadrature, round_off(200), phi.name());
        }
    }
}

#[test]
fn expressions_read_as_written() {
    type Row = (&'static str, fn(f64) -> f64);
    let rows: [Row; 12] = [
        ("1 - 2 - 3", |_| -4.0),
        ("2 * x ^ 3 / 4", |x| 2.0 * x.powi(3) / 4.0),
        ("-x^2", |x| -x * x),
        ("(-x)^2", |x| x * x),
        ("- - x", |x| x),
        ("1.5e-1*x + .5", |x| 0.15 * x + 0.5),
        ("max(x, 0.1 * x)", |x| x.max(0.1 * x)),
        ("min(x, 1) + pi", |x| x.min(1.0) + std::f64::consts::PI),
        ("silu(x)", |x| x / (1.0 + (-x).exp())),
        ("tanh(sin(x)) * cos(2*x)", |x| x.sin().tanh() * (2.0 * x).cos()),
        ("log1p(exp(-abs(x))) + relu(x)", |x| x.max(0.0) + (-x.abs()).exp().ln_1p()),
        ("1 / (1 + x^2)", |x| 1.0 / (1.0 + x * x)),
    ];
    for (text, expected) in rows {
        let phi = expression(text);
        for x in [-2.3, -0.4, 0.7, 3.1] {
            assert_relative(phi.value(x), expected(x), round_off(8), text);
        }
    }
    let known = [
        (Activation::Exp, "exp(x)"),
        (Activation::Gelu, "gelu(x)"),
        (Activation::Softplus, "softplus(x)"),
        (Activation::Relu, "max(0, x)"),
    ];
    for (phi, text) in known {
        for (a, c, b) in [(1.3, 0.6, 0.7), (2.0, -1.1, 0.9)] {
            let (dual, own) = (phi.dual_pair(a, c, b), expression(text).dual_pair(a, c, b));
            assert_relative(own.value, dual.value, round_off(400), text);
            assert_relative(own.derivative, dual.derivative, round_off(400), text);
        }
    }
}

#[test]
fn formulas_that_cannot_be_read_name_the_column() {
    let rows = [
        ("x * ", "column 5: expected a number, x, a function or '(', found the end"),
        ("x x", "column 3: expected an operator or the end, found 'x'"),
        ("max(x)", "column 6: expected ',', found ')'"),
        ("(x + 1", "column 7: expected ')', found the end"),
        ("x^1.5", "column 3: expected a whole exponent from 0 to 64, found '1'"),
        ("x^-1", "column 3: expected a whole exponent from 0 to 64, found '-'"),
        ("1.2.3", "column 1: expected a finite number, found 1.2.3"),
        ("x + y", "column 5: expected numbers, x, pi"),
        ("1 / x", "the function or its derivative is not finite at x = 0; it must be on all of [-100, 100]"),
        ("exp(x^2)", "the function or its derivative is not finite at x = -100"),
        ("relu(sin(9 * x))", "the function has"),
        ("tanh(1000 * x)", "the function varies too fast to be integrated against a Gaussian"),
    ];
    for (text, expected) in rows {
        let found = Expression::parse(text).map_or_else(|error| error.to_string(), |_| "read".to_owned());
        assert!(found.starts_with(expected), "{text}: {found}");
    }
    let deep = format!("{}x{}", "(".repeat(100), ")".repeat(100));
    assert!(matches!(Expression::parse(&deep), Err(FormulaError::TooLarge { column: 65, .. })));
    assert!(matches!(Expression::parse(&"+x".repeat(2000)), Err(FormulaError::TooLarge { .. })));
}

#[test]
fn jumps_have_no_tangent_limit() {
    for phi in [Activation::Sign, expression("step(x - 0.3) + x")] {
        assert!(!phi.has_tangent_limit());
        let error = phi.require_tangent_limit().map_or_else(|error| error.to_string(), |()| "allowed".to_owned());
        assert!(error.contains("train the readout only"), "{error}");
    }
    assert!(all().iter().all(|phi| phi.has_tangent_limit() && phi.require_tangent_limit().is_ok()));
}
