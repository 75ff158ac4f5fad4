"""Database access: connections, dialects, schema and migrations."""
