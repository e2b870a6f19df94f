//! A trained adapter as the box takes it: `adapter.gguf` and `manifest.json` in one folder.

use crate::samples;
use adapterctl::{
    combine::counted_samples,
    convert::{Architecture, convert},
};
use clap::Args;
use contract::{
    answer::ReviewState,
    ids::Department,
    manifest::{AdapterManifest, Covers, ManifestFormat},
    sample::Sample,
};
use engine::prompt::PromptFormat;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{File, create_dir_all},
    io::Write,
    path::{Path, PathBuf},
};

#[derive(Args)]
pub struct Package {
    /// PEFT folder with adapter_config.json and adapter_model.safetensors.
    peft: PathBuf,
    /// Folder to write; made if it is not there.
    out: PathBuf,
    /// The samples that it was trained from. Counted per department are those that training has used:
    /// the PEFT folder's trained_ids.json names them. Left out for an adapter of several regions, whose samples nobody
    /// has together: its trained_counts.json says how many they are.
    #[arg(long)]
    samples: Option<PathBuf>,
    #[arg(long)]
    department: String,
    #[arg(long)]
    id: String,
    #[arg(long = "adapter-version")]
    version: String,
    /// The base model's GGUF file that it was trained on.
    #[arg(long)]
    base: PathBuf,
    /// llama, qwen2, qwen3 or gemma3.
    #[arg(long, value_parser = |word: &str| word.parse::<Architecture>().map_err(|e| e.to_string()))]
    architecture: Architecture,
    /// The prompt format that its training text was rendered in.
    #[arg(long, default_value = "plain", value_parser = crate::prompt_format)]
    format: PromptFormat,
    /// Attention heads and key-value heads; for llama only.
    #[arg(long, num_args = 2, value_names = ["HEADS", "KV_HEADS"])]
    heads: Option<Vec<u32>>,
    #[arg(long)]
    license: String,
    #[arg(long)]
    note: String,
}

const ADAPTER_FILE: &str = "adapter.gguf";

impl Package {
    pub fn run(&self) -> Result<(), String> {
        let department = Department::new(&self.department).ok_or("department is a code, such as internal")?;
        let Trained { on, covers, reviewed } = match &self.samples {
            Some(file) => Trained::of(&self.trained_samples(file)?),
            None => self.trained_elsewhere()?,
        };
        create_dir_all(&self.out).map_err(|e| format!("{}: {e}", self.out.display()))?;
        let file = self.out.join(ADAPTER_FILE);
        let heads = self.heads.as_ref().map(|heads| (heads[0], heads[1]));
        let converted = convert(&self.peft, self.architecture, heads, &file).map_err(|e| engine::chain(&e))?;
        let manifest = AdapterManifest {
            format: ManifestFormat::V1,
            id: self.id.clone(),
            version: self.version.clone(),
            department,
            file: ADAPTER_FILE.to_owned(),
            sha256: sha256(&file)?,
            base_sha256: sha256(&self.base)?,
            rank: converted.rank,
            alpha: converted.alpha,
            target_modules: converted.target_modules,
            form_sha256: engine::fingerprint::of(self.format),
            trained_on: on,
            covers,
            urgency_clear_at: None, // to be measured on cases that training has not seen
            calibration: None,      // `adapterctl calibrate` puts it there
            review: if reviewed { ReviewState::PhysicianReviewed } else { ReviewState::NotPhysicianReviewed },
            license: self.license.clone(),
            note: self.note.clone(),
        };
        write(&self.out.join("manifest.json"), &manifest)?;
        println!("{}: {} tensors, rank {}, {}", file.display(), converted.tensors, converted.rank, manifest.sha256);
        Ok(())
    }

    fn trained_samples(&self, file: &Path) -> Result<Vec<Sample>, String> {
        let path = self.peft.join("trained_ids.json");
        let fault = |e: String| format!("{}: {e}", path.display());
        let text = std::fs::read_to_string(&path).map_err(|e| fault(e.to_string()))?;
        let ids: BTreeSet<String> = serde_json::from_str(&text).map_err(|e| fault(e.to_string()))?;
        let mut trained = samples(file)?;
        trained.retain(|sample| ids.contains(&sample.id));
        if let Some(other) = trained.iter().find(|sample| *sample.department != *self.department) {
            return Err(format!("{} is a sample of {}, not of {}", other.id, other.department, self.department));
        }
        if trained.len() == ids.len() {
            Ok(trained)
        } else {
            Err(fault(format!("names {} samples, of which {} are in the samples file", ids.len(), trained.len())))
        }
    }

