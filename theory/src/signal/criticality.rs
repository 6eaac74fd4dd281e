//! Signal propagation of single inputs and pairs through deep networks at infinite width: fixed points and phases.
//!
//! ```text
//! K^{l+1}      = sigma_w2 <phi^2>_K + sigma_b2
//! chi_perp(K)  = sigma_w2 <phi'^2>_K
//! chi_par(K)   = dK^{l+1}/dK^l = sigma_w2 d<phi^2>_K/dK
//! ```
//!
//! At a fixed point `q_star` nearby inputs converge (`chi_perp < 1`, ordered), separate (`chi_perp > 1`, chaotic) or do
//! neither (critical). In the chaotic phase correlations flow to `c_star < 1`, where
//! `c = (sigma_w2 V(q, c q, q) + sigma_b2)/q` with slope `sigma_w2 Vd(q, c q, q)`. Depth scales are
//! `xi = -1/ln|slope|`.
//!
//! Poole et al. 2016 (1606.05340); Schoenholz et al. 2017 (1611.01232); Hayou, Doucet and Rousseau 2019 (1902.06853);
//! half-stable points: Roberts, Yaida and Hanin 2022 (2106.10165), with `C_W = sigma_w2`, `C_b = sigma_b2`.

use crate::activation::Activation;
use crate::architecture::InitVariance;
use crate::error::TheoryError;

/// Steps of the recursion before Newton's iteration takes over.
const FLOW_STEPS: usize = 400;
/// Further steps, accelerated where the flow contracts.
const SLOW_STEPS: usize = 20_000;
/// `|chi_perp - 1|` below which a fixed point counts as critical.
const CRITICAL: f64 = 1e-9;
/// Variances beyond this count as divergence, below its inverse as zero.
const UNBOUNDED: f64 = 1e12;

/// Whether nearby inputs converge or separate with depth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// `chi_perp < 1`.
    Ordered,
    /// `chi_perp = 1` to 1e-9.
    Critical,
    /// `chi_perp > 1`.
    Chaotic,
}

/// Where single inputs and pairs flow to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FixedPoint {
    /// Variance `K*` of preactivations.
    pub q_star: f64,
    /// Slope of the covariance map at equal inputs.
    pub chi_perp: f64,
    /// Slope of the variance map.
    pub chi_par: f64,
    /// The phase.
    pub phase: Phase,
    /// Correlation that pairs flow to: 1 unless chaotic.
    pub c_star: f64,
    /// Slope of the correlation map at `c_star`.
    pub c_slope: f64,
    /// Depth scale of correlations, in layers; infinite at criticality.
    pub xi_c: f64,
    /// Depth scale of variances, in layers; infinite where `chi_par` is one.
    pub xi_q: f64,
}

fn no_prediction(reason: String) -> TheoryError {
    TheoryError::NoPrediction { reason }
}

impl InitVariance {
    /// Variance of the next preactivation, `sigma_w2 <phi^2>_k + sigma_b2`.
    pub fn next_variance(&self, activation: &Activation, k: f64) -> f64 {
        self.sigma_w2 * activation.dual_diagonal(k).value + self.sigma_b2
    }

    /// `chi_perp(k) = sigma_w2 <phi'^2>_k`.
    pub fn chi_perp(&self, activation: &Activation, k: f64) -> f64 {
        self.sigma_w2 * activation.dual_diagonal(k).derivative
    }

    /// `chi_par(k)`, the derivative of [`next_variance`](Self::next_variance).
    pub fn chi_par(&self, activation: &Activation, k: f64) -> f64 {
        self.sigma_w2 * activation.moments(k).square_slope
    }

    /// The variances `K^1 ..= K^layers` from `K^1 = first`.
    pub fn variance_flow(&self, activation: &Activation, first: f64, layers: usize) -> Vec<f64> {
        std::iter::successors(Some(first), |&k| Some(self.next_variance(activation, k))).take(layers).collect()
    }

    /// The fixed point that the variance reaches from `K^1 = first`.
    ///
    /// # Errors
    /// [`TheoryError::NoPrediction`] if the variance grows without bound.
    pub fn fixed_point(&self, activation: &Activation, first: f64) -> Result<FixedPoint, TheoryError> {
        let mut q = first;
        for _ in 0..FLOW_STEPS {
            let next = self.next_variance(activation, q);
            let settled = (next - q).abs() <= 4.0 * f64::EPSILON * next;
            q = next;
            if settled {
                return Ok(self.describe(activation, q));
            }
            if q.is_nan() || q > UNBOUNDED {
                return Err(self.unbounded(activation));
            }
        }
        for _ in 0..SLOW_STEPS {
            let excess = self.next_variance(activation, q) - q;
            let chi_par = self.chi_par(activation, q);
            // Where the flow contracts, Newton's step; where it does not, Newton would run against the flow.
            let step = if chi_par < 1.0 { excess / (1.0 - chi_par) } else { excess };
            if step.abs() <= 4.0 * f64::EPSILON * q {
                break;
            }
            q = (q + step).max(0.1 * q);
            if q < 1.0 / UNBOUNDED {
                q = 0.0;
                break;
            }
            if q.is_nan() || q > UNBOUNDED {
                return Err(self.unbounded(activation));
            }
        }
        Ok(self.describe(activation, q))
    }

