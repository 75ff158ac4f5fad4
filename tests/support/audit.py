"""The rows that a test adds to the audit log."""

from __future__ import annotations

from clipengine.ledger.audit.audit import AuditEntry
from clipengine.ledger.audit.records import Fault
from tests.support.api import RecordedEngine


class Log:
    """The rows that are added after its creation."""

    def __init__(self, engine: RecordedEngine) -> None:
        self._engine = engine
        self._known = {each.audit_id for each in engine.ledger.audit.all()}

    def new(self) -> list[AuditEntry]:
        self._engine.ledger.audit.flush()
        found = [each for each in self._engine.ledger.audit.all() if each.audit_id not in self._known]
        self._known |= {each.audit_id for each in found}
        return found

    def actions(self) -> list[tuple[str, str, str | None]]:
        """Return what was done with which objects, sorted."""
        return sorted((each.action, each.object_id or "", each.within_id) for each in self.new())

    def faults(self) -> list[Fault]:
        """Seal the log and return what its verification finds."""
        chain = self._engine.ledger.audit_chain
        while chain.seal() is not None:
            pass
        return [each for each in chain.verify() if isinstance(each, Fault)]
