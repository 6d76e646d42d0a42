#!/usr/bin/env bash
# `make image-test`: boots the newest image of OUT in a network namespace of its own (docs/image.md). ONLY=boot,update,cuts
# takes a part of it; CUTS: how often the plug is pulled.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

"$IMAGE/tools.sh" test
image=$(find "$OUT" -maxdepth 1 -name 'colibri-*.img' -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2)
[ -n "$image" ] || die "there is no image in $OUT: run 'make image' first"
version=${image##*/colibri-}
as_root unshare --net "$ROOT/.venv/bin/python" "$IMAGE/boottest.py" --out "$OUT" --version "${version%.img}" \
    --keys "${KEYS:-$ROOT/build/keys}" --only "${ONLY:-boot,update,cuts}" --cuts "${CUTS:-20}"
