//! `consult/1/box/info`: retained. What the box is: what it takes, whom it serves, with which engine, on which machine.
//!
//! It changes seldom; how the box is at this moment stands in `box/status`. What is not known is absent. Every text and
//! list has its bound in its type, so that the whole is at most 48 KiB and mostly about 1 KiB.

use crate::{
    bounded::{Hex, List, Text},
    ids::{Department, Lang},
    limits::{DEPARTMENTS_MAX, DEVICES_MAX, NAME_CHARS_MAX},
    manifest::Covers,
    words::{InfoType, V1},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BoxInfo {
    pub v: V1,
    #[serde(rename = "type")]
    pub kind: InfoType,
    /// The start of the daemon that said this, as in `box/status`. Where the two differ, one of them is old.
    pub boot: String,
    /// Version of the daemon.
    pub daemon: String,
    /// Major versions of the contract that the box takes: what stands in `v` and in the topics.
    pub contract_versions: List<u8, 8>,
    /// What a request's `lang` may be.
    pub languages: List<Lang, 8>,
    pub limits: BoxLimits,
    /// Departments that have a model, each with its adapter. For all others the rules answer.
    pub departments: List<ServedDepartment, DEPARTMENTS_MAX>,
    /// The engine that is ready. Absent while none is: it is loading, has died, or is given up for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineInfo>,
    pub machine: MachineInfo,
    /// The Ed25519 key that the answers of this box are signed with. What a tablet got with its pairing counts, not this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Hex<32>>,
}

/// What no schema can say of a request, and what depends on the box's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BoxLimits {
    /// Largest message that is not `too_large`, in bytes of UTF-8.
    pub message_bytes_max: u32,
    /// Deepest nesting of objects and lists in a message.
    pub json_depth_max: u32,
    /// Cases that are accepted and not yet answered, of all tablets together; one more is `busy`.
    pub queue_max: u32,
    /// The same of one tablet. (Boxes that do not say it let one tablet fill the queue.)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tablet_max: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServedDepartment {
    pub department: Department,
    pub adapter: AdapterVersion,
    /// Training samples of this department. (The first boxes say it in the answer only, as the next.)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covers: Option<Covers>,
}

/// As its manifest names it; the answer's `provenance` has its hash and what it was trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AdapterVersion {
    pub id: Text<NAME_CHARS_MAX>,
    pub version: Text<NAME_CHARS_MAX>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EngineInfo {
    pub kind: EngineKind,
    /// SHA-256 of the base model's file, in lower-case hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_sha256: Option<String>,
    /// Processors that the engine finds, used or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<List<DeviceInfo, DEVICES_MAX>>,
    /// Layers of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<u32>,
    /// How many of them are on a GPU; 0 is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers_offloaded: Option<u32>,
    /// Departments that fit into memory at a time; others make room for each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contexts: Option<u32>,
    /// What model, adapters and all contexts take, in bytes, as computed before loading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EngineKind {
    /// llama.cpp with a model.
    Llama,
    /// The test engine; its lines are no opinion.
    Scripted,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceInfo {
    /// As the settings and llama.cpp name it: CPU, CUDA0, MTL0 …
    pub name: Text<NAME_CHARS_MAX>,
    pub description: Text<NAME_CHARS_MAX>,
    /// All of its memory, in bytes. On a machine whose processors share their memory each names the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}

/// What the machine's kernel says of it. Empty on macOS, where no file says any of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct MachineInfo {
    /// The machine's model, as its device tree or its firmware names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Text<NAME_CHARS_MAX>>,
    /// The hottest of its sensors, in °C. Told anew when it has changed by 5 or more, so it may be off by 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<i16>,
    /// How much power it may take, in its own word: on a Jetson the name of the nvpmodel mode (`MAXN`, `MODE_30W`),
    /// elsewhere the platform profile (`low-power`, `balanced`, `performance`). Timings of two modes do not compare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_mode: Option<Text<NAME_CHARS_MAX>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        limits::{DEPARTMENT_BYTES_MAX, MESSAGE_BYTES_MAX},
        manifest::{ByAge, ByLang},
    };

    #[test]
    fn the_fullest_info_is_far_below_the_limit_of_a_message() {
        // Four bytes a character is the most that UTF-8 takes, and more than any escape of JSON.
        let text = || Text::<NAME_CHARS_MAX>::cut(&"𠮷".repeat(NAME_CHARS_MAX));
        let adapter = AdapterVersion { id: text(), version: text() };
        let department = Department::new(&"d".repeat(DEPARTMENT_BYTES_MAX)).expect("a code");
        let (zh, en, pregnant) = (u32::MAX, u32::MAX, u32::MAX);
        let age = ByAge { infants: u32::MAX, children: u32::MAX, adults: u32::MAX, elderly: u32::MAX };
        let covers = Some(Covers { lang: ByLang { zh, en }, age, pregnant });
        let served = ServedDepartment { department, adapter, samples: Some(u32::MAX), covers };
        let device = DeviceInfo { name: text(), description: text(), memory_bytes: Some(u64::MAX) };
        let info = BoxInfo {
            v: V1,
            kind: InfoType::Word,
            boot: "b".repeat(36),
            daemon: "9".repeat(32),
            contract_versions: List::take_from([u8::MAX; 8]),
            languages: List::take_from([Lang::Zh; 8]),
            limits: BoxLimits {
                message_bytes_max: u32::MAX,
                json_depth_max: u32::MAX,
                queue_max: u32::MAX,
                tablet_max: Some(u32::MAX),
            },
            departments: List::take_from(vec![served; DEPARTMENTS_MAX + 1]),
            engine: Some(EngineInfo {
                kind: EngineKind::Scripted,
                model_sha256: Some("f".repeat(64)),
                devices: Some(List::take_from(vec![device; DEVICES_MAX + 1])),
                layers: Some(u32::MAX),
                layers_offloaded: Some(u32::MAX),
                contexts: Some(u32::MAX),
                memory_bytes: Some(u64::MAX),
            }),
            machine: MachineInfo { model: Some(text()), temperature_c: Some(i16::MIN), power_mode: Some(text()) },
            key: Some(Hex([255; 32])),
        };
        let bytes = serde_json::to_vec(&info).expect("serialises").len();
        assert!((36 * 1024..48 * 1024).contains(&bytes), "{bytes} bytes");
        assert!(bytes * 4 < MESSAGE_BYTES_MAX);
    }
}
