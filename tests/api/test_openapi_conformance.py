"""The OpenAPI document, tested by Schemathesis with requests that conform to it and requests that do not.

No response is a 5xx or undocumented, and no request that violates the document is accepted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode, checks
from schemathesis.config import SchemathesisConfig
from schemathesis.core.parameters import ParameterLocation

from tests.support.described import Described, described_server

RESPONSE_CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
# Without `ignored_auth`, which repeats each request twice: `test_access` and `test_invalid_keys` call each route once.
CHECKS = [
    *RESPONSE_CHECKS,
    checks.negative_data_rejection,
    checks.positive_data_acceptance,
    checks.unsupported_method,
    checks.allow_header_conformance,
]
# A schema cannot say which languages are registered, which profiles and cursors exist, which keys were used and what
# lies in the past: a 422 is documented for that. The others are Schemathesis' defaults.
ACCEPTED = ["2xx", "3xx", "401", "403", "404", "409", "422", "429", "5xx"]
CONFIG = SchemathesisConfig.from_dict(
    {
        "checks": {"positive_data_acceptance": {"expected-statuses": ACCEPTED}},
        "operations": [
            {
                "include-path": "/v1/recordings/upload",  # without bytes it is malformed
                "checks": {"positive_data_acceptance": {"expected-statuses": [*ACCEPTED, "400"]}},
            }
        ],
    }
)
schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
SENT_AS_TEXTS = {"metadata", "tag", "recording_id"}  # maps and lists of a query


def _has_wrong_path(case: schemathesis.Case) -> bool:
    path = None if case.meta is None else case.meta.components.get(ParameterLocation.PATH)
    return path is not None and path.mode is GenerationMode.NEGATIVE


@pytest.fixture
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Described]:
    with described_server(tmp_path_factory.mktemp("described")) as found:
        yield found


FRAMING = ("content-length", "transfer-encoding")  # invalid values would make invalid HTTP
PLAN = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize(
    ("mode", "examples"),
    [
        pytest.param(GenerationMode.POSITIVE, 20, id="positive"),
        pytest.param(GenerationMode.NEGATIVE, 12, id="negative"),
    ],
)
@pytest.mark.exhaustive
def test_every_operation_conforms_to_the_document(described: Described, mode: GenerationMode, examples: int) -> None:
    server = described.server
    document = httpx.get(f"{server.url}/v1/openapi.json", trust_env=False).json()
    schema = schemathesis.openapi.from_dict(document, config=CONFIG)
    faults: list[str] = []
    tried = 0
    answers: Counter[int] = Counter()
    operations = [found.ok() for found in schema.get_all_operations()]
    for operation in sorted(operations, key=lambda operation: operation.method == "delete"):
        if operation.path == "/v1/events":  # an event stream never ends
            continue

        def attempt(case: schemathesis.Case) -> None:
            nonlocal tried
            if any(value in ([], {}) for value in (case.query or {}).values()):
                return  # nothing of such a parameter is sent, so the request is valid
            if mode is GenerationMode.NEGATIVE and SENT_AS_TEXTS & (case.query or {}).keys():
                return  # whatever its values are, they are sent as texts, which are valid
            tried += 1
            if "wait" in (case.query or {}) and mode is GenerationMode.POSITIVE:
                case.query["wait"] = 0
            if tried % 3 and not _has_wrong_path(case):  # otherwise an unknown resource
                case.path_parameters |= {name: described.ids[name] for name in case.path_parameters or {}}
            case.headers = {name: text for name, text in (case.headers or {}).items() if name.lower() not in FRAMING}
            headers = {"Authorization": f"Bearer {server.key}"}
            if case.operation.path.endswith("/segments") and mode is GenerationMode.POSITIVE:
                case.headers["If-Match"] = "*"  # the list that an earlier example has stored
            answer = case.call(base_url=server.url, headers=headers, timeout=300)
            answers[answer.status_code] += 1
            too_large = answer.status_code in (413, 431)  # to be read
            case.validate_response(answer, checks=RESPONSE_CHECKS if too_large else CHECKS, headers=headers)

        try:
            settings(PLAN, max_examples=examples)(given(operation.as_strategy(generation_mode=mode))(attempt))()
        except (AssertionError, BaseExceptionGroup) as fault:
            faults.append(f"{operation.label}: {fault}")
        except Unsatisfiable:
            continue  # it takes no input
    assert not faults, "\n\n".join(faults)
    assert {200, 404, 422} <= set(answers), answers
    assert 409 in answers or mode == GenerationMode.NEGATIVE
