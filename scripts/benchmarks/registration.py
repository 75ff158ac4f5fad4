"""Registration of playlists in S3, beside the same requests without an engine.

The store is the one at S3_ENDPOINT, or moto's server. The requests of one registration are recorded by a proxy, which
the timed ones do not have. The time is that from the call to the status `complete`, which a client waits for.
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from statistics import median
from urllib.parse import parse_qsl, unquote
from uuid import uuid4

from clipengine.client import Client
from scripts.benchmarks.figures import Bench, Figure
from tests.films.parts import every
from tests.films.ts_bytes import move_clock
from tests.support.playlists import AUDIO, VIDEO, ts_playlist
from tests.support.s3 import S3Server, running_s3, s3_settings
from tests.support.s3_faults import FaultyS3, Request
from tests.support.server import running_server

_SEGMENT_SECONDS = 10
_SEGMENTS = 8640  # of a day
_MOST = 2  # times the requests alone
_KEY = "day/index.m3u8"
_SENT = ("range", "if-match", "if-none-match")  # headers that change what the store does


def figures(bench: Bench) -> Iterator[Figure]:
    count, rounds = bench.sized((_SEGMENTS, 15), (1000, 3), (20, 2))
    with tempfile.TemporaryDirectory(dir=bench.cache) as folder, running_s3(Path(folder)) as s3:
        bucket = f"bench-{uuid4().hex}"
        s3.client.make_bucket(bucket)
        _store_day(s3, bucket, Path(folder) / "made", count)
        requests = _recorded(s3, bucket, Path(folder))
        registered, bare = [], []
        with (
            running_server(Path(folder) / "data", env=s3_settings(s3, bucket)) as server,
            server.client() as api,
        ):
            _register(api)  # starts children
            for number in range(rounds):
                if number % 2:
                    bare.append(_replay(s3, bucket, requests))
                registered.append(_register(api))
                if not number % 2:
                    bare.append(_replay(s3, bucket, requests))
        ratio = median(ours / theirs for ours, theirs in zip(registered, bare, strict=True))
        what = f"playlist of {count} segments, {len(requests)} requests"
        yield Figure(what, 1000 * median(registered), "ms", 1000 * median(bare), ratio, at_most=_MOST)


def _store_day(s3: S3Server, bucket: str, made: Path, count: int) -> None:
    """Store a playlist of which only the first and the last segment have media: the others are not read."""
    video = replace(VIDEO, times=every(25, 3 * _SEGMENT_SECONDS), gop=25 * _SEGMENT_SECONDS)
    audio = replace(AUDIO, seconds=Fraction(3 * _SEGMENT_SECONDS))
    ts_playlist(made / "index.m3u8", video=video, audio=audio, options={"hls_time": str(_SEGMENT_SECONDS)})
    data = (made / "index001.ts").read_bytes()
    client = s3.client

    def put(number: int) -> None:
        moved = move_clock(data, 0, _SEGMENT_SECONDS * 90_000 * number) if number in (0, count - 1) else b"x"
        client.put_object(bucket, f"day/{number:04d}.ts", io.BytesIO(moved), len(moved))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(count)))
    lines = ["#EXTM3U", *(f"#EXTINF:{_SEGMENT_SECONDS},\n{number:04d}.ts" for number in range(count)), "#EXT-X-ENDLIST"]
    text = "\n".join(lines).encode()
    client.put_object(bucket, _KEY, io.BytesIO(text), len(text))


def _recorded(s3: S3Server, bucket: str, folder: Path) -> list[Request]:
    """Return the requests of a registration."""
    with (
        FaultyS3(s3.endpoint) as proxy,
        running_server(folder / "recorded", env=s3_settings(replace(s3, endpoint=proxy.endpoint), bucket)) as server,
        server.client() as api,
    ):
        before = len(proxy.seen)
        _register(api, keep=True)
        return [each for each in proxy.seen[before:] if each.method in ("GET", "HEAD")]


def _register(api: Client, *, keep: bool = False) -> float:
    """Register the playlist and return the seconds until it is complete."""
    began = time.perf_counter()
    recording = api.recordings.wait(api.recordings.add(_KEY).recording_id, timeout=600)
    took = time.perf_counter() - began
    assert recording.status == "complete", recording.error
    if not keep:
        api.recordings.delete(recording.recording_id)
    return took


def _replay(s3: S3Server, bucket: str, requests: Sequence[Request]) -> float:
    """Send the requests one after the other, and return the seconds that they take."""
    client = s3.client
    client.bucket_exists(bucket)  # connects
    began = time.perf_counter()
    for request in requests:
        _, _, key = unquote(request.path).removeprefix("/").partition("/")
        client._execute(
            request.method,
            bucket,
            key or None,
            headers={name: request.headers[name] for name in _SENT if name in request.headers},
            query_params=dict(parse_qsl(request.query, keep_blank_values=True)),
        )
    return time.perf_counter() - began
