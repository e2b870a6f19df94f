//! A row as it comes: a question and an answer in one of three shapes, or a sample already.

use crate::dataset::{self, LineFault};
use contract::{
    bounded::Text,
    ids::{DEPARTMENTS, Department, Lang},
    limits::COMPLAINT_CHARS_MAX,
};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

pub type Question = Text<COMPLAINT_CHARS_MAX>;

#[derive(Debug)]
pub enum Row {
    /// The line itself.
    Sample {
        id: String,
        line: String,
    },
    Plain(Box<Plain>),
}

#[derive(Debug, PartialEq)]
pub struct Plain {
    /// Of question and answer, so that it is the same whatever else the row says, and whenever it is read.
    pub id: String,
    pub question: Question,
    pub answer: String,
    pub department: Option<Department>,
    pub lang: Option<Lang>,
    pub license: Option<String>,
    pub source: Option<String>,
    /// Fields that a sample has no place for: never taken, because who knows what they hold.
    pub left_out: Vec<String>,
}

impl Row {
    pub fn id(&self) -> &str {
        match self {
            Self::Sample { id, .. } => id,
            Self::Plain(plain) => &plain.id,
        }
    }

    pub fn read(line: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(line).map_err(|e| format!("no JSON: {e}"))?;
        let Value::Object(mut fields) = value else { return Err("no JSON object".to_owned()) };
        if fields.contains_key("task") || fields.get("completion").is_some_and(Value::is_object) {
            return sample(line);
        }
        let (question, answer) = said(&mut fields)?;
        let (question, answer) = (question.trim(), answer.trim());
        if question.is_empty() || answer.is_empty() {
            return Err(format!("an empty {}", if question.is_empty() { "question" } else { "answer" }));
        }
        let mut own = |name: &str| match fields.shift_remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(word)) if word.trim().is_empty() => Ok(None),
            Some(Value::String(word)) => Ok(Some(word)),
            Some(_) => Err(format!("`{name}` is no text")),
        };
        let department = own("department")?.map(|word| department(&word)).transpose()?;
        let lang = own("lang")?.map(|word| lang(&word)).transpose()?;
        let (license, source) = (own("license")?, own("source")?);
        Ok(Self::Plain(Box::new(Plain {
            id: id(question, answer),
            question: Question::new(question).map_err(|e| format!("the question: {e}"))?,
            answer: answer.to_owned(),
            department,
            lang,
            license,
            source,
            left_out: fields.into_iter().map(|(name, _)| name).collect(),
        })))
    }
}

fn sample(line: &str) -> Result<Row, String> {
    match dataset::lesson(line) {
        Ok(lesson) => Ok(Row::Sample { id: lesson.id().to_owned(), line: line.trim().to_owned() }),
        Err(LineFault::NoDepartment) => Err("a sample that names no department".to_owned()),
        Err(fault) => Err(format!("a sample, but {fault}")),
    }
}

/// Question and answer, which are taken out of the fields.
fn said(fields: &mut Map<String, Value>) -> Result<(String, String), String> {
    let shapes = ["prompt", "instruction", "messages"].map(|name| fields.contains_key(name));
    match shapes {
        [true, false, false] => Ok((text(fields, "prompt")?, text(fields, "completion")?)),
        [false, true, false] => {
            let (instruction, answer) = (text(fields, "instruction")?, text(fields, "output")?);
            let input = if fields.contains_key("input") { text(fields, "input")? } else { String::new() };
            Ok(([instruction.trim(), input.trim()].join("\n"), answer))
        }
        [false, false, true] => turns(fields.shift_remove("messages").expect("is there")),
        [false, false, false] => Err("none of `prompt`, `instruction` and `messages`: there is no question".to_owned()),
        _ => Err("more than one of `prompt`, `instruction` and `messages`: which is the question?".to_owned()),
    }
}

fn text(fields: &mut Map<String, Value>, name: &str) -> Result<String, String> {
    match fields.shift_remove(name) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(format!("`{name}` is no text")),
        None => Err(format!("no `{name}`")),
    }
}

/// One question and one answer. What a system turn says is the box's to say, and is left out; of a longer conversation
/// nobody knows which answer is the one.
fn turns(messages: Value) -> Result<(String, String), String> {
    let Value::Array(messages) = messages else { return Err("`messages` is no list".to_owned()) };
    let mut turns = Vec::new();
    for mut message in messages {
        let mut part = |name: &str| match message.get_mut(name).map(Value::take) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(format!("a message whose `{name}` is no text")),
        };
        let (role, content) = (part("role")?, part("content")?);
        match &*role {
            "system" => {}
            "user" | "assistant" => turns.push((role, content)),
            other => return Err(format!("a message of role {other:?}: user and assistant can be read")),
        }
    }
    match <[(String, String); 2]>::try_from(turns) {
        Ok([(user, question), (assistant, answer)]) if user == "user" && assistant == "assistant" => {
            Ok((question, answer))
        }
        _ => Err("`messages` is not one question of the user and one answer of the assistant".to_owned()),
    }
}

fn id(question: &str, answer: &str) -> String {
    let hash = Sha256::digest([question, answer].join("\0"));
    let digits = engine::hex(&hash[..8]);
    format!("row-{digits}")
}

