//! What users get wrong, and what disks do: one clear sentence, exit code 2, no panic, and earlier results as they were.
//! The file is long because it is a list of mistakes, one a line.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rand::RngExt;
use tempfile::TempDir;
use widthwise_datasets::catalog::{CIFAR10, MNIST};

use crate::program::{Ended, all_files, assert_equal_files, end, files, program, widthwise};

const SMALL: &str = r#"
[run]
name = "small"
members = 2
checkpoint_every = 3
[dataset.preprocessing]
train = 20
test = 10
[network]
depth = 1
width = 8
[training.stop]
steps = 8
[probes]
examples = 10
jacobian_examples = 4
"#;

/// A folder with a configuration and a complete run, which no refused command may touch.
struct Desk {
    folder: TempDir,
    run: BTreeMap<PathBuf, Vec<u8>>,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("small.toml"), SMALL).unwrap();
        let mut desk = Self { folder, run: BTreeMap::new() };
        desk.type_in("run small.toml -q --output out").ran();
        desk.run = all_files(&desk.path("out"));
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

    /// Asserts that `line` is refused with these words in one sentence and leaves the run alone.
    #[track_caller]
    fn refuses(&self, line: &str, words: &[&str]) {
        let ended = self.type_in(line);
        ended.refused_with(words);
        let message = ended.err.lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!(message, 1, "{line}: {ended:?}");
        assert_equal_files(&all_files(&self.path("out")), &self.run, line);
    }

    /// Asserts that a run which would replace the other one is refused instead.
    #[track_caller]
    fn refuses_run(&self, rest: &str, words: &[&str]) {
        self.refuses(&format!("run small.toml --output out --force {rest}"), words);
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

fn bundled(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/bundled/mnist");
    fs::read(folder.join(format!("{name}.gz"))).unwrap()
}

/// An IDX file of `values` zeros whose header claims `dims`.
fn idx(dims: &[u32], values: usize) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dims.len() as u8];
    bytes.extend(dims.iter().flat_map(|dim| dim.to_be_bytes()));
    bytes.extend(std::iter::repeat_n(0, values));
    bytes
}

#[test]
fn damaged_idx_files_are_refused() {
    let desk = Desk::new();
    let genuine = bundled("train-images-idx3-ubyte");
    let flipped = |at: usize| {
        let mut bytes = genuine.clone();
        bytes[at] ^= 0x40;
        bytes
    };
    let cases: [(&str, &str, Vec<u8>, &[&str]); 11] = [
        ("of another set", "gz", genuine.clone(), &["MD5"]),
        ("cut", "gz", genuine[..genuine.len() / 2].to_vec(), &["damaged"]),
        ("empty", "gz", Vec::new(), &["damaged"]),
        ("bit in the middle", "gz", flipped(genuine.len() / 2), &["train-images-idx3-ubyte.gz"]),
        ("bit in the gzip header", "gz", flipped(1), &["damaged"]),
        ("no gzip at all", "gz", b"<html>404</html>".to_vec(), &["damaged"]),
        ("still compressed", "", genuine.clone(), &["is not MNIST", "it holds 5000 images of 28 x 28 pixels", "MD5"]),
        ("wrong magic", "", [b"\0\0\x0d\x03", &[0; 100][..]].concat(), &["starts with 00 00 08"]),
        ("absurd sizes", "", idx(&[u32::MAX, u32::MAX, u32::MAX], 10), &["claims the dimensions", "4294967295"]),
        ("large sizes", "", idx(&[60_000, 28, 28], 1000), &["claims the dimensions", "truncated or damaged"]),
        ("no sizes", "", idx(&[0, 28, 28], 0), &["at least 1"]),
    ];
    for (name, ending, bytes, words) in cases {
        let folder = format!("data {name}").replace(' ', "_");
        for file in MNIST.files {
            desk.write(&format!("{folder}/{}.gz", file.name), bundled(file.name));
        }
        let images = format!("{folder}/{}", MNIST.files[0].name);
        fs::remove_file(desk.path(&format!("{images}.gz"))).unwrap();
        desk.write(&if ending.is_empty() { images.clone() } else { format!("{images}.{ending}") }, bytes);
        desk.refuses_run(&format!("--data-dir {folder}"), &[&[MNIST.files[0].name], words].concat());
        // What is refused here is refused by an import too, and nothing appears under its name.
        desk.refuses(&format!("data import {folder} --data-dir imported"), &["was refused"]);
        assert!(!desk.path("imported").exists(), "{name}");
    }
}

