//! Files made by hand: good, cut and hostile.

use super::*;

/// A file made by hand.
#[derive(Clone, Default)]
pub(crate) struct Made {
    entries: Vec<Vec<u8>>,
    tensors: Vec<Vec<u8>>,
    data: u64,
}

pub(crate) fn text(words: &str) -> Vec<u8> {
    [&(words.len() as u64).to_le_bytes(), words.as_bytes()].concat()
}

impl Made {
    pub(crate) fn entry(mut self, key: &str, kind: u32, value: &[u8]) -> Self {
        self.entries.push([&text(key)[..], &kind.to_le_bytes(), value].concat());
        self
    }
    pub(crate) fn number(self, key: &str, value: u32) -> Self {
        self.entry(key, 4, &value.to_le_bytes())
    }
    pub(crate) fn words(self, key: &str, value: &str) -> Self {
        self.entry(key, TEXT, &text(value))
    }
    pub(crate) fn tensor(mut self, name: &str, dimensions: &[u64], kind: u32) -> Self {
        let (values, bytes) = block(kind).expect("a known type");
        let offset = self.data;
        self.data += (dimensions.iter().product::<u64>() / values * bytes).next_multiple_of(32);
        self.raw_tensor(name, dimensions, kind, offset)
    }
    fn raw_tensor(mut self, name: &str, dimensions: &[u64], kind: u32, offset: u64) -> Self {
        let mut tensor = text(name);
        tensor.extend((dimensions.len() as u32).to_le_bytes());
        dimensions.iter().for_each(|n| tensor.extend(n.to_le_bytes()));
        tensor.extend(kind.to_le_bytes());
        tensor.extend(offset.to_le_bytes());
        self.tensors.push(tensor);
        self
    }
    fn head(&self) -> Vec<u8> {
        let mut head = b"GGUF\x03\0\0\0".to_vec();
        head.extend((self.tensors.len() as u64).to_le_bytes());
        head.extend((self.entries.len() as u64).to_le_bytes());
        head.extend([self.entries.concat(), self.tensors.concat()].concat());
        head
    }
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head();
        bytes.resize(bytes.len().next_multiple_of(32) + self.data as usize, 0);
        bytes
    }
    /// As if the data were there: models of many gigabytes in tests.
    pub(crate) fn header(&self) -> Header {
        let head = self.head();
        let len = (head.len() as u64).next_multiple_of(32) + self.data;
        Header::parse(&head[..], len).expect("a good header")
    }
}

fn small() -> Made {
    let words = [text("a"), text("bc")].concat();
    let list = [&TEXT.to_le_bytes()[..], &2u64.to_le_bytes(), &words].concat();
    let sizes = [&5u32.to_le_bytes()[..], &2u64.to_le_bytes(), &7i32.to_le_bytes(), &(-1i32).to_le_bytes()];
    Made::default()
        .words("general.architecture", "llama")
        .number("llama.block_count", 2)
        .entry("a.flag", FLAG, &[1])
        .entry("a.float", 6, &1.5f32.to_le_bytes())
        .entry("a.list", LIST, &list)
        .entry("a.sizes", LIST, &sizes.concat())
        .words("a.long", &"x".repeat(2000))
        .tensor("first", &[256, 3], 12)
        .tensor("second", &[5], 0)
}

fn parse(bytes: &[u8]) -> Result<Header, GgufError> {
    Header::parse(bytes, bytes.len() as u64)
}

fn refusal(bytes: &[u8]) -> String {
    parse(bytes).expect_err("a refusal").to_string()
}

#[test]
fn entries_and_tensors_arrive() {
    let header = parse(&small().bytes()).expect("a good file");
    assert_eq!(header.text("general.architecture"), Some("llama"));
    assert_eq!(header.number("llama.block_count"), Some(2));
    assert_eq!(header.get("a.flag"), Some(&Value::Flag(true)));
    assert_eq!(header.get("a.float"), Some(&Value::Float(1.5)));
    assert_eq!(header.get("a.list"), Some(&Value::List { len: 2, integers: vec![] }));
    assert_eq!(header.get("a.sizes"), Some(&Value::List { len: 2, integers: vec![7, -1] }));
    assert_eq!(header.get("a.long"), Some(&Value::LongText(2000)));
    let sizes: Vec<_> = header.tensors.iter().map(|t| (&t.name[..], t.offset, t.bytes)).collect();
    assert_eq!(sizes, [("first", 0, 432), ("second", 448, 20)]);
    assert_eq!(header.data_start % 32, 0);
}

