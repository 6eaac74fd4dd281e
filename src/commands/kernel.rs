//! `widthwise kernel`: infinite-width kernels on inputs of the user's.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use faer::{Mat, Side};
use serde::Serialize;
use widthwise::config::{self, GateKind, NetworkConfig};
use widthwise::network::{build_architecture, draw_gates};
use widthwise::record::{atomic, npy};
use widthwise_theory::{Architecture, InputShape, Inputs, kernels};

use super::Exit;
use super::columns::{Align, columns, number};
use super::console::Console;
use super::inputs::{Examples, read};
use super::outputs::try_out;
use crate::cli::KernelArguments;

/// Kernels are of one output; the others have the same.
const OUTPUTS: usize = 1;

/// Reads, computes, writes and prints what the kernels are like.
///
/// # Errors
/// An architecture, inputs or outputs that are refused, or a network for which theory has no kernel.
pub(crate) fn execute(arguments: &KernelArguments, console: &Console) -> Result<Exit> {
    let files = Files::new(&arguments.out)?;
    let (network, seed) = config::load_network(Some(&arguments.architecture), &arguments.set)?;
    let left = read(&arguments.inputs)?;
    let right = arguments.right.as_deref().map(read).transpose()?;
    let shape = shape_of(arguments, &network, left.columns)?;
    let read_files = [(&arguments.inputs, &left)].into_iter().chain(arguments.right.iter().zip(&right));
    for (path, examples) in read_files {
        let (found, features) = (examples.columns, shape.features());
        ensure!(found == features, "{} has {found} columns, but an example has {features}", path.display());
    }
    let architecture = architecture(&network, seed, shape, &left)?;
    let left = Inputs::new(left.values, shape)?;
    let right = right.map(|examples| Inputs::new(examples.values, shape)).transpose()?;
    console.note(format_args!(
        "computing {} x {} kernels",
        left.examples(),
        right.as_ref().unwrap_or(&left).examples()
    ));
    let computed = kernels(&architecture, &left, right.as_ref())?;
    files.write(&computed.nngp, &computed.ntk)?;
    let is_symmetric = right.is_none();
    let summaries =
        [Summary::new("nngp", &computed.nngp, is_symmetric), Summary::new("ntk", &computed.ntk, is_symmetric)];
    print(&summaries, &files, console)?;
    Ok(Exit::Done)
}

/// `C,H,W` as a shape.
pub(crate) fn parse_shape(text: &str) -> Result<InputShape, String> {
    let sizes: Option<Vec<usize>> = text.split(',').map(|size| size.trim().parse().ok().filter(|n| *n > 0)).collect();
    match sizes.as_deref() {
        Some(&[channels, height, width])
            if channels.checked_mul(height).and_then(|n| n.checked_mul(width)).is_some() =>
        {
            Ok(InputShape { channels, height, width })
        }
        _ => Err("expected channels, height and width, each above 0, for instance 3,32,32".to_owned()),
    }
}

fn shape_of(arguments: &KernelArguments, network: &NetworkConfig, columns: usize) -> Result<InputShape> {
    if let Some(shape) = arguments.shape {
        return Ok(shape);
    }
    ensure!(!network.reads_images(), "the network reads images; say with --shape C,H,W how {columns} columns make one");
    Ok(InputShape::flat(columns))
}

/// The network on these inputs; `left` is what k-means gates are found on.
fn architecture(network: &NetworkConfig, seed: u64, shape: InputShape, left: &Examples) -> Result<Architecture> {
    let gates = if network.is_gated() {
        let limit = match network.gates.kind {
            GateKind::Task => Some((left.columns, "columns")),
            GateKind::KMeans => Some((left.rows, "examples")),
            GateKind::Heaviside | GateKind::Smooth => None,
        };
        let count = network.gates.count;
        if let Some((room, of)) = limit {
            ensure!(count <= room, "network.gates.count = {count}, but there are only {room} {of}; set fewer gates");
        }
        Some(draw_gates(&network.gates, seed, &left.values, left.columns))
    } else {
        None
    };
    build_architecture(network, shape, OUTPUTS, gates).context("the architecture does not fit the inputs")
}

/// The files of the two kernels.
struct Files {
    nngp: [PathBuf; 2],
    ntk: [PathBuf; 2],
}

