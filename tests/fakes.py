"""Stand-ins for what tests of single modules must not need: the JVM, a storage, files, a clock."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JError

from pipelines.spec.flow import Flow, FlowFile
from pipelines.spec.validation import validate
from pipelines.spec.yaml_document import parse_document


class JavaException:
    """An exception as py4j shows it: getters, some of which only some classes have."""

    def __init__(
        self,
        class_name: str,
        message: str = "",
        *,
        condition: str | None = None,
        sql_state: str | None = None,
        cause: JavaException | None = None,
    ) -> None:
        self._class_name, self._message, self._cause = class_name, message, cause
        self._optional = {"getCondition": condition, "getSqlState": sql_state}
        if class_name.startswith("java.sql."):
            self._optional = {"getSQLState": sql_state}

    def getClass(self) -> JavaException:
        return self

    def getName(self) -> str:
        return self._class_name

    def getMessage(self) -> str:
        return self._message

    def getCause(self) -> JavaException | None:
        return self._cause

    def __getattr__(self, name: str) -> Callable[[], Any]:
        def call() -> Any:
            if name not in self._optional:
                raise Py4JError(f"Method {name}([]) does not exist")
            return self._optional[name]

        return call


class JavaError(Exception):
    """A Python exception that carries a Java one, as PySpark raises them."""

    def __init__(self, java_exception: JavaException) -> None:
        super().__init__(java_exception.getMessage())
        self.java_exception = java_exception


def spark_error(condition: str, sql_state: str = "", message: str = "") -> JavaError:
    """What PySpark raises for one of Spark's error conditions."""
    name = "org.apache.spark.sql.AnalysisException"
    text = message or f"[{condition}] something is wrong"
    return JavaError(JavaException(name, text, condition=condition, sql_state=sql_state))


def jdbc_error(sql_state: str | None, class_name: str = "java.sql.SQLException") -> JavaError:
    """What PySpark raises where a database refused: a failed job around JDBC's exception."""
    inner = JavaException(class_name, "the database said no", sql_state=sql_state)
    return JavaError(JavaException("org.apache.spark.SparkException", "Job aborted", cause=inner))


class TickingClock:
    """A clock that is a second later each time it is read."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 10, 58, 24, tzinfo=timezone.utc)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@dataclass
class FilesInMemory:
    """A storage that goes down while it writes, where a test asks for it.

    Attributes:
        texts: what stands there, by path.
        breaks_at: `before`, `between` the temporary file and its renaming, or `never`.
    """

    texts: dict[str, str] = field(default_factory=dict)
    breaks_at: str = "never"

    def read(self, path: str) -> str | None:
        return self.texts.get(path)

    def write(self, path: str, text: str) -> None:
        temporary = f"{path}.tmp"
        if self.breaks_at == "before":
            raise OSError("the storage went down")
        self.texts[temporary] = text
        if self.breaks_at == "between":
            raise OSError("the storage went down")
        self.move(temporary, path)

    def move(self, path: str, new_path: str) -> None:
        self.texts[new_path] = self.texts.pop(path)

    def exists(self, path: str) -> bool:
        return any(known == path or known.startswith(f"{path}/") for known in self.texts)

    def remove(self, path: str) -> None:
        for known in [one for one in self.texts if one == path or one.startswith(f"{path}/")]:
            del self.texts[known]

    def names(self, folder: str) -> list[str]:
        below = [one.removeprefix(f"{folder}/") for one in self.texts if one != folder]
        return sorted({one.split("/")[0] for one in below if f"{folder}/{one}" in self.texts})


def step(name: str, *depends_on: str, **more: Any) -> dict[str, Any]:
    """A step of a flow; it writes a table of its own."""
    return {
        "name": name,
        "depends_on": list(depends_on),
        "source": {"type": "delta", "query": "select 1 as id"},
        "destination": {"path": f"lake/{name}"},
        **more,
    }


def group(name: str, *steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A group of a flow."""
    return {"name": name, "steps": list(steps), **more}


def stage(name: str, *groups: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A stage of a flow."""
    return {"name": name, "groups": list(groups), **more}


def flow(*stages: dict[str, Any]) -> Flow:
    """A flow as if read from a file, each key on a line of its own."""
    text = json.dumps({"pipeline": {"name": "toy", "stages": stages}}, indent=1)
    document = parse_document(text, "flow.yaml")
    read, findings = validate(FlowFile, document.tree, document)
    assert read is not None, findings
    return Flow(Path("/project/flow.yaml"), Path("/project"), "", read.pipeline, document)
