//! The kernel's tables, followed live, in a network namespace of our own.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::net::IpAddr;
use std::process::Command;
use std::time::{Duration, Instant};
use weft_vswitchd::config::tunnel::{self, Tunnel, TunnelType};
use weft_vswitchd::netlink::kernel::{Kernel, Monitor, Neighbour};
use weft_vswitchd::plan::path::{Path, State};
use weft_vswitchd::underlay::tunnels::resolve;
use weft_wire::mac::MacAddr;

/// Runs this test again as the only one of a process in namespaces of its own; true inside it.
fn in_namespace(test: &str) -> bool {
    if std::env::var_os("WEFT_TEST_INSIDE").is_some() {
        ip("link set lo up");
        return true;
    }
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        let required = std::env::var("WEFT_REQUIRE_NETNS").is_ok_and(|value| value == "1");
        assert!(!required, "{test} needs root, and WEFT_REQUIRE_NETNS=1");
        eprintln!("SKIPPED: {test} needs root for a network namespace");
        return false;
    }
    let status = Command::new("unshare")
        .args(["--net", "--mount", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env("WEFT_TEST_INSIDE", "1")
        .status()
        .unwrap();
    assert!(status.success(), "{test} failed in its namespace");
    false
}

fn ip(args: &str) {
    let output = Command::new("ip").args(args.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "ip {args}: {}", String::from_utf8_lossy(&output.stderr));
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn gre_to(remote: &str) -> Tunnel {
    let options = [("remote_ip".to_owned(), remote.to_owned())].into();
    tunnel::read(TunnelType::Gre, "t", &options).unwrap().0
}

/// Takes in news until `done`, at most two seconds.
async fn until(
    kernel: &mut Kernel,
    monitor: &Monitor,
    what: &str,
    mut done: impl FnMut(&mut Kernel) -> bool,
) {
    let began = Instant::now();
    while !done(kernel) {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}: nothing after twenty seconds");
        let wait = tokio::time::timeout(Duration::from_millis(100), monitor.next()).await;
        if let Ok(news) = wait {
            match news.unwrap() {
                Some(bytes) => drop(kernel.note_bytes(&bytes)),
                None => drop(kernel.refresh().unwrap()),
            }
        }
    }
}

fn run(test: impl AsyncFnOnce(Kernel, Monitor)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let monitor = Monitor::open().unwrap();
        test(Kernel::open().unwrap(), monitor).await;
    });
}

#[test]
fn links_come_change_and_go() {
    if !in_namespace("links_come_change_and_go") {
        return;
    }
    run(async |mut kernel, monitor| {
        assert!(kernel.link_named("lo").unwrap().is_loopback);
        ip("link add v0 type veth peer name v1");
        until(&mut kernel, &monitor, "v0 comes", |kernel| kernel.link_named("v0").is_some()).await;
        let link = kernel.link_named("v0").unwrap().clone();
        assert_eq!((link.kind.as_str(), link.mtu, link.is_admin_up), ("veth", 1500, false));
        ip("link set v0 up mtu 1400");
        ip("link set v1 up");
        let is_so = |kernel: &mut Kernel| {
            kernel.link_named("v0").is_some_and(|link| link.is_running && link.mtu == 1400)
        };
        until(&mut kernel, &monitor, "v0 runs", is_so).await;
        kernel.set_mtu(link.ifindex, 1300).unwrap();
        kernel.set_mac(link.ifindex, [2, 0, 0, 0, 0, 7]).unwrap();
        kernel.set_promiscuous(link.ifindex, true).unwrap();
        let is_so = |kernel: &mut Kernel| {
            let link = kernel.link_named("v0").unwrap();
            (link.mtu, link.mac, link.is_promiscuous) == (1300, [2, 0, 0, 0, 0, 7], true)
        };
        until(&mut kernel, &monitor, "v0 is as told", is_so).await;
        ip("link del v0");
        until(&mut kernel, &monitor, "v0 goes", |kernel| kernel.link(link.ifindex).is_none()).await;
    });
}