impl Files {
    /// Tries the places out.
    fn new(prefix: &Path) -> Result<Self> {
        ensure!(
            prefix.file_name().is_some()
                && !prefix.as_os_str().to_string_lossy().ends_with(['/', std::path::MAIN_SEPARATOR]),
            "--out {} has no name after the folder; add one, for instance --out {}",
            prefix.display(),
            prefix.join("kernel").display()
        );
        let with = |ending: &str| {
            let mut path = prefix.as_os_str().to_owned();
            path.push(ending);
            PathBuf::from(path)
        };
        let files = Self { nngp: [".nngp.csv", ".nngp.npy"].map(with), ntk: [".ntk.csv", ".ntk.npy"].map(with) };
        for file in files.nngp.iter().chain(&files.ntk) {
            try_out(file)?;
        }
        Ok(files)
    }

    fn write(&self, nngp: &Mat<f64>, ntk: &Mat<f64>) -> Result<()> {
        for ([csv, binary], matrix) in [(&self.nngp, nngp), (&self.ntk, ntk)] {
            atomic::write(csv, &csv_bytes(matrix))?;
            npy::write(binary, matrix)?;
        }
        Ok(())
    }
}

/// One row a line, 17 significant digits, which read back exactly.
fn csv_bytes(matrix: &Mat<f64>) -> Vec<u8> {
    let mut text = String::new();
    for i in 0..matrix.nrows() {
        let row: Vec<String> = (0..matrix.ncols()).map(|j| format!("{:.16e}", matrix[(i, j)])).collect();
        text.push_str(&row.join(","));
        text.push('\n');
    }
    text.into_bytes()
}

/// What a kernel is like. Eigenvalues and diagonal are those of a symmetric kernel.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Summary {
    kernel: &'static str,
    rows: usize,
    columns: usize,
    mean: f64,
    mean_diagonal: Option<f64>,
    min_eigenvalue: Option<f64>,
    max_eigenvalue: Option<f64>,
    /// Absent where the smallest eigenvalue is lost in round-off.
    condition_number: Option<f64>,
}

impl Summary {
    fn new(kernel: &'static str, matrix: &Mat<f64>, is_symmetric: bool) -> Self {
        let (rows, columns) = (matrix.nrows(), matrix.ncols());
        let entries = (rows * columns) as f64;
        let mean = (0..columns).map(|j| (0..rows).map(|i| matrix[(i, j)]).sum::<f64>()).sum::<f64>() / entries;
        let mean_diagonal = is_symmetric.then(|| (0..rows).map(|i| matrix[(i, i)]).sum::<f64>() / rows as f64);
        let eigenvalues = if is_symmetric { matrix.self_adjoint_eigenvalues(Side::Lower).ok() } else { None };
        let eigenvalues = eigenvalues.unwrap_or_default();
        let (min_eigenvalue, max_eigenvalue) = (eigenvalues.first().copied(), eigenvalues.last().copied());
        let condition_number = min_eigenvalue.zip(max_eigenvalue).and_then(|(min, max)| {
            let round_off = rows as f64 * f64::EPSILON * max;
            (min > round_off).then(|| max / min)
        });
        Self { kernel, rows, columns, mean, mean_diagonal, min_eigenvalue, max_eigenvalue, condition_number }
    }

    fn cells(&self) -> [String; 6] {
        let value = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| number(value, 6));
        let condition = match (self.condition_number, self.min_eigenvalue) {
            (None, Some(_)) => "singular to round-off".to_owned(),
            (condition, _) => condition.map_or_else(|| "-".to_owned(), |condition| number(condition, 3)),
        };
        let size = format!("{} x {}", self.rows, self.columns);
        let mean = number(self.mean, 6);
        [self.kernel.to_owned(), size, mean, value(self.mean_diagonal), value(self.min_eigenvalue), condition]
    }
}

#[derive(Serialize)]
struct KernelLine<'a> {
    event: &'static str,
    #[serde(flatten)]
    summary: &'a Summary,
    csv: &'a Path,
    npy: &'a Path,
}

fn print(summaries: &[Summary; 2], files: &Files, console: &Console) -> Result<()> {
    let heading = ["kernel", "size", "mean", "mean_diagonal", "min_eigenvalue", "condition_number"];
    let mut rows = vec![heading.map(str::to_owned)];
    for (summary, [csv, npy]) in summaries.iter().zip([&files.nngp, &files.ntk]) {
        console.json(&KernelLine { event: "kernel", summary, csv, npy })?;
        rows.push(summary.cells());
    }
    let [left, right] = [Align::Left, Align::Right];
    for line in columns([left, right, right, right, right, left], &rows) {
        console.detail(line)?;
    }
    let written: Vec<String> = files.nngp.iter().chain(&files.ntk).map(|file| file.display().to_string()).collect();
    console.line(format_args!("written: {}", written.join(", ")))
}

#[cfg(test)]
mod tests {
    use widthwise::config::{ConfigError, Family};

