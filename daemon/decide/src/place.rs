//! Where a check can be made: here, or only where the patient is referred to.
//!
//! A check needs what its words name. Where the tablet says what its clinic has (`resources`), that decides; where it does
//! not, what a village clinic usually has does. A check whose words are not in the table is left without a place.

use contract::{
    answer::{FlagCheck, Place},
    case::Case,
};
use regex::Regex;
use std::sync::LazyLock;

/// Eyes, hands, a watch and a question.
const NOTHING: &str = "";

struct Need {
    /// The word for it in `resources`.
    resource: &'static str,
    usual_in_village: bool,
    words: Regex,
}

#[rustfmt::skip]
static NEEDS: LazyLock<Vec<Need>> = LazyLock::new(|| {
    // resource, usual in a village clinic, words
    let table = [
        ("ecg",            false, r"心电图|导联|st-t|\b(?:ecg|ekg|electrocardiogram)\b"),
        ("xray",           false, r"x\s*线|x光|胸片|平片|拍片|\b(?:x-?ray|radiograph|chest film)\b"),
        ("ultrasound",     false, r"超声|b超|彩超|\b(?:ultrasound|sonograph|echocardiograph|doppler)"),
        ("ct",             false, r"ct\b|cta|核磁|mri|磁共振|造影|\b(?:angiograph|magnetic resonance)"),
        ("endoscopy",      false, r"胃镜|肠镜|支气管镜|喉镜|宫腔镜|膀胱镜|内镜|\b(?:endoscop|colonoscop|gastroscop|bronchoscop|laryngoscop)"),
        ("blood_count",    false, r"血常规|血象|白细胞|血小板|血红蛋白|\b(?:cbc|fbc|blood count|full blood|haemoglobin|hemoglobin|platelet)"),
        ("laboratory",     false, r"肝功|肾功|肌酐|电解质|血钾|血气|凝血|d-?二聚体|肌钙蛋白|心肌酶|肌酶|淀粉酶|脂肪酶|crp|c反应蛋白|血沉|生化|血脂|甲功|甲状腺功能|培养|涂片|痰|穿刺|腰穿|活检|病理|凝集|抗体|血清|抗原|筛查|骨髓|hcg定量|脑脊液|胆碱酯酶|碳氧血红|尿常规|便常规|粪便常规|大便常规|血型|\b(?:laborator|creatinine|electrolyte|troponin|lipase|amylase|d-?dimer|culture|smear|sputum|serolog|antibod|biopsy|puncture|agglutination|coagulation|blood gas|csf|liver function|renal function|urinalysis|rose bengal|cholinesterase|rbt|esr)"),
        ("specialist",     false, r"专科|眼科|眼压|眼底|转诊|会诊|手术|妇科检查|裂隙灯|听力|\b(?:specialist|refer|ophthalm|fundoscop|intra-?ocular pressure|surgeon|surgical|gynaecolog)"),
        ("malaria_test",   false, r"疟原虫|疟疾快检|\bmalaria (?:rdt|test|smear|film)"),
        ("otoscope",       false, r"耳镜|鼓膜|\b(?:otoscop|ear drum|eardrum|tympanic)"),
        ("bilirubinometer", false, r"经皮胆红素|\btranscutaneous bilirubin"),
        ("fetal_doppler",  false, r"胎心监|多普勒胎心|\b(?:ctg|fetal doppler)\b"),
        ("oxygen",         true,  r"吸氧|给氧|\b(?:high-flow|give oxygen|oxygen,)"),
        ("glucose_meter",  true,  r"血糖|\b(?:glucose|blood sugar)\b"),
        ("urine_strip",    true,  r"尿(?:液)?试纸|尿蛋白|尿酮|试纸条?|\b(?:urine (?:dip|strip|protein|ketone)|dipstick|proteinuria)"),
        ("pregnancy_test", true,  r"尿妊娠|妊娠试验|早孕试|尿hcg|验孕|\b(?:pregnancy test|urine hcg|hcg)\b"),
        ("oximeter",       true,  r"血氧|氧饱和|脉氧|spo2|\b(?:oximet|oxygen saturation)"),
        ("bp_monitor",     true,  r"血压|双臂压|\b(?:blood pressure|bp)\b"),
        ("thermometer",    true,  r"体温|测温|\b(?:temperature|thermometer)\b"),
        ("stethoscope",    true,  r"听诊|听肺|听心|呼吸音|肺部啰音|胎心|\b(?:auscult|breath sounds|listen|fetal heart|foetal heart)"),
        (NOTHING,          true,  r"脉搏|心率|呼吸次数|呼吸频率|意识|神志|精神|查体|体检|触诊|叩痛|压痛|反跳痛|瞳孔|皮疹|皮肤|看|问|询问|病史|接触史|毛细血管|充盈|瘀点|颈强|布氏征|克氏征|直腿|肌力|fast|gcs|出入量|尿量|体重|大小便|观察|复查|复诊|走路|体位|testis|\b(?:history|examin|palpat|pulse|heart rate|respiratory rate|capillary|consciousness|alertness|pupil|ask|look|inspect|rash|weigh|gait|neck|exposure|observe)"),
    ];
    let need = |(resource, usual_in_village, words): (_, _, &str)| Need {
        resource,
        usual_in_village,
        words: Regex::new(&format!("(?i){words}")).expect("the patterns are constant and tested"),
    };
    table.into_iter().map(need).collect()
});

