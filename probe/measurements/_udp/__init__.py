"""Parts of `udp_trigger`: triggers, what was seen, the verdict."""
