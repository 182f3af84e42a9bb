//! The commands of `ovs-appctl -t ovsdb-server`: for the embedded database.
//!
//! Every command of the stock server is known. Those of a server that has another to follow, or that serves
//! several files, answer with an error that says why they make no sense here.

use std::fmt::Write as _;

use super::{check, general, listing, unknown};
use crate::serve::unixctl::Answer;
use crate::store::Store;
use crate::store::database::Database;
use weft_ovsdb::Server;

type Reply = tokio::sync::oneshot::Sender<Answer>;

/// With `--ovsdb` there is no embedded database.
const FOREIGN: &str = "the database server is another process\n";

const ONE_FILE: &str = "weftd serves one database file, the one of --db";
const NO_ACTIVE: &str = "weftd's database is always the active one: it replicates no other server";
const NO_COUNTERS: &str = "weftd has no performance counters of transactions";

/// What a command does.
enum Does {
    /// Works on the embedded server.
    Server(fn(&Server, &[String]) -> Answer),
    /// Compacts the file.
    Compact,
    /// Is the switch's own command of that name.
    Switch,
    /// Makes no sense, and why.
    Nothing(&'static str),
}

use Does::{Compact, Nothing, Server as OnServer, Switch};

const COMMANDS: &[(&str, &str, [usize; 2], Does)] = &[
    ("coverage/read-counter", "COUNTER", [1, 1], Switch),
    ("coverage/show", "", [0, 0], Switch),
    ("exit", "", [0, 0], Switch),
    ("list-commands", "", [0, 0], OnServer(|_, _| Ok(list()))),
    ("memory/show", "", [0, 0], OnServer(|server, _| Ok(memory(server)))),
    ("ovsdb-server/add-db", "DB", [1, 1], Nothing(ONE_FILE)),
    ("ovsdb-server/add-remote", "REMOTE", [1, 1], OnServer(add_remote)),
    ("ovsdb-server/compact", "", [0, 1], Compact),
    ("ovsdb-server/connect-active-ovsdb-server", "", [0, 0], Nothing(NO_ACTIVE)),
    ("ovsdb-server/disable-monitor-cond", "", [0, 0], OnServer(disable_monitor_cond)),
    ("ovsdb-server/disconnect-active-ovsdb-server", "", [0, 0], Nothing(NO_ACTIVE)),
    ("ovsdb-server/get-active-ovsdb-server", "", [0, 0], OnServer(|_, _| Ok(String::new()))),
    ("ovsdb-server/get-db-storage-status", "DB", [1, 1], OnServer(storage_status)),
    ("ovsdb-server/get-sync-exclude-tables", "", [0, 0], OnServer(|_, _| Ok(String::new()))),
    ("ovsdb-server/list-dbs", "", [0, 0], OnServer(|server, _| Ok(lines(&server.list_dbs())))),
    ("ovsdb-server/list-remotes", "", [0, 0], OnServer(list_remotes)),
    ("ovsdb-server/memory-trim-on-compaction", "on|off", [1, 1], OnServer(trim)),
    ("ovsdb-server/perf-counters-clear", "", [0, 0], Nothing(NO_COUNTERS)),
    ("ovsdb-server/perf-counters-show", "", [0, 0], Nothing(NO_COUNTERS)),
    ("ovsdb-server/reconnect", "", [0, 0], OnServer(reconnect)),
    ("ovsdb-server/remove-db", "DB", [1, 1], OnServer(remove_db)),
    ("ovsdb-server/remove-remote", "REMOTE", [0, 1], OnServer(remove_remote)),
    ("ovsdb-server/set-active-ovsdb-server", "", [1, 1], Nothing(NO_ACTIVE)),
    ("ovsdb-server/set-active-ovsdb-server-probe-interval", "", [1, 1], Nothing(NO_ACTIVE)),
    ("ovsdb-server/set-sync-exclude-tables", "", [0, 1], Nothing(NO_ACTIVE)),
    ("ovsdb-server/sync-status", "", [0, 0], OnServer(|_, _| Ok("state: active\n".to_owned()))),
    ("ovsdb-server/tlog-list", "", [0, 0], OnServer(|server, _| Ok(tlog_list(server)))),
    (
        "ovsdb-server/tlog-set",
        "DB:TABLE on|off",
        [2, 2],
        Nothing(
            "weftd logs no changes of tables: see `ovsdb-client monitor`, `ovsdb-tool show-log`",
        ),
    ),
    ("version", "", [0, 0], OnServer(|_, _| Ok(general::version("ovsdb-server")))),
    ("vlog/close", "", [0, 0], Switch),
    ("vlog/disable-rate-limit", "[module]...", [0, usize::MAX], Switch),
    ("vlog/enable-rate-limit", "[module]...", [0, usize::MAX], Switch),
    ("vlog/list", "", [0, 0], Switch),
    ("vlog/list-pattern", "", [0, 0], Switch),
    ("vlog/reopen", "", [0, 0], Switch),
    ("vlog/set", "{spec | PATTERN:destination:pattern}", [0, usize::MAX], Switch),
];

/// Runs one command. Those of the server are answered on its thread, and nobody waits for it; those of the
/// switch are run by `now`.
pub(super) fn answer(
    store: &Store,
    now: impl FnOnce(&str, &[String]) -> Answer,
    method: &str,
    args: Vec<String>,
    reply: Reply,
) {
    // Whoever asked may be gone.
    let _ = match find(store, method, &args) {
        Err(error) => reply.send(Err(error)),
        Ok((_, Nothing(why))) => reply.send(Err(format!("{why}\n"))),
        Ok((_, Switch)) => reply.send(now(method, &args)),
        Ok((database, Compact)) => {
            database.run(move |server| compact(server, &args, reply));
            Ok(())
        }
        Ok((database, OnServer(run))) => {
            let run = *run;
            database.run(move |server| drop(reply.send(run(server, &args))));
            Ok(())
        }
    };
}

/// What a command does, and whom it is for.
fn find<'s>(
    store: &'s Store,
    method: &str,
    args: &[String],
) -> Result<(&'s Database, &'static Does), String> {
    let known = COMMANDS.iter().find(|(name, ..)| *name == method);
    let (_, _, count, does) = known.ok_or_else(|| unknown(method))?;
    check(method, *count, args)?;
    Ok((store.server.as_ref().ok_or(FOREIGN)?, does))
}

