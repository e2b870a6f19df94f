//! Strings and lists whose bounds stand in their type, so that whoever holds one need not check again.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::{borrow::Cow, fmt, ops::Deref};

/// Free text of at most `MAX` characters. It may be clinical, so `Debug` shows its length only:
/// clinical text must not reach a log by accident.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(transparent)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// Refuses text that is too long or holds control characters other than tab and line breaks.
    pub fn new(text: impl Into<String>) -> Result<Self, TextFault> {
        let text = text.into();
        if text.chars().count() > MAX {
            return Err(TextFault::TooLong { chars_max: MAX });
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(TextFault::ControlCharacter);
        }
        Ok(Self(text))
    }

    /// Keeps what fits: for text of our own making, where a cut is better than a refusal.
    pub fn cut(text: &str) -> Self {
        Self(text.chars().filter(|c| !c.is_control()).take(MAX).collect())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFault {
    TooLong { chars_max: usize },
    ControlCharacter,
}

impl fmt::Display for TextFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { chars_max } => write!(f, "text is longer than {chars_max} characters"),
            Self::ControlCharacter => write!(f, "text holds a control character"),
        }
    }
}

impl std::error::Error for TextFault {}

impl<const MAX: usize> Deref for Text<MAX> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} chars)", self.0.chars().count())
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(d)?).map_err(de::Error::custom)
    }
}

/// What [`Text::new`] refuses, as a regular expression: tab and line breaks may stay.
const NO_CONTROL_CHARACTERS: &str = r"^[^\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]*$";

impl<const MAX: usize> JsonSchema for Text<MAX> {
    fn schema_name() -> Cow<'static, str> {
        format!("Text{MAX}").into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": MAX, "pattern": NO_CONTROL_CHARACTERS})
    }
}

/// A machine word: lower-case letters, digits, `_`, `-` and `.`; at most `MAX` bytes. Not clinical text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Code<const MAX: usize>(heapless::String<MAX>);

impl<const MAX: usize> Code<MAX> {
    pub fn new(word: &str) -> Option<Self> {
        let fits =
            !word.is_empty() && word.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.'));
        if fits { heapless::String::try_from(word).ok().map(Self) } else { None }
    }
}

impl<const MAX: usize> Deref for Code<MAX> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> fmt::Display for Code<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const MAX: usize> fmt::Debug for Code<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Code<MAX> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let word = Cow::<str>::deserialize(d)?;
        Self::new(&word).ok_or_else(|| de::Error::custom(format!("not a code of 1 to {MAX} of a-z 0-9 _ - .")))
    }
}

impl<const MAX: usize> JsonSchema for Code<MAX> {
    fn schema_name() -> Cow<'static, str> {
        format!("Code{MAX}").into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1, "maxLength": MAX, "pattern": "^[a-z0-9_.-]+$"})
    }
}

/// Bytes of a fixed length, as lower-case hexadecimal: hashes, keys, signatures.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hex<const BYTES: usize>(pub [u8; BYTES]);

impl<const BYTES: usize> fmt::Display for Hex<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<const BYTES: usize> fmt::Debug for Hex<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl<const BYTES: usize> std::str::FromStr for Hex<BYTES> {
    type Err = NotHex;
    fn from_str(text: &str) -> Result<Self, NotHex> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(NotHex { bytes: BYTES }),
        };
        let mut bytes = [0; BYTES];
        if text.len() != 2 * BYTES {
            return Err(NotHex { bytes: BYTES });
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotHex {
    bytes: usize,
}

impl fmt::Display for NotHex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a code of {} lower-case hexadecimal digits", 2 * self.bytes)
    }
}

impl std::error::Error for NotHex {}

impl<const BYTES: usize> Serialize for Hex<BYTES> {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de, const BYTES: usize> Deserialize<'de> for Hex<BYTES> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

impl<const BYTES: usize> JsonSchema for Hex<BYTES> {
    fn schema_name() -> Cow<'static, str> {
        format!("Hex{BYTES}").into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": format!("^[0-9a-f]{{{}}}$", 2 * BYTES)})
    }
}

