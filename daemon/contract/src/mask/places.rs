//! Addresses: chains of places that end at a village or a door. Mentions of a place alone are medicine.
//!
//! ```text
//! 家住 河南省 洛阳市 栾川县 庙子镇 王庄村 3组 12号          去过内蒙古锡林郭勒盟牧区   来自疫区
//!      └──── region ────┘ └────── masked ──────┘          no village, no door: nothing is masked
//! ```

use super::{Kind, Span, han, pattern};
use regex::{Captures, Regex};
use std::sync::LazyLock;

const REGION: &str = r"(?P<region>(?:\p{Han}{2,7}?(?:省|自治区|自治州|地区|盟|州|市|县|区|旗)){0,4})";
const TAIL: &str = concat!(
    r"(?P<town>\p{Han}{1,6}?(?:街道办?|镇|乡|苏木|农场|林场))?",
    r"(?P<village>\p{Han}{1,6}?(?:村委会|新村|[屯寨庄]村|村|屯|寨|庄|嘎查|社区|小区|大队|花园|家园|公寓))?",
    r"(?P<road>\p{Han}{1,6}?(?:大街|大道|胡同|路|街|巷|弄))?",
    r"(?P<door>(?:第?(?:\D{1,4}|[一二三四五六七八九十]{1,3})(?:[-－—]\D{1,4}){0,2}",
    r"(?:村民小组|号楼|号院|小组|单元|组|队|社|号|栋|幢|室|户))*)"
);

static CHAIN: LazyLock<Regex> = LazyLock::new(|| pattern(&format!("{REGION}{TAIL}")));
/// Where a chain may end: without one of these in the text there is no address, and most texts have none.
static HOUSE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"[村屯寨庄]|嘎查|社区|小区|大队|花园|家园|公寓|[\D一二三四五六七八九十][组队社号栋幢室户单]")
});

static LABEL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?P<formal>家庭住址|现住址|常住地址|户籍地址|户口所在地|户籍所在地|联系地址|通讯地址|住址|地址)(?:是|为)?[\s:：]*",
        r"|(?:家住|现住|居住在|居住于|居住地|住在|暂住|户籍|家在)(?:在|于|是|为)?[\s:：]*"
    ))
});
static LABELLED: LazyLock<Regex> = LazyLock::new(|| pattern(&format!("^{REGION}{TAIL}")));
/// What a form has in its address field when it is not a chain of ours: up to the next mark.
static FIELD: LazyLock<Regex> =
    LazyLock::new(|| pattern(&format!(r"^{REGION}(?P<rest>[\p{{Han}}\DA-Za-z#\-－—]{{2,40}})(?:[\s，,。；;、)）]|$)")));

/// Up to the end of a sentence or of its first part, and through the parts that name a place: ", Room 3, Happy Road".
static ENGLISH: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i:\b(?:home )?address(?: is\b|\s?:)\s*)(?P<all>[A-Za-z0-9#](?:[^\s,.;。〔〕]|[.,;][A-Za-z0-9]|[ \t]){1,80}",
        r"(?i:, ?[^\n,.;。〔〕]{0,30}\b(?:village|town(?:ship)?|road|rd|street|st|lane|avenue|building|room|flat|apartment|unit|house|no)",
        r"\b[^\n,.;。〔〕]{0,20}){0,4})"
    ))
});
/// What a form says where nobody told the address.
const UNTOLD: [&str; 8] = ["unknown", "refused", "none", "not ", "n/a", "no ", "nil", "same"];

/// Villages without a name, and words that merely end like one. Each ends a name: 我们村, 农村, 隔壁村.
const NAMELESS: &str = "同 本 全 我 们 邻 农 乡 山 该 每 各 几 某某 个 这 那 外 一 两 多 隔壁 附近 进 出 住 渔 牧 的 有 整 \
    自然 行政";
/// Roads that no house stands on.
const NO_ROAD: &str = "走 尿 通 一 半 道 马 公 铁 线 思 电 气 血";
/// Words that a name runs into from the left, because nothing parts Chinese words. No village has them in its name.
const BEFORE_A_NAME: &str = "住在到去来从往回是于为址自经至，了和与及过";

pub fn addresses(text: &str) -> Vec<Span> {
    let mut found = labelled(text);
    if HOUSE.is_match(text) {
        found.extend(chains(text));
    }
    found.extend(ENGLISH.captures_iter(text).filter_map(|c| english(text, &c)));
    found.sort_by_key(|span| (span.at.start, usize::MAX - span.at.end));
    found.dedup_by(|next, kept| next.at.start < kept.at.end);
    found
}

fn span(start: usize, end: usize) -> Span {
    Span { at: start..end, kind: Kind::Address }
}

fn chains(text: &str) -> Vec<Span> {
    // An empty find is where no part of a chain begins.
    let finds = CHAIN.captures_iter(text).filter(|c| !c[0].is_empty());
    finds.filter_map(|chain| if leads_home(&chain) { masked_part(text, &chain, 0) } else { None }).collect()
}

