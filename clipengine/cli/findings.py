"""What `doctor` finds: one line each, with the one thing to do where something is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from clipengine.errors import ClipEngineError
from clipengine.settings import Settings

Status = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """`remedy` is empty where nothing is wrong. A warning is worth doing, a problem keeps clips from being made."""

    name: str
    status: Status
    detail: str
    remedy: str = ""


Check = Callable[[Settings], Iterable[Finding]]


def good(name: str, detail: str) -> Finding:
    return Finding(name, "ok", detail)


def examine(name: str, check: Check, settings: Settings) -> Iterator[Finding]:
    """The findings of one check; one that fails is a finding itself."""
    try:
        yield from check(settings)
    except ClipEngineError as error:
        yield Finding(name, "problem", error.message, error.hint)
    except Exception as error:  # a check that breaks must not hide what the others find
        remedy = "Run `clipengine --traceback doctor`, and report what it shows."
        yield Finding(name, "problem", f"it cannot be checked: {type(error).__name__}: {error}", remedy)
