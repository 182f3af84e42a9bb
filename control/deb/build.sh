#!/usr/bin/env bash
# Builds the Debian packages from programs that are built already: weft, and weft-dbgsym with what debuggers
# and backtraces need besides.
#   control/deb/build.sh TARGET_DIR [OUTPUT_DIR]
# TARGET_DIR/release holds weftd and weft, TARGET_DIR/manuals the pages and completions.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
target=$1
output=${2:-$target}
release=$target/release
manuals=$target/manuals
version=$("$release/weft" --version | awk '{print $2}')
arch=$(dpkg --print-architecture)
work=$(mktemp -d "${TMPDIR:-/tmp}/weft-deb.XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/weft
debug=$work/weft-dbgsym
mkdir "$root" "$debug"

# The newest version of the C library's symbols that the programs use.
libc_needed() {
    objdump -T "$1/usr/sbin/weftd" "$1/usr/bin/weft" | grep -o 'GLIBC_[0-9.]*' | sed 's/GLIBC_//' |
        sort -uV | tail -n 1
}

install -D -m 755 "$release/weftd" "$root/usr/sbin/weftd"
install -D -m 755 "$release/weft" "$root/usr/bin/weft"
for program in usr/sbin/weftd usr/bin/weft; do
    "$here/split.sh" "$root/$program" "$debug/usr/lib/debug/$program.debug"
done
# Scripts know the client by this name.
ln -s weft "$root/usr/bin/ovs-vsctl"
# What a stock switch's package has besides.
install -m 755 "$here"/tools/* "$root/usr/bin/"

for unit in weft ovs-record-hostname; do
    install -D -m 644 "$here/$unit.service" "$root/lib/systemd/system/$unit.service"
done
# netplan, libvirt and others wait for the units of a stock switch.
for name in openvswitch-switch ovsdb-server ovs-vswitchd; do
    ln -s weft.service "$root/lib/systemd/system/$name.service"
done
install -D -m 644 "$here/weft.logrotate" "$root/etc/logrotate.d/weft"
install -D -m 644 "$here/weft.default" "$root/etc/default/weft"
install -D -m 644 "$here/weft.tmpfiles" "$root/usr/lib/tmpfiles.d/weft.conf"
# ifupdown finds its hooks in these folders.
install -D -m 755 "$here/ifupdown" "$root/usr/share/weft/ifupdown"
for phase in if-pre-up if-post-down; do
    install -d "$root/etc/network/$phase.d"
    ln -s /usr/share/weft/ifupdown "$root/etc/network/$phase.d/weft"
done
for page in "$manuals"/*.[18]; do
    case $page in *-help*) continue ;; esac
    folder=$root/usr/share/man/man${page##*.}
    install -D -m 644 "$page" "$folder/$(basename "$page")"
    gzip -9n "$folder/$(basename "$page")"
done
ln -s weft-vsctl.1.gz "$root/usr/share/man/man1/ovs-vsctl.1.gz"
for program in weft weftd; do
    install -D -m 644 "$manuals/$program.bash" "$root/usr/share/bash-completion/completions/$program"
    install -D -m 644 "$manuals/_$program" "$root/usr/share/zsh/vendor-completions/_$program"
    install -D -m 644 "$manuals/$program.fish" "$root/usr/share/fish/vendor_completions.d/$program.fish"
done
install -D -m 644 "$here/copyright" "$root/usr/share/doc/weft/copyright"
gzip -9n >"$root/usr/share/doc/weft/changelog.gz" <<EOF
weft ($version) unstable; urgency=medium

  * What changed is in the history of the repository.

 -- The Weft authors <weft@example.org>  $(LC_ALL=C date -Ru -d "@${SOURCE_DATE_EPOCH:-$(date +%s)}")
EOF

install -d "$root/DEBIAN"
install -m 755 "$here"/postinst "$here"/prerm "$here"/postrm "$root/DEBIAN/"
printf '%s\n' /etc/default/weft /etc/logrotate.d/weft >"$root/DEBIAN/conffiles"
cat >"$root/DEBIAN/control" <<EOF
Package: weft
Version: $version
Architecture: $arch
Maintainer: The Weft authors <weft@example.org>
Section: net
Priority: optional
Installed-Size: $(du -ks "$root" | cut -f1)
Depends: libc6 (>= $(libc_needed "$root")), libgcc-s1, init-system-helpers (>= 1.54)
Recommends: openvswitch-common, tcpdump
Conflicts: openvswitch-switch
Replaces: openvswitch-switch
Provides: openvswitch-switch (= 3.1.0)
Description: virtual switch on AF_XDP, driven by the tools of Open vSwitch
 weftd takes the place of ovs-vswitchd and ovsdb-server: bridges, VLANs,
 tunnels and spanning trees, configured by ovs-vsctl, libvirt, ifupdown or
 any other client of Open vSwitch's database, without a kernel module.
 .
 The package brings clients of its own under the names of ovs-vsctl,
 ovs-tcpdump, ovs-pcap, ovs-tcpundump and ovs-dpctl-top; the other clients
 are in openvswitch-common, which may stay installed.
EOF
dpkg-deb --root-owner-group --build "$root" "$output/weft_${version}_$arch.deb"

install -d "$debug/DEBIAN"
cat >"$debug/DEBIAN/control" <<EOF
Package: weft-dbgsym
Version: $version
Architecture: $arch
Maintainer: The Weft authors <weft@example.org>
Section: debug
Priority: optional
Installed-Size: $(du -ks "$debug" | cut -f1)
Depends: weft (= $version)
Description: debug symbols for weft
 Backtraces and debuggers find the names of functions and lines of weftd and
 weft in these files.
EOF
dpkg-deb --root-owner-group -Zgzip -z1 --build "$debug" "$output/weft-dbgsym_${version}_$arch.deb"
