#!/bin/sh
# Runs at the end of mmdebstrap with the new root as its argument: accounts with fixed numbers (files on the data partition
# outlive the system that made them), and nothing that two probes would share.
set -eu
root=$1

# Numbers from 800 on: Debian hands out its own from 999 downwards and from 100 upwards.
cat >"$root/usr/lib/sysusers.d/00-colibri-image.conf" <<'END'
u colibri        800 "Colibri probe"          /var/lib/colibri
u colibri-update 801 "Colibri update"         /var/lib/colibri-update
g colibri-admin  802
u colibri-page   803 "Colibri, the home's page" -
END
chroot "$root" systemd-sysusers /usr/lib/sysusers.d/00-colibri-image.conf
# Nobody may log in with a password: there is none.
sed -i -E 's/^([^:]*):[^:]*:/\1:*:/' "$root/etc/shadow"

rm -f "$root"/etc/ssh/ssh_host_* "$root/var/lib/dbus/machine-id" "$root/var/lib/systemd/random-seed"
rm -f "$root/etc/passwd-" "$root/etc/group-" "$root/etc/shadow-" "$root/etc/gshadow-" "$root/etc/.pwd.lock"
: >"$root/etc/machine-id"
