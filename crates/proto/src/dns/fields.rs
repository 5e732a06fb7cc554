//! The table of DNS fields and their numbers.

use crate::schema::{Editable, FieldDef, FieldKind, Repr};

/// A number field of this many bits whose bytes are all its own.
const fn uint(name: &'static str, bits: u8, help: &'static str) -> FieldDef {
    FieldDef {
        name,
        kind: FieldKind::Uint(bits),
        editable: Editable::SameLength,
        help,
        ..FieldDef::UINT
    }
}

/// The same inside a question, record or option, so that it may occur many times and its element be
/// removed.
const fn part(name: &'static str, bits: u8, help: &'static str) -> FieldDef {
    FieldDef { repeated: true, element: true, ..uint(name, bits, help) }
}

/// Bits of the flags word.
const fn bits(name: &'static str, width: u8, shift: u8, help: &'static str) -> FieldDef {
    let mask = 0xffff_u64 >> (16_u8.saturating_sub(width));
    let kind = if width == 1 { FieldKind::Bool } else { FieldKind::Uint(width) };
    FieldDef { kind, repr: Repr::BigEndian { shift, mask }, ..uint(name, 16, help) }
}

/// A number that stands nowhere in the message, or that only `repair` may write.
const fn fixed(name: &'static str, bits: u8, help: &'static str) -> FieldDef {
    FieldDef { editable: Editable::No, ..uint(name, bits, help) }
}

/// The same inside an element.
const fn fixed_part(name: &'static str, bits: u8, help: &'static str) -> FieldDef {
    FieldDef { repeated: true, element: true, ..fixed(name, bits, help) }
}

/// A domain name: text in its decoded form.
const fn name(name: &'static str, help: &'static str) -> FieldDef {
    FieldDef { name, repeated: true, element: true, help, ..FieldDef::TEXT }
}

/// Bytes inside an element.
const fn bytes(name: &'static str, help: &'static str) -> FieldDef {
    FieldDef { name, repeated: true, element: true, help, ..FieldDef::BYTES }
}

/// Text inside an element.
const fn text(name: &'static str, help: &'static str) -> FieldDef {
    FieldDef { kind: FieldKind::Text, ..bytes(name, help) }
}

/// A finding about an element: present only where it is true.
const fn finding(name: &'static str, help: &'static str) -> FieldDef {
    FieldDef { name, repeated: true, element: true, help, ..FieldDef::BOOL }
}

macro_rules! fields {
    ($($id:ident $def:expr;)+) => {
        /// The number of a field.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Id { $($id,)+ }

        /// What [`Id`] indexes.
        pub(super) static FIELDS: &[FieldDef] = &[$($def,)+];
    };
}

