"""Peewee models of the tables. `migrations` creates the tables; a test compares the two.

The models are not bound to a database: `Database` runs the queries that are built from them. Times of the calendar are
`MomentField`s, in ms since 1970, UTC; JSON is stored as text. Events and deliveries refer to clips and recordings
without a foreign key, because they are history and outlive them.
"""

from __future__ import annotations

from peewee import AutoField, BigIntegerField, BooleanField, CompositeKey, DoubleField, IntegerField, Model, TextField

from clipengine.ledger.database.database import (
    DueField,
    JsonText,
    MomentField,
    StoredBigInteger,
    StoredInteger,
    StoredMoment,
    StoredText,
)


class MetaRow(Model):
    """Single values, such as the schema version and the default webhook secret."""

    name = TextField(primary_key=True)
    value = TextField()

    class Meta:
        table_name = "meta"


class KeyRow(Model):
    key_id = TextField(primary_key=True)
    name = TextField()
    scopes = JsonText()
    sha256 = TextField()
    created_at = MomentField()
    last_used_at = MomentField(null=True)
    revoked_at = MomentField(null=True)
    user_id = TextField(null=True)  # null: it belongs to the installation

    class Meta:
        table_name = "api_keys"


class UserRow(Model):
    user_id = TextField(primary_key=True)
    subject = TextField()  # by which the source knows the user
    source = TextField()
    name = TextField()
    role = TextField()
    created_at = MomentField()
    last_seen_at = MomentField(null=True)
    disabled_at = MomentField(null=True)

    class Meta:
        table_name = "users"


class SessionRow(Model):
    sha256 = TextField(primary_key=True)
    key_id = TextField()
    created_at = MomentField()
    expires_at = MomentField()

    class Meta:
        table_name = "sessions"


class UserSessionRow(Model):
    sha256 = TextField(primary_key=True)
    session_id = TextField()
    user_id = TextField()
    created_at = MomentField()
    expires_at = MomentField()

    class Meta:
        table_name = "user_sessions"


class SpentFlowRow(Model):
    sha256 = TextField(primary_key=True)
    expires_at = MomentField()

    class Meta:
        table_name = "spent_flows"


class RecordingRow(Model):
    recording_id = TextField(primary_key=True)
    state = TextField()
    bucket_path = TextField()
    etag = TextField()
    file_size_bytes = BigIntegerField()
    created_at = MomentField()
    completed_at = MomentField(null=True)
    name = TextField(null=True)
    metadata = JsonText()
    facts = JsonText(null=True)
    error = JsonText(null=True)
    owner = TextField(null=True)  # the engine that probes it
    attempts = IntegerField()
    next_at = DueField()  # earliest time of the next probe
    lease = IntegerField(default=0)  # incremented by each claim, never decremented
    engine_deaths = IntegerField(default=0)  # consecutive deaths of engines that held it
    tags = JsonText(default=list)
    duration_seconds = DoubleField(default=0)  # 0 until it is probed
    expires_at = MomentField(null=True)
    expires_by = TextField(null=True)  # who has set it, if that principal deletes only its own objects
    fetched_bytes = BigIntegerField(null=True)  # so far, from a URL; null if it was in the store already
    source_id = TextField(null=True)  # of the event that announced its URL, so that a repeated one is known
    digest = TextField(null=True)  # of its content; null in S3, and if an older engine has probed it
    pieces = JsonText(null=True)  # the counts of a recording of many files
    gaps = JsonText(null=True)  # the same
    variant = JsonText(null=True)  # of its playlist, as requested
    live = BooleanField(default=False)  # it may still be written; false when it has ended
    revision = IntegerField(null=True)  # of a recording that is, or was, still written
    safe_seconds = DoubleField(null=True)  # up to here it is written; null when it has ended
    found_clock = JsonText(null=True)  # of a recording of many files: source, accuracy and points
    given_start = MomentField(null=True)  # when it began, by a request
    series = TextField(null=True)  # recordings of one camera or programme
    folder = JsonText(null=True)  # of a camera's files: folder, pattern, time zone, camera and day
    needs = IntegerField(default=1)  # format of rows, see `row_format`
    begins_at = MomentField(null=True)  # by its clock; null if that is unknown
    ends_at = MomentField(null=True)
    # Of a recording that is, or was, still written.
    last_seen_at = MomentField(null=True)  # its newest media was stored
    silent_since = MomentField(null=True)  # the same if nothing has followed for long; null when it has ended
    warnings = JsonText(null=True)
    replaced_at = MomentField(null=True)  # a producer has overwritten its files: its path is another recording now
    spec = JsonText(null=True)  # fields of `RecordingSpec` that no query needs, and that have no column above
    created_by = TextField(null=True)  # id of a principal; null for none, and for an older engine's

    class Meta:
        table_name = "recordings"


