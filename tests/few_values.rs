//! Kurtosis, skewness and distances of few values: without bias, with the level of as many Gaussian values, or not at all.

use std::collections::BTreeMap;
use std::fs;

use tempfile::TempDir;
use widthwise::record::row::{Row, TrainingRow};

use crate::program::{Ended, end, program};

/// One output, so that the readout has one value a member at each of six inputs.
const EXPERIMENT: &str = r#"
[run]
name = "gk"
members = 8
[dataset]
source = { name = "uniform-sphere", train = 6, test = 4 }
[dataset.preprocessing]
train = 6
test = 4
targets = "binary"
[network]
depth = 1
width = 256
activation = "erf"
sigma_w2 = 1.0
sigma_b2 = 0.0
[training.stop]
steps = 1
[probes]
examples = 6
jacobian_vectors = 0
jacobian_examples = 2
information = false
ntk = false
schedule = "ends"
"#;

struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        fs::write(desk.0.path().join("gk.toml"), EXPERIMENT).unwrap();
        desk
    }

    fn run(&self, name: &str, more: &str) -> Ended {
        let line = format!("run gk.toml -q --output {name} {more}");
        let ended: Ended = end(program().args(line.split_whitespace()).current_dir(self.0.path()));
        assert!(ended.code.is_some_and(|code| code != 2), "{ended:?}");
        ended
    }

    fn table<T: serde::de::DeserializeOwned>(&self, name: &str) -> Vec<T> {
        let mut reader = csv::Reader::from_path(self.0.path().join(name)).unwrap();
        reader.deserialize().collect::<Result<_, _>>().unwrap()
    }

    fn ensemble(&self, name: &str) -> Vec<Row> {
        let mut rows: Vec<Row> = self.table(&format!("{name}/results.csv"));
        rows.retain(|row| row.members.contains(".."));
        rows
    }
}

fn find<'a>(rows: &'a [Row], quantity: &str, step: u64, layer: usize) -> Option<&'a Row> {
    rows.iter().find(|row| row.quantity == quantity && row.step == step && row.layer == Some(layer))
}

#[test]
fn the_kurtosis_of_eight_readouts_is_zero_on_average() {
    let desk = Desk::new();
    let mut found: BTreeMap<(&str, usize), Vec<f64>> = BTreeMap::new();
    let mut standardized = Vec::new();
    for seed in 1..=40 {
        let name = format!("r{seed}");
        desk.run(&name, &format!("--set run.seed={seed}"));
        let rows = desk.ensemble(&name);
        for layer in [1, 2] {
            for quantity in ["excess_kurtosis", "skewness"] {
                let row = find(&rows, quantity, 0, layer).unwrap();
                found.entry((quantity, layer)).or_default().push(row.measured.unwrap());
            }
        }
        let [distance, level] = ["ks_distance", "ks_distance_null"].map(|name| find(&rows, name, 0, 2).unwrap());
        standardized.push((distance.measured.unwrap() - level.measured.unwrap()) / level.std_error.unwrap());
        let level = find(&rows, "kurtosis_null", 0, 2).unwrap();
        assert!(level.measured == Some(3.0) && level.std_error.unwrap() > 0.5, "{level:?}");
        assert!(find(&rows, "excess_kurtosis", 0, 2).unwrap().z.unwrap().abs() < 4.0);
    }
    let summary = |values: &[f64]| {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        (mean, (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0) / n).sqrt())
    };
    for ((quantity, layer), values) in &found {
        let (mean, error) = summary(values);
        eprintln!("{quantity} of layer {layer}: {mean:.4} +- {error:.4}");
        // At width 256 the readout's own excess is 0.007.
        assert!(
            (mean - if *layer == 2 { 0.007 } else { 0.0 }).abs() < 3.5 * error,
            "{quantity} {layer}: {mean} {error}"
        );
    }
    let (mean, error) = summary(&standardized);
    eprintln!("distances in units of their spread: {mean:.3} +- {error:.3}");
    assert!(mean.abs() < 3.5 * error && (0.1..0.25).contains(&error), "{mean} {error}");
}

