//! What a case says of the things that make a drug a risk. Three-valued: what is unknown and would decide is asked.

use super::{
    data::{ContextText, Fault},
    names::Names,
    normal::normal,
    said::{self, denied},
};
use contract::{
    case::{Case, FindingState, PregnancyStatus, Sex},
    words::Bilingual,
};
use regex::Regex;
use std::{ops::Range, sync::LazyLock};

/// What is not known, and would decide.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Missing {
    Pregnancy,
    Weeks,
    Lactation,
    Age,
    Allergies,
    /// A name in `drugs.json`.
    Context(String),
    OtherDrugs,
    /// Somebody's 消炎药.
    DrugName(String),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Truth {
    /// And how a line says it.
    Yes(Bilingual),
    No,
    Unknown(Missing),
    /// Known so far as to be worth a caution, and asked.
    Likely(Bilingual, Missing),
}

macro_rules! compiled {
    ($pattern:expr $(,)?) => {
        LazyLock::new(|| Regex::new($pattern).expect("the pattern is constant and tested"))
    };
}

pub struct Context {
    pub question: Bilingual,
    label: Bilingual,
    findings: Vec<String>,
    phrases: Regex,
    unless: Option<Regex>,
    over: Option<Regex>,
}

impl Context {
    pub fn compile(code: &str, text: ContextText) -> Result<Self, Fault> {
        let any = |patterns: &[String]| {
            Regex::new(&patterns.join("|"))
                .map_err(|source| Fault::Phrase { finding: code.into(), source: Box::new(source) })
        };
        let mut phrases = text.phrases_zh;
        phrases.push(format!(r"(?-u:\b)(?:{})(?-u:\b)", text.phrases_en.join("|")));
        let some = |patterns: &[String]| if patterns.is_empty() { Ok(None) } else { any(patterns).map(Some) };
        let (unless, over) = (some(&text.unless)?, some(&text.over)?);
        Ok(Self {
            question: text.question,
            label: text.label,
            findings: text.findings,
            phrases: any(&phrases)?,
            unless,
            over,
        })
    }
}

/// A case with its texts in normal form, cut into clauses.
pub struct Patient<'a> {
    case: &'a Case,
    /// Complaint and history.
    told: Vec<String>,
    /// Conditions, allergies and the working diagnosis, which are lists of what is there.
    listed: Vec<String>,
    years: Option<f32>,
    /// Codes that the red-flag rules found stated.
    finding: &'a dyn Fn(&str) -> bool,
}

impl<'a> Patient<'a> {
    pub fn read(case: &'a Case, finding: &'a dyn Fn(&str) -> bool) -> Self {
        let texts = [Some(&*case.complaint.text), case.history.as_deref()];
        let told: Vec<String> = texts.into_iter().flatten().flat_map(|text| said::clauses(&normal(text))).collect();
        let lists = [&case.conditions, &case.allergies].into_iter().flatten().flat_map(|items| items.iter());
        let diagnosis = case.plan.iter().filter_map(|plan| plan.working_diagnosis.as_ref());
        let listed = lists.chain(diagnosis).flat_map(|item| said::clauses(&normal(item))).collect();
        let years = case.age.map(|age| age.years()).or_else(|| years_told(&told));
        Self { case, told, listed, years, finding }
    }

    pub fn is_child(&self) -> bool {
        self.years.is_some_and(|years| years < 14.0)
    }

    pub fn younger_than(&self, years: f32) -> Truth {
        match self.years {
            None => Truth::Unknown(Missing::Age),
            Some(own) if own < years => Truth::Yes(self.age_said(own)),
            Some(_) => Truth::No,
        }
    }

    fn age_said(&self, years: f32) -> Bilingual {
        match self.case.age {
            Some(age) => crate::rules::patient::age_said(age),
            None if years < 2.0 => {
                let months = (years * 12.0).round();
                Bilingual::new(format!("{months}月龄"), format!("age {months} months"))
            }
            None => Bilingual::new(format!("{years}岁"), format!("age {years}")),
        }
    }

