"""Object of a recording that is stored in steps, over several requests and by several engines. Pure."""

from __future__ import annotations

from dataclasses import dataclass

MAX_PARTS = 10_000  # of an object in S3


@dataclass(frozen=True)
class PartialObject:
    """An object that is stored in steps: what it will be, and how much of it is stored durably.

    The caller records each state that `Store.extend` yields, and continues from the last one that it recorded.
    `handle`, `parts` and `rest` are for the store: its name for the object, the ETags of the parts, and the number of
    bytes before `offset` that are in no part yet.

    With `part_bytes`, clients may send parts to the store themselves: all but the last have this size, and the store's
    list of them is the only record, so `parts` is empty.
    """

    upload_id: str  # unique, and part of the names of temporary objects
    key: str
    size: int
    content_type: str
    offset: int = 0
    handle: str = ""
    parts: tuple[str, ...] = ()
    rest: int = 0
    part_bytes: int = 0

    @property
    def is_whole(self) -> bool:
        return self.offset == self.size

    @property
    def part_count(self) -> int:
        """Return the number of parts of an object with `part_bytes`."""
        return -(-self.size // self.part_bytes)

    def part_length(self, number: int) -> int:
        """Return the size of a part of an object with `part_bytes`; the first has the number 1."""
        return min(self.part_bytes, self.size - (number - 1) * self.part_bytes)
