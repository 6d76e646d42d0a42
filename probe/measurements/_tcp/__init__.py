"""Parts of `tcp_reset`, and of `ttl_path` with a trigger over TCP."""
