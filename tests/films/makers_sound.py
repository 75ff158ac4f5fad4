"""Films about audio: late, ending early, with gaps, many tracks, audio only, none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av

from tests.films.film import Film
from tests.films.parts import AudioPart, VideoPart, every
from tests.films.reel import Edit, Packets, film, write
from tests.films.registry import makes

_MS = Fraction(1, 1000)
_90K = Fraction(1, 90000)
_F = Fraction


def _with(path: Path, form: str, audio: Sequence[AudioPart], *, grid: Fraction = _F(0), seconds: int = 6) -> Film:
    codec = "libvpx" if form == "webm" else "libx264"
    video = VideoPart(every(25, seconds), _F(25), codec=codec, gop=50)
    write(path, form, video=[video], audio=audio)
    return film(path, video=[video], audio=audio, grid=grid)


@makes("mp4")
def audio_late_mp4(path: Path) -> Film:
    """Audio starts 1.7 s late, by an empty edit."""
    return _with(path, "mp4", [AudioPart(start=_F(17, 10), seconds=_F(42, 10))])


@makes("webm")
def audio_late_webm(path: Path) -> Film:
    """Audio starts 1.7 s late in WebM."""
    return _with(path, "webm", [AudioPart(start=_F(17, 10), seconds=_F(42, 10), codec="libopus")], grid=_MS)


@makes("ts")
def audio_late_ts(path: Path) -> Film:
    """Audio starts 1.7 s late in MPEG-TS."""
    return _with(path, "mpegts", [AudioPart(start=_F(17, 10), seconds=_F(42, 10))], grid=_90K)


@makes("mp4")
def audio_ends_early(path: Path) -> Film:
    """Audio ends two seconds before video."""
    return _with(path, "mp4", [AudioPart(seconds=_F(4))])


@makes("mp4")
def audio_longer(path: Path) -> Film:
    """Audio continues for 1.6 s after the last frame."""
    return _with(path, "mp4", [AudioPart(seconds=_F(1024 * 356, 48000))])


@makes("mp4")
def audio_gap_mp4(path: Path) -> Film:
    """Half a second without audio packets."""
    return _with(path, "mp4", [AudioPart(seconds=_F(54, 10), gaps=((_F(23, 10), _F(28, 10)),))])


@makes("mkv")
def audio_gap_mkv(path: Path) -> Film:
    """Two gaps of half a second in Matroska."""
    gaps = ((_F(15, 10), _F(20, 10)), (_F(36, 10), _F(41, 10)))
    return _with(path, "matroska", [AudioPart(seconds=_F(49, 10), gaps=gaps)], grid=_MS)


@makes("webm")
def audio_gap_webm(path: Path) -> Film:
    """Half a second without packets of Opus."""
    audio = AudioPart(seconds=_F(54, 10), codec="libopus", gaps=((_F(23, 10), _F(28, 10)),))
    return _with(path, "webm", [audio], grid=_MS)


@makes("flv")
def audio_gaps_flv(path: Path) -> Film:
    """Nellymoser in FLV: silence is not sent, which leaves a short gap and a long one."""
    gaps = ((_F(15, 10), _F(16, 10)), (_F(36, 10), _F(41, 10)))
    audio = AudioPart(
        codec="nellymoser", rate=44100, layout="mono", start=_F(256, 44100), seconds=_F(5), gaps=gaps, bit_rate=88_200
    )
    video = VideoPart(every(25, 6), _F(25), gop=50)
    write(path, "flv", video=[video], audio=[audio])
    # Packets of 5.8 ms are stamped in whole milliseconds, so that they overlap or leave gaps.
    return film(path, video=[video], audio=[audio], grid=_MS, traits="loose_sound")


@makes("ts")
def audio_gap_ts(path: Path) -> Film:
    """Half a second without audio packets in MPEG-TS, the codec delay presented as audio."""
    audio = AudioPart(start=_F(1024, 48000), seconds=_F(54, 10), gaps=((_F(23, 10), _F(28, 10)),))
    return _with(path, "mpegts", [audio], grid=_90K)


def _lose(*numbers: int) -> Edit:
    """Drop single audio packets, counted from 0 (the first is the codec delay)."""

    def edit(packets: Packets) -> Packets:
        sound = [p for p in packets if p.stream.type == "audio"]
        lost = {id(sound[number]) for number in numbers}
        return [p for p in packets if id(p) not in lost]

    return edit


@makes("mkv")
def audio_lost_packets(path: Path) -> Film:
    """About one in fifty audio packets is lost."""
    audio = AudioPart()
    lost = (31, 83, 140, 207)
    video = VideoPart(every(25, 6), _F(25), gop=50)
    write(path, "matroska", video=[video], audio=[audio], edit=_lose(*lost))
    made = film(path, video=[video], audio=[audio], grid=_MS)
    packet = _F(1024, 48000)
    doubtful = tuple(((n - 1) * packet - _MS, (n + 1) * packet + _MS) for n in lost)
    return replace(made, sounds=(replace(made.sounds[0], doubtful=doubtful),))


@makes("mp4")
def audio_44100_mono(path: Path) -> Film:
    """44.1 kHz, one channel."""
    return _with(path, "mp4", [AudioPart(rate=44100, layout="mono", bit_rate=64_000)])


@makes("mp4")
def audio_51(path: Path) -> Film:
    """5.1 AAC."""
    return _with(path, "mp4", [AudioPart(layout="5.1", bit_rate=256_000)])


@makes("mkv")
def audio_ac3_51(path: Path) -> Film:
    """5.1 AC-3 at 48 kHz in Matroska, its delay presented as audio."""
    audio = AudioPart(start=_F(256, 48000), codec="ac3", layout="5.1", bit_rate=384_000)
    return _with(path, "matroska", [audio], grid=_MS)


@makes("mp4")
def audio_three_tracks(path: Path) -> Film:
    """Three tracks in three languages: stereo, late mono at 44.1 kHz, one that ends early."""
    tracks = [
        AudioPart(seed=1, language="eng"),
        AudioPart(seed=2, language="deu", rate=44100, layout="mono", start=_F(1, 2), seconds=_F(5)),
        AudioPart(seed=3, language="fra", seconds=_F(3)),
    ]
    return _with(path, "mp4", tracks)


@makes("mp4")
def video_only_mp4(path: Path) -> Film:
    """No audio."""
    return _with(path, "mp4", [])


@makes("webm")
def video_only_webm(path: Path) -> Film:
    """No audio, VP8."""
    return _with(path, "webm", [], grid=_MS)


def _alone(path: Path, form: str, audio: AudioPart) -> Film:
    write(path, form, audio=[audio])
    return film(path, audio=[audio], traits="audio_only")


@makes("m4a")
def audio_only_m4a(path: Path) -> Film:
    """AAC only."""
    return _alone(path, "ipod", AudioPart(seconds=_F(1024 * 281, 48000)))


@makes("ogg")
def audio_only_opus(path: Path) -> Film:
    """Opus only, in Ogg."""
    return _alone(path, "ogg", AudioPart(codec="libopus", seconds=_F(6)))


@makes("mp3")
def audio_only_mp3(path: Path) -> Film:
    """MP3 only, 44.1 kHz."""
    return _alone(path, "mp3", AudioPart(codec="libmp3lame", rate=44100, seconds=_F(6), bit_rate=128_000))


@makes("flac")
def audio_only_flac(path: Path) -> Film:
    """FLAC only, 44.1 kHz mono."""
    return _alone(path, "flac", AudioPart(codec="flac", rate=44100, layout="mono", seconds=_F(6)))


@makes("wav")
def audio_only_wav(path: Path) -> Film:
    """PCM only, 16 kHz mono."""
    return _alone(path, "wav", AudioPart(codec="pcm_s16le", rate=16000, layout="mono", seconds=_F(6)))


@makes("wav")
def audio_only_mulaw(path: Path) -> Film:
    """Telephone audio: mu-law, 8 kHz, mono."""
    return _alone(path, "wav", AudioPart(codec="pcm_mulaw", rate=8000, layout="mono", seconds=_F(6)))


def _joined(count: int) -> Edit:
    """Join every `count` audio packets into one."""

    def edit(packets: Packets) -> Packets:
        sound = [p for p in packets if p.stream.type == "audio"]
        joined = []
        for first in range(0, len(sound), count):
            group = sound[first : first + count]
            packet = av.Packet(b"".join(map(bytes, group)))
            packet.stream, packet.time_base = group[0].stream, group[0].time_base
            packet.pts = packet.dts = group[0].pts
            packet.duration, packet.is_keyframe = sum(p.duration for p in group), True
            joined.append(packet)
        return [p for p in packets if p.stream.type != "audio"] + joined

    return edit


@makes("avi")
def audio_pcm_in_seconds(path: Path) -> Film:
    """PCM in AVI with chunks of one second."""
    audio = AudioPart(codec="pcm_s16le", seconds=_F(58, 10))
    video = VideoPart(every(25, 6), _F(25), codec="mjpeg", pix_fmt="yuvj420p", time_base=_F(1, 25))
    write(path, "avi", video=[video], audio=[audio], edit=_joined(47))
    return film(path, video=[video], audio=[audio])
