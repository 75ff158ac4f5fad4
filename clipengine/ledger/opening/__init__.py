"""Opening, checking, backing up and restoring a ledger."""
