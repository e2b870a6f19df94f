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

/// The clauses of a text, in order; then those of the text with its broken words joined, where it has any.
/// A join only adds to what is read: what the text says as it stands is never lost by it.
pub fn clauses(text: &str) -> Vec<String> {
    let text = plain(text);
    let mut clauses = split(&text);
    let joined = joined(&text);
    if joined != text {
        clauses.extend(split(&joined));
    }
    clauses
}

fn split(text: &str) -> Vec<String> {
    let text = BLANK_IN_CHINESE.replace_all(text, "$1，$2");
    CLAUSE_END.split(&text).map(str::trim).filter(|c| !c.is_empty()).map(String::from).collect()
}

/// Without characters that nobody sees, and with blanks, letters and digits of one kind.
fn plain(text: &str) -> String {
    let seen = text.chars().filter(|c| {
        !matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
    });
    let one_kind = seen.map(|c| match c {
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' => ' ',
        '０'..='９' | 'Ａ'..='Ｚ' | 'ａ'..='ｚ' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        other => other,
    });
    one_kind.collect()
}

/// Words that a line's end, a blank or a hyphen has broken: 胸⏎痛, 胸 痛, chest-pain. A line with a colon is a row of a
/// form (胸痛：无) and ends where it ends; so does one that ends with a mark, and one before an empty line.
fn joined(text: &str) -> String {
    let chars: Vec<char> = text.replace("\r\n", "\n").chars().collect();
    let han = |at: usize| chars.get(at).is_some_and(|c| matches!(c, '\u{3400}'..='\u{9fff}'));
    let latin = |at: usize| chars.get(at).is_some_and(char::is_ascii_alphabetic);
    // 汉字 with none beside it.
    let alone = |at: usize| han(at) && !(at > 0 && han(at - 1)) && !han(at + 1);
    let (mut whole, mut row) = (String::with_capacity(text.len()), false);
    for (at, c) in chars.iter().enumerate() {
        let in_row = row;
        row = matches!(c, ':' | '：') || (row && *c != '\n');
        let between = |is: &dyn Fn(usize) -> bool| at > 0 && is(at - 1) && is(at + 1);
        match c {
            '\n' if !in_row && between(&han) => {}
            '\n' if !in_row && between(&latin) => whole.push(' '),
            ' ' if between(&han) && (alone(at - 1) || alone(at + 1)) => {}
            '-' if between(&latin) => whole.push(' '),
            other => whole.push(*other),
        }
    }
    whole
}

/// Whether the words at `span` are denied by their clause.
pub fn denied(clause: &str, span: Range<usize>) -> bool {
    let before = NO_CUE.replace_all(&clause[..span.start], "");
    CUE.is_match(&before) || CUE_AT_ONCE.is_match(&before) || CUE_AFTER.is_match(&clause[span.end..])
}
