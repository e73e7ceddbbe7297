"""Names of job stores and objects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toil_core.errors import BadKey, BadLocator

from toil_aws import names

PART = st.text(st.sampled_from("ab~0/9c.ä"), min_size=1, max_size=6)
KEY = st.lists(PART, min_size=1, max_size=5).map("/".join)


def usable(key: str) -> bool:
    try:
        names.object_name(key)
    except BadKey:
        return False
    return True


@given(KEY.filter(usable))
def test_a_key_comes_back_from_its_object(key: str) -> None:
    assert names.key_of(names.object_name(key)) == key


@given(KEY.filter(usable), st.integers(0, 30))
def test_a_listing_by_prefix_finds_the_key(key: str, length: int) -> None:
    prefix = key[:length]
    assert any(names.object_name(key).startswith(start) for start in names.prefixes(prefix))


def test_what_there_is_much_of_is_spread() -> None:
    used = {names.object_name(f"commits/1-{number}/000000").split("/")[1] for number in range(1000)}
    assert len(used) == names.SHARDS


def test_long_keys() -> None:
    for length in range(1015, 1025):
        key = ("files/1-42/" + "n" * 1024)[:length]
        assert len(names.object_name(key)) <= 1024
        assert names.key_of(names.object_name(key)) == key
    with pytest.raises(BadKey, match="shorten it by 3"):
        names.object_name(("files/~0/a/" + "n" * 1024)[:1024])


def test_no_key_is_the_marker() -> None:
    assert names.key_of(names.MARKER) is None
    assert names.key_of(names.object_name(names.MARKER)) == names.MARKER


@pytest.mark.parametrize("locator", ["us-west-2:my-run", "eu-central-1:a1b", "us-gov-west-1:" + "x" * 50])
def test_good_names(locator: str) -> None:
    assert names.parse(locator) == tuple(locator.split(":"))


@pytest.mark.parametrize("locator", ["", "my-run", "us-west-2:", "us-west-2:ab", "us-west-2:My-Run", "us-west-2:a--b", "us-west-2:-ab", "us-west-2:ab-",
                                     "us-west-2:a_b", "us-west-2:a.b", "us-west-2:" + "x" * 51, ":name", "US:name", "us-west-2:a:b"])  # fmt: skip
def test_bad_names_are_told_the_rule(locator: str) -> None:
    with pytest.raises(BadLocator, match=r"3 to 50 characters|write aws:REGION:NAME"):
        names.parse(locator)