    fn trained_elsewhere(&self) -> Result<Trained, String> {
        let samples = counted_samples(&self.peft).map_err(|e| engine::chain(&e))?;
        let samples = samples.ok_or("--samples is needed: the PEFT folder has no trained_counts.json")?;
        Ok(Trained { on: [(self.department.clone(), samples)].into(), covers: None, reviewed: false })
    }
}

/// Of samples that are not here it is not known of whom they were, nor whether a doctor has seen them.
struct Trained {
    on: BTreeMap<String, u32>,
    covers: Option<Covers>,
    reviewed: bool,
}

impl Trained {
    fn of(samples: &[Sample]) -> Self {
        let mut on = BTreeMap::new();
        for sample in samples {
            *on.entry(sample.department.to_string()).or_insert(0) += 1;
        }
        let covers = Some(Covers::of(samples.iter().map(|sample| (sample.lang, &sample.case))));
        let reviewed = !samples.is_empty() && samples.iter().all(|sample| sample.review.by.is_some());
        Self { on, covers, reviewed }
    }
}

fn sha256(path: &Path) -> Result<String, String> {
    engine::file_sha256(path).map_err(|e| format!("{}: {e}", path.display()))
}

pub fn write(path: &Path, manifest: &AdapterManifest) -> Result<(), String> {
    let mut text = serde_json::to_string_pretty(manifest).map_err(|e| e.to_string())?;
    text.push('\n');
    let written =
        File::create(path).and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|e| format!("{}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use contract::manifest::{ByAge, ByLang};

    /// Training held nine of ninety samples back, and which ones is gone with its folder: so the counts are held between
    /// what there is and what there is less nine.
    #[test]
    fn the_demonstration_manifests_count_the_samples_that_are_there() {
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo");
        for department in ["internal", "obstetrics", "pediatrics"] {
            let manifest = std::fs::read_to_string(demo.join(department).join("manifest.json")).expect("a manifest");
            let manifest: AdapterManifest = serde_json::from_str(&manifest).expect("ours");
            let all = samples(&demo.join("data").join(format!("{department}.jsonl"))).expect("samples");
            let there = counts(&Covers::of(all.iter().map(|sample| (sample.lang, &sample.case))));
            let trained = counts(&manifest.covers.expect("counted"));
            let held_back = all.len() as u32 - manifest.trained_on[department];
            let fits = |(trained, there): (&u32, &u32)| (there.saturating_sub(held_back)..=*there).contains(trained);
            assert!(trained.iter().zip(&there).all(fits), "{department}: {trained:?} of {there:?}");
            assert_eq!(
                trained[0] + trained[1],
                manifest.trained_on[department],
                "{department}: each sample has a language"
            );
        }
    }

    #[test]
    fn of_samples_that_are_elsewhere_their_number_is_known_and_no_more() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let arguments = "package PEFT OUT --department internal --id id --adapter-version 1 --base base.gguf \
                         --architecture gemma3 --license none --note none";
        let Ok(crate::Cli { command: crate::Command::Package(mut package) }) =
            crate::Cli::try_parse_from(std::iter::once("adapterctl").chain(arguments.split_whitespace()))
        else {
            panic!("--samples is not needed");
        };
        package.peft = folder.path().to_owned();
        let refused = package.trained_elsewhere().err().expect("nothing says how many");
        assert!(refused.starts_with("--samples is needed"));
        let counts = File::create(folder.path().join("trained_counts.json"));
        counts.and_then(|mut file| file.write_all(br#"{"samples": 81}"#)).expect("room");
        let trained = package.trained_elsewhere().expect("a count");
        assert_eq!(trained.on, [("internal".to_owned(), 81)].into());
        assert!(trained.covers.is_none() && !trained.reviewed);
    }

    fn counts(covers: &Covers) -> [u32; 7] {
        let Covers { lang: ByLang { zh, en }, age, pregnant } = *covers;
        let ByAge { infants, children, adults, elderly } = age;
        [zh, en, infants, children, adults, elderly, pregnant]
    }
}
