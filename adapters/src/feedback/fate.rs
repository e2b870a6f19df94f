//! What becomes of each line of the exports: every one has a fate, and there is no other.
//!
//! | first physician | second | feedback.jsonl | pairs.jsonl |
//! |---|---|---|---|
//! | any | nobody yet, or on an older text | for-review.jsonl | |
//! | accepted | accepted | as it is, up to the maximum | |
//! | edited | accepted | the edit | the edit, against what the model wrote |
//! | accepted, edited | edited | the second's | the second's, against what the model wrote |
//! | accepted, edited | rejected | | with the second's own text only, against what the model wrote |
//! | rejected | | | only if it was edited as well, and then as above |
//!
//! What the model wrote is not there where the rules alone had answered: then there is no pair.

use super::{
    decisions::{AND, Decision, Decisions},
    exports::{Age, Exported},
};
use crate::scrub::{Scrubbed, scrubbed};
use contract::{
    review::Verdict,
    sample::{Completion, Sample, SampleReview, SampleVerdict},
};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    Unread,
    Superseded,
    Unreviewed,
    NotDeidentified,
    NoMaskFits,
    RejectedByFirst,
    AwaitsSecond,
    DecidedOnOlderText,
    RejectedBySecond,
    NothingToCompare,
    PairAlone,
    AcceptedBeyondMax,
    TaughtUnchanged,
    TaughtEdited,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unread => "left out: no sample that this program knows (named above)",
            Self::Superseded => "left out: an older word on a case that is there again",
            Self::Unreviewed => "left out: no physician has reviewed it",
            Self::NotDeidentified => "left out: nobody says that it identifies no patient",
            Self::NoMaskFits => "left out: masked, it is no sample any more",
            Self::RejectedByFirst => "left out: rejected by the first physician, who wrote nothing in its place",
            Self::AwaitsSecond => "await the second physician",
            Self::DecidedOnOlderText => "await the second physician again: the text has changed since",
            Self::RejectedBySecond => "left out: rejected by the second physician, who wrote nothing in its place",
            Self::NothingToCompare => "left out: rejected, and the model had written nothing else",
            Self::PairAlone => "pairs only: rejected, with another text in its place",
            Self::AcceptedBeyondMax => "left out: unchanged, beyond the maximum",
            Self::TaughtUnchanged => "taught, unchanged",
            Self::TaughtEdited => "taught, edited",
        })
    }
}

#[derive(Debug, Default)]
pub struct Sorted {
    pub for_review: Vec<Sample>,
    pub feedback: Vec<Sample>,
    pub pairs: Vec<Sample>,
    pub fates: BTreeMap<Fate, usize>,
    pub scrubbed: Scrubbed,
    /// Places, and why.
    pub unread: Vec<(String, String)>,
    /// Of all lines that could be read.
    pub ids: BTreeSet<String>,
    /// Those that somebody has decided on.
    pub decided: BTreeSet<String>,
}

impl Sorted {
    pub fn of(exported: Vec<Exported>, decisions: &Decisions, accepted_max: u8) -> Result<Self, String> {
        let mut sorted = Self { decided: decisions.ids().cloned().collect(), ..Self::default() };
        let mut samples = BTreeMap::new();
        for (id, sample) in sorted.newest(exported) {
            match sorted.fit(sample) {
                Ok(sample) => _ = samples.insert(id, sample),
                Err(fate) => sorted.count(fate, 1),
            }
        }
        decisions.check(&samples, &sorted.ids)?;
        for (id, sample) in samples {
            sorted.place(sample, decisions.about(&id));
        }
        sorted.cap(accepted_max);
        for file in [&mut sorted.for_review, &mut sorted.feedback, &mut sorted.pairs] {
            file.sort_by(|a, b| (&a.department, &a.id).cmp(&(&b.department, &b.id)));
        }
        Ok(sorted)
    }

    fn count(&mut self, fate: Fate, n: usize) {
        if n > 0 {
            *self.fates.entry(fate).or_default() += n;
        }
    }

    fn newest(&mut self, exported: Vec<Exported>) -> BTreeMap<String, Sample> {
        let mut newest: BTreeMap<String, (Age, Sample)> = BTreeMap::new();
        for Exported { place, age, sample } in exported {
            // Also the id of what is unsound: a decision on it is no decision on nothing.
            self.ids.extend(sample.iter().map(|sample| sample.id.clone()));
            let sample = match sample.and_then(sound) {
                Ok(sample) => sample,
                Err(fault) => {
                    self.unread.push((place, fault));
                    self.count(Fate::Unread, 1);
                    continue;
                }
            };
            match newest.get(&sample.id) {
                Some((other, _)) => {
                    self.count(Fate::Superseded, 1);
                    if *other <= age {
                        newest.insert(sample.id.clone(), (age, sample));
                    }
                }
                None => _ = newest.insert(sample.id.clone(), (age, sample)),
            }
        }
        newest.into_iter().map(|(id, (_, sample))| (id, sample)).collect()
    }

    /// A sample that may be shown to somebody, scrubbed once more.
    fn fit(&mut self, mut sample: Sample) -> Result<Sample, Fate> {
        let reviewed = sample.review.by.as_ref().is_some_and(|by| !by.trim().is_empty());
        if !reviewed || sample.review.verdict == SampleVerdict::Unreviewed {
            return Err(Fate::Unreviewed);
        }
        if !sample.deid {
            return Err(Fate::NotDeidentified);
        }
        let done;
        ((sample.case, sample.completion, sample.rejected), done) =
            scrubbed(&(sample.case, sample.completion, sample.rejected)).ok_or(Fate::NoMaskFits)?;
        self.scrubbed += done;
        Ok(sample)
    }

