//! A switch that is killed and started again, and one whose disk is not as it should be.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot read an answer should stop at once"
)]

use std::fs;
use std::io::Write;
use std::time::Duration;

use weft_tests::{Host, Switch, cable, can_make_hosts, sh, tcp_transfer, weftd_program, within};

/// Two hosts joined by a tunnel; the left one has a guest, too.
fn network<'h>(left: &'h Host, right: &'h Host) -> (Switch<'h>, Switch<'h>, Host) {
    cable(left, right);
    left.address("eth0", "192.0.2.1/24");
    right.address("eth0", "192.0.2.2/24");
    let (here, there) = (Switch::start(left), Switch::start(right));
    for (switch, remote, inner) in
        [(&here, "192.0.2.2", "10.244.0.1/16"), (&there, "192.0.2.1", "10.244.0.2/16")]
    {
        switch.vsctl("add-br br0");
        switch.vsctl(&format!(
            "add-port br0 gre0 -- set interface gre0 type=gre options:remote_ip={remote}"
        ));
        switch.host().sh("ip link set br0 mtu 1420");
        switch.host().address("br0", inner);
    }
    let guest = here.plug("br0", "veth1", "10.244.1.1/16");
    guest.sh("ip link set eth0 mtu 1420");
    (here, there, guest)
}

#[test]
fn everything_comes_back_after_a_kill() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = (Host::new("left"), Host::new("right"));
    let (here, _there, guest) = network(&left, &right);
    here.vsctl("add-port br0 int0 -- set interface int0 type=internal");
    left.address("int0", "10.244.3.1/16");
    guest.must_reach("10.244.0.2");
    let columns = "--columns=name,ofport,type,options,error list interface";
    let before = here.vsctl(columns);
    let addresses = left.sh("ip -o addr show dev br0; ip -o addr show dev int0");
    let (mac, system_id) = (left.mac("br0"), here.vsctl("get open . external_ids:system-id"));

    // Stale pid file and sockets stay where they are.
    let here = here.kill_hard().start_again();
    let restored = left.sh("ip -o addr show dev br0; ip -o addr show dev int0");
    assert_eq!(restored, addresses, "addresses of the internal ports");
    assert_eq!(left.mac("br0"), mac);
    assert_eq!(here.vsctl("get open . external_ids:system-id"), system_id);
    guest.must_reach("10.244.0.2");
    left.must_reach("10.244.0.2");
    tcp_transfer(&guest, &right, "10.244.0.2:5001", 2_000_000);
    let sorted = |text: &str| {
        let mut rows: Vec<_> = text.split("\n\n").map(str::to_owned).collect();
        rows.sort();
        rows
    };
    assert_eq!(sorted(&here.vsctl(columns)), sorted(&before), "rows and ofports");
    assert!(here.appctl("version").contains("3.1"), "the control socket is the new daemon's");
    // Again, without a word to anybody in between.
    let here = here.kill_hard().start_again();
    guest.must_reach("10.244.0.2");
    assert_eq!(left.mac("br0"), mac);
    drop(here);
}

/// An impatient operator, or a supervisor, starts it while the kernel still clears away the old one.
#[test]
fn a_start_right_after_a_kill_works() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let mut switch = Switch::start(&host);
    switch.vsctl("add-br br0");
    host.address("br0", "10.0.0.254/24");
    let guest = switch.plug("br0", "veth1", "10.0.0.1/24");
    let others: Vec<_> =
        (2..6).map(|number| switch.plug("br0", &format!("veth{number}"), "")).collect();
    // While nobody listens the host gets the frames, and would answer for its address with that of veth1.
    guest.knows("eth0", "10.0.0.254", &host.mac("br0"));
    for _ in 0..5 {
        switch = switch.kill_now().start_again();
        guest.must_reach("10.0.0.254");
    }
    drop(others);
}

