use super::*;

fn text(graph: &Graph, id: Id) -> String {
    match graph.value(id) {
        Value::List(items) => {
            format!("[{}]", items.iter().map(|id| text(graph, *id)).collect::<Vec<_>>().join(" "))
        }
        Value::Dict(entries) => {
            let entry = |(key, value): &(Id, Id)| format!("{}:{}", text(graph, *key), text(graph, *value));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(" "))
        }
        Value::Text(text) => text.clone(),
        Value::Whole(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}

#[test]
fn every_protocol_of_python_is_read() {
    // pickle.dumps({'b': [1, -2], 'a': (300, 70000, 2**40)}, protocol) of CPython 3.11.
    let protocols: [&[u8]; 4] = [
        b"(dp0\nVb\np1\n(lp2\nI1\naI-2\nasVa\np3\n(I300\nI70000\nL1099511627776L\ntp4\ns.",
        b"}q\x00(X\x01\x00\x00\x00bq\x01]q\x02(K\x01J\xfe\xff\xff\xffeX\x01\x00\x00\x00aq\x03(M,\x01Jp\x11\x01\x00L1099511627776L\ntq\x04u.",
        b"\x80\x02}q\x00(X\x01\x00\x00\x00bq\x01]q\x02(K\x01J\xfe\xff\xff\xffeX\x01\x00\x00\x00aq\x03M,\x01Jp\x11\x01\x00\x8a\x06\x00\x00\x00\x00\x00\x01\x87q\x04u.",
        b"\x80\x04\x95)\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01b\x94]\x94(K\x01J\xfe\xff\xff\xffe\x8c\x01a\x94M,\x01Jp\x11\x01\x00\x8a\x06\x00\x00\x00\x00\x00\x01\x87\x94u.",
    ];
    for pickle in protocols {
        let graph = Graph::read(pickle).unwrap();
        assert_eq!(text(&graph, graph.root), "{b:[1 -2] a:[300 70000 1099511627776]}");
        assert_eq!(graph.length, pickle.len());
        // Cut anywhere it is refused, and nothing panics.
        (0..pickle.len()).for_each(|end| assert!(Graph::read(&pickle[..end]).is_err(), "{end}"));
    }
}

#[test]
fn what_is_shared_is_shared_and_depth_costs_nothing() {
    let graph = Graph::read(b"\x80\x02]q\x00(h\x00h\x00e.").unwrap();
    assert_eq!(graph.list(graph.root), Some(&[graph.root, graph.root][..]));
    // A hundred thousand lists, each the only item of the one before it.
    let deep = [vec![b']'; 100_000], vec![b'a'; 99_999], vec![b'.']].concat();
    assert_eq!(Graph::read(&deep).unwrap().values.len(), 100_000);
    let many = [vec![b'N'; MOST_VALUES + 1], vec![b'.']].concat();
    assert!(matches!(Graph::read(&many), Err(PickleError::TooMany)));
}

#[test]
fn numbers_are_twos_complement() {
    for (bytes, number) in [(&[][..], 0), (&[0xff], -1), (&[0x80], -128), (&[0x00, 0x80], -32768), (&[0x7f], 127)] {
        assert_eq!(Value::signed(bytes), Value::Whole(number));
    }
    // Longer than need be, and too long.
    assert_eq!(Value::signed(&[0x30, 0x75, 0, 0, 0, 0, 0, 0, 0]), Value::Whole(30_000));
    assert_eq!(Value::signed(&[0xff; 12]), Value::Whole(-1));
    assert_eq!(Value::signed(&[1; 9]), Value::Other);
    assert_eq!(Value::signed(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]), Value::Other);
}
