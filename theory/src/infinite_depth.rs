//! Classifiers that are infinitely wide and infinitely deep.
//!
//! Inputs of length one, an activation scaled to `E phi^2 = 1`, no biases, `kappa(rho) = sum_k a_k^2 rho^k` its dual. Iterating
//! `kappa` drives every kernel of two different inputs to one limit, and what is left of the differences decides (Radhakrishnan,
//! Belkin and Uhler 2023, "Wide and deep neural networks achieve consistency for classification", 2204.14126):
//!
//! ```text
//! a_0 = 0, 0 < |a_1| < 1   kappa^L(rho) ~ a_1^{2L} R(rho),   Theta_L(rho) = L a_1^{2L} R(rho) + O(a_1^{2L})
//!                          classifier sign sum_i y_i R(<x, x_i>),   R(rho) ~ |x - x'|^{-alpha} near rho = 1,
//!                          alpha = -4 ln|a_1| / ln kappa'(1)         from R(kappa(rho)) = a_1^2 R(rho)
//! a_0 != 0                 majority vote
//! a_0 = a_1 = 0            nearest neighbour
//! ```
//!
//! If `alpha` is the dimension of the sphere that the inputs fill, the first is the consistent Hilbert kernel classifier. The first
//! row and its exponent are derived and checked here; the boundaries between the three rows are as the paper states them, **not
//! verified here**.
//!
//! Near `rho = 1` it is `e = 1 - rho` that is iterated, from `1 - kappa(1 - e) = e int_0^1 2t kappa'(1 - e t^2) dt`, where nothing cancels:
//! otherwise different inputs that are close drown in rounding within a few dozen layers. `R` is infinite at `rho = 1`: an
//! input that is among the training examples gets their label.
//!
//! At finite depth the `O(a_1^{2L})` term of the tangent kernel has the exponent `alpha + 2` and hides `R` wherever
//! `|x - x'|^2 < 1/L`; the covariance has the exponent `alpha` at once.

use faer::{Mat, MatRef};

use crate::activation::Activation;
use crate::dual::{Dual, HermiteSeries, panel};
use crate::dynamics::expect_shape;
use crate::error::TheoryError;

/// Coefficients `a_0^2`, `a_1^2` below this count as zero; the `a_1` of a closed form is known however small.
const ZERO: f64 = 1e-20;
/// A correlation this small obeys the linear map to rounding.
const LINEAR: f64 = 1e-17;
/// Where the iteration of `e` hands over to that of `rho`.
const NEAR: f64 = 0.5;
/// Layers after which an input pair counts as not separating.
const MAX_LAYERS: usize = 1_000_000;
/// How far the squared length of an input may be from one.
const UNIT: f64 = 1e-9;

/// What an infinitely deep and wide network of one activation does.
#[derive(Debug, Clone)]
pub enum InfiniteDepth {
    /// All inputs get the class that most training examples have.
    MajorityVote,
    /// Every input gets the class of the training example nearest to it.
    NearestNeighbour,
    /// The classes of all training examples are weighted with a kernel that is singular where inputs coincide.
    Singular(SingularKernel),
}

/// `R(rho) = lim kappa^L(rho) / a_1^{2L}`.
#[derive(Debug, Clone)]
pub struct SingularKernel {
    map: DualMap,
    /// `a_1^2`.
    linear: f64,
    /// `kappa'(1)`.
    slope: f64,
}

/// Covariance and tangent kernel after a number of layers, both divided by `a_1^{2L}`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DepthKernels {
    /// `kappa^L(rho) / a_1^{2L}`.
    pub nngp: f64,
    /// `Theta_L(rho) / a_1^{2L}`, `Theta_0 = rho`.
    pub ntk: f64,
}

/// `kappa` of an activation scaled to `E phi^2 = 1`.
#[derive(Debug, Clone)]
struct DualMap {
    activation: Activation,
    series: Option<HermiteSeries>,
    scale: f64,
}

impl DualMap {
    fn new(activation: &Activation) -> Result<Self, TheoryError> {
        let scale = activation.dual_diagonal(1.0).value;
        if !(scale > 0.0 && scale.is_finite()) {
            return Err(TheoryError::NoPrediction { reason: format!("{} vanishes identically", activation.name()) });
        }
        let series = (!activation.has_closed_form()).then(|| activation.hermite_series(1.0));
        Ok(Self { activation: activation.clone(), series, scale })
    }

