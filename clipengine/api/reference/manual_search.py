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
_CHANGELOG = "changelog"
_LONG = 2000  # characters: such a section has many words by chance
_ROW = 0.6  # the name of a row is short, so its words say less than the words of a heading
_PUNCTUATION = "?!.,;:()[]{}<>'\"`…“”„‘’"
_WORD = re.compile(r"[a-z_][a-z_.-]{2,40}")
_STOP_WORD = re.compile(
    "[0-9]|a|an|and|are|as|at|be|by|can|could|do|does|for|from|get|happens|has|have|how|i|if|in|into|is|it|me|my|of|on|or|our|"
    "should|so|tell|tells|that|the|there|this|to|use|want|was|we|what|when|where|which|while|who|why|will|with|you|your"
)

# Words of queries, and pairs of words, with the words that the documents use.
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
    "login": ("sign in", "signs", "without a key"),
    "permission": ("scope", "storage_denied"),
    "role": ("scope",),
    "resolution": ("max_height", "size"),
    "resize": ("max_height", "size"),
    "vertical": ("aspect", "vertical"),
    "portrait": ("aspect", "vertical"),
    "9:16": ("vertical",),
    "hide": ("blur",),
    "redact": ("blur",),
    "obscure": ("blur",),
    "pixelate": ("blur",),
    "censor": ("blur",),
    "anonymize": ("blur",),
    "anonymise": ("blur",),
    "crash": ("power loss", "crash"),
    "crashes": ("power loss", "crash"),
    "crashed": ("power loss", "crash"),
    "kill": ("power loss", "kill"),
    "dies": ("power loss", "dies"),
    "died": ("power loss", "dies"),
    "down": ("away", "unreachable"),
    "offline": ("away",),
    "unreachable": ("away", "unreachable"),
    "outage": ("away", "outages"),
    "space": ("disk", "full"),
    "overwritten": ("replaced",),
    "overwrite": ("replaced",),
    "running": ("written",),
    "leaked": ("leaks", "leak"),
    "leak": ("leaks",),
    "stolen": ("leaks",),
    "compromised": ("leaks",),
    "delivered": ("receiver", "deliveries"),
    "corrupt": ("damaged", "damaged or hostile"),
    "corrupted": ("damaged", "damaged or hostile"),
    "broken": ("damaged",),
    "malicious": ("hostile",),
    "sound": ("silent",),
    "black": ("frozen", "gap"),
    "accidentally": ("by mistake", "undone"),
    "undo": ("undone", "undo"),
    "rollback": ("way back", "upgrade"),
    "downgrade": ("way back", "upgrade"),
    "overload": ("too many",),
    "overloaded": ("too many",),
    "viewer": ("read-only",),
    "account": ("key",),
    "user": ("key", "colleague"),
    "anonymous": ("link",),
    "website": ("embedded", "player"),
    "computer": ("machine",),
    "lan": ("machine", "network"),
    "subpath": ("below a path",),
    "subdirectory": ("below a path",),
    "sso": ("sign-in", "single sign-on"),
    "speech text": ("transcribed", "whisper", "transcription"),
    "re-encoding": ("smart render",),
    "reencoding": ("smart render",),
    "lossless": ("smart render",),
    "rename": ("label", "name"),
    "hardware": ("sizing", "cores"),
    "downtime": ("upgrade", "drain"),
    "rolling": ("downtime",),
    "privacy": ("blur",),
    "mask": ("blur",),
    "face": ("blur",),
    "burnt": ("burn", "drawn"),
    "burned": ("burnt", "burn"),
    "captions": ("subtitles", "transcript"),
    "caption": ("subtitles", "transcript"),
    "speech": ("transcript",),
    "whisper": ("transcript", "whisper"),
    "callback": ("webhook",),
    "notification": ("webhook", "event"),
    "hmac": ("signature",),
    "verify": ("signature", "verify"),
    "authentic": ("signature", "unchanged"),
    "authenticity": ("unchanged",),
    "genuine": ("signature", "unchanged"),
    "integrity": ("unchanged",),
    "tamper": ("unchanged",),
    "tampered": ("unchanged",),
    "checksum": ("sha-256", "unchanged"),
    "rotate": ("replace", "change"),
    "licence": ("license",),
    "port": ("server.port", "changes the port"),
    "um": ("filler", "pauses"),
    "ums": ("filler", "pauses"),
    "uh": ("filler", "pauses"),
    "filler": ("filler", "pauses"),
    "hevc": ("proxy", "hevc"),
    "prores": ("proxy", "prores"),
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
    "audio only": ("audio-only",),
    "phone home": ("telemetry",),
    "youtube": ("from a url",),
    "gdpr": ("deletion", "gdpr"),
    "cameras": ("series", "camera"),
    "mp3": ("profiles", "mp3"),
    "formats": ("containers", "what is read"),
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
    "auto delete": ("retention",),
    "delete automatically": ("retention",),
    "delete old": ("retention",),
    "old clips": ("retention",),
    "days": ("retention",),
    "keep": ("retention", "deleted"),
    "missing": ("gap",),
    "ram": ("memory", "sizing"),
    "memory": ("sizing",),
    "cpu": ("cores", "sizing"),
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

    They are ordered by the number of words that they have, in their text or in the titles above it, and then by how
    well their own title fits. The changelog names everything and explains nothing: it counts as having one word less.
    """
    words = _words(query)
    asked = _Query.of(words)
    found = [
        (rank, page, section)
        for page in (pages if words else ())
        for section in page.sections
        if (rank := asked.rank(page, section)) is not None
    ]
    found.sort(key=lambda item: item[0], reverse=True)  # stable: otherwise in the order of reading
    shown = _pattern([form for each in asked.forms.values() for form in each])
    return [
        Hit(page.name, page.title, section.anchor, section.title, _excerpt(section.text, shown))
        for _, page, section in found[:MOST_HITS]
    ]


@dataclass(frozen=True)
class _Query:
    """The words of a query with their forms, and patterns of the words alone and of all their forms."""

    forms: Mapping[str, Sequence[str]]
    literals: Sequence[re.Pattern[str]]
    patterns: Sequence[re.Pattern[str]]

    @classmethod
    def of(cls, words: Sequence[str]) -> _Query:
        forms = _all_forms(words)
        return cls(forms, [_pattern([word]) for word in words], [_pattern(each) for each in forms.values()])

    def rank(self, page: Page, section: Section) -> tuple[int, float] | None:
        """Return the number of words that the section has, and how well it fits; None if its text has none."""
        text = f"{_read_out(section.title)} {section.text}".casefold()
        if not _count(self.patterns, text):
            return None
        matched = _count(self.patterns, f"{page.title} {section.heading} {text}")
        score = self._score(section, text)
        return (matched - 1, score / 2) if page.name == _CHANGELOG and matched > 1 else (matched, score)

    def _score(self, section: Section, text: str) -> float:
        literal = _count(self.literals, f"{section.heading} {text}")
        related = sum(form in text for each in self.forms.values() for form in each[1:]) / 4
        fit = _fit(section.title, self.forms) * (1 if section.level else _ROW)
        return literal + related + fit - min(len(text) // _LONG, 2) / 4


def _count(patterns: Iterable[re.Pattern[str]], text: str) -> int:
    return sum(bool(pattern.search(text)) for pattern in patterns)


def _all_forms(words: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the forms of each word. The first word of a pair also has the forms of the pair."""
    forms = {word: _forms(word) for word in words}
    for first, second in pairwise(words):
        # "recording changed" is a code
        forms[first] += (f"{first}_{second}", *_SYNONYMS.get(f"{first} {second}", ()))
    return forms


def _fit(title: str, forms: Mapping[str, Sequence[str]]) -> float:
    """Return how well the title fits: the words of the query that it has, and the share of its words that they are."""
    parts = {_singular(part) for part in _words(_read_out(title))}
    named = sum(any(_singular(form) in parts for form in each) for each in forms.values())
    used = len(parts.intersection(_singular(form) for each in forms.values() for form in each))
    return 2 * named + 2 * used / max(1, len(parts))


def _read_out(title: str) -> str:
    """Return the title, followed by its words if it is a code."""
    return f"{title} {title.replace('_', ' ')}" if "_" in title else title


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

    They begin a word: `port` is not in `export`. Short ones must be whole words: `go` is not in `google`. The name of
    the program, which is everywhere, has no clip.
    """
    ordered = sorted(forms, key=len, reverse=True)
    return re.compile(
        "|".join(
            rf"\b{re.escape(form)}\b" if len(form) < 4 else rf"(?<![a-z]){re.escape(form)}(?!engine)"
            for form in ordered
        ),
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
