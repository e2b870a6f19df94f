//! The contract's words in both languages, for people who read cards and narratives.

use crate::{answer::*, ids::Lang, words::*};

/// Chinese, English.
pub type Words = (&'static str, &'static str);

pub fn say(lang: Lang, (zh, en): Words) -> &'static str {
    match lang {
        Lang::Zh => zh,
        Lang::En => en,
    }
}

/// The language that an answer is in first, where it says anything.
pub fn first(lang: Lang, text: &Bilingual) -> &str {
    let (first, second) = match lang {
        Lang::Zh => (&text.zh, &text.en),
        Lang::En => (&text.en, &text.zh),
    };
    if first.trim().is_empty() { second } else { first }
}

/// A value's own word in the contract, such as `must_not_miss`.
pub fn code(value: &impl serde::Serialize) -> String {
    let word = serde_json::to_value(value).expect("a word of the contract is a string");
    word.as_str().expect("a word of the contract is a string").to_owned()
}

pub const RED_FLAG: Words = ("警示", "Red flag");
pub const CANNOT_EXCLUDE: Words = ("不能排除", "Cannot be excluded");
pub const MUST_NOT_MISS: Words = ("不可漏诊", "Must not be missed");
pub const BECAUSE: Words = ("依据", "Because");
pub const CHECKS: Words = ("建议检查", "Suggested checks");
pub const NEXT_CHECK: Words = ("下一步检查", "Next check");
pub const SOURCE: Words = ("来源", "Source");
pub const CAUTION: Words = ("用药注意", "Medication caution");
pub const ACTION: Words = ("建议处理", "Suggested action");
pub const QUESTION: Words = ("请补充", "Still to ask");
pub const WHY: Words = ("原因", "Why");
pub const CAUSES: Words = ("可能原因", "Possible causes");
pub const NO_CAUSES: Words = ("模型没有给出可能原因", "The model names no possible cause");
pub const TRIAGE: Words = ("分诊", "Triage");
pub const DEPARTMENT: Words = ("科室", "Department");
pub const HINT: Words = ("模型倾向的科室", "The model prefers the department");
pub const UNCERTAINTY: Words = ("不确定性", "Uncertainty");
pub const ABSTAINED: Words = ("没有模型意见", "No opinion of the model");
pub const DEGRADED: Words = ("受限", "Degraded");
pub const DROPPED: Words = ("略去的模型文字行数", "Lines of the model that were left out");
pub const DRAFT: Words = ("AI会诊意见草稿，待医师审阅", "Draft of an AI opinion, to be reviewed by a physician");
pub const NOT_REVIEWED: Words = ("未经医师审核", "not physician-reviewed");
pub const NOTIFIABLE: Words = ("疑似法定报告疾病", "Suspected notifiable disease");
pub const OUTSIDE: Words = ("训练数据少有此类病例", "The training data had few such cases");
pub const RAISED: Words = ("分诊提高", "Triage raised");
pub const CLOCK: Words = ("时间取自本机时钟，可能不准", "The time is that of the box's own clock, which may be wrong");
pub const SEALED: Words = (
    "签名和哈希针对原始JSON答复，不针对本Bundle",
    "Hash and signature are of the answer in its own JSON, not of this bundle",
);
pub const PATIENT: Words = ("患者（请由病历系统替换）", "The patient; the EMR puts its own reference here");

pub fn triage(triage: Triage) -> Words {
    match triage {
        Triage::Green => {
            ("绿（没有警示规则触发，不等于没有危险）", "green (no red-flag rule fired; this is no all-clear)")
        }
        Triage::Yellow => ("黄（当天处理）", "yellow (within the day)"),
        Triage::Red => ("红（立即处理）", "red (now)"),
    }
}

pub fn urgency(urgency: Urgency) -> Words {
    match urgency {
        Urgency::Routine => ("下次就诊时", "at the next visit"),
        Urgency::Soon => ("两周内", "within two weeks"),
        Urgency::Urgent => ("当天", "within the day"),
        Urgency::Immediate => ("立即", "now"),
    }
}

