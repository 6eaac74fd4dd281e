//! Weights out of the program and into it: round trips of every network, state dicts of PyTorch against its own numbers.
//! The file is long because all cases share the fixtures of PyTorch.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device};
use safetensors::tensor::{Dtype, TensorView, serialize};
use widthwise::config::parse;
use widthwise::network::{Network, NoTap, build_architecture};
use widthwise::observation::Observation;
use widthwise::record::checkpoint::{WEIGHTS_FILE, weights_file_at, write_weights};
use widthwise::record::npy;
use widthwise::record::weights::pytorch::{self, Mapping, sequential_names};
use widthwise::record::weights::{Weights, WeightsError};
use widthwise_probes::empirical_ntk_full;
use widthwise_tensors::to_matrix;
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{
    Architecture, InitScheme, InitVariance, InputShape, Layer, Padding, Parameterization, UpdateRule,
};

use crate::bounds::relative_difference;
use crate::networks::{families, inputs, layered, network};
use crate::program::{program, widthwise};

const PARAMETERIZATIONS: [Parameterization; 5] = [
    Parameterization::Standard,
    Parameterization::StandardLayerwise,
    Parameterization::Ntk,
    Parameterization::MeanField,
    Parameterization::Mup,
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pytorch").join(name)
}

fn built(weights: &Weights) -> Network {
    weights.network(UpdateRule::Linear, &Device::flex(), DType::F64).unwrap()
}

fn outputs(network: &Network, values: &[f64]) -> faer::Mat<f64> {
    to_matrix(network.forward(&network.batch(values), &mut NoTap))
}

/// The networks of `make.py`, by the names of their files.
fn of_pytorch(parameterization: Parameterization) -> Vec<(&'static str, Architecture)> {
    let network = |keys: &str, input: InputShape, outputs: usize| {
        let text = format!("[network]\nsigma_w2 = 1.7\nsigma_b2 = 0.3\n{keys}");
        let mut config = parse(&text, "test", &[]).unwrap_or_else(|error| panic!("{error}")).into_inner().network;
        config.parameterization = parameterization;
        build_architecture(&config, input, outputs, None).unwrap()
    };
    let image = InputShape { channels: 2, height: 6, width: 5 };
    let global = "family = \"cnn\"\nwidths = [4, 5]\nconvolution = { readout = \"global_average\" }";
    let flatten = "family = \"layers\"\nactivation = \"tanh\"\nlayers = [\n{ convolution = { width = 3, filter_size = [2, 3], \
                   stride = [2, 1], padding = \"valid\" } }, \"activation\", \"flatten\"]\nreadout = { dense = { sigma_b2 = 0 } }";
    let padded = "family = \"layers\"\nactivation = \"tanh\"\nlayers = [\n{ convolution = { width = 3, stride = [2, 2], padding = [1, 1] } }, \
                  \"activation\", { convolution = { width = 4, filter_size = [2, 3], padding = [1, 2] } }, \"activation\", \
                  { average_pool = { window = [3, 3], stride = [2, 2], padding = 1 } }, \"flatten\"]";
    vec![
        ("mlp", network("widths = [8, 5]\nactivation = \"tanh\"", InputShape::flat(6), 3)),
        ("cnn", network(global, image, 3)),
        ("cnn_flatten", network(flatten, image, 2)),
        ("cnn_padded", network(padded, image, 2)),
    ]
}

#[test]
fn networks_of_pytorch_make_its_outputs_and_its_tangent_kernel() {
    for (name, architecture) in of_pytorch(Parameterization::Standard) {
        let read = |what: &str| npy::read(&fixture(&format!("{name}.{what}.npy"))).unwrap();
        let stored = read("inputs");
        let values: Vec<f64> = stored.row_iter().flat_map(|row| row.iter().copied().collect::<Vec<_>>()).collect();
        let imported = pytorch::import(&fixture(&format!("{name}.safetensors")), &architecture, &[]).unwrap();
        assert_eq!((imported.weights.dtype, imported.remarks.as_slice()), (DType::F32, &[][..]), "{name}");
        let network = built(&imported.weights);
        // Both sides are f64 sums of fewer than 100 terms a layer.
        let difference = relative_difference(&outputs(&network, &values), &read("outputs"));
        assert!(difference < 100.0 * f64::EPSILON, "{name}: outputs off by {difference:e}");
        let batch = network.batch(&values);
        let kernel = empirical_ntk_full(&Observation::new(&network, &batch));
        let difference = relative_difference(&kernel, &read("ntk"));
        assert!(difference < 200.0 * f64::EPSILON, "{name}: kernel off by {difference:e}");
    }
}

