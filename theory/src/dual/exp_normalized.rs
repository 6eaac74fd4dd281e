//! The exp-normalized kernel map, which belongs to no finite network.
//!
//! `V = sqrt(ab) exp(g (c/sqrt(ab) - 1))` and `Vd = g exp(g (c/sqrt(ab) - 1))`: a kernel that keeps norms and sharpens angles.
//! Shankar, Fang, Guo, Fridovich-Keil, Ragan-Kelley, Schmidt and Recht 2020, "Neural kernels without tangents" (2003.02237);
//! `Vd` is the rule of the library neural-tangents for this map, not the tangent kernel of a network.

use super::Dual;
use super::series::correlation;

/// `[V, Vd]` of the exp-normalized map at variances `a`, `b` and covariance `c`; `gamma` is `g`.
///
/// At a variance of zero the correlation counts as 0.
pub fn exp_normalized_dual(gamma: f64, a: f64, c: f64, b: f64) -> Dual {
    let root = (a * b).sqrt();
    let decay = (gamma * (correlation(c, root).clamp(-1.0, 1.0) - 1.0)).exp();
    Dual { value: root * decay, derivative: gamma * decay }
}
