"""Addresses to join at that are none."""

import asyncio

import pytest

from cairn.network.joining import JoinFailed, post_record


@pytest.mark.parametrize(
    "url",
    [
        "http://x y",
        "http://a\x00b",
        "http://[::1",
        "http://\u00e9.invalid",
        "ftp://x",
        "http://",
        "",
    ],
)
def test_no_url_is_told_in_words(url: str) -> None:
    with pytest.raises(JoinFailed):
        asyncio.run(post_record(url, b"record"))
