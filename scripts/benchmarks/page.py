"""The page with 10,000 recordings and 10,000 clips: first paint, rows, scrolling, memory, and the queries behind it.

Each first paint is that of a new browser process with an empty cache. A stutter is a task of the page's main thread;
one of more than 50 ms delays frames visibly.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from clipengine.basis.moments import parse_moment
from clipengine.ledger.clips.clips import ClipFilter
from clipengine.ledger.database.backend import PostgresLocation
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.recordings.recordings import RecordingFilter
from scripts.benchmarks.figures import Bench, Figure
from scripts.benchmarks.ledgers import open_ledger
from scripts.benchmarks.library import FREQUENT, RARE, TAG, fill, library_folder, models_of
from tests.support.page import sign_in, until
from tests.support.player import chromium
from tests.support.postgres import kinds_of_ledger, running_postgres
from tests.support.server import RunningServer, running_server

_NUMBER = 10_000
_PAINT_MS, _TASK_MS, _QUERY_MS = 500, 50, 50  # targets
_SORTS = {
    "recordings": ("-created_at", "created_at", "name", "-duration", "-size"),
    "clips": ("-created_at", "created_at", "label", "-duration", "-size"),
}
_ROWS = {"recordings": ".recording a.name[href]", "clips": ".clip-row .name"}
# Runs before the page's own scripts.
_OBSERVE = """
window.seen = {tasks: []};
new PerformanceObserver((list) => list.getEntries().forEach((task) => seen.tasks.push(task.duration)))
  .observe({type: "longtask", buffered: true});
const look = () => {
  const text = document.querySelector(".recording a.name[href], .clip-row .name")?.textContent;
  if (text) seen.rows = performance.now();
  else requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""
_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def figures(bench: Bench) -> Iterator[Figure]:
    number, pages = bench.sized((_NUMBER, 10), (_NUMBER, 10), (500, 1))
    bench.say(f"  a library of {number:,} recordings and clips")
    data = library_folder(bench.cache, number)
    with running_server(data) as server:
        yield from _queries(server)
        for view in _ROWS:
            yield from _first_paint(server, view, bench.sized(7, 2, 1))
        for view in _ROWS:
            yield from _use(server, view, pages)
        yield from _timeline(server)
    yield from _postgres(bench, data, number)


def _first_paint(server: RunningServer, view: str, times: int) -> Iterator[Figure]:
    paints, rows = [], []
    for _ in range(times):
        with chromium() as browser:
            page = _page(browser, server)
            page.goto(f"{server.url}/#/{view}")
            until(page, "seen.rows")
            until(page, _PAINT)
            paints.append(page.evaluate(_PAINT))
            rows.append(page.evaluate("seen.rows"))
    yield Figure(f"{view}: first contentful paint", median(paints), "ms", at_most=_PAINT_MS)
    yield Figure(f"{view}: rows are shown", median(rows), "ms", at_most=_PAINT_MS)


def _page(browser: Any, server: RunningServer) -> Any:
    context = browser.new_context(viewport={"width": 1280, "height": 820})
    sign_in(context, server)
    page = context.new_page()
    page.add_init_script(_OBSERVE)
    return page


def _use(server: RunningServer, view: str, pages: int) -> Iterator[Figure]:
    """Scroll through a page and turn so many pages; report the longest task and the memory after it."""
    with chromium() as browser:
        page = _page(browser, server)
        page.goto(f"{server.url}/#/{view}")
        until(page, "seen.rows")
        page.wait_for_timeout(1000)
        page.evaluate("seen.tasks.length = 0")
        for number in range(2, 2 + pages):
            for _ in range(10):
                page.mouse.wheel(0, 500)
                page.wait_for_timeout(50)
            page.get_by_role("button", name="Next").click()
            page.get_by_role("navigation", name="Pages").get_by_text(f"Page {number}").wait_for()
        longest = page.evaluate("Math.max(0, ...seen.tasks)")
        yield Figure(f"{view}: longest task while scrolling and paging", longest, "ms", at_most=_TASK_MS)
        yield from _memory(page, view)


def _memory(page: Any, view: str) -> Iterator[Figure]:
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    values = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    yield Figure(f"{view}: memory of scripts", values["JSHeapUsedSize"] / 1e6, "MB")
    yield Figure(f"{view}: nodes of the document", values["Nodes"], "")


def _timeline(server: RunningServer) -> Iterator[Figure]:
    """Open the recording that has most clips, and move over its timeline."""
    client = server.client()
    crowded = client.clips.list(sort="created_at", limit=1).data[0].recording_id
    name = "timeline of a fifth of the clips"
    with chromium() as browser:
        page = _page(browser, server)
        page.goto(f"{server.url}/#/recordings/{crowded}")
        until(page, "document.querySelector('.band')")
        page.wait_for_timeout(3000)
        bands = page.evaluate("document.querySelectorAll('.band').length")
        yield Figure(f"{name}: bands in the document", bands, "")
        page.evaluate("seen.tasks.length = 0")
        for key in [*["+"] * 6, *["Shift+ArrowRight"] * 10, *["-"] * 6]:
            page.keyboard.press(key)
            page.wait_for_timeout(50)
        longest = page.evaluate("Math.max(0, ...seen.tasks)")
        yield Figure(f"{name}: longest task while zooming", longest, "ms", at_most=_TASK_MS)
        yield from _memory(page, name)


def _queries(server: RunningServer) -> Iterator[Figure]:
    """Report the slowest response of the lists' requests, and that of all plain ones."""
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {server.key}"}) as api:
        for view, sorts in _SORTS.items():
            took = {}
            for sort in sorts:
                for name, chosen in _filters().items():
                    query = {"limit": 50, "sort": sort, **chosen}
                    took[f"{sort}, {name}"] = _milliseconds(partial(_get, api, f"/v1/{view}", query))
            yield from _slowest(f"GET /v1/{view}", took)
            ask = partial(_get, api, f"/v1/{view}", _last_page(api, f"/v1/{view}"))
            yield Figure(f"GET /v1/{view}, last page", _milliseconds(ask), "ms", at_most=_QUERY_MS)
            body = api.get(f"/v1/{view}", params={"limit": 50}).content
            yield Figure(f"GET /v1/{view}, 50 items", len(body) / 1000, "kB")
        yield Figure("GET /v1/status", _milliseconds(partial(_get, api, "/v1/status", {})), "ms", at_most=_QUERY_MS)


def _filters() -> dict[str, dict[str, str]]:
    day = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 30 * 86400))
    return {
        "all": {},
        "frequent word": {"q": f"{FREQUENT}*"},
        "rare word": {"q": f"{RARE}*"},
        "no word": {"q": "nowhere"},
        "tag": {"tag": TAG},
        "failed": {"status": "failed"},
        "a month": {"created_after": day},
        "tag, word, failed": {"tag": TAG, "q": FREQUENT, "status": "failed"},
    }