/// A list of at most `MAX` entries, on the stack or inside its owner: no length to check, none to grow.
#[derive(Clone, PartialEq, Serialize)]
#[serde(transparent, bound(serialize = "T: Serialize"))]
pub struct List<T, const MAX: usize>(heapless::Vec<T, MAX>);

impl<T, const MAX: usize> List<T, MAX> {
    /// Takes entries until the list is full; what does not fit is left behind.
    pub fn take_from(entries: impl IntoIterator<Item = T>) -> Self {
        Self(entries.into_iter().take(MAX).collect())
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        // Through a growing list, whose length the message's own limit bounds, to name the bound in the error.
        let entries = Vec::deserialize(d)?;
        if entries.len() > MAX {
            return Err(de::Error::custom(format!("more than {MAX} entries")));
        }
        Ok(Self::take_from(entries))
    }
}

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self(heapless::Vec::new())
    }
}

impl<T, const MAX: usize> Deref for List<T, MAX> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: fmt::Debug, const MAX: usize> fmt::Debug for List<T, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter()).finish()
    }
}

impl<T: JsonSchema, const MAX: usize> JsonSchema for List<T, MAX> {
    fn schema_name() -> Cow<'static, str> {
        format!("ListOf{MAX}{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "array", "maxItems": MAX, "items": generator.subschema_for::<T>()})
    }
}

/// For a number (or an absent one) that `f32` can hold. JSON's 1e300 would read as infinite, which passes for a number
/// and cannot be written again.
pub fn finite<'de, D, T>(d: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Into<Option<f32>> + Copy,
{
    let number = T::deserialize(d)?;
    match number.into() {
        Some(n) if !n.is_finite() => Err(de::Error::custom("a number beyond all measure")),
        _ => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_finite_or_refused() {
        #[derive(Deserialize)]
        struct Number(#[serde(deserialize_with = "finite")] f32);
        #[derive(Deserialize)]
        struct Maybe(#[serde(deserialize_with = "finite")] Option<f32>);
        let number = |text| serde_json::from_str::<Number>(text).map(|it| it.0).ok();
        let maybe = |text| serde_json::from_str::<Maybe>(text).map(|it| it.0).ok();
        assert_eq!(
            [number("3.4e38"), number("-1"), number("3.5e38"), number("-1e300")],
            [Some(3.4e38), Some(-1.0), None, None]
        );
        assert_eq!([maybe("null"), maybe("2"), maybe("1e300")], [Some(None), Some(Some(2.0)), None]);
    }

    #[test]
    fn bounds_count_characters_not_bytes() {
        assert!(Text::<3>::new("胸口闷").is_ok());
        assert_eq!(Text::<3>::new("胸口很闷"), Err(TextFault::TooLong { chars_max: 3 }));
        assert_eq!(Text::<9>::new("a\u{0}b"), Err(TextFault::ControlCharacter));
    }

    #[test]
    fn debug_of_clinical_text_hides_it() {
        let text = Text::<20>::new("头痛三天").expect("fits");
        assert_eq!(format!("{text:?}"), "Text(4 chars)");
    }

    #[test]
    fn hexadecimal_reads_back_and_nothing_else_is_taken() {
        let hash: Hex<2> = "0aff".parse().expect("four digits");
        assert_eq!((hash.0, hash.to_string().as_str()), ([0x0a, 0xff], "0aff"));
        for wrong in ["", "0af", "0aff0", "0AFF", "0xaf", "０a", "zzzz"] {
            assert!(wrong.parse::<Hex<2>>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_list_over_its_bound_is_refused() {
        assert!(serde_json::from_str::<List<u8, 2>>("[1,2]").is_ok());
        assert!(serde_json::from_str::<List<u8, 2>>("[1,2,3]").is_err());
    }
}
