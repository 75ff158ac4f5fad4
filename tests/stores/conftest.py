"""Fixtures: `store` is each kind of store in turn; `make_s3` creates an S3 store in the test's bucket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clipengine.ledger.ledger import Ledger
from clipengine.stores.base import Store
from clipengine.stores.folder import FolderStore
from clipengine.stores.s3 import S3Store
from clipengine.stores.s3_client import Retries
from tests.support.s3 import QUICK, S3Server, bucket, faulty_s3, report_header, s3, true_s3

__all__ = ["bucket", "faulty_s3", "s3", "true_s3"]

MakeS3 = Callable[..., S3Store]


def pytest_report_header() -> str:
    return report_header()


@pytest.fixture
def make_s3(s3: S3Server, bucket: str, tmp_path: Path) -> MakeS3:
    """Return a function that creates an S3 store; extra keyword arguments go to its S3Location."""

    def make(
        *,
        single_put_bytes: int = 5 << 20,
        part_bytes: int = 5 << 20,
        link_seconds: int = 3600,
        retries: Retries = QUICK,
        **location: object,
    ) -> S3Store:
        return S3Store(
            s3.location(**{"bucket": bucket, **location}),
            journal=tmp_path / "journal",
            link_seconds=link_seconds,
            retries=retries,
            single_put_bytes=single_put_bytes,
            part_bytes=part_bytes,
        )

    return make


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    path = tmp_path / "data" / "ledger.db"
    opened = Ledger.open(path, key_prefix="relay_live", organisation_id="org_local", max_queued=10)
    yield opened
    opened.close()


@pytest.fixture(params=["folder", "identified folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return FolderStore(tmp_path / "store", "kept/here")
    if request.param == "identified folder":
        ledger: Ledger = request.getfixturevalue("ledger")
        return FolderStore(tmp_path / "store", "kept/here", identity=ledger.store_identity)
    make: MakeS3 = request.getfixturevalue("make_s3")
    return make(prefix="kept/here", single_put_bytes=64 << 20, part_bytes=16 << 20)
