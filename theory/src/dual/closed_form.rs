//! Dual activations in closed form.
//!
//! With `D = ab - c^2 >= 0`:
//!
//! | phi | V | Vd |
//! |---|---|---|
//! | slope `s` below 0 | `g sqrt(D) + m c`, `theta = atan2(sqrt(D), c)`, `g = (1-s)^2/(2 pi)`, `m = (1+s^2)/2 - g theta` | `m` |
//! | erf | `(2/pi) atan2(2c, Q)`, `Q^2 = 1 + 2a + 2b + 4D` | `4/(pi Q)` |
//! | GELU | `c/4 + [c t + (c^2 + ab S^2)/(P S)]/(2 pi)`, `P = (1+a)(1+b)`, `S^2 = 1 + a + b + D`, `t = atan2(c, S)` | `1/4 + t/(2 pi) + c/(2 pi S) [1/S^2 + (1-ab)/P + 1]` |
//! | `sin(wx+p)` | `(e1 - e2)/2`, `e1 = exp(w^2 (c - (a+b)/2))`, `e2 = cos(2p) exp(-w^2 (c + (a+b)/2))` | `w^2 (e1 + e2)/2` |
//! | `exp(-x^2)` | `1/Q` | `4c/Q^3` |
//!
//! Arc-cosine: Cho and Saul 2009; leaky: Tsuchida, Roosta-Khorasani and Gallagher 2017 (1711.09090); erf: Williams 1997;
//! GELU: Tsuchida, Pearce, van der Heide, Roosta and Gallagher 2020 (2002.08517).
//!
//! Each is written once over [`Real`]: for one pair with libm, for rows of pairs with vector instructions.

use std::f64::consts::{FRAC_1_PI, FRAC_2_PI, FRAC_PI_2, PI};

use super::Dual;
use super::real::Real;
use crate::activation::Activation;

/// Relative size of `ab - c^2`, in units of the rounding, below which rounding alone can have produced it.
const INDISTINGUISHABLE: f64 = 16.0;

/// Second moments of a pair of Gaussians.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair<T> {
    /// Variance of the first.
    pub(crate) a: T,
    /// Covariance.
    pub(crate) c: T,
    /// Variance of the second.
    pub(crate) b: T,
    /// `sqrt(ab)`.
    pub(crate) root: T,
}

impl<T: Real> Pair<T> {
    /// `ab - c^2` as a product, zero where it cannot be told from zero.
    #[inline(always)]
    pub(crate) fn determinant(&self) -> T {
        let determinant = (self.root - self.c) * (self.root + self.c);
        let noise = T::of(INDISTINGUISHABLE * T::EPSILON) * (self.root * self.root);
        if determinant > noise { determinant } else { T::of(0.0) }
    }
}

/// A closed form: `[V, Vd]` of a pair.
pub(crate) trait ClosedForm: Copy {
    /// Both duals.
    fn dual<T: Real>(&self, pair: Pair<T>) -> [T; 2];
}

/// Something to do with a closed form, whichever it is.
pub(crate) trait Visitor {
    /// What comes of it.
    type Output;

    /// Does it.
    fn visit(self, form: impl ClosedForm) -> Self::Output;
}

/// Shows `visitor` the closed form of `activation`; `None` if it has none.
pub(crate) fn visit<V: Visitor>(activation: &Activation, visitor: V) -> Option<V::Output> {
    Some(match activation {
        Activation::Identity => visitor.visit(Linear),
        Activation::Relu => visitor.visit(Kinked::new(0.0)),
        Activation::LeakyRelu { slope } => visitor.visit(Kinked::new(*slope)),
        Activation::Abs => visitor.visit(Kinked::new(-1.0)),
        Activation::Erf => visitor.visit(ErrorFunction),
        Activation::Gelu => visitor.visit(Gelu),
        Activation::Sin { frequency, phase } => visitor.visit(Wave::new(*frequency, *phase)),
        Activation::Cos { frequency, phase } => visitor.visit(Wave::new(*frequency, phase + FRAC_PI_2)),
        Activation::Gaussian => visitor.visit(Bump),
        Activation::Tanh
        | Activation::Silu
        | Activation::Softplus
        | Activation::Sigmoid
        | Activation::Polynomial { .. } => return None,
    })
}

struct One(Pair<f64>);

impl Visitor for One {
    type Output = Dual;

    fn visit(self, form: impl ClosedForm) -> Dual {
        let [value, derivative] = form.dual(self.0);
        Dual { value, derivative }
    }
}

