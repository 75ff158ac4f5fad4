"""The requests for clips that a rule makes of a recording. Pure.

The dry run of a rule shows them and the engine makes clips of them, so that both are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from clipengine.basis.moments import rfc3339
from clipengine.recordings.recording import Recording
from clipengine.rules.labels import label_of, values_of
from clipengine.rules.ranges import MIN_SECONDS, Material, Range, Skipped, ranges_of, zone_of
from clipengine.rules.rule import RuleSpec, contains_one

PRIORITY = -10  # clips of people come first
OWN_OPTIONS = ("expires_in_days", "share")  # of a rule's `clip`, which a request for a clip lacks
DAY_MS = 24 * 3600 * 1000

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Expansion:
    """The bodies of `POST /v1/recordings/{recording_id}/clips`, in order, and what the rule leaves out."""

    bodies: tuple[Body, ...]
    skipped: tuple[Skipped, ...] = ()
    left_out: int = 0  # ranges beyond `max_clips`


def expand(spec: RuleSpec, material: Material, *, shortest: float, longest: float) -> Expansion:
    """Return the requests for clips of a recording, of `shortest` to `longest` seconds each.

    A rule that acts on each marker makes the same clip of it, whichever others the recording has.
    """
    if spec.when.event != "marker.added" or len(material.markers) < 2:
        return _expand(spec, material, shortest, longest)
    wanted = [each for each in material.markers if contains_one(each.label, spec.ranges.labels)]
    chosen = wanted[: spec.max_clips]
    found = [_expand(spec, replace(material, markers=[each]), shortest, longest) for each in chosen]
    return Expansion(
        tuple(body for each in found for body in each.bodies),
        tuple(skipped for each in found for skipped in each.skipped),
        len(wanted) - len(chosen),
    )


def _expand(spec: RuleSpec, material: Material, shortest: float, longest: float) -> Expansion:
    found, recording = ranges_of(spec.ranges, material), material.recording
    if isinstance(found, Skipped):
        return Expansion((), (found,))
    chosen, skipped = found[: spec.max_clips], []
    bodies = []
    for number, each in enumerate(chosen, 1):
        if (problem := _problem(each, max(shortest, MIN_SECONDS), longest)) is not None:
            skipped.append(problem)
        else:
            bodies.append(_body(spec, recording, each, number))
    return Expansion(tuple(bodies), tuple(skipped), len(found) - len(chosen))


def without_range(spec: RuleSpec) -> dict[str, Any]:
    """Return the options of the rule's clips, without label, range and expiry."""
    return {name: value for name, value in spec.clip.items() if name not in (*OWN_OPTIONS, "label")}


def _problem(each: Range, shortest: float, longest: float) -> Skipped | None:
    seconds = each.end - each.start
    place = f"the range from {each.start:g} to {each.end:g} s"
    if seconds < shortest:
        return Skipped("too_short", f"{place} is shorter than {shortest:g} s")
    if seconds > longest:
        return Skipped("too_long", f"{place} is longer than {longest:g} s")
    return None


def _body(spec: RuleSpec, recording: Recording, each: Range, number: int) -> Body:
    values = values_of(recording, zone_of(spec.ranges, recording), each.start)
    values |= {"number": str(number), "title": each.title}
    if each.hour:
        values["hour"] = each.hour
    body: dict[str, Any] = {
        "label": label_of(spec.clip["label"], values),
        "start_seconds": each.start,
        "end_seconds": each.end,
        **without_range(spec),
        "priority": PRIORITY,
    }
    if recording.state == "recording":
        body["on_timeout"] = "clamp"  # the recording may end before the clip does
    if (days := spec.clip.get("expires_in_days")) is not None:
        # Counted from the end of the recording, so that each expansion gives the same bodies.
        body["expires_at"] = rfc3339((recording.completed_at or recording.created_at) + round(days * DAY_MS))
    return body
