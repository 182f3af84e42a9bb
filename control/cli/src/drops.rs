//! `weft drops`: what was not sent, where and why.

use std::collections::HashMap;
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::error::{EXIT_OK, Error};
use crate::json::{cell, count, items};
use crate::table::{Column, grouped, render, scaled};
use crate::unixctl::Daemon;

/// What one counter counts: bridge, port, direction, reason.
type Key = [String; 4];

/// Frames by counter, at one moment.
type Counts = HashMap<Key, u64>;

/// Prints the counters once, or every `watch` seconds.
///
/// # Errors
/// The daemon does not answer, or the output cannot be written.
pub fn run(
    daemon: &Daemon,
    json: bool,
    watch: Option<f64>,
    out: &mut impl Write,
) -> Result<u8, Error> {
    let Some(interval_secs) = watch else {
        let list = daemon.call("weft/drops", &[])?;
        let page = if json { format!("{list:#}\n") } else { table(&list, None) };
        out.write_all(page.as_bytes()).map_err(Error::Output)?;
        return Ok(EXIT_OK);
    };
    let mut earlier: Option<(Counts, Instant)> = None;
    loop {
        let list = daemon.call("weft/drops", &[])?;
        let now = Instant::now();
        let since = earlier.as_ref().map(|(counts, then)| (counts, now - *then));
        let page = if json { watched_json(&list, since) } else { table(&list, since) + "\n" };
        out.write_all(page.as_bytes()).and_then(|()| out.flush()).map_err(Error::Output)?;
        earlier = Some((counts(&list), now));
        thread::sleep(Duration::from_secs_f64(interval_secs));
    }
}

fn key(entry: &Value) -> Key {
    ["bridge", "port", "direction", "reason"].map(|name| cell(entry, name))
}

fn counts(list: &Value) -> Counts {
    items(list).map(|entry| (key(entry), count(entry, "frames"))).collect()
}

/// Frames per second since the earlier reading; a counter that started anew counts from 0.
fn rate(entry: &Value, earlier: &Counts, elapsed: Duration) -> f64 {
    let before = earlier.get(&key(entry)).copied().unwrap_or(0);
    let frames = count(entry, "frames");
    let grown = frames.checked_sub(before).unwrap_or(frames);
    // Rates are for reading; frames between two readings are far below 2^32.
    f64::from(u32::try_from(grown).unwrap_or(u32::MAX)) / elapsed.as_secs_f64().max(0.001)
}

fn table(list: &Value, since: Option<(&Counts, Duration)>) -> String {
    let mut entries: Vec<_> = items(list).filter(|entry| count(entry, "frames") > 0).collect();
    if entries.is_empty() {
        return "no frame was dropped\n".to_owned();
    }
    entries.sort_by_cached_key(|entry| {
        let [bridge, port, ..] = key(entry);
        (bridge, port, std::cmp::Reverse(count(entry, "frames")))
    });
    let mut columns = vec![
        Column::Left("bridge"),
        Column::Left("port"),
        Column::Left("direction"),
        Column::Left("reason"),
        Column::Right("frames"),
    ];
    columns.extend(since.map(|_| Column::Right("per second")));
    let row = |entry: &&Value| {
        let mut row = Vec::from(key(entry));
        row.push(grouped(count(entry, "frames")));
        row.extend(since.map(|(earlier, elapsed)| scaled(rate(entry, earlier, elapsed))));
        row
    };
    render(&columns, entries.iter().map(row).collect(), 0)
}

/// One line of JSON for one reading.
fn watched_json(list: &Value, since: Option<(&Counts, Duration)>) -> String {
    let drops: Vec<_> = items(list)
        .map(|entry| {
            let mut entry = entry.clone();
            let per_second = since.map(|(earlier, elapsed)| rate(&entry, earlier, elapsed));
            if let (Some(per_second), Some(members)) = (per_second, entry.as_object_mut()) {
                members.insert("frames_per_second".to_owned(), json!(per_second));
            }
            entry
        })
        .collect();
    format!("{}\n", Value::Array(drops))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::fake::FakeDaemon;

    fn entry(port: &str, reason: &str, frames: u64) -> Value {
        json!({"bridge": "br0", "port": port, "direction": "rx", "reason": reason, "frames": frames})
    }

    #[test]
    fn the_worst_reason_of_a_port_comes_first_and_zeros_stay_out() {
        let list = json!([
            entry("b", "key", 1),
            entry("a", "key", 2),
            entry("a", "ecn", 0),
            entry("a", "reserved", 1500)
        ]);
        let fake = FakeDaemon::with_result("weft/drops", &list);
        let mut out = Vec::new();
        run(&fake.daemon(), false, None, &mut out).unwrap();
        let page = String::from_utf8(out).unwrap();
        let rows: Vec<Vec<_>> =
            page.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(
            rows,
            [
                ["br0", "a", "rx", "reserved", "1,500"],
                ["br0", "a", "rx", "key", "2"],
                ["br0", "b", "rx", "key", "1"]
            ]
        );
    }

    #[test]
    fn no_drops_are_said_in_words_and_as_an_empty_list() {
        let fake = FakeDaemon::with_result("weft/drops", &json!([]));
        for (json, expected) in [(false, "no frame was dropped\n"), (true, "[]\n")] {
            let mut out = Vec::new();
            run(&fake.daemon(), json, None, &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn rates_come_from_two_readings() {
        let earlier = counts(&json!([entry("a", "key", 100)]));
        let per_second =
            |frames| rate(&entry("a", "key", frames), &earlier, Duration::from_secs(2));
        assert!((per_second(150) - 25.0).abs() < 1e-9);
        // The daemon was restarted.
        assert!((per_second(10) - 5.0).abs() < 1e-9);
    }

    /// Fails the write after the second reading, as a closed pipe does.
    struct TwoPages(Vec<String>);

    impl Write for TwoPages {
        fn write(&mut self, page: &[u8]) -> io::Result<usize> {
            if self.0.len() == 2 {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            self.0.push(String::from_utf8(page.to_vec()).unwrap());
            Ok(page.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn watching_prints_one_line_of_json_for_each_reading() {
        let fake = FakeDaemon::with_result("weft/drops", &json!([entry("a", "key", 3)]));
        let mut out = TwoPages(Vec::new());
        assert!(matches!(run(&fake.daemon(), true, Some(0.1), &mut out), Err(Error::Output(_))));
        let [first, second] = out.0.as_slice() else { panic!("two pages") };
        assert_eq!(first.lines().count(), 1);
        assert!(!first.contains("frames_per_second"), "{first}");
        let second: Value = serde_json::from_str(second).unwrap();
        assert_eq!(second[0]["frames_per_second"], 0.0);
    }
}
