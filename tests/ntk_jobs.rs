//! `widthwise ntk` as a user types it: jobs that are killed go on to the same bytes, within their memory; trained weights and
//! networks that are drawn; every output; eigenpairs.
//! The file is long because all cases share one desk of networks and inputs.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use burn::tensor::{DType, Device};
use faer::{Mat, Side};
use serde_json::Value;
use tempfile::TempDir;
use widthwise::config;
use widthwise::network::{LayerParameters, Network, build_architecture, from_f64};
use widthwise::observation::Observation;
use widthwise::record::{checkpoint, npy};
use widthwise_probes::ntk::{NtkOutput, empirical_ntk_by_layer};
use widthwise_theory::architecture::{InputShape, UpdateRule};

use crate::bounds::relative_difference;
use crate::program::{Ended, all_files, assert_equal_files, end, program};

const NETWORK: &str = "[network]\ndepth = 2\nwidth = 24\nactivation = \"erf\"\nsigma_w2 = 1.7\nsigma_b2 = 0.3\n";
const OUTPUTS: usize = 3;
const EXAMPLES: usize = 70;

/// 15 tiles of 16 examples, of four matrices.
const JOB: &str =
    "ntk network.toml --inputs x.npy --outputs 3 --per-layer --precision f64 --storage f64 --tile 16 -q --out";

fn value(i: usize, j: usize) -> f64 {
    ((7 * i + 3 * j) as f64).sin() + 0.1
}

/// A folder with a network, inputs and the files of a job that nothing disturbed.
struct Desk {
    folder: TempDir,
    network: Network,
    whole: BTreeMap<PathBuf, Vec<u8>>,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("network.toml"), NETWORK).unwrap();
        npy::write(&folder.path().join("x.npy"), &Mat::from_fn(EXAMPLES, 6, value)).unwrap();
        let (written, seed) = config::load_network(Some(&folder.path().join("network.toml")), &[]).unwrap();
        let architecture = build_architecture(&written, InputShape::flat(6), OUTPUTS, None).unwrap();
        let network = Network::new(&architecture, UpdateRule::Linear, seed, 0, &Device::flex(), DType::F64).unwrap();
        let weights = folder.path().join("weights.safetensors");
        checkpoint::write_weights(&weights, &architecture, &network.parameters).unwrap();
        let mut desk = Self { folder, network, whole: BTreeMap::new() };
        fs::create_dir(desk.path("whole")).unwrap();
        desk.type_in(&format!("{JOB} whole/k")).done();
        desk.whole = all_files(&desk.path("whole"));
        assert_eq!(desk.whole.len(), 8, "{:?}", desk.whole.keys());
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = program();
        command.args(line.split_whitespace()).current_dir(self.folder.path());
        command
    }

    fn type_in(&self, line: &str) -> Ended {
        end(&mut self.command(line))
    }

    fn read(&self, name: &str) -> Mat<f64> {
        npy::read(&self.path(name)).unwrap()
    }

    /// A folder for a job, empty.
    fn fresh(&self, name: &str) -> String {
        fs::create_dir(self.path(name)).unwrap();
        format!("{JOB} {name}/k")
    }

    #[track_caller]
    fn killed_at(&self, line: &str, point: &str) {
        let mut command = self.command(line);
        command.stdout(Stdio::null()).stderr(Stdio::null()).env("WIDTHWISE_KILL_AT", point);
        assert!(command.status().unwrap().signal().is_some(), "{point} was never passed");
    }

    #[track_caller]
    fn assert_whole(&self, name: &str) {
        assert_equal_files(&all_files(&self.path(name)), &self.whole, name);
    }

    /// The shares of the layers by tensors, and their sum.
    fn expected(&self, output: NtkOutput) -> Vec<Mat<f64>> {
        let inputs: Vec<f64> = (0..EXAMPLES).flat_map(|i| (0..6).map(move |j| value(i, j))).collect();
        let batch = self.network.batch(&inputs);
        let mut layers =
            empirical_ntk_by_layer(&Observation::new(&self.network, &batch), None::<&Observation<'_>>, output);
        let sum = layers.iter().cloned().reduce(|a, b| a + b).unwrap();
        layers.push(sum);
        layers
    }
}

#[track_caller]
fn assert_near(found: &Mat<f64>, expected: &Mat<f64>, epsilon: f64, what: &str) {
    assert_eq!((found.nrows(), found.ncols()), (expected.nrows(), expected.ncols()), "{what}");
    let difference = relative_difference(found, expected);
    // Round-off of sums of a few hundred products.
    assert!(difference <= 100.0 * epsilon, "{what}: off by {difference:e}");
}

