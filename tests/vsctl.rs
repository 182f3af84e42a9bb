//! `weft vsctl` beside ovs-vsctl: the same lines, each on a database of its own, compared by what
//! they print, how they end and what they leave.

use weft_tests::{Host, Outcome, OvsdbServer, Switch, can_make_hosts, weft_program, within};

/// Lines that build on one another.
const LINES: &[&str] = &[
    "init",
    "show",
    "add-br br0",
    "add-br br0",
    "--may-exist add-br br0",
    "add-br",
    "add-br f7 br0 7",
    "add-br f8 br0 7",
    "add-br f9 f7 3",
    "add-br f9 nope 3",
    "add-br f9 br0 5000",
    "add-br f9 br0",
    "--may-exist add-br f7",
    "--may-exist add-br br0 br0 7",
    "--may-exist add-br f7 br0 8",
    "--may-exist add-br f7 br0 7",
    "add-br b2",
    "--may-exist add-br f7 b2 7",
    "add-port f7 p7",
    "get port p7 tag",
    "list-ports br0",
    "list-ports f7",
    "list-ifaces f7",
    "list-br",
    "--real list-br",
    "--fake list-br",
    "br-exists br0",
    "br-exists nope",
    "br-to-vlan f7",
    "br-to-vlan br0",
    "br-to-parent f7",
    "br-to-parent nope",
    "port-to-br p7",
    "port-to-br br0",
    "iface-to-br p7",
    "iface-to-br br0",
    "add-port br0 p0 tag=9 other_config:a=b",
    "add-port br0 p0",
    "add-port br0 br0",
    "--may-exist add-port b2 p0",
    "--may-exist add-port br0 p0",
    "add-port nope p1",
    "add-port br0 p1 nonsense=1",
    "add-br b3 -- add-port b3 p3 -- set interface p3 type=gre options:remote_ip=192.0.2.1",
    "add-br b4 -- add-port b4 p0",
    "br-exists b4",
    "add-bond br0 bond0 e0",
    "add-bond br0 bond0 e0 e1 lacp=active",
    "add-bond br0 bond1 e0 e2",
    "--may-exist add-port br0 bond0",
    "--may-exist add-bond br0 bond0 e0 e1",
    "--may-exist add-bond br0 bond0 e0 e2",
    "--may-exist add-bond b2 bond0 e0 e1",
    "add-bond-iface bond0 e0",
    "--may-exist add-bond-iface bond0 e0",
    "add-bond-iface bond0 p0",
    "--may-exist add-bond-iface bond0 p0",
    "add-bond-iface nope e7",
    "add-bond-iface bond0 e3",
    "list-ifaces br0",
    "del-bond-iface p0",
    "del-bond-iface p0 e3",
    "del-bond-iface e3",
    "del-bond-iface nope",
    "--if-exists del-bond-iface nope",
    "del-port br0",
    "del-port b2 p0",
    "del-port br0 p7",
    "del-port f7 p0",
    "del-port nope",
    "--if-exists del-port nope",
    "--if-exists del-port br0 nope",
    "del-port e0",
    "--with-iface del-port e0",
    "--with-iface del-port nope",
    "br-set-external-id br0 k v",
    "br-set-external-id f7 k w",
    "br-get-external-id br0",
    "br-get-external-id f7",
    "br-get-external-id br0 k",
    "br-get-external-id br0 q",
    "br-set-external-id br0 k",
    "get port f7 external_ids",
    "get-controller br0",
    "set-controller br0 tcp:1.2.3.4 ptcp:",
    "get-controller br0",
    "show",
    "set-controller f7 tcp:1.2.3.4",
    "--inactivity-probe=100 set-controller br0 tcp:1.1.1.1",
    "--columns=target,inactivity_probe list controller br0",
    "del-controller br0",
    "set-fail-mode br0 x",
    "set-fail-mode br0 secure",
    "get-fail-mode br0",
    "del-fail-mode br0",
    "set-fail-mode f7 secure",
    "set-manager ptcp:6640 ptcp:6641:127.0.0.1",
    "get-manager",
    "show",
    "del-manager",
    "get-ssl",
    "--bootstrap set-ssl /a /b /c",
    "get-ssl",
    "del-ssl",
    "get-aa-mapping br0",
    "get-aa-mapping nope",
    "del-aa-mapping br0 1 2",
    "add-aa-mapping br0 100 5",
    "add-aa-mapping br0 100 6",
    "add-aa-mapping br0 50 7",
    "add-aa-mapping br0 60 8 -- add-aa-mapping br0 70 9 -- del-aa-mapping br0 50 7",
    "add-aa-mapping br0 101 5000",
    "add-aa-mapping br0 99999999 5",
    "add-aa-mapping br0 x y",
    "add-aa-mapping br0 5 y",
    "add-aa-mapping br0 -1 7",
    "add-aa-mapping br0 7",
    "add-aa-mapping nope 1 2",
    "add-aa-mapping f7 8 6",
    "get-aa-mapping br0",
    "get-aa-mapping f7",
    "list autoattach br0",
    "del-aa-mapping br0 60 7",
    "del-aa-mapping br0 61 8",
    "del-aa-mapping br0 x y",
    "del-aa-mapping br0 60 8",
    "get-aa-mapping br0",
    "list-zone-tp netdev",
    "add-zone-tp netdev zone=1 icmp_first=1",
    "del-zone-tp netdev zone=1",
    "list-dp-cap netdev",
    "-- --id=@d create datapath datapath_version=x -- set open . datapaths:netdev=@d",
    "-- --id=@d create datapath datapath_version=y capabilities:recirc=true -- set open . datapaths:system=@d",
    "list-dp-cap netdev",
    "list-dp-cap system",
    "list-dp-cap",
    "list-zone-tp netdev",
    "list-zone-tp",
    "add-zone-tp netdev zone=1 icmp_reply=30 icmp_first=60",
    "add-zone-tp netdev zone=1 tcp_syn_sent=1",
    "--may-exist add-zone-tp netdev zone=1 tcp_syn_sent=1",
    "add-zone-tp netdev zone=2 icmp_first=60 icmp_reply=30 -- add-zone-tp system zone=5 icmp_reply=30 icmp_first=60",
    "add-zone-tp netdev zone=70000 icmp_first=60",
    "add-zone-tp netdev zone=3",
    "add-zone-tp netdev zone=3 foo=1",
    "add-zone-tp netdev zone=3 icmp_first=-1",
    "add-zone-tp netdev zone=0 icmp_first=1 icmp_first=2",
    "--if-exists add-zone-tp netdev zone=0 icmp_first=1",
    "list-zone-tp netdev",
    "list-zone-tp system",
    "del-zone-tp netdev zone=9",
    "--if-exists del-zone-tp netdev zone=9",
    "del-zone-tp nope zone=1",
    "--if-exists del-zone-tp nope zone=1",
    "del-zone-tp netdev zone=1",
    "del-zone-tp netdev",
    "list-zone-tp netdev",
    "clear datapath nope ct_zones",
    "clear open . datapaths",
    "set bridge br0 other_config:a=",
    "set bridge br0 other_config:a='\"\"'",
    "get bridge br0 other_config",
    "set bridge br0 other_config",
    "set bridge br0 other_config='{a=1,b=\"x y\"}'",
    "get br br0 oth",
    "get br br0 s",
    "get xx br0 name",
    "get c br0 name",
    "set port p7 tag=abc",
    "set port p7 trunks=1,2,5-7",
    "get port p7 trunks",
    "set port p7 trunks=7-5",
    "set port p7 tag=1,2",
    "set port p7 tag=5000",
    "set bridge br0 stp_enable=maybe",
    "set bridge br0 stp_enable=yes",
    "get bridge br0 stp_enable",
    "set bridge br0 ports=@x",
    "set bridge br0 ports=abc",
    "set bridge br0 name=other",
    "set bridge br0 fail_mode=x",
    "add port p7 trunks 9 10",
    "remove port p7 trunks 9 99",
    "get port p7 trunks",
    "add bridge br0 other_config z=1",
    "add bridge br0 other_config z=2 y=3",
    "get bridge br0 other_config",
    "remove bridge br0 other_config z=2",
    "remove bridge br0 other_config z y=4",
    "get bridge br0 other_config",
    "get bridge br0 other_config:nope",
    "--if-exists get bridge br0 other_config:nope",
    "clear bridge br0 other_config name",
    "clear bridge br0 other_config",
    "clear bridge br0 ports datapath_type",
    "create qos type=linux-htb other_config:max-rate=100",
    "--columns=type,other_config,queues list qos",
    "-- --id=@q create qos type=x -- set port p7 qos=@q",
    "set port p0 qos=@r -- --id=@r create qos type=y queues:5=@s -- --id=@s create queue dscp=7",
    "--columns=dscp list queue",
    "destroy qos p7",
    "destroy bridge br0",
    "br-exists br0",
    "clear port p7 qos -- clear port p0 qos",
    "--all destroy qos -- --all destroy queue",
    "list qos",
    "--columns=name find port tag=7",
    "--columns=name find port 'trunks{>=}1'",
    "--columns=name find port 'tag!=9'",
    "--columns=name find port other_config:a=b",
    "--columns=name find port 'other_config:a!=b'",
    "--columns=name find port 'other_config:a{!=}b'",
    "--columns=name find port 'name<p5'",
    "--columns=name find port foo=1",
    "--columns=name find port tag",
    "--columns=foo list port",
    "--columns=name list port nope",
    "--columns=name --if-exists list port nope",
    "list port p7",
    "list bridge br0",
    "list interface p3",
    "wait-until bridge br0 name=br0",
    "--if-exists wait-until bridge br0",
    "--timeout=1 wait-until bridge br0 name=x",
    "--timeout=1 wait-until bridge br0 datapath_id",
    "comment hello world",
    "get bridge br0",
    "get bridge nope name",
    "set bridge br0 external_ids:x-y=a:b/c external_ids:q='a\"b'",
    "set open . external_ids:t=true external_ids:d=12 external_ids:e=1a external_ids:f=a1.b-c_d",
    "get open . external_ids",
    "-d bare --no-headings -f table --columns=name,external_ids list bridge br0",
    "-f table --columns=name,tag list port",
    "-f csv --columns=name,external_ids list bridge",
    "-f json --columns=name,tag,trunks,external_ids list port p7",
    "-f html --columns=name,tag list port p7",
    "-d json --columns=name,trunks,other_config list port p7",
    "--bare --columns=name find port name=p7",
    "--oneline list-br -- get bridge br0 name",
    "--dry-run add-br zzz",
    "br-exists zzz",
    "set port p7 tag=1 -- set port nope tag=2",
    "get port p7 tag",
    "-t",
    "--frob list-br",
    "--timeout=x list-br",
    "--may-exist list-br",
    "--may-exist=1 add-br br0",
    "set port",
    "list",
    "list nope",
    "frob",
    "--id=@x list-br",
    "--id=x create qos type=a",
    "-- --id=@x create qos type=a -- --id=@x create qos type=b",
    "get port p7 name:x",
    "set port p7 qos:x=1",
    "set queue x dscp=1",
    "get port p7 'other_config:a b'",
    "set interface p7 mtu_request=99999999999999999999",
    "del-br f7",
    "list-br",
    "emer-reset",
    "list bridge b3",
    "del-br nope",
    "--if-exists del-br nope",
    "del-br br0 -- del-br b2",
    "show",
];

