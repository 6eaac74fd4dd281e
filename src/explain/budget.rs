//! The gap between a finite network and infinite width as signed parts, and what they come to over members.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

/// One way of getting outputs at a step, from the theory's to the run's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trajectory {
    /// Infinite-width kernel, gradient flow, mean over initializations.
    InfiniteMeanFlow,
    /// The same from the member's own initial outputs.
    InfiniteFlow,
    /// The same by steps of gradient descent.
    InfiniteDescent,
    /// Gradient descent under the member's own tangent kernel at initialization.
    LinearizedDescent,
    /// The linearized network under the run's own optimizer, batches and penalty.
    Linearized,
    /// The network, in f64.
    NetworkF64,
    /// The network as the run trains it.
    Network,
    /// The second-order Taylor model, beside the chain.
    Quadratic,
}

impl Trajectory {
    /// All of them, in the order of their columns.
    pub const ALL: [Self; 8] = [
        Self::InfiniteMeanFlow,
        Self::InfiniteFlow,
        Self::InfiniteDescent,
        Self::LinearizedDescent,
        Self::Linearized,
        Self::NetworkF64,
        Self::Network,
        Self::Quadratic,
    ];

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::InfiniteMeanFlow => "infinite_mean_flow",
            Self::InfiniteFlow => "infinite_flow",
            Self::InfiniteDescent => "infinite_descent",
            Self::LinearizedDescent => "linearized_descent",
            Self::Linearized => "linearized",
            Self::NetworkF64 => "network_f64",
            Self::Network => "network",
            Self::Quadratic => "quadratic",
        }
    }
}

/// One part of the gap: what changes between two neighbours of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The member's own initial function.
    Seed,
    /// Steps instead of flow.
    TimeDiscretization,
    /// The member's own kernel at initialization.
    InitialKernel,
    /// Momentum, batches, penalty, Adam.
    Optimizer,
    /// The network instead of its Taylor model.
    Linearization,
    /// Single precision, or another device.
    Arithmetic,
}

impl Part {
    /// All parts, from theory to the run.
    pub const ALL: [Self; 6] = [
        Self::Seed,
        Self::TimeDiscretization,
        Self::InitialKernel,
        Self::Optimizer,
        Self::Linearization,
        Self::Arithmetic,
    ];

    /// The part is the second trajectory minus the first.
    pub fn between(self) -> (Trajectory, Trajectory) {
        use Trajectory::*;
        match self {
            Self::Seed => (InfiniteMeanFlow, InfiniteFlow),
            Self::TimeDiscretization => (InfiniteFlow, InfiniteDescent),
            Self::InitialKernel => (InfiniteDescent, LinearizedDescent),
            Self::Optimizer => (LinearizedDescent, Linearized),
            Self::Linearization => (Linearized, NetworkF64),
            Self::Arithmetic => (NetworkF64, Network),
        }
    }

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::TimeDiscretization => "time_discretization",
            Self::InitialKernel => "initial_kernel",
            Self::Optimizer => "optimizer",
            Self::Linearization => "linearization",
            Self::Arithmetic => "arithmetic",
        }
    }

    /// The cause, as the end of a sentence.
    pub fn cause(self) -> &'static str {
        match self {
            Self::Seed => {
                "the initial outputs of these members, which theory averages over: train more members, or centre the network"
            }
            Self::TimeDiscretization => {
                "steps of gradient descent instead of gradient flow: take a smaller learning rate"
            }
            Self::InitialKernel => {
                "the tangent kernel at initialization, which fluctuates at finite width: widen the network"
            }
            Self::Optimizer => "the optimizer, its batches or its penalty instead of gradient descent on all examples",
            Self::Linearization => {
                "the network leaving its linearization, which is feature learning: widen the network, or expect it"
            }
            Self::Arithmetic => "rounding in single precision: set run.precision = \"f64\"",
        }
    }
}

/// Training or test examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Examples that the network is trained on.
    Train,
    /// Others.
    Test,
}

/// A part at one step, over all points of a split and all members.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BudgetRow {
    /// Step of the run.
    pub step: u64,
    /// Which examples.
    pub split: Split,
    /// The name of a [`Part`], or `gap` for their sum.
    pub part: String,
    /// The trajectory that is subtracted.
    pub from: String,
    /// The trajectory that it is subtracted from.
    pub to: String,
    /// Members.
    pub members: usize,
    /// Root mean square over points of the mean over members.
    pub root_mean_square: f64,
    /// The same of its standard error; empty with one member.
    pub std_error: Option<f64>,
    /// Its sum of absolute values over points in that of all parts; empty for the gap, and where all parts are 0.
    pub absolute_share: Option<f64>,
    /// Its projection on the gap over that of the gap, so that parts add up to 1 with their signs; empty where the gap is 0.
    pub signed_share: Option<f64>,
}

