#!/usr/bin/env bash
# The root of a slot: OUT/root.sqfs, of Debian's base, kernel, program, and the files of this folder; and the same signed, as
# an update, OUT/colibri-VERSION.raucb, where the private key is at hand. Wants VERSION, KEYS, SOURCE_DATE_EPOCH;
# EXTRA: one more folder that is laid over it (a test's broken release).
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

own=$OUT/own
rm -rf "$own"
mkdir -p "$own"
cp -r "$IMAGE/files/." "$own/"
mkdir -p "$own/usr/lib/systemd/system" "$own/usr/lib/colibri/boot" "$own/usr/lib/colibri/update" "$own/etc/rauc"
for unit in "$ROOT"/systemd/appliance/*; do
    install -m 644 "$unit" "$own/usr/lib/systemd/system/"
done
# link PATH TARGET: what `systemctl enable` and `mask` would do, without running anything.
link() { mkdir -p "$own/$(dirname "$1")"; ln -sfn "$2" "$own/$1"; }
while read -r target unit; do
    link "etc/systemd/system/$target.wants/$unit" "/usr/lib/systemd/system/$unit"
done < <(sed '/^#/d; /^$/d' "$IMAGE/enabled.txt")
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
    e2scrub_reap.service systemd-networkd-wait-online.service systemd-firstboot.service \
    systemd-pcrphase.service systemd-binfmt.service proc-sys-fs-binfmt_misc.automount \
    rauc-mark-good.service ssh.socket sshd-keygen.service getty@tty1.service; do
    link "etc/systemd/system/$unit" /dev/null
done
# Else systemd offers ssh on sockets of its own (systemd-ssh-generator(8)).
link etc/systemd/system-generators/systemd-ssh-generator /dev/null
# Places to mount on: where a partition is dead, its folder in memory takes its place.
mkdir -p "$own/data" "$own/boot/firmware"
# Caches are as new as the rest: without these marks (systemd-update-done(8)) each start would make them anew, in memory.
mkdir -p "$own/etc" "$own/var"
: >"$own/etc/.updated"
: >"$own/var/.updated"
link etc/resolv.conf /run/systemd/resolve/stub-resolv.conf
echo "$VERSION" >"$own/usr/lib/colibri/version"
echo colibri >"$own/etc/hostname"
mkdir -p "$own/etc/apt"
cat >"$own/etc/apt/sources.list" <<END
deb http://deb.debian.org/debian $SUITE main non-free-firmware
deb http://deb.debian.org/debian $SUITE-updates main non-free-firmware
deb http://deb.debian.org/debian-security $SUITE-security main non-free-firmware
END
cp "$KEYS/root.json" "$own/usr/lib/colibri/update/root.json"
cp "$KEYS/bundle-ca.pem" "$own/etc/rauc/ca.pem"
cp "$OUT/kernel/boot/"* "$own/usr/lib/colibri/boot/"
cp "$IMAGE/fat/cmdline.in" "$own/usr/lib/colibri/boot/"
cp "$IMAGE/fat/colibri.toml" "$own/usr/lib/colibri/colibri.toml.example"
find "$own/usr/lib/colibri/boot" -type f -exec chmod 644 {} +

"$IMAGE/compose.py" --epoch "$SOURCE_DATE_EPOCH" --layer "$OUT/stdlib" --layer "$OUT/kernel/root" \
    --layer "$OUT/app-arm64" --layer "$own" ${EXTRA:+--layer "$EXTRA"} "$OUT/base.tar" >"$OUT/root.tar"
rm -f "$OUT/root.sqfs"
level=15
[ -z "${FAST:-}" ] || level=3
mksquashfs - "$OUT/root.sqfs" -tar -comp zstd -Xcompression-level "$level" -b 256K -no-progress -quiet \
    <"$OUT/root.tar" >&2 || die "mksquashfs failed (see above)"
rm "$OUT/root.tar"

[ -e "$KEYS/bundle.key" ] || { say "no bundle.key in $KEYS: no update is made"; exit 0; }
rm -rf "$OUT/bundle" "$OUT/colibri-$VERSION.raucb"
mkdir "$OUT/bundle"
ln "$OUT/root.sqfs" "$OUT/bundle/root.img"
cat >"$OUT/bundle/manifest.raucm" <<END
[update]
compatible=colibri-probe
version=$VERSION

[bundle]
format=plain

[image.rootfs]
filename=root.img
END
# The root lies in the bundle as it will lie in the slot, so that devices can take most of it from the one that runs
# (probe/appliance/pieces.py).
quietly rauc bundle --mksquashfs-args="-noD -noF" --cert="$KEYS/bundle.pem" --key="$KEYS/bundle.key" "$OUT/bundle" \
    "$OUT/colibri-$VERSION.raucb" || die "the update could not be signed (see above)"
