"""An OpenID provider on loopback that signs its tokens with joserfc, and lies if a test says so."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from joserfc import jwk, jwt

CLIENT, SECRET = "clips", "a secret: with % and spaces"


def new_key(kid: str) -> jwk.ECKey:
    return jwk.ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": "ES256"})


@dataclass
class LyingProvider:
    """Its answers follow the standard, except for what a test changes."""

    port: int = 0
    key: Any = field(default_factory=lambda: new_key("first"))
    published: list[Any] = field(default_factory=list)  # keys; empty: `key`
    claims: dict[str, Any] = field(default_factory=dict)  # that replace the right ones; None removes a claim
    times: dict[str, int] = field(default_factory=dict)  # claims in seconds from when the token is made
    document: dict[str, Any] = field(default_factory=dict)  # members that replace those of the discovery document
    answers: dict[str, bytes | tuple[int, bytes]] = field(default_factory=dict)  # bodies by path
    sign: Callable[[dict[str, Any]], str] | None = None
    once: bool = True  # a code is valid once
    hold: threading.Event | None = None  # answers of the token endpoint wait for it
    arrived: threading.Event = field(default_factory=threading.Event)
    requests: list[str] = field(default_factory=list)  # paths
    codes: dict[str, dict[str, str]] = field(default_factory=dict)  # parameters of the authorization requests

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def authorize(self, url: str) -> dict[str, str]:
        """Act as the page of the provider at which a user signs in, and return the parameters of the answer."""
        given = dict(parse_qsl(urlsplit(url).query))
        assert url.startswith(f"{self.issuer}/authorize?")
        assert (given["response_type"], given["client_id"], given["code_challenge_method"]) == ("code", CLIENT, "S256")
        code = f"code-{len(self.codes)}"
        self.codes[code] = given
        return {"code": code, "state": given["state"], "iss": self.issuer}

    def answer(self, method: str, path: str, body: bytes, authorization: str) -> tuple[int, bytes]:
        self.requests.append(path)
        if path in self.answers:
            given = self.answers[path]
            return given if isinstance(given, tuple) else (200, given)
        if path == "/.well-known/openid-configuration":
            return 200, json.dumps(self._document()).encode()
        if path == "/keys":
            keys = [each.as_dict(private=False) for each in self.published or [self.key]]
            return 200, json.dumps({"keys": keys}).encode()
        if (method, path) != ("POST", "/token"):
            return 404, b"{}"
        return self._token(dict(parse_qsl(body.decode())), authorization)

    def _document(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "end_session_endpoint": f"{self.issuer}/end?theme=dark",
            "authorization_response_iss_parameter_supported": True,
        } | self.document

    def _token(self, form: dict[str, str], authorization: str) -> tuple[int, bytes]:
        self.arrived.set()
        if self.hold is not None:
            self.hold.wait(300)
        asked = self.codes.get(form["code"])
        if asked is None or not self._knows(authorization) or asked["redirect_uri"] != form["redirect_uri"]:
            return 400, b'{"error": "invalid_grant", "error_description": "<b>no</b>"}'
        if self.once:
            del self.codes[form["code"]]
        assert asked["code_challenge"] == _challenge(form["code_verifier"])
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": "u-1", "aud": CLIENT, "exp": now + 300, "iat": now}
        claims |= {"nonce": asked["nonce"], "name": "Anna Łódź", "groups": ["people", "cutters"]}
        claims |= {name: now + seconds for name, seconds in self.times.items()}
        claims = {name: value for name, value in (claims | self.claims).items() if value is not None}
        token = (self.sign or self.signed)(claims)
        return 200, json.dumps({"access_token": "x", "token_type": "Bearer", "id_token": token}).encode()

    def signed(self, claims: dict[str, Any]) -> str:
        return jwt.encode({"alg": "ES256", "kid": self.key.kid}, claims, self.key)

    @staticmethod
    def _knows(authorization: str) -> bool:
        text = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        return text == "clips:a+secret%3A+with+%25+and+spaces"


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


@contextmanager
def lying_provider() -> Iterator[LyingProvider]:
    provider = LyingProvider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, body: bytes) -> None:
            path = urlsplit(self.path).path
            status, answer = provider.answer(self.command, path, body, self.headers.get("Authorization", ""))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            try:
                self.wfile.write(answer)
            except OSError:
                pass  # the client has read enough

        def log_message(self, format: str, *values: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield provider
        finally:
            if provider.hold is not None:
                provider.hold.set()
            server.shutdown()
            thread.join()
