"""One schema for segments whose features and outputs differ, and batches brought into it.

Columns and the children of structs are united by name, in the order of their first appearance. Where types differ,
numbers become the narrowest type that holds both, a lone value joins lists as a list of one, and all else becomes text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Union:
    """Schema over many segments."""

    exact: pa.Schema
    """Children of structs under their own names."""
    shown: pa.Schema
    """The same, with names made unique without regard to case, as SQL reads them: `Amount`, `amount_2`."""

    def conform(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return `batch` in the `shown` schema; what it does not have is null."""
        if batch.schema.equals(self.shown):
            return batch
        present = set(batch.schema.names)
        arrays = [
            _renamed(_conform(batch.column(field.name), field.type), shown.type)
            if field.name in present
            else pa.nulls(batch.num_rows, shown.type)
            for field, shown in zip(self.exact, self.shown, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self.shown)


def unite(schemas: Iterable[pa.Schema]) -> Union:
    """Return the union of `schemas`."""
    rows = [pa.struct([pa.field(f.name, _plain(f.type)) for f in schema]) for schema in schemas]
    merged = reduce(_merge, rows, pa.struct([]))
    exact = pa.schema(list(merged))
    return Union(exact, pa.schema([pa.field(f.name, _shown(f.type)) for f in exact]))


def _plain(kind: pa.DataType) -> pa.DataType:
    """Without the encodings that say nothing about the value: dictionaries, large and fixed-size variants."""
    types = pa.types
    if types.is_dictionary(kind):
        return _plain(kind.value_type)
    if types.is_struct(kind):
        # DuckDB has no struct without children.
        return pa.struct([pa.field(f.name, _plain(f.type)) for f in kind]) if kind.num_fields else pa.null()
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return pa.list_(_plain(kind.value_type))
    if types.is_large_string(kind):
        return pa.string()
    if types.is_fixed_size_binary(kind) and kind.byte_width == _UUID_BYTES:
        return pa.uuid()
    return kind


_UUID_BYTES = 16


def _merge(a: pa.DataType, b: pa.DataType) -> pa.DataType:
    types = pa.types
    if a == b or types.is_null(b):
        return a
    if types.is_null(a):
        return b
    if types.is_struct(a) and types.is_struct(b):
        return _merge_structs(a, b)
    if types.is_list(a) or types.is_list(b):
        return _merge_lists(a, b)
    if _is_number(a) and _is_number(b):
        return _merge_numbers(a, b)
    return pa.string()


def _merge_structs(a: pa.DataType, b: pa.DataType) -> pa.DataType:
    merged: dict[str, pa.DataType] = {field.name: field.type for field in a}
    for field in b:
        merged[field.name] = _merge(merged.get(field.name, pa.null()), field.type)
    return pa.struct(list(merged.items()))


def _merge_lists(a: pa.DataType, b: pa.DataType) -> pa.DataType:
    if pa.types.is_struct(a) or pa.types.is_struct(b):
        return pa.string()
    inner = [kind.value_type if pa.types.is_list(kind) else kind for kind in (a, b)]
    return pa.list_(_merge(inner[0], inner[1]))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _merge_numbers(a: pa.DataType, b: pa.DataType) -> pa.DataType:
    types = pa.types
    if types.is_floating(a) and types.is_floating(b):
        return max(a, b, key=lambda kind: kind.bit_width)
    if types.is_floating(a) or types.is_floating(b):
        return pa.float64()
    if types.is_signed_integer(a) == types.is_signed_integer(b):
        return max(a, b, key=lambda kind: kind.bit_width)
    return pa.float64() if pa.uint64() in (a, b) else pa.int64()


def _shown(kind: pa.DataType) -> pa.DataType:
    if not pa.types.is_struct(kind):
        return kind
    names = distinct_names([field.name for field in kind])
    return pa.struct([pa.field(name, field.type) for name, field in zip(names, kind, strict=True)])


def distinct_names(names: Sequence[str]) -> list[str]:
    """Return `names` with `_2`, `_3` ... added where one differs from an earlier one only by case."""
    taken = {name.lower() for name in names}
    seen: set[str] = set()
    result = []
    for name in names:
        new, n = name, 2
        while new.lower() in seen or (new != name and new.lower() in taken):
            new, n = f"{name}_{n}", n + 1
        seen.add(new.lower())
        result.append(new)
    return result


def _conform(array: Any, want: pa.DataType) -> Any:
    types = pa.types
    if array.type.equals(want):
        return array
    if types.is_null(array.type) or types.is_null(want):
        return pa.nulls(len(array), want)
    if types.is_dictionary(array.type):
        return _conform(array.dictionary_decode(), want)
    if isinstance(array, pa.ExtensionArray):
        return _conform(array.storage, want)
    if want == pa.uuid():
        return pa.ExtensionArray.from_storage(want, array)
    if types.is_struct(want):
        return _conform_struct(array, want)
    if types.is_list(want) and not types.is_nested(array.type):
        values = _conform(array, want.value_type)
        return pa.ListArray.from_arrays(pa.array(range(len(array) + 1), pa.int32()), values, mask=array.is_null())
    if types.is_string(want) and types.is_nested(array.type):
        return pa.array([None if value is None else json.dumps(value) for value in array.to_pylist()], want)
    return array.cast(want)


def _conform_struct(array: Any, want: pa.DataType) -> Any:
    children = dict(zip((field.name for field in array.type), array.flatten(), strict=True))
    arrays = [
        _conform(children[field.name], field.type) if field.name in children else pa.nulls(len(array), field.type)
        for field in want
    ]
    return pa.StructArray.from_arrays(arrays, fields=list(want), mask=array.is_null())


def _renamed(array: Any, shown: pa.DataType) -> Any:
    if array.type.equals(shown):
        return array
    return pa.StructArray.from_arrays(array.flatten(), fields=list(shown), mask=array.is_null())
