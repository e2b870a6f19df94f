//! Training text from samples, made by the very code that the box uses.
//!
//! The box lets all sections but the first follow the causes directly, as parallel branches. So each sample is
//! rendered once per branch, rotated, and every section is seen directly behind the causes once. Another task's
//! sections follow each other as its form has them, in one text.

use crate::{
    dataset::{Dataset, Lesson},
    file,
};
use contract::{
    ids::Lang,
    reply::Section,
    sample::{Completion, Sample, TaskSample},
};
use engine::{
    fingerprint,
    form::{BRANCHES, FIRST},
    prompt::{self, PromptFormat, Segment, TaskForm, TaughtSegment},
};
use serde::Serialize;
use std::{io::Write, path::Path};

/// How samples of a data set become text.
#[derive(Debug, Clone)]
pub struct Renderer {
    pub format: PromptFormat,
    /// None: the consultation's own.
    pub form: Option<TaskForm>,
}

/// One training text: segments to tokenise one by one, and whether the model learns to write them.
#[derive(Debug, Serialize)]
pub struct Row {
    pub id: String,
    pub segments: Vec<TaughtSegment>,
    /// The same with what the doctor changed, to learn the difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Vec<TaughtSegment>>,
}

/// A text that is given, and others behind it of which the model is asked how likely it finds them.
#[derive(Debug)]
pub struct Asked {
    pub shared: Vec<Segment>,
    pub options: Vec<Vec<TaughtSegment>>,
}

/// `adapterctl render`: a row of JSON a line. What the doctor rejected is not taught.
pub fn print(samples: &Path, format: PromptFormat, form: Option<&Path>, pairs: bool) -> Result<(), String> {
    let renderer = Renderer::new(format, form)?;
    let set = Dataset::read(&[samples.to_owned()])?.whole()?;
    let mut out = std::io::stdout().lock();
    for line in set.lines.iter().filter(|line| line.lesson.is_taught()) {
        for row in renderer.rows(&line.lesson, pairs)? {
            let row = serde_json::to_string(&row).map_err(|e| e.to_string())?;
            writeln!(out, "{row}").map_err(|e| format!("cannot write: {e}"))?;
        }
    }
    let rejected = set.lines.iter().filter(|line| !line.lesson.is_taught()).count();
    if rejected > 0 {
        eprintln!("adapterctl: {rejected} samples left out: the doctor rejected what they say");
    }
    Ok(())
}

impl Renderer {
    pub fn new(format: PromptFormat, form: Option<&Path>) -> Result<Self, String> {
        let form = form.map(file::read_json).transpose()?;
        Ok(Self { format, form })
    }

    pub fn fingerprint(&self) -> String {
        match &self.form {
            Some(form) => fingerprint::of_task(self.format, form),
            None => fingerprint::of(self.format),
        }
    }

    /// `pairs`: with what the doctor changed, where there is something.
    pub fn rows(&self, lesson: &Lesson, pairs: bool) -> Result<Vec<Row>, String> {
        match lesson {
            Lesson::Consult(sample) => {
                let row = |first| self.row(sample, first, pairs.then_some(sample.rejected.as_ref()).flatten());
                Ok((0..BRANCHES.len()).map(row).collect())
            }
            Lesson::Task(sample) => {
                let mut segments = untaught(self.given(lesson)?);
                segments.extend(self.task_sections(sample)?);
                Ok(vec![Row { id: format!("{}.0", sample.id), segments: filled(segments), rejected: None }])
            }
        }
    }

    /// Everything up to where the model begins to write.
    pub fn given(&self, lesson: &Lesson) -> Result<Vec<Segment>, String> {
        match lesson {
            Lesson::Consult(sample) => Ok(self.case(sample)),
            Lesson::Task(sample) => Ok(prompt::task(self.format, self.form_of(sample)?, &sample.prompt, sample.lang)),
        }
    }

    /// A sample as the box would have its model write it: the causes, and each other section directly behind them.
    pub fn asked(&self, lesson: &Lesson) -> Result<Asked, String> {
        let shared = self.given(lesson)?;
        let options = match lesson {
            Lesson::Consult(sample) => {
                let option = |(at, section): (usize, &Section)| {
                    let causes = body(&sample.completion, FIRST, at == 0);
                    let header = untaught([prompt::section_header(*section, sample.lang)]).remove(0);
                    filled(vec![causes, header, body(&sample.completion, *section, true)])
                };
                BRANCHES.iter().enumerate().map(option).collect()
            }
            Lesson::Task(sample) => vec![self.task_sections(sample)?],
        };
        Ok(Asked { shared, options })
    }

    fn row(&self, sample: &Sample, first: usize, before: Option<&Completion>) -> Row {
        let row = |completion: &Completion| {
            let mut segments = untaught(self.case(sample));
            segments.extend(sections(completion, sample.lang, first));
            filled(segments)
        };
        Row { id: format!("{}.{first}", sample.id), segments: row(&sample.completion), rejected: before.map(row) }
    }

    fn case(&self, sample: &Sample) -> Vec<Segment> {
        let prefix = prompt::prefix(self.format, &sample.department, sample.lang);
        prefix.into_iter().chain(prompt::case(self.format, &sample.case, sample.lang)).collect()
    }

