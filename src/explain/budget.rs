//! The gap between a finite network and infinite width as signed parts, and what they come to over members.

use std::collections::{BTreeMap, BTreeSet};

use widthwise_statistics::Deviations;

use crate::record::budget::{BudgetRow, Part, Split, Trajectory};

/// Outputs of one member: by step, split and trajectory, one number a point.
pub(super) type MemberOutputs = BTreeMap<(u64, Split), BTreeMap<Trajectory, Vec<f64>>>;

/// Mean over members of a difference, and the square of its standard error, point by point.
struct MeanDifference {
    mean: Vec<f64>,
    squared_error: Option<Vec<f64>>,
}

impl MeanDifference {
    fn new(members: &[&BTreeMap<Trajectory, Vec<f64>>], from: Trajectory, to: Trajectory) -> Option<Self> {
        let of_members: Vec<Vec<f64>> = members
            .iter()
            .map(|outputs| {
                Some(outputs.get(&to)?.iter().zip(outputs.get(&from)?).map(|(to, from)| to - from).collect())
            })
            .collect::<Option<_>>()?;
        let (count, points) = (of_members.len(), of_members.first()?.len());
        let found: Vec<Deviations> =
            (0..points).map(|point| Deviations::of(of_members.iter().map(|d| d[point]))).collect();
        // One division where `Deviations::variance_of_mean` has two: budgets that were written keep their last digit.
        let squared_error_of = |found: &Deviations| found.squares / ((count - 1) * count) as f64;
        let squared_error = (count > 1).then(|| found.iter().map(squared_error_of).collect());
        Some(Self { mean: found.iter().map(|found| found.mean).collect(), squared_error })
    }

    fn root_mean_square(&self) -> f64 {
        (self.mean.iter().map(|d| d * d).sum::<f64>() / self.mean.len() as f64).sqrt()
    }

    fn std_error(&self) -> Option<f64> {
        let squares = self.squared_error.as_ref()?;
        Some((squares.iter().sum::<f64>() / squares.len() as f64).sqrt())
    }

    fn absolute(&self) -> f64 {
        self.mean.iter().map(|d| d.abs()).sum()
    }

    fn along(&self, other: &Self) -> f64 {
        self.mean.iter().zip(&other.mean).map(|(a, b)| a * b).sum()
    }
}

/// The budget of these members. Steps and splits at which any of them lacks a trajectory are left out.
pub(super) fn rows(members: &[MemberOutputs]) -> Vec<BudgetRow> {
    let keys: BTreeSet<(u64, Split)> = members.iter().flat_map(|member| member.keys().copied()).collect();
    keys.into_iter().flat_map(|key| rows_at(members, key).unwrap_or_default()).collect()
}

fn rows_at(members: &[MemberOutputs], (step, split): (u64, Split)) -> Option<Vec<BudgetRow>> {
    let here: Vec<_> = members.iter().map(|member| member.get(&(step, split))).collect::<Option<_>>()?;
    let ends = (Trajectory::InfiniteMeanFlow, Trajectory::Network);
    let gap = MeanDifference::new(&here, ends.0, ends.1)?;
    let parts: Vec<MeanDifference> = Part::ALL
        .iter()
        .map(|part| MeanDifference::new(&here, part.between().0, part.between().1))
        .collect::<Option<_>>()?;
    let total: f64 = parts.iter().map(MeanDifference::absolute).sum();
    let squared_gap = gap.along(&gap);
    let row =
        |name: &str, ends: (Trajectory, Trajectory), found: &MeanDifference, absolute_share: Option<f64>| BudgetRow {
            step,
            split,
            part: name.to_owned(),
            from: ends.0.name().to_owned(),
            to: ends.1.name().to_owned(),
            members: members.len(),
            root_mean_square: found.root_mean_square(),
            std_error: found.std_error(),
            absolute_share,
            signed_share: (squared_gap > 0.0).then(|| found.along(&gap) / squared_gap),
        };
    let named = Part::ALL.iter().zip(&parts);
    let mut rows: Vec<BudgetRow> = named
        .map(|(part, found)| {
            let share = (total > 0.0).then(|| found.absolute() / total);
            row(part.name(), part.between(), found, share)
        })
        .collect();
    rows.push(row("gap", ends, &gap, None));
    Some(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::budget::largest_parts;

    /// Trajectory k of member m at point p: each part has a size of its own.
    fn member(m: f64) -> MemberOutputs {
        let mut outputs = BTreeMap::new();
        let mut value = [0.0, 0.0];
        for (k, trajectory) in Trajectory::ALL.into_iter().take(7).enumerate() {
            if k > 0 {
                value[0] += k as f64 + if k == 1 { m } else { 0.0 };
                value[1] -= 2.0 * k as f64;
            }
            outputs.insert(trajectory, value.to_vec());
        }
        BTreeMap::from([((5, Split::Train), outputs)])
    }

    #[test]
    fn parts_by_hand() {
        let rows = rows(&[member(-1.0), member(1.0)]);
        assert_eq!(rows.len(), 7);
        // Part k is (k, -2k) on average; its sum of absolute values 3k of 63, its root mean square k sqrt(5/2).
        for (k, row) in (1..).zip(&rows[..6]) {
            let k = f64::from(k);
            assert!((row.root_mean_square - k * 2.5_f64.sqrt()).abs() < 1e-14);
            assert!((row.absolute_share.unwrap() - k / 21.0).abs() < 1e-14);
            assert!((row.signed_share.unwrap() - k / 21.0).abs() < 1e-14);
        }
        // Members differ in the seed at the first point alone, by +-1: standard error 1 there, 0 at the other.
        assert!((rows[0].std_error.unwrap() - 0.5_f64.sqrt()).abs() < 1e-14);
        assert_eq!(rows[1].std_error, Some(0.0));
        assert_eq!((rows[6].part.as_str(), rows[6].signed_share), ("gap", Some(1.0)));
        assert_eq!(super::rows(&[member(0.0)])[0].std_error, None);
    }

    #[test]
    fn a_member_without_a_trajectory_leaves_the_step_out() {
        let mut short = member(0.0);
        short.values_mut().for_each(|outputs| drop(outputs.remove(&Trajectory::Network)));
        assert!(rows(&[member(0.0), short]).is_empty());
    }

    #[test]
    fn the_largest_part_is_named() {
        let said = largest_parts(&rows(&[member(-1.0), member(1.0)]));
        assert_eq!(said.len(), 1, "there are no test examples");
        let expected =
            "training examples, step 5: 29 % of what separates theory from the run is rounding in single precision";
        assert!(said[0].starts_with(expected), "{said:?}");
        assert!(largest_parts(&[]).is_empty());
        // Of noise and a smaller part that is sure, both are named.
        let mut noisy = rows(&[member(-1.0), member(1.0)]);
        noisy[5].std_error = Some(noisy[5].root_mean_square);
        let said = &largest_parts(&noisy)[0];
        assert!(said.contains("within its standard error of 0; the largest that is not: 24 % of"), "{said}");
        assert!(said.contains("linearization"), "{said}");
    }
}