/// Until an IPv6 address is known to be unique the kernel sends from another one.
#[test]
fn an_address_is_there_once_it_is_unique() {
    if !in_namespace("an_address_is_there_once_it_is_unique") {
        return;
    }
    run(async |mut kernel, monitor| {
        ip("link add v0 type veth peer name v1");
        ip("link set v1 up");
        ip("link set v0 up");
        let device = kernel.refresh().and(Ok(kernel.link_named("v0").unwrap().ifindex)).unwrap();
        let [link_local, ours] = ["fe80::1", "2001:db8::1"].map(address);
        ip("-6 addr add fe80::1/64 dev v0 nodad");
        ip("-6 addr add 2001:db8::1/64 dev v0");
        let has = |kernel: &Kernel, which| kernel.addresses_of(device).any(|it| it == which);
        let source =
            |kernel: &mut Kernel| kernel.route(address("2001:db8::2"), None).unwrap().source;
        until(&mut kernel, &monitor, "fe80::1 comes", |kernel| has(kernel, link_local)).await;
        until(&mut kernel, &monitor, "2001:db8::1 comes", |kernel| has(kernel, ours)).await;
        assert_eq!(source(&mut kernel), Some(ours));
        // Another one is preferred while it is deprecated, so that is news.
        ip("-6 addr add 2001:db8::9/64 dev v0 nodad");
        let other = address("2001:db8::9");
        until(&mut kernel, &monitor, "2001:db8::9 comes", |kernel| has(kernel, other)).await;
        ip("-6 addr change 2001:db8::1/64 dev v0 preferred_lft 0");
        let mut news = std::collections::BTreeSet::new();
        while !news.contains(&(device, ours)) {
            let next = tokio::time::timeout(Duration::from_secs(20), monitor.next()).await;
            let bytes = next.unwrap().unwrap().unwrap();
            news.extend(kernel.note_bytes(&bytes).addresses);
        }
        assert_eq!(source(&mut kernel), Some(other));
    });
}

#[test]
fn a_refusal_is_an_error() {
    if !in_namespace("a_refusal_is_an_error") {
        return;
    }
    run(async |mut kernel, _| {
        let error = kernel.set_mtu(4711, 1500).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::NODEV.raw_os_error()));
        assert!(kernel.route(address("192.0.2.1"), None).is_none());
    });
}

#[test]
fn next_hops_that_share_a_route_are_told() {
    if !in_namespace("next_hops_that_share_a_route_are_told") {
        return;
    }
    run(async |mut kernel, _| {
        ip("link add v0 type veth peer name v1");
        for (device, net) in [("v0", 1), ("v1", 2)] {
            ip(&format!("link set {device} up"));
            ip(&format!("addr add 10.0.{net}.1/24 dev {device}"));
        }
        let hops = "nexthop via 10.0.1.2 dev v0 nexthop via 10.0.2.2 dev v1";
        ip(&format!("route add 203.0.113.0/24 {hops}"));
        drop(kernel.refresh().unwrap());
        let number = |name| kernel.link_named(name).unwrap().ifindex;
        let both = vec![number("v0"), number("v1")];
        assert_eq!(kernel.equal_routes(address("203.0.113.9"), None), both);
        assert_eq!(kernel.equal_routes(address("10.0.1.2"), None), [0; 0]);
        assert_eq!(kernel.equal_routes(address("8.8.8.8"), None), [0; 0]);
    });
}

