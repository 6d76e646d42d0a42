#!/usr/bin/env bash
# `make deb-test`: installs the amd64 package (deb.sh) on a fresh Debian 13 in a folder of its own, in which nothing of this
# machine is touched: the command runs, units, users and folders are in place; purged, nothing is left. Fifty seconds.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

package=$(find "$OUT" -maxdepth 1 -name 'colibri-probe_*_amd64.deb' -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2)
[ -n "$package" ] || die "there is no package in $OUT: run 'make deb' first"
[ "$(dpkg --print-architecture)" = amd64 ] || die "this test is for amd64 machines"
"$IMAGE/tools.sh"
"$IMAGE/archive.sh"
root=$OUT/debtest
trap 'as_root rm -rf "$root"' EXIT
as_root rm -rf "$root"
sed "s/arch=arm64 //; /$SUITE-backports/d" "$OUT/apt/sources.list" >"$OUT/debtest.list"

say "a fresh Debian 13"
quietly as_root mmdebstrap --mode=root --variant=apt --architectures=amd64 --aptopt='Acquire::Check-Valid-Until "false"' \
    --dpkgopt=force-unsafe-io --include=python3,python3-systemd,systemd --format=directory "$SUITE" "$root" \
    "$OUT/debtest.list" || die "mmdebstrap failed (see above)"
inside() { as_root unshare --net --mount --pid --fork --kill-child --mount-proc="$root/proc" chroot "$root" "$@"; }
listing() { (cd "$root" && as_root find . -xdev \( -path ./proc -o -path ./sys -o -path ./run -o -path ./tmp -o -path ./var/log \
    -o -path ./var/cache -o -path ./var/lib/dpkg -o -path ./usr/lib/python3 \) -prune -o -print | sort); }
listing >"$OUT/debtest.before"
as_root cp "$package" "$root/tmp/colibri.deb"
quietly inside dpkg --install /tmp/colibri.deb || die "the package can't be installed (see above)"

version=$(inside colibri --version)
[[ $version == *[0-9].[0-9]* ]] || die "colibri --version says: $version"
inside colibri measure --help >/dev/null
inside colibri config show >/dev/null
quietly inside systemd-analyze verify --man=no colibri.service colibri-page.socket || die "systemd does not like the units (see above)"
for user in colibri colibri-page; do inside id "$user" >/dev/null || die "there is no user $user"; done
[ "$(inside stat -c '%U %a' /var/lib/colibri)" = "colibri 750" ] || die "/var/lib/colibri is not the daemon's"
inside systemctl enable colibri.service colibri-page.socket 2>/dev/null
inside sh -c 'echo "[probe]" >/etc/colibri/colibri.toml; echo kept >/var/lib/colibri/spool'
quietly inside dpkg --purge colibri-probe || die "the package can't be removed (see above)"
listing >"$OUT/debtest.after"
left=$(comm -13 "$OUT/debtest.before" "$OUT/debtest.after" | grep -v '^./etc/.*-$' || true)
[ -z "$left" ] || die "left behind:" "$left"
say "$(basename "$package"): $version; installed, enabled, purged, nothing left"