/// Two levels at least, and the last one small enough to find somebody.
fn leads_home(chain: &Captures) -> bool {
    let door = &chain["door"];
    let region = !chain["region"].is_empty();
    let town = chain.name("town").is_some();
    if chain.name("village").is_some() && !village_named(chain) {
        return false;
    }
    let road = chain.name("road").is_some_and(|r| !NO_ROAD.split(' ').any(|no| bare(r.as_str()).ends_with(no)));
    match chain.name("village") {
        Some(_) => region || town || road || !door.is_empty(),
        None => (road && door.contains('号')) || (region && town && !door.is_empty() && !door.ends_with('号')),
    }
}

fn village_named(chain: &Captures) -> bool {
    let Some(village) = chain.name("village") else { return false };
    let name = bare(own_name(village.as_str()));
    !name.is_empty() && !NAMELESS.split(' ').any(|nameless| name.ends_with(nameless))
}

/// Without the word for what it is: 王庄 of 王庄村.
fn bare(place: &str) -> &str {
    let units = ["村委会", "新村", "社区", "小区", "大队", "嘎查", "花园", "家园", "公寓", "大街", "大道", "胡同"];
    let unit = units
        .iter()
        .find(|unit| place.ends_with(**unit))
        .map_or_else(|| place.chars().next_back().map_or(0, char::len_utf8), |unit| unit.len());
    &place[..place.len() - unit]
}

/// Without what runs into it from the left: 王庄村 of 放羊回王庄村.
fn own_name(place: &str) -> &str {
    let cut =
        place.char_indices().filter(|(_, c)| BEFORE_A_NAME.contains(*c)).map(|(at, c)| at + c.len_utf8()).next_back();
    &place[cut.unwrap_or(0)..]
}

/// From behind the region on; with the region's end where that alone is too short to hold a mask.
fn masked_part(text: &str, chain: &Captures, offset: usize) -> Option<Span> {
    let whole = chain.get(0)?;
    let below = chain.name("region")?.end();
    let first = ["town", "village", "road"].into_iter().find_map(|level| chain.name(level));
    let cut = first.map_or(0, |m| m.as_str().len() - own_name(m.as_str()).len());
    let start = offset + below + cut;
    let end = offset + whole.end();
    (start < end && text[start..end].chars().count() >= 2).then(|| span(start, end))
}

fn labelled(text: &str) -> Vec<Span> {
    let spans = LABEL.captures_iter(text).filter_map(|label| {
        let from = label.get(0)?.end();
        let rest = super::head(&text[from..], 240);
        let chain = LABELLED.captures(rest)?;
        let house = village_named(&chain) || !chain["door"].is_empty() || chain.name("road").is_some();
        let nameless = chain.name("village").is_some() && !village_named(&chain);
        if house && !nameless {
            return masked_part(text, &chain, from);
        }
        label.name("formal").and_then(|_| field(text, from, rest))
    });
    spans.collect()
}

/// Up to the first word of medicine, and that only where it does not say that nobody knows.
fn english(text: &str, found: &Captures) -> Option<Span> {
    let all = found.name("all")?;
    let told = all.as_str().to_lowercase();
    let end = super::medicine::first(text, all.range()).map_or(all.end(), |medicine| medicine.start);
    let address = text[all.start()..end].trim_end_matches([' ', '\t', ',', '.', ';']);
    let untold = UNTOLD.iter().any(|word| format!("{told} ").starts_with(word));
    (address.len() >= 2 && !untold).then(|| span(all.start(), all.start() + address.len()))
}

/// A field ends where its address does: at the last unit of one before the next mark or word of medicine. Without a
/// unit few characters are taken.
fn field(text: &str, from: usize, rest: &str) -> Option<Span> {
    let field = FIELD.captures(rest)?;
    let rest = field.name("rest")?;
    let said = [
        "不详", "不祥", "未知", "保密", "同上", "不明", "某处", "变", "与", "和", "及", "农村", "城市", "城镇", "本地",
        "无",
    ];
    let at = from + rest.start()..from + rest.end();
    let medicine = super::medicine::first(text, at.clone());
    let told = &text[at.start..medicine.as_ref().map_or(at.end, |medicine| medicine.start)];
    let empty = said.iter().any(|word| told.starts_with(word));
    // A region alone ends here too, and stays.
    let region = ["省", "市", "县", "区", "州", "旗", "盟"].iter().any(|unit| told.ends_with(unit));
    let marked = text[..from].ends_with([':', '：', ' ', '\t', '\u{3000}']);
    let named = told.chars().any(han);
    let end = address_end(told);
    (marked && named && !empty && !region && end > 0).then(|| span(at.start, at.start + end))
}

/// Bytes up to the last unit, with the door that may stand behind it (花园3-2-501); few characters where there is none.
fn address_end(told: &str) -> usize {
    const UNITS: &str = "省市县区镇乡村屯寨庄组队社路街巷弄号栋幢楼室户院园厂场站店里湾沟坪坡岭边旁";
    const UNITLESS_CHARS_MAX: usize = 6;
    match told.char_indices().rfind(|(_, c)| UNITS.contains(*c)) {
        Some((at, unit)) => {
            let door = &told[at + unit.len_utf8()..];
            if door.contains(han) { at + unit.len_utf8() } else { told.len() }
        }
        None => super::head(told, UNITLESS_CHARS_MAX * 3).len(),
    }
}
