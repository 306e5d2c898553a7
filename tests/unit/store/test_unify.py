"""Segments whose features differ become one table; no value is lost or changed on the way."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.store.unify import distinct_names, unite


def conformed(*columns: Any) -> list[list[Any]]:
    """The values of one-column batches, each brought into the union of all."""
    batches = [pa.record_batch([column], names=["c"]) for column in columns]
    union = unite([batch.schema for batch in batches])
    results = [union.conform(batch) for batch in batches]
    for result in results:
        result.validate(full=True)
        assert result.schema == union.shown
    return [result.column("c").to_pylist() for result in results]


@pytest.mark.parametrize(
    ("a", "b", "want"),
    [
        (pa.int8(), pa.int64(), pa.int64()),
        (pa.uint8(), pa.uint32(), pa.uint32()),
        (pa.int8(), pa.uint32(), pa.int64()),
        (pa.int64(), pa.uint64(), pa.float64()),
        (pa.float32(), pa.float64(), pa.float64()),
        (pa.int32(), pa.float32(), pa.float64()),
        (pa.bool_(), pa.int64(), pa.string()),
        (pa.string(), pa.float64(), pa.string()),
        (pa.large_string(), pa.string(), pa.string()),
        (pa.null(), pa.float32(), pa.float32()),
        (pa.dictionary(pa.int32(), pa.string()), pa.string(), pa.string()),
        (pa.list_(pa.float32()), pa.list_(pa.float64()), pa.list_(pa.float64())),
        (pa.list_(pa.float32(), 3), pa.large_list(pa.int8()), pa.list_(pa.float64())),
        (pa.float32(), pa.list_(pa.float32()), pa.list_(pa.float32())),
        (pa.binary(16), pa.uuid(), pa.uuid()),
        (pa.struct([("a", pa.int8())]), pa.struct([("a", pa.int64())]), pa.struct([("a", pa.int64())])),
        (pa.struct([]), pa.struct([("a", pa.int8())]), pa.struct([("a", pa.int8())])),
        (pa.struct([("a", pa.int8())]), pa.list_(pa.int8()), pa.string()),
    ],
)
def test_two_types_become_one_whatever_their_order(a: pa.DataType, b: pa.DataType, want: pa.DataType) -> None:
    for first, second in ((a, b), (b, a)):
        union = unite([pa.schema([("c", first)]), pa.schema([("c", second)])])
        assert union.exact.field("c").type == want


def test_struct_children_keep_the_order_of_their_first_appearance() -> None:
    first, second = pa.struct([("b", pa.int8())]), pa.struct([("a", pa.int8()), ("b", pa.int8())])
    union = unite([pa.schema([("c", first)]), pa.schema([("c", second)])])
    assert [child.name for child in union.shown.field("c").type] == ["b", "a"]


def test_struct_children_are_united_by_name_and_missing_ones_are_null() -> None:
    one = pa.array([{"amount": 1.5}, None], pa.struct([("amount", pa.float32())]))
    two = pa.array([{"country": "DE", "amount": 2}], pa.struct([("country", pa.string()), ("amount", pa.int8())]))
    assert conformed(one, two) == [
        [{"amount": 1.5, "country": None}, None],
        [{"amount": 2.0, "country": "DE"}],
    ]


def test_a_lone_value_joins_lists_as_a_list_of_one() -> None:
    assert conformed(pa.array([0.5, None]), pa.array([[0.25, 0.75], None, []])) == [
        [[0.5], None],
        [[0.25, 0.75], None, []],
    ]


def test_numbers_and_text_become_text() -> None:
    assert conformed(pa.array([1, None]), pa.array(["x"]), pa.array([True])) == [["1", None], ["x"], ["true"]]


def test_a_list_and_a_text_become_a_list_of_text() -> None:
    assert conformed(pa.array([[1, 2]]), pa.array(["x"])) == [[["1", "2"]], [["x"]]]


def test_structs_and_other_values_become_json_text() -> None:
    assert conformed(pa.array([{"a": 1}, None]), pa.array(["x"])) == [['{"a": 1}', None], ["x"]]


def test_dictionaries_are_decoded() -> None:
    assert conformed(pa.array(["a", None, "a"]).dictionary_encode(), pa.array(["b"])) == [["a", None, "a"], ["b"]]


def test_a_slice_is_conformed_like_the_whole() -> None:
    whole = pa.array([{"p": [0.5, 1.5], "q": 1}, None, {"p": None, "q": 2}, {"p": [], "q": None}])
    wider = pa.array([{"p": 2.5, "q": "x"}])
    [sliced, _] = conformed(whole.slice(1, 3), wider)
    assert sliced == [None, {"p": None, "q": "2"}, {"p": [], "q": None}]


def test_names_that_differ_by_case_stay_apart() -> None:
    array = pa.array([{"Amount": 1, "amount": 2, "amount_2": 3}])
    assert conformed(array) == [[{"Amount": 1, "amount_3": 2, "amount_2": 3}]]


@given(st.lists(st.sampled_from(["a", "A", "a_2", "A_2", "b", "B", "a_3"]), unique=True))
def test_distinct_names_are_distinct_and_change_only_where_they_must(names: list[str]) -> None:
    result = distinct_names(names)
    assert len({name.lower() for name in result}) == len(names)
    for position, (name, new) in enumerate(zip(names, result, strict=True)):
        if name.lower() not in {earlier.lower() for earlier in names[:position]}:
            assert new == name


NUMBERS = st.one_of(st.none(), st.integers(-(2**31), 2**31 - 1), st.floats(width=32, allow_nan=False))


@given(st.lists(st.dictionaries(st.sampled_from("xyz"), NUMBERS, min_size=1), min_size=1, max_size=4))
def test_conforming_changes_no_number(records: list[dict[str, Any]]) -> None:
    columns = []
    for record in records:
        kinds = [(name, pa.float64() if isinstance(value, float) else pa.int32()) for name, value in record.items()]
        columns.append(pa.array([record], pa.struct(kinds)))
    for record, [got] in zip(records, conformed(*columns), strict=True):
        assert {name: value for name, value in got.items() if value is not None} == {
            name: value for name, value in record.items() if value is not None
        }