pub fn band(band: Band) -> Words {
    match band {
        Band::Likely => ("可能性大", "Likely"),
        Band::Possible => ("可能", "Possible"),
        Band::MustNotMiss => MUST_NOT_MISS,
    }
}

pub fn origin(origin: Origin) -> Words {
    match origin {
        Origin::Rule => ("规则", "rule"),
        Origin::Model => ("AI模型", "AI model"),
        Origin::Standing => ("科室常规", "standing for the department"),
    }
}

pub fn place(place: Place) -> Words {
    match place {
        Place::Here => ("本诊所", "here"),
        Place::Refer => ("转诊", "by referral"),
    }
}

pub fn caution(urgency: CautionUrgency) -> Words {
    match urgency {
        CautionUrgency::Weigh => ("请权衡", "to be weighed"),
        CautionUrgency::BlockAndConfirm => ("医师确认前不用", "not before a physician has confirmed it"),
    }
}

pub fn class(class: NotifiableClass) -> Words {
    match class {
        NotifiableClass::A => ("甲类", "class A"),
        NotifiableClass::B => ("乙类", "class B"),
        NotifiableClass::C => ("丙类", "class C"),
        NotifiableClass::AsB => ("按乙类管理", "managed as class B"),
    }
}

pub fn raised(by: RaisedBy) -> Words {
    match by {
        RaisedBy::DrugRule => ("用药规则", "by a drug rule"),
        RaisedBy::Model => ("AI模型", "by the AI model"),
    }
}

pub fn outside(what: OutsideWhat) -> Words {
    match what {
        OutsideWhat::Department => ("科室", "department"),
        OutsideWhat::Language => ("语言", "language"),
        OutsideWhat::AgeGroup => ("年龄段", "age group"),
        OutsideWhat::Pregnancy => ("妊娠", "pregnancy"),
    }
}

pub fn abstained(reason: AbstainReason) -> Words {
    match reason {
        AbstainReason::UnsupportedDepartment => (
            "本机没有该科室的模型，只有规则和科室常规",
            "this box has no model for the department: rules and standing exclusions only",
        ),
        AbstainReason::NoModelOpinion => (
            "模型没有给出可用的内容，只有规则和科室常规",
            "the model gave nothing usable: rules and standing exclusions only",
        ),
    }
}

pub fn degraded(degraded: Degraded) -> Words {
    match degraded {
        Degraded::ScriptedEngine => ("测试引擎写的内容，不是意见", "written by the test engine: no opinion at all"),
        Degraded::EngineDown => ("模型没有运行", "the engine was down"),
        Degraded::EngineCrashed => ("模型处理此病例时中断", "the engine died on this case"),
        Degraded::Deadline => ("到时限，未写完", "the deadline came first"),
        Degraded::FormIncomplete => ("部分内容缺失或不可用", "a section is missing or unusable"),
        Degraded::NoAdapter => ("本机没有该科室的模型", "no adapter for the department"),
        Degraded::CaseCut => ("病例过长，末尾未读", "the case was too long: its end was left out"),
    }
}

pub fn level(level: UncertaintyLevel) -> Words {
    match level {
        UncertaintyLevel::Moderate => ("中等", "moderate"),
        UncertaintyLevel::High => ("高", "high"),
    }
}

pub fn basis(basis: UncertaintyBasis) -> Words {
    match basis {
        UncertaintyBasis::UncalibratedLogprob => {
            ("模型自身概率，未校准", "the model's own probabilities, not calibrated")
        }
        UncertaintyBasis::CalibratedDepartment => (
            "模型自身概率，未校准；所属科室的概率已校准",
            "the model's own probabilities, not calibrated; that of the department is",
        ),
        UncertaintyBasis::RulesOnly => ("仅规则", "rules only"),
        UncertaintyBasis::Scripted => ("测试引擎", "test engine"),
    }
}
