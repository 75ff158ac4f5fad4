"""What the engines of a fleet share, and its faults: the database, the store, and a disk that can be filled."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import click
import pytest

from tests.support.full_disk import disk, fill, free
from tests.support.hosts import Hosts
from tests.support.postgres import PostgresServer, running_postgres
from tests.support.receiver import Receiver
from tests.support.s3 import S3Server, running_s3
from tests.support.s3_faults import FaultyS3, Held

_STORE_SECONDS = 30  # for which the store does not respond
_FULL_SECONDS = 20
_DISK_MEGABYTES = 60
_METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE")


@dataclass(frozen=True)
class Site:
    """The engines of `hosts` reach the `store` through a proxy. `disk` is a data folder on a small disk, or None."""

    hosts: Hosts
    store: S3Server
    postgres: PostgresServer
    proxy: FaultyS3
    disk: Path | None

    def restart_database(self) -> None:
        self.postgres.stop("immediate")
        time.sleep(random.uniform(0.5, 3))
        self.postgres.start()

    def freeze_store(self) -> None:
        """Hold all requests for half a minute. The store serves them then, but the responses are lost."""
        held = Held()
        for method in _METHODS:
            self.proxy.fail(held, method=method, times=10**9)
        time.sleep(_STORE_SECONDS)
        self.proxy.clear()
        held.release()

    def fill_disk(self) -> None:
        """Leave no space on the disk for some seconds."""
        assert self.disk is not None
        fill(self.disk, 0)
        time.sleep(_FULL_SECONDS)
        free(self.disk)


@contextmanager
def running_site(folder: Path, on_disk: str) -> Iterator[Site]:
    """Start all but the engines, and mount the disk at the data folder of the engine `on_disk`, if root runs this."""
    with ExitStack() as stack:
        store = stack.enter_context(running_s3(folder))
        bucket = f"soak-{uuid4().hex[:12]}"
        store.client.make_bucket(bucket)
        proxy = stack.enter_context(FaultyS3(store.endpoint, remember=False))
        postgres = stack.enter_context(running_postgres())
        url = stack.enter_context(postgres.database())
        receiver = stack.enter_context(Receiver())
        small: Path | None = folder / on_disk
        try:
            stack.enter_context(disk(folder / on_disk, _DISK_MEGABYTES))
        except pytest.skip.Exception as reason:
            click.echo(f"no engine has a full disk: {reason}")
            small = None
        running = stack.enter_context(ExitStack())
        through_proxy = replace(store, endpoint=proxy.endpoint)
        yield Site(Hosts(folder, url, through_proxy, bucket, receiver, running), store, postgres, proxy, small)