/// A peer namespace at the other end of v0 with 10.0.0.254.
#[expect(clippy::zombie_processes, reason = "it sleeps for the namespace and ends by itself")]
fn with_peer() {
    ip("link add v0 type veth peer name v1");
    let sleeper = Command::new("unshare").args(["--net", "sleep", "60"]).spawn().unwrap();
    let pid = sleeper.id().to_string();
    // The namespace exists when its link file differs from ours.
    let own = std::fs::read_link("/proc/self/ns/net").unwrap();
    while std::fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|other| other == own) {
        std::thread::sleep(Duration::from_millis(5));
    }
    ip(&format!("link set v1 netns {pid}"));
    let inside = |args: &str| {
        let status = Command::new("nsenter")
            .args(["-t", &pid, "-n", "ip"])
            .args(args.split_whitespace())
            .status();
        assert!(status.unwrap().success(), "{args}");
    };
    inside("addr add 10.0.0.254/24 dev v1");
    inside("link set v1 address 02:00:00:00:00:fe up");
    ip("addr add 10.0.0.1/24 dev v0");
    ip("link set v0 up");
    ip("route add default via 10.0.0.254");
}

fn path_to(kernel: &mut Kernel, remote: &str) -> Path {
    resolve(kernel, &gre_to(remote))
}

#[test]
fn a_tunnel_finds_its_way_and_follows_it() {
    if !in_namespace("a_tunnel_finds_its_way_and_follows_it") {
        return;
    }
    with_peer();
    run(async |mut kernel, monitor| {
        let path = path_to(&mut kernel, "192.0.2.9");
        let egress = path.egress.unwrap();
        assert_eq!(egress.name, "v0");
        assert_eq!(path.next_hop, Some(address("10.0.0.254")));
        assert_eq!((path.source, path.mtu), (Some(address("10.0.0.1")), 1500));
        kernel.ask_neighbour(egress.ifindex, address("10.0.0.254")).unwrap();
        let peer = MacAddr([2, 0, 0, 0, 0, 0xfe]);
        let is_ready = |mac| {
            move |kernel: &mut Kernel| path_to(kernel, "192.0.2.9").state == State::Ready(mac)
        };
        until(&mut kernel, &monitor, "the next hop answers", is_ready(peer)).await;
        ip("neigh replace 10.0.0.254 lladdr 02:00:00:00:00:55 dev v0 nud permanent");
        let other = MacAddr([2, 0, 0, 0, 0, 0x55]);
        until(&mut kernel, &monitor, "its new address", is_ready(other)).await;
        ip("link set v0 down");
        let is_lost = |kernel: &mut Kernel| {
            matches!(path_to(kernel, "192.0.2.9").state, State::Unreachable(_))
        };
        until(&mut kernel, &monitor, "the route goes", is_lost).await;
    });
}

#[test]
fn a_silent_neighbour_and_a_local_remote_have_reasons() {
    if !in_namespace("a_silent_neighbour_and_a_local_remote_have_reasons") {
        return;
    }
    with_peer();
    run(async |mut kernel, monitor| {
        let reason = |path: &Path| match &path.state {
            State::Unreachable(reason) => reason.clone(),
            other => panic!("{other:?}"),
        };
        let local = path_to(&mut kernel, "10.0.0.1");
        assert_eq!(reason(&local), "10.0.0.1 is an address of this host");
        let neigh = "/proc/sys/net/ipv4/neigh/v0";
        std::fs::write(format!("{neigh}/retrans_time_ms"), "100").unwrap();
        let ifindex = kernel.link_named("v0").unwrap().ifindex;
        kernel.ask_neighbour(ifindex, address("10.0.0.77")).unwrap();
        let is_silent = |kernel: &mut Kernel| {
            kernel.neighbour(ifindex, address("10.0.0.77")) == Some(Neighbour::Silent)
        };
        until(&mut kernel, &monitor, "the failure", is_silent).await;
        let silent = path_to(&mut kernel, "10.0.0.77");
        assert_eq!(reason(&silent), "10.0.0.77 does not answer on v0");
        ip("route add 198.51.100.0/24 via 10.0.0.254 mtu 1300");
        assert_eq!(path_to(&mut kernel, "198.51.100.1").mtu, 1300);
    });
}
