//! Attaching for real: veth and other devices in a network namespace of the test's own.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod support;

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, OnceLock},
    thread,
    time::{Duration, Instant},
};

use aya::programs::{Xdp, XdpMode, loaded_programs};
use rustix::net::{AddressFamily, SocketType, socket};
use support::{Loaded, in_namespace, run};
use weft_ebpf::{
    AttachConfig, AttachError, Attached, Mode, NicEntry, Object, Program, QUEUES_MAX, Reason, Role,
    SLOTS_MAX, XdpState, pin_directory, pin_path, release_pins, xdp_state,
};

/// What the holder (a second process of this binary) attaches to, as "ifindex owner pin"; owner and pin are "-" when
/// there are none.
const HOLD: &str = "WEFT_EBPF_TEST_HOLD";

fn index(ifname: &str) -> u32 {
    let all = run("ip -o link show");
    let mut lines = all.lines();
    let line = lines
        .find(|line| {
            line.split(": ").nth(1).is_some_and(|name| name.split('@').next() == Some(ifname))
        })
        .unwrap();
    line.split(':').next().unwrap().parse().unwrap()
}

/// Programs and maps of this process.
fn object() -> &'static Arc<Object> {
    static OBJECT: OnceLock<Arc<Object>> = OnceLock::new();
    OBJECT.get_or_init(|| Arc::new(Object::load(false).unwrap()))
}

/// Those that stay when their owner's process ends.
fn pinned_object(owner: &str) -> Arc<Object> {
    let object = Object::open(Path::new("/sys/fs/bpf/weft"), owner).unwrap();
    assert_eq!(object.unpinned_reason(), None);
    Arc::new(object)
}

fn config(ifname: &str, role: Role) -> AttachConfig<'_> {
    AttachConfig {
        object: object(),
        ifindex: index(ifname),
        ifname,
        queues: 1,
        role,
        pin: None,
        frags_first: false,
    }
}

fn veth(mtu: u32) {
    run(&format!("ip link add v0 mtu {mtu} type veth peer name v1 mtu {mtu}"));
    run("ip link set v0 up");
    run("ip link set v1 up");
}

fn state(ifname: &str) -> XdpState {
    xdp_state(index(ifname)).unwrap()
}

fn runs_something(ifname: &str) -> bool {
    state(ifname).programs().next().is_some()
}

/// Whether it runs no program. Another test's look at all links may hold one for a moment after its end.
fn runs_nothing(ifname: &str) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while runs_something(ifname) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    !runs_something(ifname)
}

fn counter(attached: &Attached, reason: Reason) -> u64 {
    attached.counters().unwrap()[usize::try_from(reason.index()).unwrap()].1
}

fn pin(name: &str) -> PathBuf {
    Path::new("/sys/fs/bpf/weft").join(name)
}

/// A feature of a device, as ethtool prints it.
fn feature(ifname: &str, name: &str) -> String {
    let all = run(&format!("ethtool -k {ifname}"));
    let line = all.lines().find(|line| line.trim().starts_with(&format!("{name}:"))).unwrap();
    line.split(": ").nth(1).unwrap().to_owned()
}

