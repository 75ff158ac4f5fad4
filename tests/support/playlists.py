"""Recordings of many files: films written as HLS playlists, whole or with parts replaced."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av

from tests.films.film import Film
from tests.films.parts import AudioPart, VideoPart, every
from tests.films.reel import film, write
from tests.films.ts_bytes import renumber
from tests.support.ffmpeg import run_ffmpeg

SECONDS = 12
DELAY = Fraction(1024, 48000)  # AAC in MPEG-TS cannot declare its priming
_90K = Fraction(1, 90000)
VIDEO = VideoPart(every(25, SECONDS), Fraction(25), gop=50, b_frames=2, options={"x264-params": "scenecut=0"})
AUDIO = AudioPart(start=DELAY, seconds=Fraction(SECONDS) - Fraction(1, 10))
_OPTIONS = {"hls_time": "2", "hls_playlist_type": "vod"}


def ts_playlist(
    path: Path,
    *,
    video: VideoPart = VIDEO,
    audio: AudioPart = AUDIO,
    offset: Fraction = Fraction(0),
    options: Mapping[str, str] | None = None,
) -> Film:
    """Write a media playlist of MPEG-TS segments, and return the film that it must read as."""
    path.parent.mkdir(parents=True, exist_ok=True)
    segments = {"hls_segment_filename": str(path.with_name(f"{path.stem}%03d.ts"))}
    write(path, "hls", video=[video], audio=[audio], offset=offset, options={**_OPTIONS, **segments, **(options or {})})
    return film(path, video=[video], audio=[audio], grid=_90K)


def fmp4_playlist(path: Path, *, video: VideoPart = VIDEO, options: Mapping[str, str] | None = None) -> Film:
    """Write a media playlist of fragmented MP4 segments, and return the film that it must read as."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {**_OPTIONS, "hls_segment_type": "fmp4", **(options or {})}
    write(path, "hls", video=[video], audio=[AUDIO], options=options)
    return film(path, video=[video], audio=[AUDIO], grid=Fraction(1, 1000))


def separate_audio(path: Path) -> Film:
    """Write a master playlist with the video of a film in one playlist and its audio in another."""
    whole = fmp4_playlist(path.with_name("whole.m3u8"))
    for kind in ("video", "audio"):
        _copy(whole.path, path.with_name(f"{kind}.m3u8"), kind)
    path.write_text(
        "#EXTM3U\n"
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="Main",LANGUAGE="en",URI="audio.m3u8"\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=100,RESOLUTION=160x90,AUDIO="a"\nvideo.m3u8\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=50,RESOLUTION=80x44,AUDIO="a"\nmissing.m3u8\n'
    )
    return replace(whole, path=path)


def _copy(source: Path, target: Path, kind: str) -> None:
    """Copy the packets of one stream of a playlist into a playlist of its own."""
    names = {
        "hls_fmp4_init_filename": f"{kind}_init.mp4",
        "hls_segment_filename": str(target.with_name(f"{kind}%03d.m4s")),
    }
    options = {**_OPTIONS, "hls_segment_type": "fmp4", **names}
    with (
        av.open(str(source), options={"allowed_extensions": "ALL"}) as read,
        av.open(str(target), "w", format="hls", options=options) as written,
    ):
        stream = next(each for each in read.streams if each.type == kind)
        copied = written.add_stream_from_template(stream)
        for packet in read.demux(stream):
            if packet.dts is not None:
                packet.stream = copied
                written.mux(packet)


def edited(found: Film, name: str, edit: Callable[[str], str]) -> Film:
    """Write a changed copy of a film's playlist beside it."""
    path = found.path.with_name(name)
    path.write_text(edit(found.path.read_text()))
    return replace(found, path=path)


def stated(change: Callable[[float], float]) -> Callable[[str], str]:
    """Return the edit that changes the durations that a playlist states."""
    return lambda text: re.sub(r"#EXTINF:([0-9.]+)", lambda found: f"#EXTINF:{change(float(found[1])):.6f}", text)


def first_segments(path: Path, count: int, *, target: int = 2) -> str:
    """Return a finished playlist as it was when so many of its segments were written."""
    head, *segments = re.split(r"(?=#EXTINF)", path.read_text().replace("#EXT-X-ENDLIST\n", ""))
    head = re.sub(r"#EXT-X-TARGETDURATION:\d+", f"#EXT-X-TARGETDURATION:{target}", head).replace("VOD", "EVENT")
    return head + "".join(segments[:count])


def joined(path: Path, first: Path, second: Path) -> None:
    """Write the playlist of the segments of two playlists in the same folder, with a discontinuity between them."""
    head, tail = first.read_text(), second.read_text()
    tail = tail[tail.index("#EXT-X-MAP" if "#EXT-X-MAP" in tail else "#EXTINF") :]
    path.write_text(head.replace("#EXT-X-ENDLIST\n", "#EXT-X-DISCONTINUITY\n") + tail)


