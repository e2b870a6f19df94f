//! One case, read once: which findings it states and with which words, its vital signs, its age, and what it says of
//! a pregnancy. What is coded decides; what is written counts where nothing is coded.

use super::{
    clause::Reading,
    language::{Finding, Language, Lasting},
    measured::{self, Measured},
    normal::Plain,
    number::{self, Duration, Number},
    phrase::Span,
    relative::Who,
    trigger::{Missing, Truth},
    vital::VitalBound,
};
use contract::{
    case::{Age, AgeUnit, Case, FindingState, PregnancyStatus, Sex},
    words::Bilingual,
};
use std::collections::BTreeMap;

pub struct Patient<'a> {
    pub age: Option<Age>,
    case: &'a Case,
    sex: Sex,
    pregnancy_coded: Option<PregnancyStatus>,
    /// Code → label and the words that stated it; no words where the tablet sent the code.
    found: BTreeMap<&'a str, (&'a Bilingual, String)>,
    /// From the text, with the words.
    measured: Vec<(Measured, String)>,
}

impl<'a> Patient<'a> {
    pub fn read(case: &'a Case, language: &'a Language) -> Self {
        let pregnancy_coded = case.pregnancy.map(|p| p.status).filter(|s| *s != PregnancyStatus::Unknown);
        let expecting = matches!(pregnancy_coded, Some(PregnancyStatus::Pregnant | PregnancyStatus::Postpartum));
        let text = text(case);
        let plain = Plain::of(&text);
        let reading = Reading::of(&plain.text, &language.lexicon);
        let numbers = number::numbers(&plain.text);
        let age = case.age.or_else(|| measured::age(&plain.text, &numbers));
        // A coded pregnancy beats a coded "male": one of them is a slip, and this is the safe side.
        let sex = match case.sex {
            _ if expecting => Sex::Female,
            Sex::Unknown => sex_said(&reading, language),
            coded => coded,
        };
        let who = Who { age, sex, expecting };
        let mut found = BTreeMap::new();
        Said::of(case, language, who, &plain, &reading, &numbers).add_to(&mut found);
        if let Some(whole) = plain.joined() {
            let (reading, numbers) = (Reading::of(&whole.text, &language.lexicon), number::numbers(&whole.text));
            Said::of(case, language, who, &whole, &reading, &numbers).add_to(&mut found);
        }
        let told = || found.keys().find_map(|code| language.findings.get(*code)?.only);
        let sex = if sex == Sex::Unknown { told().unwrap_or_default() } else { sex };
        let measured = measured::measured(&plain.text, &numbers, &reading, &language.signs, &language.cues);
        let measured = measured.into_iter().filter(|one| (one.sign.of)(&case.vitals).is_none());
        Self {
            age,
            case,
            sex,
            pregnancy_coded,
            found,
            measured: measured.map(|one| (one.clone(), plain.written(one.words).to_owned())).collect(),
        }
    }

    /// Label and words of a finding that the case states.
    pub fn found(&self, code: &str) -> Option<(&'a Bilingual, &str)> {
        self.found.get(code).map(|(label, words)| (*label, words.as_str()))
    }

    /// The value within the bound, and the words where it was read from the text: what a tablet sends beats those.
    pub fn measured(&self, bound: &VitalBound) -> Option<(f32, Option<&str>)> {
        if let Some(value) = (bound.sign.of)(&self.case.vitals) {
            return bound.holds(value).then_some((value, None));
        }
        let mut of_sign = self.measured.iter().filter(|(one, _)| one.sign.code == bound.sign.code);
        of_sign.find(|(one, _)| bound.holds(one.value)).map(|(one, words)| (one.value, Some(words.as_str())))
    }

    pub fn sex_is(&self, wanted: Sex) -> Truth {
        if self.sex == Sex::Unknown { Truth::Unknown(Missing::Sex) } else { Truth::from(self.sex == wanted) }
    }

    /// What is coded decides; then what the text says; then whether it is possible at all.
    pub fn pregnancy_is(&self, status: PregnancyStatus) -> Truth {
        let said = |status| self.found.contains_key(code_of(status));
        if let Some(coded) = self.pregnancy_coded {
            return Truth::from(coded == status);
        }
        if self.sex == Sex::Male {
            return Truth::No;
        }
        if said(status) {
            return Truth::Yes;
        }
        let said_otherwise = said(PregnancyStatus::Pregnant) || said(PregnancyStatus::Postpartum);
        if said_otherwise || !self.of_childbearing_age() {
            return Truth::No;
        }
        Truth::Unknown(Missing::Pregnancy)
    }

    /// 12 to 50 full years; an unknown age may be one of them.
    fn of_childbearing_age(&self) -> bool {
        self.age.is_none_or(|age| (12.0..51.0).contains(&age.years()))
    }
}

/// The finding that stands for a pregnancy status in free text.
pub fn code_of(status: PregnancyStatus) -> &'static str {
    match status {
        PregnancyStatus::Pregnant => "pregnant",
        PregnancyStatus::Postpartum => "postpartum",
        PregnancyStatus::NotPregnant => "not_pregnant",
        PregnancyStatus::Unknown => "pregnancy_unknown",
    }
}

/// The age as a line says it, in both languages.
pub fn age_said(age: Age) -> Bilingual {
    let value = age.value;
    match age.unit {
        AgeUnit::Day => Bilingual::new(format!("{value}天"), format!("age {value} days")),
        AgeUnit::Month => Bilingual::new(format!("{value}月龄"), format!("age {value} months")),
        AgeUnit::Year => Bilingual::new(format!("{value}岁"), format!("age {value}")),
    }
}

