"""Every fault of a request in one answer: what is wrong with its query, its headers, its body, its path and its values.

A fault is an error of the caller's. The first one that was found leads: the answer has its status and its code, and
`errors` lists all of them, each with where it is, its code and what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from clipengine.errors import InvalidRequest, MalformedRequest, NotFound, RequestError

_SHOWN = 5
_SHOWN_CHARACTERS = 200


def faults(*checks: Callable[[], object]) -> list[RequestError]:
    """What these checks have against the request, in their order. What is no fault of the request is raised."""
    found: list[RequestError] = []
    for check in checks:
        try:
            check()
        except (InvalidRequest, MalformedRequest, NotFound) as error:
            found.append(error)
    return found


def at(check: Callable[[], object], **place: str) -> Callable[[], None]:
    """The check, whose fault lies at `place` (`pointer` or `parameter`) unless it says itself where."""

    def placed() -> None:
        try:
            check()
        except RequestError as error:
            error.errors = error.errors or [{"detail": error.message, **place}]
            raise

    return placed


def refuse(found: Sequence[RequestError]) -> None:
    """Raises the first of them with the faults of all; nothing where there is none."""
    if len(found) > 1:
        listed = [fault for error in found for fault in listing(error)]
        found[0].errors = listed
        found[0].message = summary([error.message for error in found])
    if found:
        raise found[0]


def listing(error: RequestError) -> list[dict[str, str]]:
    """The faults of one error, each with its code and what to do; the error itself where it lists none."""
    own = {"code": error.code, "hint": error.hint}
    return [{**own, **fault} for fault in error.errors or [{"detail": error.message}]]


def summary(details: Sequence[str]) -> str:
    shown = "; ".join(detail[:_SHOWN_CHARACTERS] for detail in details[:_SHOWN])
    return shown + (f"; and {len(details) - _SHOWN} more" if len(details) > _SHOWN else "")
