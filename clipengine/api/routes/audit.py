"""The audit log, for operators and keys with the scope `admin`."""

from __future__ import annotations

from starlette.responses import Response

from clipengine.api.http.operation import Answer, Call, Operation, page_response
from clipengine.api.http.requests.audit import ListAudit
from clipengine.api.http.requests.fields import NoBody
from clipengine.ledger.audit.audit import AuditFilter
from clipengine.objects.audit import AuditEntryObject


def list_audit(call: Call[ListAudit, NoBody]) -> Response:
    page = call.ledger.audit.list(AuditFilter(**call.query.model_dump()))
    return page_response(call, [AuditEntryObject.of(each) for each in page.data], page.next_cursor)


OPERATIONS = [
    Operation(
        "GET",
        "/v1/audit",
        "read",
        list_audit,
        "List who has changed or downloaded what",
        [Answer(200, "One page of the audit log, newest first.", AuditEntryObject, page=True)],
        query=ListAudit,
    ),
]
