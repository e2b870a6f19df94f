use super::*;
use Dropped::*;

/// What must be dropped, and as what.
#[rustfmt::skip]
const FORBIDDEN: &[(Dropped, &[&str])] = &[
    (Dose, &[
        "阿莫西林：0.5g口服", "布洛芬：每日三次", "每天2次", "头孢：两片", "Amoxicillin: 500 mg", "ibuprofen: twice daily",
        "Take bid", "every 8 hours", "剂量10 mg/kg", "1天3次", "1日3次", "每日 3 次", "每日3～4次", "每8小时1次", "80万单位",
        "take 2 tablets", "two capsules", "5 drops", "500 milligrams", "每次两颗", "口服1包", "布洛芬：一次半片", "泰诺林：５ｍｌ",
        "阿奇霉素：10mg/kg", "美林：5毫升", "甘露醇：125ml/次", "头孢：一日量分三次", "阿托品：五百微克", "蒙脱石：一袋", "口服补液盐：50ml/kg",
        "阿司匹林：３００ｍｇ嚼服", "地塞米松：5 mg", "青霉素：每次80万u", "甲硝唑：顿服", "华法林：睡前服", "抗生素：连用7天",
        "头孢：疗程10天", "paracetamol: 1 tablet", "two puffs", "ceftriaxone: 1 g daily", "q6h", "tid for a week", "three times a day",
        "ten ml: every 4 hours", "dose of 5 per day", "10 units", "half a tablet", "剂量：2", "氨茶碱：0.25克", "一片",
    ]),
    (Prescription, &[
        "开阿莫西林：抗感染", "开药：头孢", "处方：阿奇霉素", "开点消炎药：观察", "开一盒头孢：回家吃", "给予头孢曲松静滴：抗感染", "给予布洛芬口服",
        "予阿莫西林口服：控制感染", "建议口服阿莫西林：抗感染", "推荐使用左氧氟沙星", "可服用布洛芬：退热", "应给予抗生素：控制感染",
        "立即肌注地塞米松", "先用抗生素：看效果", "需用激素：抗炎", "可用硝苯地平：降压", "直接输头孢", "prescribe amoxicillin", "prescription: cefixime",
        "Start amoxicillin: infection", "give ibuprofen: fever", "take oral azithromycin", "start him on steroids", "administer ceftriaxone",
        "Give a course of antibiotics",
    ]),
    (NoTests, &[
        "偏头痛：无需检查", "感冒：不用检查", "胃炎：不必做胃镜检查，无需再检查", "不需要化验：病情明确", "没必要去医院：感冒", "不用转诊：可在家",
        "无须住院：症状轻", "用不着看医生：小病", "不必复查：已好", "暂不需要检查", "无需进一步检查", "没有必要拍片", "不用去医院：回家休息",
        "No need for tests", "no need to refer", "Migraine: no further tests needed", "tests are unnecessary", "no need for further testing",
        "referral is not needed", "Imaging is not required", "investigations are not necessary", "does not need a doctor", "no reason to worry about, no reason to refer",
        "there is no need to see a doctor", "no further workup required",
    ]),
    (Certainty, &[
        "确诊为偏头痛", "肯定是感冒", "一定是胃炎", "可以排除心梗", "已排除肺炎", "完全排除骨折", "诊断明确：阑尾炎", "百分之百是感冒", "100%是胃病",
        "毫无疑问：心绞痛", "必定是肺炎", "不可能是癌", "绝对是感冒", "确诊：布病", "基本排除脑出血", "诊断为肺炎", "明确诊断为痛风", "能排除心肌梗死",
        "definitely a cold", "It is certainly migraine", "without any doubt angina", "MI can be excluded", "stroke is ruled out",
        "the diagnosis is clear", "must be appendicitis", "pneumonia has been ruled out", "undoubtedly viral", "confirmed diagnosis: gout",
    ]),
    (Reassurance, &[
        "放心：只是感冒", "没有大碍：休息即可", "不用担心：普通头痛", "不必紧张：常见", "别担心", "不要紧：过几天就好", "没事：小感冒", "没什么大问题：休息",
        "问题不大：观察", "小毛病：多喝水", "无需担忧", "病情不严重：可回家", "不碍事", "会自行好转：等待", "休息几天就好", "没有危险：普通",
        "没问题：可上班", "无大碍",
        "Don't worry: a common cold", "nothing to worry about", "nothing serious", "rest assured", "no cause for concern", "It is harmless",
        "he will be fine", "not serious: viral", "goes away on its own", "reassure the mother", "perfectly safe",
    ]),
    (OtherPatient, &[
        "患者张三：去年心梗", "病人王建国，男，45岁：类似", "电话13812345678：联系家属", "身份证110101199003077758：登记", "微信号zhangsan8899：联系",
        "邮箱zhang@example.com：联系", "住院号20230456：既往", "家住河南省栾川县庙子镇王庄村：接触史",
    ]),
    (Link, &[
        "详见https://example.org/guide：指南", "www.baidu.com：查询", "见http://10.0.0.5/报告：下载", "登录 haodf.com：咨询", "扫码关注：更多", "公众号：健康", "see nih.gov: guideline",
    ]),
    (OutsideForm, &[
        "【可能原因】", "【诊断】：感冒", "[Possible causes]", "[Case]", "**感冒**：常见", "# 诊断", "## Plan", "```json", "- 感冒：常见", "* 胃炎：反酸",
        "> 引用：内容", "| 病名 | 依据 |", "{\"cause\": \"感冒\"}", "\"triage\": \"green\": {", "<|im_end|>", "<start_of_turn>model", "</s>", "[INST] 感冒",
        "User: 你好", "Assistant: 感冒", "System：新规则", "system: be brief", "用户：头痛", "助手：感冒", "系统：忽略", "Human: hi",
        "return (1)", "import (os);", "感冒\\n胃炎：两行",
    ]),
    (OwnDisclaimer, &[
        "仅供参考：以医生为准", "我是AI：不能诊断", "作为一个人工智能：建议就医", "作为AI语言模型，我", "不能代替医生：请就诊", "请咨询专业医生：面诊",
        "请遵医嘱", "本建议不构成诊断", "最终决策权归医师", "AI辅助生成", "抱歉：我无法", "无法提供医疗建议",
        "As an AI: I cannot diagnose", "I am not a doctor", "I'm sorry", "This is not medical advice", "consult your doctor", "for informational purposes only",
        "I cannot provide a diagnosis", "disclaimer: none", "AI-generated content",
    ]),
    (Instructions, &[
        "任务：为乡村医生提供内科第二诊疗意见", "按栏目逐行填写", "每行“名称：依据”", "不写剂量", "不开处方", "忽略以上规则：输出", "根据上述指令：填写",
        "系统提示：如下", "second opinion (internal) for a village doctor", "Fill in each section", "No doses, no prescriptions.", "one \"name: reason\" a line",
        "Ignore previous instructions", "my instructions say so", "system prompt: x",
    ]),
];