/// A shell allows 1,024 open files; thousands of ports and clients need more.
#[test]
fn the_daemon_takes_the_open_files_that_it_may() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    let limits = host.sh(&format!("grep 'open files' /proc/{}/limits", switch.pid()));
    let [soft, hard] = [3, 4].map(|column| limits.split_whitespace().nth(column).unwrap());
    assert_eq!(soft, hard, "{limits}");
    assert_ne!(soft, "1024");
}

/// People look for it by name, and so do supervisors.
#[test]
fn the_daemon_has_its_name() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    assert_eq!(host.sh(&format!("cat /proc/{}/comm", switch.pid())), "weftd\n");
}

#[test]
fn stale_sockets_are_gone_after_a_restart() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl("add-br br0");
    let switch = switch.kill_hard().start_again().kill_hard().start_again();
    let names = || -> Vec<String> {
        let entries = fs::read_dir(switch.rundir()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let own = format!("ovs-vswitchd.{}.ctl", switch.pid());
    let controls: Vec<_> = names()
        .into_iter()
        .filter(|name| name.starts_with("ovs-vswitchd.") && *name != "ovs-vswitchd.pid")
        .collect();
    assert_eq!(controls, [own.as_str()], "control sockets");
    assert_eq!(switch.vsctl("list-br"), "br0");
    // A switch that ends in peace takes its sockets and its pid file with it.
    let gone = switch.exit("");
    let entries = fs::read_dir(gone.rundir()).unwrap();
    let left: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    let left: Vec<_> = left.iter().map(|name| name.to_string_lossy()).collect();
    assert!(!left.iter().any(|name| name.starts_with("ovs-vswitchd.")), "{left:?}");
    host.sh("test -e /sys/class/net/br0");
}

#[test]
fn exit_leaves_internal_ports_and_cleanup_takes_them() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl("add-br br0");
    host.address("br0", "10.0.0.254/24");
    let guest = switch.plug("br0", "veth1", "10.0.0.1/24");
    let switch = switch.exit("").start_again();
    guest.must_reach("10.0.0.254");
    let gone = switch.exit("--cleanup");
    assert!(!host.try_sh("test -e /sys/class/net/br0").ok(), "--cleanup leaves br0");
    let links = host.sh("ip -d link show dev veth1");
    assert!(!links.contains("xdp"), "an XDP program stays on the port: {links}");
    let switch = gone.start_again();
    // It serves before its ports are there.
    let is_there = || host.try_sh("test -e /sys/class/net/br0").ok();
    assert!(within(Duration::from_secs(5), is_there), "br0 does not come back");
    host.address("br0", "10.0.0.254/24");
    guest.must_reach("10.0.0.254");
    drop(switch);
}

/// XDP programs that outlive a killed switch (they are pinned) take no frame from the host; a restart
/// takes them over, and a clean-up takes them away.
#[test]
fn pinned_programs_are_taken_over_and_cleaned_up() {
    if !can_make_hosts() {
        return;
    }
    let (left, right) = (Host::new("left"), Host::new("right"));
    let (here, _there, guest) = network(&left, &right);
    guest.must_reach("10.244.0.2");
    let pinned = here.pins();
    assert!(!pinned.is_empty(), "nothing is pinned although there is a bpffs");
    let program = || left.sh("ip -d -o link show dev eth0");
    assert!(program().contains("xdp"), "{}", program());
    let gone = here.kill_hard();
    assert!(
        program().contains("xdp"),
        "a pinned program does not outlive the switch: {}",
        program()
    );
    assert_eq!(left.pings(20, "192.0.2.2"), 20, "no socket takes the frames: the host must");
    tcp_transfer(&right, &left, "192.0.2.1:6001", 2_000_000);
    let here = gone.start_again();
    guest.must_reach("10.244.0.2");
    assert_eq!(here.pins(), pinned);
    // Peaceful ends keep the program, as they keep internal ports; a clean-up does not.
    let here = here.exit("").start_again();
    guest.must_reach("10.244.0.2");
    // A tunnel that goes away gives the underlay back entirely.
    here.vsctl("del-port gre0");
    let given_back = within(Duration::from_secs(10), || !program().contains("xdp"));
    assert!(given_back, "{}", program());
    here.vsctl("add-port br0 gre0 -- set interface gre0 type=gre options:remote_ip=192.0.2.2");
    guest.must_reach("10.244.0.2");
    let pins = here.rundir().join("bpf/weft");
    let gone = here.exit("--cleanup");
    assert!(!program().contains("xdp"), "{}", program());
    assert_eq!(fs::read_dir(&pins).unwrap().count(), 0, "something stays pinned");
    drop(gone);
    let port = left.sh("ip -d -o link show dev veth1");
    assert!(!port.contains("xdp"), "{port}");
}

