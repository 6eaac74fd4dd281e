//! What the user reads, word by word.

use super::super::schema::{EXPERIMENT, Shape, Variant};
use super::*;

/// `CLAIMS` and `OPTIMIZERS` in a message stand for the lists of them, which grow.
fn with_lists(message: &str) -> String {
    let within = |shape: Shape, name: &str| shape.keys().iter().find(|key| key.name == name).unwrap().shape;
    let written = |variant: &Variant| match variant.content.map_or(&[][..], Shape::keys) {
        [] => format!("\"{}\"", variant.name),
        keys => {
            let keys: Vec<String> = keys.iter().map(|key| format!("{} = ...", key.name)).collect();
            format!("{{ {} = {{ {} }} }}", variant.name, keys.join(", "))
        }
    };
    let optimizers = within(within(EXPERIMENT, "training"), "optimizer").variants().iter().map(written);
    let claims = KNOWN_CLAIMS.map(|name| format!("\"{name}\""));
    message.replace("OPTIMIZERS", &optimizers.collect::<Vec<_>>().join(", ")).replace("CLAIMS", &claims.join(", "))
}

#[track_caller]
fn check_messages(cases: &[(&[&str], &str)]) {
    for (overrides, message) in cases {
        match set(overrides) {
            Err(error) => assert_eq!(error.to_string(), with_lists(message), "{overrides:?}"),
            Ok(_) => panic!("{overrides:?} is allowed"),
        }
    }
}

