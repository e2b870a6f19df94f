use super::*;
use serde_json::json;

fn masked(before: &str, after: &str) {
    assert_eq!(text(before), after, "{before}");
}

fn stays(whole: &str) {
    masked(whole, whole);
}

/// A valid identity number: 17 digits and their check character.
fn card(seventeen: &str) -> String {
    let check = "0123456789X".chars().find(|check| {
        let number: Vec<u8> =
            format!("{seventeen}{check}").chars().map(|c| c.to_digit(10).unwrap_or(10) as u8).collect();
        numbers::checksum(&number)
    });
    format!("{seventeen}{}", check.expect("one of eleven fits"))
}

#[test]
fn identity_numbers_go_in_every_spelling() {
    let number = card("41032719900101123");
    masked(&format!("头痛{number}三天"), "头痛〔身份证〕三天");
    masked(&format!("身份证：{} {} {}", &number[..6], &number[6..14], &number[14..]), "身份证：〔身份证〕");
    let wide: String = number.chars().map(|c| char::from_u32(c as u32 + 0xfee0).expect("a wide one")).collect();
    masked(&format!("号{wide}。"), "号〔身份证〕。");
    masked("身份证410327199001011230，咳嗽", "身份证〔身份证〕，咳嗽"); // a slip of a digit
    masked("旧身份证410327900101123。", "旧身份证〔身份证〕。");
    let x =
        (0..99).map(|n| card(&format!("410327199001011{n:02}"))).find(|card| card.ends_with('X')).expect("one with X");
    masked(&format!("号{}。", x.to_lowercase()), "号〔身份证〕。");
    masked(&format!("fever, ID {number} since"), "fever, ID 〔ID card〕 since");
}

#[test]
fn telephones_go_and_what_looks_like_them_stays() {
    for number in ["13812345678", "138 1234 5678", "138-1234-5678", "+86 13812345678", "0379-62345678", "400-800-1234"]
    {
        let after = text(&format!("家属电话{number}，咳嗽")).into_owned();
        assert_eq!(after, "家属电话〔电话〕，咳嗽", "{number}");
    }
    masked("腹痛 13912345678", "腹痛 〔电话〕");
}

#[test]
fn a_name_ends_where_somebody_goes_on_about_its_owner() {
    masked("患者张建国说活动后胸闷", "患者某某说活动后胸闷");
    masked("病人王秀英突然晕倒", "病人某某突然晕倒");
}

#[test]
fn medicine_stays() {
    for whole in MEDICINE.lines().map(str::trim).filter(|line| !line.is_empty()) {
        stays(whole);
    }
}

/// None of this identifies anybody, and a rule or a doctor needs it.
const MEDICINE: &str = "
    患者头痛三天
    患者高热不退，黄疸
    患者黄疸伴白带异常
    病人常年咳嗽，向左侧卧加重
    患儿于昨日发热，温水擦浴后好转
    患者曾经手术
    患者胡言乱语，全身水肿
    患者毛发脱落，石膏固定
    病人方才呕吐一次，和平时不同
    血压160/100，脉搏88次/分
    血压 150/90mmHg，体温38.5℃
    白细胞10.5×10^9/L，血小板150000
    血小板 150000
    2026-11-23 复诊
    随访时间20261123
    末次月经2026年10月3日
    国药准字H20023456
    ICD-10 O14.9，编码A23.9
    6f1c7e52-8f3a-4d6e-9c60-0a4f5a1f0001
    去过牧区，接触羊
    来自疫区，内蒙古牧民
    在新疆放羊三年，喝生奶
    家在农村，烧煤炉
    村里有人得同样的病
    我们村好几个人发烧
    尿蛋白2+，血糖8.4mmol/L
    头孢克肟0.1g，布洛芬
    怀孕30周，头痛两天
    孕妇水肿，孕妇高血压
    母亲有糖尿病，父亲高血压
    母亲乳腺癌
    妈妈说孩子拉肚子
    儿子发烧39度5
    女儿咳嗽一周
    爷爷半边身子不能动
    丈夫打呼噜
    家属否认外伤
    家属代诉
    医生说是感冒
    医生开了药，我连名字都不懂
    本人无过敏史
    本人常熬夜
    邻居家狗咬伤
    村民高某误服农药
    产妇大出血
    孕妇阴道流血
    患者时有心慌
    患者左下腹痛
    患者平素体健
    患者常感乏力
    患者何时发病不详
    患者周围血管病
    患者金黄色痰
    患者何处不适
    病人严重脱水
    病人全程清醒
    病人万分紧张
    病人项背强痛
    病人应用抗生素后
    患者水痘疫苗接种史
    患者程度加重
    患儿易哭闹
    患儿纪要
    chest pain for 3 days, BP 160/100
    patient has a fever and a cough
    patient is 30 weeks pregnant
    drug name: Amoxicillin
    the name of the drug is unknown
    mother has diabetes
    no known allergies; lives near a farm
    lab no abnormality detected
