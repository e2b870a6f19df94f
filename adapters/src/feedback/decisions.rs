//! What second physicians decided. A line is right or refused with its place; nothing is half believed.
//!
//! ```text
//! {"id":"3f…","by":"d2","verdict":"accepted"}                     as it stands
//! {"id":"3f…","by":"d2","verdict":"edited","completion":{…}}      as `completion` says
//! {"id":"3f…","by":"d2","verdict":"rejected"}                     not at all; a `completion` beside it makes a pair
//!  also "at": when, as 2026 or 2026-03; "of": which text was seen ([`text_seen`])
//! ```

use crate::dataset::review_date;
use contract::{
    review::Verdict,
    sample::{Completion, Sample},
};
use engine::form;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    pub id: String,
    pub by: String,
    pub verdict: Verdict,
    pub completion: Option<Completion>,
    pub at: Option<String>,
    pub of: Option<String>,
    #[serde(skip)]
    pub place: String,
}

/// The first and the second reviewer of a sample, as `review.by` names them.
pub const AND: &str = " + ";

/// By id.
#[derive(Debug, Default)]
pub struct Decisions(BTreeMap<String, Decision>);

impl Decisions {
    pub fn read(paths: &[PathBuf]) -> Result<Self, String> {
        let mut lines = Vec::new();
        for path in paths {
            let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
            let numbered = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
            lines.extend(numbered.map(|(at, line)| (format!("{name} line {}", at + 1), line.to_owned())));
        }
        Self::of(lines)
    }

    fn of(lines: Vec<(String, String)>) -> Result<Self, String> {
        let mut decisions = Self::default();
        let mut faults = Vec::new();
        for (place, line) in lines {
            if let Err(fault) = decision(&line).and_then(|it| decisions.take(Decision { place: place.clone(), ..it })) {
                faults.push(format!("{place}: {fault}"));
            }
        }
        refuse(faults)?;
        Ok(decisions)
    }

    /// Somebody may think again. Two who disagree have to agree first.
    fn take(&mut self, decision: Decision) -> Result<(), String> {
        match self.0.get(&decision.id) {
            Some(earlier) if !same_person(&earlier.by, &decision.by) => Err(format!(
                "{} has decided on this id in {}: of two second physicians one is to decide",
                earlier.by, earlier.place
            )),
            _ => {
                self.0.insert(decision.id.clone(), decision);
                Ok(())
            }
        }
    }

    /// Against the samples that there are, by id: what was decided on must be there, and by another than the first.
    /// `ids`: of all that was read, also of what is left out.
    pub fn check(&self, samples: &BTreeMap<String, Sample>, ids: &BTreeSet<String>) -> Result<(), String> {
        let fault = |decision: &Decision| match samples.get(&decision.id) {
            None if ids.contains(&decision.id) => None,
            None => Some("no such id in the exports".to_owned()),
            Some(sample) => {
                let first = sample.review.by.as_deref().unwrap_or_default();
                let changes = decision.completion.as_ref() != Some(&sample.completion);
                if same_person(first, &decision.by) {
                    Some(format!("{} is who reviewed it first: a second physician is to", decision.by))
                } else if decision.is_of(sample) && !changes {
                    Some("a `completion` that changes nothing".to_owned())
                } else {
                    None
                }
            }
        };
        refuse(self.0.values().filter_map(|it| fault(it).map(|fault| format!("{}: {fault}", it.place))).collect())
    }

    pub fn about(&self, id: &str) -> Option<&Decision> {
        self.0.get(id)
    }

    pub fn ids(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }
}

impl Decision {
    /// Whether it was decided on this text. A doctor at a box may have edited again since.
    pub fn is_of(&self, sample: &Sample) -> bool {
        self.of.as_ref().is_none_or(|of| *of == text_seen(sample))
    }
}

fn decision(line: &str) -> Result<Decision, String> {
    let decision: Decision =
        serde_json::from_str(line).map_err(|e| e.to_string().replace(" at line 1 column ", ", column "))?;
    let by = decision.by.trim();
    if by.is_empty() || by.contains('+') || by.chars().any(char::is_control) {
        return Err("`by` names nobody: a word without +".to_owned());
    }
    if let Some(at) = &decision.at {
        review_date(at)?;
    }
    match (decision.verdict, &decision.completion) {
        (Verdict::Accepted, Some(_)) => Err("accepted, and yet a `completion`: that would be edited".to_owned()),
        (Verdict::Edited, None) => Err("edited, but there is no `completion`".to_owned()),
        (_, Some(completion))
            if completion.exclusions.iter().all(|line| line.trim().is_empty() || form::is_nothing(line)) =>
        {
            Err("`completion` names nothing that cannot be excluded".to_owned())
        }
        _ => Ok(Decision { by: by.to_owned(), ..decision }),
    }
}

fn same_person(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}

fn refuse(faults: Vec<String>) -> Result<(), String> {
    if faults.is_empty() { Ok(()) } else { Err(format!("decisions that cannot be taken:\n{}", faults.join("\n"))) }
}

/// A short name of what the second physician was shown: 16 hexadecimal digits.
pub fn text_seen(sample: &Sample) -> String {
    let shown = serde_json::to_vec(&(&sample.case, &sample.completion, &sample.rejected)).expect("a sample is JSON");
    engine::hex(&Sha256::digest(shown)[..8])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(lines: &[Value]) -> Result<Decisions, String> {
        Decisions::of(
            lines.iter().enumerate().map(|(at, line)| (format!("r line {}", at + 1), line.to_string())).collect(),
        )
    }

    fn completion(exclusion: &str) -> Value {
        json!({"causes": ["a：b"], "exclusions": [exclusion], "checks": ["无"], "cautions": ["无"], "missing": ["无"]})
    }

    #[test]
    fn what_does_not_go_together_is_refused_with_its_line() {
        for (line, why) in [
            (json!({"id": "1", "by": "d2"}), "verdict"),
            (json!({"id": "1", "by": "d2", "verdict": "unreviewed"}), "unreviewed"),
            (json!({"id": "1", "by": " ", "verdict": "accepted"}), "nobody"),
            (json!({"id": "1", "by": "a + b", "verdict": "accepted"}), "nobody"),
            (json!({"id": "1", "by": "d2", "verdict": "edited"}), "no `completion`"),
            (json!({"id": "1", "by": "d2", "verdict": "accepted", "completion": completion("c：d")}), "and yet"),
            (json!({"id": "1", "by": "d2", "verdict": "edited", "completion": completion("无")}), "cannot be excluded"),
            (json!({"id": "1", "by": "d2", "verdict": "accepted", "at": "2026-03-05"}), "no year"),
            (json!({"id": "1", "by": "d2", "verdict": "accepted", "rating": 5}), "rating"),
        ] {
            let good = json!({"id": "0", "by": "d2", "verdict": "accepted"});
            let said = read(&[good, line.clone()]).map(|_| ()).expect_err(why);
            assert!(said.contains("r line 2: ") && said.contains(why), "{said} for {line}");
        }
    }

    #[test]
    fn one_may_think_again_and_two_may_not_disagree() {
        let line = |by: &str, verdict: &str| json!({"id": "1", "by": by, "verdict": verdict});
        let again = read(&[line("d2", "accepted"), line("D2 ", "rejected")]).expect("the same person");
        assert_eq!(again.about("1").expect("decided").verdict, Verdict::Rejected);
        assert!(
            read(&[line("d2", "accepted"), line("d3", "accepted")]).map(|_| ()).expect_err("two").contains("line 1")
        );
    }
}
