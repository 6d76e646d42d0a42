"""Parts of `dns_injection`: queries, what was seen, the verdict."""
