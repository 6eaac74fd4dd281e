//! The table of a recipe: what the paper says, what theory says, what was found here, and whether the latter two agree.
//!
//! - A value *disagrees* if it lies four standard errors or more from theory; it *agrees* if it does not and four standard errors
//!   are at most what the row states as its reach; otherwise it is *undecided*.
//! - An inequality *agrees* if it holds by three standard errors, *disagrees* if it is violated by three, and is *undecided* between.
//! - A bound that theory proves *disagrees* if it is exceeded by three standard errors, and otherwise agrees as a value does.
//! - Numbers of a paper that were recalled and not read are shown and never judged by.

use serde::{Deserialize, Serialize};

use super::estimate::Estimate;
use crate::ladder::{Fit, LadderQuantity};
use crate::plot::number::{plain, significant, with_error};
use crate::verdict::Verdict;

/// Standard errors at which a value is rejected.
const REJECTED: f64 = 4.0;

/// Standard errors by which an inequality has to hold.
const HOLDS: f64 = 3.0;

/// What theory says of a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Expected {
    /// It is this number; an agreement has to be sharp to within `reach`.
    Value {
        /// The number.
        value: f64,
        /// Largest four standard errors of an agreement.
        reach: f64,
    },
    /// It is this number to within half a unit of its last digit: for what is computed and not sampled.
    Digits {
        /// The number.
        value: f64,
        /// Digits after the point.
        decimals: i32,
    },
    /// It is at most this; it disagrees three standard errors above, and an agreement has to be sharp to within `reach`.
    AtMost {
        /// The bound.
        bound: f64,
        /// Largest four standard errors of an agreement.
        reach: f64,
    },
    /// It is smaller.
    Below(f64),
    /// It is larger.
    Above(f64),
}

impl Expected {
    /// The verdict about a finding.
    pub(super) fn judge(self, found: Estimate) -> Verdict {
        if !found.value.is_finite() || found.std_error.is_nan() {
            return Verdict::Undecided;
        }
        match self {
            Self::Value { value, reach } => match found.z(value).abs() {
                z if z >= REJECTED => Verdict::Disagrees,
                // Without spread and without distance there is nothing to decide by.
                z if z.is_nan() => Verdict::Undecided,
                _ if REJECTED * found.std_error <= reach => Verdict::Agrees,
                _ => Verdict::Undecided,
            },
            Self::Digits { value, decimals } => {
                let half_unit = 0.5 * 10f64.powi(-decimals);
                if (found.value - value).abs() <= half_unit * (1.0 + 1e-6) {
                    Verdict::Agrees
                } else {
                    Verdict::Disagrees
                }
            }
            Self::AtMost { bound, .. } if found.value - bound > HOLDS * found.std_error => Verdict::Disagrees,
            Self::AtMost { reach, .. } if REJECTED * found.std_error <= reach => Verdict::Agrees,
            Self::AtMost { .. } => Verdict::Undecided,
            Self::Below(bound) => Self::inequality(-found.z(bound)),
            Self::Above(bound) => Self::inequality(found.z(bound)),
        }
    }

    /// `z` is positive where the inequality holds.
    fn inequality(z: f64) -> Verdict {
        if z >= HOLDS {
            Verdict::Agrees
        } else if z <= -HOLDS {
            Verdict::Disagrees
        } else {
            Verdict::Undecided
        }
    }

    fn text(self) -> String {
        match self {
            Self::Value { value, .. } => plain(value),
            Self::Digits { value, decimals } => {
                format!("{value:.decimals$}", decimals = usize::try_from(decimals).unwrap_or(0))
            }
            Self::AtMost { bound, .. } => format!("at most {}", plain(bound)),
            Self::Below(bound) => format!("< {}", plain(bound)),
            Self::Above(bound) => format!("> {}", plain(bound)),
        }
    }
}

