"""Fonts of this machine that burnt-in subtitles need. The maker child gets their descriptors, and no other font.

Only the tables of characters are read here; glyphs are drawn in the sandbox.
"""

from __future__ import annotations

import logging
import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from clipengine.clips.texts.captions import MAX_FONT_BYTES, MAX_FONTS, is_ignorable
from clipengine.clips.texts.cues import plain_payload
from clipengine.clips.texts.subtitles import TextTrack
from clipengine.clips.warnings import cues_without_glyphs, glyphs_missing
from clipengine.errors import FontsMissing

log = logging.getLogger(__name__)

_MAX_FILES = 5000  # looked at in the folders
_SYSTEM_FOLDERS = (Path("/usr/local/share/fonts"), Path("/usr/share/fonts"))
_SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")
_OUTLINES = ("glyf", "CFF ", "CFF2")
# Beginnings of the names of preferred files, and parts of the names of files that come last.
_PREFERRED = ("notosans-regular.", "dejavusans.", "notosanscjk-regular.", "notosans", "liberationsans-regular.")
_STYLED = ("bold", "italic", "oblique", "mono", "light", "thin", "black", "condensed", "serif", "display", "narrow")
# Han characters look different in each of these languages; a collection has a font for each.
_REGIONS = {"ja": " JP", "ko": " KR", "zh": " SC", "zh-Hant": " TC", "zh-TW": " TC", "zh-HK": " HK"}
_EAST_ASIAN = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO")
# Packages of Debian, by whether they have East Asian letters.
_PACKAGES = {False: "fonts-noto-core", True: "fonts-noto-cjk"}
_SHOWN_CHARACTERS = 10


@dataclass(frozen=True)
class ChosenFont:
    """A font of a file, and the characters that it is used for."""

    path: Path
    index: int
    characters: str


@dataclass(frozen=True)
class ChosenFonts:
    """The fonts of a clip in order of preference, and the symbols without a font.

    `blank` is the number of cues that need no glyph.
    """

    fonts: tuple[ChosenFont, ...] = ()
    lost: str = ""
    blank: int = 0

    @property
    def characters(self) -> frozenset[str]:
        return frozenset[str]().union(*(font.characters for font in self.fonts))

    def warnings(self) -> list[str]:
        found = [glyphs_missing(self.lost)] if self.lost else []
        return [*found, cues_without_glyphs(self.blank)] if self.blank else found


def choose_fonts(tracks: Iterable[TextTrack | None], folders: Sequence[Path]) -> ChosenFonts:
    """Return the fonts for the cues of tracks in one language, from these folders and the system's.

    Symbols without a glyph, such as emoji, are left out of the subtitles. Raises FontsMissing for a letter without one.
    """
    drawn = [track for track in tracks if track is not None and track.cues]
    if not drawn:
        return ChosenFonts()
    texts = [set(plain_payload(cue)) for track in drawn for cue in track.cues]
    blank = sum(not any(map(_needs_glyph, text - {" "})) for text in texts)
    missing = set[str]().union(*texts)
    missing = {each for each in unicodedata.normalize("NFC", "".join(missing)) if _needs_glyph(each)}
    wanted, chosen = frozenset(missing), list[ChosenFont]()
    for path in _files((*folders, *_SYSTEM_FOLDERS)):
        if not missing or len(chosen) == MAX_FONTS:
            break
        known = _characters(path, path.stat().st_mtime_ns)
        if not missing.isdisjoint(known):
            covered = "".join(sorted(wanted & known))
            chosen.append(ChosenFont(path, _index(path, drawn[0].language), covered))
            missing -= known
    letters = sorted(each for each in missing if unicodedata.category(each)[0] in "LMN")
    if letters:
        raise _missing(letters)
    return ChosenFonts(tuple(chosen), "".join(sorted(missing)), blank)


def _missing(letters: Sequence[str]) -> FontsMissing:
    shown = "".join(letters[:_SHOWN_CHARACTERS])
    more = f" and {len(letters) - _SHOWN_CHARACTERS} more" if len(letters) > _SHOWN_CHARACTERS else ""
    east = {unicodedata.name(each, "").startswith(_EAST_ASIAN) for each in letters}
    packages = " and ".join(_PACKAGES[each] for each in sorted(east))
    return FontsMissing(
        f"no font of this machine has the characters {shown}{more} of the subtitles",
        hint=f"Install fonts for them, such as Debian's {packages}, or name a folder in encoding.font_folders; "
        "then retry the clip.",
    )


def _needs_glyph(character: str) -> bool:
    return character != "\n" and not is_ignorable(character)


def _files(folders: Iterable[Path]) -> Iterator[Path]:
    """Yield the font files of each folder, the preferred ones first."""
    left = _MAX_FILES
    for folder in folders:
        found = []
        for parent, _, names in os.walk(folder):
            found += [Path(parent, name) for name in names if name.lower().endswith(_SUFFIXES)]
            if len(found) > left:
                log.warning("only %d font files are looked at in %s", left, folder)
                break
        left -= len(found[:left])
        yield from sorted(found[:left] if left < 0 else found, key=_rank)


def _rank(path: Path) -> tuple[bool, int, str]:
    name = path.name.lower()
    preferred = next((place for place, start in enumerate(_PREFERRED) if name.startswith(start)), len(_PREFERRED))
    return any(style in name for style in _STYLED), preferred, name


@lru_cache(maxsize=512)
def _characters(path: Path, changed_ns: int) -> frozenset[str]:
    """Return the characters of a font file, none if it is too large, damaged or has no outlines."""
    from fontTools.ttLib import TTFont

    try:
        if path.stat().st_size > MAX_FONT_BYTES:
            return frozenset()
        with path.open("rb") as file, TTFont(file, fontNumber=0, lazy=True) as font:
            if not any(table in font for table in _OUTLINES):
                return frozenset()
            return frozenset(map(chr, font.getBestCmap() or ()))
    except Exception as error:  # the library raises errors of many kinds for a damaged file
        log.debug("the font %s cannot be read: %s", path, error)
        return frozenset()


def _index(path: Path, language: str) -> int:
    """Return the number of the font for the language in a collection."""
    region = _REGIONS.get(language) or _REGIONS.get(language.partition("-")[0])
    if region is None or path.suffix.lower() not in (".ttc", ".otc"):
        return 0
    from fontTools.ttLib import TTCollection

    with path.open("rb") as file, TTCollection(file, lazy=True) as collection:
        names = [str(font["name"].getDebugName(1)) for font in collection.fonts]
    return next((number for number, name in enumerate(names) if name.endswith(region)), 0)
