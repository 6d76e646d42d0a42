"""Parts of `tampering`: what is asked, what was seen, the verdict."""
