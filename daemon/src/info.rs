//! What `box/info` says, put together: what the settings and the shelf have said at the start, then what the worker says.

use contract::{
    VERSION,
    bounded::{List, Text},
    ids::Lang,
    info::{AdapterVersion, BoxInfo, BoxLimits, DeviceInfo, EngineInfo, EngineKind, MachineInfo, ServedDepartment},
    limits::{DEPARTMENTS_MAX, JSON_DEPTH_MAX, MESSAGE_BYTES_MAX},
    words::{InfoType, V1},
};
use decide::Config;
use engine::protocol::{Device, Ready, Refused};

/// At the start: no engine yet, and nobody has looked at the machine.
pub fn begin(config: &Config, boot: String) -> BoxInfo {
    BoxInfo {
        v: V1,
        kind: InfoType::Word,
        boot,
        daemon: config.daemon.clone(),
        contract_versions: List::take_from([VERSION]),
        languages: List::take_from(Lang::ALL),
        limits: BoxLimits {
            message_bytes_max: MESSAGE_BYTES_MAX as u32,
            json_depth_max: JSON_DEPTH_MAX as u32,
            queue_max: config.queue_max as u32,
            tablet_max: Some(config.tablet_max as u32),
        },
        departments: departments(config, &[]),
        engine: None,
        machine: MachineInfo::default(),
        key: Some(config.seal.public()),
    }
}

/// Those of the shelf whose adapters the worker could load.
pub fn departments(config: &Config, refused: &[Refused]) -> List<ServedDepartment, DEPARTMENTS_MAX> {
    let served = config.departments.iter().filter(|(name, _)| refused.iter().all(|r| r.department != **name));
    List::take_from(served.map(|(department, adapter)| ServedDepartment {
        department: department.clone(),
        adapter: AdapterVersion { id: Text::cut(&adapter.id), version: Text::cut(&adapter.version) },
        samples: Some(adapter.trained_on.get(&**department).copied().unwrap_or(0)),
        covers: adapter.covers,
    }))
}

/// The worker has no word for "unknown" in its numbers: it leaves them 0.
pub fn engine(config: &Config, ready: &Ready) -> EngineInfo {
    EngineInfo {
        kind: if config.scripted { EngineKind::Scripted } else { EngineKind::Llama },
        model_sha256: config.base_sha256.clone(),
        devices: (!ready.devices.is_empty()).then(|| List::take_from(ready.devices.iter().map(device))),
        layers: known(ready.layers),
        layers_offloaded: known(ready.layers).map(|_| ready.layers_offloaded),
        contexts: known(ready.contexts),
        memory_bytes: known(ready.memory_bytes),
    }
}

fn device(device: &Device) -> DeviceInfo {
    DeviceInfo {
        name: Text::cut(&device.name),
        description: Text::cut(&device.description),
        memory_bytes: known(device.memory_bytes),
    }
}

fn known<N: Default + PartialEq>(number: N) -> Option<N> {
    (number != N::default()).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{
        answer::{AdapterRef, ReviewState},
        ids::Department,
    };
    use serde_json::{Value, json};

    fn config(scripted: bool) -> Config {
        let adapter = |id: &str| AdapterRef {
            id: id.to_owned(),
            version: "1".to_owned(),
            sha256: "a".repeat(64),
            trained_on: Default::default(),
            covers: None,
            urgency_clear_at: None,
            calibration: None,
            review: ReviewState::NotPhysicianReviewed,
        };
        let served = [("internal", adapter("demo-internal")), ("obstetrics", adapter("demo-obstetrics"))];
        Config {
            box_name: "box".to_owned(),
            daemon: "0.1.0".to_owned(),
            base_sha256: (!scripted).then(|| "b".repeat(64)),
            departments: served.map(|(name, adapter)| (Department::new(name).expect("a code"), adapter)).into(),
            scripted,
            queue_max: 7,
            tablet_max: 4,
            per_minute_max: 60,
            admins: Default::default(),
            seal: decide::seal::Seal::new(&[1; 32]),
            jobs_max: 1,
            deaths_max: 2,
            attempts_max: 5,
        }
    }

    fn said(value: impl serde::Serialize) -> Value {
        serde_json::to_value(value).expect("serialises")
    }

    #[test]
    fn what_the_worker_says_of_itself_is_told_and_what_it_does_not_say_is_not() {
        let gpu = Device { name: "CUDA0".to_owned(), description: "Orin".to_owned(), memory_bytes: 64 << 30 };
        let cpu = Device { name: "CPU".to_owned(), description: "x".repeat(1000), memory_bytes: 0 };
        let ready = Ready {
            devices: vec![gpu, cpu],
            layers: 18,
            layers_offloaded: 0,
            contexts: 2,
            memory_bytes: 1 << 30,
            ..Ready::default()
        };
        let expected = json!({
            "kind": "llama",
            "model_sha256": "b".repeat(64),
            "devices": [
                {"name": "CUDA0", "description": "Orin", "memory_bytes": 64u64 << 30},
                {"name": "CPU", "description": "x".repeat(80)},
            ],
            "layers": 18,
            "layers_offloaded": 0,
            "contexts": 2,
            "memory_bytes": 1 << 30,
        });
        assert_eq!(said(engine(&config(false), &ready)), expected);
        assert_eq!(said(engine(&config(true), &Ready::default())), json!({"kind": "scripted"}));
    }

    #[test]
    fn a_department_whose_adapter_does_not_load_is_not_told() {
        let config = config(false);
        let named = |info: &List<ServedDepartment, DEPARTMENTS_MAX>| -> Vec<String> {
            info.iter().map(|served| format!("{} {}", served.department, &*served.adapter.id)).collect()
        };
        let all = ["internal demo-internal", "obstetrics demo-obstetrics"];
        assert_eq!(named(&begin(&config, "boot".to_owned()).departments), all);
        let department = Department::new("internal").expect("a code");
        let refused = [Refused { department, reason: "no adapter".to_owned() }];
        assert_eq!(named(&departments(&config, &refused)), all[1..]);
    }
}