";

#[test]
fn names_go_where_a_word_or_a_head_announces_them() {
    masked("患者张三，男，45岁，头痛3天", "患者某某，男，45岁，头痛3天");
    masked("姓名：王小明 性别：女", "姓名：某某 性别：女");
    masked("姓名：买买提·艾力，头晕", "姓名：某某，头晕");
    masked("患儿李子涵，发热2天", "患儿某某，发热2天");
    masked("欧阳娜娜，女，30岁，腹痛", "某某，女，30岁，腹痛");
    masked("name: John Smith, chest pain", "name: XX, chest pain");
    masked("Mrs. Brown has a headache", "Mrs. XX has a headache");
}

#[test]
fn addresses_go_and_the_region_stays() {
    masked("家住河南省栾川县庙子镇王庄村3组12号，腹泻", "家住河南省栾川县〔住址〕，腹泻");
    masked("mail a.b@example.com please", "mail 〔mail〕 please");
    masked("微信号：doctor_wang1 联系", "微信号：〔账号〕 联系");
    masked("住院号：20231105，发热", "住院号：〔编号〕，发热");
}

#[test]
fn of_a_message_the_strings_go_and_its_id_and_clock_stay() {
    let number = card("41032719900101123");
    let before = json!({"v": 1, "type": "consult", "id": "6f1c7e52-8f3a-4d6e-9c60-138123456780",
        "sent": {"wall": "2026-11-25T08:00:00+08:00", "mono_ms": 13_812_345_678_u64, "boot": "b-17"},
        "deadline_s": 180, "phone": 13_812_345_678_u64,
        "patient": {"name": "张三"}, "case": {"complaint": {"text": format!("咳嗽，电话13812345678，{number}")},
        "labs": [{"name": "血小板", "value": "150000"}]}});
    let sent = before.to_string();
    let (bytes, places) = bytes(sent.as_bytes());
    let after: Value = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!(places, 4);
    for same in ["/v", "/type", "/id", "/sent", "/deadline_s", "/case/labs"] {
        assert_eq!(after.pointer(same), before.pointer(same), "{same}");
    }
    assert_eq!(after["phone"], "〔电话〕");
    assert_eq!(after["patient"]["name"], "某某");
    assert_eq!(after["case"]["complaint"]["text"], "咳嗽，电话〔电话〕，〔身份证〕");
}

