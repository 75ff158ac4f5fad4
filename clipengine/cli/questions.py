"""Questions of the command line, on standard error. An input that ends before the answer is an error of use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click


def ask(question: str, *, default: str | None = None, hidden: bool = False, otherwise: str) -> str:
    """Return the answer. Raises UsageError with `otherwise`, what to do instead, if the input ends before it."""
    with _answered(question, otherwise):
        return str(click.prompt(question, default=default, hide_input=hidden, err=True))


def confirm(question: str, *, otherwise: str) -> None:
    """Raise Abort unless the answer is yes. Raises UsageError as `ask` does."""
    with _answered(question, otherwise):
        click.confirm(question, abort=True, err=True)


@contextmanager
def _answered(question: str, otherwise: str) -> Iterator[None]:
    try:
        yield
    except click.Abort as error:
        if not isinstance(error.__context__, EOFError):
            raise
        raise click.UsageError(f"the input ended before {question!r} was answered: {otherwise}") from None
