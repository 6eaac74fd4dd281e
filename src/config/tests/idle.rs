//! A key that nothing reads is refused where somebody meant it to be read.

use super::*;

/// Key, value, and what else the configuration holds, under which nothing reads the key; and under which something does.
const IDLE: [(&str, &str, &[&str], &[&str]); 23] = [
    ("network.activation", "tanh", &["network.family=deep_linear"], &[]),
    ("network.activation", "tanh", &["network.family=gated_deep_linear"], &["network.family=cnn"]),
    (
        "network.activation",
        "tanh",
        &["network.family=layers", "network.layers=[\"dense\",{activation=\"erf\"}]"],
        &["network.family=layers", "network.layers=[\"dense\",{activation={}}]"],
    ),
    (
        "network.sigma_w2",
        "1.5",
        &["network.init=pytorch", "network.parameterization=standard"],
        &["network.init=orthogonal"],
    ),
    ("network.sigma_b2", "0.5", &["network.init=pytorch", "network.parameterization=standard"], &[]),
    ("network.convolution.filter_size", "[5,5]", &[], &["network.family=cnn"]),
    ("network.convolution.stride", "[2,2]", &["network.family=deep_linear"], &["network.family=cnn"]),
    (
        "network.convolution.padding",
        "\"circular\"",
        &["network.family=layers", "network.layers=[{convolution={padding=\"same\"}}]"],
        &["network.family=layers", "network.layers=[{convolution={stride=[2,2]}}]"],
    ),
    ("network.convolution.pool", "[2,2]", &[], &["network.family=cnn"]),
    (
        "network.convolution.readout",
        "\"global_average\"",
        &["network.family=layers", "network.layers=[\"convolution\"]"],
        &["network.family=cnn"],
    ),
    ("network.gates.kind", "smooth", &[], &["network.family=gated_deep_linear"]),
    ("network.gates.count", "3", &["network.family=deep_linear"], &["network.family=gated_deep_linear"]),
    ("network.gates.threshold", "0.5", &[], &["network.family=gated_deep_linear"]),
    (
        "network.gates.threshold",
        "0.5",
        &["network.family=gated_deep_linear", "network.gates.kind=k_means"],
        &["network.family=gated_deep_linear", "network.gates.kind=smooth"],
    ),
    (
        "network.gates.activation",
        "tanh",
        &["network.family=gated_deep_linear"],
        &["network.family=gated_deep_linear", "network.gates.kind=smooth"],
    ),
    (
        "network.gates.input_layer",
        "true",
        &["network.family=layers", "network.layers=[\"gated_dense\"]"],
        &["network.family=gated_deep_linear"],
    ),
    ("training.l2.toward", "init", &[], &["training.l2.strength=0.1"]),
    ("probes.information_bins", "16", &["probes.information=false"], &[]),
    ("probes.information_noise", "0.5", &["probes.information=false"], &[]),
    ("explain.forecast_tolerance", "0.5", &["explain.forecast=false"], &[]),
    ("control.drop_bias", "true", &["network.sigma_b2=0.0"], &["network.sigma_b2=0.1"]),
    (
        "control.drop_bias",
        "true",
        &[
            "network.sigma_b2=0.1",
            "network.family=layers",
            "network.layers=[{dense={sigma_b2=0.0}}]",
            "network.readout={dense={sigma_b2=0.0}}",
        ],
        &["network.sigma_b2=0.1", "network.family=layers", "network.layers=[{dense={sigma_b2=0.0}}]"],
    ),
    ("network.gates.count", "8", &[], &["network.family=gated_deep_linear"]),
];

#[test]
fn an_override_that_nothing_reads_is_refused() {
    for (key, value, idle, read) in IDLE {
        let own = format!("{key}={value}");
        let message = set(&[idle, &[own.as_str()]].concat()).unwrap_err().to_string();
        assert!(
            message.starts_with(&format!("{key} = ")) && message.contains("(--set), but"),
            "{own} {idle:?}: {message}"
        );
        assert!(message.contains("set ") || message.contains("write ") || message.contains("use "), "{message}");
        assert!(set(&[read, &[own.as_str()]].concat()).is_ok(), "{own} {read:?}");
    }
}

#[test]
fn a_file_may_name_every_key_but_change_none_that_nothing_reads() {
    let defaults = Experiment::default();
    let defaults = Value::try_from(&defaults).unwrap();
    for (key, value, idle, read) in IDLE {
        let value =
            if shape_is_text(key) && !value.starts_with('"') { format!("\"{value}\"") } else { value.to_owned() };
        let text = format!("{key} = {value}\n");
        let is_default = values::lookup(&defaults, key).map(ToString::to_string).as_deref() == Some(value.as_str());
        let is_detail = ["toward", "information_bins", "information_noise", "forecast_tolerance"];
        let is_detail = is_detail.iter().any(|name| key.ends_with(name));
        let found = in_file(&format!("{text}{}", in_toml(idle)), &[]);
        assert_eq!(found.is_ok(), is_default || is_detail, "{text} {idle:?}");
        if let Err(error) = found {
            assert!(error.to_string().contains("(a.toml, line 1), but"), "{error}");
        }
        assert!(in_file(&format!("{text}{}", in_toml(read)), &[]).is_ok(), "{text} {read:?}");
        // An override may vary the network that the file was written for.
        if idle.iter().any(|set| set.starts_with("network")) && !is_default && !text.starts_with("control") {
            assert!(in_file(&text, idle).is_ok(), "{text} {idle:?}");
        }
    }
    // What a run leaves reads back, and so does what an earlier one left.
    let deep_linear = set(&["network.family=deep_linear"]).unwrap();
    assert_eq!(in_file(&deep_linear.resolved_toml(), &[]).unwrap(), deep_linear);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    fs::write(&file, "[network]\nfamily = \"deep_linear\"\nactivation = \"tanh\"\n").unwrap();
    assert_eq!(load_recorded(&file).unwrap().network.activation, Activation::Tanh);
    assert!(load(Some(&file), &[]).is_err());
}

/// Overrides as lines of a file.
fn in_toml(overrides: &[&str]) -> String {
    let line = |text: &&str| {
        let (key, value) = text.split_once('=').unwrap();
        let value = if value.parse::<Value>().is_ok() { value.to_owned() } else { format!("\"{value}\"") };
        format!("{key} = {value}\n")
    };
    overrides.iter().map(line).collect()
}

fn shape_is_text(key: &str) -> bool {
    ["activation", "kind", "toward"].iter().any(|name| key.ends_with(name))
}

#[test]
fn an_option_of_another_variant_is_refused() {
    for overrides in [
        &[
            "training.optimizer.momentum.beta=0.5",
            "training.optimizer.adam.beta1=0.5",
            "training.optimizer.momentum.epsilon=1.0",
        ][..],
        &["training.optimizer={momentum={weight_decay=0.1}}"],
        &["training.optimizer={adam={beta1=0.5},momentum={beta=0.5}}", "training.learning_rate.absolute=0.1"],
        &["training.learning_rate={absolute=0.1,critical=0.5}"],
        &["probes.schedule={log=3,every=4}"],
        &["dataset.source={name=\"uniform-sphere\",classes=3}"],
        &["dataset.source={name=\"mnist\",train=3}"],
        &["network.activation={relu={slope=0.1}}"],
        &["network.layers=[\"dense\"]"],
    ] {
        assert!(matches!(set(overrides), Err(ConfigError::Invalid(_))), "{overrides:?}");
    }
}
