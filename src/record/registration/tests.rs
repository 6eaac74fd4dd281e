//! What is written, and what is noticed.

use super::*;

fn registration() -> Registration {
    let experiment = Experiment::default();
    Registration {
        registration_version: Registration::VERSION,
        widthwise_version: "0.1.0".into(),
        run: "default".into(),
        seed: 1,
        members: 16,
        last_step: 100,
        config_hash: "c".into(),
        data_hash: "d".into(),
        rule: "a \"rule\"".into(),
        significance: 1e-3,
        resolution: 0.1,
        required: vec!["train_loss".into()],
        control: experiment.control.clone(),
        claims: vec![RegisteredClaim {
            name: "train_loss".into(),
            quantity: "train_loss".into(),
            is_required: true,
            sides: "two".into(),
            scale: "prediction".into(),
            when: "four_steps".into(),
            layers: vec![],
            steps: vec![25, 50, 75, 100],
        }],
        configuration: experiment.resolved_toml(),
    }
}

#[test]
fn a_text_is_read_back_and_written_again() {
    for configuration in [registration().configuration, "# '' \"\"\" '''\n".into(), "a\tb\r\n".into(), String::new()] {
        let registration = Registration { configuration, ..registration() };
        let text = registration.text();
        let read = Registration::recall(Some(&registration.hash()), Some(text.as_bytes())).unwrap().unwrap();
        assert_eq!(read, registration);
        assert_eq!(read.text(), text);
    }
    assert!(registration().text().contains(&registration().configuration), "the configuration stands there as it is");
}

/// The file is an interface: a published hash is one of these bytes.
#[test]
fn the_text_is_canonical() {
    let text = registration().text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[1..19],
        [
            "registration_version = 1",
            "widthwise_version = \"0.1.0\"",
            "run = \"default\"",
            "seed = 1",
            "members = 16",
            "last_step = 100",
            "config_hash = \"c\"",
            "data_hash = \"d\"",
            "rule = 'a \"rule\"'",
            "significance = 0.001",
            "resolution = 0.1",
            "required = [\"train_loss\"]",
            "control = { drop_bias = false, nngp_for_ntk = false, sigma_w2_factor = 1.0, time_factor = 1.0 }",
            "claims = [",
            "    { name = \"train_loss\", quantity = \"train_loss\", is_required = true, sides = \"two\", scale = \"prediction\", \
             when = \"four_steps\", layers = [], steps = [25, 50, 75, 100] },",
            "]",
            "configuration = '''",
            "[run]",
        ]
    );
}

#[test]
fn steps_beyond_whole_numbers_of_toml_are_the_largest() {
    let registration = Registration { last_step: u64::MAX, ..registration() };
    let read = Registration::recall(Some(&registration.hash()), Some(registration.text().as_bytes())).unwrap();
    assert_eq!(read.unwrap().last_step, i64::MAX as u64);
}

#[test]
fn a_file_is_what_the_manifest_names_or_refused() {
    let (text, hash) = (registration().text(), registration().hash());
    let told = |hash: Option<&str>, text: Option<&str>| {
        Registration::recall(hash, text.map(str::as_bytes)).map(drop).unwrap_err().to_string()
    };
    assert!(Registration::recall(None, None).unwrap().is_none());
    assert!(told(Some(&hash), None).contains("registration.toml is not there"));
    assert!(told(None, Some(&text)).contains("manifest.json names no registration"));
    let altered = told(Some(&hash), Some(&text.replace("resolution = 0.1", "resolution = 0.5")));
    assert!(altered.contains(&format!("manifest.json is {hash}")), "{altered}");
    let later = text.replace("registration_version = 1", "registration_version = 9");
    assert!(told(Some(&super::hash(later.as_bytes())), Some(&later)).contains("registration_version is 9"));
    let strange = "registration_version = 1\n";
    assert!(told(Some(&super::hash(strange.as_bytes())), Some(strange)).contains("may be of a later version"));
}

#[test]
fn every_key_that_differs_is_named() {
    let registration = registration();
    let mut judged = Experiment::default();
    registration.expect_config(&judged).unwrap();
    judged.claims.resolution = 0.5;
    judged.network.width += 1;
    let told = registration.expect_config(&judged).unwrap_err().to_string();
    let width = Experiment::default().network.width;
    assert!(
        told.contains("claims.resolution was registered as 0.1 and is 0.5 now")
            && told.contains(&format!("network.width was registered as {width} and is {} now", width + 1)),
        "{told}"
    );
}

#[test]
fn rows_are_foreseen_by_claim_layer_and_step() {
    let mut registration = registration();
    let hidden =
        RegisteredClaim { name: "h".into(), layers: vec![1, 2], steps: vec![0], ..registration.claims[0].clone() };
    registration.claims.push(hidden);
    assert!(registration.foresees("train_loss", None, 50, true) && registration.foresees("h", Some(2), 0, true));
    assert!(
        !registration.foresees("train_loss", None, 51, true) && registration.foresees("train_loss", None, 51, false)
    );
    for (claim, layer) in [("h", None), ("h", Some(3)), ("test_loss", None)] {
        assert!(!registration.foresees(claim, layer, 0, false), "{claim} {layer:?}");
    }
}
