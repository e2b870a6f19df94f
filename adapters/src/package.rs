//! A trained adapter as the box takes it, if its examination was passed.
//!
//! ```text
//! output_dir ─▶ package/ adapter.gguf    for llama.cpp
//!                        manifest.json   what it is, from what, how good: written from the files, not typed in
//!                        peft/           the same weights for other servers (vLLM, Text Generation Inference)
//!                        gate.html       the examination as a page
//!                        README.md       the model card
//! ```
//! `adapterctl sign` puts `manifest.json.minisig` beside it; the manifest holds the hash of everything else.

mod card;

use crate::{
    file,
    gate::{self, sha256},
    metadata::ReviewPlan,
    train::Run,
};
use adapterctl::{
    combine::counted_samples,
    convert::{self, Architecture, Converted},
};
use clap::Args;
use contract::{
    answer::ReviewState,
    ids::Department,
    manifest::{AdapterManifest, Approval, Covers, Made, ManifestFormat},
};
use engine::gguf::Header;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Packages a training's output for the box. Refused without a passed examination of this very adapter.
#[derive(Args)]
pub struct Package {
    /// The training's output_dir.
    run: PathBuf,
    /// Folder to write; `package` in the output_dir by default.
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    approval: ApprovalArgs,
}

#[derive(Args)]
pub struct ApprovalArgs {
    /// Packages an adapter that has not passed, in this person's name, which stands in the manifest.
    #[arg(long, value_name = "NAME", requires = "reason")]
    approve: Option<String>,
    #[arg(long, value_name = "TEXT", requires = "approve")]
    reason: Option<String>,
}

impl ApprovalArgs {
    fn given(&self) -> Option<Approval> {
        let (by, reason) = (self.approve.as_deref()?.trim(), self.reason.as_deref()?.trim());
        (!by.is_empty() && !reason.is_empty()).then(|| Approval { by: by.to_owned(), reason: reason.to_owned() })
    }
}

pub const ADAPTER_FILE: &str = "adapter.gguf";

impl Package {
    pub fn run(&self) -> Result<(), String> {
        let out = self.out.clone().unwrap_or_else(|| self.run.join("package"));
        package(&self.run, &out, &self.approval)
    }
}

pub fn package(run: &Path, out: &Path, approval: &ApprovalArgs) -> Result<(), String> {
    let made = Run::read(run)?;
    let settings = &made.settings;
    let gate = gate::read(run).map_err(|e| format!("no examination: {e}; adapterctl gate makes one"))?;
    let adapter = run.join(ADAPTER_FILE);
    let converted = convert(&run.join("peft"), &settings.base_model, &adapter)?;
    let held_out = gate::root(&Run::part(run, "held-out")?);
    let (sha, base_sha) = (sha256(&adapter)?, sha256(&settings.base_model)?);
    for (what, examined, now) in [
        ("adapter", &gate.adapter_sha256, &sha),
        ("base model", &gate.base_sha256, &base_sha),
        ("held-out set", &gate.held_out_root, &held_out),
    ] {
        if examined != now {
            return Err(format!(
                "the examination in {} was of another {what}: adapterctl gate makes a new one",
                run.display()
            ));
        }
    }
    let approvals: Vec<Approval> = match (gate.evaluation.passed, approval.given()) {
        (true, _) => Vec::new(),
        (false, Some(approval)) => vec![approval],
        (false, None) => {
            return Err(format!(
                "not packaged, because the examination was not passed:\n  {}\nWhoever knows better says so: --approve NAME --reason TEXT",
                gate.missed().join("\n  ")
            ));
        }
    };
    let manifest = manifest(run, &made, gate, converted, approvals)?;
    file::replace_folder(out, |folder| {
        let copy = |from: PathBuf, to: PathBuf| fs::copy(&from, to).map_err(|e| format!("{}: {e}", from.display()));
        copy(adapter.clone(), folder.join(ADAPTER_FILE))?;
        copy(run.join("gate.html"), folder.join("gate.html"))?;
        fs::create_dir(folder.join("peft")).map_err(|e| e.to_string())?;
        for name in [convert::CONFIG, convert::WEIGHTS] {
            copy(run.join("peft").join(name), folder.join("peft").join(name))?;
        }
        if let Some(made) = &manifest.made {
            file::replace(&folder.join("README.md"), card::card(&manifest, made).as_bytes())?;
        }
        file::replace_json(&folder.join("manifest.json"), &manifest)
    })?;
    println!("{}: {} of {}, {}", out.display(), manifest.id, manifest.department, manifest.sha256);
    Ok(())
}

