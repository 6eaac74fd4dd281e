//! What spreadsheets, pandas, numpy, R and people write.

use super::{Table, TextSize, read, size};

const X: [f64; 6] = [0.5, -1.0, 2.25, 3.0, 1e-3, 7.0];

#[track_caller]
fn rows(text: &str) -> Table {
    read(text.as_bytes()).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

#[track_caller]
fn is(text: &str, size: [usize; 2], values: &[f64]) {
    let table = rows(text);
    assert_eq!(([table.rows, table.columns], &*table.values), (size, values), "{text:?}");
}

#[track_caller]
fn refuses(text: &[u8], words: &str) {
    let message = read(text).expect_err(&String::from_utf8_lossy(text)).to_string();
    assert!(message.contains(words), "{:?}: {message}", String::from_utf8_lossy(text));
}

#[test]
fn every_separator_is_found() {
    for mark in [",", ";", "\t", "|", " ", ", ", " ; ", "   ", " \t", "  |"] {
        let row = |values: [&str; 3]| values.join(mark);
        let (one, two) = (row(["0.5", "-1", "2.25"]), row(["3.0", "1e-3", "7"]));
        is(&format!("{one}\n{two}\n"), [2, 3], &X);
        is(&format!("{one}\n"), [1, 3], &X[..3]);
        is(&format!("{}\n{one}\n{two}", row(["a", "b", "c"])), [2, 3], &X);
    }
    is("  5.0000e-01  -1.0\n  2.25   3.0 \n", [2, 2], &X[..4]);
    is("sepal length,sepal width\n0.5,-1\n", [1, 2], &X[..2]);
    is("the label\n1\n2\n", [2, 1], &[1.0, 2.0]);
}

#[test]
fn line_ends_marks_quotes_and_remarks_do_not_matter() {
    for text in [
        "0.5,-1\r\n2.25,3.0\r\n",
        "0.5,-1\r2.25,3.0",
        "\u{feff}0.5,-1\n2.25,3.0",
        "\u{feff}a,b\n0.5,-1\n2.25,3.0",
        "\"0.5\",\"-1\"\n\"2.25\",\"3.0\"\n",
        "\"a, b\",\"say \"\"c\"\"\"\n0.5,-1\n2.25,3.0",
        "# a b\n0.5 -1\n# a remark\n2.25 3.0\n",
        "\n\n0.5,-1\n\n2.25,3.0\n\n\n",
        "0.5,-1,\n2.25,3.0,\n",
        "a,b\n0.5,-1,\n2.25,3.0,\n",
        "a,b,\n0.5,-1,\n2.25,3.0,\n",
        "sep=;\r\na;b\r\n0.5;-1\r\n2.25;3.0\r\n",
        "\"a\" \"b\"\n\"0.5\" \"-1\"\n2.25 3.0\n",
    ] {
        is(text, [2, 2], &X[..4]);
        assert_eq!(rows(text).remarks.len(), 0, "{text:?}");
    }
}

#[test]
fn a_header_of_column_numbers_is_one_where_it_can_be_nothing_else() {
    for text in [
        // to_csv(index=False) of reals: points everywhere below.
        "0,1\n0.5,-1.0\n2.25,3.0\n",
        "0\t1\n0.5\t-1.0\n2.25\t3.0\n",
        // to_csv(): an index without a name.
        ",0,1\n0,0.5,-1.0\n1,2.25,3.0\n",
        "Unnamed: 0,0,1\n7,0.5,-1\n3,2.25,3\n",
    ] {
        is(text, [2, 2], &X[..4]);
        assert_eq!(rows(text).remarks.len(), 1, "{text:?}");
    }
    is("0\n0.5\n-1.0\n", [2, 1], &X[..2]);
    is("0,1,2\n1,0,0\n0,0,1\n", [2, 3], &[1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    is("0,1,label\n0.5,-1,2\n2.25,3,1", [2, 3], &[0.5, -1.0, 2.0, 2.25, 3.0, 1.0]);
    let wide: Vec<String> = (0..20).map(|column| column.to_string()).collect();
    let ones = vec!["1"; 20].join(",");
    is(&format!("{}\n{ones}\n{ones}\n", wide.join(",")), [2, 20], &[1.0; 40]);

    // Examples: one row, one column, one-hot targets, reals written by hand next to whole numbers.
    is("0,1,2\n", [1, 3], &[0.0, 1.0, 2.0]);
    is("0\n0\n1\n", [3, 1], &[0.0, 0.0, 1.0]);
    assert!(rows("0\n0\n1\n").starts_with_numbering && !rows("1\n0\n").starts_with_numbering);
    is("0,1\n1,0\n", [2, 2], &[0.0, 1.0, 1.0, 0.0]);
    is("0,1\n0.5,2\n1,3\n", [3, 2], &[0.0, 1.0, 0.5, 2.0, 1.0, 3.0]);
    is("0,1.0\n0.5,2.0\n", [2, 2], &[0.0, 1.0, 0.5, 2.0]);

    for unclear in ["0,1,2\n3,4,5\n", "0,1\n5,7\n", "0,1,2\n1,0.5,0.25\n2,1.5,1.25\n"] {
        refuses(unclear.as_bytes(), "a header of column numbers (pandas writes it) or an example");
    }
}

#[test]
fn an_index_is_left_out_and_said() {
    for text in [
        ",a,b\n0,0.5,-1\n1,2.25,3\n",
        ",a,b\n17,0.5,-1\n4,2.25,3\n",
        "\ta\tb\n0\t0.5\t-1\n1\t2.25\t3\n",
        "\"\",\"a\",\"b\"\n\"1\",0.5,-1\n\"2\",2.25,3\n",
        ",a,b\nfirst,0.5,-1\n2020-01-01,2.25,3\n",
        "id,a,b\n0,0.5,-1\n1,2.25,3\n",
        "index;a;b\n1;0.5;-1\n2;2.25;3\n",
    ] {
        is(text, [2, 2], &X[..4]);
        let remarks = rows(text).remarks;
        assert!(remarks.len() == 1 && remarks[0].contains("left out"), "{text:?}: {remarks:?}");
    }
    // A named feature may count.
    is("t,b\n0,0.5\n1,2.25\n2,3.0", [3, 2], &[0.0, 0.5, 1.0, 2.25, 2.0, 3.0]);
    is("id,b\n5,0.5\n1,2.25\n", [2, 2], &[5.0, 0.5, 1.0, 2.25]);
    refuses(b"0,0.5\n1,2.25\n2,3.5\n", "counts the rows from 0 to 2");
    refuses(b",a\n0.5,2\n1.5,3\n", "line 2 has \"0.5\" there");
}

#[test]
fn what_is_missing_is_named_by_row_and_column() {
    for (text, words) in [
        ("NA,NA\n1,2\n", "row 1 (line 1), column 1 is missing (\"NA\")"),
        ("a,b\n1,\n3,4\n", "row 1 (line 2), column 2 is missing (\"\")"),
        ("1,2\n,4\n", "row 2 (line 2), column 1"),
        ("1,2,\n3,4,5\n", "row 1 (line 1), column 3"),
        ("1;2\n3;null\n", "row 2 (line 2), column 2"),
        ("1,2\n#N/A,3\n", "row 2 (line 2), column 1 is missing (\"#N/A\")"),
        ("1\n\"\"\n2\n", "row 2 (line 2), column 1"),
        ("1\t2\n\t4\n", "row 2 (line 2), column 1"),
        ("1,2\n,,\n", "row 2 (line 2), column 1"),
        ("1\n\n2\n", "line 2 is empty and the file has one column"),
    ] {
        refuses(text.as_bytes(), words);
    }
}

#[test]
fn what_is_no_table_of_numbers_is_refused_in_words() {
    for (text, words) in [
        (&b"1,2\n3\n"[..], "line 2 has 1 numbers, the lines before it 2"),
        (b"1,2\n3,x\n", "line 2: \"x\" is not a number"),
        (b"1 2\n3\n", "line 2 has 1 numbers, the lines before it 2"),
        (b"0,5;1,25\n", "\"0,5\" is not a number; write decimals with a point"),
        (b"50%,20%\n", "\"50%\" is not a number"),
        (b"True,False\n", "\"True\" is not a number; write 1 and 0"),
        (b"1,x,3\n4,5,6\n", "line 1: \"x\" is not a number"),
        (b"0,5;1,25\n2,5;3,25\n", "\"0,5\" is not a number; write decimals with a point"),
        (b"0,5\t1\n2,5\t3\n", "write decimals with a point"),
        (b"\"0,5\",\"1,25\"\n\"2,5\",\"3,25\"\n", "write decimals with a point"),
        (b"a,b\nTrue,False\n", "\"True\" is not a number; write 1 and 0"),
        (b"a,b\nm,s\n1,2\n", "line 2: \"m\" is not a number"),
        (b"a b\n1 0.5 2\n", "write the rows without names"),
        (b"1,\"2\n3,4\n", "line 1 has a quote that is not closed"),
        (b"1,\x1b[31m\n", "\"\\u{1b}[31m\" is not a number"),
        (b"\xff\xfe1\0,\x002\0", "UTF-16"),
        (b"\x93NUMPY\x01\0", "a .npy array"),
        (b"PK\x03\x04", "a zip archive"),
        (b"1,2\0\n", "zero bytes"),
    ] {
        refuses(text, words);
    }
    for nothing in ["", "\n\n", "a,b\n", "# 1,2\n", "1.5e,2x\n"] {
        assert_eq!(rows(nothing).rows, 0, "{nothing:?}");
    }
}

#[test]
fn any_bytes_are_read_or_refused() {
    use rand::RngExt;
    let mut random = crate::stream(7, "test.tables");
    let parts = [
        ",", ";", "\t", " ", "\n", "\r\n", "\"", "#", "1", "0", "-2.5e3", "NA", "", "a", "0,1,2\n", "\u{feff}", "|",
        "\0", "nan",
    ];
    for _ in 0..20_000 {
        let text: String =
            (0..random.random_range(0..30)).map(|_| parts[random.random_range(0..parts.len())]).collect();
        if let Ok(table) = read(text.as_bytes()) {
            assert_eq!(table.values.len(), table.rows * table.columns, "{text:?}");
        }
    }
}

#[test]
fn the_size_is_known_before_the_numbers_are_and_never_too_small() {
    for (text, rows, numbers) in [
        ("", 0, 0),
        ("1,2\n3,4\n", 2, 4),
        ("a; b\r\n1; -2.5e-3\r\n\r\n3;\t4", 3, 6),
        ("# a remark\n1 2 3\n", 2, 6),
        ("7", 1, 1),
    ] {
        assert_eq!(size(text.as_bytes()).unwrap(), TextSize { rows, numbers }, "{text:?}");
        let table = read(text.as_bytes()).unwrap();
        assert!(table.values.len() <= numbers && table.rows <= rows, "{text:?}");
        // A buffer of one byte ends inside every number.
        let slowly = std::io::BufReader::with_capacity(1, text.as_bytes());
        assert_eq!(size(slowly).unwrap(), TextSize { rows, numbers }, "{text:?}");
    }
}