fields! {
    Length fixed("dns.length", 16, "TCP: bytes of the message behind this prefix.");
    MessageLen fixed("dns.message.len", 16, "Bytes of the message that are there, TCP's prefix not counted.");
    Transaction uint("dns.id", 16, "Transaction ID.");
    Flags uint("dns.flags", 16, "The flags word.");
    Response bits("dns.flags.response", 1, 15, "Message is a response.");
    Opcode bits("dns.flags.opcode", 4, 11, "Kind of query.");
    Authoritative bits("dns.flags.authoritative", 1, 10, "Server is an authority for the name.");
    Truncated bits("dns.flags.truncated", 1, 9, "Message was cut off.");
    RecDesired bits("dns.flags.recdesired", 1, 8, "Recursion is desired.");
    RecAvail bits("dns.flags.recavail", 1, 7, "Recursion is available.");
    Z bits("dns.flags.z", 1, 6, "Reserved bit.");
    Authenticated bits("dns.flags.authenticated", 1, 5, "Answer was authenticated by the server.");
    CheckDisable bits("dns.flags.checkdisable", 1, 4, "Unauthenticated data is acceptable.");
    Rcode bits("dns.flags.rcode", 4, 0, "Reply code, its low four bits.");
    Queries fixed("dns.count.queries", 16, "Questions announced.");
    Answers fixed("dns.count.answers", 16, "Answer records announced.");
    Authorities fixed("dns.count.auth_rr", 16, "Authority records announced.");
    Additionals fixed("dns.count.add_rr", 16, "Additional records announced.");

    Question bytes("dns.qry", "A whole question.");
    QryName name("dns.qry.name", "Name asked for.");
    QryNameLen fixed_part("dns.qry.name.len", 16, "Length of the name asked for, as text.");
    QryLabels fixed_part("dns.count.labels", 16, "Labels of the name asked for.");
    QryType part("dns.qry.type", 16, "Type asked for.");
    QryClass part("dns.qry.class", 16, "Class asked for.");

    Record bytes("dns.rr", "A whole resource record; removing it puts its section's count right.");
    Section fixed_part("dns.rr.section", 8, "Section of the record: 1 answer, 2 authority, 3 additional.");
    RespName name("dns.resp.name", "Owner of the record.");
    RespType part("dns.resp.type", 16, "Type of the record.");
    RespClass part("dns.resp.class", 16, "Class of the record; not for OPT, where the bits mean a size.");
    RespTtl part("dns.resp.ttl", 32, "Seconds the record may be cached; not for OPT, where the bits are flags.");
    RespLen fixed_part("dns.resp.len", 16, "Length of the record's data.");
    RespData bytes("dns.rr.data", "The record's data as it stands.");
    UncompressedLen fixed_part("dns.rr.uncompressed_len", 32, "Length of the record's data with the names in it written out.");

    UdpPayloadSize part("dns.rr.udp_payload_size", 16, "EDNS: largest UDP message the sender takes.");
    ExtRcode part("dns.resp.ext_rcode", 8, "EDNS: high bits of the reply code.");
    EdnsVersion part("dns.resp.edns0_version", 8, "EDNS version.");
    EdnsZ part("dns.resp.z", 16, "EDNS flags.");
    EdnsDo FieldDef { repeated: true, element: true, ..bits("dns.resp.z.do", 1, 15, "DNSSEC records are wanted.") };
    OptCode part("dns.opt.code", 16, "EDNS option code; its element is the option.");
    OptLen fixed_part("dns.opt.len", 16, "EDNS option length.");
    OptData bytes("dns.opt.data", "EDNS option data.");
    OptOverrun finding("dns.opt.overrun", "An EDNS option reaches past the end of its record.");

    ForwardPointer finding("dns.name.forward_pointer", "A compression pointer that does not point strictly before the start of its name.");
    Loop finding("dns.name.loop", "Compression pointers go in a circle, or are more than 128 in one name.");
    RootPointer finding("dns.name.root_pointer", "Labels followed by a compression pointer to a zero byte.");
    NameLen fixed_part("dns.name.uncompressed_len", 16, "Bytes of a name in wire form without compression.");
    Malformed FieldDef { name: "_ws.malformed", help: "The message does not parse to its announced end.", ..FieldDef::BOOL };
    Extraneous FieldDef { name: "dns.extraneous.data", help: "Bytes after the last announced record.", ..FieldDef::BYTES };

    A FieldDef { editable: Editable::SameLength, ..bytes("dns.a", "IPv4 address.") };
    Aaaa FieldDef { editable: Editable::SameLength, ..bytes("dns.aaaa", "IPv6 address.") };
    Cname name("dns.cname", "Canonical name.");
    Ns name("dns.ns", "Name server.");
    Ptr name("dns.ptr.domain_name", "Name pointed to.");
    Dname name("dns.dname", "Name that replaces a subtree.");
    MxPreference part("dns.mx.preference", 16, "Preference of a mail exchange.");
    MxExchange name("dns.mx.mail_exchange", "Mail exchange.");
    TxtLength fixed_part("dns.txt.length", 8, "Length of a string.");
    Txt text("dns.txt", "One string of a TXT record.");
    SpfLength fixed_part("dns.spf.length", 8, "Length of a string.");
    Spf text("dns.spf", "One string of an SPF record.");
    SrvPriority part("dns.srv.priority", 16, "Priority.");
    SrvWeight part("dns.srv.weight", 16, "Weight.");
    SrvPort part("dns.srv.port", 16, "Port.");
    SrvTarget name("dns.srv.target", "Host.");
    SoaMname name("dns.soa.mname", "Primary name server.");
    SoaRname name("dns.soa.rname", "Mailbox of the responsible person.");
    SoaSerial part("dns.soa.serial_number", 32, "Serial number.");
    SoaRefresh part("dns.soa.refresh_interval", 32, "Refresh interval.");
    SoaRetry part("dns.soa.retry_interval", 32, "Retry interval.");
    SoaExpire part("dns.soa.expire_limit", 32, "Expire limit.");
    SoaMinimum part("dns.soa.minimum_ttl", 32, "Minimum TTL.");
    Null bytes("dns.null", "Data of a NULL record.");
    HinfoCpuLength fixed_part("dns.hinfo.cpu_length", 8, "Length of the CPU string.");
    HinfoCpu text("dns.hinfo.cpu", "CPU.");
    HinfoOsLength fixed_part("dns.hinfo.os_length", 8, "Length of the OS string.");
    HinfoOs text("dns.hinfo.os", "OS.");
    NaptrOrder part("dns.naptr.order", 16, "Order.");
    NaptrPreference part("dns.naptr.preference", 16, "Preference.");
    NaptrFlags text("dns.naptr.flags", "Flags.");
    NaptrService text("dns.naptr.service", "Service.");
    NaptrRegex text("dns.naptr.regex", "Substitution expression.");
    NaptrReplacement name("dns.naptr.replacement", "Replacement.");
    RrsigCovered part("dns.rrsig.type_covered", 16, "Type the signature covers; 0 for a transaction signature.");
    RrsigAlgorithm part("dns.rrsig.algorithm", 8, "Algorithm.");
    RrsigLabels part("dns.rrsig.labels", 8, "Labels of the signed name.");
    RrsigTtl part("dns.rrsig.original_ttl", 32, "TTL when signed.");
    RrsigExpiration part("dns.rrsig.signature_expiration", 32, "End of validity, Unix seconds.");
    RrsigInception part("dns.rrsig.signature_inception", 32, "Begin of validity, Unix seconds.");
    RrsigKeyTag part("dns.rrsig.key_tag", 16, "Key tag.");
    RrsigSigner name("dns.rrsig.signers_name", "Signer.");
    RrsigSignature bytes("dns.rrsig.signature", "Signature.");
    DnskeyFlags part("dns.dnskey.flags", 16, "Flags of a key.");
    DnskeyProtocol part("dns.dnskey.protocol", 8, "Protocol of a key, 3.");
    DnskeyAlgorithm part("dns.dnskey.algorithm", 8, "Algorithm of a key.");
    DnskeyKey bytes("dns.dnskey.public_key", "Public key.");
    DsKeyTag part("dns.ds.key_id", 16, "Key tag.");
    DsAlgorithm part("dns.ds.algorithm", 8, "Algorithm.");
    DsDigestType part("dns.ds.digest_type", 8, "Digest type.");
    DsDigest bytes("dns.ds.digest", "Digest.");
    NsecNext name("dns.nsec.next_domain_name", "Next name of the zone.");
    Nsec3Algorithm part("dns.nsec3.algo", 8, "Hash algorithm.");
    Nsec3Flags part("dns.nsec3.flags", 8, "Flags.");
    Nsec3Iterations part("dns.nsec3.iterations", 16, "Hash iterations.");
    Nsec3SaltLength fixed_part("dns.nsec3.salt_length", 8, "Length of the salt.");
    Nsec3Salt bytes("dns.nsec3.salt_value", "Salt.");
    Nsec3HashLength fixed_part("dns.nsec3.hash_length", 8, "Length of the hash.");
    NxtNext name("dns.nxt.next_domain_name", "Next name of the zone.");
    CaaFlags part("dns.caa.flags", 8, "Flags.");
    CaaTag text("dns.caa.tag", "Property.");
    SvcbPriority part("dns.svcb.svcpriority", 16, "Priority.");
    SvcbTarget name("dns.svcb.targetname", "Host.");
    TsigAlgorithm name("dns.tsig.algorithm_name", "Algorithm.");
    TsigFudge part("dns.tsig.fudge", 16, "Seconds of clock skew allowed.");
    TsigMacSize fixed_part("dns.tsig.mac_size", 16, "Length of the MAC.");
    TsigMac bytes("dns.tsig.mac", "MAC.");
    TsigOriginal part("dns.tsig.original_id", 16, "Transaction ID when signed.");
    TsigError part("dns.tsig.error", 16, "Error; 0 in every valid request, so that a rule may set it to 0 although the MAC covers it.");
    TsigOtherLen fixed_part("dns.tsig.other_len", 16, "Length of the other data.");
    TsigOther bytes("dns.tsig.other_data", "Other data.");
    TkeyAlgorithm name("dns.tkey.algo_name", "Algorithm.");
    TkeyMode part("dns.tkey.mode", 16, "Mode.");
    TkeyError part("dns.tkey.error", 16, "Error.");
}

