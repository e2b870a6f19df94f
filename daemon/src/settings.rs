//! The settings file. Every fault is reported at once, so that a technician on the telephone needs one round;
//! a key that nobody reads is a fault, because a setting accepted and ignored is a lie.
//! Knows nothing of the other files here: `tests/fuzz/targets` reads it as its own.

use age::x25519::Recipient;
use contract::{
    ids::TabletName,
    signed::{self, PublicKey, Trusted},
};
use engine::{
    prompt::PromptFormat,
    protocol::{Branching, JOBS_MAX, Residency, Script},
};
use serde::de::DeserializeOwned;
use std::{
    fmt, fs,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};
use toml::{Table, Value};

pub const DEFAULT_PATH: &str = "/etc/consultd/consultd.toml";

#[derive(Debug, Clone)]
pub struct Settings {
    /// Shown in every answer's provenance.
    pub name: String,
    /// Everything the box must not forget.
    pub state_dir: PathBuf,
    pub broker_socket: PathBuf,
    pub engine: EngineSettings,
    /// Folders with `manifest.json` and the adapter's file, one per department.
    pub adapters: Vec<PathBuf>,
    /// Who may have made them.
    pub trusted: Trusted,
    /// Rules instead of the built-in ones, replaced while the box runs.
    pub rules: Option<PathBuf>,
    /// The region's age keys, to which training candidates are encrypted.
    pub recipients: Vec<Recipient>,
    pub retention: Retention,
    pub queue_max: usize,
    pub tablet_max: usize,
    pub per_minute_max: u32,
    /// Names that may give orders on `consult/1/admin/<name>`.
    pub admins: Vec<TabletName>,
    pub deaths_max: u32,
    pub attempts_max: u32,
    /// A worker silent for longer while it has work is ended.
    pub silence_s_max: u64,
}

/// How long a case is kept; what is kept when is told in `store/keep.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    pub answers_s: u64,
    pub others_s: u64,
    /// Of the store's live pages.
    pub bytes_max: Option<u64>,
}

#[derive(Debug, Clone)]
pub enum EngineSettings {
    Llama(LlamaSettings),
    Scripted(ScriptedSettings),
}

#[derive(Debug, Clone)]
pub struct ScriptedSettings {
    pub script: Script,
    pub jobs_max: usize,
}

#[derive(Debug, Clone)]
pub struct LlamaSettings {
    pub model: PathBuf,
    pub model_sha256: String,
    pub prompt_format: PromptFormat,
    pub context_tokens: u32,
    pub contexts_max: usize,
    pub jobs_max: usize,
    pub branches: Branching,
    pub residency: Residency,
    pub memory_mb_max: Option<u64>,
    pub threads: u32,
    pub nice: i32,
    pub gpu_layers: u32,
    pub devices: Vec<String>,
}

/// All that is wrong with the settings.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Faults(pub Vec<String>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0.len() == 1 { "" } else { "s" };
        write!(f, "{} fault{plural} in the settings", self.0.len())?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  - {fault}"))
    }
}

pub fn load(path: &Path) -> Result<Settings, Faults> {
    let text = fs::read_to_string(path).map_err(|e| Faults(vec![format!("cannot read {}: {e}", path.display())]))?;
    parse(&text)
}

