//! `adapterctl split`: what is learnt, what tells when to stop, and what is kept for the examination.
//!
//! ```text
//! lines ─ clusters of questions that are alike (near.rs) ─ by department, in an order that a hash gives
//!          │ held out, locked by hash │ validation │ training │
//! held-out.lock   which samples the examination has: once chosen they stay, or two adapters could not be compared
//! ```
//! A cluster goes to one side as a whole, so nothing in the examination has been taught in other words.

use crate::{
    check::LEAK,
    dataset::{Dataset, Line},
    near,
};
use clap::Args;
use contract::sample::SampleVerdict;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

pub const LOCK: &str = "held-out.lock";

/// Splits a data set into training, validation and held-out samples, by department; near-duplicates stay together.
///
/// Writes train.jsonl, validation.jsonl and held-out.jsonl. Which samples are held out is kept in held-out.lock beside
/// the data and stays so; new samples are added to it as the set grows.
#[derive(Args)]
pub struct Split {
    /// Folder with the JSONL files.
    data: PathBuf,
    /// Folder for the three files.
    #[arg(long)]
    out: PathBuf,
    /// Percent of each department that is held out.
    #[arg(long, default_value_t = 10.0)]
    held_out: f64,
    /// Percent of each department that tells when training should stop.
    #[arg(long, default_value_t = 10.0)]
    validation: f64,
    /// Chooses anew where held-out samples have been changed or removed: scores before and after cannot be compared.
    #[arg(long)]
    new_lock: bool,
}

/// Numbers of lines in the set, ascending.
#[derive(Debug, Default, PartialEq)]
pub struct Parts {
    pub train: Vec<usize>,
    pub validation: Vec<usize>,
    pub held_out: Vec<usize>,
    /// Like something that is held out, and not of the lock: neither taught nor asked.
    pub left_out: Vec<usize>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    format: LockFormat,
    /// By department: the samples' hashes, ascending.
    held_out: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum LockFormat {
    #[serde(rename = "consultd-held-out/1")]
    V1,
}

impl Lock {
    fn empty() -> Self {
        Self { format: LockFormat::V1, held_out: BTreeMap::new() }
    }

    pub fn read(path: &Path) -> Result<Self, String> {
        match fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Self::empty()),
            Err(e) => Err(format!("{}: {e}", path.display())),
        }
    }

    fn holds(&self, line: &Line) -> bool {
        self.held_out.get(line.lesson.group()).is_some_and(|of| of.contains(&engine::hex(&line.sha256)))
    }

    /// Those that are in no line of the set: changed, or gone.
    fn missing(&self, set: &Dataset) -> Vec<(&str, &str)> {
        let there: BTreeSet<(&str, String)> =
            set.lines.iter().map(|line| (line.lesson.group(), engine::hex(&line.sha256))).collect();
        let all = self.held_out.iter().flat_map(|(group, of)| of.iter().map(|hash| (group.as_str(), hash.as_str())));
        all.filter(|(group, hash)| !there.contains(&(*group, hash.to_string()))).collect()
    }
}