#[test]
fn a_parameterization_changes_the_numbers_and_not_the_function() {
    for parameterization in PARAMETERIZATIONS {
        for (name, architecture) in of_pytorch(parameterization) {
            let stored = npy::read(&fixture(&format!("{name}.inputs.npy"))).unwrap();
            let values: Vec<f64> = stored.row_iter().flat_map(|row| row.iter().copied().collect::<Vec<_>>()).collect();
            let imported = pytorch::import(&fixture(&format!("{name}.safetensors")), &architecture, &[]).unwrap();
            let has_gains = matches!(parameterization, Parameterization::Ntk | Parameterization::MeanField);
            assert_eq!(imported.remarks.len(), usize::from(has_gains), "{:?}", imported.remarks);
            let expected = npy::read(&fixture(&format!("{name}.outputs.npy"))).unwrap();
            let difference = relative_difference(&outputs(&built(&imported.weights), &values), &expected);
            assert!(difference < 200.0 * f64::EPSILON, "{name}, {parameterization:?}: off by {difference:e}");
            // And the learning rates are those of the parameterization.
            let network = built(&imported.weights);
            assert_eq!(network.scalings(), architecture.scalings(UpdateRule::Linear).unwrap());
        }
    }
}

#[test]
fn what_torch_save_writes_holds_the_same_weights() {
    for (name, architecture) in of_pytorch(Parameterization::Standard).into_iter().take(2) {
        let [tensors, pickled] = ["safetensors", "pt"]
            .map(|ending| pytorch::import(&fixture(&format!("{name}.{ending}")), &architecture, &[]).unwrap());
        assert_eq!(tensors, pickled, "{name}");
    }
}

#[test]
fn every_network_comes_back_from_both_layouts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    for parameterization in PARAMETERIZATIONS {
        for (name, architecture) in families(7, parameterization).into_iter().chain(layered(7, parameterization)) {
            let original = network(&architecture, 0);
            let values = inputs(4, architecture.input.features());
            let expected = outputs(&original, &values);
            let weights = Weights::of_network(&original);
            weights.write(&path).unwrap();
            let read = Weights::read(&path).unwrap();
            assert_eq!(read, weights, "{name}, {parameterization:?}");
            assert_eq!(outputs(&built(&read), &values), expected, "{name}, {parameterization:?}");
            pytorch::export(&weights, &path).unwrap();
            let imported = pytorch::import(&path, &architecture, &[]).unwrap().weights;
            // Multiplied and divided by a gain: one rounding each.
            for (found, expected) in imported.layers.iter().zip(&weights.layers) {
                let pairs = found.weight.iter().zip(&expected.weight);
                let biases = found.bias.iter().flatten().zip(expected.bias.iter().flatten());
                for (found, expected) in pairs.chain(biases) {
                    let bound = 2.0 * f64::EPSILON * expected.abs();
                    assert!((found - expected).abs() <= bound, "{name}, {parameterization:?}: {found} {expected}");
                }
            }
        }
    }
}

/// Writes tensors of one type, each number the same, and gives the path.
fn state_dict(folder: &Path, tensors: &[(&str, &[usize], Dtype, Vec<u8>)]) -> PathBuf {
    let views = tensors
        .iter()
        .map(|(name, shape, dtype, bytes)| (name.to_string(), TensorView::new(*dtype, shape.to_vec(), bytes).unwrap()));
    let path = folder.join("net.safetensors");
    fs::write(&path, serialize(views.collect::<Vec<_>>(), None).unwrap()).unwrap();
    path
}

