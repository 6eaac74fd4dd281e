//! How far one mode of the kernel has been trained.
//!
//! Under a constant kernel every optimizer linear in the gradient acts on each eigenvalue `lambda` alone: the residual
//! of the mode is multiplied by `r_t = 1 - lambda s_t`. Here `s_t`, the integrated response, is found without dividing by
//! `lambda`, so that flat modes are exact:
//!
//! ```text
//! flow              s = (1 - exp(-lambda tau)) / lambda,                  tau = learning rate * time
//! gradient descent  s = (1 - (1 - eta lambda)^t) / lambda
//! momentum          u <- beta u + r,   s <- s + eta u                    (v <- beta v + g, theta <- theta - eta v)
//! Nesterov          u <- beta u + r,   s <- s + eta (r + beta u)         (theta <- theta - eta (g + beta v))
//! ```

/// An optimizer, its constants and how long it ran. Learning rates are for the loss `(1/2) sum (f - y)^2`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Training {
    /// Gradient flow.
    Flow {
        /// Learning rate times time; infinity for the limit.
        flow_time: f64,
    },
    /// Full-batch gradient descent.
    GradientDescent {
        /// Step size.
        learning_rate: f64,
        /// Number of steps; [`Training::FOREVER`] for the limit.
        steps: u64,
    },
    /// Heavy-ball momentum, the velocity starting at zero.
    Momentum {
        /// Step size.
        learning_rate: f64,
        /// Decay of the velocity.
        beta: f64,
        /// Number of steps; [`Training::FOREVER`] for the limit.
        steps: u64,
    },
    /// Nesterov's momentum in the form that evaluates the gradient at the stored parameters.
    Nesterov {
        /// Step size.
        learning_rate: f64,
        /// Decay of the velocity.
        beta: f64,
        /// Number of steps; [`Training::FOREVER`] for the limit.
        steps: u64,
    },
}

impl Training {
    /// Number of steps that stands for the limit of infinitely many, as an infinite flow time does for the flow.
    pub const FOREVER: u64 = u64::MAX;

    /// Whether this is the limit of infinite time.
    pub fn is_limit(&self) -> bool {
        match *self {
            Training::Flow { flow_time } => flow_time == f64::INFINITY,
            Training::GradientDescent { steps, .. }
            | Training::Momentum { steps, .. }
            | Training::Nesterov { steps, .. } => steps == Self::FOREVER,
        }
    }

    /// `s` in the limit: `1/lambda` if the mode converges, unbounded for a flat one, NaN for one that grows or keeps swinging.
    fn limit(&self, lambda: f64) -> f64 {
        let learning_rate = match *self {
            Training::Flow { .. } => 0.0,
            Training::GradientDescent { learning_rate, .. }
            | Training::Momentum { learning_rate, .. }
            | Training::Nesterov { learning_rate, .. } => learning_rate,
        };
        if lambda == 0.0 {
            f64::INFINITY
        } else if learning_rate < self.stable_learning_rate(lambda) {
            1.0 / lambda
        } else {
            f64::NAN
        }
    }

    /// `s_t` at eigenvalue `lambda >= 0`: displacement of the mode per unit of initial residual; NaN for a
    /// limit that does not exist.
    pub fn response(&self, lambda: f64) -> f64 {
        match *self {
            _ if self.is_limit() => self.limit(lambda),
            Training::Flow { flow_time } => {
                if lambda == 0.0 {
                    flow_time
                } else {
                    -(-lambda * flow_time).exp_m1() / lambda
                }
            }
            Training::GradientDescent { learning_rate, steps } => {
                let x = learning_rate * lambda;
                if lambda == 0.0 {
                    learning_rate * steps as f64
                } else if x < 1.0 {
                    -(steps as f64 * (-x).ln_1p()).exp_m1() / lambda
                } else {
                    let power = (1.0 - x).abs().powf(steps as f64);
                    (1.0 - if steps.is_multiple_of(2) { power } else { -power }) / lambda
                }
            }
            Training::Momentum { learning_rate, beta, steps } => {
                iterate(lambda, beta, steps, |_, velocity| learning_rate * velocity)
            }
            Training::Nesterov { learning_rate, beta, steps } => {
                iterate(lambda, beta, steps, |residual, velocity| learning_rate * (residual + beta * velocity))
            }
        }
    }

    /// `r_t = 1 - lambda s_t`: what is left of the residual of a mode; NaN for a limit that does not exist.
    pub fn residual_factor(&self, lambda: f64) -> f64 {
        match *self {
            _ if lambda == 0.0 => 1.0,
            _ if self.is_limit() => 0.0 * self.limit(lambda),
            Training::Flow { flow_time } => (-lambda * flow_time).exp(),
            Training::GradientDescent { learning_rate, steps } if learning_rate * lambda < 1.0 => {
                (steps as f64 * (-learning_rate * lambda).ln_1p()).exp()
            }
            _ => 1.0 - lambda * self.response(lambda),
        }
    }

    /// Largest stable learning rate at largest eigenvalue `largest`; infinite for the flow.
    ///
    /// `2/lambda` for gradient descent, `2 (1+beta)/lambda` with momentum, `2 (1+beta)/((1+2 beta) lambda)` with
    /// Nesterov's.
    pub fn stable_learning_rate(&self, largest: f64) -> f64 {
        match *self {
            Training::Flow { .. } => f64::INFINITY,
            Training::GradientDescent { .. } => 2.0 / largest,
            Training::Momentum { beta, .. } => 2.0 * (1.0 + beta) / largest,
            Training::Nesterov { beta, .. } => 2.0 * (1.0 + beta) / ((1.0 + 2.0 * beta) * largest),
        }
    }
}

fn iterate(lambda: f64, beta: f64, steps: u64, displacement: impl Fn(f64, f64) -> f64) -> f64 {
    let (mut response, mut velocity) = (0.0, 0.0);
    for _ in 0..steps {
        let residual = 1.0 - lambda * response;
        velocity = beta * velocity + residual;
        response += displacement(residual, velocity);
    }
    response
}