    /// 12 to 55 full years; an unknown age may be one of them.
    fn can_bear(&self) -> bool {
        self.case.sex != Sex::Male && self.years.is_none_or(|years| (12.0..56.0).contains(&years))
    }

    pub fn pregnant(&self, weeks_from: u8) -> Truth {
        let coded = self.case.pregnancy.filter(|p| p.status != PregnancyStatus::Unknown);
        let pregnant = match coded {
            Some(coded) => coded.status == PregnancyStatus::Pregnant,
            None if !self.can_bear() => false,
            None => match self.pregnancy_told() {
                Told::Stated => true,
                Told::Denied => false,
                Told::Nothing => return Truth::Unknown(Missing::Pregnancy),
            },
        };
        if !pregnant {
            return Truth::No;
        }
        let weeks = coded.and_then(|p| p.weeks).or_else(|| self.told.iter().find_map(|clause| weeks_told(clause)));
        match weeks {
            Some(weeks) if weeks >= weeks_from => {
                Truth::Yes(Bilingual::new(format!("妊娠{weeks}周"), format!("{weeks} weeks pregnant")))
            }
            Some(_) => Truth::No,
            None if weeks_from == 0 => Truth::Yes(Bilingual::new("妊娠", "pregnant")),
            None => Truth::Likely(Bilingual::new("妊娠，孕周不明", "pregnant, weeks unknown"), Missing::Weeks),
        }
    }

    fn pregnancy_told(&self) -> Told {
        static STATED: LazyLock<Regex> = compiled!(
            r"怀孕|孕妇|身孕|早孕|孕[早中晚]期|[早中晚]孕|孕期|孕\s*\d|孕[一二三四五六七八九十]|妊娠|怀上|怀了|怀着|有喜|肚(?:子)?里有(?:娃|孩子)|双身子|有身子|有了身|大肚子|怀[^，。；没不未]{0,3}[孩娃胎]|预产期|孕[^，。；前后]{0,4}[周月]|(?-u:\b)(?:pregnant|gravid|gestation)(?-u:\b)"
        );
        static OPEN: LazyLock<Regex> = compiled!(
            r"(?:想|备|准备|打算|能不能|会不会|是不是|是否|怀疑|可能|担心|避|防止?|疑似?)(?:能|会|有)?怀?孕|备孕|不孕|避孕|孕前|(?:怀孕|妊娠)(?:过|史|几率|前|反应)|产后|(?:trying|want|planning) to|may be|might be|possibly|if |was pregnant|pregnancy test"
        );
        static DENIAL: LazyLock<Regex> = compiled!(
            r"(?:未|没有?|非|不在|否认|排除)(?:曾|再)?(?:怀|妊娠|孕)|(?-u:\b)(?:not|no|denies|isn't)(?: being| currently)? ?(?:pregnan)|未婚未孕"
        );
        static AFTER_BIRTH: LazyLock<Regex> = compiled!(r"产后|坐月子|月子里|生完孩子|post-?partum|gave birth");
        let mut told = Told::Nothing;
        for clause in self.told.iter().chain(&self.listed) {
            let Some(at) = STATED.find(clause) else {
                if AFTER_BIRTH.is_match(clause) {
                    told = Told::Denied;
                }
                continue;
            };
            if said::of_somebody_else(&clause[..at.start()], self.is_child()) {
                continue;
            }
            if DENIAL.is_match(clause) {
                told = Told::Denied;
            } else if !OPEN.is_match(clause) {
                return Told::Stated;
            }
        }
        let by_rules = told == Told::Nothing && (self.finding)("pregnant");
        if by_rules { Told::Stated } else { told }
    }

