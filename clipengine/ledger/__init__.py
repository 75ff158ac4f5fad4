"""State in SQLite or PostgreSQL: recordings, clips, webhooks and events. The only package that imports peewee."""