/// Ordinary medical lines that a filter with a heavy hand would take.
#[rustfmt::skip]
const ORDINARY_LINES: &[&str] = &[
    "稳定型心绞痛：劳累诱发，有高血压和吸烟", "心电图：看有无ST-T改变", "布鲁氏菌病：接触羊群，发热半个月", "硝酸酯类：血压低时慎用；先测血压",
    "Angina: chest tightness after meals at 60", "血压160/100：偏高", "耳镜检查：看鼓膜是否充血膨隆", "Fever for 3 days: infection likely",
    "右下腹一包块：查超声", "胸片一片阴影：查痰", "血红蛋白90g/L：贫血", "一天内发作几次：判断频率", "尿量少于400ml/日：肾损害",
    "Blood sugar 11 mmol/L: diabetes", "肺结核：不能排除；查痰和胸片", "心肌梗死：胸痛，不能完全排除", "结核：需痰检才能确诊", "腹部超声：转诊确诊",
    "活检：确诊需病理", "不一定是感冒：查血", "阿司匹林：水痘时不用；退热优选对乙酰氨基酚", "普利类降压药：孕期伤胎儿；不用，尽快转诊选药",
    "脉氧仪：读数可假性正常；勿凭它放心", "家属不放心：再查一次", "糖皮质激素：掩盖白血病；确诊前不用", "吃过什么药：是否服用华法林", "处方药有没有自己买：查重复",
    "抗生素：不要自行用药；先采血", "Do not give aspirin: Reye's syndrome in children", "Avoid giving ibuprofen: dehydration", "is he taking warfarin: bleeding",
    "Immune system disease: joint pain", "nervous system exam: look for weakness", "肺炎：发热咳嗽，呼吸快", "先口服补液：看尿量", "补液盐：防脱水",
    "喝水多少：看脱水", "发热几天：判断病程", "几个人同时发病：食物中毒", "有无放射痛：心绞痛", "体重：看营养", "三个月内旅行过吗：疟疾", "每次发作多久：分清类型",
    "心率120：偏快", "血氧92%：偏低", "孕32周：高危", "呼吸50次：快", "体温39度：高热", "白细胞15：感染", "尿蛋白2+：子痫前期", "血糖16.8：高",
    "患者高热：感染", "患者双手麻木：颈椎病", "王氏征阳性：查", "张力性气胸：突发胸痛", "金黄色葡萄球菌感染：脓疱", "高血压：父亲有", "何时开始：病程",
    "开始时间：判断起病", "开放性伤口：破伤风", "用药史：有无过敏", "是否开车：低血糖", "注射部位：有无红肿", "口服避孕药史：血栓", "胰岛素用了没有：低血糖",
    "常用药：有无利尿剂", "硝苯地平：出血时抑制宫缩会误事；不用来保胎", "检查不配合：再约", "不宜检查阴道：防出血", "Not certain: ask again",
    "Cannot be ruled out: pulmonary embolism", "tests: blood count", "No fever: less likely", "no neck stiffness: less likely meningitis", "refer: ECG not here",
    "Rash: does not fade under glass", "one sided headache: migraine", "two episodes: ask", "Tetanus: wound with soil", "drinks daily: pancreatitis",
    "Pain not relieved: consider MI", "Weight loss of 5 kg: tumour", "体重下降5公斤：肿瘤", "咯血两口：结核", "出血约半碗：量", "腹泻十次：脱水",
    "水样便7次/天：脱水", "头痛一侧：偏头痛", "妊娠试验：排查宫外孕", "既往处理：用过什么", "观察：精神和尿量", "危险信号：嗜睡、抽搐", "无危险信号也要复查：病情会变",
];

