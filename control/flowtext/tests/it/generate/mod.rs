//! Matches and actions that stock takes.

mod actions;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use weft_flow::action::NatAddresses;
use weft_flow::field::{Prerequisite, Style, ones};
use weft_flow::{Action, Field, Match, PortNo, Slot};

pub use actions::action;

/// The same values in each run.
fn runner() -> TestRunner {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let config = Config { max_local_rejects: u32::MAX, ..Config::default() };
    TestRunner::new_with_rng(config, rng)
}

fn draw<T: std::fmt::Debug>(count: usize, of: &impl Strategy<Value = T>) -> Vec<T> {
    let mut runner = runner();
    (0..count).map(|_| of.new_tree(&mut runner).expect("drawn").current()).collect()
}

pub fn matches(count: usize) -> Vec<Match> {
    draw(count, &matching())
}

pub fn flows(count: usize) -> Vec<(Match, Vec<Action>)> {
    let flow = (shape(), prop::collection::vec(action(), 0..5));
    draw(count, &flow.prop_filter("layers fit", |(of, actions)| has_layers(of, actions)))
}

pub fn loads(count: usize) -> Vec<(Match, Vec<Action>)> {
    let loads = prop::collection::vec(actions::load(), 0..4);
    draw(count, &loads.prop_map(|loads| (Match::any(), loads)))
}

/// Whether a flow has the layers that its actions need.
fn has_layers(of: &Match, actions: &[Action]) -> bool {
    actions.iter().all(|action| match action {
        Action::Ct(_) => of.has(Prerequisite::Ip) && has_layers(of, action.nested()),
        Action::Nat(nat) => match nat.addresses {
            NatAddresses::None => true,
            NatAddresses::V4(..) => of.has(Prerequisite::Ipv4),
            NatAddresses::V6(..) => of.has(Prerequisite::Ipv6),
        },
        _ => has_layers(of, action.nested()),
    })
}

/// The layers of a packet.
pub fn shape() -> impl Strategy<Value = Match> {
    let shapes: &[&[(&str, u128)]] = &[
        &[],
        &[("eth_type", 0x88cc)],
        &[("eth_type", 0x0806)],
        &[("eth_type", 0x8035)],
        &[("eth_type", 0x8847)],
        &[("eth_type", 0x8848)],
        &[("eth_type", 0x0800)],
        &[("eth_type", 0x0800), ("nw_proto", 1)],
        &[("eth_type", 0x0800), ("nw_proto", 6)],
        &[("eth_type", 0x0800), ("nw_proto", 17)],
        &[("eth_type", 0x0800), ("nw_proto", 132)],
        &[("eth_type", 0x0800), ("nw_proto", 200)],
        &[("eth_type", 0x86dd)],
        &[("eth_type", 0x86dd), ("nw_proto", 58)],
        &[("eth_type", 0x86dd), ("nw_proto", 58), ("icmpv6_type", 135), ("icmpv6_code", 0)],
        &[("eth_type", 0x86dd), ("nw_proto", 58), ("icmpv6_type", 136), ("icmpv6_code", 0)],
        &[("eth_type", 0x86dd), ("nw_proto", 6)],
        &[("eth_type", 0x86dd), ("nw_proto", 17)],
        &[("eth_type", 0x86dd), ("nw_proto", 132)],
    ];
    prop::sample::select(shapes).prop_map(|shape| {
        let mut of = Match::any();
        for (name, value) in shape {
            of.set_exact(Field::by_name(name).expect("a field"), *value);
        }
        of
    })
}

/// A mask of a field: all of it mostly, a prefix, or any.
fn mask(field: Field) -> BoxedStrategy<u128> {
    let width = field.bits().min(128);
    let all = ones(width);
    if !field.is_maskable() {
        return Just(all).boxed();
    }
    let prefix = (1..=width).prop_map(move |length| all & !ones(width - length));
    let any = any::<u128>().prop_map(move |mask| (mask & all).max(1));
    if field.style() == Style::Ipv6 {
        // Stock does not read all other masks that it prints.
        return prop_oneof![Just(all), prefix].boxed();
    }
    prop_oneof![3 => Just(all), 2 => prefix, 1 => any].boxed()
}

fn value() -> impl Strategy<Value = u128> {
    prop_oneof![Just(0), 0u128..100, any::<u128>()]
}

/// A layered match with more fields that the layers allow.
fn matching() -> impl Strategy<Value = Match> {
    let skipped = [
        // Other fields say the same; or nothing says it on the wire of this form.
        "recirc_id",
        "packet_type",
        "actset_output",
        "tun_ttl",
        "tun_tos",
        "dl_vlan",
        "dl_vlan_pcp",
        "eth_type",
        "nw_proto",
        "in_port_oxm",
        "vlan_vid",
        "vlan_pcp",
        "ip_dscp",
        "nd_reserved",
        "nd_options_type",
        "tun_erspan_idx",
        "tun_erspan_ver",
        "tun_erspan_dir",
        "tun_erspan_hwid",
        "tun_gtpu_flags",
        "tun_gtpu_msgtype",
        "icmpv6_type",
        "icmpv6_code",
    ];
    let fields: Vec<Field> = Field::all()
        .filter(|field| !skipped.contains(&field.name()) && field.bits() <= 128)
        .collect();
    let set =
        prop::sample::select(fields).prop_flat_map(|field| (Just(field), value(), mask(field)));
    (shape(), prop::collection::vec(set, 0..8)).prop_map(|(mut of, sets)| {
        for (field, value, mask) in sets {
            set_if_possible(&mut of, field, value, mask);
        }
        of
    })
}

fn set_if_possible(of: &mut Match, field: Field, value: u128, mask: u128) {
    let is_ct = matches!(
        field.prerequisite(),
        Prerequisite::Ct | Prerequisite::CtIpv4 | Prerequisite::CtIpv6
    );
    // Stock leaves out ports of connections of another protocol.
    if field.name().starts_with("ct_tp") && of.slot(Slot::CtNwProto).value != 6 {
        return;
    }
    if is_ct {
        of.set(Field::by_name("ct_state").expect("a field"), 0x22, 0x22);
    }
    // Its slot is taken by a field of another layer.
    let is_taken = field.places().iter().any(|place| of.slot(place.slot).mask != 0);
    if !of.has(field.prerequisite()) || (is_taken && field.name() != "ct_state") {
        return;
    }
    let value = match field.name() {
        "in_port" => u128::from(PortNo(u32::try_from(value & 0x7fff).expect("small")).0),
        "nw_tos" => value & 0xfc,
        "ip_frag" => *[0, 1, 3].get(usize::try_from(value % 3).expect("small")).expect("one"),
        "arp_op" => value & 0xff,
        "tun_flags" => value & 1,
        "ct_state" => value & 0xfc | 0x22,
        "ct_nw_proto" => 6,
        _ => value,
    };
    let mask = match field.name() {
        // Texts do not show a mask of the second.
        "ip_frag" | "tun_gbp_flags" => 0xff,
        "tun_flags" => 1,
        "ct_state" => mask & 0xff | 0x22,
        "nw_tos" => 0xfc,
        _ => mask,
    };
    // A later fragment has no ports, nor what is behind them.
    let has_ports = of.slot(Slot::TpSrc).mask | of.slot(Slot::TpDst).mask != 0
        || of.slot(Slot::TcpFlags).mask != 0;
    if field.name() == "ip_frag" && has_ports {
        return;
    }
    of.set(field, value, mask);
}
