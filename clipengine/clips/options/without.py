"""Option of a request to leave pauses and fillers out of a clip. Pure."""

from __future__ import annotations

from typing import Literal

Removable = Literal["silence", "fillers"]
