//! Meaning of state: a run that was killed or stopped and resumed leaves the bytes of one that was not.
//!
//! The real program dies at random moments and at the named places of `src/record/kill_point.rs`. Every file is compared, the
//! weights among them; `times.csv` alone holds wall-clock figures.
//! The file is long because every place of death shares one harness.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use burn::tensor::Device;
use rand::RngExt;
use safetensors::SafeTensors;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use widthwise::config::{load, parse};
use widthwise::monitor::Monitor;
use widthwise::record::manifest::{Manifest, MemberEnd};
use widthwise::record::registration::Registration;
use widthwise::record::{checkpoint, npy};
use widthwise::run::{RunOptions, run};
use widthwise::signals::StopFlag;
use widthwise::training::Outcome;
use widthwise_theory::architecture::Architecture;

use crate::program::{Ended, all_files, assert_equal_files, end, files, program};

/// Momentum, minibatches in an order of their own, weights that are pulled back to their start, a learning rate in units of
/// the kernel: whatever of it were not restored would show.
const MOMENTUM: &str = r#"
[run]
name = "resumed"
seed = 7
members = 3
checkpoint_every = 7
keep_weights = "probes"
[dataset.preprocessing]
train = 48
test = 24
[network]
depth = 2
width = 24
activation = "tanh"
[training]
optimizer = { momentum = { beta = 0.9 } }
learning_rate = { critical = 0.1 }
batch_size = 16
l2 = { strength = 1e-3, toward = "init" }
[training.stop]
steps = 46
[probes]
schedule = { every = 10 }
examples = 16
jacobian_examples = 8
"#;

/// The two moments and the step count of Adam, in double precision, on a convolutional network.
const ADAM: &str = r#"
[run]
name = "adam"
seed = 8
members = 2
checkpoint_every = 5
keep_weights = true
precision = "f64"
[dataset.preprocessing]
train = 20
test = 10
[network]
family = "cnn"
depth = 1
width = 4
convolution = { stride = [4, 4], readout = "global_average" }
[training]
optimizer = "adam"
loss = "cross_entropy"
learning_rate = { absolute = 0.01 }
batch_size = 10
[training.stop]
steps = 12
[probes]
schedule = "ends"
examples = 10
jacobian_examples = 4
"#;

/// A configuration in a folder of its own, with the files of its uninterrupted run.
struct Reference {
    folder: TempDir,
    files: BTreeMap<PathBuf, Vec<u8>>,
    duration: Duration,
}

impl Reference {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("experiment.toml"), text).unwrap();
        let mut reference = Self { folder, files: BTreeMap::new(), duration: Duration::ZERO };
        let (output, started) = (reference.folder.path().join("whole"), Instant::now());
        end(&mut reference.command(&output)).ran();
        reference.duration = started.elapsed();
        reference.files = files(&output);
        reference
    }

    fn momentum() -> &'static Self {
        static REFERENCE: OnceLock<Reference> = OnceLock::new();
        REFERENCE.get_or_init(|| Self::new(MOMENTUM))
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("experiment.toml")
    }

    fn command(&self, output: &Path) -> Command {
        let mut command = program();
        command.args(["run", "-q", "--threads", "2"]).arg(self.config()).arg("--output").arg(output);
        command
    }

    fn resume(&self, output: &Path) -> Command {
        let mut command = self.command(output);
        // A run that was killed before its first file left nothing to resume, and is begun.
        if fs::read_dir(output).is_ok_and(|mut entries| entries.next().is_some()) {
            command.arg("--resume");
        }
        command
    }

    #[track_caller]
    fn assert_reached(&self, output: &Path, what: &str) {
        assert_equal_files(&files(output), &self.files, what);
        // The one table that is not compared has whole rows at least.
        let mut reader = csv::Reader::from_path(output.join("times.csv")).unwrap();
        let rows: Result<Vec<(usize, u64, String, f64)>, _> = reader.deserialize().collect();
        assert!(rows.is_ok_and(|rows| !rows.is_empty()), "{what}: times.csv is damaged");
    }

    /// Resumes until the run is whole.
    #[track_caller]
    fn finish(&self, output: &Path, what: &str) {
        let ended = end(&mut self.resume(output));
        assert!(matches!(ended.code, Some(0 | 3)), "{what}: {ended:?}");
        self.assert_reached(output, what);
    }
}