fn singles(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// `2 -> 2 -> 1` with biases or without.
fn tiny(sigma_b2: f64, norm: bool) -> Architecture {
    let init = InitVariance { sigma_w2: 1.0, sigma_b2 };
    let mut layers = vec![
        Layer::Dense { width: 2, init },
        Layer::Activation { function: Activation::Relu },
        Layer::Dense { width: 2, init },
    ];
    if norm {
        layers.push(Layer::LayerNorm { epsilon: 1e-5 });
    }
    layers.push(Layer::Dense { width: 1, init });
    Architecture {
        input: InputShape::flat(2),
        layers,
        gates: None,
        parameterization: Parameterization::Standard,
        init_scheme: InitScheme::Gaussian,
    }
}

type Named<'a> = (&'a str, &'a [usize], Dtype, Vec<u8>);

fn weight<'a>(name: &'a str, shape: &'a [usize], first: f32) -> Named<'a> {
    let count = shape.iter().product::<usize>();
    (name, shape, Dtype::F32, singles(&(0..count).map(|i| first + i as f32).collect::<Vec<_>>()))
}

#[test]
fn half_precision_is_read_exactly() {
    let folder = tempfile::tempdir().unwrap();
    // 1.5, -2, 0.25 and 3, or 5, as their bits; the readout is in double precision, with a number that f32 does not hold.
    let bits = |values: [u16; 4]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let third: Vec<u8> = [1.0 / 3.0_f64, 7.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    let path = state_dict(
        folder.path(),
        &[
            ("0.weight", &[2, 2], Dtype::F16, bits([0x3E00, 0xC000, 0x3400, 0x4200])),
            ("2.weight", &[2, 2], Dtype::BF16, bits([0x3FC0, 0xC000, 0x3E80, 0x40A0])),
            ("3.weight", &[1, 2], Dtype::F64, third),
        ],
    );
    let weights = pytorch::import(&path, &tiny(0.0, false), &[]).unwrap().weights;
    assert_eq!(weights.dtype, DType::F64);
    // Transposed: inputs in rows.
    assert_eq!(weights.layers[0].weight, [1.5, 0.25, -2.0, 3.0]);
    assert_eq!(weights.layers[1].weight, [1.5, 0.25, -2.0, 5.0]);
    assert_eq!(weights.layers[2].weight, [1.0 / 3.0, 7.0]);
}

#[test]
fn modules_go_to_layers_by_shape_and_natural_order_unless_mapped() {
    let folder = tempfile::tempdir().unwrap();
    let tensors = |first: &'static str, second: &'static str| {
        [weight(first, &[2, 2], 1.0), weight(second, &[2, 2], 5.0), weight("a.weight", &[1, 2], 9.0)]
    };
    let path = state_dict(folder.path(), &tensors("net.10.weight", "net.9.weight"));
    let imported = pytorch::import(&path, &tiny(0.0, false), &[]).unwrap();
    assert_eq!(imported.modules, ["net.9", "net.10", "a"]);
    assert_eq!(imported.weights.layers[0].weight, [5.0, 7.0, 6.0, 8.0]);
    assert!(imported.remarks.is_empty(), "{:?}", imported.remarks);
    let mapping = Mapping { layer: 1, module: "net.10".to_owned() };
    let imported = pytorch::import(&path, &tiny(0.0, false), std::slice::from_ref(&mapping)).unwrap();
    assert_eq!(imported.modules, ["net.10", "net.9", "a"]);
    // Safetensors keeps no order, and the alphabet is none.
    let path = state_dict(folder.path(), &tensors("encoder.weight", "decoder.weight"));
    let error = pytorch::import(&path, &tiny(0.0, false), &[]).unwrap_err().to_string();
    assert!(error.contains("layer 1: decoder and encoder have one shape"), "{error}");
    assert!(error.contains("say --map 1=decoder or --map 1=encoder"), "{error}");
    let encoder = Mapping { layer: 1, module: "encoder".to_owned() };
    let imported = pytorch::import(&path, &tiny(0.0, false), &[encoder]).unwrap();
    assert_eq!(imported.modules, ["encoder", "decoder", "a"]);
    for (mapping, words) in [
        (mapping, "no module is called net.10; there are a, decoder, encoder"),
        (Mapping { layer: 4, module: "a".to_owned() }, "the network has layers 1 to 3"),
        (
            Mapping { layer: 1, module: "a".to_owned() },
            "layer 1: a.weight has the shape [1, 2], but the layer needs [2, 2]",
        ),
    ] {
        let error = pytorch::import(&path, &tiny(0.0, false), &[mapping]).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn what_does_not_fit_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let sound =
        || vec![weight("0.weight", &[2, 2], 1.0), weight("2.weight", &[2, 2], 5.0), weight("4.weight", &[1, 2], 1.0)];
    let with = |other: Named<'static>| sound().into_iter().chain([other]).collect::<Vec<_>>();
    let without = |place: usize| {
        let mut tensors = sound();
        tensors.remove(place);
        tensors
    };
    let replaced = |other: Named<'static>| {
        let mut tensors = without(2);
        tensors.push(other);
        tensors
    };
    let not_finite = ("4.weight", &[1, 2][..], Dtype::F32, singles(&[1.0, f32::NAN]));
    let integers = ("4.weight", &[1, 2][..], Dtype::I32, vec![0; 8]);
    let cases: Vec<(Vec<Named<'_>>, bool, f64, &str)> = vec![
        (with(weight("1.running_mean", &[2], 0.0)), false, 0.0, "1.running_mean: a running statistic, of BatchNorm"),
        (with(weight("5.weight", &[3, 3], 0.0)), false, 0.0, "has 5.weight, for which the network has no place"),
        (with(weight("4.weight_g", &[3, 3], 0.0)), false, 0.0, "4.weight_g: neither a weight nor a bias"),
        (with(weight("0.bias", &[2], 0.0)), false, 0.0, "layer 1: 0.bias is there and the network has no biases"),
        (sound(), false, 1.0, "layer 1: the network has biases there and 0 has none"),
        (
            without(2),
            false,
            0.0,
            "layer 3: a weight of shape [1, 2] is looked for; there are no other weights are left",
        ),
        (
            replaced(weight("4.weight", &[2, 1], 1.0)),
            false,
            0.0,
            "layer 3: a weight of shape [1, 2] is looked for; there are 4.weight [2, 1]",
        ),
        (replaced(not_finite), false, 0.0, "4.weight of"),
        (replaced(integers), false, 0.0, "holds I32 numbers; weights are F16, BF16, F32 or F64"),
        (with(weight("3.weight", &[2], 1.0)), false, 0.0, "3.weight: a vector of scales"),
        (with(weight("3.weight", &[2], 1.0)), true, 0.0, "3.weight: 2, where only 1 can be read"),
        (
            with(weight("3.weight", &[1], 1.0)).into_iter().chain([weight("3.bias", &[1], 0.5)]).collect(),
            true,
            0.0,
            "3.bias: 0.5, where only 0",
        ),
    ];
    for (tensors, norm, sigma_b2, words) in cases {
        let path = state_dict(folder.path(), &tensors);
        let error = pytorch::import(&path, &tiny(sigma_b2, norm), &[]).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
    // A norm whose affine map does nothing is read.
    let neutral =
        with(weight("3.weight", &[1], 1.0)).into_iter().chain([weight("3.bias", &[1], 0.0)]).collect::<Vec<_>>();
    let imported = pytorch::import(&state_dict(folder.path(), &neutral), &tiny(0.0, true), &[]).unwrap();
    assert!(imported.remarks[0].contains("epsilon is not in a state dict"), "{:?}", imported.remarks);
}

#[test]
fn a_file_of_weights_is_held_against_its_architecture() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(WEIGHTS_FILE);
    let (_, architecture) = families(5, Parameterization::Ntk).swap_remove(0);
    let original = network(&architecture, 0);
    let refused = |architecture: &Architecture, words: &str| {
        write_weights(&path, architecture, &original.parameters).unwrap();
        let error = Weights::read(&path).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    refused(&architecture.with_hidden_width(6), "parameters.1.weight of");
    let mut deeper = architecture.clone();
    deeper.layers.push(Layer::Dense { width: 3, init: InitVariance { sigma_w2: 1.0, sigma_b2: 1.0 } });
    refused(&deeper, "lacks parameters.4.weight, parameters.4.bias");
    let mut shorter = architecture.clone();
    shorter.layers.truncate(3);
    refused(&shorter, "has parameters.3.bias, parameters.3.weight, for which");
    let mut cut = original.parameters.clone();
    cut[0].weight = cut[0].weight.clone().mul_scalar(f64::INFINITY);
    write_weights(&path, &architecture, &cut).unwrap();
    assert!(matches!(Weights::read(&path), Err(WeightsError::NotFinite { .. })));
    // Not of this program; of this program, where a state dict is asked for; damaged; not there.
    assert!(matches!(Weights::read(&fixture("mlp.safetensors")), Err(WeightsError::NoArchitecture { .. })));
    write_weights(&path, &architecture, &original.parameters).unwrap();
    assert!(matches!(pytorch::import(&path, &architecture, &[]), Err(WeightsError::OwnFile { .. })));
    fs::write(&path, b"no tensors").unwrap();
    assert!(Weights::read(&path).unwrap_err().to_string().contains("no sound safetensors file"));
    let pickled = folder.path().join("net.pt");
    fs::write(&pickled, b"no pickle").unwrap();
    let error = pytorch::import(&pickled, &architecture, &[]).unwrap_err().to_string();
    assert!(error.contains("expected what torch.save(net.state_dict(), ...) writes"), "{error}");
    assert!(matches!(Weights::read(Path::new("/nonexistent/w")), Err(WeightsError::Read { .. })));
}

#[test]
fn modules_are_called_as_a_sequential_network_calls_them() {
    // As in make.py, where the places are 0, 2, 4 and 0, 2, 6 and 0, 3 and 0, 2, 6.
    let names: Vec<Vec<String>> = of_pytorch(Parameterization::Ntk)
        .iter()
        .map(|(_, architecture)| sequential_names(architecture).unwrap())
        .collect();
    assert_eq!(names, [vec!["0", "2", "4"], vec!["0", "2", "6"], vec!["0", "3"], vec!["0", "2", "6"]]);
    let init = InitVariance { sigma_w2: 1.0, sigma_b2: 0.0 };
    let pool = Layer::AveragePool { window: [2, 2], stride: [2, 2], padding: Padding::Valid };
    // On an image a dense layer flattens first.
    let dense = Architecture {
        input: InputShape { channels: 1, height: 4, width: 4 },
        layers: vec![pool, Layer::Dense { width: 2, init }, Layer::Dense { width: 2, init }],
        gates: None,
        parameterization: Parameterization::Ntk,
        init_scheme: InitScheme::Gaussian,
    };
    assert_eq!(sequential_names(&dense).unwrap(), ["2", "3"]);
    let (_, branched) = layered(3, Parameterization::Ntk).swap_remove(4);
    assert_eq!(sequential_names(&branched).unwrap()[..2], ["layer1", "layer2"]);
}

#[test]
fn the_program_imports_exports_and_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let config = at("net.toml");
    fs::write(&config, "[network]\nwidths = [8, 5]\nactivation = \"tanh\"\nparameterization = \"standard\"\n").unwrap();
    let state = fixture("mlp.pt").to_str().unwrap().to_owned();
    let import = ["weights", "import", &state, "--network", &config];
    let out = at("imported.safetensors");
    let sizes = ["--input", "6", "--outputs", "3", "--out", &out];
    let ended = widthwise([&import[..], &sizes].concat()).done();
    assert!(ended.out.contains("layer  module  inputs  outputs  biases"), "{ended:?}");
    assert!(ended.out.contains("    3  4            5        3  yes"), "{ended:?}");
    let read = Weights::read(Path::new(&out)).unwrap();
    let (_, mut architecture) = of_pytorch(Parameterization::Standard).swap_remove(0);
    for layer in &mut architecture.layers {
        layer.change_variances(&mut |init| *init = InitVariance { sigma_w2: 2.0, sigma_b2: 0.2 });
    }
    assert_eq!(read, pytorch::import(&fixture("mlp.pt"), &architecture, &[]).unwrap().weights);
    // Out again, as PyTorch has it: the very tensors of the fixture.
    let back = at("back.safetensors");
    widthwise(["weights", "export", &out, "--layout", "pytorch", "--out", &back]).done();
    let (ours, theirs) = (fs::read(&back).unwrap(), fs::read(fixture("mlp.safetensors")).unwrap());
    let tensors = |bytes: &[u8]| {
        let file = safetensors::SafeTensors::deserialize(bytes).unwrap();
        let mut tensors: Vec<_> =
            file.tensors().into_iter().map(|(n, v)| (n, v.shape().to_vec(), v.data().to_vec())).collect();
        tensors.sort();
        tensors
    };
    assert_eq!(tensors(&ours), tensors(&theirs));

    let other = at("x.safetensors");
    widthwise([&import[..], &["--out", &other]].concat()).refused_with(&["--input C,H,W", "--outputs O"]);
    let three = ["--input", "6", "--outputs", "4", "--out", &other];
    widthwise([&import[..], &three].concat()).refused_with(&["layer 3", "[4, 5]", "4.weight [3, 5]"]);
    widthwise([&import[..], &sizes, &["--set", "network.sigma_b2=0"]].concat()).refused_with(&["0.bias is there"]);
    widthwise([&import[..], &sizes, &["--map", "1=fc"]].concat()).refused_with(&["no module is called fc"]);
    widthwise(["weights", "export", &state, "--out", &other]).refused_with(&["mlp.pt", "safetensors"]);
    widthwise(["weights", "export", &out, "--member", "1", "--out", &other]).refused_with(&["is no folder"]);
    assert!(!Path::new(&other).exists());
}

const KEPT: &str = r#"
[run]
name = "kept"
members = 2
precision = "f64"
keep_weights = "probes"
[dataset.preprocessing]
train = 16
test = 8
[network]
family = "gated_deep_linear"
depth = 2
width = 6
gates = { kind = "k_means", count = 3 }
[training]
learning_rate = { critical = 0.3 }
[training.stop]
steps = 4
[probes]
schedule = { every = 2 }
examples = 8
jacobian_examples = 4
"#;

#[test]
fn a_run_keeps_the_weights_of_every_look() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("kept.toml"), KEPT).unwrap();
    let run = at("run");
    widthwise(["run", "-q", &at("kept.toml"), "--output", &run]).ran();
    let member = |name: &str| Path::new(&run).join("members/001").join(name);
    let read = |name: &str| Weights::read(&member(name)).unwrap();
    let initial = read(&weights_file_at(0));
    let drawn = Network::new(&initial.architecture, UpdateRule::Linear, 1, 1, &Device::flex(), DType::F64).unwrap();
    assert_eq!(initial, Weights::of_network(&drawn));
    assert_eq!(read(&weights_file_at(4)), read(WEIGHTS_FILE));
    assert_ne!(read(&weights_file_at(2)).layers, initial.layers);
    assert!(!member(&weights_file_at(1)).exists());
    // The outputs that the run recorded are those of the weights that it kept.
    let kept = npy::read(&member("outputs_initial.npy")).unwrap();
    assert_eq!((kept.nrows(), kept.ncols()), (24, 10));

    let out = at("w.safetensors");
    widthwise(["weights", "export", &run, "--member", "1", "--step", "2", "--out", &out]).done();
    assert_eq!(Weights::read(Path::new(&out)).unwrap(), read(&weights_file_at(2)));
    let export = ["weights", "export", &run, "--out", &out];
    widthwise([&export[..], &["--step", "3"]].concat()).refused_with(&["those of the steps 0, 2, 4", "keep_weights"]);
    widthwise([&export[..], &["--member", "2"]].concat()).refused_with(&["members 0 to 1"]);
    // A network whose gates were found on data is imported with the architecture of its run.
    let state = at("state.safetensors");
    widthwise([&export[..3], &["--layout", "pytorch", "--out", &state]].concat()).done();
    let network = at("run/architecture.json");
    widthwise(["weights", "import", &state, "--network", &network, "--out", &out]).done();
    let sizes = ["--input", "1,28,28", "--outputs", "10", "--out", &out];
    let mut import = program();
    import.args(["weights", "import", &state, "--network", &at("kept.toml")]).args(sizes);
    crate::program::end(&mut import).refused_with(&["gates", "depend on training data", "architecture.json"]);
}
