# shellcheck shell=sh
# disarm FOLDER SLOT: what must happen before a slot on trial gets any further. FOLDER: where the boot partition is mounted
# (writable); SLOT: the slot that was started, A or B. Says whether it is on trial (status 0) or not (1).
#
# slot.txt ("os_prefix=A/") says which slot the firmware starts. The byte in `trial` says what is tried: "A" or "B" is a slot
# that was never started, "a" or "b" one that was started and has not proved itself, "-" none. Here the other slot is put
# back, so whatever stops this one, the next start is the other's. Both files are one sector, written in place: a power cut
# leaves the old sector or the new one. slot.txt goes first: cut between the two, the trial is over before it began.
disarm() {
    [ "$(head -c 1 "$1/trial" 2>/dev/null)" = "$2" ] || return 1
    case $2 in A) other=B mark=a ;; B) other=A mark=b ;; *) return 1 ;; esac
    printf 'os_prefix=%s/\n' "$other" | dd of="$1/slot.txt" conv=notrunc,fsync 2>/dev/null
    printf '%s\n' "$mark" | dd of="$1/trial" conv=notrunc,fsync 2>/dev/null
}
