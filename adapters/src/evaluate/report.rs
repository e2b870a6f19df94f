//! All that is said of a run: the measures, what is only counted, and the cases that went wrong.

use super::{
    conversation::Conversation,
    exam::Kind,
    judge::{
        Judged,
        agreement::{self, Agreement},
        lapses::{self, Lapse, word},
        measures::{self, Measure, over, red_flags_due},
        shown,
    },
};
use contract::{
    answer::{Answer, Degraded},
    words::{Bilingual, Triage},
};
use decide::rules::recall::{Share, Told};
use std::collections::{BTreeMap, BTreeSet};

pub struct Report {
    /// The box, its model and its rules, as the answers name them.
    pub made_by: Vec<String>,
    pub requests: usize,
    pub measures: Vec<Measure>,
    pub files: Vec<FileFigures>,
    /// Green, yellow, red, nothing.
    pub triage: BTreeMap<Kind, [u32; 4]>,
    /// Rules that missed a case of an open file, the weakest first.
    pub weakest: Vec<(String, Share)>,
    pub dropped: BTreeMap<String, u32>,
    /// Entries of the model's that were shown.
    pub lines_shown: u32,
    pub abstained: BTreeMap<String, u32>,
    pub degraded: BTreeMap<String, u32>,
    pub errors: BTreeMap<String, u32>,
    /// (name, stated, share) of groups of open files, the least alike first.
    pub groups: Vec<(String, bool, Share)>,
    /// Milliseconds of answers that a model took part in, sorted: in work, and from the request on.
    pub work_ms: Vec<u64>,
    pub total_ms: Vec<u64>,
    pub lapses: Vec<Lapse>,
    pub notes: Vec<Bilingual>,
}

pub struct FileFigures {
    pub name: String,
    pub held_out: bool,
    pub requests: usize,
    /// Told in words, coded as well, harmless cases that were red, drug cautions.
    pub shares: [Share; 4],
}

impl Report {
    pub fn of(all: &[Judged], conversation: &Conversation, trouble: Option<String>) -> Self {
        let answers: Vec<&Answer> = all.iter().filter_map(Judged::answer).collect();
        let by_model =
            || answers.iter().filter(|answer| answer.abstained.is_none()).map(|answer| answer.provenance.timings);
        let degraded = tally(answers.iter().flat_map(|answer| &answer.provenance.degraded));
        let messages = || all.iter().flat_map(|one| one.messages);
        Self {
            made_by: made_by(&answers),
            requests: all.len(),
            measures: measures::measures(all, &conversation.strays),
            files: files(all),
            triage: triage(all),
            weakest: weakest(all),
            dropped: dropped(&answers),
            lines_shown: messages().map(|message| shown::by_the_model(&message.value).len() as u32).sum(),
            abstained: tally(answers.iter().filter_map(|answer| answer.abstained.as_ref()).map(|it| &it.reason)),
            errors: tally(all.iter().flat_map(Judged::errors).map(|error| &error.code)),
            groups: groups(agreement::agreements(all)),
            work_ms: sorted(by_model().map(|timings| timings.total_ms.saturating_sub(timings.queued_ms))),
            total_ms: sorted(by_model().map(|timings| timings.total_ms)),
            lapses: lapses::lapses(all),
            notes: notes(all, conversation, trouble, degraded.contains_key(&word(&Degraded::ScriptedEngine))),
            degraded,
        }
    }

    pub fn missed(&self) -> impl Iterator<Item = &Measure> {
        self.measures.iter().filter(|measure| measure.met() == Some(false))
    }

    pub fn all_met(&self) -> bool {
        self.missed().next().is_none()
    }

    pub fn measure(&self, id: &str) -> &Measure {
        self.measures.iter().find(|measure| measure.id == id).expect("ids are those of the table of measures")
    }
}

/// The value below which a part of the sorted ones lies: the nearest rank.
pub fn percentile(sorted: &[u64], part: f64) -> Option<u64> {
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

fn sorted(values: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    values
}

fn tally<'t, T: serde::Serialize + 't>(things: impl Iterator<Item = &'t T>) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    things.for_each(|thing| *counts.entry(word(thing)).or_default() += 1);
    counts
}

fn dropped(answers: &[&Answer]) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        let by_kind = answer.provenance.dropped.iter().map(|it| (word(&it.kind), it.lines));
        // The first boxes say only how many.
        let rest = answer.provenance.lines_dropped.saturating_sub(by_kind.clone().map(|(_, lines)| lines).sum());
        let unnamed = (rest > 0).then(|| ("unnamed".to_owned(), rest));
        by_kind.chain(unnamed).for_each(|(kind, lines)| *counts.entry(kind).or_default() += lines);
    }
    counts
}

