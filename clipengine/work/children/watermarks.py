"""Watermarks of the settings: their files are read and checked when the engine starts, and decoded in the sandbox."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clipengine.clips.options.watermarks import MAX_PNG_BYTES, Watermark, check_png
from clipengine.errors import SettingsError


@dataclass(frozen=True)
class WatermarkFile:
    """A watermark and the bytes of its PNG file."""

    watermark: Watermark
    png: bytes

    def to_message(self) -> dict[str, Any]:
        """Return the watermark for the maker child, which gets no path."""
        style = self.watermark.model_dump(mode="json", exclude={"path"})
        return {"png": base64.b64encode(self.png).decode(), "style": style}


def read_watermark(name: str, watermark: Watermark) -> WatermarkFile:
    """Read the file of a watermark. Raises SettingsError if it is missing, too large or not a PNG file."""
    try:
        with watermark.path.open("rb") as file:
            png = file.read(MAX_PNG_BYTES + 1)
        check_png(png)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        hint = f"Name a PNG file of at most {MAX_PNG_BYTES >> 20} MiB that the engine may read."
        raise SettingsError(f"watermarks.{name}.path: {watermark.path} cannot be used: {reason}", hint=hint) from None
    return WatermarkFile(watermark, png)


def read_watermarks(watermarks: Mapping[str, Watermark]) -> dict[str, WatermarkFile]:
    """Read the files of all watermarks. Raises SettingsError for the first that cannot be used."""
    return {name: read_watermark(name, watermark) for name, watermark in watermarks.items()}
