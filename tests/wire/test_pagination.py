from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.errors import AWSError
from openecs.wire.pagination import Pagination

PAGES = Pagination(b"0123456789abcdef")


def page(keys, token=None, size=None, scope="s", pages=PAGES, **more):
    return pages.paginate(keys, max_results=size, next_token=token, default=3, limit=100, scope=scope, **more)


def all_pages(keys, size, **more):
    seen, token = [], None
    while True:
        items, token = page(keys, token, size, **more)
        seen.append(list(items))
        if token is None:
            return seen


@given(st.sets(st.text(max_size=5)), st.integers(1, 7), st.booleans())
def test_pages_show_everything_once_in_order(keys, size, descending):
    ordered = sorted(keys, reverse=descending)
    pages = all_pages(ordered, size, descending=descending)
    assert [item for items in pages for item in items] == ordered
    assert all(len(items) == size for items in pages[:-1])


@given(st.sets(st.tuples(st.integers(), st.text(max_size=3)), min_size=1), st.integers(1, 4))
def test_tuples_are_keys_too(keys, size):
    items = [{"key": key} for key in sorted(keys)]
    pages = all_pages(items, size, key=lambda item: item["key"])
    assert [item for each in pages for item in each] == items


@given(st.sets(st.integers(0, 50), min_size=4), st.sets(st.integers(0, 50)), st.sets(st.integers(0, 50)))
def test_what_comes_and_goes_shifts_nothing(before, added, removed):
    first, token = page(sorted(before), size=2)
    after = sorted((before | added) - removed)
    rest = []
    while token is not None:
        items, token = page(after, token, size=2)
        rest += items
    assert rest == [key for key in after if key > first[-1]]


def test_the_default_size_and_no_token_on_the_last_page():
    assert page(["a", "b", "c"]) == (["a", "b", "c"], None)
    items, token = page(["a", "b", "c", "d"])
    assert items == ["a", "b", "c"]
    assert page(["a", "b", "c", "d"], token) == (["d"], None)
    assert page([]) == ([], None)


def test_a_token_continues_only_its_own_list():
    _, token = page(["a", "b", "c", "d"], scope="ListTasks/one")
    with pytest.raises(AWSError) as caught:
        page(["a", "b", "c", "d"], token, scope="ListTasks/two")
    assert (caught.value.code, caught.value.message) == ("InvalidParameterException", "Invalid token.")
    with pytest.raises(AWSError):
        page(["a", "b", "c", "d"], token, scope="ListTasks/one", pages=Pagination(b"another secret!!"))


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: raw.hex()))
def test_forged_tokens_are_refused(token):
    if token == "":
        return
    with pytest.raises(AWSError) as caught:
        page(["a"], token, invalid_token="The specified nextToken is invalid.")
    assert caught.value.message == "The specified nextToken is invalid."


@given(st.data())
def test_changed_tokens_are_refused(data):
    _, token = page(["a", "b", "c", "d"])
    at = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("ABCabc123-_").filter(lambda new: new != token[at]))
    changed = token[:at] + letter + token[at + 1 :]
    if at >= len(token.rstrip("=")) - 1:
        return  # base64 leaves some bits of its last letter unused
    with pytest.raises(AWSError) as caught:
        page(["a", "b", "c", "d"], changed)
    assert caught.value.code == "InvalidParameterException"


@pytest.mark.parametrize(
    ("size", "edge"),
    [(0, "greater than or equal to 1"), (-5, "greater than or equal to 1"), (101, "less than or equal to 100")],
)
def test_sizes_out_of_range(size, edge):
    with pytest.raises(AWSError) as caught:
        page(["a"], size=size)
    assert caught.value.code == "InvalidParameterException"
    assert caught.value.message == (
        f"1 validation error detected: Value '{size}' at 'maxResults' failed to satisfy constraint: "
        f"Member must have value {edge}"
    )


def test_a_short_secret_is_refused():
    with pytest.raises(ValueError, match="at least 16 bytes"):
        Pagination(b"short")