#[test]
fn damaged_cifar_files_are_refused() {
    let desk = Desk::new();
    let image = "--set dataset.source.name=cifar10";
    desk.refuses_run(image, &["cifar10", "data_batch_1.bin", "widthwise data fetch cifar10"]);
    // The first file alone is read before it is refused, so the others need only be there.
    let folder = |name: &str| format!("data_{name}");
    let prepare = |name: &str, length: u64, first: u8| {
        for file in CIFAR10.files {
            desk.write(&format!("{}/{}", folder(name), file.name), "");
        }
        let file = fs::File::create(desk.path(&format!("{}/data_batch_1.bin", folder(name)))).unwrap();
        file.set_len(length).unwrap();
        use std::io::Write;
        (&file).write_all(&[first][..length.min(1) as usize]).unwrap();
    };
    let whole = CIFAR10.files[0].bytes;
    for (name, length, first, words) in [
        ("truncated", whole - 1, 0, &["truncated"][..]),
        ("records_missing", whole - 3073, 0, &["data_batch_1.bin"]),
        ("too_long", whole + 3073, 0, &["data_batch_1.bin"]),
        ("empty", 0, 0, &["truncated"]),
        ("bad_label", whole, 200, &["example 0 has the label 200"]),
        ("other_pixels", whole, 0, &["SHA-1", "damaged or altered"]),
    ] {
        prepare(name, length, first);
        desk.refuses_run(&format!("{image} --data-dir {}", folder(name)), &[&["data_batch_1.bin"], words].concat());
    }
}

#[test]
fn places_that_are_none_are_refused() {
    let desk = Desk::new();
    desk.write("file", "x");
    desk.refuses_run("--data-dir missing", &["missing (--data-dir) does not exist"]);
    desk.refuses_run("--data-dir file", &["file (--data-dir) is a file, but a folder is expected"]);
    let ended = end(desk.command("run small.toml --output out --force").env("WIDTHWISE_DATA", "file"));
    ended.refused_with(&["file (WIDTHWISE_DATA) is a file"]);
    desk.refuses("run missing.toml", &["missing.toml"]);
    desk.refuses("run out", &["out"]);
    desk.refuses("run small.toml --output file", &["the output file is a file"]);
    desk.refuses("run small.toml --output file/below", &["file/below"]);
    desk.refuses("check file", &["file"]);
    desk.refuses("report file", &["file"]);
    desk.refuses("table file", &["file"]);
    desk.refuses("table out --out missing/all.csv", &["missing", "make it first"]);
    desk.refuses("table out --out out", &["out is a folder"]);
    desk.refuses("config init missing/a.toml", &["missing", "make it first"]);
    desk.refuses("config init out", &["out is a folder"]);
    desk.refuses("data import file", &["file", "a folder is expected"]);
    desk.refuses("data import missing", &["missing", "does not exist"]);
    desk.refuses("data list --data-dir file", &["file (--data-dir) is a file"]);
}

