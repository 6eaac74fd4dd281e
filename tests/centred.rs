//! Networks that subtract their initial function, `network.centred`: wherever a network is trained, measured or predicted.

use std::fs;

use faer::Mat;
use tempfile::TempDir;
use widthwise::ladder::{Fit, FitStatistic, LadderQuantity};
use widthwise::record::row::Row;

use crate::program::{Ended, end, program};

const EXPERIMENT: &str = r#"
[run]
name = "centred"
members = 3
seed = 4
precision = "f64"
[dataset]
source = { name = "uniform-sphere", input_dim = 5 }
[dataset.preprocessing]
train = 8
test = 4
targets = "binary"
[network]
depth = 1
width = 64
activation = "erf"
sigma_w2 = 2.0
sigma_b2 = 0.1
centred = true
[training]
learning_rate = { absolute = 0.05 }
stop = { steps = 12 }
[probes]
schedule = "ends"
examples = 8
jacobian_examples = 2
information = false
"#;

struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        fs::write(desk.0.path().join("e.toml"), EXPERIMENT).unwrap();
        desk
    }

    fn type_in(&self, line: &str) -> Ended {
        end(program().args(line.split_whitespace()).current_dir(self.0.path()))
    }

    fn table<T: serde::de::DeserializeOwned>(&self, name: &str) -> Vec<T> {
        let mut reader = csv::Reader::from_path(self.0.path().join(name)).unwrap();
        reader.deserialize().collect::<Result<_, _>>().unwrap()
    }

    /// Mean and variance of `predict` on the training examples at its last time.
    fn predicted(&self, line: &str) -> [Vec<f64>; 2] {
        self.type_in(&format!("predict e.toml --train e.toml:train --test e.toml:test --out p {line}")).done();
        let rows: Vec<std::collections::BTreeMap<String, String>> = self.table("p.predictions.csv");
        let number = |key: &str| rows.iter().map(|row| row[key].parse().unwrap_or(f64::NAN)).collect();
        [number("mean"), number("variance")]
    }
}

const TRAINED: &str = "--optimizer gradient-descent --learning-rate 0.05 --times 12";

#[test]
fn a_ladder_trains_and_predicts_centred_networks() {
    let desk = Desk::new();
    let ladder = |name: &str, more: &str| {
        let ended = desk.type_in(&format!("ladder e.toml --widths 128,512,2048 --seeds 4 --out {name} {more}"));
        assert!(ended.code.is_some_and(|code| code != 2), "{ended:?}");
        let fits: Vec<Fit> = desk.table(&format!("{name}/fits.csv"));
        let is_loss = |fit: &&Fit| fit.quantity == LadderQuantity::TrainLoss && fit.statistic == FitStatistic::Limit;
        let loss = fits.iter().find(is_loss).unwrap();
        (loss.value.unwrap(), loss.declared.unwrap())
    };
    let (measured, declared) = ladder("centred", "");
    let (_, plain) = ladder("plain", "--set network.centred=false");
    // The loss of the mean, by the command that makes predictions; plain networks have the variance of their starts on top.
    let rows: Vec<std::collections::BTreeMap<String, String>> = {
        desk.type_in(&format!("predict e.toml --train e.toml:train --out p {TRAINED}")).done();
        desk.table("p.predictions.csv")
    };
    let number = |row: &std::collections::BTreeMap<String, String>, key: &str| row[key].parse::<f64>().unwrap();
    let expected: f64 = rows.iter().map(|row| 0.5 * (number(row, "mean") - number(row, "target")).powi(2)).sum();
    assert!((declared / expected - 1.0).abs() < 1e-10, "{declared} {expected}");
    assert!(plain > 1.05 * declared, "{plain} {declared}");
    // The networks extrapolate to it.
    eprintln!("measured {measured}, centred theory {declared}, plain theory {plain}");
    assert!((measured / declared - 1.0).abs() < 0.1, "{measured} {declared}");
}

#[test]
fn predictions_of_centred_networks_have_no_variance_of_their_starts() {
    let desk = Desk::new();
    for line in [
        TRAINED.to_owned(),
        "--times 3,inf".to_owned(),
        format!("{TRAINED} --batch-size 4"),
        "--method nngp --times 5".to_owned(),
    ] {
        let [mean, variance] = desk.predicted(&line);
        let [plain_mean, plain_variance] = desk.predicted(&format!("{line} --set network.centred=false"));
        assert!(variance.iter().all(|v| v.abs() < 1e-12), "{line}: {variance:?}");
        assert!(plain_variance.iter().any(|v| *v > 0.05), "{line}: {plain_variance:?}");
        assert_eq!(mean, plain_mean, "{line}: the mean is that of a prior of zero mean");
    }
    // Label noise does not go away.
    let [_, variance] = desk.predicted(&format!("{TRAINED} --noise 0.3"));
    assert!(variance.iter().all(|v| *v > 1e-3), "{variance:?}");
    // One network from zero, under a loss without closed form.
    let softmax = "--loss huber --times 4";
    let line = "predict e.toml --train e.toml:train --out p";
    desk.type_in(&format!("{line} {softmax}")).done();
    desk.type_in(&format!("{line} {softmax} --members 5")).refused_with(&["--members 5", "centred"]);
    for method in ["nngp", "ntkgp", "student-t"] {
        desk.type_in(&format!("{line} --method {method} --noise 0.1"))
            .refused_with(&["centred", "--set network.centred=false"]);
    }
    desk.type_in(&format!("{line} --method ntkgp --times 3")).refused_with(&["frozen random function", "centred"]);
}