/// The parts, and the lock as it is then.
pub fn split(set: &Dataset, lock: &Lock, held_out: f64, validation: f64) -> Result<(Parts, Lock), String> {
    if !(0.0..50.0).contains(&held_out) || !(0.0..50.0).contains(&validation) {
        return Err("held-out and validation are 0 to 50 percent".to_owned());
    }
    let missing = lock.missing(set);
    if !missing.is_empty() {
        let named: Vec<String> =
            missing.iter().take(5).map(|(group, hash)| format!("{group} {}", &hash[..12])).collect();
        return Err(format!(
            "{} held-out samples have been changed or are gone ({}): an examination that changes measures nothing. \
             Put them back, or choose anew with --new-lock, after which scores cannot be compared with earlier ones",
            missing.len(),
            named.join(", ")
        ));
    }
    let mut parts = Parts::default();
    let mut groups: BTreeMap<&str, Vec<Vec<usize>>> = BTreeMap::new();
    let mut sizes: BTreeMap<&str, (usize, usize)> = BTreeMap::new(); // samples, of them locked
    for cluster in clusters(set) {
        let (locked, free): (Vec<usize>, Vec<usize>) = cluster.into_iter().partition(|at| lock.holds(&set.lines[*at]));
        for at in &locked {
            sizes.entry(set.lines[*at].lesson.group()).or_default().1 += 1;
        }
        for at in locked.iter().chain(&free) {
            sizes.entry(set.lines[*at].lesson.group()).or_default().0 += 1;
        }
        match locked.is_empty() {
            true => groups.entry(set.lines[free[0]].lesson.group()).or_default().push(free),
            false => parts.left_out.extend(free),
        }
        parts.held_out.extend(locked);
    }
    for (group, mut clusters) in groups {
        clusters.sort_by_key(|cluster| cluster.iter().map(|at| order(&set.lines[*at])).min());
        let (samples, locked) = sizes[group];
        let of = |percent: f64| (percent / 100.0 * samples as f64).round() as usize;
        let mut wanted = [of(held_out).saturating_sub(locked), of(validation)];
        for cluster in clusters {
            // What the doctor rejected is no model answer for an examination, and a question of two departments has none.
            let asked = |at: &usize| {
                let lesson = &set.lines[*at].lesson;
                lesson.group() == group && lesson.review().verdict != SampleVerdict::Rejected
            };
            let fit = |part: usize, wanted: &[usize]| cluster.len() <= wanted[part] && cluster.iter().all(asked);
            let part = match [0, 1].into_iter().find(|part| fit(*part, &wanted)) {
                Some(part) => {
                    wanted[part] -= cluster.len();
                    if part == 0 { &mut parts.held_out } else { &mut parts.validation }
                }
                None => &mut parts.train,
            };
            part.extend(cluster);
        }
    }
    for part in [&mut parts.train, &mut parts.validation, &mut parts.held_out, &mut parts.left_out] {
        part.sort_unstable();
    }
    let mut lock = Lock::empty();
    for at in &parts.held_out {
        let line = &set.lines[*at];
        lock.held_out.entry(line.lesson.group().to_owned()).or_default().insert(engine::hex(&line.sha256));
    }
    Ok((parts, lock))
}

/// Neither the order of the files nor what is added to them moves a sample.
fn order(line: &Line) -> [u8; 32] {
    Sha256::new_with_prefix(b"consultd split 1").chain_update(line.sha256).finalize().into()
}

/// Lines that are alike, and those that are like them, and so on. A line that is like no other is alone.
fn clusters(set: &Dataset) -> Vec<Vec<usize>> {
    let grams = set.grams();
    let mut parent: Vec<usize> = (0..set.lines.len()).collect();
    fn top(parent: &mut [usize], mut at: usize) -> usize {
        while parent[at] != at {
            parent[at] = parent[parent[at]];
            at = parent[at];
        }
        at
    }
    for pair in near::pairs(&grams, LEAK) {
        let (a, b) = (top(&mut parent, pair.first), top(&mut parent, pair.second));
        parent[b] = a;
    }
    let mut clusters: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for at in 0..set.lines.len() {
        clusters.entry(top(&mut parent, at)).or_default().push(at);
    }
    clusters.into_values().collect()
}

impl Split {
    pub fn run(&self) -> Result<(), String> {
        let set = Dataset::read(std::slice::from_ref(&self.data))?.whole()?;
        let path = self.data.join(LOCK);
        let before = if self.new_lock { Lock::empty() } else { Lock::read(&path)? };
        let (parts, lock) = split(&set, &before, self.held_out, self.validation)?;
        write(&set, &parts, &self.out)?;
        if lock != before {
            keep(&path, &lock)?;
        }
        print!("{}", table(&set, &parts));
        Ok(())
    }
}

/// `train.jsonl`, `validation.jsonl`, `held-out.jsonl`.
pub fn write(set: &Dataset, parts: &Parts, out: &Path) -> Result<(), String> {
    fs::create_dir_all(out).map_err(|e| format!("{}: {e}", out.display()))?;
    for (name, part) in [("train", &parts.train), ("validation", &parts.validation), ("held-out", &parts.held_out)] {
        let path = out.join(format!("{name}.jsonl"));
        let lines: String = part.iter().map(|at| format!("{}\n", set.lines[*at].lesson.value())).collect();
        crate::file::replace(&path, lines.as_bytes())?;
    }
    Ok(())
}

pub fn keep(path: &Path, lock: &Lock) -> Result<(), String> {
    crate::file::replace_json(path, lock)
}