def _get(api: httpx.Client, path: str, query: dict[str, Any]) -> None:
    api.get(path, params=query).raise_for_status()


def _last_page(api: httpx.Client, path: str) -> dict[str, Any]:
    """Return the query of the last page, by way of the pages in the opposite order."""
    page = api.get(path, params={"limit": 100}).json()
    while page["next_cursor"]:
        query = {"limit": 100, "cursor": page["next_cursor"]}
        page = api.get(path, params=query).json()
    return query


def _milliseconds(ask: Callable[[], object], *, times: int = 5) -> float:
    """Return the median in milliseconds."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        ask()
        took.append(time.perf_counter() - began)
    return median(took) * 1000


def _postgres(bench: Bench, data: Path, number: int) -> Iterator[Figure]:
    if "postgres" not in kinds_of_ledger():
        bench.say("  PostgreSQL is not installed")
        return
    ledger = open_ledger(data)
    models = models_of(ledger)
    ledger.close()
    with running_postgres() as postgres, postgres.database() as url, tempfile.TemporaryDirectory() as folder:
        location = PostgresLocation(url, Path(folder) / "secrets.key")
        ledger = Ledger.open(location, key_prefix="relay_live", organisation_id="org_local", max_queued=10_000)
        try:
            fill(ledger, models, number)
            ledger.database.run("ANALYZE")
            for view, sorts in _SORTS.items():
                took = {}
                for sort in sorts:
                    for name, chosen in _filters().items():
                        took[f"{sort}, {name}"] = _milliseconds(_listing(ledger, view, sort, chosen))
                yield from _slowest(f"PostgreSQL: list of {view}", took)
        finally:
            ledger.close()


def _listing(ledger: Ledger, view: str, sort: str, chosen: dict[str, str]) -> Callable[[], object]:
    """Return the ledger's list of a query of the API."""
    tag = [chosen["tag"]] if "tag" in chosen else []
    after = parse_moment(chosen["created_after"]) if "created_after" in chosen else None
    status, words = chosen.get("status"), chosen.get("q")
    if view == "clips":
        clips = ClipFilter(limit=50, status=status, created_after=after, tag=tag, q=words, sort=sort)
        return lambda: ledger.clips.list(clips)
    recordings = RecordingFilter(limit=50, status=status, created_after=after, tag=tag, q=words, sort=sort)
    return lambda: ledger.recordings.list(recordings)


def _slowest(what: str, took: dict[str, float]) -> Iterator[Figure]:
    name = max(took, key=lambda name: took[name])
    yield Figure(f"{what}, newest", took["-created_at, all"], "ms", at_most=_QUERY_MS)
    yield Figure(f"{what}, slowest of {len(took)} ({name})", took[name], "ms", at_most=_QUERY_MS)
