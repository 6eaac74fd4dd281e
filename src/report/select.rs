//! Picks rows out of the records: ensemble rows, members, the last step of each number.

use std::collections::BTreeMap;

use super::claims::word;
use super::quantity;
use super::read::Records;
use crate::plot::number::exact;
use crate::quantity::Quantity;
use crate::record::row::Row;

/// What a row is about, apart from the step: quantity, earlier layer, layer.
pub(crate) type RowSubject<'a> = (&'a str, Option<usize>, Option<usize>);

/// The subject of `row`.
pub(crate) fn subject(row: &Row) -> RowSubject<'_> {
    (&row.quantity, row.layer_from, row.layer)
}

/// Whether `row` is a mean over members (`0..16`) and not one member (`3`).
pub(crate) fn is_ensemble(row: &Row) -> bool {
    row.members.contains("..")
}

/// The number in a cell, unless it is empty or not finite.
pub(crate) fn finite(cell: Option<f64>) -> Option<f64> {
    cell.filter(|v| v.is_finite())
}

const TRAIN_LOSS: &str = Quantity::TrainLoss.name();
const TEST_LOSS: &str = Quantity::TestLoss.name();

impl Records {
    /// Ensemble rows of `quantity` with a finite measured number, by step.
    pub(crate) fn ensemble(&self, quantity: &str) -> Vec<&Row> {
        let mut rows: Vec<&Row> = self
            .rows
            .iter()
            .filter(|r| r.quantity == quantity && is_ensemble(r) && finite(r.measured).is_some())
            .collect();
        rows.sort_by_key(|r| r.step);
        rows
    }

    /// `(step, number)` of each member for a `quantity` without layer, by step, one list a member.
    pub(crate) fn members(&self, quantity: &str) -> Vec<Vec<(u64, f64)>> {
        let mut curves: BTreeMap<usize, Vec<(u64, f64)>> = BTreeMap::new();
        for row in &self.training {
            let cell = match quantity {
                TRAIN_LOSS => row.train_loss,
                TEST_LOSS => row.test_loss,
                "train_accuracy" => row.train_accuracy,
                "test_accuracy" => row.test_accuracy,
                _ => None,
            };
            if let Some(value) = finite(cell) {
                curves.entry(row.member).or_default().push((row.step, value));
            }
        }
        if curves.is_empty() {
            for row in self.rows.iter().filter(|r| r.quantity == quantity && r.layer.is_none()) {
                if let (Ok(member), Some(value)) = (row.members.parse(), finite(row.measured)) {
                    curves.entry(member).or_default().push((row.step, value));
                }
            }
        }
        let mut curves: Vec<_> = curves.into_values().collect();
        curves.iter_mut().for_each(|c| c.sort_by_key(|p| p.0));
        curves
    }
}

/// The rows at the last step of each subject, in the order in which the subjects first appear.
pub(crate) fn latest<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Vec<&'a Row> {
    let mut order: BTreeMap<RowSubject<'a>, usize> = BTreeMap::new();
    let mut groups: Vec<Vec<&Row>> = Vec::new();
    for row in rows {
        let index = *order.entry(subject(row)).or_insert(groups.len());
        match groups.get_mut(index) {
            None => groups.push(vec![row]),
            Some(group) => match row.step.cmp(&group[0].step) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => group.push(row),
                std::cmp::Ordering::Greater => *group = vec![row],
            },
        }
    }
    groups.concat()
}

/// `rows` by quantity, in the order in which the quantities first appear, then by layers and step.
pub(crate) fn in_order(mut rows: Vec<&Row>) -> Vec<&Row> {
    let mut rank: BTreeMap<String, usize> = BTreeMap::new();
    for row in &rows {
        let next = rank.len();
        rank.entry(row.quantity.clone()).or_insert(next);
    }
    rows.sort_by_key(|r| (rank.get(&r.quantity).copied(), r.layer_from, r.layer, r.step));
    rows
}

/// First and last of the steps of `rows`; one step where there is only one.
pub(crate) fn end_steps(rows: &[&Row]) -> Vec<u64> {
    let (first, last) = (rows.iter().map(|r| r.step).min(), rows.iter().map(|r| r.step).max());
    let mut steps: Vec<u64> = first.into_iter().chain(last).collect();
    steps.dedup();
    steps
}

/// What `row` is about, then its numbers exactly as in the CSV, one a line, for the tooltip of its point.
pub(crate) fn tooltip(row: &Row) -> String {
    let mut text = format!("{}, step {}", quantity::subject_label(row), row.step);
    if let Some(verdict) = row.verdict {
        text.push_str(&format!(": {}", word(verdict)));
    }
    let trust = quantity::trust(row);
    if !trust.is_empty() {
        text.push_str(&format!(" ({trust})"));
    }
    let cells =
        [("measured", row.measured), ("standard error", row.std_error), ("predicted", row.predicted), ("z", row.z)];
    for (name, cell) in cells {
        if let Some(value) = cell {
            text.push_str(&format!("\n{name} {}", exact(value)));
        }
    }
    text
}

/// A sentence that says how the standard errors of `rows` were obtained; empty if they have none.
pub(crate) fn error_sentence<'a>(rows: impl IntoIterator<Item = &'a Row>) -> String {
    let mut methods: Vec<&str> = rows
        .into_iter()
        .filter(|r| finite(r.std_error).is_some() && !r.se_method.is_empty())
        .map(|r| r.se_method.as_str())
        .collect();
    methods.sort_unstable();
    methods.dedup();
    if methods.is_empty() {
        return String::new();
    }
    let described: Vec<String> = methods.into_iter().map(quantity::error_method).collect();
    format!("Standard errors: {}.", described.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::FixtureRun;

    #[test]
    fn latest_keeps_one_step_of_each_subject_in_order_of_appearance() {
        let run = FixtureRun::small();
        let rows = run.rows();
        let ensemble: Vec<&Row> = rows.iter().filter(|r| is_ensemble(r)).collect();
        let last = latest(ensemble.iter().copied());
        let mut subjects: Vec<_> = last.iter().map(|r| subject(r)).collect();
        assert_eq!(subjects[0], subject(ensemble[0]));
        let count = subjects.len();
        subjects.sort_unstable();
        subjects.dedup();
        assert_eq!(subjects.len(), count);
        for row in last {
            assert!(ensemble.iter().all(|r| subject(r) != subject(row) || r.step <= row.step));
        }
    }

    #[test]
    fn in_order_keeps_the_layers_of_a_quantity_together() {
        let rows = FixtureRun::small().rows();
        let sorted = in_order(rows.iter().collect());
        assert_eq!(sorted.len(), rows.len());
        assert_eq!(sorted[0].quantity, rows[0].quantity);
        let changes = sorted.windows(2).filter(|w| w[0].quantity != w[1].quantity).count();
        let mut names: Vec<_> = rows.iter().map(|r| &r.quantity).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(changes + 1, names.len());
    }

    #[test]
    fn members_come_from_training_csv_or_else_from_results_csv() {
        let run = FixtureRun::small();
        let mut records = run.records();
        let from_training = records.members("train_loss");
        records.training.clear();
        assert_eq!(records.members("train_loss"), from_training);
        assert_eq!(from_training.len(), run.members);
        assert!(records.members("kurtosis").is_empty());
    }

    #[test]
    fn cells_that_are_not_finite_are_left_out() {
        let mut records = FixtureRun::small().records();
        for row in &mut records.rows {
            row.measured = Some(f64::NAN);
        }
        assert!(records.ensemble("ntk_mean_diagonal").is_empty());
    }
}
