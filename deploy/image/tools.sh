#!/usr/bin/env bash
# Installs what building (and with `tools.sh test` booting) the image needs and lacks, and lets this machine run arm64
# programs. Safe to run again; says nothing when nothing is missing.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

missing=()
# want PROGRAM PACKAGE
want() { has "$1" || missing+=("$2"); }

want mmdebstrap mmdebstrap
want qemu-aarch64-static qemu-user-static
want arch-test arch-test
want newuidmap uidmap
want mksquashfs squashfs-tools
want genimage genimage
want mcopy mtools
want mkfs.vfat dosfstools
want mke2fs e2fsprogs
want bmaptool bmap-tools
want depmod kmod
want cpio cpio
want zstd zstd
want xz xz-utils
want rauc rauc
want openssl openssl
if [ "${1:-}" = test ]; then
    want qemu-system-aarch64 qemu-system-arm
    want mosquitto mosquitto
    want ssh openssh-client
    want dnsmasq dnsmasq-base
    [ -e /usr/lib/ipxe/qemu/efi-virtio.rom ] || missing+=(ipxe-qemu)
fi
if [ ${#missing[@]} -gt 0 ]; then
    say "installing with apt: ${missing[*]}"
    apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0)
    quietly as_root "${apt[@]}" update || say "apt-get update failed (see above); trying with the lists there are"
    quietly as_root "${apt[@]}" install --no-install-recommends "${missing[@]}" || die "apt failed (see above)"
fi

# Debian registers qemu with the kernel where systemd runs; in a container nobody does.
if ! arch-test arm64 >/dev/null 2>&1; then
    [ -e /proc/sys/fs/binfmt_misc/register ] || as_root mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
    as_root tee /proc/sys/fs/binfmt_misc/register >/dev/null </usr/lib/binfmt.d/qemu-aarch64.conf
    arch-test arm64 >/dev/null || die "this machine can't run arm64 programs: qemu-user-static is not registered"
fi
