//! What is printed is read again.

use crate::generate;
use proptest::prelude::*;
use weft_flow::action::Resubmit;
use weft_flow::{Action, PortNo, Slot, TableId};
use weft_flowtext::read::{ReadError, actions_from, match_from, port_from};
use weft_flowtext::{Names, Numbers, print};

/// One port with a name that could be read as something else.
struct OnePort;

impl Names for OnePort {
    fn port(&self, port: PortNo) -> Option<&str> {
        (port == PortNo(5)).then_some("p,5")
    }

    fn port_number(&self, name: &str) -> Option<PortNo> {
        (name == "p,5").then_some(PortNo(5))
    }

    fn table(&self, _: TableId) -> Option<&str> {
        None
    }

    fn table_number(&self, name: &str) -> Option<TableId> {
        (name == "acl").then_some(TableId(7))
    }
}

#[test]
fn what_is_printed_is_read_again() {
    for of in generate::matches(2000) {
        let text = print::match_text(&of, &Numbers);
        assert_eq!(match_from(&text, &Numbers).as_ref(), Ok(&of), "{text}");
    }
}

#[test]
fn actions_that_are_printed_are_read_again() {
    let flows = generate::flows(2000).into_iter().chain(generate::loads(400));
    for (_, actions) in flows {
        let text = print::actions_text(&actions, &Numbers);
        let again = actions_from(&text, &Numbers).map(forms_left_out);
        assert_eq!(again.as_ref(), Ok(&forms_left_out(actions)), "{text}");
    }
}

/// What a text does not say: in which of two equal forms an action was sent.
fn forms_left_out(actions: Vec<Action>) -> Vec<Action> {
    let one = |action| match action {
        Action::Move { source, destination, .. } => {
            Action::Move { source, destination, is_copy: false }
        }
        Action::Resubmit(to) => Action::Resubmit(Resubmit { names_table: true, ..to }),
        Action::Controller(mut of) => {
            of.has_properties = true;
            Action::Controller(of)
        }
        Action::Sample(mut of) => {
            of.form = 3;
            Action::Sample(of)
        }
        Action::Clone(inside) => Action::Clone(forms_left_out(inside.into()).into()),
        other => other,
    };
    actions.into_iter().map(one).collect()
}

#[test]
fn errors_of_actions_name_what_cannot_be_read() {
    for (text, error) in [
        ("foo", "unknown action foo"),
        ("output:foo", "foo: output to unknown port"),
        ("resubmit", "at least one \"in_port\" or \"table\" must be specified on resubmit"),
        ("mod_vlan_vid:5000", "5000: invalid VLAN VID"),
        ("drop,1", "\"drop\" must not be accompanied by any other action or instruction"),
        ("load:100->reg0[0..3]", "value 0x64 does not fit into 4 bits"),
        ("ct(foo)", "invalid argument to \"ct\" action: `foo'"),
        (
            "move:NXM_NX_REG0[0..3]->NXM_NX_REG1[0..4]",
            "source field is 4 bits wide but destination is 5 bits wide",
        ),
    ] {
        let read = actions_from(text, &Numbers).expect_err(text);
        assert_eq!(read.to_string(), error);
    }
    let deep = format!("{}1{}", "clone(".repeat(40), ")".repeat(40));
    assert_eq!(actions_from(&deep, &Numbers), Err(ReadError::TooDeep));
    assert_eq!(actions_from("goto_table:acl", &OnePort), Ok(vec![Action::GotoTable(TableId(7))]));
}

#[test]
fn ports_have_names_and_numbers() {
    assert_eq!(port_from("LOCAL", &Numbers), Some(PortNo::LOCAL));
    assert_eq!(port_from("local", &Numbers), Some(PortNo::LOCAL));
    assert_eq!(port_from("65534", &Numbers), Some(PortNo::LOCAL));
    assert_eq!(port_from("0xfffffffe", &Numbers), Some(PortNo::LOCAL));
    assert_eq!(port_from("70000", &Numbers), None);
    assert_eq!(port_from("\"p,5\"", &OnePort), Some(PortNo(5)));
    assert_eq!(print::port_text(PortNo(5), &OnePort), "\"p,5\"");
}

#[test]
fn errors_name_what_cannot_be_read() {
    for (text, error) in [
        ("foo=3", "unknown keyword foo"),
        ("ip,nw_src=1.2.3", "1.2.3: invalid IP address"),
        ("dl_src=1:2", "1:2: invalid Ethernet address"),
        ("reg0=0x1ffffffff", "0x1ffffffff: value too large for 4-byte field reg0"),
        ("dl_vlan=99999", "99999: value too large for 2-byte field dl_vlan"),
        ("in_port=nope", "nope: invalid or unknown port for in_port"),
        ("tcp,tcp_flags=foo", "foo: unknown TCP flag(s)"),
        ("ct_state=+foo", "foo: unknown ct_state flag(s)"),
    ] {
        let read = match_from(text, &Numbers).expect_err(text);
        assert_eq!(read.to_string(), error);
    }
    assert!(matches!(match_from("tp_src=5", &Numbers), Err(ReadError::UnknownKeyword(_))));
    assert!(matches!(match_from("tcp_src=5", &Numbers), Err(ReadError::MissingPrerequisite(_))));
}

#[test]
fn long_options_are_one_number() {
    let text = format!("tun_metadata3=0x1{:032x}", 5);
    let of = match_from(&text, &Numbers).expect("read");
    assert_eq!(of.slot(Slot::TunMetadata(3, 1)).value, 1);
    assert_eq!(print::match_text(&of, &Numbers), text);
    assert!(match_from(&format!("tun_metadata3=0x{}", "f".repeat(257)), &Numbers).is_err());
}

const ACTIONS: [&str; 16] = [
    "output",
    "set_field",
    "load",
    "move",
    "ct",
    "nat",
    "learn",
    "bundle",
    "multipath",
    "sample",
    "controller",
    "resubmit",
    "enqueue",
    "note",
    "conjunction",
    "check_pkt_larger",
];

proptest! {
    #[test]
    fn any_text_is_read_or_refused(
        text in ".{0,40}",
        name in "[a-z_0-9]{1,12}",
        field in 0..weft_flow::Field::all().count(),
    ) {
        let _ = match_from(&text, &Numbers);
        let _ = actions_from(&text, &Numbers);
        for action in ACTIONS {
            let _ = actions_from(&format!("{action}:{text}"), &Numbers);
            let _ = actions_from(&format!("{action}({text})->{text}"), &Numbers);
        }
        let _ = match_from(&format!("ip,{name}={text}"), &Numbers);
        if let Some(field) = weft_flow::Field::all().nth(field) {
            let _ = match_from(&format!("tcp,{}={text}", field.name()), &Numbers);
        }
    }
}
