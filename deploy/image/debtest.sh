#!/usr/bin/env bash
# debtest.sh [ARCHITECTURE] (`make deb-test`): installs the package (deb.sh; amd64, arm64) on a fresh Debian 13 in a folder of
# its own, in which nothing of this machine is touched: the command runs, units, users and folders are in place; purged,
# nothing is left. amd64: fifty seconds. arm64: under emulation, on the image's own part of Debian (base.sh).
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
readonly ARCH=${1:-amd64}

package=$(find "$OUT" -maxdepth 1 -name "colibri-probe_*_$ARCH.deb" -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2)
[ -n "$package" ] || die "there is no package for $ARCH in $OUT: run 'make deb' first"
"$IMAGE/tools.sh"
"$IMAGE/archive.sh"
root=$OUT/debtest-$ARCH
trap 'as_root rm -rf "$root"' EXIT
as_root rm -rf "$root"

say "a fresh Debian 13"
case $ARCH in
amd64)
    [ "$(dpkg --print-architecture)" = amd64 ] || die "this test is for amd64 machines"
    sed "s/arch=arm64 //; /$SUITE-backports/d" "$OUT/apt/sources.list" >"$OUT/debtest.list"
    quietly as_root mmdebstrap --mode=root --variant=apt --architectures=amd64 \
        --aptopt='Acquire::Check-Valid-Until "false"' --dpkgopt=force-unsafe-io --include=python3,python3-systemd,libsodium23,systemd \
        --format=directory "$SUITE" "$root" "$OUT/debtest.list" || die "mmdebstrap failed (see above)"
    ;;
arm64)
    "$IMAGE/base.sh"
    export QEMU_CPU=cortex-a72
    mkdir -p "$root"
    as_root tar -xf "$OUT/base.tar" -C "$root"
    # What is the image's own, and no Debian's.
    as_root rm "$root/usr/lib/sysusers.d/00-colibri-image.conf"
    as_root sed -i '/^colibri/d' "$root"/etc/{passwd,group,shadow,gshadow}
    ;;
*) die "there are no packages for $ARCH" ;;
esac
inside() { as_root unshare --net --mount --pid --fork --kill-child --mount-proc="$root/proc" chroot "$root" "$@"; }
listing() { (cd "$root" && as_root find . -xdev \( -path ./proc -o -path ./sys -o -path ./run -o -path ./tmp -o -path ./var/log \
    -o -path ./var/cache -o -path ./var/lib/dpkg -o -path ./usr/lib/python3 \) -prune -o -print | sort); }
listing >"$root.before"
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
listing >"$root.after"
left=$(comm -13 "$root.before" "$root.after" | grep -v '^./etc/\(.*-\|\.pwd\.lock\)$' || true)
[ -z "$left" ] || die "left behind:" "$left"
[ "$(inside dpkg --print-architecture)" = "$ARCH" ] || die "this was no Debian for $ARCH"
say "$(basename "$package"): $version; installed, enabled, purged, nothing left"