/// Compacts the file; the answer comes when that is done.
fn compact(server: &Server, args: &[String], reply: Reply) {
    let compaction = server.compact(args.first().map(String::as_str));
    tokio::task::spawn_local(async move {
        let answer = compaction.await.map_err(|error| format!("{error}\n"));
        // Whoever asked may be gone.
        let _ = reply.send(answer.map(|()| String::new()));
    });
}

fn list() -> String {
    listing(COMMANDS.iter().map(|(name, usage, ..)| (*name, *usage)).collect(), 23)
}

fn lines(names: &[String]) -> String {
    names.iter().fold(String::new(), |text, name| text + name + "\n")
}

fn list_remotes(server: &Server, _: &[String]) -> Answer {
    Ok(lines(&server.list_remotes()))
}

fn add_remote(server: &Server, args: &[String]) -> Answer {
    let remote = args.first().map_or("", String::as_str);
    server.add_remote(remote).map(|()| String::new()).map_err(|error| format!("{error}\n"))
}

fn remove_remote(server: &Server, args: &[String]) -> Answer {
    let remote = args.first().map_or("", String::as_str);
    if server.remove_remote(remote) {
        Ok(String::new())
    } else {
        Err("no such remote\n".to_owned())
    }
}

fn remove_db(server: &Server, args: &[String]) -> Answer {
    let name = args.first().map_or("", String::as_str);
    if server.list_tables(name).is_none() {
        return Err("Failed to find the database.\n".to_owned());
    }
    Err(format!("{name}: {ONE_FILE}; it cannot be removed\n"))
}

fn storage_status(server: &Server, args: &[String]) -> Answer {
    let name = args.first().map_or("", String::as_str);
    match server.storage_error(name) {
        None => Err("Failed to find the database.\n".to_owned()),
        Some(None) => Ok("status: ok\n".to_owned()),
        Some(Some(error)) => Ok(format!("status: {error}\n")),
    }
}

fn reconnect(server: &Server, _: &[String]) -> Answer {
    server.disconnect_all();
    Ok(String::new())
}

fn disable_monitor_cond(server: &Server, _: &[String]) -> Answer {
    server.disable_monitor_cond();
    Ok(String::new())
}

/// Memory goes back to the system by itself; the switch is taken for scripts that set it.
fn trim(_: &Server, args: &[String]) -> Answer {
    match args.first().map(String::as_str) {
        Some("on" | "off") => Ok(String::new()),
        _ => Err("invalid argument\n".to_owned()),
    }
}

fn tlog_list(server: &Server) -> String {
    let mut text = String::from(
        "database        table                       logging\n\
         --------        -----                       -------\n",
    );
    for db in server.list_dbs() {
        let _ = writeln!(text, "{db:<16} ");
        let mut tables = server.list_tables(&db).unwrap_or_default();
        tables.sort_unstable();
        for table in tables {
            let _ = writeln!(text, "                {table:<27} OFF");
        }
    }
    text
}

fn memory(server: &Server) -> String {
    let memory = server.memory();
    let mut parts = vec![
        ("atoms", memory.atoms),
        ("backlog", memory.backlog_bytes),
        ("cells", memory.cells),
        ("monitors", memory.monitors),
        ("n-weak-refs", memory.weak_references),
        ("sessions", memory.sessions),
    ];
    parts.retain(|(name, count)| *count > 0 || !matches!(*name, "backlog" | "sessions"));
    let parts: Vec<String> = parts.iter().map(|(name, count)| format!("{name}:{count}")).collect();
    parts.join(" ") + "\n"
}
