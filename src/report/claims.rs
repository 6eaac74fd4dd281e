//! The comparisons of a run with theory, and what they say together.

use super::quantity::subject_label;
use super::read::Records;
use super::select::{finite, is_ensemble};
use crate::plot::number::{plain, significant, with_error};
use crate::quantity::Quantity;
use crate::record::row::Row;
use crate::verdict::Verdict;

/// The ensemble rows whose verdict is agrees, disagrees or undecided.
#[derive(Debug)]
pub(crate) struct Claims<'a> {
    /// Those rows, in the order of the CSV.
    pub(crate) rows: Vec<&'a Row>,
}

/// The word for `verdict`.
pub(crate) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Agrees => "agrees",
        Verdict::Disagrees => "disagrees",
        Verdict::Undecided => "undecided",
        Verdict::NoPrediction => "no prediction",
    }
}

impl<'a> Claims<'a> {
    /// The claims of `records`.
    pub(crate) fn of(records: &'a Records) -> Self {
        let compared = |r: &&Row| is_ensemble(r) && !matches!(r.verdict, None | Some(Verdict::NoPrediction));
        Self { rows: records.rows.iter().filter(compared).collect() }
    }

    /// How many have this verdict.
    pub(crate) fn count(&self, verdict: Verdict) -> usize {
        self.rows.iter().filter(|r| r.verdict == Some(verdict)).count()
    }

    /// The claim with the largest |z|, the first of equals; below a bound z counts as zero.
    pub(crate) fn farthest(&self) -> Option<&'a Row> {
        let size = |row: &Row| {
            let z = row.z.filter(|z| !z.is_nan())?;
            Some(if Quantity::is_bounded(&row.quantity) { z.max(0.0) } else { z.abs() })
        };
        self.rows
            .iter()
            .copied()
            .filter(|r| size(r).is_some())
            .reduce(|best, row| if size(row) > size(best) { row } else { best })
    }

    /// The verdict of the run in one paragraph.
    pub(crate) fn paragraph(&self) -> String {
        if self.rows.is_empty() {
            return "No row of results.csv compares a measurement with a prediction, so there is no verdict."
                .to_owned();
        }
        let (agree, disagree, undecided) =
            (self.count(Verdict::Agrees), self.count(Verdict::Disagrees), self.count(Verdict::Undecided));
        let mut text = format!(
            "Of {} with predictions, {agree} {}, {disagree} {} and {undecided} {} undecided.",
            counted(self.rows.len(), "comparison"),
            if agree == 1 { "agrees" } else { "agree" },
            if disagree == 1 { "disagrees" } else { "disagree" },
            if undecided == 1 { "is" } else { "are" },
        );
        if let Some(row) = self.farthest() {
            let z = row.z.unwrap_or(f64::NAN);
            text.push_str(&format!(
                " The largest |z| is {}: {} at step {}, measured {}, predicted {}, {}.",
                significant(z.abs(), 3),
                subject_label(row),
                row.step,
                measured(row),
                predicted(row),
                match row.verdict {
                    Some(Verdict::Agrees) => "which still agrees",
                    Some(Verdict::Disagrees) => "which disagrees",
                    _ => "which is undecided",
                }
            ));
        }
        text
    }
}

/// The measured number of `row` with its standard error, if it has one; empty if nothing was measured.
pub(crate) fn measured(row: &Row) -> String {
    match (row.measured, finite(row.std_error)) {
        (Some(value), Some(error)) => with_error(value, error),
        (Some(value), None) => significant(value, 5),
        (None, _) => String::new(),
    }
}

/// The predicted number of `row`, marked if it is a bound; empty if nothing is predicted.
pub(crate) fn predicted(row: &Row) -> String {
    let sign = if Quantity::is_bounded(&row.quantity) { "≤ " } else { "" };
    row.predicted.map_or_else(String::new, |value| format!("{sign}{}", plain(value)))
}

/// `1 claim`, `2 claims`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::FixtureRun;

    #[test]
    fn paragraph_counts_the_rows_and_names_the_farthest() {
        let mut records = FixtureRun::small().records();
        records.rows.retain(|r| is_ensemble(r) && r.verdict.is_some_and(|v| v != Verdict::NoPrediction));
        records.rows.truncate(3);
        for (row, verdict) in records.rows.iter_mut().zip([Verdict::Agrees, Verdict::Disagrees, Verdict::Undecided]) {
            row.verdict = Some(verdict);
            row.z = Some(1.0);
        }
        records.rows[1].z = Some(-17.25);
        let text = Claims::of(&records).paragraph();
        assert!(text.starts_with("Of 3 comparisons with predictions, 1 agrees, 1 disagrees and 1 is"), "{text}");
        assert!(text.contains("largest |z| is 17.2") && text.ends_with("which disagrees."), "{text}");
        assert!(text.contains(&subject_label(&records.rows[1])), "{text}");
    }

    #[test]
    fn far_below_a_bound_is_not_far_from_theory() {
        let mut records = FixtureRun::small().records();
        for row in &mut records.rows {
            row.z = row.z.map(|_| if Quantity::is_bounded(&row.quantity) { -1000.0 } else { 2.0 });
        }
        let claims = Claims::of(&records);
        assert!(claims.rows.iter().any(|r| Quantity::is_bounded(&r.quantity)));
        assert_eq!(claims.farthest().and_then(|r| r.z), Some(2.0));
    }

    #[test]
    fn no_claims_is_said_in_words() {
        let mut records = FixtureRun::small().records();
        records.rows.clear();
        assert!(Claims::of(&records).paragraph().starts_with("No row"));
    }
}
