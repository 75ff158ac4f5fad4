"""Errors of the S3 store: each ends within its deadline, names the cause and reveals no secret."""

from __future__ import annotations

import hashlib
import io
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from clipengine.errors import DiskFull, ObjectMissing, SettingsError, StorageDenied, StorageError, StorageUnavailable
from clipengine.stores.s3 import S3Store
from clipengine.stores.s3_client import Retries
from clipengine.stores.s3_http import Timeouts
from tests.support.s3 import S3Server
from tests.support.s3_faults import FaultyS3, refuse, say

MakeS3 = Callable[..., S3Store]
SECRET = "a-secret-that-is-not-the-right-one"


def put(store: S3Store, key: str, data: bytes) -> None:
    digest = hashlib.sha256(data).hexdigest()
    store.put(key, io.BytesIO(data), size=len(data), content_type="video/mp4", sha256=digest)


def every_call(store: S3Store) -> Iterator[StorageError]:
    """Yield the error that each method raises."""
    calls: list[Callable[[], object]] = [
        store.check,
        lambda: store.head("k"),
        lambda: store.open("k"),
        lambda: list(store.list()),
        lambda: put(store, "k", b"x"),
        lambda: put(store, "k", bytes(6 << 20)),
        lambda: store.put_stream("k", io.BytesIO(b"x"), content_type="video/mp4", limit=10),
        lambda: store.delete("k"),
        lambda: store.delete_many(["k", "l"]),
    ]
    for call in calls:
        with pytest.raises(StorageError) as raised:
            call()
        yield raised.value


def test_status_403_for_a_missing_object_is_resolved_by_listing(make_s3: MakeS3, faulty_s3: FaultyS3) -> None:
    store = make_s3(endpoint=faulty_s3.endpoint, prefix="relay")
    put(store, "k.mp4", b"x")
    for key, expected in (("k", ObjectMissing), ("k.mp4", StorageDenied), ("z", ObjectMissing)):
        faulty_s3.fail(refuse(403, "AccessDenied"), method="HEAD")
        faulty_s3.fail(refuse(403, "AccessDenied"), method="GET")
        with pytest.raises(expected):
            store.head(key)
    faulty_s3.fail(refuse(403, "AccessDenied"), method="HEAD")
    faulty_s3.fail(refuse(403, "AccessDenied"), method="GET", times=2)
    with pytest.raises(StorageDenied):
        store.head("z")  # HEAD, GET and list are all denied
    faulty_s3.fail(refuse(403, "AccessDenied"), method="HEAD")
    faulty_s3.fail(refuse(403, "AccessDenied"), method="GET")
    put(store, "new.mp4", b"y")
    assert store.head("new.mp4").size == 1


def test_wrong_secret_key_is_reported_without_revealing_credentials(true_s3: S3Server, make_s3: MakeS3) -> None:
    for error in every_call(make_s3(secret_key=SECRET)):
        assert isinstance(error, StorageDenied)
        assert "SignatureDoesNotMatch" in error.message
        assert true_s3.access_key not in error.message
        assert SECRET not in error.message


def test_unknown_access_key_is_reported(true_s3: S3Server, make_s3: MakeS3) -> None:
    for error in every_call(make_s3(access_key="nobody", secret_key=SECRET)):
        assert isinstance(error, StorageDenied)
        assert "does not know storage.access_key" in error.message


def test_missing_bucket_is_reported(make_s3: MakeS3) -> None:
    for error in every_call(make_s3(bucket="no-such-bucket-here")):
        assert isinstance(error, StorageDenied)
        assert "bucket no-such-bucket-here does not exist" in error.message
        assert error.hint.startswith("Create the bucket, or set storage.bucket")


def test_refused_connection_is_an_outage(make_s3: MakeS3) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        for error in every_call(make_s3(endpoint=endpoint)):
            assert isinstance(error, StorageUnavailable)
            assert error.retryable
            assert f"{endpoint} cannot be used: no connection (Connection refused)" in error.message