def restarting(
    path: Path, parts: Sequence[int] = (2, 4, 6), *, fmp4: bool = False, overlap: Fraction | None = None
) -> Film:
    """Write a playlist whose clock begins anew with each part, of so many seconds, without a discontinuity.

    With an `overlap`, of whole frames, it goes back by that, and each part has the frames and the sound of its times.
    Return the film that it must read as, but for the sound at the beginning of each part.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    kind, suffix = ("fmp4", "m4s") if fmp4 else ("mpegts", "ts")
    begin, text = Fraction(0), ""
    for number, seconds in enumerate(parts):
        video = replace(VIDEO, times=every(25, seconds), first_number=round(25 * begin))
        audio = replace(AUDIO, seconds=Fraction(seconds), lead=begin)
        names = {
            "hls_segment_filename": str(path.with_name(f"{path.stem}{number}_%03d.{suffix}")),
            "hls_fmp4_init_filename": f"{path.stem}{number}.mp4",
        }
        options = {**_OPTIONS, "hls_segment_type": kind, **names}
        offset = Fraction(0) if overlap is None else 1 + begin  # at 0, the muxer would delay the first part only
        write(path, "hls", video=[video], audio=[audio], offset=offset, options=options)
        found = path.read_text().replace("#EXT-X-ENDLIST\n", "")
        text += found[found.index("#EXTINF") :] if text else found  # their headers are the same
        begin += seconds - (overlap or 0)
    begin += overlap or 0
    path.write_text(text + "#EXT-X-ENDLIST\n")
    whole = replace(VIDEO, times=every(25, begin))
    sound = replace(AUDIO, seconds=begin - Fraction(1, 10))
    return film(path, video=[whole], audio=[sound], grid=Fraction(1, 1000) if fmp4 else _90K)


def restarted_tracks(path: Path, parts: Sequence[int] = (6, 7), *, fmp4: bool = False) -> Film:
    """Have ffmpeg write a master playlist with separate audio, and start it again for each part, of so many seconds.

    The video is in v0.m3u8, the audio in v1.m3u8. Return the film that they must read as, but for the sound at the
    beginning of each part, whose priming MPEG-TS cannot declare.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    begin, suffix = Fraction(0), "m4s" if fmp4 else "ts"
    for number, seconds in enumerate(parts):
        source = path.with_name(f"part{number}.ts")
        video = replace(VIDEO, times=every(25, seconds), first_number=round(25 * begin))
        write(source, "mpegts", video=[video], audio=[replace(AUDIO, seconds=Fraction(seconds), lead=begin)])
        options = ["-hls_time", "2", "-hls_list_size", "0", "-hls_flags", "append_list+omit_endlist"]
        options += ["-master_pl_name", path.name, "-var_stream_map", "v:0,agroup:a a:0,agroup:a,default:yes"]
        if fmp4:
            names = ["-hls_fmp4_init_filename", f"init{number}_%v.mp4"]
            options += [
                "-hls_segment_type",
                "fmp4",
                *names,
                "-bsf:a",
                "aac_adtstoasc",
                "-tag:v",
                "avc1",
                "-tag:a",
                "mp4a",
            ]
        segments = path.with_name(f"part{number}_%v_%03d.{suffix}")
        maps = ["-map", "0:v", "-map", "0:a", "-c", "copy", "-f", "hls"]
        run_ffmpeg(
            "-v", "error", "-i", source, *maps, *options, "-hls_segment_filename", segments, path.with_name("v%v.m3u8")
        )
        begin += seconds
    for name in ("v0", "v1") if fmp4 else ():  # ffmpeg names the last header for all segments
        _name_headers(path.with_name(f"{name}.m3u8"), name[1:])
    whole, sound = replace(VIDEO, times=every(25, begin)), replace(AUDIO, seconds=begin - Fraction(1, 10))
    return film(path, video=[whole], audio=[sound], grid=Fraction(1, 1000))


def _name_headers(path: Path, track: str) -> None:
    """Have a playlist name the header of each part before its first segment."""
    begin, *parts = re.sub(r"#EXT-X-MAP.*\n", "", path.read_text()).split("#EXT-X-DISCONTINUITY\n")
    headers = [f'#EXT-X-MAP:URI="init{number}_{track}.mp4"\n' for number in range(len(parts))]
    path.write_text(begin + "#EXT-X-DISCONTINUITY\n".join(map("".join, zip(headers, parts, strict=True))))


def pad_segments(folder: Path) -> None:
    """Append null packets to each segment, so that it is as large as those of real recordings."""
    for segment in folder.glob("*.ts"):
        segment.write_bytes(segment.read_bytes() + (b"\x47\x1f\xff\x10" + bytes(184)) * 2000)


def restart_counters(folder: Path) -> None:
    """Make the continuity counters of each segment start at 0, as writers do that open a muxer for each."""
    for segment in folder.glob("*.ts"):
        segment.write_bytes(renumber(segment.read_bytes()))


