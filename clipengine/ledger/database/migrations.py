"""Numbered migrations of the schema, each run once. An upgrade runs its migrations in one transaction.

A released migration is never changed; a later one corrects it. Migrations are plain SQL in SQLite's dialect, so that
changes of the models in `schema` do not affect them. The backend translates the dialect.

The migrations of a release only expand the schema, because engines of the release before use it during an upgrade: they
add tables, indexes, and columns that are nullable or have a default. They remove what the release before no longer
uses. If that one would process a new kind of row wrongly, the migration keeps it from claiming the row, as
`migration_55` does.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Sequence
from fractions import Fraction

from clipengine.basis.timecode import now_ms
from clipengine.clips.clip_key import next_clip_key
from clipengine.ledger.database.audit_definitions import AUDIT_DEFINITIONS, META_TABLE
from clipengine.ledger.database.compatibility import check_no_older_engines, check_supported, record_version
from clipengine.ledger.database.database import Database, compact_json
from clipengine.ledger.database.vault import Vault

Migration = Callable[[Database], None]


def migration_1(database: Database) -> None:
    """Create the tables of keys, recordings, clips, removals, events, webhooks and idempotency keys."""
    for statement in _TABLES_1 + _INDEXES_1:
        database.run(statement)
    database.run("INSERT INTO meta (name, value) VALUES (?, ?)", ("default_secret", new_secret()))


def migration_2(database: Database) -> None:
    """Add sessions of browsers."""
    database.run(
        """CREATE TABLE sessions (
            sha256 TEXT NOT NULL PRIMARY KEY,
            key_id TEXT NOT NULL REFERENCES api_keys (key_id),
            created_at BIGINT NOT NULL,
            expires_at BIGINT NOT NULL
        )"""
    )
    database.run("CREATE INDEX sessions_expires ON sessions (expires_at)")


def migration_3(database: Database) -> None:
    """Encrypt the secrets of webhooks and overwrite the plain text. Their key is in a file beside the ledger."""
    if not database.shared:  # PostgreSQL runs all migrations at once, so no plain secret was ever in use
        database.run("PRAGMA secure_delete = ON")
    vault = Vault.make(database.secrets_key)
    database.run("INSERT INTO meta (name, value) VALUES (?, ?)", vault.key_check())
    for name, value in database.run("SELECT name, value FROM meta WHERE name = 'default_secret'"):
        database.run("UPDATE meta SET value = ? WHERE name = ?", (vault.seal(value, name), name))
    for ident, secret, previous in database.run("SELECT webhook_id, secret, previous_secret FROM endpoints"):
        sealed = (vault.seal(secret, ident), previous and vault.seal(previous, ident), ident)
        database.run("UPDATE endpoints SET secret = ?, previous_secret = ? WHERE webhook_id = ?", sealed)
    # Stored responses that contain a secret are sealed as JSON text.
    responses = "SELECT scope, key, body FROM idempotency WHERE scope LIKE '% POST /v1/webhooks'"
    for scope, key, body in database.run(responses):
        sealed_body = compact_json(vault.seal(body, "answer"))
        database.run("UPDATE idempotency SET body = ? WHERE scope = ? AND key = ?", (sealed_body, scope, key))


def migration_4(database: Database) -> None:
    """Mark clips of more than ten minutes, so that one worker can skip them."""
    for statement in _STEPS_4:
        database.run(statement)


def migration_5(database: Database) -> None:
    """Record clips that wait for their upload, and the time that they spent waiting for the store."""
    for statement in _STEPS_5:
        database.run(statement)


def migration_6(database: Database) -> None:
    """Let clips expire, at a given time or some time after they ended."""
    database.run("ALTER TABLE clips ADD COLUMN expires_at BIGINT")
    database.run("CREATE INDEX clips_expires ON clips (expires_at) WHERE expires_at IS NOT NULL")
    by_age = "completed_at IS NOT NULL AND expires_at IS NULL"
    database.run(f"CREATE INDEX clips_completed ON clips (completed_at) WHERE {by_age}")


def migration_7(database: Database) -> None:
    """Add seek indexes in a separate table, because lists read the rows of recordings."""
    database.run(
        """CREATE TABLE landmarks (
            recording_id TEXT NOT NULL PRIMARY KEY REFERENCES recordings (recording_id) ON DELETE CASCADE,
            landmarks TEXT NOT NULL
        )"""
    )


def migration_8(database: Database) -> None:
    """Record the objects that the watch has registered."""
    database.run("CREATE TABLE watched (bucket_path TEXT NOT NULL PRIMARY KEY, etag TEXT NOT NULL) WITHOUT ROWID")


def migration_9(database: Database) -> None:
    """Index clips by label and status together."""
    database.run("CREATE INDEX clips_label_status ON clips (label, status, created_at, clip_id)")


def migration_10(database: Database) -> None:
    """Record the engines that share a ledger, and whose scratch folder holds a clip that waits for its upload."""
    database.run(
        """CREATE TABLE engines (
            engine_id TEXT NOT NULL PRIMARY KEY,
            host TEXT NOT NULL,
            pid INTEGER NOT NULL,
            beat_at BIGINT NOT NULL
        )"""
    )
    database.run("ALTER TABLE clips ADD COLUMN cut_by TEXT")


def migration_11(database: Database) -> None:
    """Delete objects of clips twice, because an upload of a killed engine may arrive after the first deletion."""
    database.run("ALTER TABLE removals ADD COLUMN looks INTEGER NOT NULL DEFAULT 1")


def migration_12(database: Database) -> None:
    """Fence probes and deliveries by a number that each claim increments."""
    for table in ("recordings", "deliveries"):
        database.run(f"ALTER TABLE {table} ADD COLUMN lease INTEGER NOT NULL DEFAULT 0")


def migration_13(database: Database) -> None:
    """Let engines claim removals; several deleted the same objects, and counted `looks` below 1."""
    database.run("ALTER TABLE removals ADD COLUMN owner TEXT")
    database.run("ALTER TABLE removals ADD COLUMN lease INTEGER NOT NULL DEFAULT 0")
    database.run("CREATE INDEX removals_owner ON removals (owner) WHERE owner IS NOT NULL")
    database.run("UPDATE removals SET looks = 1 WHERE looks < 1")


def migration_14(database: Database) -> None:
    """Count the engines that died while they held a clip or a probe, and record engines that stop on purpose."""
    for table in ("clips", "recordings"):
        database.run(f"ALTER TABLE {table} ADD COLUMN engine_deaths INTEGER NOT NULL DEFAULT 0")
        database.run(f"CREATE INDEX {table}_suspects ON {table} (engine_deaths) WHERE engine_deaths >= 2")
    database.run("ALTER TABLE engines ADD COLUMN stopping BOOLEAN NOT NULL DEFAULT FALSE")


def migration_15(database: Database) -> None:
    """Record since when a clip is queued, and which engine recorded an event, for the metrics of several engines."""
    database.run("ALTER TABLE clips ADD COLUMN queued_at BIGINT NOT NULL DEFAULT 0")
    database.run("UPDATE clips SET queued_at = next_at WHERE state = 'queued'")
    database.run("CREATE INDEX clips_queued ON clips (queued_at) WHERE state = 'queued'")
    database.run("ALTER TABLE events ADD COLUMN engine_id TEXT")


def migration_16(database: Database) -> None:
    """Index events by age, and deliveries by event, so that old ones can be deleted."""
    database.run("CREATE INDEX events_created ON events (created_at)")
    database.run("CREATE INDEX deliveries_event ON deliveries (event_id)")


def migration_17(database: Database) -> None:
    """Record the request that created a clip, for logs, traces and webhooks."""
    for table in ("clips", "events"):
        for column in ("request_id", "traceparent"):
            database.run(f"ALTER TABLE {table} ADD COLUMN {column} TEXT")


def migration_18(database: Database) -> None:
    """Record the newest schema version that each engine supports. Engines that do not record it support 17."""
    database.run("ALTER TABLE engines ADD COLUMN schema_version INTEGER NOT NULL DEFAULT 17")


def migration_19(database: Database) -> None:
    """Name the states of clips: `running` becomes `cutting`, or `uploading` if the file is finished.

    The table is made anew, because SQLite cannot change a CHECK.
    """
    database.run(_CLIPS_19)
    names = ", ".join(_CLIP_COLUMNS_19)
    state = "CASE WHEN state <> 'running' THEN state WHEN finished IS NULL THEN 'cutting' ELSE 'uploading' END"
    database.run(f"INSERT INTO clips_19 (state, {names}) SELECT {state}, {names} FROM clips")
    database.run("DROP TABLE clips")
    database.run("ALTER TABLE clips_19 RENAME TO clips")
    for index in _CLIP_INDEXES_19:
        database.run(index)


def migration_20(database: Database) -> None:
    """Add shares: links that open one clip. They are deleted with it."""
    database.run(
        """CREATE TABLE shares (
            share_id TEXT NOT NULL PRIMARY KEY,
            sha256 TEXT NOT NULL UNIQUE,
            clip_id TEXT NOT NULL REFERENCES clips (clip_id) ON DELETE CASCADE,
            created_at BIGINT NOT NULL,
            expires_at BIGINT,
            download BOOLEAN NOT NULL,
            embed BOOLEAN NOT NULL,
            views INTEGER NOT NULL,
            last_viewed_at BIGINT
        )"""
    )
    database.run("CREATE INDEX shares_clip ON shares (clip_id, created_at, share_id)")


def migration_21(database: Database) -> None:
    """Record how the video of a clip is rendered, if its request says so."""
    database.run("ALTER TABLE clips ADD COLUMN render TEXT")


def migration_22(database: Database) -> None:
    """Let endpoints receive the messages of a chat service instead of the JSON body."""
    database.run("ALTER TABLE endpoints ADD COLUMN format TEXT NOT NULL DEFAULT 'json'")


def migration_23(database: Database) -> None:
    """Add transcripts of recordings and an index over their words. They are deleted with the recording."""
    database.run(
        """CREATE TABLE transcripts (
            transcript_id TEXT NOT NULL PRIMARY KEY,
            recording_id TEXT NOT NULL REFERENCES recordings (recording_id) ON DELETE CASCADE,
            language TEXT NOT NULL,
            source TEXT NOT NULL,
            cues INTEGER NOT NULL,
            created_at BIGINT NOT NULL,
            UNIQUE (recording_id, language)
        )"""
    )
    database.run(
        """CREATE TABLE cues (
            cue_id INTEGER PRIMARY KEY AUTOINCREMENT,
            transcript_id TEXT NOT NULL REFERENCES transcripts (transcript_id) ON DELETE CASCADE,
            start_ms BIGINT NOT NULL,
            end_ms BIGINT NOT NULL,
            text TEXT NOT NULL,
            speaker TEXT,
            words TEXT NOT NULL
        )"""
    )
    database.run("CREATE INDEX cues_transcript ON cues (transcript_id, cue_id)")
    database.backend.word_index("cues", "cue_id").create(database.run)


def migration_24(database: Database) -> None:
    """Store the output options of a clip. Older engines would cut it without them."""
    database.run("ALTER TABLE clips ADD COLUMN output TEXT")


def migration_25(database: Database) -> None:
    """Record what becomes of a clip's subtitles, and the keys of their objects, which older engines would leave."""
    for column in ("subtitles", "subtitle_language", "subtitle_keys"):
        database.run(f"ALTER TABLE clips ADD COLUMN {column} TEXT")


