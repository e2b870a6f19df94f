//! One number for form and prompt together, so that an adapter and a box can see whether they mean the same.

use crate::prompt::{self, PromptFormat, Segment};
use contract::{ids::Lang, reply::Section};
use sha2::{Digest, Sha256};

/// Identifies form and prompt: an adapter trained with others would write into the wrong places. It is the hash
/// of a whole rendered text in each language, so that no change of wording or format can go unseen.
pub fn of(format: PromptFormat) -> String {
    let case: contract::case::Case = serde_json::from_str(FULL_CASE).expect("the constant case is tested");
    of_texts(|lang| {
        let given = prompt::prefix(format, "internal", lang).into_iter().chain(prompt::case(format, &case, lang));
        given
            .chain(Section::ALL.into_iter().flat_map(|section| written(prompt::section_header(section, lang))))
            .collect()
    })
}

/// The same of another task's form.
pub fn of_task(format: PromptFormat, form: &prompt::TaskForm) -> String {
    of_texts(|lang| {
        let given = prompt::task(format, form, "a b", lang).into_iter();
        given.chain(form.sections.iter().flat_map(|section| written(prompt::task_header(section, lang)))).collect()
    })
}

/// A section under its header.
fn written(header: Segment) -> [Segment; 2] {
    [header, prompt::section_body(&["a", "b"])]
}

fn of_texts(texts: impl Fn(Lang) -> Vec<Segment>) -> String {
    let mut hash = Sha256::new();
    [Lang::Zh, Lang::En].into_iter().flat_map(texts).for_each(|segment| hash.update(segment.text));
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
