//! Numbers in files of the user's, as pandas, numpy, spreadsheets and R write them, and data sets of few examples or classes.

use std::fs;
use std::path::PathBuf;

use faer::Mat;
use tempfile::TempDir;
use widthwise::record::npy;

use crate::program::{Ended, end, program};

const NETWORK: &str = "[network]\ndepth = 1\nwidth = 8\nactivation = \"erf\"\nsigma_w2 = 1.5\nsigma_b2 = 0.1\n";

/// Six examples of four features.
const ROWS: [[f64; 4]; 6] = [
    [0.034, 1.36, 1.225, -0.51],
    [-0.298, -0.527, 0.57, -0.056],
    [0.747, -1.847, 1.567, -0.096],
    [0.68, -0.137, -0.379, 0.463],
    [0.825, -0.203, -0.153, 0.686],
    [-0.87, -1.514, 0.395, -0.671],
];
const LABELS: [u8; 6] = [0, 1, 1, 0, 2, 1];

struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        desk.write("net.toml", NETWORK);
        desk.write("x.csv", rows(","));
        desk.write("y.csv", column());
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    fn type_in(&self, line: &str) -> Ended {
        end(program().args(line.split_whitespace()).current_dir(self.0.path()))
    }

    #[track_caller]
    fn kernel(&self, inputs: &str, more: &str) -> (Mat<f64>, String) {
        let ended = self.type_in(&format!("kernel net.toml --inputs {inputs} --out k --restart {more}")).done();
        (npy::read(&self.path("k.ntk.npy")).unwrap(), ended.err)
    }

    #[track_caller]
    fn refuses(&self, line: &str, words: &[&str]) {
        self.type_in(line).refused_with(words);
    }
}

fn rows(separator: &str) -> String {
    let line = |row: &[f64; 4]| row.map(|value| value.to_string()).join(separator);
    ROWS.iter().map(|row| line(row) + "\n").collect()
}

fn column() -> String {
    LABELS.iter().map(|label| format!("{label}\n")).collect()
}

/// A file as `np.save` writes it.
fn saved(descr: &str, shape: &str, data: Vec<u8>) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\x00", &(text.len() as u16).to_le_bytes()[..], text.as_bytes(), &data].concat()
}

#[test]
fn the_same_examples_make_the_same_kernel_however_they_are_written() {
    let desk = Desk::new();
    let (expected, said) = desk.kernel("x.csv", "");
    assert!(said.contains("x.csv: 6 examples of 4 features\n"), "{said}");
    let index: String = rows(",").lines().enumerate().map(|(i, line)| format!("{},{line}\n", 5 - i)).collect();
    for (name, text) in [
        ("to_csv_without_index.csv", format!("0,1,2,3\n{}", rows(","))),
        ("to_csv.csv", format!(",0,1,2,3\n{index}")),
        ("named.csv", format!("a,b,c,d\r\n{}", rows(",").replace('\n', "\r\n"))),
        ("savetxt.csv", rows(" ")),
        ("tabs.csv", rows("\t")),
        ("semicolons.csv", format!("\u{feff}\"a\";\"b\";\"c\";\"d\"\n{}", rows(";"))),
    ] {
        desk.write(name, text);
        let (found, said) = desk.kernel(name, "");
        assert!(found == expected, "{name}");
        assert!(said.contains(&format!("{name}: 6 examples of 4 features\n")), "{said}");
        let has_remark = said.contains("is taken for a header") || said.contains("left out");
        assert_eq!(has_remark, name.starts_with("to_csv"), "{name}: {said}");
    }
    desk.write("one.csv", rows(" ").lines().next().unwrap());
    let (one, said) = desk.kernel("one.csv", "");
    assert!(one.nrows() == 1 && one[(0, 0)] == expected[(0, 0)] && said.contains("1 example of 4 features"), "{said}");
    for (text, words) in [
        ("NA,NA\n1,2\n", "row 1 (line 1), column 1 is missing (\"NA\")"),
        ("a,b\n1,2\n3,\n", "row 2 (line 3), column 2 is missing (\"\")"),
        ("0,1\n3,4\n", "a header of column numbers (pandas writes it) or an example"),
        ("0,0.5\n1,1.5\n2,2.5\n", "the first column counts the rows"),
        ("0,5;1,5\n", "write decimals with a point"),
    ] {
        desk.write("wrong.csv", text);
        desk.refuses("kernel net.toml --inputs wrong.csv --out w", &["wrong.csv", words]);
    }
}

