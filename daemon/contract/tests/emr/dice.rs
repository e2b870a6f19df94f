//! Answers by dice: whatever the answer's own schema allows, so that a field added to the type is thrown from the same day.

use contract::answer::Answer;
use serde_json::{Map, Value, json};

/// How much of it there is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Size {
    /// Nothing optional, no entries.
    Least,
    Some,
    /// Everything optional, every list full, every text at its bound.
    Most,
}

pub struct Dice {
    state: u64,
    size: Size,
    schema: Value,
}

impl Dice {
    pub fn new(seed: u64) -> Self {
        let size = [Size::Least, Size::Most, Size::Some, Size::Some, Size::Some][(seed % 5) as usize];
        let (_, schema) = contract::schema::all().into_iter().find(|(name, _)| *name == "answer").expect("a schema");
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), size, schema }
    }

    pub fn answer(&mut self) -> Answer {
        let schema = self.schema.clone();
        let thrown = self.value(&schema);
        serde_json::from_str(&thrown.to_string()).unwrap_or_else(|fault| panic!("{fault} in {thrown}"))
    }

    fn below(&mut self, n: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    fn value(&mut self, schema: &Value) -> Value {
        if let Some(name) = schema["$ref"].as_str() {
            let named = self.schema.pointer(&name[1..]).expect("a definition").clone();
            return self.value(&named);
        }
        if let Some(known) = schema.get("const") {
            return known.clone();
        }
        if let Some(known) = schema["enum"].as_array() {
            return self.pick(known);
        }
        if let Some(any) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
            let one = self.pick(any);
            return self.value(&one);
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => self.pick(kinds),
            kind => kind.clone(),
        };
        match kind.as_str().expect("a type") {
            "object" => self.object(schema),
            "array" => self.array(schema),
            "string" => json!(self.string(schema)),
            "integer" => json!(self.integer(schema)),
            "number" => json!(-(self.below(1000) as f64) / 100.0),
            "boolean" => json!(self.below(2) == 0),
            "null" => Value::Null,
            other => panic!("no dice for {other}"),
        }
    }

    fn object(&mut self, schema: &Value) -> Value {
        let mut object = Map::new();
        if let Some(entry) = schema.get("additionalProperties").filter(|entry| entry.is_object()) {
            for at in 0..self.below(3) {
                object.insert(format!("科室 {at}"), self.value(entry));
            }
        }
        let required = |key: &str| schema["required"].as_array().is_some_and(|it| it.contains(&json!(key)));
        for (key, property) in schema["properties"].as_object().into_iter().flatten() {
            let there = match self.size {
                _ if required(key) => true,
                Size::Least => false,
                Size::Some => self.below(2) == 0,
                Size::Most => true,
            };
            if there {
                object.insert(key.clone(), self.value(property));
            }
        }
        Value::Object(object)
    }

    fn array(&mut self, schema: &Value) -> Value {
        let least = schema["minItems"].as_u64().unwrap_or(0) as usize;
        let most = schema["maxItems"].as_u64().unwrap_or(6) as usize;
        let number = match self.size {
            Size::Least => least,
            Size::Some => least + self.below(4.min(most + 1 - least)),
            Size::Most => most,
        };
        (0..number).map(|_| self.value(&schema["items"])).collect()
    }

    fn integer(&mut self, schema: &Value) -> u64 {
        let most = if schema["format"] == "uint64" { u64::MAX } else { u64::from(u32::MAX) };
        let some = self.below(1000) as u64;
        self.pick(&[0, some, 1_779_066_835, 253_402_300_800, u64::MAX]).min(most)
    }

    fn string(&mut self, schema: &Value) -> String {
        let hex =
            |dice: &mut Self, digits| (0..digits).map(|_| dice.pick(b"0123456789abcdef") as char).collect::<String>();
        let pattern = schema["pattern"].as_str().unwrap_or_default();
        if let Some((_, digits)) = pattern.strip_suffix("}$").and_then(|it| it.split_once("^[0-9a-f]{")) {
            return hex(self, digits.parse().expect("a number of digits"));
        }
        if schema["format"] == "uuid" {
            return [8, 4, 4, 4, 12].map(|digits| hex(self, digits)).join("-");
        }
        if pattern.starts_with("^[a-z0-9_.-]") {
            return self.pick(&["internal", "obstetrics", "of_later.9-x"]).to_owned();
        }
        let max = schema["maxLength"].as_u64().unwrap_or(300) as usize;
        let control = if pattern.is_empty() { "\u{0}\u{1b}[31m\u{85}" } else { "" };
        self.text(max, control)
    }

    fn text(&mut self, max: usize, control: &str) -> String {
        const PIECES: &[&str] = &[
            "布鲁氏菌病",
            "不能排除 TB",
            "A23.9",
            "体温 37.9℃",
            "𠮷𠮷",
            "\u{3000}",
            "\u{a0}",
            "\u{feff}",
            "\n",
            "\t- ",
            "1. ",
            "# ",
            "<script>alert(1)</script>",
            "<b>",
            "&amp;",
            "[看](http://x.cn)",
            "https://x.cn/?a=b",
            "www.x.cn",
            "a@x.cn",
            "**",
            "_x_",
            "`",
            "| - |",
            "\\",
            "\"",
            "'",
            "~~",
            "$x$",
            "::",
            "{}",
            "头痛e\u{301}",
            "👩‍⚕️",
            "Upper bleed",
        ];
        let extreme = self.below(12);
        let mut text = match extreme {
            0 => String::new(),
            1 => " \u{3000}\n".to_owned(),
            2 => "𠮷".repeat(max),
            3 => "<".repeat(max),
            _ => format!("{}{control}", self.below(1_000_000)),
        };
        let wanted = if self.size == Size::Most { max } else { self.below(max.min(60)) };
        while extreme > 3 && text.chars().count() < wanted {
            text += self.pick(PIECES);
        }
        text.chars().take(max).collect()
    }
}