    /// `kappa` and `kappa'` at `rho`.
    fn at(&self, rho: f64) -> Dual {
        let dual = match &self.series {
            _ if rho == 1.0 => self.activation.dual_diagonal(1.0),
            Some(series) => self.activation.dual_in_series((series, 1.0), rho, (series, 1.0)),
            None => self.activation.dual_pair(1.0, rho, 1.0),
        };
        Dual { value: dual.value / self.scale, derivative: dual.derivative / self.scale }
    }

    /// `1 - kappa(1 - e)`, without cancellation.
    fn gap(&self, e: f64) -> f64 {
        e * panel(0.0, 1.0, |t| 2.0 * t * self.at(1.0 - e * t * t).derivative)
    }
}

/// A correlation, kept as its distance from one where that is small.
#[derive(Debug, Clone, Copy)]
enum Correlation {
    Near(f64),
    Far(f64),
}

impl Correlation {
    fn from_gap(e: f64) -> Self {
        if e <= NEAR { Correlation::Near(e) } else { Correlation::Far(1.0 - e) }
    }

    fn rho(self) -> f64 {
        match self {
            Correlation::Near(e) => 1.0 - e,
            Correlation::Far(rho) => rho,
        }
    }

    /// The correlation one layer on, with `kappa'` here.
    fn next(self, map: &DualMap) -> (Self, f64) {
        let dual = map.at(self.rho());
        let next = match self {
            Correlation::Near(e) => Self::from_gap(map.gap(e)),
            Correlation::Far(_) => Correlation::Far(dual.value),
        };
        (next, dual.derivative)
    }
}

impl InfiniteDepth {
    /// The classifier of an activation, which is scaled to `E phi^2 = 1` under a standard normal.
    ///
    /// # Errors
    /// [`TheoryError::NoPrediction`] for a linear activation, which depth does not change, or one that vanishes.
    pub fn of(activation: &Activation) -> Result<Self, TheoryError> {
        let map = DualMap::new(activation)?;
        let (origin, slope) = (map.at(0.0), map.at(1.0).derivative);
        if origin.value > ZERO {
            return Ok(InfiniteDepth::MajorityVote);
        }
        let linear = origin.derivative;
        let least = if activation.has_closed_form() { 0.0 } else { ZERO };
        if linear <= least {
            return Ok(InfiniteDepth::NearestNeighbour);
        }
        if 1.0 - linear <= 1e3 * f64::EPSILON || slope <= 1.0 {
            let reason = format!("{} is linear: its kernel does not change with depth", activation.name());
            return Err(TheoryError::NoPrediction { reason });
        }
        Ok(InfiniteDepth::Singular(SingularKernel { map, linear, slope }))
    }

    /// Weighted means of the targets at test inputs: the class is the sign for one output of `+-1`, the largest of one-hot ones.
    ///
    /// # Shapes
    /// `train` `N x d` and `test` `T x d`, rows of length one; `targets` `N x outputs`; the result is `T x outputs`. Every
    /// entry lies within the range of the targets in size.
    ///
    /// # Errors
    /// A shape mismatch, or [`TheoryError::NoPrediction`] for no examples, an input whose length is not one, or a test input that
    /// no training example decides.
    pub fn classify(
        &self,
        train: MatRef<'_, f64>,
        targets: MatRef<'_, f64>,
        test: MatRef<'_, f64>,
    ) -> Result<Mat<f64>, TheoryError> {
        expect_shape("test inputs (features)", train.ncols(), test.ncols())?;
        expect_shape("targets (examples)", train.nrows(), targets.nrows())?;
        if train.nrows() == 0 {
            return Err(TheoryError::NoPrediction { reason: "no training examples".into() });
        }
        for input in train.row_iter().chain(test.row_iter()) {
            let squared = input.norm_l2().powi(2);
            if (squared - 1.0).abs() <= UNIT {
                continue;
            }
            let reason = format!("an input of squared length {squared}; infinite depth is known for length 1 only");
            return Err(TheoryError::NoPrediction { reason });
        }
        let mut scores = Mat::zeros(test.nrows(), targets.ncols());
        for t in 0..test.nrows() {
            // |x - x'|^2 / 2 is 1 - <x, x'> without cancellation.
            let gaps: Vec<f64> =
                (0..train.nrows()).map(|i| 0.5 * (test.row(t) - train.row(i)).squared_norm_l2()).collect();
            let weights = self.weights(&gaps)?;
            let total: f64 = weights.iter().map(|weight| weight.abs()).sum();
            if total.is_nan() || total <= 0.0 {
                let reason = format!(
                    "test input {} is orthogonal to every training example, where the kernel of an infinitely deep network is 0: it \
                     has no class; leave it out, or add a training example that is not orthogonal to it",
                    t + 1
                );
                return Err(TheoryError::NoPrediction { reason });
            }
            for o in 0..targets.ncols() {
                let sum: f64 = weights.iter().enumerate().map(|(i, weight)| weight * targets[(i, o)]).sum();
                scores[(t, o)] = sum / total;
            }
        }
        Ok(scores)
    }