/// The examination is of this adapter, base and held-out set: its hashes are theirs.
fn manifest(
    run: &Path,
    made: &Run,
    gate: gate::Gate,
    converted: Converted,
    approvals: Vec<Approval>,
) -> Result<AdapterManifest, String> {
    let settings = &made.settings;
    let trained = trained(run, made)?;
    let header = header(&settings.base_model)?;
    let tokenizer = header.tokenizer_sha256(&settings.base_model);
    Ok(AdapterManifest {
        format: ManifestFormat::V1,
        id: settings.id(),
        version: settings.adapter_version.clone(),
        department: Department::new(settings.group()).ok_or("the department or task is no code")?,
        file: ADAPTER_FILE.to_owned(),
        sha256: gate.adapter_sha256,
        base_sha256: gate.base_sha256,
        rank: converted.rank,
        alpha: converted.alpha,
        target_modules: converted.target_modules,
        form_sha256: gate.form_sha256,
        trained_on: BTreeMap::from([(settings.group().to_owned(), trained.samples)]),
        covers: trained.covers,
        urgency_clear_at: None, // to be measured on cases that training has not seen
        calibration: None,      // `adapterctl calibrate` puts it there
        review: if trained.reviewed { ReviewState::PhysicianReviewed } else { ReviewState::NotPhysicianReviewed },
        license: settings.license.clone(),
        note: settings.note.clone(),
        made: Some(Made {
            sequence: settings.sequence,
            daemon_min: env!("CARGO_PKG_VERSION").to_owned(),
            contract: contract::VERSION,
            architecture: converted.architecture.as_str().to_owned(),
            tokenizer_sha256: tokenizer.map_err(|e| format!("{}: {e}", settings.base_model.display()))?,
            base_license: settings.base_license.clone(),
            data_licenses: trained.licenses.into_iter().collect(),
            dataset: made.dataset.clone(),
            trained_root: trained.root,
            held_out_root: gate.held_out_root,
            peft_sha256: sha256(&run.join("peft").join(convert::WEIGHTS))?,
            evaluation: gate.evaluation,
            golden: gate.golden,
            approvals,
        }),
    })
}

/// What is known of the samples behind an adapter.
struct Trained {
    samples: u32,
    covers: Option<Covers>,
    licenses: BTreeSet<String>,
    root: Option<String>,
    reviewed: bool,
}

/// Those that train.py says it has used, out of those that it was given. Of an adapter of several regions there is the
/// number alone, and nobody here knows who reviewed them.
fn trained(run: &Path, made: &Run) -> Result<Trained, String> {
    let (peft, group) = (run.join("peft"), made.settings.group());
    let path = peft.join("trained_ids.json");
    if !path.exists() {
        let samples = counted_samples(&peft).map_err(|e| engine::chain(&e))?;
        let samples =
            samples.ok_or_else(|| format!("{}: neither trained_ids.json nor trained_counts.json", peft.display()))?;
        return Ok(Trained { samples, covers: None, licenses: BTreeSet::new(), root: None, reviewed: false });
    }
    let fault = |e: String| format!("{}: {e}", path.display());
    let ids: BTreeSet<String> = file::read_json(&path)?;
    let mut lessons = Run::part(run, "train")?;
    lessons.retain(|lesson| lesson.group() == group && ids.contains(lesson.id()));
    if lessons.len() != ids.len() || ids.is_empty() {
        return Err(fault(format!("names {} samples, of which {} are in the training part", ids.len(), lessons.len())));
    }
    let cases = lessons.iter().filter_map(|lesson| lesson.consult()).map(|sample| (sample.lang, &sample.case));
    Ok(Trained {
        samples: lessons.len() as u32,
        covers: Some(Covers::of(cases)),
        licenses: lessons.iter().map(|lesson| lesson.license().to_owned()).collect(),
        root: Some(gate::root(&lessons)),
        reviewed: made.review == ReviewPlan::Required && lessons.iter().all(|lesson| lesson.is_reviewed()),
    })
}

/// By what the base model's file says of itself.
pub fn convert(peft: &Path, base: &Path, out: &Path) -> Result<Converted, String> {
    let header = header(base)?;
    let fault = |what: &str| format!("{}: {what}", base.display());
    let word = header.text("general.architecture").ok_or_else(|| fault("names no architecture"))?;
    let architecture: Architecture = word.parse().map_err(|e: convert::ConvertError| fault(&e.to_string()))?;
    let number = |name: &str| {
        let found = header.number(&format!("{word}.attention.{name}")).and_then(|n| u32::try_from(n).ok());
        found.ok_or_else(|| fault(&format!("says no {name}")))
    };
    let heads = match architecture {
        Architecture::Llama => Some((number("head_count")?, number("head_count_kv")?)),
        _ => None,
    };
    convert::convert(peft, architecture, heads, out).map_err(|e| engine::chain(&e))
}

fn header(base: &Path) -> Result<Header, String> {
    Header::read(base).map_err(|e| format!("{}: {}", base.display(), engine::chain(&e)))
}

#[cfg(test)]
mod tests;
