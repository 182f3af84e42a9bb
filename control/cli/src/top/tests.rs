//! Readings in, text out.

use serde_json::{Value, json};

use super::*;
use crate::error::EXIT_NO_DAEMON;
use crate::fake::FakeDaemon;
use crate::top::terminal::keys;

fn port(name: &str, frames: u64, drops: u64) -> Value {
    json!({"name": name, "link_state": "up", "rx_frames": frames, "tx_frames": 2 * frames,
        "rx_bytes": 100 * frames, "tx_bytes": 200 * frames, "rx_drops": drops, "tx_drops": 0,
        "rx_missed": 0})
}

/// A reading after `n` seconds: port `a` carries most, `b` drops most, `c` was always still.
fn reading(n: u64) -> Sample {
    Sample {
        show: json!({
            "version": "0.1.0", "epoch": 7,
            "workers": [{"id": 0, "cpu": 3, "busy_nanos": 250_000_000 * n, "rx_frames": 1500 * n,
                "sleeps": 4 * n}],
            "bridges": [{"name": "br0", "fdb": {"entries": 3, "max": 8192, "learned": 20 * n,
                "moved": n, "expired": 0, "evicted": 0},
                "ports": [port("c", 0, 0), port("b", 10 * n, 5 * n), port("a", 1000 * n, n)]}],
            "underlays": [{"name": "eth0", "rx_frames": 30 * n, "drops": {"key": 2 * n}}],
        }),
        drops: json!([
            {"bridge": "br0", "port": "a", "direction": "rx", "reason": "reserved", "frames": n},
            {"bridge": "br0", "port": "b", "direction": "tx", "reason": "mtu", "frames": 5 * n},
            {"bridge": "br0", "port": "c", "direction": "tx", "reason": "never", "frames": 0},
        ]),
    }
}

fn view(sort: TopSort) -> View {
    View::new(Some(&reading(10)), &reading(12), 2.0, sort)
}

fn order(view: &View) -> Vec<&str> {
    view.ports.iter().map(|port| port.name.as_str()).collect()
}

#[track_caller]
fn assert_line(text: &str, words: &str) {
    let found = text.lines().any(|line| line.split_whitespace().eq(words.split(' ')));
    assert!(found, "no line {words:?} in\n{text}");
}

#[test]
fn a_page_has_rates_drops_churn_and_workers() {
    let page = page(&view(TopSort::Rate));
    assert_line(&page, "0 3 25.0% 1.50k 4.0");
    assert_line(&page, "br0 3 8,192 20 1.0 0 0");
    assert_line(&page, "a br0 up 1.00k 2.00k 800k 1.60M 1.0 12");
    assert_line(&page, "c br0 up 0 0 0 0 0 0");
    assert_line(&page, "eth0 underlay - 30 - - - 2.0 24");
    assert_line(&page, "b br0 tx mtu 5.0 60");
    assert!(!page.contains("never"), "{page}");
    assert!(
        page.starts_with("weftd 0.1.0, configuration 7: 4 ports; in 1.01k frames/s, 808k bit/s;")
    );
}

#[test]
fn ports_are_sorted_as_asked_for() {
    assert_eq!(order(&view(TopSort::Rate)), ["a", "b", "c", "eth0"]);
    assert_eq!(order(&view(TopSort::Drops)), ["b", "eth0", "a", "c"]);
    assert_eq!(order(&view(TopSort::Name)), ["a", "b", "c", "eth0"]);
}

#[test]
fn the_first_reading_has_no_rates_and_a_restart_counts_from_zero() {
    let first = View::new(None, &reading(5), 0.0, TopSort::Rate);
    assert_line(&page(&first), "a br0 up - - - - - 5");
    assert_eq!(first.to_json()["ports"][0]["rx_frames_per_second"], Value::Null);
    let restarted = View::new(Some(&reading(100)), &reading(3), 1.0, TopSort::Rate);
    assert_line(&page(&restarted), "a br0 up 3.00k 6.00k 2.40M 4.80M 3.0 3");
    // A port that was not there counts from zero, too.
    let mut before = reading(10);
    before.show["bridges"] = json!([]);
    let grown = View::new(Some(&before), &reading(12), 2.0, TopSort::Rate);
    assert_line(&page(&grown), "b br0 up 60 120 48.0k 96.0k 30 60");
}

