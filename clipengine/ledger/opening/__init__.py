"""Opening, checking, backup and restore of a ledger."""
