//! Names: where a word announces one, or where sex and age follow it as in the head of a record.
//!
//! ```text
//! label   姓名：张三丰 ，          any 2 to 4 characters
//! role    患者 张三 因 头痛 …      surname + 1 or 2 that occur in names + an end; 患者高热 and 患者常年咳嗽 have none
//! head    ▏张三 ，男，45岁         surname + 1 or 2 between a mark and a sex or an age
//! ```
//! Nothing parts words in Chinese, and many surnames are also words (高热, 黄疸, 白带, 于昨日, 曾经). Hence four lists:
//! surnames that begin few other words, surnames that do (their given names must then be of common characters),
//! characters that no given name has, and words that begin like a name.

use super::{Kind, Span, han, pattern};
use regex::Regex;
use std::sync::LazyLock;

/// 百家姓, the frequent and the rarer, as far as they begin few words of a complaint.
const SURNAMES: &str = "王李张刘陈杨赵吴徐孙朱郭林罗郑梁宋唐韩冯邓曹彭潘袁董魏蒋蔡杜沈吕卢姚谭邹\
    廖贾韦傅熊孟秦邱尹薛闫阎侯陶黎郝龚邵覃崔赖樊兰翟殷詹鲁葛乔欧颜庄俞柯裴聂鞠耿焦岑邢纪欧苗柴蓝\
    栾冀郁莘郜臧辛邰蔺窦滕缪褚屈瞿涂阮蒲鄢隋佟仝逯娄戚柏匡尉祁仲喻尧巩敖冉隆晏卓娜佘宗麦芦霍奚阚\
    刁邬甄靳桑甯郎詹闵荀晁湛储糜鄂暴邸厉骆解楚鲍虞卞胥景靖漆湾苟闻丛束巴衣虎旦次扎卢夔冼丘粟";

/// Surnames that are also the beginning of ordinary words: 高热, 黄疸, 曾经, 于昨日, 何时, 许多, 严重, 周围, 金黄.
const DOUBTFUL: &str = "高黄周胡何马方石白常于曾温汤毛左和时有向全安明平单易万段雷江洪任程严余许谢史金夏\
    钟田范陆孔康顾贺钱武戴莫龙倪牛丁叶苏米宫阴沙池岳车农管关包皮房盛宁甘祝申幸党云季项路同连干成计冷封\
    游司齐伍步舒付鱼蒙乐谷花柳文童古凌洛华饶鬼曲强木水火占修应红赏伏梅尚辜古权柯吉桂练边简卜甫肖谈萧燕";

const COMPOUND: [&str; 23] = [
    "欧阳", "司马", "上官", "诸葛", "东方", "皇甫", "尉迟", "公孙", "令狐", "宇文", "长孙", "慕容", "司徒", "司空",
    "夏侯", "轩辕", "端木", "百里", "呼延", "东郭", "南宫", "闻人", "澹台",
];

/// Characters that given names hardly ever have and that complaints are full of.
const NOT_IN_A_NAME: &str = "的了着过不没无有是在到时后前上下里内外间处时候每次多少各种某这那哪些此其它他她你我们吗呢吧么\
    因但而且或若如则把被让使给对向从与和及并也都还又再已就才只很太更最较些许点吃喝服用药打针输液手术住院出院入院诊治疗查检\
    痛疼酸胀肿热烧冷寒咳嗽喘痰鼻涕咽喉吐呕泻便尿血脓汗渴饿胃肠肝胆脾肺肾脑颅眼耳口嘴唇舌牙齿颈脖肩背腰腹胸乳腿脚足膝踝腕肘臂\
    指趾皮肤疹斑疮癣痒麻木瘫痹晕昏迷厥抽搐惊悸慌闷憋乏困倦累睡醒梦焦虑郁怒躁烦哭闹伤摔跌撞压扎割咬蛰蜇烫骨折炎症病癌瘤毒\
    菌孕胎产宫卵经期带瘀疸黑紫红白黄绿青肤色度温量率级型性状体重身头面部位侧左右感觉诉述说问想要能会可该应需请做作得去来进出\
    起停止加减升降增轻重剧缓急慢快突然反复持续阵偶常总几半天日月年周岁小时分钟许约近昨今早晚夜晨午刚曾未否否认见饮食欲差佳\
    良好坏旧新患者人员史家属亲父母妈爸爷奶姑姨叔舅哥弟姐妹夫妻儿女孩婴幼老师医护士生号码名字姓称叫谓啥什何怎样谁虫蚊犬猫狗";

