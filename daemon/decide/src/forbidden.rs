//! What the model may not say. Such lines are left out and counted, never repaired by guesswork.

use regex::Regex;
use std::sync::LazyLock;

static FORBIDDEN: LazyLock<Regex> = LazyLock::new(|| {
    let patterns = [
        // An amount: 0.5g, 2片, 80万单位, 10 mg/kg, two tablets; but a laboratory value (90g/L) and 一包块 are none
        r"(?i)[0-9０-９一二两三四五六七八九十半]\s*万?\s*(mg|ug|μg|mcg|ml|iu|毫克|微克|毫升|粒|支|袋|丸|滴|颗|单位)([^a-z/]|/kg|$)",
        r"(?i)[0-9０-９一二两三四五六七八九十半]\s*(g|克|升)([^a-z/]|/kg|$)",
        r"[0-9０-９一二两三四五六七八九十半]\s*片([^阴状影]|$)|[0-9０-９一二两三四五六七八九十半]\s*包([^块膜裹]|$)",
        r"(?i)\b([0-9]+|one|two|three|half a?)\s*(milligrams?|tablets?|capsules?|drops?|puffs?|pills?|sachets?)\b",
        // A frequency: 每日三次, 1天 3～4 次, 每8小时1次, bid, twice daily, every 8 hours
        r"[每一1１][日天晚早]\s*[0-9０-９一二两三四五六]+\s*([～~\-－至到]\s*[0-9０-９一二两三四五六]+)?\s*[次片粒]|每[日天晚早]服",
        r"(?i)\b(bid|tid|qid|qd|qod|prn|q[0-9]+h)\b|\b(once|twice|three times) (a day|daily)|\btimes (a|per) day|every [0-9]+ hours",
        r"[0-9０-９一二三四六八]+\s*小时\s*[一1１]次|分[二三四]次|每次[0-9０-９一二两三四半]",
        // Certainty, and the advice to look no further
        r"确诊为|肯定是|一定是|可以排除|(无需|不需要|不必|不用)(再)?(检查|就诊|就医|转诊|化验)",
        r"(?i)\bno (need|reason) (for|to) (tests?|check|refer|worry)|\bdefinitely\b|\bcertainly is\b",
        // The form's own marks inside a line: the model has lost its place
        r"[【】]|最终决策权|AI辅助生成",
    ];
    Regex::new(&patterns.join("|")).expect("the patterns are constant and tested")
});

pub(crate) fn is_forbidden(line: &str) -> bool {
    FORBIDDEN.is_match(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doses_frequencies_and_certainty_are_forbidden() {
        for line in [
            "阿莫西林：0.5g口服",
            "布洛芬：每日三次",
            "每天2次",
            "头孢：两片",
            "Amoxicillin: 500 mg",
            "ibuprofen: twice daily",
            "Take bid",
            "every 8 hours",
            "确诊为偏头痛",
            "无需检查",
            "No need for tests",
            "【可能原因】",
            "剂量10 mg/kg",
            "1天3次",
            "1日3次",
            "每日 3 次",
            "每日3～4次",
            "每8小时1次",
            "80万单位",
            "take 2 tablets",
            "two capsules",
            "5 drops",
            "500 milligrams",
            "每次两颗",
            "口服1包",
        ] {
            assert!(is_forbidden(line), "{line}");
        }
    }

    #[test]
    fn ordinary_lines_pass() {
        for line in [
            "稳定型心绞痛：劳累诱发，有高血压和吸烟",
            "心电图：看有无ST-T改变",
            "布鲁氏菌病：接触羊群，发热半个月",
            "硝酸酯类：血压低时慎用；先测血压",
            "Angina: chest tightness after meals at 60",
            "血压160/100：偏高",
            "耳镜检查：看鼓膜是否充血膨隆",
            "Fever for 3 days: infection likely",
            "右下腹一包块：查超声",
            "胸片一片阴影：查痰",
            "血红蛋白90g/L：贫血",
            "一天内发作几次：判断频率",
            "尿量少于400ml/日：肾损害",
            "Blood sugar 11 mmol/L: diabetes",
        ] {
            assert!(!is_forbidden(line), "{line}");
        }
    }
}
