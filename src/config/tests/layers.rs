//! Lists of layers, from text to values and back.

use widthwise_theory::architecture::Padding;

use super::*;

const LIST: &str = r#"
[network]
family = "layers"
width = 16
activation = "tanh"
convolution.filter_size = [5, 5]
layers = [
    { convolution = { width = 8, padding = "valid" } },
    "activation",
    { residual = { scale = 0.5, layers = ["layer_norm", { activation = "gelu" }, { convolution = { width = 8 } }] } },
    { branches = [{ layers = ["rms_norm"] }, { scale = -0.5, layers = [{ residual = { layers = ["activation"] } }] }, {}] },
    { average_pool = { window = [2, 2] } },
    { sum_pool = { window = [2, 2], stride = [1, 1], padding = "circular" } },
    "global_average_pool",
    { layer_norm = { epsilon = 0 } },
    { dropout = { keep = 0.9 } },
    { gated_dense = { width = 64, sigma_w2 = 1.5, sigma_b2 = 0 } },
    { activation = { leaky_relu = { slope = 0.1 } } },
]
"#;

/// The list of layers under `[network]` with this family.
fn list(layers: &str) -> Result<Checked, ConfigError> {
    in_file(&format!("[network]\nfamily = \"layers\"\nlayers = {layers}"), &[])
}

fn layers(experiment: &Checked) -> &[LayerConfig] {
    experiment.network.layers.as_deref().unwrap()
}

#[track_caller]
fn refused(layers: &str, message: &str) {
    match list(layers) {
        Err(error) => assert_eq!(error.to_string(), counted(message)),
        Ok(_) => panic!("{layers} is allowed"),
    }
}

/// What a message says at the end of a line about the numbers in its key.
const COUNTED: &str = " (in a key, [0] is the first of a list)";

fn counted_end(end: &str) -> String {
    format!("{end}{COUNTED}")
}