/// Everything that was written in words, a line each. Drugs count too: insulin tells of diabetes.
fn text(case: &Case) -> String {
    let mut lines: Vec<&str> = vec![&case.complaint.text];
    lines.extend(case.history.as_deref());
    for items in [&case.conditions, &case.current_drugs].into_iter().flatten() {
        lines.extend(items.iter().map(|item| -> &str { item }));
    }
    lines.join("\n\n")
}

/// What the tablet says of the complaint's duration, in days.
fn overall(case: &Case) -> Option<f32> {
    let plain = super::normal::plain(case.complaint.duration.as_deref()?);
    let durations = number::durations(&plain, &number::numbers(&plain));
    durations.iter().map(|duration| duration.days).reduce(f32::max)
}

fn sex_said(reading: &Reading, language: &Language) -> Sex {
    let says = |topic: usize| !reading.spans[topic].is_empty();
    match (says(language.male), says(language.female)) {
        (true, false) => Sex::Male,
        (false, true) => Sex::Female,
        _ => Sex::Unknown,
    }
}

/// A case's words while its findings are looked for.
struct Said<'c, 'r> {
    case: &'c Case,
    language: &'c Language,
    who: Who,
    plain: &'r Plain<'r>,
    reading: &'r Reading<'r>,
    durations: Vec<Duration>,
    overall: Option<f32>,
    /// Bytes of the complaint in the plain text: `overall` is of what stands there.
    complaint: usize,
}

impl<'c, 'r> Said<'c, 'r> {
    fn of(
        case: &'c Case,
        language: &'c Language,
        who: Who,
        plain: &'r Plain<'r>,
        reading: &'r Reading,
        numbers: &[Number],
    ) -> Self {
        Self {
            case,
            language,
            who,
            durations: number::durations(&plain.text, numbers),
            overall: overall(case),
            complaint: plain.len_of(case.complaint.text.len()),
            plain,
            reading,
        }
    }

    /// What was found before keeps its words.
    fn add_to(&self, found: &mut BTreeMap<&'c str, (&'c Bilingual, String)>) {
        for (code, finding) in &self.language.findings {
            if !found.contains_key(code.as_str())
                && let Some(words) = self.words(code, finding)
            {
                found.insert(code, (&finding.label, words));
            }
        }
    }

    /// How the case states a finding: by code (no words), by exposure, or in words.
    /// A code beats the text, and "present" beats "absent" where a tablet sent both.
    fn words(&self, code: &str, finding: &Finding) -> Option<String> {
        let coded = |code: &str, state| self.case.findings.iter().any(|f| *f.code == *code && f.state == state);
        if coded(code, FindingState::Present) {
            return Some(String::new());
        }
        if coded(code, FindingState::Absent) {
            return None;
        }
        let exposures = self.case.exposures.as_deref().unwrap_or_default();
        if let Some(exposure) = exposures.iter().find(|e| finding.exposures.iter().any(|code| **code == ***e)) {
            return Some(exposure.to_string());
        }
        if let Some(span) = self.stated(finding).next() {
            return Some(self.plain.written(span.start..span.end).to_owned());
        }
        let lasting = finding.lasting.as_ref()?;
        if coded(&lasting.of, FindingState::Present) {
            let overall = self.overall.is_some_and(|days| days >= lasting.days);
            return overall.then(|| self.case.complaint.duration.as_deref().unwrap_or_default().to_owned());
        }
        if coded(&lasting.of, FindingState::Absent) {
            return None;
        }
        self.lasts(lasting)
    }

    fn stated(&self, finding: &Finding) -> impl Iterator<Item = &Span> {
        let unless = &self.reading.spans[finding.unless];
        self.reading.spans[finding.said].iter().filter(move |span| {
            !unless.iter().any(|other| other.start < span.end && span.start < other.end)
                && self.reading.counts(span, &self.language.cues, &self.who, finding.past)
        })
    }

    /// The words that say for how long: in the finding's own clause; else in the next or the one before, if that is of
    /// nothing else; else what the tablet says of the whole complaint.
    fn lasts(&self, lasting: &Lasting) -> Option<String> {
        let of = self.language.findings.get(&lasting.of)?;
        self.stated(of).find_map(|span| {
            let clause = self.reading.clause_of(span.start);
            let own = self.durations_in(clause);
            let near = [Some(clause), clause.checked_add(1), clause.checked_sub(1)].into_iter().flatten();
            let durations = near.map(|near| (near, self.durations_in(near)));
            let (_, durations) = durations
                .filter(|(_, durations)| !durations.is_empty())
                .find(|(near, _)| !own.is_empty() || self.speaks_of_no_finding(*near))
                .unwrap_or((clause, &[]));
            let written = |one: &Duration| self.plain.written(one.start..one.end).to_owned();
            match durations.iter().max_by(|a, b| a.days.total_cmp(&b.days)) {
                Some(longest) if longest.days >= lasting.days => Some(written(longest)),
                Some(_) => None,
                None if span.start < self.complaint && self.overall.is_some_and(|days| days >= lasting.days) => {
                    Some(self.plain.written(span.start..span.end).to_owned())
                }
                None => None,
            }
        })
    }

    fn durations_in(&self, clause: usize) -> &[Duration] {
        let Some(clause) = self.reading.clause(clause) else { return &[] };
        let from = self.durations.partition_point(|one| one.start < clause.start);
        let to = self.durations.partition_point(|one| one.start < clause.end);
        &self.durations[from..to]
    }

    fn speaks_of_no_finding(&self, clause: usize) -> bool {
        let Some(clause) = self.reading.clause(clause) else { return true };
        !self
            .language
            .findings
            .values()
            .any(|finding| self.reading.spans[finding.said].iter().any(|span| clause.contains(&span.start)))
    }
}
