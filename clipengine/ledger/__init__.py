"""Where things stand: the rows of recordings, clips, webhooks and events. The only importer of peewee."""