/// The two given-name characters above that names do have after all, though only beside a sure surname.
const STILL_IN_A_NAME: &str = "红青新来良好生儿月年春日小加升起和佳分家重能进天面字可应欲约夜晨师会女";

/// Common characters of given names; beside a doubtful surname no others count.
const GIVEN: &str = "建国华伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂玉萍红梅林海山峰龙凤云飞鹏辉斌波宇浩凯健俊\
    文武德福贵财宝金银富荣光辉忠孝义仁信志永庆祥瑞喜发旺兴昌盛泰安康宁成功立树根生长春夏秋冬雪雨晴月星辰阳东西南北中\
    莲荷菊竹松柏桃李杏花草香芬芝蓉薇莉莎琳琴瑶瑾瑜璐珍珠琪琦佳欣怡悦慧惠淑贤婷婉媛嫣娇妮雅倩洁琼颖岚岩石川江河湖泉\
    大小子孟仲季叔伯少达远方正清世传家运来学思书诗礼智勤俭改革新民全保卫红旗拥爱胜利向前进跃彬彦轩昊睿博涵梓萱诺\
    晨曦曼妍雯霖霏楠栋梁柱杨柳枫桐桦栓锁牛虎豹狗蛋妞丫巧凡亮顺和庚辛丁卯科良善美好友朋兵战士农工商连营景启元先\
    守法振华铁钢铜锋锐鑫森淼焱垚冰凌霄云翔鸿雁燕鹤莺鹃蕾蓓苗苏晓暖昭昌春梅素存厚廷延嘉才进水火土木根田粮满仓有余";

/// Words that begin like surname and name, and the words that stand behind a role without being one.
const WORDS: &str = "高原 高处 高空 高考 高中 高三 高二 高一 高大 高龄 高危 黄连 黄金 黄芪 白天 白芍 白沫 白衣 方法 方案 \
    方才 方便 常有 常见 常规 常伴 常喜 时常 时而 时间 时好 温水 温和 温饱 毛发 毛巾 石膏 石头 汤药 汤水 \
    水样 水平 水果 水痘 全程 全天 全部 全家 向来 向前 向北 向西 于家 于凌晨 于清晨 于晨 于田 于工 于学 \
    于春 于秋 于冬 于夏 于山 于水 于河 于海 于南 于北 于本 于东 于西 于运动 明显 安静 安全 安胎 平静 \
    平素 平安 平卧 单纯 单独 和平 和老 有时 有高 有金 有水 有发 有志 易发 易怒 万一 段时 任何 程度 严重 \
    许多 史中 金黄 金属 周一 周二 周三 周四 周五 周六 周末 周围 周期 马上 何时 孙子 孙女 陈旧 强直 水泥 \
    石灰 农忙 车祸 皮下 全文 童年 古稀";

static LABEL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?P<sure>(?:姓名|名字|署名|签名|签字|我叫|名叫|他叫|她叫|(?i:\bname\s?[:：]))[)）\s:：]{0,3}(?:(?:是|为|叫)[\s:：]*)?)",
        r"|(?:患者|病人|患儿|病患|产妇|孕妇|家属|联系人|监护人|陪护|母亲|父亲|妈妈|爸爸|我妈|我爸|丈夫|妻子|爱人|老公|老婆|配偶",
        r"|老伴|儿子|女儿|孙子|孙女|爷爷|奶奶|外公|外婆|姥姥|姥爷|公公|婆婆|哥哥|弟弟|姐姐|妹妹|本人|我是|村民|邻居|医生|医师)",
        r"(?:签名|签字)?[\s:：（(]{0,3}(?:(?:名叫|是|为|叫|系)[\s:：]*)?"
    ))
});

/// Sex or age behind a name, as a record begins; or a phone or card that was masked just now.
static HEAD_END: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"[\s，,、/|（(]{0,3}(?:[男女](?:性|童|孩)?(?:[\s，,、。；;/|)）]|\D|$)|\D{1,3}\s?(?:周?岁|个?月龄|[Yy]))",
        r"|[\s，,、:：（(]{0,3}(?:联系|本人|家属)?(?:电话|手机|手机号|身份证|身份证号)?[\s:：]{0,2}〔(?:电话|身份证)〕"
    ))
});

