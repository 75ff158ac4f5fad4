"""Watermarks: their place on the picture, their files, and their names."""

from __future__ import annotations

import struct
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from clipengine.clips.options.framing import Size
from clipengine.clips.options.watermarks import MAX_PNG_BYTES, MAX_PNG_SIDE, Watermark, WatermarkStyle, check_png
from clipengine.errors import SettingsError
from clipengine.settings.sources import load
from clipengine.work.children.watermarks import read_watermarks
from tests.support.png import chunk, png


@pytest.mark.parametrize(
    ("style", "image", "canvas", "ratio", "box"),
    [
        ({"position": "top-left"}, (200, 100), (1920, 1080), 1, (32, 32, 288, 144)),
        ({}, (200, 100), (1920, 1080), 1, (1600, 904, 288, 144)),
        ({"position": "center", "width": 1.0, "margin": 0}, (200, 100), (1000, 1000), 1, (0, 250, 1000, 500)),
        ({"position": "top", "width": 0.5, "margin": 0.1}, (100, 100), (1000, 500), 1, (300, 50, 400, 400)),  # room
        ({"position": "right"}, (100, 100), (1080, 1920), 1, (886, 880, 162, 162)),
        ({"position": "left", "margin": 0.03}, (200, 100), (960, 1080), 2, (16, 468, 144, 144)),  # pixels of 2:1
        ({"width": 0.001}, (4096, 1), (16, 16), 1, (14, 14, 2, 2)),
    ],
)
def test_watermark_has_its_width_and_margin(style: Any, image: Any, canvas: Any, ratio: int, box: Any) -> None:
    assert WatermarkStyle(**style).box(Size(*image), Size(*canvas), Fraction(ratio)) == box


@pytest.mark.parametrize("position", ["top-left", "top", "right", "center", "bottom-right"])
def test_watermark_lies_inside_every_picture(position: Any) -> None:
    for image in ((1, 4096), (4096, 1), (64, 64)):
        for canvas in ((16, 16), (16, 1080), (3840, 18), (102, 180)):
            style = WatermarkStyle(position=position, width=1.0, margin=0.4)
            x, y, width, height = style.box(Size(*image), Size(*canvas), Fraction(1))
            assert min(x, y) >= 0
            assert min(width, height) >= 2
            assert x + width <= canvas[0]
            assert y + height <= canvas[1]


_VALID = png(4, 4, bytes(4 * 4 * 4))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a PNG file"),
        (b"\xff\xd8\xff\xe0JFIF", "not a PNG file"),
        (_VALID[:8] + chunk(b"IDAT", b"") + _VALID[8:], "not a PNG file"),
        (_VALID[:-4], "not a complete"),
        (_VALID[:40], "not a complete|a checksum is wrong"),
        (_VALID.replace(b"IDAT", b"IDAU"), "a checksum is wrong"),
        (_VALID[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", MAX_PNG_SIDE + 1, 4, 8, 6, 0, 0, 0)), "4097x4 pixels"),
        (_VALID[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 4, 8, 6, 0, 0, 0)), "0x4 pixels"),
        (_VALID + bytes(MAX_PNG_BYTES), f"more than {MAX_PNG_BYTES} bytes"),
    ],
)
def test_file_that_is_no_png_within_the_limits_is_rejected(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_png(data)


def test_valid_png_is_accepted() -> None:
    check_png(_VALID)
    assert zlib.crc32(b"IEND") == 0xAE426082  # as in every PNG file


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "No such file"), (b"GIF89a", "not a PNG"), (bytes(MAX_PNG_BYTES + 1), "more than")]
)
def test_unusable_file_is_a_settings_error(content: bytes | None, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "logo.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=f"watermarks.logo.path: .*{reason}"):
        read_watermarks({"logo": Watermark(path=path)})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[profiles.default]\noutput = {watermark = 'logo'}", "There is no watermark 'logo': the settings have none"),
        (
            "[watermarks.a]\npath = 'a.png'\n[watermarks.b]\npath = 'b.png'\n[profiles.x]\noutput = {watermark = 'c'}",
            "profiles.x.output.watermark: There is no watermark 'c': the settings have a, b",
        ),
        (
            "[watermarks.a]\npath = 'a.png'\n[profiles.x]\ncontainer = 'mp3'\nvideo = 'none'\naudio = 'mp3'\n"
            "output = {watermark = 'a'}",
            "without video",
        ),
        ("[watermarks.a]\nposition = 'top'", "watermarks.a.path is required"),
        ("[watermarks.a]\npath = ''", "must not be empty"),
        ("[watermarks.a]\npath = 'a.png'\nopacty = 1", "did you mean watermarks.a.opacity"),
        ("[watermarks.a]\npath = 'a.png'\nwidth = 1.5", "watermarks.a.width"),
        ("[watermarks.A]\npath = 'a.png'", "watermarks.A"),
    ],
)
def test_invalid_watermark_of_the_settings_is_named(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "clipengine.toml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(tmp_path / "clipengine.toml", environ={})
    assert reason in caught.value.message
