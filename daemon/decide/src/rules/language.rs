//! What the rule files know of language: findings by their words, the cues that turn a word's meaning, the words of the
//! vital signs, all in one lexicon. Built once for a rule set, read once for a case.

use super::{
    clause::{CueText, Cues},
    data::FindingText,
    measured::{SignText, Signs},
    phrase::{Builder, Lexicon, PhraseFault, Topic},
};
use contract::{case::Sex, words::Bilingual};
use serde::Deserialize;
use std::collections::BTreeMap;

/// `words.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WordText {
    /// In order: a class may use those before it.
    classes: serde_json::Map<String, serde_json::Value>,
    /// How a word is often mistyped: 例假 as 列假. Each phrase with the word is found with the slip too.
    slips: BTreeMap<String, Vec<String>>,
    cues: CueText,
    signs: SignText,
    /// Words that tell the patient's sex, where it is not coded.
    male: Vec<String>,
    female: Vec<String>,
}

pub struct Language {
    pub lexicon: Lexicon,
    pub findings: BTreeMap<String, Finding>,
    pub cues: Cues,
    pub signs: Signs,
    pub male: Topic,
    pub female: Topic,
}

pub struct Finding {
    pub label: Bilingual,
    pub said: Topic,
    pub unless: Topic,
    pub exposures: Vec<String>,
    /// A background that counts although it is past: a cancer, a journey.
    pub past: bool,
    pub lasting: Option<Lasting>,
    /// The patient's, where only one sex can have it.
    pub only: Option<Sex>,
}

/// Another finding, for so long.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lasting {
    pub of: String,
    pub days: f32,
}

#[derive(Debug, thiserror::Error)]
pub enum LanguageFault {
    #[error("the class {0} is no list of words")]
    Class(String),
    #[error("in {of}")]
    Phrase { of: String, source: PhraseFault },
    #[error("{finding} is to last, and nobody knows {of}")]
    Lasting { finding: String, of: String },
}

impl Language {
    pub fn build(words: WordText, findings: BTreeMap<String, FindingText>) -> Result<Self, LanguageFault> {
        let of = |of: &str| {
            let of = of.to_owned();
            move |source| LanguageFault::Phrase { of, source }
        };
        let classes = words.classes.into_iter().map(|(name, list)| match serde_json::from_value(list) {
            Ok(list) => Ok((name, list)),
            Err(_) => Err(LanguageFault::Class(name)),
        });
        let classes = classes.collect::<Result<Vec<(String, Vec<String>)>, _>>()?;
        let mut builder = Builder::new(&words.slips, &classes).map_err(of("the classes"))?;
        let cues = Cues::build(&words.cues, &mut builder).map_err(of("the cues"))?;
        let signs = Signs::build(&words.signs, &mut builder).map_err(of("the signs"))?;
        let male = builder.topic(&words.male).map_err(of("male"))?;
        let female = builder.topic(&words.female).map_err(of("female"))?;
        let mut compiled = BTreeMap::new();
        for (code, text) in findings {
            let said = builder.topic(text.phrases_zh.iter().chain(&text.phrases_en)).map_err(of(&code))?;
            let unless = builder.topic(&text.unless).map_err(of(&code))?;
            let FindingText { label, exposures, past, lasting, only, .. } = text;
            compiled.insert(code, Finding { label, said, unless, exposures, past, lasting, only });
        }
        let unknown = compiled.iter().find_map(|(finding, Finding { lasting, .. })| {
            let of = &lasting.as_ref().filter(|lasting| !compiled.contains_key(&lasting.of))?.of;
            Some(LanguageFault::Lasting { finding: finding.clone(), of: of.clone() })
        });
        if let Some(fault) = unknown {
            return Err(fault);
        }
        let lexicon = builder.build().map_err(of("all phrases"))?;
        Ok(Self { lexicon, findings: compiled, cues, signs, male, female })
    }
}