def test_unresolvable_host_name_is_an_outage(make_s3: MakeS3) -> None:
    with pytest.raises(StorageUnavailable, match="cannot be resolved"):
        make_s3(endpoint="http://store.invalid").check()


def test_silent_store_times_out(make_s3: MakeS3) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = make_s3(endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}", timeouts=Timeouts(connect=1, read=0.2))
        started = time.monotonic()
        with pytest.raises(StorageUnavailable, match="does not answer in time"):
            store.head("k")
        assert time.monotonic() - started < 60


@pytest.mark.exhaustive
def test_slow_upload_fails_at_its_deadline(make_s3: MakeS3) -> None:
    """Each slice is sent in time, but the whole body is not."""
    stop = threading.Event()

    def read_slowly(server: socket.socket) -> None:
        while not stop.is_set():
            try:
                peer, _ = server.accept()
            except OSError:
                return
            with peer:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                first = peer.recv(4096)
                if first.startswith((b"HEAD", b"GET")):
                    peer.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    continue
                while not stop.wait(0.02):
                    try:
                        if not peer.recv(10_000):
                            break
                    except OSError:
                        break

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=read_slowly, args=(server,))
        thread.start()
        timeouts = Timeouts(connect=1, read=5, grace=0.2, min_bytes_per_second=64 << 20)
        store = make_s3(
            endpoint=f"http://127.0.0.1:{server.getsockname()[1]}",
            timeouts=timeouts,
            retries=Retries(attempts=1),
            single_put_bytes=64 << 20,
        )
        started = time.monotonic()
        with pytest.raises(StorageUnavailable):
            put(store, "k", bytes(48 << 20))
        stop.set()
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert time.monotonic() - started < 60


@pytest.mark.exhaustive
def test_upload_may_take_longer_than_the_connect_timeout(s3: S3Server, make_s3: MakeS3) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_slow_line, args=(server, s3.endpoint))
        thread.start()
        location = {
            "endpoint": f"http://127.0.0.1:{server.getsockname()[1]}",
            "timeouts": Timeouts(connect=0.5, read=20),
        }
        put(make_s3(**location, single_put_bytes=64 << 20), "k", bytes(6 << 20))
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert make_s3().head("k").size == 6 << 20


def _slow_line(server: socket.socket, endpoint: str) -> None:
    host, _, port = endpoint.removeprefix("http://").rstrip("/").partition(":")
    pumps: list[threading.Thread] = []
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            break
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        store = socket.create_connection((host, int(port or 80)))
        pumps += [
            threading.Thread(target=_pump, args=(client, store, 0.02), daemon=True),
            threading.Thread(target=_pump, args=(store, client, 0), daemon=True),
        ]
        for pump in pumps[-2:]:
            pump.start()


def _pump(source: socket.socket, sink: socket.socket, pause: float) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
            time.sleep(pause)
    except OSError:
        pass
    finally:
        source.close()
        sink.close()


@pytest.mark.parametrize(
    ("status", "code", "kind", "words"),
    [
        (403, "RequestTimeTooSkewed", StorageDenied, "clock"),
        (403, "AccessDenied", StorageDenied, "has no permission"),
        (403, "ExpiredToken", StorageDenied, "session_token has expired"),
        (400, "AuthorizationHeaderMalformed", StorageDenied, "rejected a request"),
        (301, "PermanentRedirect", StorageDenied, "redirects"),
        (403, "QuotaExceeded", DiskFull, "is full"),
        (507, "XMinioStorageFull", DiskFull, "is full"),
        (503, "SlowDown", StorageUnavailable, "cannot serve"),
        (500, "InternalError", StorageUnavailable, "cannot serve"),
        (400, "RequestTimeout", StorageUnavailable, "cannot serve"),
        (429, "TooManyRequests", StorageUnavailable, "cannot serve"),
    ],
)
@pytest.mark.typical(4)
def test_error_codes_of_the_store_are_translated(
    faulty_s3: FaultyS3, make_s3: MakeS3, status: int, code: str, kind: type[StorageError], words: str
) -> None:
    store = make_s3(endpoint=faulty_s3.endpoint)
    for method in ("HEAD", "GET", "PUT"):
        faulty_s3.fail(refuse(status, code), method=method, times=100)
    for call in (store.check, lambda: put(store, "k", b"x"), lambda: store.head("k")):
        with pytest.raises(kind, match=words) as raised:
            call()
        assert "told to fail" not in raised.value.message or len(raised.value.message) < 300


