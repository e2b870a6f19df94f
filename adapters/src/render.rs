//! Training text from samples, made by the very code that the box uses.
//!
//! The box lets all sections but the first follow the causes directly, as parallel branches. So each sample is
//! rendered once per branch, rotated, and every section is seen directly behind the causes once.

use contract::{reply::Section, sample::Sample};
use engine::{
    form::{BRANCHES, FIRST},
    prompt::{self, PromptFormat, Segment},
};
use serde::Serialize;

/// One training text: segments to tokenise one by one, and whether the model learns to write them.
#[derive(Debug, Serialize)]
pub struct Row {
    pub id: String,
    pub segments: Vec<TrainingSegment>,
}

#[derive(Debug, Serialize)]
pub struct TrainingSegment {
    #[serde(flatten)]
    pub segment: Segment,
    pub train: bool,
}

pub fn rows(sample: &Sample, format: PromptFormat) -> Vec<Row> {
    (0..BRANCHES.len()).map(|first| row(sample, format, first)).collect()
}

fn row(sample: &Sample, format: PromptFormat, first: usize) -> Row {
    let mut segments = Vec::new();
    let given = prompt::prefix(format, &sample.department, sample.lang).into_iter().chain(prompt::case(
        format,
        &sample.case,
        sample.lang,
    ));
    segments.extend(given.map(|segment| TrainingSegment { segment, train: false }));
    segments.push(body(sample, FIRST));
    for section in BRANCHES.iter().cycle().skip(first).take(BRANCHES.len()) {
        let header = prompt::section_header(*section, sample.lang);
        segments.push(TrainingSegment { segment: header, train: false });
        segments.push(body(sample, *section));
    }
    segments.retain(|s| !s.segment.text.is_empty());
    Row { id: format!("{}.{first}", sample.id), segments }
}

fn body(sample: &Sample, section: Section) -> TrainingSegment {
    TrainingSegment { segment: prompt::section_body(sample.completion.lines(section)), train: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_demo_sample_renders_and_each_section_follows_the_causes_once() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/data");
        for department in ["internal", "obstetrics", "pediatrics"] {
            let text = std::fs::read_to_string(format!("{folder}/{department}.jsonl")).expect("demo data");
            assert!(text.lines().count() >= 60, "{department} has too few samples");
            for line in text.lines() {
                let sample: Sample = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
                let after_causes: Vec<String> = rows(&sample, PromptFormat::Plain)
                    .into_iter()
                    .map(|row| {
                        let causes = row.segments.iter().position(|s| s.train).expect("causes are trained");
                        row.segments[causes + 1].segment.text.clone()
                    })
                    .collect();
                let headers = BRANCHES.map(|s| prompt::section_header(s, sample.lang).text);
                assert_eq!(after_causes, headers);
            }
        }
    }
}
