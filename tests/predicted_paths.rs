//! Losses of whole runs against the path that theory predicts for the very same batches, optimizer and loss, through the
//! program: what it records is what is compared.

use std::path::Path;

use widthwise::record::row::Row;

use crate::program::widthwise;

const CONFIG: &str = r#"
[run]
name = "path"
members = 12

[dataset.preprocessing]
train = 24
test = 12
normalize = "sqrt_dim"

[network]
depth = 1
width = 2048
activation = "erf"
sigma_w2 = 2.0
sigma_b2 = 0.1

[training]
learning_rate = { critical = 0.3 }
stop = { steps = 24 }

[probes]
schedule = { log = 5 }
examples = 12
ntk = false
jacobian_vectors = 0
information = false
gaussianity = false
"#;

/// Largest `|z|` of the ensemble's losses after the start, and how many there were.
fn worst(text: &str, folder: &Path) -> (usize, f64) {
    let file = folder.join("path.toml");
    std::fs::write(&file, text).unwrap();
    let out = folder.join("run");
    widthwise([Path::new("run"), &file, Path::new("--output"), &out]).ran();
    let mut reader = csv::Reader::from_path(out.join("results.csv")).unwrap();
    let rows: Vec<Row> = reader.deserialize().collect::<Result<_, _>>().unwrap();
    let losses = rows.iter().filter(|row| {
        row.members == "0..12" && row.step > 0 && (row.quantity == "train_loss" || row.quantity == "test_loss")
    });
    let z: Vec<f64> = losses.map(|row| row.z.unwrap_or_else(|| panic!("no prediction: {row:?}"))).collect();
    (z.len(), z.iter().fold(0.0, |worst, z| z.abs().max(worst)))
}

#[test]
fn losses_follow_the_predicted_path_of_their_batches_and_their_loss() {
    let momentum = "optimizer = { momentum = { beta = 0.7 } }\nbatch_size = 8\nloss = \"half_mean\"";
    let nesterov =
        "optimizer = { nesterov = { beta = 0.5 } }\nbatch_size = 5\nl2 = { strength = 0.5, toward = \"init\" }";
    for (name, training) in [
        ("batches, gradient descent", "batch_size = 6"),
        ("batches, momentum, mean", momentum),
        ("batches, Nesterov, penalty", nesterov),
        ("cross-entropy", "loss = \"cross_entropy\""),
        ("cross-entropy, momentum", "loss = \"cross_entropy\"\noptimizer = { momentum = { beta = 0.6 } }"),
    ] {
        let text = CONFIG.replace("[training]\n", &format!("[training]\n{training}\n"));
        let folder = tempfile::tempdir().unwrap();
        let (count, z) = worst(&text, folder.path());
        eprintln!("{name}: {count} losses, largest |z| {z:.2}");
        assert!(count >= 8, "{name}: {count} losses");
        assert!(z < 4.0, "{name}: |z| = {z:.2}");
        // Theory at a clock of its own is refuted by the same numbers.
        let folder = tempfile::tempdir().unwrap();
        let (_, wrong) = worst(&format!("{text}\n[control]\ntime_factor = 1.5\n"), folder.path());
        eprintln!("{name}: a clock 50 % too fast is {wrong:.1} standard errors off");
        assert!(wrong > 6.0, "{name}: |z| = {wrong:.2}");
    }
}