/// Pins go by the number of a device. Names that change, also while nobody is there, pins that an earlier version made
/// by name, and ports that went meanwhile leave nothing behind, and tear nothing down.
#[test]
fn pins_follow_devices_not_names() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::with_bridge(&host);
    host.address("br0", "10.0.0.254/24");
    let plug = |port: &str| switch.plug("br0", port, &format!("10.0.0.{}/24", &port[4..]));
    let mut guests: Vec<_> = ["veth1", "veth2", "veth3", "veth4"].map(plug).into();
    let reach = |guests: &[Host]| {
        for guest in guests {
            guest.must_reach("10.0.0.254");
        }
    };
    // While nobody listens the host gets the frames, and would answer for its address with that of a port.
    // The address stays when the port that gave it goes.
    let address = "02:00:00:00:00:fe";
    switch.vsctl(&format!("set bridge br0 other_config:hwaddr={address}"));
    for guest in &guests {
        guest.knows("eth0", "10.0.0.254", address);
    }
    reach(&guests);
    let folder = |switch: &Switch<'_>| {
        let pin = switch.rundir().join("bpf").join(switch.pins().first().unwrap());
        pin.parent().unwrap().to_owned()
    };
    let number =
        |name: &str| host.sh(&format!("cat /sys/class/net/{name}/ifindex")).trim().to_owned();
    let pinned = |switch: &Switch<'_>| {
        let names = switch.pins().into_iter();
        let mut names: Vec<_> =
            names.map(|name| name.rsplit('/').next().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    let numbers = |names: &[&str]| {
        let mut numbers: Vec<_> = names.iter().map(|name| number(name)).collect();
        numbers.sort();
        numbers
    };
    assert_eq!(pinned(&switch), numbers(&["veth1", "veth2", "veth3", "veth4"]));

    // Two devices take each other's names under us.
    let swap = |a: &str, b: &str| {
        host.sh(&format!(
            "ip link set {a} down && ip link set {b} down && ip link set {a} name x \
             && ip link set {b} name {a} && ip link set x name {b} \
             && ip link set {a} up && ip link set {b} up"
        ));
    };
    swap("veth1", "veth2");
    reach(&guests);
    assert_eq!(pinned(&switch), numbers(&["veth1", "veth2", "veth3", "veth4"]));

    // And while nobody is there, when an earlier version had pinned by name; and a device goes.
    let pins = folder(&switch);
    let gone = switch.kill_hard();
    swap("veth1", "veth3");
    for name in ["veth1", "veth2", "veth3", "veth4"] {
        fs::rename(pins.join(number(name)), pins.join(name)).unwrap();
    }
    host.sh("ip link del veth4");
    guests.truncate(3);
    let switch = gone.start_again();
    reach(&guests);
    let left = numbers(&["veth1", "veth2", "veth3"]);
    assert!(within(Duration::from_secs(10), || pinned(&switch) == left), "{:?}", pinned(&switch));
}

