#!/usr/bin/env bash
# make.sh ROOT KERNEL FILE: an initramfs of busybox, a few modules and our own init; natively, in seconds, the same each time.
. "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
root=$1 version=$2 file=$3

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
modules=$work/lib/modules/$version
mkdir -p "$work"/{bin,dev,proc,sys,run,tmp,new} "$modules"
install -m 755 "$OUT/kernel/busybox" "$work/bin/busybox"

sed '/^#/d; /^$/d' "$IMAGE/initramfs/modules" >"$work/modules"
while read -r module; do
    # A name that this kernel has built in is no fault; one that it does not know is.
    modprobe -d "$root" -S "$version" --show-depends "$module" || die "this kernel has no module $module"
done <"$work/modules" | awk '$1 == "insmod" { print $2 }' | sort -u | while read -r path; do
    target=$modules/${path#*"/$version/"}
    mkdir -p "$(dirname "$target")"
    case $path in
    *.xz) xz -dc "$path" >"${target%.xz}" ;;
    *.zst) zstd -qdc "$path" >"${target%.zst}" ;;
    *) cp "$path" "$target" ;;
    esac
done
cp "$root/usr/lib/modules/$version"/modules.{builtin,builtin.modinfo,order} "$modules/"
depmod -b "$work" "$version"
install -m 755 "$IMAGE/initramfs/init" "$work/init"
install -m 644 "$IMAGE/initramfs/trial.sh" "$work/trial.sh"

find "$work" -exec touch -h -d "@$(cat "$OUT/apt/archive-date")" {} +
(cd "$work" && find . | sort | cpio --quiet --reproducible -R 0:0 -o -H newc) | zstd -19 -q -T1 -f -o "$file"