def migration_26(database: Database) -> None:
    """Store the parts of a clip. Older engines would cut it as one range."""
    database.run("ALTER TABLE clips ADD COLUMN parts TEXT")


def migration_27(database: Database) -> None:
    """Add tags, words, and what lists are sorted by. A size or duration of 0 is not known yet.

    The words of existing rows are added by the engines, beside their other work.
    """
    for table in ("clips", "recordings"):
        database.run(f"ALTER TABLE {table} ADD COLUMN tags TEXT NOT NULL DEFAULT '[]'")
    database.run("ALTER TABLE clips ADD COLUMN size_bytes BIGINT NOT NULL DEFAULT 0")
    database.run("ALTER TABLE recordings ADD COLUMN duration_seconds DOUBLE PRECISION NOT NULL DEFAULT 0")
    size = """CAST(substring(result FROM '"size_bytes": *([0-9]+)') AS BIGINT)"""
    size = size if database.shared else "json_extract(result, '$.size_bytes')"
    database.run(f"UPDATE clips SET size_bytes = COALESCE({size}, 0) WHERE result IS NOT NULL")
    for recording_id, facts in database.run("SELECT recording_id, facts FROM recordings WHERE facts IS NOT NULL"):
        duration = float(Fraction(json.loads(facts)["duration"]))
        database.run("UPDATE recordings SET duration_seconds = ? WHERE recording_id = ?", (duration, recording_id))
    for table, key in (("clip", "clip_id"), ("recording", "recording_id")):
        database.run(
            f"""CREATE TABLE {table}_documents (
                document_id INTEGER PRIMARY KEY AUTOINCREMENT,
                {key} TEXT NOT NULL UNIQUE REFERENCES {table}s ({key}) ON DELETE CASCADE,
                words TEXT NOT NULL
            )"""
        )
        database.backend.word_index(f"{table}_documents", "document_id").create(database.run)
    for statement in _INDEXES_27:
        database.run(statement)


