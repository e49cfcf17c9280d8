"""Datasources and addresses with their secrets looked up, at the last moment and no sooner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pipelines.plan.compile import absolute_path
from pipelines.secret_store.redaction import Redactor
from pipelines.secret_store.resolver import SecretResolver
from pipelines.utils.datasource import DataSource

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.plan.compile import CompiledPlan
    from pipelines.secret_store.providers import SecretService
    from pipelines.spec.config import Environment
    from pipelines.utils.sql_loader import SqlLoader


class Connections:
    """What a run connects to.

    Args:
        environment: says where secrets are and what names of notifications mean.
        project_dir: the providers' files are relative to it.
        loader: fills in the templates that name secrets.
        compiled: gives the compiled plan; asked only when something is connected to.
    """

    def __init__(
        self,
        environment: Environment,
        project_dir: Path,
        loader: SqlLoader,
        compiled: Callable[[], CompiledPlan],
    ) -> None:
        self._environment, self._project_dir = environment, project_dir
        self._loader, self._compiled = loader, compiled
        self._redactor = Redactor()
        self._resolver = SecretResolver(environment.secrets, project_dir, redactor=self._redactor)

    def redact(self, text: str) -> str:
        """``text`` without any secret that was looked up so far."""
        return self._redactor.redact(text)

    @property
    def secret_services(self) -> tuple[SecretService, ...]:
        """The providers of secrets that can be out of reach."""
        return self._resolver.services

    def has_secret(self, name: str) -> bool:
        """Whether some provider has the secret.

        Raises:
            SecretStoreError: a provider does not tell.
        """
        return self._resolver.has(name)

    def secret(self, name: str) -> str:
        """The value of a secret, which no output will show from now on.

        Raises:
            SecretNotFoundError: no provider has it.
            SecretStoreError: a provider does not tell whether it has it.
        """
        value: str = self._resolver.get(name).get_secret_value()
        self._redactor.add(value)
        return value

    def datasource(self, name: str) -> DataSource:
        """A datasource, ready to be read.

        A connection that was silent for as long as the longest step may take counts as lost: what
        waits in a driver's socket cannot be cancelled otherwise.
        """
        compiled = self._compiled()
        settings = self._filled(compiled.datasources[name])
        if settings.get("path"):
            settings["path"] = absolute_path(settings["path"], self._project_dir)
        source = replace(
            DataSource.from_settings(name, settings), silent_seconds=compiled.longest_step_seconds
        )
        if source.password is not None:
            self._redactor.add(source.password.get_secret_value())
        self._hide_place(source)
        return source

    def address(self, name: str) -> str | None:
        """The real address that a notification's name means; None where it means nobody."""
        mapped = self._environment.notifications.get(name)
        if mapped is None or not mapped.get_secret_value():
            return None
        address: str = self._filled(mapped.get_secret_value())
        self._redactor.add(address)
        return address

    def hmac_key(self) -> str:
        """The key of mask `hmac`, which no output will show from now on."""
        key: str = self._filled(self._compiled().hmac_key)
        self._redactor.add(key)
        return key

    def _hide_place(self, source: DataSource) -> None:
        """Hides a place that is made of a secret: messages show it cut, which is no form of it."""
        url, place = source.url or "", source.place
        if replace(source, url=self.redact(url)).place == place:
            return
        self._redactor.add(place)
        has_host = "//" in url
        self._redactor.add(
            place.rpartition(":")[0] if has_host else place.removeprefix("jdbc:derby:")
        )

    def _filled(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: self._filled(item) for key, item in value.items()}
        names = {**self._compiled().names, "secret": self.secret}
        return self._loader.render_text(value, names) if isinstance(value, str) else value
