//! Rows of `fits.csv`: the power of the width that a quantity follows, or its value at infinite width, and what theory says of it.
//!
//! A power is fitted with a correction, `A n^a (1 + c/n)`, of the size that is declared for the quantity, and agrees where the interval that covers it in
//! 95 % of ladders meets the accepted exponents and is no longer than these. Exponents of the kernel regime are fitted at widths where the kernel changes by
//! at most [`LAZY_CHANGE`] in the mean, and undecided with fewer than [`FEWEST_WIDTHS`] of these. A limit agrees where four standard errors are at most a
//! tenth of its size. Neither is judged with fewer than [`FEWEST_MEMBERS`], whose spread says little of itself. What disagrees is for all rows
//! together to say: [`judge`](super::judge).

use serde::{Deserialize, Serialize};
use widthwise_statistics::judge::{is_sharp, of_interval};
use widthwise_statistics::power_law::{Center, fit};
use widthwise_statistics::{COVERAGE, Rung, Verdict, extrapolate};

use super::quantity::{Declared, LadderQuantity};

/// Mean relative change of the tangent kernel up to which a width counts as lazy.
pub const LAZY_CHANGE: f64 = 0.1;

/// Widths that an exponent takes.
pub const FEWEST_WIDTHS: usize = 3;

/// Members of a width that a verdict takes.
pub const FEWEST_MEMBERS: usize = 10;

/// Share of a limit's size that four standard errors of an agreement are at most.
const SHARPNESS: f64 = 0.1;

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

/// What was fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FitForm {
    /// `A n^a`.
    Power,
    /// `A n^a (1 + c/n)`.
    CorrectedPower,
    /// A polynomial in `1/n`.
    Polynomial,
}

/// A row of `fits.csv`; an undefined number is an empty cell, and so is a column that the file of an earlier version lacks.
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
    /// Lower end of the 95 % interval of an exponent.
    pub low: Option<f64>,
    /// Its upper end.
    pub high: Option<f64>,
    /// Standard error.
    pub std_error: Option<f64>,
    /// `A` of the fitted power.
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
    /// What was fitted.
    pub form: Option<FitForm>,
    /// `c`, in units of the width.
    pub correction: Option<f64>,
    /// Its standard error.
    pub correction_std_error: Option<f64>,
    /// Standard deviation of `c/n` at the narrowest width that is declared for the quantity.
    pub correction_declared: Option<f64>,
    /// Degrees of freedom of the standard error.
    pub freedom: Option<f64>,
    /// Student's p-value of the hypothesis that the exponent is an accepted one, or the limit that of theory; not yet corrected for the number of rows.
    pub p_value: Option<f64>,
    /// Whether a pre-activation grows with the width beyond doubt.
    pub is_growing: Option<bool>,
}

/// The power of the width of one quantity.
pub(super) fn exponent(
    (quantity, layer): (LadderQuantity, Option<usize>),
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
    let allowed = declared.map_or(0.0, |declared| declared.correction);
    let found = fit(used, center, allowed, &mut widthwise_datasets::stream(seed, &stream));
    if found.is_none() {
        remark = "a value is zero or missing".to_owned();
    }
    let is_judged = is_enough && members_of(used) >= FEWEST_MEMBERS;
    let judged = declared.filter(|_| center == Center::Mean);
    let interval = found.map(|found| found.exponent.interval(COVERAGE));
    let verdict = match (center, judged) {
        (Center::Median, _) => None,
        (Center::Mean, None) => Some(Verdict::NoPrediction),
        (Center::Mean, Some(declared)) => {
            let verdict = interval.filter(|_| is_judged).map(|interval| of_interval(interval, declared.accepted));
            // Whether it is rejected is said by all rows together.
            Some(verdict.filter(|verdict| *verdict == Verdict::Agrees).unwrap_or(Verdict::Undecided))
        }
    };
    let p_value = found.filter(|_| is_judged).zip(judged);
    Fit {
        quantity,
        layer,
        statistic: if center == Center::Mean { FitStatistic::ExponentOfMean } else { FitStatistic::ExponentOfMedian },
        value: found.map(|found| found.exponent.estimate.value),
        low: interval.map(|[low, _]| low),
        high: interval.map(|[_, high]| high),
        std_error: found.map(|found| found.exponent.estimate.std_error),
        prefactor: found.map(|found| found.prefactor),
        declared: declared.map(|declared| declared.exponent),
        accepted_low: judged.map(|declared| declared.accepted[0]),
        accepted_high: judged.map(|declared| declared.accepted[1]),
        z: None,
        widths: widths_of(used),
        members: members_of(used),
        verdict,
        remark,
        form: found.map(|found| if found.correction.is_some() { FitForm::CorrectedPower } else { FitForm::Power }),
        correction: found.and_then(|found| found.correction).map(|correction| correction.value),
        correction_std_error: found.and_then(|found| found.correction).map(|correction| correction.std_error),
        correction_declared: declared.map(|declared| declared.correction),
        freedom: found.map(|found| found.exponent.freedom).filter(|freedom| freedom.is_finite()),
        p_value: p_value.and_then(|(found, declared)| found.exponent.p_value_of(declared.accepted)),
        is_growing: None,
    }
}

