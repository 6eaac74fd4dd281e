//! `widthwise predict` against the functions of theory that it puts together, and what it refuses.

use std::fs;
use std::path::PathBuf;

use faer::Mat;
use serde_json::Value;
use tempfile::TempDir;
use widthwise::config::load;
use widthwise::network::build_architecture;
use widthwise::record::npy;
use widthwise_theory::architecture::InputShape;
use widthwise_theory::bayes::{InverseGamma, Regularization, gaussian_process_posterior, student_t_posterior};
use widthwise_theory::dynamics::{KernelDynamics, Prediction, Training};
use widthwise_theory::infinite_depth::InfiniteDepth;
use widthwise_theory::kernel::{Inputs, Kernels, kernels};

use crate::bounds::relative_difference;
use crate::program::{Ended, end, program};

const NETWORK: &str = "[network]\ndepth = 2\nactivation = \"erf\"\nsigma_w2 = 1.7\nsigma_b2 = 0.3\n";
const TRAIN: usize = 12;
const TEST: usize = 5;
const FEATURES: usize = 4;
/// The program and theory sum in different orders; kernels of 12 examples have condition numbers below 1e4.
const ROUND_OFF: f64 = 1e4 * 64.0 * f64::EPSILON;

fn inputs(start: usize, count: usize) -> Mat<f64> {
    Mat::from_fn(count, FEATURES, |i, j| ((7 * (start + i) + 3 * j * j) as f64).sin())
}

fn targets(start: usize, count: usize) -> Mat<f64> {
    Mat::from_fn(count, 2, |i, o| ((start + i + 1) as f64 * (o + 1) as f64).cos())
}

struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(desk.path("net.toml"), NETWORK).unwrap();
        for (name, matrix) in [
            ("x.npy", inputs(0, TRAIN)),
            ("y.npy", targets(0, TRAIN)),
            ("x_test.npy", inputs(TRAIN, TEST)),
            ("y_test.npy", targets(TRAIN, TEST)),
        ] {
            npy::write(&desk.path(name), &matrix).unwrap();
        }
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn type_in(&self, line: &str) -> Ended {
        end(program().args(line.split_whitespace()).current_dir(self.folder.path()))
    }

    fn predict(&self, rest: &str) -> Ended {
        let data = "--train x.npy --targets y.npy --test x_test.npy --test-targets y_test.npy";
        self.type_in(&format!("predict net.toml {data} --out p -q {rest}"))
    }

    /// Mean and variance on one half at one time.
    fn read(&self, split: &str, time: &str, examples: usize, outputs: usize) -> [Mat<f64>; 2] {
        let mut found = [Mat::zeros(examples, outputs), Mat::zeros(examples, outputs)];
        let mut reader = csv::Reader::from_path(self.path("p.predictions.csv")).unwrap();
        let mut rows = 0;
        for row in reader.records().map(Result::unwrap).filter(|row| &row[0] == split && &row[3] == time) {
            let at = (row[1].parse::<usize>().unwrap(), row[2].parse::<usize>().unwrap());
            found[0][at] = row[4].parse().unwrap();
            found[1][at] = row[5].parse().unwrap_or(f64::NAN);
            rows += 1;
        }
        assert_eq!(rows, examples * outputs, "{split} at {time}");
        found
    }

    fn summary(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.path("p.summary.json")).unwrap()).unwrap()
    }

    /// Kernels of all examples, training ones first.
    fn kernels(&self) -> Kernels {
        let network = load(Some(&self.path("net.toml")), &[]).unwrap().network.clone();
        let shape = InputShape::flat(FEATURES);
        let architecture = build_architecture(&network, shape, 1, None).unwrap();
        let all = inputs(0, TRAIN + TEST);
        let values = (0..all.nrows()).flat_map(|i| (0..FEATURES).map(move |j| (i, j))).map(|at| all[at]).collect();
        kernels(&architecture, &Inputs::new(values, shape).unwrap(), None).unwrap()
    }
}

fn parts(kernel: &Mat<f64>) -> [Mat<f64>; 3] {
    let part = |i, j, n, m| kernel.submatrix(i, j, n, m).to_owned();
    [part(0, 0, TRAIN, TRAIN), part(TRAIN, 0, TEST, TRAIN), part(TRAIN, TRAIN, TEST, TEST)]
}

#[track_caller]
fn assert_predicts(found: &[Mat<f64>; 2], expected: &Prediction) {
    let variances = expected.variances();
    let variance = Mat::from_fn(expected.mean.nrows(), expected.mean.ncols(), |i, _| variances[i]);
    for (found, expected) in found.iter().zip([&expected.mean, &variance]) {
        let difference = relative_difference(found, expected);
        assert!(difference < ROUND_OFF, "{difference:e}");
    }
}

