//! The table of a recipe: what the paper says, what theory says, what was found here, and whether the latter two agree.
//!
//! [`Expected`] is the rule of a row. Numbers of a paper that were recalled and not read are shown and never judged by.

use serde::{Deserialize, Serialize};
pub(super) use widthwise_statistics::judge::Expected;
use widthwise_statistics::{Estimate, Verdict};

use crate::ladder::{Fit, LadderQuantity};
use crate::plot::number::{plain, significant, with_error};

/// What theory says, in figures.
fn text(expected: Expected) -> String {
    match expected {
        Expected::Value { value, .. } => plain(value),
        Expected::Digits { value, decimals } => {
            format!("{value:.decimals$}", decimals = usize::try_from(decimals).unwrap_or(0))
        }
        Expected::AtMost { bound, .. } => format!("at most {}", plain(bound)),
        Expected::Below(bound) => format!("< {}", plain(bound)),
        Expected::Above(bound) => format!("> {}", plain(bound)),
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
        let theory = text(expected);
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
            LadderQuantity::FullNtkRelativeChange => "relative change of the NTK".to_owned(),
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

    /// The same row, not judged although theory says something; `reason` accompanies what it says.
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

    fn overall(rows: &[TableRow]) -> Verdict {
        Verdict::of_all(rows.iter().filter_map(|row| row.verdict))
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
