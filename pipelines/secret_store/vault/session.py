"""HTTP to Vault that goes nowhere unencrypted but where the config itself says so."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import requests


class UnencryptedError(Exception):
    """A redirect to an address without TLS; the message is that address."""


class EncryptedSession(requests.Session):
    """Follows one redirect, as to the active node of a cluster, and none to an address without TLS.

    Args:
        verify: whether certificates are checked, or the file to check them against.
    """

    def __init__(self, verify: bool | str) -> None:
        super().__init__()
        self.verify = verify
        self.max_redirects = 1

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Where the answer sends on to; None where it does not."""
        target = super().get_redirect_target(resp)
        if target is not None:
            place = urlsplit(urljoin(resp.url or "", target))
            if place.scheme != "https":
                raise UnencryptedError(f"{place.scheme}://{place.hostname}")
        return target
