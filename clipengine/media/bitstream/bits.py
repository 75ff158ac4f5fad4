"""Bit strings with the descriptors of ITU-T H.264, clause 7.2 and 9.1: u(n), ue(v) and se(v)."""

from __future__ import annotations

SETS_CHANGE = "its parameter sets change"
UNKNOWN_SET = "a frame uses a parameter set that is not given"
DISCARDS_FRAMES = "a keyframe discards frames before it"
_MAX_ZEROS = 32  # of an Exp-Golomb code, whose values have at most 32 bits


class BitstreamError(ValueError):
    """The data is damaged, or is not of a kind that is supported."""


class BitReader:
    """Reads a bit string. All methods raise BitstreamError at its end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._length = 8 * len(data)
        self.position = 0  # in bits

    def u(self, bits: int) -> int:
        """Read an unsigned integer of this many bits."""
        if self.position + bits > self._length:
            raise BitstreamError("the data ends within a header")
        self.position += bits
        return (self._value >> (self._length - self.position)) & ((1 << bits) - 1)

    def flag(self) -> bool:
        return self.u(1) == 1

    def ue(self, most: int = (1 << 32) - 2) -> int:
        """Read an unsigned Exp-Golomb code of at most `most`."""
        zeros = 0
        while not self.u(1):
            zeros += 1
            if zeros > _MAX_ZEROS:
                raise BitstreamError("a code has more than 32 bits")
        value = (1 << zeros) - 1 + self.u(zeros)
        if value > most:
            raise BitstreamError(f"a value is {value}, at most {most} is allowed")
        return value

    def se(self) -> int:
        """Read a signed Exp-Golomb code."""
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)

    def skip_codes(self, count: int) -> None:
        """Skip Exp-Golomb codes."""
        for _ in range(count):
            self.ue()

    def between(self, start: int, end: int) -> Bits:
        """Return the bits from one position to another."""
        count = end - start
        return Bits(count, (self._value >> (self._length - end)) & ((1 << count) - 1))

    def rest(self) -> Bits:
        """Return the bits from the position to the stop bit, which ends a raw byte sequence payload."""
        count = self._length - self.position
        value = self._value & ((1 << count) - 1)
        if value == 0:
            raise BitstreamError("the data has no stop bit")
        trailing = (value & -value).bit_length()
        return Bits(count - trailing, value >> trailing)


class Bits:
    """A string of `count` bits, and the value that they have as a number."""

    __slots__ = ("count", "value")

    def __init__(self, count: int = 0, value: int = 0) -> None:
        self.count = count
        self.value = value

    def u(self, bits: int, value: int) -> Bits:
        """Append an unsigned integer; only its lowest `bits` bits are kept."""
        self.count += bits
        self.value = self.value << bits | value & ((1 << bits) - 1)
        return self

    def ue(self, value: int) -> Bits:
        """Append an unsigned Exp-Golomb code."""
        return self.u(2 * (value + 1).bit_length() - 1, value + 1)

    def append(self, other: Bits) -> Bits:
        return self.u(other.count, other.value)

    def aligned(self, padding: int) -> bytes:
        """Return whole bytes, filled up with `padding` (0 or 1) bits."""
        missing = -self.count % 8
        value = self.value << missing | (((1 << missing) - 1) if padding else 0)
        return value.to_bytes((self.count + missing) // 8, "big")

    def with_stop_bit(self) -> bytes:
        """Return the bytes of a raw byte sequence payload: a stop bit, then zero bits up to a whole byte."""
        return Bits(self.count, self.value).u(1, 1).aligned(0)
