//! Duals of the functions that the logistic function makes: tanh, sigmoid, softplus and silu.
//!
//! A logistic variable is a normal one of random width (Andrews and Mallows 1974): with `K` of Kolmogorov's distribution
//! `sigmoid(x) = E Phi(x / 2K)`, so that `tanh(x) = E erf(x / (sqrt(2) K))`, `softplus(x) = E relu(x + 2K n)` with normal `n`, and
//! `silu(x) = E x Phi(x / 2K)`. The dual is then the average over independent `K`, `K'` of a closed form. With
//!
//! ```text
//! A = a/(a + w^2)   A' = w^2/(a + w^2)   w = 2K (tanh: K)   and B, B', w' of b and K'
//! r = rho sqrt(A B)   e = 1 - r^2 = A B (1 - rho^2) + A B' + A' B + A' B'   D = sqrt((a + w^2)(b + w'^2))
//! t = atan2(r, sqrt(e))   psi = pi - theta = pi/2 + t   k = sqrt(e) + r psi
//!
//!            V                                                   Vd
//! tanh       2/pi t                                              2/pi / (D sqrt(e))
//! sigmoid    psi/(2 pi)                                          1/(2 pi) / (D sqrt(e))
//! softplus   D k/(2 pi)                                          psi/(2 pi)
//! silu       D [r psi + A B sqrt(e) + r^2 A' B'/sqrt(e)]/(2 pi)  [psi + r/sqrt(e) (A' B' (1 + 1/e) + 1 - A B)]/(2 pi)
//! ```
//!
//! Nothing cancels in `e`, at any variance and correlation, and tanh is odd in `rho` to the last bit. The average is a
//! trapezoid rule in `ln K`, in whose strip of half-width `pi/4` the density of `K` and the closed forms are analytic: the step
//! 0.11 leaves an error of 1e-16, and 31 nodes are above rounding.

use std::f64::consts::{FRAC_1_PI, FRAC_2_PI, PI};
use std::sync::LazyLock;

use pulp::{Arch, Simd, WithSimd};

use super::Dual;
use super::real::{Lane, Real};

/// Step of the trapezoid rule in `ln K`.
const STEP: f64 = 0.11;
/// Its first node, in steps.
const FIRST: i32 = -17;
/// Nodes, a multiple of every vector length; those at the end are negligible.
const NODES: usize = 32;

type NodeRow = [f64; NODES];

/// `K` and the weight of every node.
static KOLMOGOROV: LazyLock<(NodeRow, NodeRow)> = LazyLock::new(|| {
    let widths: NodeRow = std::array::from_fn(|i| (STEP * f64::from(FIRST + i as i32)).exp());
    let weights = widths.map(|width| STEP * width * density(width));
    let sum: f64 = weights.iter().sum();
    (widths, weights.map(|weight| weight / sum))
});

/// The density of Kolmogorov's distribution, by the one of two series that converges at once.
fn density(width: f64) -> f64 {
    let square = width * width;
    let terms = (1..=8).map(f64::from);
    if width > 0.9 {
        let term = |k: f64| k * k * (-2.0 * k * k * square).exp() * if k % 2.0 == 1.0 { 1.0 } else { -1.0 };
        return 8.0 * width * terms.map(term).sum::<f64>();
    }
    let term = |k: f64| {
        let x = (2.0 * k - 1.0).powi(2) * PI * PI / (8.0 * square);
        (2.0 * x - 1.0) / square * (-x).exp()
    };
    (2.0 * PI).sqrt() * terms.map(term).sum::<f64>()
}

/// One of the functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Logistic {
    /// `tanh(x)`.
    Tanh,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// `ln(1 + e^x)`.
    Softplus,
    /// `x / (1 + e^-x)`.
    Silu,
}

/// What one variance contributes at every width.
struct VarianceTerms {
    /// `sqrt(A)`, `A` and `A'`.
    root: NodeRow,
    share: NodeRow,
    rest: NodeRow,
    /// `sqrt(q + w^2)`.
    scale: NodeRow,
}

impl VarianceTerms {
    fn new(function: Logistic, q: f64) -> Self {
        let unit = if function == Logistic::Tanh { 1.0 } else { 2.0 };
        let squares = KOLMOGOROV.0.map(|width| (unit * width).powi(2));
        let share = squares.map(|square| q / (q + square));
        Self {
            root: share.map(f64::sqrt),
            share,
            rest: squares.map(|square| square / (q + square)),
            scale: squares.map(|square| (q + square).sqrt()),
        }
    }
}

impl Logistic {
    /// Both duals at variances `a` and `b`, correlation `rho` and `gap = 1 - rho^2`.
    pub(crate) fn dual(self, a: f64, b: f64, rho: f64, gap: f64) -> Dual {
        // The same sum to the last bit with the two exchanged.
        let [left, right] = [a.min(b), a.max(b)].map(|q| VarianceTerms::new(self, q));
        let [value, derivative] = Arch::new().dispatch(Average { function: self, left, right, rho, gap });
        Dual { value, derivative }
    }

    /// `E phi(sqrt(q) z)`.
    pub(crate) fn mean(self, q: f64) -> f64 {
        let average = |part: fn(f64, f64) -> f64| {
            let (widths, weights) = &*KOLMOGOROV;
            widths.iter().zip(weights).map(|(width, weight)| weight * part(q, 4.0 * width * width)).sum::<f64>()
                / (2.0 * PI).sqrt()
        };
        match self {
            Self::Tanh => 0.0,
            Self::Sigmoid => 0.5,
            Self::Softplus => average(|q, square| (q + square).sqrt()),
            // The root twice: the square of a small variance is no number any more.
            Self::Silu => average(|q, square| q.sqrt() * (q / (q + square)).sqrt()),
        }
    }
}