def migration_28(database: Database) -> None:
    """Record which version of a sidecar a transcript was read from."""
    database.run("ALTER TABLE transcripts ADD COLUMN etag TEXT")


def migration_29(database: Database) -> None:
    """Let recordings expire. An older engine keeps expired recordings; a newer one deletes them later."""
    database.run("ALTER TABLE recordings ADD COLUMN expires_at BIGINT")
    database.run("CREATE INDEX recordings_expires ON recordings (expires_at) WHERE expires_at IS NOT NULL")


def migration_30(database: Database) -> None:
    """Add recordings that are fetched from a URL. Older engines must not run: they would probe these too early."""
    database.run("ALTER TABLE recordings ADD COLUMN fetched_bytes BIGINT")
    database.run("ALTER TABLE recordings ADD COLUMN source_id TEXT")
    database.run("CREATE INDEX recordings_source ON recordings (source_id) WHERE source_id IS NOT NULL")
    database.run(
        """CREATE TABLE fetches (
            recording_id TEXT NOT NULL PRIMARY KEY REFERENCES recordings (recording_id) ON DELETE CASCADE,
            origin TEXT NOT NULL,
            created_at BIGINT NOT NULL,
            next_at BIGINT NOT NULL,
            attempts INTEGER NOT NULL,
            owner TEXT,
            lease INTEGER NOT NULL
        )"""
    )
    database.run("CREATE INDEX fetches_due ON fetches (next_at)")


def migration_31(database: Database) -> None:
    """Store to which moments the cuts of a clip are snapped. Older engines would cut it without that."""
    database.run("ALTER TABLE clips ADD COLUMN snap TEXT")


def migration_32(database: Database) -> None:
    """Record the version and the number of encoders of each engine. Older engines do not state them."""
    database.run("ALTER TABLE engines ADD COLUMN version TEXT")
    database.run("ALTER TABLE engines ADD COLUMN encoders INTEGER")


def migration_33(database: Database) -> None:
    """Store the length of a clip's file, or of all its parts at their speed. Older engines would not."""
    database.run("ALTER TABLE clips ADD COLUMN duration_seconds DOUBLE PRECISION NOT NULL DEFAULT 0")
    duration = """CAST(substring(result FROM '"duration_seconds": *([0-9.eE+-]+)') AS DOUBLE PRECISION)"""
    duration = duration if database.shared else "json_extract(result, '$.duration_seconds')"
    database.run(f"UPDATE clips SET duration_seconds = COALESCE({duration}, end_seconds - start_seconds)")
    unfinished = "SELECT clip_id, end_seconds - start_seconds, parts, output FROM clips WHERE result IS NULL"
    for clip_id, seconds, parts, output in database.run(f"{unfinished} AND (parts IS NOT NULL OR output IS NOT NULL)"):
        ranges = json.loads(parts) if parts else []
        total = sum(part["end_seconds"] - part["start_seconds"] for part in ranges) or seconds
        speed = (json.loads(output) or {}).get("speed") if output else None
        database.run("UPDATE clips SET duration_seconds = ? WHERE clip_id = ?", (total / (speed or 1), clip_id))
    database.run("DROP INDEX clips_by_duration")
    database.run("CREATE INDEX clips_by_duration ON clips (duration_seconds, clip_id)")


def migration_34(database: Database) -> None:
    """Store the code of a failure beside its event: PostgreSQL cannot read JSON that contains U+0000.

    Only the statistics of the last day need it. The events of an older engine are without it.
    """
    database.run("ALTER TABLE events ADD COLUMN error_code TEXT")
    failed = "SELECT seq, payload FROM events WHERE type = 'clip.failed' AND created_at >= ?"
    for seq, payload in database.run(failed, (now_ms() - 24 * 3_600_000,)):
        error = json.loads(payload)["data"].get("error") or {}
        database.run("UPDATE events SET error_code = ? WHERE seq = ?", (error.get("code"), seq))


def migration_35(database: Database) -> None:
    """Keep engines of 0.1.0 from cutting clips, and from probing recordings that are fetched. Queue their clips again.

    They do not know the states of clips, nor what clips and recordings may ask for by now. The database skips the row
    that such an engine tries to claim, which then continues with its other work. A clip that it was cutting
    gets another object key, because its upload may still arrive.
    """
    if not database.shared:
        return
    for statement in _FENCES_35:
        database.run(statement)
    now, older = now_ms(), "SELECT engine_id FROM engines WHERE schema_version <= 17"
    held = f"state IN ('cutting', 'uploading') AND COALESCE(owner, cut_by) IN ({older})"
    for clip_id, key, attempt in database.run(f"SELECT clip_id, object_key, attempt FROM clips WHERE {held}"):
        queued = "state = 'queued', step = 'queued', progress = 0, owner = NULL, finished = NULL, cut_by = NULL"
        values = (next_clip_key(key, clip_id, attempt + 1), now, now, clip_id)
        database.run(f"UPDATE clips SET {queued}, object_key = ?, next_at = ?, queued_at = ? WHERE clip_id = ?", values)
        for old in (key, key.rsplit(".", 1)[0] + ".jpg"):
            removal = "INSERT INTO removals (key, next_at, looks) VALUES (?, ?, 2) ON CONFLICT (key) DO NOTHING"
            database.run(removal, (old, now))


def migration_36(database: Database) -> None:
    """Store a digest of the content of a recording. Those that an older engine has probed are without one."""
    database.run("ALTER TABLE recordings ADD COLUMN digest TEXT")


def migration_37(database: Database) -> None:
    """Add the pieces of recordings of many files: in pages, in separate tables, and their counts."""
    database.run("ALTER TABLE recordings ADD COLUMN pieces TEXT")
    database.run(
        """CREATE TABLE piece_indexes (
            recording_id TEXT NOT NULL PRIMARY KEY REFERENCES recordings (recording_id) ON DELETE CASCADE,
            data TEXT NOT NULL
        )"""
    )
    database.run(
        """CREATE TABLE piece_pages (
            recording_id TEXT NOT NULL REFERENCES recordings (recording_id) ON DELETE CASCADE,
            track INTEGER NOT NULL,
            first INTEGER NOT NULL,
            start_us BIGINT NOT NULL,
            data TEXT NOT NULL,
            PRIMARY KEY (recording_id, track, first)
        )"""
    )


def migration_38(database: Database) -> None:
    """Add the gaps of recordings of many files, and the variants of playlists that were chosen.

    A recording that an older engine probes is without its gaps, and of the largest variant.
    """
    database.run("ALTER TABLE recordings ADD COLUMN gaps TEXT")
    database.run("ALTER TABLE recordings ADD COLUMN variant TEXT")


