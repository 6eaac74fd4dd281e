//! Moments of the pre-activations of one layer over an ensemble of networks.
//!
//! Averages over members and units are taken first, at each input, and divided afterwards, because a ratio formed
//! within one network of `m` units is biased by `-6/(m+1)`. With `<.>` the average over members and units at one input
//! and `z` measured from the mean `mu`,
//!
//! ```text
//! variance        <z^2>
//! skewness        <z^3> / <z^2>^(3/2)
//! kurtosis        c <z^4> / <z^2>^2                     3 for a Gaussian; the excess is 3 less
//! pair excess     3 (c' <z_i^2 z_j^2> / <z^2>^2 - 1)    i != j two units of one member
//! ```
//!
//! The factors make both exactly unbiased for `N` independent Gaussian values, members times units, because a ratio of
//! their moments does not depend on their scale, so that the expectation of the ratio is the ratio of expectations:
//! `c = c' = (N+2)/N` about a known mean, and `c = (N+1)/(N-1)`, `c' = (N^2-1)/((N-1)^2+2)` about the estimated one. Without
//! them eight values of a Gaussian would have an excess kurtosis of -0.6. What is left of the bias, of order one over the
//! number of members and due to what the units of a member share, is estimated by the jackknife from more than
//! [`FEW_VALUES`] values. Of fewer the estimate would be noise that doubles the error, and is left alone: there the
//! estimators are exact for Gaussian values, and off by at most one over the number of members of the deviation elsewhere.
//!
//! Each ratio is then averaged over the inputs, whose variances differ. The pair average of one member is
//! `((sum z^2)^2 - sum z^4) / (m (m-1))`. If the units of a member are independent Gaussians of a common random
//! variance `q`, as in a fully connected layer at initialisation, both routes estimate `3 Var(q) / E(q)^2`, and pairs
//! with the smaller error as long as `q` fluctuates little; elsewhere the fourth moment is the definition.
//!
//! Units and inputs of one member are dependent, so errors and biases are jackknifed over members.

use super::error::GaussianityError;
use crate::Jackknife;

/// Power sums of one layer of one network, from which an ensemble is pooled.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberMoments {
    /// Number of inputs.
    pub inputs: usize,
    /// Number of units.
    pub units: usize,
    /// For each input, the sums over units of `z, z^2, z^3, z^4`.
    pub sums: Vec<[f64; 4]>,
}

impl MemberMoments {
    /// Power sums of `preactivations`.
    ///
    /// # Shapes
    /// `preactivations`: inputs x `units`, row-major.
    ///
    /// # Errors
    /// If the slice is empty, not a whole number of rows or not finite.
    pub fn new(preactivations: &[f32], units: usize) -> Result<Self, GaussianityError> {
        if units == 0 || preactivations.is_empty() || !preactivations.len().is_multiple_of(units) {
            return Err(GaussianityError::LayerShape { units, found: preactivations.len() });
        }
        if let Some(index) = preactivations.iter().position(|z| !z.is_finite()) {
            return Err(GaussianityError::NotFinite { index, value: preactivations[index].into() });
        }
        let power_sums = |row: &[f32]| {
            row.iter().fold([0.0; 4], |[s1, s2, s3, s4], &z| {
                let z = f64::from(z);
                let z2 = z * z;
                [s1 + z, s2 + z2, s3 + z2 * z, s4 + z2 * z2]
            })
        };
        let sums: Vec<_> = preactivations.chunks_exact(units).map(power_sums).collect();
        Ok(Self { inputs: sums.len(), units, sums })
    }
}

/// From where the moments of an ensemble are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnsembleMean {
    /// From zero, which is the exact mean at initialisation by the symmetry of the weights.
    Zero,
    /// From the average over members and units at each input: after training, where the symmetry is gone.
    Estimated,
}

/// An ensemble average, or a ratio of such, with its sampling error over members.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// The value.
    pub value: f64,
    /// Jackknife standard error over members.
    pub standard_error: f64,
    /// Jackknife estimate of the bias, of order one over the number of members: zero for averages, not for ratios, and not estimated from
    /// few values.
    pub bias: f64,
}

impl Moment {
    /// The value less its estimated bias: for ratios the one to report.
    pub fn unbiased(&self) -> f64 {
        self.value - self.bias
    }
}

/// Moments of one layer over an ensemble, each averaged over the inputs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EnsembleMoments {
    /// Number of networks.
    pub members: usize,
    /// Average pre-activation, whatever the choice of [`EnsembleMean`].
    pub mean: Moment,
    /// Second moment.
    pub variance: Moment,
    /// Standardised third moment, zero by symmetry at initialisation.
    pub skewness: Moment,
    /// Standardised fourth moment: 3 for a Gaussian.
    pub kurtosis: Moment,
    /// Kurtosis less 3.
    pub excess_kurtosis: Moment,
    /// Excess kurtosis by way of pairs of units; none for a single unit.
    pub pair_excess_kurtosis: Option<Moment>,
}

/// What one member contributes at one input: averages over its units of `z, z^2, z^3, z^4`, and its averages over
/// units of `z_i z_j`, `z_i^2 z_j` and `z_i^2 z_j^2` with `i != j`.
type Averages = [f64; 7];

fn averages(sums: &[f64; 4], units: usize) -> Averages {
    let m = units as f64;
    let [s1, s2, s3, s4] = *sums;
    // A single unit has no pairs; its zeros are never read.
    let pair = |a: f64, b: f64, diagonal: f64| if units > 1 { (a * b - diagonal) / (m * (m - 1.0)) } else { 0.0 };
    [s1 / m, s2 / m, s3 / m, s4 / m, pair(s1, s1, s2), pair(s1, s2, s3), pair(s2, s2, s4)]
}

