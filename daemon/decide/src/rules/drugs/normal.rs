//! Text as names and phrases are looked for in it: half width, lower case, simplified characters. Character by character,
//! so that a place in the normal form is a place in the text.

use std::{collections::BTreeMap, sync::LazyLock};

/// Traditional and simplified, in pairs: those of drug names and of what is said about taking them.
const PAIRS: &str = "頭头環环諾诺黴霉鉀钾鈉钠鹽盐藥药過过懷怀類类氣气潰溃瘍疡腎肾臟脏蠶蚕飲饮歲岁個个週周餵喂單单組组奧奥達达維维複复紅红銀银翹翘風风靈灵\
膠胶顆颗劑剂膽胆壓压華华異异霧雾嚴严時时產产後后現现發发熱热燒烧點点噴喷雙双愛爱滅灭樂乐萬万偉伟馬马鬆松賴赖醯酰醫医斷断沒没無无認认從从對对還还給给讓让\
嗎吗媽妈爺爷買买開开當当驗验試试陽阳陰阴針针兩两樣样膿脓術术慮虑氫氢";

static SIMPLIFIED: LazyLock<BTreeMap<char, char>> = LazyLock::new(|| {
    let pairs: Vec<char> = PAIRS.chars().collect();
    pairs.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
});

pub fn normal(text: &str) -> String {
    text.chars().map(one).collect()
}

fn one(c: char) -> char {
    match c {
        // Punctuation that ends a clause reads well in either width, and stays.
        '，' | '；' | '：' | '！' | '？' | '（' | '）' => c,
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c).to_ascii_lowercase(),
        '\u{3000}' => ' ',
        _ if c.is_ascii() => c.to_ascii_lowercase(),
        _ => SIMPLIFIED.get(&c).copied().unwrap_or(c),
    }
}
