//! Kills at random points of a write load.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::{LocalSet, spawn_local};
use weft_ovsdb::store::record::load;
use weft_ovsdb::{Server, ServerConfig};

use crate::harness::{Raw, installed, run, wait_for};

const KILLS: usize = 200;
const WORKERS: usize = 4;

/// Not a test: what the tests below start, and kill. It compacts all the time.
#[test]
#[ignore = "a server process for other tests"]
fn server_process() {
    let dir = std::env::var("WEFT_TEST_SERVE").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let config = ServerConfig::new(format!("{dir}/conf.db"));
        let server = Server::start(config.remote(format!("punix:{dir}/db.sock"))).await.unwrap();
        spawn_local(async move {
            loop {
                server.compact(None).await.unwrap();
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        });
        std::future::pending::<()>().await;
    });
}

fn start(dir: &Path) -> Child {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "crash::server_process"])
        .env("WEFT_TEST_SERVE", dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let socket = dir.join("db.sock");
    wait_for("the server", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
    child
}

/// Two rows that belong together, and now and then one large enough for a kill in the middle of it.
fn step(number: usize) -> Value {
    let size = if number % 7 == 3 { 300_000 } else { 10 };
    json!(["Open_vSwitch",
        {"op": "update", "table": "Open_vSwitch", "where": [], "row": {"next_cfg": number}},
        {"op": "insert", "table": "Queue", "row": {
            "external_ids": ["map", [["n", number.to_string()], ["fill", "x".repeat(size)]]]}},
        {"op": "commit", "durable": number.is_multiple_of(2)}])
}

/// What the file says: the last step, how many rows there are, and whether its last record is whole.
fn state(dir: &Path) -> (usize, usize, bool) {
    let path = dir.join("conf.db");
    let bytes = std::fs::read(&path).unwrap();
    let (db, end) = load(&path, &bytes).unwrap();
    let (schema, root) =
        (db.schema().table("Open_vSwitch").unwrap(), db.table_by_name("Open_vSwitch"));
    let row = root.unwrap().rows().values().next().unwrap().clone();
    let last = row.get(schema.column_index("next_cfg").unwrap()).unwrap().as_int().unwrap();
    let rows = db.table_by_name("Queue").unwrap().rows().len();
    (usize::try_from(last).unwrap(), rows, end == bytes.len())
}

fn stock_reads(dir: &Path) -> usize {
    let query = json!(["Open_vSwitch",
        {"op": "select", "table": "Open_vSwitch", "where": [], "columns": ["next_cfg"]}]);
    let path = dir.join("conf.db").display().to_string();
    let rows: Value =
        serde_json::from_str(&run("ovsdb-tool", &["query", &path, &query.to_string()])).unwrap();
    usize::try_from(rows[0]["rows"][0]["next_cfg"].as_u64().unwrap()).unwrap()
}

/// Kills one server after another, each going on with the file of the one before.
fn worker(seed: usize, kills: &AtomicUsize, has_stock: bool) {
    let mut random = u64::try_from(seed).unwrap() + 1;
    let mut dir = TempDir::new().unwrap();
    let (mut last, mut life) = (0, 0);
    while kills.fetch_add(1, Ordering::Relaxed) < KILLS {
        if life == 10 {
            (dir, last, life) = (TempDir::new().unwrap(), 0, 0);
        }
        life += 1;
        let mut child = start(dir.path());
        if has_stock && last > 0 {
            // Whatever the kill left has been put right.
            assert_eq!(stock_reads(dir.path()), last);
        }
        let mut client = Raw::connect(&dir.path().join("db.sock"));
        if last == 0 {
            client.transact(&json!([{"op": "insert", "table": "Open_vSwitch", "row": {}}]));
        }
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let delay = Duration::from_micros(500 + (random >> 33) % 30_000);
        let killer = std::thread::spawn(move || {
            std::thread::sleep(delay);
            child.kill().unwrap();
            child.wait().unwrap();
        });
        // What was tried last is not acknowledged; it may be there all the same.
        let (mut acknowledged, mut sent) = (last, last);
        while client.try_request("transact", &step(sent + 1)) {
            sent += 1;
            match client.receive() {
                Some(reply) => assert_eq!(reply["result"].as_array().unwrap().len(), 3, "{reply}"),
                None => break,
            }
            acknowledged = sent;
        }
        killer.join().unwrap();
        let (found, rows, is_whole) = state(dir.path());
        assert!((acknowledged..=sent).contains(&found), "{acknowledged} <= {found} <= {sent}");
        assert_eq!(found, rows, "every step is there as a whole");
        if has_stock && is_whole {
            assert_eq!(stock_reads(dir.path()), found);
        }
        last = found;
    }
}

#[test]
fn two_hundred_kills_lose_nothing_acknowledged() {
    let has_stock = installed("ovsdb-tool");
    let kills = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for seed in 0..WORKERS {
            let kills = &kills;
            scope.spawn(move || worker(seed, kills, has_stock));
        }
    });
    assert!(kills.load(Ordering::Relaxed) >= KILLS);
}