/// A file of one member.
fn of_member(member: usize, name: &str) -> PathBuf {
    Path::new("members").join(format!("{member:03}")).join(name)
}

/// The first checkpoint of a run.
fn checkpoint_in(output: &Path) -> Option<PathBuf> {
    (0..3).map(|member| output.join(of_member(member, checkpoint::FILE))).find(|path| path.is_file())
}

fn quiet(mut command: Command) -> Command {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Whether the process was killed, rather than that it ended.
fn is_killed(child: &mut Child) -> bool {
    child.wait().unwrap().signal().is_some()
}

/// Lets `command` die at a named point.
#[track_caller]
fn killed_at(command: Command, point: &str) {
    let mut command = quiet(command);
    let output = PathBuf::from(command.get_args().skip_while(|argument| *argument != "--output").nth(1).unwrap());
    let mut child = command.env("WIDTHWISE_KILL_AT", point).spawn().unwrap();
    assert!(is_killed(&mut child), "{point} was never passed");
    assert_sound(&output, point);
}

/// Asserts that every file with its final name is whole; only the last row of a table may be torn.
#[track_caller]
fn assert_sound(folder: &Path, what: &str) {
    if !folder.exists() {
        return;
    }
    for (path, bytes) in all_files(folder) {
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with('.') {
            continue;
        }
        let whole = folder.join(&path);
        let is_of_member = path.starts_with("members");
        let text = || String::from_utf8(bytes.clone()).unwrap();
        let is_sound = match path.extension().unwrap().to_str().unwrap() {
            "npy" => npy::read(&whole).is_ok(),
            "json" if is_of_member => MemberEnd::read(whole.parent().unwrap()).is_some(),
            "json" if name == "architecture.json" => serde_json::from_slice::<Architecture>(&bytes).is_ok(),
            "json" if name == "settings.json" => serde_json::from_slice::<serde_json::Value>(&bytes).is_ok(),
            "json" => Manifest::read(folder).is_ok(),
            "toml" if name == Registration::FILE => {
                toml::from_str::<Registration>(&text()).is_ok_and(|registration| registration.text() == text())
            }
            "toml" => load(Some(&whole), &[]).is_ok(),
            "safetensors" if name == checkpoint::FILE => checkpoint::read(&whole, &Device::flex()).is_ok(),
            "safetensors" => SafeTensors::deserialize(&bytes).is_ok(),
            "svg" => roxmltree::Document::parse(&text()).is_ok(),
            "html" => text().ends_with("</html>\n"),
            "csv" => {
                let text = text();
                let whole_rows = text.rfind('\n').map_or("", |last| &text[..=last]);
                let mut reader = csv::Reader::from_reader(whole_rows.as_bytes());
                reader.records().all(|record| record.is_ok())
            }
            _ => false,
        };
        assert!(is_sound, "{what}: {} is damaged or of no known kind", path.display());
    }
}

/// Starts `command`, kills it after `delay` and says whether it still ran.
fn killed_after(command: Command, delay: Duration) -> bool {
    let mut child = quiet(command).spawn().unwrap();
    std::thread::sleep(delay);
    child.kill().unwrap();
    is_killed(&mut child)
}

/// Kills `kills` runs of `reference` at moments spread over its duration, and some of their resumes.
fn kill_at_random_moments(reference: &Reference, kills: usize, stream: &str) {
    let mut random = widthwise_datasets::stream(20, stream);
    let mut longest = reference.duration;
    let mut killed = 0;
    while killed < kills {
        let output = reference.folder.path().join(format!("{stream}.{killed}"));
        let what = format!("{stream}, kill {killed}");
        let delay = longest.mul_f64(random.random_range(0.0..1.0));
        if !killed_after(reference.command(&output), delay) {
            // It was faster than the first run, so there was nothing to kill: the next one is killed earlier.
            longest = delay;
            reference.assert_reached(&output, &what);
            fs::remove_dir_all(&output).unwrap();
            continue;
        }
        killed += 1;
        assert_sound(&output, &what);
        if killed.is_multiple_of(3)
            && killed_after(reference.resume(&output), longest.mul_f64(random.random_range(0.0..1.0)))
        {
            assert_sound(&output, &what);
        }
        reference.finish(&output, &what);
    }
}

#[test]
fn killed_at_twenty_random_moments_a_run_resumes_to_the_same_bytes() {
    kill_at_random_moments(Reference::momentum(), 20, "kills.momentum");
}

#[test]
fn adam_in_double_precision_on_a_cnn_resumes_to_the_same_bytes() {
    let reference = Reference::new(ADAM);
    kill_at_random_moments(&reference, 5, "kills.adam");
    // Between the first steps, where the bias correction of the moments depends on the step most.
    for pass in 1..=3 {
        let output = reference.folder.path().join(pass.to_string());
        killed_at(reference.command(&output), &format!("checkpoint.safetensors.after_rename:{pass}"));
        reference.finish(&output, "adam");
    }
}

#[test]
fn killed_at_a_named_point_a_run_resumes_to_the_same_bytes() {
    let reference = Reference::momentum();
    let at_writes = [
        ("manifest.json", vec![1, 2]),
        ("config.toml", vec![1]),
        ("nngp_infinite.npy", vec![1]),
        ("outputs_initial.npy", vec![1, 2]),
        ("registration.toml", vec![1]),
        ("ntk_initial.npy", vec![2]),
        ("moments_final.npy", vec![1]),
        ("outcome.json", vec![1, 3]),
        ("training.csv", vec![1]),
        ("results.csv", vec![1, 2]),
        ("checkpoint.safetensors", vec![1, 7, 17]),
        ("weights.safetensors", vec![1, 3]),
        ("weights_20.safetensors", vec![1, 3]),
        ("loss.svg", vec![1]),
        ("report.html", vec![1]),
    ];
    let mut points: Vec<String> = ["clear:1", "clear:5", "resume:1", "probe:1", "probe:2", "probe:18", "before_end:1"]
        .into_iter()
        .chain(["results.csv.in_row:1", "results.csv.in_row:9", "results.csv.in_row:18"])
        .chain(["training.csv.in_row:1", "training.csv.in_row:2", "training.csv.in_row:30", "times.csv.in_row:5"])
        .map(str::to_owned)
        .collect();
    for (file, passes) in at_writes {
        for place in ["in_write", "before_rename", "after_rename"] {
            points.extend(passes.iter().map(|pass| format!("{file}.{place}:{pass}")));
        }
    }
    // Most of the time goes into waiting for the disk.
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
            let output = reference.folder.path().join(point.replace(':', "."));
            killed_at(reference.command(&output), point);
            if let Some((table, _)) = point.split_once(".in_row") {
                let torn = (0..3).filter_map(|member| fs::read(output.join(of_member(member, table))).ok());
                let mut torn = torn.filter(|bytes| bytes.last().is_some_and(|last| *last != b'\n'));
                assert!(torn.next().is_some(), "{point}: no torn row to repair");
            }
            reference.finish(&output, point);
        }
    };
    std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(work))));
}

