"""Search in the manual: words and their synonyms, and suggestions if a query finds nothing."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from clipengine.api.reference.manual import Page, Section

_MOST_WORDS = 10  # of a query; further ones are ignored
MOST_HITS = 40
_MOST_SUGGESTED = 3
_EXCERPT = 160  # characters
_PUNCTUATION = "?!.,;:()[]{}<>'\"`…“”„‘’"
_WORD = re.compile(r"[a-z_][a-z_.-]{2,40}")
_STOP_WORD = re.compile(
    "[0-9]|a|an|and|are|as|at|be|by|can|could|do|does|for|from|get|has|have|how|i|if|in|is|it|me|my|of|on|or|our|should|so|"
    "that|the|there|this|to|use|want|was|we|what|when|where|which|who|why|will|with|you|your"
)

# Words of queries, with those that the documents use.
_SYNONYMS = {
    "thumbnail": ("poster", "frame", "filmstrip"),
    "screenshot": ("frame", "poster"),
    "preview": ("frame", "filmstrip", "waveform", "proxy"),
    "transcode": ("encode", "profile"),
    "convert": ("encode", "profile"),
    "re-encode": ("encode",),
    "trim": ("cut", "clip"),
    "slice": ("cut", "clip"),
    "highlight": ("clip",),
    "merge": ("parts",),
    "concat": ("parts",),
    "concatenate": ("parts",),
    "join": ("parts",),
    "stitch": ("parts",),
    "token": ("key", "bearer"),
    "apikey": ("key",),
    "password": ("key", "secret"),
    "authentication": ("keys", "bearer", "401"),
    "auth": ("keys", "bearer"),
    "login": ("sign in", "signs"),
    "permission": ("scope", "storage_denied"),
    "role": ("scope",),
    "resolution": ("max_height",),
    "resize": ("max_height",),
    "vertical": ("aspect", "vertical"),
    "portrait": ("aspect", "vertical"),
    "hide": ("blur",),
    "redact": ("blur",),
    "obscure": ("blur",),
    "pixelate": ("blur",),
    "censor": ("blur",),
    "anonymize": ("blur",),
    "anonymise": ("blur",),
    "downtime": ("upgrade", "drain"),
    "privacy": ("blur",),
    "face": ("blur",),
    "captions": ("subtitles", "transcript"),
    "caption": ("subtitles", "transcript"),
    "speech": ("transcript",),
    "whisper": ("transcript", "whisper"),
    "callback": ("webhook",),
    "notification": ("webhook", "event"),
    "hmac": ("signature",),
    "verify": ("signature", "verify"),
    "authentic": ("signature",),
    "genuine": ("signature",),
    "throttle": ("rate_limited", "requests_per_minute"),
    "throttling": ("rate_limited", "requests_per_minute"),
    "quota": ("rate_limited", "limits"),
    "postgres": ("postgresql",),
    "database": ("ledger", "database"),
    "aws": ("s3",),
    "minio": ("s3", "minio"),
    "bucket": ("s3", "bucket"),
    "k8s": ("kubernetes",),
    "helm": ("kubernetes", "helm"),
    "container": ("docker", "image"),
    "docker": ("container",),
    "podman": ("container",),
    "proxy": ("nginx", "caddy", "proxy"),
    "https": ("tls", "certificate"),
    "ssl": ("tls", "certificate"),
    "volume": ("loudness",),
    "gpu": ("encoders",),
    "slow": ("sizing", "deadline"),
    "scale": ("workers", "sizing", "several machines"),
    "scaling": ("autoscaling", "several machines"),
    "horizontal": ("several machines", "hosts"),
    "cluster": ("several machines", "hosts", "workers"),
    "machine": ("several machines", "hosts"),
    "node": ("several machines", "hosts", "workers"),
    "update": ("upgrade",),
    "version": ("changelog", "upgrade"),
    "release": ("changelog",),
    "cleanup": ("retention",),
    "keep": ("retention", "deleted"),
    "ram": ("memory",),
    "requirements": ("sizing", "requirements"),
    "servers": ("several machines", "server"),
    "availability": ("several machines",),
    "remove": ("delete",),
    "delete": ("revoke",),
    "erase": ("delete",),
    "pagination": ("next_cursor", "cursor", "lists"),
    "paginate": ("next_cursor", "cursor", "lists"),
    "paging": ("next_cursor", "cursor", "lists"),
    "import": ("register", "watch"),
    "upload": ("upload", "fetch"),
    "agent": ("mcp", "agents"),
    "llm": ("mcp", "agents"),
    "claude": ("mcp", "agents"),
    "javascript": ("typescript", "fetch"),
    "js": ("typescript",),
    "golang": ("go",),
}


@dataclass(frozen=True)
class Hit:
    """`excerpt` is HTML, the rest is text."""

    page: str
    page_title: str
    anchor: str
    title: str
    excerpt: str


def search(pages: Iterable[Page], query: str) -> list[Hit]:
    """Return the sections with words of the query or their synonyms, best first.

    They are ordered by the number of words that they have, in their text or in the title of the page, and then by how
    well their own title fits.
    """
    words = _words(query)
    codes = {first: (f"{first}_{second}",) for first, second in pairwise(words)}  # "recording changed" is a code
    forms = {word: (*_forms(word), *codes.get(word, ())) for word in words}
    literals = [_pattern([word]) for word in words]
    patterns = [_pattern(each) for each in forms.values()]
    found: list[tuple[tuple[int, float], Page, Section]] = []
    for page in pages if words else ():
        for section in page.sections:
            title, text = section.title.casefold(), section.text.casefold()
            own = sum(bool(pattern.search(title) or pattern.search(text)) for pattern in patterns)
            if own:
                matched = sum(bool(pattern.search(f"{page.title} {title} {text}")) for pattern in patterns)
                literal = sum(bool(each.search(title) or each.search(text)) for each in literals)
                related = sum(form in text for each in forms.values() for form in each[1:]) / 4
                found.append(((matched, literal + related + _fit(title, forms)), page, section))
    found.sort(key=lambda item: item[0], reverse=True)  # stable: otherwise in the order of reading
    shown = _pattern([form for word in words for form in forms[word]])
    return [
        Hit(page.name, page.title, section.anchor, section.title, _excerpt(section.text, shown))
        for _, page, section in found[:MOST_HITS]
    ]


def _fit(title: str, forms: Mapping[str, Sequence[str]]) -> float:
    """Return how well the title fits: the words of the query that it has, and the share of its words that they are."""
    parts = {_singular(part) for part in _words(title)}
    named = sum(any(_singular(form) in parts for form in each) for each in forms.values())
    used = len(parts.intersection(_singular(form) for each in forms.values() for form in each))
    return 2 * named + 2 * used / max(1, len(parts))


def suggest(pages: Iterable[Page], query: str) -> list[str]:
    """Return words of titles, settings and codes that are similar to the words of the query."""
    titles = (section.title.casefold() for page in pages for section in page.sections)
    known = list(dict.fromkeys(word for title in titles for word in _WORD.findall(title)))
    found = (difflib.get_close_matches(word[:40], known, n=_MOST_SUGGESTED, cutoff=0.7) for word in _words(query)[:3])
    return list(dict.fromkeys(word for matches in found for word in matches))


def _words(query: str) -> list[str]:
    """Return the different words without punctuation around them, and without words that every text has.

    A query of nothing but such words keeps them.
    """
    words = dict.fromkeys(word for each in query.casefold().split() if (word := each.strip(_PUNCTUATION)))
    return ([word for word in words if not _STOP_WORD.fullmatch(word)] or list(words))[:_MOST_WORDS]


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _forms(word: str) -> tuple[str, ...]:
    """Return the word, its singular and their synonyms."""
    singular = _singular(word)
    synonyms = _SYNONYMS.get(word) or _SYNONYMS.get(singular, ())
    return tuple(dict.fromkeys((word, singular, *synonyms)))


def _pattern(forms: Sequence[str]) -> re.Pattern[str]:
    """Return a pattern of the forms, the longest first.

    Short ones must be whole words: `go` is not in `google`. The name of the program, which is everywhere, has no clip.
    """
    ordered = sorted(forms, key=len, reverse=True)
    return re.compile(
        "|".join(rf"\b{re.escape(form)}\b" if len(form) < 4 else rf"{re.escape(form)}(?!engine)" for form in ordered),
        re.IGNORECASE,
    )


def _excerpt(text: str, pattern: re.Pattern[str]) -> str:
    """Return the text around the first match with all matches marked."""
    text = " ".join(text.split())
    match = pattern.search(text)
    begin = max(0, (match.start() if match else 0) - _EXCERPT // 3)
    shown = text[begin : begin + _EXCERPT]
    parts, last = [], 0
    for match in pattern.finditer(shown):
        parts += [escape(shown[last : match.start()]), f"<mark>{escape(match[0])}</mark>"]
        last = match.end()
    parts.append(escape(shown[last:]))
    return ("…" if begin else "") + "".join(parts) + ("…" if begin + _EXCERPT < len(text) else "")
