//! `weft vsctl`: the language of ovs-vsctl, for machines without Open vSwitch's packages.
//!
//! All commands of a line work on a copy of the database ([`model`]); the difference is sent as one
//! transaction, which fails when somebody else changed the same columns meanwhile, and is then made
//! anew.  Texts, output and exit codes are those of ovs-vsctl 3.1.

mod auto_attach;
mod bridges;
mod command;
mod condition;
mod connect;
mod database;
mod grid;
mod lookup;
mod model;
mod options;
mod ports;
mod quoted;
mod remotes;
mod show;
mod symbols;
mod text;
mod topology;
mod zones;

use self::command::{Call, Context, Outcome};
use self::connect::refused;
use self::model::Model;
use self::options::{Ask, Options};
use self::symbols::Symbols;
use rustix::process::{Signal, getpid, kill_process};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use uuid::Uuid;
use weft_ovsdb::value::schema::{OVS_VERSION, Schema, VSWITCH_SCHEMA};
use weft_ovsdb::{Client, ClientError};

/// The database.
const DATABASE: &str = "Open_vSwitch";

/// The environment may say how long to wait, for lines without `--timeout`.
const TIMEOUT_VARIABLE: &str = "OVS_CTL_TIMEOUT";

/// Why a line of commands came to nothing: one sentence for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Failure(pub String);

impl Failure {
    fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// The name under which packages may install this program, for scripts that know no other.
const ALIAS: &str = "ovs-vsctl";

/// True when the program was called by the name of the stock client.
pub fn is_alias() -> bool {
    let name = std::env::args_os().next().unwrap_or_default();
    Path::new(&name).file_name().is_some_and(|name| name == ALIAS)
}

/// What this program calls itself in complaints.
fn program() -> &'static str {
    if is_alias() { ALIAS } else { "weft vsctl" }
}

/// The exit code of a line that failed.
const EXIT_FAILED: u8 = 1;

/// Runs one line of commands, and prints what comes of it; the exit code is that of ovs-vsctl.
pub fn run(rundir: &Path, words: Vec<OsString>) -> u8 {
    run_line(rundir, words).unwrap_or_else(|failure| {
        complain(&failure);
        EXIT_FAILED
    })
}

/// One line for standard error.
fn complain(text: &impl std::fmt::Display) {
    eprintln!("{}: {text}", program());
}

fn run_line(rundir: &Path, words: Vec<OsString>) -> Result<u8, Failure> {
    let words: Result<Vec<String>, OsString> =
        words.into_iter().map(OsString::into_string).collect();
    let words =
        words.map_err(|word| Failure(format!("{}: not a valid UTF-8 string", word.display())))?;
    let (options, calls) = options::parse(&words)?;
    if let Some(ask) = options.asks {
        say(&answer(ask))?;
        return Ok(0);
    }
    if options.tls.trusts_anyone() {
        complain(&"Peer certificate validation disabled (this is a security risk)");
    }
    let line = words.join(" ");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure(error.to_string()))?;
    let session = session(rundir, &options, &calls, &line);
    runtime.block_on(async {
        match options.timeout.or_else(usual_timeout) {
            None => session.await,
            Some(timeout) => {
                tokio::time::timeout(timeout, session).await.unwrap_or_else(|_| give_up())
            }
        }
    })
}

fn usual_timeout() -> Option<Duration> {
    options::timeout(&std::env::var(TIMEOUT_VARIABLE).ok()?)
}

/// Ends as ovs-vsctl does when its time is up: by a signal, which its callers look for.
fn give_up() -> Result<u8, Failure> {
    complain(&"terminating with signal 14 (Alarm clock)");
    kill_process(getpid(), Signal::ALARM).map_err(|error| Failure(error.to_string()))?;
    Ok(u8::MAX)
}