#[test]
fn killed_during_one_resume_after_another_a_run_still_reaches_the_same_bytes() {
    let reference = Reference::momentum();
    let output = reference.folder.path().join("again_and_again");
    killed_at(reference.command(&output), "checkpoint.safetensors.after_rename:3");
    for point in [
        "resume:1",
        "manifest.json.before_rename:1",
        "config.toml.in_write:1",
        "results.csv.in_row:1",
        "checkpoint.safetensors.in_write:1",
        "probe:1",
        "checkpoint.safetensors.before_rename:2",
        "training.csv.in_row:3",
        "checkpoint.safetensors.after_rename:9",
        "weights.safetensors.before_rename:1",
        "training.csv.in_write:1",
        "results.csv.before_rename:2",
        "report.html.before_rename:1",
        "before_end:1",
    ] {
        killed_at(reference.resume(&output), point);
    }
    reference.finish(&output, "after fourteen deaths");
}

#[test]
fn torn_rows_are_cut_on_resume() {
    let reference = Reference::momentum();
    let output = reference.folder.path().join("torn");
    killed_at(reference.command(&output), "checkpoint.safetensors.after_rename:5");
    let begun = (0..3).find(|member| output.join(of_member(*member, checkpoint::FILE)).is_file()).unwrap();
    for table in ["results.csv", "training.csv", "times.csv"] {
        let path = output.join(of_member(begun, table));
        let mut bytes = fs::read(&path).unwrap();
        // A whole row too many goes from the tables of numbers; that of times keeps all whole rows, so it gets none.
        bytes.extend_from_slice(if table == "times.csv" { b"1,resu" } else { b"1,resumed,7\n1,resu" });
        fs::write(path, bytes).unwrap();
    }
    // Weights of a look that this process will not take, as after a deadline that passed at another step.
    fs::write(output.join(of_member(begun, "weights_41.safetensors")), "stale").unwrap();
    reference.finish(&output, "torn rows");
}

