"""The config: one entry for each environment that a flow can run in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr

from pipelines.spec.flow import Datasource, DatasourceType, IdentifierCase
from pipelines.spec.privacy import Classification
from pipelines.spec.secret_settings import SecretSettings
from pipelines.spec.steps import Options
from pipelines.spec.templated import Spec, TemplatedBool


class SparkSettings(Spec):
    """The session."""

    master: str | None = "local[*]"
    """Spark master; null leaves it to spark-submit or the platform."""
    conf: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Spark settings; they override the engine's own."""
    packages: tuple[str, ...] = ()
    """More jars by Maven coordinates, such as another JDBC driver."""
    share_classes: bool = True
    """Start from the archive of Spark's classes that the set-up has made; local masters."""


def is_local_master(master: str | None) -> bool:
    """Whether Spark works within the process that starts it."""
    return master is not None and master.startswith("local")


class MetadataSettings(Spec):
    """The Delta tables that record runs."""

    enabled: TemplatedBool = True
    """Write them at the end of each run."""
    path: str = "{{ base_path }}/_metadata"
    """Folder of the tables, local or on any storage."""
    storage_options: dict[str, str] = Field(default_factory=dict)
    """Options of the object store, where the path is not local and the environment lacks them."""


class LogSettings(Spec):
    """Where the JSON logs go."""

    path: str = "pipelines/logs"
    """Folder on this machine."""
    upload_to: str | None = None
    """Folder on any storage that Spark reaches; each run's log is copied there."""

    def folder(self, project_dir: Path) -> Path:
        """Where the logs of a project are."""
        return project_dir / Path(self.path).expanduser()


class LockSettings(Spec):
    """How runs keep out of each other's way."""

    lease_seconds: Annotated[float, Field(ge=10)] | None = None
    """Take a lease beside the checkpoints, which ends so long after it was renewed last; for a
    lakehouse on a mounted network file system. Other storages than file systems always have one,
    of 60 seconds unless this says otherwise."""


class DatasourceOverride(Spec):
    """What an environment says of a datasource; each key replaces the flow's."""

    type: DatasourceType | None = None
    """A database over JDBC, or the format of files at `path`."""
    url: str | None = None
    """JDBC address, without user and password."""
    user: str | None = None
    """Name to log in with."""
    password: SecretStr | None = None
    """Best given as `{{ secret('NAME') }}`."""
    driver: str | None = None
    """Class of the JDBC driver; known ones are found by the address."""
    path: str | None = None
    """Folder or file, for file types."""
    options: Options | None = None
    """Spark reader options, joined with the flow's; these win."""
    identifier_case: IdentifierCase | None = None
    """Casing of the column names that the step sees, whatever the engine stores."""

    def over(self, base: dict[str, Any] | None) -> dict[str, Any]:
        """The raw settings of a datasource, these over ``base``; options are joined."""
        said = {name: getattr(self, name) for name in self.model_fields_set}
        merged = {**(base or {}), **said}
        merged["options"] = {**((base or {}).get("options") or {}), **(self.options or {})}
        return merged


class Environment(Spec):
    """A place to run in."""

    base_path: str
    """Root of the lakehouse; relative to the project unless it has a scheme."""
    spark: SparkSettings = Field(default_factory=SparkSettings)
    """The Spark session."""
    datasources: dict[str, DatasourceOverride] = Field(default_factory=dict)
    """Keys that replace those of the flow's datasources, by their names."""
    secrets: SecretSettings = Field(default_factory=SecretSettings)
    """Where secrets are looked up."""
    metadata: MetadataSettings = Field(default_factory=MetadataSettings)
    """The Delta tables that record runs."""
    logs: LogSettings = Field(default_factory=LogSettings)
    """Where the JSON logs go."""
    lock: LockSettings = Field(default_factory=LockSettings)
    """How runs keep out of each other's way."""
    notifications: dict[str, SecretStr] = Field(default_factory=dict)
    """Real Apprise addresses by the names that flows use; null or empty means nobody."""
    vars: dict[str, Any] = Field(default_factory=dict)
    """Values for templates, as `vars.name`; they win over the flow's."""
    max_classification: Classification | None = None
    """The highest class of a column that may stand in any table of this environment."""


class Config(Spec):
    """The config file as a whole."""

    default_environment: str
    """The one that runs where none is named."""
    environments: Annotated[dict[str, Environment], Field(min_length=1)]
    """Places to run in, by name."""


__all__ = [
    "Config",
    "Datasource",
    "DatasourceOverride",
    "Environment",
    "SecretSettings",
    "SparkSettings",
]
