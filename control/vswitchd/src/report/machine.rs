//! What the database says about the machine: `Open_vSwitch.statistics`, when
//! `other_config:enable-statistics` asks for it, and what the datapath can do.

use crate::config::desired::Rows;
use crate::report::status::Wanted;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use weft_ovsdb::Datum;

/// Where the kernel tells about processes, memory and load.
const PROC: &str = "/proc";

/// What flow tables of a datapath may use.  Weft forwards without them; what it has of its own is here.
const CAPABILITIES: [(&str, &str); 27] = [
    ("add_mpls", "false"),
    ("check_pkt_len", "false"),
    ("clone", "false"),
    ("ct_clear", "false"),
    ("ct_eventmask", "false"),
    ("ct_flush", "false"),
    ("ct_label", "false"),
    ("ct_mark", "false"),
    ("ct_orig_tuple", "false"),
    ("ct_orig_tuple6", "false"),
    ("ct_state", "false"),
    ("ct_state_nat", "false"),
    ("ct_timeout", "false"),
    ("ct_zero_snat", "false"),
    ("ct_zone", "false"),
    ("explicit_drop_action", "false"),
    ("lb_output_action", "false"),
    ("masked_set_action", "false"),
    ("max_hash_alg", "0"),
    ("max_mpls_depth", "0"),
    ("max_vlan_headers", "2"),
    ("nd_ext", "false"),
    ("recirc", "false"),
    ("sample_nesting", "0"),
    ("tnl_push_pop", "true"),
    ("trunc", "false"),
    ("ufid", "false"),
];

/// Wants what the rows are to say now.  `rundir` holds the process ids of the daemons.
pub fn want(rows: &impl Rows, rundir: &Path, wanted: &mut Wanted) {
    const TABLE: &str = "Open_vSwitch";
    for root in rows.uuids(TABLE) {
        let config = rows.datum(TABLE, root, "other_config");
        let enabled = config.and_then(|config| config.map_get("enable-statistics")) == Some("true");
        let statistics = if enabled { statistics(rundir) } else { BTreeMap::new() };
        wanted.set(TABLE, root, "statistics", Datum::map_of_strings(statistics));
        let datapaths = rows.datum(TABLE, root, "datapaths").map_or(&[][..], Datum::pairs);
        for row in datapaths.iter().filter_map(|(_, row)| row.as_uuid()) {
            let capabilities = Datum::map_of_strings(CAPABILITIES);
            wanted.set("Datapath", row, "capabilities", capabilities);
        }
    }
}

/// The figures by name; one that the kernel does not tell is left out.
fn statistics(rundir: &Path) -> BTreeMap<String, String> {
    let read = |name: &str| std::fs::read_to_string(Path::new(PROC).join(name)).unwrap_or_default();
    let mut all = BTreeMap::new();
    let mut add = |name: &str, value: Option<String>| {
        all.extend(value.map(|value| (name.to_owned(), value)));
    };
    add("cpu", std::thread::available_parallelism().ok().map(|count| count.to_string()));
    add("load_average", load_average(&read("loadavg")));
    add("memory", memory(&read("meminfo")));
    add("file_systems", file_systems(&read("self/mounts")));
    let uptime = read("uptime");
    for (name, pid) in daemons(rundir, &read("locks")) {
        add(&format!("process_{name}"), process(&read(&format!("{pid}/stat")), &uptime));
    }
    all
}

/// Over 1, 5 and 15 minutes.
fn load_average(loadavg: &str) -> Option<String> {
    let words: Vec<&str> = loadavg.split_whitespace().take(3).collect();
    (words.len() == 3).then(|| words.join(","))
}

/// KiB of memory, of it in use, of that what can be given up; of swap, of it in use.
fn memory(meminfo: &str) -> Option<String> {
    let get = |name: &str| -> Option<u64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    };
    let (total, swap) = (get("MemTotal")?, get("SwapTotal")?);
    let used = total.saturating_sub(get("MemFree")?);
    let cache = get("Buffers")?.saturating_add(get("Cached")?);
    let swapped = swap.saturating_sub(get("SwapFree")?);
    Some(format!("{total},{used},{cache},{swap},{swapped}"))
}

/// Mount point, KiB, and KiB in use of each local file system that can be written, once.
fn file_systems(mounts: &str) -> Option<String> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for line in mounts.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [source, point, _, options, ..] = words.as_slice() else { continue };
        let is_writable = options.split(',').any(|option| option == "rw");
        if !source.starts_with('/') || !is_writable || !seen.insert(*source) {
            continue;
        }
        // The kernel writes blanks as octal numbers.
        let path = point.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\");
        let Ok(figures) = rustix::fs::statvfs(path.as_str()) else { continue };
        let kib = |blocks: u64| blocks.saturating_mul(figures.f_frsize) / 1024;
        let used = figures.f_blocks.saturating_sub(figures.f_bfree);
        let name = path.replace([' ', '\t', ','], "_");
        all.push(format!("{name},{},{}", kib(figures.f_blocks), kib(used)));
    }
    (!all.is_empty()).then(|| all.join(" "))
}

