//! Verdicts of a ladder: fitted exponents against declared ones, extrapolated values against theory.
//!
//! An exponent disagrees if its interval and the accepted one do not meet; it agrees if they do and the interval is no longer than
//! the accepted one; otherwise it is undecided. Exponents of the kernel regime are fitted at widths where the kernel changes by at
//! most [`LAZY_CHANGE`] in the mean, and undecided with fewer than [`FEWEST_WIDTHS`] of these. A limit disagrees if it lies four or
//! more standard errors from theory, and agrees if it does not and four standard errors are at most a tenth of its size. Neither is
//! judged with fewer than [`FEWEST_MEMBERS`], whose spread says little of itself.

use serde::{Deserialize, Serialize};
use widthwise_statistics::judge::{Expected, of_interval};
use widthwise_statistics::power_law::{Center, fit};
use widthwise_statistics::{Rung, Verdict, extrapolate};
use widthwise_theory::architecture::WidthRates;

use super::folder::ValuesByWidth;
use super::quantity::{Declared, LadderQuantity, LadderQuestion};

use crate::error::Result;

/// Mean relative change of the tangent kernel up to which a width counts as lazy.
pub const LAZY_CHANGE: f64 = 0.1;

/// Widths that an exponent takes.
pub const FEWEST_WIDTHS: usize = 3;

/// Members of a width that a verdict takes.
pub const FEWEST_MEMBERS: usize = 10;

/// Exponent at which a pre-activation counts as growing with the width.
const GROWTH: f64 = 0.15;

/// What a row of `fits.csv` is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FitStatistic {
    /// Power of the width of the mean over members.
    ExponentOfMean,
    /// Power of the width of the median; not judged.
    ExponentOfMedian,
    /// Value at infinite width.
    Limit,
}

/// A row of `fits.csv`; an undefined number is an empty cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// What.
    pub quantity: LadderQuantity,
    /// Where, if the quantity has one number a layer.
    pub layer: Option<usize>,
    /// Of what.
    pub statistic: FitStatistic,
    /// The number.
    pub value: Option<f64>,
    /// Lower end of the interval of an exponent.
    pub low: Option<f64>,
    /// Its upper end.
    pub high: Option<f64>,
    /// Standard error.
    pub std_error: Option<f64>,
    /// Value at width one of the fitted power.
    pub prefactor: Option<f64>,
    /// What theory declares.
    pub declared: Option<f64>,
    /// Smallest accepted exponent.
    pub accepted_low: Option<f64>,
    /// Largest accepted exponent.
    pub accepted_high: Option<f64>,
    /// `(value - declared) / std_error` of a limit.
    pub z: Option<f64>,
    /// Widths behind the fit, blanks between.
    pub widths: String,
    /// Smallest number of members of a width.
    pub members: usize,
    /// The judgement, where there is one.
    pub verdict: Option<Verdict>,
    /// What was left out, and why.
    pub remark: String,
}

/// What is judged by.
pub(super) struct Rules<'a> {
    pub(super) rates: &'a WidthRates,
    /// Keys the streams of the resampling.
    pub(super) seed: u64,
}

/// Fits and judges all quantities. `limit` gives theory's value of a signed quantity and the size its error is held against.
pub(super) fn judge(
    values: &ValuesByWidth,
    rules: &Rules<'_>,
    limit: impl Fn(LadderQuantity) -> Result<Option<(f64, f64)>>,
) -> Result<Vec<Fit>> {
    let mut fits = Vec::new();
    let change = values.get(&(LadderQuantity::FullNtkRelativeChange, None));
    let is_lazy = |width: usize| {
        let values = change.and_then(|change| change.get(&width));
        // Without kernels nothing is known of their change.
        values.is_none_or(|values| values.iter().sum::<f64>() / values.len() as f64 <= LAZY_CHANGE)
    };
    for ((quantity, layer), by_width) in values {
        let rungs: Vec<Rung> = by_width.iter().map(|(&width, values)| Rung { width, values: values.clone() }).collect();
        match quantity.question(*layer, rules.rates) {
            LadderQuestion::Exponent(declared) => {
                for center in [Center::Mean, Center::Median] {
                    fits.push(exponent(*quantity, *layer, &rungs, center, declared, rules.seed, is_lazy));
                }
            }
            LadderQuestion::Limit => fits.push(limit_of(*quantity, &rungs, limit(*quantity)?)),
            LadderQuestion::None => {}
        }
    }
    Ok(fits)
}