    fn place(&mut self, sample: Sample, decision: Option<&Decision>) {
        let waiting = match (sample.review.verdict, &sample.rejected, decision) {
            (SampleVerdict::Rejected, None, _) => return self.count(Fate::RejectedByFirst, 1),
            (_, _, None) => Fate::AwaitsSecond,
            (_, _, Some(decision)) if !decision.is_of(&sample) => Fate::DecidedOnOlderText,
            (_, _, Some(decision)) => return self.decide(sample, decision),
        };
        self.count(waiting, 1);
        self.for_review.push(sample);
    }

    fn decide(&mut self, sample: Sample, decision: &Decision) {
        let first = sample.review.verdict;
        let (completion, written) = match (&decision.verdict, &decision.completion) {
            (Verdict::Accepted, _) => (sample.completion.clone(), sample.rejected.clone()),
            (_, None) => return self.count(Fate::RejectedBySecond, 1),
            (_, Some(own)) => {
                let Some((own, done)) = scrubbed(own) else { return self.count(Fate::NoMaskFits, 1) };
                self.scrubbed += done;
                let unchanged = (first == SampleVerdict::Accepted).then(|| sample.completion.clone());
                (own, sample.rejected.clone().or(unchanged))
            }
        };
        let again_as_written = written.as_ref() == Some(&completion);
        let verdict = match (first, decision.verdict) {
            (SampleVerdict::Rejected, _) | (_, Verdict::Rejected) => SampleVerdict::Rejected,
            // The second has taken back what the first had changed: the model's own words.
            _ if again_as_written => SampleVerdict::Accepted,
            (_, Verdict::Edited) => SampleVerdict::Edited,
            (first, Verdict::Accepted) => first,
        };
        self.take(reviewed_twice(sample, decision, completion, written.filter(|_| !again_as_written), verdict));
    }

    fn take(&mut self, sample: Sample) {
        if sample.rejected.is_some() {
            self.pairs.push(sample.clone());
        }
        match (sample.review.verdict, &sample.rejected) {
            (SampleVerdict::Rejected, Some(_)) => self.count(Fate::PairAlone, 1),
            (SampleVerdict::Rejected, None) => self.count(Fate::NothingToCompare, 1),
            _ => self.feedback.push(sample),
        }
    }

    /// Of what nobody has changed no more than so many percent.
    fn cap(&mut self, percent: u8) {
        let (unchanged, edited): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.feedback).into_iter().partition(|it| it.review.verdict == SampleVerdict::Accepted);
        let (n, taught) = (unchanged.len(), edited.len());
        let kept = evenly(unchanged, room(taught, percent));
        self.count(Fate::TaughtEdited, taught);
        self.count(Fate::TaughtUnchanged, kept.len());
        self.count(Fate::AcceptedBeyondMax, n - kept.len());
        self.feedback = [edited, kept].concat();
    }
}

/// What a box never writes says that somebody else did.
fn sound(sample: Sample) -> Result<Sample, String> {
    match (sample.review.verdict, &sample.rejected) {
        (SampleVerdict::Accepted, Some(_)) => Err("accepted, and yet something was changed (`rejected`)".to_owned()),
        _ => Ok(sample),
    }
}

fn reviewed_twice(
    sample: Sample,
    decision: &Decision,
    completion: Completion,
    rejected: Option<Completion>,
    verdict: SampleVerdict,
) -> Sample {
    let first = sample.review.by.expect("whoever got here was reviewed");
    let review = SampleReview {
        by: Some(format!("{first}{AND}{}", decision.by)),
        at: decision.at.clone().or(sample.review.at),
        verdict,
    };
    Sample { completion, rejected, review, ..sample }
}

/// The most unchanged ones beside so many edited ones: u ≤ percent/100 · (u + edited).
fn room(edited: usize, percent: u8) -> usize {
    let percent = usize::from(percent.min(100));
    (percent * edited).checked_div(100 - percent).unwrap_or(usize::MAX)
}

/// One of each department in turn, as long as there is room; within one in the order of a hash, which is no order of theirs.
fn evenly(samples: Vec<Sample>, room: usize) -> Vec<Sample> {
    let mut departments: BTreeMap<_, Vec<Sample>> = BTreeMap::new();
    samples.into_iter().for_each(|sample| departments.entry(sample.department.clone()).or_default().push(sample));
    let mut turns: VecDeque<VecDeque<Sample>> = departments
        .into_values()
        .map(|mut of_one| {
            of_one.sort_by_cached_key(|sample| Sha256::digest(&sample.id));
            of_one.into()
        })
        .collect();
    let mut kept = Vec::new();
    while kept.len() < room
        && let Some(mut department) = turns.pop_front()
    {
        if let Some(sample) = department.pop_front() {
            kept.push(sample);
            turns.push_back(department);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_so_many_percent_and_not_one_more() {
        for percent in 0..100u8 {
            for edited in 0..200 {
                let room = room(edited, percent);
                let share = |unchanged: usize| unchanged * 100 <= usize::from(percent) * (unchanged + edited);
                assert!(share(room) && !share(room + 1), "{percent} % beside {edited}: {room}");
            }
        }
        assert_eq!((room(0, 100), room(80, 20), room(0, 20), room(7, 0)), (usize::MAX, 20, 0, 0));
    }
}
