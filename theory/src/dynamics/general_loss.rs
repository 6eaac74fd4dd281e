//! Gradient flow of the outputs under a constant kernel for any loss: `df(X)/dtau = -Theta(X, X) dL/df(X)`.
//!
//! There is no closed form unless the loss is quadratic. The classical Runge-Kutta method of order four is run twice a step,
//! once in halves; their difference controls the step, and Richardson extrapolation improves the result.

use faer::{Mat, MatRef};

use super::expect_shape;
use crate::error::TheoryError;

/// Steps after which the integration gives up.
const MAX_STEPS: usize = 1_000_000;

/// Outputs at the end of a flow.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneralLossSolution {
    /// `N x outputs`.
    pub outputs: Mat<f64>,
    /// `-` the time integral of `dL/df(X)`: test outputs move by `Theta(x, X)` times this.
    pub impulse: Mat<f64>,
    /// Accepted steps.
    pub steps: usize,
}

/// Integrates the flow to `flow_time` (learning rate times time) from `initial`.
///
/// # Shapes
/// `ntk` `N x N`; `initial`, and the matrix that `loss_gradient` makes of such outputs, `N x outputs`. `tolerance`
/// bounds the local error of every output a step, absolute.
///
/// # Errors
/// A shape mismatch, or [`TheoryError::NoPrediction`] if the flow is too stiff or not finite.
pub fn train_general_loss(
    ntk: MatRef<'_, f64>,
    initial: MatRef<'_, f64>,
    flow_time: f64,
    tolerance: f64,
    loss_gradient: impl Fn(MatRef<'_, f64>) -> Mat<f64>,
) -> Result<GeneralLossSolution, TheoryError> {
    expect_shape("training kernel (columns)", ntk.nrows(), ntk.ncols())?;
    expect_shape("initial outputs (examples)", ntk.nrows(), initial.nrows())?;
    // The impulse is integrated; outputs follow from it by one product, on training and test examples alike.
    let outputs = |impulse: &Mat<f64>| initial + ntk * impulse;
    let force = |impulse: &Mat<f64>| -loss_gradient(outputs(impulse).as_ref());
    let step = |impulse: &Mat<f64>, first: &Mat<f64>, h: f64| {
        let second = force(&(impulse + first * (0.5 * h)));
        let third = force(&(impulse + &second * (0.5 * h)));
        let fourth = force(&(impulse + &third * h));
        impulse + (first + (&second + &third) * 2.0 + fourth) * (h / 6.0)
    };
    let mut impulse = Mat::zeros(initial.nrows(), initial.ncols());
    let (mut time, mut h, mut steps) = (0.0, flow_time / 16.0, 0);
    for _ in 0..MAX_STEPS {
        if time >= flow_time {
            return Ok(GeneralLossSolution { outputs: outputs(&impulse), impulse, steps });
        }
        h = h.min(flow_time - time);
        let first = force(&impulse);
        let whole = step(&impulse, &first, h);
        let middle = step(&impulse, &first, 0.5 * h);
        let halves = step(&middle, &force(&middle), 0.5 * h);
        let difference = &halves - &whole;
        let error = (ntk * &difference).norm_max() / 15.0;
        if error <= tolerance {
            time += h;
            steps += 1;
            impulse = halves + difference * (1.0 / 15.0);
        }
        let growth = 0.9 * (tolerance / error).powf(0.2);
        h *= if growth.is_nan() { 0.2 } else { growth.clamp(0.2, 4.0) };
    }
    Err(TheoryError::NoPrediction {
        reason: format!(
            "the flow reached time {time:e} of {flow_time:e} after {MAX_STEPS} steps; allow a larger tolerance"
        ),
    })
}
