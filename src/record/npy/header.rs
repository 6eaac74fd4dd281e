//! The header of a `.npy` file, doubted before anything that it claims is allocated.

use std::io::Read;

use burn::tensor::f16;
use npyz::{DType, NpyHeader, Order};

/// Bytes of the longest header read; numpy itself stops at 10,000 characters unless told otherwise.
const LONGEST: u64 = 1 << 16;
/// Brackets within brackets that a header of numbers may have; more only exhausts the stack of a parser.
const DEEPEST: usize = 8;

/// What a file says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Sizes of the dimensions.
    pub shape: Vec<usize>,
    /// Product of the dimensions.
    pub count: usize,
    /// Kind of the numbers.
    pub number: NumberFormat,
    /// Whether the first dimension runs fastest.
    pub is_fortran: bool,
    /// Bytes before the first number.
    pub start: u64,
}

impl Header {
    /// Reads the header of a file of `length` bytes.
    ///
    /// # Errors
    /// In words: no `.npy` file, another kind of values, or more of them than the file can hold.
    pub fn read(mut source: impl Read, length: u64) -> Result<Self, String> {
        let mut bytes = Vec::new();
        let mut more = |bytes: &mut Vec<u8>, count: u64| -> Result<(), String> {
            let wanted = bytes.len() as u64 + count;
            source.by_ref().take(count).read_to_end(bytes).map_err(|error| error.to_string())?;
            if bytes.len() as u64 == wanted { Ok(()) } else { Err("it ends inside its header".to_owned()) }
        };
        more(&mut bytes, 8)?;
        if !bytes.starts_with(b"\x93NUMPY") {
            return Err("it does not start as a .npy file does".to_owned());
        }
        let field = match bytes[6] {
            1 => 2,
            2 | 3 => 4,
            version => return Err(format!("it has version {version} of the format, and 1 to 3 are known")),
        };
        more(&mut bytes, field)?;
        let claimed = bytes[8..].iter().rev().fold(0, |size, byte| size << 8 | u64::from(*byte));
        let start = bytes.len() as u64 + claimed;
        if start > length {
            return Err(format!("the header claims a length of {claimed} bytes but the file has {length}"));
        }
        if claimed > LONGEST {
            return Err(format!("the header claims a length of {claimed} bytes, and at most {LONGEST} are read"));
        }
        more(&mut bytes, claimed)?;
        if depth(&bytes[8 + field as usize..]) > DEEPEST {
            return Err("the header has too many brackets".to_owned());
        }
        let header = NpyHeader::from_reader(bytes.as_slice()).map_err(|error| error.to_string())?;
        let number = NumberFormat::of(&header.dtype())?;
        let too_large =
            || format!("the header claims {} numbers but the file has {length} bytes", times(header.shape()));
        let shape: Option<Vec<usize>> = header.shape().iter().map(|&size| usize::try_from(size).ok()).collect();
        let shape = shape.ok_or_else(too_large)?;
        let count = if shape.contains(&0) {
            Some(0)
        } else {
            shape.iter().try_fold(1, |count: usize, size| count.checked_mul(*size))
        };
        let whole =
            |count: &usize| (*count as u64).checked_mul(number.bytes as u64).is_some_and(|n| n <= length - start);
        let count = count.filter(whole).ok_or_else(too_large)?;
        Ok(Self { shape, count, number, is_fortran: header.order() == Order::Fortran, start })
    }
}

fn times(shape: &[u64]) -> String {
    shape.iter().map(u64::to_string).collect::<Vec<_>>().join(" x ")
}

/// Brackets around the innermost part of a text.
fn depth(text: &[u8]) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for byte in text {
        match byte {
            b'(' | b'[' | b'{' => now += 1,
            b')' | b']' | b'}' => now = now.saturating_sub(1),
            _ => {}
        }
        most = most.max(now);
    }
    most
}

/// How a number is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberFormat {
    /// Family.
    pub family: NumberFamily,
    /// Bytes of one.
    pub bytes: usize,
    /// Whether the most significant byte comes first.
    pub is_big_endian: bool,
}

/// What numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberFamily {
    /// False and true, as 0 and 1.
    Boolean,
    /// Integers with a sign.
    Signed,
    /// Integers without.
    Unsigned,
    /// Floating point.
    Float,
}

impl NumberFormat {
    fn of(dtype: &DType) -> Result<Self, String> {
        let refuse = || Err(format!("found values of the kind {}", dtype.descr()));
        let DType::Plain(name) = dtype else { return refuse() };
        let name = name.to_string();
        let mut characters = name.chars();
        let (order, family) = (characters.next(), characters.next());
        let (family, sizes) = match family {
            Some('b') => (NumberFamily::Boolean, &[1][..]),
            Some('i') => (NumberFamily::Signed, &[1, 2, 4, 8][..]),
            Some('u') => (NumberFamily::Unsigned, &[1, 2, 4, 8][..]),
            Some('f') => (NumberFamily::Float, &[2, 4, 8][..]),
            _ => return refuse(),
        };
        match characters.as_str().parse() {
            Ok(bytes) if sizes.contains(&bytes) => Ok(Self { family, bytes, is_big_endian: order == Some('>') }),
            _ => refuse(),
        }
    }

    /// The numbers in `bytes`, rounded to double precision where they are longer.
    pub fn decode(self, bytes: &[u8]) -> impl Iterator<Item = f64> {
        bytes.chunks_exact(self.bytes).map(move |number| {
            // Most significant byte first, extended by the sign where there is one.
            let at = |index: usize| if self.is_big_endian { number[index] } else { number[self.bytes - 1 - index] };
            let bits = (0..self.bytes).fold(0_u64, |bits, index| bits << 8 | u64::from(at(index)));
            let unused = 64 - 8 * self.bytes;
            match (self.family, self.bytes) {
                (NumberFamily::Boolean, _) => f64::from(u8::from(bits != 0)),
                (NumberFamily::Unsigned, _) => bits as f64,
                (NumberFamily::Signed, _) => (((bits << unused) as i64) >> unused) as f64,
                (NumberFamily::Float, 2) => f16::from_bits(bits as u16).to_f64(),
                (NumberFamily::Float, 4) => f64::from(f32::from_bits(bits as u32)),
                (NumberFamily::Float, _) => f64::from_bits(bits),
            }
        })
    }
}
