//! Arrays as numpy writes them, and what is none.

use super::*;

/// A file as `np.save` writes it.
fn npy(descr: &str, is_fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let order = if is_fortran { "True" } else { "False" };
    let text = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\x00", &(text.len() as u16).to_le_bytes()[..], text.as_bytes(), data].concat()
}

fn read_bytes(bytes: &[u8]) -> io::Result<Array> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("k.npy");
    std::fs::write(&path, bytes).unwrap();
    read_array(&path)
}

#[track_caller]
fn refuses(bytes: &[u8], words: &str) {
    let message = read_bytes(bytes).unwrap_err().to_string();
    assert!(message.contains(words) && message.contains("expected a .npy array"), "{message}");
}

#[test]
fn a_matrix_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("k.npy");
    let matrix = Mat::from_fn(3, 2, |i, j| (i as f64 + 0.1) / (j as f64 + 3.0));
    write(&path, &matrix).unwrap();
    assert_eq!(read(&path).unwrap(), matrix);
}

#[test]
fn anything_else_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("k.npy");
    for bytes in [b"".as_slice(), b"not numpy", b"\x93NUMPY\x01\x00\xff\xff"] {
        std::fs::write(&path, bytes).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("expected a .npy array"));
    }
}

#[test]
fn every_kind_of_number_is_read_in_both_byte_orders() {
    // Each kind holds 1 and its own extreme: the first bytes as the format stores them, most significant first.
    let kinds: [(&str, &[u8], f64); 13] = [
        ("b1", &[1], 1.0),
        ("i1", &[0x80], -128.0),
        ("i2", &[0x80, 0], -32_768.0),
        ("i4", &[0xff, 0xff, 0xff, 0xfe], -2.0),
        ("i8", &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfd], -3.0),
        ("u1", &[0xff], 255.0),
        ("u2", &[0xff, 0xfe], 65_534.0),
        ("u4", &[0xff, 0xff, 0xff, 0xff], 4_294_967_295.0),
        ("u8", &[0x80, 0, 0, 0, 0, 0, 0, 0], 9_223_372_036_854_775_808.0),
        ("f2", &[0xbe, 0x00], -1.5),
        ("f2", &[0x00, 0x01], 5.960_464_477_539_063e-8),
        ("f4", &[0x3d, 0xcc, 0xcc, 0xcd], 0.100_000_001_490_116_12),
        ("f8", &[0x3f, 0xb9, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a], 0.1),
    ];
    for (kind, most_first, value) in kinds {
        let least_first: Vec<u8> = most_first.iter().rev().copied().collect();
        let orders: &[(char, &[u8])] =
            if most_first.len() == 1 { &[('|', most_first)] } else { &[('>', most_first), ('<', &least_first)] };
        for (order, number) in orders {
            let descr = format!("{order}{kind}");
            let data = [vec![0; number.len()], number.to_vec()].concat();
            let array = read_bytes(&npy(&descr, false, "(2,)", &data)).unwrap();
            assert_eq!(array, Array { shape: vec![2], values: vec![0.0, value] }, "{descr}");
        }
    }
}

#[test]
fn one_to_four_dimensions_are_read_in_both_orders() {
    for shape in [&[24][..], &[4, 6], &[2, 3, 4], &[2, 3, 1, 4], &[3, 2, 2, 2]] {
        let text = format!("({},)", shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", "));
        let place = |index: &[usize]| index.iter().zip(shape).fold(0, |place, (i, size)| place * size + i);
        // Every index with the first one running fastest.
        let mut column_first = Vec::new();
        for flat in 0..24 {
            let mut rest = flat;
            let index: Vec<usize> = shape
                .iter()
                .map(|size| {
                    let now = rest % size;
                    rest /= size;
                    now
                })
                .collect();
            column_first.push(place(&index) as u8);
        }
        let expected = Array { shape: shape.to_vec(), values: (0..24).map(f64::from).collect() };
        let row_first: Vec<u8> = (0..24).collect();
        assert_eq!(read_bytes(&npy("|u1", false, &text, &row_first)).unwrap(), expected);
        assert_eq!(read_bytes(&npy("|u1", true, &text, &column_first)).unwrap(), expected);
    }
    refuses(&npy("|u1", false, "(1, 1, 1, 1, 1)", &[0]), "found 5 dimensions");
    refuses(&npy("|u1", false, "()", &[0]), "found 0 dimensions");
}

#[test]
fn headers_of_every_version_are_read_and_doubted_before_memory_is_taken() {
    let text = b"{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }\n";
    for version in [2, 3] {
        let start = [b"\x93NUMPY", &[version, 0][..]].concat();
        let whole = [&start, &(text.len() as u32).to_le_bytes()[..], text, &[1, 2, 3]].concat();
        assert_eq!(read_bytes(&whole).unwrap().values, [1.0, 2.0, 3.0]);
        // 4 GiB of header in a file of 74 bytes, and one that the file does hold.
        let claims = [&start, &u32::MAX.to_le_bytes()[..], text].concat();
        refuses(&claims, "the header claims a length of 4294967295 bytes but the file has 70");
        let long = [&start, &100_000_u32.to_le_bytes()[..], &[b' '; 100_000]].concat();
        refuses(&long, "at most 65536 are read");
    }
    refuses(b"\x93NUMPY\x04\x00\x00\x00", "version 4");
    let deep = "(".repeat(60_000);
    refuses(&[b"\x93NUMPY\x01\x00", &60_000_u16.to_le_bytes()[..], deep.as_bytes()].concat(), "too many brackets");
    for shape in ["(100000, 1000)", "(4611686018427387904, 8)", "(4294967296, 4294967296, 4)", "(17,)"] {
        refuses(&npy("|u1", false, shape, &[0; 16]), "the header claims");
    }
    refuses(&npy("|u1", false, "(99999999999999999999,)", &[0; 16]), "larger than u64");
    refuses(&npy("|u1", false, "(15,)", &[0; 16]), "1 bytes follow the 15 numbers");
    for empty in ["(100000000000, 0)", "(0,)", "(0, 4611686018427387904, 4611686018427387904)"] {
        assert_eq!(read_bytes(&npy("<f8", true, empty, &[0; 16])).unwrap().values.len(), 0);
    }
}

#[test]
fn what_is_no_real_number_is_refused_by_name() {
    for kind in ["<c16", "<U3", "|S4", "<M8[ns]", "|O", "<f16", "|V8"] {
        refuses(&npy(kind, false, "(1,)", &[0; 16]), "kind");
    }
    let record = "[('a', '<f8'), ('b', '<f8')]";
    let text = format!("{{'descr': {record}, 'fortran_order': False, 'shape': (1,), }}\n");
    let bytes = [b"\x93NUMPY\x01\x00", &(text.len() as u16).to_le_bytes()[..], text.as_bytes(), &[0; 16]].concat();
    refuses(&bytes, "kind [('a', '<f8'), ('b', '<f8'), ]");
}

#[test]
fn any_altered_file_is_read_or_refused() {
    use rand::RngExt;
    let mut random = widthwise_datasets::stream(5, "test.npy");
    let genuine = npy("<f4", false, "(2, 3)", &[7; 24]);
    for _ in 0..3000 {
        let mut bytes = genuine.clone();
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..bytes.len());
            bytes[at] = if random.random_range(0..2) == 0 { random.random_range(0..=255) } else { b'9' };
        }
        bytes.truncate(random.random_range(0..2 * bytes.len()));
        if let Ok(array) = Header::read(bytes.as_slice(), bytes.len() as u64) {
            assert!(array.count * array.number.bytes <= bytes.len());
        }
    }
}