#[test]
fn configurations_that_cannot_be_meant_are_refused() {
    let desk = Desk::new();
    for (set, words) in [
        ("network.widht=3", &["network.widht", "did you mean network.width"][..]),
        ("network.width=0", &["network.width = 0", "whole number"]),
        ("network.width=-3", &["network.width = -3"]),
        ("network.width=1e3", &["network.width"]),
        ("network.activation=rleu", &["network.activation", "relu"]),
        ("network.layers=[\"dense\"]", &["network.layers", "set network.family = \"layers\""]),
        ("network.layers=[\"dnse\"]", &["network.layers[0] = \"dnse\"", "did you mean \"dense\""]),
        ("training.learning_rate.absolute=nan", &["training.learning_rate.absolute = nan", "finite number above 0"]),
        ("training.learning_rate.critical=inf", &["training.learning_rate.critical = inf"]),
        ("training.learning_rate.absolute=-1", &["training.learning_rate.absolute"]),
        ("network.sigma_w2=nan", &["network.sigma_w2 = nan"]),
        ("run.seed=99999999999999999999", &["run.seed"]),
        ("dataset.preprocessing.train=100000", &["dataset.preprocessing.train"]),
        ("run.name=../elsewhere", &["run.name"]),
        ("claims.required=[\"luck\"]", &["claims.required", "luck"]),
        ("network", &["there is no \"=\""]),
        ("training.stop.steps=[1,", &["is not TOML"]),
    ] {
        desk.refuses_run(&format!("--set {set}"), words);
    }
    for (text, words) in [
        ("[training]\nlearning_rate = { absolute = nan }\n", &["bad.toml, line 2", "absolute = nan"][..]),
        ("[network]\ndetph = 3\n", &["bad.toml, line 2", "did you mean network.depth"]),
        ("[netwrok]\n", &["netwrok", "did you mean network"]),
        ("[network\n", &["bad.toml", "line 1"]),
        ("network = 3\n", &["network = 3"]),
        (
            "[network]\nfamily = \"layers\"\nlayers = [\n  \"dense\",\n  \"max_pool\",\n]\n",
            &["network.layers[1]", "bad.toml, line 5", "use average_pool or sum_pool"],
        ),
        (
            "[network]\nfamily = \"layers\"\nlayers = [\n  { sum_pool = { window = [29, 2] } },\n  \"dense\",\n]\n",
            &["network.layers[0]", "bad.toml, line 4", "1 x 28 x 28", "29 x 2"],
        ),
    ] {
        desk.write("bad.toml", text);
        desk.refuses("config check bad.toml", words);
        desk.refuses("run bad.toml --output out --force", words);
    }
    desk.write("bad.toml", b"[run]\nname = \"\xff\xfe\"\n");
    desk.refuses("run bad.toml --output out --force", &["bad.toml"]);
}

#[test]
fn resuming_where_no_run_was_begun_is_refused() {
    let desk = Desk::new();
    let words = ["--resume", "there is no run in", "without --resume", "--output"];
    desk.refuses("run small.toml --resume --output new", &words);
    assert!(!desk.path("new").exists(), "a refusal makes no folder");
    fs::create_dir(desk.path("empty")).unwrap();
    desk.refuses("run small.toml --resume --output empty", &words);
    desk.refuses("run small.toml --resume", &words);
    // A folder of something else, and a run that is over.
    desk.write("other/notes.txt", "mine");
    desk.refuses("run small.toml --resume --output other", &["no run of this program"]);
    let ended = desk.type_in("run small.toml --resume --output out").ran();
    assert!(ended.err.contains("nothing to resume"), "{ended:?}");
    // Killed before its first file, a run starts anew and says so.
    desk.write("begun/.lock", "");
    let ended = desk.type_in("run small.toml --resume --output begun").ran();
    assert!(ended.err.contains("starts from its beginning"), "{ended:?}");
}

#[test]
fn the_key_in_which_a_resumed_run_differs_is_named() {
    let desk = Desk::new();
    for (set, words) in [
        ("network.width=9", &["another configuration", "network.width is 8 there and 9 here"][..]),
        ("run.seed=4", &["run.seed is 1 there and 4 here"]),
        ("training.optimizer=momentum", &["training.optimizer is", "gradient_descent", "momentum"]),
        ("training.batch_size=5", &["training.batch_size is not set there and 5 here"]),
    ] {
        desk.refuses(&format!("run small.toml --output out --resume --set {set}"), words);
    }
}

#[test]
fn the_longest_schedules_are_planned_and_stopped_in_little_memory() {
    let desk = Desk::new();
    for (steps, snapshots) in
        [("100000000", "100000001 snapshots"), ("9223372036854775807", "9223372036854775808 snapshots")]
    {
        let line = format!("run small.toml --dry-run --set probes.schedule.every=1 --set training.stop.steps={steps}");
        let ended = desk.type_in(&line).done();
        assert!(ended.out.contains(snapshots) && ended.out.contains(steps), "{ended:?}");
    }
    // A clock that never strikes, and one that strikes at once, over as many steps.
    let line = "run small.toml --set training.stop.wall_time_s=1e20 --set training.stop.steps=3 --output forever";
    desk.type_in(line).ran();
    let every = "--set probes.schedule.every=1 --set training.stop.steps=9223372036854775807";
    desk.type_in(&format!("run small.toml {every} --set training.stop.wall_time_s=1e-9 --output at_once")).ran();
}