def migration_39(database: Database) -> None:
    """Add clocks of recordings, their series, folders of cameras, and the times of clips.

    Older engines cut clips without these times.
    """
    for column in (
        "found_clock TEXT",
        "given_start BIGINT",
        "series TEXT",
        "folder TEXT",
        "begins_at BIGINT",
        "ends_at BIGINT",
    ):
        database.run(f"ALTER TABLE recordings ADD COLUMN {column}")
    database.run("CREATE INDEX recordings_series ON recordings (series, begins_at) WHERE series IS NOT NULL")
    database.run("ALTER TABLE clips ADD COLUMN start_time BIGINT")
    database.run("ALTER TABLE clips ADD COLUMN end_time BIGINT")
    database.run("ALTER TABLE clips ADD COLUMN warnings TEXT")


def migration_41(database: Database) -> None:
    """Add recordings that are still written, and clips that wait for them.

    For engines of the previous release, such a recording is `complete`, and a waiting clip is queued and never due.
    """
    database.run("ALTER TABLE recordings ADD COLUMN live BOOLEAN NOT NULL DEFAULT FALSE")
    database.run("ALTER TABLE recordings ADD COLUMN revision INTEGER")
    database.run("ALTER TABLE recordings ADD COLUMN safe_seconds DOUBLE PRECISION")
    database.run("ALTER TABLE clips ADD COLUMN wait_until BIGINT")
    database.run("ALTER TABLE clips ADD COLUMN on_timeout TEXT")
    database.run("CREATE INDEX clips_waiting ON clips (wait_until) WHERE step = 'waiting'")
    database.run(
        """CREATE TABLE live_recordings (
            recording_id TEXT NOT NULL PRIMARY KEY REFERENCES recordings (recording_id) ON DELETE CASCADE,
            growth TEXT NOT NULL,
            next_at BIGINT NOT NULL,
            owner TEXT,
            lease INTEGER NOT NULL,
            kept_by TEXT,
            wanted_at BIGINT NOT NULL,
            ending BOOLEAN NOT NULL
        )"""
    )


def migration_43(database: Database) -> None:
    """Add transcriptions, the passages of transcriptions in progress, and the times of words in cues."""
    database.run("ALTER TABLE cues ADD COLUMN timed_words TEXT")
    database.run(
        """CREATE TABLE transcriptions (
            transcript_id TEXT NOT NULL PRIMARY KEY,
            recording_id TEXT NOT NULL REFERENCES recordings (recording_id) ON DELETE CASCADE,
            language TEXT,
            source TEXT NOT NULL,
            track INTEGER NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('processing', 'complete', 'failed')),
            progress DOUBLE PRECISION NOT NULL,
            found_language TEXT,
            cues INTEGER NOT NULL,
            warnings TEXT NOT NULL DEFAULT '[]',
            error TEXT,
            attempts INTEGER NOT NULL,
            owner TEXT,
            lease INTEGER NOT NULL,
            next_at BIGINT NOT NULL,
            created_at BIGINT NOT NULL,
            completed_at BIGINT
        )"""
    )
    database.run("CREATE INDEX transcriptions_due ON transcriptions (state, next_at, transcript_id)")
    database.run("CREATE INDEX transcriptions_created ON transcriptions (created_at, transcript_id)")
    database.run("CREATE INDEX transcriptions_recording ON transcriptions (recording_id, created_at, transcript_id)")
    database.run(
        """CREATE TABLE passages (
            transcript_id TEXT NOT NULL REFERENCES transcriptions (transcript_id) ON DELETE CASCADE,
            start_sample BIGINT NOT NULL,
            end_sample BIGINT NOT NULL,
            language TEXT,
            cues TEXT NOT NULL,
            PRIMARY KEY (transcript_id, start_sample)
        )"""
    )


def migration_45(database: Database) -> None:
    """Add the lists of segments of recordings."""
    database.run(
        """CREATE TABLE segment_lists (
            recording_id TEXT NOT NULL PRIMARY KEY REFERENCES recordings (recording_id) ON DELETE CASCADE,
            version INTEGER NOT NULL,
            title TEXT NOT NULL,
            segments TEXT NOT NULL,
            look TEXT NOT NULL,
            updated_at BIGINT NOT NULL
        )"""
    )


def migration_46(database: Database) -> None:
    """Add the days for which the use of the store is known."""
    database.run(
        """CREATE TABLE storage_days (
            day BIGINT NOT NULL PRIMARY KEY,
            recordings INTEGER NOT NULL,
            recordings_bytes BIGINT NOT NULL,
            clips INTEGER NOT NULL,
            clips_bytes BIGINT NOT NULL
        )"""
    )


def migration_47(database: Database) -> None:
    """Store what a clip leaves out of its ranges."""
    database.run("ALTER TABLE clips ADD COLUMN without TEXT")


def migration_48(database: Database) -> None:
    """Add the speech of clips to their documents, and let words of documents be updated.

    The engines read the speech beside their other work. The documents that an older engine writes are without it.
    """
    database.run("ALTER TABLE clip_documents ADD COLUMN said TEXT")
    database.run("CREATE INDEX clip_documents_unread ON clip_documents (document_id) WHERE said IS NULL")
    database.run("CREATE INDEX clips_of_parts ON clips (clip_id) WHERE parts IS NOT NULL")
    database.backend.word_index("clip_documents", "document_id", "said").create(database.run)
    for table, column in (("clip_documents", "said"), ("clip_documents", "words"), ("recording_documents", "words")):
        database.backend.word_index(table, "document_id", column).follow_updates(database.run)


def migration_49(database: Database) -> None:
    """Store how subtitles are drawn into the picture of a clip."""
    database.run("ALTER TABLE clips ADD COLUMN caption_style TEXT")


def migration_50(database: Database) -> None:
    """Let the indexes of expiring rows have their sizes, so that a sum of many rows reads the index only."""
    for index in ("clips_expires", "clips_completed", "recordings_expires"):
        database.run(f"DROP INDEX {index}")
    for statement in _INDEXES_50:
        database.run(statement)


def migration_51(database: Database) -> None:
    """Store new options of clips in one column, so that each of them needs no migration."""
    database.run("ALTER TABLE clips ADD COLUMN spec TEXT")


def migration_52(database: Database) -> None:
    """Add the number of the state of a clip, by which clients order them. An older engine does not increment it."""
    database.run("ALTER TABLE clips ADD COLUMN revision INTEGER NOT NULL DEFAULT 0")