pub fn parse(text: &str) -> Result<Settings, Faults> {
    let table: Table = text.parse().map_err(|e: toml::de::Error| Faults(vec![e.to_string().trim().to_owned()]))?;
    let mut faults = Faults::default();
    let mut root = Section { name: String::new(), table, faults: &mut faults };

    let settings = root.section("box", |s| {
        (s.name("name", "consultd"), s.path("state_dir", Some("/var/lib/consultd")), s.names("admins"))
    });
    let broker_socket = root.section("broker", |s| s.path("socket", Some("/run/consultd/mqtt.sock")));
    let (engine, silence_s_max) = root.section("engine", |s| (engine(s), s.number("silence_s_max", 60, 5..=3600)));
    let (adapters, trusted) = root.section("adapters", |s| {
        let demonstration = s.value("demonstration", "true or false").unwrap_or(false);
        (s.paths("folders"), Trusted::new(s.keys("keys"), demonstration))
    });
    let rules = root.section("rules", |s| s.optional_path("folder"));
    let recipients = root.section("export", |s| s.recipients("recipients"));
    let retention = root.section("retention", |s| Retention {
        answers_s: s.number("answers_years", 15, 1..=200) * 31_557_600, // of 365.25 days
        others_s: s.number("others_days", 365, 30..=73_000) * 86_400,
        bytes_max: s.optional_number("size_mb_max", 64..=1 << 30).map(|mb| mb << 20),
    });
    let queue = root.section("queue", |s| {
        // Two deaths at least: the first is shared by all that were open, and convicts nobody.
        let queue_max = s.number("queue_max", 32, 1..=10_000);
        let tablet_max = s.number("tablet_max", (queue_max / 4).max(4), 1..=10_000);
        let per_minute_max = s.number("per_minute_max", 60, 1..=60_000);
        (queue_max, s.number("deaths_max", 2, 2..=10), s.number("attempts_max", 5, 1..=100), tablet_max, per_minute_max)
    });
    root.finish();

    match (faults.0.is_empty(), settings, broker_socket, engine, adapters, queue) {
        (true, (name, Some(state_dir), admins), Some(broker_socket), Some(engine), adapters, queue) => Ok(Settings {
            name,
            state_dir,
            broker_socket,
            engine,
            adapters,
            trusted,
            rules,
            recipients,
            retention,
            queue_max: queue.0 as usize,
            tablet_max: queue.3 as usize,
            per_minute_max: queue.4 as u32,
            admins,
            deaths_max: queue.1 as u32,
            attempts_max: queue.2 as u32,
            silence_s_max,
        }),
        _ => Err(faults),
    }
}

fn engine(s: &mut Section) -> Option<EngineSettings> {
    match s.text("kind", "llama").as_str() {
        "llama" => {
            let model = s.path("model", None);
            let model_sha256 = s.text("model_sha256", "");
            if model_sha256.len() != 64 || !model_sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                s.fault("model_sha256", "must be the model file's SHA-256: 64 lower-case hexadecimal digits");
            }
            let cores = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
            // Read before the model's absence can end the reading: every fault is reported at once.
            let llama = LlamaSettings {
                model: PathBuf::new(),
                model_sha256,
                prompt_format: s.value("prompt_format", "plain, chat_ml, gemma or llama3").unwrap_or_default(),
                context_tokens: s.number("context_tokens", 8192, 1920..=131_072) as u32,
                contexts_max: s.number("contexts_max", 8, 1..=64) as usize,
                jobs_max: s.number("jobs_max", 8, 1..=JOBS_MAX as u64) as usize,
                branches: s.value("branches", "causes_first, all_at_once or sequential").unwrap_or_default(),
                residency: s.value("residency", "contexts or epochs").unwrap_or_default(),
                memory_mb_max: s.optional_number("memory_mb_max", 256..=1 << 22),
                threads: s.number("threads", cores, 1..=256) as u32,
                nice: s.number("nice", 10, 0..=19) as i32,
                gpu_layers: s.number("gpu_layers", 999, 0..=9999) as u32,
                devices: s.value("devices", "a list of device names").unwrap_or_default(),
            };
            Some(EngineSettings::Llama(LlamaSettings { model: model?, ..llama }))
        }
        "scripted" => {
            let script = s.value::<Script>("script", "a table of the scripted engine").unwrap_or_default();
            let jobs_max = s.number("jobs_max", 1, 1..=JOBS_MAX as u64) as usize;
            Some(EngineSettings::Scripted(ScriptedSettings { script, jobs_max }))
        }
        other => {
            s.fault("kind", &format!("is \"{other}\"; must be \"llama\" or \"scripted\""));
            s.table.clear(); // without a kind, no key can be judged
            None
        }
    }
}

