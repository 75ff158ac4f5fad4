"""Streams that are copied in part: the methods that smart render needs for each codec."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from clipengine.media.bitstream.h264_stream import H264Stream
from clipengine.media.bitstream.hevc_stream import HevcStream
from clipengine.media.bitstream.packets import CopiedPacket
from clipengine.media.bitstream.vp8_frames import read_vp8_packet
from clipengine.media.bitstream.vp9_frames import read_vp9_packet
from clipengine.media.bitstream.vpx_stream import VpxStream


class Rewriter(Protocol):
    """Rewrites the packets of an encoder for the stream of a recording.

    `extradata` is the decoder configuration of the clip. It is the same for all encoders of one clip.
    """

    extradata: bytes

    def rewritten(self, packet: bytes, *, number: int, keyframe_id: int) -> bytes:
        """Return the packet, frame `number` since the encoder's keyframe. Raises BitstreamError.

        One of `keyframe_id` and the id of the next copied keyframe is even, the other is odd.
        """


class CopiedStream(Protocol):
    """The stream of a recording. All methods raise BitstreamError.

    `stated_reordering` is the number of frames by which packets are decoded earlier than they are shown, None if it is
    not stated, and `most_reordering` its limit. `coded_size` is the size of the frames to encode, None if it is the
    shown size: players crop larger frames to the shown size. Packets of two streams with equal `parameters` can follow
    each other.
    """

    @property
    def stated_reordering(self) -> int | None: ...
    @property
    def most_reordering(self) -> int: ...
    @property
    def coded_size(self) -> tuple[int, int] | None: ...
    @property
    def parameters(self) -> tuple[object, ...]: ...

    def starts_gop(self, packet: bytes) -> bool:
        """Return True if nothing after the packet and its leading ones needs anything before it."""

    def is_leading(self, packet: bytes) -> bool:
        """Return True if the packet may need packets before its keyframe, and is shown before the keyframe."""

    def check_sets(self, packet: bytes) -> None:
        """Raise BitstreamError if the packet has a parameter set that the stream does not have."""

    def has_all_sets(self, packet: bytes) -> bool:
        """Return True if the packet has all parameter sets of the stream, so that earlier ones do not matter."""

    def lasting(self, packet: bytes) -> dict[int, int]:
        """Return a checksum of each message in the packet that acts on later frames too, 0 for no message."""

    def copied(self, packet: bytes, *, first: bool = False) -> CopiedPacket:
        """Return the packet for a file. Leading packets after the `first` one are not copied."""

    def renumbered(self, packet: bytes, keyframe_id: int) -> CopiedPacket | None:
        """Return a copied keyframe with another id, or None if the codec has none.

        Of adjacent keyframes with one id, a decoder may take the second for a piece of the first.
        """

    def rewriter(self, encoder_extradata: bytes) -> Rewriter:
        """Return the rewriter for an encoder with this extradata."""


class StreamParameters(NamedTuple):
    """Parameters of the video stream from the recording's container."""

    extradata: bytes
    width: int
    height: int


_STREAMS: dict[str, Callable[[StreamParameters], CopiedStream]] = {
    "h264": lambda given: H264Stream(given.extradata),
    "hevc": lambda given: HevcStream(given.extradata),
    "vp8": lambda given: VpxStream(read_vp8_packet, given.width, given.height),
    "vp9": lambda given: VpxStream(read_vp9_packet, given.width, given.height),
}


def copied_stream(codec: str, given: StreamParameters) -> CopiedStream:
    """Return the stream. Raises BitstreamError if frames cannot be encoded to fit it."""
    return _STREAMS[codec](given)
