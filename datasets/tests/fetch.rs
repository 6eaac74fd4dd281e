//! Downloads from local servers that misbehave in every way the downloader must survive.
//! The file is long because it is a list of ways in which a server misbehaves.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod local_server;

use local_server::{Answer, serve};
use std::fs;
use std::time::{Duration, Instant};
use widthwise_datasets::FetchError;
use widthwise_datasets::catalog::{CatalogEntry, DataFile, DownloadFile, MNIST};
use widthwise_datasets::checksum::{Checksum, checksum_of};
use widthwise_datasets::fetch::{FetchOptions, Progress, fetch};

/// What counts as a stall in these tests, well below the local server's silence.
const STALL: Duration = Duration::from_millis(300);

fn content() -> Vec<u8> {
    (0..200_000_u32).map(|index| (index.wrapping_mul(index) >> 7) as u8).collect()
}

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

fn md5(content: &[u8]) -> Option<Checksum> {
    let hex = checksum_of(content, Checksum::Md5("")).unwrap();
    Some(Checksum::Md5(leak(hex)))
}

/// A data set of one plain file.
fn entry(content: &[u8]) -> CatalogEntry {
    let file = DataFile { name: "file.bin", bytes: content.len() as u64, checksum: md5(content) };
    let download = DownloadFile {
        name: "file.bin",
        bytes: Some(content.len() as u64),
        checksum: md5(content),
        mirrors: &[],
        archive: false,
    };
    CatalogEntry { id: "sample", files: leak([file]), downloads: leak([download]), ..MNIST }
}

fn options(mirrors: &[&str]) -> FetchOptions {
    FetchOptions {
        mirrors: Some(mirrors.iter().map(|&mirror| mirror.to_owned()).collect()),
        connect_timeout: Duration::from_secs(5),
        stall_timeout: STALL,
        least_rate: 10_000,
        attempts: 2,
        pause: Duration::ZERO,
        use_proxy: false,
    }
}

/// Fetches into a fresh folder that holds `kept` bytes of an earlier try.
fn fetch_after(entry: &CatalogEntry, kept: &[u8], mirrors: &[&str]) -> (Result<Vec<u8>, FetchError>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("sample")).unwrap();
    if !kept.is_empty() {
        fs::write(folder.path().join("sample/file.bin.part"), kept).unwrap();
    }
    let mut events = Vec::new();
    let result = fetch(entry, folder.path(), &options(mirrors), &mut |progress| match progress {
        Progress::Started { resumed_from, .. } => events.push(format!("started at {resumed_from}")),
        Progress::Failed { reason, .. } => events.push(format!("failed: {reason}")),
        Progress::Finished { verified, .. } => events.push(format!("finished, verified {verified}")),
        _ => {}
    });
    let result = result.map(|paths| {
        assert_eq!(paths, [folder.path().join("sample/file.bin")]);
        assert!(!folder.path().join("sample/file.bin.part").exists());
        fs::read(&paths[0]).unwrap()
    });
    if result.is_err() {
        assert!(!folder.path().join("sample/file.bin").exists(), "a file that failed must not get its name");
    }
    (result, events)
}

fn failures(result: Result<Vec<u8>, FetchError>) -> (Vec<String>, u64) {
    match result {
        Err(FetchError::AllMirrorsFailed { failures, kept, .. }) => {
            (failures.into_iter().map(|failure| failure.reason).collect(), kept)
        }
        other => panic!("expected all mirrors to fail, found {other:?}"),
    }
}

#[test]
fn a_good_server_delivers_with_progress_that_ends_at_the_size() {
    let content = content();
    let (address, _) = serve(&content, &[Answer::Good]);
    let folder = tempfile::tempdir().unwrap();
    let mut positions = Vec::new();
    let paths = fetch(&entry(&content), folder.path(), &options(&[&address]), &mut |progress| {
        if let Progress::Advanced { done, total, .. } = progress {
            assert_eq!(total, Some(content.len() as u64));
            positions.push(done);
        }
    })
    .unwrap();
    assert_eq!(fs::read(&paths[0]).unwrap(), content);
    assert!(positions.is_sorted());
    assert_eq!(positions.last(), Some(&(content.len() as u64)));
}