#[test]
fn killed_twice_at_any_place_a_job_reaches_the_same_bytes() {
    let desk = Desk::new();
    let places = [
        "tile.in_write:5",
        "tile.before_journal:3",
        "journal.in_line:2",
        "tile.after_journal:4",
        "finish.before_rename:1",
        "finish.after_rename:1",
        "finish.before_rename:3",
        "finish.before_remove:1",
        "k.ntk.csv.before_rename:1",
    ];
    for (number, first) in places.iter().enumerate() {
        let name = format!("killed_{number}");
        let line = desk.fresh(&name);
        desk.killed_at(&line, first);
        // Again where the job comes by once more: all places before the last tile, and then its end.
        if number < 4 {
            desk.killed_at(&line, ["tile.after_journal:2", "journal.in_line:1"][number % 2]);
        }
        desk.type_in(&line).done();
        desk.assert_whole(&name);
    }
}

#[test]
fn numbers_do_not_depend_on_threads_and_kept_blocks() {
    let desk = Desk::new();
    for threads in [1, 2, 3] {
        let name = format!("threads_{threads}");
        desk.type_in(&format!("{} --threads {threads}", desk.fresh(&name))).done();
        desk.assert_whole(&name);
    }
    let line = "ntk network.toml --inputs x.npy --outputs 3 --output full --tile 7 -q --out";
    for threads in [1, 2] {
        desk.type_in(&format!("{line} full_{threads} --threads {threads}")).done();
    }
    assert_eq!(fs::read(desk.path("full_1.ntk.npy")).unwrap(), fs::read(desk.path("full_2.ntk.npy")).unwrap());
}

#[test]
fn another_job_does_not_take_the_place_of_an_unfinished_one() {
    let desk = Desk::new();
    let line = desk.fresh("taken");
    desk.killed_at(&line, "tile.after_journal:5");
    let before = all_files(&desk.path("taken"));
    npy::write(&desk.path("y.npy"), &Mat::from_fn(EXAMPLES, 6, |i, j| (i + j) as f64)).unwrap();
    for (other, words) in [
        (line.replace("x.npy", "y.npy"), "differs in inputs;"),
        (format!("{line} --set network.sigma_w2=1.5"), "differs in architecture"),
        (format!("{line} --member 1"), "differs in weights;"),
        (format!("{line} --output logit=1"), "differs in output;"),
        (line.replace("--precision f64", "--precision f32"), "differs in"),
        (line.replace("--storage f64", "--storage f32"), "differs in storage;"),
        (line.replace("--per-layer", ""), "differs in layers;"),
        (format!("{line} --right y.npy"), "differs in right;"),
        (line.replace("--tile 16", "--tile 20"), "tile (there 16, here 20)"),
    ] {
        desk.type_in(&other).refused_with(&[words, "taken/k.journal", "--restart", "--out"]);
        assert_equal_files(&all_files(&desk.path("taken")), &before, &other);
    }
    desk.type_in(&format!("{line} --seed 9 --restart")).done();
    desk.type_in(&line).done();
    desk.assert_whole("taken");
}

#[test]
fn every_output_is_that_of_the_tensors() {
    let desk = Desk::new();
    let outputs = [
        ("trace", NtkOutput::Trace),
        ("full", NtkOutput::Full),
        ("logit=2", NtkOutput::Logit(2)),
        ("diagonal", NtkOutput::Diagonal),
    ];
    for (name, output) in outputs {
        let expected = desk.expected(output);
        for (precision, epsilon) in [("f64", f64::EPSILON), ("f32", f64::from(f32::EPSILON))] {
            for tile in ["", "--tile 16", "--tile 70"] {
                let line = format!(
                    "ntk weights.safetensors --inputs x.npy --output {name} --per-layer --precision {precision} --storage {precision} \
                     {tile} --restart -q --out out"
                );
                desk.type_in(&line).done();
                for (layer, expected) in expected.iter().enumerate() {
                    // Two hidden layers, the readout and their sum.
                    let file = match layer {
                        3 => "out.ntk.npy".to_owned(),
                        layer => format!("out.ntk.layer{}.npy", layer + 1),
                    };
                    assert_near(&desk.read(&file), expected, epsilon, &format!("{line}, {file}"));
                }
            }
        }
    }
}

