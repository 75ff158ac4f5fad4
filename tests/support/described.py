"""A server that has a resource of each kind, for walks over the OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from clipengine.clips.options.watermarks import Watermark
from clipengine.clips.texts.cues import Cue
from clipengine.recordings.recording import RecordingSpec
from clipengine.rules.rule import RuleSpec
from tests.support.api import ApiServer, api_server, recorded_engine
from tests.support.png import png


@dataclass(frozen=True)
class Described:
    """A server, an id of each resource it has, and the token of its share."""

    server: ApiServer
    ids: dict[str, str]
    token: str


@contextmanager
def described_server(folder: Path) -> Iterator[Described]:
    with recorded_engine(folder / "data") as engine, api_server(engine) as server:
        recording = engine.make_recording()
        (folder / "logo.png").write_bytes(png(20, 10, bytes(20 * 10 * 4)))
        marks = {"logo": Watermark(path=folder / "logo.png")}
        engine.settings = engine.settings.model_copy(update={"watermarks": marks})
        webhook = engine.ledger.endpoints.create("https://example.org/hook", ["clip.failed"], "x" * 16)
        clip = engine.finish(engine.make_clip(recording))
        engine.fail(engine.make_clip(recording))
        (delivery,) = engine.ledger.deliveries.list(limit=1).data
        engine.ledger.transcripts.put(recording.recording_id, "en", [Cue(0, 1000, "budget")])
        transcription = engine.ledger.transcriptions.add(recording.recording_id, source="url")
        share, token = engine.ledger.shares.create(clip.clip_id, expires_at=None, download=True, embed=True)
        upload = engine.upload_receiver.begin("key_x", "a.mp4", RecordingSpec(), size=5, description="")
        rule = RuleSpec.model_validate({"ranges": {"kind": "all"}})
        user = engine.ledger.users.sign_in("anna", source="proxy", name="Anna", role="editor")
        session, _ = engine.ledger.user_sessions.begin(user.user_id)
        yield Described(
            server,
            {
                "recording_id": recording.recording_id,
                "clip_id": clip.clip_id,
                "share_id": share.share_id,
                "rule_id": engine.ledger.rules.create("Rule", rule).rule_id,
                "upload_id": upload.upload_id,
                "batch_id": engine.ledger.requested_batches.create("variants", []).batch_id,
                "transcript_id": transcription.transcript_id,
                "language": "en",
                "name": "logo",
                "key_id": engine.ledger.keys.create("described")[0].key_id,
                "user_id": user.user_id,
                "session_id": session.session_id,
                "webhook_id": webhook.webhook_id,
                "delivery_id": delivery.delivery_id,
                "source": "generic",
                "number": "0",
            },
            token,
        )
