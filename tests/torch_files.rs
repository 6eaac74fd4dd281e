//! Files of weights as people have them: endings of every kind, checkpoints with optimizers, layers that share weights, sizes that are not
//! true. What would change the function or take more than the file has is refused by name.
//! The file is long because all cases share one writer of checkpoints.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use widthwise::config::parse;
use widthwise::network::build_architecture;
use widthwise::record::npy;
use widthwise::record::weights::Weights;
use widthwise::record::weights::pytorch::{self, ImportedStateDict, Mapping};
use widthwise_theory::architecture::{Architecture, InputShape, Layer};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::program::{Ended, widthwise};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pytorch").join(name)
}

fn network(keys: &str, input: InputShape, outputs: usize) -> Architecture {
    let text = format!("[network]\nparameterization = \"standard\"\nactivation = \"tanh\"\n{keys}");
    let config = parse(&text, "test", &[]).unwrap_or_else(|error| panic!("{error}")).into_inner().network;
    build_architecture(&config, input, outputs, None).unwrap()
}

/// The mlp of `make.py`.
fn mlp() -> Architecture {
    network("widths = [8, 5]", InputShape::flat(6), 3)
}

/// A tensor as a pickle describes it.
#[derive(Clone)]
struct Tensor {
    name: &'static str,
    storage: &'static str,
    /// Numbers that its storage is said to have.
    count: i64,
    offset: i64,
    shape: Vec<i64>,
    strides: Vec<i64>,
}

fn tensor(name: &'static str, storage: &'static str, shape: &[i64]) -> Tensor {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    let count = shape.iter().product();
    Tensor { name, storage, count, offset: 0, shape: shape.to_vec(), strides }
}

/// A pickle of protocol 2, as `torch.save` writes one.
#[derive(Default)]
struct Pickle(Vec<u8>);

impl Pickle {
    fn text(&mut self, text: &str) {
        self.0.push(b'X');
        self.0.extend((text.len() as u32).to_le_bytes());
        self.0.extend(text.as_bytes());
    }

    fn whole(&mut self, number: i64) {
        self.0.extend([0x8a, 8]);
        self.0.extend(number.to_le_bytes());
    }

    fn class(&mut self, module: &str, name: &str) {
        self.0.extend(format!("c{module}\n{name}\n").as_bytes());
    }

    fn tuple(&mut self, numbers: &[i64]) {
        self.0.push(b'(');
        numbers.iter().for_each(|number| self.whole(*number));
        self.0.push(b't');
    }

    fn tensor(&mut self, tensor: &Tensor) {
        self.class("torch._utils", "_rebuild_tensor_v2");
        self.0.extend(b"((");
        self.text("storage");
        self.class("torch", "FloatStorage");
        self.text(tensor.storage);
        self.text("cpu");
        self.whole(tensor.count);
        self.0.extend(b"tQ");
        self.whole(tensor.offset);
        self.tuple(&tensor.shape);
        self.tuple(&tensor.strides);
        // requires_grad = False, no hooks.
        self.0.extend(b"\x89}tR");
    }

    fn state_dict(tensors: &[Tensor]) -> Vec<u8> {
        let mut pickle = Self(b"\x80\x02}(".to_vec());
        for tensor in tensors {
            pickle.text(tensor.name);
            pickle.tensor(tensor);
        }
        pickle.0.extend(b"u.");
        pickle.0
    }
}

/// A zip archive of entries, as `torch.save` names them.
fn archive(path: &Path, pickle: &[u8], storages: &[(&str, Vec<u8>)], packing: CompressionMethod) {
    let mut writer = ZipWriter::new(File::create(path).unwrap());
    let options = SimpleFileOptions::default().compression_method(packing);
    let mut entry = |name: &str, bytes: &[u8]| {
        writer.start_file(format!("net/{name}"), options).unwrap();
        writer.write_all(bytes).unwrap();
    };
    entry("data.pkl", pickle);
    entry("byteorder", b"little");
    storages.iter().for_each(|(key, bytes)| entry(&format!("data/{key}"), bytes));
    writer.finish().unwrap();
}

/// Numbers that no rule makes, other ones for every `seed`.
fn numbers(seed: u32, count: usize) -> Vec<u8> {
    (0..count as u32).flat_map(|i| ((1 + seed * 97 + i * 31) as f32).sin().to_le_bytes()).collect()
}