#[test]
fn rows_and_columns_may_be_other_examples() {
    let desk = Desk::new();
    npy::write(&desk.path("some.npy"), &Mat::from_fn(20, 6, |i, j| value(i + 30, j))).unwrap();
    let line = "ntk weights.safetensors --inputs x.npy --right some.npy --precision f64 --storage f64 --output full -q --tile 9 --out";
    desk.type_in(&format!("{line} cross")).done();
    let expected = desk.expected(NtkOutput::Full).pop().unwrap();
    let part = Mat::from_fn(EXAMPLES * OUTPUTS, 20 * OUTPUTS, |i, j| expected[(i, j + 30 * OUTPUTS)]);
    assert_near(&desk.read("cross.ntk.npy"), &part, f64::EPSILON, "cross");
}

#[test]
fn weights_are_found_where_a_run_leaves_them() {
    let desk = Desk::new();
    fs::create_dir_all(desk.path("run/members/001")).unwrap();
    fs::copy(desk.path("weights.safetensors"), desk.path("run/members/001/weights.safetensors")).unwrap();
    let line = "ntk run --inputs x.npy --precision f64 --storage f64 -q --out found";
    desk.type_in(line).refused_with(&["run holds no weights of member 0", "run.keep_weights=true"]);
    desk.type_in(&format!("{line} --member 1")).done();
    let expected = desk.expected(NtkOutput::Trace).pop().unwrap();
    assert_near(&desk.read("found.ntk.npy"), &expected, f64::EPSILON, "member of a run");
    let position = checkpoint::Position {
        architecture: Some(desk.network.architecture().clone()),
        ..checkpoint::Position::default()
    };
    let sets: [(String, &[_]); 1] = [("parameters".to_owned(), &desk.network.parameters)];
    fs::create_dir_all(desk.path("run/members/000")).unwrap();
    checkpoint::write(&desk.path("run/members/000/checkpoint.safetensors"), &position, &sets).unwrap();
    desk.type_in(&format!("{line}_too")).done();
    assert_near(&desk.read("found_too.ntk.npy"), &expected, f64::EPSILON, "checkpoint");
}

