"""The store for many probes: ClickHouse, one server or shards, behind the same interface as the embedded one."""
