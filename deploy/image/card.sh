#!/usr/bin/env bash
# The card: OUT/colibri-VERSION.img, of OUT/root.sqfs, the boot partition and an empty data partition. Nothing is mounted.
#   1 FAT 256 MB: what the Raspberry Pi's firmware reads, what the volunteer edits   2 slot A   3 slot B   4 data
# Wants VERSION, SOURCE_DATE_EPOCH.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
readonly DISK=c011b121

work=$OUT/card
rm -rf "$work"
mkdir -p "$work"/{fat/A,fat/B,empty,data}
cp "$OUT/kernel/firmware/"* "$work/fat/"
cp "$OUT/kernel/boot/"* "$work/fat/A/"
sed "s/@SLOT@/A/; s/@PARTUUID@/$DISK-02/" "$IMAGE/fat/cmdline.in" >"$work/fat/A/cmdline.txt"
cp "$IMAGE"/fat/{config.txt,colibri.toml,cmdline.txt} "$work/fat/"
# Written in place later: these three never change their size.
printf 'os_prefix=A/\n' >"$work/fat/slot.txt"
printf -- '-\n' >"$work/fat/trial"
"$ROOT/.venv/bin/python" -m probe.appliance blank-status >"$work/fat/COLIBRI-STATUS.txt"
find "$work/fat" -exec touch -d "@$SOURCE_DATE_EPOCH" {} +

truncate -s 256M "$work/boot.vfat"
mkfs.vfat -F 32 -n COLIBRI --invariant "$work/boot.vfat" >/dev/null
(cd "$work/fat" && find . -mindepth 1 -maxdepth 1 | sort | MTOOLS_SKIP_CHECK=1 xargs -d '\n' -I{} mcopy -s -m -i "$work/boot.vfat" {} ::)
# Few inodes: the kernel zeroes their tables when the partition grows, which at the usual ratio wears the card by 1.6 %.
E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH mke2fs -q -t ext4 -L colibri-data -U $DISK-0000-4000-8000-000000000004 \
    -i 262144 -E hash_seed=$DISK-0000-4000-8000-000000000005,lazy_itable_init=0,root_owner=0:0 -O ^metadata_csum_seed \
    -d "$work/data" "$work/data.ext4" 64M
cat >"$work/genimage.cfg" <<END
image colibri-$VERSION.img {
  hdimage { align = 4M  disk-signature = 0x$DISK  partition-table-type = "mbr" }
  partition boot { partition-type = 0xC  bootable = true  image = "boot.vfat" }
  partition a { partition-type = 0x83  image = "root.sqfs"  size = 640M }
  partition b { partition-type = 0x83  size = 640M }
  partition data { partition-type = 0x83  image = "data.ext4" }
}
END
ln "$OUT/root.sqfs" "$work/root.sqfs"
quietly genimage --rootpath "$work/empty" --tmppath "$work/tmp" --inputpath "$work" --outputpath "$work/out" \
    --config "$work/genimage.cfg" || die "genimage failed (see above)"
mv "$work/out/colibri-$VERSION.img" "$OUT/"
rm -rf "$work"