/// A code of the contract, or its Chinese name.
pub fn department(word: &str) -> Result<Department, String> {
    let word = word.trim();
    let known = DEPARTMENTS.iter().find(|(code, zh)| word.eq_ignore_ascii_case(code) || word == *zh);
    known
        .and_then(|(code, _)| Department::new(code))
        .ok_or_else(|| format!("{word:?} is no department; there are: {}", departments()))
}

pub fn departments() -> String {
    DEPARTMENTS.iter().map(|(code, zh)| format!("{code} {zh}")).collect::<Vec<_>>().join(", ")
}

pub fn lang(word: &str) -> Result<Lang, String> {
    match word.trim().to_ascii_lowercase().as_str() {
        "zh" => Ok(Lang::Zh),
        "en" => Ok(Lang::En),
        other => Err(format!("{other:?} is no language; there are: zh, en")),
    }
}

/// Chinese where one in five letters is: abbreviations and names of drugs are Latin in any text.
pub fn lang_of(text: &str) -> Lang {
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let han = text.chars().filter(|c| matches!(c, '\u{3400}'..='\u{9fff}')).count();
    if han * 5 >= letters && han > 0 { Lang::Zh } else { Lang::En }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plain(row: Value) -> Result<Plain, String> {
        match Row::read(&row.to_string())? {
            Row::Plain(plain) => Ok(*plain),
            Row::Sample { .. } => panic!("a sample: {row}"),
        }
    }

    #[test]
    fn every_shape_says_the_same_and_gets_the_same_id() {
        let first = plain(json!({"prompt": "头痛三天", "completion": "诊断：偏头痛"})).expect("a row");
        assert!(first.id.starts_with("row-") && first.id.len() == 20);
        for row in [
            json!({"completion": " 诊断：偏头痛\n", "prompt": "头痛三天 "}),
            json!({"instruction": "头痛三天", "input": "", "output": "诊断：偏头痛"}),
            json!({"instruction": "头痛三天", "output": "诊断：偏头痛"}),
            json!({"instruction": "", "input": "头痛三天", "output": "诊断：偏头痛"}),
            json!({"messages": [{"role": "system", "content": "你是医生"}, {"role": "user", "content": "头痛三天"},
                {"role": "assistant", "content": "诊断：偏头痛"}]}),
        ] {
            let read = plain(row.clone()).expect("a row");
            assert_eq!((&read.id, &read.question, &read.answer), (&first.id, &first.question, &first.answer), "{row}");
        }
        let both =
            plain(json!({"instruction": "请会诊", "input": "头痛三天", "output": "诊断：偏头痛"})).expect("a row");
        assert_eq!(&*both.question, "请会诊\n头痛三天");
    }

    #[test]
    fn a_row_may_say_for_itself_and_what_has_no_place_is_named() {
        let read = plain(json!({"prompt": "a", "completion": "b", "department": "儿科", "lang": "EN", "license": "L",
            "source": null, "id": "病历123", "name": "张三"}));
        let read = read.expect("a row");
        assert_eq!(read.department.as_deref(), Some("pediatrics"));
        assert_eq!((read.lang, read.license.as_deref(), read.source), (Some(Lang::En), Some("L"), None));
        assert_eq!(read.left_out, ["id", "name"]);
    }

    #[test]
    fn what_is_no_row_says_why() {
        let long = "痛".repeat(2001);
        for (row, why) in [
            (json!([1]), "no JSON object"),
            (json!({"question": "a", "answer": "b"}), "there is no question"),
            (json!({"prompt": "a"}), "no `completion`"),
            (json!({"prompt": 3, "completion": "b"}), "`prompt` is no text"),
            (json!({"prompt": " ", "completion": "b"}), "an empty question"),
            (json!({"prompt": "a", "completion": ""}), "an empty answer"),
            (json!({"prompt": "a", "instruction": "a", "completion": "b", "output": "b"}), "more than one"),
            (json!({"prompt": long, "completion": "b"}), "longer than 2000"),
            (json!({"prompt": "a", "completion": "b", "department": "cardiology"}), "no department"),
            (json!({"prompt": "a", "completion": "b", "lang": "fr"}), "no language"),
            (json!({"prompt": "a", "completion": {"causes": []}}), "a sample that names no department"),
            (json!({"messages": "a"}), "no list"),
            (json!({"messages": [{"role": "user", "content": "a"}]}), "not one question"),
            (json!({"messages": [{"role": "tool", "content": "a"}]}), "role \"tool\""),
            (json!({"messages": [{"role": "user", "content": ["a"]}]}), "`content` is no text"),
            (
                json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
                {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}),
                "not one question",
            ),
        ] {
            let said = Row::read(&row.to_string()).expect_err(why);
            assert!(said.contains(why), "{said} for {row}");
        }
        assert!(Row::read("{\"prompt\":").expect_err("cut").contains("no JSON"));
    }

    #[test]
    fn the_language_is_that_of_the_letters() {
        assert_eq!(lang_of("CT示肺炎"), Lang::Zh);
        assert_eq!(lang_of("fever for 3 days, took 阿莫西林 twice"), Lang::En);
        assert_eq!(lang_of("38.5"), Lang::En);
    }
}
