//! `sin(w x + p)` of pairs near collinear: the characteristic functions of [`sin`](super::sin) by their differences.
//!
//! With `r = w^2`, `m = (a + b)/2`, `d = sqrt(a) - sqrt(b)`, `V = e^{-rm} [cos^2(p) sinh(rc) + sin^2(p) cosh(rc)]`, so that with
//! `y = r sqrt(ab) u / 2` and `x = r sqrt(ab) (1 - u/2)`
//! `D = e^{-r d^2/2} (1 - e^{-2y}) [cos^2(p) (1 + e^{-2x}) + sin^2(p) (1 - e^{-2x})] / 2`.
//! The collinear gap `G` is half of `E[(f - g)^2]` less the square of the difference of the norms, where these are comparable.

use crate::dual::near::{NearDual, NearPair};

/// What becomes of a pair.
/// `odd` and `even` are the squares of the factors of `sin(w x)` and `cos(w x)`.
pub(super) fn near(frequency: f64, odd: f64, even: f64, pair: &NearPair) -> NearDual {
    let wave = WaveTerm { rate: frequency * frequency, odd, even };
    if pair.sign < 0.0 { wave.opposite(pair) } else { wave.same(pair) }
}

struct WaveTerm {
    rate: f64,
    /// `cos^2(p)`.
    odd: f64,
    /// `sin^2(p)`.
    even: f64,
}

impl WaveTerm {
    /// `V(a, a, a) = [1 - cos(2p) e^{-2ra}]/2`, as a sum of positive terms.
    fn square(&self, root: f64) -> f64 {
        let missing = -(-2.0 * self.rate * root * root).exp_m1();
        self.even * (1.0 - 0.5 * missing) + self.odd * 0.5 * missing
    }

    /// Norms of the images and their difference.
    fn norms(&self, pair: &NearPair) -> ([f64; 2], f64) {
        let roots = pair.roots.map(|root| self.square(root).sqrt());
        let [left, right] = pair.roots;
        let step = -2.0 * self.rate * pair.difference * (left + right);
        let squares = 0.5 * (self.even - self.odd) * (-2.0 * self.rate * right * right).exp() * step.exp_m1();
        let sum = roots[0] + roots[1];
        (roots, if sum > 0.0 && squares.is_finite() { squares / sum } else { roots[0] - roots[1] })
    }

    fn same(&self, pair: &NearPair) -> NearDual {
        let (roots, difference) = self.norms(pair);
        let ([left, right], d) = (pair.roots, pair.difference);
        let apart = -0.5 * self.rate * d * d;
        // (e^{-2ra} + e^{-2rb})/2 - e^{-r (sqrt a + sqrt b)^2/2}, a second difference.
        let sum = left + right;
        let middle = (-0.5 * self.rate * sum * sum).exp();
        let turn = self.rate * d * sum;
        let curve = match turn.abs() < 1.0 {
            true => middle * (apart.exp_m1() * turn.cosh() + 2.0 * (0.5 * turn).sinh().powi(2)),
            false => 0.5 * pair.roots.iter().map(|root| (-2.0 * self.rate * root * root).exp()).sum::<f64>() - middle,
        };
        let distance = -apart.exp_m1() + (self.even - self.odd) * curve;
        let plain = self.rate * pair.root();
        let gap = match pair.comparable() {
            true => 0.5 * (distance - difference * difference),
            // Of norms of different size the smaller one would be lost: by the covariance of the collinear pair.
            false => {
                let [odd, even] = [-(-2.0 * plain).exp_m1(), 1.0 + (-2.0 * plain).exp()];
                roots[0] * roots[1] - 0.5 * apart.exp() * (self.odd * odd + self.even * even)
            }
        };
        let gap = gap.max(0.0);
        let (root, u) = (plain, pair.complement);
        let ends = |x: f64| self.odd * (1.0 + (-2.0 * x).exp()) - self.even * (-2.0 * x).exp_m1();
        let drop = 0.5 * apart.exp() * -(-root * u).exp_m1() * ends(root * (1.0 - 0.5 * u));
        let c = root * (1.0 - u);
        let decay = (apart - root * u).exp();
        let slope = 0.5 * self.rate * decay * (self.odd * (1.0 + (-2.0 * c).exp()) - self.even * (-2.0 * c).exp_m1());
        NearDual { pair: image(roots, difference, gap + drop), slope }
    }

    /// At a negative covariance, where nothing cancels unless the function has a parity, which is not sent here.
    fn opposite(&self, pair: &NearPair) -> NearDual {
        let (roots, difference) = self.norms(pair);
        // exp(r (+-c - m)) with c = -sqrt(ab) (1 - u): the squares of the sum and the difference of the norms.
        let missing = self.rate * pair.root() * pair.complement;
        let square = |root: f64| 0.5 * self.rate * root * root;
        let plus = 0.5 * (missing - square(pair.roots[0] + pair.roots[1])).exp();
        let minus = 0.5 * (-missing - square(pair.difference)).exp();
        let value = self.odd * (plus - minus) + self.even * (plus + minus);
        let slope = self.rate * (self.odd * (plus + minus) + self.even * (plus - minus));
        NearDual { pair: image(roots, difference, roots[0] * roots[1] - value), slope }
    }
}

/// With the product of the norms less the covariance.
fn image(roots: [f64; 2], difference: f64, missing: f64) -> NearPair {
    let complement = if roots.contains(&0.0) { 0.0 } else { missing / roots[0] / roots[1] };
    NearPair::new(roots, difference, complement)
}
