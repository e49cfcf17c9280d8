"""A flow: stages of groups of steps, with its datasources and policies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from pipelines.spec.policies import (
    CheckpointPolicy,
    MaintenancePolicy,
    Notifications,
    Publish,
    RetryPolicy,
    RunPolicy,
    SamplePolicy,
)
from pipelines.spec.privacy import Classification, PrivacyPolicy
from pipelines.spec.steps import Name, Options, Step
from pipelines.spec.templated import Spec, Templated

if TYPE_CHECKING:
    from pipelines.spec.yaml_document import Document

DatasourceType = Literal["jdbc", "delta", "parquet", "csv", "json", "orc", "avro", "text"]
IdentifierCase = Literal["preserve", "lower", "upper"]


class Datasource(Spec):
    """A database or a folder of files, by a name that steps use."""

    type: DatasourceType = "jdbc"
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
    options: Options = Field(default_factory=dict)
    """Spark reader options, passed on as they are."""
    identifier_case: IdentifierCase = "preserve"
    """Casing of the column names that the step sees, whatever the engine stores."""
    classification: Classification | None = None
    """Class of its columns of which `columns` says nothing; without it `internal`."""
    columns: dict[str, dict[str, Classification]] = Field(default_factory=dict)
    """Classes of columns, by table: `{edfi.Student: {BirthDate: pii}}`; `"*"` is any table."""


class CompleteDatasource(Datasource):
    """A datasource with all that it needs, once an environment has had its say."""

    @model_validator(mode="after")
    def _is_whole(self) -> CompleteDatasource:
        needed = "url" if self.type == "jdbc" else "path"
        if getattr(self, needed) is None:
            raise PydanticCustomError(
                "datasource", "a datasource of type '{type}' needs '{needed}'",
                {"type": self.type, "needed": needed},
            )  # fmt: skip
        return self


class Group(Spec):
    """Steps that belong together."""

    name: Name
    description: str = ""
    """What the group is for, for people."""
    tags: tuple[str, ...] = ()
    """Words to select by; they hold for every step in it."""
    parallel: bool = True
    """Whether its steps may run side by side; else each waits for the one above it."""
    depends_on: tuple[str, ...] = ()
    """Groups, stages or steps that must have succeeded before any of its steps starts."""
    max_classification: Classification | None = None
    """The highest class of a column that may stand in what its steps write."""
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]
    """Its steps; in this order where `parallel` is false."""


class Stage(Spec):
    """A layer of the lakehouse."""

    name: Name
    description: str = ""
    """What the stage is for, for people."""
    tags: tuple[str, ...] = ()
    """Words to select by; they hold for every step in it."""
    parallel: bool = True
    """Whether its groups may run side by side; else each waits for the one above it."""
    depends_on: tuple[str, ...] = ()
    """Stages, groups or steps that must have succeeded before any of its steps starts."""
    publish: Publish = None
    """Release its Delta tables together to readers, once all its steps have ended well."""
    max_classification: Classification | None = None
    """The highest class of a column that may stand in what its steps write."""
    groups: Annotated[tuple[Group, ...], Field(min_length=1)]
    """Its groups; in this order where `parallel` is false."""


class PipelineSpec(Spec):
    """All that stands under `pipeline:`."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=128)]
    """Names the pipeline in logs, checkpoints and messages."""
    description: str = ""
    """What the pipeline does, for people."""
    owner: str = ""
    """Whom to ask."""
    tags: tuple[str, ...] = ()
    """Words for people and catalogues."""
    batch_id: str | None = None
    """Names the batch; the same batch twice resumes. Without it a UTC timestamp."""
    default_retry: RetryPolicy = Field(default_factory=RetryPolicy)
    """How failed steps are tried again; a step overrides it key by key."""
    default_timeout_seconds: Annotated[float | None, Field(gt=0), Templated] = None
    """Time limit of one attempt of a step that sets none of its own."""
    timeout_seconds: Annotated[float | None, Field(gt=0), Templated] = None
    """Time limit of a whole run from its start; in a history run, of each window."""
    audit_columns: bool = False
    """Whether Delta tables say of each row which run, batch and source made it."""
    notifications: Notifications = Field(default_factory=Notifications)
    """Whom to tell when a run ends."""
    checkpoint: CheckpointPolicy = Field(default_factory=CheckpointPolicy)
    """Where a run leaves word of the steps that are done."""
    run: RunPolicy = Field(default_factory=RunPolicy)
    """Whether a run is for its day or for windows of the past."""
    maintenance: MaintenancePolicy = Field(default_factory=MaintenancePolicy)
    """What `maintain` does with tables, logs, checkpoints and releases."""
    sample: SamplePolicy = Field(default_factory=SamplePolicy)
    """How `run --sample` chooses rows."""
    privacy: PrivacyPolicy = Field(default_factory=PrivacyPolicy)
    """The key of pseudonyms, and how the rows of one person are found."""
    vars: dict[str, Any] = Field(default_factory=dict)
    """Values for templates, as `vars.name`; the environment and `--var` override them."""
    datasources: dict[str, Datasource] = Field(default_factory=dict)
    """Databases and folders of files, by the names that steps use."""
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    """The layers of the lakehouse."""


class FlowFile(Spec):
    """A flow file as a whole."""

    pipeline: PipelineSpec
    """The one pipeline of the file."""


@dataclass(frozen=True)
class Flow:
    """A flow that was read without an error.

    Attributes:
        path: the file.
        project_dir: folder that the paths in it are relative to.
        sha256: of the file's bytes.
        pipeline: what it says.
        document: the YAML as it stands, for places and templates.
    """

    path: Path
    project_dir: Path
    sha256: str
    pipeline: PipelineSpec
    document: Document