fn answer(ask: Ask) -> String {
    match ask {
        Ask::Version => {
            let schema = Schema::parse(VSWITCH_SCHEMA).map(|schema| schema.version);
            let program = if is_alias() {
                // Scripts look for what stock has here.
                format!("{ALIAS} (Open vSwitch) {OVS_VERSION}")
            } else {
                format!("weft vsctl {}", env!("CARGO_PKG_VERSION"))
            };
            format!("{program}\nDB Schema {}\n", schema.unwrap_or_default())
        }
        Ask::Help => {
            let mut help = String::from(
                "weft vsctl: configures a switch through its database, as ovs-vsctl does\n\
                 usage: weft vsctl [OPTIONS] COMMAND [ARG...] [-- [OPTIONS] COMMAND [ARG...]]...\n\n\
                 Commands:\n",
            );
            for command in command::all() {
                // Writing to a String never fails.
                let _ = writeln!(help, "  {}", command.synopsis());
            }
            help + "\nOptions:\n  \
                --db=DATABASE               unix:FILE, tcp:HOST:PORT or ssl:HOST:PORT (default: db.sock in the run directory);\n  \
                \x20                           punix:FILE, ptcp:PORT or pssl:PORT to wait until a database connects\n  \
                -p, --private-key=FILE      for ssl: the private key\n  \
                -c, --certificate=FILE      for ssl: the certificate of that key\n  \
                -C, --ca-cert=FILE          for ssl: the certificate of the server's CA, or none to believe any\n  \
                --bootstrap-ca-cert=FILE    the same; made from what the server shows when it is not there\n  \
                --ssl-protocols=PROTOS      for ssl: versions of TLS, as in TLSv1.2,TLSv1.3\n  \
                --ssl-ciphers=CIPHERS       for ssl: suites of TLS 1.2, by their names in OpenSSL\n  \
                --no-wait                   do not wait for the switch to reconfigure\n  \
                --retry                     keep trying to connect\n  \
                -t, --timeout=SECS          give up after SECS seconds\n  \
                --dry-run                   do not change the database\n  \
                --oneline                   print exactly one line of output per command\n  \
                -f, --format=FORMAT         list, table, html, csv or json\n  \
                -d, --data=FORMAT           string, bare or json cells\n  \
                --no-headings               omit headings\n  \
                --max-column-width=WIDTH    cut the cells of a table\n  \
                --pretty                    JSON in several lines\n  \
                --bare                      as --format=list --data=bare --no-headings\n  \
                -h, --help                  this text\n  \
                -V, --version               versions of the program and the database\n"
        }
    }
}

fn say(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Failure(format!("cannot write the output: {error}")))
}

/// What a line of commands comes to, given what the database holds.
struct Plan {
    outcomes: Vec<Outcome>,
    operations: Vec<Value>,
    /// For each new row its operation.
    inserts: BTreeMap<Uuid, usize>,
    /// Names of interfaces that were added.
    expected: Vec<String>,
}

async fn session(
    rundir: &Path,
    options: &Options,
    calls: &[Call],
    line: &str,
) -> Result<u8, Failure> {
    let mut client = connect::connect(rundir, options).await?;
    // A line that waits is planned again and again; what it remarks is said once.
    let mut said = BTreeSet::new();
    loop {
        let mut warnings = Vec::new();
        let plan = plan(&client, calls, &mut warnings);
        for warning in warnings {
            if !said.contains(&warning) {
                complain(&warning);
                said.insert(warning);
            }
        }
        let plan = plan?;
        if plan.outcomes.iter().any(|outcome| outcome.waits) {
            client.next_change().await.map_err(refused)?;
            continue;
        }
        let Some(results) = commit(&mut client, &plan, options, line).await? else {
            // Somebody else was faster: the news of it may have come already.
            client.next_change().await.map_err(refused)?;
            continue;
        };
        say(&report(&plan, &results, options))?;
        if !options.is_hasty {
            await_switch(&mut client, &results, &plan.expected).await?;
        }
        return Ok(plan.outcomes.iter().map(|outcome| outcome.exit_code).max().unwrap_or(0));
    }
}

/// Runs the commands on a copy.
fn plan(client: &Client, calls: &[Call], warnings: &mut Vec<String>) -> Result<Plan, Failure> {
    let schema = client.schema().ok_or_else(|| Failure::new("the server has no schema"))?;
    for call in calls {
        call.command.check.map_or(Ok(()), |check| check(schema, call))?;
    }
    let mut model = Model::new(schema, client.replica());
    if model.rows(DATABASE).is_empty() {
        model.make(DATABASE)?;
    }
    let mut symbols = Symbols::default();
    let mut context = Context { model, symbols: &mut symbols, expected: Vec::new(), warnings };
    let mut outcomes = Vec::new();
    for call in calls {
        let outcome = (call.command.run)(&mut context, call)?;
        let waits = outcome.waits;
        outcomes.push(outcome);
        if waits {
            break;
        }
    }
    let (operations, inserts) = context.model.operations();
    let expected = context.expected;
    if !outcomes.iter().any(|outcome| outcome.waits) {
        warnings.extend(symbols.check()?);
    }
    Ok(Plan { outcomes, operations, inserts, expected })
}

