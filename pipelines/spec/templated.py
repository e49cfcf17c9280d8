"""Fields that hold a value or a Jinja template which gives one once it is rendered."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

NAME_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*$"


def is_template(value: object) -> bool:
    """Whether ``value`` is text with Jinja in it."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


class _Templated:
    """Lets template text pass a field whose type is checked after rendering."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        def check(value: Any, inner: core_schema.ValidatorFunctionWrapHandler) -> Any:
            return value if is_template(value) else inner(value)

        return core_schema.no_info_wrap_validator_function(
            check,
            handler(source),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda value: value),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        plain = handler(schema)
        return {"anyOf": [plain, {"type": "string", "pattern": r"\{[{%]"}]}


Templated = _Templated()
TemplatedInt = Annotated[int, Templated]
TemplatedBool = Annotated[bool, Templated]


class Spec(BaseModel):
    """Base of all that a YAML file says: frozen, and a key that is not known is an error."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        # Built when first used: else each model would be built again inside each that holds it.
        defer_build=True,
        protected_namespaces=(),
    )