/// A row of `table.csv` and `table.md`; an undefined number is an empty cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableRow {
    /// What, in words.
    pub quantity: String,
    /// What the paper says; empty if it says nothing.
    pub paper: String,
    /// What theory says; empty if it says nothing.
    pub theory: String,
    /// What was found here.
    pub here: Option<f64>,
    /// Its standard error; 0 for a number that was computed.
    pub std_error: Option<f64>,
    /// The judgement; empty where nothing is judged.
    pub verdict: Option<Verdict>,
}

impl TableRow {
    /// A finding against theory.
    pub(super) fn judged(quantity: impl Into<String>, expected: Expected, found: Estimate) -> Self {
        let theory = expected.text();
        Self { verdict: Some(expected.judge(found)), theory, ..Self::shown(quantity, found) }
    }

    /// A finding that nothing is held against.
    pub(super) fn shown(quantity: impl Into<String>, found: Estimate) -> Self {
        let finite = |number: f64| Some(number).filter(|number| number.is_finite());
        Self {
            quantity: quantity.into(),
            paper: String::new(),
            theory: String::new(),
            here: finite(found.value),
            std_error: finite(found.std_error),
            verdict: None,
        }
    }

    /// An exponent that a ladder fitted and judged.
    pub(super) fn of_fit(fit: &Fit) -> Self {
        let nan = f64::NAN;
        let found = Estimate { value: fit.value.unwrap_or(nan), std_error: fit.std_error.unwrap_or(nan) };
        let what = match fit.quantity {
            LadderQuantity::WeightChange => "relative change of the weights".to_owned(),
            LadderQuantity::NtkRelativeChange => "relative change of the NTK".to_owned(),
            LadderQuantity::LinearizationGap => "distance from the own linearization".to_owned(),
            other => other.name(),
        };
        let layer = fit.layer.map_or_else(String::new, |layer| format!(", layer {layer}"));
        let theory = match (fit.declared, fit.accepted_low, fit.accepted_high) {
            (Some(declared), Some(low), Some(high)) => {
                format!("{} ({} to {} accepted)", plain(declared), plain(low), plain(high))
            }
            (Some(declared), ..) => plain(declared),
            _ => String::new(),
        };
        let widths = fit.widths.replace(' ', ", ");
        let quantity = format!("{what}{layer}: power of the width ({widths})");
        Self { theory, verdict: fit.verdict, ..Self::shown(quantity, found) }
    }

    /// The same row with what the paper says, as it was read.
    pub(super) fn paper(self, text: impl Into<String>) -> Self {
        Self { paper: text.into(), ..self }
    }

    /// The same row with what is remembered of the paper, which is not judged by.
    pub(super) fn recalled(self, text: &str) -> Self {
        self.paper(format!("{text} (recalled)"))
    }

    /// The same row, not judged although theory says something; `reason` stands beside what it says.
    pub(super) fn not_judged(self, reason: &str) -> Self {
        Self { theory: format!("{} ({reason})", self.theory), verdict: None, ..self }
    }

    /// The finding with its error.
    pub fn finding(&self) -> String {
        match (self.here, self.std_error) {
            (Some(here), Some(error)) if error > 0.0 => with_error(here, error),
            (Some(here), _) => significant(here, 7),
            (None, _) => "-".to_owned(),
        }
    }

    /// The judgement in words.
    pub fn judgement(&self) -> &'static str {
        match self.verdict {
            Some(Verdict::Agrees) => "agrees",
            Some(Verdict::Disagrees) => "disagrees",
            Some(Verdict::Undecided) => "undecided",
            Some(Verdict::NoPrediction) | None => "not judged",
        }
    }
}

/// The verdict of a table: disagreement if one row disagrees, agreement if some agree and none is undecided.
pub(super) fn overall(rows: &[TableRow]) -> Verdict {
    let any = |verdict| rows.iter().any(|row| row.verdict == Some(verdict));
    if any(Verdict::Disagrees) {
        Verdict::Disagrees
    } else if any(Verdict::Undecided) || !any(Verdict::Agrees) {
        Verdict::Undecided
    } else {
        Verdict::Agrees
    }
}

