//! Writing GGUF version 3: the part of the format that a LoRA file needs.
//!
//! ```text
//! "GGUF" | version u32 | tensor count u64 | entry count u64
//! entry:       key text | type u32 | value              text: length u64 | UTF-8 bytes
//! tensor:      name text | dimensions u32 | ne u64 … | type u32 | offset u64
//! ── padding to 32 ──
//! tensor data: F16, each tensor padded to 32; offsets count from here
//! ```
//!
//! All numbers are little-endian. `general.alignment` is not written: 32 is what readers assume without it.
//! llama.cpp refuses a gap or an overlap, so offsets follow from the order of the tensors alone.

use half::f16;
use std::io::{self, Write};

const VERSION: u32 = 3;
const ALIGNMENT: usize = 32;
const F16: u32 = 1; // ggml_type
const TYPE_F32: u32 = 6; // gguf_type
const TYPE_TEXT: u32 = 8; // gguf_type

#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    F32(f32),
    Text(&'a str),
}

/// A matrix of `rows` × `columns`, row by row. GGUF names the fast dimension first: ne = [columns, rows].
#[derive(Debug)]
pub struct Tensor {
    pub name: String,
    pub rows: usize,
    pub columns: usize,
    pub values: Vec<f16>,
}

/// Writes a whole file; the same entries and tensors give the same bytes.
pub fn write(out: &mut impl Write, entries: &[(&str, Value)], tensors: &[Tensor]) -> io::Result<()> {
    let mut head = Vec::new();
    head.extend(b"GGUF");
    head.extend(VERSION.to_le_bytes());
    count(&mut head, tensors.len());
    count(&mut head, entries.len());
    for (key, value) in entries {
        text(&mut head, key);
        entry_value(&mut head, *value);
    }
    let mut offset = 0;
    for tensor in tensors {
        describe(&mut head, tensor, offset);
        offset += padded(bytes_len(tensor));
    }
    head.resize(padded(head.len()), 0);
    out.write_all(&head)?;
    tensors.iter().try_for_each(|tensor| out.write_all(&data(tensor)))
}

fn entry_value(head: &mut Vec<u8>, value: Value) {
    match value {
        Value::F32(number) => {
            head.extend(TYPE_F32.to_le_bytes());
            head.extend(number.to_le_bytes());
        }
        Value::Text(words) => {
            head.extend(TYPE_TEXT.to_le_bytes());
            text(head, words);
        }
    }
}

fn describe(head: &mut Vec<u8>, tensor: &Tensor, offset: usize) {
    text(head, &tensor.name);
    head.extend(2u32.to_le_bytes());
    count(head, tensor.columns);
    count(head, tensor.rows);
    head.extend(F16.to_le_bytes());
    count(head, offset);
}

fn data(tensor: &Tensor) -> Vec<u8> {
    assert_eq!(tensor.values.len(), tensor.rows * tensor.columns, "{} is not a full matrix", tensor.name);
    let mut bytes: Vec<u8> = tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect();
    bytes.resize(padded(bytes.len()), 0);
    bytes
}

fn text(head: &mut Vec<u8>, words: &str) {
    count(head, words.len());
    head.extend(words.as_bytes());
}

fn count(head: &mut Vec<u8>, number: usize) {
    head.extend((number as u64).to_le_bytes());
}

fn bytes_len(tensor: &Tensor) -> usize {
    tensor.values.len() * size_of::<f16>()
}

fn padded(len: usize) -> usize {
    len.next_multiple_of(ALIGNMENT)
}