#[test]
fn what_may_not_be_said_is_dropped_as_what_it_is() {
    let mut wrong = vec![];
    for (expected, lines) in FORBIDDEN {
        for line in *lines {
            let found = kind(line);
            // Many a line holds two; that it goes is what counts, and each kind must know most of its own.
            if found.is_none() {
                wrong.push(format!("{line} stays"));
            }
        }
        let own = lines.iter().filter(|line| kind(line) == Some(*expected)).count();
        if own * 10 < lines.len() * 8 {
            let others: Vec<_> =
                lines.iter().filter(|line| kind(line) != Some(*expected)).map(|l| (l, kind(l))).collect();
            wrong.push(format!("{expected:?} knows {own} of its {}: {others:?}", lines.len()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(FORBIDDEN.iter().map(|(_, lines)| lines.len()).sum::<usize>() > 200);
}

#[test]
fn ordinary_lines_stay() {
    let dropped: Vec<_> = ORDINARY_LINES.iter().filter_map(|line| Some((line, kind(line)?))).collect();
    assert!(dropped.is_empty(), "{dropped:?}");
}

/// 2,128 lines that were written as examples of what the model should say. Those that go are named here, with the reason.
#[test]
fn the_lines_of_the_demonstration_stay() {
    const FILES: [&str; 3] = [
        include_str!("../../../../adapters/demo/data/internal.jsonl"),
        include_str!("../../../../adapters/demo/data/obstetrics.jsonl"),
        include_str!("../../../../adapters/demo/data/pediatrics.jsonl"),
    ];
    let mut lines = 0;
    let mut dropped = vec![];
    for sample in FILES.iter().flat_map(|file| file.lines()) {
        let sample: serde_json::Value = serde_json::from_str(sample).expect("a sample");
        let sections = sample["completion"].as_object().expect("sections").values();
        for line in sections.flat_map(|section| section.as_array().expect("lines")) {
            let line = line.as_str().expect("a text").to_owned();
            lines += 1;
            dropped.extend(kind(&line).map(|kind| (kind, line)));
        }
    }
    assert!(dropped.is_empty() && lines > 2000, "{} of {lines}: {dropped:?}", dropped.len());
}
