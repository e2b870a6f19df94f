//! Free text as the form's sections: by its headers, and by nothing else. A line goes where a header says; what stands
//! before the first one, or under one that is no section of the form, is counted and left out.
//!
//! ```text
//! ## 1. **诊断**：急性支气管炎        a header, marks taken off, and its first line
//! - 胸片：看有无肺炎                 a line, bullet taken off
//! 【治疗方案】                       a header of something else: what follows is not placed
//! ```

use super::headers::{Heading, heading, is_reply_end, unnumbered};
use contract::{ids::Lang, reply::Section, sample::Completion};
use engine::form;
use regex::Regex;
use std::{collections::BTreeMap, sync::LazyLock};

#[derive(Debug, PartialEq)]
pub struct Read {
    pub completion: Completion,
    /// Lines that no section took, by the header above them.
    pub unplaced: BTreeMap<String, usize>,
}

pub const BEFORE_THE_FIRST: &str = "no header";

pub fn read(text: &str, lang: Lang) -> Read {
    let mut read = Read { completion: none(), unplaced: BTreeMap::new() };
    let mut seen = [false; Section::ALL.len()];
    let mut here = Heading::Elsewhere(BEFORE_THE_FIRST.to_owned());
    for line in parted(text) {
        let mut line = &*line;
        while let Some((found, rest)) = heading(line) {
            (here, line) = (found, rest);
            match &here {
                Heading::Section(section) => {
                    seen[*section as usize] = true;
                    break;
                }
                // It may be the name of something: nothing under it is told as well.
                Heading::Elsewhere(name) => _ = read.unplaced.entry(name.clone()).or_default(),
            }
        }
        let line = bare(line);
        match &here {
            _ if line.is_empty() => {}
            Heading::Section(_) if form::is_nothing(line.trim_end_matches(['。', '.'])) => {}
            Heading::Section(section) => lines_mut(&mut read.completion, *section).push(line),
            Heading::Elsewhere(name) => *read.unplaced.entry(name.clone()).or_default() += 1,
        }
    }
    // A section that is there and says nothing says so. One that is not there says nothing at all.
    for section in Section::ALL.into_iter().filter(|section| seen[*section as usize]) {
        let lines = lines_mut(&mut read.completion, section);
        if lines.is_empty() {
            lines.push(nothing(lang).to_owned());
        }
    }
    read
}

pub fn none() -> Completion {
    Completion { causes: vec![], exclusions: vec![], checks: vec![], cautions: vec![], missing: vec![] }
}

pub fn nothing(lang: Lang) -> &'static str {
    if lang == Lang::Zh { "无" } else { "None" }
}

pub fn lines_mut(completion: &mut Completion, section: Section) -> &mut Vec<String> {
    match section {
        Section::PossibleCauses => &mut completion.causes,
        Section::CannotExclude => &mut completion.exclusions,
        Section::SuggestedChecks => &mut completion.checks,
        Section::MedicationCautions => &mut completion.cautions,
        Section::MissingInformation => &mut completion.missing,
    }
}

/// Lines, and in a line what a header begins: one in brackets anywhere, a bare one with its colon behind a full stop.
/// Not behind a semicolon: "主动脉夹层：撕裂样痛；检查：CT" is one line of the form.
fn parted(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    for line in text.lines() {
        let mut rest = line;
        while let Some(at) = next_header(rest) {
            parts.push(rest[..at].to_owned());
            rest = &rest[at..];
        }
        parts.push(rest.to_owned());
    }
    parts
}