#[test]
fn a_screen_fits_the_terminal_whatever_there_is_to_show() {
    let mut now = reading(12);
    let many: Vec<_> = (0..500).map(|n| port(&format!("port{n:03}"), 0, 0)).collect();
    now.show["bridges"][0]["ports"] = json!(many);
    let view = View::new(Some(&reading(10)), &now, 2.0, TopSort::Name);
    for (rows, columns) in [(24, 80), (50, 200), (10, 20), (3, 10), (1, 1)] {
        let size = Size { rows, columns };
        for scroll in [0, 1, 250, usize::MAX] {
            let screen = screen(&view, Some("a remark"), size, scroll);
            let plain = screen.replace("\x1b[H", "").replace("\x1b[K", "");
            let lines: Vec<_> = plain.split("\r\n").collect();
            assert_eq!(lines.len(), rows);
            assert!(lines.iter().all(|line| line.chars().count() <= columns), "{plain}");
        }
    }
    let size = Size { rows: 24, columns: 80 };
    let at = |scroll| screen(&view, None, size, scroll);
    assert!(at(0).contains("eth0") && at(0).contains("port000") && !at(0).contains("port499"));
    assert!(at(9).contains("port008") && !at(9).contains("port007"));
    assert!(at(usize::MAX).contains("port499"));
    assert_eq!(at(scroll_max(&view, size)), at(usize::MAX));
}

#[test]
fn names_are_no_orders_to_the_terminal() {
    let mut now = reading(12);
    now.show["bridges"][0]["ports"][0]["name"] = json!("a\x1b[2Jb");
    let view = View::new(None, &now, 0.0, TopSort::Name);
    assert!(order(&view).contains(&"a?[2Jb"));
}

#[test]
fn answers_of_another_shape_are_no_panic() {
    for odd in [
        json!({}),
        json!([]),
        json!({"bridges": 3, "workers": [1]}),
        json!({"bridges": [{"ports": [1]}], "underlays": [{"drops": 4}]}),
    ] {
        let odd = Sample { show: odd.clone(), drops: odd };
        for before in [None, Some(&odd)] {
            let view = View::new(before, &odd, 0.0, TopSort::Rate);
            assert!(screen(&view, None, Size { rows: 24, columns: 80 }, 0).contains("quit"));
        }
    }
}

#[test]
fn keys_are_found_among_others() {
    use Key::{ByDrops, ByName, ByRate, Down, PageDown, PageUp, Quit, Up};
    assert_eq!(keys(b"rdnjk q"), [ByRate, ByDrops, ByName, Down, Up, PageDown, Quit]);
    assert_eq!(
        keys(b"\x1b[A\x1b[B\x1bOA\x1bOB\x1b[5~\x1b[6~"),
        [Up, Down, Up, Down, PageUp, PageDown]
    );
    assert_eq!(keys(b"x\x1b[Zq\x04"), [Quit, Quit]);
    assert_eq!(keys(b""), []);
}

#[test]
fn a_live_view_outlives_its_daemon() {
    let mut live = Live::new(reading(1), TopSort::Rate);
    live.take(Ok(reading(2)));
    assert!(live.remark.is_none() && live.view.total(0).is_some());
    live.take(Err(Error::Closed("/x/ctl".into())));
    assert_eq!(live.remark.as_deref(), Some("weftd closed /x/ctl before it had answered"));
    assert_eq!(order(&live.view), ["a", "b", "c", "eth0"]);
    live.press(Key::ByDrops, Size { rows: 24, columns: 80 });
    assert_eq!(order(&live.view), ["b", "eth0", "a", "c"]);
    live.take(Ok(reading(3)));
    assert!(live.remark.is_none());
}

fn options(number: u64) -> TopArgs {
    TopArgs { delay: 0.1, number: Some(number), once: false, sort: TopSort::Rate }
}

#[test]
fn pages_come_one_after_another() {
    let fake = FakeDaemon::answering(|method, _| {
        let Sample { show, drops } = reading(1);
        let result = if method == "weft/show" { show } else { drops };
        json!({"result": result.to_string(), "error": null})
    });
    let mut out = Vec::new();
    assert_eq!(pages(&fake.daemon(), false, &options(3), &mut out).unwrap(), EXIT_OK);
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.matches("weftd 0.1.0").count(), 3, "{text}");
    let mut out = Vec::new();
    pages(&fake.daemon(), true, &options(2), &mut out).unwrap();
    let lines: Vec<Value> =
        out.split(|b| *b == b'\n').filter_map(|it| serde_json::from_slice(it).ok()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1]["ports"][0]["rx_frames_per_second"], 0.0);
}

#[test]
fn without_a_daemon_there_is_an_error_and_no_screen() {
    let empty = tempfile::tempdir().unwrap();
    let mut out = Vec::new();
    let nobody = Daemon::new(empty.path(), None);
    assert_eq!(live(&nobody, &options(1), &mut out).unwrap_err().exit_code(), EXIT_NO_DAEMON);
    assert_eq!(
        pages(&nobody, false, &options(1), &mut out).unwrap_err().exit_code(),
        EXIT_NO_DAEMON
    );
    assert!(out.is_empty());
}
