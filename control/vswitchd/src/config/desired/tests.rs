use super::reader::cpus;
use super::*;
use proptest::prelude::*;
use weft_ovsdb::Atom;
use weft_switch::{PriorityTags, VlanMode};
use weft_wire::vid::Vid;

/// A database in memory.
#[derive(Default)]
pub(crate) struct Fake(pub BTreeMap<(String, Uuid), BTreeMap<String, Datum>>);

impl Rows for Fake {
    fn uuids(&self, table: &str) -> Vec<Uuid> {
        self.0.keys().filter(|(name, _)| name == table).map(|(_, row)| *row).collect()
    }

    fn datum(&self, table: &str, row: Uuid, column: &str) -> Option<&Datum> {
        self.0.get(&(table.to_owned(), row))?.get(column)
    }
}

impl Fake {
    pub(crate) fn row(&mut self, table: &str, id: u128, columns: &[(&str, Datum)]) {
        let columns = columns.iter().map(|(name, datum)| ((*name).to_owned(), datum.clone()));
        self.0.insert((table.to_owned(), Uuid::from_u128(id)), columns.collect());
    }

    pub(crate) fn set(&mut self, table: &str, id: u128, column: &str, datum: Datum) {
        let row = self.0.get_mut(&(table.to_owned(), Uuid::from_u128(id))).unwrap();
        row.insert(column.to_owned(), datum);
    }

    /// Bridge `br0` (2) with port and interface `p0` (3, 4).
    pub(crate) fn new() -> Self {
        let mut fake = Self::default();
        let reference = |id| Datum::set_of_uuids([Uuid::from_u128(id)]);
        fake.row("Open_vSwitch", 1, &[("bridges", reference(2)), ("next_cfg", Datum::integer(7))]);
        fake.row("Bridge", 2, &[("name", Datum::string("br0")), ("ports", reference(3))]);
        fake.row("Port", 3, &[("name", Datum::string("p0")), ("interfaces", reference(4))]);
        fake.row("Interface", 4, &[("name", Datum::string("p0")), ("type", Datum::string(""))]);
        fake
    }

    fn gre(options: &[(&str, &str)]) -> Self {
        let mut fake = Self::new();
        fake.set("Interface", 4, "type", Datum::string("gre"));
        fake.set("Interface", 4, "options", Datum::map_of_strings(options.iter().copied()));
        fake
    }

    fn kind(&self) -> Kind {
        Desired::read(self).interfaces().next().unwrap().2.kind.clone()
    }

    fn vlan(&self) -> VlanConf {
        Desired::read(self).interfaces().next().unwrap().1.vlan.clone()
    }