def migration_53(database: Database) -> None:
    """Add when a recording that is still written was seen last, its warnings, and the end of its session."""
    for column in ("last_seen_at BIGINT", "silent_since BIGINT", "warnings TEXT", "replaced_at BIGINT"):
        database.run(f"ALTER TABLE recordings ADD COLUMN {column}")
    database.run("CREATE INDEX recordings_silent ON recordings (silent_since) WHERE silent_since IS NOT NULL")


def migration_54(database: Database) -> None:
    """Store new fields of recordings in one column, as is done for clips."""
    database.run("ALTER TABLE recordings ADD COLUMN spec TEXT")


def migration_55(database: Database) -> None:
    """Add the formats of rows, and keep engines of 0.2.0 from rows that they do not know, see `ledger.fences`.

    To these engines such a row is never due, whichever engine queues it. They do not increment `clips.revision` either.
    The fences against 0.1.0 go: its engines do not live any more.
    """
    for table in ("clips", "recordings", "live_recordings"):
        database.run(f"ALTER TABLE {table} ADD COLUMN needs INTEGER NOT NULL DEFAULT 1")
        database.run(f"CREATE INDEX {table}_needs ON {table} (needs) WHERE needs > 1")
    database.run("DROP INDEX clips_claim")
    database.run("CREATE INDEX clips_claim ON clips (state, priority DESC, created_at, clip_id, long, next_at, needs)")
    database.run("ALTER TABLE engines ADD COLUMN row_format INTEGER NOT NULL DEFAULT 1")
    if database.shared:
        for statement in _OLD_FENCES_55 + _FENCES_55:
            database.run(statement)


def migration_56(database: Database) -> None:
    """Add rules, which make clips of recordings by themselves. Engines of 0.2.0 neither read nor run them."""
    database.run(
        """CREATE TABLE rules (
            rule_id TEXT NOT NULL PRIMARY KEY,
            name TEXT NOT NULL,
            origin TEXT NOT NULL,
            enabled BOOLEAN NOT NULL,
            spec TEXT NOT NULL,
            needs INTEGER NOT NULL,
            revision INTEGER NOT NULL,
            since_seq BIGINT NOT NULL,
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL,
            removed_at BIGINT,
            made BIGINT NOT NULL DEFAULT 0,
            skipped BIGINT NOT NULL DEFAULT 0,
            failed BIGINT NOT NULL DEFAULT 0,
            failures_in_row INTEGER NOT NULL DEFAULT 0,
            stopped_reason TEXT,
            last_error TEXT,
            last_at BIGINT,
            backfill TEXT,
            backfilling BOOLEAN NOT NULL DEFAULT FALSE
        )"""
    )


def migration_57(database: Database) -> None:
    """Add what rules and requests make or delete. The unique key lets each rule act once on each occasion.

    Engines of 0.2.0 neither read nor run batches.
    """
    database.run(
        """CREATE TABLE batches (
            batch_id TEXT NOT NULL PRIMARY KEY,
            kind TEXT NOT NULL DEFAULT 'rule',
            needs INTEGER NOT NULL DEFAULT 1,
            rule_id TEXT,
            revision INTEGER NOT NULL DEFAULT 0,
            subject TEXT,
            occasion TEXT,
            recording_id TEXT,
            state TEXT NOT NULL,
            reason TEXT,
            total INTEGER NOT NULL DEFAULT 0,
            made INTEGER NOT NULL DEFAULT 0,
            skipped INTEGER NOT NULL DEFAULT 0,
            failed INTEGER NOT NULL DEFAULT 0,
            left_out INTEGER NOT NULL DEFAULT 0,
            attempts INTEGER NOT NULL DEFAULT 0,
            owner TEXT,
            lease INTEGER NOT NULL DEFAULT 0,
            next_at BIGINT NOT NULL,
            created_at BIGINT NOT NULL,
            ended_at BIGINT,
            has_items BOOLEAN NOT NULL DEFAULT FALSE,
            UNIQUE (rule_id, subject, occasion)
        )"""
    )
    database.run("CREATE INDEX batches_due ON batches (next_at, batch_id) WHERE ended_at IS NULL")
    database.run("CREATE INDEX batches_rule ON batches (rule_id, created_at, batch_id)")
    database.run("CREATE INDEX batches_ended ON batches (ended_at) WHERE has_items")
    database.run(
        """CREATE TABLE batch_items (
            batch_id TEXT NOT NULL,
            number INTEGER NOT NULL,
            state TEXT NOT NULL,
            body TEXT,
            clip_id TEXT,
            code TEXT,
            message TEXT,
            source_clip_id TEXT,
            PRIMARY KEY (batch_id, number)
        )"""
    )
    database.run("CREATE INDEX batch_items_clip ON batch_items (clip_id) WHERE clip_id IS NOT NULL")


def migration_58(database: Database) -> None:
    """Add markers of recordings: moments that other programs have named."""
    database.run(
        """CREATE TABLE markers (
            recording_id TEXT NOT NULL REFERENCES recordings (recording_id) ON DELETE CASCADE,
            key TEXT NOT NULL,
            at_seconds DOUBLE PRECISION,
            time BIGINT,
            seconds DOUBLE PRECISION NOT NULL,
            label TEXT NOT NULL,
            created_at BIGINT NOT NULL,
            PRIMARY KEY (recording_id, key)
        )"""
    )


def migration_59(database: Database) -> None:
    """Add uploads of recordings that arrive in several requests."""
    database.run(
        """CREATE TABLE resumable_uploads (
            upload_id TEXT NOT NULL PRIMARY KEY,
            key_id TEXT NOT NULL,
            recording_id TEXT NOT NULL,
            bucket_path TEXT NOT NULL,
            size BIGINT NOT NULL,
            description TEXT NOT NULL,
            spec TEXT NOT NULL,
            received BIGINT NOT NULL DEFAULT 0,
            handle TEXT NOT NULL DEFAULT '',
            parts TEXT NOT NULL DEFAULT '[]',
            rest BIGINT NOT NULL DEFAULT 0,
            created_at BIGINT NOT NULL,
            touched_at BIGINT NOT NULL,
            completed_at BIGINT,
            owner TEXT,
            lease INTEGER NOT NULL DEFAULT 0
        )"""
    )
    database.run("CREATE INDEX resumable_uploads_open ON resumable_uploads (key_id) WHERE completed_at IS NULL")
    database.run("CREATE INDEX resumable_uploads_touched ON resumable_uploads (touched_at, upload_id)")
    database.run("CREATE INDEX resumable_uploads_owner ON resumable_uploads (owner) WHERE owner IS NOT NULL")


def migration_60(database: Database) -> None:
    """Add the clip of which a clip is a variant, by which lists can be filtered."""
    database.run("ALTER TABLE clips ADD COLUMN variant_of TEXT")
    database.run("CREATE INDEX clips_variants ON clips (variant_of, created_at, clip_id) WHERE variant_of IS NOT NULL")