/// Mean, variance, skewness, kurtosis and pair excess kurtosis.
type MomentVector = [f64; 5];

/// Values, members times units, up to which the bias that is left is not estimated: a jackknife over members has nothing to go by. For
/// the same reason its error is then none to judge by: few values with a small kurtosis have a small jackknife error too.
pub const FEW_VALUES: usize = 1024;

/// Values, members times units, that must be left where a member is left out: fewer have no fourth moment to speak of.
const FEWEST_VALUES: usize = 4;

/// `c` and `c'` of the file's head for `values` values.
fn null_factors(about: EnsembleMean, values: f64) -> [f64; 2] {
    match about {
        EnsembleMean::Zero => [(values + 2.0) / values; 2],
        EnsembleMean::Estimated => {
            let below = values - 1.0;
            [(values + 1.0) / below, (values + 1.0) * below / (below * below + 2.0)]
        }
    }
}

/// The formulas of the file's head for one input and `values` values, with the moments about `mu` expanded in those about zero.
fn moments_at(averages: &Averages, about: EnsembleMean, values: f64) -> Option<MomentVector> {
    let [z1, z2, z3, z4, z1z1, z2z1, z2z2] = *averages;
    let mu = match about {
        EnsembleMean::Zero => 0.0,
        EnsembleMean::Estimated => z1,
    };
    let mu2 = mu * mu;
    let second = z2 - 2.0 * mu * z1 + mu2;
    // Rounding leaves this much of a variance that is zero.
    if second <= 64.0 * f64::EPSILON * z2 {
        return None;
    }
    let third = z3 - 3.0 * mu * z2 + 3.0 * mu2 * z1 - mu2 * mu;
    let fourth = z4 - 4.0 * mu * z3 + 6.0 * mu2 * z2 - 4.0 * mu2 * mu * z1 + mu2 * mu2;
    let pair = z2z2 - 4.0 * mu * z2z1 + 4.0 * mu2 * z1z1 + 2.0 * mu2 * z2 - 4.0 * mu2 * mu * z1 + mu2 * mu2;
    let square = second * second;
    let [fourth_factor, pair_factor] = null_factors(about, values);
    let kurtosis = fourth_factor * fourth / square;
    Some([z1, second, third / second.powf(1.5), kurtosis, 3.0 * (pair_factor * pair / square - 1.0)])
}

/// Moments of one layer over `members`, all of one width and seen at the same inputs.
///
/// The skewness, kurtosis and pair excess kurtosis are ratios of averages: unbiased for independent Gaussian values, else
/// biased at order one over the number of members; [`Moment::bias`] estimates by how much.
///
/// # Errors
/// If there are fewer than two members, or so few values that less than four are left without one of the members, if their shapes
/// differ, or if the layer does not vary at some input.
pub fn ensemble_moments(members: &[MemberMoments], about: EnsembleMean) -> Result<EnsembleMoments, GaussianityError> {
    let [first, _, ..] = members else {
        return Err(GaussianityError::TooFew {
            statistic: "an ensemble moment with its error",
            what: "members",
            needed: 2,
            found: members.len(),
        });
    };
    let (inputs, units) = (first.inputs, first.units);
    if let Some(member) = members.iter().position(|m| (m.inputs, m.units, m.sums.len()) != (inputs, units, inputs)) {
        return Err(GaussianityError::MemberShape {
            member,
            inputs,
            units,
            found_inputs: members[member].sums.len(),
            found_units: members[member].units,
        });
    }
    let left = (members.len() - 1) * units;
    if left < FEWEST_VALUES {
        return Err(GaussianityError::TooFew {
            statistic: "a kurtosis with one member left out",
            what: "values",
            needed: FEWEST_VALUES,
            found: left,
        });
    }
    let count = members.len() as f64;
    let mut pooled: MomentVector = [0.0; 5];
    // Averages over inputs of the moments with one member left out.
    let mut left_out: Vec<MomentVector> = vec![[0.0; 5]; members.len()];
    for input in 0..inputs {
        let no_variance = GaussianityError::NoVariance { input };
        let of_member: Vec<Averages> = members.iter().map(|m| averages(&m.sums[input], units)).collect();
        let mut total: Averages = [0.0; 7];
        for member in &of_member {
            total.iter_mut().zip(member).for_each(|(total, value)| *total += value);
        }
        let all = moments_at(&total.map(|t| t / count), about, (left + units) as f64).ok_or(no_variance.clone())?;
        pooled.iter_mut().zip(all).for_each(|(sum, value)| *sum += value / inputs as f64);
        for (member, sums) in of_member.iter().zip(&mut left_out) {
            let rest: Averages = std::array::from_fn(|k| (total[k] - member[k]) / (count - 1.0));
            let moments = moments_at(&rest, about, left as f64).ok_or(no_variance.clone())?;
            sums.iter_mut().zip(moments).for_each(|(sum, value)| *sum += value / inputs as f64);
        }
    }
    let moment = |k: usize| {
        let found = Jackknife::of(left_out.iter().map(|moments| moments[k]));
        Moment {
            value: pooled[k],
            standard_error: found.std_error,
            bias: if left + units > FEW_VALUES { found.bias(pooled[k]) } else { 0.0 },
        }
    };
    let kurtosis = moment(3);
    Ok(EnsembleMoments {
        members: members.len(),
        mean: moment(0),
        variance: moment(1),
        skewness: moment(2),
        kurtosis,
        excess_kurtosis: Moment { value: kurtosis.value - 3.0, ..kurtosis },
        pair_excess_kurtosis: (units > 1).then(|| moment(4)),
    })
}

#[cfg(test)]
mod tests;
