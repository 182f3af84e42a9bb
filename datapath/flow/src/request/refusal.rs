//! Why a request is refused.  The codec knows which type and code each has in each version.

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a request is refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Refusal {
            $($(#[$doc])* $name,)*
        }

        impl Refusal {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name in texts of clients: `OFPBRC_BAD_LEN`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

refusals! {
    /// No version in common.
    HelloIncompatible = "OFPHFC_INCOMPATIBLE",
    /// The message has another version than the connection.
    BadVersion = "OFPBRC_BAD_VERSION",
    /// No such message.
    BadType = "OFPBRC_BAD_TYPE",
    /// No such statistics.
    BadStat = "OFPBRC_BAD_STAT",
    /// No such experimenter.
    BadVendor = "OFPBRC_BAD_VENDOR",
    /// No such message of this experimenter.
    BadSubtype = "OFPBRC_BAD_SUBTYPE",
    /// The connection may not.
    Eperm = "OFPBRC_EPERM",
    /// A length that cannot be.
    BadLen = "OFPBRC_BAD_LEN",
    /// The buffer is empty.
    BufferEmpty = "OFPBRC_BUFFER_EMPTY",
    /// No such buffer.
    BufferUnknown = "OFPBRC_BUFFER_UNKNOWN",
    /// No such table.
    BadTableId = "OFPBRC_BAD_TABLE_ID",
    /// The connection is a slave.
    IsSlave = "OFPBRC_IS_SECONDARY",
    /// No such port.
    BadPort = "OFPBRC_BAD_PORT",
    /// A packet that cannot be one.
    BadPacket = "OFPBRC_BAD_PACKET",
    /// Parts of a request do not fit each other.
    MultipartBufferOverflow = "OFPBRC_MULTIPART_BUFFER_OVERFLOW",
    /// The rest of a request did not come in time.
    MultipartRequestTimeout = "OFPBRC_MULTIPART_REQUEST_TIMEOUT",
    /// An ingress port that no port can be.
    NxmInvalid = "NXBRC_NXM_INVALID",
    /// A type that cannot be.
    NxmBadType = "NXBRC_NXM_BAD_TYPE",
    /// Bytes that must be zero are not.
    MustBeZero = "NXBRC_MUST_BE_ZERO",
    /// A reason that cannot be.
    BadReason = "NXBRC_BAD_REASON",
    /// No such monitor: the flow monitor is unknown.
    FmBadEvent = "NXBRC_FM_BAD_EVENT",
    /// An error that cannot be encoded.
    UnencodableError = "NXBRC_UNENCODABLE_ERROR",
    /// Nothing collects these statistics.
    NotConfigured = "NXST_NOT_CONFIGURED",

    /// No such action.
    ActionBadType = "OFPBAC_BAD_TYPE",
    /// A length of an action that cannot be.
    ActionBadLen = "OFPBAC_BAD_LEN",
    /// No such experimenter.
    ActionBadVendor = "OFPBAC_BAD_VENDOR",
    /// No such action of this experimenter.
    ActionBadVendorType = "OFPBAC_BAD_VENDOR_TYPE",
    /// A port that actions cannot send to.
    BadOutPort = "OFPBAC_BAD_OUT_PORT",
    /// An argument that cannot be.
    ActionBadArgument = "OFPBAC_BAD_ARGUMENT",
    /// The connection may not.
    ActionEperm = "OFPBAC_EPERM",
    /// Too many actions.
    TooMany = "OFPBAC_TOO_MANY",
    /// No such queue.
    BadQueue = "OFPBAC_BAD_QUEUE",
    /// No such group.
    BadOutGroup = "OFPBAC_BAD_OUT_GROUP",
    /// Actions need what the match does not have.
    MatchInconsistent = "OFPBAC_MATCH_INCONSISTENT",
    /// An order that is not supported.
    UnsupportedOrder = "OFPBAC_UNSUPPORTED_ORDER",
    /// A tag that is not supported.
    BadTag = "OFPBAC_BAD_TAG",
    /// A field that cannot be set.
    BadSetType = "OFPBAC_BAD_SET_TYPE",
    /// A length that a field cannot have.
    BadSetLen = "OFPBAC_BAD_SET_LEN",
    /// A value that a field cannot have.
    BadSetArgument = "OFPBAC_BAD_SET_ARGUMENT",
    /// A mask that a field cannot have.
    BadSetMask = "OFPBAC_BAD_SET_MASK",
    /// `conjunction` beside other actions.
    BadConjunction = "NXBAC_BAD_CONJUNCTION",
    /// The datapath has no such abilities of connection tracking.
    CtDatapathSupport = "NXBAC_CT_DATAPATH_SUPPORT",
    /// Bytes of an action that must be zero are not.
    ActionMustBeZero = "NXBAC_MUST_BE_ZERO",

    /// No such instruction.
    UnknownInst = "OFPBIC_UNKNOWN_INST",
    /// An instruction that is not supported.
    UnsupInst = "OFPBIC_UNSUP_INST",
    /// A table that cannot be gone to.
    InstBadTableId = "OFPBIC_BAD_TABLE_ID",
    /// Bits of metadata that are not supported.
    UnsupMetadata = "OFPBIC_UNSUP_METADATA",
    /// No such experimenter.
    InstBadExperimenter = "OFPBIC_BAD_EXPERIMENTER",
    /// No such instruction of this experimenter.
    InstBadExpType = "OFPBIC_BAD_EXP_TYPE",
    /// A length of an instruction that cannot be.
    InstBadLen = "OFPBIC_BAD_LEN",
    /// An instruction twice.
    DupInst = "OFPBIC_DUP_INST",

    /// No such form of matches.
    MatchBadType = "OFPBMC_BAD_TYPE",
    /// A length of a match that cannot be.
    MatchBadLen = "OFPBMC_BAD_LEN",
    /// Masks of addresses that are not supported.
    BadNwAddrMask = "OFPBMC_BAD_NW_ADDR_MASK",
    /// Masks of addresses that are not supported.
    BadDlAddrMask = "OFPBMC_BAD_DL_ADDR_MASK",
    /// Wildcards that are not supported.
    BadWildcards = "OFPBMC_BAD_WILDCARDS",
    /// No such field.
    BadField = "OFPBMC_BAD_FIELD",
    /// A value that a field cannot have.
    BadValue = "OFPBMC_BAD_VALUE",
    /// A mask that a field cannot have.
    BadMask = "OFPBMC_BAD_MASK",
    /// A field without what it needs.
    BadPrereq = "OFPBMC_BAD_PREREQ",
    /// A field twice.
    DupField = "OFPBMC_DUP_FIELD",

    /// An unspecified failure.
    FlowModUnknown = "OFPFMFC_UNKNOWN",
    /// No room in the table.
    TableFull = "OFPFMFC_TABLE_FULL",
    /// No such table.
    FlowModBadTableId = "OFPFMFC_BAD_TABLE_ID",
    /// Another flow of this priority matches the same packets.
    Overlap = "OFPFMFC_OVERLAP",
    /// The connection may not.
    FlowModEperm = "OFPFMFC_EPERM",
    /// A timeout that cannot be.
    BadTimeout = "OFPFMFC_BAD_TIMEOUT",
    /// A flow for emergencies with timeouts.
    BadEmergTimeout = "OFPFMFC_BAD_EMERG_TIMEOUT",
    /// No such command.
    FlowModBadCommand = "OFPFMFC_BAD_COMMAND",
    /// No such flags.
    FlowModBadFlags = "OFPFMFC_BAD_FLAGS",
    /// Actions in an order that is not supported.
    FlowModUnsupported = "OFPFMFC_UNSUPPORTED",
    /// A hardware table.
    Hardware = "NXFMFC_HARDWARE",
    /// An option of tunnels that the map does not have.
    InvalidTlvField = "NXFMFC_INVALID_TLV_FIELD",
    /// No such table by the id of tables.
    NxBadTableId = "NXFMFC_BAD_TABLE_ID",

    /// The group is there.
    GroupExists = "OFPGMFC_GROUP_EXISTS",
    /// A group that cannot be.
    InvalidGroup = "OFPGMFC_INVALID_GROUP",
    /// Weights in another type than select.
    WeightUnsupported = "OFPGMFC_WEIGHT_UNSUPPORTED",
    /// No room for groups.
    OutOfGroups = "OFPGMFC_OUT_OF_GROUPS",
    /// No room for buckets.
    OutOfBuckets = "OFPGMFC_OUT_OF_BUCKETS",
    /// Groups in groups are not supported.
    ChainingUnsupported = "OFPGMFC_CHAINING_UNSUPPORTED",
    /// Watching is not supported.
    WatchUnsupported = "OFPGMFC_WATCH_UNSUPPORTED",
    /// Groups that lead back to themselves.
    GroupLoop = "OFPGMFC_LOOP",
    /// No such group.
    UnknownGroup = "OFPGMFC_UNKNOWN_GROUP",
    /// Another group uses it.
    ChainedGroup = "OFPGMFC_CHAINED_GROUP",
    /// No such type.
    GroupBadType = "OFPGMFC_BAD_TYPE",
    /// No such command.
    GroupBadCommand = "OFPGMFC_BAD_COMMAND",
    /// A bucket that cannot be.
    BadBucket = "OFPGMFC_BAD_BUCKET",
    /// A port or group to watch that cannot be.
    BadWatch = "OFPGMFC_BAD_WATCH",
    /// The connection may not.
    GroupEperm = "OFPGMFC_EPERM",
    /// No such bucket.
    UnknownBucket = "OFPGMFC_UNKNOWN_BUCKET",
    /// The bucket is there.
    BucketExists = "OFPGMFC_BUCKET_EXISTS",

    /// No such port.
    PortModBadPort = "OFPPMFC_BAD_PORT",
    /// The port has another address.
    BadHwAddr = "OFPPMFC_BAD_HW_ADDR",
    /// No such configuration.
    PortModBadConfig = "OFPPMFC_BAD_CONFIG",
    /// No such advertisement.
    BadAdvertise = "OFPPMFC_BAD_ADVERTISE",

    /// No such table.
    TableModBadTable = "OFPTMFC_BAD_TABLE",
    /// No such configuration.
    TableModBadConfig = "OFPTMFC_BAD_CONFIG",
    /// The connection may not.
    TableModEperm = "OFPTMFC_EPERM",

    /// No such port.
    QueueBadPort = "OFPQOFC_BAD_PORT",
    /// No such queue.
    QueueBadQueue = "OFPQOFC_BAD_QUEUE",

    /// No such flags.
    SwitchBadFlags = "OFPSCFC_BAD_FLAGS",
    /// A length that cannot be.
    SwitchBadLen = "OFPSCFC_BAD_LEN",

    /// An older generation.
    Stale = "OFPRRFC_STALE",
    /// Roles are not supported.
    RoleUnsup = "OFPRRFC_UNSUP",
    /// No such role.
    BadRole = "OFPRRFC_BAD_ROLE",

    /// The meter is there.
    MeterExists = "OFPMMFC_METER_EXISTS",
    /// A meter that cannot be.
    InvalidMeter = "OFPMMFC_INVALID_METER",
    /// No such meter.
    UnknownMeter = "OFPMMFC_UNKNOWN_METER",
    /// No such command.
    MeterBadCommand = "OFPMMFC_BAD_COMMAND",
    /// No such flags.
    MeterBadFlags = "OFPMMFC_BAD_FLAGS",
    /// A rate that cannot be.
    BadRate = "OFPMMFC_BAD_RATE",
    /// A burst that cannot be.
    BadBurst = "OFPMMFC_BAD_BURST",
    /// A band that cannot be.
    BadBand = "OFPMMFC_BAD_BAND",
    /// A value of a band that cannot be.
    BadBandValue = "OFPMMFC_BAD_BAND_VALUE",
    /// No room for meters.
    OutOfMeters = "OFPMMFC_OUT_OF_METERS",
    /// No room for bands.
    OutOfBands = "OFPMMFC_OUT_OF_BANDS",

    /// An unspecified failure.
    TableFeaturesBadTable = "OFPTFFC_BAD_TABLE",
    /// A mask of metadata that cannot be.
    TableFeaturesBadMetadata = "OFPTFFC_BAD_METADATA",
    /// The connection may not.
    TableFeaturesEperm = "OFPTFFC_EPERM",

    /// No such property.
    PropBadType = "OFPBPC_BAD_TYPE",
    /// A length of a property that cannot be.
    PropBadLen = "OFPBPC_BAD_LEN",
    /// A value of a property that cannot be.
    PropBadValue = "OFPBPC_BAD_VALUE",
    /// Too many properties.
    TooManyProps = "OFPBPC_TOO_MANY",
    /// A property twice.
    DupProp = "OFPBPC_DUP_TYPE",
    /// No such experimenter.
    PropBadExperimenter = "OFPBPC_BAD_EXPERIMENTER",
    /// No such property of this experimenter.
    PropBadExpType = "OFPBPC_BAD_EXP_TYPE",

    /// Asynchronous messages that cannot be.
    AsyncInvalid = "OFPACFC_INVALID",
    /// Asynchronous messages that are not supported.
    AsyncUnsupported = "OFPACFC_UNSUPPORTED",
    /// The connection may not.
    AsyncEperm = "OFPACFC_EPERM",

    /// An unspecified failure of a bundle.
    BundleUnknown = "OFPBFC_UNKNOWN",
    /// The connection may not.
    BundleEperm = "OFPBFC_EPERM",
    /// No such bundle, or there is one.
    BundleBadId = "OFPBFC_BAD_ID",
    /// The bundle is there.
    BundleExist = "OFPBFC_BUNDLE_EXIST",
    /// The bundle is closed.
    BundleClosed = "OFPBFC_BUNDLE_CLOSED",
    /// No room for bundles.
    OutOfBundles = "OFPBFC_OUT_OF_BUNDLES",
    /// A message in a bundle has another version than its carrier.
    BundleBadVersion = "OFPBFC_BAD_VERSION",
    /// No such control message of bundles.
    BundleBadType = "OFPBFC_BAD_TYPE",
    /// No such flags, or others than before.
    BundleBadFlags = "OFPBFC_BAD_FLAGS",
    /// A message in a bundle has a length that cannot be.
    MsgBadLen = "OFPBFC_MSG_BAD_LEN",
    /// A message in a bundle has another transaction id than its carrier.
    MsgBadXid = "OFPBFC_MSG_BAD_XID",
    /// A message that cannot be in a bundle.
    MsgUnsup = "OFPBFC_MSG_UNSUP",
    /// Messages of a bundle contradict each other.
    MsgConflict = "OFPBFC_MSG_CONFLICT",
    /// Too many messages in a bundle.
    MsgTooMany = "OFPBFC_MSG_TOO_MANY",
    /// A message of a bundle failed.
    MsgFailed = "OFPBFC_MSG_FAILED",
    /// A bundle did not end in time.
    BundleTimeout = "OFPBFC_TIMEOUT",
    /// Another bundle is in progress.
    BundleInProgress = "OFPBFC_BUNDLE_IN_PROGRESS",

    /// No such flow monitor.
    UnknownMonitor = "OFPMOFC_UNKNOWN_MONITOR",
    /// The flow monitor is there.
    MonitorExists = "OFPMOFC_MONITOR_EXISTS",
    /// No such command.
    MonitorBadCommand = "OFPMOFC_BAD_COMMAND",
    /// No such flags.
    MonitorBadFlags = "OFPMOFC_BAD_FLAGS",
    /// No such table.
    MonitorBadTableId = "OFPMOFC_BAD_TABLE_ID",
    /// A port to filter by that cannot be.
    MonitorBadOut = "OFPMOFC_BAD_OUT",

    /// No such command of the map of options.
    TlvBadCommand = "NXTTMFC_BAD_COMMAND",
    /// A length of an option that cannot be.
    TlvBadOptLen = "NXTTMFC_BAD_OPT_LEN",
    /// No such field for options.
    TlvBadFieldIdx = "NXTTMFC_BAD_FIELD_IDX",
    /// No room in the map of options.
    TlvTableFull = "NXTTMFC_TABLE_FULL",
    /// The option, or the field, is mapped.
    TlvAlreadyMapped = "NXTTMFC_ALREADY_MAPPED",
    /// The option is named twice.
    TlvDupEntry = "NXTTMFC_DUP_ENTRY",
    /// A flow uses the option.
    TlvInvalidDel = "NXTTMFC_INVALID_TLV_DEL",

    /// Resuming is not supported.
    ResumeUnsupported = "NXR_NOT_SUPPORTED",
    /// The packet belongs to an earlier run or another bridge.
    ResumeStale = "NXR_STALE",
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::error::Error for Refusal {}