#[test]
fn a_key_or_value_refused_on_its_own() {
    check_messages(&[
        (
            &["network.widht=512"][..],
            "network.widht = 512 (--set) is not a known key; did you mean network.width? the keys of network are family, depth, width, widths, layers, readout, activation, sigma_w2, sigma_b2, parameterization, centred, init, convolution, gates",
        ),
        (
            &["network.learning_rate=1"][..],
            "network.learning_rate = 1 (--set) is not a known key; did you mean training.learning_rate? the keys of network are family, depth, width, widths, layers, readout, activation, sigma_w2, sigma_b2, parameterization, centred, init, convolution, gates",
        ),
        (
            &["widht=3"][..],
            "widht = 3 (--set) is not a known key; did you mean network.width? the tables are run, dataset, network, training, probes, claims, control, explain",
        ),
        (
            &["zzz=3"][..],
            "zzz = 3 (--set) is not a known key; the tables are run, dataset, network, training, probes, claims, control, explain",
        ),
        (
            &["netwrok.width=3"][..],
            "netwrok = { width = 3 } (--set) is not a known key; did you mean network? the tables are run, dataset, network, training, probes, claims, control, explain",
        ),
        (
            &["dataset.source=uniform-sphere", "dataset.source.teacher_width=3"][..],
            r#"dataset.source.teacher_width = 3 (--set) is not a known key; the keys of dataset.source with name = "uniform-sphere" are name, input_dim, train, test"#,
        ),
        (&["network.width=0"][..], "network.width = 0 (--set), but it must be a whole number from 1 to 1000000"),
        (&["network.width=-3"][..], "network.width = -3 (--set), but it must be a whole number from 1 to 1000000"),
        (
            &["network.width=many"][..],
            r#"network.width = "many" (--set), but it must be a whole number from 1 to 1000000"#,
        ),
        (&["network.width=1.5"][..], "network.width = 1.5 (--set), but it must be a whole number from 1 to 1000000"),
        (
            &["probes.ntk=yes"][..],
            r#"probes.ntk = "yes" (--set), but it must be true, false or a table with the keys schedule"#,
        ),
        (
            &["training.learning_rate.absolute=nan"][..],
            "training.learning_rate.absolute = nan (--set), but it must be a finite number above 0",
        ),
        (
            &["training.learning_rate.critical=inf"][..],
            "training.learning_rate.critical = inf (--set), but it must be a finite number above 0",
        ),
        (
            &["training.learning_rate=0.1"][..],
            "training.learning_rate = 0.1 (--set), but it must be one of { absolute = ... }, { critical = ... }, { critical_empirical = ... }",
        ),
        (
            &["training.optimizer=momentun"][..],
            r#"training.optimizer = "momentun" (--set), but it must be one of OPTIMIZERS; did you mean "momentum"?"#,
        ),
        (
            &["training.optimizer.momentum.beta=1"][..],
            "training.optimizer.momentum.beta = 1 (--set), but it must be a number of at least 0 and below 1",
        ),
        (
            &["network.activation=leaky_relu"][..],
            r#"network.activation = "leaky_relu" (--set), but it must be given with its values, { leaky_relu = { slope = ... } }"#,
        ),
        (
            &[r#"network.activation.expression.formula="x * sgmoid(x)""#][..],
            r#"network.activation.expression.formula = "x * sgmoid(x)" (--set), but it must be a formula of x in quotes, for instance "x * sigmoid(1.702 * x)"; column 5: expected numbers, x, pi, + - * / ^, parentheses and the functions exp, log1p, tanh, sigmoid, softplus, silu, gelu, erf, sin, cos, relu, abs, step, sign, max and min, found sgmoid"#,
        ),
        (
            &["network.activation.hermite.degree=41"][..],
            "network.activation.hermite.degree = 41 (--set), but it must be a whole number from 0 to 40",
        ),
        (
            &["network.activation.sin.frequency=2"][..],
            "network.activation.sin.phase is not set, but it must be a finite number",
        ),
        (
            &["network.family=mpl"][..],
            r#"network.family = "mpl" (--set), but it must be one of "mlp", "cnn", "deep_linear", "gated_deep_linear", "layers"; did you mean "mlp"?"#,
        ),
        (
            &["run.name=a/b"][..],
            r#"run.name = "a/b" (--set), but it must be a name of 1 to 100 letters, digits, '.', '_' and '-' that does not start with '.', in quotes"#,
        ),
        (
            &["network.convolution.stride=[0,1]"][..],
            "network.convolution.stride = [0, 1] (--set), but it must be two whole numbers from 1 to 1000, for instance [3, 3]",
        ),
        (
            &["network.widths=[]"][..],
            "network.widths = [] (--set), but it must be a list of at least one whole number from 1 to 1000000",
        ),
        (
            &[r#"claims.required=["ntk_frozn"]"#][..],
            r#"claims.required = "ntk_frozn" (--set), but it must be one of CLAIMS; did you mean "ntk_frozen"?"#,
        ),
        (
            &["claims.required=ntk_frozen"][..],
            r#"claims.required = "ntk_frozen" (--set), but it must be a list like ["train_loss"], each name one of CLAIMS"#,
        ),
        (
            &["dataset.source=minst"][..],
            r#"dataset.source = "minst" (--set), but it must be { name = ... } with a name that is one of "mnist", "fashion-mnist", "cifar10", "cifar100", "twelve-bit", "teacher-student", "gaussian-mixture", "uniform-sphere"; did you mean "mnist"?"#,
        ),
        (
            &["dataset.source.input_dim=3"][..],
            r#"dataset.source.name is not set, but it must be one of "mnist", "fashion-mnist", "cifar10", "cifar100", "twelve-bit", "teacher-student", "gaussian-mixture", "uniform-sphere""#,
        ),
        (
            &["training=3"][..],
            "training = 3 (--set), but it must be a table with the keys optimizer, loss, learning_rate, batch_size, l2, stop",
        ),
        (
            &[r#"dataset.source={name="gaussian-mixture",classes=1}"#][..],
            "dataset.source.classes = 1 (--set), but it must be a whole number from 2 to 256",
        ),
    ]);
}

#[test]
fn a_malformed_override() {
    check_messages(&[
        (
            &["network.width"][..],
            r#"--set network.width: there is no "="; write --set KEY=VALUE, for instance --set network.width=2048"#,
        ),
        (
            &["network..width=3"][..],
            r#"--set network..width=3: "network..width" is not a key: names joined by dots are expected before the "="; write --set KEY=VALUE, for instance --set network.width=2048"#,
        ),
        (
            &["network.width="][..],
            r#"--set network.width=: there is no value after the "="; write --set KEY=VALUE, for instance --set network.width=2048"#,
        ),
        (
            &["run.seed=99999999999999999999"][..],
            "--set run.seed=99999999999999999999: the value is not TOML (invalid type: integer `99999999999999999999` as i128, expected any valid TOML value); write --set KEY=VALUE, for instance --set network.width=2048",
        ),
        (
            &["network.widths=[1,"][..],
            "--set network.widths=[1,: the value is not TOML (unclosed array, expected `]`); write --set KEY=VALUE, for instance --set network.width=2048",
        ),
    ]);
}

#[test]
fn values_that_do_not_go_together() {
    check_messages(&[
        (
            &["network.init=pytorch"][..],
            r#"network.init = "pytorch" (--set), but PyTorch's initial weights are made for the standard parameterization; set network.parameterization = "standard", or network.init = "gaussian""#,
        ),
        (
            &["network.family=gated_deep_linear", "network.gates.kind=task"][..],
            r#"network.gates.kind = "task" (--set), but task gates read a task code that the inputs do not have; set dataset.preprocessing.permuted_tasks"#,
        ),
        (
            &["network.family=gated_deep_linear", "network.gates.kind=task", "dataset.preprocessing.permuted_tasks=2"]
                [..],
            "network.gates.count = 8 (the default), but there is one task gate for each of the 2 tasks; set network.gates.count = 2",
        ),
        (
            &["network.family=gated_deep_linear", "network.gates.kind=k_means", "network.gates.count=300"][..],
            "network.gates.count = 300 (--set), but 256 training examples have at most 256 centroids; set at most 256",
        ),
        (
            &["network.family=cnn", "network.convolution.padding=valid", "network.depth=20"][..],
            r#"network.convolution.filter_size = [3, 3] (the default), but the input of layer 14 is 2 x 2 and the filter must fit into it; use a smaller filter, fewer layers, a smaller stride or padding = "same""#,
        ),
        (
            &[
                "network.family=cnn",
                "network.convolution.padding=circular",
                "network.convolution.stride=[2,2]",
                "network.depth=8",
            ][..],
            r#"network.convolution.filter_size = [3, 3] (the default), but the input of layer 5 is 2 x 2 and the filter must fit into it; use a smaller filter, fewer layers, a smaller stride or padding = "same""#,
        ),
        (
            &["network.family=cnn", "network.convolution.pool=[4,4]"][..],
            "network.convolution.pool = [4, 4] (--set), but the output of layer 3 is 1 x 1 and the window must fit into it; use a smaller window or fewer layers",
        ),
        (
            &["training.optimizer=adam"][..],
            "training.learning_rate = { critical = 0.5 } (the default), but Adam's steps do not scale with the gradient and have no critical rate; set training.learning_rate.absolute, for instance 1e-3",
        ),
        (
            &["training.batch_size=257"][..],
            "training.batch_size = 257 (--set), but there are 256 training examples; set at most 256, or remove the key to use all of them",
        ),
        (
            &["dataset.source=teacher-student", "training.loss=cross_entropy"][..],
            r#"training.loss = "cross_entropy" (--set), but teacher-student is regression data without labels; set "half_sum" or "half_mean""#,
        ),
        (
            &["dataset.source=teacher-student", "dataset.preprocessing.label_noise=0.1"][..],
            "dataset.preprocessing.label_noise = 0.1 (--set), but teacher-student is regression data without classes; remove the key",
        ),
        (
            &[
                "dataset.preprocessing.classes=[3,8]",
                "dataset.preprocessing.targets=binary",
                "training.loss=cross_entropy",
            ][..],
            r#"training.loss = "cross_entropy" (--set), but cross-entropy needs one output for each class and binary targets have one in all; set dataset.preprocessing.targets = "native", or "half_sum" here"#,
        ),
        (
            &["training.stop={}", "probes.schedule=ends"][..],
            "training.stop = {} (--set), but a run must end; set at least one of steps, epochs, loss, wall_time_s",
        ),
        (
            &["training.stop.loss=0.1"][..],
            "probes.schedule = { log = 14 } (the default), but log-spaced steps need a known last step; set training.stop.steps or training.stop.epochs, or probes.schedule.every",
        ),
        (
            &["training.stop.loss=0.1", "probes.schedule=ends"][..],
            r#"training.stop.loss = 0.1 (--set), but the loss is examined on probe steps and probes.schedule = "ends" has none in between; set probes.schedule.every, or training.stop.steps"#,
        ),
        (
            &["dataset.preprocessing.train=100000"][..],
            "dataset.preprocessing.train = 100000 (--set), but mnist has 60000 training examples; ask for at most 60000",
        ),
        (
            &["dataset.preprocessing.train=64", "probes.examples=128"][..],
            "probes.examples = 128 (--set), but there are 64 training examples; set at most 64",
        ),
        (
            &["dataset.preprocessing.train=1"][..],
            "dataset.preprocessing.train = 1 (--set), but probes compare training examples with each other; set at least 2",
        ),
        (
            &["dataset.preprocessing.classes=[3]"][..],
            "dataset.preprocessing.classes = [3] (--set), but targets and accuracy tell classes apart; name at least two classes",
        ),
        (
            &["probes.jacobian_examples=300"][..],
            "probes.jacobian_examples = 300 (--set), but there are 256 training examples; set at most 256",
        ),
        (
            &["dataset.preprocessing.targets=binary"][..],
            r#"dataset.preprocessing.targets = "binary" (--set), but 10 classes are kept and binary targets need two; choose two in dataset.preprocessing.classes, or the labels of target +1 in dataset.preprocessing.positive"#,
        ),
        (
            &["dataset.preprocessing.positive=[1]"][..],
            r#"dataset.preprocessing.positive = [1] (--set), but it names the labels of target +1, which only binary targets have; set targets = "binary" or remove it"#,
        ),
        (
            &[
                "dataset.preprocessing.positive=[1,2]",
                "dataset.preprocessing.classes=[1,2]",
                "dataset.preprocessing.targets=binary",
            ][..],
            "dataset.preprocessing.positive = [1, 2] (--set), but both signs need at least one label that is kept; name some of the kept labels, not all",
        ),
        (
            &["dataset.preprocessing.classes=[1,11]"][..],
            "dataset.preprocessing.classes = [1, 11] (--set), but the labels of mnist run from 0 to 9; name each at most once",
        ),
        (
            &["dataset.preprocessing.classes=[1,1]"][..],
            "dataset.preprocessing.classes = [1, 1] (--set), but the labels of mnist run from 0 to 9; name each at most once",
        ),
        (
            &["dataset.source=twelve-bit"][..],
            r#"dataset.preprocessing.normalize = "sqrt_dim" (the default), but one of the twelve-bit patterns is zero everywhere and has no direction; set "none", or dataset.preprocessing.scale = "standardize""#,
        ),
        (
            &["dataset.source=uniform-sphere", "dataset.preprocessing.scale=unit_interval"][..],
            r#"dataset.preprocessing.scale = "unit_interval" (--set), but uniform-sphere has no pixels to divide by 255; set "native" or "standardize""#,
        ),
        (
            &[r#"claims.required=["ntk_frozen"]"#, "probes.ntk=false"][..],
            r#"claims.required = ["ntk_frozen"] (--set), but ntk_frozen needs a probe that is off; set probes.ntk = true, or remove it here"#,
        ),
        (
            &[r#"claims.required=["excess_kurtosis"]"#, "probes.gaussianity=false"][..],
            r#"claims.required = ["excess_kurtosis"] (--set), but excess_kurtosis needs a probe that is off; set probes.gaussianity = true, or remove it here"#,
        ),
        (
            &[r#"claims.required=["partial_jacobian_norm"]"#, "probes.jacobian_vectors=0"][..],
            r#"claims.required = ["partial_jacobian_norm"] (--set), but partial_jacobian_norm needs a probe that is off; set probes.jacobian_vectors = 1, or remove it here"#,
        ),
        (
            &[r#"claims.required=["train_loss"]"#, "run.members=1"][..],
            r#"claims.required = ["train_loss"] (--set), but a verdict needs a standard error and one member has none; set run.members = 2 or more, or remove the claims"#,
        ),
        (
            &[r#"claims.required=["train_loss","train_loss"]"#][..],
            r#"claims.required = ["train_loss", "train_loss"] (--set), but train_loss is named twice; name each claim once"#,
        ),
    ]);
}

#[test]
fn all_problems_are_reported_together_with_their_places() {
    let file = "[network]\nwidth = 0\ndepht = 3\n\n[training]\nlearning_rate.absolute = nan\nbatch_size = 300\n";
    let message = in_file(file, &["run.members=none", "network.init=pytorch"]).unwrap_err().to_string();
    let expected = r#"6 problems in the configuration:
  network.depht = 3 (a.toml, line 3) is not a known key; did you mean network.depth? the keys of network are family, depth, width, widths, layers, readout, activation, sigma_w2, sigma_b2, parameterization, centred, init, convolution, gates
  network.width = 0 (a.toml, line 2), but it must be a whole number from 1 to 1000000
  run.members = "none" (--set), but it must be a whole number from 1 to 1000000
  training.learning_rate.absolute = nan (a.toml, line 6), but it must be a finite number above 0
  network.init = "pytorch" (--set), but PyTorch's initial weights are made for the standard parameterization; set network.parameterization = "standard", or network.init = "gaussian"
  training.batch_size = 300 (a.toml, line 7), but there are 256 training examples; set at most 256, or remove the key to use all of them"#;
    assert_eq!(message, expected);
}

#[test]
fn a_conflict_with_a_refused_value_is_not_reported() {
    // Whether 300 examples are too many for a batch depends on a value that is still to be corrected.
    let message = set(&["dataset.preprocessing.train=0", "training.batch_size=300"]).unwrap_err().to_string();
    assert_eq!(message, "dataset.preprocessing.train = 0 (--set), but it must be a whole number from 1 to 1000000000");
}

#[test]
fn an_override_that_a_list_of_widths_outdoes() {
    let message = in_file("network.widths = [3, 3]", &["network.width=64"]).unwrap_err().to_string();
    assert_eq!(
        message,
        "network.width = 64 (--set), but network.widths is set and decides alone; override network.widths instead, for \
         instance --set network.widths=[512,512]"
    );
    assert!(in_file("[network]\nwidths = [3, 3]\nwidth = 64", &[]).is_ok());
}

#[test]
fn text_that_is_not_toml() {
    let message = |text: &str| in_file(text, &[]).unwrap_err().to_string();
    assert_eq!(
        message("[run]\nseed = 1\nname = default\n"),
        "a.toml, line 3: not valid TOML: string values must be quoted, expected literal string"
    );
    assert_eq!(message("[run]\nseed = 1\nseed = 2\n"), "a.toml, line 3: not valid TOML: duplicate key");
}

#[test]
fn a_file_that_is_not_there() {
    let message = load(Some(Path::new("no/such.toml")), &[]).unwrap_err().to_string();
    let start = "the configuration no/such.toml cannot be read: ";
    assert!(message.starts_with(start), "{message}");
    assert!(message.ends_with("; name an existing file, or write one with `widthwise config init`"), "{message}");
}

#[test]
fn a_device_that_was_not_built_in() {
    let [ndarray, wgpu, cuda] = [cfg!(feature = "ndarray"), cfg!(feature = "wgpu"), cfg!(feature = "cuda")];
    for (device, built) in [("ndarray", ndarray), ("wgpu", wgpu), ("cuda", cuda)] {
        match set(&[&format!("run.device={device}")]) {
            Ok(_) => assert!(built, "{device}"),
            Err(error) => assert_eq!(
                error.to_string(),
                format!(
                    "run.device = \"{device}\" (--set), but this build has no {device}; rebuild with `cargo build --release \
                     --features {device}` or set \"flex\""
                )
            ),
        }
    }
}