    fn form_of(&self, sample: &TaskSample) -> Result<&TaskForm, String> {
        let form = self.form.as_ref().filter(|form| form.task == *sample.task);
        form.ok_or_else(|| {
            format!("{} is a sample of the task {}, and there is no form of it here (--form)", sample.id, sample.task)
        })
    }

    fn task_sections(&self, sample: &TaskSample) -> Result<Vec<TaughtSegment>, String> {
        let form = self.form_of(sample)?;
        if let Some(other) =
            sample.completion.keys().find(|key| form.sections.iter().all(|section| section.key != **key))
        {
            return Err(format!("{}: the form has no section {other}", sample.id));
        }
        let one = |section: &prompt::TaskSection| {
            let lines = sample.completion.get(&section.key).map_or(&[][..], Vec::as_slice);
            if lines.is_empty() || lines.len() > section.lines_max {
                return Err(format!(
                    "{}: {} has {} lines, and the form 1 to {}",
                    sample.id,
                    section.key,
                    lines.len(),
                    section.lines_max
                ));
            }
            let header = TaughtSegment { segment: prompt::task_header(section, sample.lang), train: false };
            Ok([header, TaughtSegment { segment: prompt::section_body(lines), train: true }])
        };
        let all = form.sections.iter().map(one).collect::<Result<Vec<_>, String>>()?;
        Ok(all.into_iter().flatten().collect())
    }
}

/// The causes, then the other sections, beginning with the `first`.
fn sections(completion: &Completion, lang: Lang, first: usize) -> Vec<TaughtSegment> {
    let mut segments = vec![body(completion, FIRST, true)];
    for section in BRANCHES.iter().cycle().skip(first).take(BRANCHES.len()) {
        segments.extend(untaught([prompt::section_header(*section, lang)]));
        segments.push(body(completion, *section, true));
    }
    segments
}

fn body(completion: &Completion, section: Section, train: bool) -> TaughtSegment {
    TaughtSegment { segment: prompt::section_body(completion.lines(section)), train }
}

fn untaught(segments: impl IntoIterator<Item = Segment>) -> Vec<TaughtSegment> {
    segments.into_iter().map(|segment| TaughtSegment { segment, train: false }).collect()
}

fn filled(mut segments: Vec<TaughtSegment>) -> Vec<TaughtSegment> {
    segments.retain(|part| !part.segment.text.is_empty());
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Renderer = Renderer { format: PromptFormat::Plain, form: None };

    #[test]
    fn every_demo_sample_renders_and_each_section_follows_the_causes_once() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/data");
        let set = Dataset::read(&[folder.into()]).and_then(Dataset::whole).expect("demo data");
        for line in &set.lines {
            let after_causes: Vec<String> = PLAIN
                .rows(&line.lesson, false)
                .expect("renders")
                .into_iter()
                .map(|row| {
                    let causes = row.segments.iter().position(|s| s.train).expect("causes are trained");
                    row.segments[causes + 1].segment.text.clone()
                })
                .collect();
            let headers = BRANCHES.map(|s| prompt::section_header(s, line.lesson.lang()).text);
            assert_eq!(after_causes, headers);
        }
    }

    /// Another task needs data and a form: what the demonstration has of it renders whole, and with no other form.
    #[test]
    fn a_task_renders_by_its_form_and_by_no_other() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/demo/report"));
        let renderer = Renderer::new(PromptFormat::Plain, Some(&folder.join("form.json"))).expect("a form");
        let set = Dataset::read(&[folder.to_owned()]).and_then(Dataset::whole).expect("samples");
        assert!(set.lines.len() >= 150);
        for line in &set.lines {
            let rows = renderer.rows(&line.lesson, false).expect("renders");
            assert_eq!(rows.len(), 1);
            assert_eq!(rows[0].segments.iter().filter(|part| part.train).count(), 1);
            assert!(PLAIN.rows(&line.lesson, false).is_err());
        }
        assert_ne!(renderer.fingerprint(), PLAIN.fingerprint());
    }

    /// What is asked of a sample is the beginning of what is taught of it: the same texts, cut at the same places.
    #[test]
    fn what_is_asked_is_what_is_taught() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/data");
        let set = Dataset::read(&[folder.into()]).and_then(Dataset::whole).expect("demo data");
        for line in set.lines.iter().step_by(7) {
            let asked = PLAIN.asked(&line.lesson).expect("renders");
            for (row, option) in PLAIN.rows(&line.lesson, false).expect("renders").iter().zip(&asked.options) {
                let begun: Vec<&Segment> = asked
                    .shared
                    .iter()
                    .filter(|s| !s.text.is_empty())
                    .chain(option.iter().map(|s| &s.segment))
                    .collect();
                let taught: Vec<&Segment> = row.segments.iter().take(begun.len()).map(|s| &s.segment).collect();
                assert_eq!(begun, taught);
            }
            let counted = |option: &Vec<TaughtSegment>| option.iter().filter(|s| s.train).count();
            assert_eq!(asked.options.iter().map(counted).sum::<usize>(), 5, "each section once");
        }
    }
}
