//! What the model may not say. Such lines are left out and counted by kind, never repaired by guesswork.
//!
//! Patterns see words and no sense: they can miss, and LIMITS says so. Where a pattern could also meet an ordinary line,
//! the ordinary words around it are taken out before it looks ([`ORDINARY`]).

use contract::{answer::Dropped, mask};
use regex::Regex;
use std::{borrow::Cow, sync::LazyLock};

#[cfg(test)]
mod tests;

/// The first kind whose pattern is in the line. A line that shows another patient, or is no line of the form, is that
/// before all; the others are in the order of harm.
pub fn kind(line: &str) -> Option<Dropped> {
    let line = half_width(line);
    let plain = ORDINARY.replace_all(&line, "");
    let by_pattern = PATTERNS.iter().find(|(_, pattern)| pattern.is_match(&plain)).map(|(kind, _)| *kind);
    by_pattern.or_else(|| identifies_somebody(&line).then_some(Dropped::OtherPatient))
}

/// ５ｍｇ is 5mg. Punctuation stays, because the form's own colon is a full one.
fn half_width(line: &str) -> String {
    let half = |c: char| match c {
        '０'..='９' | 'Ａ'..='Ｚ' | 'ａ'..='ｚ' | '．' | '％' | '／' => {
            char::from_u32(c as u32 - 0xfee0).unwrap_or(c)
        }
        _ => c,
    };
    line.chars().map(half).collect()
}

/// A case is masked before the model sees it, so what looks like a number, an address or a name is another's, or invented.
fn identifies_somebody(line: &str) -> bool {
    matches!(mask::text(line), Cow::Owned(_))
}

/// Words that hold a forbidden pattern and say something else.
static ORDINARY: LazyLock<Regex> = LazyLock::new(|| {
    let words = [
        r"不(?:能|可|可以|宜|要|应)?(?:随意|轻易|自行)?(?:确诊|肯定|一定|完全排除|排除)",
        r"(?:才能|尚未|未能|未|待|以便|帮助|协助|需)(?:要)?(?:明确)?确诊",
        r"转诊(?:以|后|去)?确诊|勿[^，。；]{0,4}放心|确诊前",
        r"确诊(?:需|要|靠|依靠|前|后|有赖|检查|手段|依据|方法)",
        r"(?:不|难以|放不下|不能)放心|放心不下",
        r"(?:自行|自己|不要|不可|避免|勿|忌|别|禁止?)(?:自行)?(?:开药|处方|用药)|处方药|非处方",
        r"(?i)\b(?:do not|don't|never|avoid|not to|without) (?:give|giving|take|taking|start|starting|prescribe|prescribing|use|using)\b",
        r"(?i)\b(?:not|cannot be|can't be|isn't|never) (?:certainly|definitely|certain|sure|definite)\b",
        r"(?i)immune system|nervous system|urinary system|digestive system",
    ];
    compile(&words)
});

