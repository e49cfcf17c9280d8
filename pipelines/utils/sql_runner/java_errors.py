"""What really went wrong, out of the exceptions that Spark, Delta and JDBC throw through py4j."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from pipelines.errors import SqlError

_MAX_CAUSES = 12
_STACK = re.compile(r"\n\s*(?:at |\.\.\. \d+ more|Caused by: |JVM stacktrace)", re.MULTILINE)
_LOST_MESSAGE = "Cannot find main error class"
_CAUSE_UNTOLD = "TASK_WRITE_FAILED"
_DATA_STATES = ("22", "23", "21")
_SQLSERVER = "com.microsoft.sqlserver.jdbc.SQLServerException"
# Its driver makes S0001 and the like of most errors, which says nothing; the server's number does.
_SQLSERVER_STATES = {
    **dict.fromkeys((102, 105, 156, 170, 319, 1033), "42000"),
    **dict.fromkeys((229, 230, 262), "42501"),
    207: "42S22",
    208: "42S02",
    4060: "3D000",
    18456: "28000",
    1222: "HYT00",
    3960: "40001",
    **dict.fromkeys((10928, 10929, 40501, 49918, 49919, 49920), "53000"),
    **dict.fromkeys((40197, 40613), "08006"),
}
CERTIFICATE_FAULTS = frozenset({
    "CertPathBuilderException",
    "CertPathValidatorException",
    "CertificateException",
    "CertificateExpiredException",
    "CertificateNotYetValidException",
    "SSLPeerUnverifiedException",
    "SunCertPathBuilderException",
    "ValidatorException",
})  # fmt: skip
"""Java's exceptions for a server's certificate that is not trusted, not valid, or another's."""
_UNCLASSED_STATE = re.compile(r"S\d{4}")
_QUOTED = re.compile(r"'(?:[^'\\]|\\.|'')*'|\"[^\"]*\"|(?<==)\([^)]*\)|(?<= : ).+")
_NOISE = re.compile(r"^\[[A-Z0-9_.]+\] |[ ;,]*\(?line \d+,? pos \d+\)?;?| ?SQLSTATE: \w{5}")
_PREFIX = re.compile(r"^(?:[a-z][\w$]*\.)+[A-Z]\w*(?:Exception|Error)?: ")


@dataclass(frozen=True)
class Cause:
    """One exception of a chain, outermost first.

    Attributes:
        class_name: full name of the Java class, or of the Python class.
        message: its text, without the stack.
        condition: Spark's or Delta's error condition; empty if it has none.
        sql_state: SQLSTATE, five characters; empty if it has none.
        bases: names of the classes that a Python class derives from, nearest first.
    """

    class_name: str
    message: str
    condition: str = ""
    sql_state: str = ""
    bases: tuple[str, ...] = ()

    @property
    def short_name(self) -> str:
        """The class without its package."""
        return self.class_name.rsplit(".", 1)[-1]


def causes(error: BaseException) -> tuple[Cause, ...]:
    """The chain of exceptions behind ``error``, outermost first."""
    java = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    found: list[Cause] = []
    if java is None:
        following: BaseException | None = error
        while following is not None and len(found) < _MAX_CAUSES:
            inner = getattr(following, "java_exception", None)
            if inner is not None:
                return (*found, *_java_causes(inner))
            name, *bases = (kind.__name__ for kind in type(following).__mro__)
            found.append(Cause(name, _first_part(str(following)), bases=tuple(bases)))
            following = following.__cause__ or following.__context__
        return tuple(found)
    chain = tuple(_java_causes(java))
    if _LOST_MESSAGE in chain[0].message and error.__context__ is not None:
        return causes(error.__context__)  # PySpark broke while it put Delta's error into words
    return chain


def as_sql_error(error: BaseException, where: str = "") -> SqlError:
    """``error`` as one that tells the innermost helpful cause, with row values masked.

    Errors about data (SQLSTATE classes 21, 22 and 23) quote the values of the rows; those
    quotes are masked, since logs must hold no personal data. So are those of errors that SQL
    Server's driver gives no class.
    """
    chain = causes(error)
    states = [cause.sql_state for cause in chain if cause.sql_state]
    database = next((cause for cause in chain if _is_sql_exception(cause)), None)
    best = database or _most_telling(chain)
    state = (database.sql_state if database else "") or (states[0] if states else "")
    message = _NOISE.sub("", _PREFIX.sub("", best.message)).strip() or best.short_name
    if any(one[:2] in _DATA_STATES or _UNCLASSED_STATE.fullmatch(one) for one in states):
        message = _QUOTED.sub("'…'", message)
    outermost = next((cause.condition for cause in chain if cause.condition), "")
    return SqlError(
        message,
        condition=best.condition or outermost,
        sql_state=state,
        java_class=best.class_name,
        where=where,
    )


def _is_sql_exception(cause: Cause) -> bool:
    return cause.class_name == _SQLSERVER or (
        cause.short_name.endswith("SQLException") or cause.class_name.startswith("java.sql.")
    )


def _most_telling(chain: tuple[Cause, ...]) -> Cause:
    """The innermost cause with an error condition and a text of its own, else the innermost.

    Of a write that failed in a task the condition says where, and the innermost cause why.
    """
    with_condition = [
        cause for cause in chain if cause.condition and _LOST_MESSAGE not in cause.message
    ]
    if with_condition and with_condition[-1].condition != _CAUSE_UNTOLD:
        return with_condition[-1]
    if with_condition and chain[-1].message:
        where = _NOISE.sub("", with_condition[-1].message).strip().rstrip(".")
        return replace(with_condition[-1], message=f"{where}: {chain[-1].message}")
    with_text = [cause for cause in chain if cause.message]
    return with_text[-1] if with_text else chain[-1]


def _java_causes(java: Any) -> list[Cause]:
    """The chain of a Java exception; where the JVM has ended meanwhile, that stands for it."""
    from py4j.protocol import Py4JError

    found: list[Cause] = []
    try:
        while java is not None and len(found) < _MAX_CAUSES:
            found.append(_java_cause(java))
            java = java.getCause()
    except (Py4JError, OSError):
        found.append(Cause("JvmEnded", "Spark's JVM has ended"))
    return found


def _java_cause(java: Any) -> Cause:
    name = str(java.getClass().getName())
    state = _call(java, "getSqlState") or _call(java, "getSQLState")
    if name == _SQLSERVER:
        state = _SQLSERVER_STATES.get(java.getErrorCode(), state)
    return Cause(
        name,
        _first_part(str(java.getMessage() or "")),
        _call(java, "getCondition") or _call(java, "getErrorClass"),
        state,
    )


def _call(java: Any, method: str) -> str:
    """The text that a method without arguments gives; empty where there is no such method."""
    from py4j.protocol import Py4JError

    try:
        value = getattr(java, method)()
    except Py4JError:
        return ""
    return value if isinstance(value, str) else ""


def _first_part(message: str) -> str:
    """The message without the stack and the plan that follow it."""
    cut = _STACK.search(message)
    text = message[: cut.start()] if cut else message
    text = text.split("\n== SQL", 1)[0].split("\n'Project", 1)[0].split(";\n", 1)[0]
    return text.strip()
