//! Clauses and negation in Chinese and English free text. A cue holds from where it stands to the end
//! of its clause: in "无胸痛、胸闷，头晕" it denies 胸痛 and 胸闷 and says nothing about 头晕.
//!
//! When in doubt a phrase counts as said: a false alarm costs a look, a false denial may cost a patient.

use regex::Regex;
use std::{ops::Range, sync::LazyLock};

macro_rules! compiled {
    ($pattern:expr $(,)?) => {
        LazyLock::new(|| Regex::new($pattern).expect("the pattern is constant and tested"))
    };
}

/// Ends a clause. "、" does not, because a denial runs through a list; a point inside 38.5 does not either.
/// A blank between two Chinese characters does: many type blanks instead of commas.
static CLAUSE_END: LazyLock<Regex> =
    compiled!(r"(?i)[，。；！？,;!?\r\n]|\.(?:\s|$)|但是?|却|(?-u:\b)(?:but|however)(?-u:\b)");
static BLANK_IN_CHINESE: LazyLock<Regex> = compiled!(r"(\p{Han})\s+(\p{Han})");

static CUE: LazyLock<Regex> = compiled!(
    r"(?i)无|没有|否认|未|不伴|(?-u:\b)(?:no|denie[sd]|denying|without|negative for|not (?:have|having|had|report|complain))(?-u:\b)",
);
/// These deny only what follows at once: 不发烧, 不会喘, 没吐, "not vomiting".
static CUE_AT_ONCE: LazyLock<Regex> =
    compiled!(r"(?i)(?:[不没](?:会|再|怎么|太|觉得|感到|感觉|出现|伴有?)*|(?-u:\b)not )$");
/// "胸痛：无", "chest pain (-)".
static CUE_AFTER: LazyLock<Regex> =
    compiled!(r"(?i)^\s*[:：]?\s*(?:无|没有|否认|阴性|none|negative|absent|[(（]\s*[-－]\s*[)）])\s*$");

/// Words that hold a cue and deny no symptom: 无明显诱因出现胸痛 is chest pain.
static NO_CUE: LazyLock<Regex> = compiled!(concat!(
    r"(?i)无(?:明显|任何)?(?:诱因|原因)|无(?:力|痛|故|缘|法|效|尿|泪|神|脉|精打采|规律|意|论|好转|缓解|改善)",
    r"|从?未(?:曾)?有过|从没有?过",
    r"|未见?(?:明显)?(?:缓解|好转|改善|愈|治|处理|就[诊医]|重视|婚|来|成年|用药|服药|进食|控制|规律|正规|按时)",
    r"|没有?(?:什么|明显)?(?:好转|缓解|见好|改善|力|劲|精神|胃口|食欲|尿|胎动|醒|吃|用药|治疗|来|效果|去|看|重视|管|原因|诱因|之前|办法)",
    r"|(?-u:\b)no (?:relief|improvement|better|urine|tears?|appetite|energy|fo?etal|longer)",
    r"|(?-u:\b)(?:no|without) (?:any )?(?:(?:obvious|apparent|clear|known) )?(?:cause|reason|trigger|warning|improvement|relief)",
));

/// The clauses of a text, in order.
pub fn clauses(text: &str) -> Vec<String> {
    let text = BLANK_IN_CHINESE.replace_all(text, "$1，$2");
    CLAUSE_END.split(&text).map(str::trim).filter(|c| !c.is_empty()).map(String::from).collect()
}

/// Whether the words at `span` are denied by their clause.
pub fn denied(clause: &str, span: Range<usize>) -> bool {
    let before = NO_CUE.replace_all(&clause[..span.start], "");
    CUE.is_match(&before) || CUE_AT_ONCE.is_match(&before) || CUE_AFTER.is_match(&clause[span.end..])
}