#[test]
fn version_2_is_read_as_well_and_no_other() {
    let mut bytes = small().bytes();
    bytes[4] = 2;
    assert!(parse(&bytes).is_ok());
    for version in [0, 1, 4, 255] {
        bytes[4] = version;
        assert!(refusal(&bytes).contains(&format!("of version {version}")));
    }
}

#[test]
fn a_file_cut_anywhere_says_where() {
    let bytes = small().bytes();
    let head = small().head().len();
    let without_padding = bytes.len() - 12;
    for len in 0..bytes.len() {
        let said = parse(&bytes[..len]).map(|_| String::new()).unwrap_or_else(|fault| fault.to_string());
        let expected = match len {
            0..4 => "not a GGUF file",
            4..24 => "ends before its header begins",
            _ if len < head => "ends in the middle of its header",
            _ if len < without_padding => "truncated download?",
            _ => "",
        };
        assert!(said.contains(expected) && said.is_empty() == expected.is_empty(), "cut to {len}: {said}");
    }
    assert!(refusal(&bytes[..head - 1]).contains("1 of 2 tensors described"));
    assert!(refusal(&bytes[..30]).contains("0 of 7 entries described"));
    assert!(refusal(&bytes[..without_padding - 9]).contains("ends 9 bytes early"));
}

#[test]
fn no_single_byte_makes_it_fall() {
    let bytes = small().bytes();
    for at in 0..small().head().len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[at] = value;
            let _ = parse(&changed); // an error or a header; never a panic, never an allocation beyond the file
        }
    }
}

#[test]
fn hostile_lengths_are_refused_before_anything_is_taken_for_them() {
    let huge = u64::MAX.to_le_bytes();
    let long_text = Made::default().entry("k", TEXT, &huge);
    let long_list = Made::default().entry("k", LIST, &[&TEXT.to_le_bytes()[..], &huge].concat());
    let long_numbers = Made::default().entry("k", LIST, &[&10u32.to_le_bytes()[..], &huge].concat());
    for made in [long_text, long_list, long_numbers] {
        assert!(refusal(&made.bytes()).contains("0 of 1 entries described"));
    }
    let mut key = small().head();
    key[24..32].copy_from_slice(&huge);
    assert!(refusal(&key).contains("a key of 18446744073709551615 bytes"));
    for (at, what) in [(8, "tensors"), (16, "entries")] {
        let mut counts = small().head();
        counts[at..at + 8].copy_from_slice(&huge);
        assert!(refusal(&counts).contains(&format!("18446744073709551615 {what}, more than")));
    }
}

#[test]
fn damaged_headers_are_refused_by_name() {
    let made = Made::default;
    let table = [
        (made().entry("k", 99, &[0; 8]), "an entry of type 99"),
        (made().entry("k", LIST, &[&LIST.to_le_bytes()[..], &[0; 8]].concat()), "a list of lists"),
        (made().number("k", 1).number("k", 1), "two entries k"),
        (made().number("general.alignment", 24), "an alignment of"),
        (made().words("general.alignment", "32"), "an alignment of"),
        (made().tensor("t", &[1], 0).tensor("t", &[1], 0), "two tensors t"),
        (made().tensor(&"t".repeat(64), &[1], 0), "a tensor's name of 64 bytes"),
        (made().raw_tensor("t", &[], 0, 0), "t has 0 dimensions"),
        (made().raw_tensor("t", &[1; 5], 0, 0), "t has 5 dimensions"),
        (made().raw_tensor("t", &[1], 4, 0), "t has values of unknown type 4"),
        (made().raw_tensor("t", &[255], 12, 0), "rows of a multiple of 256"),
        (made().raw_tensor("t", &[0], 0, 0), "t is [0]"),
        (made().raw_tensor("t", &[u64::MAX, 2], 0, 0), "t is too large"),
        (made().raw_tensor("t", &[u64::MAX], 24, 0), "t is too large"),
        (made().raw_tensor("t", &[1 << 62], 0, 0), "t is too large"),
        (made().raw_tensor("t", &[1], 0, 32), "t is at byte 32, expected at 0"),
    ];
    for (made, said) in table {
        let refusal = refusal(&made.bytes());
        assert!(refusal.contains(said), "{said:?} is not in {refusal:?}");
    }
    let mut not_utf8 = small().bytes();
    not_utf8[32] = 0xff;
    assert!(refusal(&not_utf8).contains("not UTF-8"));
}

#[test]
fn other_files_are_not_gguf() {
    for bytes in [&b""[..], b"GGU", b"ggml....", b"PK\x03\x04 a zip archive", &[0; 64]] {
        assert!(matches!(parse(bytes), Err(GgufError::NotGguf)));
    }
}
