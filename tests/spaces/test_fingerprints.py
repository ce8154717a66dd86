from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaces.fingerprints import canonical_json, fingerprint

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.text(), json_values))
def test_the_order_of_keys_does_not_matter(value):
    assert fingerprint(dict(reversed(value.items()))) == fingerprint(value)


def test_known_fingerprints_stay():
    # Of printf '{"a":[1,"\xc3\xa9"]}' | sha256sum: a change here would orphan every store.
    assert canonical_json({"a": (1, "é")}) == '{"a":[1,"é"]}'
    assert fingerprint({"a": [1, "é"]}) == (
        "5db14a2cddc92d31365806bb5d82ed2bc436bf6960d10cd4654140f7bdadce1c"
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, object()])
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises((TypeError, ValueError)):
        fingerprint({"value": value})