pub fn table(set: &Dataset, parts: &Parts) -> String {
    let mut rows: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
    for (at, part) in [&parts.train, &parts.validation, &parts.held_out, &parts.left_out].into_iter().enumerate() {
        part.iter().for_each(|line| rows.entry(set.lines[*line].lesson.group()).or_default()[at] += 1);
    }
    let mut out = format!("{:<16}{:>10}{:>12}{:>10}{:>10}\n", "", "training", "validation", "held out", "left out");
    for (group, [train, validation, held_out, left_out]) in rows {
        out.push_str(&format!("{group:<16}{train:>10}{validation:>12}{held_out:>10}{left_out:>10}\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Lesson, Place};
    use serde_json::json;

    fn set(rows: &[(&str, String)]) -> Dataset {
        let mut set = Dataset { files: vec!["a.jsonl".into()], ..Dataset::default() };
        for (at, (department, text)) in rows.iter().enumerate() {
            let sample = json!({"id": format!("{department}-{text}"), "department": department, "lang": "zh", "prompt": text,
                "completion": {"causes": ["a：b"], "exclusions": ["c：d；e"], "checks": ["无"], "cautions": ["无"], "missing": ["无"]},
                "review": {"by": null, "at": null, "verdict": "unreviewed"}, "source": "s", "license": "l", "deid": true});
            let sample: contract::sample::Sample = serde_json::from_value(sample).expect("a sample");
            let lesson = Lesson::Consult(Box::new(sample));
            set.lines.push(Line { place: Place { file: 0, line: at + 1 }, sha256: lesson.sha256(), lesson });
        }
        set
    }

    /// Words that share nothing but by design: every third is a near-duplicate of the one before.
    fn rows(seed: usize, n: usize) -> Vec<(&'static str, String)> {
        let mut dice = crate::dice::dice(seed as u64 + 1);
        let mut rows: Vec<(&str, String)> = Vec::new();
        for at in 0..n {
            let department = ["internal", "obstetrics", "surgery"][at % 7 % 3];
            let mut text: String = (0..14).filter_map(|_| char::from_u32(0x4e00 + dice(20000) as u32)).collect();
            if at % 3 == 2 {
                text = format!("{}{}", rows[at - 1].1, dice(10));
            }
            rows.push((department, text));
        }
        rows
    }

    #[test]
    fn every_department_is_shared_out_and_no_question_is_on_two_sides() {
        for seed in 0..50 {
            let set = set(&rows(seed, 120));
            let (parts, _) = split(&set, &Lock::empty(), 10.0, 10.0).expect("splits");
            let side = |at: usize| {
                [&parts.train, &parts.validation, &parts.held_out].iter().position(|part| part.contains(&at))
            };
            assert_eq!(parts.train.len() + parts.validation.len() + parts.held_out.len(), 120);
            for cluster in clusters(&set) {
                assert!(cluster.iter().all(|at| side(*at) == side(cluster[0])), "seed {seed}: {cluster:?}");
            }
            for department in ["internal", "obstetrics", "surgery"] {
                let of = |part: &[usize]| part.iter().filter(|at| set.lines[**at].lesson.group() == department).count();
                let all = of(&parts.train) + of(&parts.validation) + of(&parts.held_out);
                let share = of(&parts.held_out) as f64 / all as f64;
                assert!((share - 0.1).abs() < 0.04, "seed {seed}, {department}: {share}");
            }
        }
    }

    #[test]
    fn what_is_held_out_stays_so_while_the_set_grows_and_is_shuffled() {
        for seed in 0..30 {
            let mut all = rows(seed, 90);
            let small = set(&all[..60]);
            let (first, lock) = split(&small, &Lock::empty(), 10.0, 10.0).expect("splits");
            all.reverse();
            let large = set(&all);
            let (second, grown) = split(&large, &lock, 10.0, 10.0).expect("splits");
            let hashes =
                |set: &Dataset, part: &[usize]| part.iter().map(|at| set.lines[*at].sha256).collect::<BTreeSet<_>>();
            assert!(hashes(&small, &first.held_out).is_subset(&hashes(&large, &second.held_out)), "seed {seed}");
            assert!(hashes(&large, &second.train).is_disjoint(&hashes(&small, &first.held_out)));
            // The same again gives the same.
            assert_eq!(split(&large, &grown, 10.0, 10.0).expect("splits"), (second, grown.clone()));
        }
    }

    #[test]
    fn a_held_out_sample_that_changes_is_missed() {
        let mut all = rows(3, 60);
        let first = set(&all);
        let (parts, lock) = split(&first, &Lock::empty(), 10.0, 10.0).expect("splits");
        all[parts.held_out[0]].1.push('改');
        let said = split(&set(&all), &lock, 10.0, 10.0).expect_err("changed");
        assert!(said.contains("changed or are gone") && said.contains("--new-lock"), "{said}");
    }
}
