//! The names of drugs in a text: generic, brand and class names, Chinese and English, and what each of them holds.
//!
//! ```text
//! drug_classes.json   substances ──holds── products (compound cold medicines)      "感康" → paracetamol, amantadine, …
//!                         └── members of ── classes (and classes of classes)       "头孢克肟" → cephalosporins → beta_lactam
//!                     vague: 消炎药 says neither; it may be a beta_lactam
//! ```
//! The longest name at a place counts: 泰诺林 is not 泰诺, 单硝酸异山梨酯 not 硝酸异山梨酯.

use super::{super::data::Fault, normal::normal};
use contract::{ids::Lang, words::Bilingual};
use regex::Regex;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::LazyLock,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamesText {
    substances: BTreeMap<String, SubstanceText>,
    products: Vec<ProductText>,
    classes: BTreeMap<String, ClassText>,
    vague: Vec<VagueText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SubstanceText {
    name: Bilingual,
    names: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProductText {
    names: Vec<String>,
    holds: Vec<String>,
    #[serde(default)]
    classes: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassText {
    /// For whoever reads the file.
    #[serde(rename = "name")]
    _name: Bilingual,
    /// Substances, and classes as `class:<name>`.
    members: Vec<String>,
    names: Vec<String>,
    /// Regular expressions of whole English words: members that nobody has listed.
    #[serde(default)]
    patterns_en: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct VagueText {
    names: Vec<String>,
    may_be: Vec<String>,
}

/// What a name says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Meaning {
    /// Substances in it; none where the name is a class's.
    holds: BTreeSet<String>,
    classes: BTreeSet<String>,
    /// Classes that it may belong to, for names that leave it open.
    may_be: BTreeSet<String>,
    /// The substance's own name, in either language: no brand.
    generic: bool,
}

pub struct Names {
    substances: BTreeMap<String, Bilingual>,
    /// Class → its substances, over all its classes.
    members: BTreeMap<String, BTreeSet<String>>,
    meanings: BTreeMap<String, Meaning>,
    patterns: Vec<(Regex, Meaning)>,
    any: Regex,
}

/// How a drug is given, as far as the words beside its name say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// On skin, eye, ear, nose: little of it gets into the blood.
    Local,
    Oral,
    /// Injected, or not said.
    Systemic,
}

/// A drug's name at a place of a text.
#[derive(Debug, Clone)]
pub struct Named<'n> {
    pub at: Range<usize>,
    /// As it was written.
    pub said: String,
    pub form: Form,
    meaning: &'n Meaning,
    /// Says again what stands before it: 泰诺林(对乙酰氨基酚).
    again: bool,
}

macro_rules! compiled {
    ($pattern:expr $(,)?) => {
        LazyLock::new(|| Regex::new($pattern).expect("the pattern is constant and tested"))
    };
}

static LOCAL: LazyLock<Regex> = compiled!(
    r"滴眼|眼药|眼膏|眼用|点眼|滴耳|滴鼻|软膏|乳膏|膏$|凝胶|乳胶|外用|外涂|外搽|搽|涂|擦|洗剂|贴|喷雾|雾化|吸入|漱|阴道|凡士林|(?-u:\b)(?:eye|ear|nose|nasal)(?-u:\b)|drops|ointment|cream|(?-u:\b)gel(?-u:\b)|topical|patch"
);
static ORAL: LazyLock<Regex> =
    compiled!(r"口服|片|胶囊|颗粒|散剂?|糖浆|混悬|滴剂|灌|吃|喝|(?-u:\b)(?:oral|po|tablets?|capsules?)(?-u:\b)");
static AGAIN: LazyLock<Regex> =
    compiled!(r"^\s*(?:片|胶囊|颗粒)?\s*(?:[(（]|即|就是|主要成分|成分)\s*(?:主要)?(?:成分)?(?:是|为|含)?\s*$");

/// How far beside a name the words for its form are looked for, in characters.
const BESIDE_CHARS: usize = 8;

impl Names {
    pub fn compile(text: NamesText) -> Result<Self, Fault> {
        let unknown = |word: &str| Fault::UnknownDrug { name: word.into() };
        let mut members = BTreeMap::new();
        for class in text.classes.keys() {
            members.insert(class.clone(), substances_of(&text, class, 0).map_err(|word| unknown(&word))?);
        }
        let mut names = Self {
            substances: BTreeMap::new(),
            members,
            meanings: BTreeMap::new(),
            patterns: vec![],
            any: Regex::new("").expect("an empty pattern"),
        };
        for (code, substance) in &text.substances {
            let meaning = names.meaning_of([code.clone()].into(), &[], &text);
            names.substances.insert(code.clone(), substance.name.clone());
            for own in [&substance.name.zh, &substance.name.en] {
                names.learn(own, Meaning { generic: true, ..meaning.clone() })?;
            }
            substance.names.iter().try_for_each(|name| names.learn(name, meaning.clone()))?;
        }
        for product in &text.products {
            if let Some(other) = product.holds.iter().find(|code| !text.substances.contains_key(*code)) {
                return Err(unknown(other));
            }
            let meaning = names.meaning_of(product.holds.iter().cloned().collect(), &product.classes, &text);
            product.names.iter().try_for_each(|name| names.learn(name, meaning.clone()))?;
        }
        for (code, class) in &text.classes {
            let meaning = names.meaning_of(BTreeSet::new(), std::slice::from_ref(code), &text);
            class.names.iter().try_for_each(|name| names.learn(name, meaning.clone()))?;
            for pattern in &class.patterns_en {
                let whole = Regex::new(&format!("^(?:{pattern})$"));
                let whole =
                    whole.map_err(|source| Fault::Phrase { finding: code.clone(), source: Box::new(source) })?;
                names.patterns.push((whole, meaning.clone()));
            }
        }
        for vague in &text.vague {
            for name in &vague.names {
                names.meanings.entry(normal(name)).or_default().may_be.extend(vague.may_be.iter().cloned());
            }
        }
        names.any = any(names.meanings.keys(), text.classes.values().flat_map(|class| &class.patterns_en))?;
        Ok(names)
    }

    /// One name, one meaning: a brand that stands under two drugs is a slip that could cost somebody dearly.
    fn learn(&mut self, name: &str, meaning: Meaning) -> Result<(), Fault> {
        match self.meanings.insert(normal(name), meaning.clone()) {
            Some(other) if other != meaning => Err(Fault::DrugTwice { name: name.into() }),
            _ => Ok(()),
        }
    }

    /// With all classes that it belongs to, and theirs.
    fn meaning_of(&self, holds: BTreeSet<String>, said: &[String], text: &NamesText) -> Meaning {
        let mut classes: BTreeSet<String> = said.iter().cloned().collect();
        classes.extend(self.members.iter().filter(|(_, of)| !of.is_disjoint(&holds)).map(|(class, _)| class.clone()));
        loop {
            let more: Vec<String> = text
                .classes
                .iter()
                .filter(|(code, _)| !classes.contains(*code))
                .filter(|(_, class)| {
                    class.members.iter().any(|m| m.strip_prefix("class:").is_some_and(|c| classes.contains(c)))
                })
                .map(|(code, _)| code.clone())
                .collect();
            if more.is_empty() {
                return Meaning { holds, classes, ..Meaning::default() };
            }
            classes.extend(more);
        }
    }

    pub fn knows_class(&self, class: &str) -> bool {
        self.members.contains_key(class)
    }

    /// All names in a text, in order. `normalised` is its normal form, which has as many characters.
    pub fn find<'n>(&'n self, original: &str, normalised: &str) -> Vec<Named<'n>> {
        let mut found: Vec<Named<'n>> = vec![];
        for hit in self.any.find_iter(normalised) {
            let Some(meaning) = self.meaning(hit.as_str()) else { continue };
            let before = &normalised[..hit.start()];
            let skip = before.chars().count();
            let said = original.chars().skip(skip).take(hit.as_str().chars().count()).collect();
            let again = found.last().is_some_and(|last| AGAIN.is_match(&normalised[last.at.end..hit.start()]));
            found.push(Named { at: hit.range(), said, form: form(normalised, hit.range()), meaning, again });
        }
        found
    }

    fn meaning(&self, word: &str) -> Option<&Meaning> {
        let singular = word.strip_suffix('s').unwrap_or(word);
        let listed = self.meanings.get(word).or_else(|| self.meanings.get(singular));
        listed.or_else(|| {
            let of_class = self.patterns.iter().find(|(whole, _)| whole.is_match(word) || whole.is_match(singular));
            of_class.map(|(_, meaning)| meaning)
        })
    }
}