#[test]
fn posteriors_are_those_of_theory_and_state_what_was_added() {
    let desk = Desk::new();
    let kernels = desk.kernels();
    let y = targets(0, TRAIN);
    for (method, kernel) in [("nngp", &kernels.nngp), ("ntkgp", &kernels.ntk)] {
        let [train, cross, test] = parts(kernel);
        let regularization = Regularization { noise: 0.1, jitter: 1e-6 };
        let expected =
            gaussian_process_posterior(train.as_ref(), cross.as_ref(), test.as_ref(), y.as_ref(), regularization);
        let expected = expected.unwrap();
        desk.predict(&format!("--method {method} --noise 0.1 --jitter 1e-6 --covariance")).done();
        assert_predicts(&desk.read("test", "", TEST, 2), &expected.prediction);
        let covariance = npy::read(&desk.path("p.test.covariance.npy")).unwrap();
        assert!(relative_difference(&covariance, &expected.prediction.covariance) < ROUND_OFF);
        let summary = desk.summary();
        let near = |key: &str, expected: f64| {
            let found = summary[key].as_f64().unwrap();
            assert!((found / expected - 1.0).abs() < ROUND_OFF, "{key}: {found} against {expected}");
        };
        near("log_evidence", expected.log_evidence);
        near("smallest_eigenvalue", expected.spectrum.smallest());
        near("condition_number", expected.spectrum.condition_number());
        near("solved_condition_number", expected.solved_condition_number());
        assert_eq!(
            (&summary["noise"], &summary["jitter"], &summary["ridge"]),
            (&0.1.into(), &1e-6.into(), &0.0.into())
        );
    }
    let [train, cross, test] = parts(&kernels.nngp);
    let prior = InverseGamma { shape: 1.5, scale: 0.7 };
    let noise = Regularization::noise(0.1);
    let expected =
        student_t_posterior(train.as_ref(), cross.as_ref(), test.as_ref(), y.as_ref(), prior, noise).unwrap();
    desk.predict("--method student-t --noise 0.1 --prior-shape 1.5 --prior-scale 0.7").done();
    assert_predicts(&desk.read("test", "", TEST, 2), &expected.prediction().unwrap());
    assert_eq!(desk.summary()["degrees_of_freedom"], 2.0 * 1.5 + 24.0);
}

#[test]
fn ensembles_are_those_of_theory_at_any_time() {
    let desk = Desk::new();
    let kernels = desk.kernels();
    let y = targets(0, TRAIN);
    let dynamics = |ntk: &Mat<f64>, nngp: &Mat<f64>| {
        let ([train, cross, _], [prior, prior_cross, prior_test]) = (parts(ntk), parts(nngp));
        let dynamics = KernelDynamics::new(train.as_ref(), prior.as_ref()).unwrap();
        dynamics.with_test(cross.as_ref(), prior_cross.as_ref(), prior_test.as_ref()).unwrap()
    };
    let ntk = dynamics(&kernels.ntk, &kernels.nngp).with_ridge(0.05).with_label_noise(0.02);
    let ends = [("1", 1), ("7", 7), ("inf", Training::FOREVER)];
    let [learning_rate, beta] = [0.02, 0.8];
    for (optimizer, training) in [
        ("gradient-descent", &(|steps| Training::GradientDescent { learning_rate, steps }) as &dyn Fn(u64) -> Training),
        ("momentum", &|steps| Training::Momentum { learning_rate, beta, steps }),
        ("nesterov", &|steps| Training::Nesterov { learning_rate, beta, steps }),
    ] {
        let rest = format!("--optimizer {optimizer} --learning-rate 0.02 --beta 0.8 --times 1,7,inf");
        desk.predict(&format!("{rest} --ridge 0.05 --noise 0.02")).done();
        for (time, steps) in ends {
            let training = training(steps);
            assert_predicts(&desk.read("test", time, TEST, 2), &ntk.test_prediction(y.as_ref(), &training).unwrap());
            assert_predicts(&desk.read("train", time, TRAIN, 2), &ntk.train_prediction(y.as_ref(), &training).unwrap());
            let rate = desk.summary()["stable_learning_rate"].as_f64().unwrap();
            assert!((rate / ntk.stable_learning_rate(&training) - 1.0).abs() < ROUND_OFF);
        }
    }
    // Readouts alone, and the ensemble whose covariance the tangent kernel is.
    for (method, kernel) in [("nngp", &kernels.nngp), ("ntkgp", &kernels.ntk)] {
        desk.predict(&format!("--method {method} --times 0.5 --learning-rate 2")).done();
        let expected = dynamics(kernel, kernel).test_prediction(y.as_ref(), &Training::Flow { flow_time: 1.0 });
        assert_predicts(&desk.read("test", "0.5", TEST, 2), &expected.unwrap());
    }
}