class FetchRow(Model):
    """Recordings that are not in the store yet. Deleted when they are, and with the recording."""

    recording_id = TextField(primary_key=True)
    origin = TextField()  # sealed JSON
    created_at = MomentField()
    next_at = DueField()  # earliest time of the next claim
    attempts = IntegerField()
    owner = TextField(null=True)  # the engine that fetches it
    lease = IntegerField()  # incremented by each claim, never decremented

    class Meta:
        table_name = "fetches"


class ResumableUploadRow(Model):
    """Uploads of recordings that arrive in several requests. Deleted some time after the last one."""

    upload_id = TextField(primary_key=True)
    key_id = TextField()  # of the API key that began it
    recording_id = TextField()  # of the recording that it will be
    bucket_path = TextField()
    size = BigIntegerField()
    description = TextField()  # Upload-Metadata, as it was sent
    spec = JsonText()  # of the recording
    received = BigIntegerField(default=0)  # bytes that are stored durably
    handle = TextField(default="")  # the store's name of the unfinished object
    parts = JsonText(default=list)  # their ETags
    rest = BigIntegerField(default=0)  # bytes that are in no part yet
    part_bytes = BigIntegerField(default=0)  # size of each part, if clients may send them to the store directly
    created_at = MomentField()
    touched_at = MomentField()  # by the last request that sent bytes
    completed_at = MomentField(null=True)
    owner = TextField(null=True)  # the engine that receives bytes
    lease = IntegerField(default=0)  # incremented by each claim, never decremented

    class Meta:
        table_name = "resumable_uploads"


class LandmarksRow(Model):
    recording_id = TextField(primary_key=True)
    landmarks = JsonText()

    class Meta:
        table_name = "landmarks"


class LiveRow(Model):
    """Recordings that are still written. Deleted when they have ended, and with the recording."""

    recording_id = TextField(primary_key=True)
    growth = JsonText()  # of the index
    next_at = DueField()  # earliest time of the next refresh
    owner = TextField(null=True)  # the engine that refreshes it
    lease = IntegerField()  # incremented by each claim, never decremented
    # The engine that knows its playlists, and refreshes it if it can; null after that engine has ended.
    kept_by = TextField(null=True)
    wanted_at = MomentField()  # time of the last request for it
    ending = BooleanField()  # its end was announced or requested
    needs = IntegerField(default=1)  # format of rows, see `row_format`

    class Meta:
        table_name = "live_recordings"


class PieceIndexRow(Model):
    recording_id = TextField(primary_key=True)
    data = TextField()  # tracks and runs, packed
    listed = BooleanField(default=False)  # its folders are in `piece_folders`

    class Meta:
        table_name = "piece_indexes"


class PieceFolderRow(Model):
    """Folders of the pieces of recordings, by which the recordings that need an object are found."""

    folder = TextField()  # empty, or with a slash at its end
    recording_id = TextField()
    first_name = TextField()  # in it, in the order of characters
    last_name = TextField()

    class Meta:
        table_name = "piece_folders"
        primary_key = CompositeKey("folder", "recording_id")


