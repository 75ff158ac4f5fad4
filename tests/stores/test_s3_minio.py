"""The private methods and internal modules of minio-py: used in one file, and present in the installed version."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from minio import InvalidResponseError, Minio

from clipengine.stores import s3_minio
from clipengine.stores.s3_errors import S3_EXCEPTIONS

PACKAGE = Path(s3_minio.__file__).parents[1]
ADAPTER = Path(s3_minio.__file__)
PUBLIC_MODULES = {"minio", "minio.error", "minio.credentials.credentials", "minio.credentials.providers"}
PRIVATE_METHODS = {
    "_abort_multipart_upload": ["bucket_name", "object_name", "upload_id"],
    "_create_multipart_upload": ["bucket_name", "object_name", "headers"],
    "_execute": ["method", "bucket_name", "object_name", "body", "headers", "query_params"],
    "_get_region": ["bucket_name"],
    "_list_parts": ["bucket_name", "object_name", "upload_id", "max_parts", "part_number_marker"],
    "_put_object": ["bucket_name", "object_name", "data", "headers"],
    "_upload_part": ["bucket_name", "object_name", "data", "headers", "upload_id", "part_number"],
}
PRIVATE_FIELDS = {"_base_url", "_body", "_code", "_http", "_provider"}
INTERNAL_MODULES = {
    "minio.datatypes": ["Object", "Part"],
    "minio.deleteobjects": ["DeleteObject"],
    "minio.helpers": ["check_bucket_name", "md5sum_hash"],
    "minio.signer": [
        "_get_canonical_request_hash",
        "_get_scope",
        "_get_signature",
        "_get_signing_key",
        "_get_string_to_sign",
    ],
    "minio.xml": ["Element", "SubElement", "findall", "findtext", "getbytes"],
}


def imports(source: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the modules of minio-py that a file imports, with the names that it takes from each."""
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from ((each.name, []) for each in node.names if each.name.split(".")[0] == "minio")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "minio":
            yield str(node.module), [each.name for each in node.names]


def private_names(source: Path) -> set[str]:
    """Return the private attributes that a file reads from other objects than `self` and `cls`."""
    return {
        node.attr
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
    }


@pytest.mark.parametrize(("name", "parameters"), PRIVATE_METHODS.items())
def test_each_private_method_that_the_adapter_calls_has_its_parameters(name: str, parameters: list[str]) -> None:
    assert list(inspect.signature(getattr(Minio, name)).parameters)[1 : len(parameters) + 1] == parameters


@pytest.mark.parametrize(("module", "names"), INTERNAL_MODULES.items())
def test_each_internal_module_that_the_adapter_imports_has_its_names(module: str, names: list[str]) -> None:
    assert [name for name in names if not hasattr(import_module(module), name)] == []


def test_the_private_fields_that_the_adapter_reads_exist() -> None:
    client = s3_minio.MinioClient(endpoint="localhost:9000", region="us-east-1")
    assert callable(client._http.urlopen)
    client.set_path_style(True)
    assert client._base_url.virtual_style_flag is False
    client.set_path_style(False)
    assert client._base_url.virtual_style_flag is True
    assert s3_minio.invalid_response(InvalidResponseError(503, "text/html", "<h1>busy</h1>")) == (503, "<h1>busy</h1>")


def test_this_test_names_everything_private_that_the_adapter_uses() -> None:
    tree = ast.parse(ADAPTER.read_text())
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr.startswith("_")}
    assert attributes == {*PRIVATE_METHODS, *PRIVATE_FIELDS}
    imported = {module: sorted(names) for module, names in imports(ADAPTER) if module not in PUBLIC_MODULES}
    assert imported == {module: sorted(names) for module, names in INTERNAL_MODULES.items()}


@pytest.mark.exhaustive
def test_only_the_adapter_uses_internals_of_minio() -> None:
    others = [path for path in PACKAGE.rglob("*.py") if path != ADAPTER]
    assert [(path.name, name) for path in others for name, _ in imports(path) if name not in PUBLIC_MODULES] == []
    s3 = [path for path in others if path.name.startswith("s3")]
    assert s3
    assert [(path.name, name) for path in s3 for name in private_names(path)] == []


class Listing(s3_minio.MinioClient):
    """Client whose listings are these bodies, one after the other. `asked` are the queries."""

    def __init__(self, *bodies: str) -> None:
        super().__init__(endpoint="localhost", access_key="k", secret_key="s", region="r")
        self._bodies = iter(bodies)
        self.asked: list[dict[str, str]] = []

    def _execute(self, *args: Any, **options: Any) -> Any:
        self.asked.append(options["query_params"])
        return SimpleNamespace(data=next(self._bodies).encode())


def listing(*names: str, truncated: bool = False) -> str:
    found = "".join(
        f"<Contents><Key>{name}</Key><LastModified>2026-11-29T21:00:01.500Z</LastModified><ETag>&quot;e&quot;</ETag>"
        "<Size>7</Size><Owner><ID>x</ID></Owner></Contents>"
        for name in names
    )
    head = f"<EncodingType>url</EncodingType><IsTruncated>{str(truncated).lower()}</IsTruncated>"
    return f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{head}{found}</ListBucketResult>'


def test_listing_goes_on_after_a_short_page_that_is_truncated() -> None:
    client = Listing(listing("a%2F1", "a%2Fx+y", truncated=True), listing("a%2Fz", "b"))
    found = client.list_page("bucket", "a/", "a/0", 3)
    assert [each.object_name for each in found] == ["a/1", "a/x y", "a/z"]
    assert (found[0].size, found[0].etag, str(found[0].last_modified)) == (7, "e", "2026-11-29 21:00:01.500000+00:00")
    assert [each["start-after"] for each in client.asked] == ["a/0", "a/x y"]


@pytest.mark.parametrize(
    "body",
    ["<html/>", "no XML", listing(truncated=True), listing("a").replace("7", "x")],
)
def test_response_that_is_no_listing_is_an_error_of_the_store(body: str) -> None:
    with pytest.raises(S3_EXCEPTIONS):
        Listing(body).list_page("bucket", "a/", "", 3)


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2200-01-01T00:00:00Z", ""])
def test_time_of_an_object_that_is_none_is_left_out(time: str) -> None:
    listed = Listing(listing("a", "b").replace("2026-11-29T21:00:01.500Z", time, 1)).list_page("bucket", "", "", 3)
    assert [each.last_modified is None for each in listed] == [True, False]