#[test]
fn batches_of_all_examples_are_full_steps_and_smaller_ones_follow_their_order() {
    let desk = Desk::new();
    let rest = "--optimizer momentum --learning-rate 0.02 --beta 0.8 --times 3,9 --ridge 0.05";
    desk.predict(rest).done();
    let full = desk.read("test", "9", TEST, 2);
    desk.predict(&format!("{rest} --batch-size 12")).done();
    let batches = desk.read("test", "9", TEST, 2);
    for (batches, full) in batches.iter().zip(&full) {
        assert!(relative_difference(batches, full) < ROUND_OFF);
    }
    desk.predict(&format!("{rest} --batch-size 4 --seed 1")).done();
    let first = desk.read("test", "9", TEST, 2)[0].clone();
    desk.predict(&format!("{rest} --batch-size 4 --seed 2")).done();
    assert!(relative_difference(&desk.read("test", "9", TEST, 2)[0], &first) > 1e-6);
    assert_eq!(desk.summary()["steps"], 9);
    desk.predict(&format!("{rest} --batch-size 13")).refused_with(&["--batch-size 13", "12 training examples"]);
}

#[test]
fn a_loss_without_closed_form_reaches_that_with_one() {
    // Within its range the loss of Huber is the squared one, so that the integrated path has a closed form.
    let desk = Desk::new();
    npy::write(&desk.path("y.npy"), &(targets(0, TRAIN) * 0.1)).unwrap();
    npy::write(&desk.path("y_test.npy"), &(targets(TRAIN, TEST) * 0.1)).unwrap();
    desk.predict("--times 0.3,2").done();
    let exact: Vec<_> = ["0.3", "2"].map(|time| desk.read("test", time, TEST, 2)).to_vec();
    for (rest, bound) in [("", 1e-6), ("--optimizer gradient-descent --learning-rate 1e-4", 1e-2)] {
        let times = if rest.is_empty() { "0.3,2" } else { "3000,20000" };
        desk.predict(&format!("--loss huber --times {times} {rest}")).done();
        for (time, [mean, _]) in times.split(',').zip(&exact) {
            let difference = relative_difference(&desk.read("test", time, TEST, 2)[0], mean);
            assert!(difference < bound, "{rest} at {time}: {difference:e}");
        }
    }
    // Members start from the prior, and their number is said.
    desk.predict("--loss huber --times 1 --members 5 --seed 3").done();
    let [_, variance] = desk.read("test", "1", TEST, 2);
    assert!(variance.norm_max() > 0.0 && desk.summary()["members"] == 5);
}

#[test]
fn the_large_solver_finds_the_means_of_the_direct_one() {
    let desk = Desk::new();
    for rest in ["--method nngp --noise 0.1", "--method ntkgp --noise 0.1 --jitter 0.01", "--ridge 0.1"] {
        desk.predict(&format!("{rest} --solver direct")).done();
        let time = if rest.starts_with("--ridge") { "inf" } else { "" };
        let direct = [desk.read("train", time, TRAIN, 2), desk.read("test", time, TEST, 2)];
        desk.predict(&format!("{rest} --solver cg --tolerance 1e-9")).done();
        let found = [desk.read("train", time, TRAIN, 2), desk.read("test", time, TEST, 2)];
        for (found, direct) in found.iter().zip(&direct) {
            let difference = relative_difference(&found[0], &direct[0]);
            // The tolerance, times the condition number of kernels with a diagonal of 0.1.
            assert!(difference < 1e-6, "{rest}: {difference:e}");
            assert!(found[1][(0, 0)].is_nan(), "a variance out of nothing");
        }
        let summary = desk.summary();
        assert!(summary["solver"] == "cg" && summary["residual"].as_f64().unwrap() <= 1e-9, "{summary}");
        assert!(summary["preconditioner_jitter"].is_number() && summary["log_evidence"].is_null());
    }
    desk.predict("--solver cg --times 5").refused_with(&["--solver cg knows means only"]);
}

