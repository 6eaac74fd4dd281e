//! A made-up run for the tests: member rows from a fixed pseudo-random stream, ensemble rows computed from them.

use std::fs;
use std::path::Path;

use super::read::Records;
use super::select::is_ensemble;
use crate::quantity::{Flag, Kind, Quantity};
use crate::record::budget::{BudgetRow, Part, Split};
use crate::record::row::{Row, SCHEMA_VERSION, TrainingRow};
use crate::verdict::Verdict;

/// What the made-up run looks like.
#[derive(Debug, Clone)]
pub(crate) struct FixtureRun {
    pub(crate) members: usize,
    pub(crate) steps: Vec<u64>,
    pub(crate) layers: usize,
}

impl Default for FixtureRun {
    fn default() -> Self {
        Self { members: 16, steps: vec![0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000], layers: 4 }
    }
}

/// A linear congruential stream; only looks random.
struct Stream(u64);

impl Stream {
    fn normal(&mut self) -> f64 {
        let mut sum = 0.0;
        for _ in 0..12 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            sum += (self.0 >> 11) as f64 / (1u64 << 53) as f64;
        }
        sum - 6.0
    }
}

/// One number: quantity, unit, layers, mean, spread over members, prediction.
type FixtureNumber = (&'static str, &'static str, Option<usize>, Option<usize>, f64, f64, Option<f64>);

impl FixtureRun {
    /// Two members, three steps, two layers.
    pub(crate) fn small() -> Self {
        Self { members: 2, steps: vec![0, 10, 100], layers: 2 }
    }

    fn numbers(&self, step: u64) -> Vec<FixtureNumber> {
        let t = step as f64;
        let decay = 1.0 / (1.0 + t / 30.0).powf(0.9);
        let mut numbers: Vec<FixtureNumber> = vec![
            ("train_loss", "", None, None, 0.45 * decay, 0.02 * decay, Some(0.45 * decay * (1.0 + 0.02 * (t / 1e3)))),
            ("test_loss", "", None, None, 0.45 * decay + 0.02, 0.02 * decay + 0.001, Some(0.45 * decay + 0.021)),
            ("ntk_mean_diagonal", "", None, None, 61.2 + 0.0006 * t, 1.4, Some(61.0)),
            ("ntk_mean_off_diagonal", "", None, None, 1.32, 0.04, Some(1.31)),
            ("ntk_top_eigenvalue", "", None, None, 140.0 + 0.003 * t, 4.0, Some(139.0)),
            ("ntk_condition_number", "", None, None, 5200.0 + 2.0 * t, 600.0, None),
            ("ntk_target_alignment", "", None, None, 0.12 + 0.03 * (1.0 + t / 50.0).ln(), 0.01, None),
            ("ntk_overlap", "", None, None, 0.996 - 1e-6 * t, 0.0012, Some(1.0)),
            ("ntk_distance", "", None, None, 0.08 + 4e-6 * t, 0.008, Some(0.0)),
            ("ntk_infinite_cka", "", None, None, 0.99 - 1e-6 * t, 0.001, None),
            ("ntk_effective_rank", "", None, None, 30.0 - 0.01 * t, 0.4, None),
            ("ntk_label_overlap", "", None, None, 0.6 + 1e-4 * t, 0.01, None),
            ("gradient_covariance_trace", "", None, None, 40.0 * decay, 1.5 * decay, None),
            ("nngp_mean_diagonal", "", None, None, 1.18, 0.03, Some(1.175)),
            ("nngp_mean_off_diagonal", "", None, None, 0.61, 0.02, Some(0.6)),
            ("gradient_norm", "", None, None, 3.0 * decay, 0.1, None),
        ];
        let change = 2e-4 * t.sqrt();
        let bound = (step > 0).then_some(1.1 * change);
        numbers.push(("ntk_relative_change", "", None, None, change, 0.12 * change, bound));
        if step > 0 {
            numbers.push(("ntk_velocity", "1/step", None, None, change / t, 0.1 * change / t, None));
            numbers.push(("ntk_initial_cka", "", None, None, 1.0 - change, 0.1 * change, None));
        }
        let progress = (1.0 + t).ln() / (1e4f64).ln();
        for layer in 1..=self.layers {
            let l = layer as f64;
            let at = Some(layer);
            let wide = 3.0 + 0.012 * (l - 1.0);
            let mut push = |name, unit, mean, spread, predicted| {
                numbers.push((name, unit, None, at, mean, spread, predicted));
            };
            push("preactivation_variance", "", 1.0 + 0.01 * l, 0.02, Some(1.0 + 0.01 * l));
            push("ntk_layer_share", "", 1.0 / self.layers as f64 + 1e-4 * t * (l - 1.5), 0.01, None);
            if step > 0 {
                push("weight_distance", "", 0.01 * l * t.sqrt(), 1e-3 * l, None);
                push("weight_rms_change", "", 0.002 * t.sqrt() / l, 1e-4, None);
            }
            push("kurtosis", "", wide + 6e-6 * t * (l - 1.0) + 0.002, 0.012, Some(wide));
            push("skewness", "", 0.0, 0.01, Some(0.0));
            push("ks_distance", "", 0.004 + 0.001 * l, 0.001, None);
            push("kurtosis_null", "", 3.0, 0.02, None);
            push("ks_distance_null", "", 0.003, 0.001, None);
            let input = 7.6 - 0.55 * l - 0.25 * l * progress * progress;
            let label = (2.2 - 0.12 * l) * (0.35 + 0.65 * progress) - 0.15 * (l - 1.0) * (1.0 - progress);
            push("information_input_binning", "nats", input.min(7.6), 0.08, None);
            push("information_label_binning", "nats", label, 0.04, None);
            push("information_input_kde_upper", "nats", input - 1.0, 0.06, None);
            push("information_input_kde_lower", "nats", input - 1.9, 0.06, None);
            push("information_label_kde", "nats", 0.9 * label, 0.03, None);
            for from in 1..layer {
                let norm = 0.93f64.powi((layer - from) as i32);
                let value = norm * (1.0 + 0.001 * t.sqrt());
                numbers.push(("partial_jacobian_norm", "", Some(from), at, value, 0.05 * norm, Some(norm)));
            }
        }
        numbers.push(("information_input_ceiling", "nats", None, None, 2048f64.ln(), 0.0, None));
        numbers.push(("information_label_ceiling", "nats", None, None, 10f64.ln(), 0.0, None));
        numbers
    }

