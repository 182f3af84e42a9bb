//! `weft` against the real daemon.

use serde_json::Value;
use weft_tests::{
    Host, Switch, add_port, cable_named, can_make_hosts, introduce, weft_program, weftd_program,
    within,
};

fn with_guests(test: impl FnOnce(&Host, &Switch<'_>, &Host, &Host)) {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    switch.vsctl("add-br br0");
    host.sh("ip link set br0 up");
    let a = switch.plug("br0", "veth1", "10.0.0.1/24");
    let b = switch.plug("br0", "veth2", "10.0.0.2/24");
    a.must_reach("10.0.0.2");
    test(&host, &switch, &a, &b);
}

#[test]
fn show_names_modes_workers_and_tunnels() {
    with_guests(|host, switch, _, _| {
        let far = Host::new("far");
        cable_named(host, "eth0", &far, "eth0");
        host.address("eth0", "192.0.2.1/24");
        far.address("eth0", "192.0.2.2/24");
        switch
            .vsctl("add-port br0 gre0 -- set interface gre0 type=gre options:remote_ip=192.0.2.2");
        let state = switch.weft_json("show");
        assert_eq!(state["bridges"].as_array().unwrap().len(), 1);
        assert!(!state["workers"].as_array().unwrap().is_empty());
        let port = switch.port("veth1");
        assert_eq!(port["ofport"], 1);
        assert!(["native", "generic"].contains(&port["xdp_mode"].as_str().unwrap()), "{port}");
        assert!(["copy", "zero-copy"].contains(&port["af_xdp_mode"].as_str().unwrap()), "{port}");
        assert!(!port["worker"].as_array().unwrap().is_empty(), "{port}");
        assert!(port["rx_frames"].as_u64().unwrap() > 0, "{port}");
        assert_eq!(switch.port("gre0")["tunnel"]["effective_mtu"], 1462);
        let mac = far.mac("eth0");
        host.knows("eth0", "192.0.2.2", &mac);
        far.knows("eth0", "192.0.2.1", &host.mac("eth0"));
        far.send_frame(
            "eth0",
            &format!(
                "Ether(dst=\"{}\")/IP(src=\"192.0.2.2\",dst=\"192.0.2.1\")/GRE(proto=0x6558)/\
                 Ether(dst=\"ff:ff:ff:ff:ff:ff\",src=\"02:00:00:00:00:77\",type=0x88b5)/(b\"x\"*46)",
                host.mac("eth0")
            ),
        );
        let counted = within(std::time::Duration::from_secs(10), || {
            let underlay = &switch.weft_json("show")["underlays"][0];
            underlay["name"] == "eth0" && underlay["rx_frames"] == 1
        });
        assert!(counted, "{}", switch.weft_json("show")["underlays"]);
        let status = switch.vsctl("get interface veth1 status");
        assert!(status.contains("native") || status.contains("generic"), "{status}");

        let page = switch.try_weft("show").expect_ok();
        for word in ["bridge br0", "veth1", "gre0", "192.0.2.2", "1462", "underlay eth0"] {
            assert!(page.contains(word), "no {word} in\n{page}");
        }
    });
}

#[test]
fn fdb_lists_what_was_learned() {
    with_guests(|_, switch, a, b| {
        let list = switch.weft_json("fdb br0");
        let find = |mac: &str| -> Value {
            let mut entries = list.as_array().unwrap().iter();
            entries.find(|entry| entry["mac"] == mac).cloned().unwrap_or_default()
        };
        assert_eq!(find(&a.mac("eth0"))["port"], "veth1", "{list}");
        assert_eq!(find(&b.mac("eth0"))["port"], "veth2", "{list}");
        assert!(switch.try_weft("fdb").expect_ok().contains(&a.mac("eth0")));
        assert_eq!(switch.try_weft("fdb nope").code, 1);
    });
}

#[test]
fn drops_name_port_and_reason() {
    with_guests(|_, switch, a, _| {
        assert_eq!(switch.try_weft("drops").expect_ok(), "no frame was dropped\n");
        for _ in 0..3 {
            a.send_frame("eth0", "Ether(dst=\"01:80:c2:00:00:03\",type=0x888e)/(b\"x\"*46)");
        }
        let counted = within(std::time::Duration::from_secs(10), || {
            switch.drops().get("veth1 rx reserved") == Some(&3)
        });
        assert!(counted, "{:?}", switch.drops());
        let page = switch.try_weft("drops").expect_ok();
        assert!(page.contains("reserved"), "{page}");
        // Watching goes on until it is interrupted, one reading per interval.
        let watched =
            switch.client(&format!("timeout 5 {} drops --watch 0.5 --json", weft_program()));
        assert_eq!(watched.code, 124, "{watched:?}");
        let readings = watched.stdout.lines().count();
        assert!((3..=11).contains(&readings), "{}", watched.stdout);
    });
}

/// The file is one that tcpdump reads: both directions, every frame once.
#[test]
fn capture_writes_what_tcpdump_reads() {
    with_guests(|host, switch, a, b| {
        introduce(a, "10.0.0.1", b, "10.0.0.2");
        let file = switch.rundir().join("out.pcapng");
        let file = file.display();
        let weft = weft_program();
        let rundir = switch.rundir().display();
        let capture = host.spawn(&format!(
            "{weft} --rundir {rundir} --json capture veth1 -w {file} -c 11 --seconds 18"
        ));
        assert!(within(std::time::Duration::from_secs(10), || {
            host.try_sh(&format!("test -s {file}")).ok()
        }));
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert_eq!(a.pings(5, "10.0.0.2"), 5);
        a.send_frame("eth0", "Ether(dst=\"01:80:c2:00:00:03\",type=0x888e)/(b\"x\"*46)");
        // Five requests, five replies, and the one that is dropped.
        let summary: Value = serde_json::from_str(&capture.finish()).unwrap();
        let text = host.sh(&format!("tcpdump -nn -r {file} 2>/dev/null"));
        let with = |words: &str| text.lines().filter(|line| line.contains(words)).count();
        assert_eq!(with("10.0.0.1 > 10.0.0.2: ICMP echo request"), 5, "{text}");
        assert_eq!(with("10.0.0.2 > 10.0.0.1: ICMP echo reply"), 5, "{text}");
        assert_eq!(summary["frames"], text.lines().count(), "{text}");
        // The reason of a drop is the comment of its frame.
        assert!(host.try_sh(&format!("grep -aq reserved {file}")).ok(), "no comment");
    });
}

/// A port is named, whose interface has another name.
#[test]
fn capture_stops_at_a_count_and_pipes() {
    with_guests(|host, switch, a, _| {
        switch.vsctl(&format!("del-port veth1 -- {}", add_port("br0", "uplink", "veth1")));
        let weft = weft_program();
        let rundir = switch.rundir().display();
        let piped = host.spawn(&format!(
            "sh -c \"{weft} --rundir {rundir} capture uplink -c 3 --snaplen 64 -w - | tcpdump -nn -r -\""
        ));
        let pings = a.spawn("ping -n -i 0.2 10.0.0.2");
        let text = piped.finish();
        drop(pings);
        assert_eq!(text.lines().filter(|line| line.contains("ICMP")).count(), 3, "{text}");
        let unknown = switch.try_weft("capture nope -w -");
        assert_eq!((unknown.code, unknown.stdout.as_str()), (1, ""), "{unknown:?}");
        assert!(!unknown.stderr.is_empty());
    });
}

/// A reader that goes away takes nothing of the switch with it.
#[test]
fn a_capture_that_is_not_read_harms_nobody() {
    with_guests(|host, switch, a, _| {
        let weft = weft_program();
        let rundir = switch.rundir().display();
        let stuck = host
            .spawn(&format!("sh -c \"{weft} --rundir {rundir} capture veth1 -w - | sleep 30\""));
        std::thread::sleep(std::time::Duration::from_millis(500));
        a.sh("ping -q -n -f -c 3000 -s 1400 10.0.0.2 >/dev/null");
        assert_eq!(a.pings(20, "10.0.0.2"), 20);
        drop(stuck);
        assert_eq!(a.pings(20, "10.0.0.2"), 20);
        assert!(switch.try_weft("show").ok());
    });
}

#[test]
fn doctor_judges_the_machine_and_every_interface() {
    with_guests(|_, switch, _, _| {
        let findings = switch.weft_json("doctor");
        let findings = findings.as_array().unwrap();
        for finding in findings {
            assert!(["ok", "warn", "fail"].contains(&finding["level"].as_str().unwrap()));
            let silent = finding["remedy"].is_null() && finding["level"] == "fail";
            assert!(!silent, "a failure without a remedy: {finding}");
        }
        let text = serde_json::to_string(findings).unwrap();
        for subject in ["kernel", "memlock", "veth1", "veth2"] {
            assert!(text.to_lowercase().contains(subject), "nothing about {subject} in {text}");
        }
        let failed = findings.iter().any(|finding| finding["level"] == "fail");
        assert_eq!(switch.try_weft("doctor").code, i32::from(failed));
    });
}

#[test]
fn without_a_daemon_the_exit_code_says_so() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let weft = weft_program();
    for verb in ["show", "drops", "fdb", "capture p -w -"] {
        let outcome = host.try_sh(&format!("{weft} --rundir /nonexistent {verb}"));
        assert_eq!(outcome.code, 3, "{outcome:?}");
    }
    let gone = Switch::start(&host).kill_hard();
    let outcome = host.try_sh(&format!("{weft} --rundir {} show", gone.rundir().display()));
    assert_eq!(outcome.code, 3, "{outcome:?}");
    assert_eq!(host.try_sh(&format!("{weft} nonsense")).code, 2);
}

