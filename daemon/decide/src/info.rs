//! When `box/info` is worth telling again: everybody keeps the last one, so only what makes a difference is sent.

use contract::info::{BoxInfo, MachineInfo};

/// Less is the machine breathing.
const HEAT_CHANGE_C: u16 = 5;

/// Compares with what everybody has heard: nothing yet, or the last that was told.
pub fn worth_telling(told: Option<&BoxInfo>, info: &BoxInfo) -> bool {
    told.is_none_or(|told| heat_has_changed(&told.machine, &info.machine) || differs_otherwise(told, info))
}

fn heat_has_changed(told: &MachineInfo, machine: &MachineInfo) -> bool {
    match (told.temperature_c, machine.temperature_c) {
        (Some(told), Some(now)) => told.abs_diff(now) >= HEAT_CHANGE_C,
        (told, now) => told != now,
    }
}

fn differs_otherwise(told: &BoxInfo, info: &BoxInfo) -> bool {
    let mut told = told.clone();
    told.machine.temperature_c = info.machine.temperature_c;
    told != *info
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(temperature_c: Option<i16>) -> BoxInfo {
        let text = include_str!("../../contract/golden/info.json");
        let mut info: BoxInfo = serde_json::from_str(text).expect("the golden example");
        info.machine.temperature_c = temperature_c;
        info
    }

    #[test]
    fn heat_is_told_when_it_has_moved_by_five_degrees_since_it_was_told() {
        let table = [
            (Some(50), Some(50), false),
            (Some(50), Some(54), false),
            (Some(50), Some(46), false),
            (Some(50), Some(55), true),
            (Some(50), Some(45), true),
            (Some(-2), Some(3), true),
            (None, Some(50), true),
            (Some(50), None, true),
            (None, None, false),
        ];
        for (told, now, expected) in table {
            assert_eq!(worth_telling(Some(&info(told)), &info(now)), expected, "{told:?} → {now:?}");
        }
    }

    #[test]
    fn anything_else_is_told_at_once_and_to_whom_nothing_was_told_all_is() {
        let told = info(Some(50));
        assert!(worth_telling(None, &told));
        assert!(worth_telling(Some(&told), &BoxInfo { engine: None, ..told.clone() }));
        let machine = MachineInfo { power_mode: None, temperature_c: Some(51), ..told.machine.clone() };
        assert!(worth_telling(Some(&told), &BoxInfo { machine, ..told.clone() }));
    }
}
