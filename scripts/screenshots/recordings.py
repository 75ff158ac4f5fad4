"""Recordings, clips and deliveries as after a day of work, made from free films."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

from clipengine.client import Client
from tests.support.receiver import Answer, Receiver, Request

LONG_SECONDS = 7200
SENTENCE = "We open the harbour office in Valparaíso next spring"  # is said once in the long recording
SAID_AT = 4662.0
_CUE_SECONDS = 6.0
_TALK = (
    "Thank you all for coming today",
    "The figures of this quarter are on the slide",
    "Let me show you how it works",
    "That is a question that we hear often",
    "We tried it with three teams first",
    "Here is what they told us",
    "The next step is smaller than you think",
)
_SEGMENTS, _FIRST_SEGMENTS, _SEGMENT_SECONDS = 120, 20, 30  # of the recording that is still written, for 50 minutes
_CHAPTERS = ((0, "Welcome"), (900, "Results of the year"), (3600, "Roadmap"), (5400, "Questions"))

# Recordings as (file, name); the first is joined from several files and is the one to cut.
_FILM = "Product launch, main stage.mp4"
_HEVC = "Backstage interview.mp4"
_OTHERS = (
    ("voices_fire.mp3", "Campfire voices.mp3"),
    ("lecture_slides_vfr_av.mov", "Lecture 4, slides.mov"),
    ("truncated_vfr_screencast.mp4", "Screencast, broken off.mp4"),
    ("nasa_multitrack_2v2a_subs.mp4", "Antenna test, two tracks.mp4"),
    ("nostreams.mp4", "Nothing in it.mp4"),
)
_CLIPS = (("The reveal", 0.4, 3.2), ("Waking up", 5.6, 9.2), ("Flower, close", 11.2, 13.6))
_LONG_CLIPS = (
    ("Opening", 10, 24),
    ("The joke about the printer", 30, 35),
    ("Roadmap", 3610, 3640),
    ("Ending", 7000, 7060),
)


@dataclass(frozen=True)
class Filled:
    """Ids of the recordings that have views of their own."""

    film: str
    hevc: str
    failed: str
    long: str = ""
    audio: str = ""
    live: str = ""


def fill(client: Client, receiver: Receiver, media: Path, folder: Path) -> Filled:
    """Create recordings, clips and deliveries; return the ids of the recordings to show."""
    refused: list[bool] = []

    def answer(request: Request) -> Answer:
        """Accept the webhook of the first clip at the second attempt."""
        if request.path.endswith("/clips") and not refused:
            refused.append(True)
            return Answer(503)
        return Answer()

    receiver.answer = answer
    client.webhooks.create(f"{receiver.url}/hooks/clips")
    client.webhooks.create(f"{receiver.url}/archive", events=["recording.complete"])
    others = [_upload(client, media / file, name) for file, name in _OTHERS]
    hevc = _upload(client, media / "hevc_1080p_fullrange_icc.mp4", _HEVC)
    film = folder / "film.mp4"
    _join_films(media, film)
    recording_id = _upload(client, film, _FILM)
    for label, start, end in _CLIPS:
        client.clips.create(recording_id, label, start, end).wait()
    client.clips.cancel(client.clips.create(recording_id, "Too long", 0, 15, priority=-10).clip_id)
    return Filled(recording_id, hevc, failed=others[-1])


def add_long(client: Client, media: Path, folder: Path, filled: Filled) -> Filled:
    """Add a recording of two hours with chapters, transcript and clips, and one of two hours of audio."""
    voices = ["-stream_loop", "-1", "-i", str(media / "voices_fire.mp3")]
    titles = folder / "chapters.txt"
    titles.write_text(_chapter_file())
    persons = ["-stream_loop", "-1", "-i", str(media / "long_persons_139s_10fps.mp4")]
    talk = folder / "talk.mp4"
    chaptered = ["-i", str(titles), "-map", "0:v", "-map", "1:a", "-map_chapters", "2", "-movflags", "+faststart"]
    _ffmpeg([*persons, *voices, *chaptered, "-c", "copy", "-t", str(LONG_SECONDS)], talk)
    audio = folder / "audio.mp3"
    _ffmpeg([*voices, "-c", "copy", "-t", str(LONG_SECONDS)], audio)
    audio_id = _upload(client, audio, "Night of stories.mp3")
    client.clips.create(audio_id, "The story of the bear", 60, 74).wait()
    long_id = _upload(client, talk, "Annual meeting.mp4")
    client.transcripts.put(long_id, "en", transcript())
    for label, start, end in _LONG_CLIPS:
        client.clips.create(long_id, label, start, end).wait()
    for path in (talk, audio):
        path.unlink()
    return replace(filled, long=long_id, audio=audio_id)


@contextmanager
def live_recorder(store: Path, media: Path) -> Iterator[None]:
    """Write a recording of segments into the folder of the store until the block ends."""
    folder = store / "live"
    folder.mkdir()
    source = ["-stream_loop", str(_SEGMENTS - 1), "-i", str(media / "bbb_720p_aac51.mp4"), "-c", "copy"]
    _ffmpeg([*source, "-f", "hls", "-hls_time", "2", "-hls_list_size", "0"], folder / "made.m3u8")
    lines = (folder / "made.m3u8").read_text().splitlines(keepends=True)
    begin = next(number for number, line in enumerate(lines) if line.startswith("#EXTINF"))
    ended = Event()

    def write() -> None:
        for count in range(_FIRST_SEGMENTS, _SEGMENTS):
            (folder / "new.m3u8").write_text("".join(lines[: begin + 2 * count]))
            (folder / "new.m3u8").replace(folder / "index.m3u8")
            if ended.wait(_SEGMENT_SECONDS):
                return

    recorder = Thread(target=write)
    recorder.start()
    try:
        yield
    finally:
        ended.set()
        recorder.join()


def add_live(client: Client, filled: Filled) -> Filled:
    """Add what the recorder writes."""
    started = datetime.now(UTC) - timedelta(minutes=2)
    added = client.recordings.add("live/index.m3u8", live=True, started_at=started.isoformat(), name="Council meeting")
    return replace(filled, live=client.recordings.wait(added.recording_id, timeout=300).recording_id)


def transcript() -> list[dict[str, object]]:
    """Return the cues of the long recording."""
    cues: list[dict[str, object]] = [
        {"start_seconds": at * _CUE_SECONDS, "end_seconds": (at + 1) * _CUE_SECONDS - 0.5, "text": f"{_TALK[at % 7]}."}
        for at in range(int(LONG_SECONDS / _CUE_SECONDS))
    ]
    cues[int(SAID_AT / _CUE_SECONDS)]["text"] = f"{SENTENCE}."
    return cues


def _chapter_file() -> str:
    ends = [start for start, _ in _CHAPTERS[1:]] + [LONG_SECONDS]
    chapters = [
        f"[CHAPTER]\nTIMEBASE=1/1\nSTART={start}\nEND={end}\ntitle={title}\n"
        for (start, title), end in zip(_CHAPTERS, ends, strict=True)
    ]
    return ";FFMETADATA1\n" + "".join(chapters)


def _upload(client: Client, path: Path, name: str) -> str:
    uploaded = client.recordings.upload(path, name=name)
    return client.recordings.wait(uploaded.recording_id, timeout=300).recording_id


def _join_films(media: Path, path: Path) -> None:
    """Concatenate three free films: bbb is CC BY 3.0 (Blender Foundation), the flower is CC0."""
    names = ("flower_fragmented.mp4", "bbb_720p_aac51.mp4", "flower_fragmented.mp4")
    inputs = [argument for name in names for argument in ("-i", str(media / name))]
    shape = "scale=1280:720,setsar=1,fps=25"
    parts = "".join(f"[{at}:v]{shape}[v{at}];[{at}:a]aformat=channel_layouts=stereo[a{at}];" for at in range(3))
    joined = "".join(f"[v{at}][a{at}]" for at in range(3)) + "concat=n=3:v=1:a=1[v][a]"
    filters = ["-filter_complex", parts + joined, "-map", "[v]", "-map", "[a]"]
    _ffmpeg([*inputs, *filters, "-c:v", "libx264", "-preset", "veryfast", "-g", "25"], path)


def _ffmpeg(arguments: list[str], path: Path) -> None:
    subprocess.run(["ffmpeg", "-v", "error", *arguments, str(path)], check=True)