class PiecePageRow(Model):
    recording_id = TextField()
    track = IntegerField()
    first = IntegerField()  # number of its first piece
    start_us = BigIntegerField()  # on the recording's timeline
    data = TextField()  # pieces, packed

    class Meta:
        table_name = "piece_pages"
        primary_key = CompositeKey("recording_id", "track", "first")


class TranscriptRow(Model):
    transcript_id = TextField(primary_key=True)
    recording_id = TextField()
    language = TextField()  # BCP 47, in canonical form
    source = TextField()  # upload, sidecar, embedded or made
    cues = IntegerField()
    created_at = MomentField()
    etag = TextField(null=True)  # of a sidecar
    created_by = TextField(null=True)

    class Meta:
        table_name = "transcripts"


class CueRow(Model):
    cue_id = AutoField()  # the last cue of a transcript has its lowest id: a search lists the highest ids first
    transcript_id = TextField()
    start_ms = BigIntegerField()
    end_ms = BigIntegerField()
    text = TextField()
    speaker = TextField(null=True)
    words = TextField()  # of the text, for the index
    timed_words = JsonText(null=True)  # [[start_ms, end_ms, word], …]; null if their times are not known

    class Meta:
        table_name = "cues"


class TranscriptionRow(Model):
    transcript_id = TextField(primary_key=True)  # also of the transcript that it makes
    recording_id = TextField()
    language = TextField(null=True)  # of the request; null to detect it
    source = TextField()  # local or url
    track = IntegerField()  # number among the audio tracks
    state = TextField()  # processing, complete or failed
    progress = DoubleField()
    found_language = TextField(null=True)  # of the transcript, when it is complete
    cues = IntegerField()
    warnings = JsonText(default=list)
    error = JsonText(null=True)
    attempts = IntegerField()  # in a row that have finished no passage
    owner = TextField(null=True)  # the engine that makes it
    lease = IntegerField()  # incremented by each claim, never decremented
    next_at = DueField()  # earliest time of the next claim
    created_at = MomentField()
    completed_at = MomentField(null=True)
    created_by = TextField(null=True)

    class Meta:
        table_name = "transcriptions"


class PassageRow(Model):
    """Finished passages of transcriptions that are in progress."""

    transcript_id = TextField()
    start_sample = BigIntegerField()
    end_sample = BigIntegerField()
    language = TextField(null=True)
    cues = JsonText()

    class Meta:
        table_name = "passages"
        primary_key = CompositeKey("transcript_id", "start_sample")


class SegmentListRow(Model):
    recording_id = TextField(primary_key=True)
    version = IntegerField()  # incremented by each change
    title = TextField()
    segments = JsonText()
    look = JsonText()  # output and subtitles, if they are given
    updated_at = MomentField()
    created_by = TextField(null=True)  # who stored the first version

    class Meta:
        table_name = "segment_lists"


