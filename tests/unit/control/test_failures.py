"""What a caller is told: the field, what was expected, what was got."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Annotated, Any, cast

import httpx
import pytest
from fastapi import FastAPI, Path

from fairlead.control import app as application
from fairlead.control import failures
from fairlead.control.context import Control
from fairlead.errors import StoreError
from fairlead.schema.base import Document


class Size(Document):
    rows: int


def answer(path: str, body: Any) -> Any:
    app = FastAPI()
    failures.install(app)

    @app.put("/things/{name}")
    def put(name: Annotated[str, Path(pattern="^a+$")], size: Size) -> str:
        return f"{name} {size.rows}"

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://control") as http:
            return await http.put(path, json=body)

    return asyncio.run(ask()).json()


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/things/b", {"rows": 1}, "path.name: String should match pattern '^a+$', got 'b'"),
        ("/things/a", {"rows": "many"}, "body.rows: Input should be a valid integer, unable to parse string as an"),
        ("/things/a", {"rows": "many"}, ", got 'many'"),
        ("/things/a", {"rows": 1, "nonsense": "x" * 500}, "body.nonsense: Extra inputs are not permitted, got 'xxx"),
    ],
)
def test_the_field_and_what_was_got_are_named(path: str, body: Any, words: str) -> None:
    found = answer(path, body)
    assert words in found["error"]
    assert len(found["error"]) < 200
    assert found["details"][0]["got"] in found["error"]


def test_what_is_missing_was_not_got() -> None:
    found = answer("/things/a", {})
    assert found["error"] == "body.rows: Field required"
    assert found["details"] == [{"field": "body.rows", "expected": "Field required"}]


def test_whoever_waits_for_the_database_is_told_so_once(caplog: pytest.LogCaptureFixture) -> None:
    def migrate() -> None:
        raise StoreError("no database", code="database_unavailable")

    control = SimpleNamespace(settings=SimpleNamespace(start_seconds=0.5), database=SimpleNamespace(migrate=migrate))
    with pytest.raises(StoreError, match="no database"):
        asyncio.run(application.prepare(cast("Control", control)))
    assert caplog.messages == ["no database; waiting for it for 0.5 s"]
