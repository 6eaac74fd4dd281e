//! How far the pre-activations of a layer are from Gaussian, over an ensemble or within one sample.
//!
//! At initialisation and for a given input, the pre-activations of one layer of one network are independent draws from
//! `N(0, q)` given the layer before, and `q` itself fluctuates from network to network. So every normality test within
//! a network passes, and the finite width shows only across networks: the excess kurtosis of the ensemble is
//! `3 Var(q) / E(q)^2`. Hence two kinds of tool:
//!
//! | question | tool | unit of sampling |
//! |---|---|---|
//! | how large is the deviation, against theory | [`ensemble_moments`] | a member, with all its units |
//! | is one sample Gaussian | [`kolmogorov_smirnov`] and its neighbours | an independent value: one unit a member |
//!
//! Handing all units of all members to a test as if they were independent makes it reject for the wrong reason: the
//! units of a member share their `q`.
//!
//! Pre-activations arrive as `examples x units` row-major slices.

mod anderson_darling;
mod cramer_von_mises;
mod critical_values;
mod cumulants;
mod dagostino;
mod error;
mod ks;
mod level;
mod moments;
mod null;

pub use anderson_darling::anderson_darling;
pub use cramer_von_mises::cramer_von_mises;
pub use critical_values::{Level, Statistic, critical_value};
pub use cumulants::Cumulants;
pub use dagostino::dagostino_k2;
pub use error::GaussianityError;
pub use ks::kolmogorov_smirnov;
pub use level::{NullLevel, null_distance, null_moments};
pub use moments::{EnsembleMean, EnsembleMoments, FEW_VALUES, MemberMoments, Moment, ensemble_moments};
pub use null::{Null, TestOutcome};

#[cfg(test)]
mod tests {
    use widthwise_testing::{assert_near, reference};

    use super::*;

    /// `0.25 k + 0.5 (k^2 mod 7) - 3` for `k` from 0 to 23: exact in f32, with ties.
    pub(super) const SAMPLE: [f32; 24] = [
        -3.0, -2.25, -0.5, -1.25, -1.0, 0.25, -1.0, -1.25, -0.5, 1.25, 0.5, 0.75, 2.0, 0.75, 0.5, 1.25, 3.0, 2.25, 2.5,
        3.75, 2.5, 2.25, 3.0, 4.75,
    ];

    // SciPy 1.17.1: kstest, cramervonmises, anderson, and the formula of A2 with its logcdf.
    #[test]
    fn statistics_are_those_of_an_independent_program() {
        let known = Null::Known { mean: 1.0, variance: 4.0 };
        for (outcome, expected) in [
            (kolmogorov_smirnov(&SAMPLE, known), 0.10670598095646511),
            (kolmogorov_smirnov(&SAMPLE, Null::Estimated), 0.0957251361218554),
            (cramer_von_mises(&SAMPLE, known), 0.039440974568954366),
            (cramer_von_mises(&SAMPLE, Null::Estimated), 0.03255500487742794),
            (anderson_darling(&SAMPLE, known), 0.2454379413896497),
            (anderson_darling(&SAMPLE, Null::Estimated), 0.19844733525696512),
        ] {
            assert_near(outcome.unwrap().statistic, expected, reference(10));
        }
        let cumulants = Cumulants::new(&SAMPLE).unwrap();
        for (found, expected) in [
            (cumulants.mean, 0.8541666666666666),
            (cumulants.second, 3.8365036231884058),
            (cumulants.third, -0.2212409420289855),
            (cumulants.fourth, -8.190171807359308),
        ] {
            assert_near(found, expected, reference(13));
        }
    }
}
