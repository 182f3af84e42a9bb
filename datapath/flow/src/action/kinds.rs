//! What the larger actions say.

use super::Actions;
use crate::{Field, MeterId, PortNo, Subfield, TableId};

/// `controller(…)`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Controller {
    /// At most so many bytes of the packet; 65535: all.
    pub max_len: u16,
    /// Which controllers get it: those with this id.
    pub controller_id: u16,
    /// The reason on the wire: 1 is an action.
    pub reason: u8,
    /// Goes along; nobody reads it here.
    pub userdata: Box<[u8]>,
    /// The packet waits until a controller resumes it.
    pub pauses: bool,
    /// The meter of these packets.
    pub meter: Option<MeterId>,
    /// True for the form with properties, even when the older form could say the same.
    pub has_properties: bool,
}

/// The form that bits of a field are set in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SetForm {
    /// `set_field`.
    #[default]
    Field,
    /// `set_field` with a mask that has all bits of the field, but not all of its last byte.
    FieldMasked,
    /// `load`: a run of bits.
    Load,
    /// `load` with value and mask of the whole field.
    LoadMasked,
}

/// `set_field` of a tunnel option wider than 128 bits: words of 128 bits, the last bytes first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LongValue {
    /// The option.
    pub field: Field,
    /// The bits.
    pub value: [u128; 8],
    /// Which are set.
    pub mask: [u128; 8],
    /// The form that it was sent in.
    pub form: SetForm,
}

/// What a hash is taken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum HashFields {
    /// The Ethernet source.
    EthSrc = 0,
    /// Both ends of L2 to L4, the same for both directions; ports of TCP and SCTP.
    SymmetricL4 = 1,
    /// Both ends of L3 and L4; ports of TCP and SCTP.
    SymmetricL3L4 = 2,
    /// The same with ports of UDP.
    SymmetricL3L4Udp = 3,
    /// The IP source.
    NwSrc = 4,
    /// The IP destination.
    NwDst = 5,
    /// Both ends of L3.
    SymmetricL3 = 6,
}

/// How `bundle` chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum BundleAlgorithm {
    /// The first whose link is up.
    ActiveBackup = 0,
    /// Highest random weight.
    Hrw = 1,
}

/// `bundle(…)`, `bundle_load(…)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bundle {
    /// What the hash is taken of.
    pub fields: HashFields,
    /// Another hash for another number.
    pub basis: u16,
    /// How to choose.
    pub algorithm: BundleAlgorithm,
    /// The ports to choose from.
    pub members: Box<[PortNo]>,
    /// `bundle_load`: where the number goes, instead of an output.
    pub destination: Option<Subfield>,
}

/// How `multipath` chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum MultipathAlgorithm {
    /// Hash modulo links.
    ModuloN = 0,
    /// The link whose number is in the part of the space that the hash falls in.
    HashThreshold = 1,
    /// Highest random weight.
    Hrw = 2,
    /// Hashes anew until a link is drawn that exists.
    IterHash = 3,
}

/// `multipath(…)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Multipath {
    /// What the hash is taken of.
    pub fields: HashFields,
    /// Another hash for another number.
    pub basis: u16,
    /// How to choose.
    pub algorithm: MultipathAlgorithm,
    /// The largest number that can be chosen: one less than there are links.
    pub max_link: u16,
    /// A parameter of `iter_hash`.
    pub argument: u32,
    /// Where the number goes.
    pub destination: Subfield,
}

/// `fin_timeout(…)`, in seconds; 0: not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FinTimeout {
    /// The new idle timeout.
    pub idle: u16,
    /// The new hard timeout.
    pub hard: u16,
}

/// `resubmit(PORT,TABLE,ct)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Resubmit {
    /// The ingress port of the look-up; [`PortNo::IN_PORT`]: as it is.
    pub in_port: PortNo,
    /// The table; [`TableId::ALL`]: the one that this flow is in.
    pub table: TableId,
    /// Look up by the addresses of the connection's original direction.
    pub with_ct: bool,
    /// True for the form that names a table.
    pub names_table: bool,
}

/// Flags of `learn`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LearnFlags {
    /// Its flows say when they go.
    pub sends_flow_removed: bool,
    /// Its flows go with the flow that learned them.
    pub deletes_learned: bool,
    /// Write whether there was room to `result`.
    pub writes_result: bool,
}

