"""OBS Studio under Xvfb, which plays the film of `producers` and records it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.producers import RATE, Producer
from tests.support.waiting import until

_WIDTH, _HEIGHT = 160, 90  # of the film
_LEAST_BYTES = 1_200_000  # of a recording of 12 s: the bit rate is constant
_GLOBAL = """
[General]
FirstRun=true
ConfirmOnExit=false
[Basic]
Profile=film
ProfileDir=film
SceneCollection=film
SceneCollectionFile=film
"""
_PROFILE = f"""
[General]
Name=film
[Output]
Mode=Simple
FilenameFormatting=index
OverwriteIfExists=true
[SimpleOutput]
FilePath={{folder}}
RecFormat2={{form}}
RecQuality=Stream
StreamEncoder=x264
UseAdvanced=true
Preset=ultrafast
x264Settings=keyint=50
VBitrate=700
ABitrate=128
[Video]
BaseCX={_WIDTH}
BaseCY={_HEIGHT}
OutputCX={_WIDTH}
OutputCY={_HEIGHT}
FPSType=1
FPSInt={RATE}
[Audio]
SampleRate=48000
ChannelSetup=Stereo
"""


def need_obs() -> None:
    """Skip the test if OBS or Xvfb is missing: `make obs` is the only target that needs them."""
    for program in ("obs", "Xvfb"):
        if shutil.which(program) is None:
            pytest.skip(f"missing: this test needs {program}")


def _scene(film: Path) -> dict[str, object]:
    """Return a collection of scenes, of which the only one shows the film from its start."""
    settings = {"local_file": str(film), "looping": False, "restart_on_activate": True, "hw_decode": False}
    item = {"name": "source", "id": 1, "visible": True, "align": 5, "bounds_type": 0}
    place = {"pos": {"x": 0.0, "y": 0.0}, "scale": {"x": 1.0, "y": 1.0}}
    source = {"id": "ffmpeg_source", "name": "source", "mixers": 255, "enabled": True, "settings": settings}
    scene = {"id": "scene", "name": "Scene", "enabled": True, "settings": {"id_counter": 1, "items": [item | place]}}
    order = {"scene_order": [{"name": "Scene"}], "current_scene": "Scene", "current_program_scene": "Scene"}
    return {"name": "film", "sources": [source, scene], **order}


def _configure(home: Path, film: Path, folder: Path, form: str) -> None:
    config = home / "obs-studio"
    profile, scenes = config / "basic" / "profiles" / "film", config / "basic" / "scenes"
    for each in (profile, scenes):
        each.mkdir(parents=True, exist_ok=True)
    (config / "global.ini").write_text(_GLOBAL)
    (profile / "basic.ini").write_text(_PROFILE.format(folder=folder, form=form))
    (scenes / "film.json").write_text(json.dumps(_scene(film)))


@contextmanager
def _display() -> Iterator[str]:
    """Run Xvfb, and yield the name of its display."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x720x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL) as server:
        os.close(writing)
        try:
            with os.fdopen(reading) as found:
                yield f":{found.readline().strip()}"
        finally:
            server.terminate()


@contextmanager
def recording(film: Path, folder: Path, form: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run OBS, which records the film into the folder in a format. Yield its process, and stop it at the end."""
    need_obs()
    home = folder.parent / f"{folder.name}.obs"
    _configure(home, film, folder, form)
    options = ["--startrecording", "--multi", "--disable-shutdown-check", "--disable-missing-files-check"]
    chosen = ["--collection", "film", "--profile", "film", "--scene", "Scene"]
    with _display() as display:
        folders = {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
        env = {**os.environ, **folders, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb", "LIBGL_ALWAYS_SOFTWARE": "1"}
        quiet = subprocess.DEVNULL
        with subprocess.Popen(["obs", *options, *chosen], env=env, stdout=quiet, stderr=quiet) as program:
            try:
                yield program
            finally:
                if program.poll() is None:
                    program.send_signal(signal.SIGINT)
                program.wait(60)
                shutil.rmtree(home)


def _recorder(form: str) -> Callable[[Path, Path], None]:
    def record(film: Path, folder: Path) -> None:
        with recording(film, folder, form):
            until(lambda: sum(each.stat().st_size for each in folder.iterdir()) > _LEAST_BYTES)

    return record


def _obs(container: str, key: str, form: str) -> Producer:
    return Producer("OBS Studio", container, "H.264", key, _recorder(form), ("obs", "--version"), may_lose_frames=True)


OBS = [
    _obs("hybrid MP4", "index.mp4", "hybrid_mp4"),
    _obs("fragmented MP4", "index.mp4", "fragmented_mp4"),
    _obs("Matroska", "index.mkv", "mkv"),
    _obs("MPEG-TS", "index.ts", "mpegts"),
]
