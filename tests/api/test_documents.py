"""The manual at `/docs`: served without a key, and every link into it resolves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from clipengine.api.reference.manual import render
from clipengine.api.reference.manual_search import search
from clipengine.api.reference.markdown import INDEX, PAGES
from clipengine.api.routes.documents import ORDER
from clipengine.errors import ClipEngineError
from tests.support.api import ApiServer, api_server, recorded_engine

DOCS = Path(__file__).parent.parent.parent / "clipengine" / "docs"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """Yield one server for all tests, because it renders all pages at the first request."""
    with recorded_engine(tmp_path_factory.mktemp("documents") / "data") as engine, api_server(engine) as server:
        yield server


@pytest.fixture(scope="module")
def reader(server: ApiServer) -> Iterator[httpx.Client]:
    """Yield a client without a key."""
    with httpx.Client(base_url=server.url, follow_redirects=True, timeout=300) as reader:
        yield reader


def test_every_document_is_listed_once(reader: httpx.Client) -> None:
    listed = [*re.findall(r'<li><a href="([\w/-]+)"', reader.get("/docs").text)]
    assert listed == [*ORDER, *ORDER]  # in the menu for phones, and in the sidebar
    written = [path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md")]
    assert sorted(ORDER) == sorted([INDEX, *PAGES, *written])


def test_first_page_needs_no_key_and_no_external_resources(reader: httpx.Client) -> None:
    for address in ("/docs", "/docs/"):
        page = reader.get(address)
        assert page.url.path == f"/docs/{ORDER[0]}"
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
        assert "unsafe" not in policy
        assert re.findall(r"<script[^>]*>[^<]*", page.text) == ['<script src="manual.js" defer>']
        assert " style=" not in page.text
    assert "authorization" not in page.request.headers


def test_every_link_and_image_resolves(reader: httpx.Client) -> None:
    pages = {name: reader.get(f"/docs/{name}") for name in ORDER}
    anchors = {name: set(re.findall(r' id="([^"]+)"', page.text)) for name, page in pages.items()}
    seen: set[str] = set()
    for name, page in pages.items():
        assert page.status_code == 200, name
        for target in map(unescape, re.findall(r'(?:href|src)="([^"]+)"', page.text)):
            if target.startswith("https://") or urljoin(f"/docs/{name}", target) in ("/", "/v1/openapi.json"):
                continue
            parts = urlsplit(urljoin(f"/docs/{name}", target))
            leads_to = parts.path.removeprefix("/docs/")
            if leads_to in pages:
                assert not parts.fragment or parts.fragment in anchors[leads_to], f"{name}: {target}"
            elif target not in seen:
                assert reader.get(parts.path).status_code == 200, f"{name}: {target}"
                seen.add(target)


def test_error_type_links_to_its_entry(reader: httpx.Client) -> None:
    problem = reader.get("/v1/clips").json()
    page = reader.get(problem["type"])
    assert page.status_code == 200
    assert f'<tr id="{problem["code"]}">' in page.text
    text = page.text
    kinds: list[type[ClipEngineError]] = [ClipEngineError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    assert not [kind.code for kind in kinds if f'<tr id="{kind.code}">' not in text]


def test_reference_describes_every_route_with_examples(reader: httpx.Client) -> None:
    pages = [reader.get(f"/docs/{name}").text for name in PAGES]
    index = reader.get(f"/docs/{INDEX}").text
    text = unescape(re.sub(r"<[^>]+>", "", "".join(pages)))
    for path, methods in reader.get("/v1/openapi.json").json()["paths"].items():
        for method in methods:
            assert re.search(rf"(?m)^{method.upper()} {re.escape(path)}[.,] |also {re.escape(path)}[.,] ", text), path
            assert path.count("{") > 2 or "/recordings/{recording_id}/clips/{clip_id}" in path or path in index
    tabs = [part for page in pages for part in page.split("<h2")[1:] if 'class="tabs"' in part]
    assert len(tabs) > 50
    languages = ("language-sh", "language-python", "language-ts")
    assert all(language in part for part in tabs for language in languages)


def test_reference_is_in_pages_that_can_be_read(reader: httpx.Client) -> None:
    for name in (INDEX, *PAGES):
        page = reader.get(f"/docs/{name}").text.partition("<main")[2].partition("</main>")[0]
        prose = re.sub(r"<[^>]+>", " ", re.sub(r"(?s)<pre.*?</pre>|<details.*?</details>", "", page))
        assert len(prose.split()) <= 1500, name


def test_examples_of_the_reference_have_the_address_of_this_server(server: ApiServer, reader: httpx.Client) -> None:
    page = re.sub(r"<[^>]+>", "", reader.get("/docs/reference/clips").text)
    assert f"{server.url}/v1/recordings/$RECORDING_ID/clips" in page
    assert "127.0.0.1:8377" not in page
    hostile = reader.get("/docs/reference/clips", headers={"Host": '"><script>'})
    assert hostile.text.count("<script") == 1


def test_every_property_and_parameter_has_a_description(reader: httpx.Client) -> None:
    openapi = reader.get("/v1/openapi.json").json()
    for name, schema in openapi["components"]["schemas"].items():
        assert [key for key, each in schema.get("properties", {}).items() if "description" not in each] == [], name
    operations = [operation for methods in openapi["paths"].values() for operation in methods.values()]
    parameters = [each for operation in operations for each in operation.get("parameters", [])]
    assert [each["name"] for each in parameters if not each.get("description")] == []


def test_search_links_to_the_table_row(reader: httpx.Client) -> None:
    found = reader.get("/docs/search", params={"q": "queue_full"}).text
    assert re.findall(r'class="hit"><a href="([^"]+)"', found)[0] == "errors#queue_full"
    assert "<mark>queue_full</mark>" in found
    assert "Nothing has any" in reader.get("/docs/search", params={"q": "zzz qqq"}).text
    assert "Type a word" in reader.get("/docs/search").text


@pytest.mark.parametrize(
    ("query", "page"),
    [
        ("thumbnails", "reference/previews#get-the-frame-that-is-on-screen-at-a-moment"),
        ("transcode", "recordings#"),
        ("api key", "api#keys"),
        ("captions", "subtitles"),
        ("k8s", "recipes/kubernetes"),
        ("mcp", "agents"),
    ],
)
def test_search_knows_synonyms(reader: httpx.Client, query: str, page: str) -> None:
    hits = _hits(reader, query)
    assert any(hit.startswith(page) for hit in hits[:8]), hits[:8]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("pagination", "api#lists"),
        ("how do I delete a clip?", "reference/clips#delete-a-clip-and-its-object"),
        ("delete key", "reference/keys#revoke-an-api-key"),
        ("docker", "operations#in-a-container"),
        ("3 machines", "machines"),
        ("horizontal scaling", "machines"),
        ("upgrade helm", "operations#upgrade"),
        ("integrity", "results#check-that-a-clip-is-unchanged"),
        ("tamper", "results#check-that-a-clip-is-unchanged"),
        ("authenticity", "results#check-that-a-clip-is-unchanged"),
        ("checksum", "results#check-that-a-clip-is-unchanged"),
        ("rotate api key", "api#replace-a-key"),
        ("replace key", "api#replace-a-key"),
        ("disk full", "what-if#the-disk-is-full"),
        ("auto delete", "operations#retention"),
        ("delete old clips", "operations#retention"),
        ("mask part of the screen", "output#blur"),
        ("9:16 burnt captions", "recipes/vertical"),
        ("audio missing warning", "results#audio_gap_filled"),
        ("rolling upgrade", "machines#upgrade-without-downtime"),
    ],
)
def test_best_fitting_title_is_first(reader: httpx.Client, query: str, first: str) -> None:
    assert _hits(reader, query)[0] == first


def _hits(reader: httpx.Client, query: str) -> list[str]:
    found = reader.get("/docs/search", params={"q": query}).text
    hits = re.findall(r'class="hit"><a href="([^"]+)"', found)
    assert f'<p role="status">{"The best 40" if len(hits) == 40 else len(hits)} results</p>' in found
    return hits


def test_search_without_hits_leads_on(reader: httpx.Client) -> None:
    found = reader.get("/docs/search", params={"q": "webhok"}).text
    assert '<a href="search?q=webhook">webhook</a>' in found
    for target in re.findall(r'href="([\w#]+)"', found.partition("Go on with")[2]):
        assert reader.get(f"/docs/{target.partition('#')[0]}").status_code == 200


def test_search_ranks_sections_by_matching_words() -> None:
    page = render("x", "# Title\n\nqueue\n\n## One\n\nfull\n\n## Two\n\na queue that is full\n")
    assert [hit.anchor for hit in search([page], "full queue nowhere")] == ["two", "", "one"]


TABLE = (
    "# Title\n\n## Warnings\n\nintro\n\n| code | text |\n|---|---|\n| `gap` | silent |\n| plain | row |\n\nlast words\n"
)


def test_text_after_a_table_and_rows_without_a_name_belong_to_the_heading() -> None:
    _, heading, row = render("x", TABLE).sections
    assert heading.text.split() == ["intro", "code", "text", "plain", "row", "last", "words"]
    assert (row.anchor, row.text.split()) == ("gap", ["gap", "silent"])


def test_row_is_found_by_the_words_of_its_heading() -> None:
    other = render("y", "# Y\n\nsilent and nothing else\n")
    assert [hit.anchor for hit in search([other, render("x", TABLE)], "silent warnings")] == ["gap", "warnings", ""]
    assert [hit.anchor for hit in search([render("x", TABLE)], "warnings")] == ["warnings"]


def test_words_of_a_code_are_words_of_its_title() -> None:
    page = render("x", "# T\n\naudio and gap\n\n| code |\n|---|\n| `audio_gap_filled` |\n")
    assert [hit.anchor for hit in search([page], "audio gap")] == ["audio_gap_filled", ""]


def test_changelog_is_behind_a_page_with_one_word_less() -> None:
    text = "\n\n## One\n\nalpha beta\n"
    pages = [render("changelog", f"# Changelog{text}\ngamma\n"), render("x", f"# X{text}")]
    assert [hit.page for hit in search(pages, "alpha beta gamma")] == ["x", "changelog"]
    assert search(pages, "gamma")[0].page == "changelog"


def test_page_title_appears_once_in_a_hit(reader: httpx.Client) -> None:
    found = reader.get("/docs/search", params={"q": "contributing"}).text
    assert "Contributing</a> <small>" not in found


def test_search_query_is_escaped(reader: httpx.Client) -> None:
    page = reader.get("/docs/search", params={"q": '"><script>alert(1)</script>'}).text
    assert page.count("<script") == 1
    assert 'value="&#34;&gt;&lt;script' in page


@pytest.mark.parametrize("name", ["no-such", "../settings.py", "%2e%2e/settings.py", "start.md", "screens/", "a/b"])
def test_unknown_page_is_not_found(reader: httpx.Client, name: str) -> None:
    page = reader.get(f"/docs/{name}")
    assert page.status_code == 404


def test_html_is_escaped_and_headings_become_sections() -> None:
    table = "| code |\n|---|\n| `a_b.c` |"
    page = render("x", f"# A <b>title</b>\n\ntext\n\n## Two words\n\n{table}\n\n## Two words\n\nmore\n")
    assert "&lt;b&gt;" in page.html
    assert [section.anchor for section in page.sections] == ["", "two-words", "a_b.c", "two-words-1"]
    assert [hit.anchor for hit in search([page], "MORE")] == ["two-words-1"]


def test_options_stay_whole_and_cells_name_their_columns() -> None:
    tables = "| one | `two` |\n|---|---|\n| a | b |\n\n| three |\n|---|\n| c |\n"
    html = render("x", f"# T\n\n`cut [--data FOLDER] -snap <a-b> --x=<y>`\n\n{tables}").html
    whole = ("[--data FOLDER]", "-snap", "--x")
    code = "cut {} {} &lt;a-b&gt; {}=&lt;y&gt;".format(*(f'<span class="whole">{each}</span>' for each in whole))
    assert f"<code>{code}</code>" in html
    assert re.findall(r'data-column="(\w+)">(\w)', html) == [("one", "a"), ("two", "b"), ("three", "c")]


def test_titled_code_blocks_that_follow_each_other_are_tabs() -> None:
    page = render("x", "# T\n\n```sh curl\na\n```\n```python Python\nb\n```\n\ntext\n\n```sh curl\nalone\n```\n")
    assert page.html.count("<fieldset") == 1
    assert re.findall(r'value="(\w+)"( checked)?>', page.html) == [("curl", " checked"), ("Python", "")]
    assert page.html.count("<pre>") == 3


def test_code_is_highlighted_and_escaped() -> None:
    page = render("x", "# T\n\n```python\nprint(1 < 2)  # <b>\n```\n\n```nonsense\n<i>\n```\n")
    assert '<span class="c1"># &lt;b&gt;</span>' in page.html
    assert '<code tabindex="0" class="language-nonsense">&lt;i&gt;' in page.html
    assert "print(1 < 2)" in page.sections[0].text


def test_long_page_has_a_table_of_contents(reader: httpx.Client) -> None:
    page = reader.get("/docs/recipes/obs").text
    assert page.count('<nav aria-label="On this page">') == 2  # folded on phones, beside the text otherwise
    assert '<li><a href="#what-goes-wrong">' in page
    assert 'href="../style.css"' in page
    assert "On this page" not in reader.get("/docs/moving").text