/// A rule says by itself what its check takes; its words may name more, and one thing that is not here is enough to refer.
pub(crate) fn of_rule(check: &FlagCheck, case: &Case) -> Option<Place> {
    let usual = |code: &str| NEEDS.iter().find(|need| need.resource == code).is_some_and(|need| need.usual_in_village);
    let here = match (&check.needs, &case.resources) {
        (Some(code), Some(here)) => Some(here.iter().any(|own| **own == *code)),
        (Some(code), None) => Some(usual(code)),
        (None, _) => check.here,
    };
    let by_words = of(&format!("{} {}", check.name.zh, check.name.en), case);
    match here {
        Some(true) if by_words != Some(Place::Refer) => Some(Place::Here),
        None => by_words,
        Some(_) => Some(Place::Refer),
    }
}

pub(crate) fn of(check: &str, case: &Case) -> Option<Place> {
    let needs: Vec<&Need> = NEEDS.iter().filter(|need| need.words.is_match(check)).collect();
    let is_here = |need: &&Need| match &case.resources {
        _ if need.resource == NOTHING => true,
        Some(here) => here.iter().any(|code| **code == *need.resource),
        None => need.usual_in_village,
    };
    match needs.iter().all(is_here) {
        _ if needs.is_empty() => None,
        true => Some(Place::Here),
        false => Some(Place::Refer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Place::{Here, Refer};
    use contract::case::FindingCode;

    fn clinic(resources: &[&str]) -> Case {
        let codes = resources.iter().filter_map(|code| FindingCode::new(code));
        Case { resources: Some(contract::bounded::List::take_from(codes)), ..Case::default() }
    }

    #[test]
    fn a_rule_s_own_need_decides_and_its_words_may_add_one() {
        let check = |zh: &str, here, needs: Option<&str>| FlagCheck {
            name: contract::words::Bilingual::new(zh, ""),
            here,
            needs: needs.map(str::to_owned),
        };
        let (unknown, none, strips) = (Case::default(), clinic(&[]), clinic(&["urine_strip"]));
        let protein = check("尿蛋白", Some(true), Some("urine_strip"));
        assert_eq!([&unknown, &none, &strips].map(|case| of_rule(&protein, case)), [Here, Refer, Here].map(Some));
        let two = check("尿蛋白、血常规", Some(true), Some("urine_strip"));
        assert_eq!(of_rule(&two, &strips), Some(Refer), "there is no blood count here");
        assert_eq!(of_rule(&check("就地平卧", Some(true), None), &none), Some(Here));
        assert_eq!(of_rule(&check("剖腹探查", Some(false), None), &unknown), Some(Refer));
        assert_eq!(of_rule(&check("乙类传染病报告", None, None), &unknown), None);
    }

    /// A code that no tablet is told of would send everybody away.
    #[test]
    fn what_the_rules_need_is_in_the_table() {
        let needs = crate::rules::RuleSet::builtin().needs();
        let unknown: Vec<_> = needs.iter().filter(|code| !NEEDS.iter().any(|need| need.resource == **code)).collect();
        assert!(unknown.is_empty() && !needs.is_empty(), "{unknown:?}");
    }

    #[test]
    fn what_the_clinic_has_decides_and_where_that_is_unknown_what_is_usual() {
        let unknown = Case::default();
        let table = [
            ("12导联心电图(接诊10分钟内)", &unknown, Some(Refer)),
            ("12导联心电图(接诊10分钟内)", &clinic(&["ecg"]), Some(Here)),
            ("测血压", &unknown, Some(Here)),
            ("测血压", &clinic(&["ecg"]), Some(Refer)),
            ("尿妊娠试验、血压、尿蛋白试纸", &unknown, Some(Here)),
            ("尿妊娠试验、血压、尿蛋白试纸", &clinic(&["bp_monitor", "pregnancy_test"]), Some(Refer)),
            ("虎红平板凝集(RBT)/试管凝集(SAT)", &unknown, Some(Refer)),
            ("职业与接触史、睾丸/脊柱检查", &unknown, Some(Here)),
            ("问牛羊接触史", &clinic(&[]), Some(Here)),
            ("fundoscopy", &unknown, Some(Refer)),
            ("blood glucose", &unknown, Some(Here)),
            ("乙类传染病报告", &unknown, None),
        ];
        for (check, case, expected) in table {
            assert_eq!(of(check, case), expected, "{check} with {:?}", case.resources.is_some());
        }
    }
}
