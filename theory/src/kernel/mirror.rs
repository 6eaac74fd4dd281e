//! Examples that are the negatives of others: `K(x, -x) = +-K(x, x)` to the last bit where every function on the way has a parity.
//!
//! A state of sign -1 at `-x` is the negative of that at `x`, or has its law: its covariance with the state at `x` is the
//! negative of the variance. Weights, convolutions and pooling keep the sign, an odd function keeps it, an even function makes it
//! +1. A bias keeps only +1. `Theta` has the sign of `K` all along: `Vd` is even for an odd function and odd for an even one.

use super::program::{Program, Step};
use crate::activation::Parity;

/// The sign after every weight layer, or `None` if there is none.
pub(super) fn signs(program: &Program) -> Option<Vec<f64>> {
    // Gates and masks are not the same at both.
    if program.gated || program.has_dropout {
        return None;
    }
    let mut signs = vec![1.0; program.sizes.len()];
    for source in &program.sources {
        signs[source.state] = -1.0;
    }
    let mut layers = Vec::new();
    for instruction in &program.instructions {
        let sign = signs[instruction.inputs[0].state];
        if instruction.inputs.iter().any(|input| signs[input.state] != sign) {
            return None;
        }
        signs[instruction.output] = match &instruction.step {
            Step::Dense(weights) | Step::Convolution(weights, _) => {
                if sign < 0.0 && weights.init.sigma_b2 > 0.0 {
                    return None;
                }
                layers.push(sign);
                sign
            }
            Step::Activation(function, _) => match function.parity() {
                Parity::Odd => sign,
                Parity::Even => 1.0,
                Parity::Neither if sign > 0.0 => sign,
                Parity::Neither => return None,
            },
            Step::Pool(..) | Step::GlobalPool | Step::Norm(_) | Step::Dropout(_) | Step::Sum(_) => sign,
        };
    }
    Some(layers)
}
