//! The YAML file of a training, with the keys that other trainers have taught people. Unknown keys are refused; paths
//! count from the file's own folder.

use crate::yaml;
use clap::ValueEnum;
use contract::ids::Department;
use engine::prompt::PromptFormat;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Folder with JSONL files of samples, those of other departments among them: the gate asks them all.
    pub train_data_dir: PathBuf,
    pub metadata_path: PathBuf,
    /// The GGUF file that the box runs.
    pub base_model: PathBuf,
    pub output_dir: PathBuf,
    /// `consult`, `preference`, or the task of the form in `form_path`.
    #[serde(default = "consult")]
    pub task_type: String,
    /// Whose adapter it becomes. Of the data set, its samples are taught.
    pub department: Option<Department>,
    pub form_path: Option<PathBuf>,
    #[serde(default)]
    pub prompt_format: PromptFormat,

    #[serde(default = "lora_rank")]
    pub lora_rank: u32,
    #[serde(default = "lora_alpha")]
    pub lora_alpha: f64,
    #[serde(default = "target_modules")]
    pub target_modules: Vec<String>,
    #[serde(default = "dropout")]
    pub dropout: f64,
    #[serde(default = "batch_size")]
    pub batch_size: u32,
    #[serde(default = "one")]
    pub gradient_accumulation_steps: u32,
    /// Passes over the training samples; each pass shows a consultation four times, another section behind its causes each.
    #[serde(default = "epochs")]
    pub epochs: f64,
    #[serde(default = "learning_rate")]
    pub learning_rate: f64,
    /// In tokens. A sample that is longer is refused, not cut.
    #[serde(default = "max_seq_length")]
    pub max_seq_length: u32,
    #[serde(default = "every")]
    pub save_steps: u32,
    #[serde(default = "every")]
    pub eval_steps: u32,
    /// Evaluations without a better one; 0: never.
    #[serde(default = "patience")]
    pub early_stopping_patience: u32,
    #[serde(default = "warmup_ratio")]
    pub warmup_ratio: f64,
    #[serde(default)]
    pub weight_decay: f64,
    #[serde(default = "seed")]
    pub seed: u64,
    #[serde(default)]
    pub device: Device,
    /// PEFT folder to start from: another region's, or what `adapterctl init` made.
    pub init: Option<PathBuf>,
    /// Of an `init`, A stays as it is: adapters of several regions can then be added without loss.
    #[serde(default)]
    pub freeze_a: bool,
    /// Weight of the difference between before and after; for `preference`.
    #[serde(default = "beta")]
    pub beta: f64,

    #[serde(default = "ten")]
    pub held_out_percent: f64,
    #[serde(default = "ten")]
    pub validation_percent: f64,

    /// By default `<output folder's name>`.
    pub adapter_id: Option<String>,
    #[serde(default = "version")]
    pub adapter_version: String,
    /// Counts up with each adapter of this department; a box never goes back below one that it has seen.
    #[serde(default = "sequence")]
    pub sequence: u64,
    pub license: String,
    pub base_license: String,
    #[serde(default)]
    pub note: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    #[default]
    Auto,
    Cpu,
    Cuda,
    Mps,
}

pub const CONSULT: &str = "consult";
pub const PREFERENCE: &str = "preference";

fn consult() -> String {
    CONSULT.to_owned()
}
fn lora_rank() -> u32 {
    8
}
fn lora_alpha() -> f64 {
    16.0
}
/// All linear ones: what fewer would cost and save has not been measured yet.
fn target_modules() -> Vec<String> {
    ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"].map(str::to_owned).to_vec()
}
fn dropout() -> f64 {
    0.05
}
fn batch_size() -> u32 {
    4
}
fn one() -> u32 {
    1
}
fn epochs() -> f64 {
    1.0
}
fn learning_rate() -> f64 {
    5e-4
}
fn max_seq_length() -> u32 {
    1024
}
fn every() -> u32 {
    20
}
fn patience() -> u32 {
    3
}
fn warmup_ratio() -> f64 {
    0.05
}
fn seed() -> u64 {
    7
}
fn beta() -> f64 {
    0.1
}
fn ten() -> f64 {
    10.0
}
fn version() -> String {
    "1".to_owned()
}
fn sequence() -> u64 {
    1
}

impl Settings {
    pub fn read(path: &Path) -> Result<Self, String> {
        let mut settings: Self = yaml::read(path)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        for own in [
            &mut settings.train_data_dir,
            &mut settings.metadata_path,
            &mut settings.base_model,
            &mut settings.output_dir,
        ] {
            *own = folder.join(home(own));
        }
        for own in [&mut settings.form_path, &mut settings.init].into_iter().flatten() {
            *own = folder.join(home(own));
        }
        let faults = settings.faults();
        match faults.is_empty() {
            true => Ok(settings),
            false => Err(format!("{}:\n  {}", path.display(), faults.join("\n  "))),
        }
    }

    pub fn is_consultation(&self) -> bool {
        [CONSULT, PREFERENCE].contains(&self.task_type.as_str())
    }

