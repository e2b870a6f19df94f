//! What free text says about drugs and about the patient, clause by clause: taken or not, whose, when, denied or stated.
//!
//! When in doubt a drug in free text counts as not taken, because the plan and the list of drugs are the places for it;
//! a condition in free text counts as stated, because missing it may cost a patient.

use regex::Regex;
use std::{ops::Range, sync::LazyLock};

macro_rules! compiled {
    ($pattern:expr $(,)?) => {
        LazyLock::new(|| Regex::new($pattern).expect("the pattern is constant and tested"))
    };
}

static CLAUSE_END: LazyLock<Regex> =
    compiled!(r"[，。；！？,;!?\r\n]|\.(?:\s|$)|但是?|却|(?-u:\b)(?:but|however)(?-u:\b)");
static BLANK_IN_CHINESE: LazyLock<Regex> = compiled!(r"(\p{Han})\s+(\p{Han})");

/// The clauses of a text in its normal form.
pub fn clauses(text: &str) -> Vec<String> {
    let text = BLANK_IN_CHINESE.replace_all(text, "$1，$2");
    CLAUSE_END.split(&text).map(str::trim).filter(|clause| !clause.is_empty()).map(String::from).collect()
}

/// Deny all that follows in their clause: a list of symptoms or diseases.
static DENIED: LazyLock<Regex> = compiled!(
    r"无|没有|否认|未见|未诉|(?-u:\b)(?:no|denie[sd]|denying|without|negative for|never|not (?:have|having|had))(?-u:\b)"
);
/// These do not.
static NO_DENIAL: LazyLock<Regex> =
    compiled!(r"无(?:明显|任何)?(?:诱因|原因)|无(?:力|效|故|法)|没有?(?:好转|缓解|效果?|力气|劲|办法)");
/// Deny what follows at once: 不喝酒, 没喝过酒, 未孕, "not drinking".
static DENIED_AT_ONCE: LazyLock<Regex> = compiled!(
    r"(?:不|没|未|非|从不|从未|滴)(?:会|再|曾|怎么|能|敢|常|是|有|沾|爱|碰|带|见|喝|饮)*$|(?-u:\b)(?:not|isn't|doesn't|don't|didn't|never)(?: (?:a|an|the|been|any|drink|have))* ?$"
);
static DENIED_AFTER: LazyLock<Regex> =
    compiled!(r"^(?:病?史)?\s*[:：]?\s*(?:无|没有|否认|阴性|不沾|none|negative|absent|[(（]\s*[-－]\s*[)）])");

pub fn denied(clause: &str, at: Range<usize>) -> bool {
    let before = NO_DENIAL.replace_all(&clause[..at.start], "");
    DENIED.is_match(&before) || DENIED_AT_ONCE.is_match(&before) || DENIED_AFTER.is_match(&clause[at.end..])
}

const RELATIVES: &str = "妈|母亲|爸|父亲|丈夫|老公|爱人|老婆|妻子|婆婆|公公|岳父|岳母|奶奶|爷爷|外婆|外公|姥姥|姥爷|邻居|家属|家人|家里人|哥|姐|弟弟|妹妹|亲戚|同事";
const CHILDREN: &str = "孩子|小孩|宝宝|儿子|女儿|娃";
/// Who stands before a drug or a disease, without having given it to the patient.
static OF_A_RELATIVE: LazyLock<Regex> = LazyLock::new(|| {
    let english = "husband|wife|mother|father|mom|dad|neighbou?r|brother|sister|grandmother|grandfather|aunt|uncle";
    Regex::new(&format!(r"(?:{RELATIVES}|(?-u:\b)(?:{english})(?-u:\b))[^给喂]*$")).expect("constant and tested")
});
static OF_A_CHILD: LazyLock<Regex> = LazyLock::new(|| {
    let english = "son|daughter|baby|child|kid|infant";
    Regex::new(&format!(r"(?:{CHILDREN}|(?-u:\b)(?:{english})(?-u:\b))[^给喂]*$")).expect("constant and tested")
});
static GIVEN: LazyLock<Regex> = compiled!(r"(?-u:\b)(?:gave|gives|giving|bought)(?-u:\b)");

/// Whether what follows is said of somebody else than the patient.
pub fn of_somebody_else(before: &str, patient_is_child: bool) -> bool {
    let other = OF_A_RELATIVE.is_match(before) || (!patient_is_child && OF_A_CHILD.is_match(before));
    other && !GIVEN.is_match(before)
}