    /// Weights of the training examples, up to a common factor.
    fn weights(&self, gaps: &[f64]) -> Result<Vec<f64>, TheoryError> {
        let nearest = gaps.iter().copied().fold(f64::INFINITY, f64::min);
        let indicator = |gap: &f64| if *gap == nearest { 1.0 } else { 0.0 };
        match self {
            InfiniteDepth::MajorityVote => Ok(vec![1.0; gaps.len()]),
            InfiniteDepth::Singular(kernel) if nearest > 0.0 => {
                let values: Vec<(f64, f64)> =
                    gaps.iter().map(|gap| kernel.sign_and_log(*gap)).collect::<Result<_, _>>()?;
                let largest = values.iter().map(|(_, log)| *log).fold(f64::NEG_INFINITY, f64::max);
                let relative = |(sign, log): &(f64, f64)| if *sign == 0.0 { 0.0 } else { sign * (log - largest).exp() };
                Ok(values.iter().map(relative).collect())
            }
            InfiniteDepth::NearestNeighbour | InfiniteDepth::Singular(_) => Ok(gaps.iter().map(indicator).collect()),
        }
    }
}

impl SingularKernel {
    /// `alpha` of `R ~ |x - x'|^{-alpha}`.
    pub fn exponent(&self) -> f64 {
        -2.0 * self.linear.ln() / self.slope.ln()
    }

    /// `a_1^2`, the factor by which kernels of different inputs shrink a layer.
    pub fn decay(&self) -> f64 {
        self.linear
    }

    /// `kappa'(1)`, the factor by which nearby inputs move apart a layer, as `|x - x'|^2`.
    pub fn separation(&self) -> f64 {
        self.slope
    }

    /// `R` at `gap = 1 - rho = |x - x'|^2 / 2`, from 0 (infinite) to 2.
    ///
    /// # Errors
    /// [`TheoryError::NoPrediction`] for a gap out of its range.
    pub fn value(&self, gap: f64) -> Result<f64, TheoryError> {
        let (sign, log) = self.sign_and_log(gap)?;
        Ok(if sign == 0.0 { 0.0 } else { sign * log.exp() })
    }

    /// Both kernels after `depth` hidden layers, at `gap = 1 - rho`.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    pub fn at_depth(&self, gap: f64, depth: usize) -> Result<DepthKernels, TheoryError> {
        let mut at = self.start(gap)?;
        let mut kernels = DepthKernels { nngp: at.rho(), ntk: at.rho() };
        for _ in 0..depth {
            let rho = at.rho();
            let (next, derivative) = at.next(&self.map);
            kernels.nngp *= if rho.abs() < LINEAR { 1.0 } else { next.rho() / (self.linear * rho) };
            kernels.ntk = kernels.nngp + derivative / self.linear * kernels.ntk;
            at = next;
        }
        Ok(kernels)
    }

    fn start(&self, gap: f64) -> Result<Correlation, TheoryError> {
        if (0.0..=2.0 + UNIT).contains(&gap) {
            return Ok(Correlation::from_gap(gap));
        }
        Err(TheoryError::NoPrediction { reason: format!("1 - rho = {gap}, but 0 to 2 is allowed") })
    }

    /// Sign and logarithm of the size of `R`; the logarithm reaches where `R` overflows.
    fn sign_and_log(&self, gap: f64) -> Result<(f64, f64), TheoryError> {
        let mut at = self.start(gap)?;
        if gap == 0.0 {
            return Ok((1.0, f64::INFINITY));
        }
        for layer in 0..MAX_LAYERS {
            let rho = at.rho();
            if rho == 0.0 {
                return Ok((0.0, f64::NEG_INFINITY));
            }
            if rho.abs() < LINEAR {
                return Ok((rho.signum(), rho.abs().ln() - layer as f64 * self.linear.ln()));
            }
            at = at.next(&self.map).0;
        }
        Err(TheoryError::NoPrediction {
            reason: format!("inputs at 1 - rho = {gap:e} do not separate in {MAX_LAYERS} layers"),
        })
    }
}
