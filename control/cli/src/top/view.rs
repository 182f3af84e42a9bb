//! What two readings say together: rates.

use serde_json::{Value, json};

use crate::args::TopSort;
use crate::json::{cell, count, items, member};

/// One reading of a daemon.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// The answer to `weft/show`.
    pub show: Value,
    /// The answer to `weft/drops`.
    pub drops: Value,
}

/// A reading, with what grew since the one before; without one before there are no rates.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The daemon's version.
    pub version: String,
    /// Number of its configuration.
    pub epoch: String,
    /// Its workers.
    pub workers: Vec<Worker>,
    /// Its bridges.
    pub bridges: Vec<Bridge>,
    /// Ports of all bridges, and interfaces that tunnels leave by, sorted as was asked for.
    pub ports: Vec<Port>,
    /// Reasons of drops, the most active first.
    pub reasons: Vec<Reason>,
}

/// A poll loop.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Its number.
    pub id: String,
    /// Its CPU; `any` when it is not pinned.
    pub cpu: String,
    /// Percent of the time that it worked.
    pub busy: Option<f64>,
    /// Frames received in a second.
    pub rx: Option<f64>,
    /// Times in a second that it went to sleep.
    pub sleeps: Option<f64>,
}

/// A bridge's addresses.
#[derive(Clone, Debug)]
pub struct Bridge {
    /// Its name.
    pub name: String,
    /// Addresses that it knows.
    pub entries: u64,
    /// Most that it may.
    pub entries_max: u64,
    /// Addresses learned, moved, forgotten for age, and forgotten for want of room, in a second.
    pub churn: [Option<f64>; 4],
}

/// A port, or an interface that tunnels leave by.
#[derive(Clone, Debug)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Its bridge; `underlay` for an interface that tunnels leave by.
    pub bridge: String,
    /// Its link state.
    pub link: String,
    /// Frames received and sent, bits received and sent, frames dropped, in a second.
    pub rates: [Option<f64>; 5],
    /// Frames dropped so far.
    pub drops: u64,
}

/// A reason for drops.
#[derive(Clone, Debug)]
pub struct Reason {
    /// Where: bridge, port, direction.
    pub place: [String; 3],
    /// Its name.
    pub name: String,
    /// Frames in a second.
    pub rate: Option<f64>,
    /// Frames so far.
    pub frames: u64,
}

/// What grew between two answers, in a second.
#[derive(Clone, Copy)]
struct Growth<'a> {
    before: Option<&'a Value>,
    now: &'a Value,
    secs: f64,
}

impl Growth<'_> {
    /// Of the counter `name`; of one that started anew, all of it.
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    fn of(&self, name: &str) -> Option<f64> {
        let (before, now) = (count(self.before?, name), count(self.now, name));
        Some(now.checked_sub(before).unwrap_or(now) as f64 / self.secs.max(0.001))
    }
}

/// The element of a list that has the same values under `keys`.
fn same<'a>(list: &'a Value, now: &Value, keys: &[&str]) -> Option<&'a Value> {
    items(list).find(|other| keys.iter().all(|key| member(other, key) == member(now, key)))
}

/// Text that a terminal does not take for an order.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