def migration_61(database: Database) -> None:
    """Add users, their keys and sessions, and who has created an object."""
    database.run(
        """CREATE TABLE users (
            user_id TEXT NOT NULL PRIMARY KEY,
            subject TEXT NOT NULL,
            source TEXT NOT NULL,
            name TEXT NOT NULL,
            role TEXT NOT NULL,
            created_at BIGINT NOT NULL,
            last_seen_at BIGINT,
            disabled_at BIGINT,
            UNIQUE (source, subject)
        )"""
    )
    database.run("CREATE INDEX users_created ON users (created_at, user_id)")
    database.run("ALTER TABLE api_keys ADD COLUMN user_id TEXT")
    database.run(
        """CREATE TABLE user_sessions (
            sha256 TEXT NOT NULL PRIMARY KEY,
            session_id TEXT NOT NULL UNIQUE,
            user_id TEXT NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
            created_at BIGINT NOT NULL,
            expires_at BIGINT NOT NULL
        )"""
    )
    database.run("CREATE INDEX user_sessions_expires ON user_sessions (expires_at)")
    database.run("CREATE INDEX user_sessions_created ON user_sessions (created_at, session_id)")
    database.run("CREATE INDEX user_sessions_user ON user_sessions (user_id, created_at, session_id)")
    for table in (
        *("recordings", "clips", "shares", "transcripts", "transcriptions"),
        *("segment_lists", "rules", "batches"),
    ):
        database.run(f"ALTER TABLE {table} ADD COLUMN created_by TEXT")
    for table, ident in (("recordings", "recording_id"), ("clips", "clip_id")):
        columns = f"(created_by, created_at, {ident})"
        database.run(f"CREATE INDEX {table}_created_by ON {table} {columns} WHERE created_by IS NOT NULL")


def migration_62(database: Database) -> None:
    """Add the size of the parts of uploads that go to the store directly."""
    database.run("ALTER TABLE resumable_uploads ADD COLUMN part_bytes BIGINT NOT NULL DEFAULT 0")


def migration_63(database: Database) -> None:
    """Add the audit log, and the batches that seal it."""
    for definition in AUDIT_DEFINITIONS.values():
        database.run(definition)


def migration_64(database: Database) -> None:
    """Record the sign-ins with a provider that have been used."""
    database.run("CREATE TABLE spent_flows (sha256 TEXT NOT NULL PRIMARY KEY, expires_at BIGINT NOT NULL)")
    database.run("CREATE INDEX spent_flows_expires ON spent_flows (expires_at)")


def migration_65(database: Database) -> None:
    """Add the principal whose own recording expires, if it must not delete objects of others."""
    database.run("ALTER TABLE recordings ADD COLUMN expires_by TEXT")


def migration_66(database: Database) -> None:
    """Find the rows that need an object: by the folders of pieces, and by indexes of recordings and uploads."""
    database.run(
        """CREATE TABLE piece_folders (
            folder TEXT NOT NULL,
            recording_id TEXT NOT NULL REFERENCES recordings (recording_id) ON DELETE CASCADE,
            first_name TEXT NOT NULL,
            last_name TEXT NOT NULL,
            PRIMARY KEY (folder, recording_id)
        )"""
    )
    database.run("CREATE INDEX piece_folders_recording ON piece_folders (recording_id)")
    database.run("ALTER TABLE piece_indexes ADD COLUMN listed BOOLEAN NOT NULL DEFAULT FALSE")
    database.run("CREATE INDEX piece_indexes_unlisted ON piece_indexes (recording_id) WHERE NOT listed")
    database.run(
        """CREATE INDEX recordings_unread ON recordings (RTRIM(bucket_path, REPLACE(bucket_path, '/', '')))
            WHERE ((state = 'processing' OR live)
                AND (folder IS NOT NULL OR REPLACE(LOWER(bucket_path), '.m3u', '') <> LOWER(bucket_path)))"""
    )
    database.run("CREATE INDEX resumable_uploads_path ON resumable_uploads (bucket_path) WHERE completed_at IS NULL")
    database.run("ALTER TABLE removals ADD COLUMN etag TEXT")
    database.run("ALTER TABLE removals ADD COLUMN registered_at BIGINT")


def migration_67(database: Database) -> None:
    """Record for which webhooks a share was made, and which events an endpoint wants, and index the list of shares."""
    database.run("ALTER TABLE shares ADD COLUMN webhook_hosts TEXT")
    database.run("ALTER TABLE endpoints ADD COLUMN wants TEXT")
    database.run("CREATE INDEX shares_created ON shares (created_at, share_id)")
    database.run("CREATE INDEX shares_without_end ON shares (created_at, share_id) WHERE expires_at IS NULL")


MIGRATIONS: tuple[Migration, ...] = (
    migration_1,
    migration_2,
    migration_3,
    migration_4,
    migration_5,
    migration_6,
    migration_7,
    migration_8,
    migration_9,
    migration_10,
    migration_11,
    migration_12,
    migration_13,
    migration_14,
    migration_15,
    migration_16,
    migration_17,
    migration_18,
    migration_19,
    migration_20,
    migration_21,
    migration_22,
    migration_23,
    migration_24,
    migration_25,
    migration_26,
    migration_27,
    migration_28,
    migration_29,
    migration_30,
    migration_31,
    migration_32,
    migration_33,
    migration_34,
    migration_35,
    migration_36,
    migration_37,
    migration_38,
    migration_39,
    migration_41,
    migration_43,
    migration_45,
    migration_46,
    migration_47,
    migration_48,
    migration_49,
    migration_50,
    migration_51,
    migration_52,
    migration_53,
    migration_54,
    migration_55,
    migration_56,
    migration_57,
    migration_58,
    migration_59,
    migration_60,
    migration_61,
    migration_62,
    migration_63,
    migration_64,
    migration_65,
    migration_66,
    migration_67,
)


# The number of migrations of 0.2.0, the release before this one. Its engines run while this release is rolled out.
PREVIOUS_RELEASE = 44


def migrate(
    database: Database, migrations: Sequence[Migration] = MIGRATIONS, previous_release: int = PREVIOUS_RELEASE
) -> int:
    """Migrate the ledger to the newest schema and return its version, which may be newer than this program.

    Other engines never see the schema between two migrations, nor does a failed one leave anything behind.
    Raises SchemaTooNew if a later version of the engine wrote it and this one cannot use it, and StartupError if the
    database is not a ledger, or if engines run that are older than the previous release.
    """
    database.supported_schema = len(migrations)
    with database.transaction():
        version = check_supported(database, len(migrations))
        if version >= len(migrations):
            return version
        check_no_older_engines(database, previous_release)
        # Before anything else: a migration that waits for one table while it holds another may deadlock with a request.
        database.backend.lock_tables(database.run, database.transaction)
        for migration in migrations[version:]:
            migration(database)
        record_version(database, len(migrations), oldest=previous_release)
    return len(migrations)


