//! Reading the header of a GGUF file, version 2 or 3: what a model is, before any of it is loaded.
//!
//! ```text
//! "GGUF" | version u32 | tensor count u64 | entry count u64
//! entry:       key text | type u32 | value              text: length u64 | UTF-8 bytes
//! tensor:      name text | dimensions u32 | ne u64 … | type u32 | offset u64
//! ── padding to `general.alignment`, 32 when it is not said ──
//! tensor data: each tensor padded likewise; offsets count from here
//! ```
//!
//! All numbers are little-endian. The file is not trusted: a length is compared with what is left of the file before
//! anything is taken for it, and what is longer than any honest file needs is refused. Long texts and lists (the
//! vocabulary) are passed over. Stricter than llama.cpp nowhere but in these limits: what it would refuse for its
//! header is refused here with a sentence, without loading gigabytes first.

#[cfg(test)]
pub(crate) mod tests;

use std::{
    collections::HashSet,
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

/// No model we know has 4,000 tensors or 100 entries.
const TENSORS_MAX: u64 = 1 << 16;
const ENTRIES_MAX: u64 = 1 << 14;
const KEY_BYTES_MAX: u64 = 1 << 10;
/// llama.cpp's own limit: GGML_MAX_NAME with its zero.
const NAME_BYTES_MAX: u64 = 63;
const DIMENSIONS_MAX: u32 = 4;
/// Texts and lists up to here are kept: names, sizes of each layer. Longer ones are passed over.
const KEPT_MAX: u64 = 1 << 10;
const ALIGNMENT: u64 = 32;
const ALIGNMENT_MAX: u64 = 1 << 16;

#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    #[error("cannot be read")]
    Read(#[from] io::Error),
    #[error("not a GGUF file")]
    NotGguf,
    #[error("a GGUF file of version {0}, and only 2 and 3 are known")]
    Version(u32),
    #[error("ends before its header begins")]
    EndsAtOnce,
    #[error("ends in the middle of its header: {done} of {of} {what} described")]
    EndsInHeader { done: u64, of: u64, what: &'static str },
    #[error("its data ends {missing} bytes early: truncated download?")]
    EndsEarly { missing: u64 },
    #[error("its header is damaged: {0}")]
    Damaged(String),
}

/// What the header says; the tensors' data is not read, but it is there in full.
#[derive(Debug)]
pub struct Header {
    /// In the order of the file.
    pub entries: Vec<(String, Value)>,
    pub tensors: Vec<Tensor>,
    /// Where in the file each entry stands, its key included.
    spans: Vec<std::ops::Range<u64>>,
    /// Where in the file the tensors' data begins.
    pub data_start: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Integer(i128),
    Float(f64),
    Flag(bool),
    Text(String),
    /// Integers and flags (as 0 and 1) of a short list; of others only the length is kept.
    List {
        len: u64,
        integers: Vec<i128>,
    },
    /// A text of this many bytes that was passed over.
    LongText(u64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    pub name: String,
    /// The fast dimension first, one to four of them.
    pub dimensions: Vec<u64>,
    /// ggml's number for the type of the values.
    pub kind: u32,
    /// From `Header::data_start`.
    pub offset: u64,
    pub bytes: u64,
}

impl Header {
    pub fn read(path: &Path) -> Result<Self, GgufError> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Self::parse(file, len)
    }

    /// `len`: of the whole file in bytes.
    pub fn parse(source: impl Read, len: u64) -> Result<Self, GgufError> {
        let mut source = Source { inner: BufReader::with_capacity(1 << 16, source), at: 0, len };
        let (entry_count, tensor_count) = counts(&mut source).map_err(|fault| fault.at(GgufError::EndsAtOnce))?;

        let mut entries = Vec::new();
        let mut keys = HashSet::new();
        let mut spans = Vec::new();
        for done in 0..entry_count {
            let from = source.at;
            let (key, value) = entry(&mut source)
                .map_err(|fault| fault.at(GgufError::EndsInHeader { done, of: entry_count, what: "entries" }))?;
            if !keys.insert(key.clone()) {
                return Err(damaged(format!("two entries {key}")));
            }
            entries.push((key, value));
            spans.push(from..source.at);
        }
        let mut header = Self { entries, spans, tensors: Vec::new(), data_start: 0 };
        let alignment = header.alignment()?;

        let mut names = HashSet::new();
        let mut next_offset: u64 = 0;
        for done in 0..tensor_count {
            let tensor = tensor(&mut source)
                .map_err(|fault| fault.at(GgufError::EndsInHeader { done, of: tensor_count, what: "tensors" }))?;
            let name = &tensor.name;
            if !names.insert(name.clone()) {
                return Err(damaged(format!("two tensors {name}")));
            }
            if tensor.offset != next_offset {
                return Err(damaged(format!("{name} is at byte {}, expected at {next_offset}", tensor.offset)));
            }
            next_offset = tensor
                .bytes
                .checked_next_multiple_of(alignment)
                .and_then(|padded| next_offset.checked_add(padded))
                .ok_or_else(|| damaged(format!("{name} is too large")))?;
            header.tensors.push(tensor);
        }
        header.data_start = source.at.next_multiple_of(alignment);
        // The last tensor's padding may be missing: llama.cpp reads such files.
        let end = header.tensors.last().map_or(0, |last| last.offset.saturating_add(last.bytes));
        match header.data_start.saturating_add(end).checked_sub(len) {
            None | Some(0) => Ok(header),
            Some(_) if header.tensors.is_empty() => Ok(header),
            Some(missing) => Err(GgufError::EndsEarly { missing }),
        }
    }

    /// The SHA-256 of all that a model file says of its tokenizer (`tokenizer.*`, by key): two files that cut text into
    /// the same tokens have the same.
    pub fn tokenizer_sha256(&self, path: &Path) -> io::Result<String> {
        use sha2::{Digest, Sha256};
        let mut theirs: Vec<_> = self.entries.iter().zip(&self.spans).map(|((key, _), span)| (key, span)).collect();
        theirs.retain(|(key, _)| key.starts_with("tokenizer."));
        theirs.sort_by_key(|(key, _)| *key);
        let (mut file, mut hash) = (File::open(path)?, Sha256::new());
        for (_, span) in theirs {
            let mut bytes = vec![0; usize::try_from(span.end - span.start).map_err(io::Error::other)?];
            io::Seek::seek(&mut file, io::SeekFrom::Start(span.start))?;
            file.read_exact(&mut bytes)?;
            hash.update(bytes);
        }
        Ok(crate::hex(&hash.finalize()))
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.iter().find(|(k, _)| k == key).map(|(_, value)| value)
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A number that is not negative.
    pub fn number(&self, key: &str) -> Option<u64> {
        match self.get(key)? {
            Value::Integer(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    fn alignment(&self) -> Result<u64, GgufError> {
        let wanted = |n: &u64| n.is_power_of_two() && *n <= ALIGNMENT_MAX;
        match self.get("general.alignment") {
            None => Ok(ALIGNMENT),
            Some(value) => self
                .number("general.alignment")
                .filter(wanted)
                .ok_or_else(|| damaged(format!("an alignment of {value:?}"))),
        }
    }
}

fn damaged(what: String) -> GgufError {
    GgufError::Damaged(what)
}

/// What can go wrong inside an entry or a tensor; where it happened is known one step further out.
enum Fault {
    End,
    Other(GgufError),
}

impl Fault {
    fn at(self, end: GgufError) -> GgufError {
        match self {
            Self::End => end,
            Self::Other(fault) => fault,
        }
    }
}

impl From<GgufError> for Fault {
    fn from(fault: GgufError) -> Self {
        Self::Other(fault)
    }
}

/// The counts of entries and tensors.
fn counts(source: &mut Source<impl Read>) -> Result<(u64, u64), Fault> {
    match source.array() {
        Ok(magic) if &magic == b"GGUF" => {}
        Ok(_) | Err(Fault::End) => Err(GgufError::NotGguf)?,
        Err(fault) => return Err(fault),
    }
    match source.u32()? {
        2 | 3 => {}
        other => Err(GgufError::Version(other))?,
    }
    let (tensors, entries) = (source.u64()?, source.u64()?);
    for (what, found, max) in [("tensors", tensors, TENSORS_MAX), ("entries", entries, ENTRIES_MAX)] {
        if found > max {
            Err(damaged(format!("{found} {what}, more than {max}")))?;
        }
    }
    Ok((entries, tensors))
}

fn entry(source: &mut Source<impl Read>) -> Result<(String, Value), Fault> {
    let key = source.text("a key", KEY_BYTES_MAX)?;
    let kind = source.u32()?;
    let value = match kind {
        TEXT => source.short_text()?,
        LIST => list(source)?,
        _ => scalar(source, kind)?,
    };
    Ok((key, value))
}

const FLAG: u32 = 7;
const TEXT: u32 = 8;
const LIST: u32 = 9;

fn scalar(source: &mut Source<impl Read>, kind: u32) -> Result<Value, Fault> {
    Ok(match kind {
        0 => Value::Integer(u8::from_le_bytes(source.array()?).into()),
        1 => Value::Integer(i8::from_le_bytes(source.array()?).into()),
        2 => Value::Integer(u16::from_le_bytes(source.array()?).into()),
        3 => Value::Integer(i16::from_le_bytes(source.array()?).into()),
        4 => Value::Integer(u32::from_le_bytes(source.array()?).into()),
        5 => Value::Integer(i32::from_le_bytes(source.array()?).into()),
        6 => Value::Float(f32::from_le_bytes(source.array()?).into()),
        FLAG => Value::Flag(source.array::<1>()? != [0]),
        10 => Value::Integer(u64::from_le_bytes(source.array()?).into()),
        11 => Value::Integer(i64::from_le_bytes(source.array()?).into()),
        12 => Value::Float(f64::from_le_bytes(source.array()?)),
        other => Err(damaged(format!("an entry of type {other}")))?,
    })
}

fn list(source: &mut Source<impl Read>) -> Result<Value, Fault> {
    let kind = source.u32()?;
    let len = source.u64()?;
    let mut integers = Vec::new();
    match kind {
        TEXT => {
            // Each text has a length of eight bytes at least: more of them than that cannot be there.
            source.expect(len.saturating_mul(8))?;
            for _ in 0..len {
                let bytes = source.u64()?;
                source.skip(bytes)?;
            }
        }
        LIST => Err(damaged("a list of lists".to_owned()))?,
        _ if len > KEPT_MAX => source.skip(len.saturating_mul(scalar_bytes(kind)?))?,
        _ => {
            for _ in 0..len {
                match scalar(source, kind)? {
                    Value::Integer(number) => integers.push(number),
                    Value::Flag(flag) => integers.push(flag.into()),
                    _ => {}
                }
            }
        }
    }
    Ok(Value::List { len, integers })
}

fn scalar_bytes(kind: u32) -> Result<u64, GgufError> {
    match kind {
        0 | 1 | FLAG => Ok(1),
        2 | 3 => Ok(2),
        4..=6 => Ok(4),
        10..=12 => Ok(8),
        other => Err(damaged(format!("a list of type {other}"))),
    }
}

fn tensor(source: &mut Source<impl Read>) -> Result<Tensor, Fault> {
    let name = source.text("a tensor's name", NAME_BYTES_MAX)?;
    let count = source.u32()?;
    if !(1..=DIMENSIONS_MAX).contains(&count) {
        Err(damaged(format!("{name} has {count} dimensions")))?;
    }
    let mut dimensions = Vec::new();
    for _ in 0..count {
        dimensions.push(source.u64()?);
    }
    let (kind, offset) = (source.u32()?, source.u64()?);
    let (values, bytes) = block(kind).ok_or_else(|| damaged(format!("{name} has values of unknown type {kind}")))?;
    if dimensions.contains(&0) || !dimensions[0].is_multiple_of(values) {
        Err(damaged(format!("{name} is {dimensions:?}, and its type needs rows of a multiple of {values}")))?;
    }
    let blocks = dimensions.iter().try_fold(1, |product: u64, n| product.checked_mul(*n)).map(|n| n / values);
    let bytes = blocks.and_then(|n| n.checked_mul(bytes)).ok_or_else(|| damaged(format!("{name} is too large")))?;
    Ok(Tensor { name, dimensions, kind, offset, bytes })
}

/// Values and bytes of a block of ggml's types; `None`: not a type, or one that ggml has given up.
/// From `ggml.h`, `ggml.c` and `ggml-common.h` of llama.cpp b11434.
#[rustfmt::skip] // a table
pub fn block(kind: u32) -> Option<(u64, u64)> {
    Some(match kind {
         0 => (1, 4),     // F32
         1 => (1, 2),     // F16
         2 => (32, 18),   // Q4_0
         3 => (32, 20),   // Q4_1
         6 => (32, 22),   // Q5_0
         7 => (32, 24),   // Q5_1
         8 => (32, 34),   // Q8_0
         9 => (32, 36),   // Q8_1
        10 => (256, 84),  // Q2_K
        11 => (256, 110), // Q3_K
        12 => (256, 144), // Q4_K
        13 => (256, 176), // Q5_K
        14 => (256, 210), // Q6_K
        15 => (256, 292), // Q8_K
        16 => (256, 66),  // IQ2_XXS
        17 => (256, 74),  // IQ2_XS
        18 => (256, 98),  // IQ3_XXS
        19 => (256, 50),  // IQ1_S
        20 => (32, 18),   // IQ4_NL
        21 => (256, 110), // IQ3_S
        22 => (256, 82),  // IQ2_S
        23 => (256, 136), // IQ4_XS
        24 => (1, 1),     // I8
        25 => (1, 2),     // I16
        26 => (1, 4),     // I32
        27 => (1, 8),     // I64
        28 => (1, 8),     // F64
        29 => (256, 56),  // IQ1_M
        30 => (1, 2),     // BF16
        34 => (256, 54),  // TQ1_0
        35 => (256, 66),  // TQ2_0
        39 => (32, 17),   // MXFP4
        40 => (64, 36),   // NVFP4
        41 => (128, 18),  // Q1_0
        42 => (64, 18),   // Q2_0
        _ => return None,
    })
}

/// The file as far as it was read. Nothing is taken that would not be there.
struct Source<R> {
    inner: BufReader<R>,
    at: u64,
    len: u64,
}

impl<R: Read> Source<R> {
    fn expect(&self, bytes: u64) -> Result<(), Fault> {
        if bytes > self.len - self.at { Err(Fault::End) } else { Ok(()) }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        self.expect(N as u64)?;
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes).map_err(GgufError::Read)?;
        self.at += N as u64;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Fault> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self, what: &str, max: u64) -> Result<String, Fault> {
        let bytes = self.u64()?;
        if bytes > max {
            Err(damaged(format!("{what} of {bytes} bytes, more than {max}")))?;
        }
        self.text_of(bytes)
    }

    fn short_text(&mut self) -> Result<Value, Fault> {
        match self.u64()? {
            bytes if bytes > KEPT_MAX => self.skip(bytes).map(|()| Value::LongText(bytes)),
            bytes => self.text_of(bytes).map(Value::Text),
        }
    }

    fn text_of(&mut self, bytes: u64) -> Result<String, Fault> {
        self.expect(bytes)?;
        let mut text = vec![0; bytes as usize];
        self.inner.read_exact(&mut text).map_err(GgufError::Read)?;
        self.at += bytes;
        Ok(String::from_utf8(text).map_err(|_| damaged("a text that is not UTF-8".to_owned()))?)
    }

    fn skip(&mut self, bytes: u64) -> Result<(), Fault> {
        self.expect(bytes)?;
        let skipped = io::copy(&mut (&mut self.inner).take(bytes), &mut io::sink()).map_err(GgufError::Read)?;
        self.at += skipped;
        if skipped < bytes { Err(Fault::End) } else { Ok(()) }
    }
}
