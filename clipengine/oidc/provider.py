"""Client of an OpenID provider: its discovery document, its keys, and the exchange of a code for a token.

All methods that send requests block, at most for `SECONDS` together. The endpoints come from the provider, so their
addresses are checked against `auth.oidc.allow_cidrs`, as addresses of webhooks are.
"""

from __future__ import annotations

import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlencode

from clipengine.basis.json_budget import JsonLimits
from clipengine.clips.texts.cues import clean_line
from clipengine.errors import InvalidWebhookUrl
from clipengine.oidc.errors import ProviderRefused, ProviderUnavailable, TokenInvalid
from clipengine.oidc.flow import CALLBACK, Flow
from clipengine.oidc.id_token import Claims, Expected, Keys, UnknownKey, check
from clipengine.outbound.address import Rules, parse
from clipengine.outbound.network import Deadline, OpenNetworks, SenderClosed, trust_store
from clipengine.outbound.services import Service, ServiceAnswer, ServiceFailed
from clipengine.settings.auth import OidcSignIn

SECONDS = 10.0
_MAX_DOCUMENT_BYTES, _MAX_KEYS_BYTES, _MAX_TOKEN_BYTES = 65_536, 262_144, 262_144
_DOCUMENT_SECONDS, _KEYS_SECONDS = 3600.0, 600.0  # for which they are used
KEYS_INTERVAL_SECONDS = 10.0  # between two requests for keys because of an unknown one
_MAX_DESCRIPTION = 200
_LIMITS = JsonLimits("a document of the provider", TokenInvalid, max_depth=10, max_tokens=20_000)


@dataclass(frozen=True)
class Discovery:
    """The endpoints of a provider."""

    authorization: str
    token: str
    keys: str
    end_session: str | None
    basic: bool  # the secret is sent in a header, otherwise in the body
    states_issuer: bool  # answers of the authorization endpoint have `iss` (RFC 9207)

    @classmethod
    def of(cls, document: dict[str, Any], issuer: str) -> Discovery:
        """Read a discovery document. Raises TokenInvalid."""
        if document.get("issuer") != issuer:
            shown = clean_line(str(document.get("issuer")))[:_MAX_DESCRIPTION]
            raise TokenInvalid(f"the provider calls itself {shown!r}; auth.oidc.issuer is {issuer!r}")
        methods = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if not isinstance(methods, list):
            raise TokenInvalid("token_endpoint_auth_methods_supported of the provider's document is not a list")
        end = "end_session_endpoint"
        return cls(
            _endpoint(document, "authorization_endpoint", issuer),
            _endpoint(document, "token_endpoint", issuer),
            _endpoint(document, "jwks_uri", issuer),
            _endpoint(document, end, issuer) if document.get(end) is not None else None,
            "client_secret_basic" in methods or "client_secret_post" not in methods,
            document.get("authorization_response_iss_parameter_supported") is True,
        )


