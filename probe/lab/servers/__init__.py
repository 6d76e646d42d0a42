"""The lab's servers: resolvers and web servers, all in the lab's one event loop, each in its own namespace."""