/// The closed form, or `None` if `activation` has none.
pub(super) fn dual(activation: &Activation, a: f64, c: f64, b: f64) -> Option<Dual> {
    visit(activation, One(Pair { a, c, b, root: (a * b).sqrt() }))
}

/// The closed form at `a = c = b = q`, where `D` is exactly zero.
pub(super) fn diagonal(activation: &Activation, q: f64) -> Option<Dual> {
    match activation.negative_slope() {
        Some(slope) => {
            let half = 0.5 * (1.0 + slope * slope);
            Some(Dual { value: half * q, derivative: half })
        }
        None => dual(activation, q, q, q),
    }
}

#[derive(Clone, Copy)]
struct Linear;

impl ClosedForm for Linear {
    #[inline(always)]
    fn dual<T: Real>(&self, pair: Pair<T>) -> [T; 2] {
        [pair.c, T::of(1.0)]
    }
}

#[derive(Clone, Copy)]
struct Kinked {
    /// `(1 - s)^2 / (2 pi)`.
    g: f64,
    /// `(1 + s^2) / 2`.
    half: f64,
}

impl Kinked {
    fn new(slope: f64) -> Self {
        Self { g: (1.0 - slope).powi(2) / (2.0 * PI), half: 0.5 * (1.0 + slope * slope) }
    }
}

impl ClosedForm for Kinked {
    #[inline(always)]
    fn dual<T: Real>(&self, pair: Pair<T>) -> [T; 2] {
        let r = pair.determinant().sqrt();
        let g = T::of(self.g);
        let derivative = T::of(self.half) - g * r.angle(pair.c, pair.root);
        [g * r + derivative * pair.c, derivative]
    }
}

/// `sqrt((1 + 2a)(1 + 2b) - 4 c^2)`.
#[inline(always)]
fn doubled_root<T: Real>(pair: Pair<T>) -> T {
    (T::of(1.0) + T::of(2.0) * (pair.a + pair.b) + T::of(4.0) * pair.determinant()).sqrt()
}

#[derive(Clone, Copy)]
struct ErrorFunction;

impl ClosedForm for ErrorFunction {
    #[inline(always)]
    fn dual<T: Real>(&self, pair: Pair<T>) -> [T; 2] {
        let q = doubled_root(pair);
        [T::of(FRAC_2_PI) * (T::of(2.0) * pair.c).slope_angle(q), T::of(4.0 * FRAC_1_PI) / q]
    }
}

#[derive(Clone, Copy)]
struct Gelu;

impl ClosedForm for Gelu {
    #[inline(always)]
    fn dual<T: Real>(&self, Pair { a, c, b, root }: Pair<T>) -> [T; 2] {
        let [one, quarter] = [1.0, 0.25].map(T::of);
        let turn = T::of(0.5 * FRAC_1_PI);
        let p = (one + a) * (one + b);
        let s2 = one + a + b + Pair { a, c, b, root }.determinant();
        let s = s2.sqrt();
        let t = c.slope_angle(s);
        // One division for all: 1/(PS), 1/S = P/(PS).
        let inverse = (p * s).recip();
        let inverse_s = p * inverse;
        let value = quarter * c + turn * (c * t + (c * c + a * b * s2) * inverse);
        let bracket = p * (inverse_s * inverse_s) + (one - a * b) + p;
        [value, quarter + turn * (t + c * inverse * bracket)]
    }
}

#[derive(Clone, Copy)]
struct Wave {
    /// `w^2`.
    rate: f64,
    /// `cos(2p)`.
    cosine: f64,
}

impl Wave {
    fn new(frequency: f64, phase: f64) -> Self {
        Self { rate: frequency * frequency, cosine: (2.0 * phase).cos() }
    }
}

impl ClosedForm for Wave {
    #[inline(always)]
    fn dual<T: Real>(&self, Pair { a, c, b, .. }: Pair<T>) -> [T; 2] {
        let (rate, half) = (T::of(self.rate), T::of(0.5));
        let middle = half * (a + b);
        let e1 = (rate * (c - middle)).exp();
        let e2 = T::of(self.cosine) * (-rate * (c + middle)).exp();
        [half * (e1 - e2), half * rate * (e1 + e2)]
    }
}

#[derive(Clone, Copy)]
struct Bump;

impl ClosedForm for Bump {
    #[inline(always)]
    fn dual<T: Real>(&self, pair: Pair<T>) -> [T; 2] {
        let inverse = doubled_root(pair).recip();
        [inverse, T::of(4.0) * pair.c * inverse * inverse * inverse]
    }
}
