"""The column `spec`: new fields of recordings without a column, and fields that a later version has stored."""

from __future__ import annotations

from clipengine.ledger.database.schema import RecordingRow
from clipengine.ledger.database.spec_column import SpecColumn
from clipengine.ledger.ledger import Ledger
from clipengine.recordings.recording import RecordingSpec

COLUMN = SpecColumn(RecordingRow, ("name", "note", "place"))


def test_fields_without_a_column_are_stored_in_one() -> None:
    stored = COLUMN.columns({"name": "meeting", "note": "loud", "place": None})
    assert stored == {"name": "meeting", "spec": {"note": "loud"}}
    assert COLUMN.fields(stored) == {"name": "meeting", "note": "loud", "spec": {"note": "loud"}}
    assert COLUMN.columns({"name": "meeting"}) == {"name": "meeting", "spec": None}


def test_change_keeps_other_stored_fields_and_null_removes_one() -> None:
    assert COLUMN.columns({"place": "hall"}, {"note": "loud"}) == {"spec": {"note": "loud", "place": "hall"}}
    assert COLUMN.columns({"note": None}, {"note": "loud", "newer": 1}) == {"spec": {"newer": 1}}


def test_field_of_a_later_version_survives_a_change(ledger: Ledger) -> None:
    recording, _ = ledger.recordings.register("a.mp4", RecordingSpec(name="before"), etag="e", size=1)
    of_row = RecordingRow.recording_id == recording.recording_id
    ledger.database.change(RecordingRow.update(spec={"newer": [1]}).where(of_row))
    assert ledger.recordings.get(recording.recording_id) == recording
    assert ledger.recordings.update(recording.recording_id, {"name": "after"}, {}).name == "after"
    assert ledger.database.row(RecordingRow.select().where(of_row))["spec"] == {"newer": [1]}  # type: ignore[index]