/// The table as Markdown.
pub(super) fn markdown(rows: &[TableRow]) -> String {
    let cell = |text: &str| if text.is_empty() { "-".to_owned() } else { text.replace('|', "\\|") };
    let mut text =
        "| quantity | paper | theory | here ± standard error | verdict |\n|---|---|---|---|---|\n".to_owned();
    for row in rows {
        let [quantity, paper, theory] = [&row.quantity, &row.paper, &row.theory].map(|text| cell(text));
        let (found, verdict) = (cell(&row.finding()), row.judgement());
        text.push_str(&format!("| {quantity} | {paper} | {theory} | {found} | {verdict} |\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(value: f64, std_error: f64) -> Estimate {
        Estimate { value, std_error }
    }

    #[test]
    fn values_are_judged_by_their_errors() {
        let one = Expected::Value { value: 1.0, reach: 0.2 };
        assert_eq!(one.judge(found(1.15, 0.04)), Verdict::Agrees);
        assert_eq!(one.judge(found(1.17, 0.04)), Verdict::Disagrees);
        assert_eq!(one.judge(found(0.83, 0.04)), Verdict::Disagrees);
        assert_eq!(one.judge(found(1.0, 0.06)), Verdict::Undecided);
        for blind in [found(f64::NAN, 0.1), found(1.0, f64::NAN), found(1.0, 0.0)] {
            assert_eq!(one.judge(blind), Verdict::Undecided, "{blind:?}");
        }
    }

    #[test]
    fn inequalities_hold_by_three_standard_errors() {
        assert_eq!(Expected::Below(2.0).judge(found(1.0, 0.3)), Verdict::Agrees);
        assert_eq!(Expected::Below(2.0).judge(found(3.0, 0.3)), Verdict::Disagrees);
        assert_eq!(Expected::Below(2.0).judge(found(1.0, 0.4)), Verdict::Undecided);
        assert_eq!(Expected::Above(2.0).judge(found(3.0, 0.3)), Verdict::Agrees);
        assert_eq!(Expected::Above(2.0).judge(found(2.0, 0.0)), Verdict::Undecided);
    }

    #[test]
    fn bounds_are_kept_to_within_the_error() {
        let bound = Expected::AtMost { bound: -0.5, reach: 0.4 };
        assert_eq!(bound.judge(found(-0.45, 0.1)), Verdict::Agrees);
        assert_eq!(bound.judge(found(-0.15, 0.1)), Verdict::Disagrees);
        assert_eq!(bound.judge(found(-0.9, 0.2)), Verdict::Undecided);
        assert_eq!(bound.judge(Estimate::exact(-0.5)), Verdict::Agrees);
        assert_eq!(bound.judge(Estimate::exact(-0.4)), Verdict::Disagrees);
    }

    #[test]
    fn digits_are_those_of_the_reference() {
        let expected = Expected::Digits { value: 1.2346, decimals: 4 };
        assert_eq!(expected.judge(Estimate::exact(1.234_56)), Verdict::Agrees);
        assert_eq!(expected.judge(Estimate::exact(1.234_66)), Verdict::Disagrees);
    }

    #[test]
    fn one_disagreement_decides_and_an_undecided_row_spoils_agreement() {
        let row = |value| TableRow::judged("q", Expected::Value { value, reach: 1.0 }, found(1.0, 0.1));
        let open = TableRow::judged("q", Expected::Above(1.0), found(1.0, 0.1));
        let shown = TableRow::shown("q", found(1.0, 0.1));
        assert_eq!(overall(&[row(1.0), shown.clone()]), Verdict::Agrees);
        assert_eq!(overall(&[row(1.0), open.clone()]), Verdict::Undecided);
        assert_eq!(overall(&[row(1.0), open, row(2.0)]), Verdict::Disagrees);
        assert_eq!(overall(&[shown]), Verdict::Undecided);
    }

    #[test]
    fn markdown_has_five_columns() {
        let row = TableRow::judged("a | b", Expected::Above(0.0), found(1.0, 0.1)).recalled("about 1");
        let text = markdown(&[row]);
        assert!(text.ends_with("| a \\| b | about 1 (recalled) | > 0 | 1.00 ± 0.10 | agrees |\n"), "{text}");
    }
}
