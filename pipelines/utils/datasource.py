"""Datasources: connection settings in one place, as the options that Spark's reader takes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import SecretStr

from pipelines.errors import UsageError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, DataFrameReader, SparkSession

    from pipelines.spec.steps import Partition

FETCH_ROWS = 10_000
CONNECT_SECONDS = 15
_ENGINE = re.compile(r"jdbc:([a-z0-9]+):")
_HOST = re.compile(r"//(?:[^@/]*@)?([^/;?]+)")
_PARAMETER = re.compile(r"[;?&]\s*([^=;?&]+)=([^;?&]*)")
_LOOPBACK = re.compile(r"(?:localhost|127(?:\.\d+){3}|\[::1\])(?:[:\\,]|$)", re.IGNORECASE)
_NOT_OF_READING = frozenset({"options", "classification", "columns"})
Tls = Literal["", "off", "unchecked", "checked"]
DRIVERS = {
    "derby": "org.apache.derby.iapi.jdbc.AutoloadedDriver",
    "postgresql": "org.postgresql.Driver",
    "sqlserver": "com.microsoft.sqlserver.jdbc.SQLServerDriver",
}
_ENGINE_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "postgresql": {
        "sslmode": "require",
        "connectTimeout": str(CONNECT_SECONDS),
        "loginTimeout": str(CONNECT_SECONDS),
        "tcpKeepAlive": "true",
        "ApplicationName": "pipelines",
    },
    "sqlserver": {
        "encrypt": "true",
        "loginTimeout": str(CONNECT_SECONDS),
        "applicationName": "pipelines",
        # Spark writes dates as 2026-08-31; the language of a login may take that for a 31st month.
        "sessionInitStatement": "set dateformat ymd",
    },
}
# In which the drivers count their `socketTimeout`.
_UNITS_A_SECOND = {"postgresql": 1, "sqlserver": 1_000}


@dataclass(frozen=True)
class DataSource:
    """A database over JDBC, or a folder of files.

    Attributes:
        name: what the flow calls it.
        type: ``jdbc`` or one of Spark's file formats.
        url: JDBC address, without user and password.
        path: folder or file, for file types.
        extra_options: Spark reader options; they win over what is set here.
        identifier_case: casing of the columns that come out: ``preserve``, ``lower``, ``upper``.
        take: what of the rows `read` gives; None is all.
        silent_seconds: how long a connection may be silent before it counts as lost.
    """

    name: str
    type: str = "jdbc"
    url: str | None = None
    user: str | None = None
    password: SecretStr | None = None
    driver: str | None = None
    path: str | None = None
    extra_options: Mapping[str, Any] = field(default_factory=dict)
    identifier_case: str = "preserve"
    take: Callable[[DataFrame], DataFrame] | None = field(default=None, repr=False)
    silent_seconds: float | None = None

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any]) -> DataSource:
        """The datasource that the flow and its environment describe; all values rendered."""
        known = {key: value for key, value in settings.items() if key not in _NOT_OF_READING}
        password = known.pop("password", None)
        if isinstance(password, str):
            password = SecretStr(password)
        return cls(name, password=password, extra_options=settings.get("options") or {}, **known)

    @property
    def engine(self) -> str:
        """``postgresql``, ``sqlserver``, ``derby`` and so on; empty for files."""
        match = _ENGINE.match(self.url or "")
        return match[1] if match else ""

    @property
    def place(self) -> str:
        """Where it is, without user, password or parameters: for messages."""
        if self.type != "jdbc":
            return self.path or ""
        match = _HOST.search(self.url or "")
        return match[1] if match else (self.url or "").split(";")[0]

    @property
    def tls(self) -> Tls:
        """Whether what is read is encrypted, and the server's certificate checked.

        Empty where that is not known, or there is no way to listen in: files, an embedded
        database, a server on this machine.
        """
        if self.engine not in ("postgresql", "sqlserver") or self._is_near:
            return ""
        said = {**self._defaults, **self._in_address, **self.extra_options}
        said = {key.lower(): _text(value).lower() for key, value in said.items()}
        if self.engine == "sqlserver":
            if said["encrypt"] in ("false", "no", "optional"):
                return "off"
            return "unchecked" if said.get("trustservercertificate") == "true" else "checked"
        mode = said.get("sslmode", "verify-full" if said.get("ssl") in ("", "true") else "disable")
        if mode in ("disable", "allow", "prefer"):  # the latter two go without where they must
            return "off"
        return "unchecked" if mode == "require" else "checked"

    @property
    def _is_near(self) -> bool:
        return _LOOPBACK.match(self.place) is not None

    @property
    def _in_address(self) -> dict[str, str]:
        """The address's parameters."""
        return {key.strip(): value for key, value in _PARAMETER.findall(self.url or "")}

    @property
    def _defaults(self) -> dict[str, str]:
        """What the engine's driver is told unless the address says otherwise."""
        said = {key.lower() for key in self._in_address}
        if "ssl" in said or (self._is_near and self.engine == "postgresql"):
            said.add("sslmode")
        defaults = dict(_ENGINE_OPTIONS.get(self.engine, {}))
        if self.silent_seconds is not None and self.engine in _UNITS_A_SECOND:
            units = math.ceil(self.silent_seconds * _UNITS_A_SECOND[self.engine])
            defaults["socketTimeout"] = str(units)
        return {key: value for key, value in defaults.items() if key.lower() not in said}

    def options(self) -> dict[str, str]:
        """Spark's reader options, the password in clear: never log them.

        Raises:
            UsageError: the driver's class is neither given nor known.
        """
        given = {key: _text(value) for key, value in self.extra_options.items()}
        if self.type != "jdbc":
            return given
        driver = self.driver or DRIVERS.get(self.engine)
        if driver is None:
            raise UsageError(
                f"no driver is known for {self.engine or self.url!r}",
                where=f"datasource {self.name}",
                hint="set 'driver' to the class, and its jar under spark.packages",
            )
        options = {
            "url": self.url or "",
            "driver": driver,
            "fetchsize": str(FETCH_ROWS),
            **self._defaults,
        }
        if self.user is not None:
            options["user"] = self.user
        if self.password is not None:
            options["password"] = self.password.get_secret_value()
        return {**options, **given}

    def read(
        self,
        spark: SparkSession,
        table: str | None = None,
        *,
        query_text: str | None = None,
        partition: Partition | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> DataFrame:
        """The rows of a table, of a query run there, or of files; nothing is read yet.

        Args:
            spark: the session.
            table: table, or for file types a path below the datasource's own.
            query_text: SQL in the database's dialect, instead of a table.
            partition: read the table in ranges, side by side.
            options: more reader options, which win.
        """
        reader = self._reader(spark, options)
        if self.type != "jdbc":
            return self._given(reader.load("/".join(p for p in (self.path, table) if p)))
        if query_text is not None:
            reader = reader.option("query", query_text)
        else:
            reader = reader.option("dbtable", table or "")
        if partition is not None:
            reader = reader.options(
                partitionColumn=partition.column,
                lowerBound=str(partition.lower),
                upperBound=str(partition.upper),
                numPartitions=str(partition.count),
            )
        return self._given(reader.load())

    def highest(
        self,
        spark: SparkSession,
        column: str,
        table: str | None = None,
        *,
        query_text: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> DataFrame:
        """One row with the highest value of a column; a database finds it and sends no more.

        Args:
            spark: the session.
            column: its name as `read` gives it.
            table: as in `read`.
            query_text: as in `read`.
            options: as in `read`.
        """
        name = column
        if self.type != "jdbc" or self.identifier_case != "preserve":
            whole = replace(self, identifier_case="preserve", take=None).read(
                spark, table, query_text=query_text, options=options
            )
            name = next(one for one in whole.columns if one.lower() == column.lower())
            if self.type != "jdbc":
                return whole.selectExpr(f"max(`{name}`) as highest")
        jvm: Any = spark._jvm
        dialect = getattr(jvm, "org.apache.spark.sql.jdbc.JdbcDialects").get(self.url or "")
        # Spark takes a semicolon off a query's end; within parentheses it would be a fault.
        rows = table if query_text is None else "(" + query_text.rstrip("; \n") + ")"
        # Spark's reader would fetch all rows to find it: the database is asked in its own words.
        query = f"select max({dialect.quoteIdentifier(name)}) highest from {rows} bounded"
        return self._reader(spark, options).option("query", query).load()

    def _reader(self, spark: SparkSession, options: Mapping[str, Any] | None) -> DataFrameReader:
        given = {key: _text(value) for key, value in (options or {}).items()}
        return spark.read.format(self.type).options(**{**self.options(), **given})

    def _given(self, frame: DataFrame) -> DataFrame:
        """``frame`` with its columns in the case asked for, and the rows that are taken."""
        if self.identifier_case != "preserve":
            change = str.lower if self.identifier_case == "lower" else str.upper
            frame = frame.toDF(*(change(name) for name in frame.columns))
        return frame if self.take is None else self.take(frame)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
