//! What only the word before it makes a secret: accounts, record numbers, birth dates; e-mail; keys of JSON.

use super::{Kind, Span, pattern};
use regex::Regex;
use std::sync::LazyLock;

static EMAIL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"[A-Za-z0-9][A-Za-z0-9._%+\-]*[@＠][A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)*\.[A-Za-z]{2,}"));

/// A WeChat name begins with a letter and has 6 to 20 characters; many are a mobile or QQ number. QQ has 5 to 11.
static ACCOUNT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?:微信|薇信|威信|(?i:\bwe-?chat|\bweixin|\bwx|\bvx|\bqq|qq))",
        r"(?P<sure>(?i:号码|号| ?id| ?no\.?)?(?i:\s*is\b)?[\s:：.#是为（(]*)",
        r"(?P<value>[A-Za-z][A-Za-z0-9_\-]{5,19}|\D{5,12})"
    ))
});

/// The word for the number must stand there: 医保报销 and 住院3天 are none.
static RECORD: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?:(?:病历|病案|住院|门诊|就诊|就医|登记|档案|医保|社保|社会保障|社会保险|保险|医疗|诊疗|银行|健康",
        r"|合作医疗|新农合|参合|残疾|护照|通行证|军官|驾驶|驾照|学|工|卡|账|帐|证|编)(?:卡|证|本|簿|账户)?(?:号码|编号|号)",
        r"|护照|通行证|军官证|驾驶证|银行卡|社保卡|医保卡|健康卡|就诊卡",
        r"|(?i:\b(?:MRN|(?:medical|hospital|patient|clinic) (?:record|file|chart|id)",
        r"|passport|insurance|social security|bank (?:card|account)|(?:medical|insurance) card)",
        r"(?: (?:number|no\.?|id))?))(?i:\s*is\b)?[\s:：.#是为（(]*(?P<value>[A-Za-zＡ-Ｚ]{0,4}\D[0-9０-９A-Za-z\-]*)"
    ))
});
/// The shortest that counts as a number of somebody: 4 digits, as small hospitals count their stays.
const RECORD_CHARS_MIN: usize = 4;

static BIRTH: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?:(?:出生|生日|诞生|生于|(?i:\bDOB\b|date of birth|birth ?da(?:y|te)|\bborn(?: on)?))",
        r"(?:日期|年月日?|时间)?(?i:\s*is\b)?[\s:：是为于在（(]*)",
        r"(?P<all>(?:(?:19|20|１９|２０)\D{2})(?P<day>\s?[年./\-－]\s?\D{1,2}\s?[月./\-－]\s?\D{1,2}[日号]?|\D{4})",
        r"|(?P<west>\D{1,2}[./\-]\D{1,2}[./\-](?:19|20)\D{2}|(?i:\D{1,2}(?:st|nd|rd|th)? [a-z]{3,9},? (?:19|20)\D{2}",
        r"|[a-z]{3,9} \D{1,2}(?:st|nd|rd|th)?,? (?:19|20)\D{2})))"
    ))
});
/// 2026年11月20日出生, 1990年3月5日生人
static BIRTH_AFTER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?:(?:19|20)\D{2})(?P<day>\s?[年./\-－]\s?\D{1,2}\s?[月./\-－]\s?\D{1,2}[日号]?)",
        r"\s?(?:出生|生人|生[，,。；;、)）\s]|生$)"
    ))
});

pub fn emails(text: &str) -> Vec<Span> {
    // Most texts have none, and the pattern would look at every word of them.
    if !text.contains(['@', '＠']) {
        return Vec::new();
    }
    EMAIL.find_iter(text).map(|m| Span { at: m.range(), kind: Kind::Email }).collect()
}

