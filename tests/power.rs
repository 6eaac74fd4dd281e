//! What verdicts are worth: variances of layers under their own law, control variates, the power of a run, and plans.

use std::fs;

use tempfile::TempDir;
use widthwise::record::row::Row;
use widthwise::verdict::Verdict;

use crate::program::{Ended, end, program};

const EXPERIMENT: &str = r#"
[run]
name = "small"
members = 8
[dataset]
source = { name = "uniform-sphere", input_dim = 6, train = 12, test = 4 }
[dataset.preprocessing]
train = 12
test = 4
normalize = "sqrt_dim"
targets = "binary"
[network]
depth = 2
width = 64
activation = "relu"
sigma_w2 = 2.0
sigma_b2 = 0.2
[training]
learning_rate = { critical = 0.05 }
stop = { steps = 4 }
[probes]
schedule = "ends"
examples = 12
jacobian_examples = 4
information = false
[claims]
required = ["weight_variance", "bias_variance", "preactivation_variance"]
"#;

struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        fs::write(desk.0.path().join("e.toml"), EXPERIMENT).unwrap();
        desk
    }

    fn type_in(&self, line: &str) -> Ended {
        end(program().args(line.split_whitespace()).current_dir(self.0.path()))
    }

    fn run(&self, name: &str, more: &str) -> Vec<Row> {
        let ended = self.type_in(&format!("run e.toml -q --output {name} {more}"));
        assert!(ended.code.is_some_and(|code| code != 2), "{ended:?}");
        let mut reader = csv::Reader::from_path(self.0.path().join(name).join("results.csv")).unwrap();
        reader.deserialize().collect::<Result<_, _>>().unwrap()
    }
}

fn ensemble<'a>(rows: &'a [Row], quantity: &str, layer: Option<usize>, step: u64) -> &'a Row {
    let found = |row: &&Row| row.quantity == quantity && row.layer == layer && row.step == step;
    rows.iter().filter(|row| row.members.contains("..")).find(found).unwrap()
}

/// In every family: within four known errors of what the network was drawn with, in layers with and without positions and gates.
#[test]
fn layers_show_the_variances_that_they_were_drawn_with() {
    let desk = Desk::new();
    let images = "--set dataset.source={name=\"mnist\"} --set dataset.preprocessing={train=12,test=4,targets=\"binary\",positive=[1,3,5,7,9]} \
                  --set run.members=2 --set network.width=16";
    let cases = [
        ("relu", String::new(), 2.0, 0.2),
        ("mean-field", "--set network.parameterization=mean-field".into(), 2.0, 0.2),
        (
            "linear",
            "--set network.family=deep_linear --set network.sigma_w2=1.0 --set network.sigma_b2=0".into(),
            1.0,
            0.0,
        ),
        ("images", format!("{images} --set network.family=cnn"), 2.0, 0.2),
        ("orthogonal", "--set network.init=orthogonal".into(), 2.0, 0.2),
    ];
    for (name, more, sigma_w2, sigma_b2) in cases {
        let rows = desk.run(name, &format!("{more} --set training.stop.steps=1"));
        for layer in 1..=2 {
            let weight = ensemble(&rows, "weight_variance", Some(layer), 0);
            let (measured, error) = (weight.measured.unwrap(), weight.std_error.unwrap());
            assert!((weight.predicted.unwrap() / sigma_w2 - 1.0).abs() < 1e-14, "{name}");
            // Orthogonal weights of few inputs have this variance exactly, up to the round-off of f32.
            let round_off = 4.0 * f64::from(f32::EPSILON) * sigma_w2;
            let allowed = 5.0 * error + round_off;
            assert!((measured - sigma_w2).abs() < allowed, "{name}, layer {layer}: {measured} +- {error}");
            // Only weights that are drawn one by one have the law.
            assert_eq!(weight.se_method.starts_with("chi_squared("), name != "orthogonal", "{name}");
            if sigma_b2 > 0.0 {
                let bias = ensemble(&rows, "bias_variance", Some(layer), 0);
                let (measured, error) = (bias.measured.unwrap(), bias.std_error.unwrap());
                assert!((measured - sigma_b2).abs() < 5.0 * error, "{name}, layer {layer}: {measured} +- {error}");
            } else {
                assert!(rows.iter().all(|row| row.quantity != "bias_variance"), "{name} has no biases");
            }
        }
        // Weights that have moved have neither the law nor a prediction.
        let moved = ensemble(&rows, "weight_variance", Some(1), 1);
        assert_eq!((moved.predicted, moved.se_method.as_str()), (None, "members"), "{name}");
    }
}

