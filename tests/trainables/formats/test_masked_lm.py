from __future__ import annotations

import itertools
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertTokenizer, XLMRobertaForMaskedLM

from spaces.errors import InputError
from tests.trainables import tiny
from trainables.batches import collate
from trainables.formats import FORMATS
from trainables.formats.base import IGNORE, Encoding, HeadSettings
from trainables.models import build_model
from trainables.records import TextRecord

FORM = FORMATS["masked_lm"]
TEXTS = st.lists(
    st.lists(st.sampled_from([*tiny.WORDS, "annarome", "\u200b", "ß"]), max_size=40).map(" ".join),
    max_size=6,
)
SPECIAL = set(tiny.tokenizer().all_special_ids)


def encode(texts, max_length=12, *, tokenizer=None, **options):
    encoding = tiny.encoding("masked_lm", max_length, options=options)
    if tokenizer is not None:
        encoding = Encoding(tokenizer, encoding.task, ())
    return FORM.encode([TextRecord(str(i), text) for i, text in enumerate(texts)], encoding)


def subwords(texts):
    tokenizer = tiny.tokenizer()
    return [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]


@settings(deadline=None)
@given(texts=TEXTS, max_length=st.integers(8, 40))
def test_every_subword_of_every_text_is_in_one_row(texts, max_length):
    features = encode(texts, max_length)
    assert all(f.rows[0][0] == 0 and f.rows[0][-1] == 2 for f in features)
    assert all(f.num_tokens <= max_length for f in features)
    for source, expected in enumerate(subwords(texts)):
        mine = [f.rows[0][1:-1] for f in features if f.record == source]
        assert mine
        assert list(itertools.chain(*mine)) == expected
        assert all(len(row) == max_length - 2 for row in mine[:-1])


@settings(deadline=None)
@given(texts=TEXTS, max_length=st.integers(8, 40))
def test_packing_joins_whole_texts_in_order(texts, max_length):
    features = encode(texts, max_length, pack=True)
    rows = [f.rows[0][1:-1] for f in features]
    assert all(len(row) <= max_length - 2 for row in rows)
    assert list(itertools.chain(*rows)) == list(itertools.chain(*subwords(texts)))
    # A text that fits into a row is never cut, and no row has room for the piece after it.
    ends = set(itertools.accumulate(map(len, rows)))
    position = 0
    for text in subwords(texts):
        if len(text) <= max_length - 2:
            assert not any(position < end < position + len(text) for end in ends)
        position += len(text)
    pieces = [f.num_tokens - 2 for f in encode(texts, max_length)]
    starts = [0, *itertools.accumulate(pieces)]
    for end in sorted(ends)[:-1]:
        row = next(
            row
            for row, upto in zip(rows, itertools.accumulate(map(len, rows)), strict=True)
            if upto == end
        )
        assert (
            len(row) + max(n for n, at in zip(pieces, starts, strict=False) if at == end)
            > max_length - 2
        )
    firsts = [f.record for f in features]
    assert firsts == sorted(firsts)


def test_packing_by_hand():
    texts = ["anna sees rome", "bert", "the old house", "a"]  # 3, 1, 3 and 1 words
    rows = [f.rows[0] for f in encode(texts, 8, pack=True)]
    words = tiny.tokenizer().convert_ids_to_tokens
    assert [" ".join(words(row)) for row in rows] == [
        "<s> ▁anna ▁sees ▁rome ▁bert </s>",
        "<s> ▁the ▁old ▁house ▁a </s>",
    ]
    assert [f.record for f in encode(texts, 8, pack=True)] == [0, 2]
    assert len(encode(texts, 8)) == 4


def test_a_text_with_nothing_to_hide_is_no_example():
    features = encode(["", "ßß", "anna"])
    assert [f.label for f in features] == [None, 1, 1]  # an unknown sign still has its "▁"
    assert encode([]) == []


@settings(deadline=None)
@given(texts=TEXTS, seed=st.integers(0, 2**63 - 1), data=st.data())
def test_hiding_keeps_to_the_rules(texts, seed, data):
    features = [f for f in encode(texts) if f.label is not None]
    indices = (
        data.draw(st.lists(st.integers(0, len(features) - 1), max_size=12)) if features else []
    )
    drawn = FORM.draw(features, indices, tiny.tokenizer(), seed)
    assert len(drawn) == len(indices)
    for index, after in zip(indices, drawn, strict=True):
        (before,), (row,) = features[index].rows, after.rows
        hidden = [i for i, label in enumerate(after.label) if label != IGNORE]
        assert len(before) == len(row) == len(after.label)
        assert after.num_units == len(hidden) >= 1
        assert abs(len(hidden) - 0.15 * features[index].label) < 1
        for i, (old, new) in enumerate(zip(before, row, strict=True)):
            if i in hidden:
                assert after.label[i] == old
                assert old not in SPECIAL
                assert new == old or new == tiny.tokenizer().mask_token_id or new not in SPECIAL
            else:
                assert new == old
    assert drawn == FORM.draw(features, indices, tiny.tokenizer(), seed)
    # What is drawn for a place does not depend on what comes after it.
    assert drawn[:3] == FORM.draw(features, indices[:3], tiny.tokenizer(), seed)


