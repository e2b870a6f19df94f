//! How the machine is, as files of its kernel and its maker say it. No process is started for it, no clock is read, and
//! what a file does not say, or says without sense, is absent. On macOS none of these files is there.
//!
//! | what | where |
//! |---|---|
//! | heat | `/sys/class/thermal/thermal_zone*/temp`, thousandths of a degree: the hottest |
//! | power mode of a Jetson | `/var/lib/nvpmodel/status` (`pmode:0002`), named in `/etc/nvpmodel.conf` |
//! | power mode elsewhere | `/sys/firmware/acpi/platform_profile` |
//! | model | `/proc/device-tree/model`, elsewhere `/sys/class/dmi/id/product_name` |
//!
//! Not the governor of cpufreq: `powersave` means the lowest frequency under one driver and the normal state under
//! another (intel_pstate, amd-pstate), so it would tell nobody why a timing is as it is.

use contract::{bounded::Text, info::MachineInfo, limits::NAME_CHARS_MAX};
use std::{
    fs::{self, File},
    io::Read,
    ops::RangeInclusive,
    path::Path,
};

type Name = Text<NAME_CHARS_MAX>;

/// The longest of these files, `/etc/nvpmodel.conf`, has a few hundred lines.
const FILE_BYTES_MAX: u64 = 128 * 1024;
/// −40 to 150 °C; sensors that are off or broken say 0 K, −256 °C and worse.
const PLAUSIBLE_MILLI_C: RangeInclusive<i32> = -40_000..=150_000;
/// Up to the Xaviers a Jetson has a zone that measures nothing: it says 100 °C for "below 120 °C".
const NO_SENSOR: &str = "PMIC-Die";

/// Looks once. `root` is `/`, but for tests. May block for as long as a sensor's driver does: not for the loop.
pub fn look(root: &Path) -> MachineInfo {
    MachineInfo {
        model: name(root, "proc/device-tree/model").or_else(|| name(root, "sys/class/dmi/id/product_name")),
        temperature_c: hottest(&root.join("sys/class/thermal")),
        power_mode: nvpmodel(root).or_else(|| name(root, "sys/firmware/acpi/platform_profile")),
    }
}

fn hottest(zones: &Path) -> Option<i16> {
    let entries = fs::read_dir(zones).ok()?.flatten();
    let zones = entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"thermal_zone"));
    zones.filter_map(|zone| heat(&zone.path())).max()
}

/// None for a zone that cannot be read either: on a Jetson those of parts that are switched off give EAGAIN.
fn heat(zone: &Path) -> Option<i16> {
    if text(&zone.join("type")).is_some_and(|kind| kind.trim() == NO_SENSOR) {
        return None;
    }
    let milli_c: i32 = text(&zone.join("temp"))?.trim().parse().ok()?;
    let plausible = PLAUSIBLE_MILLI_C.contains(&milli_c).then_some(milli_c)?;
    i16::try_from((plausible + 500).div_euclid(1000)).ok()
}

/// The mode that NVIDIA's `nvpmodel` set last, by its name; by its number where its name is not to be found.
fn nvpmodel(root: &Path) -> Option<Name> {
    let status = text(&root.join("var/lib/nvpmodel/status"))?; // on some releases with a word on the fan behind it
    let id: u32 = status.split_whitespace().find_map(|word| word.strip_prefix("pmode:"))?.parse().ok()?;
    let modes = text(&root.join("etc/nvpmodel.conf")).unwrap_or_default();
    Some(Text::cut(&mode_name(&modes, id).map_or(format!("mode {id}"), str::to_owned)))
}

fn mode_name(modes: &str, id: u32) -> Option<&str> {
    modes.lines().filter_map(mode).find(|(number, _)| *number == id).map(|(_, name)| name)
}

/// A line such as `< POWER_MODEL ID=2 NAME=MODE_30W >`.
fn mode(line: &str) -> Option<(u32, &str)> {
    let mode = line.trim().strip_prefix('<')?.trim_start().strip_prefix("POWER_MODEL ")?.trim_end_matches('>');
    let value = |key| mode.split_whitespace().find_map(|word| word.strip_prefix(key));
    Some((value("ID=")?.parse().ok()?, value("NAME=").filter(|name| !name.is_empty())?))
}

/// A file that holds a name and nothing else; a device tree's ends with a zero byte.
fn name(root: &Path, path: &str) -> Option<Name> {
    let text = text(&root.join(path))?;
    let name = text.trim_matches(|c: char| c.is_whitespace() || c.is_control());
    (!name.is_empty()).then(|| Text::cut(name))
}

