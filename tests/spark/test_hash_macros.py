"""The hash recipe, fixed by golden values: a change here means a full reload of silver."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

TEMPLATES = Path(__file__).resolve().parents[2] / "pipelines" / "sql_templates"
STRING_ROW = "select cast({a} as string) as a, cast({b} as string) as b"


def _hash(spark: SparkSession, call: str, row: str) -> Any:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.StrictUndefined
    )
    template = "{% import 'macros/hash.sql.j2' as dv %}select {{ dv." + call + " }} from (" + row
    return spark.sql(environment.from_string(template + ")").render()).collect()[0][0]


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _pair(a: str | None, b: str | None) -> str:
    texts = ("null" if text is None else "'" + text.replace("\\", "\\\\") + "'" for text in (a, b))
    return STRING_ROW.format(**dict(zip("ab", texts, strict=True)))


@pytest.mark.parametrize(
    ("literal", "golden"),
    [
        ("'604821'", "09be17eeed98f73eecefbee6cd031fc62e0f74e2edb9df43abd664797f4ab7b9"),
        ("' 604821 '", "09be17eeed98f73eecefbee6cd031fc62e0f74e2edb9df43abd664797f4ab7b9"),
        ("'ab-1'", "22bb3d88717945164623f16ef15cc98c7126ff40ae11a4b41e1f2a11274ecc01"),
        ("'Ab-1'", "22bb3d88717945164623f16ef15cc98c7126ff40ae11a4b41e1f2a11274ecc01"),
        (
            "cast(255901001 as bigint)",
            "3ca4f66e20033e7c918f1e1f84edaa9ab60210d11bdecb018cc8f445a75df1ab",
        ),
        ("''", None),
        ("'   '", None),
        ("cast(null as string)", None),
    ],
)
def test_hash_key_when_given_a_business_key_then_is_golden(
    spark: SparkSession, literal: str, golden: str | None
) -> None:
    assert _hash(spark, "hash_key('a')", f"select {literal} as a") == golden


def test_hash_keys_when_given_an_enrollment_then_is_golden(spark: SparkSession) -> None:
    row = "select '604821' as a, cast(255901001 as bigint) as b, date '2021-08-23' as c"
    golden = "abcdd3d6b056da52285cd9485babc429e0733ac9fb433e513e7eee54da054900"
    assert _hash(spark, "hash_keys(['a', 'b', 'c'])", row) == golden
    assert golden == _sha("604821||255901001||2021-08-23")


@pytest.mark.parametrize(
    ("a", "b", "text"),
    [
        ("x", None, "X||^^"),
        (None, "x", "^^||X"),
        ("x", "", "X||^^"),
        ("a|", "b", "A\\|||B"),
        ("a", "|b", "A||\\|B"),
        ("a\\", "b", "A\\\\||B"),
        ("^^", "b", "\\^\\^||B"),
        (None, None, None),
        (" ", None, None),
        ("^^", "^^", "\\^\\^||\\^\\^"),
    ],
)
def test_hash_keys_when_parts_are_odd_then_nothing_collides(
    spark: SparkSession, a: str | None, b: str | None, text: str | None
) -> None:
    expected = None if text is None else _sha(text)
    assert _hash(spark, "hash_keys(['a', 'b'])", _pair(a, b)) == expected


def test_hash_keys_when_order_changes_then_so_does_the_key(spark: SparkSession) -> None:
    row = _pair("x", "y")
    assert _hash(spark, "hash_keys(['a', 'b'])", row) != _hash(spark, "hash_keys(['b', 'a'])", row)


def test_hashdiff_when_columns_are_in_another_order_then_is_golden(spark: SparkSession) -> None:
    golden = "78155033b43a7c0d701968342680f240fa19836fe28173d602752e9675894cca"
    row = _pair("Ada", "Lovelace")
    assert _hash(spark, "hashdiff(['b', 'a'])", row) == golden
    assert _hash(spark, "hashdiff(['a', 'b'])", row) == golden
    assert golden == _sha("Ada||Lovelace")


def test_hashdiff_when_only_case_differs_then_differs(spark: SparkSession) -> None:
    lower, upper = _pair("ada", None), _pair("Ada", None)
    assert _hash(spark, "hashdiff(['a', 'b'])", lower) != _hash(
        spark, "hashdiff(['a', 'b'])", upper
    )


def test_hashdiff_when_all_is_null_then_is_a_hash(spark: SparkSession) -> None:
    assert _hash(spark, "hashdiff(['a', 'b'])", _pair(None, None)) == _sha("^^||^^")


def test_hashdiff_when_values_are_typed_then_their_text_counts(spark: SparkSession) -> None:
    row = "select true as a, array('White', 'Asian') as b"
    assert _hash(spark, "hashdiff(['a', 'b'])", row) == _sha("true||[White, Asian]")


def test_hash_keys_when_escapes_are_off_in_literals_then_stay_the_same(spark: SparkSession) -> None:
    row = "select 'a|' as a, '^' as b"
    before = _hash(spark, "hash_keys(['a', 'b'])", row)
    name = "spark.sql.parser.escapedStringLiterals"
    spark.conf.set(name, "true")
    try:
        assert _hash(spark, "hash_keys(['a', 'b'])", row) == before
    finally:
        spark.conf.unset(name)
