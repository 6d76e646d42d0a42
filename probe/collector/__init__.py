"""The collector: subscribes, stores each finding once, keeps the present verdict of every line, and shows it live.

Data flows one way: ``connection`` (MQTT) → ``ingest`` (pure judgement of a message) → ``sqlite_store`` (one transaction
a batch) → acknowledgement and ``stored`` → ``events`` (server-sent) and ``app`` (pages and JSON).
"""