/// Fields that the contract leaves to others: in a review there is no `sent`, and anything may be called so.
#[test]
fn nothing_hides_behind_the_name_of_a_clock_or_in_a_name() {
    let number = card("41032719900101123");
    let mut message = json!({"sent": {"wall": "13812345678", "boot": number, "mono_ms": "电话13812345678", "note": number},
        "deadline_s": 13_812_345_678_u64,
        "家属": {number.as_str(): 1, "13812345678": {"13912345678": 2}, "13712345678": 3, "〔电话〕": 4}});
    let places = super::message(&mut message);
    let sent = json!({"wall": "〔phone〕", "boot": "〔ID card〕", "mono_ms": "电话〔电话〕", "note": "〔ID card〕"});
    assert_eq!((places, &message["sent"], &message["deadline_s"]), (9, &sent, &json!("〔电话〕")));
    let people = json!({"〔ID card〕": 1, "〔phone〕": {"〔phone〕": 2}, "〔phone〕#2": 3, "〔电话〕": 4});
    assert_eq!(message["家属"], people);
    let again = message.clone();
    assert_eq!((super::message(&mut message), &message), (0, &again), "masked once is masked for good");
}

#[test]
fn bytes_without_a_secret_are_the_very_same() {
    for whole in [&b"{ \"v\" : 1,  \"x\": 1.50 }"[..], b"rubbish", b"\xff"] {
        assert!(matches!(bytes(whole), (Cow::Borrowed(same), 0) if same == whole));
    }
}

/// Whatever text: no panic, no longer than before, masked once is masked for good, and what was planted is gone.
#[test]
fn dice_find_no_text_that_breaks_the_rules() {
    const PIECES: [&str; 40] = [
        "患者",
        "姓名：",
        "张三",
        "李",
        "电话",
        "身份证",
        "138",
        "1234",
        "5678",
        "12345678901",
        "-",
        " ",
        "（",
        "）",
        "，",
        "〔电话〕",
        "某某",
        "某处",
        "家住",
        "王庄",
        "村",
        "3组",
        "河南省",
        "县",
        "男",
        "45岁",
        "x",
        "X",
        ".",
        "@",
        "a.b@c.de",
        "出生",
        "1990年3月5日",
        "住院号",
        "ＡＢ",
        "１３８",
        "name: ",
        "Mr. ",
        "Smith",
        "·",
    ];
    let mut seed = 20_261_124_u64;
    let mut dice = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for round in 0..20_000 {
        let mut words: Vec<String> = (0..1 + dice(14)).map(|_| PIECES[dice(PIECES.len())].to_owned()).collect();
        let planted = match round % 3 {
            0 => Some(card(&format!("4103271990{:02}{:02}{:03}", 1 + dice(12), 1 + dice(28), dice(1000)))),
            1 => Some(format!("13{}{:08}", dice(10), dice(100_000_000))),
            _ => None,
        };
        if let Some(number) = &planted {
            let at = dice(words.len() + 1);
            words.insert(at, format!("，{number}。"));
        }
        let before = words.concat();
        let once = text(&before).into_owned();
        assert!(once.chars().count() <= before.chars().count(), "{before} → {once}");
        assert_eq!(text(&once), once, "{before}");
        assert!(planted.is_none_or(|number| !once.contains(&number)), "{before} → {once}");
    }
}

#[test]
fn hostile_texts_cost_no_more_than_their_length() {
    for piece in ["1", "1-", "姓名：", "张", "村", "河南省", "@a.", "〔", "〔电话〕", "患者张"] {
        let long = piece.repeat(256 * 1024 / piece.len());
        let once = text(&long).into_owned();
        assert!(once.chars().count() <= long.chars().count());
    }
    let people = (0..12_000_u64).map(|n| (format!("{}", 13_800_000_000 + n), Value::Null)).collect::<Map<_, _>>();
    let mut message = json!({"x": people});
    super::message(&mut message);
    assert_eq!(message["x"].as_object().map(Map::len), Some(12_000), "nobody is lost");
}

#[test]
fn what_stands_behind_an_address_or_a_name_stays() {
    masked(
        "Address: Wang village. Sudden chest pain with sweating for 2 hours",
        "Address: 〔addr〕. Sudden chest pain with sweating for 2 hours",
    );
    stays("home address: refused, sudden chest pain with sweating");
    masked("住址：栾川县庙子镇突发胸痛大汗2小时", "住址：栾川县某处突发胸痛大汗2小时");
    masked("地址：门诊突发胸痛大汗", "地址：某处突发胸痛大汗");
    stays("住址:内蒙古牧区胸痛大汗");
    stays("姓名：胸痛大汗 2小时");
    stays("Name: Chest Pain, sweating");
    masked("突发抽搐李庄村3组", "突发抽搐〔住址〕");
}