/// Writes tensors over storages of these many numbers.
fn state_dict(folder: &Path, tensors: &[Tensor], storages: &[(&'static str, usize)]) -> PathBuf {
    let path = folder.join("net.pt");
    let filled: Vec<(&str, Vec<u8>)> =
        (0..).zip(storages).map(|(seed, (key, count))| (*key, numbers(seed, *count))).collect();
    archive(&path, &Pickle::state_dict(tensors), &filled, CompressionMethod::Stored);
    path
}

fn import(path: &Path, architecture: &Architecture) -> Result<ImportedStateDict, String> {
    pytorch::import(path, architecture, &[]).map_err(|error| error.to_string())
}

#[track_caller]
fn refused(path: &Path, architecture: &Architecture, words: &[&str]) {
    let error = import(path, architecture).unwrap_err();
    for word in words {
        assert!(error.contains(word), "no \"{word}\" in {error}");
    }
    assert!(!error.contains('\n'), "{error}");
}

/// `2 -> 4 -> 4 -> 2` without biases.
fn square() -> Architecture {
    network("widths = [4, 4]\nsigma_b2 = 0.0", InputShape::flat(2), 2)
}

#[test]
fn the_content_of_a_file_says_what_it_is_and_not_its_ending() {
    let folder = tempfile::tempdir().unwrap();
    let expected = import(&fixture("mlp.safetensors"), &mlp()).unwrap();
    for (from, ending) in [
        ("mlp.pt", "net.pth.tar"),
        ("mlp.pt", "net.pkl"),
        ("mlp.pt", "net"),
        ("mlp.pt", "net.safetensors"),
        ("stream.pt", "net.bin"),
        ("mlp.safetensors", "net.ckpt"),
        ("mlp.safetensors", "net.pt"),
    ] {
        let path = folder.path().join(ending);
        fs::copy(fixture(from), &path).unwrap();
        assert_eq!(import(&path, &mlp()).unwrap(), expected, "{from} as {ending}");
    }
    let path = folder.path().join("net.pt");
    let write = |bytes: &[u8]| fs::write(&path, bytes).unwrap();
    write(b"");
    refused(&path, &mlp(), &["it is empty"]);
    write(br#"{"metadata": {}, "weight_map": {"a.weight": "model-00001-of-00002.safetensors"}}"#);
    refused(&path, &mlp(), &["index of a state dict in 1 files (model-00001-of-00002.safetensors)"]);
    // np.savez, and a dict of arrays by pickle.dump.
    let mut writer = ZipWriter::new(File::create(&path).unwrap());
    writer.start_file("fc1.npy", SimpleFileOptions::default()).unwrap();
    writer.write_all(b"\x93NUMPY").unwrap();
    writer.finish().unwrap();
    refused(&path, &mlp(), &["an .npz archive of NumPy arrays (fc1)"]);
    write(b"\x80\x02}X\x02\x00\x00\x00fccnumpy.core.multiarray\n_reconstruct\n)Rs.");
    refused(&path, &mlp(), &["a pickle of NumPy arrays"]);
    refused(&fixture("script.pt"), &mlp(), &["a TorchScript archive"]);
    write(&[vec![0; 257], b"ustar\x0000".to_vec()].concat());
    refused(&path, &mlp(), &["a tar archive"]);
    // Headers of safetensors that are longer than the file, or than any.
    write(b"\xff\xff\xff\xff\x00\x00\x00\x00{\"a\":1}");
    refused(&path, &mlp(), &["no sound safetensors file"]);
    write(b"\x00\x01\x00\x00\x00\x00\x00\x00{\"a\":1}");
    refused(&path, &mlp(), &["no sound safetensors file"]);
}

#[test]
fn the_model_of_a_checkpoint_is_found_beside_its_optimizer() {
    let expected = import(&fixture("mlp.safetensors"), &mlp()).unwrap();
    let found = import(&fixture("checkpoint.pt"), &mlp()).unwrap();
    assert_eq!((found.weights, found.modules), (expected.weights.clone(), expected.modules.clone()));
    assert_eq!(
        found.remarks,
        ["the weights are those under model; left out: optimizer (the state of an optimizer), ema, rng_state"]
    );
    let whole = import(&fixture("model.pt"), &mlp()).unwrap();
    assert_eq!((whole.weights, whole.remarks), (expected.weights, Vec::new()));

    // {"a": {...}, "b": {...}} is one network in two parts; the optimizer is none of it.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.pt");
    let (first, second) = (tensor("weight", "0", &[4, 2]), tensor("weight", "1", &[2, 4]));
    let write = |optimizer_only: bool| {
        let mut pickle = Pickle(b"\x80\x02}(".to_vec());
        for (key, part) in [("encoder", &first), ("decoder", &second)].iter().filter(|_| !optimizer_only) {
            pickle.text(key);
            pickle.0.extend(b"}");
            pickle.text(part.name);
            pickle.tensor(part);
            pickle.0.extend(b"s");
        }
        pickle.text("optimizer");
        pickle.0.extend(b"}(");
        pickle.text("param_groups");
        pickle.0.extend(b"]");
        pickle.text("state");
        pickle.0.extend(b"}");
        pickle.text("exp_avg");
        pickle.tensor(&tensor("", "2", &[4, 2]));
        pickle.0.extend(b"suu.");
        let storages = [("0", numbers(0, 8)), ("1", numbers(1, 8)), ("2", numbers(2, 8))];
        archive(&path, &pickle.0, &storages, CompressionMethod::Stored);
    };
    write(false);
    let two = network("widths = [4]\nsigma_b2 = 0.0", InputShape::flat(2), 2);
    let found = import(&path, &two).unwrap();
    assert_eq!(found.modules, ["encoder", "decoder"]);
    assert_eq!(found.remarks, ["left out: optimizer (the state of an optimizer)"]);
    write(true);
    refused(&path, &two, &["state of an optimizer"]);
}

#[test]
fn layers_that_share_weights_are_refused_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let first = tensor("a.weight", "0", &[4, 2]);
    let last = tensor("out.weight", "2", &[2, 4]);
    // Two names of one storage.
    let shared = [first.clone(), tensor("h1.weight", "1", &[4, 4]), last.clone()];
    let mut tied = shared.to_vec();
    tied.insert(2, tensor("h2.weight", "1", &[4, 4]));
    let deep = network("widths = [4, 4, 4]\nsigma_b2 = 0.0", InputShape::flat(2), 2);
    let path = state_dict(folder.path(), &tied, &[("0", 8), ("1", 16), ("2", 8)]);
    refused(&path, &deep, &["h1.weight and h2.weight share their numbers", "another tangent kernel"]);
    // A decoder that is the transposed encoder: the same storage, strides exchanged.
    let mut decoder = tensor("out.weight", "0", &[2, 4]);
    decoder.strides = vec![1, 2];
    let path = state_dict(folder.path(), &[first.clone(), shared[1].clone(), decoder], &[("0", 8), ("1", 16)]);
    refused(&path, &square(), &["a.weight and out.weight share their numbers"]);
    // Parts of one storage that do not meet, even column by column, are layers of their own.
    let part = |name, offset, shape: &[i64], strides: &[i64]| Tensor {
        count: 32,
        offset,
        strides: strides.to_vec(),
        ..tensor(name, "0", shape)
    };
    let apart = [
        part("a.weight", 0, &[4, 2], &[2, 1]),
        part("h.weight", 8, &[4, 4], &[4, 1]),
        part("out.weight", 24, &[2, 4], &[1, 2]),
    ];
    let path = state_dict(folder.path(), &apart, &[("0", 32)]);
    let found = import(&path, &square()).unwrap().weights;
    let number = |i: u32| f64::from(((1 + i * 31) as f32).sin());
    // [2, 4] with the strides [1, 2], transposed: row-major as it lies.
    assert_eq!(found.layers[2].weight, (24..32).map(number).collect::<Vec<_>>());
    assert_eq!(found.layers[0].weight[..4], [number(0), number(2), number(4), number(6)]);
    // One number in common is enough.
    let mut meeting = apart;
    meeting[1].offset = 7;
    refused(&state_dict(folder.path(), &meeting, &[("0", 32)]), &square(), &["a.weight and h.weight share"]);
    // Copies are known by their numbers: the third storage repeats the second.
    let path = folder.path().join("net.pt");
    let copies = [first.clone(), tensor("h1.weight", "1", &[4, 4]), tensor("h2.weight", "3", &[4, 4]), last];
    let storages = [("0", numbers(0, 8)), ("1", numbers(1, 16)), ("2", numbers(2, 8)), ("3", numbers(1, 16))];
    archive(&path, &Pickle::state_dict(&copies), &storages, CompressionMethod::Stored);
    refused(&path, &deep, &["h1.weight and h2.weight have the same numbers"]);
    // A decoder that exists in forward() alone.
    let path = state_dict(folder.path(), &[first, shared[1].clone()], &[("0", 8), ("1", 16)]);
    refused(&path, &square(), &["no weights for layer 3", "uses the weights of a again, as they are or transposed"]);
}

#[test]
fn modules_of_one_shape_follow_the_state_dict() {
    let folder = tempfile::tempdir().unwrap();
    let deep = network("widths = [4, 4, 4]\nsigma_b2 = 0.0", InputShape::flat(2), 2);
    let net = |first, second| {
        let tensors = [
            tensor("stem.weight", "0", &[4, 2]),
            tensor(first, "1", &[4, 4]),
            tensor(second, "2", &[4, 4]),
            tensor("out.weight", "3", &[2, 4]),
        ];
        state_dict(folder.path(), &tensors, &[("0", 8), ("1", 16), ("2", 16), ("3", 8)])
    };
    let found = import(&net("squeeze.weight", "expand.weight"), &deep).unwrap();
    assert_eq!(found.modules, ["stem", "squeeze", "expand", "out"]);
    assert!(found.remarks[0].contains("the order of the state dict puts squeeze first"), "{:?}", found.remarks);
    // Also against the order of their numbers.
    let found = import(&net("fc3.weight", "fc2.weight"), &deep).unwrap();
    assert_eq!(found.modules, ["stem", "fc3", "fc2", "out"]);
    assert_eq!(found.remarks, Vec::<String>::new());
    let mapping = Mapping { layer: 2, module: "fc2".to_owned() };
    let path = net("fc3.weight", "fc2.weight");
    assert_eq!(pytorch::import(&path, &deep, &[mapping]).unwrap().modules, ["stem", "fc2", "fc3", "out"]);
}

#[test]
fn sizes_that_are_not_true_are_refused_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let with = |change: &dyn Fn(&mut Tensor)| {
        let mut first = tensor("a.weight", "0", &[4, 2]);
        change(&mut first);
        let tensors = [first, tensor("h.weight", "1", &[4, 4]), tensor("out.weight", "2", &[2, 4])];
        state_dict(folder.path(), &tensors, &[("0", 8), ("1", 16), ("2", 8)])
    };
    import(&with(&|_| {}), &square()).unwrap();
    let expanded = with(&|t| (t.shape, t.strides) = (vec![30_000, 30_000], vec![0, 0]));
    refused(&expanded, &square(), &["a.weight: an expanded tensor", "900000000 elements", "8 numbers"]);
    refused(
        &with(&|t| t.strides = vec![1, 1]),
        &square(),
        &["a.weight: [4, 2] with the strides [1, 1] repeats numbers"],
    );
    refused(&with(&|t| t.strides = vec![0, 1]), &square(), &["a.weight", "repeats numbers"]);
    refused(&with(&|t| t.strides = vec![-2, 1]), &square(), &["a.weight", "strides are not all whole numbers"]);
    refused(&with(&|t| t.offset = -1), &square(), &["a.weight", "place in its storage"]);
    refused(&with(&|t| t.offset = 1), &square(), &["a.weight", "beyond which it reaches"]);
    refused(&with(&|t| t.shape = vec![i64::MAX, i64::MAX]), &square(), &["a.weight", "more numbers than there can be"]);
    refused(&with(&|t| t.strides = vec![i64::MAX, i64::MAX]), &square(), &["a.weight", "beyond which it reaches"]);
    refused(&with(&|t| t.strides = vec![1]), &square(), &["a.weight", "with the strides [1]"]);
    // As the pickle has it all is well, but the file has fewer numbers.
    let large = with(&|t| (t.count, t.shape, t.strides) = (1 << 40, vec![1 << 20, 1 << 20], vec![1 << 20, 1]));
    refused(&large, &square(), &["a.weight", "too few bytes: 32 in its storage"]);
    refused(&with(&|t| t.storage = "7"), &square(), &["a.weight", "it lacks net/data/7"]);
}

#[test]
fn an_archive_that_unpacks_to_much_more_is_refused_and_a_packed_one_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.pt");
    let tensors =
        [tensor("a.weight", "0", &[4, 2]), tensor("h.weight", "1", &[4, 4]), tensor("out.weight", "2", &[2, 4])];
    let storages = [("0", numbers(0, 8)), ("1", numbers(1, 16)), ("2", numbers(2, 8))];
    archive(&path, &Pickle::state_dict(&tensors), &storages, CompressionMethod::Stored);
    let stored = import(&path, &square()).unwrap();
    archive(&path, &Pickle::state_dict(&tensors), &storages, CompressionMethod::Deflated);
    assert_eq!(import(&path, &square()).unwrap(), stored);
    // 80 MiB of zeros in 80 KiB.
    let zeros = [("0", vec![0; 80 << 20])];
    archive(
        &path,
        &Pickle::state_dict(&[tensor("a.weight", "0", &[20 << 20, 1])]),
        &zeros,
        CompressionMethod::Deflated,
    );
    assert!(fs::metadata(&path).unwrap().len() < 1 << 20);
    refused(&path, &square(), &["a.weight", "would unpack"]);
    let pickle = [b"\x80\x02".to_vec(), vec![b'N'; 65 << 20], b".".to_vec()].concat();
    archive(&path, &pickle, &[], CompressionMethod::Deflated);
    refused(&path, &square(), &["data.pkl has more than 67108864 bytes"]);
}

