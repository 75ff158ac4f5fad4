"""Damage in the range of a clip: data that did not decode, and how much of it a clip may contain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from clipengine.clips.warnings import warning
from clipengine.errors import RecordingUnreadable

# Damaged frames are skipped with a warning, unless they are more than nine tenths of the range.
_MAX_LOST_PER_DECODED = 9
_LISTED_GAPS = 5


@dataclass
class Damage:
    """Number of damaged packets that were read, and of frames in the range."""

    packets: int = 0
    lost_frames: int = 0
    decoded_frames: int = 0
    concealed_frames: int = 0  # decoded with errors
    repeated_frames: int = 0  # left out, because their times were already shown
    repeated_after: Fraction | None = None  # recording time of the frame before the first of them
    copied_packets: int = 0  # damaged, in a clip with copied packets
    copied_gaps: list[Fraction] = field(default_factory=list)  # clip times of copied packets before which some miss

    def add_repeated(self, after: Fraction) -> None:
        """Count a frame that is left out after the frame at a recording time."""
        self.repeated_frames += 1
        if self.repeated_after is None:
            self.repeated_after = after

    def check(self) -> None:
        """Raise RecordingUnreadable if too little of the range was decoded."""
        lost, decoded, concealed = self.lost_frames, self.decoded_frames, self.concealed_frames
        if lost > _MAX_LOST_PER_DECODED * decoded:
            raise RecordingUnreadable(f"{lost} frames of the range are damaged or encrypted, {decoded} can be decoded")
        if concealed * 2 > decoded:
            raise RecordingUnreadable(f"{concealed} of the range's {decoded} frames decode with errors")

    def warnings(self) -> Iterator[str]:
        if self.packets:
            yield warning("packets_damaged", f"{self.packets} damaged packets were skipped")
        if self.repeated_after is not None:
            frames = f"{self.repeated_frames} frame{'' if self.repeated_frames == 1 else 's'}"
            text = f"timestamps go back after {float(self.repeated_after):.2f} s of the recording: {frames} left out"
            yield warning("timestamps_repeated", text)
        if self.copied_packets:
            text = f"{self.copied_packets} damaged packets were copied as the recording has them"
            yield warning("packets_damaged", text)
        if self.copied_gaps:
            listed = ", ".join(f"{float(time):.2f}" for time in self.copied_gaps[:_LISTED_GAPS])
            more = len(self.copied_gaps) - _LISTED_GAPS
            also = f" and {more} more times" if more > 0 else ""
            yield warning("packets_damaged", f"frames are missing before {listed} s{also}, as in the recording")
        if self.concealed_frames:
            text = f"{self.concealed_frames} frames decode with errors, which the decoder concealed"
            yield warning("errors_concealed", text)