static PATTERNS: LazyLock<[(Dropped, Regex); 9]> = LazyLock::new(|| {
    [
        (
            Dropped::OutsideForm,
            compile(&[
                // The form's own marks inside a line: the model has lost its place
                r"[【】]|(?i)\[(?:possible causes|cannot exclude|suggested checks|medication cautions|still to ask|case|department|urgency)\]",
                r"```|\*\*|__|^\s*#{1,6}\s|^\s*[-*+•]\s|^\s*>\s|\|.*\||^\s*\|",
                r"(?i)<\|?/?[a-z_|]+\|?>|\[/?inst\]|<<sys>>|</?s>",
                r#"[{}]|"\s*:\s*["\[{]|\\n|=>|::|(?i)\b(?:function|return|import|null|undefined)\b\s*[({;]"#,
                r"(?i)^\s*(?:system|user|assistant|human|developer|bot|ai|用户|助手|系统|提问|回答)\s*[:：]",
            ]),
        ),
        (
            Dropped::Dose,
            compile(&[
                // An amount: 0.5g, 2片, 80万单位, 10 mg/kg, two tablets; but a laboratory value (90g/L) and 一包块 are none
                r"(?i)[0-9０-９一二两三四五六七八九十百半]\s*万?\s*(mg|ug|μg|mcg|ml|iu|毫克|微克|毫升|粒|支|袋|丸|滴|颗|单位|万u|u/kg)([^a-z/]|/kg|/次|$)",
                r"(?i)[0-9０-９一二两三四五六七八九十百半]\s*(g|克|升)([^a-z/]|/kg|/次|$)",
                r"[0-9０-９一二两三四五六七八九十半]\s*片([^阴状影]|$)|[0-9０-９一二两三四五六七八九十半]\s*包([^块膜裹皮茎]|$)",
                r"(?i)\b([0-9]+|one|two|three|four|half an?)\s*(milligrams?|micrograms?|tablets?|tabs?|capsules?|drops?|puffs?|pills?|sachets?|ampoules?|vials?|teaspoons?|units?)\b",
                // A frequency: 每日三次, 1天 3～4 次, 每8小时1次, bid, twice daily, every 8 hours
                r"[每一1１][日天晚早]\s*[0-9０-９一二两三四五六]+\s*([～~\-－至到]\s*[0-9０-９一二两三四五六]+)?\s*[次片粒]|每[日天晚早]服",
                r"(?i)\b(bid|tid|qid|qd|qod|prn|qn|q[0-9]+h)\b|\b(once|twice|three times|four times) (a day|daily|per day)|\btimes (a|per) day|every [0-9]+ (hours|h)\b|\bonce at night",
                r"[0-9０-９一二三四六八]+\s*小时\s*[一1１]次|分[二三四]次|[每一]次[0-9０-９一二两三四半]|日服[0-9一二两三]|顿服|(?:睡前|饭前|饭后|空腹)(?:服|口服|吃)",
                r"(?:连[用服吃打]|疗程|用药|服药)[0-9０-９一二两三四五六七八九十]+\s*[天日周]|(?i)剂量[为是:：]?\s*[0-9０-９]|\bdos(?:e|age) (?:of|is)\b|\bper kg\b|/kg\b",
            ]),
        ),
        (
            Dropped::Prescription,
            compile(&[
                r"处方|开[具点些]?(?:[一二两几]?[种盒瓶])?(?:药|抗生素|抗菌药|激素|消炎药|止痛药|退烧药|头孢|阿莫西林|青霉素|布洛芬|阿奇霉素|左氧)",
                r"给予[^，。；:：]{0,14}(?:口服|静滴|静脉|肌注|肌肉|注射|输注|输液|吸入|雾化|外用|含服)|予[^，。；:：]{1,12}(?:口服|静滴|静脉滴注|静注|肌注|注射)",
                r"(?:建议|推荐|可以?|应该?|宜|需要?|请|立即|马上|首选|先|继续|直接)(?:给予?|予|口服|服用?|使用|静滴|输注?|肌注|注射|吃|打|用上?)[^，。；:：]{0,6}(?:抗生素|抗菌药|抗病毒药|激素|消炎药|止痛药|退烧药|感冒药|降压药|安眠药|头孢|西林|沙星|霉素|硝唑|环素|布洛芬|对乙酰氨基酚|扑热息痛|阿司匹林|双氯芬酸|地塞米松|泼尼松|普利|沙坦|洛尔|地平|拉唑|替丁|他汀|奥司他韦|胰岛素|华法林)",
                r"(?i)\bprescri(?:be|bed|bing|ption)\b|\brx\b|\b(?:give|start|take|administer|begin) (?:him |her |the patient |them )?(?:(?:on|oral|iv|im|intravenous|a course of|some|an?) )*(?:antibiotics?|antivirals?|steroids?|painkillers?|[a-z]+(?:cillin|floxacin|mycin|cycline|nidazole|profen|pril|sartan|olol|prazole|statin|azole)|cef[a-z]+|aspirin|paracetamol|acetaminophen|diclofenac|prednisolone|dexamethasone|warfarin|insulin)\b",
            ]),
        ),
        (
            Dropped::NoTests,
            compile(&[
                r"(?:无需|无须|毋需|不需要?|不必|不用|用不着|没必要|没有必要|无必要|不再需要|暂不需要?|暂不用|可不)(?:再|做|去|急于|进一步|任何|其他|特殊|专门|常规|额外|的)*(?:检查|就诊|就医|转诊|化验|检验|拍片|胸片|心电图|抽血|ct|CT|B超|超声|住院|复查|复诊|看医生|去医院|上医院|观察|随访|处理|治疗|担忧)",
                r"(?i)\bno (?:further |additional |other )?(?:need|reason|necessity) (?:for|to) (?:any |further |more )?(?:tests?|testing|check|examin|investigat|imaging|refer|worry|see|follow)",
                r"(?i)\b(?:tests?|testing|investigations?|imaging|referral|follow-?up|hospital|workup)(?: \w+)? (?:is|are|was|were)(?: not|n't) (?:needed|necessary|required|indicated)|\b(?:tests?|referral|investigations?) (?:is|are) unnecessary|\bno (?:further )?(?:tests?|testing|investigations?|imaging|work-?up|referral)(?: \w+)? (?:is |are )?(?:needed|necessary|required)|\b(?:does|do) not need (?:to be seen|a doctor|any tests?|tests?|referral|further)|\bno need to (?:test|check|refer|see)|\bneed not be (?:seen|tested|referred)",
            ]),
        ),
        (
            Dropped::Certainty,
            compile(&[
                r"确诊|肯定是|肯定为|一定是|必定是|必然是|必是|毫无疑问|无疑[是为]|诊断明确|明确诊断为|诊断为|百分之?百|100\s*[%％]|(?:可以|可|能够?|已经?|完全|基本)排除|不可能是|绝对(?:是|不是|没有)|就是[^，。；:：]{1,8}(?:病|炎|癌)(?:$|[，。；])",
                r"(?i)\bdefinitely\b|\b(?:is|are) certainly\b|\bcertainly (?:is|are|not)\b|\bwithout (?:a |any )?doubt|\bno doubt\b|\bundoubtedly\b|\b(?:can|could) be (?:safely |completely )?(?:excluded|ruled out)\b|\b(?:is|are|has been|have been) (?:excluded|ruled out)\b|\brules? out (?:completely|entirely)|\bconfirmed diagnosis\b|\bdiagnosis is (?:clear|certain|confirmed)\b|\bmust be (?:a |an )?[a-z]+(?:itis|oma|osis)\b|\b100 ?%",
            ]),
        ),
        (
            Dropped::Reassurance,
            compile(&[
                r"放心|没有?(?:什么)?大碍|无大碍|无碍|(?:不用|不必|无需|无须|不需要?|别|勿|不要|莫)(?:太|过于|过分|过度|再)?(?:担心|担忧|紧张|害怕|着急|焦虑)|不要紧|没有?事(?:的|儿|$|[，。；：:])|没什么(?:事|大事|大问题|问题|要紧)|没有?(?:大)?问题(?:$|[，。；：:的])|问题不大|小毛病|小问题|不碍事|(?:病情|情况)(?:并)?不(?:严重|算重)|(?:没有|无)危险(?:$|[，。；：:])|(?:会|可)自行(?:好转|痊愈|恢复)|自然会好|(?:休息|过)[^，。；]{0,4}就(?:会)?好",
                r"(?i)\bdon'?t worry|\bnot to worry|\bno (?:cause|reason|need) (?:for|to) (?:concern|worry|alarm|panic)|\bnothing (?:to worry|serious|dangerous)|\brest assured|\bperfectly (?:safe|normal|fine)|\b(?:he|she|the patient|it|you) (?:is|are|will be) (?:fine|ok|okay|safe)\b|\bharmless\b|\bnot (?:serious|dangerous)\b|\bgo(?:es)? away (?:by itself|on its own)|\breassure\b",
            ]),
        ),
        (
            Dropped::Link,
            compile(&[
                r"(?i)https?:|ftp:|www\.|\b[a-z0-9-]+\.(?:com|cn|org|net|gov|edu|io|info)\b|二维码|公众号|微信群|扫码|加微信|淘宝|点击",
            ]),
        ),
        (
            Dropped::OwnDisclaimer,
            compile(&[
                r"仅供参考|供参考(?:$|[，。；])|不构成|不能代替|不能替代(?:医生|医师|专业|面诊)|最终决策权|(?i)AI辅助生成|(?:我|本人)?(?:是|作为)(?:一个|一名|一款)?(?:AI|人工智能|语言模型|大模型|智能助手|医疗助手|机器人)|人工智能|语言模型|大模型|(?:请|建议)(?:及时)?(?:咨询|遵)(?:专业)?(?:的)?医(?:生|师|嘱)|遵医嘱|无法提供(?:医疗|诊断)|不能提供(?:医疗|诊断)|抱歉",
                r"(?i)\bas an? (?:ai|artificial|language|large language)|\blanguage model\b|\bartificial intelligence\b|\bi(?:'m| am) (?:an? )?(?:ai|not a doctor|not able|unable|sorry|a language)|\bi (?:cannot|can't) (?:provide|give|diagnose)|\bnot (?:a )?(?:medical advice|substitute)|\bmedical advice\b|\bfor (?:reference|information(?:al purposes)?|educational purposes) only|\bconsult (?:a|your|with|an?) (?:doctor|physician|healthcare|medical|qualified)|\bdisclaimer\b|\bai[- ]generated\b",
            ]),
        ),
        (
            Dropped::Instructions,
            compile(&[
                r"乡村医生提供|第二诊疗意见|按栏目|逐行填写|不写剂量|不开处方|名称[:：]\s*依据|忽略(?:以上|上述|之前|前面)|(?:上述|以上|下列)(?:指令|规则|要求|提示|说明)|提示词|系统提示|我的任务|任务[:：]",
                r"(?i)\bsecond opinion (?:\(|for a village)|\bfill in each section|\bno doses|\bno prescriptions|\bname: reason|\bignore (?:all |the )?(?:previous|above|prior)|\bprevious instructions\b|\bsystem prompt\b|\b(?:my|your|the|these) instructions?\b|\btask:",
            ]),
        ),
    ]
});

fn compile(patterns: &[&str]) -> Regex {
    let each: Vec<String> = patterns.iter().map(|pattern| format!("(?:{pattern})")).collect();
    Regex::new(&each.join("|")).expect("the patterns are constant and tested")
}