#[test]
fn files_cut_or_changed_anywhere_are_read_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.pt");
    for name in ["mlp.pt", "stream.pt", "checkpoint.pt", "model.pt", "mlp.safetensors"] {
        let whole = fs::read(fixture(name)).unwrap();
        for at in (0..whole.len()).step_by(11) {
            fs::write(&path, &whole[..at]).unwrap();
            assert!(import(&path, &mlp()).is_err(), "{name} cut to {at} bytes");
            let mut bytes = whole.clone();
            bytes[at] ^= 0x81;
            fs::write(&path, bytes).unwrap();
            // A changed number is a number; what matters is that all ends in a value.
            let _ = import(&path, &mlp());
        }
    }
}

#[test]
fn buffers_on_which_a_function_depends_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for (name, words) in [
        ("h.weight_orig", "torch.nn.utils.prune.remove"),
        ("h.weight_mask", "torch.nn.utils.prune.remove"),
        ("h.weight_g", "remove_weight_norm"),
        ("h.weight_u", "remove_spectral_norm"),
        ("h.parametrizations.weight.original0", "remove_parametrizations"),
        ("h.scale", "a buffer or parameter of something else"),
        ("h.weight_ih_l0", "a recurrent layer"),
        ("h.running_var", "a running statistic"),
    ] {
        let tensors =
            [tensor("a.weight", "0", &[4, 2]), tensor(name, "1", &[4, 4]), tensor("out.weight", "2", &[2, 4])];
        refused(&state_dict(folder.path(), &tensors, &[("0", 8), ("1", 16), ("2", 8)]), &square(), &[name, words]);
    }
}

