//! VXLAN, and its extensions, which are refused.

use super::kinds::TunnelKind;
use super::options::Options;
use weft_switch::Encap;
use weft_wire::vxlan::UDP_PORT;

pub(super) const VXLAN: TunnelKind = TunnelKind {
    name: "vxlan",
    options: &["dst_port", "exts", "packet_type"],
    udp_port: Some(UDP_PORT),
    encap: |udp_port| Encap::Vxlan { udp_port },
    check: refuse_extensions,
};

fn refuse_extensions(options: &mut Options<'_>) -> Result<(), String> {
    let extensions = options.get("exts").unwrap_or_default().split(',');
    for extension in extensions.clone() {
        if !matches!(extension, "" | "gbp" | "gpe") {
            options.ignore("exts", extension, "unknown extension; ignored");
        }
    }
    for extension in extensions {
        if matches!(extension, "gbp" | "gpe") {
            return Err(format!(
                "{}: options:exts={extension} needs flow tables, which are not supported yet: \
                 remove it for plain VXLAN",
                options.name
            ));
        }
    }
    Ok(())
}