/// A folder that is not there is no place for sockets; and who may not do the work says so at once.
#[test]
fn what_keeps_weftd_from_its_work_is_said_at_once() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let (weftd, weft) = (weftd_program(), weft_program());
    let outcome = host.try_sh(&format!("{weftd} --rundir /nonexistent/x"));
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(
        outcome.stderr.contains("weftd: --rundir /nonexistent/x: there is no such folder"),
        "{}",
        outcome.stderr
    );
    assert!(!std::path::Path::new("/nonexistent").exists());

    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().display();
    let powerless = host.try_sh(&format!(
        "setpriv --bounding-set=-all --inh-caps=-all {weftd} --rundir {dir} --db {dir}/conf.db --detach"
    ));
    let judged = host.try_sh(&format!("{weft} --rundir {dir} doctor"));
    host.sh(&format!("OVS_RUNDIR={dir} ovs-appctl exit"));
    let missing =
        "capabilities missing: CAP_NET_ADMIN, CAP_NET_RAW, CAP_IPC_LOCK, CAP_BPF: no port";
    assert!(powerless.stderr.contains(missing), "{powerless:?}");
    assert!(judged.stdout.contains("fail  capabilities: missing: CAP_NET_ADMIN"), "{judged:?}");
    assert_eq!(judged.code, 1, "{judged:?}");
}