#[test]
fn a_window_whose_padding_is_not_known_is_refused_until_it_is_said() {
    let image = InputShape { channels: 2, height: 6, width: 5 };
    let padded = |first: &str, pool: &str| {
        let layers = format!(
            "family = \"layers\"\nlayers = [ {{ convolution = {{ width = 3, filter_size = [3, 3], stride = [2, 2]{first} }} }}, \
             \"activation\", {{ convolution = {{ width = 4, filter_size = [2, 3], padding = [1, 2] }} }}, \"activation\", \
             {{ average_pool = {{ window = [3, 3], stride = [2, 2]{pool} }} }}, \"flatten\" ]"
        );
        network(&layers, image, 2)
    };
    let path = fixture("cnn_padded.safetensors");
    let said = padded(", padding = 1", ", padding = [1, 1]");
    let imported = import(&path, &said).unwrap();
    assert_eq!(imported.remarks, Vec::<String>::new());
    refused(
        &path,
        &padded("", ", padding = [1, 1]"),
        &[
            "layer 1, a convolution of 3 x 3, has padding = \"same\"",
            "input of 6 x 5",
            "set padding = [1, 1] for nn.Conv2d",
        ],
    );
    refused(
        &path,
        &padded(", padding = 1", ", padding = \"same\""),
        &["average_pool of 3 x 3 before layer 3", "set padding = [1, 1] for nn.AvgPool2d"],
    );
    refused(&path, &padded(", padding = \"circular\"", ", padding = 1"), &["\"circular\"", "padding_mode"]);
    // Files of this program say what they are of.
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("own.safetensors");
    let same = padded("", ", padding = [1, 1]");
    pytorch::export(&Weights { architecture: same.clone(), ..imported.weights }, &own).unwrap();
    import(&own, &same).unwrap();
    refused(&own, &padded(", padding = \"circular\"", ", padding = [1, 1]"), &["\"circular\""]);
}

