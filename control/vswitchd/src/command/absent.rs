//! What a stock switch has and this one has not: bonds, LACP, BFD, CFM, `QoS`, connection tracking,
//! OpenFlow controllers, auto-attach, flow tables to edit.
//!
//! A question gets the stock answer for "nothing is configured"; an order that would have to do
//! something gets an error that names what is missing.

use super::datapath::choose;
use super::{Command, Family, command};
use crate::config::desired::Desired;
use crate::config::desired::{Interface, Port};
use crate::config::names::PortName;
use crate::engine::parts::Needs;
use crate::plan::installed::Installed;
use crate::serve::unixctl::Answer;

const BONDS: &str = "bonds are not supported yet\n";
const BFD: &str = "BFD is not supported yet\n";
const CFM: &str = "CFM is not supported yet\n";
const TRACKING: &str = "connection tracking is not supported yet\n";
pub(super) const FLOWS: &str = "there are no flows to edit: bridges learn (see fdb/add, fdb/del)\n";
const PORTS: &str =
    "datapaths and their ports follow the database: see ovs-vsctl add-br, add-port\n";
const OPENFLOW: &str = "OpenFlow actions are not supported yet: see ofproto/trace\n";
const FEATURES: &str =
    "the features of the datapath cannot be changed: see dpif/show-dp-features\n";

const ANY: usize = usize::MAX;

/// The commands of this family.
pub(crate) enum Absent {}

/// What they work with.
pub(crate) struct Parts<'a> {
    pub desired: &'a Desired,
    pub plan: &'a Installed,
}

impl Needs for Absent {
    type Parts<'a> = Parts<'a>;
}

impl Family for Absent {
    const COMMANDS: &'static [Command<Self>] = COMMANDS;
}