/// Sends the difference.  `None` when the database is not any more what the plan was made for.
async fn commit(
    client: &mut Client,
    plan: &Plan,
    options: &Options,
    line: &str,
) -> Result<Option<Vec<Value>>, Failure> {
    if plan.operations.is_empty() || options.is_dry {
        return Ok(Some(Vec::new()));
    }
    let mut operations = plan.operations.clone();
    if !options.is_hasty {
        operations.push(json!({
            "op": "mutate", "table": DATABASE, "where": [], "mutations": [["next_cfg", "+=", 1]],
        }));
        operations
            .push(json!({"op": "select", "table": DATABASE, "where": [], "columns": ["next_cfg"]}));
    }
    operations.push(json!({"op": "comment", "comment": format!("weft vsctl: {line}")}));
    match client.transact(operations).await {
        Ok(results) => Ok(Some(results)),
        Err(ClientError::Transaction { error, .. }) if error == "timed out" => Ok(None),
        Err(error) => Err(refused(error)),
    }
}

/// What the commands print, with the uuids that the server has chosen.
fn report(plan: &Plan, results: &[Value], options: &Options) -> String {
    let mut text = String::new();
    let mut is_next = false;
    for outcome in &plan.outcomes {
        let created = outcome.created.map(|row| {
            let result = plan.inserts.get(&row).and_then(|index| results.get(*index));
            let chosen = result.and_then(|result| result.get("uuid")?.get(1)?.as_str());
            chosen.map_or_else(|| row.to_string(), str::to_owned)
        });
        let lines: Vec<&str> = outcome.lines.iter().chain(&created).map(String::as_str).collect();
        if let Some(grid) = &outcome.grid {
            text.push_str(&grid.show(options.style, is_next));
            is_next = true;
        } else if options.oneline {
            text.push_str(&on_one_line(&lines));
            text.push('\n');
        } else {
            for line in lines {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}

/// Lines with what ends them, and backslashes, as escapes.
fn on_one_line(lines: &[&str]) -> String {
    lines.join("\n").replace('\\', "\\\\").replace('\n', "\\n")
}

/// Waits until the switch has done what was asked for, and says which interfaces it could not set up.
async fn await_switch(
    client: &mut Client,
    results: &[Value],
    expected: &[String],
) -> Result<(), Failure> {
    let asked = results
        .iter()
        .find_map(|result| result.get("rows")?.get(0)?.get("next_cfg").and_then(Value::as_i64));
    let Some(asked) = asked else { return Ok(()) };
    loop {
        let table = client.replica().tables().get(DATABASE);
        let root = table.and_then(|table| table.first());
        if root.is_some_and(|(_, row)| row.get("cur_cfg").as_int().unwrap_or(0) >= asked) {
            break;
        }
        client.next_change().await.map_err(refused)?;
    }
    complain_about_interfaces(client, expected);
    Ok(())
}

/// Says which of the interfaces that were added the switch could not set up.
fn complain_about_interfaces(client: &Client, expected: &[String]) {
    let mut failed = false;
    let interfaces = client.replica().tables().get("Interface");
    for row in interfaces.into_iter().flat_map(|table| table.rows().values()) {
        let name = row.get("name").as_str().unwrap_or("");
        let is_up = row.get("ofport").as_int().is_some_and(|ofport| ofport >= 0);
        if is_up || !expected.iter().any(|expected| expected == name) {
            continue;
        }
        failed = true;
        let error = row.get("error").as_str().map(|error| format!(": {error}"));
        let error = error.unwrap_or_default();
        complain(&format!(
            "Error detected while setting up '{name}'{error}.  See the log of the switch for details."
        ));
    }
    if failed {
        complain(&format!("The default log directory is \"{}\".", log_folder().display()));
    }
}

/// Where the switch logs, unless it is told otherwise.
fn log_folder() -> PathBuf {
    std::env::var_os("OVS_LOGDIR").map_or_else(|| "/var/log/openvswitch".into(), PathBuf::from)
}
