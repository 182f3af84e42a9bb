#!/bin/sh
# weftd with the database of a stock ovsdb-server: takes weftd's options and does first what Debian's start
# script does.  For whoever starts weftd by a name, as scripts with WEFTD=... do:
#   WEFTD_BESIDE_STOCK=target/release/weftd  the weftd to start (default: the first one in PATH)
# Ends as weftd does; ovsdb-server stays, with its process id in <rundir>/ovsdb-server.pid.
set -e
rundir=${OVS_RUNDIR:-/var/run/openvswitch}
db=
count=$#
while [ "$count" -gt 0 ]; do
    word=$1
    shift
    count=$((count - 1))
    case $word in
        --rundir) rundir=$1; set -- "$@" --rundir "$1" ;;
        --db) db=$1 ;;
        *) set -- "$@" "$word"; continue ;;
    esac
    shift
    count=$((count - 1))
done
db=${db:-$rundir/conf.db}
[ -s "$db" ] || ovsdb-tool create "$db" /usr/share/openvswitch/vswitch.ovsschema
if ! ovs-appctl -t "$rundir/ovsdb-server.ctl" version >/dev/null 2>&1; then
    ovsdb-server "$db" --remote=punix:"$rundir/db.sock" \
        --remote=db:Open_vSwitch,Open_vSwitch,manager_options \
        --pidfile="$rundir/ovsdb-server.pid" --log-file="$rundir/ovsdb-server.log" \
        --unixctl="$rundir/ovsdb-server.ctl" --detach -vconsole:off
fi
vsctl="ovs-vsctl --no-syslog --no-wait --timeout=10 --db=unix:$rundir/db.sock"
$vsctl init
name=$(hostname)
$vsctl set open . ovs-version=3.1.0 system-type=debian system-version=12 \
    external-ids:system-id="$name" external-ids:hostname="$name" external-ids:rundir="$rundir"
exec "${WEFTD_BESIDE_STOCK:-weftd}" --ovsdb "unix:$rundir/db.sock" "$@"
