"""Survey of the segments that smart render copies, from all packets of a range.

Only the first copied frame is decoded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from clipengine.clips.plan.segments import MAX_SEGMENTS, Segment
from clipengine.media.input.containers.kept_source import KeptBytes
from clipengine.media.input.copying.copied_tail import CopiedTail
from clipengine.media.input.copying.packet_copier import PacketCopier
from clipengine.media.input.timing.packet_timestamps import TimedPacket


class RangeTooLarge(Exception):
    """The packets of a range have more bytes than may be kept."""


class CopySurvey(PacketCopier):
    """Follows the packets of a clip as they are copied. Call `begin` and `plan` first, and set the clip's `origin`.

    It raises RangeTooLarge when the allowance `kept` is spent.
    """

    origin = Fraction(0)
    copied_bytes = 0
    kept: KeptBytes | None = None

    def _packets(self) -> Iterator[TimedPacket]:
        for timed in super()._packets():
            if self.kept is not None and self.kept.is_spent:
                raise RangeTooLarge
            yield timed

    @property
    def _origin(self) -> Fraction:
        return self.origin

    def segments(self) -> tuple[Segment, ...]:
        """Return all segments of the clip, and note the `refused` stretches. Raises CannotCopy."""
        head = self.plan()
        found, copied_from, refused = [*head[:-1]], head[-1].start, self._gops.refused_gop
        for _ in self._gops.head():
            pass
        self._begin_encoded(refused)
        self._gops.proven(self._copied.reordered_frames)
        while True:
            tail = self._follow()
            refused = self._gops.refused_gop
            if refused is None:
                wanted = tail.wanted(self.last_time)
                return self._joined([*found, *_split(copied_from, min(wanted, default=None), self._cut.end)])
            end = self._next_copied(*refused)
            found += _split(copied_from, refused[0], refused[0] if end is None else end)
            if end is None:
                return self._joined([*found, Segment("encode", refused[0], self._cut.end)])
            for _ in self._gops.head():
                pass
            self._gops.proven(self._copied.reordered_frames)
            copied_from = end

    def _follow(self) -> CopiedTail:
        """Read the packets up to the first GOP that cannot be copied."""
        tail = CopiedTail(self._cut, self._copied.reordered_frames)
        for timed, copied in self._gops.copied():
            if not timed.is_video:
                continue
            if copied is None:
                tail.add_after(timed)
                continue
            self._add_copied(timed, copied, tail)
            self.copied_bytes += len(copied.data)
        return tail

    @staticmethod
    def _joined(segments: list[Segment]) -> tuple[Segment, ...]:
        joined: list[Segment] = []
        for each in segments:
            if joined and joined[-1].kind == each.kind:
                joined[-1] = replace(joined[-1], end=each.end)
            elif each.start < each.end:
                joined.append(each)
        if len(joined) > MAX_SEGMENTS:  # the others count as encoded
            joined[MAX_SEGMENTS - 1 :] = [Segment("encode", joined[MAX_SEGMENTS - 1].start, joined[-1].end)]
        return tuple(joined)


def _split(start: Fraction, until: Fraction | None, end: Fraction) -> list[Segment]:
    """Return the segment that is copied from `start` until the time from which on frames are encoded."""
    if until is None:
        return [Segment("copy", start, end)]
    return [Segment("copy", start, until), Segment("encode", until, end)]
