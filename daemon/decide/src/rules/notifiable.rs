//! Which of the diseases that rules name the law wants reported, and in which class. Suspected, by rule: whether to report
//! is the physician's word, within the law's time.

use contract::{
    answer::{Notifiable, NotifiableClass, RedFlag},
    words::Bilingual,
};
use serde::Deserialize;
use std::collections::BTreeSet;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotifiableTable {
    #[cfg_attr(not(test), expect(dead_code, reason = "for the physician who reviews the file"))]
    source: Vec<String>,
    diseases: Vec<DiseaseText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DiseaseText {
    name: Bilingual,
    class: NotifiableClass,
    /// Beginnings of codes: `A23` is all of brucellosis.
    icd10: Vec<String>,
}

impl NotifiableTable {
    /// The gravest class first; each disease once, under the first rule that names it.
    pub fn among(&self, red_flags: &[RedFlag]) -> Vec<Notifiable> {
        let mut seen = BTreeSet::new();
        let mut found: Vec<Notifiable> = red_flags
            .iter()
            .flat_map(|flag| flag.must_not_miss.iter().map(move |disease| (flag, disease)))
            .filter_map(|(flag, disease)| {
                let code = disease.icd10.as_deref()?;
                let text = self.diseases.iter().find(|text| text.icd10.iter().any(|from| code.starts_with(from)))?;
                Some(Notifiable { disease: text.name.clone(), class: text.class, rule: flag.rule.clone() })
            })
            .filter(|one| seen.insert(one.disease.zh.clone()))
            .collect();
        found.sort_by_key(|one| one.class);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::data::{BUILTIN, NOTIFIABLE};

    #[test]
    fn no_code_begins_like_another_and_every_class_is_there() {
        let (_, content) = BUILTIN.iter().find(|(file, _)| *file == NOTIFIABLE).expect("a file");
        let table: NotifiableTable = serde_json::from_str(content).expect("the built-in table");
        assert!(!table.source.is_empty());
        let codes: Vec<&String> = table.diseases.iter().flat_map(|disease| &disease.icd10).collect();
        for (n, code) in codes.iter().enumerate() {
            let alike = codes.iter().enumerate().find(|(m, other)| n != *m && other.starts_with(&***code));
            assert!(alike.is_none(), "{code} and {alike:?}");
        }
        for class in [NotifiableClass::A, NotifiableClass::B, NotifiableClass::C, NotifiableClass::AsB] {
            assert!(table.diseases.iter().any(|disease| disease.class == class), "{class:?}");
        }
    }
}
