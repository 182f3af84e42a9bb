//! `weft vsctl` beside ovs-vsctl: the same lines, each on a database of its own, compared by what
//! they print, how they end and what they leave.

use std::thread;

use weft_tests::{Host, OvsdbServer, Switch, can_make_hosts, weft_program, within};

/// Lines that build on one another.  `#` begins a comment and `=` a line whose output has an order; `!`
/// says why the line before prints or returns something else than with ovs-vsctl.
const LINES: &str = include_str!("vsctl_lines.txt");

/// Fewest of them: what `weft vsctl` promises is as wide as this.
const LINES_MIN: usize = 500;

/// One line of commands.
#[derive(Debug)]
struct Line {
    words: &'static str,
    is_ordered: bool,
    difference: Option<&'static str>,
}

fn lines() -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for text in LINES.lines().filter(|text| !text.is_empty() && !text.starts_with('#')) {
        if let Some(reason) = text.strip_prefix("! ") {
            if let Some(line) = lines.last_mut() {
                line.difference = Some(reason);
            }
            continue;
        }
        let ordered = text.strip_prefix("= ");
        let words = ordered.unwrap_or(text);
        lines.push(Line { words, is_ordered: ordered.is_some(), difference: None });
    }
    lines
}

/// The same text whatever uuids it holds, or beginnings of them.
fn without_uuids(text: &str) -> String {
    let is_hex = |part: &str| part.chars().all(|c| c.is_ascii_hexdigit());
    let is_uuid = |word: &str| {
        word.split('-').all(is_hex)
            && (word.len() == 8 || word.split('-').map(str::len).eq([8, 4, 4, 4, 12]))
    };
    let at_border = |c: char| !(c.is_ascii_alphanumeric() || c == '-');
    let same = |piece: &str| {
        let word = piece.trim_end_matches(at_border);
        if is_uuid(word) { piece.replacen(word, "<uuid>", 1) } else { piece.to_owned() }
    };
    text.split_inclusive(at_border).map(same).collect()
}

