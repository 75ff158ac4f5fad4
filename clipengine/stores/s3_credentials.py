"""Credentials of the S3 store from the places where AWS tools look for them.

In this order: the variables AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; the profile AWS_PROFILE of
`~/.aws/credentials`; a web identity (AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN), as in Kubernetes; the role of an
ECS task, EKS pod or EC2 instance. Temporary credentials are renewed before they expire.
"""

from __future__ import annotations

import configparser
import threading

import urllib3
from minio.credentials.credentials import Credentials
from minio.credentials.providers import AWSConfigProvider, EnvAWSProvider, IamAwsProvider, Provider
from urllib3.exceptions import HTTPError

from clipengine.errors import StorageDenied

_TIMEOUT_SECONDS = 5.0  # on other machines nothing responds at the address of the instance metadata
_NO_FILE_ERRORS = (ValueError, OSError, KeyError, HTTPError, configparser.Error)


class CredentialChain(Provider):
    """The first provider that has credentials. Thread-safe."""

    def __init__(self) -> None:
        timeout = urllib3.Timeout(_TIMEOUT_SECONDS)
        client = urllib3.PoolManager(timeout=timeout, retries=urllib3.Retry(total=1, redirect=0))
        self._providers: list[Provider] = [EnvAWSProvider(), AWSConfigProvider(), IamAwsProvider(http_client=client)]
        self._lock = threading.Lock()
        self._current: Provider | None = None
        self.access_key = ""  # the latest one, which error messages must not contain

    def retrieve(self) -> Credentials:
        """Return credentials. Raises StorageDenied if no provider has any."""
        with self._lock:
            found = self._retrieve()
            self.access_key = found.access_key
            return found

    def _retrieve(self) -> Credentials:
        # The provider that had credentials is asked first: the order must not change while the engine runs.
        for provider in [self._current, *self._providers]:
            try:
                if provider is not None and (found := provider.retrieve()).access_key:
                    self._current = provider
                    return found
            except _NO_FILE_ERRORS:
                continue
        raise StorageDenied(
            "no credentials of the S3 store were found in the environment",
            hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile in ~/.aws/credentials, a web identity or "
            'a role of this machine; or storage.access_key and storage.secret_key with storage.credentials = "keys".',
        )
