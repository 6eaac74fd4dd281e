//! A message says where a value was written: on which line, by `--set`, or nowhere.

use super::*;

/// The places that the message names, in order.
fn places(text: &str, overrides: &[&str]) -> Vec<(String, String)> {
    let Err(ConfigError::Invalid(problems)) = in_file(text, overrides) else {
        panic!("{text} {overrides:?} is allowed")
    };
    problems.into_iter().map(|problem| (problem.key.clone(), problem.place.to_string())).collect()
}

fn expect(text: &str, overrides: &[&str], expected: &[(&str, &str)]) {
    let expected: Vec<(String, String)> =
        expected.iter().map(|(key, place)| ((*key).to_owned(), (*place).to_owned())).collect();
    assert_eq!(places(text, overrides), expected, "{text} {overrides:?}");
}

#[test]
fn what_stands_inside_an_override_comes_from_it() {
    expect(
        "",
        &["network.activation={cos={a=2.0,b=3.0,c=0.5}}"],
        &[
            ("network.activation.cos.a", "--set"),
            ("network.activation.cos.b", "--set"),
            ("network.activation.cos.c", "--set"),
            ("network.activation.cos.frequency", "the default"),
            ("network.activation.cos.phase", "the default"),
        ],
    );
    expect("", &["network={width=0,gates={count=0}}"], &[("network.gates.count", "--set"), ("network.width", "--set")]);
    expect("", &["training.stop={steps=0}"], &[("training.stop.steps", "--set")]);
    expect("", &["dataset.source={name=\"gaussian-mixture\",classes=1}"], &[("dataset.source.classes", "--set")]);
    // Lists, and tables in them.
    let layers = "network.layers=[\"dense\",{residual={layers=[{dense={width=0}}]}}]";
    expect("", &["network.family=layers", layers], &[("network.layers[1].residual.layers[0].dense.width", "--set")]);
    // Keys that only quotes can hold.
    expect("", &["network={\"a.b\"=1}"], &[("network.a.b", "--set")]);
}

#[test]
fn an_override_hides_no_more_than_it_replaces() {
    let file = "[training]\nbatch_size = 300\noptimizer = { adam = { beta1 = 2.0 } }\n[network]\nwidths = [0, 4]";
    let [batch, beta] = ["training.batch_size", "training.optimizer.adam.beta1"];
    let widths = ("network.widths", "a.toml, line 5");
    // The table is laid over that of the file, whose other lines count.
    let beside = ["training={l2={strength=-1.0}}", "training.learning_rate.absolute=0.1"];
    let line = |key, place| (key, place);
    expect(
        file,
        &beside,
        &[widths, line("training.l2.strength", "--set"), line(beta, "a.toml, line 3"), line(batch, "a.toml, line 2")],
    );
    // The same variant is merged, another one and a list replace.
    expect(
        file,
        &["training.optimizer.adam.epsilon=0", "training.batch_size=3"],
        &[widths, line(beta, "a.toml, line 3"), line("training.optimizer.adam.epsilon", "--set")],
    );
    expect(
        file,
        &["training.optimizer.momentum.beta=1", "training.batch_size=3", "network.widths=[4,-4]"],
        &[line("network.widths", "--set"), line("training.optimizer.momentum.beta", "--set")],
    );
    // What an override replaced is not where a default comes from.
    let file = "dataset.source = { name = \"uniform-sphere\", train = 20 }\nprobes.examples = 64";
    let set = ["dataset.source.name=teacher-student", "dataset.preprocessing.train=200000"];
    expect(file, &set, &[("dataset.preprocessing.train", "--set")]);
}

#[test]
fn lines_and_defaults_stay_what_they_are() {
    let file =
        "[network]\nactivation = { cos = { a = 2.0, frequency = 1.0, phase = 0.0 } }\n[network.gates]\ncount = 0\n";
    expect(
        file,
        &["run.seed=3"],
        &[("network.activation.cos.a", "a.toml, line 2"), ("network.gates.count", "a.toml, line 4")],
    );
    expect("", &["training.optimizer=adam"], &[("training.learning_rate", "the default")]);
    expect("training.optimizer = \"adam\"", &[], &[("training.learning_rate", "the default")]);
    let message = in_file("[network]\n\"a.b\" = 1", &[]).unwrap_err().to_string();
    assert!(message.starts_with("network.a.b = 1 (a.toml, line 2) is not a known key"), "{message}");
}

#[test]
fn a_file_in_another_encoding_is_read_or_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("experiment.toml");
    let text = "# Breite σ\n[network]\nwidth = 64\n";
    let utf16 = |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    let [little, big] = [utf16(u16::to_le_bytes), utf16(u16::to_be_bytes)];
    let marked = |mark: &[u8], bytes: &[u8]| [mark, bytes].concat();
    for bytes in [
        marked(b"\xEF\xBB\xBF", text.as_bytes()),
        marked(b"\xFF\xFE", &little),
        marked(b"\xFE\xFF", &big),
        little.clone(),
        big,
    ] {
        fs::write(&file, bytes).unwrap();
        assert_eq!(load(Some(&file), &[]).unwrap().network.width, 64);
        assert_eq!(load_network(Some(&file), &[]).unwrap().0.width, 64);
    }
    for (bytes, found) in [
        (b"[run]\nname = \"caf\xe9\"\n".to_vec(), "no UTF-8 text (byte 0xe9 in line 2)"),
        (little[..little.len() - 1].to_vec(), "UTF-16 text that is damaged in line 3"),
    ] {
        fs::write(&file, bytes).unwrap();
        let message = load(Some(&file), &[]).unwrap_err().to_string();
        let expected = format!("the configuration {} is {found}; save it as UTF-8 text", file.display());
        assert_eq!(message, expected);
    }
}

#[test]
fn two_experiments_differ_in_keys_with_both_values() {
    let differ = |first: &[&str], second: &[&str]| {
        differences(&set(first).unwrap(), &set(second).unwrap()).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(differ(&[], &[]), Vec::<String>::new());
    assert_eq!(differ(&["network.width=8"], &["network.width=16"]), ["network.width is 8 there and 16 here"]);
    assert_eq!(
        differ(&["training.batch_size=8", "run.seed=3"], &["network.sigma_w2=1.5"]),
        [
            "network.sigma_w2 is 2.0 there and 1.5 here",
            "run.seed is 3 there and 1 here",
            "training.batch_size is 8 there and not set here"
        ]
    );
    assert_eq!(
        differ(
            &["network.activation=relu", "network.widths=[3,4]"],
            &["network.activation=tanh", "network.widths=[3,5]"]
        ),
        ["network.activation is \"relu\" there and \"tanh\" here", "network.widths[1] is 4 there and 5 here"]
    );
    assert_eq!(
        differ(&["training.optimizer.momentum.beta=0.5"], &["training.optimizer.nesterov.beta=0.5"]),
        ["training.optimizer is { momentum = { beta = 0.5 } } there and { nesterov = { beta = 0.5 } } here"]
    );
}