    /// What it is of: the department or the task.
    pub fn group(&self) -> &str {
        self.department.as_ref().filter(|_| self.is_consultation()).map_or(&self.task_type, |department| department)
    }

    pub fn id(&self) -> String {
        let folder = || self.output_dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.adapter_id.clone().unwrap_or_else(folder)
    }

    /// All that is wrong with it, at once.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut must = |holds: bool, what: &str| {
            if !holds {
                faults.push(what.to_owned());
            }
        };
        let within = |value: f64, low: f64, high: f64| (low..=high).contains(&value);
        must(
            self.is_consultation() == self.department.is_some(),
            "department: needed for consult and preference, and for nothing else",
        );
        must(
            self.is_consultation() == self.form_path.is_none(),
            "form_path: a task other than consult and preference needs its form",
        );
        must((1..=256).contains(&self.lora_rank), "lora_rank is 1 to 256");
        must(
            self.lora_alpha > 0.0 && self.lora_alpha.is_finite(),
            "lora_alpha is above 0 (llama.cpp reads 0 as: do not scale)",
        );
        must(within(self.dropout, 0.0, 0.9), "dropout is 0 to 0.9");
        must((1..=1024).contains(&self.batch_size), "batch_size is 1 to 1024");
        must((1..=1024).contains(&self.gradient_accumulation_steps), "gradient_accumulation_steps is 1 to 1024");
        must(within(self.epochs, 0.01, 1000.0), "epochs is 0.01 to 1000");
        must(within(self.learning_rate, 1e-8, 0.1), "learning_rate is 1e-8 to 0.1");
        must((16..=32_768).contains(&self.max_seq_length), "max_seq_length is 16 to 32768 tokens");
        must(self.save_steps > 0 && self.eval_steps > 0, "save_steps and eval_steps are 1 or more");
        must(within(self.warmup_ratio, 0.0, 1.0), "warmup_ratio is 0 to 1");
        must(within(self.weight_decay, 0.0, 1.0), "weight_decay is 0 to 1");
        must(within(self.beta, 0.0, 10.0), "beta is 0 to 10");
        must(
            within(self.held_out_percent, 1.0, 49.0),
            "held_out_percent is 1 to 49: an adapter that nothing examines is not packaged",
        );
        must(within(self.validation_percent, 0.0, 49.0), "validation_percent is 0 to 49");
        must(!self.target_modules.is_empty(), "target_modules names none");
        for module in &self.target_modules {
            must(
                MODULES.contains(&module.as_str()),
                &format!("target_modules: {module} is none of {}", MODULES.join(", ")),
            );
        }
        must(!self.freeze_a || self.init.is_some(), "freeze_a: of no init");
        must(!self.license.trim().is_empty(), "license is empty");
        must(!self.base_license.trim().is_empty(), "base_license is empty");
        must(self.sequence > 0, "sequence counts from 1");
        faults
    }
}

const MODULES: [&str; 7] = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

/// `~/` is the shell's, and people write it into files all the same.
fn home(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), std::env::var_os("HOME")) {
        (Ok(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &str) -> Result<Settings, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("train.yaml");
        let text = format!(
            "train_data_dir: data\nmetadata_path: data/metadata.yaml\nbase_model: base.gguf\noutput_dir: out/internal\n\
             license: MIT\nbase_license: Gemma\n{more}\n"
        );
        std::io::Write::write_all(&mut std::fs::File::create(&path).expect("creates"), text.as_bytes())
            .expect("writes");
        let mut settings = Settings::read(&path)?;
        settings.output_dir = settings.output_dir.strip_prefix(folder.path()).expect("beside the file").to_owned();
        Ok(settings)
    }

    #[test]
    fn the_usual_keys_are_read_and_paths_count_from_the_file() {
        let settings =
            read("department: internal\nlearning_rate: 2e-4\nlora_rank: 16\nepochs: 3\nsave_steps: 50").expect("reads");
        assert_eq!((settings.learning_rate, settings.lora_rank, settings.epochs), (2e-4, 16, 3.0));
        assert_eq!((settings.id(), settings.group()), ("internal".to_owned(), "internal"));
        assert_eq!(settings.output_dir, Path::new("out/internal"));
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let said = read("lora_rank: 0\ndropout: 2\ntarget_modules: [q_proj, embed_tokens]").expect_err("faults");
        for word in ["department", "lora_rank", "dropout", "embed_tokens"] {
            assert!(said.contains(word), "{word}: {said}");
        }
        assert!(read("department: internal\ntask_type: report").expect_err("both").contains("form_path"));
        assert!(read("department: internal\nlearning_rate: “2e-4”").expect_err("curly").contains("curly"));
        assert!(read("department: internal\nlearning_rat: 2e-4").expect_err("unknown").contains("learning_rat"));
        assert!(read("department: internal\nlora_rank: 8.5").is_err());
        assert!(read("department: internal\nlearning_rate: .nan").is_err());
    }
}
