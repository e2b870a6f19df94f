//! `adapterctl train`: from reviewed samples to a package, with one command and one file.
//!
//! ```text
//! check ─ split ─ render ─ count ─ train (Python) ─ convert ─ gate ─ package
//!
//! output_dir/  settings.json          the settings, resolved
//!              data/  rows/           samples and training texts of each part
//!              peft/                  train.py's: weights, training.json, runs/ for TensorBoard, checkpoint/
//!              adapter.gguf  gate.json  gate.html
//!              package/               what a box takes
//! ```
//! Each step writes as a whole or not at all, and a training that was cut goes on from its checkpoint.

use crate::{
    check::{check, length},
    dataset::{Dataset, Lesson, Line},
    feedback::PAIRS_MIN,
    file, gate,
    metadata::{Metadata, ReviewPlan},
    package,
    render::Renderer,
    settings::{PREFERENCE, Settings},
    split,
};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Trains an adapter: check, split, render, train, convert, examine, package. One YAML file says all (adapters/README.md).
///
/// What was cut off goes on where it was: say the same command again. Python and PyTorch (3 GB) are fetched into a folder
/// of their own at the first training, unless --python names one that has them.
#[derive(Args)]
pub struct Train {
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// In place of the file's output_dir.
    #[arg(long, value_name = "FOLDER")]
    output_dir: Option<PathBuf>,
    /// A Python that has the packages of adapters/train/requirements.txt.
    #[arg(long, env = "CONSULTD_TRAIN_PYTHON", value_name = "PROGRAM")]
    python: Option<PathBuf>,
    /// Begins anew where an earlier training with other settings or data left its checkpoint.
    #[arg(long)]
    restart: bool,
    /// Ends before the training: checks, splits, renders and counts only.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    exam: gate::ExamArgs,
    #[command(flatten)]
    approval: package::ApprovalArgs,
}

impl Train {
    pub fn run(&self) -> Result<(), String> {
        let mut settings = Settings::read(&self.config)?;
        if let Some(output_dir) = &self.output_dir {
            settings.output_dir =
                std::path::absolute(output_dir).map_err(|e| format!("{}: {e}", output_dir.display()))?;
        }
        let metadata = Metadata::read(&settings.metadata_path)?;
        let renderer = Renderer::new(settings.prompt_format, settings.form_path.as_deref())?;
        let run = &settings.output_dir;
        fs::create_dir_all(run).map_err(|e| format!("{}: {e}", run.display()))?;

        step("check");
        let set = Dataset::read(std::slice::from_ref(&settings.train_data_dir))?;
        let checked = check(&set, None, &metadata);
        print!("{}", checked.table(&metadata, false));
        if checked.refused() {
            return Err("the data set is refused, and nothing was trained".to_owned());
        }
        let set = set.whole()?;

        step("split");
        let lock_path = settings.train_data_dir.join(split::LOCK);
        let before = split::Lock::read(&lock_path)?;
        let (parts, lock) = split::split(&set, &before, settings.held_out_percent, settings.validation_percent)?;
        split::write(&set, &parts, &run.join("data"))?;
        if lock != before {
            split::keep(&lock_path, &lock)?;
        }
        print!("{}", split::table(&set, &parts));
        let pairs = settings.task_type == PREFERENCE;
        let own = |part: &[usize]| -> Vec<&Line> {
            let lines = part.iter().map(|at| &set.lines[*at]);
            let of_it = lines.filter(|line| line.lesson.group() == settings.group());
            // A rejected answer with somebody's better one beside it is a pair.
            of_it.filter(|line| line.lesson.is_taught() || pairs && line.lesson.is_pair()).collect()
        };
        let (train, validation) = (own(&parts.train), own(&parts.validation));
        enough(&settings, &train)?;

        step("render");
        for (name, part) in [("train", &train), ("validation", &validation)] {
            write_rows(&renderer, part, pairs, &run.join("rows").join(format!("{name}.jsonl")))?;
        }
        keep_settings(&settings, &metadata, run)?;
        let texts = [&train[..], &validation[..]].concat();
        let lengths =
            length::of(&set, &texts, &renderer, &settings.base_model, &self.exam.engine, settings.max_seq_length)?;
        println!("longest text: {} tokens of {}", lengths.longest, settings.max_seq_length);
        if !lengths.findings.is_empty() {
            return Err(format!("max_seq_length would cut samples:\n{}", lengths.told()));
        }
        if self.dry_run {
            return Ok(());
        }

        step("train");
        let python = match &self.python {
            Some(python) => python.clone(),
            None => environment()?,
        };
        train_py(&python, run, self.restart)?;

        step("convert");
        let converted = package::convert(&run.join("peft"), &settings.base_model, &run.join(package::ADAPTER_FILE))?;
        println!("{} tensors, rank {}, {}", converted.tensors, converted.rank, converted.target_modules.join(", "));

        step("examine");
        let gate = gate::examine(run, &self.exam)?;
        print!("{}", gate::table::table(&gate));
        println!("{}", run.join("gate.html").display());

        step("package");
        package::package(run, &run.join("package"), &self.approval)
    }
}