#[cfg(target_os = "linux")]
#[test]
fn the_peak_of_memory_stays_within_the_budget() {
    let desk = Desk::new();
    let steps = "--optimizer gradient-descent --learning-rate 1e-4 --times 5";
    let line = "predict net.toml --train mnist:train:700 --test mnist:test:300 --out p --json";
    for rest in
        ["--times 0,1,inf", "--method student-t --noise 0.1", &format!("{steps} --batch-size 50"), "--covariance"]
    {
        // The least that a refusal names is enough.
        let refused = desk.type_in(&format!("{line} {rest} --solver direct --memory 48MiB"));
        refused.refused_with(&["--memory 48MiB is too little"]);
        let least = refused.err.rsplit("at least --memory ").next().unwrap().split(' ').next().unwrap();
        let ended = desk.type_in(&format!("{line} {rest} --solver direct --memory {least}")).done();
        let mut lines = ended.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let memory = lines.rfind(|line| line["event"] == "memory").unwrap();
        let (peak, budget) = (memory["peak_bytes"].as_u64(), memory["budget_bytes"].as_u64());
        assert!(peak <= budget, "{rest}: {memory}");
    }
}

#[test]
fn infinite_depth_is_that_of_theory() {
    let desk = Desk::new();
    desk.predict("--method infinite-depth").done();
    let unit = |matrix: Mat<f64>| {
        let length: Vec<f64> = (0..matrix.nrows()).map(|i| matrix.row(i).norm_l2()).collect();
        Mat::from_fn(matrix.nrows(), matrix.ncols(), |i, j| matrix[(i, j)] / length[i])
    };
    let network = load(Some(&desk.path("net.toml")), &[]).unwrap().network.clone();
    let classifier = InfiniteDepth::of(&network.activation).unwrap();
    let (train, test) = (unit(inputs(0, TRAIN)), unit(inputs(TRAIN, TEST)));
    let expected = classifier.classify(train.as_ref(), targets(0, TRAIN).as_ref(), test.as_ref()).unwrap();
    assert!(relative_difference(&desk.read("test", "", TEST, 2)[0], &expected) < ROUND_OFF);
    let ended = desk.predict("--method infinite-depth --set network.family=deep_linear");
    ended.refused_with(&["network.family = \"mlp\"", "deep_linear"]);
}

#[test]
fn classes_are_scored_and_tables_are_tidy() {
    let desk = Desk::new();
    let line = "predict net.toml --train mnist:train:60 --test mnist:test:20 --out p";
    let ended = desk.type_in(&format!("{line} --times 0,1,inf")).done();
    assert!(ended.out.contains("condition number") && ended.out.contains("noise 0, ridge 0, jitter 0"), "{ended:?}");
    let table = fs::read_to_string(desk.path("p.predictions.csv")).unwrap();
    assert!(table.starts_with("split,example,output,time,mean,variance,target\ntrain,0,0,0,"), "{}", &table[..100]);
    assert_eq!(table.lines().count(), 1 + 3 * 80 * 10);
    let summary = desk.summary();
    let scores = summary["scores"].as_array().unwrap();
    assert_eq!(scores.len(), 6);
    assert!(scores[0]["accuracy"].is_null(), "outputs are zero before training");
    assert_eq!((&scores[4]["split"], &scores[4]["time"]), (&"train".into(), &"inf".into()));
    assert_eq!(scores[4]["accuracy"], 1.0);
    assert!(scores[5]["accuracy"].as_f64().unwrap() > 0.4, "{summary}");
    // The same from files of one's own: classes in one column.
    let json = desk.type_in(&format!("{line} --json --loss cross-entropy --times 1")).done();
    let events: Vec<Value> = json.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().any(|event| event["event"] == "score" && event["loss"].as_f64().unwrap() < 2.3), "{json:?}");
    fs::write(desk.path("labels.csv"), "class\n0\n1\n2\n0\n1\n2\n0\n1\n2\n0\n1\n2\n").unwrap();
    let own = "predict net.toml --train x.npy --targets labels.csv --classes 3 --out p -q";
    desk.type_in(own).done();
    assert_eq!(desk.summary()["scores"][0]["accuracy"], 1.0);
    assert_eq!(desk.summary()["outputs"], 3);
}