#[test]
fn a_file_that_is_there_is_not_asked_for_again() {
    let content = content();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("sample")).unwrap();
    fs::write(folder.path().join("sample/file.bin"), &content).unwrap();
    let mut present = 0;
    fetch(&entry(&content), folder.path(), &options(&["http://127.0.0.1:9/"]), &mut |progress| {
        present += usize::from(matches!(progress, Progress::Present { .. }));
    })
    .unwrap();
    assert_eq!(present, 1);
    // Also behind a damaged twin, which is read first.
    let place = |name: &str| folder.path().join("sample").join(name);
    fs::rename(place("file.bin"), place("file.bin.gz")).unwrap();
    fs::write(place("file.bin"), &content[..1000]).unwrap();
    let paths = fetch(&entry(&content), folder.path(), &options(&["http://127.0.0.1:9/"]), &mut |_| {}).unwrap();
    assert_eq!(paths, [place("file.bin.gz")]);
    assert_eq!(fs::read(place("file.bin.other")).unwrap(), content[..1000]);
}

#[test]
fn a_partial_file_is_continued_by_range() {
    let content = content();
    let (address, ranges) = serve(&content, &[Answer::Good]);
    let (result, events) = fetch_after(&entry(&content), &content[..70_000], &[&address]);
    assert_eq!(result.unwrap(), content);
    assert_eq!(ranges.recv().unwrap(), Some(70_000));
    assert_eq!(events, ["started at 70000", "finished, verified true"]);
}

#[test]
fn a_server_that_ignores_ranges_makes_it_start_again() {
    let content = content();
    let (address, ranges) = serve(&content, &[Answer::IgnoreRange]);
    let (result, events) = fetch_after(&entry(&content), &content[..70_000], &[&address]);
    assert_eq!(result.unwrap(), content);
    assert_eq!(ranges.recv().unwrap(), Some(70_000));
    assert_eq!(events[0], "started at 0");
}

#[test]
fn a_complete_partial_file_needs_no_server() {
    let content = content();
    let (result, _) = fetch_after(&entry(&content), &content, &["http://127.0.0.1:9/"]);
    assert_eq!(result.unwrap(), content);
}

#[test]
fn a_partial_file_of_other_bytes_is_found_out_and_replaced() {
    let content = content();
    let (address, ranges) = serve(&content, &[Answer::Good]);
    let (result, events) = fetch_after(&entry(&content), &[7; 70_000], &[&address]);
    assert_eq!(result.unwrap(), content);
    assert_eq!([ranges.recv().unwrap(), ranges.recv().unwrap()], [Some(70_000), None]);
    assert!(events[1].contains("checksum"), "{events:?}");
}

#[test]
fn a_partial_file_longer_than_the_whole_is_dropped() {
    let content = content();
    let (address, ranges) = serve(&content, &[Answer::Good]);
    let (result, _) = fetch_after(&entry(&content), &[7; 300_000], &[&address]);
    assert_eq!(result.unwrap(), content);
    assert_eq!(ranges.recv().unwrap(), None);
}

#[test]
fn a_500_is_tried_again_and_then_the_next_mirror() {
    let content = content();
    let (bad, bad_requests) = serve(&content, &[Answer::Status(500)]);
    let (good, _) = serve(&content, &[Answer::Good]);
    let (result, events) = fetch_after(&entry(&content), &[], &[&bad, &good]);
    assert_eq!(result.unwrap(), content);
    assert_eq!(bad_requests.try_iter().count(), 2);
    assert!(events[0].contains("500"), "{events:?}");
}

#[test]
fn a_404_goes_to_the_next_mirror_at_once() {
    let content = content();
    let (bad, bad_requests) = serve(&content, &[Answer::Status(404)]);
    let (good, _) = serve(&content, &[Answer::Good]);
    let (result, _) = fetch_after(&entry(&content), &[], &[&bad, &good]);
    assert_eq!(result.unwrap(), content);
    assert_eq!(bad_requests.try_iter().count(), 1);
}

#[test]
fn a_truncated_body_is_continued_where_it_stopped() {
    let content = content();
    let (address, ranges) = serve(&content, &[Answer::Truncated(50_000), Answer::Truncated(50_000), Answer::Good]);
    let (result, events) = fetch_after(&entry(&content), &[], &[&address]);
    assert_eq!(result.unwrap(), content, "{events:?}");
    let ranges: Vec<_> = (0..3).map(|_| ranges.recv().unwrap()).collect();
    assert_eq!(ranges, [None, Some(50_000), Some(100_000)]);
}

#[test]
fn a_server_that_never_gets_further_is_given_up_with_the_bytes_kept() {
    let content = content();
    let (address, _) = serve(&content, &[Answer::Truncated(50_000), Answer::Truncated(0)]);
    let (result, _) = fetch_after(&entry(&content), &[], &[&address]);
    let (reasons, kept) = failures(result);
    assert!(reasons[0].contains("50000 of 200000"), "{reasons:?}");
    assert_eq!(kept, 50_000);
}