#[test]
fn what_few_members_cannot_say_is_left_out() {
    for members in [2, 3, 4] {
        let desk = Desk::new();
        desk.run("r", &format!("--set run.members={members}"));
        let rows = desk.ensemble("r");
        for quantity in ["kurtosis", "excess_kurtosis", "skewness", "kurtosis_null"] {
            for step in [0, 1] {
                assert_eq!(find(&rows, quantity, step, 2), None, "{quantity} of {members} values");
                assert!(find(&rows, quantity, step, 1).is_some(), "{quantity} of {members} x 256 values");
            }
        }
        assert_eq!(find(&rows, "ks_distance", 0, 2), None, "{members} values");
        for row in &rows {
            assert!(row.z.is_none_or(|z| z.abs() < 1e4), "{row:?}");
        }
    }
}

#[test]
fn a_step_of_a_member_has_one_row() {
    let desk = Desk::new();
    for (name, more) in [
        ("full", "--set training.stop.steps=5 --set probes.schedule={every=2}"),
        ("batches", "--set training.stop.steps=9 --set training.batch_size=2 --set probes.schedule={every=3}"),
        ("loss", "--set training.stop.steps=40 --set training.stop.loss=2.0 --set probes.schedule={every=4}"),
        ("long", "--set training.stop.steps=5000 --set probes.schedule={log=9} --set network.width=8"),
        ("diverged", "--set training.stop.steps=60 --set training.learning_rate.critical=1e5"),
    ] {
        desk.run(name, more);
        let rows: Vec<TrainingRow> = desk.table(&format!("{name}/training.csv"));
        let mut seen = std::collections::BTreeSet::new();
        for row in &rows {
            assert!(
                seen.insert((row.member, row.step)),
                "{name}: two rows of member {}, step {}",
                row.member,
                row.step
            );
        }
        let in_order: Vec<(usize, u64)> = rows.iter().map(|row| (row.member, row.step)).collect();
        assert!(in_order.is_sorted(), "{name}");
        // A step that is evaluated and trained from has both losses, and they agree where the batch is the whole set.
        let first = rows.iter().find(|row| row.step == 0).unwrap();
        let (evaluated, batch) = (first.train_loss.unwrap(), first.batch_loss.unwrap());
        assert!(name == "batches" || (evaluated / batch - 1.0).abs() < 1e-5, "{name}: {evaluated} {batch}");
        let last = rows.iter().rfind(|row| row.member == 0).unwrap();
        assert!(name == "diverged" || (last.train_loss.is_some() && last.batch_loss.is_none()), "{name}: {last:?}");
    }
}

#[test]
fn kernels_of_networks_under_adam_say_whose_rates_weigh_their_layers() {
    let desk = Desk::new();
    let adam = "--set training.optimizer=adam --set training.learning_rate={absolute=0.001} --set probes.ntk=true";
    let units = |name: &str, more: &str| {
        desk.run(name, more);
        let rows: Vec<Row> = desk.table(&format!("{name}/results.csv"));
        let unit = |quantity: &str| {
            let mut units: Vec<String> =
                rows.iter().filter(|row| row.quantity == quantity).map(|row| row.unit.clone()).collect();
            units.dedup();
            assert_eq!(units.len(), 1, "{quantity}: {units:?}");
            units.remove(0)
        };
        ["ntk_mean_diagonal", "ntk_velocity", "gradient_covariance_trace", "train_loss", "weight_distance"].map(unit)
    };
    let words = "rates of gradient descent";
    for parameterization in ["mup", "mean-field", "standard-layerwise"] {
        let found = units(parameterization, &format!("{adam} --set network.parameterization={parameterization}"));
        assert_eq!(found, [words, &format!("1/step, {words}"), words, "", ""], "{parameterization}");
    }
    // One rate for all layers, under either rule; and the optimizers whose factors these are.
    for (name, more) in [
        ("ntk", adam.to_owned()),
        ("standard", format!("{adam} --set network.parameterization=standard")),
        ("descent", "--set probes.ntk=true --set network.parameterization=mup".to_owned()),
    ] {
        assert_eq!(units(name, &more), ["", "1/step", "", "", ""], "{name}");
    }
}
