//! Checksums of files, computed while reading.

use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;
use std::fmt;
use std::io::{self, Read};

/// A published checksum, in lower-case hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Checksum {
    /// MD5.
    Md5(&'static str),
    /// SHA-1.
    Sha1(&'static str),
    /// SHA-256.
    Sha256(&'static str),
}

impl Checksum {
    /// A hasher of the same kind.
    #[must_use]
    pub fn hasher(&self) -> Hasher {
        match self {
            Self::Md5(_) => Hasher::Md5(Md5::new()),
            Self::Sha1(_) => Hasher::Sha1(Sha1::new()),
            Self::Sha256(_) => Hasher::Sha256(Sha256::new()),
        }
    }

    /// The digits without the kind.
    #[must_use]
    pub fn hex(&self) -> &'static str {
        match self {
            Self::Md5(hex) | Self::Sha1(hex) | Self::Sha256(hex) => hex,
        }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Md5(_) => "MD5",
            Self::Sha1(_) => "SHA-1",
            Self::Sha256(_) => "SHA-256",
        };
        write!(f, "{kind} {}", self.hex())
    }
}

/// A running checksum.
#[derive(Debug, Clone)]
pub enum Hasher {
    /// MD5.
    Md5(Md5),
    /// SHA-1.
    Sha1(Sha1),
    /// SHA-256.
    Sha256(Sha256),
}

impl Hasher {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Md5(hasher) => hasher.update(bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
        }
    }

    /// The checksum of everything added, in lower-case hexadecimal.
    #[must_use]
    pub fn finish(self) -> String {
        match self {
            Self::Md5(hasher) => hex(&hasher.finalize()),
            Self::Sha1(hasher) => hex(&hasher.finalize()),
            Self::Sha256(hasher) => hex(&hasher.finalize()),
        }
    }
}

/// Checksum of all that `source` yields, of the same kind as `like`, in lower-case hexadecimal.
///
/// # Errors
/// Whatever reading `source` fails with.
pub fn checksum_of(mut source: impl Read, like: Checksum) -> io::Result<String> {
    let mut hasher = like.hasher();
    let mut chunk = vec![0_u8; 1 << 16];
    loop {
        match source.read(&mut chunk) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(count) => hasher.update(&chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Passes everything through and keeps the checksum of it.
#[derive(Debug)]
pub(crate) struct HashingReader<R> {
    inner: R,
    hasher: Option<Hasher>,
}

impl<R> HashingReader<R> {
    pub(crate) fn new(inner: R, like: Option<Checksum>) -> Self {
        Self { inner, hasher: like.map(|checksum| checksum.hasher()) }
    }

    pub(crate) fn finish(self) -> Option<String> {
        self.hasher.map(Hasher::finish)
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..count]);
        }
        Ok(count)
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::{Checksum, checksum_of};

    #[test]
    fn published_test_vectors() {
        // RFC 1321, RFC 3174 and FIPS 180-2 give the digest of "abc".
        for expected in [
            Checksum::Md5("900150983cd24fb0d6963f7d28e17f72"),
            Checksum::Sha1("a9993e364706816aba3e25717850c26c9cd0d89d"),
            Checksum::Sha256("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ] {
            assert_eq!(checksum_of(&b"abc"[..], expected).unwrap(), expected.hex());
        }
    }
}