#[test]
fn every_number_type_of_numpy_is_read() {
    let desk = Desk::new();
    let values = [[1_i8, 2, -3], [4, -1, 0], [2, 0, 7], [-5, 1, 7]];
    let numbers = || values.iter().flatten();
    desk.write("text.csv", values.map(|row| row.map(|value| value.to_string()).join(",")).join("\n"));
    let (expected, _) = desk.kernel("text.csv", "");
    // 1, 2, ... in half precision, exact by hand: sign, exponent and mantissa of each.
    let half = |value: i8| -> [u8; 2] {
        let magnitude = value.unsigned_abs();
        let sign = if value < 0 { 0x8000_u16 } else { 0 };
        let power = if magnitude == 0 { 0 } else { u16::from(7 - magnitude.leading_zeros() as u8) };
        let mantissa = if magnitude == 0 { 0 } else { (u16::from(magnitude) << (10 - power)) & 0x3ff };
        (sign | if magnitude == 0 { 0 } else { (power + 15) << 10 } | mantissa).to_le_bytes()
    };
    for (name, bytes) in [
        ("i8.npy", saved("<i8", "(4, 3)", numbers().flat_map(|v| i64::from(*v).to_le_bytes()).collect())),
        ("i1.npy", saved("|i1", "(4, 3)", numbers().map(|v| *v as u8).collect())),
        ("big.npy", saved(">i2", "(4, 3)", numbers().flat_map(|v| i16::from(*v).to_be_bytes()).collect())),
        ("f2.npy", saved("<f2", "(4, 3)", numbers().flat_map(|v| half(*v)).collect())),
        ("f4.npy", saved(">f4", "(4, 3)", numbers().flat_map(|v| f32::from(*v).to_be_bytes()).collect())),
        ("cube.npy", saved("<f8", "(4, 1, 3)", numbers().flat_map(|v| f64::from(*v).to_le_bytes()).collect())),
        ("four_d.npy", saved("<f8", "(4, 1, 1, 3)", numbers().flat_map(|v| f64::from(*v).to_le_bytes()).collect())),
    ] {
        desk.write(name, bytes);
        let (found, said) = desk.kernel(name, "");
        assert!(found == expected && said.contains("4 examples of 3 features"), "{name}: {said}");
    }
    let (found, _) = desk.kernel("four_d.npy", "--shape 1,1,3");
    assert!(found == expected);
    // Images whose axes stand in another order than the shape says are not taken for it.
    desk.write("images.npy", saved("|u1", "(2, 4, 5, 3)", (0..120).collect()));
    desk.refuses(
        "kernel net.toml --inputs images.npy --shape 3,4,5 --out w",
        &["images.npy holds arrays of 4 x 5 x 3, but an example is 3 x 4 x 5"],
    );
    desk.kernel("images.npy", "--shape 4,5,3");
    for shape in ["(100000000000, 0)", "(4611686018427387904, 0)", "(0, 3)"] {
        desk.write("empty.npy", saved("<f8", shape, vec![0; 24]));
        desk.refuses("kernel net.toml --inputs empty.npy --out w", &["empty.npy holds no numbers"]);
    }
    let huge = [b"\x93NUMPY\x02\x00", &u32::MAX.to_le_bytes()[..], b"{'descr': '<f8'"].concat();
    desk.write("huge.npy", huge);
    desk.refuses("kernel net.toml --inputs huge.npy --out w", &["the header claims a length of 4294967295 bytes"]);
}

#[test]
fn labels_are_read_in_every_shape_and_kind() {
    let desk = Desk::new();
    let predict = |targets: &str| {
        let line = format!(
            "predict net.toml --train x.csv --targets {targets} --classes 3 --method nngp --noise 0.1 --test x.csv --out p"
        );
        desk.type_in(&line).done();
        fs::read_to_string(desk.path("p.predictions.csv")).unwrap()
    };
    let expected = predict("y.csv");
    let signed: Vec<u8> = LABELS.iter().flat_map(|label| i64::from(*label).to_le_bytes()).collect();
    let real: Vec<u8> = LABELS.iter().flat_map(|label| f64::from(*label).to_le_bytes()).collect();
    for (name, bytes) in [
        ("vector.npy", saved("<i8", "(6,)", signed.clone())),
        ("column.npy", saved("<i8", "(6, 1)", signed)),
        ("bytes.npy", saved("|u1", "(6,)", LABELS.to_vec())),
        ("real.npy", saved("<f8", "(6,)", real)),
        (
            "series.csv",
            format!(",label\n{}", LABELS.iter().enumerate().map(|(i, l)| format!("{i},{l}\n")).collect::<String>())
                .into_bytes(),
        ),
        ("named.csv", format!("label\n{}", column()).into_bytes()),
    ] {
        desk.write(name, bytes);
        assert_eq!(predict(name), expected, "{name}");
    }
    // The column name of a series without one: a header that could be a label, which the count tells.
    desk.write("pandas.csv", format!("0\n{}", column()));
    desk.refuses(
        "predict net.toml --train x.csv --targets pandas.csv --classes 3 --out p",
        &["pandas.csv has 7 targets for the 6 examples of x.csv", "is the first row, 0, a header", "header=False"],
    );
    desk.write("flat.npy", saved("<f8", "(6,)", vec![0; 48]));
    desk.refuses(
        "predict net.toml --train flat.npy --targets y.csv --classes 3 --out p",
        &["6 targets for the 1 examples of flat.npy", "reshape"],
    );
    desk.write("square.npy", saved("|u1", "(6, 2, 2)", vec![0; 24]));
    desk.refuses("predict net.toml --train x.csv --targets square.npy --out p", &["an array of 6 x 2 x 2"]);
}

