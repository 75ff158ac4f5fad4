"""The word error rate of a model on real speech: `make speech` writes the table of the manual.

The recordings are audiobooks and the prompts of telephone systems, whose texts are known. They come from Debian's
packages asterisk-core-sounds-XX and asterisk-core-sounds-XX-g722 (en, es, fr, it, ru) and pocketsphinx-testdata,
unpacked into one folder by `dpkg -x`, and from moonshine-voice of the test dependencies.
"""

from __future__ import annotations

import argparse
import gzip
import os
import re
import subprocess
import sys
import tempfile
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.real_speech import TEXT, errors, speech_file, words

_PAGE = Path(__file__).parent.parent / "clipengine" / "docs" / "transcription.md"
_TABLE = re.compile(r"(?<=<!-- begin of the table -->\n).*?(?=<!-- end of the table -->)", re.DOTALL)
_SECONDS = 50  # of a recording that is joined from prompts
_RATE = 16_000
_SPEAKERS = {
    "en": "Allison Smith, prompts",
    "es": "Allison Smith, prompts",
    "fr": "June Wallack, prompts",
    "it": "Carlo Flora, prompts",
    "ru": "ivrvoice.ru, prompts",
}
_COUNTS = {"en": 2, "es": 2, "fr": 2, "it": 1, "ru": 1}
# Texts and models write digits as digits or as words.
_DIGITS = {
    "en": "zero one two three four five six seven eight nine",
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve",
    "fr": "zéro un deux trois quatre cinq six sept huit neuf",
    "it": "zero uno due tre quattro cinque sei sette otto nove",
    "ru": "ноль один два три четыре пять шесть семь восемь девять",
}


@dataclass(frozen=True)
class Speech:
    language: str
    speaker: str
    text: str
    files: Sequence[Path]


def main(model: Path, folder: Path) -> None:
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for number, speech in enumerate(recordings(folder)):
            rows.append(_row(model, speech, Path(scratch) / f"{number}.wav"))
            print(rows[-1], flush=True)
    head = (
        "| language | speaker | seconds | words | errors | CPU per minute | memory |\n|---|---|---|---|---|---|---|\n"
    )
    table = head + "".join(f"| {row} |\n" for row in rows)
    _PAGE.write_text(_TABLE.sub(lambda _: table, _PAGE.read_text("utf-8")), "utf-8")


def recordings(folder: Path) -> Iterator[Speech]:
    yield Speech("en", "A Tale of Two Cities", TEXT, [speech_file()])
    book = next(folder.rglob("librivox"))
    lines = re.findall(r"<s> (.*) </s> \((.*)\)", (book / "transcription").read_text())
    yield Speech(
        "en", "Sense and Sensibility", " ".join(text for text, _ in lines), [book / f"{name}.wav" for _, name in lines]
    )
    for language, count in _COUNTS.items():
        prompts = _prompts(folder, language)
        for _ in range(count):
            yield Speech(language, _SPEAKERS[language], *_joined(prompts))


def _prompts(folder: Path, language: str) -> list[tuple[str, Path]]:
    """Return the texts and files of the prompts, the longest first, and those with other sounds left out."""
    (listing,) = folder.rglob(f"core-sounds-{language}.txt.gz")
    lines = re.findall(r"^([\w-]+): ([^\[\]()<>\n]+)$", gzip.decompress(listing.read_bytes()).decode(), re.MULTILINE)
    files = {each.stem: each for each in folder.rglob("*.g722") if each.parent.name.startswith(language)}
    found = {text.strip(): files[name] for name, text in lines if name in files}
    return sorted(found.items(), key=lambda item: len(item[0]), reverse=True)


def _joined(prompts: list[tuple[str, Path]]) -> tuple[str, list[Path]]:
    """Take prompts for one recording from the front of the list."""
    texts, files, seconds = [], [], 0.0
    while seconds < _SECONDS:
        text, file = prompts.pop(0)
        texts.append(text)
        files.append(file)
        seconds += file.stat().st_size / 8000  # 64 kbit/s
    return " ".join(texts), files


def _row(model: Path, speech: Speech, target: Path) -> str:
    seconds = _write(speech.files, target)
    texts = target.with_suffix(".txt")
    command: list[str | Path] = [
        Path(sys.executable).with_name("clipengine"),
        "transcribe",
        target,
        texts,
        "--model-folder",
        model,
    ]
    environ = {**os.environ, "CLIPENGINE_ENCODING__NICE": "0"}  # beside other work, the lowest priority takes hours
    with subprocess.Popen([*command, "--language", speech.language], env=environ, stderr=subprocess.PIPE) as process:
        said = process.stderr.read() if process.stderr else b""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(said.decode())
    expected, found = (_words(text, speech.language) for text in (speech.text, texts.read_text("utf-8")))
    rate = errors(found, expected) / len(expected)
    cpu = (usage.ru_utime + usage.ru_stime) * 60 / seconds
    cells = (speech.language, speech.speaker, f"{seconds:.0f}", len(expected), f"{rate:.1%}", f"{cpu:.0f} s")
    return " | ".join([*map(str, cells), f"{usage.ru_maxrss / 1024:.0f} MiB"])


def _write(files: Sequence[Path], target: Path) -> float:
    """Write the files as one WAV file, with half a second between them, and return its seconds."""
    with wave.open(str(target), "wb") as file:
        file.setparams((1, 2, _RATE, 0, "NONE", ""))
        for each in files:
            command: list[str | Path] = [
                "ffmpeg",
                "-v",
                "error",
                "-i",
                each,
                "-f",
                "s16le",
                "-ac",
                "1",
                "-ar",
                str(_RATE),
                "-",
            ]
            file.writeframes(subprocess.run(command, capture_output=True, check=True).stdout + bytes(_RATE))
        return file.getnframes() / _RATE


def _words(text: str, language: str) -> list[str]:
    for digit, word in enumerate(_DIGITS[language].split()):
        text = re.sub(rf"\b{digit}\b", word, text)
    return words(text)


if __name__ == "__main__":
    options = argparse.ArgumentParser(prog="make speech", description=__doc__)
    options.add_argument("--model", type=Path, required=True)
    options.add_argument("--sounds", type=Path, required=True)
    given = options.parse_args()
    main(given.model, given.sounds)
