"""`clipengine transcribe`: write the transcript of a file, without a server or database."""

from __future__ import annotations

import array
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import click

from clipengine.cli import output
from clipengine.cli.local.making import open_source
from clipengine.cli.local.probe import LocalProbe, probe_local
from clipengine.cli.options import config_option, data_option, settings_of
from clipengine.clips.texts.cues import WRITTEN_TYPES, Cue, WrittenFormat, format_cues, moved
from clipengine.clips.texts.language_tags import parse_language
from clipengine.clips.transcription import SAMPLE_RATE, no_track
from clipengine.errors import TranscriptionOff
from clipengine.settings.settings import Settings
from clipengine.work.children.jobs import Job, probe_job
from clipengine.work.children.pool import ChildPool
from clipengine.work.children.process import Child
from clipengine.work.transcribers.passages import is_silent, read_passage, total_samples
from clipengine.work.transcribers.sources import speech_sources

_FORMATS = click.Choice(list(WRITTEN_TYPES))


@click.command()
@click.argument("source")
@click.argument("target", metavar="[OUTPUT]", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--language", metavar="TAG", help="Language that is spoken, such as en. [default: detected]")
@click.option("--track", type=click.IntRange(min=0), default=0, help="Number of the audio track, from 0.")
@click.option("--model-folder", type=click.Path(path_type=Path), help="Folder of a Whisper model for CTranslate2.")
@click.option("--format", type=_FORMATS, help="Of the output. [default: its suffix, or vtt]")
@config_option
@data_option
def transcribe(
    source: str,
    target: Path | None,
    language: str | None,
    track: int,
    model_folder: Path | None,
    format: WrittenFormat | None,
    config: Path | None,
    data: Path | None,
) -> None:
    """Write the transcript of SOURCE, a file or s3://bucket/key, to OUTPUT or to standard output.

    The model or the server is that of [transcription] in the settings.
    """
    if not (source.startswith("s3://") or Path(source).is_file()):
        raise click.BadParameter(f"{source} is not a file", param_hint="'SOURCE'")
    settings = settings_of(config, data)
    if model_folder is not None:
        settings = settings.model_copy(
            update={"transcription": settings.transcription.model_copy(update={"model_folder": model_folder})}
        )
    kind = format or _format_of(target)
    tag = None if language is None else parse_language(language)
    body = format_cues(_cues(settings, source, tag, track), kind)
    if target is None:
        click.echo(body, nl=False)
    else:
        target.write_bytes(body)


def _format_of(target: Path | None) -> WrittenFormat:
    if target is None:
        return "vtt"
    for kind in WRITTEN_TYPES:
        if target.suffix.lower() == f".{kind}":
            return kind
    raise click.UsageError(f"{target.name} does not end with .vtt, .srt, .json or .txt: give --format")


def _cues(settings: Settings, source: str, language: str | None, track: int) -> list[Cue]:
    """Return the cues of the whole recording. Raises the errors of a transcription."""
    names = settings.transcription.sources
    if not names:
        hint = "Give --model-folder, or set transcription.model_folder or transcription.url in the settings."
        raise TranscriptionOff("no transcriber is configured", hint=hint)
    with ExitStack() as stack:
        store, opened = stack.enter_context(open_source(settings, source))
        pool = stack.enter_context(closing(ChildPool(sandbox=settings.encoding.sandbox, ahead=0)))
        child = Child(sandbox=settings.encoding.sandbox)
        job, base_url = probe_job(settings.encoding), settings.storage.playlist_base_url
        probed = probe_local(store, opened, job, child, base_url=base_url)
        child.close()
        stack.enter_context(closing(probed.reader))
        speech = speech_sources(settings, pool, own_port=None)[names[0]]
        found: list[Cue] = []
        with output.transfer("transcribing") as moved_on:
            for start, samples in _passages(settings, pool, probed, track):
                if not is_silent(samples):
                    spoken = speech.transcribe(samples, language=language, report=lambda part: None)
                    found += moved(spoken.cues, start * 1000 // SAMPLE_RATE)
                    language = language or (spoken.language if spoken.cues else None)
                moved_on(start + len(samples), total_samples(probed.facts))
    return found


def _passages(
    settings: Settings, pool: ChildPool, probed: LocalProbe, track: int
) -> Iterator[tuple[int, array.array[int]]]:
    """Yield the passages with the numbers of their first samples."""
    if track >= len(probed.facts.audio):
        raise no_track(track, len(probed.facts.audio))
    start, read = 0, partial(_decode, pool, probed)
    while start < total_samples(probed.facts):
        samples = read_passage(read, settings.encoding, probed.facts, probed.seek_index, start=start, track=track)
        yield start, samples
        start += len(samples)


def _decode(pool: ChildPool, probed: LocalProbe, job: Job) -> bytes:
    with closing(pool.take()) as child:
        return child.run(job, probed.reader, watch=lambda message: None)[1]