#[test]
fn a_refused_value_comes_from_where_it_was_written() {
    let desk = Desk::new();
    let cos = "--set network.activation={cos={a=2.0,b=3.0,c=0.5}}";
    desk.refuses_run(cos, &["network.activation.cos.a = 2.0 (--set)", "network.activation.cos.c = 0.5 (--set)"]);
    desk.write("x.csv", "1,2\n3,4\n");
    desk.refuses(
        &format!("kernel small.toml --inputs x.csv --out k {cos}"),
        &["network.activation.cos.a = 2.0 (--set)"],
    );
    let utf16: Vec<u8> = "[network]\nwidth = 0\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    desk.write("utf16.toml", [b"\xff\xfe".as_slice(), &utf16].concat());
    desk.refuses("config check utf16.toml", &["network.width = 0 (utf16.toml, line 2)"]);
}

#[test]
fn any_cut_or_altered_configuration_is_accepted_or_refused() {
    let desk = Desk::new();
    let text = desk.type_in("config init -").done().out.into_bytes();
    let mut random = widthwise_datasets::stream(3, "test.configurations");
    for _ in 0..40 {
        let mut bytes = text[..random.random_range(0..text.len())].to_vec();
        for _ in 0..random.random_range(0..3) {
            let at = random.random_range(0..text.len());
            if let Some(byte) = bytes.get_mut(at) {
                *byte = random.random_range(0..=255);
            }
        }
        desk.write("altered.toml", &bytes);
        let ended = desk.type_in("config check altered.toml");
        assert!(matches!(ended.code, Some(0 | 2)) && !ended.err.contains("panicked"), "{ended:?}");
    }
}

#[test]
fn a_kernel_that_does_not_exist_is_refused_and_leaves_no_job_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (network, inputs, out) = (folder.path().join("net.toml"), folder.path().join("x.csv"), folder.path().join("k"));
    std::fs::write(&network, "[network]\nactivation = \"sign\"\ndepth = 2\n").unwrap();
    std::fs::write(&inputs, "1,2\n3,5\n").unwrap();
    let paths = [&network, &inputs, &out].map(|path| path.to_str().unwrap().to_owned());
    let arguments = |more: &[&str]| {
        let [network, inputs, out] = paths.each_ref().map(String::as_str);
        widthwise([&["kernel", network, "--inputs", inputs, "--out", out], more].concat())
    };
    arguments(&[]).refused_with(&["sign", "no finite limit", "train the readout only"]);
    assert!(!folder.path().join("k.journal").exists());
    arguments(&["--only", "nngp"]).done();
    arguments(&["--trained", "readout"]).done();
}

#[test]
fn inputs_of_kernels_that_are_none_are_refused() {
    let desk = Desk::new();
    let npy = |header: &str| {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.bytes());
        bytes.extend([0; 16]);
        bytes
    };
    for (name, bytes, words) in [
        ("ragged.csv", b"1,2\n3\n".to_vec(), &["line 2 has 1 numbers"][..]),
        ("text.csv", b"1,2\n3,x\n".to_vec(), &["line 2: \"x\" is not a number"]),
        ("nan.csv", b"1,nan\n".to_vec(), &["column 2 is NaN"]),
        ("empty.csv", Vec::new(), &["holds no numbers"]),
        ("binary.csv", vec![0xff, 0xfe, 0, 1], &["binary.csv"]),
        ("other.txt", b"1\n".to_vec(), &[".csv or a .npy"]),
        ("not.npy", b"1,2\n".to_vec(), &["expected a .npy array"]),
        (
            "absurd.npy",
            npy("{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 8), }\n"),
            &["absurd.npy", "expected a .npy array"],
        ),
        (
            "claim.npy",
            npy("{'descr': '<f8', 'fortran_order': False, 'shape': (100000, 1000), }\n"),
            &["the header claims"],
        ),
        (
            "cubes.npy",
            npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1, 1, 1, 2), }\n"),
            &["found 5 dimensions", "1 to 4"],
        ),
        (
            "complex.npy",
            npy("{'descr': '<c16', 'fortran_order': False, 'shape': (1, 1), }\n"),
            &["kind '<c16'", "integers or booleans"],
        ),
        (
            "no_columns.npy",
            npy("{'descr': '<f8', 'fortran_order': True, 'shape': (4611686018427387904, 0), }\n"),
            &["no_columns.npy holds no numbers"],
        ),
        ("numbering.csv", b"0,1,2\n3,4,5\n6,7,8\n".to_vec(), &["a header of column numbers"]),
        ("missing.csv", b"NA,NA\n1,2\n".to_vec(), &["row 1 (line 1), column 1 is missing"]),
        ("counted.csv", b"0,0.5\n1,1.5\n2,2.5\n".to_vec(), &["index=False"]),
        ("decimal.csv", b"0,5;1,5\n2,5;3,5\n".to_vec(), &["write decimals with a point"]),
    ] {
        desk.write(name, bytes);
        desk.refuses(&format!("kernel small.toml --inputs {name} --out k"), words);
        assert!(!desk.path("k.ntk.npy").exists(), "{name}");
    }
    desk.write("good.csv", "1,2\n");
    desk.refuses("kernel small.toml --inputs good.csv --out missing/k", &["missing", "does not exist"]);
    desk.refuses("kernel small.toml --inputs good.csv --right nan.csv --out k", &["nan.csv"]);
    desk.refuses("kernel small.toml --inputs good.csv --shape 3,3,3 --out k", &["2 columns", "27"]);
}

