//! What a header looks like, and which section it heads. The form's own headers (`engine::form`), and what hospitals
//! and other models write in their place.

use contract::{ids::Lang, reply::Section};
use engine::form;
use regex::Regex;
use std::{collections::HashMap, sync::LazyLock};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heading {
    Section(Section),
    /// Of something that the form has no section for, by its name.
    Elsewhere(String),
}

const CAUSES: &str = "可能原因|可能的原因|可能病因|病因|原因|诊断|初步诊断|可能诊断|可能的诊断|考虑诊断|诊断意见|诊断考虑|临床诊断|印象|初步印象|\
    possible causes|possible cause|causes|likely causes|cause|diagnosis|diagnoses|possible diagnosis|possible diagnoses|likely diagnosis|\
    working diagnosis|provisional diagnosis|impression|assessment";
const EXCLUSIONS: &str = "不能排除|不能除外|不除外|鉴别诊断|鉴别|需鉴别|需排除|需要排除|须排除|应排除|待排除|待排|排除|\
    cannot exclude|cannot be excluded|not excluded|differential|differentials|differential diagnosis|differential diagnoses|rule out|to rule out|\
    to exclude|must exclude|must not miss";
const CHECKS: &str = "建议检查|检查建议|检查|推荐检查|进一步检查|完善检查|需完善检查|需做检查|辅助检查建议|建议辅助检查|\
    suggested checks|suggested tests|checks|tests|investigations|recommended tests|further tests|further investigations|workup|work-up";
const CAUTIONS: &str = "用药提醒|用药注意|用药注意事项|用药建议|用药|用药警示|药物注意|注意|注意事项|禁忌|\
    medication cautions|medication caution|cautions|caution|medication|medications|medication notes|drug cautions|precautions|contraindications|\
    warnings";
const MISSING: &str = "还需了解|还需询问|还需追问|还要问|需询问|需追问|需补充|需补充信息|补充询问|补充问诊|追问|缺失信息|\
    still to ask|questions to ask|ask|to ask|missing information|further questions|questions|follow-up questions";
/// Known, and no section of the form. 辅助检查 tells results as often as plans; 建议 may be anything.
const ELSEWHERE: &str = "主诉|现病史|既往史|病史|体格检查|查体|辅助检查|检查结果|化验结果|分析|病情分析|诊断依据|依据|建议|处理|处理意见|处置|治疗|\
    治疗方案|治疗建议|治疗原则|医嘱|处方|随访|复诊|预后|健康教育|生活建议|转诊|总结|回答|答|\
    complaint|chief complaint|history|examination|findings|results|analysis|rationale|advice|recommendations|plan|management|treatment|\
    prescription|follow-up|follow up|prognosis|education|referral|summary|answer";

/// The section that a line heads, and what stands behind the header. `None`: it is a line, and no header.
pub fn heading(line: &str) -> Option<(Heading, &str)> {
    let (line, hashes) = unhashed(line.trim());
    let (line, numbered) = unnumbered(line);
    let (line, bold) = match line.strip_prefix("**").or_else(|| line.strip_prefix("__")) {
        Some(line) => (line, true),
        None => (line, false),
    };
    let (name, rest, bracket) = named(line)?;
    let whole = rest.is_empty();
    if let Some(heading) = known(name) {
        // "检查 胸片" is prose; a header ends with a mark or with its line.
        return Some((heading, rest));
    }
    let short = (1..=24).contains(&name.chars().count()) && !name.contains(is_reply_end);
    // "1. **肺炎**" may be an entry. Of what only looks like a header the name is enough for nothing.
    let looks =
        whole && short && (bracket || hashes || (bold && !numbered) || line.ends_with(['：', ':']) && !numbered);
    looks.then(|| (Heading::Elsewhere(name.to_owned()), rest))
}

/// Name, what stands behind, and whether the name stood in brackets.
fn named(line: &str) -> Option<(&str, &str, bool)> {
    const BRACKETS: [(char, char); 5] = [('【', '】'), ('[', ']'), ('〔', '〕'), ('「', '」'), ('《', '》')];
    for (open, close) in BRACKETS {
        if let Some((name, rest)) = line.strip_prefix(open).and_then(|inside| inside.split_once(close)) {
            return Some((inner(name), behind(rest), true));
        }
    }
    let (name, rest) = match line.find(['：', ':']) {
        Some(at) => line.split_at(at),
        None => (line, ""),
    };
    // "**诊断** 肺炎": the end of the bold is the mark.
    match name.find("**").filter(|at| !name[at + 2..].trim().is_empty()) {
        Some(at) => Some((inner(&name[..at]), behind(&line[at..]), false)),
        None => Some((inner(name), behind(rest), false)),
    }
    .filter(|(name, ..)| !name.is_empty())
}

