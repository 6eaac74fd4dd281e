//! Every command that README.md and `docs` tell a reader to type runs, made small, one after the other in one folder.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use faer::Mat;
use safetensors::tensor::{Dtype, TensorView, serialize};
use widthwise::record::npy;
use widthwise_testing::documents::{TypedCommand, commands, documents};

use crate::program::{Ended, end, program};

/// Lines that do not run here, and why.
const NOT_HERE: [(&str, &str); 3] = [
    ("cargo test --release --workspace", "it is what runs this test"),
    (
        "widthwise data fetch mnist cifar10",
        "it downloads from the servers of others; datasets/tests/fetch.rs fetches from one of its own",
    ),
    (
        "widthwise data import ~/Downloads/mnist",
        "it takes files of MNIST by their checksums, and the repository has a part of them; datasets/tests/import.rs imports",
    ),
];

/// What makes a command small: an option that is added to it or, where it is there already, takes this value. `--set` is there if
/// its key is.
const SMALL: [(&str, &str, &str); 19] = [
    ("run", "--set", "run.members=4"),
    ("run", "--set", "run.keep_weights=last"),
    ("run", "--set", "training.stop.steps=2"),
    ("run", "--set", "dataset.preprocessing.train=24"),
    ("run", "--set", "dataset.preprocessing.test=12"),
    ("run", "--set", "network.width=16"),
    ("ladder", "--widths", "8..32"),
    ("ladder", "--seeds", "2"),
    ("reproduce", "--size", "tiny"),
    ("bench kernels", "--case", "relu_depth3_n500"),
    ("bench ntk", "--case", "mlp_784_512x3_10_n64_trace"),
    ("bench train", "--case", "mlp_784_128x3_10_b128"),
    ("bench probes", "--case", "default_mlp"),
    ("plan", "--set", "training.stop.steps=2"),
    ("plan", "--set", "dataset.preprocessing.train=24"),
    ("plan", "--set", "dataset.preprocessing.test=12"),
    ("plan", "--set", "network.width=16"),
    ("plan", "--members", "4"),
    ("bench", "--repeats", "1"),
];

/// Examples that `mnist:train:COUNT` has at most.
const EXAMPLES: usize = 50;

/// Features of the inputs in files, those of MNIST.
const FEATURES: usize = 784;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The words after the program's name that say which command it is.
fn begins(words: &[String], command: &str) -> bool {
    command.split(' ').zip(&words[1..]).all(|(name, word)| name == word)
}

/// The command with less to do, and in `used` what made it so.
fn small(mut words: Vec<String>, used: &mut BTreeSet<usize>) -> Vec<String> {
    for word in &mut words {
        if let Some((source, count)) =
            word.rsplit_once(':').and_then(|(source, count)| Some((source, count.parse().ok()?)))
        {
            *word = format!("{source}:{}", EXAMPLES.min(count));
        }
    }
    if words.iter().any(|word| word == "--dry-run") {
        return words;
    }
    for (index, (command, option, value)) in SMALL.iter().enumerate() {
        if !begins(&words, command) {
            continue;
        }
        let key = |text: &str| text.split('=').next().map(str::to_owned);
        let is_there = |pair: &[String]| pair[0] == *option && (*option != "--set" || key(&pair[1]) == key(value));
        match words.windows(2).position(is_there) {
            Some(place) => words[place + 1] = (*value).to_owned(),
            None => words.extend([option, value].map(|word| (*word).to_owned())),
        }
        used.insert(index);
    }
    words
}

/// The folder in which a reader types.
struct Desk {
    folder: PathBuf,
}

impl Desk {
    /// A folder with the examples of the repository.
    fn new(folder: PathBuf) -> Self {
        fs::create_dir_all(folder.join("examples")).unwrap();
        for path in fs::read_dir(root().join("examples")).unwrap().map(|entry| entry.unwrap().path()) {
            fs::copy(&path, folder.join("examples").join(path.file_name().unwrap())).unwrap();
        }
        Self { folder }
    }

    fn type_in(&self, words: &[String]) -> Ended {
        end(program().args(&words[1..]).current_dir(&self.folder))
    }

    /// Types a command that has to succeed before the document's can.
    fn prepare(&self, line: &str) {
        let words = line.split(' ').map(str::to_owned).collect();
        let ended = self.type_in(&small(words, &mut BTreeSet::new()));
        assert!(matches!(ended.code, Some(0 | 1 | 3)), "{line}: {ended:?}");
    }

