"""What goes wrong with Vault, as errors of the project: no token and no value in any of them.

The libraries' own errors hold requests with their tokens: none is named as a cause.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hvac import exceptions as refusals
from requests import exceptions as broken

from pipelines.errors import SecretStoreDownError, SecretStoreError, shorten
from pipelines.secret_store.vault.session import UnencryptedError

if TYPE_CHECKING:
    from pipelines.spec.secret_settings import VaultSettings

_DOWN = (
    refusals.BadGateway,
    refusals.InternalServerError,
    refusals.RateLimitExceeded,
    refusals.VaultDown,
    refusals.VaultNotInitialized,
)
_MOST_CHARACTERS = 160


class NoEntryError(Exception):
    """There is no such entry, or it was deleted."""


class Failures:
    """Words for what went wrong.

    Args:
        settings: Vault's address, and what it was asked for.
        redact: takes secrets out of what Vault answers.
    """

    def __init__(self, settings: VaultSettings, redact: Callable[[str], str]) -> None:
        self._settings, self._redact = settings, redact
        self._name = f"Vault at {settings.address}"

    def of_entry(self, path: str, error: Exception) -> Exception:
        """Why an entry could not be read; `NoEntryError` where there is none."""
        told = self._of_any(error)
        if told is not None:
            return told
        settings, said = self._settings, self._said(error)
        place = f"{settings.mount}/{path}"
        if isinstance(error, refusals.InvalidPath):
            return self._not_there(place, said, error)
        if isinstance(error, (refusals.Forbidden, refusals.Unauthorized)):
            inside = "" if settings.kv_version == 1 else "data/"
            rule = f'path "{settings.mount}/{inside}{path}" {{ capabilities = ["read"] }}'
            return SecretStoreError(
                f"{self._name} refuses to show {place}: its token may not, or has run out",
                hint=f"the token's policy needs: {rule}",
            )
        return self.strange(f"an error for {place}" + (f": {said}" if said else ""))

    def of_login(self, what: str, error: Exception) -> Exception:
        """Why Vault could not be logged in to."""
        said = self._said(error)
        return self._of_any(error) or SecretStoreError(
            f"{self._name} refuses {what}" + (f": {said}" if said else ""),
            hint="look at secrets.vault.auth, and whether what it logs in with is still good",
        )

    def of_health(self, error: Exception) -> Exception:
        """Why Vault did not say how it is."""
        return self._of_any(error) or self.strange("an error where its health was asked for")

    def sealed(self) -> SecretStoreError:
        """Vault has not been unsealed."""
        return self._down("is sealed", "unseal it; until then it gives no secret")

    def not_initialized(self) -> SecretStoreError:
        """Vault is new and empty."""
        return self._down("is not initialized", "set it up with `vault operator init`")

    def for_recovery(self) -> SecretStoreError:
        """The address is that of a cluster which only keeps copies."""
        return SecretStoreError(
            f"{self._name} is there for disaster recovery and gives no secrets",
            hint="set secrets.vault.address to the primary",
        )

    def strange(self, what: str, hint: str = "") -> SecretStoreError:
        """What answers does not answer as Vault does."""
        return SecretStoreError(
            f"{self._name} answers, but not as Vault does: {what}",
            hint=hint or "is secrets.vault.address Vault's, and not that of something before it?",
        )

    def _of_any(self, error: Exception) -> SecretStoreError | None:
        """What any request can end with; None for what depends on the request."""
        if isinstance(error, UnencryptedError):
            return SecretStoreError(
                f"{self._name} sends on to {error}, where a token would go unencrypted",
                hint="set secrets.vault.address to where it is to be asked, with https",
            )
        if isinstance(error, _DOWN):
            said = self._said(error)
            if isinstance(error, refusals.VaultDown) and "sealed" in said:
                return self.sealed()
            kind = said or type(error).__name__
            return self._down(f"cannot answer now: {kind}", "try again later")
        if isinstance(error, OSError):  # those of requests are such
            return self._unreachable(error)
        if isinstance(error, ValueError):
            return self.strange("something that cannot be read")
        return None

    def _unreachable(self, error: OSError) -> SecretStoreError:
        if isinstance(error, broken.SSLError):
            return SecretStoreError(
                f"{self._name} shows no certificate that is trusted: {_reason(error)}",
                hint="give the certificate of its authority as secrets.vault.ca_file",
            )
        if not isinstance(error, broken.RequestException):
            return SecretStoreError(
                f"{self._name} cannot be asked: {_reason(error)}",
                hint="is secrets.vault.ca_file a file of certificates?",
            )
        told = _reason(error)
        if isinstance(error, broken.Timeout):
            told = f"nothing within {self._settings.timeout_seconds:g} seconds"
        return self._down(
            f"does not answer: {told}",
            "is it up, is secrets.vault.address right, and does the network let you through?",
        )

    def _not_there(self, place: str, said: str, error: refusals.InvalidPath) -> Exception:
        mount = self._settings.mount
        if not isinstance(error.json, dict):  # Vault answers in JSON: this is some other server
            return self.strange(f"status 404 without JSON for {place}")
        if "no handler for route" in said:
            return SecretStoreError(
                f"{self._name} has no engine at {mount!r}",
                hint="set secrets.vault.mount to where the key-value engine is",
            )
        if error.json.get("warnings"):
            return SecretStoreError(
                f"{self._name} has at {mount!r} another version of the key-value engine than "
                f"{self._settings.kv_version}",
                hint="set secrets.vault.kv_version",
            )
        return NoEntryError(place)

    def _down(self, what: str, hint: str) -> SecretStoreError:
        return SecretStoreDownError(f"{self._name} {what}", hint=hint)

    def _said(self, error: Exception) -> str:
        """The errors of Vault's answer: redacted first, as a cut secret is not known any more."""
        told = getattr(error, "errors", None)
        if not isinstance(told, list) or not told:
            return ""
        return shorten(self._redact("; ".join(map(str, told))), _MOST_CHARACTERS).strip("'")


def _reason(error: BaseException) -> str:
    """The system's own word for what is wrong: the libraries' words may hold what was sent."""
    seen: list[BaseException] = []
    pending: list[Any] = [error]
    while pending:
        one = pending.pop()
        if isinstance(one, BaseException) and one not in seen:
            seen.append(one)
            pending += [one.__context__, one.__cause__, getattr(one, "reason", None), *one.args]
    for word in ("verify_message", "strerror"):
        for found in reversed(seen):
            told = getattr(found, word, None)
            if told:
                return str(told)
    return type(error).__name__
