"""S3 store: presigned links, endpoints, prefixes and settings."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import urllib3

from clipengine.errors import SettingsError
from clipengine.settings.settings import Storage
from clipengine.stores.build import build_store
from clipengine.stores.folder import FolderStore
from clipengine.stores.s3 import S3Store
from tests.support.s3 import S3Server
from tests.support.s3_faults import FaultyS3

MakeS3 = Callable[..., S3Store]
DATA = bytes(range(256)) * 10


def put(store: S3Store, key: str) -> None:
    digest = hashlib.sha256(DATA).hexdigest()
    store.put(key, io.BytesIO(DATA), size=len(DATA), content_type="video/mp4", sha256=digest)


def get(link: str, **headers: str) -> urllib3.BaseHTTPResponse:
    with urllib3.PoolManager() as pool:
        return pool.request("GET", link, headers=headers, timeout=300)


@pytest.mark.parametrize("filename", ["clip.mp4", 'a "b"; é 会.mp4', "x\r\nSet-Cookie: a=b", "..\\../up", "\ud800.mp4"])
def test_link_downloads_with_the_given_file_name(make_s3: MakeS3, filename: str) -> None:
    store = make_s3(prefix="in/here")
    put(store, "a b/clip+ü.mp4")
    link = store.link("a b/clip+ü.mp4", filename=filename, content_type="video/quicktime")
    assert link is not None
    answer = get(link)
    assert (answer.status, answer.data) == (200, DATA)
    assert answer.headers["content-type"] == "video/quicktime"
    form, _, name = answer.headers["content-disposition"].partition("''")
    assert form == "attachment; filename*=UTF-8"
    assert unquote(name) == filename.encode(errors="replace").decode()
    assert name.isascii()
    assert not set(name) & set(' "\\/;\r\n')
    assert "set-cookie" not in answer.headers


def test_link_supports_range_requests(make_s3: MakeS3) -> None:
    store = make_s3()
    put(store, "k")
    link = store.link("k", filename="k", content_type="video/mp4")
    answer = get(str(link), Range="bytes=10-19")
    assert (answer.status, answer.data) == (206, DATA[10:20])
    assert answer.headers["content-range"] == f"bytes 10-19/{len(DATA)}"


def test_link_may_be_inline_and_valid_for_a_shorter_time(make_s3: MakeS3) -> None:
    store = make_s3(link_seconds=77)
    put(store, "k")
    for seconds, valid in ((9, "9"), (900, "77"), (0, "1")):
        link = str(store.link("k", filename="k", content_type="video/mp4", kind="inline", seconds=seconds))
        assert parse_qs(urlsplit(link).query)["X-Amz-Expires"] == [valid]
    link = str(store.link("k", filename="k", content_type="video/mp4", kind="inline", seconds=60))
    assert get(link).headers["content-disposition"].startswith("inline;")


def test_link_expires_and_is_valid_for_its_object_only(true_s3: S3Server, make_s3: MakeS3) -> None:
    store = make_s3(link_seconds=77)
    put(store, "k")
    put(store, "other")
    link = str(store.link("k", filename="k", content_type="video/mp4"))
    assert parse_qs(urlsplit(link).query)["X-Amz-Expires"] == ["77"]
    assert get(link.replace("/k?", "/other?")).status == 403
    late = true_s3.client.presigned_get_object(urlsplit(link).path.split("/")[1], "k", timedelta(seconds=1))
    assert get(late).status == 200


def test_links_are_signed_for_the_public_endpoint(faulty_s3: FaultyS3, make_s3: MakeS3) -> None:
    store = make_s3(public_endpoint=faulty_s3.endpoint)
    put(store, "k")
    assert faulty_s3.seen == []
    link = str(store.link("k", filename="k", content_type="video/mp4"))
    assert link.startswith(faulty_s3.endpoint)
    assert get(link).data == DATA


def test_session_token_is_sent_and_signed(faulty_s3: FaultyS3, s3: S3Server, make_s3: MakeS3) -> None:
    if not s3.moto:
        pytest.skip("a real store rejects unknown session tokens")
    store = make_s3(endpoint=faulty_s3.endpoint, session_token="token-of-a-session")
    put(store, "k")
    assert {request.headers["x-amz-security-token"] for request in faulty_s3.seen} == {"token-of-a-session"}
    assert "X-Amz-Security-Token=token-of-a-session" in str(store.link("k", filename="k", content_type="a/b"))


def test_region_is_never_requested_from_the_store(faulty_s3: FaultyS3, make_s3: MakeS3) -> None:
    store = make_s3(endpoint=faulty_s3.endpoint)
    put(store, "k")
    store.check()
    assert faulty_s3.count("GET", "location") == 0


def test_path_style_setting_selects_the_url_form(make_s3: MakeS3, bucket: str) -> None:
    path = urlsplit(str(make_s3(public_endpoint="https://s3.example").link("k", filename="k", content_type="a/b")))
    assert (path.netloc, path.path) == ("s3.example", f"/{bucket}/k")
    virtual = make_s3(public_endpoint="https://s3.example", path_style=False)
    host = urlsplit(str(virtual.link("k", filename="k", content_type="a/b")))
    assert (host.netloc, host.path) == (f"{bucket}.s3.example", "/k")


def test_stores_with_different_prefixes_are_separate(make_s3: MakeS3, s3: S3Server, bucket: str) -> None:
    one, two, whole = make_s3(prefix="/one/"), make_s3(prefix="one-b"), make_s3()
    put(one, "k")
    put(two, "k2")
    s3.client.put_object(bucket, "one/folder/", io.BytesIO(), 0)
    s3.client.put_object(bucket, "one/a//b", io.BytesIO(), 0)
    assert [found.key for found in one.list()] == ["k"]
    assert [found.key for found in two.list()] == ["k2"]
    assert [found.key for found in whole.list()] == ["one-b/k2", "one/k"]


@pytest.mark.exhaustive
def test_list_returns_objects_of_all_pages(make_s3: MakeS3, s3: S3Server, bucket: str) -> None:
    store = make_s3(prefix="p")
    names = [f"{n:04}" for n in range(1003)]
    for name in names:
        s3.client.put_object(bucket, f"p/{name}", io.BytesIO(b"x"), 1)
    assert [found.key for found in store.list()] == names
    assert [found.key for found in store.list("10")] == ["1000", "1001", "1002"]


def test_store_is_built_from_the_settings(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    values = {
        "kind": "s3",
        "endpoint": s3.endpoint,
        "bucket": bucket,
        "region": s3.region,
        "prefix": "/in/",
        "access_key": s3.access_key,
        "secret_key": s3.secret_key,
        "link_seconds": 60,
    }
    store = build_store(Storage.model_validate(values), folder=tmp_path / "store", journal=tmp_path / "journal")
    assert isinstance(store, S3Store)
    put(store, "k")
    assert [found.object_name for found in s3.client.list_objects(bucket, recursive=True)] == ["in/k"]
    assert "X-Amz-Expires=60" in str(store.link("k", filename="k", content_type="a/b"))
    assert not (tmp_path / "store").exists()
    folder = build_store(Storage(prefix="in"), folder=tmp_path / "store", journal=tmp_path / "journal")
    assert isinstance(folder, FolderStore)
    folder.put_stream("k", io.BytesIO(b"x"), content_type="a/b", limit=1)
    assert (tmp_path / "store" / "in" / "k").read_bytes() == b"x"
    with pytest.raises(SettingsError, match=r"storage\.prefix"):
        build_store(Storage(prefix="a/../b"), folder=tmp_path / "store", journal=tmp_path / "journal")
