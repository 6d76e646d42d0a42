#!/usr/bin/env bash
# `make image-test`: boots the newest image of OUT in namespaces of its own (docs/image.md). A part of it:
# ONLY=boot,refused,update,wear,states,cuts. WEAR: seconds for which writing is watched; STATES: cards looked at; CUTS: how often
# the plug is pulled; SEED: of the moments.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

"$IMAGE/tools.sh" test
image=$(find "$OUT" -maxdepth 1 -name 'colibri-*.img' -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2)
[ -n "$image" ] || die "there is no image in $OUT: run 'make image' first"
version=${image##*/colibri-}
# Namespaces of their own: nothing is reached from there, and nothing outlives the test.
as_root unshare --net --pid --fork --kill-child --mount-proc "$ROOT/.venv/bin/python" "$IMAGE/boottest.py" --out "$OUT" --version "${version%.img}" \
    --keys "${KEYS:-$ROOT/build/keys}" --only "${ONLY:-boot,refused,update,wear,states,cuts}" --cuts "${CUTS:-20}" --states "${STATES:-40}" --seed "${SEED:-5}" --wear "${WEAR:-600}"
