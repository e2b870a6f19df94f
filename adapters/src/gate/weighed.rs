//! What base and adapter think of given answers: the reference's likelihood, the right causes among three, the department.

use super::*;
use crate::{dataset::name, render::Asked, worker::Worker};
use contract::sample::Sample;
use engine::{
    form::FIRST,
    prompt::{self, TaughtSegment},
    protocol::{Question, Weight},
};
use sha2::{Digest, Sha256};

/// Of one sample under one of the two.
struct Weighed {
    reference: Weight,
    right_of_three: Option<bool>,
    department_right: Option<bool>,
}

pub fn measures(
    exam: &Exam,
    asked: &[&Lesson],
    worker: &mut Worker,
    sides: &Sides,
    progress: &mut Progress,
) -> Result<Vec<Measured>, String> {
    let mut by_group: ByGroup<Vec<(Weighed, Weighed)>> = BTreeMap::new();
    for lesson in asked {
        let mut one = |side| {
            let weighed = weigh(exam, worker, side, lesson);
            progress.saw(true);
            weighed.map_err(|e| format!("{}: {e}", lesson.id()))
        };
        let pair = (one(&sides.base)?, one(&sides.adapter)?);
        by_group.entry(lesson.group().to_owned()).or_default().push(pair);
    }
    let mut measures = Vec::new();
    for (group, pairs) in &by_group {
        measures.push(likelihood(exam, group, pairs));
    }
    for (group, pairs) in &by_group {
        measures.extend(share(MeasureName::RightOfThree, group, pairs, |it| it.right_of_three));
    }
    for (group, pairs) in &by_group {
        measures.extend(share(MeasureName::DepartmentChosen, group, pairs, |it| it.department_right));
    }
    let change = |(base, adapter): &(Weighed, Weighed)| (mean(&base.reference) - mean(&adapter.reference)).abs();
    let all: Vec<f32> = by_group.values().flatten().map(change).collect();
    let most = all.iter().copied().fold(0.0, f32::max);
    measures.push(measured(MeasureName::Change, exam.group, all.len(), None, most, Some(most >= CHANGE_MIN)));
    Ok(measures)
}

pub fn golden(exam: &Exam, worker: &mut Worker, sides: &Sides) -> Result<Vec<Golden>, String> {
    let one = |lesson: &Lesson| {
        let Some(sample) = lesson.consult() else { return Ok(None) };
        let asked = exam.renderer.asked(lesson)?;
        // The first option begins with the causes, and with them alone it ends here.
        let causes = asked.options.into_iter().take(1).map(|option| option.into_iter().take(1).collect()).collect();
        let weights = worker.weigh(&sides.adapter, Asked { shared: asked.shared, options: causes }, false)?;
        let (lang, case, causes) = (sample.lang, sample.case.clone(), sample.completion.causes.clone());
        Ok(Some(Golden { lang, case, causes, logprob: mean(&weights[0]) }))
    };
    exam.golden.iter().map(one).filter_map(Result::transpose).collect()
}

fn mean(weight: &Weight) -> f32 {
    weight.logprob / weight.tokens.max(1) as f32
}

/// Over all tokens of the group, so that a long answer counts for more than a short one.
fn likelihood(exam: &Exam, group: &str, pairs: &[(Weighed, Weighed)]) -> Measured {
    let nll = |side: fn(&(Weighed, Weighed)) -> &Weight| {
        let tokens: u32 = pairs.iter().map(|pair| side(pair).tokens).sum();
        -pairs.iter().map(|pair| side(pair).logprob).sum::<f32>() / tokens.max(1) as f32
    };
    let (base, adapter) = (nll(|pair| &pair.0.reference), nll(|pair| &pair.1.reference));
    let change = adapter / base - 1.0;
    let met = if group == exam.group { change <= -OWN_FALLS_BY } else { change <= OTHERS_RISE_BY };
    measured(MeasureName::Nll, group, pairs.len(), Some(base), adapter, Some(met))
}

fn share(
    measure: MeasureName,
    group: &str,
    pairs: &[(Weighed, Weighed)],
    right: fn(&Weighed) -> Option<bool>,
) -> Option<Measured> {
    let of = |answers: Vec<bool>| answers.iter().filter(|right| **right).count() as f32 / answers.len() as f32;
    let base: Vec<bool> = pairs.iter().filter_map(|pair| right(&pair.0)).collect();
    let adapter: Vec<bool> = pairs.iter().filter_map(|pair| right(&pair.1)).collect();
    let n = adapter.len();
    (n > 0).then(|| measured(measure, group, n, Some(of(base)), of(adapter), None))
}

fn weigh(exam: &Exam, worker: &mut Worker, side: &Department, lesson: &Lesson) -> Result<Weighed, String> {
    let parts = worker.weigh(side, exam.renderer.asked(lesson)?, false)?;
    let reference = parts.iter().fold(Weight::default(), |sum, part| Weight {
        tokens: sum.tokens + part.tokens,
        tokens_read: sum.tokens_read.max(part.tokens_read),
        logprob: sum.logprob + part.logprob,
    });
    let Some(sample) = lesson.consult() else {
        return Ok(Weighed { reference, right_of_three: None, department_right: None });
    };
    let shared = exam.renderer.given(lesson)?;
    let options = three(exam, sample).into_iter().map(|lines| vec![taught(prompt::section_body(&lines), true)]);
    let three = Asked { shared, options: options.collect() };
    let right_of_three = match three.options.len() {
        3 if lesson.group() == exam.group => Some(is_likeliest(&worker.weigh(side, three, false)?, 0)),
        _ => None,
    };
    let (asked, own) = departments(exam, sample)?;
    let department_right = match own {
        Some(own) => Some(is_most(&worker.weigh(side, asked, false)?, own)),
        None => None,
    };
    Ok(Weighed { reference, right_of_three, department_right })
}