const COMMANDS: &[Command<Absent>] = &[
    command::<Absent>("autoattach/show-isid", "[bridge]", 0, 1, nothing),
    command::<Absent>("autoattach/statistics", "[bridge]", 0, 1, nothing),
    command::<Absent>("autoattach/status", "[bridge]", 0, 1, nothing),
    command::<Absent>("bfd/set-forwarding", "[interface] normal|false|true", 1, 2, |_, args| {
        fault(args, "no such BFD object\n", BFD)
    }),
    command::<Absent>("bfd/show", "[interface]", 0, 1, |_, args| {
        none_of(args, "no such bfd object\n")
    }),
    command::<Absent>("bond/disable-member", "port member", 2, 2, bond),
    command::<Absent>("bond/enable-member", "port member", 2, 2, bond),
    command::<Absent>("bond/hash", "mac [vlan] [basis]", 1, 3, |_, _| Err(BONDS.to_owned())),
    command::<Absent>("bond/list", "", 0, 0, |_, _| {
        Ok("bond\ttype\trecircID\tmembers\n".to_owned())
    }),
    command::<Absent>("bond/migrate", "port hash member", 3, 3, bond),
    command::<Absent>("bond/set-active-member", "port member", 2, 2, bond),
    command::<Absent>("bond/show", "[port]", 0, 1, |lent, args| {
        if args.is_empty() { nothing(lent, args) } else { bond(lent, args) }
    }),
    command::<Absent>("bridge/reconnect", "[bridge]", 0, 1, |lent, args| match args.first() {
        Some(name) if !lent.desired.bridges.contains_key(name) => {
            Err("Unknown bridge\n".to_owned())
        }
        _ => Ok(String::new()),
    }),
    command::<Absent>("cfm/set-fault", "[interface] normal|false|true", 1, 2, |_, args| {
        fault(args, "no such CFM object\n", CFM)
    }),
    command::<Absent>("cfm/show", "[interface]", 0, 1, |_, args| {
        none_of(args, "no such CFM object\n")
    }),
    command::<Absent>("dpctl/add-dp", "dp [iface...]", 1, ANY, |_, _| Err(PORTS.to_owned())),
    command::<Absent>("dpctl/add-flow", "[dp] flow actions", 2, 3, |_, _| Err(FLOWS.to_owned())),
    command::<Absent>("dpctl/add-flows", "[dp] file", 1, 2, |_, _| Err(FLOWS.to_owned())),
    command::<Absent>("dpctl/add-if", "dp iface...", 2, ANY, |_, _| Err(PORTS.to_owned())),
    command::<Absent>("dpctl/cache-get-size", "[dp]", 0, 1, caches),
    command::<Absent>("dpctl/cache-set-size", "dp cache <size>", 3, 3, |_, _| {
        Err("the datapath has no caches\n".to_owned())
    }),
    command::<Absent>("dpctl/ct-bkts", "[dp] [gt=N]", 0, 2, |_, _| Err(TRACKING.to_owned())),
    command::<Absent>("dpctl/ct-del-limits", "[dp] zone=N1[,N2]...", 1, 2, |_, _| {
        Err(TRACKING.to_owned())
    }),
    command::<Absent>(
        "dpctl/ct-disable-tcp-seq-chk",
        "[dp]",
        0,
        1,
        |_, _| Err(TRACKING.to_owned()),
    ),
    command::<Absent>("dpctl/ct-enable-tcp-seq-chk", "[dp]", 0, 1, |_, _| Err(TRACKING.to_owned())),
    command::<Absent>("dpctl/ct-get-limits", "[dp] [zone=N1[,N2]...]", 0, 2, |_, _| {
        Err(TRACKING.to_owned())
    }),
    command::<Absent>("dpctl/ct-get-maxconns", "[dp]", 0, 1, |lent, args| {
        tracked(lent, args, "0\n")
    }),
    command::<Absent>("dpctl/ct-get-nconns", "[dp]", 0, 1, |lent, args| tracked(lent, args, "0\n")),
    command::<Absent>("dpctl/ct-get-tcp-seq-chk", "[dp]", 0, 1, |_, _| Err(TRACKING.to_owned())),
    command::<Absent>(
        "dpctl/ct-set-limits",
        "[dp] [default=L] [zone=N,limit=L]...",
        1,
        ANY,
        |_, _| Err(TRACKING.to_owned()),
    ),
    command::<Absent>("dpctl/ct-set-maxconns", "[dp] maxconns", 1, 2, |_, _| {
        Err(TRACKING.to_owned())
    }),
    command::<Absent>("dpctl/ct-stats-show", "[dp] [zone=N]", 0, 3, |lent, args| {
        tracked(lent, args, "Connections Stats:\n    Total: 0\n")
    }),
    command::<Absent>("dpctl/del-dp", "dp", 1, 1, |_, _| Err(PORTS.to_owned())),
    command::<Absent>("dpctl/del-flow", "[dp] flow", 1, 2, |_, _| Err(FLOWS.to_owned())),
    command::<Absent>("dpctl/del-if", "dp iface...", 2, ANY, |_, _| Err(PORTS.to_owned())),
    command::<Absent>("dpctl/dump-conntrack", "[-m] [-s] [dp] [zone=N]", 0, 4, |lent, args| {
        tracked(lent, args, "")
    }),
    command::<Absent>(
        "dpctl/flush-conntrack",
        "[dp] [zone=N] [ct-orig-tuple] [ct-reply-tuple]",
        0,
        4,
        // Of no connections, all are gone.
        nothing,
    ),
    command::<Absent>("dpctl/ipf-get-status", "[dp]", 0, 1, |_, _| Err(TRACKING.to_owned())),
    command::<Absent>(
        "dpctl/ipf-set-disabled",
        "[dp] v4|v6",
        1,
        2,
        |_, _| Err(TRACKING.to_owned()),
    ),
    command::<Absent>("dpctl/ipf-set-enabled", "[dp] v4|v6", 1, 2, |_, _| Err(TRACKING.to_owned())),
    command::<Absent>("dpctl/ipf-set-max-nfrags", "[dp] maxfrags", 1, 2, |_, _| {
        Err(TRACKING.to_owned())
    }),
    command::<Absent>("dpctl/ipf-set-min-frag", "[dp] v4|v6 minfragment", 2, 3, |_, _| {
        Err(TRACKING.to_owned())
    }),
    command::<Absent>("dpctl/mod-flow", "[dp] flow actions", 2, 3, |_, _| Err(FLOWS.to_owned())),
    command::<Absent>("dpctl/mod-flows", "[dp] file", 1, 2, |_, _| Err(FLOWS.to_owned())),
    command::<Absent>("dpctl/offload-stats-show", "[dp]", 0, 1, |lent, args| {
        choose(lent.desired, args.first())?;
        Err("ovs-vswitchd: retrieving offload statistics (Invalid argument)\n".to_owned())
    }),
    command::<Absent>("dpctl/set-if", "dp iface...", 2, ANY, |_, _| Err(PORTS.to_owned())),
    command::<Absent>("dpif/set-dp-features", "bridge", 1, 3, |_, _| Err(FEATURES.to_owned())),
    command::<Absent>("lacp/show", "[port]", 0, 1, |_, args| {
        none_of(args, "no such lacp object\n")
    }),
    command::<Absent>("lacp/show-stats", "[port]", 0, 1, |_, args| {
        none_of(args, "no such lacp object\n")
    }),
    command::<Absent>(
        "ofproto/trace-packet-out",
        "[-consistent] {[dp_name] odp_flow | bridge br_flow} [OPTIONS...] [-generate|packet] actions",
        2,
        ANY,
        |_, _| Err(OPENFLOW.to_owned()),
    ),
    command::<Absent>("qos/show", "interface", 1, 1, qos),
    command::<Absent>("qos/show-types", "interface", 1, 1, |lent, args| {
        let (_, interface) = interface(lent, args)?;
        Ok(format!("No QoS types supported for interface: {}\n", interface.name))
    }),
];

