//! Data sets and preprocessing as they are written in a configuration.

use serde_json::{from_str, from_value, json, to_value};
use widthwise_datasets::spec::NAMES;
use widthwise_datasets::synthetic::teacher_student;
use widthwise_datasets::{
    ColourMode, DataError, DatasetSpec, InputScale, Normalize, Preprocessing, TargetForm, load, prepare,
};

#[test]
fn every_name_selects_its_data_set_in_both_notations() {
    for name in NAMES {
        let spec: DatasetSpec = name.parse().unwrap();
        assert_eq!(spec.name(), name);
        assert_eq!(from_value::<DatasetSpec>(json!({ "name": name })).unwrap(), spec);
        assert_eq!(from_value::<DatasetSpec>(to_value(&spec).unwrap()).unwrap(), spec);
    }
}

#[test]
fn parameters_are_read_and_unknown_ones_refused() {
    let spec: DatasetSpec = from_str(r#"{ "name": "teacher-student", "input_dim": 3, "noise": 0.5 }"#).unwrap();
    let expected = teacher_student::TeacherStudentParameters { input_dim: 3, noise: 0.5, ..Default::default() };
    assert_eq!(spec, DatasetSpec::TeacherStudent(expected));
    for wrong in [
        r#"{ "name": "teacher-student", "input_dims": 3 }"#,
        r#"{ "name": "mnist", "input_dim": 3 }"#,
        r#"{ "name": "mnits" }"#,
    ] {
        assert!(from_str::<DatasetSpec>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn an_unknown_name_lists_the_known_ones() {
    let error = "mnits".parse::<DatasetSpec>().unwrap_err();
    assert!(matches!(error, DataError::UnknownName { .. }));
    assert!(NAMES.iter().all(|name| error.to_string().contains(name)), "{error}");
}

#[test]
fn preprocessing_is_read_from_the_names_of_its_options() {
    assert_eq!(from_str::<Preprocessing>("{}").unwrap(), Preprocessing::default());
    let written = json!({
        "train": 100, "test": 10, "classes": [0, 1], "colour": "grey", "scale": "unit_interval", "zca": 0.1,
        "normalize": "sqrt_dim", "label_noise": 0.2, "targets": "binary", "positive": [1], "permuted_tasks": 2
    });
    let options: Preprocessing = from_value(written.clone()).unwrap();
    let expected = Preprocessing {
        train: Some(100),
        test: Some(10),
        classes: Some(vec![0, 1]),
        colour: ColourMode::Grey,
        scale: InputScale::UnitInterval,
        zca: Some(0.1),
        normalize: Normalize::SqrtDim,
        label_noise: 0.2,
        targets: TargetForm::Binary,
        positive: Some(vec![1]),
        permuted_tasks: Some(2),
    };
    assert_eq!(options, expected);
    assert_eq!(to_value(&options).unwrap(), written);
    assert!(from_str::<Preprocessing>(r#"{ "trian": 5 }"#).is_err());
}

#[test]
fn every_synthetic_data_set_can_be_loaded_and_prepared() {
    for name in ["twelve-bit", "teacher-student", "gaussian-mixture", "uniform-sphere"] {
        let data = load(&name.parse().unwrap(), None, 1).unwrap();
        let options = Preprocessing { train: Some(64), test: Some(32), ..Preprocessing::default() };
        let prepared = prepare(&data, &options, 1).unwrap();
        assert_eq!((prepared.train.n, prepared.test.n), (64, 32), "{name}");
        assert_eq!(data, load(&name.parse().unwrap(), None, 1).unwrap());
    }
}