/// The value at infinite width of one quantity; theory gives the value and the size its error is held against.
pub(super) fn limit_of(quantity: LadderQuantity, rungs: &[Rung], theory: Option<(f64, f64)>) -> Fit {
    let found = extrapolate(rungs);
    let is_judged = members_of(rungs) >= FEWEST_MEMBERS;
    let both = found.zip(theory);
    let p_value = both.filter(|_| is_judged).and_then(|(found, (declared, _))| found.p_value_of([declared, declared]));
    let verdict = match (theory, found.filter(|_| p_value.is_some())) {
        (None, _) => Verdict::NoPrediction,
        (Some((_, size)), Some(found)) if is_sharp(found.estimate, SHARPNESS * size) => Verdict::Agrees,
        _ => Verdict::Undecided,
    };
    Fit {
        quantity,
        layer: None,
        statistic: FitStatistic::Limit,
        value: found.map(|found| found.estimate.value),
        low: None,
        high: None,
        std_error: found.map(|found| found.estimate.std_error),
        prefactor: None,
        declared: theory.map(|(declared, _)| declared),
        accepted_low: None,
        accepted_high: None,
        z: both.map(|(found, (declared, _))| found.estimate.z(declared)),
        widths: widths_of(rungs),
        members: members_of(rungs),
        verdict: Some(verdict),
        remark: if found.is_none() {
            "fewer than three widths, or no spread to weigh them by".to_owned()
        } else if !is_judged {
            too_few_members()
        } else {
            String::new()
        },
        form: found.map(|_| FitForm::Polynomial),
        correction: None,
        correction_std_error: None,
        correction_declared: None,
        freedom: found.map(|found| found.freedom),
        p_value,
        is_growing: None,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::csv_file::bytes_of;

    #[test]
    fn files_of_earlier_versions_are_read() {
        let old = "quantity,layer,statistic,value,low,high,std_error,prefactor,declared,accepted_low,accepted_high,z,widths,members,verdict,remark\n\
                   ntk_relative_change,,exponent_of_mean,-0.93,-0.95,-0.91,0.01,4.4,-1.0,-1.15,-0.7,,64 128 256,24,agrees,\n";
        let rows: Vec<Fit> = csv::Reader::from_reader(old.as_bytes()).deserialize().collect::<Result<_, _>>().unwrap();
        let [row] = &rows[..] else { panic!("{rows:?}") };
        assert_eq!((row.quantity, row.value), (LadderQuantity::FullNtkRelativeChange, Some(-0.93)));
        assert_eq!((row.form, row.correction, row.p_value, row.is_growing), (None, None, None, None));
        // New columns stand behind the old ones.
        let written = String::from_utf8(bytes_of(&rows).unwrap()).unwrap();
        let header = "form,correction,correction_std_error,correction_declared,freedom,p_value,is_growing";
        assert_eq!(written.lines().next().unwrap(), format!("{},{header}", old.lines().next().unwrap()));
    }

    #[test]
    fn few_members_are_told_and_not_judged() {
        let rung = |width: usize| Rung { width, values: (0..9).map(|m| 1.0 + f64::from(m) / width as f64).collect() };
        let rungs = [64, 128, 256, 512].map(rung);
        for theory in [1.0, 2.0] {
            let fit = limit_of(LadderQuantity::NtkMeanDiagonal, &rungs, Some((theory, theory)));
            assert_eq!((fit.verdict, fit.p_value), (Some(Verdict::Undecided), None), "{fit:?}");
            assert!(fit.remark.contains("a verdict takes 10 networks") && fit.z.is_some(), "{fit:?}");
        }
    }
}