/// The same text whatever order of lines uuids bring.
fn plain(text: &str) -> String {
    let text = without_uuids(text);
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// Sentences of complaint and warning, without who says them when.  What stock's libraries log beside
/// them is left out: the same error again, or files of TLS that nothing was asked of.
fn sentences(stderr: &str) -> String {
    let library = ["|ovsdb_idl|", "|stream|", "|ERR|"];
    let lines = stderr.lines().filter(|line| !library.iter().any(|name| line.contains(name)));
    let said = lines.map(|line| {
        let program = line.split_once("vsctl: ").or_else(|| line.split_once("|WARN|"));
        program.map_or(line, |(_, sentence)| sentence)
    });
    without_uuids(&said.collect::<Vec<_>>().join("\n"))
}

/// What a line did: exit code, output, complaints, and what the database holds then.
#[derive(Debug, PartialEq, Eq)]
struct Deed {
    code: i32,
    stdout: String,
    complaints: String,
    rows: String,
}

/// Runs all lines on a database of their own.
fn run_lines(host: &Host, program: &str, lines: &[Line]) -> Vec<Deed> {
    const ROWS: &str = "=== rows ===\n";
    let server = OvsdbServer::start(host);
    let database = format!("unix:{}", server.socket().display());
    let run = |line: &Line| {
        let command = format!("{program} --no-wait --db={database} {}", line.words);
        let dump = format!("printf '{ROWS}'; ovsdb-client dump {database}");
        // In a shell of its own, as a line may end by a signal.
        let outcome = host.try_sh(&format!("({command}); code=$?; {dump}; exit $code"));
        let (stdout, rows) = outcome.stdout.rsplit_once(ROWS).unwrap_or((&outcome.stdout, ""));
        let stdout = if line.is_ordered { without_uuids(stdout) } else { plain(stdout) };
        let complaints = sentences(&outcome.stderr);
        Deed { code: outcome.code, stdout, complaints, rows: plain(rows) }
    };
    lines.iter().map(run).collect()
}

#[test]
fn every_line_does_what_ovs_vsctl_does() {
    if !can_make_hosts() {
        return;
    }
    let lines = lines();
    assert!(lines.len() >= LINES_MIN, "only {} lines", lines.len());
    let (ours, theirs) = (Host::new("ours"), Host::new("theirs"));
    let weft = format!("{} vsctl", weft_program());
    let (got, expected) = thread::scope(|scope| {
        let got = scope.spawn(|| run_lines(&ours, &weft, &lines));
        let expected = run_lines(&theirs, "ovs-vsctl --no-syslog", &lines);
        (got.join().unwrap(), expected)
    });
    let mut differences = Vec::new();
    for ((line, got), expected) in lines.iter().zip(&got).zip(&expected) {
        let said = |deed: &Deed| (deed.code, deed.stdout.clone(), deed.complaints.clone());
        let words = line.words;
        let (weft, stock) = (said(got), said(expected));
        if let (true, Some(reason)) = (weft == stock, line.difference) {
            differences.push(format!("{words}: equal, in spite of: {reason}"));
        } else if weft != stock && line.difference.is_none() {
            differences.push(format!("{words}\n  weft:  {weft:?}\n  stock: {stock:?}"));
        }
        if got.rows != expected.rows {
            let only = |a: &str, b: &str| {
                a.lines().filter(|line| !b.contains(line)).collect::<Vec<_>>().join("\n")
            };
            let (weft, stock) = (only(&got.rows, &expected.rows), only(&expected.rows, &got.rows));
            differences.push(format!("{words} left other rows\n  weft: {weft}\n  stock: {stock}"));
            break;
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// A database that comes to its client, several places of which one has it, and time that runs out.
#[test]
fn it_finds_its_database_as_ovs_vsctl_does() {
    if !can_make_hosts() {
        return;
    }
    let host = Host::new("host");
    let places = tempfile::tempdir().unwrap();
    let place = places.path().join("here").display().to_string();
    let server = OvsdbServer::start_with(&host, &format!("--remote=unix:{place}"));
    let socket = server.socket().display().to_string();
    let weft = format!("{} vsctl", weft_program());
    for (index, program) in ["ovs-vsctl --no-syslog", &weft].into_iter().enumerate() {
        let run = |words: &str| host.try_sh(&format!("{program} --no-wait {words}"));
        let added = run(&format!("--timeout=20 --db=punix:{place} add-br br{index}"));
        assert_eq!(added.expect_ok(), "", "{program}");
        let listed = run(&format!("--timeout=20 --db=unix:{place},unix:{socket} list-br"));
        assert!(listed.expect_ok().ends_with(&format!("br{index}\n")), "{program}");
        let database = format!("--db=unix:{socket}");
        // 142: ended by the alarm.
        for (words, code) in [
            (format!("--timeout=1 --db=punix:{place}.nobody list-br"), 142),
            (format!("--timeout=1 --retry --db=unix:{place}.nobody list-br"), 142),
            (format!("{database} -- wait-until bridge br{index} name=br{index}"), 0),
        ] {
            assert_eq!(run(&words).code, code, "{program} {words}");
        }
        let hurried = format!("env OVS_CTL_TIMEOUT=1 {program} {database} wait-until bridge nope");
        assert_eq!(host.try_sh(&hurried).code, 142, "{program}");
        assert!(!places.path().join("here").exists(), "{program} leaves its socket");
    }
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
    // Where to read more is the last line, here and there.
    let stock = switch.try_vsctl("add-port br0 neither");
    let last = |stderr: &str| sentences(stderr.lines().last().unwrap_or_default());
    assert_eq!(last(&outcome.stderr), last(&stock.stderr));
    assert!(last(&stock.stderr).contains("/var/log/openvswitch"), "{}", stock.stderr);
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
        // Old versions and other suites of ciphers; a server that need not show who it is.
        let narrow = "--ssl-protocols=TLSv1.2 --ssl-ciphers=ECDHE-RSA-AES256-GCM-SHA384";
        assert_eq!(run(&format!("{} {narrow}", tls(dir, dir)), "br-exists nope").code, 2);
        let any = format!("{} -C none", tls(dir, stranger));
        assert_eq!(run(&any, "br-exists nope").code, 2, "{program} {any}");
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

/// Both clients at a server whose certificate nobody else has signed.
fn try_self_signed(host: &Host, dir: &str) {
    host.sh(&format!(
        "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=self -days 2 \
         -keyout {dir}/self-privkey.pem -out {dir}/self-cert.pem"
    ));
    let _stock = OvsdbServer::start_with(
        host,
        &format!(
            "--remote=pssl:6641:127.0.0.1 --private-key={dir}/self-privkey.pem \
             --certificate={dir}/self-cert.pem --ca-cert={dir}/pki/controllerca/cacert.pem"
        ),
    );
    let me = format!("-p {dir}/me-privkey.pem -c {dir}/me-cert.pem");
    let weft = format!("{} vsctl", weft_program());
    for (index, program) in ["ovs-vsctl --no-syslog", &weft].into_iter().enumerate() {
        let kept = format!("{dir}/self{index}.pem");
        let run = |ca: &str| {
            let line =
                format!("{program} --timeout=20 --no-wait --db=ssl:127.0.0.1:6641 {me} {ca}");
            host.try_sh(&format!("{line} br-exists nope")).code
        };
        let bootstrapped = || run(&format!("--bootstrap-ca-cert={kept}")) == 2;
        assert!(within(std::time::Duration::from_secs(20), bootstrapped), "{program}");
        let fingerprint =
            |file: &str| host.sh(&format!("openssl x509 -noout -fingerprint -in {file}"));
        assert_eq!(fingerprint(&kept), fingerprint(&format!("{dir}/self-cert.pem")), "{program}");
        assert_eq!(run(&format!("-C {kept}")), 2, "{program}");
        assert_eq!(run(&format!("-C {dir}/me-cert.pem")), 1, "{program}");
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
    try_self_signed(&theirs, &dir);
    let switch = Switch::start(&ours);
    switch.vsctl(&format!("set-ssl {} -- set-manager pssl:6640:127.0.0.1", keys("server-chain")));
    let listens = || ours.sh("ss -Hltn sport = :6640").contains("6640");
    assert!(within(std::time::Duration::from_secs(5), listens), "nobody listens");
    try_tls(&ours, &dir, &stranger);
}