fn exponent(
    quantity: LadderQuantity,
    layer: Option<usize>,
    rungs: &[Rung],
    center: Center,
    declared: Option<Declared>,
    seed: u64,
    is_lazy: impl Fn(usize) -> bool,
) -> Fit {
    let is_cut = declared.is_some_and(|declared| declared.needs_lazy_widths);
    let (lazy, rest): (Vec<Rung>, Vec<Rung>) = rungs.iter().cloned().partition(|rung| !is_cut || is_lazy(rung.width));
    let is_enough = lazy.len() >= FEWEST_WIDTHS;
    let mut remark = String::new();
    if !rest.is_empty() {
        let share = 100.0 * LAZY_CHANGE;
        remark = format!("the kernel changes by more than {share} % at {}", widths_of(&rest));
        if !is_enough {
            remark.push_str(", too many to judge a power: take wider networks, an easier task or fewer steps");
        }
    }
    let used = if is_enough { &lazy } else { rungs };
    if members_of(used) < FEWEST_MEMBERS {
        remark = too_few_members();
    }
    let name = quantity.stream_name();
    let stream = format!("ladder.bootstrap.{name}.{}.{center:?}", layer.unwrap_or(0));
    let found = fit(used, center, &mut widthwise_datasets::stream(seed, &stream));
    if found.is_none() {
        remark = "a value is zero or missing".to_owned();
    }
    let verdict = match (center, declared) {
        (Center::Median, _) => None,
        (_, None) => Some(Verdict::NoPrediction),
        (_, Some(declared)) => Some(match found {
            Some(found) if is_enough && members_of(used) >= FEWEST_MEMBERS => {
                of_interval(found.interval, declared.accepted)
            }
            _ => Verdict::Undecided,
        }),
    };
    let accepted = declared.filter(|_| center == Center::Mean).map(|declared| declared.accepted);
    Fit {
        quantity,
        layer,
        statistic: if center == Center::Mean { FitStatistic::ExponentOfMean } else { FitStatistic::ExponentOfMedian },
        value: found.map(|found| found.exponent),
        low: found.map(|found| found.interval[0]),
        high: found.map(|found| found.interval[1]),
        std_error: found.map(|found| found.std_error),
        prefactor: found.map(|found| found.prefactor),
        declared: declared.map(|declared| declared.exponent),
        accepted_low: accepted.map(|accepted| accepted[0]),
        accepted_high: accepted.map(|accepted| accepted[1]),
        z: None,
        widths: widths_of(used),
        members: members_of(used),
        verdict,
        remark,
    }
}

fn limit_of(quantity: LadderQuantity, rungs: &[Rung], theory: Option<(f64, f64)>) -> Fit {
    let found = extrapolate(rungs);
    let z = found.and_then(|found| theory.map(|(declared, _)| found.z(declared)));
    let verdict = match (theory, found) {
        (None, _) => Verdict::NoPrediction,
        (Some((value, size)), Some(found)) if members_of(rungs) >= FEWEST_MEMBERS => {
            Expected::Value { value, reach: 0.1 * size }.judge(found)
        }
        _ => Verdict::Undecided,
    };
    Fit {
        quantity,
        layer: None,
        statistic: FitStatistic::Limit,
        value: found.map(|found| found.value),
        low: None,
        high: None,
        std_error: found.map(|found| found.std_error),
        prefactor: None,
        declared: theory.map(|(declared, _)| declared),
        accepted_low: None,
        accepted_high: None,
        z,
        widths: widths_of(rungs),
        members: members_of(rungs),
        verdict: Some(verdict),
        remark: if found.is_none() {
            "fewer than three widths, or no spread to weigh them by".into()
        } else {
            String::new()
        },
    }
}