#[test]
fn weights_of_other_types_are_read_by_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let imported = import(&fixture("mlp.safetensors"), &mlp()).unwrap().weights;
    imported.write(Path::new(&at("whole.safetensors"))).unwrap();
    npy::write(Path::new(&at("x.npy")), &npy::read(&fixture("mlp.inputs.npy")).unwrap()).unwrap();
    // The same in other types: every number is first rounded to bfloat16, which all of them hold but F16, whose numbers are 1.
    let rewrite = |name: &str, dtype: &str, bytes: &dyn Fn(f32) -> Vec<u8>, shape: &dyn Fn(&[usize]) -> Vec<usize>| {
        let whole = fs::read(at("whole.safetensors")).unwrap();
        let (_, header) = safetensors::SafeTensors::read_metadata(&whole).unwrap();
        let (mut entries, mut data) = (vec![], Vec::new());
        let metadata = header.metadata().clone().unwrap();
        entries.push(format!("\"__metadata__\": {}", serde_json::to_string(&metadata).unwrap()));
        for (name, view) in safetensors::SafeTensors::deserialize(&whole).unwrap().tensors() {
            let start = data.len();
            view.data().as_chunks::<4>().0.iter().for_each(|x| data.extend(bytes(f32::from_le_bytes(*x))));
            let shape = shape(view.shape());
            entries.push(format!(
                "{name:?}: {{\"dtype\": {dtype:?}, \"shape\": {shape:?}, \"data_offsets\": [{start}, {}]}}",
                data.len()
            ));
        }
        let header = format!("{{{}}}", entries.join(", "));
        fs::write(at(name), [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()).unwrap();
    };
    let rounded = |x: f32| x.to_bits() >> 16;
    let as_is = |shape: &[usize]| shape.to_vec();
    rewrite("f32.safetensors", "F32", &|x| (rounded(x) << 16).to_le_bytes().to_vec(), &as_is);
    rewrite("bf16.safetensors", "BF16", &|x| (rounded(x) as u16).to_le_bytes().to_vec(), &as_is);
    rewrite("f64.safetensors", "F64", &|x| f64::from(f32::from_bits(rounded(x) << 16)).to_le_bytes().to_vec(), &as_is);
    rewrite("f16.safetensors", "F16", &|_| 0x3c00_u16.to_le_bytes().to_vec(), &as_is);
    rewrite("i32.safetensors", "I32", &|_| vec![1, 0, 0, 0], &as_is);
    rewrite("flat.safetensors", "F32", &|x| x.to_le_bytes().to_vec(), &|shape| vec![shape.iter().product()]);
    let ntk = |name: &str| -> Ended {
        let (weights, out) = (at(&format!("{name}.safetensors")), at(name));
        widthwise([
            "ntk",
            &weights,
            "--inputs",
            &at("x.npy"),
            "--out",
            &out,
            "--precision",
            "f64",
            "--storage",
            "f64",
            "-q",
        ])
    };
    let kernel = |name: &str| {
        ntk(name).done();
        npy::read(Path::new(&at(&format!("{name}.ntk.npy")))).unwrap()
    };
    let expected = kernel("f32");
    assert_eq!(kernel("bf16"), expected);
    assert_eq!(kernel("f64"), expected);
    assert!(kernel("f16").col_iter().all(|column| column.iter().all(|x| x.is_finite())));
    ntk("i32").refused_with(&["I32 numbers", "F16, BF16, F32 or F64"]);
    ntk("flat").refused_with(&["has the shape", "but the network needs"]);
}

#[test]
fn an_architecture_of_filters_that_cannot_be_counted_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    let mut architecture =
        network("family = \"cnn\"\nwidths = [2]", InputShape { channels: 1, height: 4, width: 4 }, 1);
    if let Layer::Convolution { filter_size, .. } = &mut architecture.layers[0] {
        // Their product is 0 in 64 bits.
        *filter_size = [1 << 32, 1 << 32];
    }
    let metadata = HashMap::from([("architecture".to_owned(), serde_json::to_string(&architecture).unwrap())]);
    let nothing: [(&str, safetensors::tensor::TensorView<'_>); 0] = [];
    fs::write(&path, safetensors::serialize(nothing, Some(metadata)).unwrap()).unwrap();
    let error = Weights::read(&path).unwrap_err().to_string();
    assert!(error.contains("lacks parameters.1.weight"), "{error}");
}