fn nothing(_: &mut Parts<'_>, _args: &[String]) -> Answer {
    Ok(String::new())
}

/// All of something of which there is none; or one of it, by name.
fn none_of(args: &[String], no_such: &str) -> Answer {
    if args.is_empty() { Ok(String::new()) } else { Err(no_such.to_owned()) }
}

/// An order to pretend that `[interface]` has failed, or not.
fn fault(args: &[String], no_such: &str, missing: &str) -> Answer {
    let (interface, word) = match args {
        [interface, word, ..] => (Some(interface), word.as_str()),
        [word] => (None, word.as_str()),
        [] => (None, ""),
    };
    if !matches!(word, "normal" | "true" | "false") {
        return Err("unknown fault string\n".to_owned());
    }
    Err(if interface.is_some() { no_such } else { missing }.to_owned())
}

/// What is asked of, or told to, a bond.
fn bond(lent: &mut Parts<'_>, args: &[String]) -> Answer {
    let mut ports = lent.desired.bridges.values().flat_map(|bridge| bridge.ports.values());
    let name = args.first().map(PortName::new);
    let is_there = ports.any(|port| Some(&port.name) == name.as_ref() && port.interfaces.len() > 1);
    Err(if is_there { BONDS } else { "no such bond\n" }.to_owned())
}

/// The datapath that is named, or the only one.
fn tracked(lent: &mut Parts<'_>, args: &[String], answer: &str) -> Answer {
    if let Some(option) = args.iter().find(|arg| arg.starts_with('-') && !is_known_option(arg)) {
        return Err(format!("Unrecognized option {option}\n"));
    }
    let is_name = |arg: &&String| !arg.starts_with('-') && !arg.contains('=');
    choose(lent.desired, args.iter().find(is_name))?;
    Ok(answer.to_owned())
}

fn is_known_option(arg: &str) -> bool {
    matches!(arg, "-m" | "-s" | "--more" | "--statistics")
}

fn caches(lent: &mut Parts<'_>, args: &[String]) -> Answer {
    let chosen = choose(lent.desired, args.first());
    let name = args.first().map_or("", String::as_str);
    let cannot =
        format!("ovs-vswitchd: Opening datapath {name} failed (No such file or directory)\n");
    let why = |error| if args.is_empty() { error } else { cannot };
    chosen.map(|datapath| format!("{}:\n", datapath.name)).map_err(why)
}

/// The interface that is named, if it forwards, and its port.
fn interface<'a>(
    lent: &'a Parts<'a>,
    args: &[String],
) -> Result<(&'a Port, &'a Interface), &'static str> {
    let ports = lent.desired.bridges.values().flat_map(|bridge| bridge.ports.values());
    let mut all =
        ports.flat_map(|port| port.interfaces.iter().map(move |one| (port.as_ref(), one)));
    let found = all.find(|(_, one)| Some(&one.name) == args.first());
    let forwards = |one: &Interface| lent.plan.ports.by_interface(&one.name).is_some();
    found.filter(|(_, one)| forwards(one)).ok_or("no such interface\n")
}

fn qos(lent: &mut Parts<'_>, args: &[String]) -> Answer {
    let (port, interface) = interface(lent, args)?;
    let has_row = lent.desired.problems.iter().any(|problem| {
        problem.table == "Port" && problem.row == port.name.as_str() && problem.column == "qos"
    });
    if has_row {
        let name = &port.name;
        return Err(format!(
            "shaping is not supported yet: the qos of port {name} is kept, without effect\n"
        ));
    }
    Ok(format!("QoS not configured on {}\n", interface.name))
}
