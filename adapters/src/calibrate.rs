//! `adapterctl calibrate`: how far an adapter's word "this case is my department's" can be believed.
//!
//! ```text
//! samples of its own department ─┐                                              ┌─▶ manifest.json: calibration
//! as many of other departments  ─┴─ each asked of this adapter ─ batch ─ fit ───┼─▶ table
//!                                                                               └─▶ reliability plot
//! ```
//! The samples of its own department are those that it was trained from, but in training nobody asked it this.

mod fit;
mod plot;

use crate::{
    dataset::Dataset,
    evaluate::{
        self,
        batch::{self, Batch},
        exam::Asking,
        message::{Message, Schemas},
        progress::Progress,
    },
    file,
};
use clap::Args;
use contract::{
    ids::RequestId, limits::DEADLINE_S_MAX, manifest::AdapterManifest, reply::Reply, request::Consult, sample::Sample,
};
use fit::{Said, auc, bins, brier, calibration_error};
use plot::Plot;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

#[derive(Args)]
pub struct Calibrate {
    /// Adapter folders, among those of the settings; the calibration is written into each one's manifest.json.
    #[arg(required = true)]
    adapters: Vec<PathBuf>,
    /// Samples of these adapters' departments.
    #[arg(long, required = true, num_args = 1..)]
    samples: Vec<PathBuf>,
    /// The box's settings (consultd.toml).
    #[arg(long)]
    config: PathBuf,
    /// The program that is asked: `consultd`, beside this one or in PATH.
    #[arg(long = "box")]
    program: Option<PathBuf>,
    /// Where the box's log goes.
    #[arg(long)]
    box_log: Option<PathBuf>,
    /// Cases of each kind for an adapter at most: its own, and others'.
    #[arg(long, default_value_t = 90)]
    cases_max: usize,
    /// Writes the reliability plot, an SVG.
    #[arg(long)]
    plot: Option<PathBuf>,
    /// Prints what it finds and leaves the manifests as they are.
    #[arg(long)]
    dry_run: bool,
}

/// What an adapter is asked, and whether the case is its own department's.
struct Asked {
    adapter: usize,
    own: bool,
    consult: Consult,
}

/// Cases in a bin of the plot; fewer say too little each.
const BIN_CASES: usize = 20;
const BINS_MAX: usize = 10;

impl Calibrate {
    pub fn run(&self) -> Result<(), String> {
        let mut manifests = self.adapters.iter().map(|folder| manifest(folder)).collect::<Result<Vec<_>, _>>()?;
        let mut all = Vec::new();
        for file in &self.samples {
            let set = Dataset::read(std::slice::from_ref(file))?.whole()?;
            all.extend(set.lines.iter().filter_map(|line| line.lesson.consult().cloned()));
        }
        let mut asked = Vec::new();
        for (adapter, manifest) in manifests.iter().enumerate() {
            asked.extend(self.asked(adapter, manifest, &all)?);
        }
        let said = self.said(&asked)?;
        println!(
            "{:<24}{:>6}{:>7}{:>8}{:>12}{:>8}{:>12}",
            "adapter", "cases", "AUC", "ECE", "calibrated", "Brier", "calibrated"
        );
        let (mut raw, mut seen) = (Vec::new(), Vec::new());
        for (adapter, manifest) in manifests.iter_mut().enumerate() {
            let own: Vec<Said> =
                asked.iter().zip(&said).filter(|(a, _)| a.adapter == adapter).filter_map(|(_, s)| *s).collect();
            let (Some(calibration), Some(crossed)) = (fit::fit(&own), fit::crossed(&own)) else {
                return Err(format!("{}: {} answers name no line; more samples are needed", manifest.id, own.len()));
            };
            row(&manifest.id, &own, &crossed);
            manifest.calibration = Some(calibration);
            raw.extend(own);
            seen.extend(crossed);
        }
        row("all", &raw, &seen);
        for (folder, manifest) in self.adapters.iter().zip(&manifests).filter(|_| !self.dry_run) {
            file::replace_json(&folder.join("manifest.json"), manifest)?;
        }
        self.plot.as_deref().map_or(Ok(()), |path| draw(path, &raw, &seen))
    }

    /// Its own cases, and as many of others' as there are of those, spread over all of them.
    fn asked(&self, adapter: usize, manifest: &AdapterManifest, all: &[Sample]) -> Result<Vec<Asked>, String> {
        let (own, others): (Vec<&Sample>, Vec<&Sample>) =
            all.iter().partition(|sample| sample.department == manifest.department);
        let count = own.len().min(others.len()).min(self.cases_max);
        let mut asked = Vec::new();
        for (is_own, samples) in [(true, own), (false, others)] {
            for n in 0..count {
                let sample = samples[n * samples.len() / count];
                let asking = Asking { lang: sample.lang, department: &manifest.department, deadline_s: DEADLINE_S_MAX };
                let (consult, _) =
                    asking.consult(sample.case.clone()).map_err(|fault| format!("{}: {fault}", sample.id))?;
                asked.push(Asked { adapter, own: is_own, consult });
            }
        }
        Ok(asked)
    }

    /// What the model said of each; none where it said nothing.
    fn said(&self, asked: &[Asked]) -> Result<Vec<Option<Said>>, String> {
        let batch = Batch {
            program: self.program.clone().unwrap_or_else(batch::default_program),
            config: &self.config,
            log: self.box_log.as_deref(),
            ask_department: true,
        };
        let consults: Vec<&Consult> = asked.iter().map(|one| &one.consult).collect();
        let mut heard: BTreeMap<RequestId, f32> = BTreeMap::new();
        let mut progress = Progress::begin("requests", asked.len());
        let ended = batch.run(&consults, &Schemas::all(), |_, message: Message| {
            progress.saw(message.ends());
            if let Some(Reply::Answer(answer)) = message.reply
                && let Some(probability) = answer.provenance.department_choice.and_then(|choice| choice.probability)
            {
                heard.insert(answer.id, probability);
            }
            Ok(())
        })?;
        if !ended.success() {
            return Err(format!("{}: {ended}", batch.program.display()));
        }
        let said = |one: &Asked| heard.get(&one.consult.id).map(|p| Said { probability: *p, own: one.own });
        Ok(asked.iter().map(said).collect())
    }
}

fn row(name: &str, raw: &[Said], seen: &[Said]) {
    let error = |said: &[Said]| calibration_error(&binned(said));
    println!(
        "{name:<24}{:>6}{:>7.3}{:>8.3}{:>12.3}{:>8.3}{:>12.3}",
        raw.len(),
        auc(raw),
        error(raw),
        error(seen),
        brier(raw),
        brier(seen)
    );
}

fn binned(said: &[Said]) -> Vec<fit::Bin> {
    bins(said, (said.len() / BIN_CASES).clamp(1, BINS_MAX))
}

fn draw(path: &Path, raw: &[Said], seen: &[Said]) -> Result<(), String> {
    let (before, after) = (binned(raw), binned(seen));
    let errors = [calibration_error(&before), calibration_error(&after)];
    let plot = Plot { raw: &before, calibrated: &after, cases: raw.len(), errors };
    evaluate::write(path, &plot.svg())
}

fn manifest(folder: &Path) -> Result<AdapterManifest, String> {
    file::read_json(&folder.join("manifest.json"))
}
