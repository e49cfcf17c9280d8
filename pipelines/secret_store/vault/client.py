"""Asks Vault over HTTP: how it is, for a token, for an entry."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import hvac
import requests
from pydantic import SecretStr

from pipelines.errors import shorten
from pipelines.secret_store.vault.failures import Failures, NoEntryError
from pipelines.secret_store.vault.session import EncryptedSession

if TYPE_CHECKING:
    from pipelines.secret_store.vault.login import Login
    from pipelines.spec.secret_settings import VaultSettings

Entry = Mapping[str, SecretStr]
_STANDBYS = {429: "a standby", 473: "a performance standby"}
_ACTIVE, _FOR_RECOVERY, _NOT_INITIALIZED, _SEALED = 200, 472, 501, 503
_FOR_EVER = float("inf")


class VaultClient:
    """One Vault; not safe for threads.

    Args:
        settings: its address, and how to talk to it.
        login: gives what to log in with; asked when it is due.
        keep: is given each token that Vault gives, to take it out of what is shown.
        redact: takes secrets out of what Vault answers.
        ca_file: certificates to check Vault's against, in place of the usual ones.
        clock: seconds that only grow, to know when a token has run out.
    """

    def __init__(
        self,
        settings: VaultSettings,
        login: Callable[[], Login],
        keep: Callable[[str], None],
        redact: Callable[[str], str],
        ca_file: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._login, self._keep, self._clock = settings, login, keep, clock
        self._failures = Failures(settings, redact)
        self._session = EncryptedSession(ca_file or True)
        self._token: SecretStr | None = None
        self._token_ends = _FOR_EVER
        self._logged_in_with = ""

    def health(self) -> str:
        """What Vault says of itself.

        Raises:
            SecretStoreError: it does not answer, is sealed, or is none that gives secrets.
        """
        # Only the root namespace has a health.
        status, said = self._asked(
            lambda: _status_and_body(self._made("", None).sys.read_health_status(method="GET")),
            self._failures.of_health,
        )
        if "sealed" not in said:
            raise self._failures.strange(f"status {status} without its health")
        if status == _NOT_INITIALIZED:
            raise self._failures.not_initialized()
        if status == _FOR_RECOVERY:
            raise self._failures.for_recovery()
        if status == _SEALED or said["sealed"]:
            raise self._failures.sealed()
        if status != _ACTIVE and status not in _STANDBYS:
            raise self._failures.strange(f"status {status} for its health")
        version = shorten(str(said.get("version", "unknown")), 30).strip("'")
        kind = [_STANDBYS[status]] if status in _STANDBYS else []
        return ", ".join(["answers", "unsealed", *kind, f"version {version}"])

    def log_in(self) -> str:
        """Logs in unless that is done; says how, and with what from where.

        Raises:
            SecretStoreError: there is nothing to log in with, or Vault refuses it.
        """
        self._valid_token()
        return self._logged_in_with

    def entry(self, path: str) -> Entry | None:
        """The keys of an entry, values that are not text as JSON; None where there is no entry.

        Raises:
            SecretStoreError: it cannot be told whether there is one.
        """
        settings = self._settings
        kv = self._made(self._valid_token(), settings.namespace).secrets.kv

        def read() -> Any:
            if settings.kv_version == 1:
                return kv.v1.read_secret(path, mount_point=settings.mount)
            return kv.v2.read_secret_version(
                path, mount_point=settings.mount, raise_on_deleted_version=True
            )

        try:
            answer = self._asked(read, lambda error: self._failures.of_entry(path, error))
        except NoEntryError:
            return None
        found = answer.get("data") if isinstance(answer, dict) else None
        if settings.kv_version != 1:
            found = found.get("data") if isinstance(found, dict) else None
        if not isinstance(found, dict):
            raise self._failures.strange(
                f"no entry of version {settings.kv_version} of the key-value engine",
                "are secrets.vault.mount and secrets.vault.kv_version right?",
            )
        return {key: SecretStr(_text(value)) for key, value in found.items() if value is not None}

    def _valid_token(self) -> str:
        if self._token is None or self._clock() >= self._token_ends:
            login = self._login()
            token, seconds = self._logged_in(login)
            self._token = SecretStr(token)
            self._token_ends = self._clock() + seconds if seconds else _FOR_EVER
            how = "a token" if login.method == "token" else f"logged in by {login.method}"
            self._logged_in_with = f"{how} from {login.source}"
        return self._token.get_secret_value()

    def _logged_in(self, login: Login) -> tuple[str, float]:
        """A token, and for how many seconds it is good; 0 for ever."""
        if login.method == "token":
            return login.secret, 0
        ways = self._made("", self._settings.namespace).auth
        way = ways.approle if login.method == "approle" else ways.kubernetes
        what = f"the log-in by {login.method} with what is in {login.source}"
        answer = self._asked(
            lambda: way.login(login.role, login.secret, use_token=False, mount_point=login.mount),
            lambda error: self._failures.of_login(what, error),
        )
        given = answer.get("auth") if isinstance(answer, dict) else None
        token = given.get("client_token") if isinstance(given, dict) else None
        if not isinstance(token, str) or not token:
            raise self._failures.strange(
                f"no token for {what}", "does Vault ask for a second factor there?"
            )
        self._keep(token)
        seconds = given.get("lease_duration") if isinstance(given, dict) else None
        return token, seconds if isinstance(seconds, (int, float)) else 0

    def _made(self, token: str, namespace: str | None) -> Any:
        make: Any = hvac.Client
        return make(
            self._settings.address,
            token,  # also an empty one: for None hvac would look for some by itself
            verify=self._session.verify,
            timeout=self._settings.timeout_seconds,
            session=self._session,
            namespace=namespace,
        )

    def _asked(self, ask: Callable[[], Any], told: Callable[[Exception], Exception]) -> Any:
        try:
            return ask()
        except Exception as error:  # what it may be, Failures knows
            problem = told(error)
        raise problem  # here, so that the other one, which may hold a token, is not its context


def _status_and_body(answer: Any) -> tuple[int, Mapping[str, Any]]:
    """What hvac gives is the body where the status is 200, else the answer as it came."""
    if not isinstance(answer, requests.Response):
        return _ACTIVE, answer if isinstance(answer, dict) else {}
    try:
        body = answer.json()
    except ValueError:
        body = None
    return answer.status_code, body if isinstance(body, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
