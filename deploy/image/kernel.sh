#!/usr/bin/env bash
# Kernel, modules, firmware and boot files, natively: OUT/kernel/root (what belongs into the root), OUT/kernel/boot (what
# belongs on the boot partition of each slot) and OUT/kernel/firmware (the Raspberry Pi's own first stages).
#
# Debian's packages are unpacked, not installed: their scripts would build an initramfs under emulation (ten minutes) and
# write a config.txt of their own. The kernel is that of backports, the first that knows the Pi 5's network and USB.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

export APT_CONFIG=$OUT/apt/apt.conf
version=$(apt-cache show "linux-image-arm64/$SUITE-backports" |
    sed -n 's/^Depends:.* linux-image-\([^ ,]*\)[ ,].*/\1/p' | sed -n 1p)
[ -n "$version" ] || die "there is no kernel in $SUITE-backports"
packages=("linux-binary-$version" "linux-modules-$version" "linux-base-$version" "raspi-firmware/$SUITE"
    "firmware-brcm80211/$SUITE-backports" "busybox-static/$SUITE")
wanted=$(apt-get -q --print-uris download "${packages[@]}" | awk '{ print $2, $4 }' | sort)
made_from=$( (echo "$wanted"; cat "$IMAGE/kernel.sh" "$IMAGE"/initramfs/*) | sha256sum | cut -c1-20)
if [ "$(cat "$OUT/kernel.stamp" 2>/dev/null)" = "$made_from" ]; then exit; fi

mkdir -p "$OUT/debs"
(cd "$OUT/debs" && quietly apt-get -q download "${packages[@]}") || die "the kernel could not be fetched (see above)"
rm -rf "$OUT/kernel" "$OUT/kernel.stamp" "$OUT/unpacked"
for file in $(echo "$wanted" | cut -d' ' -f1); do
    dpkg-deb -x "$OUT/debs/$file" "$OUT/unpacked"
done
root=$OUT/kernel/root boot=$OUT/kernel/boot firmware=$OUT/kernel/firmware
mkdir -p "$root/usr/lib/modules" "$root/usr/lib/firmware" "$boot" "$firmware"
mv "$OUT/unpacked/usr/lib/modules/$version" "$root/usr/lib/modules/"
modules=$root/usr/lib/modules/$version

ln -s usr/lib "$root/lib"  # as in Debian's root; depmod and modprobe look in /lib
depmod -b "$root" "$version"
cp "$modules/modules.dep" "$OUT/modules.dep"
# What no Raspberry Pi without a screen needs.
drop() { (cd "$modules/kernel" && rm -rf "$@"); }
# drop_but FOLDER NAME…: all of a folder's own folders but those.
drop_but() {
    local folder=$modules/kernel/$1 keep=() name
    shift
    for name in "$@"; do keep+=(! -name "$name"); done
    find "$folder" -mindepth 1 -maxdepth 1 -type d "${keep[@]}" -exec rm -rf {} +
}
drop sound drivers/{gpu,media,infiniband,bluetooth,iio,isdn,staging,video,ata,nvme,edac} \
    drivers/net/{can,wwan,ieee802154,arcnet,fddi,hamradio,dsa} drivers/crypto/{hisilicon,marvell,intel,ccree,cavium} \
    drivers/crypto/{chelsio,caam,allwinner,qce} fs/{ocfs2,gfs2,xfs,btrfs,nfs,nfsd,ceph,smb,afs,jfs,f2fs,bcachefs} \
    fs/{ubifs,orangefs,coda,9p,dlm,ntfs3,nilfs2,reiserfs} net/{ceph,sctp,tipc,rds,batman-adv,bluetooth,can,nfc} \
    net/{ieee802154,mac802154,sunrpc,9p,rxrpc,smc,openvswitch,dccp}
drop drivers/{target,mtd,ufs,message,firewire,soundwire,hwtracing,hid} drivers/clk/{qcom,mediatek} fs/ntfs \
    drivers/phy/{qualcomm,mediatek,rockchip,marvell,freescale,cadence,tegra,ti,xilinx,hisilicon} \
    drivers/md/{bcache,dm-vdo} drivers/net/{bonding,ppp,vxlan,hyperv,ipa} drivers/input/{touchscreen,joystick,keyboard} \
    drivers/usb/{serial,musb,cdns3,chipidea,mtu3,usbip,misc,gadget/function,gadget/legacy}
drop_but drivers/net/ethernet broadcom cadence microchip
drop_but drivers/net/wireless broadcom
# usb_storage needs scsi_mod.
find "$modules/kernel/drivers/scsi" -name '*.ko*' ! -name 'scsi_mod*' ! -name 'sd_mod*' ! -name 'scsi_common*' -delete

# Wi-Fi of the models served; the files that are links bring the files they lead to.
(cd "$OUT/unpacked/usr/lib/firmware" && mkdir -p "$root/usr/lib/firmware" &&
    find brcm cypress \( -name 'brcmfmac43430*' -o -name 'brcmfmac43436*' -o -name 'brcmfmac43455*' \
        -o -name 'brcmfmac43456*' -o -name 'cyfmac43430*' -o -name 'cyfmac43455*' \) -print0 |
        cpio --quiet -0 -pdm "$root/usr/lib/firmware")
mkdir -p "$root/usr/share/doc/raspi-firmware" "$root/usr/share/doc/firmware-brcm80211"
cp "$OUT/unpacked/usr/share/doc/raspi-firmware/copyright" "$root/usr/share/doc/raspi-firmware/"
cp "$OUT/unpacked/usr/share/doc/firmware-brcm80211/copyright" "$root/usr/share/doc/firmware-brcm80211/"

(cd "$OUT/unpacked/usr/lib/raspi-firmware" &&
    cp bootcode.bin {start,fixup}.* {start,fixup}4.* {start,fixup}_cd.* {start,fixup}4cd.* "$firmware/")
kernel=$({ find "$modules" "$OUT/unpacked/boot" -name 'vmlinuz*' 2>/dev/null || true; } | sed -n 1p)
gzip -9nc "$kernel" >"$boot/vmlinuz"
find "$modules/dtb/broadcom" \( -name 'bcm27*rpi*.dtb' -o -name 'bcm2837*rpi*.dtb' \) -exec cp {} "$boot/" \;
mv "$OUT/unpacked/usr/bin/busybox" "$OUT/kernel/busybox"
rm -rf "$modules/dtb" "$modules"/vmlinuz* "$OUT/unpacked"
# A module that lacks another can't be loaded: away with it.
while IFS=' :' read -r module needed; do
    for one in $needed; do [ -e "$modules/$one" ] || rm -f "$modules/$module"; done
done <"$OUT/modules.dep"
depmod -b "$root" "$version"
# Networks, USB and what else the boards need once they run must be among what is left.
for module in genet macb smsc95xx lan78xx r8152 ax88179_178a asix cdc_ether brcmfmac dwc2 dwc3 xhci-plat-hcd pcie-brcmstb \
    bcm2835_wdt ledtrig-timer ledtrig-heartbeat leds-gpio dm-mod loop tun; do
    modprobe -d "$root" -S "$version" --show-depends "$module" >/dev/null || die "$module was dropped, or needs what was"
done
"$IMAGE/initramfs/make.sh" "$root" "$version" "$boot/initrd.img"
echo "$version" >"$OUT/kernel/version"
echo "$made_from" >"$OUT/kernel.stamp"