    pub fn lactating(&self) -> Truth {
        static STATED: LazyLock<Regex> = compiled!(
            r"哺乳|喂奶|母乳|奶孩子|奶娃|喂娃|吃奶|喂着|奶水|吃我的奶|喂着奶|(?-u:\b)(?:breast-?feeding|breast-?feeds|nursing|lactating|lactation)(?-u:\b)"
        );
        static DENIAL: LazyLock<Regex> = compiled!(
            r"非哺乳|(?:不|没有?|未|停止?|已不)(?:在|再)?(?:哺乳|喂奶|母乳)|断奶|回奶|奶粉|(?-u:\b)(?:not|no longer|stopped|never)\b[^,]{0,12}(?:breast|nursing|lactat)|weaned|formula"
        );
        let yes = || Truth::Yes(Bilingual::new("哺乳期", "breast-feeding"));
        if let Some(coded) = self.case.lactating {
            return if coded { yes() } else { Truth::No };
        }
        if !self.can_bear() {
            return Truth::No;
        }
        let clauses = || self.told.iter().chain(&self.listed);
        if clauses().any(|clause| DENIAL.is_match(clause)) {
            return Truth::No;
        }
        // Of a child that feeds its mother is the patient: only relatives are somebody else.
        let own = |clause: &&String| {
            STATED.find(clause).is_some_and(|at| !said::of_somebody_else(&clause[..at.start()], true))
        };
        if clauses().any(|clause| own(&clause)) {
            return yes();
        }
        match self.pregnant(0) {
            Truth::Yes(_) => Truth::No,
            _ => Truth::Unknown(Missing::Lactation),
        }
    }

    pub fn is(&self, code: &str, context: &Context) -> Truth {
        let yes = || Truth::Yes(context.label.clone());
        let coded = |state| {
            self.case.findings.iter().any(|f| f.state == state && context.findings.iter().any(|c| *c == *f.code))
        };
        let exposures = self.case.exposures.as_deref().unwrap_or_default();
        if coded(FindingState::Present) || exposures.iter().any(|e| context.findings.iter().any(|c| **c == **e)) {
            return yes();
        }
        if coded(FindingState::Absent) {
            return Truth::No;
        }
        let mut told = Told::Nothing;
        let clauses: Vec<&String> = self.told.iter().chain(&self.listed).collect();
        for (n, clause) in clauses.iter().enumerate() {
            let over = |over: &Regex| {
                let next = clauses.get(n + 1).and_then(|next| over.find(next));
                over.is_match(clause) || next.is_some_and(|at| at.start() == 0)
            };
            let over = context.over.as_ref().is_some_and(over);
            let other = |at: &Range<usize>| {
                let overlaps = |u: regex::Match| u.start() < at.end && at.start < u.end();
                context.unless.as_ref().is_some_and(|unless| unless.find_iter(clause).any(overlaps))
            };
            for at in context.phrases.find_iter(clause).map(|hit| hit.range()) {
                if other(&at) || said::of_somebody_else(&clause[..at.start], self.is_child()) {
                    continue;
                }
                if !over && !denied(clause, at) {
                    return yes();
                }
                told = Told::Denied;
            }
        }
        if context.findings.iter().any(|code| (self.finding)(code)) {
            return yes();
        }
        // Who was asked for diseases has been asked for this one; what one drank or what the stool holds is no disease.
        let asked = self.case.conditions.is_some() && !["alcohol", "bloody_stool"].contains(&code);
        if told == Told::Denied || asked || self.nothing_of_note() {
            Truth::No
        } else {
            Truth::Unknown(Missing::Context(code.into()))
        }
    }

    /// 体健, 既往体健: asked for all, and nothing.
    fn nothing_of_note(&self) -> bool {
        static HEALTHY: LazyLock<Regex> =
            compiled!(r"体健|既往健康|无(?:特殊)?病史|否认(?:慢性)?病史|previously healthy|no medical history");
        self.told.iter().any(|clause| HEALTHY.is_match(clause))
    }

    pub fn allergic(&self, class: &str, names: &Names) -> Truth {
        static NONE: LazyLock<Regex> = compiled!(r"^(?:无|没有|否认|none|no|nkda|未发现)(?:药物|known|drug|已知)?");
        static OPEN: LazyLock<Regex> = compiled!(r"不详|未知|不清|不知|不明|unknown|not known|unsure|[?？]");
        static NEGATIVE: LazyLock<Regex> = compiled!(r"阴性|不过敏|[(（]-[)）]|negative|not allergic|tolerat");
        let label = |word: &str| Truth::Yes(Bilingual::new(format!("{word}过敏"), format!("allergy: {word}")));
        let mut open = false;
        for item in self.case.allergies.iter().flat_map(|items| items.iter()) {
            let normalised = normal(item);
            if let Some(named) = names.find(item, &normalised).iter().find(|named| named.is(class)) {
                if !NEGATIVE.is_match(&normalised) && !NONE.is_match(&normalised) {
                    return label(&named.said);
                }
            } else if OPEN.is_match(&normalised) {
                open = true;
            }
        }
        match self.allergy_told(class, names) {
            (Some(word), _) => label(&word),
            (None, Told::Denied) => Truth::No,
            (None, _) if self.case.allergies.is_some() && !open => Truth::No,
            _ => Truth::Unknown(Missing::Allergies),
        }
    }

