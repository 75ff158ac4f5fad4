"""Colors of frames and how many pixels have them, in bounded memory and time."""

from __future__ import annotations

from collections import Counter

import av

_SAMPLES = 1 << 16  # pixels that are counted of a frame, at most about
_MOST_COLORS = 1 << 17  # that are counted exactly
_COARSE_BITS, _COARSE_MIDDLE = 0xFFFCFCFC, 0x00020202  # rare colors are counted in cubes of 4
_SHARE, _MEAN_SHARE = 2048, 512  # each common color has one of so many pixels; on average one of the second number
_SIMILAR = 3  # of 255


class ColorCounts:
    """Counts colors (0xAARRGGBB) of frames in `bgra`. Of too many, as noise has, the rare ones are counted coarsely."""

    def __init__(self) -> None:
        self._exact: Counter[int] = Counter()
        self._coarse: Counter[int] = Counter()
        self._frames = 0
        self._rare = 1  # pixels of a color that is not counted exactly if there are too many

    def add(self, frame: av.VideoFrame) -> None:
        """Count pixels of a grid, which moves from frame to frame. Of small frames that is each pixel."""
        step = 1
        while frame.width * frame.height > _SAMPLES * step * step:
            step += 1
        plane = frame.planes[0]
        pixels, row = memoryview(plane).cast("I"), plane.line_size // 4
        down, right = divmod(self._frames % (step * step), step)
        for start in range(down * row, frame.height * row, step * row):
            self._exact.update(pixels[start + right : start + frame.width : step])
        self._frames += 1
        while len(self._exact) > _MOST_COLORS:
            self._merge(self._rare)
            self._rare *= 2

    def _merge(self, most: int) -> None:
        """Count colors of at most so many pixels coarsely."""
        kept: Counter[int] = Counter()
        for color, count in self._exact.items():
            if count > most:
                kept[color] = count
            else:
                self._coarse[color & _COARSE_BITS | _COARSE_MIDDLE] += count
        self._exact = kept

    def common(self, most: int) -> list[int]:
        """Return the colors of flat areas, at most so many, the most common ones first.

        Of similar ones, as an encoder makes them of one color, only the first is returned.
        """
        total = self._exact.total() + self._coarse.total()
        found: list[int] = []
        covered = 0
        for color, count in self._exact.most_common():
            covered += count
            if count * _SHARE < total or covered * _MEAN_SHARE < total * (len(found) + 1) or len(found) == most:
                break
            if not any(_are_similar(color, other) for other in found):
                found.append(color)
        return found

    def others(self, common: list[int]) -> Counter[int]:
        """Return the counts of all other colors."""
        others = self._exact + self._coarse
        for color in common:
            del others[color]
        return others


def _are_similar(color: int, other: int) -> bool:
    """Return True if no channel differs by more than `_SIMILAR`."""
    return all(abs((color >> shift & 255) - (other >> shift & 255)) <= _SIMILAR for shift in (0, 8, 16))
