//! One activation of every kind, for whatever has to hold for all of them.

use super::{Activation, Expression, FormulaError};

/// One activation of every kind, with parameters that leave nothing to symmetry.
///
/// # Errors
/// None; the formula of its expression is one that parses.
pub fn one_of_each() -> Result<Vec<Activation>, FormulaError> {
    Ok(vec![
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
        Activation::Exp,
        Activation::Sign,
        Activation::Rbf { gamma: 0.4 },
        Activation::Hermite { degree: 3 },
        Activation::Expression { formula: Expression::parse("x * sigmoid(1.702 * x)")? },
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where each stands in the list. A new activation is a new arm here, and a new entry there.
    fn place(activation: &Activation) -> usize {
        match activation {
            Activation::Identity => 0,
            Activation::Relu => 1,
            Activation::LeakyRelu { .. } => 2,
            Activation::Abs => 3,
            Activation::Erf => 4,
            Activation::Tanh => 5,
            Activation::Gelu => 6,
            Activation::Silu => 7,
            Activation::Softplus => 8,
            Activation::Sin { .. } => 9,
            Activation::Cos { .. } => 10,
            Activation::Gaussian => 11,
            Activation::Sigmoid => 12,
            Activation::Polynomial { .. } => 13,
            Activation::Exp => 14,
            Activation::Sign => 15,
            Activation::Rbf { .. } => 16,
            Activation::Hermite { .. } => 17,
            Activation::Expression { .. } => 18,
        }
    }

    /// How many there are: one more than the last place.
    const KINDS: usize = 19;

    #[test]
    fn every_kind_is_listed_once() {
        let places: Vec<usize> = one_of_each().unwrap().iter().map(place).collect();
        assert_eq!(places, (0..KINDS).collect::<Vec<_>>());
    }
}
