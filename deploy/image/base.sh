#!/usr/bin/env bash
# Debian's part of the image, as a tar: OUT/base.tar and OUT/base.packages (what is in it, with versions).
# Kept from build to build: made anew only if the list of packages, this script or Debian's archive changed.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

APT=$OUT/apt
SOURCE_DATE_EPOCH=$(cat "$APT/archive-date")
export SOURCE_DATE_EPOCH
# Debian builds with pointer authentication, which this processor lacks and qemu emulates slowly: it halves the time.
export QEMU_CPU=cortex-a72

dated() { sed -n '/^Date: /p' "$APT"/state/lists/*Release; }
made_from=$( (cat "$IMAGE/packages.txt" "$IMAGE/base.sh" "$IMAGE/base-hook.sh"; dated) | sha256sum | cut -c1-20)
if [ -s "$OUT/base.tar" ] && [ "$(cat "$OUT/base.stamp" 2>/dev/null)" = "$made_from" ]; then exit; fi

say "Debian's packages under emulation: this takes five minutes"
packages=$(sed '/^#/d' "$IMAGE/packages.txt" | paste -sd,)
# Backports hold the kernel alone.
grep -v -- "$SUITE-backports" "$APT/sources.list" >"$OUT/base.list"
rm -f "$OUT/base.tar" "$OUT/base.stamp"
quietly mmdebstrap --format=tar --mode="${MODE:-auto}" --architectures=arm64 --variant=apt \
    --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Languages "none"' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-include=/usr/share/locale/locale.alias' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --dpkgopt=force-unsafe-io \
    --include="$packages" --customize-hook="$IMAGE/base-hook.sh" \
    --customize-hook="copy-out /var/lib/dpkg/status $OUT" \
    "$SUITE" "$OUT/base.tar.new" "$OUT/base.list" || die "mmdebstrap failed (see above)"
awk '/^Package:/ { name = $2 } /^Version:/ { print name, $2 }' "$OUT/status" | sort >"$OUT/base.packages"
rm "$OUT/status"
mv "$OUT/base.tar.new" "$OUT/base.tar"
echo "$made_from" >"$OUT/base.stamp"
