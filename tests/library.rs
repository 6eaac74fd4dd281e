//! The library as others use it: the programs of `examples/`, which are short, do what they say.

use std::error::Error;
use std::path::Path;

#[path = "../examples/kernels_of_a_network.rs"]
mod kernels_of_a_network;
#[path = "../examples/own_probe.rs"]
mod own_probe;
#[path = "../examples/train_and_check.rs"]
mod train_and_check;

#[test]
fn an_ensemble_on_arrays_is_held_against_theory() -> Result<(), Box<dyn Error>> {
    train_and_check::main()
}

#[test]
fn a_network_of_ones_own_has_kernels() -> Result<(), Box<dyn Error>> {
    kernels_of_a_network::main()
}

#[test]
fn a_probe_of_ones_own_sees_a_network_in_training() -> Result<(), Box<dyn Error>> {
    own_probe::main()
}

#[test]
fn examples_are_short() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let programs: Vec<_> = paths.filter(|path| path.extension().is_some_and(|ending| ending == "rs")).collect();
    assert_eq!(programs.len(), 3);
    for path in programs {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 40, "{} has {lines} lines", path.display());
    }
}