/// Starts `reference`, sends `signal` once `awaited` is in its folder, and gives what it printed; `None` if it was faster.
fn stopped_by(reference: &Reference, output: &Path, signal: &str, awaited: &str) -> Option<Ended> {
    let mut command = program();
    command.args(["run", "--threads", "2"]).arg(reference.config()).arg("--output").arg(output);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while !output.join(awaited).exists() {
        std::thread::sleep(Duration::from_micros(200));
    }
    send(signal, child.id());
    let ended: Ended = child.wait_with_output().unwrap().into();
    (!matches!(ended.code, Some(0 | 3))).then_some(ended)
}

fn send(signal: &str, process: u32) {
    // The process may have ended by itself, so whether anyone was there does not matter.
    let _ = Command::new("kill").args([format!("-{signal}"), process.to_string()]).stderr(Stdio::null()).status();
}

#[test]
fn ctrl_c_and_the_signals_of_clusters_leave_a_checkpoint_from_which_the_same_bytes_follow() {
    let reference = Reference::momentum();
    for (signal, awaited) in [
        ("INT", "members/000/checkpoint.safetensors"),
        ("TERM", "members/000/checkpoint.safetensors"),
        ("USR1", "members/000/checkpoint.safetensors"),
        // Before the first step.
        ("TERM", "manifest.json"),
    ] {
        let output = reference.folder.path().join(format!("{signal}.{}", awaited.replace('/', ".")));
        let ended = (0..50).find_map(|_| {
            let _ = fs::remove_dir_all(&output);
            stopped_by(reference, &output, signal, awaited)
        });
        let ended = ended.unwrap_or_else(|| panic!("the run was always over before {signal}"));
        assert_eq!(ended.code, Some(130), "{signal}: {ended:?}");
        assert_sound(&output, signal);
        let is_kept = checkpoint_in(&output).is_some() || output.join(of_member(0, MemberEnd::FILE)).is_file();
        assert!(is_kept || awaited == "manifest.json", "{signal}");
        assert_eq!(Manifest::read(&output).unwrap().outcome, Outcome::Interrupted, "{signal}");
        // The command that it prints does it.
        let line = ended.out.lines().last().unwrap().trim().strip_prefix("widthwise ").unwrap().to_owned();
        end(program().args(line.split(' '))).ran();
        reference.assert_reached(&output, signal);
    }
}

/// Asks for a stop when the probes examine this member and step.
struct StopAt {
    member: usize,
    step: u64,
    flag: StopFlag,
}

impl Monitor for StopAt {
    fn probing(&self, member: usize, step: u64) {
        if (member, step) == (self.member, self.step) {
            self.flag.raise();
        }
    }
}

#[test]
fn a_stop_changes_nothing_of_how_networks_diverge() {
    // Stopped after its first step, a member resumes from a step at which no losses are read otherwise.
    let overrides =
        ["network.activation=relu", "training.learning_rate.critical_empirical=40", "training.stop.steps=300"];
    let others = ["run.checkpoint_every=1000", "probes.schedule=ends", "run.members=2"];
    let overrides: Vec<String> = overrides.into_iter().chain(others).map(str::to_owned).collect();
    let experiment = parse(MOMENTUM, "momentum", &overrides).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let options =
        |name: &str, resume| RunOptions { output: Some(folder.path().join(name)), resume, ..Default::default() };
    let watch = |member| StopAt { member, step: 0, flag: StopFlag::default() };
    let never = watch(usize::MAX);
    let summary = run(&experiment, &options("whole", false), &never.flag, &never).unwrap();
    assert_eq!(summary.outcome(), Outcome::Diverged);
    for member in [0, 1] {
        let name = format!("stopped in {member}");
        let stop = watch(member);
        let stopped = run(&experiment, &options(&name, false), &stop.flag, &stop).unwrap();
        assert_eq!(stopped.outcome(), Outcome::Interrupted);
        run(&experiment, &options(&name, true), &never.flag, &never).unwrap();
        assert_equal_files(&files(&folder.path().join(&name)), &files(&folder.path().join("whole")), &name);
    }
}