pub fn recipient(key: &str) -> Result<Recipient, String> {
    key.parse().map_err(|_| format!("has \"{key}\", which is no public key of age (age1…, from age-keygen)"))
}

/// One table of the file. Keys are taken out as they are read; what is left over is a fault.
struct Section<'f> {
    name: String,
    table: Table,
    faults: &'f mut Faults,
}

impl Section<'_> {
    fn section<T>(&mut self, name: &str, read: impl FnOnce(&mut Section) -> T) -> T {
        let table = match self.table.remove(name) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(_) => {
                self.fault(name, "must be a table");
                Table::new()
            }
        };
        let mut section = Section { name: name.to_owned(), table, faults: self.faults };
        let result = read(&mut section);
        section.finish();
        result
    }

    fn finish(&mut self) {
        let unknown: Vec<String> = self.table.keys().cloned().collect();
        unknown.iter().for_each(|key| self.fault(key, "is not a setting"));
    }

    fn fault(&mut self, key: &str, what: &str) {
        let place = if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) };
        self.faults.0.push(format!("{place} {what}"));
    }

    fn text(&mut self, key: &str, default: &str) -> String {
        match self.table.remove(key) {
            None => default.to_owned(),
            Some(Value::String(text)) => text,
            Some(_) => {
                self.fault(key, "must be a text in quotes");
                default.to_owned()
            }
        }
    }

    fn names(&mut self, key: &str) -> Vec<TabletName> {
        let names: Vec<String> = self.value(key, "a list of names").unwrap_or_default();
        let read: Option<Vec<TabletName>> = names.iter().map(|name| TabletName::new(name)).collect();
        read.unwrap_or_else(|| {
            self.fault(key, "must be names of letters, digits, - _ . only, at most 64 each");
            Vec::new()
        })
    }

    /// Minisign's.
    fn keys(&mut self, key: &str) -> Vec<PublicKey> {
        let keys: Vec<String> = self.value(key, "a list of minisign public keys").unwrap_or_default();
        let read = keys.iter().map(|text| signed::key(text).map_err(|fault| format!("{text}: {fault}")));
        read.collect::<Result<_, _>>().unwrap_or_else(|fault| {
            self.fault(key, &fault);
            Vec::new()
        })
    }

    fn recipients(&mut self, key: &str) -> Vec<Recipient> {
        let keys: Vec<String> = self.value(key, "a list of age public keys").unwrap_or_default();
        let read = keys.iter().map(|key| recipient(key)).collect::<Result<_, _>>();
        read.unwrap_or_else(|fault| {
            self.fault(key, &fault);
            Vec::new()
        })
    }

    /// It is in the MQTT client id as well: without one the broker would forget the session.
    fn name(&mut self, key: &str, default: &str) -> String {
        let name = self.text(key, default);
        if name.is_empty() || name.chars().count() > 64 || name.chars().any(char::is_control) {
            self.fault(key, "must be 1 to 64 characters");
        }
        name
    }

    /// Absolute, so that it means the same wherever the daemon was started.
    fn path(&mut self, key: &str, default: Option<&str>) -> Option<PathBuf> {
        let text = match (self.table.contains_key(key), default) {
            (false, None) => {
                self.fault(key, "is missing");
                return None;
            }
            (_, default) => self.text(key, default.unwrap_or_default()),
        };
        let path = PathBuf::from(text);
        if path.is_absolute() {
            return Some(path);
        }
        self.fault(key, "must be an absolute path");
        None
    }

    fn optional_path(&mut self, key: &str) -> Option<PathBuf> {
        self.table.contains_key(key).then(|| self.path(key, None)).flatten()
    }

    fn paths(&mut self, key: &str) -> Vec<PathBuf> {
        let Some(value) = self.table.remove(key) else { return Vec::new() };
        let paths: Option<Vec<PathBuf>> =
            value.as_array().and_then(|list| list.iter().map(|v| v.as_str().map(PathBuf::from)).collect());
        match paths {
            Some(paths) if paths.iter().all(|p| p.is_absolute()) => paths,
            _ => {
                self.fault(key, "must be a list of absolute paths");
                Vec::new()
            }
        }
    }

    fn number(&mut self, key: &str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let Some(value) = self.table.remove(key) else { return default };
        match value.as_integer().and_then(|n| u64::try_from(n).ok()).filter(|n| range.contains(n)) {
            Some(number) => number,
            None => {
                self.fault(key, &format!("must be a number from {} to {}", range.start(), range.end()));
                default
            }
        }
    }

    /// A number that has no default, because its absence means something.
    fn optional_number(&mut self, key: &str, range: RangeInclusive<u64>) -> Option<u64> {
        self.table.contains_key(key).then(|| self.number(key, *range.start(), range))
    }

    fn value<T: DeserializeOwned>(&mut self, key: &str, expected: &str) -> Option<T> {
        match self.table.remove(key)?.try_into() {
            Ok(value) => Some(value),
            Err(_) => {
                self.fault(key, &format!("must be {expected}"));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        [box]
        state_dir = "/tmp/x"
        [engine]
        model = "/m.gguf"
        model_sha256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
        [adapters]
        folders = ["/a"]
    "#;

    #[test]
    fn defaults_fill_what_is_not_said() {
        let settings = parse(GOOD).expect("good settings");
        assert_eq!((settings.queue_max, settings.name.as_str()), (32, "consultd"));
    }

    #[test]
    fn the_example_file_is_good_and_names_every_key() {
        let example = include_str!("../consultd.example.toml");
        parse(example).expect("the example is good");
        let source = include_str!("settings.rs");
        let read = source.split("\n#[cfg(test)]").next().expect("the part before the tests");
        for call in [
            "s.text(\"",
            "s.name(\"",
            "s.path(\"",
            "s.paths(\"",
            "s.optional_path(\"",
            "s.number(\"",
            "s.names(\"",
            "s.optional_number(\"",
            "s.value(\"",
            "s.keys(\"",
        ] {
            for key in read.split(call).skip(1).filter_map(|rest| rest.split('"').next()) {
                assert!(example.contains(&format!("{key} = ")), "{key} is not in the example");
            }
        }
    }

    #[test]
    fn all_faults_are_reported_at_once() {
        let faults = parse(
            r#"
            colour = "red"
            [box]
            name = ""
            state_dir = "relative"
            [engine]
            model_sha256 = "short"
            threads = 0
            thread = 4
            prompt_format = "jinja"
            [queue]
            queue_max = "many"
            "#,
        )
        .expect_err("faulty settings");
        let text = faults.to_string();
        for place in [
            "colour is not",
            "box.name must",
            "box.state_dir must",
            "engine.model is missing",
            "engine.model_sha256 must",
            "engine.threads must",
            "engine.thread is not",
            "engine.prompt_format must",
            "queue.queue_max must",
        ] {
            assert!(text.contains(place), "{place} is not in:\n{text}");
        }
        assert_eq!(faults.0.len(), 9, "{text}");
    }

    #[test]
    fn the_scripted_engine_comes_only_by_name() {
        assert!(matches!(parse(GOOD).expect("good").engine, EngineSettings::Llama(_)));
        let scripted = parse("[engine]\nkind = \"scripted\"\nscript = { delay_ms_per_section = 5 }").expect("good");
        assert!(matches!(scripted.engine, EngineSettings::Scripted(s) if s.script.delay_ms_per_section == 5));
        assert!(parse("[engine]\nkind = \"other\"").is_err());
    }
}