def agora(folder: Path, *, late: Fraction = Fraction(3, 2), silent: tuple[int, int] = (5, 8)) -> Film:
    """Write a user's recording of Agora in individual mode, by its documented rules, and return the film.

    The picture begins `late`, and there is no audio in the seconds `silent`, after which its clock begins anew. The
    audio at a time of the recording is that of the film.
    """
    folder.mkdir(parents=True, exist_ok=True)
    started, name = 1_795_867_200_000, "sid7_room__uid_s_123__uid_e_{}.m3u8"
    parts = [("video", late, VIDEO, None, 0)]
    parts += [("audio", Fraction(0), None, replace(AUDIO, seconds=silent[0] - DELAY), 7)]
    after = replace(AUDIO, seconds=Fraction(SECONDS - silent[1]), lead=Fraction(silent[1]))
    parts += [("audio", Fraction(silent[1]), None, after, 9000)]
    lines: dict[str, list[str]] = {"video": ["#EXTM3U"], "audio": ["#EXTM3U"]}
    for number, (kind, begins, video, audio, offset) in enumerate(parts):
        time = started + int(begins * 1000)
        target = folder / f"part{number}.m3u8"
        segments = str(folder / f"sid7_room__uid_s_123__uid_e_{kind}_{time}%03d.ts")
        tracks = {"video": [video] if video else [], "audio": [audio] if audio else []}
        options = {**_OPTIONS, "hls_segment_filename": segments}
        write(target, "hls", **tracks, offset=Fraction(offset), options=options)
        lines[kind].append(f"#EXT-X-AGORA-TRACK-EVENT:EVENT=START,TRACK_TYPE={kind.upper()},TIME={time}")
        lines[kind] += re.findall(r"^(?:#EXTINF|[^#]).*", target.read_text(), re.MULTILINE)
        target.unlink()
    for kind, each in lines.items():
        (folder / name.format(kind)).write_text("\n".join([*each, "#EXT-X-ENDLIST", ""]))
    video = replace(VIDEO, times=tuple(time + late for time in VIDEO.times))
    audio = replace(AUDIO, seconds=SECONDS - DELAY, gaps=((Fraction(silent[0]), silent[1] + DELAY),))
    return film(folder / name.format("video"), video=[video], audio=[audio], grid=_90K)


def raw_audio(path: Path, *, first: Fraction, seconds: int = 2, mp3: bool = False) -> Film:
    """Write a playlist of raw AAC or MP3 segments, whose clock begins at `first`, and return the film of it."""
    audio, frame, suffix = AUDIO, 1024, ".aac"
    if mp3:
        frame, suffix = 1152, ".mp3"
        audio = replace(AUDIO, codec="libmp3lame", start=Fraction(1105, 48_000))
    whole = path.with_suffix(suffix)
    options = {"write_xing": "0", "id3v2_version": "0"} if mp3 else None
    write(whole, "mp3" if mp3 else "adts", audio=[audio], options=options)
    with av.open(str(whole)) as read:
        frames = [bytes(packet) for packet in read.demux(read.streams.audio[0]) if packet.size]
    lines, length = ["#EXTM3U"], seconds * 48_000 // frame
    for number, begin in enumerate(range(0, len(frames), length)):
        time = round((first + Fraction(begin * frame, 48_000)) * 90_000) % 2**33
        data = _id3(time) + b"".join(frames[begin : begin + length])
        path.with_name(f"{number}{suffix}").write_bytes(data)
        lines.append(f"#EXTINF:{min(length, len(frames) - begin) * frame / 48_000:.3f},\n{number}{suffix}")
    path.write_text("\n".join([*lines, "#EXT-X-ENDLIST"]))
    return film(path, audio=[audio])


def stamped_audio(path: Path) -> None:
    """Write a playlist of one MPEG-TS segment of silence, whose timestamp is in a stream of ID3 tags, too."""
    with av.open(str(path.with_suffix(".ts")), "w", format="mpegts") as container:
        audio, stamps = container.add_stream("aac", 48_000), container.add_data_stream("timed_id3")
        stamp = av.Packet(_id3(0))
        stamp.stream, stamp.pts, stamp.dts, stamp.time_base = stamps, 0, 0, Fraction(1, 90_000)
        container.mux(stamp)
        for number in range(94):
            frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.sample_rate, frame.pts = 48_000, 1024 * number
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    path.write_text(f"#EXTM3U\n#EXTINF:2.005,\n{path.with_suffix('.ts').name}\n#EXT-X-ENDLIST\n")


def _id3(time: int) -> bytes:
    owner = b"com.apple.streaming.transportStreamTimestamp\0"
    frame = b"PRIV" + (len(owner) + 8).to_bytes(4, "big") + b"\0\0" + owner + time.to_bytes(8, "big")
    return b"ID3\x04\0\0\0\0\0" + bytes([len(frame)]) + frame