pub fn accounts(text: &str) -> Vec<Span> {
    let spans = ACCOUNT.captures_iter(text).filter_map(|found| {
        let (sure, value) = (found.name("sure")?.as_str(), found.name("value")?);
        // "wechat doctor" names nobody; "wechat: doctor" and "微信号doctor" do.
        let told =
            sure.contains([':', '：', '号', '是', '为', '#']) || value.as_str().contains(|c: char| !c.is_alphabetic());
        told.then(|| Span { at: value.range(), kind: Kind::Account })
    });
    spans.collect()
}

pub fn records(text: &str) -> Vec<Span> {
    let spans = RECORD.captures_iter(text).filter_map(|found| {
        let value = found.name("value")?;
        let digits = value.as_str().chars().filter(|c| c.is_numeric()).count();
        // A year or a date behind the word: 医保卡 2023年, 护照2026-11-23到期.
        let dated = text[value.end()..].starts_with(['年', '月', '日', '元', '.']);
        (digits >= RECORD_CHARS_MIN && !dated).then(|| Span { at: value.range(), kind: Kind::Record })
    });
    spans.collect()
}

pub fn birth_dates(text: &str) -> Vec<Span> {
    let ends = |end: usize| !text[end..].starts_with(|c: char| c.is_numeric());
    let zh = text.chars().any(super::han);
    let before = BIRTH.captures_iter(text).filter_map(|found| {
        // An English mask is too long for "-3-5" alone.
        let part = if zh { found.name("day").or(found.name("west")) } else { found.name("all") }?;
        ends(part.end()).then(|| part.range())
    });
    let after = BIRTH_AFTER.captures_iter(text).filter_map(|found| found.name("day")).map(|day| day.range());
    let mut found: Vec<_> = before.chain(after).collect();
    found.sort_by_key(|at| at.start);
    found.dedup_by(|next, kept| next.start < kept.end);
    found.into_iter().map(|at| Span { at, kind: Kind::BirthDate }).collect()
}

/// Objects of unknown fields that are about somebody: their `name` is a person's. Elsewhere `name` is a test's.
pub const PERSON_KEYS: [&str; 13] = [
    "patient",
    "patient_info",
    "patientinfo",
    "contact_person",
    "contactperson",
    "contact",
    "guardian",
    "family",
    "person",
    "患者",
    "病人",
    "联系人",
    "监护人",
];

/// What an unknown field's key says of its content. No key of the contract is here.
pub fn kind_of_key(key: &str, of_a_person: bool) -> Option<Kind> {
    let word: String = key.to_lowercase().chars().filter(|c| !matches!(c, '_' | '-' | ' ')).collect();
    Some(match word.as_str() {
        "name" if of_a_person => Kind::Name,
        "patientname" | "fullname" | "realname" | "contactname" | "guardianname" | "姓名" | "名字" | "患者姓名"
        | "病人姓名" | "联系人" | "监护人" => Kind::Name,
        "phone" | "mobile" | "tel" | "telephone" | "phonenumber" | "mobilenumber" | "cellphone" | "contactphone"
        | "电话" | "手机" | "手机号" | "手机号码" | "联系电话" | "电话号码" => Kind::Phone,
        "idcard" | "idno" | "idnumber" | "idcardno" | "idcardnumber" | "identity" | "identitycard" | "身份证"
        | "身份证号" | "身份证号码" | "证件号" | "证件号码" => Kind::IdentityCard,
        "address" | "homeaddress" | "addr" | "住址" | "地址" | "家庭住址" | "现住址" | "户籍地址" => {
            Kind::Address
        }
        "wechat" | "wechatid" | "weixin" | "qq" | "微信" | "微信号" | "qq号" => Kind::Account,
        "email" | "mail" | "邮箱" => Kind::Email,
        "dob" | "birthday" | "birthdate" | "dateofbirth" | "生日" | "出生日期" => Kind::BirthDate,
        "mrn" | "passport" | "bankcard" | "病历号" | "住院号" | "门诊号" | "医保卡号" | "医保号" | "护照号"
        | "银行卡号" => Kind::Record,
        _ => return None,
    })
}