/// Names and process ids of the pid files in `rundir` that a living process holds locked.
fn daemons(rundir: &Path, locks: &str) -> BTreeMap<String, u32> {
    let entries = std::fs::read_dir(rundir).into_iter().flatten().flatten();
    let daemon = |path: &Path| {
        let name = path.file_name()?.to_str()?.strip_suffix(".pid")?.to_owned();
        let pid: u32 = std::fs::read_to_string(path).ok()?.trim().parse().ok()?;
        let inode = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path).ok()?);
        is_locked(locks, pid, inode).then_some((name, pid))
    };
    entries.filter_map(|entry| daemon(&entry.path())).collect()
}

/// Whether `/proc/locks` has a lock of a process for writing on a file.
fn is_locked(locks: &str, pid: u32, inode: u64) -> bool {
    locks.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, _, _, "WRITE", holder, file, ..] = words.as_slice() else { return false };
        let file = file.rsplit(':').next().and_then(|inode| inode.parse().ok());
        holder.parse() == Ok(pid) && file == Some(inode)
    })
}

/// KiB of address space and in memory, milliseconds of processor time, crashes, milliseconds since it was
/// started twice, for nobody starts it again after a crash, and the processor it ran on last.
fn process(stat: &str, uptime: &str) -> Option<String> {
    // Its name may hold blanks and brackets.
    let words: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    // Numbered from 3, as proc(5) does.
    let get = |number: usize| words.get(number - 3)?.parse::<u64>().ok();
    let page_kib = u64::try_from(rustix::param::page_size()).ok()? / 1024;
    let second = rustix::param::clock_ticks_per_second().max(1);
    let millis = |ticks: u64| ticks.saturating_mul(1000) / second;
    let (size, resident) = (get(23)? / 1024, get(24)?.saturating_mul(page_kib));
    let worked = millis(get(14)?.saturating_add(get(15)?));
    let (secs, hundredths) = uptime.split_whitespace().next()?.split_once('.')?;
    let now = secs.parse::<u64>().ok()? * 1000 + hundredths.parse::<u64>().ok()? * 10;
    let age = now.saturating_sub(millis(get(22)?));
    Some(format!("{size},{resident},{worked},0,{age},{age},{}", get(39)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_and_memory_are_read() {
        assert_eq!(load_average("1.00 0.50 0.25 2/345 6789\n").as_deref(), Some("1.00,0.50,0.25"));
        assert_eq!(load_average(""), None);
        let meminfo = "MemTotal: 1000 kB\nMemFree:  300 kB\nMemAvailable: 9 kB\nBuffers: 20 kB\n\
                       Cached: 100 kB\nSwapCached: 7 kB\nSwapTotal: 50 kB\nSwapFree: 40 kB\n";
        assert_eq!(memory(meminfo).as_deref(), Some("1000,700,120,50,10"));
        assert_eq!(memory("MemTotal: 1000 kB\n"), None);
    }

    #[test]
    fn a_process_is_read_whatever_its_name() {
        assert_eq!(rustix::param::clock_ticks_per_second(), 100, "as on every Linux of today");
        let mut stat: Vec<String> = (3..=52).map(|number| number.to_string()).collect();
        for (number, value) in [(14, "30"), (15, "12"), (22, "5000"), (23, "8192000"), (24, "10")] {
            stat[number - 3] = value.to_owned();
        }
        let page_kib = rustix::param::page_size() / 1024;
        let expected = format!("8000,{},420,0,10500,10500,39", 10 * page_kib);
        for name in ["(weftd)", "(a ) b)"] {
            let stat = format!("7 {name} {}", stat.join(" "));
            assert_eq!(process(&stat, "60.50 100.00\n"), Some(expected.clone()));
        }
        assert_eq!(process("7 (weftd) S 1", "60.50 100.00"), None);
    }

    #[test]
    fn only_pid_files_that_are_locked_count() {
        let locks = "1: POSIX  ADVISORY  WRITE 71 fd:00:1234 0 EOF\n\
                     2: POSIX  ADVISORY  READ 72 fd:00:1235 0 EOF\n2: -> POSIX x\n";
        assert!(is_locked(locks, 71, 1234));
        for (pid, inode) in [(71, 1235), (72, 1235), (7, 1234)] {
            assert!(!is_locked(locks, pid, inode));
        }
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("a.pid", "71\n"), ("b.pid", "72\n"), ("c.pid", "x"), ("d.txt", "71")]
        {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let inode = std::os::unix::fs::MetadataExt::ino(
            &std::fs::metadata(folder.path().join("a.pid")).unwrap(),
        );
        let locks = format!("1: POSIX  ADVISORY  WRITE 71 fd:00:{inode} 0 EOF\n");
        assert_eq!(daemons(folder.path(), &locks), BTreeMap::from([("a".to_owned(), 71)]));
    }

    #[test]
    fn file_systems_are_local_writable_and_named_once() {
        let mounts = "proc /proc proc rw 0 0\n/dev/x / ext4 rw,relatime 0 0\n\
                      /dev/x /again ext4 rw 0 0\n/dev/y /nonexistent\\040dir ext4 rw 0 0\n\
                      /dev/z /tmp ext4 ro 0 0\n";
        let all = file_systems(mounts).unwrap();
        assert!(all.starts_with("/,") && !all.contains(' '), "{all}");
        assert_eq!(all.split(',').count(), 3, "{all}");
        assert_eq!(file_systems("/dev/z /tmp ext4 ro 0 0\n"), None);
    }
}