/// All of a file; nothing of one that is not text, or longer than any that we look for.
fn text(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).ok()?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return None;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    /// A machine made of files.
    #[allow(clippy::disallowed_methods)] // a test's own file needs no sync
    fn machine(files: &[(&str, &[u8])]) -> TempDir {
        let root = tempfile::tempdir().expect("a temporary folder");
        for (path, bytes) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder in the temporary folder");
            fs::write(path, bytes).expect("a file in the temporary folder");
        }
        root
    }

    /// (model, temperature, power mode)
    fn seen(files: &[(&str, &[u8])]) -> (Option<String>, Option<i16>, Option<String>) {
        let seen = look(machine(files).path());
        (seen.model.map(|m| m.to_string()), seen.temperature_c, seen.power_mode.map(|m| m.to_string()))
    }

    fn heat_of(temp: &[u8]) -> Option<i16> {
        seen(&[("sys/class/thermal/thermal_zone0/temp", temp)]).1
    }

    const MODES: &[u8] = b"# NVIDIA\n< PARAM TYPE=FILE NAME=CPU_ONLINE >\nCORE_0 /sys/devices/system/cpu/cpu0/online\n\
        < POWER_MODEL ID=0 NAME=MAXN >\nCPU_ONLINE CORE_0 1\n\n< POWER_MODEL ID=2 NAME=MODE_30W >\nGPU MAX_FREQ 1\n\
        < POWER_MODEL ID=20 NAME=OTHER >\n< PM_CONFIG DEFAULT=2 >\n";

    #[test]
    fn a_jetson_tells_its_hottest_sensor_and_the_name_of_its_mode() {
        let root = machine(&[
            ("proc/device-tree/model", b"NVIDIA Jetson AGX Orin Developer Kit\0"),
            ("sys/class/thermal/thermal_zone0/type", b"cpu-thermal\n"),
            ("sys/class/thermal/thermal_zone0/temp", b"47562\n"),
            ("sys/class/thermal/thermal_zone8/type", b"tj-thermal\n"),
            ("sys/class/thermal/thermal_zone8/temp", b"49468\n"),
            ("sys/class/thermal/thermal_zone9/type", b"PMIC-Die\n"),
            ("sys/class/thermal/thermal_zone9/temp", b"100000\n"),
            ("sys/class/thermal/cooling_device0/temp", b"90000\n"),
            ("var/lib/nvpmodel/status", b"pmode:0002 fmode:quiet\n"),
            ("etc/nvpmodel.conf", MODES),
        ]);
        // As a sensor that is switched off: it is there and cannot be read.
        fs::create_dir_all(root.path().join("sys/class/thermal/thermal_zone2/temp")).expect("a folder");
        let seen = look(root.path());
        assert_eq!(seen.model.as_deref(), Some("NVIDIA Jetson AGX Orin Developer Kit"));
        assert_eq!(seen.temperature_c, Some(49));
        assert_eq!(seen.power_mode.as_deref(), Some("MODE_30W"));
    }

    #[test]
    fn a_mode_without_a_name_is_told_by_its_number() {
        let status = ("var/lib/nvpmodel/status", b"pmode:0007".as_slice());
        assert_eq!(seen(&[status]).2.as_deref(), Some("mode 7"));
        assert_eq!(seen(&[status, ("etc/nvpmodel.conf", MODES)]).2.as_deref(), Some("mode 7"));
        let halves: &[u8] = b"< POWER_MODEL ID=7 >\n< POWER_MODEL ID=7 NAME= >\n< POWER_MODEL NAME=X >\nID=7 NAME=Y\n";
        assert_eq!(seen(&[status, ("etc/nvpmodel.conf", halves)]).2.as_deref(), Some("mode 7"));
        assert_eq!(mode_name("<POWER_MODEL ID=7 NAME=25W>", 7), Some("25W"));
    }

    #[test]
    fn a_pc_tells_its_product_and_its_platform_profile() {
        let pc = seen(&[
            ("sys/class/dmi/id/product_name", b"NUC13ANHi5\n"),
            ("sys/class/thermal/thermal_zone0/type", b"acpitz\n"),
            ("sys/class/thermal/thermal_zone0/temp", b"27800\n"),
            ("sys/class/thermal/thermal_zone1/type", b"x86_pkg_temp\n"),
            ("sys/class/thermal/thermal_zone1/temp", b"61000\n"),
            ("sys/firmware/acpi/platform_profile", b"balanced\n"),
            ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", b"powersave\n"),
        ]);
        assert_eq!(pc, (Some("NUC13ANHi5".to_owned()), Some(61), Some("balanced".to_owned())));
    }

    #[test]
    fn of_a_machine_that_says_nothing_nothing_is_told() {
        assert_eq!(look(machine(&[]).path()), MachineInfo::default());
        assert_eq!(look(Path::new("/nowhere")), MachineInfo::default());
        look(Path::new("/")); // whatever this one says
    }

    #[test]
    fn heat_is_rounded_and_what_no_machine_survives_is_no_heat() {
        let table: [(&[u8], Option<i16>); 14] = [
            (b"0\n", Some(0)),
            (b"49499", Some(49)),
            (b"49500", Some(50)),
            (b"-1500\n", Some(-1)),
            (b"-1501\n", Some(-2)),
            (b"-40000", Some(-40)),
            (b"-40001", None),
            (b"150000", Some(150)),
            (b"150001", None),
            (b"1000000000", None),
            (b"99999999999999999999", None),
            (b"", None),
            (b"warm\n", None),
            (b"4\xff000\n", None),
        ];
        for (temp, expected) in table {
            assert_eq!(heat_of(temp), expected, "{:?}", String::from_utf8_lossy(temp));
        }
    }

    #[test]
    fn hostile_files_are_as_if_they_were_not_there() {
        let huge = vec![b' '; FILE_BYTES_MAX as usize + 1];
        let none = (None, None, None);
        for bytes in [huge.as_slice(), b"\xff\xfe\x00", b"\0\0\n", b"\n", b""] {
            let files = [
                "proc/device-tree/model",
                "sys/class/dmi/id/product_name",
                "sys/class/thermal/thermal_zone0/temp",
                "sys/firmware/acpi/platform_profile",
                "var/lib/nvpmodel/status",
            ];
            assert_eq!(seen(&files.map(|file| (file, bytes))), none, "{} bytes", bytes.len());
        }
        for status in ["pmode:", "pmode:-1", "pmode:99999999999", "0002", "pmode: 2"] {
            assert_eq!(seen(&[("var/lib/nvpmodel/status", status.as_bytes())]).2, None, "{status}");
        }
        let long = "长".repeat(1000);
        let (model, ..) = seen(&[("proc/device-tree/model", format!("a\n{long}").as_bytes())]);
        assert_eq!(model, Some(format!("a{}", "长".repeat(NAME_CHARS_MAX - 1))), "one line, and no longer than a name");
    }
}