/// Token for token, so that a short answer is not favoured.
fn is_likeliest(weights: &[Weight], right: usize) -> bool {
    weights.iter().enumerate().all(|(at, weight)| at == right || mean(weight) < mean(&weights[right]))
}

/// As the box asks: the whole word's probability.
fn is_most(weights: &[Weight], right: usize) -> bool {
    weights.iter().enumerate().all(|(at, weight)| at == right || weight.logprob < weights[right].logprob)
}

/// The sample's own causes and those of two others of its department and language with another first cause: chosen by a
/// hash, so that base and adapter, and this adapter and the next, are asked the same.
fn three(exam: &Exam, sample: &Sample) -> Vec<Vec<String>> {
    let first = |sample: &Sample| sample.completion.causes.first().map(|line| name(line).to_owned());
    let mut others: Vec<&Sample> = exam.held_out.iter().filter_map(Lesson::consult).collect();
    others.retain(|it| it.department == sample.department && it.lang == sample.lang && first(it) != first(sample));
    others.sort_by_key(|it| Sha256::digest(format!("{} {}", sample.id, it.id)));
    others.dedup_by_key(|it| first(it));
    std::iter::once(sample).chain(others.into_iter().take(2)).map(|it| it.completion.causes.clone()).collect()
}

/// The question of the department behind the case and its causes, over the departments of the held-out set. As a box asks:
/// under the instructions of the adapter's own department, whosever case it is.
fn departments(exam: &Exam, sample: &Sample) -> Result<(Asked, Option<usize>), String> {
    let mut all: Vec<Department> = Vec::new();
    for lesson in exam.held_out.iter().filter_map(Lesson::consult) {
        if !all.contains(&lesson.department) {
            all.push(lesson.department.clone());
        }
    }
    all.sort();
    let own = all.iter().position(|department| *department == sample.department).filter(|_| all.len() > 1);
    let here = Sample { department: code(exam.group), ..sample.clone() };
    let mut shared = exam.renderer.given(&Lesson::Consult(Box::new(here)))?;
    let (header, options) = prompt::question(&Question::Department { options: all }, sample.lang);
    shared.push(prompt::section_body(sample.completion.lines(FIRST)));
    shared.push(header);
    let options = options.into_iter().map(|(_, segment)| vec![taught(segment, true)]).collect();
    Ok((Asked { shared, options }, own))
}

fn taught(segment: prompt::Segment, train: bool) -> TaughtSegment {
    TaughtSegment { segment, train }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(base: f32, adapter: f32) -> (Weighed, Weighed) {
        let one = |logprob| Weighed {
            reference: Weight { tokens: 10, tokens_read: 20, logprob },
            right_of_three: None,
            department_right: None,
        };
        (one(base), one(adapter))
    }

    fn exam<'a>(args: &'a ExamArgs, renderer: &'a Renderer) -> Exam<'a> {
        let (program, base_model, adapter) = (Path::new("p"), Path::new("b"), Path::new("a"));
        Exam {
            program,
            base_model,
            base_sha256: "",
            adapter,
            renderer,
            group: "internal",
            held_out: &[],
            golden: &[],
            args,
        }
    }

    /// The goals at their very edges: five percent less at home, two percent more elsewhere.
    #[test]
    fn an_adapter_must_gain_at_home_and_may_hardly_lose_elsewhere() {
        let engine = EngineArgs { program: None, threads: None, gpu_layers: 0 };
        let args = ExamArgs { engine, samples_max: 0, forms_max: 0 };
        let renderer = Renderer { format: PromptFormat::Plain, form: None };
        let exam = exam(&args, &renderer);
        for (group, base, adapter, met) in [
            ("internal", -40.0, -37.9, true),
            ("internal", -40.0, -38.1, false),
            ("internal", -40.0, -44.0, false),
            ("surgery", -40.0, -40.7, true),
            ("surgery", -40.0, -40.9, false),
            ("surgery", -40.0, -20.0, true),
        ] {
            let measure = likelihood(&exam, group, &[pair(base, adapter)]);
            assert_eq!(measure.met, Some(met), "{group} {base} {adapter}: {measure:?}");
        }
    }

    #[test]
    fn a_short_answer_is_not_favoured_among_causes_and_a_tie_is_no_choice() {
        let weight = |tokens, logprob| Weight { tokens, tokens_read: tokens, logprob };
        assert!(is_likeliest(&[weight(10, -10.0), weight(2, -3.0), weight(2, -9.0)], 0));
        assert!(!is_most(&[weight(10, -10.0), weight(2, -3.0)], 0));
        assert!(!is_likeliest(&[weight(2, -3.0), weight(2, -3.0)], 0));
    }
}
