//! One number for form and prompt together, so that an adapter and a box can see whether they mean the same.

use crate::prompt::{self, PromptFormat};
use contract::{ids::Lang, reply::Section};
use sha2::{Digest, Sha256};

/// Identifies form and prompt: an adapter trained with others would write into the wrong places. It is the hash
/// of a whole rendered text in each language, so that no change of wording or format can go unseen.
pub fn of(format: PromptFormat) -> String {
    let case: contract::case::Case = serde_json::from_str(FULL_CASE).expect("the constant case is tested");
    let mut hash = Sha256::new();
    for lang in [Lang::Zh, Lang::En] {
        let given = prompt::prefix(format, "internal", lang).into_iter().chain(prompt::case(format, &case, lang));
        given.for_each(|segment| hash.update(segment.text));
        for section in Section::ALL {
            hash.update(prompt::section_header(section, lang).text);
            hash.update(prompt::section_body(&["a", "b"]).text);
        }
    }
    crate::hex(&hash.finalize())
}

/// The same of another task's form.
pub fn of_task(format: PromptFormat, form: &prompt::TaskForm) -> String {
    let mut hash = Sha256::new();
    for lang in [Lang::Zh, Lang::En] {
        prompt::task(format, form, "a b", lang).into_iter().for_each(|segment| hash.update(segment.text));
        for section in &form.sections {
            hash.update(prompt::task_header(section, lang).text);
            hash.update(prompt::section_body(&["a", "b"]).text);
        }
    }
    crate::hex(&hash.finalize())
}

/// A case with every field, for the fingerprint.
const FULL_CASE: &str = r#"{"age":{"value":30,"unit":"year"},"sex":"female","pregnancy":{"status":"pregnant","weeks":30},
    "lactating":true,"weight_kg":60.5,"allergies":[],"conditions":["a"],"current_drugs":["b"],"exposures":["tick"],
    "complaint":{"text":"c","duration":"d"},"findings":[{"code":"e","state":"present"},{"code":"f","state":"absent"}],
    "vitals":{"t_c":37.5,"hr":1,"rr":2,"sbp":3,"dbp":4,"spo2":5,"glucose":6},
    "labs":[{"name":"g","value":"h","unit":"i"}],"history":"j",
    "plan":{"working_diagnosis":"k","checks":["l"],"drugs":["m"]}}"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_format_has_another_fingerprint() {
        assert_ne!(of(PromptFormat::Plain), of(PromptFormat::ChatMl));
    }
}
