"""Reasons for which a sign-in ends without a session. Their texts are for the log; they contain no token."""

from __future__ import annotations


class SignInFailed(Exception):
    """Base class. `text` is shown to the user."""

    status = 403
    text = "The answer of the provider is not valid. The log of the server says why."


class FlowExpired(SignInFailed):
    """The flow is unknown, was used before, or has expired."""

    text = "This sign-in has expired, was used before, or began in another browser."


class ProviderRefused(SignInFailed):
    """The provider has answered with an error."""

    text = "The provider refused the sign-in."


class TokenInvalid(SignInFailed):
    """The provider's document or token is not valid."""

    status = 502


class ProviderUnavailable(SignInFailed):
    """The provider does not answer, or too late."""

    status = 503
    text = "The provider does not answer. Try again later."


class TooManySignIns(SignInFailed):
    """All slots of requests to the provider are used."""

    status = 503
    text = "Too many people sign in at the same time. Try again later."