impl View {
    /// What `now` says beside `before`, which was `secs` earlier.
    #[must_use]
    pub fn new(before: Option<&Sample>, now: &Sample, secs: f64, sort: TopSort) -> Self {
        let nothing = Sample::default();
        let old = before.unwrap_or(&nothing);
        let growth = |list: &'static str, of: &Value, keys: &[&str]| {
            let list = member(&old.show, list);
            before.map(|_| same(list, of, keys).cloned().unwrap_or_default())
        };
        let mut view = Self {
            version: plain(&cell(&now.show, "version")),
            epoch: plain(&cell(&now.show, "epoch")),
            ..Self::default()
        };
        for worker in items(member(&now.show, "workers")) {
            let before = growth("workers", worker, &["id"]);
            view.workers.push(one_worker(&Growth { before: before.as_ref(), now: worker, secs }));
        }
        for bridge in items(member(&now.show, "bridges")) {
            let before = growth("bridges", bridge, &["name"]);
            view.add_bridge(&Growth { before: before.as_ref(), now: bridge, secs });
        }
        for underlay in items(member(&now.show, "underlays")) {
            let before = growth("underlays", underlay, &["name"]);
            view.ports.push(underlay_port(&Growth {
                before: before.as_ref(),
                now: underlay,
                secs,
            }));
        }
        let keys = ["bridge", "port", "direction", "reason"];
        for entry in items(&now.drops).filter(|entry| count(entry, "frames") > 0) {
            let before =
                before.map(|_| same(&old.drops, entry, &keys).cloned().unwrap_or_default());
            let growth = Growth { before: before.as_ref(), now: entry, secs };
            view.reasons.push(Reason {
                place: ["bridge", "port", "direction"].map(|name| plain(&cell(entry, name))),
                name: plain(&cell(entry, "reason")),
                rate: growth.of("frames"),
                frames: count(entry, "frames"),
            });
        }
        view.sort(sort);
        view
    }

    fn add_bridge(&mut self, bridge: &Growth<'_>) {
        let name = plain(&cell(bridge.now, "name"));
        let fdb = member(bridge.now, "fdb");
        let of_fdb =
            Growth { before: bridge.before.map(|it| member(it, "fdb")), now: fdb, ..*bridge };
        for port in items(member(bridge.now, "ports")) {
            let before = bridge.before.map(|before| {
                same(member(before, "ports"), port, &["name"]).cloned().unwrap_or_default()
            });
            let growth = Growth { before: before.as_ref(), now: port, ..*bridge };
            self.ports.push(one_port(&name, &growth));
        }
        self.bridges.push(Bridge {
            name,
            entries: count(fdb, "entries"),
            entries_max: count(fdb, "max"),
            churn: ["learned", "moved", "expired", "evicted"].map(|name| of_fdb.of(name)),
        });
    }

    fn sort(&mut self, sort: TopSort) {
        let busy = |port: &Port| -> f64 {
            let [_, _, rx_bits, tx_bits, drops] = port.rates.map(Option::unwrap_or_default);
            match sort {
                TopSort::Rate => rx_bits + tx_bits,
                TopSort::Drops => drops,
                TopSort::Name => 0.0,
            }
        };
        self.ports.sort_by(|a, b| {
            let by_drops = || match sort {
                TopSort::Drops => b.drops.cmp(&a.drops),
                TopSort::Rate | TopSort::Name => std::cmp::Ordering::Equal,
            };
            busy(b).total_cmp(&busy(a)).then_with(by_drops).then_with(|| a.name.cmp(&b.name))
        });
        self.reasons.sort_by(|a, b| {
            let rate = |reason: &Reason| reason.rate.unwrap_or_default();
            rate(b).total_cmp(&rate(a)).then(b.frames.cmp(&a.frames)).then(a.place.cmp(&b.place))
        });
    }

    /// The sum of a rate of all ports of bridges; `index` as in [`Port::rates`].
    #[must_use]
    pub fn total(&self, index: usize) -> Option<f64> {
        let of_bridges = self.ports.iter().filter(|port| port.bridge != UNDERLAY);
        of_bridges.map(|port| port.rates.get(index).copied().flatten()).sum()
    }

    /// The same as JSON; rates are null in a reading without one before.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let workers = self.workers.iter().map(|worker| {
            json!({"id": worker.id, "cpu": worker.cpu, "busy_percent": worker.busy,
                "rx_frames_per_second": worker.rx, "sleeps_per_second": worker.sleeps})
        });
        let bridges = self.bridges.iter().map(|bridge| {
            let [learned, moved, expired, evicted] = bridge.churn;
            json!({"name": bridge.name, "entries": bridge.entries, "max": bridge.entries_max,
                "learned_per_second": learned, "moved_per_second": moved,
                "expired_per_second": expired, "evicted_per_second": evicted})
        });
        let ports = self.ports.iter().map(|port| {
            let [rx, tx, rx_bits, tx_bits, drops] = port.rates;
            json!({"name": port.name, "bridge": port.bridge, "link_state": port.link,
                "rx_frames_per_second": rx, "tx_frames_per_second": tx,
                "rx_bits_per_second": rx_bits, "tx_bits_per_second": tx_bits,
                "drops_per_second": drops, "drops": port.drops})
        });
        let reasons = self.reasons.iter().map(|reason| {
            let [bridge, port, direction] = &reason.place;
            json!({"bridge": bridge, "port": port, "direction": direction,
                "reason": reason.name, "frames": reason.frames, "frames_per_second": reason.rate})
        });
        json!({"version": self.version, "epoch": self.epoch,
            "workers": workers.collect::<Vec<_>>(),
            "bridges": bridges.collect::<Vec<_>>(), "ports": ports.collect::<Vec<_>>(),
            "drops": reasons.collect::<Vec<_>>()})
    }
}

/// Where an interface that tunnels leave by stands, instead of a bridge.
const UNDERLAY: &str = "underlay";

fn one_worker(worker: &Growth<'_>) -> Worker {
    let cpu = match member(worker.now, "cpu") {
        Value::Null => "any".to_owned(),
        _ => plain(&cell(worker.now, "cpu")),
    };
    Worker {
        id: plain(&cell(worker.now, "id")),
        cpu,
        busy: worker.of("busy_nanos").map(|nanos| (nanos / 1e7).min(100.0)),
        rx: worker.of("rx_frames"),
        sleeps: worker.of("sleeps"),
    }
}

fn one_port(bridge: &str, port: &Growth<'_>) -> Port {
    let drops = |name| port.of(name).unwrap_or_default();
    let names = ["rx_drops", "tx_drops", "rx_missed"];
    Port {
        name: plain(&cell(port.now, "name")),
        bridge: bridge.to_owned(),
        link: plain(&cell(port.now, "link_state")),
        rates: [
            port.of("rx_frames"),
            port.of("tx_frames"),
            port.of("rx_bytes").map(|bytes| bytes * 8.0),
            port.of("tx_bytes").map(|bytes| bytes * 8.0),
            port.before.map(|_| names.into_iter().map(drops).sum()),
        ],
        drops: names.into_iter().map(|name| count(port.now, name)).sum(),
    }
}

/// Its counters are those of tunnel packets that came in.
fn underlay_port(underlay: &Growth<'_>) -> Port {
    let sum = |of: &Value| -> u64 {
        let drops = member(of, "drops").as_object();
        drops.into_iter().flatten().filter_map(|(_, frames)| frames.as_u64()).sum()
    };
    let drops = sum(underlay.now);
    let both = |before| (json!({ "n": sum(before) }), json!({ "n": drops }));
    let rate = underlay.before.map(both).and_then(|(before, now)| {
        Growth { before: Some(&before), now: &now, secs: underlay.secs }.of("n")
    });
    Port {
        name: plain(&cell(underlay.now, "name")),
        bridge: UNDERLAY.to_owned(),
        link: "-".to_owned(),
        rates: [underlay.of("rx_frames"), None, None, None, rate],
        drops,
    }
}