    use super::*;

    fn load(text: &str, set: &[&str]) -> Result<NetworkConfig, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("network.toml");
        std::fs::write(&file, text).unwrap();
        let set: Vec<String> = set.iter().map(|&text| text.to_owned()).collect();
        config::load_network(Some(&file), &set).map(|(network, _)| network)
    }

    #[test]
    fn shapes_are_three_sizes() {
        assert_eq!(parse_shape("3, 32,32"), Ok(InputShape { channels: 3, height: 32, width: 32 }));
        for wrong in ["", "3", "3,32", "3,0,32", "3,32,32,1", "a,b,c", "9999999999,9999999999,9"] {
            assert!(parse_shape(wrong).unwrap_err().contains("3,32,32"), "{wrong}");
        }
    }

    #[test]
    fn an_architecture_need_not_fit_the_default_data() {
        // A filter beyond 28 x 28 pixels, more centroids than training examples, tasks without a task code.
        let cnn =
            load("[network]\nfamily = \"cnn\"\nconvolution = { filter_size = [40, 3], padding = \"valid\" }", &[]);
        let cnn = cnn.unwrap();
        assert_eq!((cnn.family, cnn.convolution.filter_size), (Family::Cnn, [40, 3]));
        let centroids = "[network]\nfamily = \"gated_deep_linear\"\ngates = { kind = \"k_means\", count = 999 }";
        assert_eq!(load(centroids, &[]).unwrap().gates.count, 999);
        let tasks = load("[network]\ngates = { kind = \"task\" }", &["network.family=gated_deep_linear"]).unwrap();
        assert_eq!((tasks.family, tasks.gates.kind), (Family::GatedDeepLinear, GateKind::Task));
    }

    #[test]
    fn an_architecture_that_is_wrong_in_itself_is_refused() {
        let message = load("[network]\nfamily = \"cnn\"\nsigma_w2 = -1.0", &[]).unwrap_err().to_string();
        assert!(message.contains("network.sigma_w2"), "{message}");
        let message = load("[network]\ninit = \"pytorch\"", &[]).unwrap_err().to_string();
        assert!(message.contains("standard parameterization"), "{message}");
    }

    #[test]
    fn gates_that_do_not_fit_the_inputs_are_refused() {
        let network =
            load("[network]\nfamily = \"gated_deep_linear\"\ngates = { kind = \"task\", count = 8 }", &[]).unwrap();
        let left = Examples { values: vec![1.0; 6], rows: 2, columns: 3 };
        let message = architecture(&network, 1, InputShape::flat(3), &left).unwrap_err().to_string();
        assert!(message.contains("there are only 3 columns"), "{message}");
    }

    #[test]
    fn csv_reads_back_exactly() {
        let matrix = Mat::from_fn(2, 3, |i, j| (1.0 + i as f64) / (3.0 + j as f64));
        let text = String::from_utf8(csv_bytes(&matrix)).unwrap();
        for (i, line) in text.lines().enumerate() {
            for (j, cell) in line.split(',').enumerate() {
                assert_eq!(cell.parse::<f64>().unwrap(), matrix[(i, j)]);
            }
        }
        assert!(text.starts_with("3.3333333333333331e-1,"), "{text}");
    }

    #[test]
    fn a_summary_knows_the_spectrum() {
        let matrix = Mat::from_fn(2, 2, |i, j| if i == j { 2.0 } else { 1.0 });
        let summary = Summary::new("ntk", &matrix, true);
        let near = |found: Option<f64>, expected: f64| (found.unwrap() - expected).abs() < 8.0 * f64::EPSILON;
        assert!(near(summary.min_eigenvalue, 1.0) && near(summary.condition_number, 3.0), "{summary:?}");
        assert_eq!((summary.mean, summary.mean_diagonal), (1.5, Some(2.0)));
        let singular = Summary::new("ntk", &Mat::from_fn(2, 2, |_, _| 1.0), true);
        assert_eq!(singular.condition_number, None);
        assert_eq!(singular.cells()[5], "singular to round-off");
        assert_eq!(Summary::new("ntk", &matrix, false).min_eigenvalue, None);
    }

    #[test]
    fn a_prefix_must_name_a_file_in_a_folder_that_exists() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Files::new(&folder.path().join("k")).is_ok());
        let missing = Files::new(&folder.path().join("no/k")).err().unwrap().to_string();
        assert!(missing.contains("does not exist"), "{missing}");
        let nameless = Files::new(Path::new("kernels/")).err().unwrap().to_string();
        assert!(nameless.contains("kernels/kernel"), "{nameless}");
    }
}