/// Outputs of one member: by step, split and trajectory, one number a point.
pub(super) type MemberOutputs = BTreeMap<(u64, Split), BTreeMap<Trajectory, Vec<f64>>>;

/// Mean over members of a difference, and the square of its standard error, point by point.
struct Difference {
    mean: Vec<f64>,
    squared_error: Option<Vec<f64>>,
}

impl Difference {
    fn new(members: &[&BTreeMap<Trajectory, Vec<f64>>], from: Trajectory, to: Trajectory) -> Option<Self> {
        let of_members: Vec<Vec<f64>> = members
            .iter()
            .map(|outputs| {
                Some(outputs.get(&to)?.iter().zip(outputs.get(&from)?).map(|(to, from)| to - from).collect())
            })
            .collect::<Option<_>>()?;
        let (count, points) = (of_members.len(), of_members.first()?.len());
        let mean_of = |point: usize| of_members.iter().map(|d| d[point]).sum::<f64>() / count as f64;
        let mean: Vec<f64> = (0..points).map(mean_of).collect();
        let squared_error_of = |point: usize| {
            let squares: f64 = of_members.iter().map(|d| (d[point] - mean[point]).powi(2)).sum();
            squares / ((count - 1) * count) as f64
        };
        let squared_error = (count > 1).then(|| (0..points).map(squared_error_of).collect());
        Some(Self { mean, squared_error })
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
    let gap = Difference::new(&here, ends.0, ends.1)?;
    let parts: Vec<Difference> = Part::ALL
        .iter()
        .map(|part| Difference::new(&here, part.between().0, part.between().1))
        .collect::<Option<_>>()?;
    let total: f64 = parts.iter().map(Difference::absolute).sum();
    let squared_gap = gap.along(&gap);
    let row = |name: &str, ends: (Trajectory, Trajectory), found: &Difference, absolute_share: Option<f64>| BudgetRow {
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

/// Share below which a part is not worth a sentence.
const SMALLEST_SHARE: f64 = 0.01;

/// The largest part at the last step, a sentence for the training and one for the test examples. A part that is lost in its standard
/// error over members is named as such, and the largest that is not beside it.
pub fn largest_parts(rows: &[BudgetRow]) -> Vec<String> {
    [(Split::Train, "training examples"), (Split::Test, "test examples")]
        .into_iter()
        .filter_map(|(split, examples)| {
            let last = rows.iter().filter(|row| row.split == split).map(|row| row.step).max()?;
            let mut parts: Vec<Named<'_>> =
                rows.iter().filter(|row| row.split == split && row.step == last).filter_map(Named::new).collect();
            parts.sort_by(|a, b| b.share.total_cmp(&a.share));
            let first = parts.first()?;
            let mut sentence = format!("{examples}, step {last}: {first}");
            if first.is_lost() {
                sentence.push_str(", which is within its standard error of 0");
                if let Some(clear) = parts.iter().find(|part| !part.is_lost() && part.share >= SMALLEST_SHARE) {
                    sentence.push_str(&format!("; the largest that is not: {clear}"));
                }
            }
            Some(sentence)
        })
        .collect()
}

/// A row with its part and share.
struct Named<'a> {
    row: &'a BudgetRow,
    part: Part,
    share: f64,
}

impl<'a> Named<'a> {
    fn new(row: &'a BudgetRow) -> Option<Self> {
        let part = Part::ALL.into_iter().find(|part| part.name() == row.part)?;
        Some(Self { row, part, share: row.absolute_share? })
    }

    /// A mean without a signal has about its standard error as its root mean square.
    fn is_lost(&self) -> bool {
        self.row.std_error.is_some_and(|error| self.row.root_mean_square < 2.0 * error)
    }
}

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = self.row.std_error.map_or_else(String::new, |error| format!(" ± {error:.1e}"));
        write!(
            f,
            "{:.0} % of what separates theory from the run is {} ({:.1e}{error} an output)",
            100.0 * self.share,
            self.part.cause(),
            self.row.root_mean_square
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
