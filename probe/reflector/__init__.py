"""The far end (``colibri reflector``): a server abroad that answers, stays silent or tells what arrived, as asked.

The protocol is pure: time comes in as ``now`` (seconds since the epoch), chance as ``Random``; ``service`` alone has
sockets.
"""