fn made_by(answers: &[&Answer]) -> Vec<String> {
    let short = |sha256: &str| sha256.chars().take(12).collect::<String>();
    let mut makers = BTreeSet::new();
    for Answer { provenance: it, .. } in answers {
        makers.insert(format!("consultd {} ({})", it.daemon, it.box_name));
        makers.insert(format!("rules {} {}", it.rules.version, short(&it.rules.sha256)));
        makers.extend(it.base_sha256.as_deref().map(|base| format!("base {}", short(base))));
        makers.extend(it.adapter.as_ref().map(|by| format!("adapter {} {} {}", by.id, by.version, short(&by.sha256))));
    }
    makers.into_iter().collect()
}

fn triage(all: &[Judged]) -> BTreeMap<Kind, [u32; 4]> {
    let mut kinds: BTreeMap<Kind, [u32; 4]> = BTreeMap::new();
    for one in all {
        let at = one.triage().map_or(3, |triage| match triage {
            Triage::Green => 0,
            Triage::Yellow => 1,
            Triage::Red => 2,
        });
        kinds.entry(one.exam.kind).or_default()[at] += 1;
    }
    kinds
}

fn files(all: &[Judged]) -> Vec<FileFigures> {
    let mut names: Vec<_> = all.iter().map(|one| &one.exam.file).collect();
    names.dedup();
    let figures = names.into_iter().map(|file| {
        let own = || all.iter().filter(|one| one.exam.file == *file);
        let red = |one: &Judged| one.triage().filter(|_| one.exam.kind == Kind::Benign).map(|seen| seen == Triage::Red);
        FileFigures {
            name: file.name.clone(),
            held_out: file.held_out,
            requests: own().count(),
            shares: [
                over(own(), |one| red_flags_due(one, Told::Text)),
                over(own(), |one| red_flags_due(one, Told::Coded)),
                over(own(), red),
                over(own(), measures::cautions_due),
            ],
        }
    });
    figures.collect()
}

fn weakest(all: &[Judged]) -> Vec<(String, Share)> {
    let mut rules: BTreeMap<&str, Share> = BTreeMap::new();
    for one in all.iter().filter(|one| !one.exam.file.held_out) {
        let seen = one.red_flags();
        for rule in &one.exam.expect.rules {
            rules.entry(rule).or_default().count(seen.contains(rule.as_str()));
        }
    }
    let mut rules: Vec<_> = rules.into_iter().filter(|(_, share)| share.hits < share.of).collect();
    rules.sort_by(|(a, x), (b, y)| x.share().total_cmp(&y.share()).then(a.cmp(b)));
    rules.into_iter().take(10).map(|(rule, share)| (rule.to_owned(), share)).collect()
}

fn groups(agreements: Vec<Agreement>) -> Vec<(String, bool, Share)> {
    let mut groups: Vec<_> =
        agreements.iter().filter(|it| it.open).map(|it| (it.group.name.clone(), it.group.stated, it.alike)).collect();
    groups.sort_by(|(a, _, x), (b, _, y)| x.share().total_cmp(&y.share()).then(a.cmp(b)));
    groups
}

fn notes(all: &[Judged], conversation: &Conversation, trouble: Option<String>, scripted: bool) -> Vec<Bilingual> {
    let others = all.iter().filter(|one| !one.same_rules).count();
    let strays = conversation.strays.len();
    let Share { hits: opinions, of: answers } = over(all, measures::has_opinion);
    let notes = [
        trouble.map(|how| (format!("设备程序异常结束：{how}"), format!("the box did not end well: {how}"))),
        scripted.then(|| {
            (
                "模型部分由测试引擎写成，不是任何意见".into(),
                "the test engine wrote the model's part: no opinion at all".into(),
            )
        }),
        (opinions < answers).then(|| {
            let without = answers - opinions;
            (
                format!("{answers} 个回答中 {without} 个没有模型意见，只有规则的结论"),
                format!("{without} of {answers} answers have no model's opinion: they are the rules' alone"),
            )
        }),
        (others > 0).then(|| {
            (
                format!("{others} 个病例由另一套规则判断，未核对红旗是否与模型无关"),
                format!(
                    "{others} cases were judged by other rules than this program's: their red flags were not compared"
                ),
            )
        }),
        (strays > 0)
            .then(|| (format!("{strays} 条消息不属于任何请求"), format!("{strays} messages belong to no request"))),
    ];
    notes.into_iter().flatten().map(|(zh, en): (String, String)| Bilingual { zh, en }).collect()
}
