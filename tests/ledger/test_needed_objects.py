"""The policy of deletions: an object is queued for deletion, and deleted, only if no row needs it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import clipengine
from clipengine.api.routes.uploads import upload_key
from clipengine.basis.ids import new_id
from clipengine.basis.timecode import now_ms
from clipengine.clips.clip import Clip, ClipResult
from clipengine.errors import EncoderFailed, ObjectMissing
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.recordings.resumable_uploads import ResumableUpload
from clipengine.ledger.stored_objects.needed_objects import FileVersion, Unwanted
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.file_name_pattern import FolderSource
from clipengine.recordings.partial_object import PartialObject
from clipengine.recordings.pieces import ObjectRange, Piece, PieceIndex, Run, Track
from clipengine.recordings.recording import Recording, RecordingSpec

Queue = Callable[..., Clip]
FACTS = SourceFacts(container="pieces", origin=Fraction(0), duration=Fraction(60))
SECOND = 1_000_000


def complete(ledger: Ledger, clip: Clip, result: ClipResult) -> Clip:
    claimed = ledger.clips.claim("me")
    assert claimed is not None
    assert ledger.clips.complete(clip.clip_id, claimed.attempt, result)
    return ledger.clips.get(clip.clip_id)


def of_pieces(ledger: Ledger, playlist: str, *keys: str, init: str | None = None) -> Recording:
    """Return a complete recording with these pieces."""
    pieces = [Piece(ObjectRange(key, "e", 0, 9), at * SECOND, SECOND) for at, key in enumerate(keys)]
    header = None if init is None else ObjectRange(init, "e", 0, 9)
    index = PieceIndex([Track("muxed", [Run(0, header, None, pieces)])])
    recording, _ = ledger.recordings.register(playlist, etag="e", size=9)
    probe = ledger.recordings.claim_probe("me")
    assert probe is not None
    assert ledger.recordings.probe_complete(probe, FACTS, etag=index.etag, size=9, pieces=index)
    return ledger.recordings.get(recording.recording_id)


def removed(ledger: Ledger) -> set[str]:
    return set(ledger.removals.due(1000))


def delete(ledger: Ledger, recording: Recording, *, pieces: bool = False) -> None:
    """Delete a recording with its object, as the API does."""
    with ledger.transaction():
        index = ledger.recordings.pieces.get(recording.recording_id) if pieces else None
        deleted = ledger.recordings.delete(recording.recording_id)
        ledger.removals.add_recording(deleted, {each.key for each in index.ranges()} if index else ())


def test_file_of_a_complete_clip_is_kept_when_a_recording_of_it_goes(
    ledger: Ledger, queue: Queue, result: ClipResult
) -> None:
    clip = complete(ledger, queue(), result)
    for key in clip.keys:
        recording, _ = ledger.recordings.register(key, etag="e", size=1)
        delete(ledger, recording)
    assert removed(ledger) == set()
    ledger.clips.delete(clip.clip_id)
    assert removed(ledger) == set(clip.keys)


@pytest.mark.parametrize("end", ["delete", "expire", "cancel", "lost"])
def test_file_of_a_clip_is_kept_for_a_recording_of_it(
    ledger: Ledger, queue: Queue, result: ClipResult, end: str
) -> None:
    clip = queue(expires_at=1)
    recording, _ = ledger.recordings.register(clip.object_key, etag="e", size=1)
    if end == "cancel":
        ledger.clips.cancel(clip.clip_id)
    elif end == "lost":
        ledger.clips.delete(clip.clip_id)
        ledger.removals.add_clips([clip])
    else:
        complete(ledger, clip, result)
        ledger.clips.delete(clip.clip_id) if end == "delete" else ledger.expiry.run(keep_ms=None)
    assert removed(ledger) == {clip.poster_key}
    delete(ledger, recording)
    assert clip.object_key in removed(ledger)


def test_manifest_of_a_former_attempt_is_deleted(ledger: Ledger, queue: Queue, result: ClipResult) -> None:
    former = queue()
    lost = former.manifest_key
    key = former.object_key.replace(".mp4", "-2.mp4")
    set_keys = "UPDATE clips SET object_key = ?, subtitle_keys = ? WHERE clip_id = ?"
    ledger.database.run(set_keys, (key, f'["{lost}"]', former.clip_id))
    clip = complete(ledger, former, result)
    ledger.removals.add_clips([replace(former, subtitle_keys=[lost])])
    assert removed(ledger) == {former.object_key, former.poster_key, lost}
    ledger.removals.add_clips([clip])
    assert clip.object_key not in removed(ledger)


def test_expired_recording_of_a_clips_file_leaves_the_file(ledger: Ledger, queue: Queue, result: ClipResult) -> None:
    upload, id = new_id("rec"), new_id("clip")
    ledger.recordings.register(upload_key(upload, "talk.mp4"), etag="e", size=1, recording_id=upload)
    clip = complete(ledger, queue(), result)
    key = f"recordings/{upload}/goal-{clip.clip_id}.mp4"
    ledger.database.run("UPDATE clips SET object_key = ? WHERE clip_id = ?", (key, clip.clip_id))
    for of, kept in ((key, True), (key.replace(clip.clip_id, id), False)):
        recording, _ = ledger.recordings.register(of, etag="e", size=1)
        ledger.recordings.update(recording.recording_id, {"expires_at": 1}, {})
        assert ledger.expiry.run_recordings(keep_ms=None) == 1
        assert (of not in removed(ledger)) is kept


@pytest.mark.parametrize("around", ["goal{}", "{}2026-01-01", "a/goal{}x/b"])
def test_clip_is_found_by_its_id_wherever_a_template_puts_it(
    ledger: Ledger, queue: Queue, result: ClipResult, around: str
) -> None:
    clip = complete(ledger, queue(), result)
    key = around.format(clip.clip_id)
    ledger.database.run("UPDATE clips SET object_key = ? WHERE clip_id = ?", (f"{key}.mp4", clip.clip_id))
    names = [f"{key}.{end}" for end in ("mp4", "jpg", "json", "en.vtt")]
    for name in [*names, f"{key}-2.mp4", f"{key}x.mp4"]:
        ledger.removals.add(name)
    assert removed(ledger) == {f"{key}-2.mp4", f"{key}x.mp4"}


def test_recording_is_deleted_with_its_object_although_its_clips_were_cut_from_it(
    ledger: Ledger, recording: Recording, queue: Queue, result: ClipResult
) -> None:
    complete(ledger, queue(), result)
    delete(ledger, recording)
    assert removed(ledger) == {recording.bucket_path}


def test_piece_is_kept_for_each_recording_that_has_it(ledger: Ledger) -> None:
    first = of_pieces(ledger, "hls/a.m3u8", "hls/1.ts", "hls/2.ts", "other/3.ts", init="hls/init.mp4")
    second = of_pieces(ledger, "hls/b.m3u8", "hls/2.ts", "other/3.ts", "other/4.ts")
    for key in ("hls/1.ts", "hls/init.mp4", "other/4.ts"):
        file, _ = ledger.recordings.register(key, etag="e", size=1)
        delete(ledger, file)
    assert removed(ledger) == set()
    delete(ledger, first, pieces=True)
    assert removed(ledger) == {"hls/a.m3u8", "hls/1.ts", "hls/init.mp4"}
    delete(ledger, second, pieces=True)
    assert {"hls/b.m3u8", "hls/2.ts", "other/3.ts", "other/4.ts"} <= removed(ledger)


def test_pieces_that_an_engine_of_the_release_before_has_stored_are_found(ledger: Ledger) -> None:
    of_pieces(ledger, "hls/a.m3u8", "hls/1.ts", "other/2.ts")
    ledger.database.run("DELETE FROM piece_folders")
    ledger.database.run("UPDATE piece_indexes SET listed = FALSE")
    ledger.removals.add("hls/1.ts")
    assert removed(ledger) == set()
    assert [*ledger.recordings.pieces.list_folders()] == [1]
    assert [*ledger.recordings.pieces.list_folders()] == []
    ledger.removals.add("other/2.ts")
    assert removed(ledger) == set()


def test_clip_beside_playlists_is_deleted_without_reading_their_pieces(
    ledger: Ledger, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        of_pieces(ledger, f"relay/h_01/{number}.m3u8", f"relay/h_01/{number}_1.ts", f"relay/h_01/{number}_2.ts")
    read: list[str] = []
    monkeypatch.setattr(ledger.recordings.pieces, "get", read.append)
    clip = queue()
    ledger.clips.delete(clip.clip_id)
    assert removed(ledger) == set(clip.keys)
    ledger.removals.add("relay/h_01/3_1a.ts")
    assert len(read) == 1


def test_files_of_a_playlist_that_is_not_read_yet_are_kept(ledger: Ledger, queue: Queue) -> None:
    unread, _ = ledger.recordings.register("relay/h_01/live.m3u8", etag="e", size=1)
    clip = queue()
    ledger.clips.delete(clip.clip_id)
    ledger.removals.add("relay/h_01/seg/1.ts")
    ledger.removals.add("relay/h_02/1.ts")
    assert removed(ledger) == {*clip.keys, "relay/h_02/1.ts"}
    ledger.recordings.delete(unread.recording_id)
    ledger.removals.add("relay/h_01/seg/1.ts")
    assert "relay/h_01/seg/1.ts" in removed(ledger)


def test_files_of_a_cameras_day_that_is_not_read_yet_are_kept(ledger: Ledger) -> None:
    pattern = "{camera}/%Y-%m-%d/%H-%M-%S.mp4"
    for day in ("2026-01-02", "2026-01-03"):
        ledger.recordings.register_folder(FolderSource("cam/", pattern, camera="a", day=day), RecordingSpec())
    for name in ("a/2026-01-02/10-00-00", "a/2026-01-04/10-00-00", "b/2026-01-02/10-00-00", "a/2026-01-02/notes"):
        ledger.removals.add(f"cam/{name}.mp4")
    assert "cam/a/2026-01-02/10-00-00.mp4" not in removed(ledger)
    assert len(removed(ledger)) == 3


def test_object_of_an_upload_is_kept_until_the_upload_ends(ledger: Ledger) -> None:
    key, now = upload_key(new_id("rec"), "talk.mp4"), now_ms()
    begun = PartialObject(new_id("upl"), key, 9, "video/mp4")
    ledger.resumable_uploads.add(ResumableUpload("key", new_id("rec"), "", RecordingSpec(), begun, now, now), most=9)
    ledger.removals.add(key)
    assert removed(ledger) == set()
    claimed = ledger.resumable_uploads.claim(begun.upload_id, "me", since=0)
    file, _ = ledger.recordings.register(key, etag="e", size=9)  # by another request, before its last one
    ledger.resumable_uploads.expire(claimed)
    assert removed(ledger) == set()
    delete(ledger, file)
    assert removed(ledger) == {key}


def test_file_that_replaced_that_of_an_older_recording_is_deleted(ledger: Ledger) -> None:
    ledger.recordings.register("a.mp4", etag="old", size=1)
    newer, _ = ledger.recordings.register("a.mp4", etag="new", size=1)
    delete(ledger, newer)
    assert [each.key for each in ledger.removals.claim("me", limit=9)] == ["a.mp4"]  # also by then


def test_failed_recording_needs_no_object(ledger: Ledger) -> None:
    ledger.recordings.register("a.mp4", etag="e", size=1)
    probe = ledger.recordings.claim_probe("me")
    assert probe is not None
    assert ledger.recordings.probe_failed(probe, EncoderFailed("no"))
    ledger.removals.add("a.mp4")
    assert removed(ledger) == {"a.mp4"}


@pytest.mark.parametrize("looks", [1, 2])
def test_object_that_is_registered_before_its_deletion_is_kept(ledger: Ledger, looks: int) -> None:
    ledger.removals.add("a.mp4", looks=looks)
    ledger.removals.add("b.mp4")
    if looks == 2:
        ledger.removals.deleted(ledger.removals.claim("me", limit=9), again_ms=0)
    else:
        ledger.recordings.register("b.mp4", etag="e", size=1)
    ledger.recordings.register("a.mp4", etag="e", size=1)
    assert ledger.removals.claim("me", limit=1) == []  # the first batch has none to delete
    assert ledger.database.run("SELECT COUNT(*) FROM removals") == [(0,)]


def test_object_that_is_being_deleted_is_not_registered(ledger: Ledger) -> None:
    ledger.removals.add("a.mp4")
    claimed = ledger.removals.claim("me", limit=9)
    with pytest.raises(ObjectMissing, match="is being deleted"):
        ledger.recordings.register("a.mp4", etag="e", size=1)
    ledger.removals.deleted(claimed, again_ms=0)
    ledger.recordings.register("a.mp4", etag="e", size=1)


# Calls that delete objects of a store, or parts of one, and why they need not ask.
_DELETIONS = {
    ("work/jobs/removals.py", "delete_many"): "removals that were claimed",
    ("work/upload_receiver.py", "discard"): "bytes that are no object yet",
    ("work/upload_receiver.py", "forget"): "bytes that are no object yet",
    ("cli/operator/doctor_remote.py", "delete"): "an object that this check has made",
    ("cli/operator/doctor_direct.py", "discard"): "an object that this check has begun",
}
_STORES = {
    ("stores/s3.py", "remove_object"): "the store's `delete`",
    ("stores/s3.py", "delete_batch"): "the store's `delete_many`",
    ("stores/s3_client.py", "remove_objects"): "the store's `delete_many`",
    ("stores/s3_partial.py", "remove_object"): "rests of uploads, in a reserved folder",
}
_CLIENTS = ("cli/remote", "mcp", "client")  # of the API
_NAMES = {"delete", "delete_many", "discard", "forget", "remove_object", "remove_objects", "delete_batch"}


def _deletions() -> Iterator[tuple[str, str]]:
    """Yield the calls in the package whose receiver is a store or a client of one."""
    root = Path(clipengine.__file__).parent
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            name = str(path.relative_to(root))
            if isinstance(node, ast.Attribute) and node.attr in _NAMES and not name.startswith(_CLIENTS):
                receiver = ast.unparse(node.value).rpartition(".")[2].lstrip("_")
                if receiver in ("store", "checked", "minio", "client"):
                    yield name, node.attr


def test_each_deletion_of_an_object_goes_through_the_removals() -> None:
    assert {*_deletions()} == {*_DELETIONS, *_STORES}


def test_each_removal_asks_the_policy() -> None:
    root = Path(clipengine.__file__).parent
    writers = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if any(each in path.read_text() for each in ("RemovalRow.insert", "INTO removals"))
    }
    assert writers == {"ledger/stored_objects/removals.py", "ledger/database/migrations.py"}
    tree = ast.parse((root / "ledger/stored_objects/removals.py").read_text())
    functions = {each.name: ast.unparse(each) for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)}
    assert {name for name, code in functions.items() if "RemovalRow.insert" in code} == {"_insert"}
    assert {name for name, code in functions.items() if "self._insert(" in code} == {"_add"}
    assert "self._needed.without_needed(" in functions["_add"]
    assert {name for name, code in functions.items() if "_removal(row)" in code} == {"_drop_needed"}
    assert "self._needed.without_needed(" in functions["_drop_needed"]


@pytest.mark.exhaustive
def test_questions_of_the_policy_use_indexes_among_500_000_clips(ledger: Ledger, recording: Recording) -> None:
    shared = ledger.database.shared
    ident = "'clip_' || LPAD(CAST(n AS TEXT), 26, '0')" if shared else "'clip_' || PRINTF('%026d', n)"
    columns = "clip_id, recording_id, label, start_seconds, end_seconds, state, object_key, created_at, progress"
    columns += ", profile, priority, metadata, attempt, poster, crashes, next_at"
    values = f"{ident}, '{recording.recording_id}', 'goal', 0, 1, 'complete', 'a/' || {ident} || '.mp4', n, 1"
    values += ", 'default', 0, '{}', 1, TRUE, 0, 1"
    names = "recording_id, state, bucket_path, etag, file_size_bytes, created_at, metadata, attempts, next_at"
    row = "'rec_' || n, 'complete', 'a/' || n || '.mp4', 'e', 1, n, '{}', 0, 1"
    for first in range(1, 500_001, 20_000):
        below = f"WITH RECURSIVE c(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM c WHERE n < {first + 19_999})"
        with ledger.transaction():
            ledger.database.run(f"INSERT INTO clips ({columns}) {below} SELECT {values} FROM c")
            if first < 50_000:
                ledger.database.run(f"INSERT INTO recordings ({names}) {below} SELECT {row} FROM c")
    ledger.database.run("ANALYZE")
    asked: list[tuple[str, tuple[Any, ...]]] = []
    run = ledger.database.run

    def noted(sql: str, params: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        asked.append((sql, params))
        return run(sql, params)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger.database, "run", noted)
        keys = [f"a/clip_{number:026}.mp4" for number in range(1, 300)]
        unwanted = [Unwanted.of(key, FileVersion("e", 1)) for key in [*keys, "a/7.mp4", "gone/b.mp4"]]
        assert [each.key for each in ledger.needed_objects.without_needed(unwanted)] == ["gone/b.mp4"]
    assert len(asked) == 5
    for sql, params in asked:
        if shared:
            plan = [line for (line,) in run(f"EXPLAIN {sql}", params)]
            assert not [line for line in plan if "Seq Scan on clips" in line or "Seq Scan on recordings" in line], plan
        else:
            plan = [row[3] for row in run(f"EXPLAIN QUERY PLAN {sql}", params)]
            assert not [line for line in plan if line.startswith("SCAN") and "unlisted" not in line], plan
