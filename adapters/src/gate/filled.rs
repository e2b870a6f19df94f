//! What base and adapter write by themselves, as on the box: form by form, with its bounds and its choice of tokens.

use super::*;
use crate::{dataset::name, near::plain};
use contract::{case::PregnancyStatus, ids::RequestId, reply::Section, sample::Sample};
use engine::{form::is_nothing, protocol::FillOrder};

pub struct Filled {
    pub measures: Vec<Measured>,
    pub examples: Vec<Example>,
}

/// Whether a sample is of a group of patients.
type Of = fn(&Sample) -> bool;

/// Examples for people.
const SHOWN: usize = 6;

/// One form of one of the two.
struct Form {
    /// Each with its section.
    lines: Vec<(Section, String)>,
    tokens: u32,
    write_ms: u64,
}

pub fn measures(exam: &Exam, own: &[&Lesson], adapter_sha256: &str, progress: &mut Progress) -> Result<Filled, String> {
    let samples: Vec<&Sample> = own.iter().filter_map(|lesson| lesson.consult()).collect();
    let department = samples[0].department.clone();
    let file = AdapterFile {
        department: department.clone(),
        path: exam.adapter.to_owned(),
        sha256: adapter_sha256.to_owned(),
    };
    let engine = exam.engine();
    let bare = LlamaOrder { bare: vec![department.clone()], ..engine.clone() };
    let base = fill(exam, bare, &samples, progress)?;
    let adapter = fill(exam, LlamaOrder { adapters: vec![file], ..engine }, &samples, progress)?;

    let n = samples.len();
    let mut measures = Vec::new();
    let named =
        |forms: &[Form]| forms.iter().filter(|form| form.says(Section::CannotExclude)).count() as f32 / n as f32;
    let excludes = named(&adapter);
    let met = Some(excludes >= EXCLUSION_NAMED_MIN);
    measures.push(measured(MeasureName::ExclusionNamed, exam.group, n, Some(named(&base)), excludes, met));
    let groups: [(&str, Of); 3] = [
        (exam.group, |_| true),
        ("pregnant", |sample| sample.case.pregnancy.is_some_and(|it| it.status == PregnancyStatus::Pregnant)),
        ("children", |sample| sample.case.age.is_some_and(|age| age.years() < 14.0)),
    ];
    for (group, of) in groups {
        let recall = |forms: &[Form]| {
            let theirs = samples.iter().zip(forms).filter(|(sample, _)| of(sample));
            theirs.fold((0, 0), |(hits, all), (sample, form)| {
                let names = exclusions(sample);
                (hits + names.iter().filter(|name| form.names(name)).count(), all + names.len())
            })
        };
        let ((before, of), (now, _)) = (recall(&base), recall(&adapter));
        let share = |hits: usize| hits as f32 / of as f32;
        if of > 0 {
            measures.push(measured(MeasureName::DangerNamed, group, of, Some(share(before)), share(now), None));
        }
    }
    let forbidden = |forms: &[Form]| {
        let all: Vec<&String> = forms.iter().flat_map(|form| form.lines.iter().map(|(_, line)| line)).collect();
        let bad = all.iter().filter(|line| decide::forbidden::kind(line).is_some()).count();
        (bad as f32 / all.len().max(1) as f32, all.len())
    };
    let ((before, _), (now, lines)) = (forbidden(&base), forbidden(&adapter));
    measures.push(measured(
        MeasureName::ForbiddenLines,
        exam.group,
        lines,
        Some(before),
        now,
        Some(now <= FORBIDDEN_MAX),
    ));
    let speed = |forms: &[Form]| {
        let (tokens, ms) = forms.iter().fold((0, 0), |(tokens, ms), form| (tokens + form.tokens, ms + form.write_ms));
        tokens as f32 * 1000.0 / ms.max(1) as f32
    };
    measures.push(measured(MeasureName::TokensPerSecond, exam.group, n, Some(speed(&base)), speed(&adapter), None));

    let examples = samples.iter().zip(base.iter().zip(&adapter)).take(SHOWN).map(|(sample, (base, adapter))| Example {
        id: sample.id.clone(),
        question: sample.case.complaint.text.to_string(),
        base: base.texts(),
        adapter: adapter.texts(),
        reference: Section::ALL.into_iter().flat_map(|section| sample.completion.lines(section).to_vec()).collect(),
    });
    Ok(Filled { measures, examples: examples.collect() })
}

fn fill(exam: &Exam, order: LlamaOrder, samples: &[&Sample], progress: &mut Progress) -> Result<Vec<Form>, String> {
    let mut worker = Worker::open(exam.program, order)?;
    let one = |sample: &&Sample| {
        let filled = worker.fill(FillOrder {
            job: RequestId(uuid::Uuid::new_v4()),
            department: sample.department.clone(),
            lang: sample.lang,
            class: 2,
            deadline_ms: 3_600_000,
            questions: Vec::new(),
            case: sample.case.clone(),
        });
        progress.saw(true);
        let filled = filled.map_err(|e| format!("{}: {e}", sample.id))?;
        let lines =
            filled.sections.into_iter().flat_map(|(section, lines)| lines.into_iter().map(move |line| (section, line)));
        Ok(Form { lines: lines.collect(), tokens: filled.stats.tokens_written, write_ms: filled.stats.write_ms })
    };
    samples.iter().map(one).collect()
}

impl Form {
    fn says(&self, section: Section) -> bool {
        self.lines.iter().any(|(of, line)| *of == section && !is_nothing(line))
    }

    /// Whether it is named as a cause or as what cannot be excluded, in these words or as a part of longer ones.
    fn names(&self, condition: &str) -> bool {
        let of = |section: &Section| [Section::PossibleCauses, Section::CannotExclude].contains(section);
        self.lines.iter().filter(|(section, _)| of(section)).any(|(_, line)| {
            let name = plain(name(line));
            plain(line).contains(condition) || (name.chars().count() >= 3 && condition.contains(&name))
        })
    }

    fn texts(&self) -> Vec<String> {
        self.lines.iter().map(|(_, line)| line.clone()).collect()
    }
}

fn exclusions(sample: &Sample) -> Vec<String> {
    let names = sample.completion.exclusions.iter().filter(|line| !is_nothing(line));
    names.map(|line| plain(name(line))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(lines: &[(Section, &str)]) -> Form {
        let lines = lines.iter().map(|(section, line)| (*section, (*line).to_owned())).collect();
        Form { lines, tokens: 0, write_ms: 0 }
    }

    #[test]
    fn a_danger_is_named_by_its_name_and_not_by_a_piece_of_it() {
        let written = form(&[
            (Section::PossibleCauses, "子痫前期：血压高，头痛"),
            (Section::CannotExclude, "Ectopic pregnancy: missed period; test"),
            (Section::SuggestedChecks, "脑静脉血栓：查"),
            (Section::CannotExclude, "炎：发热；查"),
        ]);
        for (name, named) in [
            ("子痫前期", true),
            ("重度子痫前期", true), // a shorter name of three characters or more stands for a longer one
            ("ectopicpregnancy", true),
            ("脑静脉血栓", false), // as a check only
            ("阑尾炎", false),     // of one character
        ] {
            assert_eq!(written.names(name), named, "{name}");
        }
        assert!(written.says(Section::CannotExclude));
        assert!(!form(&[(Section::CannotExclude, "无")]).says(Section::CannotExclude));
    }
}