def test_masks_are_drawn_anew_at_every_step_and_place():
    features = encode([tiny.sentence(1, 30)], 64)
    drawn = FORM.draw(features, [0] * 5, tiny.tokenizer(), 1)
    drawn += FORM.draw(features, [0] * 5, tiny.tokenizer(), 2)
    assert len({f.label for f in drawn}) == 10


def test_shares_of_the_hidden():
    features = encode([tiny.sentence(i, 25) for i in range(40)], 64)
    drawn = FORM.draw(features, list(range(40)) * 50, tiny.tokenizer(), 0)
    kinds: Counter[str] = Counter()
    swapped: Counter[int] = Counter()
    for after, index in zip(drawn, list(range(40)) * 50, strict=True):
        for old, new, label in zip(
            features[index].rows[0], after.rows[0], after.label, strict=True
        ):
            kinds["all"] += old not in SPECIAL
            if label != IGNORE:
                kinds["hidden"] += 1
                kinds["mask"] += new == tiny.tokenizer().mask_token_id
                kinds["same"] += new == old
                swapped[new] += new not in (old, tiny.tokenizer().mask_token_id)
    hidden = kinds["hidden"]
    assert hidden / kinds["all"] == pytest.approx(0.15, abs=0.002)
    assert kinds["mask"] / hidden == pytest.approx(0.8, abs=0.02)
    assert kinds["same"] / hidden == pytest.approx(0.1, abs=0.02)
    # Every ordinary subword, and no other, is put in somewhere.
    ordinary = set(tiny.tokenizer().get_vocab().values()) - SPECIAL
    assert {token for token, count in swapped.items() if count} == ordinary


def test_a_vocabulary_in_another_order():
    words = {word: 5 + i for i, word in enumerate(tiny.WORDS)}
    special = {"[UNK]": 1, "[CLS]": 40, "[MASK]": 41, "[SEP]": 42, "[PAD]": 43}
    tokenizer = BertTokenizer(vocab={**words, **special})
    features = encode([tiny.sentence(i, 9) for i in range(20)], tokenizer=tokenizer)
    assert {f.rows[0][0] for f in features} == {40}
    assert {f.rows[0][-1] for f in features} == {42}
    drawn = FORM.draw(features, list(range(20)) * 20, tokenizer, 0)
    assert {token for f in drawn for token in f.rows[0]} == {*words.values(), 40, 41, 42}
    assert {label for f in drawn for label in f.label} == {*words.values(), IGNORE} & {
        *itertools.chain(*(f.rows[0] for f in features)),
        IGNORE,
    }


def test_what_cannot_be_masked_is_refused():
    tokenizer = BertTokenizer(vocab={"[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[PAD]": 0, "anna": 4})
    tokenizer.mask_token = None
    with pytest.raises(InputError, match=r"'raw_text': the model's tokenizer has no mask token"):
        encode(["anna"], tokenizer=tokenizer)
    with pytest.raises(InputError, match=r"max_length 2 leaves no room for text"):
        encode(["anna"], 2)
    with pytest.raises(InputError, match="no language-model head"):
        FORM.head(HeadSettings("raw_text", 4, 1, 0, 0.0))


def drawn_batch(count=12):
    features = tiny.features("masked_lm", count)
    drawn = FORM.draw(features, range(count), tiny.tokenizer(), 3)
    return drawn, collate(drawn, "masked_lm", 1, torch.device("cpu"), labelled=True)


def test_loss_and_gradients_are_those_of_transformers(tiny_model):
    drawn, batch = drawn_batch()
    ours = build_model(str(tiny_model), {"text": ("masked_lm", 0)}, dropout=0.0, seed=0)
    loss = ours("text", **batch, scale=1 / sum(f.num_units for f in drawn))
    loss.backward()
    theirs = XLMRobertaForMaskedLM.from_pretrained(tiny_model).eval()
    expected = theirs(**batch).loss
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
    # The word embeddings have one gradient, of their use as inputs and as the decoder.
    mine = dict(ours.encoder.named_parameters())
    for name, parameter in theirs.roberta.named_parameters():
        torch.testing.assert_close(mine[name].grad, parameter.grad, atol=1e-6, rtol=1e-4)
    heads = {name.rpartition("lm_head.")[2]: p for name, p in ours.heads.named_parameters()}
    for name, parameter in theirs.lm_head.named_parameters():
        torch.testing.assert_close(heads[name].grad, parameter.grad, atol=1e-6, rtol=1e-4)


def test_only_hidden_subwords_get_logits(tiny_model):
    drawn, batch = drawn_batch()
    head = build_model(str(tiny_model), {"t": ("masked_lm", 0)}, dropout=0.0, seed=0).heads["t"]
    states = torch.randn(*batch["input_ids"].shape, 32)
    logits = head(states, batch["attention_mask"], batch["labels"])
    assert logits.shape == (sum(f.num_units for f in drawn), len(tiny.tokenizer()))
    everywhere = head(states, batch["attention_mask"])
    torch.testing.assert_close(logits, everywhere[batch["labels"] != IGNORE])
    expected = torch.nn.functional.cross_entropy(
        everywhere.flatten(0, 1), batch["labels"].flatten(), reduction="sum"
    )
    torch.testing.assert_close(FORM.loss(logits, batch["labels"]), expected)


def test_there_is_nothing_to_evaluate():
    with pytest.raises(NotImplementedError):
        FORM.outputs(torch.zeros(1), [])
    with pytest.raises(NotImplementedError):
        FORM.decode([], [], [], tiny.encoding("masked_lm"))
