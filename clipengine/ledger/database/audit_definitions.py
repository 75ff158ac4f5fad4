"""The tables of the audit log, their indexes, and the table of its head and anchor, in SQLite's dialect.

A writer of the database who replaces one may hide rows from some queries, such as an index that leaves one row out.
Migration 63 runs these statements. ALTER TABLE changes the text that SQLite has stored: a later migration that uses it
needs the resulting text here, and the former one there. `create_meta` creates `meta`.
"""

from __future__ import annotations

_INDEXES = {
    "at": "(at, audit_id)",
    "action": "(action, at, audit_id)",
    "actor": "(actor_id, at, audit_id) WHERE actor_id IS NOT NULL",
    "object": "(object_id, at, audit_id) WHERE object_id IS NOT NULL",
    "within": "(within_id, at, audit_id) WHERE within_id IS NOT NULL",
    "unsealed": "(at, audit_id) WHERE batch IS NULL",
    "sealed": "(batch, audit_id) WHERE batch IS NOT NULL",
}
AUDIT_TABLES = {
    "audit": """CREATE TABLE audit (
            audit_id TEXT NOT NULL PRIMARY KEY,
            at BIGINT NOT NULL,
            action TEXT NOT NULL,
            outcome TEXT NOT NULL,
            count INTEGER NOT NULL,
            actor_kind TEXT NOT NULL,
            actor_id TEXT,
            means TEXT,
            means_id TEXT,
            peer TEXT,
            object_id TEXT,
            within_id TEXT,
            request_id TEXT,
            batch BIGINT
        )""",
    "audit_batches": """CREATE TABLE audit_batches (
            number BIGINT NOT NULL PRIMARY KEY,
            entries TEXT NOT NULL,
            newest_at BIGINT NOT NULL,
            sealed_at BIGINT NOT NULL,
            head TEXT NOT NULL
        )""",
}
AUDIT_DEFINITIONS = {
    **AUDIT_TABLES,
    **{f"audit_{name}": f"CREATE INDEX audit_{name} ON audit {columns}" for name, columns in _INDEXES.items()},
}
META_TABLE = "CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)"
SEALED_TABLES = (*AUDIT_TABLES, "meta")
SEALED_DEFINITIONS = {**AUDIT_DEFINITIONS, "meta": META_TABLE}