#[test]
fn what_cannot_be_predicted_is_refused_in_a_sentence() {
    let desk = Desk::new();
    let refuses =
        |line: &str, words: &[&str]| desk.type_in(&format!("predict net.toml --out q {line}")).refused_with(words);
    refuses("--train x.npy", &["x.npy has no targets", "--targets FILE"]);
    refuses("--train x.npy --targets y_test.npy", &["5 targets for the 12 examples of x.npy"]);
    refuses("--train missing.npy --targets y.npy", &["missing.npy"]);
    refuses("--train x.npy --targets y.txt", &[".csv or a .npy"]);
    refuses("--train x.npy --targets y.npy --method nngpp", &["nngpp", "nngp", "student-t"]);
    refuses("--train x.npy --targets y.npy --test-targets y_test.npy", &["--test"]);
    refuses("--train x.npy --targets y.npy --memory 1MiB", &["--memory 1MiB is too little", "at least"]);
    refuses("--train x.npy --targets y.npy --loss cross-entropy --times 1", &["a target is", "0 to 1"]);
    refuses("--train x.npy --targets y.npy --optimizer momentum", &["needs --learning-rate"]);
    let diverging = "--train x.npy --targets y.npy --optimizer momentum --learning-rate 100 --times inf";
    refuses(diverging, &["no limit", "use a learning rate below"]);
    npy::write(&desk.path("y1.npy"), &Mat::zeros(TEST, 1)).unwrap();
    refuses(
        "--train x.npy --targets y.npy --test x_test.npy --test-targets y1.npy",
        &["test targets have 1 columns, training targets 2"],
    );
    npy::write(&desk.path("narrow.npy"), &Mat::zeros(3, 2)).unwrap();
    refuses("--train x.npy --targets y.npy --test narrow.npy", &["narrow.npy has 2 columns, but an example has 4"]);
    // An example that is there twice makes a singular kernel; nothing is added to it unasked.
    let twice = inputs(0, TRAIN);
    let twice = Mat::from_fn(TRAIN, FEATURES, |i, j| twice[(i / 2, j)]);
    npy::write(&desk.path("twice.npy"), &twice).unwrap();
    refuses("--train twice.npy --targets y.npy --method nngp", &["not positive definite", "--jitter"]);
    desk.type_in("predict net.toml --out q --train twice.npy --targets y.npy --method nngp --jitter 1e-6 -q").done();
    let ended = desk.type_in("predict net.toml --out r --train twice.npy --targets y.npy").done();
    assert!(ended.err.contains("6 modes of the kernel") && ended.out.contains("singular to round-off"), "{ended:?}");
    assert!(desk.path("q.predictions.csv").is_file());
}

/// Relu is homogeneous: without biases `sigma_w2` is a factor of all kernels, 2^-600 and 2^600 at this depth.
#[test]
fn deep_relu_off_criticality_predicts_what_it_does_at_it() {
    const X: [[f64; 3]; 12] = [
        [-0.8, -1.32, -0.25],
        [0.42, 1.14, 0.11],
        [-0.55, -0.78, 0.75],
        [1.63, 0.27, -1.23],
        [-0.96, 1.6, 0.2],
        [-1.73, -0.08, -1.16],
        [-0.63, -0.49, -0.71],
        [0.55, -0.06, -0.59],
        [0.41, 0.83, -1.64],
        [-0.26, -0.98, -0.17],
        [-1.29, 0.02, -0.04],
        [-0.3, -1.05, -0.4],
    ];
    const Y: [f64; 12] = [-1.09, -1.36, 0.22, -1.11, 1.17, 0.72, -2.0, 0.27, -1.1, 0.03, 0.04, -1.99];
    const Z: [[f64; 3]; 4] = [[-0.23, -0.26, 0.96], [-1.18, 0.74, -1.1], [-0.33, -0.84, 1.45], [0.57, 2.43, 0.64]];
    let desk = Desk::new();
    npy::write(&desk.path("x.npy"), &Mat::from_fn(12, 3, |i, j| X[i][j])).unwrap();
    npy::write(&desk.path("y.npy"), &Mat::from_fn(12, 1, |i, _| Y[i])).unwrap();
    npy::write(&desk.path("z.npy"), &Mat::from_fn(4, 3, |i, j| Z[i][j])).unwrap();
    fs::write(desk.path("net.toml"), "[network]\ndepth = 600\nactivation = \"relu\"\nsigma_w2 = 2.0\nsigma_b2 = 0.0\n")
        .unwrap();
    for sigma_w2 in ["1.0", "2.0", "4.0"] {
        let line = "predict net.toml --train x.npy --targets y.npy --test z.npy --out p -q";
        desk.type_in(&format!("{line} --set network.sigma_w2={sigma_w2}")).done();
        let mut reader = csv::Reader::from_path(desk.path("p.predictions.csv")).unwrap();
        let first = reader.records().map(Result::unwrap).find(|row| &row[0] == "test").unwrap();
        let mean: f64 = first[4].parse().unwrap();
        // An independent program, with 60 digits.
        assert!((mean + 0.333_602_978).abs() < 2e-8, "sigma_w2 = {sigma_w2}: {mean}");
        fs::remove_file(desk.path("p.predictions.csv")).unwrap();
    }
}
