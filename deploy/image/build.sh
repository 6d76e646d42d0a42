#!/usr/bin/env bash
# Builds the image (docs/image.md): `make image`. Everything below OUT (build/image):
#   colibri-VERSION.img, .img.xz, .img.bmap   to be written to a card
#   os_list.json, colibri-40x40.png           what Raspberry Pi Imager reads
#   colibri-VERSION.raucb                     the same system as an update
#   colibri-VERSION.packages                  Debian's packages in it, with their versions
# VERSION: what the image is called (by default from git). KEYS: folder with the public parts of the update keys (keys.sh).
# COMMIT: which commit's program (HEAD). REFRESH=1: Debian's newest packages, now. FAST=1: weak compression, for tests.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$ROOT"

number=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' probe/__init__.py)
VERSION=${VERSION:-$number.$(git rev-list --count "${COMMIT:-HEAD}")}
[[ $VERSION =~ ^[0-9]+(\.[0-9]+)+$ ]] || die "VERSION must be numbers and dots, so that later ones can be told: $VERSION"
KEYS=${KEYS:-$ROOT/build/keys}
mkdir -p "$OUT"
# Held by all that this script starts: two builds in one folder would spoil each other.
exec 9>"$OUT/lock"
flock -n 9 || die "another build is at work in $OUT"

"$IMAGE/tools.sh"
[ -e "$KEYS/root.json" ] || "$IMAGE/keys.sh" "$KEYS"
"$IMAGE/archive.sh"
lap "tools, package lists"
"$IMAGE/base.sh"
lap "Debian ($(wc -l <"$OUT/base.packages") packages)"
"$IMAGE/kernel.sh"
lap "kernel $(cat "$OUT/kernel/version")"
"$IMAGE/app.sh" arm64
"$IMAGE/bytecode.sh"
lap "the program"

# No date in the image is later than the later of the commit's and the archive's.
SOURCE_DATE_EPOCH=$(printf '%s\n' "$(git log -1 --format=%ct "${COMMIT:-HEAD}")" "$(cat "$OUT/apt/archive-date")" | sort -n | tail -n 1)
export SOURCE_DATE_EPOCH VERSION KEYS
"$IMAGE/system.sh"
lap "system ($(du -m "$OUT/root.sqfs" | cut -f1) MB)"
"$IMAGE/card.sh"
lap "card"
"$IMAGE/check.py" --out "$OUT" "$OUT/colibri-$VERSION.img"
lap "checked"

cd "$OUT"
if [ -z "${FAST:-}" ]; then
    # Always two threads' blocks, so that the machine's cores don't show in the result.
    xz -6 -T2 -k -f "colibri-$VERSION.img"
    bmaptool create -o "colibri-$VERSION.img.bmap" "colibri-$VERSION.img" >/dev/null
    "$IMAGE/imager.py" --image "colibri-$VERSION.img" --version "$VERSION" \
        --date "$(date -u -d "@$SOURCE_DATE_EPOCH" +%F)" --url "${URL:-https://colibri.example/}" >os_list.json
    "$IMAGE/icon.py" >colibri-40x40.png
    lap "compressed ($(du -m "colibri-$VERSION.img.xz" | cut -f1) MB), Imager's files"
fi
cp base.packages "colibri-$VERSION.packages"
sha256sum "colibri-$VERSION.img"
