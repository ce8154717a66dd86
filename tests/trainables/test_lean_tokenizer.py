from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainables import tiny
from trainables.lean_tokenizer import LeanTokenizer
from trainables.mini import MODEL_DIR
from trainables.pretrained import load_tokenizer


@pytest.fixture(scope="module", params=["tiny", "mini"])
def tokenizer(request):
    return tiny.tokenizer() if request.param == "tiny" else load_tokenizer(str(MODEL_DIR))


texts = st.text(max_size=40) | st.lists(st.sampled_from(tiny.WORDS), max_size=12).map(" ".join)


@given(
    pairs=st.lists(st.tuples(texts, texts), min_size=1, max_size=4),
    is_pair=st.booleans(),
    options=st.sampled_from(
        [
            {},
            {"truncation": True, "max_length": 8},
            {"truncation": True, "max_length": 200},
            {"truncation": False, "max_length": 8},
            {"add_special_tokens": False},
        ]
    ),
)
def test_the_ids_are_those_of_the_tokenizer(tokenizer, pairs, is_pair, options):
    first, second = (list(side) for side in zip(*pairs, strict=True))
    arguments = (first, second) if is_pair else (first,)
    expected = tokenizer(*arguments, **options)["input_ids"]
    assert LeanTokenizer(tokenizer)(*arguments, **options)["input_ids"] == expected


def test_the_end_that_is_cut_is_the_tokenizers(tokenizer):
    lean, text = LeanTokenizer(tokenizer), [tiny.sentence(3, 30)]
    for side in ("left", "right"):
        tokenizer.truncation_side = side
        expected = tokenizer(text, truncation=True, max_length=8)["input_ids"]
        assert lean(text, truncation=True, max_length=8)["input_ids"] == expected


def test_other_calls_are_passed_on(tokenizer):
    lean = LeanTokenizer(tokenizer)
    lean(["anna"], truncation=True, max_length=3)
    for options in (
        {"return_offsets_mapping": True},
        {"truncation": "only_second", "max_length": 12, "return_overflowing_tokens": True},
        {"padding": True},
        {"return_tensors": "pt"},
    ):
        both = [call(["anna"], ["sees rome"], **options) for call in (lean, tokenizer)]
        assert str(both[0].data) == str(both[1].data)
    words = [["anna", "sees"], ["rome"]]
    assert lean(words, is_split_into_words=True).word_ids(0) == (
        tokenizer(words, is_split_into_words=True).word_ids(0)
    )
    assert lean("anna")["input_ids"] == tokenizer("anna")["input_ids"]
    assert lean.pad_token_id == tokenizer.pad_token_id