/// Where in a line, but not at its beginning, a header of the form begins.
fn next_header(line: &str) -> Option<usize> {
    static BORDER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?:[。！!]|\.\s)\s*|[【\[]").expect("a pattern"));
    let mark = |text: &str| if text.starts_with(['【', '[']) { 0 } else { text.len() };
    let borders = BORDER.find_iter(line).map(|border| border.start() + mark(border.as_str()));
    // "1. **诊断**" and "## 【诊断】" begin with their own marks.
    let only_marks = |before: &str| {
        let numbered = format!("{}x", before.trim_start_matches(['#', ' ']));
        unnumbered(&numbered).0.trim_start_matches(['*', '_', ' ']) == "x"
    };
    borders.filter(|at| !only_marks(&line[..*at])).find(|at| {
        let rest = &line[*at..];
        let named = rest.starts_with(['【', '['])
            || rest.split_once(['：', ':']).is_some_and(|(name, _)| !name.contains(is_reply_end));
        named && matches!(heading(rest), Some((Heading::Section(_), _)))
    })
}

/// A line without bullet, number and bold.
pub fn bare(line: &str) -> String {
    unnumbered(line).0.replace("**", "").replace("__", "").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        let read = read(text, if text.is_ascii() { Lang::En } else { Lang::Zh });
        let mut said: Vec<String> = Section::ALL
            .into_iter()
            .zip(["causes", "exclusions", "checks", "cautions", "missing"])
            .filter(|(section, _)| !read.completion.lines(*section).is_empty())
            .map(|(section, name)| format!("{name}={}", read.completion.lines(section).join("|")))
            .collect();
        said.extend(read.unplaced.iter().map(|(header, n)| format!("{n} under {header}")));
        said.join(" ")
    }

    #[test]
    fn the_forms_own_text_reads_back_in_both_languages() {
        for lang in Lang::ALL {
            let lines =
                |section: Section| vec![format!("a{}：b；c", section as usize), format!("d{}: e", section as usize)];
            let text: String = Section::ALL
                .map(|section| format!("{}\n{}\n\n", form::header(section, lang), lines(section).join("\n")))
                .concat();
            let read = read(&text, lang);
            assert_eq!(read.unplaced, BTreeMap::new());
            for section in Section::ALL {
                assert_eq!(read.completion.lines(section), lines(section), "{lang:?} {section:?}");
            }
        }
    }

    #[test]
    fn headers_come_in_many_clothes() {
        let whole = "causes=肺炎：咳 exclusions=肺结核：久咳；查痰 checks=胸片：看影";
        let clothes = [
            "【可能的原因】\n肺炎：咳\n【不能排除】\n肺结核：久咳；查痰\n【建议检查】\n胸片：看影",
            "诊断：肺炎：咳\n鉴别诊断：肺结核：久咳；查痰\n检查：胸片：看影",
            "## 初步诊断\n- 肺炎：咳\n## 需排除\n- 肺结核：久咳；查痰\n### 辅助检查建议\n- 胸片：看影",
            "**诊断：**\n1. 肺炎：咳\n**鉴别诊断**:\n1、肺结核：久咳；查痰\n**检查**\n（1）胸片：看影",
            "一、可能原因\n① 肺炎：咳\n二、不能排除\n② 肺结核：久咳；查痰\n三、建议检查\n③胸片：看影",
            "1. **可能的原因**：**肺炎**：咳\n2. **不除外**：肺结核：久咳；查痰\n3. **进一步检查**：胸片：看影",
            "1. 【可能的原因】\n肺炎：咳\n## 【不能排除】\n肺结核：久咳；查痰\n**【建议检查】**\n胸片：看影",
            "[可能原因] 肺炎：咳\n[待排] 肺结核：久咳；查痰\n[检查建议] 胸片：看影",
            "【可能的原因】肺炎：咳【不能排除】肺结核：久咳；查痰【建议检查】胸片：看影",
            "可能原因: 肺炎：咳。不能排除: 肺结核：久咳；查痰。建议检查: 胸片：看影",
            "可能原因（Possible causes）：\r\n  • 肺炎：咳\r\n\r\n鉴别诊断 ：\r\n  • 肺结核：久咳；查痰\r\n检查\r\n  * 胸片：看影",
        ];
        for text in clothes {
            assert_eq!(said(text).replace("咳。 ", "咳 ").replace("查痰。 ", "查痰 "), whole, "{text}");
        }
        assert_eq!(
            said(
                "Diagnosis: Pneumonia: cough\n**Differential diagnosis**\n- TB: weeks of cough; sputum\nWorkup:\n1) X-ray: shadow\n## Medication cautions\nNone\n[Questions to ask]\nWeight loss: TB"
            ),
            "causes=Pneumonia: cough exclusions=TB: weeks of cough; sputum checks=X-ray: shadow cautions=None missing=Weight loss: TB"
        );
    }

    #[test]
    fn what_no_header_of_the_form_takes_is_counted_and_not_placed() {
        assert_eq!(said("考虑肺炎，建议拍片"), "1 under no header");
        assert_eq!(said("您好！\n诊断：肺炎"), "causes=肺炎 1 under no header");
        assert_eq!(
            said("诊断：肺炎\n【治疗方案】\n休息\n多喝水\n检查：胸片"),
            "causes=肺炎 checks=胸片 2 under 治疗方案"
        );
        assert_eq!(said("诊断：肺炎\n随访：三天后复诊\n预后：\n良好"), "causes=肺炎 1 under 随访 1 under 预后");
        assert_eq!(said("诊断：肺炎\n生活方式调整：\n少盐"), "causes=肺炎 1 under 生活方式调整");
        assert_eq!(said("Diagnosis: Flu\n## Lifestyle\nRest\nDrink"), "causes=Flu 2 under Lifestyle");
    }

    #[test]
    fn a_line_of_the_form_is_no_header() {
        // A next step that begins like a header, a name in bold, a number that is a dose, a time.
        assert_eq!(said("不能排除：主动脉夹层：撕裂样痛；检查：CT"), "exclusions=主动脉夹层：撕裂样痛；检查：CT");
        assert_eq!(said("诊断：\n1. **肺炎**：咳\n2. **流感**：热"), "causes=肺炎：咳|流感：热");
        assert_eq!(said("诊断：\n1. **肺炎**\n2. **流感**"), "causes=肺炎|流感");
        assert_eq!(
            said("检查：\n24小时尿蛋白：看量\n1.5T磁共振：看梗死\n-10℃：冷"),
            "checks=24小时尿蛋白：看量|1.5T磁共振：看梗死|-10℃：冷"
        );
    }

    #[test]
    fn a_section_that_says_nothing_says_so_and_an_absent_one_does_not() {
        assert_eq!(
            said("诊断：肺炎\n用药：无。\n还需询问：\n\n检查："),
            "causes=肺炎 checks=无 cautions=无 missing=无"
        );
    }

    /// Any text: nothing panics, and every line is placed, counted, a header or "none".
    #[test]
    fn every_line_is_somewhere() {
        let pieces = [
            "诊断：",
            "【不能排除】",
            "肺炎",
            "：",
            "。",
            "\n",
            "- ",
            "1. ",
            "**",
            "检查",
            "[",
            "】",
            "#",
            "无",
            "治疗：",
            "Workup: ",
            ". ",
        ];
        let mut dice = crate::dice::dice(5);
        for _ in 0..20_000 {
            let text: String = (0..dice(14)).map(|_| pieces[dice(pieces.len())]).collect();
            let read = read(&text, Lang::Zh);
            let lines: Vec<&String> = Section::ALL.iter().flat_map(|section| read.completion.lines(*section)).collect();
            let found = lines
                .iter()
                .filter(|line| line.contains("肺炎"))
                .map(|line| line.matches("肺炎").count())
                .sum::<usize>();
            assert!(found <= text.matches("肺炎").count(), "{text}");
            if found < text.matches("肺炎").count() {
                assert!(!read.unplaced.is_empty(), "lost without a word: {text:?} became {lines:?}");
            }
        }
    }
}
