"""What a child says of its cell, and what each layer is good for. Both sides of the socket use it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Layer:
    """One layer of the cell: `holds`, and `detail` says what it covers or why it is missing."""

    name: str
    holds: bool
    detail: str

    def to_object(self) -> dict[str, Any]:
        return asdict(self)