def test_error_pages_of_a_gateway_are_translated_by_status(faulty_s3: FaultyS3, make_s3: MakeS3) -> None:
    store = make_s3(endpoint=faulty_s3.endpoint)
    for status, kind in ((502, StorageUnavailable), (403, StorageDenied), (418, StorageDenied)):
        faulty_s3.fail(say(status, "<html>no</html>"), method="GET", times=1)
        with pytest.raises(kind, match=f"HTTP {status}"):
            store.check()


def test_denied_request_is_not_retried(faulty_s3: FaultyS3, make_s3: MakeS3) -> None:
    faulty_s3.fail(refuse(403, "AccessDenied"), method="PUT", times=100)
    with pytest.raises(StorageDenied):
        put(make_s3(endpoint=faulty_s3.endpoint), "k", b"x")
    assert faulty_s3.count("PUT") == 1


def test_number_of_retries_is_limited(faulty_s3: FaultyS3, make_s3: MakeS3) -> None:
    faulty_s3.fail(refuse(503, "SlowDown"), method="HEAD", times=100)
    with pytest.raises(StorageUnavailable):
        make_s3(endpoint=faulty_s3.endpoint).head("k")
    assert faulty_s3.count("HEAD") == 4


def test_redirect_is_not_followed(faulty_s3: FaultyS3, make_s3: MakeS3) -> None:
    with socket.create_server(("127.0.0.1", 0)) as trap:
        place = f"http://127.0.0.1:{trap.getsockname()[1]}/"
        faulty_s3.fail(lambda exchange: exchange.redirect(place), method="GET")
        with pytest.raises(StorageDenied):
            make_s3(endpoint=faulty_s3.endpoint).check()
        trap.settimeout(0.1)
        with pytest.raises(TimeoutError):
            trap.accept()


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        ({"endpoint": "127.0.0.1:9000"}, "storage.endpoint"),
        ({"endpoint": "ftp://host"}, "storage.endpoint"),
        ({"endpoint": "http://host/path"}, "storage.endpoint"),
        ({"endpoint": "http://user:word@host"}, "storage.endpoint"),
        ({"public_endpoint": "host"}, "storage.public_endpoint"),
        ({"bucket": "A..b"}, "storage.bucket"),
        ({"region": "no region"}, "storage.region"),
        ({"endpoint": "https://host", "ca_file": Path("/nonexistent")}, "storage.ca_file"),
    ],
)
def test_invalid_settings_are_rejected(make_s3: MakeS3, changes: dict[str, object], setting: str) -> None:
    with pytest.raises(SettingsError, match=setting):
        make_s3(**changes)


def test_repr_of_a_location_contains_no_secrets(s3: S3Server) -> None:
    location = s3.location("b", secret_key=SECRET, session_token="a-token-of-a-session")
    assert SECRET not in repr(location)
    assert "a-token-of-a-session" not in repr(location)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """Return an untrusted certificate for 127.0.0.1 and a server context that uses it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "store")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "ca.pem"
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, tmp_path / "key.pem")
    return path, context


def test_untrusted_certificate_is_rejected_unless_allowed(
    s3: S3Server, make_s3: MakeS3, certificate: tuple[Path, ssl.SSLContext]
) -> None:
    ca_file, context = certificate
    with FaultyS3(s3.endpoint, tls=context) as secure:
        with pytest.raises(StorageDenied, match="certificate") as raised:
            make_s3(endpoint=secure.endpoint).check()
        assert "storage.ca_file" in raised.value.hint
        for trust in ({"ca_file": ca_file}, {"tls_verify": False}):
            store = make_s3(endpoint=secure.endpoint, **trust)
            put(store, "k", bytes(6 << 20))
            store.delete("k")
            with pytest.raises(ObjectMissing):
                store.head("k")
