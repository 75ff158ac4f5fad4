"""Findings of `clipengine doctor`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from clipengine.errors import ClipEngineError
from clipengine.settings.settings import Settings

Status = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """Result of a check. A problem prevents clips from being cut, a warning does not. `remedy` is empty for ok."""

    name: str
    status: Status
    detail: str
    remedy: str = ""


Check = Callable[[Settings], Iterable[Finding]]


def ok(name: str, detail: str) -> Finding:
    return Finding(name, "ok", detail)


def run_check(name: str, check: Check, settings: Settings) -> Iterator[Finding]:
    """Run a check and yield its findings. An exception becomes a problem."""
    try:
        yield from check(settings)
    except ClipEngineError as error:
        yield Finding(name, "problem", error.message, error.hint)
    except Exception as error:  # the other checks must still run
        remedy = "Run `clipengine --traceback doctor` and report its output."
        yield Finding(name, "problem", f"the check failed: {type(error).__name__}: {error}", remedy)