/// The mean is the intercept of the least-squares line over the control, as a plain calculation has it.
#[test]
fn means_are_corrected_by_their_control() {
    let desk = Desk::new();
    let rows = desk.run("r", "");
    let members = |quantity: &str, layer: Option<usize>| -> Vec<f64> {
        let own = |row: &&Row| row.quantity == quantity && row.layer == layer && row.step == 0;
        rows.iter().filter(|row| !row.members.contains("..")).filter(own).map(|row| row.measured.unwrap()).collect()
    };
    for (quantity, layer, control, of) in [
        ("preactivation_variance", Some(2), "preactivation_variance", Some(1)),
        ("nngp_mean_diagonal", None, "preactivation_variance", Some(2)),
        ("ntk_overlap", None, "nngp_mean_diagonal", None),
    ] {
        let row = ensemble(&rows, quantity, layer, 0);
        assert_eq!(row.se_method, format!("control_variate({control})"));
        let (y, c) = (members(quantity, layer), members(control, of));
        let known = ensemble(&rows, control, of, 0).predicted.unwrap();
        let n = y.len() as f64;
        let (my, mc) = (y.iter().sum::<f64>() / n, c.iter().sum::<f64>() / n);
        let slope = y.iter().zip(&c).map(|(y, c)| (y - my) * (c - mc)).sum::<f64>()
            / c.iter().map(|c| (c - mc).powi(2)).sum::<f64>();
        let expected = my + slope * (known - mc);
        let found = row.measured.unwrap();
        assert!((found - expected).abs() < 1e-9 * expected.abs(), "{quantity}: {found} for {expected}");
    }
    // The first layer has no layer before it, and seven members are too few.
    assert_eq!(ensemble(&rows, "preactivation_variance", Some(1), 0).se_method, "paired_members");
    let few = desk.run("few", "--set run.members=7");
    assert_eq!(ensemble(&few, "ntk_overlap", None, 0).se_method, "paired_members");
}

/// Two members, of which Student's t could hardly reject anything, see an error of a half: ten standard errors of 64 units in 6 directions.
#[test]
fn two_members_see_a_wrong_variance() {
    let desk = Desk::new();
    let right = desk.run("right", "--set run.members=2");
    assert_ne!(ensemble(&right, "weight_variance", Some(1), 0).verdict, Some(Verdict::Disagrees));
    // In theory, and in the network.
    for (name, more) in [
        ("theory", "--set control.sigma_w2_factor=1.5"),
        ("network", "--set network.sigma_w2=3.0 --set control.sigma_w2_factor=0.6666666666666666"),
    ] {
        let wrong = desk.run(name, &format!("--set run.members=2 {more}"));
        assert_eq!(ensemble(&wrong, "weight_variance", Some(1), 0).verdict, Some(Verdict::Disagrees), "{name}");
    }
}

/// The readout of one unit has an error and no z.
#[test]
fn means_over_few_units_have_no_z() {
    let rows = Desk::new().run("r", "");
    let readout = ensemble(&rows, "preactivation_variance", Some(3), 0);
    assert!(readout.z.is_none() && readout.std_error.is_some() && readout.predicted.is_some());
    let csv_flag = serde_json::to_string(&readout.flag).unwrap();
    assert_eq!(csv_flag, "\"few_units\"");
    assert!(ensemble(&rows, "weight_variance", Some(3), 0).z.is_some(), "it has a law of its own");
}

#[test]
fn power_and_mutations_are_told_and_change_nothing() {
    let desk = Desk::new();
    desk.run("r", "");
    let before = fs::read(desk.0.path().join("r/results.csv")).unwrap();
    let power = desk.type_in("check r --power --json").done();
    let lines: Vec<serde_json::Value> = power.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |mistake: &str| lines.iter().find(|line| line["mistake"] == mistake).unwrap();
    let chances = of("sigma_w2 too large")["probabilities"].as_array().unwrap().clone();
    let chances: Vec<f64> = chances.iter().map(|chance| chance.as_f64().unwrap()).collect();
    assert!(chances.is_sorted() && chances[0] < 0.05 && chances[3] > 0.9, "{chances:?}");
    let smallest = of("sigma_w2 too large")["smallest"].as_f64().unwrap();
    // Layer by layer 64 units times 6 directions times 8 members: an error of 2.6 %, of which about 5.5 are rejected in 90 %.
    assert!((0.05..0.2).contains(&smallest), "{smallest}");
    let mutations = desk.type_in("check r --mutate all").done();
    for text in ["weight_variance", "sigma-w2-factor=1.1", "drop-bias", ". agrees   X disagrees   ? undecided"] {
        assert!(mutations.out.contains(text), "{text}: {}", mutations.out);
    }
    assert_eq!(fs::read(desk.0.path().join("r/results.csv")).unwrap(), before);
    desk.type_in("check r --power --control drop-bias").refused_with(&["cannot be used with"]);
    desk.type_in("check r --mutate some").refused_with(&["all"]);
}

#[test]
fn a_plan_names_members_and_keeps_nothing() {
    let desk = Desk::new();
    let plan = desk.type_in("plan e.toml --members 8").done();
    for text in ["weight_variance", "members decide all claims together", "(8 are configured", "would notice:"] {
        assert!(plan.out.contains(text), "{text}: {}", plan.out);
    }
    let left: Vec<_> = fs::read_dir(desk.0.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["e.toml"]);
    desk.type_in("plan e.toml --members 2").refused_with(&["3"]);
}

#[test]
fn what_is_undecided_says_what_it_lacks() {
    let desk = Desk::new();
    let run = "run e.toml --output r --set run.members=2 --set claims.required=[\"ntk_overlap\"] --set claims.resolution=0.001";
    let ended = desk.type_in(run);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(
        ended.out.contains("ntk_overlap at step 0 could not have agreed: four standard errors are"),
        "{}",
        ended.out
    );
    assert!(ended.out.contains("members would decide it"), "{}", ended.out);
    assert!(ended.out.contains("with 2 members all but weight_variance and bias_variance"), "{}", ended.out);
    let planned = desk.type_in("run e.toml --dry-run --set run.members=4").done();
    assert!(planned.out.contains("can hardly disagree: it takes"), "{}", planned.out);
    let enough = desk.type_in("run e.toml --dry-run --set run.members=16").done();
    assert!(enough.out.contains("are judged\n"), "{}", enough.out);
}