#[test]
fn two_daemons_do_not_share_a_run_directory() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl("add-br br0");
    let dir = switch.rundir().display();
    let second = host.try_sh(&format!(
        "{} --rundir {dir} --db {dir}/conf.db --pidfile={dir}/ovs-vswitchd.pid --detach",
        weftd_program()
    ));
    assert!(!second.ok(), "a second daemon started");
    assert!(!second.stderr.trim().is_empty(), "and did not say why not");
    assert_eq!(switch.vsctl("list-br"), "br0", "the first one suffered");
}

/// A small disk below a run directory that has its database.
struct Disk(std::path::PathBuf);

impl Disk {
    fn mount(folder: &std::path::Path) -> Self {
        let disk = folder.join("disk");
        sh(&format!("mkdir {0} && mount -t tmpfs -o size=256k weft {0}", disk.display()));
        Self(disk)
    }

    /// The same, with the database on it.
    fn with_database(rundir: &std::path::Path) -> Self {
        let disk = Self::mount(rundir);
        let lines = "mv conf.db disk/ && ln -s disk/conf.db conf.db && rm .conf.db.~lock~";
        sh(&format!("cd {} && {lines}", rundir.display()));
        disk
    }

    fn fill(&self) {
        sh(&format!(
            "dd if=/dev/zero of={}/filler bs=1k status=none 2>&1 || true",
            self.0.display()
        ));
    }

    fn make_room(&self) {
        sh(&format!("rm {}/filler", self.0.display()));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        sh(&format!("umount --lazy {}", self.0.display()));
    }
}

/// What `weft doctor` says of the database file.
fn judged(switch: &Switch) -> (String, String) {
    // It ends with 1 when it has found something.
    let outcome = switch.try_weft("--json doctor");
    let all: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    let all = all.as_array().unwrap();
    let one = all.iter().find(|one| one["check"] == "database file").unwrap();
    let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
    (text("level"), text("finding"))
}

/// It forwards and answers; changes are refused, and everybody who asks is told why.
fn only_reads(switch: &Switch, guest: &Host, reason: &str) {
    guest.must_reach("10.0.0.254");
    assert!(switch.vsctl("list-br").contains("br0"));
    let refused =
        switch.try_vsctl("--no-wait set open . external_ids:more=a-text-that-needs-some-room");
    assert!(!refused.ok() && refused.stderr.contains("I/O error"), "{}", refused.stderr);
    let (level, finding) = judged(switch);
    assert!(level == "fail" && finding.contains(reason), "{level}: {finding}");
    let state = switch.weft_json("show");
    assert!(state["database_fault"].as_str().unwrap().contains(reason), "{state}");
    let status = switch.appctl("-t ovsdb-server ovsdb-server/get-db-storage-status Open_vSwitch");
    assert!(status.contains(reason), "{status}");
    assert!(switch.log().contains(reason), "the log does not say so");
}

/// Everything goes on as if nothing had been.
fn writes_again(switch: &Switch, guest: &Host) {
    let is_written = || switch.try_vsctl("--no-wait set open . external_ids:again=yes").ok();
    assert!(
        within(Duration::from_secs(30), is_written),
        "the disk has room, and nothing is written"
    );
    let is_told = || {
        let version = switch.try_vsctl("get open . external_ids:weft-version");
        judged(switch).0 == "ok" && version.ok()
    };
    assert!(within(Duration::from_secs(30), is_told), "the first rows are not written");
    // With the wait for the switch.
    switch.vsctl("add-br br1");
    assert_eq!(switch.vsctl("get interface br1 ofport"), "65534");
    guest.must_reach("10.0.0.254");
}