/// `learn(…)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Learn {
    /// Seconds; 0: none.
    pub idle_timeout: u16,
    /// Seconds; 0: none.
    pub hard_timeout: u16,
    /// Of the new flow.
    pub priority: u16,
    /// Of the new flow.
    pub cookie: u64,
    /// Of the new flow.
    pub flags: LearnFlags,
    /// Of the new flow.
    pub table: TableId,
    /// Idle timeout, in seconds, once a packet ends the connection.
    pub fin_idle_timeout: u16,
    /// Hard timeout, in seconds, once a packet ends the connection.
    pub fin_hard_timeout: u16,
    /// At most so many flows of this cookie; 0: any number.
    pub limit: u32,
    /// One bit: whether there was room.
    pub result: Option<Subfield>,
    /// True for the form with a limit.
    pub has_limit_form: bool,
    /// What the new flow matches and does.
    pub specs: Box<[LearnSpec]>,
}

/// One part of a flow that `learn` makes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LearnSpec {
    /// How many bits, at least 1.
    pub bits: u16,
    /// Where they come from.
    pub source: LearnSource,
    /// What they are for.
    pub destination: LearnDestination,
}

/// Where bits come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LearnSource {
    /// The packet.
    Field(Subfield),
    /// This value, of at most 128 bits.
    Value(u128),
}

/// What bits are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LearnDestination {
    /// The new flow matches them.
    Match(Subfield),
    /// The new flow sets them.
    Load(Subfield),
    /// The new flow sends packets there.
    Output,
}

/// One clause of a conjunction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conjunction {
    /// What `conj_id` is to be.
    pub id: u32,
    /// The number of the clause, from 0.
    pub clause: u8,
    /// How many clauses there are, 2 to 64.
    pub clauses: u8,
}

/// A number of `sample` that may be in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SampleNumber {
    /// The number.
    Value(u32),
    /// The bits that are it.
    Field(Subfield),
}

/// Which side of the switch is sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SampleDirection {
    /// Not said.
    #[default]
    Default = 0,
    /// What comes in.
    Ingress = 1,
    /// What goes out.
    Egress = 2,
}

/// `sample(…)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sample {
    /// Of 65535, 1 to 65535.
    pub probability: u16,
    /// The collectors, by `Flow_Sample_Collector_Set.id`.
    pub collector_set: u32,
    /// Goes into the record.
    pub domain: SampleNumber,
    /// Goes into the record.
    pub point: SampleNumber,
    /// A port that goes into the record; [`PortNo::ANY`]: none.
    pub sampling_port: PortNo,
    /// Which side.
    pub direction: SampleDirection,
    /// The form that it was sent in: 1, 2 or 3.
    pub form: u8,
}

/// The zone of `ct`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ZoneSource {
    /// The number.
    Value(u16),
    /// The bits that are it.
    Field(Subfield),
}

/// `ct(…)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ct {
    /// Makes an entry.
    pub commits: bool,
    /// Replaces an entry of the other direction.
    pub forces: bool,
    /// The zone.
    pub zone: ZoneSource,
    /// A copy goes on there with `ct_state` set.
    pub table: Option<TableId>,
    /// The helper's port: 21 is ftp, 69 tftp, 0 none.
    pub helper: u16,
    /// `nat(…)`, then what sets mark and label.
    pub actions: Actions,
}

/// Flags of `nat`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "flags of the protocol")]
pub struct NatFlags {
    /// Translates the source.
    pub source: bool,
    /// Translates the destination.
    pub destination: bool,
    /// The same address for the same host.
    pub persistent: bool,
    /// Chooses ports by hash.
    pub hashes_ports: bool,
    /// Chooses ports at random.
    pub random_ports: bool,
}

/// The addresses that `nat` chooses from; without a last one just the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NatAddresses {
    /// None given.
    #[default]
    None,
    /// IPv4.
    V4([u8; 4], Option<[u8; 4]>),
    /// IPv6.
    V6([u8; 16], Option<[u8; 16]>),
}

/// `nat(…)`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Nat {
    /// What to translate, and how to choose.
    pub flags: NatFlags,
    /// From which addresses.
    pub addresses: NatAddresses,
    /// From which ports: the first, and the last if another was given.
    pub ports: Option<(u16, Option<u16>)>,
}
