"""Credentials of the S3 store from the environment: variables, files, and the role of the machine."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clipengine.errors import SettingsError, StorageDenied
from clipengine.settings.sources import load
from clipengine.stores.s3 import S3Store
from clipengine.stores.s3_credentials import CredentialChain
from tests.support.origin_server import origin_server
from tests.support.s3 import QUICK, S3Server


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the credentials of this machine, and its metadata service."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "missing"))
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/nothing")


def store_of(s3: S3Server, bucket: str, tmp_path: Path) -> S3Store:
    location = s3.location(bucket, access_key="", secret_key="", chain=True)
    return S3Store(location, journal=tmp_path / "journal", retries=QUICK)


def role(access_key: str, secret_key: str, expires: timedelta) -> bytes:
    moment = (datetime.now(UTC) + expires).strftime("%Y-%m-%dT%H:%M:%SZ")
    given = {"AccessKeyId": access_key, "SecretAccessKey": secret_key, "Token": None, "Expiration": moment}
    return json.dumps(given).encode()


def test_variables_are_used(s3: S3Server, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.secret_key)
    store = store_of(s3, bucket, tmp_path)
    store.check()
    assert s3.access_key in (store.link("a.mp4", filename="a.mp4", content_type="video/mp4") or "")


def test_profile_of_the_credentials_file_is_used(
    s3: S3Server, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "credentials"
    file.write_text(f"[clips]\naws_access_key_id = {s3.access_key}\naws_secret_access_key = {s3.secret_key}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "clips")
    store_of(s3, bucket, tmp_path).check()


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")  # of minio
def test_role_is_used_and_renewed_before_it_expires(
    s3: S3Server, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with origin_server(role(s3.access_key, s3.secret_key, timedelta(seconds=5))) as service:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{service.url}/role")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "pod")
        store = store_of(s3, bucket, tmp_path)
        store.check()
        asked = len(service.requests)
        assert service.requests[0][1]["authorization"] == "pod"
        service.body = role(s3.access_key, s3.secret_key, timedelta(hours=1))
        store.check()  # the first ones are about to expire
        assert len(service.requests) > asked
        asked = len(service.requests)
        store.check()
        assert len(service.requests) == asked


def test_missing_credentials_are_reported(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    with pytest.raises(StorageDenied, match="no credentials") as raised:
        store_of(s3, bucket, tmp_path).check()
    assert "AWS_ACCESS_KEY_ID" in raised.value.hint


def test_error_does_not_contain_the_access_key(
    true_s3: S3Server, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAUNKNOWNKEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with pytest.raises(StorageDenied) as raised:
        store_of(true_s3, bucket, tmp_path).check()
    assert "AKIAUNKNOWNKEY" not in raised.value.message


def test_last_key_is_known_for_error_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    chain = CredentialChain()
    chain.retrieve()
    assert chain.access_key == "AKIA1"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, 'storage.secret_key, or storage.credentials = "chain"'),
        ({"CREDENTIALS": "chain", "SECRET_KEY": "x"}, 'remove storage.secret_key, or set it to "keys"'),
    ],
)
def test_settings_name_the_choice(changes: dict[str, str], message: str) -> None:
    environ = {"KIND": "s3", "ENDPOINT": "http://127.0.0.1:9", "BUCKET": "clips", **changes}
    with pytest.raises(SettingsError, match=message):
        load(environ={f"CLIPENGINE_STORAGE__{name}": value for name, value in environ.items()})