#[test]
fn eigenpairs_are_those_of_the_kernel() {
    let desk = Desk::new();
    for (name, output) in [("trace", NtkOutput::Trace), ("full", NtkOutput::Full), ("logit=0", NtkOutput::Logit(0))] {
        let kernel = desk.expected(output).pop().unwrap();
        let all = kernel.self_adjoint_eigen(Side::Lower).unwrap();
        let size = kernel.nrows();
        let line =
            format!("ntk weights.safetensors --inputs x.npy --output {name} --top-k 4 --precision f64 -q --out top");
        desk.type_in(&line).done();
        let vectors = desk.read("top.eigenvectors.npy");
        assert_eq!((vectors.nrows(), vectors.ncols()), (size, 4), "{name}");
        let text = fs::read_to_string(desk.path("top.eigenvalues.csv")).unwrap();
        assert_eq!(text.lines().next().unwrap(), "index,eigenvalue,residual");
        let largest = all.S()[size - 1];
        for (k, line) in text.lines().skip(1).enumerate() {
            let cells: Vec<f64> = line.split(',').map(|cell| cell.parse().unwrap()).collect();
            // An eigenvalue lies within the residual, and the iteration ends at residuals of 1e-10 of the largest.
            assert!(cells[2] <= 1e-9 * largest, "{name}: {line}");
            assert!(
                (cells[1] - all.S()[size - 1 - k]).abs() <= cells[2] + size as f64 * f64::EPSILON * largest,
                "{name}: {line}"
            );
            let image = Mat::from_fn(size, 1, |i, _| (0..size).map(|j| kernel[(i, j)] * vectors[(j, k)]).sum::<f64>());
            let defect = Mat::from_fn(size, 1, |i, _| image[(i, 0)] - cells[1] * vectors[(i, k)]);
            assert!(defect.norm_l2() <= 2.0 * cells[2] + size as f64 * f64::EPSILON * largest, "{name}: {line}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_in_words() {
    let desk = Desk::new();
    npy::write(&desk.path("wide.npy"), &Mat::zeros(3, 7)).unwrap();
    fs::write(desk.path("noise.safetensors"), [7_u8; 100]).unwrap();
    for (line, words) in [
        ("ntk weights.safetensors --inputs wide.npy --out k", &["wide.npy has 7 columns, but the network reads 6"][..]),
        ("ntk weights.safetensors --inputs x.npy --output logit=3 --out k", &["has 3 outputs", "the last is logit=2"]),
        (
            "ntk weights.safetensors --inputs x.npy --output diagonal --right x.npy --out k",
            &["leave --right and --top-k away"],
        ),
        ("ntk weights.safetensors --inputs x.npy --seed 4 --out k", &["holds weights; leave them away"]),
        ("ntk noise.safetensors --inputs x.npy --out k", &["noise.safetensors is damaged", "weights.safetensors"]),
        ("ntk missing.safetensors --inputs x.npy --out k", &["cannot read missing.safetensors"]),
        (
            "ntk network.toml --inputs x.npy --out k --memory 16MiB",
            &["--memory 16MiB is too little", "at least --memory"],
        ),
        ("ntk network.toml --inputs x.npy --out no/k", &["the folder no does not exist"]),
    ] {
        desk.type_in(line).refused_with(words);
    }
    assert_eq!(desk.type_in("ntk network.toml --inputs x.npy --output all --out k").code, Some(2));
}

/// 36 numbers of a network 3 -> 4 -> 4 -> 3 with a readout of zeros, as a plain file of weights has them.
const BELOW_THE_READOUT: [(&[f64], &[f64]); 2] = [
    (
        &[
            0.068865, -0.334859, 0.569146, 0.547777, 0.068234, -0.569043, 0.477022, -0.209102, -0.471745, -0.532361,
            0.136923, -0.329288,
        ],
        &[0.492203, -0.03058, 0.109634, 0.341308],
    ),
    (
        &[
            0.263484, 0.022029, 0.426268, 0.443614, -0.286297, -0.179258, 0.043063, -0.207854, -0.193368, 0.107378,
            0.250572, 0.417489, -0.461447, 0.023262, 0.157776, 0.358624,
        ],
        &[-0.19956, 0.306488, 0.462248, -0.282712],
    ),
];

/// The first column of numbers in `top.eigenvalues.csv`.
fn eigenvalues(desk: &Desk) -> Vec<f64> {
    let text = fs::read_to_string(desk.path("top.eigenvalues.csv")).unwrap();
    text.lines().skip(1).map(|line| line.split(',').nth(1).unwrap().parse().unwrap()).collect()
}

#[test]
fn a_readout_of_zeros_repeats_every_eigenvalue_once_an_output() {
    let desk = Desk::new();
    let text = "[network]\nwidths = [4, 4]\nactivation = \"tanh\"\nparameterization = \"standard\"\nsigma_w2 = 1.0\n\
                sigma_b2 = 1.0\n";
    fs::write(desk.path("small.toml"), text).unwrap();
    let (written, _) = config::load_network(Some(&desk.path("small.toml")), &[]).unwrap();
    let architecture = build_architecture(&written, InputShape::flat(3), 3, None).unwrap();
    let device = Device::flex();
    let tensor =
        |values: &[f64], rows: usize| from_f64(values.to_vec(), [rows, values.len() / rows], &device, DType::F64);
    let mut parameters: Vec<LayerParameters> = BELOW_THE_READOUT
        .iter()
        .map(|(weight, bias)| LayerParameters { weight: tensor(weight, weight.len() / 4), bias: Some(tensor(bias, 1)) })
        .collect();
    parameters.push(LayerParameters { weight: tensor(&[0.0; 12], 4), bias: Some(tensor(&[0.0; 3], 1)) });
    checkpoint::write_weights(&desk.path("zero.safetensors"), &architecture, &parameters).unwrap();
    let inputs = "0.3,-1.1,0.7\n0.3000001,-1.1,0.7\n0.30000003,-1.1,0.7\n1,0.2,-0.4\n-0.3,1.1,-0.7\n";
    fs::write(desk.path("deep.csv"), inputs).unwrap();
    // numpy: eigenvalues of h h^T + 1 with h the last hidden layer.
    let expected = [7.87218895, 0.457446682, 0.0507079493, 0.0, 0.0];
    for (precision, bound) in [("f64", 1e-7), ("f32", 1e-5)] {
        for count in [1, 2, 3, 5, 7, 9, 15] {
            let line =
                format!("ntk zero.safetensors --inputs deep.csv --output full -q --precision {precision} --out top");
            desk.type_in(&format!("{line} --top-k {count}")).done();
            let found = eigenvalues(&desk);
            assert_eq!(found.len(), count);
            for (k, value) in found.iter().enumerate() {
                let right = expected[k / 3];
                assert!(
                    (value - right).abs() <= bound * expected[0],
                    "{precision}, {count}: {k} is {value}, not {right}"
                );
            }
        }
    }
}

#[test]
fn equal_eigenvalues_are_found_whole_for_single_outputs_too() {
    let desk = Desk::new();
    let (examples, outputs) = (30, 2);
    let text = "[network]\ndepth = 1\nwidth = 30\nactivation = \"identity\"\nparameterization = \"standard\"\n\
                sigma_w2 = 1.0\nsigma_b2 = 0.0\n";
    fs::write(desk.path("linear.toml"), text).unwrap();
    let (written, _) = config::load_network(Some(&desk.path("linear.toml")), &[]).unwrap();
    let architecture = build_architecture(&written, InputShape::flat(examples), outputs, None).unwrap();
    let device = Device::flex();
    let unit = (0..examples * examples).map(|at| if at % (examples + 1) == 0 { 1.0 } else { 0.0 }).collect();
    // Rows of the readout are (0.1, 0): of the first output only.
    let readout = (0..examples * outputs).map(|at| if at % outputs == 0 { 0.1 } else { 0.0 }).collect();
    let parameters = [
        LayerParameters { weight: from_f64(unit, [examples, examples], &device, DType::F64), bias: None },
        LayerParameters { weight: from_f64(readout, [examples, outputs], &device, DType::F64), bias: None },
    ];
    checkpoint::write_weights(&desk.path("unit.safetensors"), &architecture, &parameters).unwrap();
    // Multiples of unit vectors: the kernel is diagonal, with (1 + v_o^2) |x|^2.
    let length = |i: usize| if i < 8 { 2.0 } else { 1.0 + (i / 20) as f64 * 0.5 };
    npy::write(&desk.path("units.npy"), &Mat::from_fn(examples, examples, |i, j| if i == j { length(i) } else { 0.0 }))
        .unwrap();
    for (output, factors) in [
        ("trace", vec![1.0 + 0.5 * 30.0 * 0.01]),
        ("logit=0", vec![1.0 + 30.0 * 0.01]),
        ("logit=1", vec![1.0]),
        ("full", vec![1.0, 1.0 + 30.0 * 0.01]),
    ] {
        let all = (0..examples).flat_map(|i| factors.iter().map(move |factor| factor * length(i).powi(2)));
        let mut expected: Vec<f64> = all.collect();
        expected.sort_by(|a, b| b.total_cmp(a));
        for (precision, bound) in [("f64", 1e-9), ("f32", 1e-5)] {
            let line = format!("ntk unit.safetensors --inputs units.npy --output {output} --precision {precision} -q");
            for count in [3, 11, 25] {
                desk.type_in(&format!("{line} --top-k {count} --out top")).done();
                for (k, (found, expected)) in eigenvalues(&desk).iter().zip(&expected).enumerate() {
                    let what = format!("{output}, {precision}, {count}: {k} is {found}, not {expected}");
                    assert!((found - expected).abs() <= bound * 6.0, "{what}");
                }
            }
        }
    }
}

fn memory(ended: &Ended) -> (u64, u64) {
    let mut lines = ended.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let line = lines.rfind(|line| line["event"] == "memory").unwrap();
    (line["peak_bytes"].as_u64().unwrap(), line["budget_bytes"].as_u64().unwrap())
}

fn bytes_of(desk: &Desk, name: &Path) -> Vec<u8> {
    fs::read(desk.folder.path().join(name)).unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn the_peak_of_memory_stays_within_the_budget() {
    let desk = Desk::new();
    // 36 MB of output, 30 MB of sensitivities, 5 MB of inputs.
    npy::write(&desk.path("many.npy"), &Mat::from_fn(3000, 200, value)).unwrap();
    let line = "ntk network.toml --inputs many.npy --outputs 10 --set network.width=128 --json";
    for (number, budget) in ["112MiB", "192MiB"].iter().enumerate() {
        let ended = desk.type_in(&format!("{line} --tile 128 --out many_{number} --memory {budget}")).done();
        let (peak, limit) = memory(&ended);
        assert!(peak <= limit, "{peak} bytes of {limit}");
    }
    // What is kept and what is made again changes no number.
    assert_eq!(bytes_of(&desk, Path::new("many_0.ntk.npy")), bytes_of(&desk, Path::new("many_1.ntk.npy")));
    let ended = desk.type_in(&format!("{line} --out chosen --memory 256MiB")).done();
    let (peak, limit) = memory(&ended);
    assert!(peak <= limit, "{peak} bytes of {limit}");
}
