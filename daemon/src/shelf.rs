//! The adapters on disk: their manifests, read and compared with what this box is.

use crate::settings::{EngineSettings, Settings};
use contract::{
    answer::AdapterRef,
    ids::Department,
    manifest::AdapterManifest,
    signed::{SIGNATURE, Trusted},
};
use engine::{fingerprint, prompt::PromptFormat, protocol::AdapterFile};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

#[derive(Debug, Default)]
pub struct Shelf {
    /// For provenance, by department.
    pub departments: BTreeMap<Department, AdapterRef>,
    /// For the worker.
    pub files: Vec<AdapterFile>,
    /// Adapters that were left out, and why.
    pub faults: Vec<String>,
}

/// Reads all adapter folders of the settings. A bad one is left out and named.
pub fn read(settings: &Settings) -> Shelf {
    let mut shelf = Shelf::default();
    for folder in &settings.adapters {
        let taken = manifest(folder, &settings.trusted)
            .and_then(|(manifest, file)| fitting(manifest, file, &settings.engine))
            .and_then(|(manifest, file)| shelf.take(&manifest, file));
        if let Err(fault) = taken {
            shelf.faults.push(format!("{}: {fault}", folder.display()));
        }
    }
    shelf
}

impl Shelf {
    fn take(&mut self, manifest: &AdapterManifest, path: PathBuf) -> Result<(), String> {
        let department = manifest.department.clone();
        if self.departments.contains_key(&department) {
            return Err(format!("a second adapter for {department}"));
        }
        self.departments.insert(department.clone(), reference(manifest));
        self.files.push(AdapterFile { department, path, sha256: manifest.sha256.clone() });
        Ok(())
    }
}

/// Nothing of it is believed before its signature is checked: the hashes in it speak for the other files.
fn manifest(folder: &Path, trusted: &Trusted) -> Result<(AdapterManifest, PathBuf), String> {
    let read = |name: &str| fs::read_to_string(folder.join(name)).map_err(|e| format!("cannot read {name}: {e}"));
    let text = read("manifest.json")?;
    let signature = read(&format!("manifest.json{SIGNATURE}"))?;
    trusted.check(text.as_bytes(), &signature).map_err(|fault| format!("manifest.json: {fault}"))?;
    let manifest: AdapterManifest = serde_json::from_str(&text).map_err(|e| format!("manifest.json: {e}"))?;
    let file = folder.join(manifest.file_name().map_err(|fault| format!("manifest.json: {fault}"))?);
    match engine::file_sha256(&file) {
        Ok(found) if found == manifest.sha256 => Ok((manifest, file)),
        Ok(found) => Err(format!("{} has SHA-256 {found}, its manifest says {}", manifest.file, manifest.sha256)),
        Err(e) => Err(format!("cannot read {}: {e}", manifest.file)),
    }
}

/// llama.cpp loads an adapter onto any model of the same shape without a word; so the comparison is ours.
fn fitting(
    manifest: AdapterManifest,
    file: PathBuf,
    engine: &EngineSettings,
) -> Result<(AdapterManifest, PathBuf), String> {
    let format = match engine {
        EngineSettings::Llama(llama) if llama.model_sha256 != manifest.base_sha256 => {
            return Err(format!("made for another base model (SHA-256 {})", manifest.base_sha256));
        }
        EngineSettings::Llama(llama) => llama.prompt_format,
        EngineSettings::Scripted(_) => PromptFormat::default(), // reads no prompt; the demo adapters' own
    };
    if manifest.form_sha256 != fingerprint::of(format) {
        return Err("trained with another form, prompt or prompt format than this daemon's".to_owned());
    }
    Ok((manifest, file))
}

fn reference(manifest: &AdapterManifest) -> AdapterRef {
    AdapterRef {
        id: manifest.id.clone(),
        version: manifest.version.clone(),
        sha256: manifest.sha256.clone(),
        trained_on: manifest.trained_on.clone(),
        covers: manifest.covers,
        urgency_clear_at: manifest.urgency_clear_at,
        calibration: manifest.calibration,
        review: manifest.review,
    }
}
