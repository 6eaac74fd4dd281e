//! Verdicts of a ladder: fitted exponents against declared ones, extrapolated values against theory.
//!
//! Every row with a p-value is a claim, and so is every pre-activation that might grow with the width. All claims of a ladder are corrected together
//! (Holm) at `claims.significance`: with that probability at most a ladder has a row that disagrees although every exponent is an accepted one and every limit that
//! of theory. A row that is rejected disagrees; what the others come to, [`fit`](super::fit) says row by row.

use widthwise_statistics::judge::holm;
use widthwise_statistics::power_law::Center;
use widthwise_statistics::{Estimate, Rung, StudentEstimate, Verdict};
use widthwise_theory::architecture::WidthRates;

use super::fit::{FEWEST_MEMBERS, Fit, FitStatistic, LAZY_CHANGE, exponent, limit_of};
use super::folder::ValuesByWidth;
use super::quantity::{LadderQuantity, LadderQuestion};
use crate::error::Result;

/// Exponent at which a pre-activation counts as growing with the width.
const GROWTH: f64 = 0.15;

/// What is judged by.
pub(super) struct Rules<'a> {
    pub(super) rates: &'a WidthRates,
    /// Keys the streams of the resampling.
    pub(super) seed: u64,
    /// Probability of a false disagreement of the whole ladder.
    pub(super) significance: f64,
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
    for (&(quantity, layer), by_width) in values {
        let rungs: Vec<Rung> = by_width.iter().map(|(&width, values)| Rung { width, values: values.clone() }).collect();
        match quantity.question(layer, rules.rates) {
            LadderQuestion::Exponent(declared) => {
                for center in [Center::Mean, Center::Median] {
                    fits.push(exponent((quantity, layer), &rungs, center, declared, rules.seed, is_lazy));
                }
            }
            LadderQuestion::Limit => fits.push(limit_of(quantity, &rungs, limit(quantity)?)),
            LadderQuestion::None => {}
        }
    }
    reject(&mut fits, rules.significance);
    Ok(fits)
}

/// What a row claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowClaim {
    /// Its exponent is an accepted one, or its limit that of theory.
    Declared,
    /// Its exponent is at most [`GROWTH`].
    NoGrowth,
}

/// Writes into the rows which claims are rejected.
fn reject(fits: &mut [Fit], significance: f64) {
    let mut claims = Vec::new();
    for (row, fit) in fits.iter().enumerate() {
        claims.extend(fit.p_value.map(|p| (row, RowClaim::Declared, p)));
        claims.extend(p_value_of_growth(fit).map(|p| (row, RowClaim::NoGrowth, p)));
    }
    let p_values: Vec<f64> = claims.iter().map(|claim| claim.2).collect();
    for ((row, claim, _), is_rejected) in claims.into_iter().zip(holm(&p_values, significance)) {
        match claim {
            RowClaim::Declared if is_rejected => fits[row].verdict = Some(Verdict::Disagrees),
            RowClaim::Declared => {}
            RowClaim::NoGrowth => fits[row].is_growing = Some(is_rejected),
        }
    }
}

/// p-value of the hypothesis that a pre-activation does not grow, where it is judged.
fn p_value_of_growth(fit: &Fit) -> Option<f64> {
    let is_preactivation =
        matches!(fit.quantity, LadderQuantity::FirstPreactivationChange | LadderQuantity::PreactivationChange);
    let is_judged = fit.statistic == FitStatistic::ExponentOfMean && fit.members >= FEWEST_MEMBERS;
    let estimate = Estimate { value: fit.value?, std_error: fit.std_error? };
    let found = StudentEstimate { estimate, freedom: fit.freedom.unwrap_or(f64::INFINITY) };
    (is_preactivation && is_judged).then(|| found.p_value_of_bound(GROWTH)).flatten()
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
    let exponent = |fit: &&Fit| fit.value.unwrap_or(f64::NEG_INFINITY);
    fits.iter().filter(|fit| fit.is_growing == Some(true)).max_by(|a, b| exponent(a).total_cmp(&exponent(b)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::fit::FitForm;
    use super::*;

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
        judge(&values, &Rules { rates: &NTK(), seed: 1, significance: 1e-3 }, |_| Ok(Some((2.0, 2.0)))).unwrap()
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
        assert_eq!(gap(-0.75, 24, 0.1), Some(Verdict::Disagrees));
        assert_eq!(gap(-0.5, 12, 0.99), Some(Verdict::Undecided), "too wide an interval");
        assert_eq!(gap(-0.75, 9, 0.1), Some(Verdict::Undecided), "too few members");
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
    fn rows_are_rejected_together() {
        // Holm 1979 by hand: thresholds 0.05/4, 0.05/3, 0.05/2, 0.05 in order of p. Alone each of them would be rejected.
        let row = verdict(LadderQuantity::NtkMeanDiagonal, members(&WIDTHS, 24, |_| 2.0, 0.05));
        let mut rows = [0.01, 0.04, 0.03, 0.005].map(|p| Fit { p_value: Some(p), ..row.clone() });
        reject(&mut rows, 0.05);
        let [no, yes] = [Some(Verdict::Agrees), Some(Verdict::Disagrees)];
        assert_eq!(rows.map(|row| row.verdict), [yes, no, no, yes]);
    }

    #[test]
    fn a_correction_within_what_is_declared_is_no_disagreement() {
        // 1 - 15/n steepens nothing that is not accepted: alone the power would be near -0.9, and its interval without the declared one.
        let change =
            verdict(LadderQuantity::FullNtkRelativeChange, members(&WIDTHS, 24, |n| (1.0 - 15.0 / n) / n, 0.3));
        assert_eq!(change.form, Some(FitForm::CorrectedPower));
        assert!(change.low < Some(-1.0) && change.high > Some(-1.0), "{change:?}");
        assert_eq!(change.verdict, Some(Verdict::Agrees));
        let (c, error) = (change.correction.unwrap(), change.correction_std_error.unwrap());
        assert!((c + 15.0).abs() < 2.0 * error && error < 0.3 * 64.0, "{change:?}");
    }

    #[test]
    fn what_grows_is_never_right() {
        // Declared or not: a change that grows as n serves no width.
        let rates = WidthRates { weight_change: vec![0.0, 0.5], preactivation_change: vec![0.5, 1.0] };
        let change = |layer: usize, power: f64| {
            ((LadderQuantity::FirstPreactivationChange, Some(layer)), members(&WIDTHS, 12, |n| n.powf(power), 0.1))
        };
        let values = ValuesByWidth::from([change(1, 0.5), change(2, 1.0)]);
        let fits = judge(&values, &Rules { rates: &rates, seed: 1, significance: 1e-3 }, |_| Ok(None)).unwrap();
        assert!(fits.iter().all(|fit| matches!(fit.verdict, None | Some(Verdict::Agrees))), "{fits:?}");
        assert_eq!(growing(&fits).and_then(|fit| fit.layer), Some(2));
        assert_eq!(overall(&fits, false), Verdict::Disagrees);
    }
}