static DOTTED: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\p{Han}{1,8}(?:[·•・‧]\p{Han}{1,8}){1,3}"));

static ENGLISH: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?P<of>\b[A-Za-z]+(?:'s)? )?\b[Nn](?i:ame)(?:\s?[:：=]\s?|\s(?:is|was)\s)(?:M(?:r|rs|s|iss)\.? )?(?P<name>",
        r"[A-Z][A-Za-z'’\-]*\.?(?: [A-Z][A-Za-z'’\-]*\.?)*)",
        r"|\b(?:Mr|Mrs|Ms|Miss|Mx)\b\.?\s(?P<titled>[A-Z][a-z'’\-][A-Za-z'’\-]*(?: [A-Z][A-Za-z'’\-]+)*)"
    ))
});
/// Whose name is no person's.
const OF_THINGS: [&str; 14] = [
    "drug", "brand", "trade", "generic", "medicine", "product", "file", "test", "disease", "the", "its", "hospital",
    "clinic", "trade",
];

pub fn names(text: &str) -> Vec<Span> {
    let mut found = labelled(text);
    found.extend(heads(text));
    found.extend(english(text));
    found.sort_by_key(|span| (span.at.start, usize::MAX - span.at.end));
    found.dedup_by(|next, kept| next.at.start < kept.at.end);
    found
}

/// Whether a field holds a name and nothing else.
pub fn whole(field: &str) -> bool {
    surnamed(field).or_else(|| dotted(field)) == Some(field.len())
}

fn span(start: usize, len: usize) -> Span {
    Span { at: start..start + len, kind: Kind::Name }
}

fn labelled(text: &str) -> Vec<Span> {
    let spans = LABEL.captures_iter(text).filter_map(|label| {
        let from = label.get(0)?.end();
        let rest = super::head(&text[from..], 96);
        let len = match label.name("sure") {
            Some(said) => {
                announced(rest, said.as_str().ends_with([':', '：', ' ', '\t', '\u{3000}', '叫', '是', '为']))
            }
            None => dotted(rest).or_else(|| surnamed(rest)),
        };
        len.map(|len| span(from, len))
    });
    spans.collect()
}

/// One more than the longest name: what fills more is none. Each character is looked at anew from each 姓名, so the bound
/// is also what keeps 名字名字名字… from costing seconds.
const FIELD: usize = 5;

/// Behind 姓名: whatever fills the field, if a mark says that it is one; else a surname and what goes with it.
fn announced(rest: &str, marked: bool) -> Option<usize> {
    if let Some(dotted) = dotted(rest) {
        return Some(dotted);
    }
    if ["某", "不", "未", "保密", "同上", "略", "和", "与", "及", "什么", "啥", "患者", "病人"]
        .iter()
        .any(|no| rest.starts_with(no))
    {
        return None;
    }
    let field: Vec<(usize, char)> = rest.char_indices().take_while(|(_, c)| han(*c)).take(FIELD).collect();
    let end = |chars: usize| field.get(chars - 1).map(|(at, c)| at + c.len_utf8());
    let stop = (1..field.len()).find(|i| ends(&rest[field[*i].0..])).unwrap_or(field.len());
    // A field may hold a complaint instead; what is left of one in here, the words of medicine keep.
    let like_a_name =
        surname_chars(rest).is_some() || field[..stop.min(field.len())].iter().all(|(_, c)| may_be_given(*c));
    if marked && (2..=4).contains(&stop) && like_a_name {
        return end(stop);
    }
    surnamed(rest).or_else(|| unended(rest, &field, end))
}

/// 姓名张三头痛三天: the surname, one more, and a third unless it begins something else.
fn unended(rest: &str, field: &[(usize, char)], end: impl Fn(usize) -> Option<usize>) -> Option<usize> {
    let surname = surname_chars(rest)?;
    let given = field.iter().skip(surname).take(2).take_while(|(_, c)| may_be_given(*c)).count();
    if given == 0 { None } else { end(surname + given) }
}

/// 买买提·艾力. A bullet between two complaints looks the same, so each character must be one of names.
fn dotted(rest: &str) -> Option<usize> {
    let name = DOTTED.find(rest)?;
    let stop = name.as_str().char_indices().find(|(at, _)| *at > 0 && ends_with_a_word(&name.as_str()[*at..]));
    let len = stop.map_or(name.end(), |(at, _)| at);
    let fits = rest[..len].contains(['·', '•', '・', '‧'])
        && rest[..len].chars().all(|c| !han(c) || may_be_given(c))
        && !rest.starts_with('某');
    fits.then_some(len)
}

