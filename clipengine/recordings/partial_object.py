"""Object of a recording that is stored in steps, over several requests and by several engines. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PartialObject:
    """An object that is stored in steps: what it will be, and how much of it is stored durably.

    The caller records each state that `Store.extend` yields, and continues from the last one that it recorded.
    `handle`, `parts` and `rest` are for the store: its name for the object, the ETags of the parts, and the number of
    bytes before `offset` that are in no part yet.
    """

    upload_id: str  # unique, and part of the names of temporary objects
    key: str
    size: int
    content_type: str
    offset: int = 0
    handle: str = ""
    parts: tuple[str, ...] = ()
    rest: int = 0

    @property
    def is_whole(self) -> bool:
        return self.offset == self.size