/// Each plain phrase that the rules read, behind each label and place: it must still be there.
#[test]
fn no_label_swallows_a_phrase_of_the_rules() {
    let zh = ["住址：", "地址：", "家庭住址：", "联系地址:", "家住", "姓名：", "联系人：", "患者"];
    let places = ["", "王庄村", "栾川县庙子镇", "王庄村3组", "门诊", "内蒙古牧区", "赵庄卫生室旁", "张三", "王庄村 "];
    let en = ["Address: ", "home address: ", "Address is ", "Name: ", "Mr "];
    let places_en = ["", "Wang village. ", "Wang village, Luanchuan, ", "unknown, ", "Wang Wei, ", "Wang village "];
    let mut said = 0;
    for (labels, places, phrases) in [
        (&zh[..], &places[..], medicine::phrases("phrases_zh")),
        (&en[..], &places_en[..], medicine::phrases("phrases_en")),
    ] {
        // Each label with each phrase; the places go round.
        let pairs = labels.iter().flat_map(|label| phrases.iter().map(move |phrase| (label, phrase)));
        for ((label, phrase), place) in pairs.zip(places.iter().cycle()) {
            let title =
                |text: &str| text.split(' ').map(|w| w[..1].to_uppercase() + &w[1..]).collect::<Vec<_>>().join(" ");
            let phrase = if *label == "Name: " || *label == "Mr " { title(phrase) } else { phrase.clone() };
            let before = format!("{label}{place}{phrase}两小时");
            assert!(text(&before).contains(&phrase), "{before} → {}", text(&before));
            said += 1;
        }
    }
    assert!(said > 10_000, "{said}");
}

#[test]
fn counts_and_doses_are_no_telephones() {
    for whole in [
        "WBC 13500000000/L",
        "白细胞13800000000个/L",
        "血小板 13500000000 ×10",
        "布洛芬 400-600-1000 mg",
        "尿量 400-800-1200 ml",
    ] {
        stays(whole);
    }
    masked("热线 400-800-1234", "热线 〔电话〕");
    let mut labs = json!({"case": {"labs": [{"name": "WBC", "value": "13500000000/L"}]}});
    assert_eq!(super::message(&mut labs), 0);
}

#[test]
fn what_parts_the_groups_of_a_number_hides_nothing() {
    let number = card("41032719900101123");
    for mark in ["\n", ".", "·", "_", ","] {
        masked(&format!("号 {}{mark}{}{mark}{} 。", &number[..6], &number[6..14], &number[14..]), "号 〔身份证〕 。");
    }
    for mark in ['\u{200b}', '\u{200c}', '\u{200d}', '\u{200f}', '\u{2060}', '\u{ad}'] {
        masked(&format!("号 {}{mark}{} 。", &number[..9], &number[9..]), "号 〔身份证〕 。");
        masked(&format!("头痛 138{mark}12345678 三天"), "头痛 〔电话〕 三天");
    }
    for phone in ["138.1234.5678", "138 12345678", "13812 345678", "+86(138)12345678"] {
        let after = text(&format!("头痛 {phone} 三天")).into_owned();
        assert!(!after.contains("5678"), "{after}");
    }
    stays("血压 130 20231105，体温38.5，白细胞 10.5，血糖 5.6.7");
}

#[test]
fn the_key_of_a_person_makes_a_name_of_a_string() {
    let mut message = json!({"patient": "王建国", "患者": "王建国", "patient_info": {"name": "王建国"}, "contact_person": {"name": "王建国"},
        "person": "胸痛三天"});
    assert_eq!(super::message(&mut message), 4, "{message}");
    assert_eq!(message["person"], "胸痛三天");
}