/// A surname, one or two characters of given names, and an end. The longer name first.
fn surnamed(rest: &str) -> Option<usize> {
    if WORDS.split(' ').any(|word| rest.starts_with(word)) {
        return None;
    }
    let surname = surname_chars(rest)?;
    let chars: Vec<(usize, char)> = rest.char_indices().take(surname + 3).collect();
    [2, 1].into_iter().find_map(|given| {
        let end = chars.get(surname + given).map_or(rest.len(), |(at, _)| *at);
        let whole = chars.len() >= surname + given && rest[..end].chars().all(han);
        let fits = whole && chars[surname..surname + given].iter().all(|(_, c)| given_beside(chars[0].1, *c));
        let sex = given == 2 && matches!(chars.get(surname + 1), Some((_, '男' | '女'))) && !sex_follows(&rest[end..]);
        (fits && !sex && ends(&rest[end..])).then_some(end)
    })
}

/// 王亚男，女 is a name with 男 in it; 张三男，45岁 is a man.
fn sex_follows(rest: &str) -> bool {
    rest.trim_start_matches(|c: char| !han(c) && !c.is_numeric()).starts_with(['男', '女'])
}

fn surname_chars(rest: &str) -> Option<usize> {
    if COMPOUND.iter().any(|compound| rest.starts_with(compound)) {
        return Some(2);
    }
    rest.starts_with(|c| SURNAMES.contains(c) || DOUBTFUL.contains(c)).then_some(1)
}

fn given_beside(surname: char, given: char) -> bool {
    let doubtful = DOUBTFUL.contains(surname) && !SURNAMES.contains(surname);
    if doubtful { GIVEN.contains(given) } else { may_be_given(given) }
}

fn may_be_given(c: char) -> bool {
    han(c) && (!NOT_IN_A_NAME.contains(c) || STILL_IN_A_NAME.contains(c))
}

/// Nothing more, something other than 汉字, or a word that goes on about the named.
fn ends(rest: &str) -> bool {
    !rest.starts_with(han) || ends_with_a_word(rest)
}

fn ends_with_a_word(rest: &str) -> bool {
    const GOES_ON: &str = "因 诉 自诉 自述 主诉 于 来诊 来院 来我 来电 就诊 就医 现年 今年 年龄 性别 今日 今晨 今天 昨 电话 \
        联系 手机 微信 身份证 住址 家住 地址 住 已婚 未婚 汉族 民族 出生 之子 之女 之妻 之母 之父 的 先生 \
        女士 同志 老人 反复 突发 突然 科室 说 称 述 感 觉 自觉 自感 出现 曾 已 在 有 无 被 来 去 昨 前 近 活动 饭后";
    if rest.starts_with(['男', '女']) {
        return rest.chars().nth(1).is_none_or(|next| !han(next) || next == '性');
    }
    GOES_ON.split(' ').any(|word| rest.starts_with(word))
}

/// ▏张三，男，45岁: what stands between a mark and a sex, an age or a masked number.
fn heads(text: &str) -> Vec<Span> {
    let spans = HEAD_END.find_iter(text).filter_map(|end| {
        let before = super::tail(&text[..end.start()], 64);
        let name: usize = before.chars().rev().take_while(|c| han(*c) || dot(*c)).map(char::len_utf8).sum();
        let start = end.start() - name;
        let rest = &text[start..end.start()];
        let len = dotted(rest).or_else(|| surnamed(rest));
        (len == Some(name)).then(|| span(start, name))
    });
    spans.collect()
}

fn dot(c: char) -> bool {
    matches!(c, '·' | '•' | '・' | '‧')
}

fn english(text: &str) -> Vec<Span> {
    let spans = ENGLISH.captures_iter(text).filter_map(|found| {
        let things = found.name("of").map_or("", |of| of.as_str().trim_end());
        let name = found.name("titled").or(found.name("name"))?;
        let of_a_person = !OF_THINGS.iter().any(|thing| things.eq_ignore_ascii_case(thing));
        (of_a_person && name.len() >= 2 && name.as_str() != "XX").then(|| Span { at: name.range(), kind: Kind::Name })
    });
    spans.collect()
}