class ClipRow(Model):
    clip_id = TextField(primary_key=True)
    recording_id = TextField()
    label = TextField()
    start_seconds = DoubleField()
    end_seconds = DoubleField()
    state = TextField()
    status = TextField()  # the API's status, generated from state
    object_key = TextField()
    created_at = MomentField()
    completed_at = MomentField(null=True)
    progress = DoubleField()
    step = TextField(null=True)
    profile = TextField()
    priority = IntegerField()
    metadata = JsonText()
    attempt = IntegerField()
    error = JsonText(null=True)
    result = JsonText(null=True)
    poster = BooleanField()
    webhook_url = TextField(null=True)
    owner = TextField(null=True)  # the engine that cuts it
    crashes = IntegerField()
    next_at = DueField()  # earliest time of the next claim
    queued_at = MomentField(default=0)  # when it was last queued, or became due after that
    expires_at = MomentField(null=True)
    long = BooleanField()  # more than ten minutes
    finished = JsonText(null=True)  # cut and verified, in scratch, not yet in the store
    outage_ms = BigIntegerField(default=0)  # time spent waiting for an unavailable store
    cut_by = TextField(null=True)  # the engine whose scratch folder holds the finished file
    engine_deaths = IntegerField(default=0)  # consecutive deaths of engines that held it
    request_id = TextField(null=True)  # of the request that created it
    traceparent = TextField(null=True)  # the same, in its trace (W3C Trace Context)
    render = TextField(null=True)  # encode or smart; null for the profile's
    output = JsonText(null=True)  # the output options that are given; null for the profile's
    subtitles = TextField(null=True)  # keep, burn or none; null for keep
    subtitle_language = TextField(null=True)  # null for all
    subtitle_keys = JsonText(null=True)  # of the objects of the attempt besides clip and poster, also the manifest
    parts = JsonText(null=True)  # ranges of recordings; null for a clip of one range
    tags = JsonText(default=list)
    size_bytes = BigIntegerField(default=0)  # 0 until it is complete
    duration_seconds = DoubleField(default=0)  # of the file; as requested until it is complete
    snap = JsonText(null=True)  # moments to which the cuts move; null if they stay
    wait_until = MomentField(null=True)  # of a clip of what is not recorded yet
    on_timeout = TextField(null=True)  # fail or clamp; null for fail
    start_time = MomentField(null=True)  # by the clock of its recording; null if that is unknown
    end_time = MomentField(null=True)
    warnings = JsonText(null=True)  # known when it was created; null without any
    without = JsonText(null=True)  # silence and fillers that are removed; null if they are kept
    caption_style = JsonText(null=True)  # of subtitles that are burnt in; null for white letters with an outline
    spec = JsonText(null=True)  # fields of `ClipSpec` that no query needs, and that have no column above
    revision = IntegerField(default=0)  # incremented by each change that the API shows
    needs = IntegerField(default=1)  # format of rows, see `row_format`
    variant_of = TextField(null=True)  # the clip that it is made of, with other options
    created_by = TextField(null=True)  # id of a principal or a rule; null for an older engine's

    class Meta:
        table_name = "clips"


class ClipDocumentRow(Model):
    document_id = AutoField()
    clip_id = TextField()
    words = TextField()
    said = TextField(null=True)  # the words of its ranges, then `words`; empty without any, null until they are read

    class Meta:
        table_name = "clip_documents"


class RecordingDocumentRow(Model):
    document_id = AutoField()
    recording_id = TextField()
    words = TextField()

    class Meta:
        table_name = "recording_documents"


class MarkerRow(Model):
    recording_id = TextField()
    key = TextField()  # hash of the other columns
    at_seconds = DoubleField(null=True)
    time = MomentField(null=True)  # instead of at_seconds
    seconds = DoubleField()
    label = TextField()
    created_at = MomentField()

    class Meta:
        table_name = "markers"
        primary_key = CompositeKey("recording_id", "key")


class RuleRow(Model):
    rule_id = TextField(primary_key=True)
    name = TextField()
    origin = TextField()  # api or settings
    enabled = BooleanField()
    spec = JsonText()  # see `RuleSpec`
    needs = IntegerField()  # format of rows, see `row_format`
    revision = IntegerField()
    since_seq = BigIntegerField()  # it acts on later events
    created_at = MomentField()
    updated_at = MomentField()
    removed_at = MomentField(null=True)  # deleted, or removed from the settings, and not shown any more
    made = BigIntegerField(default=0)
    skipped = BigIntegerField(default=0)
    failed = BigIntegerField(default=0)
    failures_in_row = IntegerField(default=0)
    stopped_reason = TextField(null=True)
    last_error = JsonText(null=True)
    last_at = MomentField(null=True)
    backfill = JsonText(null=True)  # see `Rule`
    backfilling = BooleanField(default=False)
    created_by = TextField(null=True)

    class Meta:
        table_name = "rules"