/// The same text whatever uuids it holds, and whatever order those bring.
fn plain(text: &str) -> String {
    let is_uuid =
        |word: &str| word.len() == 36 && word.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    let at_border = |c: char| !(c.is_ascii_alphanumeric() || c == '-');
    let same = |piece: &str| {
        let word = piece.trim_end_matches(at_border);
        if is_uuid(word) { piece.replacen(word, "<uuid>", 1) } else { piece.to_owned() }
    };
    let mut lines: Vec<String> =
        text.lines().map(|line| line.split_inclusive(at_border).map(same).collect()).collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// Code, output, and the last sentence of complaint without the program's name.
fn said(outcome: &Outcome) -> (i32, String, String) {
    let complaint = outcome.stderr.lines().rfind(|line| line.contains("vsctl: "));
    let sentence = complaint.and_then(|line| line.split_once("vsctl: ")).map_or("", |(_, s)| s);
    // Where stock only logs that it dies by a signal, the sentence is ours.
    let sentence = if outcome.code == 142 { "" } else { sentence };
    (outcome.code, plain(&outcome.stdout), plain(sentence))
}

#[test]
fn every_line_does_what_ovs_vsctl_does() {
    if !can_make_hosts() {
        return;
    }
    let (ours, theirs) = (Host::new("ours"), Host::new("theirs"));
    let (weft, stock) = (OvsdbServer::start(&ours), OvsdbServer::start(&theirs));
    let dump = |host: &Host, server: &OvsdbServer| {
        plain(&host.sh(&format!("ovsdb-client dump unix:{}", server.socket().display())))
    };
    let mut differences = Vec::new();
    for line in LINES {
        let run = |host: &Host, program: &str, server: &OvsdbServer| {
            let database = server.socket().display().to_string();
            said(&host.try_sh(&format!("{program} --no-wait --db=unix:{database} {line}")))
        };
        let got = run(&ours, &format!("{} vsctl", weft_program()), &weft);
        let expected = run(&theirs, "ovs-vsctl --no-syslog", &stock);
        if got != expected {
            differences.push(format!("{line}\n  weft:  {got:?}\n  stock: {expected:?}"));
        }
        let (got, expected) = (dump(&ours, &weft), dump(&theirs, &stock));
        if got != expected {
            let only = |a: &str, b: &str| {
                a.lines().filter(|line| !b.contains(line)).collect::<Vec<_>>().join("\n")
            };
            let (got, expected) = (only(&got, &expected), only(&expected, &got));
            differences.push(format!("{line} left other rows\n  weft: {got}\n  stock: {expected}"));
            break;
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn it_waits_for_the_switch_and_says_what_the_switch_could_not_do() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let switch = Switch::start(&host);
    let run = |words: &str| switch.try_weft(&format!("vsctl --timeout=10 {words}"));
    assert_eq!(run("add-br br0").expect_ok(), "");
    host.sh("ip link set br0 up");
    let outcome = run("add-port br0 nosuchdev");
    assert_eq!(outcome.code, 0);
    let reason = "'nosuchdev': could not open network device nosuchdev (No such device)";
    assert!(outcome.stderr.contains(reason), "{}", outcome.stderr);
    assert_eq!(switch.vsctl("list-ports br0"), "nosuchdev");
    let outcome = run("add-br br1 -- set bridge br1 datapath_type=kernel");
    assert_eq!(outcome.code, 0);
    assert!(outcome.stderr.contains("br1: unknown datapath_type \"kernel\""), "{}", outcome.stderr);
    assert_eq!(run("set bridge br1 datapath_type=system").expect_ok(), "");
    assert_eq!(switch.vsctl("get interface br1 ofport error"), "65534\n[]");
    drop(switch);
    let gone = host.try_sh(&format!("{} vsctl --rundir=/nonexistent list-br", weft_program()));
    assert_eq!(gone.code, 1);
    assert!(gone.stderr.contains("database connection failed (No such file or directory)"));
}

/// Many writers at once: nobody's change is lost, though all of them write the same column.
#[test]
fn writers_do_not_overwrite_each_other() {
    const WRITERS: usize = 12;
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let server = OvsdbServer::start(&host);
    let vsctl =
        format!("{} vsctl --no-wait --db=unix:{}", weft_program(), server.socket().display());
    host.sh(&format!("{vsctl} add-br br0"));
    let line: Vec<_> = (0..WRITERS).map(|n| format!("{vsctl} add-port br0 p{n:02} & ")).collect();
    host.sh(&format!("{} wait", line.concat()));
    let all = || host.sh(&format!("{vsctl} list-ports br0")).lines().count() == WRITERS;
    assert!(within(std::time::Duration::from_secs(5), all), "a writer's port is missing");
}

/// Certificates of a server and a client that know each other, made by stock `ovs-pki`.
fn certificates(host: &Host, dir: &str) {
    let pki = format!("cd {dir} && ovs-pki --dir={dir}/pki --log={dir}/pki.log");
    host.sh(&format!("{pki} init && {pki} req+sign server switch && {pki} req+sign me controller"));
    host.sh(&format!(
        "cat {dir}/server-cert.pem {dir}/pki/switchca/cacert.pem > {dir}/server-chain.pem"
    ));
}

/// Options of a client with the certificates of `me` that believes the CA of `them`.
fn tls(me: &str, them: &str) -> String {
    format!("-p {me}/me-privkey.pem -c {me}/me-cert.pem -C {them}/pki/switchca/cacert.pem")
}

/// Both clients at a server that listens for TLS: they get in, or not, alike.
fn try_tls(host: &Host, dir: &str, stranger: &str) {
    let weft = format!("{} vsctl", weft_program());
    for (index, program) in ["ovs-vsctl --no-syslog", &weft].into_iter().enumerate() {
        let run = |options: &str, words: &str| {
            let line = format!("{program} --timeout=20 --no-wait --db=ssl:127.0.0.1:6640");
            host.try_sh(&format!("{line} {options} {words}"))
        };
        let bridge = format!("br{index}");
        assert_eq!(run(&tls(dir, dir), &format!("add-br {bridge}")).expect_ok(), "");
        // An answer of many TLS records.
        let ports: Vec<_> =
            (0..300).map(|n| format!(" -- add-port {bridge} p{index}x{n}")).collect();
        assert_eq!(run(&tls(dir, dir), &ports.concat()).expect_ok(), "");
        let listed = run(&tls(dir, dir), &format!("list-ports {bridge}"));
        assert_eq!(listed.expect_ok().lines().count(), 300, "{program}");
        // A CA to keep from the first meeting, and to believe from then on.
        let kept = format!("{dir}/kept{index}.pem");
        let first = tls(dir, dir)
            .replace("-C ", "--bootstrap-ca-cert=")
            .replace(&format!("{dir}/pki/switchca/cacert.pem"), &kept);
        // Stock hangs up after it has kept the CA, and connects again.
        let bootstrapped = || run(&first, &format!("br-exists {bridge}")).code == 0;
        assert!(within(std::time::Duration::from_secs(20), bootstrapped), "{program} {first}");
        let same = host.sh(&format!("openssl x509 -noout -fingerprint -in {kept}"))
            == host
                .sh(&format!("openssl x509 -noout -fingerprint -in {dir}/pki/switchca/cacert.pem"));
        assert!(same, "{program} kept another CA");
        // Whom the server does not know, and a server that we do not; and files that are not there.
        let without_key = tls(dir, dir).replacen("-p ", "--db=ssl:127.0.0.1:6640 -c ", 1);
        for options in
            [tls(stranger, dir), tls(dir, stranger), without_key, tls("/nonexistent", dir)]
        {
            let outcome = run(&options, "list-br");
            assert_eq!(outcome.code, 1, "{program} {options}: {outcome:?}");
            let complaint = "ssl:127.0.0.1:6640: database connection failed (";
            assert!(outcome.stderr.contains(complaint), "{program} {options}: {}", outcome.stderr);
        }
    }
}

#[test]
fn tls_is_as_ovs_vsctl_has_it() {
    if !can_make_hosts() {
        return;
    }
    let (ours, theirs) = (Host::new("ours"), Host::new("theirs"));
    let (known, strange) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let [dir, stranger] = [&known, &strange].map(|dir| dir.path().display().to_string());
    certificates(&theirs, &dir);
    certificates(&theirs, &stranger);
    let keys = |chain: &str| {
        format!("{dir}/server-privkey.pem {dir}/{chain}.pem {dir}/pki/controllerca/cacert.pem")
    };
    let stock = OvsdbServer::start_with(
        &theirs,
        &format!(
            "--remote=pssl:6640:127.0.0.1 --private-key={dir}/server-privkey.pem \
             --certificate={dir}/server-cert.pem --ca-cert={dir}/pki/controllerca/cacert.pem \
             --peer-ca-cert={dir}/pki/switchca/cacert.pem"
        ),
    );
    try_tls(&theirs, &dir, &stranger);
    drop(stock);
    let switch = Switch::start(&ours);
    switch.vsctl(&format!("set-ssl {} -- set-manager pssl:6640:127.0.0.1", keys("server-chain")));
    let listens = || ours.sh("ss -Hltn sport = :6640").contains("6640");
    assert!(within(std::time::Duration::from_secs(5), listens), "nobody listens");
    try_tls(&ours, &dir, &stranger);
}