/// A run that was killed within a member, in a folder of its own, and the number of that member.
fn unfinished(reference: &Reference, name: &str) -> (PathBuf, usize) {
    let output = reference.folder.path().join(name);
    killed_at(reference.command(&output), "checkpoint.safetensors.after_rename:9");
    let member = (0..3).find(|member| output.join(of_member(*member, checkpoint::FILE)).is_file()).unwrap();
    (output, member)
}

/// Asserts that `command` is refused with these words, and that everything in `folder` is as it was.
#[track_caller]
fn refused(command: &mut Command, folder: &Path, words: &[&str]) {
    let before = all_files(folder);
    end(command).refused_with(words);
    assert_equal_files(&all_files(folder), &before, &words.join(", "));
}

#[test]
fn a_damaged_checkpoint_is_refused_and_nothing_is_lost() {
    let reference = Reference::momentum();
    let (output, member) = unfinished(reference, "damaged");
    let path = output.join(of_member(member, checkpoint::FILE));
    let whole = fs::read(&path).unwrap();
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        bytes
    };
    let in_position = whole.windows(8).position(|bytes| bytes == b"position").unwrap() + 40;
    let damages = [
        whole[..whole.len() / 2].to_vec(),
        whole[..whole.len() - 1].to_vec(),
        Vec::new(),
        flipped(3),
        flipped(20),
        flipped(in_position),
        flipped(whole.len() / 2),
        flipped(whole.len() - 1),
    ];
    for bytes in damages {
        fs::write(&path, &bytes).unwrap();
        end(&mut reference.resume(&output)).refused_with(&[checkpoint::FILE, "is damaged", "--force"]);
        assert_eq!(fs::read(&path).unwrap(), bytes, "it is left as it is");
    }
    fs::write(&path, &whole).unwrap();

    let results = output.join(of_member(member, "results.csv"));
    let rows = fs::read(&results).unwrap();
    fs::write(&results, &rows[..rows.len() / 3]).unwrap();
    end(&mut reference.resume(&output)).refused_with(&["results.csv", "where the checkpoint remembers", "--force"]);
    fs::write(&results, rows).unwrap();

    let ntk = output.join(of_member(member, "ntk_initial.npy"));
    let kernel = fs::read(&ntk).unwrap();
    fs::remove_file(&ntk).unwrap();
    end(&mut reference.resume(&output)).refused_with(&["ntk_initial.npy"]);
    fs::write(&ntk, kernel).unwrap();
    reference.finish(&output, "repaired by hand");
}

/// Changes type, shape and bytes of a tensor.
type Change<'a> = &'a dyn Fn(&mut String, &mut Vec<usize>, &mut Vec<u8>);

/// Exchanges what a checkpoint says of its tensors and signs it again.
fn signed_again(whole: &[u8], change: impl Fn(&str, &mut String, &mut Vec<usize>, &mut Vec<u8>)) -> Vec<u8> {
    let (_, header) = SafeTensors::read_metadata(whole).unwrap();
    let mut metadata = header.metadata().clone().unwrap();
    let mut tensors: Vec<(String, String, Vec<usize>, Vec<u8>)> = SafeTensors::deserialize(whole)
        .unwrap()
        .tensors()
        .into_iter()
        .map(|(name, view)| (name, format!("{:?}", view.dtype()), view.shape().to_vec(), view.data().to_vec()))
        .collect();
    tensors.sort();
    let mut hasher = Sha256::new();
    hasher.update(&metadata["position"]);
    let (mut entries, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, dtype, shape, bytes) in &mut tensors {
        change(name, dtype, shape, bytes);
        hasher.update(&*name);
        hasher.update(&*bytes);
        let start = data.len();
        data.extend_from_slice(bytes);
        let entry = serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": [start, data.len()]});
        entries.insert(name.clone(), entry);
    }
    metadata.insert("sha256".to_owned(), checkpoint::hex(&hasher.finalize()));
    entries.insert("__metadata__".to_owned(), serde_json::to_value(metadata).unwrap());
    let header = serde_json::to_vec(&entries).unwrap();
    [&(header.len() as u64).to_le_bytes(), header.as_slice(), &data].concat()
}

