//! `SHA256SUMS`: the checksum of every file of a bundle, a line each, in the order of their names.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{BundleDescription, MATRICES, NEEDED, OPTIONAL, OUTPUTS, data, is_bundled};
use crate::error::{At, Error, OrDamaged, Result, ensure};
use crate::record::checkpoint::hex;

/// Name of the file.
pub(super) const FILE: &str = "SHA256SUMS";

/// Checksums by path within the bundle.
pub(super) type Checksums = BTreeMap<String, String>;

/// The text of the file.
pub(super) fn text(sums: &Checksums) -> String {
    sums.iter().map(|(path, sum)| format!("{sum}  {path}\n")).collect()
}

fn parse(text: &str) -> Option<Checksums> {
    let line = |line: &str| {
        let (sum, path) = line.split_once("  ")?;
        let is_sum = sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase());
        (is_sum && is_bundled(path)).then(|| (path.to_owned(), sum.to_owned()))
    };
    text.lines().map(line).collect()
}

/// SHA-256 of a file.
pub(super) fn of_file(path: &Path) -> Result<String> {
    let mut file = File::open(path).at("read", path)?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer).at("read", path)? {
            0 => return Ok(hex(&hasher.finalize())),
            read => hasher.update(&buffer[..read]),
        }
    }
}

pub(super) fn of_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The files of a bundle that lie in `folder`, by their path in it.
pub(super) fn files_in(folder: &Path) -> Result<Vec<String>> {
    let names = NEEDED.into_iter().chain(OPTIONAL).chain([BundleDescription::FILE]).map(str::to_owned);
    let mut found: Vec<String> = names.chain(data::FILES.map(str::to_owned)).collect();
    let members = folder.join("members");
    let entries = match fs::read_dir(&members) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        entries => Some(entries.at("read", &members)?),
    };
    for entry in entries.into_iter().flatten() {
        let member = entry.at("read", &members)?.file_name().to_string_lossy().into_owned();
        found.extend([OUTPUTS].iter().chain(&MATRICES).map(|file| format!("members/{member}/{file}")));
    }
    found.retain(|path| is_bundled(path) && folder.join(path).is_file());
    found.sort();
    Ok(found)
}

/// Holds the bundle that lies in `folder` against its checksums; it is called `shown` in messages.
pub(super) fn expect_whole(folder: &Path, shown: &Path) -> Result<()> {
    let shown = shown.display();
    let damaged = |what: &str| Error::damaged(format!("the bundle {shown} is damaged: {what}; copy it again"));
    let text = fs::read(folder.join(FILE))
        .or_damaged(|| format!("the bundle {shown} is damaged: it has no {FILE}; copy it again"))?;
    let sums = str::from_utf8(&text).ok().and_then(parse);
    let sums = sums.ok_or_else(|| damaged(&format!("{FILE} has a line that is no checksum of a file of a bundle")))?;
    for (path, registered) in &sums {
        let file = folder.join(path);
        ensure!(file.is_file(), damaged: "the bundle {shown} is damaged: {path} is missing; copy it again");
        let found = of_file(&file)?;
        ensure!(
            found == *registered,
            damaged: "the bundle {shown} is damaged: the SHA-256 of {path} is {found}, and {FILE} says {registered}; copy it again"
        );
    }
    for path in files_in(folder)? {
        ensure!(
            sums.contains_key(&path),
            damaged: "the bundle {shown} is damaged: it holds {path}, which is not in {FILE}; copy it again"
        );
    }
    for path in NEEDED {
        ensure!(sums.contains_key(path), damaged: "the bundle {shown} is damaged: {path} is missing; copy it again");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_written_as_sha256sum_does() {
        // FIPS 180-2, the digest of "abc".
        let sum = of_bytes(b"abc");
        assert_eq!(sum, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let sums = Checksums::from([("results.csv".to_owned(), sum.clone()), ("config.toml".to_owned(), sum.clone())]);
        assert_eq!(text(&sums), format!("{sum}  config.toml\n{sum}  results.csv\n"));
        assert_eq!(parse(&text(&sums)), Some(sums));
        for wrong in ["x  config.toml".to_owned(), format!("{sum} config.toml"), format!("{sum}  ../config.toml")] {
            assert_eq!(parse(&wrong), None, "{wrong}");
        }
    }
}
