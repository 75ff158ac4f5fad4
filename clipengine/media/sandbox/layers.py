"""Report of a sandbox layer, used on both sides of the socket."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Layer:
    """One layer of the sandbox. `detail` names its coverage, or the reason why it does not hold."""

    name: str
    holds: bool
    detail: str

    def to_object(self) -> dict[str, Any]:
        return asdict(self)