    /// Makes the file or folder that a reader is supposed to have by this name, if it is one and is not there.
    fn provide(&self, name: &str, words: &[String]) {
        let path = self.folder.join(name);
        // The network of a state dict is another in each document.
        if path.exists() && name != "net.pt" {
            return;
        }
        let table = |rows: usize, columns: usize| Mat::from_fn(rows, columns, |i, j| ((3 * i + j) as f64).sin());
        let csv = |rows: usize, columns: usize| {
            let values = table(rows, columns);
            let row = |i: usize| (0..columns).map(|j| values[(i, j)].to_string()).collect::<Vec<_>>().join(",") + "\n";
            fs::write(&path, (0..rows).map(row).collect::<String>()).unwrap();
        };
        match name {
            "runs/*" => self.provide("runs/mnist_mlp", words),
            "runs/mnist_mlp" => self.prepare("widthwise run"),
            "network.toml" | "net.toml" => fs::write(&path, "[network]\ndepth = 2\nwidth = 16\n").unwrap(),
            "inputs.npy" | "x.npy" | "y.npy" => npy::write(&path, &table(5, FEATURES)).unwrap(),
            "x.csv" => csv(5, FEATURES),
            "y.csv" => csv(5, 2),
            "z.csv" => csv(3, FEATURES),
            "theirs.npy" => {
                self.provide("network.toml", words);
                self.provide("inputs.npy", words);
                self.prepare("widthwise kernel network.toml --inputs inputs.npy --out own");
                fs::rename(self.folder.join("own.ntk.npy"), path).unwrap();
            }
            "mnist_mlp.tar.gz" => drop(fs::copy(self.folder.join("runs/mnist_mlp.tar.gz"), path).unwrap()),
            "weights.safetensors" => {
                self.provide("runs/mnist_mlp", words);
                self.prepare("widthwise weights export runs/mnist_mlp --out weights.safetensors");
            }
            "net.pt" => {
                let value =
                    |option: &str| words.windows(2).find(|pair| pair[0] == option).map(|pair| pair[1].clone()).unwrap();
                let features = value("--input").split(',').map(|size| size.parse::<usize>().unwrap()).product();
                fs::write(&path, state_dict(&[features, 16, 16, value("--outputs").parse().unwrap()])).unwrap();
            }
            _ => {}
        }
    }

    /// The word, or what it matches if it ends in a star.
    fn expand(&self, word: String) -> Vec<String> {
        let Some(folder) = word.strip_suffix("/*") else { return vec![word] };
        let names = fs::read_dir(self.folder.join(folder)).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| format!("{folder}/{}", name.to_str().unwrap())).collect()
    }
}

/// The state dict of dense layers with activations between them, as safetensors.
fn state_dict(sizes: &[usize]) -> Vec<u8> {
    let bytes = |first: usize, count: usize| {
        (first..first + count).flat_map(|i| (i as f32).sin().to_le_bytes()).collect::<Vec<u8>>()
    };
    let tensors = sizes.windows(2).enumerate().flat_map(|(layer, pair)| {
        let tensor = |name: &str, shape: Vec<usize>| {
            (format!("{}.{name}", 2 * layer), bytes(layer, shape.iter().product()), shape)
        };
        [tensor("weight", vec![pair[1], pair[0]]), tensor("bias", vec![pair[1]])]
    });
    let tensors: Vec<_> = tensors.collect();
    let views =
        tensors.iter().map(|(name, bytes, shape)| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    serialize(views, None).unwrap()
}

#[test]
fn every_line_of_the_documents_runs() {
    let scratch = tempfile::tempdir().unwrap();
    let desk = Desk::new(scratch.path().to_owned());
    let (mut left_out, mut used, mut ran) = (BTreeSet::new(), BTreeSet::new(), 0);
    for document in documents(root(), &["README.md"], &["docs"]).unwrap() {
        for typed in commands(root(), &document).unwrap().into_iter().filter(|typed| typed.is_line) {
            let line = typed.line();
            if NOT_HERE.iter().any(|(known, _)| *known == line) {
                left_out.insert(line);
                continue;
            }
            let TypedCommand { place, .. } = &typed;
            assert!(typed.is_own(), "{place}: {line} is no command of the program; NOT_HERE is for what cannot run");
            let words = small(typed.words.clone(), &mut used);
            words.iter().for_each(|word| desk.provide(word, &words));
            let words: Vec<String> = words.into_iter().flat_map(|word| desk.expand(word)).collect();
            let start = Instant::now();
            let ended = desk.type_in(&words);
            eprintln!("{place}: {:.1} s, exit {:?}: {}", start.elapsed().as_secs_f64(), ended.code, words.join(" "));
            assert!(matches!(ended.code, Some(0 | 1 | 3)), "{place}: {line}\nas {}\n{ended:?}", words.join(" "));
            ran += 1;
        }
    }
    assert!(ran > 40, "only {ran} commands ran");
    assert_eq!(left_out.len(), NOT_HERE.len(), "of NOT_HERE the documents have only {left_out:?}");
    let unused: Vec<_> = (0..SMALL.len()).filter(|index| !used.contains(index)).map(|index| SMALL[index]).collect();
    assert!(unused.is_empty(), "no command needs {unused:?}");
}
