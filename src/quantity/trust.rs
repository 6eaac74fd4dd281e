//! How far a measured number is to be trusted.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// What a number says about the one that it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The number itself, up to round-off: of this network on these examples.
    Exact,
    /// A lower bound.
    Lower,
    /// An upper bound.
    Upper,
    /// Neither: a corrected value, a difference of bounds, a number found with random vectors or from few values.
    Estimate,
}

/// Why a number is to be read with care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// So close to its ceiling that the examples are too few to tell.
    Saturated,
    /// A mean over so few units that members are far from Gaussian: it has an error, but no z.
    FewUnits,
}

/// How a number was found and what it says.
#[derive(Debug, Clone, PartialEq)]
pub struct Trust {
    /// What it says.
    pub kind: Kind,
    /// How it was found, with the settings that matter: `hutchinson(1)`.
    pub method: Cow<'static, str>,
    /// Largest value that it could take on these examples.
    pub ceiling: Option<f64>,
    /// Why it is to be read with care.
    pub flag: Option<Flag>,
}

impl Trust {
    /// Of a mean over members with `trusts`: a mean of upper bounds is an upper bound, of numbers of several kinds an estimate; its ceiling is
    /// the mean of theirs, and one member that is to be read with care is enough. Nothing where a member's is unknown or none is there.
    pub fn of_mean<'a>(trusts: impl IntoIterator<Item = Option<&'a Self>>) -> Option<Self> {
        let trusts: Vec<&Self> = trusts.into_iter().collect::<Option<_>>()?;
        let first = *trusts.first()?;
        let is_shared = |same: fn(&Self, &Self) -> bool| trusts.iter().all(|trust| same(trust, first));
        let ceilings: Option<Vec<f64>> = trusts.iter().map(|trust| trust.ceiling).collect();
        let ceiling = match ceilings {
            // The mean of equal numbers may differ from them in its last digit.
            Some(_) if is_shared(|a, b| a.ceiling == b.ceiling) => first.ceiling,
            ceilings => ceilings.map(|ceilings| ceilings.iter().sum::<f64>() / ceilings.len() as f64),
        };
        Some(Self {
            kind: if is_shared(|a, b| a.kind == b.kind) { first.kind } else { Kind::Estimate },
            method: if is_shared(|a, b| a.method == b.method) { first.method.clone() } else { Cow::Borrowed("mixed") },
            ceiling,
            flag: trusts.iter().find_map(|trust| trust.flag),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust(kind: Kind, ceiling: Option<f64>, flag: Option<Flag>) -> Trust {
        Trust { kind, method: Cow::Borrowed("kde(0.1)"), ceiling, flag }
    }

    #[test]
    fn a_mean_of_bounds_is_a_bound() {
        let [tight, loose] =
            [trust(Kind::Upper, Some(2.0), None), trust(Kind::Upper, Some(3.0), Some(Flag::Saturated))];
        let mean = Trust::of_mean([Some(&tight), Some(&loose)]);
        assert_eq!(mean, Some(trust(Kind::Upper, Some(2.5), Some(Flag::Saturated))));
        let lower = trust(Kind::Lower, None, None);
        assert_eq!(Trust::of_mean([Some(&tight), Some(&lower)]), Some(trust(Kind::Estimate, None, None)));
        let third = trust(Kind::Exact, Some(0.1), None);
        assert_eq!(Trust::of_mean([Some(&third); 3]), Some(third));
    }

    #[test]
    fn where_one_is_unknown_the_mean_is() {
        let known = trust(Kind::Exact, None, None);
        assert_eq!(Trust::of_mean([Some(&known), None]), None);
        assert_eq!(Trust::of_mean([]), None);
    }
}
