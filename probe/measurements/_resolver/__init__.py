"""Parts of `dns_resolver`: what is asked, what was seen, the verdict."""