    /// All rows of `results.csv`.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let mut stream = Stream(20);
        let mut rows = Vec::new();
        for &step in &self.steps {
            for number in self.numbers(step) {
                self.push_number(step, number, &mut stream, &mut rows);
            }
        }
        rows
    }

    fn push_number(&self, step: u64, number: FixtureNumber, stream: &mut Stream, rows: &mut Vec<Row>) {
        let (quantity, unit, layer_from, layer, mean, spread, predicted) = number;
        let row = |members: String, measured| Row {
            schema_version: SCHEMA_VERSION,
            run: "wide & <deep>".to_owned(),
            seed: 7,
            members,
            dataset: "mnist".to_owned(),
            family: "mlp".to_owned(),
            parameterization: "ntk".to_owned(),
            width: 1024,
            depth: self.layers,
            step,
            flow_time: Some(step as f64 * 0.5),
            quantity: quantity.to_owned(),
            unit: unit.to_owned(),
            layer_from,
            layer,
            measured: Some(measured),
            std_error: None,
            se_method: String::new(),
            kind: Some(quantity.parse::<Quantity>().map_or(Kind::Exact, |quantity| quantity.trust().kind)),
            method: if quantity.ends_with("_null") { "gaussian_values(192)" } else { "probe_examples" }.to_owned(),
            ceiling: None,
            flag: (quantity == "information_input_binning" && layer == Some(1)).then_some(Flag::Saturated),
            predicted: None,
            z: None,
            verdict: None,
        };
        let values: Vec<f64> = (0..self.members).map(|_| mean + spread * stream.normal()).collect();
        rows.extend(values.iter().enumerate().map(|(m, &v)| row(m.to_string(), v)));
        let n = values.len() as f64;
        let average = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - average).powi(2)).sum::<f64>() / (n - 1.0);
        let std_error = (variance / n).sqrt();
        let z = predicted.map(|p| (average - p) / std_error);
        let verdict = match z.map(f64::abs) {
            None => Verdict::NoPrediction,
            Some(z) if z < 2.5 => Verdict::Agrees,
            Some(z) if z < 4.0 => Verdict::Undecided,
            Some(_) => Verdict::Disagrees,
        };
        rows.push(Row {
            std_error: Some(std_error),
            se_method: if predicted.is_some() { "paired_members" } else { "members" }.to_owned(),
            predicted,
            z,
            verdict: Some(verdict),
            ..row(format!("0..{}", self.members), average)
        });
    }

    /// All rows of `training.csv`.
    pub(crate) fn training(&self) -> Vec<TrainingRow> {
        let rows = self.rows();
        let cell = |quantity: &str, member: usize, step: u64| {
            let found = rows.iter().find(|r| {
                !is_ensemble(r) && r.quantity == quantity && r.step == step && r.members == member.to_string()
            });
            found.and_then(|r| r.measured)
        };
        let accuracy = |loss: Option<f64>| loss.map(|l| (1.0 - 1.9 * l).clamp(0.1, 1.0));
        let mut training = Vec::new();
        for member in 0..self.members {
            for &step in &self.steps {
                let (train_loss, test_loss) = (cell("train_loss", member, step), cell("test_loss", member, step));
                training.push(TrainingRow {
                    schema_version: SCHEMA_VERSION,
                    run: "wide & <deep>".to_owned(),
                    member,
                    step,
                    epoch: step as f64 / 100.0,
                    flow_time: Some(step as f64 * 0.5),
                    train_loss,
                    test_loss,
                    train_accuracy: accuracy(train_loss),
                    test_accuracy: accuracy(test_loss),
                    batch_loss: None,
                });
            }
        }
        training
    }

    /// `results.csv` as text.
    pub(crate) fn results_csv(&self) -> String {
        csv_text(&self.rows())
    }

    /// `training.csv` as text.
    pub(crate) fn training_csv(&self) -> String {
        csv_text(&self.training())
    }

    /// Parts of a gap that grows along training.
    pub(crate) fn budget(&self) -> Vec<BudgetRow> {
        let total: f64 = (1..=Part::ALL.len()).map(|k| k as f64).sum();
        let mut rows = Vec::new();
        for (step, split) in self.steps.iter().flat_map(|&step| [(step, Split::Train), (step, Split::Test)]) {
            let size = 1e-3 * (1.0 + step as f64).sqrt();
            for (k, part) in (1..).zip(Part::ALL) {
                let (from, to) = part.between();
                rows.push(BudgetRow {
                    step,
                    split,
                    part: part.name().to_owned(),
                    from: from.name().to_owned(),
                    to: to.name().to_owned(),
                    members: self.members,
                    root_mean_square: size * f64::from(k),
                    std_error: Some(0.1 * size),
                    absolute_share: Some(f64::from(k) / total),
                    signed_share: Some(f64::from(k) / total),
                });
            }
        }
        rows
    }

    /// `error_budget.csv` as text.
    pub(crate) fn budget_csv(&self) -> String {
        csv_text(&self.budget())
    }

    /// The records as if read from its files.
    pub(crate) fn records(&self) -> Records {
        let dir = tempfile::tempdir().unwrap();
        self.write(dir.path());
        Records::read(dir.path()).unwrap()
    }

    /// Writes all five files into `dir`.
    pub(crate) fn write(&self, dir: &Path) {
        fs::write(dir.join("results.csv"), self.results_csv()).unwrap();
        fs::write(dir.join("training.csv"), self.training_csv()).unwrap();
        fs::write(dir.join("error_budget.csv"), self.budget_csv()).unwrap();
        fs::write(dir.join("config.toml"), "[network]\nfamily = \"mlp\" # <b>\nwidth = 1024\n").unwrap();
        let manifest = r#"{"run": "wide & <deep>", "outcome": "finished", "seed": 7, "device": "cpu",
            "config_hash": "9f2c61d0", "versions": {"widthwise": "0.1.0", "burn": "0.22.1"},
            "dataset_source": "bundled", "theory": "Kernels & <means>, no fluctuations.",
            "member_outcomes": [{"member": 0, "step": 100, "outcome": "finished"},
                {"member": 1, "step": 100, "outcome": "finished"}],
            "command": ["widthwise", "run", "my config.toml", "--seed", "7"]}"#;
        fs::write(dir.join("manifest.json"), manifest).unwrap();
    }
}

fn csv_text(rows: &[impl serde::Serialize]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    rows.iter().for_each(|row| writer.serialize(row).unwrap());
    String::from_utf8(writer.into_inner().unwrap()).unwrap()
}
