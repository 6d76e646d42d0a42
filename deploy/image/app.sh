#!/usr/bin/env bash
# app.sh ARCHITECTURE: the program as it lies on a Debian 13 system of that architecture (arm64, amd64): OUT/app-ARCHITECTURE.
# Wheels by their hashes from locks/probe.txt, and the rooms that a probe needs. Nothing is run or compiled.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
readonly ARCH=$1 ROOMS=(agent appliance cli engine export measurements model page wire)
case $ARCH in
arm64) machine=aarch64 ;;
amd64) machine=x86_64 ;;
*) die "app.sh: no such architecture: $ARCH" ;;
esac

python=$ROOT/.venv/bin/python
[ -x "$python" ] || die "run 'make install' first"
tree=$OUT/app-$ARCH
library=$tree/usr/lib/colibri/python
wheels=$OUT/wheels-$ARCH

# systemd-python has no wheel; Debian's python3-systemd takes its place.
# As committed, like the program: what somebody is about to change must not meet another state of the rest.
git -C "$ROOT" show "${COMMIT:-HEAD}:locks/probe.txt" >"$OUT/lock.txt"
"$python" - "$OUT/lock.txt" >"$OUT/wheels.txt" <<'END'
import re, sys
lock = open(sys.argv[1]).read()
print("".join(part for part in re.split(r"(?m)^(?=\S)", lock) if not part.startswith("systemd-python==")), end="")
END
made_from=$(cat "$OUT/wheels.txt" "$IMAGE/app.sh" | sha256sum)
if [ "$(cat "$wheels/stamp" 2>/dev/null)" != "$made_from" ]; then
    rm -rf "$wheels"
    mkdir -p "$wheels"
    platforms=()
    for glibc in 2_17 2_24 2_28 2_34 2_39; do platforms+=(--platform "manylinux_${glibc}_$machine"); done
    quietly "$python" -m pip --disable-pip-version-check --no-input install --target "$wheels/python" --no-compile \
        --no-deps --require-hashes --only-binary=:all: --implementation cp --python-version 3.13 \
        "${platforms[@]}" --platform "manylinux2014_$machine" -r "$OUT/wheels.txt" ||
        die "the wheels could not be installed (see above)"
    rm -rf "$wheels/python/bin"
    find "$wheels/python" \( -name tests -o -name test_data \) -type d -prune -exec rm -rf {} +
    find "$wheels/python" -name '*.pyi' -delete
    # Protocols that no probe speaks, and scapy's own workshop.
    rm -rf "$wheels/python/scapy/"{contrib,tools}
    echo "$made_from" >"$wheels/stamp"
fi

rm -rf "$tree"
mkdir -p "$library/probe" "$tree"/usr/{bin,lib/systemd/system,lib/sysusers.d} "$tree/usr/share/doc/colibri-probe"
cp -r "$wheels/python/." "$library/"
cd "$ROOT"
# What was committed, and nothing else that lies about.
rooms=()
for room in "${ROOMS[@]}"; do rooms+=("probe/$room"); done
git archive "${COMMIT:-HEAD}" -- probe/__init__.py probe/__main__.py probe/py.typed "${rooms[@]}" | tar -x -C "$library"
rm -f "$library"/probe/cli/{collector,lab,reflector}.py
install -m 755 deploy/image/colibri.py "$tree/usr/bin/colibri"
install -m 644 systemd/colibri.service systemd/colibri-page.s* "$tree/usr/lib/systemd/system/"
mkdir -p "$tree/usr/lib/tmpfiles.d"
install -m 644 systemd/colibri.tmpfiles "$tree/usr/lib/tmpfiles.d/colibri.conf"
sed '/-collector/d; /-reflector/d' systemd/colibri.sysusers >"$tree/usr/lib/sysusers.d/colibri.conf"
install -m 644 LICENSE "$tree/usr/share/doc/colibri-probe/copyright"