fn step(name: &str) {
    eprintln!("\n— {name}");
}

fn enough(settings: &Settings, train: &[&Line]) -> Result<(), String> {
    if train.is_empty() {
        return Err(format!("no sample of {} is left to train on", settings.group()));
    }
    if settings.task_type == PREFERENCE {
        let pairs = train.iter().filter(|line| line.lesson.is_pair()).count();
        if pairs < PAIRS_MIN {
            return Err(format!(
                "preference needs {PAIRS_MIN} before/after pairs, and there are {pairs}: train with task_type: consult until then"
            ));
        }
    }
    Ok(())
}

fn write_rows(renderer: &Renderer, lines: &[&Line], pairs: bool, path: &Path) -> Result<(), String> {
    let mut text = String::new();
    for line in lines {
        for row in renderer.rows(&line.lesson, pairs)? {
            text.push_str(&serde_json::to_string(&row).map_err(|e| e.to_string())?);
            text.push('\n');
        }
    }
    fs::create_dir_all(path.parent().expect("a file in a folder")).map_err(|e| format!("{}: {e}", path.display()))?;
    file::replace(path, text.as_bytes())
}

/// For train.py and for the steps behind it, which may be run again by themselves.
fn keep_settings(settings: &Settings, metadata: &Metadata, run: &Path) -> Result<(), String> {
    let kept = Run { settings: settings.clone(), dataset: metadata.name.clone(), review: metadata.review };
    file::replace_json(&run.join("settings.json"), &kept)
}

/// `settings.json` of a training's folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    #[serde(flatten)]
    pub settings: Settings,
    pub dataset: String,
    pub review: ReviewPlan,
}

impl Run {
    pub fn read(run: &Path) -> Result<Self, String> {
        let path = run.join("settings.json");
        let text = fs::read_to_string(&path)
            .map_err(|e| format!("{}: {e} (is it a training's output_dir?)", path.display()))?;
        serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))
    }

    /// The samples of one part, as they were split.
    pub fn part(run: &Path, name: &str) -> Result<Vec<Lesson>, String> {
        let set = Dataset::read(&[run.join("data").join(format!("{name}.jsonl"))])?.whole()?;
        Ok(set.lines.into_iter().map(|line| line.lesson).collect())
    }
}

const TRAIN_PY: &str = include_str!("../train/train.py");
const REQUIREMENTS: &str = include_str!("../train/requirements.txt");

/// A virtual environment with PyTorch, made once: outside every checkout, and in nobody's way.
fn environment() -> Result<PathBuf, String> {
    let cache = std::env::var_os("CONSULTD_CACHE").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/consultd"));
    let folder = cache
        .or_else(home)
        .ok_or("neither CONSULTD_CACHE nor HOME says where Python's packages may go; give --python")?;
    let venv = folder.join("train-venv");
    let (python, made) = (venv.join("bin/python"), venv.join("requirements.txt"));
    if fs::read_to_string(&made).is_ok_and(|text| text == REQUIREMENTS) {
        return Ok(python);
    }
    eprintln!("adapterctl: fetching PyTorch and its companions (3 GB) into {}; once", venv.display());
    fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let wanted = folder.join("train-requirements.txt");
    file::replace(&wanted, REQUIREMENTS.as_bytes())?;
    run(
        Command::new("python3").args(["-m", "venv"]).arg(&venv),
        "python3 cannot make a venv; on Debian: apt-get install python3-venv",
    )?;
    run(
        Command::new(&python).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&wanted),
        "pip could not fetch the packages",
    )?;
    file::replace(&made, REQUIREMENTS.as_bytes())?;
    Ok(python)
}

fn train_py(python: &Path, run_folder: &Path, restart: bool) -> Result<(), String> {
    let (script, out) = (run_folder.join("train.py"), run_folder.join("peft"));
    file::replace(&script, TRAIN_PY.as_bytes())?;
    let checkpoint = out.join("checkpoint");
    if restart && checkpoint.exists() {
        fs::remove_dir_all(&checkpoint).map_err(|e| format!("{}: {e}", checkpoint.display()))?;
    }
    let mut command = Command::new(python);
    command.arg(&script).arg("--settings").arg(run_folder.join("settings.json"));
    command.arg("--rows").arg(run_folder.join("rows")).arg("--out").arg(&out);
    if checkpoint.exists() {
        command.arg("--resume");
    }
    run(
        &mut command,
        "the training ended early; the same command goes on from its last checkpoint, --restart begins anew",
    )
}

fn run(command: &mut Command, hint: &str) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{hint} ({status})")),
        Err(e) => Err(format!("{}: {e}: {hint}", command.get_program().to_string_lossy())),
    }
}