#[test]
fn kernels_of_centred_networks_are_tangent_kernels_alone() {
    let desk = Desk::new();
    desk.type_in("kernel e.toml --inputs e.toml:train --out k").refused_with(&["centred", "--only ntk"]);
    desk.type_in("kernel e.toml --inputs e.toml:train --only nngp --out k").refused_with(&["centred"]);
    desk.type_in("monte-carlo e.toml --inputs e.toml:train --out k")
        .refused_with(&["centred", "sample the kernels of f"]);
    desk.type_in("kernel e.toml --inputs e.toml:train --only ntk --out k").done();
    desk.type_in("kernel e.toml --inputs e.toml:train --only ntk --out f --set network.centred=false").done();
    let [centred, plain] = ["k", "f"].map(|name| fs::read(desk.0.path().join(format!("{name}.ntk.npy"))).unwrap());
    assert_eq!(centred, plain);
}

#[test]
fn weights_of_centred_networks_are_those_of_the_function_before_the_subtraction() {
    let desk = Desk::new();
    desk.type_in("weights import w.pt --network e.toml --input 5 --outputs 1 --out w.safetensors").refused_with(&[
        "centred",
        "holds f",
        "--set network.centred=false",
    ]);
    for (name, centred) in [("c", true), ("f", false)] {
        let line = format!("run e.toml -q --output {name} --set run.keep_weights=last --set network.centred={centred}");
        desk.type_in(&line).ran();
        let exported = desk.type_in(&format!("weights export {name} --out {name}.safetensors")).done();
        assert_eq!(exported.err.contains("weights of f"), centred, "{exported:?}");
    }
}

#[test]
fn gradients_of_the_loss_are_those_at_the_centred_outputs() {
    // At the start f - f_0 = 0, so that the gradient of an example is -y grad f: with targets of +-1 the trace follows from the
    // tangent kernel, (sum_x Theta_xx - 1/N sum_xx' y_x y_x' Theta_xx') / (N - 1), whatever f_0 is.
    let desk = Desk::new();
    let run = |name: &str, more: &str| -> Vec<Row> {
        let ended = desk.type_in(&format!("run e.toml -q --output {name} {more}"));
        assert!(ended.code.is_some_and(|code| code != 2), "{ended:?}");
        desk.table(&format!("{name}/results.csv"))
    };
    let value = |rows: &[Row], member: &str, quantity: &str| {
        let is = |row: &&Row| row.step == 0 && row.members == member && row.quantity == quantity;
        rows.iter().find(is).unwrap().measured.unwrap()
    };
    desk.type_in("predict e.toml --train e.toml:train --out p").done();
    let targets: Vec<std::collections::BTreeMap<String, String>> = desk.table("p.predictions.csv");
    let y: Vec<f64> = targets.iter().map(|row| row["target"].parse().unwrap()).collect();
    for more in ["", "--set probes.schedule={every=4}"] {
        let rows = run(if more.is_empty() { "a" } else { "b" }, more);
        let folder = if more.is_empty() { "a" } else { "b" };
        for member in 0..3 {
            let path = desk.0.path().join(format!("{folder}/members/{member:03}/ntk_initial.npy"));
            let ntk: Mat<f64> = widthwise::record::npy::read(&path).unwrap();
            let n = y.len() as f64;
            let diagonal: f64 = (0..y.len()).map(|i| y[i] * y[i] * ntk[(i, i)]).sum();
            let all: f64 = (0..y.len())
                .flat_map(|i| (0..y.len()).map(move |j| (i, j)))
                .map(|(i, j)| y[i] * y[j] * ntk[(i, j)])
                .sum();
            let expected = (diagonal - all / n) / (n - 1.0);
            let found = value(&rows, &member.to_string(), "gradient_covariance_trace");
            assert!((found / expected - 1.0).abs() < 1e-9, "{member}: {found} {expected}");
        }
    }
    // The loss at the start is that of zero outputs, in every set of examples that is examined.
    let rows = run("c", "--set probes.examples=5");
    let expected = 0.5 * y.iter().map(|y| y * y).sum::<f64>();
    assert!((value(&rows, "1", "train_loss") - expected).abs() < 1e-12);
    assert!((value(&run("d", ""), "1", "train_loss") - expected).abs() < 1e-12);
}