fn too_few_members() -> String {
    format!("a verdict takes {FEWEST_MEMBERS} networks of each width or more; give more --seeds")
}

fn widths_of(rungs: &[Rung]) -> String {
    rungs.iter().map(|rung| rung.width.to_string()).collect::<Vec<_>>().join(" ")
}

fn members_of(rungs: &[Rung]) -> usize {
    rungs.iter().map(|rung| rung.values.len()).min().unwrap_or(0)
}

/// The verdict of all: the worst of the exponents of means, and a limit that disagrees. A limit that is too coarse to tell decides
/// nothing.
pub(super) fn overall(fits: &[Fit], has_diverged: bool) -> Verdict {
    if has_diverged || growing(fits).is_some() {
        return Verdict::Disagrees;
    }
    let decides = |fit: &&Fit| fit.statistic == FitStatistic::ExponentOfMean || fit.verdict == Some(Verdict::Disagrees);
    Verdict::of_all(fits.iter().filter(decides).filter_map(|fit| fit.verdict))
}

/// The fit of the pre-activations that grow fastest with the width, if any do beyond doubt: no learning rate then serves all widths, whether or not that
/// is what the parameterization declares.
pub fn growing(fits: &[Fit]) -> Option<&Fit> {
    let is_growing = |fit: &&Fit| {
        let is_preactivation =
            matches!(fit.quantity, LadderQuantity::FirstPreactivationChange | LadderQuantity::PreactivationChange);
        let is_judged = fit.statistic == FitStatistic::ExponentOfMean && fit.members >= FEWEST_MEMBERS;
        is_preactivation && is_judged && fit.low.is_some_and(|low| low > GROWTH)
    };
    let exponent = |fit: &&Fit| fit.value.unwrap_or(f64::NEG_INFINITY);
    fits.iter().filter(is_growing).max_by(|a, b| exponent(a).total_cmp(&exponent(b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const NTK: fn() -> WidthRates =
        || WidthRates { weight_change: vec![-0.5, -0.5], preactivation_change: vec![-0.5, 0.0] };

    /// Members around `size(width)`, by `spread`.
    fn members(widths: &[usize], count: usize, size: impl Fn(f64) -> f64, spread: f64) -> BTreeMap<usize, Vec<f64>> {
        let value = |width: usize, member: usize| {
            let off = (2 * member + 1) as f64 / count as f64 - 1.0;
            size(width as f64) * (1.0 + spread * off)
        };
        widths.iter().map(|&width| (width, (0..count).map(|member| value(width, member)).collect())).collect()
    }

    fn judged(values: ValuesByWidth) -> Vec<Fit> {
        judge(&values, &Rules { rates: &NTK(), seed: 1 }, |_| Ok(Some((2.0, 2.0)))).unwrap()
    }

    fn verdict(quantity: LadderQuantity, by_width: BTreeMap<usize, Vec<f64>>) -> Fit {
        judged(ValuesByWidth::from([((quantity, None), by_width)])).remove(0)
    }

    const WIDTHS: [usize; 5] = [64, 128, 256, 512, 1024];

    #[test]
    fn an_exponent_is_judged_by_its_interval() {
        let gap = |power: f64, count: usize, spread: f64| {
            verdict(LadderQuantity::FullNtkDistance, members(&WIDTHS, count, |n| n.powf(power), spread)).verdict
        };
        assert_eq!(gap(-0.5, 24, 0.3), Some(Verdict::Agrees));
        assert_eq!(gap(-0.65, 24, 0.1), Some(Verdict::Disagrees));
        assert_eq!(gap(-0.5, 12, 0.99), Some(Verdict::Undecided), "too wide an interval");
        assert_eq!(gap(-0.65, 9, 0.1), Some(Verdict::Undecided), "too few members");
    }

    #[test]
    fn widths_whose_kernel_changes_are_left_out() {
        let widths = [16, 32, 64, 128, 256, 512];
        let change = members(&widths, 12, |n| 6.0 / n, 0.1);
        let fit = verdict(LadderQuantity::FullNtkRelativeChange, change.clone());
        assert_eq!((fit.widths.as_str(), fit.verdict), ("64 128 256 512", Some(Verdict::Agrees)));
        assert!(fit.remark.ends_with("10 % at 16 32"), "{}", fit.remark);
        // A power that holds whatever the kernel does is fitted everywhere.
        let distance = members(&widths, 12, |n| n.powf(-0.5), 0.1);
        let values = ValuesByWidth::from([
            ((LadderQuantity::FullNtkRelativeChange, None), change),
            ((LadderQuantity::FullNtkDistance, None), distance),
        ]);
        let fits = judged(values);
        let distance = fits.iter().find(|fit| fit.quantity == LadderQuantity::FullNtkDistance).unwrap();
        assert_eq!(distance.widths, "16 32 64 128 256 512");
        // Two lazy widths are no ladder.
        let fit = verdict(LadderQuantity::FullNtkRelativeChange, members(&widths, 12, |n| 25.0 / n, 0.1));
        assert_eq!(fit.verdict, Some(Verdict::Undecided));
        assert!(fit.remark.contains("take wider networks"), "{}", fit.remark);
    }

    #[test]
    fn a_limit_is_judged_by_its_distance_from_theory() {
        let limit = |value: f64, spread: f64, count: usize| {
            verdict(LadderQuantity::NtkMeanDiagonal, members(&WIDTHS, count, |_| value, spread)).verdict
        };
        assert_eq!(limit(2.0, 0.05, 24), Some(Verdict::Agrees));
        assert_eq!(limit(2.0, 0.9, 24), Some(Verdict::Undecided));
        assert_eq!(limit(2.5, 0.05, 24), Some(Verdict::Disagrees));
        assert_eq!(limit(2.5, 0.05, 9), Some(Verdict::Undecided));
    }

    #[test]
    fn the_worst_exponent_decides_and_a_coarse_limit_does_not() {
        let distance = |power: f64| {
            let by_width = members(&WIDTHS, 24, |n| n.powf(power), 0.1);
            ((LadderQuantity::FullNtkDistance, None), by_width)
        };
        let limit = |value: f64, spread: f64| {
            ((LadderQuantity::NtkMeanDiagonal, None), members(&WIDTHS, 24, |_| value, spread))
        };
        let of = |values: ValuesByWidth| overall(&judged(values), false);
        assert_eq!(of(ValuesByWidth::from([distance(-0.5), limit(2.0, 0.9)])), Verdict::Agrees);
        assert_eq!(of(ValuesByWidth::from([distance(-0.5), limit(2.5, 0.05)])), Verdict::Disagrees);
        assert_eq!(of(ValuesByWidth::from([distance(-0.8), limit(2.0, 0.05)])), Verdict::Disagrees);
        assert_eq!(of(ValuesByWidth::from([limit(2.0, 0.05)])), Verdict::Undecided, "no exponent");
        assert_eq!(overall(&judged(ValuesByWidth::from([distance(-0.5)])), true), Verdict::Disagrees, "diverged");
    }

    #[test]
    fn what_grows_is_never_right() {
        // Declared or not: a change that grows as n serves no width.
        let rates = WidthRates { weight_change: vec![0.0, 0.5], preactivation_change: vec![0.5, 1.0] };
        let change = |layer: usize, power: f64| {
            ((LadderQuantity::FirstPreactivationChange, Some(layer)), members(&WIDTHS, 12, |n| n.powf(power), 0.1))
        };
        let values = ValuesByWidth::from([change(1, 0.5), change(2, 1.0)]);
        let fits = judge(&values, &Rules { rates: &rates, seed: 1 }, |_| Ok(None)).unwrap();
        assert!(fits.iter().all(|fit| matches!(fit.verdict, None | Some(Verdict::Agrees))), "{fits:?}");
        assert_eq!(growing(&fits).and_then(|fit| fit.layer), Some(2));
        assert_eq!(overall(&fits, false), Verdict::Disagrees);
    }
}
