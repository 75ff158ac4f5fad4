"""Exactness of a clip of any recording: its frames and audio compared with the slow reference (`reference`).

Frames are compared as coarse luma: each must match its own frame of the reference and, where there is motion, none of
the neighbours. Audio is located by correlation.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from tests.films.mp4_bytes import lengths
from tests.films.reference import Luma, Reference, Wanted
from tests.films.sound import Samples

_MS = Fraction(1, 1000)
_SOUND_TOLERANCE = 0.003  # seconds
_SEARCH = Fraction(1, 10)  # search range for audio to both sides
_WINDOW = Fraction(2, 5)
_SHORTEST_WINDOW = Fraction(1, 20)
_LOW_HZ = 4000
_QUIET = 0.002  # root mean square below which audio counts as silence
_ALIKE = 0.035  # root mean square of the difference of two frames, relative to the range from black to white
_ALIKE_HDR = 0.06  # tone mapping also depends on colours
_SAME = 0.004


def faults_of(
    reference: Reference, clip: Reference, start: Fraction, end: Fraction, *, sound: bool = True
) -> list[str]:
    """Return every deviation of the decoded clip from the range of the recording; empty if there is none.

    Without `sound` only presence and length of the audio are checked.
    """
    answers = []
    for wanted in reference.clip(start, end):
        faults = _frame_faults(reference, clip, wanted) + _length_faults(reference, clip, wanted)
        faults += _sound_faults(reference, clip, wanted, located=sound)
        if wanted.frames and clip.frames:
            faults += _shape_faults(reference, clip, wanted.frames[0][1])
        answers.append(faults)
    return min(answers, key=len)


def _frame_faults(reference: Reference, clip: Reference, wanted: Wanted) -> list[str]:
    few, many = len(wanted.frames) - wanted.doubtful, len(wanted.frames)
    if not few <= len(clip.frames) <= many:
        return [f"{len(clip.frames)} frames, must be {few}" + (f" to {many}" if many > few else "")]
    faults = []
    pairs = list(zip(clip.frames, wanted.frames, strict=False))
    off = [(float(shown.time - time) * 1000, float(time)) for shown, (time, _) in pairs if abs(shown.time - time) > _MS]
    if off:
        faults.append(f"{len(off)} frames off their time, the first at {off[0][1]:.3f} by {off[0][0]:+.1f} ms")
    wrong = []
    for shown, (time, index) in pairs:
        own = reference.frames[index]
        mine = _difference(shown.luma, own.luma, hdr=own.hdr)
        better = _better_neighbour(reference, shown.luma, index, mine)
        if mine > (_ALIKE_HDR if own.hdr else _ALIKE) or better is not None:
            wrong.append(f"at {float(time):.3f} differs by {mine:.3f}" + (f", like {better:+d}" if better else ""))
    if wrong:
        faults.append(f"{len(wrong)} of {len(pairs)} pictures are not theirs: {'; '.join(wrong[:3])}")
    return faults


def _better_neighbour(reference: Reference, luma: Luma, index: int, mine: float) -> int | None:
    """Return the neighbour (-2 to 2) that the frame matches clearly better than its own."""
    own = reference.frames[index]
    for step in (-1, 1, -2, 2):
        if 0 <= index + step < len(reference.frames):
            other = reference.frames[index + step]
            moved = _difference(other.luma, own.luma, hdr=False)
            if moved > _SAME and _difference(luma, other.luma, hdr=own.hdr) < mine - moved / 3:
                return step
    return None


def _difference(luma: Luma, other: Luma, *, hdr: bool) -> float:
    """Return the root mean square difference; for tone-mapped HDR after fitting the best curve of levels."""
    if hdr:
        with np.errstate(all="ignore"):
            curve = np.polynomial.Polynomial.fit(other.ravel(), luma.ravel(), 4)
        other = np.asarray(curve(other), np.float32)
    return float(np.sqrt(np.mean((luma - other) ** 2)))


def _length_faults(reference: Reference, clip: Reference, wanted: Wanted) -> list[str]:
    """Check the length of movie and video; with reordering, only the index has the duration of the last frame.

    Matroska has no such index.
    """
    if clip.path.suffix in (".webm", ".mkv"):
        return []
    movie, tracks = lengths(clip.path)
    slack = max(reference.frame_seconds / 2, _MS * 2) if clip.frames else reference.packet_seconds + _MS
    faults = []
    if abs(movie - wanted.length) > slack:
        faults.append(f"length {float(movie):.3f}, must be {float(wanted.length):.3f}")
    if clip.frames:
        last = reference.frames[-1].time + (reference.last_frame_seconds or reference.frame_seconds)
        shortest = min(wanted.length, last - wanted.origin)
        if not shortest - slack <= tracks[0] <= wanted.length + slack:
            faults.append(f"the picture ends at {float(tracks[0]):.3f}, must at {float(shortest):.3f}")
    return faults


def _sound_faults(reference: Reference, clip: Reference, wanted: Wanted, *, located: bool) -> list[str]:
    if len(clip.tracks) != len(reference.tracks):
        return [f"{len(clip.tracks)} audio tracks, must be {len(reference.tracks)}"]
    faults = []
    for number, (now, was) in enumerate(zip(clip.tracks, reference.tracks, strict=True)):
        window, slack = min(_WINDOW, wanted.length), reference.packet_seconds + 2 * _MS
        # Decoded audio ends with a packet; the index has the position in it.
        if not -2 * _MS <= now.end - wanted.length <= Fraction(1024, now.rate) + slack:
            faults.append(f"track {number} ends at {float(now.end):.3f}, must at {float(wanted.length):.3f}")
        if window < _SHORTEST_WINDOW or not located:
            continue
        for place, at in (("head", Fraction(0)), ("middle", (wanted.length - window) / 2), ("tail", wanted.length)):
            at = min(at, wanted.length - window)
            heard = now.between(at, at + window)
            low = at + wanted.origin
            around = _at_rate(was.between(low - _SEARCH, low + window + _SEARCH), was.rate, now.rate)
            fault = _sound_fault(heard, around, now.rate)
            if fault:
                faults.append(f"track {number}: sound at the {place} ({float(at):.3f}) {fault}")
    return faults


def _sound_fault(heard: Samples, around: Samples, rate: int) -> str | None:
    """Return what is wrong with a piece of audio that must be in the middle of `around`, or None."""
    margin = (around.size - heard.size) // 2
    meant = around[margin : margin + heard.size]
    loud, meant_loud = (float(np.sqrt(np.mean(piece**2))) if piece.size else 0.0 for piece in (heard, meant))
    if meant_loud < _QUIET:
        return f"is at level {loud:.4f}, must be silence" if loud > _QUIET * 3 else None
    if loud < meant_loud / 8:
        return f"is missing (level {loud:.4f}, must be {meant_loud:.4f})"
    likeness = _correlation(_low(around, rate), _low(heard, rate))
    near = likeness[max(0, margin - round(_SOUND_TOLERANCE * rate)) : margin + round(_SOUND_TOLERANCE * rate) + 1]
    best = int(np.argmax(likeness))
    # A hum correlates in many places: one match within the tolerance that is as good as any is enough.
    if near.max() >= likeness[best] - 0.02 and near.max() > 0.6:
        return None
    return (
        f"is {(best - margin) / rate * 1000:+.1f} ms off (likeness {near.max():.2f} here, {likeness[best]:.2f} there)"
    )


def _correlation(around: Samples, piece: Samples) -> Samples:
    """Return the correlation of the piece at each position of `around`, at most 1."""
    size = 1 << (around.size + piece.size).bit_length()
    product = np.fft.irfft(np.fft.rfft(around, size) * np.conj(np.fft.rfft(piece, size)), size)
    product = product[: around.size - piece.size + 1]
    sums = np.concatenate(([0.0], np.cumsum(around.astype(np.float64) ** 2)))
    energies = np.sqrt(np.maximum(sums[piece.size :] - sums[: -piece.size], 1e-9))[: product.size]
    result: Samples = (product / (energies * max(float(np.sqrt(np.sum(piece**2))), 1e-9))).astype(np.float32)
    return result


def _low(samples: Samples, rate: int) -> Samples:
    """Return audio below 4 kHz: above, codecs may replace noise by synthetic noise."""
    spectrum = np.fft.rfft(samples)
    spectrum[np.fft.rfftfreq(samples.size, 1 / rate) > _LOW_HZ] = 0
    kept: Samples = np.fft.irfft(spectrum, samples.size).astype(np.float32)
    return kept


def _at_rate(samples: Samples, rate: int, wanted: int) -> Samples:
    """Resample; AAC supports only its listed rates."""
    if rate == wanted or not samples.size:
        return samples
    count = samples.size * wanted // rate
    places = np.arange(count) * (rate / wanted)
    moved: Samples = np.interp(places, np.arange(samples.size), samples).astype(np.float32)
    return moved


def _shape_faults(reference: Reference, clip: Reference, first: int) -> list[str]:
    faults = []
    width, height = (max(2, size + size % 2) for size in reference.frames[first].size)
    if clip.frames[0].size != (width, height):
        faults.append(f"size {clip.frames[0].size}, must be {(width, height)}")
    if abs(clip.sample_aspect_ratio / reference.sample_aspect_ratio - 1) > Fraction(1, 100):
        faults.append(f"SAR {clip.sample_aspect_ratio}, was {reference.sample_aspect_ratio}")
    return faults
