//! Free text: the mask, the rules that read it, and the prompt that shows it to the model.

use contract::{
    bounded::Text,
    case::{Case, Complaint},
    ids::Lang,
    mask,
    words::Triage,
};
use decide::rules::RuleSet;
use engine::prompt::{self, PromptFormat};

/// Taken is what has something to mask.
pub fn holds(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let once = mask::text(&text);
    assert!(once.chars().count() <= text.chars().count(), "longer: {text:?} → {once:?}");
    assert_eq!(mask::text(&once), once, "masked twice: {text:?}");

    // Complaint and history, as a tablet may split them.
    let (complaint, history) = text.split_once('\u{1e}').unwrap_or((&text, ""));
    judged(&Case {
        complaint: Complaint { text: Text::cut(complaint), duration: None },
        history: Some(Text::cut(history)),
        ..Case::default()
    });
    once != text
}

/// Rules and prompt take any case; a case says the same flags each time, and nothing of it is read as a special token.
pub fn judged(case: &Case) {
    let nobody = Case::default();
    for lang in Lang::ALL {
        let fired = RuleSet::builtin().check(case, lang);
        assert_eq!(fired.red_flags.len(), fired.exclusions.len());
        let triage = fired.red_flags.iter().map(|flag| flag.urgency.triage()).max().unwrap_or(Triage::Green);
        assert_eq!(fired.triage, triage);
        assert_eq!(RuleSet::builtin().check(case, lang), fired);
        for format in [PromptFormat::Plain, PromptFormat::ChatMl, PromptFormat::Gemma, PromptFormat::Llama3] {
            let marks = |case| prompt::case(format, case, lang).into_iter().filter(|segment| segment.special);
            assert!(marks(case).eq(marks(&nobody)));
        }
    }
}
