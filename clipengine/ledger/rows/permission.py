"""Permission to end the objects of others: a right that depends on rows is decided in the transaction that uses them.

What ends an object for a caller (a deletion, a cancel, a change of its expiry) takes a `Permit`, and asks it with the
row locked. A route cannot look up the owner first, so that nobody adds to the object between the decision and its use.
"""

from __future__ import annotations

from collections.abc import Callable

Owner = Callable[[], str | None]  # returns the id of the principal to whom an object belongs; called if it matters
Permit = Callable[[Owner], None]  # raises Forbidden unless the caller may end an object of this owner


def by_engine(owner: Owner) -> None:
    """Permit what the engine does by itself, or by a right that was decided before: retention, rules, batches."""
