"""Frames that show their number: drawn into any planar YUV format, read back from any frame.

A frame is a grid of 8 x 5 cells. Two cells are black and white for calibration, three are coloured, 32 carry bits: 16
of the number and 16 of a checksum. Cells leave gaps, in which a pattern moves to give the encoder work. The grid has no
symmetry, so it also shows the orientation of the frame.

Levels are of the nominal range: luma 0 (black) to 1 (white), chroma -0.5 to 0.5. Nothing here depends on a matrix.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import av
import numpy as np
import numpy.typing as npt

Levels = npt.NDArray[np.float32]
_KEPT_BYTES = 200_000_000  # of drawn pictures

COLUMNS, ROWS = 8, 5
WHITE_LEVEL, BLACK_LEVEL = 0.85, 0.12
_ONE, _ZERO = 0.80, 0.15
# (luma, Cb, Cr) of the three coloured cells: reddish, greenish, bluish in every matrix.
COLOURS = ((0.45, -0.12, 0.30), (0.45, -0.22, -0.24), (0.45, 0.30, -0.10))
_WHITE_CELL, _BLACK_CELL = 0, COLUMNS - 1
_COLOUR_CELLS = (32, 38, 39)
_DATA_CELLS = tuple(c for c in range(COLUMNS * ROWS) if c not in (_WHITE_CELL, _BLACK_CELL, *_COLOUR_CELLS))[:32]

# Orientations, the likeliest first, and how each results from upright: flip rows, flip columns,
# then transpose, as (transpose, rows, columns).
ORIENTATIONS = {
    "upright": (False, False, False),
    "turned 180": (False, True, True),
    "turned 90 clockwise": (True, True, False),
    "turned 90 anticlockwise": (True, False, True),
    "mirrored left to right": (False, False, True),
    "mirrored top to bottom": (False, True, False),
    "transposed": (True, False, False),
    "transposed across": (True, True, True),
}


@dataclass(frozen=True)
class Seen:
    """Content of a frame. `number` is None if no orientation gives a valid checksum (damaged or blended).

    `black` and `white` are luma levels, `colours` the (luma, Cb, Cr) of the coloured cells, all in the nominal range
    that the frame declares (limited or full).
    """

    number: int | None
    orientation: str = "unreadable"
    black: float = 0.0
    white: float = 0.0
    colours: tuple[tuple[float, float, float], ...] = ()

    @property
    def upright(self) -> bool:
        return self.orientation == "upright"


def _check_word(number: int) -> int:
    word = (number * 0x9E3779B1 + 0x7F4A7C15) & 0xFFFFFFFF
    word ^= word >> 15
    return (word * 0x85EBCA6B >> 8) & 0xFFFF


_drawn: OrderedDict[tuple[int, int, int], Levels] = OrderedDict()


@lru_cache(maxsize=16)
def _cell_map(width: int, height: int) -> npt.NDArray[np.int16]:
    """Return the cell that covers each pixel, or -1 between cells."""
    x = (np.arange(width) + 0.5) / width * COLUMNS
    y = (np.arange(height) + 0.5) / height * ROWS
    inside = (np.abs(y % 1 - 0.5) < 0.37)[:, None] & (np.abs(x % 1 - 0.5) < 0.37)[None, :]
    cells = y.astype(np.int16)[:, None] * COLUMNS + x.astype(np.int16)[None, :]
    return np.where(inside, cells, -1).astype(np.int16)


def draw(number: int, width: int, height: int) -> Levels:
    """Return the upright image of a number (0 to 65535): levels as an array of (3, height, width)."""
    key = number, width, height
    picture = _drawn.pop(key, None)
    _drawn[key] = picture = _drawing(*key) if picture is None else picture
    while len(_drawn) * picture.nbytes > _KEPT_BYTES:  # nearly all films of a test run have the same size
        _drawn.popitem(last=False)
    return picture


def _drawing(number: int, width: int, height: int) -> Levels:
    if not 0 <= number <= 0xFFFF:
        raise ValueError(f"{number} does not fit into 16 bits")
    word = number << 16 | _check_word(number)
    levels = np.zeros((COLUMNS * ROWS + 1, 3), np.float32)
    levels[_WHITE_CELL, 0], levels[_BLACK_CELL, 0] = WHITE_LEVEL, BLACK_LEVEL
    levels[list(_COLOUR_CELLS)] = COLOURS
    for place, cell in enumerate(_DATA_CELLS):
        levels[cell, 0] = _ONE if word >> (31 - place) & 1 else _ZERO
    cells = _cell_map(width, height)
    picture = np.stack([plane[cells] for plane in levels.T.copy()])
    x, y = np.arange(width)[None, :], np.arange(height)[:, None]
    moving = 0.45 + 0.1 * np.sin((x + 3 * number) * 0.11) + 0.1 * np.sin((y - 2 * number) * 0.17)
    between = cells < 0
    picture[0] = np.where(between, moving, picture[0])
    picture[1] = np.where(between, 0.5 * (moving - 0.45), picture[1])
    picture.flags.writeable = False
    return picture


def turned(picture: Levels, orientation: str) -> Levels:
    """Return the image as coded so that a reader finds it in `orientation`."""
    transpose, rows, columns = ORIENTATIONS[orientation]
    if rows:
        picture = picture[:, ::-1]
    if columns:
        picture = picture[:, :, ::-1]
    return picture.transpose(0, 2, 1) if transpose else picture


def to_frame(picture: Levels, pix_fmt: str, *, full_range: bool = False) -> av.VideoFrame:
    """Convert levels to a frame of a planar YUV format, averaging chroma over the pixels that share it."""
    _, height, width = picture.shape
    frame = av.VideoFrame(width, height, pix_fmt)
    planes: tuple[Any, ...] = frame.planes
    for index, plane in enumerate(planes):
        bits = frame.format.components[index].bits
        across, down = -(-width // plane.width), -(-height // plane.height)
        level = picture[index]
        if across > 1 or down > 1:
            lacking = plane.height * down - height, plane.width * across - width
            padded = np.pad(level, [(0, each) for each in lacking], "edge") if any(lacking) else level
            level = padded.reshape(plane.height, down, plane.width, across).mean(axis=(1, 3))
        low, span = _range_of(index, bits, full_range)
        kind = np.uint8 if bits == 8 else np.uint16
        rows = np.frombuffer(plane, kind).reshape(plane.height, -1)
        rows[:, : plane.width] = np.clip(np.rint(low + span * level), 0, 2**bits - 1)
    return frame


def _range_of(index: int, bits: int, full_range: bool) -> tuple[float, float]:
    """Return (code of level 0, codes per level 1) of luma (index 0) or chroma."""
    unit = 1 << (bits - 8)
    if full_range:
        top = (1 << bits) - 1
        return (0.0, float(top)) if index == 0 else (128.0 * unit, float(top))
    return (16.0 * unit, 219.0 * unit) if index == 0 else (128.0 * unit, 224.0 * unit)


def _cell_means(frame: av.VideoFrame, index: int, columns: int, rows: int) -> npt.NDArray[np.float64]:
    """Return the mean level of the middle of each cell of one plane, as (rows, columns)."""
    plane: Any = frame.planes[index]
    bits = frame.format.components[index].bits
    data: npt.NDArray[Any] = np.frombuffer(plane, np.uint8 if bits == 8 else np.dtype("<u2"))
    data = data[: data.size // plane.height * plane.height].reshape(plane.height, -1)
    full = frame.color_range == 2 or frame.format.name.startswith("yuvj")
    low, span = _range_of(index, bits, full)
    tops, bottoms = _middles(rows, plane.height)
    lefts, rights = _middles(columns, plane.width)
    sums = np.zeros((rows, data.shape[1] + 1), np.int64)  # of the samples before each column
    for row in range(rows):
        data[tops[row] : bottoms[row]].sum(axis=0, dtype=np.uint32).cumsum(out=sums[row, 1:])
    means = (sums[:, rights] - sums[:, lefts]) / np.outer(bottoms - tops, rights - lefts)
    return (means - low) / span


@lru_cache(maxsize=64)
def _middles(cells: int, length: int) -> npt.NDArray[np.int64]:
    """Return where the middle of each cell begins and ends."""
    return np.array([_middle(cell, cells, length) for cell in range(cells)]).T


def _middle(cell: int, cells: int, length: int) -> tuple[int, int]:
    first = round((cell + 0.3) * length / cells)
    return first, max(first + 1, round((cell + 0.7) * length / cells))


def _planar(frame: av.VideoFrame) -> av.VideoFrame:
    name = frame.format.name
    if name.startswith(("yuv4", "yuvj4")) and not name.endswith("be"):
        return frame
    return frame.reformat(format="yuv444p")


def see(frame: av.VideoFrame) -> Seen:
    """Read the number, orientation and levels of a frame."""
    frame = _planar(frame)
    grids: dict[bool, npt.NDArray[np.float64]] = {}
    for name, (transpose, rows, columns) in ORIENTATIONS.items():
        if transpose not in grids:
            grids[transpose] = _cell_means(frame, 0, *((ROWS, COLUMNS) if transpose else (COLUMNS, ROWS)))
        luma = _upright(grids[transpose], transpose, rows, columns)
        number = _decode(luma)
        if number is None:
            continue
        chroma = [
            _upright(
                _cell_means(frame, i, *((ROWS, COLUMNS) if transpose else (COLUMNS, ROWS))), transpose, rows, columns
            )
            for i in (1, 2)
        ]
        colours = tuple((float(luma[c]), float(chroma[0][c]), float(chroma[1][c])) for c in _COLOUR_CELLS)
        return Seen(number, name, float(luma[_BLACK_CELL]), float(luma[_WHITE_CELL]), colours)
    return Seen(None)


def read_number(frame: av.VideoFrame) -> int | None:
    """Return the number in a frame, in any orientation, or None if there is none."""
    return see(frame).number


def _upright(grid: npt.NDArray[np.float64], transpose: bool, rows: bool, columns: bool) -> npt.NDArray[np.float64]:
    if transpose:
        grid = grid.T
    if columns:
        grid = grid[:, ::-1]
    if rows:
        grid = grid[::-1]
    return np.asarray(grid).reshape(-1)


def _decode(luma: npt.NDArray[np.float64]) -> int | None:
    white, black = luma[_WHITE_CELL], luma[_BLACK_CELL]
    contrast = white - black
    if contrast < 0.15:
        return None
    values = (luma[list(_DATA_CELLS)] - black) / contrast
    # A bit in the middle third comes from two blended frames: such a frame has no number.
    if np.any(np.abs(values - 0.5) < 0.17):
        return None
    word = 0
    for bit in values > 0.5:
        word = word << 1 | int(bit)
    number = word >> 16
    return number if word & 0xFFFF == _check_word(number) else None