    fn allergy_told(&self, class: &str, names: &Names) -> (Option<String>, Told) {
        static SIGN: LazyLock<Regex> = compiled!(
            r"过敏|皮试[^，]{0,3}(?:阳性|有反应|红|[(（]\+[)）]|\+)|(?:起|出|长)[^，]{0,4}(?:皮?疹|疙瘩|风团)|休克|allerg|anaphyla|(?-u:\b)rash(?-u:\b)|hives"
        );
        static NO_SIGN: LazyLock<Regex> = compiled!(
            r"(?:无|没有?|不|未|否认|非)[^，]{0,8}过敏|过敏(?:史)?[:：]?(?:无|否认|没有)|阴性|[(（]-[)）]|不详|过敏性|抗过敏|(?-u:\b)(?:no|not|denies|without|nil)(?-u:\b)[^,]{0,24}allerg"
        );
        static DENIAL: LazyLock<Regex> = compiled!(
            r"(?:无|没有?|否认|未发现|未诉)(?:药物|食物|任何|明确|已知|其他|及|和|、|药)*过敏|过敏史?[:：]?(?:无|否认)|nkda|no (?:known )?(?:drug )?allerg"
        );
        let mut told = Told::Nothing;
        for clause in &self.told {
            if DENIAL.is_match(clause) {
                told = Told::Denied;
            }
            let of_another = |at: &Range<usize>| said::of_somebody_else(&clause[..at.start], self.is_child());
            if !SIGN.is_match(clause) || NO_SIGN.is_match(clause) {
                continue;
            }
            if let Some(named) =
                names.find(clause, clause).into_iter().find(|named| named.is(class) && !of_another(&named.at))
            {
                return (Some(named.said), Told::Stated);
            }
        }
        (None, told)
    }

    /// Whether somebody was asked for all drugs.
    pub fn drugs_are_known(&self) -> bool {
        self.case.current_drugs.is_some()
    }