#[test]
fn a_checkpoint_of_other_tensors_is_refused_although_it_is_signed() {
    let reference = Reference::momentum();
    let (output, member) = unfinished(reference, "signed_again");
    let path = output.join(of_member(member, checkpoint::FILE));
    let whole = fs::read(&path).unwrap();
    fs::write(&path, signed_again(&whole, |_, _, _, _| {})).unwrap();
    checkpoint::read(&path, &Device::flex()).unwrap();
    let half = |bytes: &[u8]| bytes.as_chunks::<2>().0.iter().step_by(2).flatten().copied().collect::<Vec<u8>>();
    let with = |tensor: &'static str, change: Change<'_>| {
        signed_again(&whole, |name, dtype, shape, bytes| {
            if name == tensor {
                change(dtype, shape, bytes);
            }
        })
    };
    let cases = [
        (
            with("parameters.2.weight", &|dtype, _, bytes| (*dtype, *bytes) = ("F16".to_owned(), half(bytes))),
            &["parameters.2.weight", "F16"][..],
        ),
        (with("parameters.1.bias", &|_, shape, _| *shape = vec![24]), &["parameters.1.bias", "[24]", "matrices"]),
        (with("moment0.2.weight", &|_, shape, _| shape.insert(0, 1)), &["moment0.2.weight", "[1, 24, 24]"]),
        (
            with("parameters.1.weight", &|_, shape, _| shape.reverse()),
            &["parameters.1.weight", "[24, 784] of F32", "needs [784, 24] of F32", "--force"],
        ),
        (
            with("moment0.3.weight", &|dtype, shape, _| {
                *dtype = "F64".to_owned();
                shape[1] /= 2;
            }),
            &["moment0.3.weight", "F64", "--force"],
        ),
        (
            with("previous_ntk.1.weight", &|_, shape, bytes| {
                *shape = vec![2, 2];
                bytes.truncate(32);
            }),
            &["[2, 2]", "ntk_initial.npy", "--force"],
        ),
    ];
    for (bytes, words) in cases {
        fs::write(&path, bytes).unwrap();
        end(&mut reference.resume(&output)).refused_with(words);
    }
    fs::write(&path, whole).unwrap();
    reference.finish(&output, "signed again");
}

#[test]
fn another_configuration_or_other_data_are_refused_on_resume() {
    let reference = Reference::momentum();
    let (output, _) = unfinished(reference, "changed");
    let words = ["another configuration", "config.toml", "--force"];
    let with = |key: &'static str| [&words[..], &[key]].concat();
    let width = with("network.width is 24 there and 25 here");
    refused(reference.resume(&output).args(["--set", "network.width=25"]), &output, &width);
    // Also before the first checkpoint, and at the end.
    let early = reference.folder.path().join("changed_early");
    killed_at(reference.command(&early), "probe:2");
    let seed = with("run.seed is 7 there and 8 here");
    refused(reference.resume(&early).args(["--set", "run.seed=8"]), &early, &seed);
    let late = reference.folder.path().join("whole");
    refused(reference.resume(&late).args(["--set", "run.seed=8"]), &late, &seed);

    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let data = std::env::var_os("WIDTHWISE_TEST_DATA").map_or(data, PathBuf::from);
    if data.join("mnist").is_dir() {
        // The first 1,000 test images differ between the bundled subset and the whole set.
        let output = reference.folder.path().join("other_data");
        let command = |mut command: Command| {
            command.args(["--set", "dataset.preprocessing.test=1000"]);
            command
        };
        killed_at(command(reference.command(&output)), "checkpoint.safetensors.after_rename:1");
        let words = ["other data", "--data-dir"];
        refused(command(reference.resume(&output)).arg("--data-dir").arg(&data), &output, &words);
    } else {
        eprintln!("skipped: no whole MNIST in {}", data.display());
    }
    reference.finish(&output, "refused twice");
}

