# What somebody sees who logs in. (Not in /etc/update-motd.d, which would run for every command that comes over SSH.)
case $- in
*i*) PYTHONPATH=/usr/lib/colibri/python python3 -OO -m probe.appliance motd ;;
esac