const _: () = assert!(FIELDS.len() <= 128, "`Wanted` has a bit for 128 fields");

impl Id {
    /// Its index in [`FIELDS`].
    #[expect(clippy::as_conversions, reason = "the number of a fieldless enum")]
    pub(super) const fn slot(self) -> u16 {
        self as u16
    }

    /// Its bit in [`crate::Wanted::plain`].
    #[expect(clippy::as_conversions, reason = "the number of a fieldless enum, in a constant")]
    pub(super) const fn bit(self) -> u128 {
        1_u128.wrapping_shl(self as u32)
    }

    /// The bits of this field and of all up to `last`.
    pub(super) const fn to(self, last: Self) -> u128 {
        let up_to_last = last.bit() | (last.bit().wrapping_sub(1));
        up_to_last & !self.bit().wrapping_sub(1)
    }
}

/// Fields of the twelve-byte header.
pub(super) const HEADER: u128 = Id::Transaction.to(Id::Additionals);
/// Fields of questions.
pub(super) const QUESTIONS: u128 = Id::Question.to(Id::QryClass) | NAME_CHECKS;
/// Fields that take more than stepping over a question's name.
pub(super) const QUESTION_NAME: u128 =
    Id::QryName.bit() | Id::QryNameLen.bit() | Id::QryLabels.bit();
/// What is found about every name.
pub(super) const NAME_CHECKS: u128 = Id::ForwardPointer.to(Id::NameLen) | Id::Malformed.bit();
/// Fields that need every record to be walked.
pub(super) const RECORDS: u128 = Id::Record.to(Id::Extraneous) | RDATA;
/// Fields inside the data of records.
pub(super) const RDATA: u128 = Id::A.to(Id::TkeyError)
    | Id::OptCode.to(Id::OptOverrun)
    | Id::UncompressedLen.bit()
    | NAME_CHECKS;