struct Average {
    function: Logistic,
    left: VarianceTerms,
    right: VarianceTerms,
    rho: f64,
    gap: f64,
}

impl WithSimd for Average {
    type Output = [f64; 2];

    #[inline(always)]
    fn with_simd<I: Simd>(self, _instructions: I) -> [f64; 2] {
        if I::IS_SCALAR { self.average::<false>() } else { self.average::<true>() }
    }
}

impl Average {
    #[inline(always)]
    fn average<const FUSED: bool>(&self) -> [f64; 2] {
        match self.function {
            Logistic::Tanh => self.sum::<FUSED>(tanh),
            Logistic::Sigmoid => self.sum::<FUSED>(sigmoid),
            Logistic::Softplus => self.sum::<FUSED>(softplus),
            Logistic::Silu => self.sum::<FUSED>(silu),
        }
    }

    #[expect(
        clippy::needless_range_loop,
        reason = "loops over several arrays of fixed length become vector instructions"
    )]
    #[inline(always)]
    fn sum<const FUSED: bool>(&self, form: impl Fn(Term<Lane<f64, FUSED>>) -> [Lane<f64, FUSED>; 2]) -> [f64; 2] {
        let weights = &KOLMOGOROV.1;
        let (left, right) = (&self.left, &self.right);
        let mut totals = [[0.0; NODES]; 2];
        for i in 0..NODES {
            let [share, rest, root, scale] = [left.share[i], left.rest[i], self.rho * left.root[i], left.scale[i]];
            let (near, weight) = (share * self.gap, weights[i]);
            // A loop over arrays of fixed length and no closures: it becomes vector instructions.
            for j in 0..NODES {
                let rests = rest * right.rest[j];
                let mixed = share * right.rest[j] + rest * right.share[j] + rests;
                let [value, derivative] = form(Term {
                    r: Lane(root * right.root[j]),
                    e: Lane(near * right.share[j] + mixed),
                    shares: Lane(share * right.share[j]),
                    rests: Lane(rests),
                    mixed: Lane(mixed),
                    scale: Lane(scale * right.scale[j]),
                });
                totals[0][j] += weight * value.0;
                totals[1][j] += weight * derivative.0;
            }
        }
        totals.map(|totals| totals.iter().zip(weights).map(|(total, weight)| total * weight).sum())
    }
}

/// One pair of widths, in the letters of the top of this file.
struct Term<T> {
    r: T,
    e: T,
    /// `A B`.
    shares: T,
    /// `A' B'`.
    rests: T,
    /// `1 - A B`.
    mixed: T,
    /// `D`.
    scale: T,
}

#[inline(always)]
fn tanh<T: Real>(term: Term<T>) -> [T; 2] {
    let root = term.e.sqrt();
    let turn = T::of(FRAC_2_PI);
    [turn * term.r.slope_angle(root), turn / (term.scale * root)]
}

#[inline(always)]
fn sigmoid<T: Real>(term: Term<T>) -> [T; 2] {
    let root = term.e.sqrt();
    let turn = T::of(0.5 * FRAC_1_PI);
    [turn * root.angle(-term.r, T::of(1.0)), turn / (term.scale * root)]
}

#[inline(always)]
fn softplus<T: Real>(term: Term<T>) -> [T; 2] {
    let root = term.e.sqrt();
    let turn = T::of(0.5 * FRAC_1_PI);
    let psi = root.angle(-term.r, T::of(1.0));
    let bracket = if psi < T::of(SMALL_ANGLE) { sine_less_product(psi) } else { term.r * psi + root };
    [turn * term.scale * bracket, turn * psi]
}

#[inline(always)]
fn silu<T: Real>(term: Term<T>) -> [T; 2] {
    let root = term.e.sqrt();
    let turn = T::of(0.5 * FRAC_1_PI);
    let inverse = root.recip();
    let psi = root.angle(-term.r, T::of(1.0));
    let small = sine_less_product(psi) - term.mixed * root;
    let bracket = if psi < T::of(SMALL_ANGLE) { small } else { term.r * psi + term.shares * root };
    let value = term.scale * (bracket + term.r * term.r * term.rests * inverse);
    let slope = term.rests * (T::of(1.0) + inverse * inverse) + term.mixed;
    [turn * value, turn * (psi + term.r * inverse * slope)]
}

/// Below it `sin x - x cos x` cancels.
const SMALL_ANGLE: f64 = 0.6;

/// `sin x - x cos x` by its Taylor series, to rounding below [`SMALL_ANGLE`].
#[inline(always)]
fn sine_less_product<T: Real>(x: T) -> T {
    const COEFFICIENTS: [f64; 8] = [
        1.0 / 3.0,
        -1.0 / 30.0,
        1.0 / 840.0,
        -1.0 / 45_360.0,
        1.0 / 3_991_680.0,
        -1.0 / 518_918_400.0,
        1.0 / 93_405_312_000.0,
        -1.0 / 22_230_464_256_000.0,
    ];
    let square = x * x;
    let mut sum = T::of(COEFFICIENTS[7]);
    for i in (0..7).rev() {
        sum = sum.mul_add(square, T::of(COEFFICIENTS[i]));
    }
    sum * square * x
}