/// 没吃, 停了, 不能用, "stopped taking", "do not give": right before the drug.
static NOT_TAKEN: LazyLock<Regex> = compiled!(
    r"(?:没有?|未曾?|不|别|勿|莫|停|禁|忌|避免|拒绝|无|从不)(?:在|再|有|曾|能|敢|想|肯|愿意?|给|让|要|准备|打算|可以?|宜|应|该|掉|了|止)*(?:自行)?(?:吃|服|用|喝|打|输|开|买|口服|服用|使用|注射|应用)*(?:任何|上|了|过|着|的|与|和)*$|(?-u:\b)(?:no|not|never|denies|without|stopp?e?d?|avoid(?:s|ed|ing)?|off|refuse[sd]?|don't|doesn't|didn't|hasn't|discontinued)(?:\s+(?:take|taken|taking|use|used|using|give|given|giving|been|on|any|had|have|the|his|her|for))*\s*$"
);
static NOT_TAKEN_AFTER: LazyLock<Regex> = compiled!(
    r"^\s*(?:类|片|胶囊|针|药)?\s*(?:已经?|早就?)?(?:停|没[吃用服打]|不[吃用服能敢]|未[用服]|过敏|禁|不耐受|皮试|断了|was stopped|stopped)"
);
/// Long ago is not now. 昨天 and 刚才 are.
static LONG_AGO: LazyLock<Regex> = compiled!(
    r"去年|前年|以前|从前|过去|小时候|年前|个?月前|曾经|曾|上次|上回|既往(?:吃|用|服)|(?-u:\b)(?:last year|years? ago|months? ago|previously|used to|in the past)(?-u:\b)"
);
static ALLERGIC: LazyLock<Regex> = compiled!(r"过敏|皮试|allerg|anaphyla");
static TAKEN: LazyLock<Regex> = compiled!(
    r"吃|服|喝|用|打|输|挂|注射|含|贴|喂|开|买|拿|拟|予|给|滴|静推|肌注|推|退[烧热]|止痛|续|灌|备|换|加|无效|有效|没效|不管用|[+＋]|(?-u:\b)(?:tak(?:e|es|ing|en)|took|on|given?|gave|had|us(?:e|es|ing|ed)|prescribed?|start(?:ed|ing)?|plan(?:s|ned)?|wants?|with|got|inject(?:ed|ion)?|bought|drank)(?-u:\b)"
);
/// A clause that is nothing but drugs, as in notes: 布洛芬, 阿莫西林胶囊.
static ONLY_DRUGS: LazyLock<Regex> = compiled!(
    r"^(?:片|胶囊|颗粒|针剂?|注射液?|口服液?|缓释|肠溶|钠|钾|糖浆|混悬液?|栓|仅|拟|和|及|或|与|加|[+＋、/()（）\d\s.%]|mg|g|ml|tablets?|capsules?|injection|and|or)*$"
);

/// Whether a clause says that the patient takes the drug named at `at`, has just taken it, or is about to.
pub fn taken(clause: &str, at: Range<usize>, all_names: &[Range<usize>], patient_is_child: bool) -> bool {
    // 能不能吃 asks, and denies nothing.
    static ASKED: LazyLock<Regex> = compiled!(r"能不能|可不可以|要不要|该不该|用不用|是不是");
    let before = &*ASKED.replace_all(&clause[..at.start], "");
    let after = &clause[at.end..];
    if ALLERGIC.is_match(clause)
        || LONG_AGO.is_match(before)
        || NOT_TAKEN.is_match(before)
        || NOT_TAKEN_AFTER.is_match(after)
    {
        return false;
    }
    if of_somebody_else(before, patient_is_child) {
        return false;
    }
    let beside = without(clause, all_names);
    TAKEN.is_match(&beside) || ONLY_DRUGS.is_match(&beside)
}

/// In a list of drugs or of the plan: everything but what it says to leave.
pub fn left_out(item: &str, at: Range<usize>) -> bool {
    static AFTER: LazyLock<Regex> = compiled!(r"^\s*(?:类|片|胶囊|针|药)?\s*(?:已经?|早就?)?(?:停|不用|过敏|禁)");
    NOT_TAKEN.is_match(&item[..at.start]) || AFTER.is_match(&item[at.end..])
}

fn without(clause: &str, names: &[Range<usize>]) -> String {
    let mut beside = String::with_capacity(clause.len());
    let mut done = 0;
    for name in names {
        beside.push_str(&clause[done..name.start]);
        done = name.end;
    }
    beside.push_str(&clause[done..]);
    beside
}