class BatchRow(Model):
    """What a rule makes of one recording, or what a request makes or deletes.

    The row of a rule stays, so that it is made once.
    """

    batch_id = TextField(primary_key=True)
    kind = TextField(default="rule")  # rule, variants or delete
    needs = IntegerField(default=1)  # format of rows, see `row_format`; a rule has its own
    rule_id = TextField(null=True)
    revision = IntegerField(default=0)  # of the rule that was expanded
    subject = TextField(null=True)  # hash of what the recording is, see `ledger.rules`
    occasion = TextField(null=True)  # why the rule acts on it
    recording_id = TextField(null=True)
    state = TextField()  # waiting, making, complete or cancelled
    reason = TextField(null=True)  # code: why it waits, or why nothing was made
    total = IntegerField(default=0)  # items
    made = IntegerField(default=0)
    skipped = IntegerField(default=0)
    failed = IntegerField(default=0)
    left_out = IntegerField(default=0)
    attempts = IntegerField(default=0)  # in a row that have made nothing
    owner = TextField(null=True)  # the engine that expands it, or makes its clips
    lease = IntegerField(default=0)  # incremented by each claim, never decremented
    next_at = DueField()  # earliest time of the next claim
    created_at = MomentField()
    ended_at = MomentField(null=True)
    has_items = BooleanField(default=False)  # they are not deleted yet
    created_by = TextField(null=True)  # of a request

    class Meta:
        table_name = "batches"


class BatchItemRow(Model):
    batch_id = TextField()
    number = IntegerField()
    state = TextField()  # pending, made, skipped or failed
    body = JsonText(null=True)  # of the request for the clip; null if it was skipped before there was one
    clip_id = TextField(null=True)  # that was made
    code = TextField(null=True)  # why there is no clip
    message = TextField(null=True)
    source_clip_id = TextField(null=True)  # of which a variant is made, or that is deleted

    class Meta:
        table_name = "batch_items"
        primary_key = CompositeKey("batch_id", "number")


class StorageDayRow(Model):
    day = MomentField(primary_key=True)  # its start
    recordings = IntegerField()
    recordings_bytes = BigIntegerField()
    clips = IntegerField()
    clips_bytes = BigIntegerField()

    class Meta:
        table_name = "storage_days"


class ShareRow(Model):
    share_id = TextField(primary_key=True)
    sha256 = TextField()  # of the token in the link
    clip_id = TextField()
    created_at = MomentField()
    expires_at = MomentField(null=True)
    download = BooleanField()
    embed = BooleanField()
    views = IntegerField()
    last_viewed_at = MomentField(null=True)
    created_by = TextField(null=True)
    webhook_hosts = JsonText(null=True)

    class Meta:
        table_name = "shares"


class RemovalRow(Model):
    id = AutoField()
    key = TextField()
    next_at = DueField()
    looks = IntegerField(default=1)  # remaining deletions
    etag = TextField(null=True)  # of the file of a deleted recording, see `FileVersion`
    registered_at = MomentField(null=True)  # the same recording
    owner = TextField(null=True)  # the engine that deletes it
    lease = IntegerField(default=0)  # incremented by each claim, never decremented

    class Meta:
        table_name = "removals"


class WatchedRow(Model):
    bucket_path = TextField(primary_key=True)
    etag = TextField()

    class Meta:
        table_name = "watched"


class EventRow(Model):
    seq = AutoField()
    event_id = TextField()
    type = TextField()
    clip_id = TextField(null=True)
    recording_id = TextField(null=True)
    payload = TextField()  # the exact webhook body
    created_at = MomentField()
    engine_id = TextField(null=True)  # the engine that recorded it, and counts it in its metrics
    request_id = TextField(null=True)  # of the clip, which may be deleted before its webhooks are sent
    traceparent = TextField(null=True)
    error_code = TextField(null=True)  # of clip.failed; the statistics do not parse payloads

    class Meta:
        table_name = "events"


class EndpointRow(Model):
    webhook_id = TextField(primary_key=True)
    url = TextField()
    events = JsonText()
    secret = TextField()
    previous_secret = TextField(null=True)
    previous_until = MomentField(null=True)
    enabled = BooleanField()
    origin = TextField()
    created_at = MomentField()
    disabled_reason = TextField(null=True)
    failing_since = MomentField(null=True)
    format = TextField(default="json")
    wants = JsonText(null=True)

    class Meta:
        table_name = "endpoints"