impl Named<'_> {
    pub fn is(&self, class: &str) -> bool {
        self.meaning.classes.contains(class)
    }

    /// Its name leaves open whether it belongs there.
    pub fn may_be(&self, class: &str) -> bool {
        !self.is(class) && self.meaning.may_be.contains(class)
    }

    /// As a doctor should read it: with the substance that matters where its name does not say it.
    pub fn label(&self, names: &Names, classes: &[String], lang: Lang) -> String {
        let matters = classes.iter().filter_map(|class| names.members.get(class)).flatten();
        let held: BTreeSet<&str> = matters
            .filter(|code| self.meaning.holds.contains(*code))
            .map(|code| names.substances[code].get(lang))
            .collect();
        let unsaid: Vec<&str> = held.into_iter().filter(|name| !normal(&self.said).contains(&normal(name))).collect();
        match (unsaid.is_empty(), lang) {
            (true, _) => self.said.clone(),
            (_, Lang::Zh) => format!("{}（含{}）", self.said, unsaid.join("、")),
            (_, Lang::En) => format!("{} (has {})", self.said, unsaid.join(", ")),
        }
    }

    /// Two names for one thing: the same word, both generic, or one said again behind the other.
    pub fn same_product(&self, other: &Named) -> bool {
        let same_word = normal(&self.said) == normal(&other.said);
        let both_generic = self.meaning.generic && other.meaning.generic && self.meaning.holds == other.meaning.holds;
        same_word || both_generic
    }

    pub fn says_again(&self) -> bool {
        self.again
    }
}

