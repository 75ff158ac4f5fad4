"""Errors of a request: their locations, and several of them as one error.

Errors of the query, the headers and the fields of the body are reported together. Errors that need the ledger, the
store or the settings are raised one at a time, once the form of the request is valid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from clipengine.errors import RequestError

MAX_LISTED = 20  # faults in one answer; the others are counted
_SHOWN = 5
_SHOWN_CHARACTERS = 200

T = TypeVar("T")


def collected(found: list[RequestError], check: Callable[[], T]) -> T | None:
    """Return the result of `check`; append the RequestError that it raises to `found` and return None."""
    try:
        return check()
    except RequestError as error:
        found.append(error)
        return None


@contextmanager
def located(**place: str) -> Iterator[None]:
    """Add `place` (`pointer` or `parameter`) to a RequestError that does not say where in the request it lies."""
    try:
        yield
    except RequestError as error:
        error.errors = error.errors or [{"detail": error.message, **place}]
        raise


def raise_all(found: Sequence[RequestError]) -> None:
    """Raise the first error with the faults of all of them, if there are any."""
    if not found:
        return
    first = found[0]
    if len(found) > 1:
        listed = [fault for error in found for fault in listing(error)]
        first.omitted = sum(error.omitted for error in found) + max(0, len(listed) - MAX_LISTED)
        first.errors = listed[:MAX_LISTED]
        first.message = summary([error.message for error in found])
    raise first


def listing(error: RequestError) -> list[dict[str, str]]:
    """Return the faults that `error` lists, or the error itself as one fault, each with its code and hint."""
    own = {"code": error.code, "hint": error.hint}
    return [{**own, **fault} for fault in error.errors or [{"detail": error.message}]]


def summary(details: Sequence[str], *, total: int | None = None) -> str:
    """Return the first few details as one line. `total` is the number of faults if `details` does not have all."""
    shown = "; ".join(detail[:_SHOWN_CHARACTERS] for detail in details[:_SHOWN])
    more = (total or len(details)) - _SHOWN
    return f"{shown}; and {more} more" if more > 0 else shown