class Provider:
    """Thread-safe. `tls` replaces the trust store."""

    def __init__(
        self, settings: OidcSignIn, *, public_url: str, own_port: int | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self.settings = settings
        self.home = f"{public_url.rstrip('/')}/"
        self._redirect_uri = f"{public_url.rstrip('/')}{CALLBACK}"
        self._rules = Rules.of(settings.allow_cidrs, own_port=own_port, setting="auth.oidc.allow_cidrs")
        self._tls = tls or trust_store()
        self._networks = OpenNetworks()
        self._lock = threading.Lock()
        self._discovery: tuple[float, Discovery] | None = None  # with the time of the request, as `_keys`
        self._keys: tuple[float, Keys] | None = None

    def authorization_url(self, flow: Flow) -> str:
        """Return the URL at which the provider signs a user in. Raises SignInFailed."""
        found = self._discovered(Deadline(SECONDS))
        return _with_query(
            found.authorization,
            {
                "response_type": "code",
                "client_id": self.settings.client_id,
                "redirect_uri": self._redirect_uri,
                "scope": " ".join(self.settings.scopes),
                "state": flow.state,
                "nonce": flow.nonce,
                "code_challenge": flow.challenge,
                "code_challenge_method": "S256",
            },
        )

    def identify(self, code: str, flow: Flow, *, issuer: str | None) -> Claims:
        """Return the claims of the user to whom a code was given. `issuer` is the `iss` of the answer.

        Raises SignInFailed.
        """
        deadline = Deadline(SECONDS)
        found = self._discovered(deadline)
        self.check_issuer(issuer, required=found.states_issuer)
        token = self._token(found, code, flow, deadline)
        expected = Expected(self.settings.issuer, self.settings.client_id, flow.nonce, self.settings.groups_claim)
        try:
            return check(token, self._published(found, deadline, max_age=_KEYS_SECONDS), expected)
        except UnknownKey:
            return check(token, self._published(found, deadline, max_age=KEYS_INTERVAL_SECONDS), expected)

    def check_issuer(self, issuer: str | None, *, required: bool = False) -> None:
        """Raise TokenInvalid if an answer comes from another provider, as in a mix-up (RFC 9207)."""
        if issuer != self.settings.issuer and (required or issuer is not None):
            raise TokenInvalid("the answer has the `iss` of another provider, or none")

    def end_session_url(self) -> str | None:
        """Return the URL at which the user signs out of the provider, or None if it has none. Raises SignInFailed."""
        url = self._discovered(Deadline(SECONDS)).end_session
        values = {"client_id": self.settings.client_id, "post_logout_redirect_uri": self.home}
        return None if url is None else _with_query(url, values)

    def check(self) -> Discovery:
        """Return the endpoints after requesting the document and the keys. Raises SignInFailed."""
        deadline = Deadline(SECONDS)
        found = self._discovered(deadline)
        self._published(found, deadline, max_age=_KEYS_SECONDS)
        return found

    def close(self) -> None:
        """End all requests."""
        self._networks.close()

    def _discovered(self, deadline: Deadline) -> Discovery:
        with self._turn(deadline):
            now = time.monotonic()
            if self._discovery is None or now - self._discovery[0] >= _DOCUMENT_SECONDS:
                url = f"{self.settings.issuer.rstrip('/')}/.well-known/openid-configuration"
                document = self._json("the provider's document", url, deadline, max_bytes=_MAX_DOCUMENT_BYTES)
                self._discovery = now, Discovery.of(document, self.settings.issuer)
            return self._discovery[1]

    def _published(self, found: Discovery, deadline: Deadline, *, max_age: float) -> Keys:
        """Return the keys of the provider, which are requested again if they are older than `max_age`."""
        with self._turn(deadline):
            now = time.monotonic()
            if self._keys is None or now - self._keys[0] >= max_age:
                self._keys = (
                    now,
                    Keys(self._json("the provider's list of keys", found.keys, deadline, max_bytes=_MAX_KEYS_BYTES)),
                )
            return self._keys[1]

    @contextmanager
    def _turn(self, deadline: Deadline) -> Iterator[None]:
        """Hold the lock of the documents, so that they are requested once. Raises ProviderUnavailable."""
        with _translated("the provider"):
            if not self._lock.acquire(timeout=deadline.left()):
                raise TimeoutError
        try:
            yield
        finally:
            self._lock.release()

    def _token(self, found: Discovery, code: str, flow: Flow, deadline: Deadline) -> str:
        """Exchange a code for an ID token. Raises SignInFailed."""
        secret = self.settings.client_secret.get_secret_value()
        client = self.settings.client_id
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": self._redirect_uri}
        form |= {"code_verifier": flow.verifier}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if secret and found.basic:
            pair = f"{quote_plus(client)}:{quote_plus(secret)}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        else:
            form |= {"client_id": client, **({"client_secret": secret} if secret else {})}
        body = urlencode(form).encode()
        with _translated("the token endpoint"):
            answer = self._service(found.token).post(
                [body], headers, seconds=deadline.left(), max_bytes=_MAX_TOKEN_BYTES
            )
        if answer.status in (400, 401, 403):
            reason = answer.error_text(without=secret or code)
            raise ProviderRefused(f"the token endpoint answered {answer.status}: {reason}")
        token = _object(answer, "the token endpoint").get("id_token")
        if not isinstance(token, str):
            raise TokenInvalid("the token endpoint returned no ID token; auth.oidc.scopes must have `openid`")
        return token

    def _json(self, name: str, url: str, deadline: Deadline, *, max_bytes: int) -> dict[str, Any]:
        with _translated(name):
            answer = self._service(url).get(seconds=deadline.left(), max_bytes=max_bytes)
        return _object(answer, name)

    def _service(self, url: str) -> Service:
        return Service(url, tls=self._tls, rules=self._rules, networks=self._networks)


@contextmanager
def _translated(name: str) -> Iterator[None]:
    """Translate failures of a request to `name` into ProviderUnavailable."""
    try:
        yield
    except ServiceFailed as error:
        raise ProviderUnavailable(f"{name}: {error}") from None
    except TimeoutError:
        raise ProviderUnavailable(f"{name}: no answer within {SECONDS:g} s") from None
    except SenderClosed:
        raise ProviderUnavailable("the engine stops") from None


def _object(answer: ServiceAnswer, name: str) -> dict[str, Any]:
    """Return the JSON object of an answer. Raises ProviderUnavailable and TokenInvalid."""
    if answer.status != 200:
        raise ProviderUnavailable(f"{name}: the answer has status {answer.status}")
    try:
        found = _LIMITS.loads(answer.body.decode())
    except (ValueError, RecursionError):
        raise TokenInvalid(f"{name} is not JSON") from None
    if not isinstance(found, dict):
        raise TokenInvalid(f"{name} is not a JSON object")
    return found


def _endpoint(document: Mapping[str, Any], name: str, issuer: str) -> str:
    """Return the URL of an endpoint, which is https if the issuer is. Raises TokenInvalid."""
    url = document.get(name)
    try:
        scheme = parse(url if isinstance(url, str) else "").scheme
    except InvalidWebhookUrl:
        raise TokenInvalid(f"{name} of the provider's document is not a valid URL") from None
    if issuer.startswith("https:") and scheme != "https":
        raise TokenInvalid(f"{name} of the provider's document is not https")
    return str(url)


def _with_query(url: str, values: Mapping[str, str]) -> str:
    base = url.partition("#")[0]
    return f"{base}{'&' if '?' in base else '?'}{urlencode(values)}"