    fn unbounded(&self, activation: &Activation) -> TheoryError {
        no_prediction(format!(
            "the preactivation variance grows without bound for {} with sigma_w2 = {} and sigma_b2 = {}",
            activation.name(),
            self.sigma_w2,
            self.sigma_b2
        ))
    }

    fn describe(&self, activation: &Activation, q_star: f64) -> FixedPoint {
        let (chi_perp, chi_par) = (self.chi_perp(activation, q_star), self.chi_par(activation, q_star));
        let (phase, c_star) = if (chi_perp - 1.0).abs() <= CRITICAL {
            (Phase::Critical, 1.0)
        } else if chi_perp < 1.0 {
            (Phase::Ordered, 1.0)
        } else {
            (Phase::Chaotic, self.chaotic_correlation(activation, q_star))
        };
        let c_slope = match phase {
            Phase::Chaotic => self.correlation_map(activation, q_star)(c_star).1,
            Phase::Ordered | Phase::Critical => chi_perp,
        };
        let depth_scale =
            |slope: f64| if (slope.abs() - 1.0).abs() <= CRITICAL { f64::INFINITY } else { -1.0 / slope.abs().ln() };
        FixedPoint {
            q_star,
            chi_perp,
            chi_par,
            phase,
            c_star,
            c_slope,
            xi_c: depth_scale(c_slope),
            xi_q: depth_scale(chi_par),
        }
    }

    /// Correlation after one layer and its slope, at variance `q`.
    fn correlation_map<'a>(&self, activation: &'a Activation, q: f64) -> impl Fn(f64) -> (f64, f64) + use<'a> {
        let InitVariance { sigma_w2, sigma_b2 } = *self;
        let series = (!activation.has_closed_form()).then(|| activation.hermite_series(q));
        move |c| {
            let dual = match &series {
                Some(series) => activation.dual_in_series((series, q), c * q, (series, q)),
                None => activation.dual_pair(q, c * q, q),
            };
            ((sigma_w2 * dual.value + sigma_b2) / q, sigma_w2 * dual.derivative)
        }
    }

    /// The map is convex on `[0, 1]`, not below zero at 0 and steeper than the diagonal at 1: one fixed point below 1.
    fn chaotic_correlation(&self, activation: &Activation, q: f64) -> f64 {
        let map = self.correlation_map(activation, q);
        let (mut low, mut high) = (0.0, 1.0);
        while high - low > f64::EPSILON {
            let middle = 0.5 * (low + high);
            if middle <= low || middle >= high {
                break;
            }
            if map(middle).0 > middle { low = middle } else { high = middle }
        }
        0.5 * (low + high)
    }
}

/// The point of the edge of chaos with `q_star` as fixed variance: `sigma_w2 = 1/<phi'^2>`,
/// `sigma_b2 = q_star - sigma_w2 <phi^2>`.
///
/// # Errors
/// [`TheoryError::NoPrediction`] if that needs a negative bias variance.
pub fn edge_of_chaos(activation: &Activation, q_star: f64) -> Result<InitVariance, TheoryError> {
    let dual = activation.dual_diagonal(q_star);
    let sigma_w2 = 1.0 / dual.derivative;
    let sigma_b2 = q_star - sigma_w2 * dual.value;
    let rounding = 16.0 * f64::EPSILON * q_star.max(sigma_w2 * dual.value);
    if sigma_b2 >= -rounding {
        // At a scale-invariant activation the difference is rounding, and the bias variance zero.
        return Ok(InitVariance { sigma_w2, sigma_b2: if sigma_b2 <= rounding { 0.0 } else { sigma_b2 } });
    }
    Err(no_prediction(format!(
        "{} has no edge of chaos at q_star = {q_star}: it would need sigma_b2 = {sigma_b2:.3e}, below zero",
        activation.name()
    )))
}

/// A fixed variance with `chi_perp = chi_par = 1`, stable from one side only, as GELU and SiLU have.
///
/// # Errors
/// [`TheoryError::NoPrediction`] if there is none with `0.05 < q_star < 100` and `sigma_b2 >= 0`.
pub fn half_stable_point(activation: &Activation) -> Result<(f64, InitVariance), TheoryError> {
    let mismatch = |q: f64| {
        let moments = activation.moments(q);
        moments.square_slope / moments.derivative_square - 1.0
    };
    let grid: Vec<f64> = (0..=64).map(|i| 0.05 * 2000_f64.powf(f64::from(i) / 64.0)).collect();
    for cell in grid.windows(2) {
        let (mut low, mut high) = (cell[0], cell[1]);
        let (below, above) = (mismatch(low), mismatch(high));
        let rising = above > 0.0;
        // A scale-invariant activation has zero mismatch everywhere, up to rounding.
        if (below > 0.0) == rising || below.abs().max(above.abs()) < CRITICAL {
            continue;
        }
        while high - low > 2.0 * f64::EPSILON * high {
            let middle = 0.5 * (low + high);
            if middle <= low || middle >= high {
                break;
            }
            if (mismatch(middle) > 0.0) == rising { high = middle } else { low = middle }
        }
        let q_star = 0.5 * (low + high);
        if let Ok(init) = edge_of_chaos(activation, q_star) {
            return Ok((q_star, init));
        }
    }
    Err(no_prediction(format!(
        "{} has no isolated point with chi_perp = chi_par = 1 and sigma_b2 >= 0 for 0.05 < q_star < 100",
        activation.name()
    )))
}