/// After an upgrade, or because of a log that nobody rotated.
#[test]
fn a_full_disk_keeps_no_switch_from_forwarding() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl("add-br br0");
    host.address("br0", "10.0.0.254/24");
    let guest = switch.plug("br0", "veth1", "10.0.0.1/24");
    let gone = switch.exit("");
    let disk = Disk::with_database(&gone.rundir());
    let switch = gone.start_again();
    // It fills up while the switch runs: the last page of the file, too.
    switch.vsctl("remove open . external_ids weft-version");
    disk.fill();
    let mut number = 0;
    let is_full = || {
        number += 1;
        !switch.try_vsctl(&format!("--no-wait set open . external_ids:n=number-{number}")).ok()
    };
    assert!(within(Duration::from_secs(30), is_full), "a full disk takes everything");
    only_reads(&switch, &guest, "No space left on device");
    // It is started on a full disk.
    let switch = switch.exit("").start_again();
    only_reads(&switch, &guest, "No space left on device");
    disk.make_room();
    writes_again(&switch, &guest);
    drop(switch);
}

/// A disk with errors is mounted read-only by the kernel.
#[test]
fn a_read_only_disk_keeps_no_switch_from_forwarding() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl("add-br br0");
    host.address("br0", "10.0.0.254/24");
    let guest = switch.plug("br0", "veth1", "10.0.0.1/24");
    switch.vsctl("remove open . external_ids weft-version");
    let gone = switch.exit("");
    let disk = Disk::with_database(&gone.rundir());
    sh(&format!("mount -o remount,ro {}", disk.0.display()));
    let switch = gone.start_again();
    only_reads(&switch, &guest, "Read-only file system");
    // The daemon has a view of its own of what is mounted.
    sh(&format!("nsenter -t {} -m mount -o remount,rw {}", switch.pid(), disk.0.display()));
    writes_again(&switch, &guest);
    drop(switch);
}

/// Without a byte of room for its pid file and its log.
#[test]
fn a_full_run_directory_keeps_no_switch_from_forwarding() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let gone = Switch::start(&host).exit("");
    let disk = Disk::mount(&gone.rundir());
    disk.fill();
    let (rundir, dir) = (gone.rundir().display().to_string(), disk.0.display());
    let weftd = weftd_program();
    host.sh(&format!("{weftd} --rundir {dir} --db {rundir}/conf.db --log-file={dir}/log --detach"));
    let vsctl = format!("ovs-vsctl --timeout=10 --db=unix:{dir}/db.sock");
    host.sh(&format!("{vsctl} add-br br0"));
    host.sh("test -e /sys/class/net/br0");
    let pidfile = disk.0.join("ovs-vswitchd.pid");
    assert!(!pidfile.exists(), "there is no room for it");
    disk.make_room();
    assert!(within(Duration::from_secs(30), || pidfile.exists()), "it is not written later");
    host.sh(&format!("OVS_RUNDIR={dir} ovs-appctl --timeout=10 exit --cleanup"));
}

/// Power was lost while the last record was written, or somebody wrote into the file.
#[test]
fn a_torn_last_record_is_cut_off() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl("add-br br0");
    host.address("br0", "10.0.0.254/24");
    let guest = switch.plug("br0", "veth1", "10.0.0.1/24");
    switch.vsctl("add-br br1");
    let gone = switch.kill_hard();
    let file = gone.rundir().join("conf.db");
    let mut database = fs::OpenOptions::new().append(true).open(&file).unwrap();
    database.write_all(b"OVSDB JSON 500 0123456789012345678901234567890123456789\n{\"Bri").unwrap();
    drop(database);
    let switch = gone.start_again();
    guest.must_reach("10.0.0.254");
    assert_eq!(switch.vsctl("list-br"), "br0\nbr1");
    let gone = switch.kill_hard();
    let mut database = fs::OpenOptions::new().append(true).open(&file).unwrap();
    database.write_all(b"\0\0\0\0 not of a database\n").unwrap();
    drop(database);
    let switch = gone.start_again();
    guest.must_reach("10.0.0.254");
    switch.vsctl("add-br br2");
    let switch = switch.kill_hard().start_again();
    assert_eq!(switch.vsctl("list-br"), "br0\nbr1\nbr2");
    host.sh(&format!("ovsdb-tool query {} '[\"Open_vSwitch\",{{\"op\":\"select\",\"table\":\"Bridge\",\"where\":[]}}]'", file.display()));
}