#[test]
fn a_complete_run_stays_as_it_is() {
    let reference = Reference::new(ADAM);
    let output = reference.folder.path().join("whole");
    let before = all_files(&output);
    let mut resume = program();
    let resume = resume.arg("run").arg(reference.config()).arg("--output").arg(&output).arg("--resume");
    let ended = end(resume).ran();
    assert!(ended.err.contains("complete; nothing to resume"), "{ended:?}");
    assert_equal_files(&all_files(&output), &before, "resumed when complete");
    refused(&mut reference.command(&output), &output, &["already holds a run", "--resume", "--force", "--output"]);
    // A manifest that nothing can read is no reason to start again.
    fs::write(output.join(Manifest::FILE), "{\"outcome\": \"fin").unwrap();
    refused(&mut reference.resume(&output), &output, &["manifest.json is not a manifest"]);
}

#[test]
fn force_replaces_a_run_whole_or_leaves_it() {
    let reference = Reference::new(ADAM);
    let other = ["--set", "run.seed=9", "--set", "run.members=1"];
    let expected = {
        let output = reference.folder.path().join("other");
        end(reference.command(&output).args(other)).ran();
        files(&output)
    };
    let output = reference.folder.path().join("whole");
    // What fails before its first step has replaced nothing.
    let missing = ["--force", "--data-dir", "/nonexistent/data"];
    refused(reference.command(&output).args(missing), &output, &["/nonexistent/data", "does not exist"]);
    fs::write(output.join("notes.txt"), "mine").unwrap();
    end(reference.command(&output).arg("--force").args(other)).ran();
    assert_eq!(fs::read_to_string(output.join("notes.txt")).unwrap(), "mine");
    fs::remove_file(output.join("notes.txt")).unwrap();
    assert_equal_files(&files(&output), &expected, "replaced");
    // Killed while it removes the files of the other, it goes on to the same end.
    for pass in [1, 2, 7, 9] {
        let mut force = reference.command(&output);
        force.arg("--force");
        killed_at(force, &format!("clear:{pass}"));
        reference.finish(&output, "killed while replacing");
        end(reference.command(&output).arg("--force").args(other)).ran();
    }
}

#[test]
fn a_folder_that_is_no_run_is_left_alone() {
    let reference = Reference::momentum();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.tex"), "all of it").unwrap();
    for flags in [&[][..], &["--resume"], &["--force"]] {
        refused(reference.command(folder.path()).args(flags), folder.path(), &["no run of this program", "--output"]);
    }
    let file = folder.path().join("thesis.tex");
    refused(&mut reference.command(&file), folder.path(), &["is a file", "--output"]);
}

#[test]
fn a_second_writer_is_refused_while_the_first_goes_on() {
    let reference = Reference::momentum();
    let output = reference.folder.path().join("two_writers");
    let long = ["--set", "training.stop.steps=100000000"];
    let mut first = reference.command(&output);
    first.args(long);
    let mut first = quiet(first).spawn().unwrap();
    while checkpoint_in(&output).is_none() {
        std::thread::sleep(Duration::from_millis(1));
        assert!(first.try_wait().unwrap().is_none(), "the first writer ended");
    }
    // Asleep, so that every change of a file would be the second one's.
    send("STOP", first.id());
    std::thread::sleep(Duration::from_millis(20));
    for flags in [&[][..], &["--resume"], &["--force"]] {
        let words = ["another process is writing", "--output"];
        refused(reference.command(&output).args(long).args(flags), &output, &words);
    }
    send("CONT", first.id());
    assert!(first.try_wait().unwrap().is_none(), "the first writer ended");
    first.kill().unwrap();
    assert!(is_killed(&mut first));
    // The lock went with its holder.
    killed_at(
        {
            let mut resume = reference.resume(&output);
            resume.args(long);
            resume
        },
        "checkpoint.safetensors.after_rename:1",
    );
}