    /// The clauses in which drugs are looked for.
    pub fn told(&self) -> &[String] {
        &self.told
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Stated,
    Denied,
    Nothing,
}

/// 7, 七, 十二, 二十: as weeks, months and years are written.
fn number(word: &str) -> Option<u8> {
    if let Ok(number) = word.parse() {
        return Some(number);
    }
    let digit =
        |c: char| "一二三四五六七八九".chars().position(|d| d == c).map(|at| at as u8 + 1).or((c == '两').then_some(2));
    let (tens, ones) = match word.split_once('十') {
        Some((tens, ones)) => (tens.chars().next().map_or(Some(1), digit)?, ones),
        None => (0, word),
    };
    let ones = if ones.is_empty() && tens > 0 { 0 } else { digit(ones.chars().next()?)? };
    (tens * 10).checked_add(ones)
}

/// Weeks of a pregnancy as a clause tells them; a month is four weeks, as people count.
fn weeks_told(clause: &str) -> Option<u8> {
    static WEEKS: LazyLock<Regex> = compiled!(
        r"(?:孕|妊娠|停经|怀)[^\d一二两三四五六七八九十]{0,6}(\d{1,2}|[一二两三四五六七八九十]{1,3})(?:\s*\+\s*\d?)?\s*(?:多|余|来)?周"
    );
    static MONTHS: LazyLock<Regex> = compiled!(
        r"(?:孕|妊娠|怀|有喜)[^\d一二两三四五六七八九十]{0,6}(\d{1,2}|[一二两三四五六七八九十]{1,2})\s*(?:个)?(?:多|半|来)?月"
    );
    static WEEKS_EN: LazyLock<Regex> = compiled!(
        r"(\d{1,2})(?:\+\d)?[ -]*(?:weeks?|wks?)[^,]{0,16}(?:pregnan|gestation|gravid)|pregnan[^,\d]{0,12}(\d{1,2})[ -]*(?:weeks?|wks?)"
    );
    static MONTHS_EN: LazyLock<Regex> = compiled!(r"(\d)[ -]*months?[^,]{0,6}pregnan");
    static LATE: LazyLock<Regex> = compiled!(r"孕晚期|晚孕|妊娠晚期|快生|临产|足月|待产|third trimester");
    static EARLY: LazyLock<Regex> = compiled!(r"孕早期|早孕|妊娠早期|刚怀孕|first trimester");
    let found =
        |pattern: &Regex| pattern.captures(clause).and_then(|c| c.get(1).or(c.get(2)).and_then(|m| number(m.as_str())));
    let weeks = found(&WEEKS).or_else(|| found(&WEEKS_EN));
    let months = || found(&MONTHS).or_else(|| found(&MONTHS_EN)).map(|months| months.saturating_mul(4));
    let words = || LATE.is_match(clause).then_some(28).or(EARLY.is_match(clause).then_some(8));
    weeks.or_else(months).or_else(words).filter(|weeks| *weeks <= 45)
}

/// The age that a text tells, where it tells one only; of a tablet that has no field for it, or a doctor who did not fill it.
fn years_told(clauses: &[String]) -> Option<f32> {
    static YEARS: LazyLock<Regex> = compiled!(
        r"(\d{1,3}|[一二两三四五六七八九十]{1,3})\s*(?:周岁|岁)|(\d{1,3})[ -]?(?:years?|yrs?|y)[ -]?(?:/?old|/?o)(?-u:\b)"
    );
    static MONTHS: LazyLock<Regex> = compiled!(
        r"^(\d{1,2})\s*个月(?:大|的?(?:宝宝|婴儿|孩子|娃))?$|(\d{1,2})\s*(?:个月大|月龄)|(\d{1,2})[ -]months?[ -]old"
    );
    let found = |pattern: &'static Regex, per_year: f32| {
        clauses.iter().flat_map(move |clause| {
            pattern.captures_iter(clause).filter_map(move |c| {
                let word = c.iter().skip(1).flatten().next()?;
                let other = said::of_somebody_else(&clause[..word.start()], true);
                number(word.as_str()).filter(|_| !other).map(|value| f32::from(value) / per_year)
            })
        })
    };
    let mut ages = found(&YEARS, 1.0).chain(found(&MONTHS, 12.0));
    match (ages.next(), ages.next()) {
        (Some(age), None) => Some(age),
        _ => None,
    }
}

/// For questions: what a case of unknown pregnancy is asked in the rules' own words, so that it is asked once.
pub fn question(missing: &Missing, contexts: &dyn Fn(&str) -> Bilingual) -> Bilingual {
    match missing {
        Missing::Age => Bilingual::new("患者年龄是多少？", "How old is the patient?"),
        Missing::Pregnancy => {
            Bilingual::new("是否怀孕或在产后？孕几周？", "Is the patient pregnant or post-partum? How many weeks?")
        }
        Missing::Weeks => Bilingual::new("孕几周？", "How many weeks pregnant?"),
        Missing::Lactation => Bilingual::new("是否在哺乳？", "Is she breast-feeding?"),
        Missing::Allergies => Bilingual::new(
            "对什么药过敏？青霉素、头孢用过没有？",
            "Any drug allergy? Penicillin or cephalosporin taken before?",
        ),
        Missing::Context(code) => contexts(code),
        Missing::OtherDrugs => Bilingual::new(
            "还在用哪些药？包括感冒药、退烧药、抗凝药和自己买的药",
            "Which other drugs are taken? Cold medicines, blood thinners and bought ones too",
        ),
        Missing::DrugName(said) => {
            Bilingual::new(format!("“{said}”具体是哪种药？"), format!("Which drug is \"{said}\"?"))
        }
    }
}