fn substances_of(text: &NamesText, class: &str, depth: usize) -> Result<BTreeSet<String>, String> {
    const DEPTH_MAX: usize = 4; // classes of classes of classes; more is a circle
    let Some(of) = text.classes.get(class).filter(|_| depth < DEPTH_MAX) else { return Err(class.into()) };
    let mut all = BTreeSet::new();
    for member in &of.members {
        match member.strip_prefix("class:") {
            Some(inner) => all.extend(substances_of(text, inner, depth + 1)?),
            None if text.substances.contains_key(member) => drop(all.insert(member.clone())),
            None => return Err(member.clone()),
        }
    }
    Ok(all)
}

/// One expression for all names, the longest first; English ones as whole words, with a plural `s`.
fn any<'a>(
    names: impl Iterator<Item = &'a String>,
    patterns: impl Iterator<Item = &'a String>,
) -> Result<Regex, Fault> {
    let (mut english, mut chinese): (Vec<&String>, Vec<&String>) = names.partition(|name| name.is_ascii());
    for list in [&mut english, &mut chinese] {
        list.sort_by_key(|name| std::cmp::Reverse(name.chars().count()));
    }
    let escaped = |list: Vec<&String>| list.into_iter().map(|name| regex::escape(name)).collect::<Vec<_>>();
    let english: Vec<String> = escaped(english).into_iter().chain(patterns.cloned()).collect();
    let all = format!(r"{}|(?-u:\b)(?:{})s?(?-u:\b)", escaped(chinese).join("|"), english.join("|"));
    Regex::new(&all).map_err(|source| Fault::Phrase { finding: "drug names".into(), source: Box::new(source) })
}

fn form(text: &str, at: Range<usize>) -> Form {
    let after: String = text[at.end..].chars().take(BESIDE_CHARS).take_while(|c| !"，。；、,;+".contains(*c)).collect();
    let before: String = text[..at.start].chars().rev().take(4).take_while(|c| !"，。；、,;+".contains(*c)).collect();
    let before: String = before.chars().rev().collect();
    let beside = format!("{before} {after}");
    if LOCAL.is_match(&beside) {
        Form::Local
    } else if ORAL.is_match(&beside) {
        Form::Oral
    } else {
        Form::Systemic
    }
}
