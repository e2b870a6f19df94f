//! How much memory this machine has, and how much of it a worker may take.

use std::{fs, path::Path};

/// What a worker may take of `memory` bytes unless the settings say it: three quarters. The rest is for the system,
/// Mosquitto, the daemon and its store, and the page cache that carries the model while it is loaded; and macOS lets
/// a GPU take about as much.
pub fn default_budget(memory: u64) -> u64 {
    memory / 4 * 3
}

/// Memory of this machine in bytes: the physical, or the least limit of the control groups (v2) that we are in.
pub fn machine_memory() -> Option<u64> {
    if cfg!(target_os = "macos") {
        let said = std::process::Command::new("/usr/sbin/sysctl").args(["-n", "hw.memsize"]).output().ok()?;
        return String::from_utf8(said.stdout).ok()?.trim().parse().ok();
    }
    let physical = total_of(&fs::read_to_string("/proc/meminfo").ok()?)?;
    let group = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limit = group_limit(&group, |file| fs::read_to_string(file).ok());
    Some(limit.map_or(physical, |limit| limit.min(physical)))
}

fn total_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The least `memory.max` from our group up to the root.
fn group_limit(group: &str, read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let path = group.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let limit = |folder: &Path| read(&Path::new("/sys/fs/cgroup").join(folder).join("memory.max"))?.trim().parse().ok();
    Path::new(path).ancestors().filter_map(limit).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_above_us_counts() {
        let service = ("/sys/fs/cgroup/system.slice/consultd.service", "max");
        let slice = ("/sys/fs/cgroup/system.slice", "8000");
        let root = ("/sys/fs/cgroup", "4000");
        let limit = |group: &str, limits: &[(&str, &str)]| {
            group_limit(group, |file| {
                let found = limits.iter().find(|(folder, _)| file == Path::new(folder).join("memory.max"));
                found.map(|(_, limit)| format!("{limit}\n"))
            })
        };
        let group = "0::/system.slice/consultd.service\n";
        assert_eq!(limit(group, &[service, slice]), Some(8000));
        assert_eq!(limit(group, &[service, slice, root]), Some(4000));
        assert_eq!(limit(group, &[service]), None);
        assert_eq!(limit("0::/\n", &[root]), Some(4000));
        assert_eq!(limit("12:memory:/old\n", &[slice]), None);
    }

    #[test]
    fn this_machine_has_memory() {
        assert_eq!(total_of("MemTotal:       24612345 kB\nMemFree: 1 kB\n"), Some(24_612_345 * 1024));
        assert_eq!(total_of("rubbish"), None);
        assert!(machine_memory().is_some_and(|bytes| bytes > 1 << 28));
    }
}