const SMALL: &str =
    "[run]\nname = \"small\"\nmembers = 1\n[network]\ndepth = 1\nwidth = 8\n[training.stop]\nsteps = 2\n";

#[test]
fn one_class_is_refused_by_every_command() {
    let desk = Desk::new();
    desk.write("one.toml", format!("{SMALL}[dataset.preprocessing]\ntrain = 30\ntest = 10\nclasses = [3]\n"));
    desk.write("two.toml", format!("{SMALL}[dataset.preprocessing]\ntrain = 30\ntest = 10\nclasses = [3, 5]\n"));
    let words = &["dataset.preprocessing.classes = [3]", "name at least two classes"];
    for line in [
        "run one.toml",
        "run one.toml --dry-run",
        "run two.toml --set dataset.preprocessing.classes=[3]",
        "run one.toml --set dataset.preprocessing.label_noise=0.5",
        "run one.toml --set dataset.preprocessing.targets=one_hot",
        "run one.toml --set training.loss=cross_entropy",
        "config check one.toml",
        "ladder one.toml --widths 4,8,16 --seeds 2 --out l",
        "predict net.toml --train one.toml:train --test one.toml:test --out p",
    ] {
        desk.refuses(line, words);
    }
    desk.type_in("run two.toml -q --output two").ran();
}

#[test]
fn probes_follow_small_training_sets_and_kernels_have_none() {
    let desk = Desk::new();
    for train in [1, 2, 20, 50] {
        let text = format!("{SMALL}[dataset.preprocessing]\ntrain = {train}\ntest = 10\n");
        desk.write("t.toml", text);
        desk.type_in("kernel t.toml --inputs x.csv --out k --restart").done();
        let said = desk.type_in("kernel t.toml --inputs t.toml:train --out d --restart").done().err;
        assert!(said.contains(&format!("t.toml:train: {train} example")), "{said}");
        desk.type_in("ntk t.toml --inputs x.csv --out n --restart").done();
        desk.type_in("predict t.toml --train t.toml:train --test t.toml:test --method nngp --noise 0.1 --out p").done();
        if train == 1 {
            let refused = desk.type_in("run t.toml");
            refused.refused_with(&["dataset.preprocessing.train = 1", "set at least 2"]);
            assert!(!refused.err.contains("probes.examples ="), "{refused:?}");
            continue;
        }
        desk.type_in("run t.toml -q --output out --force").ran();
        let resolved = fs::read_to_string(desk.path("out/config.toml")).unwrap();
        assert!(resolved.contains(&format!("\nexamples = {train}\n")), "{resolved}");
    }
    // What the user writes is not changed.
    desk.refuses("run t.toml --set probes.examples=128", &["probes.examples = 128 (--set)", "50 training examples"]);
    desk.type_in("kernel t.toml --inputs x.csv --out k --restart").done();
}

#[test]
fn kernels_say_when_they_depend_on_the_width() {
    let desk = Desk::new();
    let said = |name: &str| desk.kernel("x.csv", &format!("--set network.parameterization={name}")).1;
    for name in ["ntk", "standard-layerwise"] {
        assert!(!said(name).contains("on the width"), "{name}");
    }
    assert!(said("standard").contains("the ntk kernel depends on the width, here 8"));
    assert!(said("mup").contains("the nngp kernel depends on the width, here 8"));
    let kernel = |width: usize| {
        desk.kernel("x.csv", &format!("--set network.parameterization=standard --set network.width={width}")).0
    };
    assert!((kernel(16)[(0, 0)] - kernel(8)[(0, 0)]).abs() > 0.1);
}