class DeliveryRow(Model):
    delivery_id = TextField(primary_key=True)
    event_id = TextField()
    event_type = TextField()
    clip_id = TextField(null=True)
    recording_id = TextField(null=True)
    endpoint_id = TextField(null=True)
    url = TextField()
    target = TextField()  # has one request at a time: the endpoint, or the origin of a clip's webhook_url
    status = TextField()
    attempt = IntegerField()
    created_at = MomentField()
    next_at = DueField(null=True)  # None: no more attempts
    owner = TextField(null=True)
    last_status_code = IntegerField(null=True)
    last_error = TextField(null=True)
    lease = IntegerField(default=0)  # incremented by each claim, never decremented

    class Meta:
        table_name = "deliveries"


class AttemptRow(Model):
    id = AutoField()
    delivery_id = TextField()
    attempt = IntegerField()
    at = MomentField()
    outcome = TextField()
    status_code = IntegerField(null=True)
    error = TextField(null=True)
    duration_ms = IntegerField()

    class Meta:
        table_name = "delivery_attempts"


class EngineRow(Model):
    engine_id = TextField(primary_key=True)
    host = TextField()
    pid = IntegerField()
    beat_at = MomentField()  # by the clock of the database
    stopping = BooleanField(default=False)  # on purpose
    schema_version = IntegerField(default=17)  # newest that it supports
    version = TextField(null=True)  # of the program
    encoders = IntegerField(null=True)  # clips that it cuts at the same time
    row_format = IntegerField(default=1)  # newest format of rows that it takes

    class Meta:
        table_name = "engines"


class IdempotencyRow(Model):
    scope = TextField()
    key = TextField()
    fingerprint = TextField()
    status = IntegerField()
    body = JsonText()
    headers = JsonText()
    created_at = MomentField()

    class Meta:
        table_name = "idempotency"
        primary_key = False


class AuditRow(Model):
    """An action. A row is only added, given the number of its batch when it is sealed, and deleted with its batch.

    A writer of the database may have stored anything in it.
    """

    audit_id = StoredText(primary_key=True)
    at = StoredMoment()
    action = StoredText()
    outcome = StoredText()  # done or refused
    count = StoredInteger()
    actor_kind = StoredText()
    actor_id = StoredText(null=True)
    means = StoredText(null=True)
    means_id = StoredText(null=True)
    peer = StoredText(null=True)
    object_id = StoredText(null=True)
    within_id = StoredText(null=True)  # what contains the object
    request_id = StoredText(null=True)
    batch = StoredBigInteger(null=True)  # null until it is sealed

    class Meta:
        table_name = "audit"


class AuditBatchRow(Model):
    """A sealed batch of rows of `audit`."""

    number = BigIntegerField(primary_key=True)
    entries = JsonText()  # id and tag of each row, in their order
    newest_at = MomentField()  # of its rows
    sealed_at = MomentField()
    head = TextField()

    class Meta:
        table_name = "audit_batches"


TABLES: tuple[type[Model], ...] = (
    MetaRow,
    UserRow,
    KeyRow,
    SessionRow,
    UserSessionRow,
    SpentFlowRow,
    RecordingRow,
    FetchRow,
    ResumableUploadRow,
    LandmarksRow,
    LiveRow,
    PieceIndexRow,
    PiecePageRow,
    PieceFolderRow,
    TranscriptRow,
    CueRow,
    TranscriptionRow,
    PassageRow,
    SegmentListRow,
    MarkerRow,
    ClipRow,
    ClipDocumentRow,
    RecordingDocumentRow,
    RuleRow,
    BatchRow,
    BatchItemRow,
    StorageDayRow,
    ShareRow,
    RemovalRow,
    WatchedRow,
    EventRow,
    EndpointRow,
    DeliveryRow,
    AttemptRow,
    EngineRow,
    IdempotencyRow,
    AuditRow,
    AuditBatchRow,
)
