use crate::bound::assert_relative;
use widthwise_theory::Activation;

/// Every activation, with parameters that leave nothing to symmetry.
pub(crate) fn all() -> Vec<Activation> {
    vec![
        Activation::Identity,
        Activation::Relu,
        Activation::LeakyRelu { slope: 0.2 },
        Activation::Abs,
        Activation::Erf,
        Activation::Tanh,
        Activation::Gelu,
        Activation::Silu,
        Activation::Softplus,
        Activation::Sin { frequency: 1.5, phase: 0.3 },
        Activation::Cos { frequency: 1.5, phase: 0.3 },
        Activation::Gaussian,
        Activation::Sigmoid,
        Activation::Polynomial { coefficients: vec![0.3, -0.7, 0.2, 0.1] },
    ]
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
