"""Logging to standard error, as text or JSON lines, without secrets.

Every record, including its traceback, is redacted after formatting, so libraries cannot bypass the redactor. The fields
of the current job or request (see `tracing`) end a text line and are keys of a JSON line.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Iterable
from urllib.parse import unquote

from pydantic import SecretStr

from clipengine.basis.moments import rfc3339
from clipengine.basis.terminal import one_line
from clipengine.basis.tracing import bound
from clipengine.settings.settings import Settings

_HIDDEN = "[hidden]"
_MAX_CHARACTERS = 20_000  # of one record
_PASSWORD = re.compile(r"[a-z]+://[^:@/]*:(.*)@")  # of a database URL, percent-encoded or not
# These log every request, message or change of a file at INFO.
_QUIET = (
    *("uvicorn", "httpx", "httpcore", "urllib3", "huey", "asyncio", "peewee", "minio", "sse_starlette"),
    "watchfiles",
)


_COLOURS = {logging.DEBUG: "2", logging.WARNING: "33", logging.ERROR: "31", logging.CRITICAL: "1;31"}  # of terminals


class Redactor:
    """Filter that removes secrets from text: secret settings, and all keys, signatures and credentials."""

    def __init__(self, *, key_prefix: str, secrets: Iterable[str] = ()) -> None:
        # Longest first, because one secret may be a prefix of another.
        known = sorted({secret for secret in secrets if len(secret) >= 4}, key=len, reverse=True)
        patterns = [
            (r"(?i)(authorization['\"]?\s*[:=]\s*['\"]?(?:[a-z0-9-]+ )?)[^\s'\",]+", rf"\1{_HIDDEN}"),
            (r"(?i)(x-amz-(?:signature|credential|security-token)['\"]?\s*[:=]\s*['\"]?)[^\s'\"&,]+", rf"\1{_HIDDEN}"),
            (r"(?i)(clipengine_(?:session|flow)=)[^\s;'\",]+", rf"\1{_HIDDEN}"),
            (r"(?i)(password['\"]?\s*[:=]\s*['\"]?)[^\s'\"&,]+", rf"\1{_HIDDEN}"),
            # The userinfo of any URL: up to the last @ before the path, or after user:password with a slash in it.
            (r"(?<=://)[^\s/]*@", f"{_HIDDEN}@"),
            (r"(?<=://)[^\s/@:\[]*:(?!\d{1,5}[/?#])[^\s@]{0,200}@", f"{_HIDDEN}@"),
            (r"(://[^\s?'\"]{1,2000}\?)[^\s'\"]+", rf"\1{_HIDDEN}"),
            (r"whsec_[A-Za-z0-9+/=_-]+", _HIDDEN),
            # The id of an API key is not secret.
            (rf"\b({re.escape(key_prefix)}_[A-Za-z0-9]+)_[A-Za-z0-9_-]+", rf"\1_{_HIDDEN}"),
        ]
        if known:
            patterns.insert(0, ("|".join(map(re.escape, known)), _HIDDEN))
        self._patterns = [(re.compile(pattern), replacement) for pattern, replacement in patterns]

    @classmethod
    def of(cls, settings: Settings) -> Redactor:
        storage = settings.storage
        secrets: list[SecretStr] = [storage.access_key, storage.secret_key, storage.session_token]
        secrets.append(settings.auth.oidc.client_secret)
        secrets += [endpoint.secret for endpoint in settings.webhooks.endpoints]
        known = [each.get_secret_value() for each in secrets]
        if password := _PASSWORD.match(settings.database.url.get_secret_value()):
            known += [password[1], unquote(password[1])]
        return cls(key_prefix=settings.auth.key_prefix, secrets=known)

    def __call__(self, text: str) -> str:
        """Return the text without secrets, at most _MAX_CHARACTERS of it."""
        text = text[: 2 * _MAX_CHARACTERS]  # bounds the time; a secret that is cut here is cut off below
        for pattern, replacement in self._patterns:
            text = pattern.sub(replacement, text)
        return text[:_MAX_CHARACTERS]


class _Text(logging.Formatter):
    def __init__(self, redact: Redactor, *, coloured: bool = False) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
        self._redact = redact
        self._colours = _COLOURS if coloured else {}

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        return rfc3339(int(record.created * 1000))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return " ".join([super().formatMessage(record), *(f"{name}={value}" for name, value in bound().items())])

    def format(self, record: logging.LogRecord) -> str:
        # Continuation lines are indented, so that a message can forge no line, nor move the cursor of a terminal.
        text = "\n    ".join(map(one_line, self._redact(super().format(record)).split("\n")))
        colour = self._colours.get(record.levelno)
        return text if colour is None else f"\x1b[{colour}m{text}\x1b[0m"


class _Json(logging.Formatter):
    def __init__(self, redact: Redactor) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": rfc3339(int(record.created * 1000)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._redact(record.getMessage()),
            **{name: self._redact(value) if isinstance(value, str) else value for name, value in bound().items()},
        }
        if record.exc_info:
            line["traceback"] = self._redact(self.formatException(record.exc_info))
        return one_line(json.dumps(line, ensure_ascii=False))


def set_up(settings: Settings) -> None:
    """Configure logging as the settings say."""
    handler = logging.StreamHandler(sys.stderr)
    redact = Redactor.of(settings)
    coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    handler.setFormatter(_Json(redact) if settings.server.log_format == "json" else _Text(redact, coloured=coloured))
    logging.basicConfig(handlers=[handler], level=settings.server.log_level.upper(), force=True)
    logging.captureWarnings(True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
