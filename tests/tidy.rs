//! Tidiness as an ordinary test: who may depend on whom, and what may be mentioned where.

mod common;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use toml::Table;

fn manifest(package: &str) -> Table {
    let path = common::root().join(package).join("Cargo.toml");
    fs::read_to_string(&path).expect("a manifest").parse().expect("TOML")
}

fn dependencies(package: &str) -> BTreeSet<String> {
    manifest(package)["dependencies"].as_table().expect("a table").keys().cloned().collect()
}

fn of(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// All of the project's own Rust files below a folder.
fn sources(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![common::root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found
}

fn mentions(folder: &str, word: &str) -> BTreeSet<String> {
    let here = sources(folder).into_iter().filter(|path| fs::read_to_string(path).expect("text").contains(word));
    here.map(|path| path.strip_prefix(common::root()).expect("below the root").display().to_string()).collect()
}

#[test]
fn nothing_points_back() {
    let rooms = of(&["contract", "decide", "engine", "consultd", "adapterctl"]);
    let own = |package: &str| -> BTreeSet<String> { dependencies(package).intersection(&rooms).cloned().collect() };
    assert_eq!(own("daemon/contract"), of(&[]));
    assert_eq!(own("daemon/decide"), of(&["contract"]));
    assert_eq!(own("daemon/engine"), of(&["contract"]));
    assert_eq!(own("daemon"), of(&["contract", "decide", "engine"]));
    assert_eq!(own("adapters"), of(&["contract", "decide", "engine"]));
}

#[test]
fn the_pure_rooms_have_no_hands() {
    for room in ["daemon/contract", "daemon/decide"] {
        for hand in ["tokio", "rumqttc", "rusqlite", "ureq", "llama-cpp-2", "tracing", "rustix"] {
            assert!(!dependencies(room).contains(hand), "{room} depends on {hand}");
        }
        for word in ["std::fs", "std::net", "std::thread", "SystemTime", "Instant", "println!"] {
            let found = mentions(&format!("{room}/src"), word);
            assert!(found.is_empty(), "{word} in {found:?}");
        }
    }
}

#[test]
fn each_guest_has_one_host() {
    let hosts = |word: &str| mentions("daemon/src", word);
    let store = ["daemon/src/store.rs", "daemon/src/store/keep.rs", "daemon/src/store/open.rs"];
    assert_eq!(hosts("rusqlite::"), of(&store));
    assert_eq!(hosts("age::x25519"), of(&["daemon/src/export.rs", "daemon/src/settings.rs"]));
    assert_eq!(hosts("rumqttc::"), of(&["daemon/src/ask.rs", "daemon/src/broker.rs"]));
    assert_eq!(hosts("SystemTime::now"), of(&["daemon/src/run.rs"]));
    assert_eq!(hosts("systemd_journal_logger"), of(&["daemon/src/trace.rs"]));
    let llama: Vec<String> = mentions("daemon", "llama_cpp_2").into_iter().collect();
    assert!(llama.iter().all(|path| path.starts_with("daemon/engine/src/llama")), "{llama:?}");
}

#[test]
fn prompts_are_made_in_one_place() {
    for word in ["【可能原因】", "<|im_start|>", "第二诊疗意见"] {
        let found: BTreeSet<String> =
            mentions("daemon", word).union(&mentions("adapters/src", word)).cloned().collect();
        let makers = ["daemon/engine/src/prompt.rs", "daemon/engine/src/form.rs"];
        // These know the words in order to keep them out.
        let forbid = [
            "daemon/decide/src/forbidden.rs",
            "daemon/decide/src/forbidden/tests.rs",
            "daemon/decide/tests/lives/assembly.rs",
        ];
        let allowed = [&makers[..], &forbid[..]].concat();
        assert!(found.iter().all(|path| allowed.contains(&path.as_str())), "{word} in {found:?}");
    }
}

#[test]
fn no_unsafe_and_no_unfinished_code() {
    for folder in ["daemon", "adapters/src"] {
        for word in ["unsafe {", "unsafe fn", "unsafe impl", "todo!(", "unimplemented!("] {
            let found = mentions(folder, word);
            assert!(found.is_empty(), "{word} in {found:?}");
        }
    }
}

#[test]
fn the_readme_names_every_room() {
    let root = common::root();
    for readme in ["README.md", "README.zh-CN.md"] {
        let text = fs::read_to_string(root.join(readme)).expect("a README");
        for room in ["daemon/", "adapters/", "image/", "systemd/", "cross/", "tests/", "Makefile"] {
            assert!(text.contains(&format!("`{room}`")), "{readme} does not name {room}");
        }
    }
}

#[test]
fn links_in_the_papers_lead_somewhere() {
    let root = common::root();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                folders.push(path);
            } else if name.ends_with(".md") {
                links(&path).iter().for_each(|link| {
                    assert!(folder.join(link).exists(), "{} points to {link}, which is not there", path.display());
                });
            }
        }
    }
}

/// Relative targets of Markdown links.
fn links(paper: &Path) -> Vec<String> {
    let text = fs::read_to_string(paper).expect("text");
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets
        .filter(|t| !t.contains("://") && !t.starts_with('#') && !t.contains(' '))
        .map(|t| t.split('#').next().unwrap_or(t).to_owned())
        .collect()
}
