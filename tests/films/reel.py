"""Writer of films: encodes and muxes parts with PyAV and returns the resulting declared content.

Parts are on the recording's timeline; `offset` is added to the container's timestamps. Packets of all streams are
collected, can be edited, and are muxed in dts order.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.films.film import Film, Tags
from tests.films.kept import write_or_copy
from tests.films.parts import AudioPart, VideoPart
from tests.films.picture import draw, to_frame, turned
from tests.films.sound import Samples, sound_from

Packets = list[Any]  # av.Packet is generic over its stream
Edit = Callable[[Packets], Packets]

# Fast settings at which the numbers stay readable.
_CHEAP: dict[str, dict[str, str]] = {
    "libx264": {"preset": "ultrafast", "crf": "26"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:pools=none:frame-threads=1"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "crf": "20", "b": "600k"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "crf": "30", "b": "0"},
    "libsvtav1": {"preset": "10", "crf": "20", "svtav1-params": "lp=1:pred-struct=1"},
    "mjpeg": {"qmin": "3", "qmax": "6"},
    "mpeg4": {"qmin": "2", "qmax": "5"},
    "mpeg2video": {"qmin": "2", "qmax": "5"},
}
os.environ.setdefault("SVT_LOG", "0")  # otherwise the library prints its settings to stderr


def write(
    path: Path,
    form: str,
    *,
    video: Sequence[VideoPart] = (),
    audio: Sequence[AudioPart] = (),
    offset: Fraction = Fraction(0),
    options: Mapping[str, str] | None = None,
    edit: Edit | None = None,
    before: Callable[[Any], Packets] | None = None,
    after: Callable[[Any], Packets] | None = None,
    target: Any = None,
) -> None:
    """Write one file in the format `form`, or several with a muxer of segments.

    `before` and `after` may add streams to the open container, before or after those of the parts, and return their
    packets. `target` is a file object that replaces the path (for output that cannot seek).
    """

    def write_here(path: Path, options: Mapping[str, str]) -> None:
        _write(path, form, video, audio, offset, options, edit, before, after, target)

    if edit or before or after or target:
        write_here(path, options or {})
    else:
        write_or_copy(path, (form, video, audio, offset), options or {}, write_here)


def _write(
    path: Path,
    form: str,
    video: Sequence[VideoPart],
    audio: Sequence[AudioPart],
    offset: Fraction,
    options: Mapping[str, str],
    edit: Edit | None,
    before: Callable[[Any], Packets] | None,
    after: Callable[[Any], Packets] | None,
    target: Any,
) -> None:
    with av.open(target or str(path), "w", format=form, options=dict(options)) as container:
        packets = before(container) if before else []
        pictures = [(_open_video(container, part), part) for part in video]
        tracks = [(_open_audio(container, part), part) for part in audio]
        packets += after(container) if after else []
        for stream, part in pictures:
            packets += _encode_video(stream, part, offset)
            for following in part.then:
                packets += _encode_following(stream, following, offset)
        for stream, track in tracks:
            packets += _encode_audio(stream, track, offset)
        for packet in sorted(edit(packets) if edit else packets, key=lambda p: p.dts * p.time_base):
            container.mux(packet)


def film(
    path: Path,
    *,
    video: Sequence[VideoPart] = (),
    audio: Sequence[AudioPart] = (),
    grid: Fraction = Fraction(0),
    crossings: tuple[Fraction, ...] = (),
    traits: str = "",
) -> Film:
    """Return the content of a file written without edits: that of its parts, frame times rounded to `grid`."""
    part = video[0] if video else None
    sounds = tuple(track.truth() for track in audio)
    ends = [sound.end for sound in sounds]
    frames: tuple[tuple[Fraction, int], ...] = ()
    if part:
        frames = tuple((round(time / grid) * grid if grid else time, number) for time, number in part.frames())
        ends.append(frames[-1][0] + 1 / part.fps)
    return Film(
        name=path.stem,
        path=path,
        frames=frames,
        frame_seconds=_usual_distance(frames, 1 / part.fps) if part else None,
        sounds=sounds,
        duration=max(ends),
        width=part.shown_size[0] if part else 0,
        height=part.shown_size[1] if part else 0,
        sar=(1 / part.sar if part.sideways else part.sar) if part else Fraction(1),
        tags=_tags(part) if part else Tags(),
        grid=grid,
        crossings=crossings,
        traits=frozenset(traits.split()) | ({"sideways"} if part and part.sideways else set()),
    )


def _usual_distance(frames: Sequence[tuple[Fraction, int]], nominal: Fraction) -> Fraction:
    """Return the nominal frame duration; with a variable rate, the most common one."""
    distances = sorted(b - a for (a, _), (b, _) in itertools.pairwise(frames))
    usual = distances[len(distances) // 2]
    return nominal if abs(usual - nominal) <= nominal / 10 else usual


def _tags(part: VideoPart) -> Tags:
    """Return the tags of the part; VP8 and Motion JPEG have one fixed matrix, which their decoders report."""
    return replace(part.tags, matrix=5) if part.codec in ("libvpx", "mjpeg") else part.tags


def _configure(context: Any, part: VideoPart) -> None:
    context.width, context.height, context.pix_fmt = part.width, part.height, part.pix_fmt
    context.time_base, context.gop_size, context.max_b_frames = part.base, part.gop, part.b_frames
    context.framerate = part.fps
    context.thread_count = 1
    context.sample_aspect_ratio = part.sar
    context.color_primaries, context.color_trc = part.tags.primaries, part.tags.transfer
    context.colorspace = part.tags.matrix
    if part.tags.full_range is not None:
        context.color_range = 2 if part.tags.full_range else 1
    if part.codec_tag:
        context.codec_tag = part.codec_tag
    if part.interlaced:
        context.flags |= av.codec.context.Flags.interlaced_dct | av.codec.context.Flags.interlaced_me


def _open_video(container: Any, part: VideoPart) -> Any:
    stream = container.add_stream(part.codec, rate=part.fps, options={**_CHEAP.get(part.codec, {}), **part.options})
    _configure(stream.codec_context, part)
    stream.metadata.update(part.metadata)
    if part.matrix:
        stream.set_display_matrix(part.matrix)
    return stream


def _encode_video(encoder: Any, part: VideoPart, offset: Fraction) -> Packets:
    packets: Packets = []
    lengths: dict[Any, int] = {}
    ends = (*part.times[1:], part.end or part.times[-1] + 1 / part.fps)
    for index, (time, end) in enumerate(zip(part.times, ends, strict=True)):
        picture = turned(draw(part.first_number + index, *part.shown_size), part.shown_as)
        frame = to_frame(np.ascontiguousarray(picture), part.pix_fmt, full_range=part.full_range)
        frame.pts, frame.time_base = round((time + offset) / part.base), part.base
        lengths[frame.pts] = round((end - time) / part.base)
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    for packet in packets:  # not every encoder passes durations through
        packet.duration = lengths.get(packet.pts, packet.duration)
    return packets


def _encode_following(stream: Any, part: VideoPart, offset: Fraction) -> Packets:
    """Encode a part with a separate encoder, parameter sets in the packets, for the stream of the first part."""
    encoder = av.CodecContext.create(part.codec, "w")
    encoder.options = {**_CHEAP.get(part.codec, {}), **part.options}
    _configure(encoder, part)
    packets = _encode_video(encoder, part, offset)
    for packet in packets:
        packet.stream = stream
    return packets


def _open_audio(container: Any, part: AudioPart) -> Any:
    stream = container.add_stream(part.codec, rate=part.rate, layout=part.layout)
    stream.codec_context.time_base = Fraction(1, part.rate)
    if part.codec != "flac" and not part.codec.startswith("pcm"):
        stream.codec_context.bit_rate = part.bit_rate
    if part.language:
        stream.metadata["language"] = part.language
    return stream


def _encode_audio(stream: Any, part: AudioPart, offset: Fraction) -> Packets:
    """Encode without gaps, then move the packets to their presentation times."""
    moves, packets, total = part.moves(), [], part.count
    borders = [0, *(at for at, _ in moves), total]
    pieces = [
        sound_from(part.seed, part.rate, part.time_of(a) + part.lead, b - a) for a, b in itertools.pairwise(borders)
    ]
    samples = np.concatenate(pieces)
    for first in range(0, total, part.frame_samples):
        piece = samples[first : first + part.frame_samples]
        packets += stream.encode(_audio_frame(piece, first, part, stream.codec_context.format.name))
    packets += stream.encode(None)
    for packet in packets:
        at = round(packet.pts * packet.time_base * part.rate)
        moved = part.start + offset + sum(length for border, length in moves if at >= border)
        packet.pts = packet.dts = packet.pts + round(moved / packet.time_base)
    return packets


def _audio_frame(piece: Samples, first: int, part: AudioPart, sample_format: str) -> Any:
    """Put the same audio on every channel at falling levels, so that the first is enough to read; none on LFE."""
    levels = np.array([1.0, 0.7, 0.6, 0.0, 0.5, 0.4][: part.channels], np.float32)
    block: Any = piece[None, :] * levels[:, None]
    if sample_format.startswith("s16"):
        block = np.rint(block * 32767).astype(np.int16)
    elif sample_format.startswith("s32"):
        block = np.rint(block * (2**31 - 1)).astype(np.int32)
    if not sample_format.endswith("p"):
        block = block.T.reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format=sample_format, layout=part.layout)
    frame.sample_rate, frame.pts, frame.time_base = part.rate, first, Fraction(1, part.rate)
    return frame