/// The message with that remark on every line whose key has a number.
fn counted(message: &str) -> String {
    let has_number = |line: &str| line.trim_start().split(' ').next().is_some_and(|key| key.contains('['));
    let line = |line: &str| if has_number(line) { format!("{line}{COUNTED}") } else { line.to_owned() };
    message.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn names_and_values_make_layers() {
    let experiment = in_file(LIST, &[]).unwrap();
    let [convolution, activation, LayerConfig::Residual(block), LayerConfig::Branches(branches), average, sum, ..] =
        layers(&experiment)
    else {
        panic!("{:?}", experiment.network.layers)
    };
    let expected = ConvolutionLayerConfig { width: Some(8), padding: Some(Padding::Valid), ..Default::default() };
    assert_eq!(*convolution, LayerConfig::Convolution(expected));
    assert_eq!(*activation, LayerConfig::Activation(FunctionConfig::OfNetwork {}));
    let inner = [
        LayerConfig::LayerNorm(NormConfig { epsilon: 1e-5 }),
        LayerConfig::Activation(FunctionConfig::Own(Activation::Gelu)),
        LayerConfig::Convolution(ConvolutionLayerConfig { width: Some(8), ..Default::default() }),
    ];
    assert_eq!((block.scale, &block.layers[..]), (0.5, &inner[..]));
    assert_eq!(branches.iter().map(|branch| branch.scale).collect::<Vec<_>>(), [1.0, -0.5, 1.0]);
    assert!(branches[2].layers.is_empty());
    let pooling = PoolingConfig { window: [2, 2], stride: None, padding: Padding::Valid };
    assert_eq!(*average, LayerConfig::AveragePool(pooling));
    let pooling = PoolingConfig { stride: Some([1, 1]), padding: Padding::Circular, ..pooling };
    assert_eq!(*sum, LayerConfig::SumPool(pooling));
    assert_eq!(experiment.network.hidden_widths(), [8, 8, 64], "branches counted, defaults filled in");
    assert!(experiment.network.is_gated() && experiment.network.reads_images());
}

#[test]
fn a_list_reads_back_from_its_resolved_text() {
    let readout = r#"network.readout={ gated_dense = { sigma_w2 = 0.30000000000000004 } }"#;
    for overrides in [&[][..], &[readout]] {
        let experiment = in_file(LIST, overrides).unwrap();
        let text = experiment.resolved_toml();
        let again = parse(&text, "resolved", &[]).unwrap();
        assert_eq!(again, experiment);
        assert_eq!(again.resolved_toml(), text);
        assert!(text.contains("\n    \"activation\",\n"), "{text}");
        assert_eq!(Checked::new(experiment.clone().into_inner()).unwrap(), experiment, "also as a value");
    }
}

#[test]
fn an_override_replaces_the_list_and_tables_may_spell_it() {
    let experiment = in_file(LIST, &[r#"network.layers=["dense", { dropout = { keep = 1 } }]"#]).unwrap();
    let dropout = LayerConfig::Dropout(DropoutConfig { keep: 1.0 });
    assert_eq!(layers(&experiment), [LayerConfig::Dense(DenseConfig::default()), dropout]);
    assert!(!experiment.network.is_gated() && !experiment.network.reads_images());
    let spelt =
        "[network]\nfamily = \"layers\"\n[[network.layers]]\ndense.width = 3\n[[network.layers]]\nflatten = {}\n";
    let experiment = in_file(spelt, &[]).unwrap();
    assert_eq!(experiment.network.hidden_widths(), [3]);
}

#[test]
fn what_is_wrong_in_a_list_is_told_with_its_place() {
    let file = "[network]\nfamily = \"layers\"\nlayers = [\n  \"dense\",\n  { dense = { widht = 3 } },\n  { residual = { layers = [\n    \
                { dropout = { keep = 0 } },\n    \"layernorm\",\n  ] } },\n]\n";
    let message = in_file(file, &[]).unwrap_err().to_string();
    let expected = r#"3 problems in the configuration:
  network.layers[1].dense.widht = 3 (a.toml, line 5) is not a known key; did you mean network.layers[1].dense.width? the keys of network.layers[1].dense are width, sigma_w2, sigma_b2
  network.layers[2].residual.layers[0].dropout.keep = 0 (a.toml, line 7), but it must be a number above 0 and at most 1
  network.layers[2].residual.layers[1] = "layernorm" (a.toml, line 8), but it must be one of "dense", "gated_dense", "convolution", "activation", { average_pool = { window = ... } }, { sum_pool = { window = ... } }, "global_average_pool", "flatten", "layer_norm", "rms_norm", { dropout = { keep = ... } }, { residual = { layers = ... } }, { branches = ... }; did you mean "layer_norm"?"#;
    assert_eq!(message, counted(expected));
    let set = [r#"network.layers=["dense", { activation = "rleu" }]"#];
    let message = in_file(file, &set).unwrap_err().to_string();
    let start = "network.layers[1].activation = \"rleu\" (--set), but it must be one of \"identity\", \"relu\",";
    assert!(message.starts_with(start) && message.ends_with(&counted_end("; did you mean \"relu\"?")), "{message}");
}

#[test]
fn values_of_a_wrong_kind_are_refused() {
    let at_least_one = "but it must be a list of at least one layer, for instance [\"dense\", \"activation\"]";
    refused("[]", &format!("network.layers = [] (a.toml, line 3), {at_least_one}"));
    refused("3", &format!("network.layers = 3 (a.toml, line 3), {at_least_one}"));
    refused(
        "[{ residual = { layers = [] } }]",
        &format!("network.layers[0].residual.layers = [] (a.toml, line 3), {at_least_one}"),
    );
    refused(
        "[{ residual = {} }]",
        "network.layers[0].residual.layers is not set, but it must be a list of at least one layer, for instance [\"dense\", \
         \"activation\"]"
            .replace("is not set", "(a.toml, line 3) is not set")
            .as_str(),
    );
    refused(
        "[\"average_pool\"]",
        "network.layers[0] = \"average_pool\" (a.toml, line 3), but it must be given with its values, { average_pool = { window \
         = ..., stride = ..., padding = ... } }",
    );
    refused(
        "[{ branches = [] }]",
        "network.layers[0].branches = [] (a.toml, line 3), but it must be a list of at least one branch, for instance [{ layers \
         = [\"dense\"] }]",
    );
    refused(
        "[{ branches = [{ layer = [\"dense\"] }] }]",
        "network.layers[0].branches[0].layer = [\"dense\"] (a.toml, line 3) is not a known key; did you mean \
         network.layers[0].branches[0].layers? the keys of network.layers[0].branches[0] are scale, layers",
    );
    refused(
        "[{ dense = { width = 0, sigma_w2 = 0.0 } }]",
        "2 problems in the configuration:\n  network.layers[0].dense.sigma_w2 = 0.0 (a.toml, line 3), but it must be a finite \
         number above 0\n  network.layers[0].dense.width = 0 (a.toml, line 3), but it must be a whole number from 1 to 1000000",
    );
    for wrong in ["[3]", "[[\"dense\"]]", "[{}]", "[{ dense = {}, flatten = {} }]", "[{ dense = 64 }]"] {
        let message = list(wrong).unwrap_err().to_string();
        assert!(
            message.starts_with("network.layers[0]") && message.contains("(a.toml, line 3), but it must be"),
            "{message}"
        );
    }
}

#[test]
fn lists_are_nested_eight_deep_and_no_deeper() {
    let nested = |depth: usize| {
        (1..depth).fold("[\"dense\"]".to_owned(), |inner, level| match level % 2 {
            0 => format!("[{{ residual = {{ layers = {inner} }} }}]"),
            _ => format!("[{{ branches = [{{ layers = {inner} }}] }}]"),
        })
    };
    // As wide as the inputs, to be added to them.
    let input = "dataset.source = { name = \"uniform-sphere\", input_dim = 16 }";
    let read = |depth: usize| {
        in_file(&format!("{input}\n[network]\nfamily = \"layers\"\nwidth = 16\nlayers = {}", nested(depth)), &[])
    };
    assert!(read(8).is_ok());
    let message = read(9).unwrap_err().to_string();
    let end = counted_end("(a.toml, line 5), but it must be at most 8 lists deep, network.layers included");
    assert!(message.starts_with("network.layers[0].residual.layers[0]") && message.ends_with(&end), "{message}");
}

#[test]
fn layers_without_a_kernel_are_refused_with_the_reason() {
    refused(
        "[\"dense\", \"max_pool\"]",
        "network.layers[1] = \"max_pool\" (a.toml, line 3), but there is no infinite-width kernel to compare with: the covariance \
         of two maxima is an integral over the joint Gaussian law of all positions of both windows, which is no function of \
         one pair of positions at a time and has no closed form; use average_pool or sum_pool",
    );
    refused(
        "[\"dense\", { batch_norm = { momentum = 0.5 } }]",
        "network.layers[1] = { batch_norm = { momentum = 0.5 } } (a.toml, line 3), but there is no infinite-width kernel of two \
         inputs: it couples the examples of a batch, so that the output on one input depends on the others; use layer_norm or \
         rms_norm",
    );
}

#[test]
fn padding_is_a_name_or_cells_on_either_side() {
    let padding = |text: &str| {
        let list = list(&format!("[{{ convolution = {{ padding = {text} }} }}, \"activation\"]"));
        let read = |experiment: &Checked| match &layers(experiment)[0] {
            LayerConfig::Convolution(config) => config.padding.unwrap(),
            other => panic!("{other:?}"),
        };
        let experiment = list.map_err(|error| error.to_string())?;
        // And from its resolved text.
        let text = experiment.resolved_toml();
        assert_eq!(read(&parse(&text, "b.toml", &[]).unwrap()), read(&experiment), "{text}");
        Ok::<_, String>(read(&experiment))
    };
    assert_eq!(padding("1"), Ok(Padding::Zeros([1, 1])));
    assert_eq!(padding("0"), Ok(Padding::Zeros([0, 0])));
    assert_eq!(padding("[1, 2]"), Ok(Padding::Zeros([1, 2])));
    assert_eq!(padding("\"circular\""), Ok(Padding::Circular));
    for wrong in ["-1", "1.5", "[1]", "[1, 2, 3]", "[1, -2]", "[1001, 1]", "\"zeros\"", "true"] {
        let error = padding(wrong).unwrap_err();
        assert!(
            error.contains("one of \"same\", \"valid\", \"circular\"") && error.contains("cells of zeros"),
            "{error}"
        );
    }
    // As many zeros as the filter has cells: windows that see nothing else.
    let error = padding("[3, 1]").unwrap_err();
    assert!(error.contains("a window of 3 x 3 must reach into the image from every place, and 3 x 1 cells"), "{error}");
    let cnn = |padding: &str| {
        in_file("[network]\nfamily = \"cnn\"", &[format!("network.convolution.padding={padding}").as_str()])
    };
    assert_eq!(cnn("[0, 1]").unwrap().network.convolution.padding, Padding::Zeros([0, 1]));
    let error = cnn("4").unwrap_err().to_string();
    assert!(
        error.contains("network.convolution.padding = [4, 4] (--set)") && error.contains("use less padding"),
        "{error}"
    );
}

#[test]
fn layers_that_do_not_fit_their_input_are_refused() {
    refused(
        "[\n  { convolution = { stride = [9, 9] } },\n  { average_pool = { window = [5, 5] } },\n]",
        "network.layers[1] = { average_pool = { padding = \"valid\", window = [5, 5] } } (a.toml, line 5), but its input is 1024 x \
         4 x 4 (channels, height, width) and a window of 5 x 5 must fit into it; use a smaller window, smaller strides before, \
         or padding = \"same\"",
    );
    refused(
        "[\"convolution\", { residual = { layers = [{ convolution = { width = 8 } }] } }]",
        "network.layers[1] = { residual = { layers = [{ convolution = { width = 8 } }], scale = 1.0 } } (a.toml, line 3), but the \
         block reads 1024 x 28 x 28 (channels, height, width) and its layers end in 8 x 28 x 28 (channels, height, width), which \
         cannot be added; make them equal, or use branches with a layer on the other path too",
    );
    refused(
        "[{ branches = [{ layers = [\"dense\"] }, { layers = [{ dense = { width = 3 } }] }] }]",
        "network.layers[0].branches[1] = { layers = [{ dense = { width = 3 } }], scale = 1.0 } (a.toml, line 3), but it ends in 3 \
         units and the first branch in 1024 units, which cannot be added; make them equal",
    );
    refused(
        "[\"dense\", \"convolution\"]",
        "network.layers[1] = \"convolution\" (a.toml, line 3), but its input is 1024 units, which have no positions for a \
         window; put it before flatten, global_average_pool and dense layers",
    );
    refused(
        "[\"layer_norm\", \"dense\"]",
        "network.layers[0] = { layer_norm = { epsilon = 0.00001 } } (a.toml, line 3), but its input is 1 x 28 x 28 (channels, \
         height, width), and one number less its own mean is zero; put it after a layer of more channels or units, or use \
         flatten before",
    );
    assert!(list("[\"flatten\", \"layer_norm\", \"dense\"]").is_ok());
    refused(
        "[\"flatten\"]",
        "network.layers = [\"flatten\"] (a.toml, line 3), but it has no weights besides the readout's; add a dense, \
         gated_dense or convolution layer",
    );
    // Grey images have one channel, and a permuted image is a vector.
    let grey = ["dataset.source=cifar10", "network.family=layers", r#"network.layers=["layer_norm", "dense"]"#];
    assert!(set(&grey).is_ok());
    assert!(set(&[&grey[..], &["dataset.preprocessing.colour=grey"]].concat()).is_err());
}

#[test]
fn a_list_and_its_family_go_together() {
    let message = set(&["network.family=layers"]).unwrap_err().to_string();
    assert_eq!(
        message,
        "network.layers is not set, but family = \"layers\" is a list of them; set network.layers, for instance [\"dense\", \
         \"activation\"]"
    );
    let message = set(&["network.layers=[\"dense\"]", "network.readout=gated_dense"]).unwrap_err().to_string();
    assert_eq!(
        message,
        "2 problems in the configuration:\n  network.layers = [\"dense\"] (--set), but family = \"mlp\" does not read it; \
         set network.family = \"layers\", or remove the key\n  network.readout = \"gated_dense\" (--set), but family = \
         \"mlp\" does not read it; set network.family = \"layers\", or remove the key"
    );
    let message = in_file(LIST, &["network.widths=[3]"]).unwrap_err().to_string();
    assert!(message.contains("give the layers widths of their own"), "{message}");
    // Task gates of a layer want the task code that those of the family want.
    let message = in_file(LIST, &["network.gates.kind=task"]).unwrap_err().to_string();
    assert!(message.contains("set dataset.preprocessing.permuted_tasks"), "{message}");
}

#[test]
fn an_override_that_the_layers_outdo() {
    let depth = in_file(LIST, &["network.depth=3"]).unwrap_err().to_string();
    let expected =
        "network.depth = 3 (--set), but the layers of network.layers decide alone; override network.layers instead";
    assert_eq!(depth, expected);
    assert!(in_file(LIST, &["network.width=3"]).unwrap_err().to_string().contains("decide alone"), "all have widths");
    let open = r#"network.layers=["dense", { dense = { width = 3 } }]"#;
    let file = format!("[network]\nfamily = \"layers\"\n{}", &open["network.".len()..]);
    assert_eq!(in_file(&file, &["network.width=5"]).unwrap().network.hidden_widths(), [5, 3]);
}

#[test]
fn a_network_for_other_inputs_need_not_fit_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("network.toml");
    let network = |text: &str| {
        fs::write(&file, text).unwrap();
        load_network(Some(&file), &[])
    };
    let pooled = "[network]\nfamily = \"layers\"\nlayers = [\"convolution\", { average_pool = { window = [99, 99] } }]";
    let (network_of_layers, seed) = network(pooled).unwrap();
    assert_eq!((network_of_layers.family, seed), (Family::Layers, 1));
    assert!(network("[network]\nfamily = \"layers\"\n").is_err(), "not about the data");
    assert!(network("[dataset.preprocessing]\ntrain = 100000\n").is_err(), "not about the network");
}
