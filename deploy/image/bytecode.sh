#!/usr/bin/env bash
# Byte code, without which a Pi would compile Python's library at every start (the root is read only): of Debian's part
# into OUT/stdlib (kept with the base), of ours into OUT/app-arm64. Compiled by the image's own Python under emulation, with
# hashes in place of dates, so that it is the same each time and never stale; without docstrings, since the whole image runs
# with PYTHONOPTIMIZE=2 (systemd/optimised.conf says why).
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
export QEMU_CPU=cortex-a72

stdlib=$OUT/stdlib
# compile PREFIX FOLDER: what lies in PREFIX/FOLDER is known as /FOLDER on the probe.
compile() {
    quietly env PYTHONHOME="$OUT/interpreter/usr" PYTHONDONTWRITEBYTECODE=1 qemu-aarch64-static -L "$OUT/interpreter" \
        "$OUT/interpreter/usr/bin/python3.13" -S -m compileall -q -f -o 2 --invalidation-mode unchecked-hash \
        -s "$1" -p / "$1/$2" || die "byte code could not be made (see above)"
}

made_from=$(cat "$OUT/base.stamp" "$IMAGE/bytecode.sh" | sha256sum)
if [ "$(cat "$OUT/stdlib.stamp" 2>/dev/null)" != "$made_from" ]; then
    rm -rf "$stdlib" "$OUT/interpreter"
    mkdir -p "$stdlib" "$OUT/interpreter"
    tar -xf "$OUT/base.tar" -C "$OUT/interpreter" --wildcards --no-wildcards-match-slash \
        ./lib ./usr/bin/python3.13 './usr/lib/ld-linux*' ./usr/lib/aarch64-linux-gnu ./usr/lib/python3.13
    mkdir -p "$stdlib/usr/lib"
    tar -xf "$OUT/base.tar" -C "$stdlib" --exclude '__pycache__' --exclude './usr/lib/python3.13/test' \
        --exclude './usr/lib/python3.13/ensurepip' --exclude './usr/lib/python3.13/idlelib' \
        --exclude './usr/lib/python3.13/pydoc_data' ./usr/lib/python3 ./usr/lib/python3.13
    compile "$stdlib" usr/lib
    echo "$made_from" >"$OUT/stdlib.stamp"
fi
compile "$OUT/app-arm64" usr/lib/colibri/python