#[test]
fn a_stalled_server_is_left_in_time_and_the_next_mirror_continues() {
    let content = content();
    let (bad, _) = serve(&content, &[Answer::Stalled(60_000), Answer::Stalled(0)]);
    let (good, ranges) = serve(&content, &[Answer::Good]);
    let started = Instant::now();
    let (result, events) = fetch_after(&entry(&content), &[], &[&bad, &good]);
    assert_eq!(result.unwrap(), content, "{events:?}");
    assert_eq!(ranges.recv().unwrap(), Some(60_000));
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
}

#[test]
fn a_server_that_drips_is_left_in_time_and_its_bytes_are_kept() {
    let content = content();
    let (slow, _) = serve(&content, &[Answer::Dripping(Duration::from_millis(5))]);
    let (good, ranges) = serve(&content, &[Answer::Good]);
    let started = Instant::now();
    let (result, events) = fetch_after(&entry(&content), &[], &[&slow, &good]);
    assert_eq!(result.unwrap(), content, "{events:?}");
    assert!(events[1].contains("too slow"), "{events:?}");
    // A byte every 5 ms for at least one stall timeout, and far from the 200,000 that would take 1,000 s.
    assert!(ranges.recv().unwrap().is_some_and(|kept| (1..1000).contains(&kept)), "{events:?}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    let (slow, _) = serve(&content, &[Answer::Dripping(Duration::from_millis(5))]);
    let (reasons, kept) = failures(fetch_after(&entry(&content), &[], &[&slow]).0);
    assert!(reasons[0].contains("too slow") && kept > 0, "{reasons:?}");
}

#[test]
fn a_server_that_closes_after_a_few_bytes_each_time_is_left() {
    let content = content();
    let (address, requests) = serve(&content, &[Answer::Truncated(10)]);
    let (reasons, kept) = failures(fetch_after(&entry(&content), &[], &[&address]).0);
    assert!(reasons[0].contains("of 200000 bytes"), "{reasons:?}");
    assert_eq!((requests.try_iter().count(), kept), (2, 20));
}

#[test]
fn redirections_to_other_hosts_are_not_followed() {
    let content = content();
    for (status, to, why) in [
        (301, "https://elsewhere.example/file.bin", "another host"),
        (302, "http://localhost:9/file.bin", "another host"),
        (307, "http://127.0.0.1:9/file.bin", "another host"),
        (308, "file:///etc/passwd", "not followed"),
        (302, "", "not followed"),
    ] {
        let (bad, requests) = serve(&content, &[Answer::Redirect(status, to)]);
        let (good, _) = serve(&content, &[Answer::Good]);
        let (result, events) = fetch_after(&entry(&content), &[], &[&bad, &good]);
        assert_eq!(result.unwrap(), content);
        assert!(events[0].contains(why), "{to}: {events:?}");
        assert_eq!(requests.try_iter().count(), 1);
    }
    let (around, _) = serve(&content, &[Answer::Redirect(302, "/there/file.bin"), Answer::Good]);
    assert_eq!(fetch_after(&entry(&content), &[], &[&around]).0.unwrap(), content);
    let (circle, requests) = serve(&content, &[Answer::Redirect(302, "/file.bin")]);
    let (reasons, _) = failures(fetch_after(&entry(&content), &[], &[&circle]).0);
    assert!(reasons[0].contains("more than 5 times"), "{reasons:?}");
    assert_eq!(requests.try_iter().count(), 6);
}

#[test]
fn what_lies_under_the_name_of_a_download_is_kept_under_another() {
    let content = content();
    let (address, _) = serve(&content, &[Answer::Good]);
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join("sample").join(name);
    fs::create_dir_all(place("")).unwrap();
    for (name, text) in [("file.bin", "mine"), ("file.bin.gz", "mine too"), ("file.bin.other", "older")] {
        fs::write(place(name), text).unwrap();
    }
    let mut moved = 0;
    let paths = fetch(&entry(&content), folder.path(), &options(&[&address]), &mut |progress| {
        moved += usize::from(matches!(progress, Progress::SetAside { .. }));
    });
    assert_eq!(fs::read(&paths.unwrap()[0]).unwrap(), content);
    let text = |name: &str| fs::read_to_string(place(name)).unwrap();
    assert_eq!(
        [text("file.bin.other"), text("file.bin.other2"), text("file.bin.gz.other")],
        ["older", "mine", "mine too"]
    );
    assert_eq!(moved, 2);
}

#[test]
fn wrong_bytes_go_to_the_next_mirror_and_leave_nothing() {
    let content = content();
    let (bad, bad_requests) = serve(&content, &[Answer::WrongBytes]);
    let (good, ranges) = serve(&content, &[Answer::Good]);
    let (result, _) = fetch_after(&entry(&content), &[], &[&bad, &good]);
    assert_eq!(result.unwrap(), content);
    assert_eq!(bad_requests.try_iter().count(), 1);
    assert_eq!(ranges.recv().unwrap(), None);

    let (bad, _) = serve(&content, &[Answer::WrongBytes]);
    let (reasons, kept) = failures(fetch_after(&entry(&content), &[], &[&bad]).0);
    assert!(reasons[0].contains(entry(&content).files[0].checksum.unwrap().hex()), "{reasons:?}");
    assert_eq!(kept, 0);
}

#[test]
fn another_size_than_the_catalogs_is_refused() {
    let content = content();
    let (address, _) = serve(&content, &[Answer::TooLong]);
    let (reasons, _) = failures(fetch_after(&entry(&content), &[], &[&address]).0);
    assert!(reasons[0].contains("200005 bytes instead of 200000"), "{reasons:?}");
}

#[test]
fn a_body_without_length_that_ends_early_is_found_out() {
    let content = content();
    let (address, _) = serve(&content, &[Answer::NoLength(50_000), Answer::Good]);
    let (result, _) = fetch_after(&entry(&content), &[], &[&address]);
    assert_eq!(result.unwrap(), content);
}

#[test]
fn the_error_names_every_mirror_with_its_reason() {
    let content = content();
    let (first, _) = serve(&content, &[Answer::Status(404)]);
    let (second, _) = serve(&content, &[Answer::WrongBytes]);
    let folder = tempfile::tempdir().unwrap();
    let error =
        fetch(&entry(&content), folder.path(), &options(&[&first, &second, "http://127.0.0.1:9/"]), &mut |_| {})
            .unwrap_err();
    let message = error.to_string();
    for part in ["404", "checksum", "http://127.0.0.1:9/file.bin", "data import"] {
        assert!(message.contains(part), "{message} lacks {part}");
    }
}

#[test]
fn two_downloads_of_one_file_exclude_each_other() {
    let content = content();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("sample")).unwrap();
    let part = fs::File::create(folder.path().join("sample/file.bin.part")).unwrap();
    part.lock().unwrap();
    let error = fetch(&entry(&content), folder.path(), &options(&["http://127.0.0.1:9/"]), &mut |_| {}).unwrap_err();
    assert!(matches!(error, FetchError::Busy { .. }), "{error}");
}

