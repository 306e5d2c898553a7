"""Addresses that others use, and when nobody from outside can come."""

from __future__ import annotations

import pytest

from fairlead.control.settings import Settings, checked_url
from fairlead.errors import BadInputError


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://control.example", "https://control.example"),
        ("http://control.example:8090/", "http://control.example:8090"),
        ("https://example.org/fairlead/", "https://example.org/fairlead"),
        ("http://[::1]:8090", "http://[::1]:8090"),
    ],
)
def test_a_public_url_is_taken_without_its_last_slash(text: str, url: str) -> None:
    assert checked_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "control.example",
        "control.example:8090",
        "ftp://control.example",
        "https://",
        "https://control.example:port",
        "https://control.example:99999",
        "https://control.example:0",
        "https://control.example/?a=b",
        "https://control.example/#top",
        "https://control example",
        "https://[::1",
    ],
)
def test_what_others_cannot_use_is_refused(text: str) -> None:
    with pytest.raises(BadInputError, match="public URL") as caught:
        checked_url(text)
    assert caught.value.hint == "expected http(s)://HOST[:PORT][/PATH]"


def test_a_password_in_a_public_url_is_refused_and_not_said() -> None:
    with pytest.raises(BadInputError, match="password") as caught:
        checked_url("https://me:secret@control.example")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "public_url", "private"),
    [
        ("127.0.0.1", None, True),
        ("::1", None, True),
        ("0.0.0.0", None, False),
        ("127.0.0.1", "https://control.example", False),
        ("127.0.0.1", "http://localhost:9000/behind", True),
        ("0.0.0.0", "http://localhost:9000", False),
    ],
)
def test_only_what_nobody_else_reaches_is_private(host: str, public_url: str | None, private: bool) -> None:
    assert Settings(database_url="sqlite://", bundles="b", host=host, public_url=public_url).private is private
