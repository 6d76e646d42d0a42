"""Parts of `voip`: calls, media, services, what was seen, the verdict."""