def create_meta(database: Database) -> None:
    """Create the table `meta` of a new ledger, unless another process was faster."""
    with database.transaction():
        if database.has_table("meta"):
            return
        database.run(META_TABLE)
        database.run("INSERT INTO meta (name, value) VALUES ('schema_version', '0')")


def new_secret() -> str:
    """Return a random secret for signing webhooks."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


_TABLES_1 = (
    """CREATE TABLE api_keys (
        key_id TEXT NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        scopes TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        last_used_at BIGINT,
        revoked_at BIGINT
    )""",
    """CREATE TABLE recordings (
        recording_id TEXT NOT NULL PRIMARY KEY,
        state TEXT NOT NULL CHECK (state IN ('processing', 'complete', 'failed')),
        bucket_path TEXT NOT NULL,
        etag TEXT NOT NULL,
        file_size_bytes BIGINT NOT NULL,
        created_at BIGINT NOT NULL,
        completed_at BIGINT,
        name TEXT,
        metadata TEXT NOT NULL,
        facts TEXT,
        error TEXT,
        owner TEXT,
        attempts INTEGER NOT NULL,
        next_at BIGINT NOT NULL
    )""",
    """CREATE TABLE clips (
        clip_id TEXT NOT NULL PRIMARY KEY,
        recording_id TEXT NOT NULL REFERENCES recordings (recording_id),
        label TEXT NOT NULL,
        start_seconds DOUBLE PRECISION NOT NULL,
        end_seconds DOUBLE PRECISION NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'complete', 'failed')),
        status TEXT GENERATED ALWAYS AS
            (CASE WHEN state IN ('queued', 'running') THEN 'processing' ELSE state END) STORED,
        object_key TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        completed_at BIGINT,
        progress DOUBLE PRECISION NOT NULL,
        step TEXT,
        profile TEXT NOT NULL,
        priority INTEGER NOT NULL,
        metadata TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        error TEXT,
        result TEXT,
        poster BOOLEAN NOT NULL,
        webhook_url TEXT,
        owner TEXT,
        crashes INTEGER NOT NULL,
        next_at BIGINT NOT NULL
    )""",
    # AUTOINCREMENT never reuses a number: a consumer that has seen event 7 would miss another event 7.
    """CREATE TABLE removals (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL,
        next_at BIGINT NOT NULL
    )""",
    """CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        event_id TEXT NOT NULL UNIQUE,
        type TEXT NOT NULL,
        clip_id TEXT,
        recording_id TEXT,
        payload TEXT NOT NULL,
        created_at BIGINT NOT NULL
    )""",
    """CREATE TABLE endpoints (
        webhook_id TEXT NOT NULL PRIMARY KEY,
        url TEXT NOT NULL,
        events TEXT NOT NULL,
        secret TEXT NOT NULL,
        previous_secret TEXT,
        previous_until BIGINT,
        enabled BOOLEAN NOT NULL,
        origin TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        disabled_reason TEXT,
        failing_since BIGINT
    )""",
    """CREATE TABLE deliveries (
        delivery_id TEXT NOT NULL PRIMARY KEY,
        event_id TEXT NOT NULL,
        event_type TEXT NOT NULL,
        clip_id TEXT,
        recording_id TEXT,
        endpoint_id TEXT,
        url TEXT NOT NULL,
        target TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('pending', 'sending', 'delivered', 'failed')),
        attempt INTEGER NOT NULL,
        created_at BIGINT NOT NULL,
        next_at BIGINT,
        owner TEXT,
        last_status_code INTEGER,
        last_error TEXT
    )""",
    """CREATE TABLE delivery_attempts (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        delivery_id TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        at BIGINT NOT NULL,
        outcome TEXT NOT NULL,
        status_code INTEGER,
        error TEXT,
        duration_ms INTEGER NOT NULL
    )""",
    """CREATE TABLE idempotency (
        scope TEXT NOT NULL,
        key TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        status INTEGER NOT NULL,
        body TEXT NOT NULL,
        headers TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        PRIMARY KEY (scope, key)
    )""",
)

_INDEXES_1 = (
    "CREATE INDEX api_keys_name ON api_keys (name)",
    "CREATE INDEX recordings_created ON recordings (created_at, recording_id)",
    "CREATE INDEX recordings_state ON recordings (state, created_at, recording_id)",
    "CREATE INDEX recordings_name ON recordings (name, created_at, recording_id)",
    "CREATE INDEX recordings_probe ON recordings (state, owner, next_at, recording_id)",
    "CREATE INDEX recordings_object ON recordings (bucket_path, etag, created_at)",
    "CREATE INDEX clips_claim ON clips (state, priority DESC, created_at, clip_id, next_at)",
    "CREATE INDEX clips_created ON clips (created_at, clip_id)",
    "CREATE INDEX clips_recording ON clips (recording_id, created_at, clip_id)",
    "CREATE INDEX clips_recording_status ON clips (recording_id, status, created_at, clip_id)",
    "CREATE INDEX clips_status ON clips (status, created_at, clip_id)",
    "CREATE INDEX clips_label ON clips (label, created_at, clip_id)",
    "CREATE UNIQUE INDEX removals_key ON removals (key)",
    "CREATE INDEX removals_due ON removals (next_at, id)",
    "CREATE INDEX deliveries_target ON deliveries (status, target, next_at, delivery_id)",
    "CREATE INDEX deliveries_created ON deliveries (created_at, delivery_id)",
    "CREATE INDEX deliveries_endpoint ON deliveries (endpoint_id, created_at, delivery_id)",
    "CREATE INDEX deliveries_clip ON deliveries (clip_id, created_at, delivery_id)",
    "CREATE INDEX delivery_attempts_delivery ON delivery_attempts (delivery_id, id)",
    "CREATE INDEX idempotency_created ON idempotency (created_at)",
)

_STEPS_4 = (
    "ALTER TABLE clips ADD COLUMN long BOOLEAN NOT NULL DEFAULT FALSE",
    "UPDATE clips SET long = TRUE WHERE end_seconds - start_seconds > 600",
    "DROP INDEX clips_claim",
    # Covers the query of the claim, so that skipping clips that are not yet due is cheap.
    "CREATE INDEX clips_claim ON clips (state, long, priority DESC, created_at, clip_id, next_at)",
)

_STEPS_5 = (
    "ALTER TABLE clips ADD COLUMN finished TEXT",
    "ALTER TABLE clips ADD COLUMN outage_ms BIGINT NOT NULL DEFAULT 0",
    "CREATE INDEX clips_finished ON clips (next_at, clip_id) WHERE finished IS NOT NULL",
)

_CLIP_COLUMNS_19 = (
    *("clip_id", "recording_id", "label", "start_seconds", "end_seconds", "object_key", "created_at", "completed_at"),
    *("progress", "step", "profile", "priority", "metadata", "attempt", "error", "result", "poster", "webhook_url"),
    *("owner", "crashes", "next_at", "long", "finished", "outage_ms", "expires_at", "cut_by", "engine_deaths"),
    *("queued_at", "request_id", "traceparent"),
)

_CLIPS_19 = """CREATE TABLE clips_19 (
    clip_id TEXT NOT NULL PRIMARY KEY,
    recording_id TEXT NOT NULL REFERENCES recordings (recording_id),
    label TEXT NOT NULL,
    start_seconds DOUBLE PRECISION NOT NULL,
    end_seconds DOUBLE PRECISION NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'cutting', 'uploading', 'complete', 'failed')),
    status TEXT GENERATED ALWAYS AS
        (CASE WHEN state IN ('complete', 'failed') THEN state ELSE 'processing' END) STORED,
    object_key TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    completed_at BIGINT,
    progress DOUBLE PRECISION NOT NULL,
    step TEXT,
    profile TEXT NOT NULL,
    priority INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    error TEXT,
    result TEXT,
    poster BOOLEAN NOT NULL,
    webhook_url TEXT,
    owner TEXT,
    crashes INTEGER NOT NULL,
    next_at BIGINT NOT NULL,
    long BOOLEAN NOT NULL DEFAULT FALSE,
    finished TEXT,
    outage_ms BIGINT NOT NULL DEFAULT 0,
    expires_at BIGINT,
    cut_by TEXT,
    engine_deaths INTEGER NOT NULL DEFAULT 0,
    queued_at BIGINT NOT NULL DEFAULT 0,
    request_id TEXT,
    traceparent TEXT,
    CHECK ((state = 'uploading') = (finished IS NOT NULL))
)"""

_CLIP_INDEXES_19 = (
    # Covers the query of the claim, so that skipping clips that are not yet due or too long is cheap.
    "CREATE INDEX clips_claim ON clips (state, priority DESC, created_at, clip_id, long, next_at)",
    "CREATE INDEX clips_uploads ON clips (next_at, clip_id) WHERE finished IS NOT NULL",
    "CREATE INDEX clips_created ON clips (created_at, clip_id)",
    "CREATE INDEX clips_recording ON clips (recording_id, created_at, clip_id)",
    "CREATE INDEX clips_recording_status ON clips (recording_id, status, created_at, clip_id)",
    "CREATE INDEX clips_status ON clips (status, created_at, clip_id)",
    "CREATE INDEX clips_label ON clips (label, created_at, clip_id)",
    "CREATE INDEX clips_label_status ON clips (label, status, created_at, clip_id)",
    "CREATE INDEX clips_expires ON clips (expires_at) WHERE expires_at IS NOT NULL",
    "CREATE INDEX clips_completed ON clips (completed_at) WHERE completed_at IS NOT NULL AND expires_at IS NULL",
    "CREATE INDEX clips_queued ON clips (queued_at) WHERE state = 'queued'",
    "CREATE INDEX clips_suspects ON clips (engine_deaths) WHERE engine_deaths >= 2",
)

_INDEXES_27 = (
    "CREATE INDEX clips_by_label ON clips (SUBSTR(LOWER(label), 1, 60), clip_id)",
    "CREATE INDEX clips_by_duration ON clips ((end_seconds - start_seconds), clip_id)",
    "CREATE INDEX clips_by_size ON clips (size_bytes, clip_id)",
    "CREATE INDEX recordings_by_name ON recordings (SUBSTR(LOWER(COALESCE(name, '')), 1, 60), recording_id)",
    "CREATE INDEX recordings_by_duration ON recordings (duration_seconds, recording_id)",
    "CREATE INDEX recordings_by_size ON recordings (file_size_bytes, recording_id)",
)

_INDEXES_50 = (
    "CREATE INDEX clips_expires ON clips (expires_at, completed_at, size_bytes) WHERE expires_at IS NOT NULL",
    "CREATE INDEX clips_completed ON clips (completed_at, size_bytes, expires_at)"
    " WHERE completed_at IS NOT NULL AND expires_at IS NULL",
    "CREATE INDEX recordings_expires ON recordings (expires_at, file_size_bytes) WHERE expires_at IS NOT NULL",
)

_FENCES_35 = (
    "CREATE FUNCTION skip_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    # The state in which 0.1.0 cuts.
    """CREATE TRIGGER clips_running BEFORE UPDATE ON clips FOR EACH ROW
        WHEN (NEW.state = 'running') EXECUTE FUNCTION skip_row()""",
    """CREATE FUNCTION skip_fetched() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
        IF EXISTS (SELECT 1 FROM fetches WHERE recording_id = NEW.recording_id) THEN RETURN NULL; END IF;
        RETURN NEW;
    END'""",
    """CREATE TRIGGER recordings_fetched BEFORE UPDATE ON recordings FOR EACH ROW
        WHEN (NEW.owner IS NOT NULL AND OLD.owner IS NULL) EXECUTE FUNCTION skip_fetched()""",
)

_OLD_FENCES_55 = (
    "DROP TRIGGER clips_running ON clips",
    "DROP TRIGGER recordings_fetched ON recordings",
    "DROP FUNCTION skip_row()",
    "DROP FUNCTION skip_fetched()",
)
_FENCE_55 = 1 << 61  # ms
_WAITS_55 = {"clips": "NEW.state = 'queued'", "recordings": "NEW.state = 'processing'", "live_recordings": "TRUE"}
_FENCES_55 = (
    f"""CREATE FUNCTION fence_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
        NEW.next_at := NEW.next_at + {_FENCE_55};
        RETURN NEW;
    END'""",
    *(
        f"""CREATE TRIGGER {table}_fence BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW
            WHEN ({waits} AND NEW.needs > 1 AND NEW.next_at < {_FENCE_55}) EXECUTE FUNCTION fence_row()"""
        for table, waits in _WAITS_55.items()
    ),
    """CREATE FUNCTION count_revision() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
        NEW.revision := OLD.revision + 1;
        RETURN NEW;
    END'""",
    """CREATE TRIGGER clips_revision BEFORE UPDATE ON clips FOR EACH ROW
        WHEN (NEW.revision = OLD.revision) EXECUTE FUNCTION count_revision()""",
)