/// A second process that attaches with what its owner has pinned or, for "-", with what ends with it.
fn holds(ifname: &str, owner: &str, pin: Option<&Path>) -> Command {
    let pin = pin.map_or("-".to_owned(), |pin| pin.display().to_string());
    let mut command = Command::new("setpriv");
    command
        // What the packaged unit has.
        .args([
            "--bounding-set=-all,+net_admin,+net_raw,+bpf,+perfmon,+ipc_lock",
            "--inh-caps=-all",
        ])
        .arg(env::current_exe().unwrap())
        .args(["--exact", "hold", "--nocapture", "--test-threads=1"])
        .env(HOLD, format!("{} {owner} {pin}", index(ifname)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

/// It attaches, says so, and stays.
fn holder(ifname: &str, owner: &str, pin: Option<&Path>) -> Child {
    let mut child = holds(ifname, owner, pin).spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    assert!(output.lines().any(|line| line.unwrap().contains("holding")));
    child
}

/// It attached, and was killed.
fn held_and_killed(ifname: &str, owner: &str, pin: &Path) {
    let mut child = holder(ifname, owner, Some(pin));
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Not a test of its own: the second process.
#[test]
fn hold() {
    let Ok(order) = env::var(HOLD) else { return };
    let mut words = order.split(' ');
    let ifindex = words.next().unwrap().parse().unwrap();
    let (owner, pin) = (words.next().unwrap(), words.next().unwrap());
    let opened = if owner == "-" {
        Object::load(false)
    } else {
        Object::open(Path::new("/sys/fs/bpf/weft"), owner)
    };
    let attached = opened.and_then(|object| {
        Attached::attach(&AttachConfig {
            object: &Arc::new(object),
            ifindex,
            ifname: "held",
            queues: 1,
            role: Role::Port,
            pin: (pin != "-").then_some(Path::new(pin)),
            frags_first: false,
        })
    });
    match attached {
        Ok(attached) => {
            println!("\nholding, adopted: {}", attached.adopted());
            // Until killed, or the parent is gone.
            let _ = std::io::stdin().lines().next();
        }
        Err(error) => println!("\nrefused: {error}"),
    }
}

#[test]
fn a_veth_runs_it_natively_without_frags() {
    in_namespace("a_veth_runs_it_natively_without_frags", || {
        veth(1500);
        let before = feature("v1", "generic-segmentation-offload");
        let attached = Attached::attach(&config("v0", Role::Port)).unwrap();
        assert_eq!((attached.mode(), attached.has_frags()), (Mode::Native, false));
        assert_eq!((attached.adopted(), attached.fallback_reason()), (false, None));
        assert_eq!(attached.program_name(), "weft_port");
        assert!(state("v0").native.is_some() && state("v0").generic.is_none());
        // What makes the peer hand over frames no larger than the MTU.
        let during = feature("v1", "tcp-segmentation-offload");
        assert_eq!((before.as_str(), during.as_str()), ("on", "off"));
        drop(attached);
        assert!(runs_nothing("v0"));
    });
}

#[test]
fn a_large_mtu_needs_frags() {
    in_namespace("a_large_mtu_needs_frags", || {
        veth(9000);
        let attached = Attached::attach(&config("v0", Role::Underlay)).unwrap();
        assert_eq!((attached.mode(), attached.has_frags()), (Mode::Native, true));
        let reason = attached.fallback_reason().unwrap().to_owned();
        assert!(reason.starts_with("native without frags: "), "{reason}");
        assert_eq!(attached.program_name(), "weft_steer_sg");
        let offload = feature("v1", "tcp-segmentation-offload");
        assert!(offload.starts_with("off"), "with frags too the peer segments: {offload}");
        attached.detach().unwrap();
        assert!(runs_nothing("v0"));
        // Adopting chooses anew: with frags while the MTU needs it.
        let path = pin_path(index("v0")).unwrap();
        let config = AttachConfig { pin: Some(&path), ..config("v0", Role::Port) };
        drop(Attached::attach(&config).unwrap());
        let attached = Attached::attach(&config).unwrap();
        assert!(attached.adopted() && attached.has_frags(), "{attached:?}");
        assert_eq!(attached.fallback_reason(), Some(reason.as_str()));
        run("ip link set v1 mtu 1500");
        run("ip link set v0 mtu 1500");
        let attached = Attached::attach(&config).unwrap();
        assert!(attached.adopted() && !attached.has_frags(), "{attached:?}");
    });
}

#[test]
fn what_has_no_native_xdp_gets_generic() {
    in_namespace("what_has_no_native_xdp_gets_generic", || {
        run("ip link add b0 type bridge");
        run("ip link set b0 up");
        for ifname in ["b0", "lo"] {
            let attached = Attached::attach(&config(ifname, Role::Port)).unwrap();
            assert_eq!((attached.mode(), attached.has_frags()), (Mode::Generic, false), "{ifname}");
            let reason = attached.fallback_reason().unwrap();
            assert!(reason.contains("not supported"), "{reason}");
            assert!(state(ifname).generic.is_some() && state(ifname).native.is_none());
            drop(attached);
            assert!(runs_nothing(ifname), "{ifname}");
        }
    });
}

#[test]
fn a_pinned_program_outlives_kill_and_is_adopted() {
    in_namespace("a_pinned_program_outlives_kill_and_is_adopted", || {
        veth(1500);
        let path = pin("v0");
        held_and_killed("v0", "this", &path);
        let old = state("v0").native.unwrap();
        let object = pinned_object("this");
        let config = AttachConfig { object: &object, pin: Some(&path), ..config("v0", Role::Port) };
        let attached = Attached::attach(&config).unwrap();
        assert!(attached.adopted());
        assert_eq!((attached.mode(), attached.fallback_reason()), (Mode::Native, None));
        let new = state("v0").native.unwrap();
        assert_eq!(old, new, "a program that is as good stays");
        // A drop leaves it, as the end of the process does; a third one adopts it again.
        drop(attached);
        assert_eq!(state("v0").native, Some(new));
        let attached = Attached::attach(&config).unwrap();
        assert!(attached.adopted() && path.exists());
        // Another one takes its place through the link, and gives it back.
        for (role, name) in [(Role::Underlay, "weft_steer"), (Role::Port, "weft_port")] {
            let before = state("v0").native.unwrap();
            let attached = Attached::attach(&AttachConfig { role, ..config }).unwrap();
            assert!(attached.adopted() && attached.program_name() == name, "{attached:?}");
            assert_ne!(state("v0").native.unwrap(), before);
        }
        attached.detach().unwrap();
        assert!(runs_nothing("v0") && !path.exists());
    });
}

/// What the packaged unit may not do is to ask for programs and maps by number.
#[test]
fn adopting_takes_no_admin() {
    in_namespace("adopting_takes_no_admin", || {
        veth(1500);
        let path = pin("v0");
        held_and_killed("v0", "this", &path);
        let before = state("v0").native.unwrap();
        let output = holds("v0", "this", Some(&path)).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("adopted: true"), "{said}");
        assert_eq!(state("v0").native, Some(before));
    });
}

/// An underlay goes on steering by the addresses and ports that it has, and counts on.
#[test]
fn an_adopted_underlay_has_its_addresses() {
    in_namespace("an_adopted_underlay_has_its_addresses", || {
        hosts(1500);
        let (path, object) = (pin("v0"), pinned_object("this"));
        let role = Role::Underlay;
        let config = AttachConfig { object: &object, pin: Some(&path), ..config("v0", role) };
        let mut attached = Attached::attach(&config).unwrap();
        attached.set_vteps(&["198.51.100.1".parse().unwrap()]).unwrap();
        attached.set_tunnel_ports(&[4789]).unwrap();
        let send = "socat -u EXEC:'printf hello' UDP4-SENDTO:198.51.100.1:4789";
        let send = || Command::new("ip").args(["netns", "exec", "peer", "sh", "-c", send]).status();
        assert!(send().unwrap().success());
        assert_eq!(counter(&attached, Reason::NoSocket), 1);
        drop(attached);
        assert!(send().unwrap().success());
        let mut attached = Attached::attach(&config).unwrap();
        assert!(attached.adopted());
        assert_eq!(counter(&attached, Reason::NoSocket), 2);
        attached.set_vteps(&[]).unwrap();
        assert!(send().unwrap().success());
        assert_eq!(counter(&attached, Reason::PassNotVtep), 1);
        attached.detach().unwrap();
    });
}

/// An earlier version had a program for each interface, with maps of its own: nothing of it stays.
#[test]
fn the_program_of_an_earlier_version_is_replaced() {
    in_namespace("the_program_of_an_earlier_version_is_replaced", || {
        veth(1500);
        let path = pin_path(index("v0")).unwrap();
        held_and_killed("v0", "-", &path);
        let old = state("v0").native.unwrap();
        let folder = pin_directory().unwrap();
        let object = Arc::new(Object::open(&folder, "this").unwrap());
        let config = AttachConfig { object: &object, pin: Some(&path), ..config("v0", Role::Port) };
        let attached = Attached::attach(&config).unwrap();
        assert!(attached.adopted() && state("v0").native != Some(old));
        let deadline = Instant::now() + Duration::from_secs(10);
        let is_there = || loaded_programs().flatten().any(|program| program.id() == old);
        while is_there() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
        assert!(!is_there(), "the old program is still loaded");
        // Maps and programs of another layout, and of a switch that is no more.
        let others = ["v0-0123456789abcdef", "v1-0123456789abcdef"];
        for other in others {
            fs::create_dir(folder.join(other)).unwrap();
            let mut ebpf = foreign();
            let xdp: &mut Xdp = ebpf.program_mut("else_pass").unwrap().try_into().unwrap();
            xdp.load().unwrap();
            xdp.pin(folder.join(other).join("it")).unwrap();
        }
        let removed = release_pins(&folder, &[index("v0")], object.home()).unwrap();
        assert_eq!(removed, others);
        assert!(object.home().unwrap().join("NICS").exists() && runs_something("v0"));
        attached.detach().unwrap();
        object.unpin();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    });
}

#[test]
fn two_switches_do_not_disturb_each_other() {
    in_namespace("two_switches_do_not_disturb_each_other", || {
        veth(1500);
        let (path, own) = (pin("v0"), pin("v1"));
        let mut other = holder("v0", "other", Some(&path));
        let before = state("v0");
        let object = pinned_object("this");
        let config0 =
            AttachConfig { object: &object, pin: Some(&path), ..config("v0", Role::Port) };
        let error = Attached::attach(&config0).unwrap_err();
        assert!(matches!(error, AttachError::Held { .. }), "{error}");
        assert!(state("v0") == before && path.exists());
        let config1 = AttachConfig { object: &object, pin: Some(&own), ..config("v1", Role::Port) };
        Attached::attach(&config1).unwrap().detach().unwrap();
        assert_eq!(state("v0"), before);
        // What the other one left when it died is taken over.
        other.kill().unwrap();
        other.wait().unwrap();
        let attached = Attached::attach(&config0).unwrap();
        assert!(attached.adopted() && state("v0") != before);
        attached.detach().unwrap();
    });
}

#[test]
fn interfaces_share_programs_and_slots_have_an_end() {
    in_namespace("interfaces_share_programs_and_slots_have_an_end", || {
        veth(1500);
        let v0 = Attached::attach(&config("v0", Role::Port)).unwrap();
        let v1 = Attached::attach(&config("v1", Role::Port)).unwrap();
        assert_eq!(state("v0").native, state("v1").native);
        v0.detach().unwrap();
        assert!(runs_nothing("v0") && runs_something("v1"));
        // All slots but that of v1, and 255 that are too few.
        let open = |number| NicEntry::open(object(), 10_000 + number, QUEUES_MAX).unwrap();
        let mut entries: Vec<_> = (1..SLOTS_MAX / QUEUES_MAX).map(open).collect();
        let config = AttachConfig { queues: QUEUES_MAX, ..config("v0", Role::Port) };
        let error = Attached::attach(&config).unwrap_err().to_string();
        assert!(error.starts_with("interface v0: map XSKS is full"), "{error}");
        assert!(error.contains("16384 entries, 255 are free"), "{error}");
        assert!(runs_nothing("v0"));
        entries.pop();
        drop(Attached::attach(&config).unwrap());
        drop(v1);
    });
}

#[test]
fn an_unpinned_program_ends_with_its_process() {
    in_namespace("an_unpinned_program_ends_with_its_process", || {
        veth(1500);
        let config = config("v0", Role::Port);
        let mut child = holder("v0", "-", None);
        assert!(runs_something("v0"));
        // While it lives it holds the interface, and the error says who.
        let error = Attached::attach(&config).unwrap_err();
        let is_held = matches!(&error, AttachError::Held { program, link, .. } if program == "weft_port" && *link > 0);
        assert!(is_held, "{error}");
        // It is waited for when it is just ending.
        let killer = thread::spawn(move || {
            thread::sleep(Duration::from_millis(100));
            child.kill().unwrap();
            child.wait().unwrap();
        });
        let attached = Attached::attach(&config).unwrap();
        assert!(!attached.adopted());
        killer.join().unwrap();
        drop(attached);
        assert!(runs_nothing("v0"));
    });
}

#[test]
fn a_stale_pin_is_removed() {
    in_namespace("a_stale_pin_is_removed", || {
        veth(1500);
        let path = pin("v0");
        drop(
            Attached::attach(&AttachConfig { pin: Some(&path), ..config("v0", Role::Port) })
                .unwrap(),
        );
        run("ip link del v0");
        assert!(path.exists(), "its device is gone, the pin is not");
        veth(1500);
        let config0 = AttachConfig { pin: Some(&path), ..config("v0", Role::Port) };
        let attached = Attached::attach(&config0).unwrap();
        assert!(!attached.adopted() && path.exists());
        drop(attached);
        // The same path for another interface: the first one loses its program.
        let config1 = AttachConfig { pin: Some(&path), ..config("v1", Role::Port) };
        let attached = Attached::attach(&config1).unwrap();
        assert!(!attached.adopted() && runs_nothing("v0") && runs_something("v1"));
        attached.detach().unwrap();
        assert!(runs_nothing("v1") && !path.exists());
        // Something else at that path, even from a file of nobody's.
        fs::create_dir(&path).unwrap();
        assert!(Attached::attach(&config0).is_err());
        fs::remove_dir(&path).unwrap();
        let attached = Attached::attach(&config0).unwrap();
        attached.detach().unwrap();
    });
}

#[test]
fn a_renamed_interface_keeps_its_program() {
    in_namespace("a_renamed_interface_keeps_its_program", || {
        veth(1500);
        let (old, new) = (pin("v0"), pin("w0"));
        drop(
            Attached::attach(&AttachConfig { pin: Some(&old), ..config("v0", Role::Port) })
                .unwrap(),
        );
        run("ip link set v0 down");
        run("ip link set v0 name w0");
        let config = AttachConfig { pin: Some(&new), ..config("w0", Role::Port) };
        let attached = Attached::attach(&config).unwrap();
        assert!(attached.adopted() && new.exists() && !old.exists());
        attached.detach().unwrap();
        assert!(runs_nothing("w0") && !new.exists());
    });
}

#[test]
fn pins_of_removed_ports_are_released() {
    in_namespace("pins_of_removed_ports_are_released", || {
        veth(1500);
        assert_eq!(release_pins(&pin_directory().unwrap(), &[], None).unwrap(), [""; 0]);
        let paths = ["v0", "v1"].map(|ifname| pin_path(index(ifname)).unwrap());
        for (ifname, path) in ["v0", "v1"].iter().zip(&paths) {
            let config = AttachConfig { pin: Some(path), ..config(ifname, Role::Port) };
            let attached = Attached::attach(&config).unwrap();
            assert_eq!(attached.unpinned_reason(), None);
        }
        let removed = release_pins(&pin_directory().unwrap(), &[index("v1")], None).unwrap();
        assert_eq!(removed, [index("v0").to_string()]);
        assert!(runs_nothing("v0") && runs_something("v1"));
        assert!(!paths[0].exists() && paths[1].exists());
        // An earlier version pinned by name. What is no link of ours stays.
        let folder = pin_directory().unwrap();
        let named = folder.join("v0");
        let config = AttachConfig { pin: Some(&named), ..config("v0", Role::Port) };
        drop(Attached::attach(&config).unwrap());
        fs::create_dir(folder.join("else")).unwrap();
        let removed = release_pins(&folder, &[index("v0"), index("v1")], None).unwrap();
        assert_eq!(removed, ["v0"]);
        assert!(runs_nothing("v0") && folder.join("else").exists());
    });
}

#[test]
fn without_a_bpffs_it_works_unpinned() {
    in_namespace("without_a_bpffs_it_works_unpinned", || {
        veth(1500);
        run("mount -t tmpfs tmpfs /mnt");
        let path = Path::new("/mnt/weft/v0");
        let config = AttachConfig { pin: Some(path), ..config("v0", Role::Port) };
        let attached = Attached::attach(&config).unwrap();
        assert!(attached.unpinned_reason().unwrap().contains("mount -t bpf"));
        assert!(runs_something("v0") && !path.exists());
        drop(attached);
        assert!(runs_nothing("v0"));
    });
}

/// Our object under another name: somebody else's program.
fn foreign() -> aya::Ebpf {
    let object = concat!(env!("CARGO_MANIFEST_DIR"), "/object/weft.bpf.o");
    let mut object = fs::read(object).unwrap();
    let (ours, theirs) = (b"weft_pass", b"else_pass");
    for start in 0..object.len() - ours.len() {
        if object[start..].starts_with(ours) {
            object[start..start + ours.len()].copy_from_slice(theirs);
        }
    }
    aya::Ebpf::load(&object).unwrap()
}

#[test]
fn a_foreign_program_is_an_error_and_stays() {
    in_namespace("a_foreign_program_is_an_error_and_stays", || {
        veth(1500);
        for (mode, xdp_mode) in [(Mode::Native, XdpMode::Driver), (Mode::Generic, XdpMode::Skb)] {
            let mut ebpf = foreign();
            let xdp: &mut Xdp = ebpf.program_mut("else_pass").unwrap().try_into().unwrap();
            xdp.load().unwrap();
            xdp.attach_to_if_index(index("v0"), xdp_mode).unwrap();
            let before = state("v0");
            let error = Attached::attach(&config("v0", Role::Port)).unwrap_err();
            let text = error.to_string();
            let AttachError::ForeignProgram { program, id, mode: said, .. } = error else {
                panic!("{text}")
            };
            assert_eq!((program.as_str(), said), ("else_pass", mode));
            assert_eq!(before.programs().next(), Some((id, mode)));
            assert!(text.contains("ip link set dev v0 xdp"), "{text}");
            assert_eq!(state("v0"), before);
        }
        // The same without a link, as `ip link` does it.
        let mut ebpf = foreign();
        let xdp: &mut Xdp = ebpf.program_mut("else_pass").unwrap().try_into().unwrap();
        xdp.load().unwrap();
        xdp.pin("/sys/fs/bpf/else").unwrap();
        run("ip link set dev v0 xdpdrv pinned /sys/fs/bpf/else");
        drop(ebpf);
        let before = state("v0");
        let error = Attached::attach(&config("v0", Role::Port)).unwrap_err();
        assert!(matches!(error, AttachError::ForeignProgram { .. }), "{error}");
        assert_eq!(state("v0"), before);
    });
}

#[test]
fn a_left_over_without_a_link_goes() {
    in_namespace("a_left_over_without_a_link_goes", || {
        veth(1500);
        let object =
            aya::include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/object/weft.bpf.o"));
        for attach in ["xdpdrv", "xdpgeneric"] {
            let mut ebpf = aya::Ebpf::load(object).unwrap();
            let xdp: &mut Xdp = ebpf.program_mut("weft_steer").unwrap().try_into().unwrap();
            xdp.load().unwrap();
            xdp.pin("/sys/fs/bpf/old").unwrap();
            run(&format!("ip link set dev v0 {attach} pinned /sys/fs/bpf/old"));
            fs::remove_file("/sys/fs/bpf/old").unwrap();
            drop(ebpf);
            assert!(runs_something("v0"));
            let attached = Attached::attach(&config("v0", Role::Port)).unwrap();
            assert_eq!((attached.mode(), attached.adopted()), (Mode::Native, false), "{attach}");
            assert_eq!(state("v0").programs().count(), 1);
            drop(attached);
            assert!(runs_nothing("v0"));
        }
    });
}

#[test]
fn what_cannot_be_is_said_with_its_cause() {
    in_namespace("what_cannot_be_is_said_with_its_cause", || {
        let gone = AttachConfig { ifindex: 4711, ifname: "gone", ..config("lo", Role::Port) };
        let error = Attached::attach(&gone).unwrap_err();
        assert!(matches!(error, AttachError::NoDevice { ifindex: 4711, .. }), "{error}");

        veth(1500);
        let output = Command::new("setpriv")
            .args(["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"])
            .arg(env::current_exe().unwrap())
            .args(["--exact", "hold", "--nocapture", "--test-threads=1"])
            .env(HOLD, format!("{} - -", index("v0")))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("refused: not allowed") && said.contains("CAP_BPF"), "{said}");
        assert!(runs_nothing("v0"));
    });
}

#[test]
fn only_the_queue_of_the_socket_is_redirected() {
    in_namespace("only_the_queue_of_the_socket_is_redirected", || {
        run("ip link add v0 numrxqueues 4 numtxqueues 4 type veth peer name v1");
        run("ip link set v0 up");
        // The kernel knows the queues' numbers while a program is on the device.
        let _attached = Attached::attach(&config("v0", Role::Pass)).unwrap();
        let program = Program { role: Role::Port, frags: false };
        let Loaded { object, nic: loopback } = Loaded::new();
        let mut nic = NicEntry::open(&object, index("v0"), 4).unwrap();
        let socket = socket(AddressFamily::XDP, SocketType::RAW, None).unwrap();
        nic.set_socket(2, &socket).unwrap();
        for queue in 0..4 {
            // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex
            let context: Vec<u8> = [0, 64, 0, index("v0"), queue, 0_u32]
                .iter()
                .flat_map(|word| word.to_ne_bytes())
                .collect();
            let action = object.test_run(program, &[0; 64], Some(&context)).unwrap();
            assert_eq!(action, if queue == 2 { 4 } else { 2 }, "queue {queue}");
        }
        let counters = nic.counters().unwrap();
        assert_eq!(counters[..2], [(Reason::Redirected, 1), (Reason::NoSocket, 3)]);
        assert!(loopback.counters().unwrap().iter().all(|(_, count)| *count == 0));
    });
}

/// Two hosts: this namespace with v0, 198.51.100.1, and "peer" with v1, 198.51.100.2.
fn hosts(mtu: u32) {
    veth(mtu);
    run("ip netns add peer");
    run("ip link set v1 netns peer");
    run("ip addr add 198.51.100.1/24 dev v0");
    run("ip -n peer addr add 198.51.100.2/24 dev v1");
    run("ip -n peer link set lo up");
    run("ip -n peer link set v1 up");
}

/// Frames of the megabyte that is the least that [`tcp_runs`] takes for TCP, were they all of 64 KiB: how much the
/// kernel puts into one is its choice.
const TCP_FRAMES_MIN: u64 = 16;

/// TCP both ways at full speed, with the counts of bad checksums on both hosts unmoved.
fn tcp_runs() {
    let mut server = Command::new("ip")
        .args("netns exec peer iperf3 -s -1".split(' '))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    while run("ip netns exec peer ss -Hltn sport = 5201").is_empty() {
        assert!(Instant::now() < deadline, "iperf3 does not listen");
        thread::sleep(Duration::from_millis(20));
    }
    let report = run("iperf3 -c 198.51.100.2 -t 1 --bidir");
    assert!(server.wait().unwrap().success());
    for role in ["[RX-C]", "[TX-C]"] {
        let line = report.lines().find(|l| l.contains(role) && l.contains("receiver")).unwrap();
        println!("{line}");
        assert!(line.contains("MBytes") || line.contains("GBytes"), "{report}");
    }
    for host in ["", "ip netns exec peer "] {
        for count in ["TcpInCsumErrors", "TcpInErrs", "UdpInCsumErrors"] {
            let line = run(&format!("{host}nstat -az {count}"));
            let value = line.lines().last().unwrap().split_whitespace().nth(1).unwrap().to_owned();
            assert_eq!(value, "0", "{host}{count}");
        }
    }
}

#[test]
fn the_host_keeps_its_own_traffic_on_an_underlay() {
    in_namespace("the_host_keeps_its_own_traffic_on_an_underlay", || {
        hosts(1500);
        let mut attached = Attached::attach(&config("v0", Role::Underlay)).unwrap();
        attached.set_vteps(&["198.51.100.1".parse().unwrap()]).unwrap();
        attached.set_tunnel_ports(&[4789, 6081]).unwrap();
        assert_eq!((attached.mode(), attached.has_frags()), (Mode::Native, false));
        tcp_runs();
        run("ping -q -c 3 -i 0.1 -W 1 198.51.100.2");
        // Larger than the MTU: the host's own fragments are none of ours.
        run("ping -q -c 3 -i 0.1 -W 1 -s 4000 198.51.100.2");
        let moved = attached.counters().unwrap();
        println!("{moved:?}");
        assert!(counter(&attached, Reason::PassNotTunnel) >= TCP_FRAMES_MIN);
        for (reason, count) in moved {
            let expected = matches!(reason, Reason::PassNotTunnel | Reason::PassNotIp);
            assert!(expected || count == 0, "{} {count}", reason.name());
        }
    });
}

#[test]
fn the_host_keeps_its_own_traffic_with_frags() {
    in_namespace("the_host_keeps_its_own_traffic_with_frags", || {
        hosts(9000);
        let mut attached = Attached::attach(&config("v0", Role::Underlay)).unwrap();
        attached.set_vteps(&["198.51.100.1".parse().unwrap()]).unwrap();
        assert_eq!((attached.mode(), attached.has_frags()), (Mode::Native, true));
        tcp_runs();
        assert!(counter(&attached, Reason::PassNotTunnel) >= TCP_FRAMES_MIN);
    });
}

/// A device without native XDP as the underlay: a bridge of the kernel.
#[test]
fn the_host_keeps_its_own_traffic_in_generic_mode() {
    in_namespace("the_host_keeps_its_own_traffic_in_generic_mode", || {
        hosts(1500);
        run("ip addr flush dev v0");
        run("ip link add b0 type bridge");
        run("ip link set v0 master b0");
        run("ip link set b0 up");
        run("ip addr add 198.51.100.1/24 dev b0");
        let attached = Attached::attach(&config("b0", Role::Underlay)).unwrap();
        assert_eq!(attached.mode(), Mode::Generic);
        tcp_runs();
        assert!(counter(&attached, Reason::PassNotTunnel) >= TCP_FRAMES_MIN);
    });
}

/// A connection that is open when weftd is killed and comes back: one program replaces the other without
/// losing the host's traffic.
#[test]
fn adopting_does_not_disturb_the_host() {
    in_namespace("adopting_does_not_disturb_the_host", || {
        hosts(1500);
        let path = pin("v0");
        let config = AttachConfig { pin: Some(&path), ..config("v0", Role::Underlay) };
        let attached = Attached::attach(&config).unwrap();
        let mut ping = Command::new("ip")
            .args("netns exec peer ping -q -c 100 -i 0.01 -W 1 198.51.100.1".split(' '))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        drop(attached);
        while ping.try_wait().unwrap().is_none() {
            assert!(Attached::attach(&config).unwrap().adopted());
        }
        let output = ping.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(" 0% packet loss"), "{said}");
    });
}

#[test]
fn frames_are_logged_only_when_asked() {
    in_namespace("frames_are_logged_only_when_asked", || {
        hosts(1500);
        let debug = Arc::new(Object::load(true).unwrap());
        let mut log = debug.take_debug_log().unwrap();
        let log = &mut log;
        let debug = AttachConfig { object: &debug, ..config("v0", Role::Underlay) };
        let attached = Attached::attach(&debug).unwrap();
        run("ping -q -c 1 -W 1 198.51.100.2");
        let readable = |log: &mut weft_ebpf::DebugLog| {
            let mut fds = [rustix::event::PollFd::new(log, rustix::event::PollFlags::IN)];
            rustix::event::poll(&mut fds, Some(&rustix::event::Timespec::default())).unwrap() == 1
        };
        assert!(readable(log));
        log.flush();
        assert!(!readable(log));
        drop(attached);
        assert!(object().take_debug_log().is_none());
    });
}

/// The counters of one interface say nothing of another's.
#[test]
fn each_interface_has_entries_of_its_own() {
    in_namespace("each_interface_has_entries_of_its_own", || {
        hosts(1500);
        run("ip link add w0 type veth peer name w1");
        let v0 = Attached::attach(&config("v0", Role::Underlay)).unwrap();
        let w0 = Attached::attach(&config("w0", Role::Underlay)).unwrap();
        run("ping -q -c 3 -i 0.1 -W 1 198.51.100.2");
        assert!(counter(&v0, Reason::PassNotTunnel) >= 3);
        assert!(w0.counters().unwrap().iter().all(|(_, count)| *count == 0));
    });
}

/// What passes ends behind the taps while the shield is up, and only then.
#[test]
fn the_shield_keeps_frames_from_the_host() {
    in_namespace("the_shield_keeps_frames_from_the_host", || {
        veth(1500);
        run("ip netns add peer");
        run("ip link set v1 netns peer");
        run("ip addr add 192.0.2.1/24 dev v0");
        run("ip -n peer addr add 192.0.2.2/24 dev v1");
        run("ip -n peer link set v1 up");
        let answers = || {
            let ping = "netns exec peer ping -q -c 1 -W 1 192.0.2.1";
            let output = Command::new("ip").args(ping.split(' ')).output().unwrap();
            output.status.success()
        };
        let config = config("v0", Role::Port);
        let mut attached = Attached::attach(&config).unwrap();
        assert!(answers(), "a port without sockets passes its frames");
        attached.shield_host("v0").unwrap();
        attached.shield_host("v0").unwrap();
        assert!(!answers(), "the host answered behind the shield");
        attached.unshield_host();
        assert!(answers(), "the shield outlived its end");
        attached.shield_host("v0").unwrap();
        drop(attached);
        assert!(answers(), "the shield outlived the program");
        let mut attached = Attached::attach(&config).unwrap();
        let refused = attached.shield_host("nothing").unwrap_err();
        assert!(refused.to_string().contains("interface nothing"), "{refused}");
    });
}