fn inner(name: &str) -> &str {
    name.trim_matches(|c: char| c.is_whitespace() || matches!(c, '*' | '_' | '#' | '：' | ':'))
}

fn behind(rest: &str) -> &str {
    rest.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '*' | '：' | ':')).trim()
}

/// "鉴别诊断（不能排除）" says the same twice. What else stands in parentheses is content, and then this is no header.
fn known(name: &str) -> Option<Heading> {
    match name.split_once(['（', '(']) {
        Some((name, more)) => word(more.trim_end_matches(['）', ')'])).and(word(name)),
        None => word(name),
    }
}

fn word(name: &str) -> Option<Heading> {
    static KNOWN: LazyLock<HashMap<String, Heading>> = LazyLock::new(|| {
        let words =
            |list: &'static str, heading: Heading| list.split('|').map(move |word| (folded(word), heading.clone()));
        let of = |section, list| words(list, Heading::Section(section));
        let own = Section::ALL.into_iter().flat_map(|section| {
            let header = |lang| folded(form::header(section, lang).trim_matches(['【', '】', '[', ']']));
            Lang::ALL.map(|lang| (header(lang), Heading::Section(section)))
        });
        of(Section::PossibleCauses, CAUSES)
            .chain(of(Section::CannotExclude, EXCLUSIONS))
            .chain(of(Section::SuggestedChecks, CHECKS))
            .chain(of(Section::MedicationCautions, CAUTIONS))
            .chain(of(Section::MissingInformation, MISSING))
            .chain(ELSEWHERE.split('|').map(|word| (folded(word), Heading::Elsewhere(word.to_owned()))))
            .chain(own)
            .collect()
    });
    KNOWN.get(&folded(name)).cloned()
}

fn folded(name: &str) -> String {
    name.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect()
}

pub fn is_reply_end(c: char) -> bool {
    matches!(c, '。' | '，' | '；' | '！' | '？' | '.' | ',' | ';' | '!' | '?')
}

fn unhashed(line: &str) -> (&str, bool) {
    let bare = line.trim_start_matches('#');
    // A hash with text at it may be a tag; a heading has a blank, or a Chinese word, behind it.
    (bare.trim_start(), bare.len() < line.len())
}

/// Without bullet or number, and whether there was one. "1.5T" and "-10℃" have none.
pub fn unnumbered(line: &str) -> (&str, bool) {
    static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
        let patterns = [
            r"[-*+–—]\s+",
            r"[•·●○▪◆►■□]\s*",
            r"[0-9]{1,2}(?:[、)）]|[.．](?:\s|[^0-9\s]))\s*",
            r"[(（](?:[0-9]{1,2}|[一二三四五六七八九十]{1,3})[)）]\s*",
            r"[①-⑳]\s*",
            r"[一二三四五六七八九十]{1,3}[、.．]\s*",
        ];
        Regex::new(&format!("^(?:{})", patterns.join("|"))).expect("a pattern")
    });
    let line = line.trim();
    let Some(found) = NUMBER.find(line) else { return (line, false) };
    // "1.肺炎": the pattern had to see that no digit follows, and saw the first character of the line.
    let end = match found.as_str().char_indices().find(|(_, c)| matches!(c, '.' | '．')) {
        Some((at, dot)) => at + dot.len_utf8(),
        None => found.end(),
    };
    (line[end..].trim_start(), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_heads_two_sections() {
        let lists = [CAUSES, EXCLUSIONS, CHECKS, CAUTIONS, MISSING, ELSEWHERE];
        let mut words: Vec<String> = lists.iter().flat_map(|list| list.split('|')).map(folded).collect();
        let all = words.len();
        words.sort();
        words.dedup();
        assert_eq!(words.len(), all);
    }

    #[test]
    fn numbers_and_bullets_go_and_measures_stay() {
        for (line, bare) in [
            ("1. 肺炎", "肺炎"),
            ("1.肺炎", "肺炎"),
            ("12、肺炎", "肺炎"),
            ("3)肺炎", "肺炎"),
            ("(2)肺炎", "肺炎"),
            ("（二）肺炎", "肺炎"),
            ("①肺炎", "肺炎"),
            ("十一、肺炎", "肺炎"),
            ("- 肺炎", "肺炎"),
            ("•肺炎", "肺炎"),
            ("* 肺炎", "肺炎"),
            ("1.5T磁共振", "1.5T磁共振"),
            ("-10℃", "-10℃"),
            ("24小时动态血压", "24小时动态血压"),
            ("**肺炎**", "**肺炎**"),
            ("一氧化碳中毒：头痛", "一氧化碳中毒：头痛"),
        ] {
            assert_eq!(unnumbered(line).0, bare, "{line}");
        }
    }
}