/// A gzipped tar archive with these members.
fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, data) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *data).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

fn archive_entry(files: &[(&'static str, &[u8])], archive: &[u8]) -> CatalogEntry {
    let files: Vec<DataFile> =
        files.iter().map(|&(name, data)| DataFile { name, bytes: data.len() as u64, checksum: md5(data) }).collect();
    let download =
        DownloadFile { name: "all.tar.gz", bytes: None, checksum: md5(archive), mirrors: &[], archive: true };
    CatalogEntry { id: "sample", files: leak(files), downloads: leak([download]), ..MNIST }
}

#[test]
fn an_archive_is_unpacked_to_the_known_names_only() {
    let bytes = archive(&[("folder/readme.html", b"no"), ("folder/one.bin", b"first"), ("folder/two.bin", b"second")]);
    let (address, _) = serve(&bytes, &[Answer::Good]);
    let folder = tempfile::tempdir().unwrap();
    let entry = archive_entry(&[("one.bin", b"first"), ("two.bin", b"second")], &bytes);
    let paths = fetch(&entry, folder.path(), &options(&[&address]), &mut |_| {}).unwrap();
    let contents: Vec<_> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    assert_eq!(contents, [&b"first"[..], b"second"]);
    assert_eq!(
        fs::read_dir(folder.path().join("sample")).unwrap().count(),
        2,
        "neither archive nor other members stay"
    );
}

#[test]
fn an_archive_with_wrong_or_missing_members_is_refused() {
    for (members, problem) in [
        (&[("one.bin", &b"first"[..])][..], "lacks two.bin"),
        (&[("one.bin", b"first"), ("two.bin", b"secund")], "checksum"),
        (&[("one.bin", b"first"), ("two.bin", b"longer than it")], "14 bytes instead of 6"),
    ] {
        let bytes = archive(members);
        let (address, _) = serve(&bytes, &[Answer::Good]);
        let folder = tempfile::tempdir().unwrap();
        let entry = archive_entry(&[("one.bin", b"first"), ("two.bin", b"second")], &bytes);
        let error = fetch(&entry, folder.path(), &options(&[&address]), &mut |_| {}).unwrap_err();
        assert!(error.to_string().contains(problem), "{error}");
        assert!(!folder.path().join("sample/two.bin").exists());
    }
}