    fn error(&self) -> String {
        match self.kind() {
            Kind::Unusable(text) => text,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn defaults_are_open_vswitch_s() {
    let desired = Desired::read(&Fake::new());
    assert_eq!((desired.next_cfg, desired.stats_interval_millis), (7, 5000));
    assert!(desired.worker_cpus.is_empty() && desired.problems.is_empty());
    let bridge = &desired.bridges["br0"];
    assert!(bridge.forwards && !bridge.forward_reserved);
    assert_eq!((bridge.fdb_age_secs, bridge.fdb_entries_max), (300, 8192));
    let (_, port, interface) = desired.interfaces().next().unwrap();
    assert_eq!(interface.kind, Kind::System);
    assert_eq!((port.vlan.mode, port.vlan.tag), (VlanMode::Trunk, Vid::UNTAGGED));
    assert!(port.vlan.trunks.is_none());
}

#[test]
fn an_empty_database_wants_nothing() {
    let desired = Desired::read(&Fake::default());
    assert!(desired.root.is_none() && desired.bridges.is_empty());
}

#[test]
fn bridge_options_are_clamped_and_bad_ones_named() {
    let mut fake = Fake::new();
    let options = [
        ("mac-aging-time", "5"),
        ("mac-table-size", "nonsense"),
        ("hwaddr", "01:00:00:00:00:01"),
        ("datapath-id", "12"),
        ("forward-bpdu", "true"),
    ];
    fake.set("Bridge", 2, "other_config", Datum::map_of_strings(options));
    fake.set("Bridge", 2, "fail_mode", Datum::string("secure"));
    let desired = Desired::read(&fake);
    let bridge = &desired.bridges["br0"];
    assert_eq!((bridge.fdb_age_secs, bridge.fdb_entries_max), (15, 8192));
    assert!(bridge.forward_reserved && !bridge.forwards && bridge.hwaddr.is_none());
    assert_eq!(bridge.datapath_id.as_deref(), Some("0000000000000012"));
    let problems: Vec<_> = desired.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems.contains(
        &"Bridge br0: other_config:mac-table-size=nonsense: not a number; ignored".to_owned()
    ));
    let options = [("mac-aging-time", "0"), ("mac-table-size", "0")];
    fake.set("Bridge", 2, "other_config", Datum::map_of_strings(options));
    let bridge = &Desired::read(&fake).bridges["br0"];
    assert_eq!((bridge.fdb_age_secs, bridge.fdb_entries_max), (300, 8192));
}

#[test]
fn customer_vlans_and_their_limits() {
    let mut fake = Fake::new();
    fake.set("Port", 3, "vlan_mode", Datum::string("dot1q-tunnel"));
    fake.set("Port", 3, "tag", Datum::integer(100));
    fake.set("Port", 3, "trunks", Datum::set(vec![Atom::Integer(31)]));
    fake.set("Port", 3, "cvlans", Datum::set(vec![Atom::Integer(7)]));
    let vlan = fake.vlan();
    assert_eq!((vlan.mode, vlan.tag.get()), (VlanMode::Dot1qTunnel, 100));
    assert_eq!((vlan.trunks, vlan.service_tpid), (None, 0x88a8));
    assert_eq!(vlan.cvlans.unwrap().iter().map(Vid::get).collect::<Vec<_>>(), [7]);
    fake.set("Port", 3, "vlan_mode", Datum::string("access"));
    assert_eq!(fake.vlan().cvlans, None, "for other kinds of ports it is ignored");
    let option = |fake: &mut Fake, key, value| {
        fake.set("Port", 3, "other_config", Datum::map_of_strings([(key, value)]));
        (fake.vlan().service_tpid, fake.vlan().priority_tags, Desired::read(fake).problems.len())
    };
    for (key, value, expected) in [
        ("qinq-ethtype", "802.1q", (0x8100, PriorityTags::Never, 0)),
        ("qinq-ethtype", "802.1ad", (0x88a8, PriorityTags::Never, 0)),
        ("qinq-ethtype", "0x9100", (0x88a8, PriorityTags::Never, 1)),
        ("priority-tags", "never", (0x88a8, PriorityTags::Never, 0)),
        ("priority-tags", "false", (0x88a8, PriorityTags::Never, 0)),
        ("priority-tags", "if-nonzero", (0x88a8, PriorityTags::IfNonzero, 0)),
        ("priority-tags", "true", (0x88a8, PriorityTags::IfNonzero, 0)),
        ("priority-tags", "always", (0x88a8, PriorityTags::Always, 0)),
        ("priority-tags", "maybe", (0x88a8, PriorityTags::Never, 1)),
    ] {
        assert_eq!(option(&mut fake, key, value), expected, "{key}={value}");
    }
    fake.set("Port", 3, "other_config", Datum::empty());
    assert!(!Desired::read(&fake).reads_inner_tags, "the limit is one tag by default");
    for (limit, reads, problems) in
        [("0", true, 0), ("1", false, 0), ("2", true, 0), ("9", true, 0), ("two", false, 1)]
    {
        fake.set("Open_vSwitch", 1, "other_config", Datum::map_of_strings([("vlan-limit", limit)]));
        let desired = Desired::read(&fake);
        assert_eq!(
            (desired.reads_inner_tags, desired.problems.len()),
            (reads, problems),
            "{limit}"
        );
    }
}

#[test]
fn vlan_modes() {
    let mut fake = Fake::new();
    fake.set("Port", 3, "tag", Datum::integer(31));
    assert_eq!((fake.vlan().mode, fake.vlan().tag.get()), (VlanMode::Access, 31));
    fake.set("Port", 3, "trunks", Datum::set(vec![Atom::Integer(31), Atom::Integer(32)]));
    assert!(fake.vlan().trunks.is_none(), "an implicit access port has no trunks");
    fake.set("Port", 3, "vlan_mode", Datum::string("native-untagged"));
    let vlan = fake.vlan();
    assert_eq!((vlan.mode, vlan.tag.get()), (VlanMode::NativeUntagged, 31));
    assert_eq!(vlan.trunks.unwrap().iter().map(Vid::get).collect::<Vec<_>>(), [31, 32]);
    fake.set("Port", 3, "vlan_mode", Datum::string("trunk"));
    assert_eq!(fake.vlan().tag, Vid::UNTAGGED);
    fake.set("Port", 3, "vlan_mode", Datum::empty());
    fake.set("Port", 3, "tag", Datum::integer(4095));
    assert_eq!((fake.vlan().mode, fake.vlan().tag), (VlanMode::Access, Vid::MAX));
}

#[test]
fn what_cannot_be_says_why() {
    let missing = "p0: gre type requires valid 'remote_ip' argument";
    assert_eq!(Fake::gre(&[]).error(), missing);
    let mut fake = Fake::new();
    for (kind, word) in [("ipsec_gre", "type=gre"), ("stt", "stt"), ("patch", "patch")] {
        fake.set("Interface", 4, "type", Datum::string(kind));
        assert!(fake.error().contains(word), "{}", fake.error());
    }
    fake.set("Interface", 4, "type", Datum::string("nonsense"));
    assert_eq!(
        fake.error(),
        "could not open network device p0 (Address family not supported by protocol)"
    );
}

#[test]
fn unknown_options_are_named_and_ignored() {
    let fake = Fake::gre(&[("remote_ip", "10.0.0.2"), ("colour", "red")]);
    let problems = Desired::read(&fake).problems;
    assert_eq!(problems.len(), 1);
    assert_eq!(
        problems[0].to_string(),
        "Interface p0: options:colour=red: unknown option; ignored"
    );
    assert!(matches!(fake.kind(), Kind::Tunnel(_)));
}

#[test]
fn a_bond_is_refused_and_says_so() {
    let mut fake = Fake::new();
    fake.row("Interface", 5, &[("name", Datum::string("p1"))]);
    let both = Datum::set_of_uuids([Uuid::from_u128(4), Uuid::from_u128(5)]);
    fake.set("Port", 3, "interfaces", both);
    assert!(fake.error().starts_with("p0: bonds are not supported yet"));
}

#[test]
fn masks() {
    assert_eq!(cpus("0x5"), Some(vec![0, 2]));
    assert_eq!(cpus("10"), Some(vec![4]));
    assert_eq!(cpus("0"), None);
    assert_eq!(cpus("xyz"), None);
    let mut fake = Fake::new();
    let config = [("pmd-cpu-mask", "6"), ("stats-update-interval", "100")];
    fake.set("Open_vSwitch", 1, "other_config", Datum::map_of_strings(config));
    let desired = Desired::read(&fake);
    assert_eq!((desired.worker_cpus, desired.stats_interval_millis), (vec![1, 2], 5000));
}

proptest! {
    #[test]
    fn a_mask_names_its_bits(bits in prop::collection::btree_set(0usize..64, 1..10)) {
        let mask = bits.iter().fold(0u64, |mask, bit| mask | 1 << bit);
        prop_assert_eq!(cpus(&format!("{mask:#x}")), Some(bits.into_iter().collect()));
    }
}
