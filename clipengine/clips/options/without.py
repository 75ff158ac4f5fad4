"""What a clip leaves out of its ranges: the option of a request. Pure."""

from __future__ import annotations

from typing import Literal

Removable = Literal["silence", "fillers"]