#[test]
fn any_altered_file_of_a_run_is_read_or_refused() {
    let desk = Desk::new();
    let mut random = widthwise_datasets::stream(4, "test.alterations");
    let names: Vec<PathBuf> = desk.run.keys().filter(|path| !path.starts_with("figures")).cloned().collect();
    for round in 0..40 {
        let name = &names[round % names.len()];
        let mut bytes = desk.run[name].clone();
        if bytes.is_empty() {
            continue;
        }
        if random.random_range(0..2) == 0 {
            bytes.truncate(random.random_range(0..bytes.len()));
        } else {
            let at = random.random_range(0..bytes.len());
            bytes[at] ^= 1 << random.random_range(0..8);
        }
        fs::write(desk.path("out").join(name), bytes).unwrap();
        for line in [
            "check out",
            "check out --control drop-bias",
            "table out",
            "report out",
            "run small.toml --output out --resume",
        ] {
            let ended = desk.type_in(line);
            let is_known = matches!(ended.code, Some(0..=3)) && !ended.err.contains("panicked");
            assert!(is_known, "{line} after {} was altered: {ended:?}", name.display());
        }
        for (path, bytes) in &desk.run {
            fs::write(desk.path("out").join(path), bytes).unwrap();
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_under_standard_output_is_told() {
    let desk = Desk::new();
    for line in
        ["table out", "check out", "data list", "config init -", "completions bash", "report out", "table out --json"]
    {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let child = desk.command(line).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
        let ended: Ended = child.wait_with_output().unwrap().into();
        ended.refused_with(&["standard output"]);
    }
    assert_equal_files(&all_files(&desk.path("out")), &desk.run, "a full disk elsewhere");
}

#[cfg(unix)]
#[test]
fn a_disk_that_fills_up_ends_a_run_that_can_be_resumed() {
    let desk = Desk::new();
    // So many outputs that a matrix is larger than every file that is written before it.
    let run = "run small.toml -q --set dataset.preprocessing.test=400";
    desk.type_in(&format!("{run} --output whole")).ran();
    // The shell counts blocks of 512 or 1024 bytes; from too few for the manifest to enough for all.
    let mut stopped = Vec::new();
    for blocks in [0, 1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 128, 100_000] {
        let name = format!("full_{blocks}");
        let limited = format!("ulimit -f {blocks}; exec \"$0\" {run} --output {name}");
        let mut shell = Command::new("sh");
        shell.args(["-c", &limited, env!("CARGO_BIN_EXE_widthwise")]).current_dir(desk.folder.path());
        let ended =
            end(shell.env("HOME", "/nonexistent").env("XDG_DATA_HOME", "/nonexistent").env_remove("WIDTHWISE_DATA"));
        if !matches!(ended.code, Some(0 | 3)) {
            ended.refused_with(&["cannot write", &name]);
            stopped.push(
                ended.err.split(&format!("{name}/")).nth(1).unwrap().split([':', ' ']).next().unwrap().to_owned(),
            );
            desk.type_in(&format!("{run} --output {name} --resume")).ran();
        }
        assert_equal_files(&files(&desk.path(&name)), &files(&desk.path("whole")), &name);
    }
    for file in ["manifest.json", "registration.toml", "results.csv", ".npy"] {
        assert!(stopped.iter().any(|name| name.ends_with(file)), "no limit was met in {file}, but in {stopped:?}");
    }
}
