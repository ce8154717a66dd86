"""Tags of words from CoNLL-U: part of speech, morphological features, lemma scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from spaces.errors import UnknownNameError
from trainables.readers.base import ReadContext, check_label
from trainables.readers.conllu import Range, Word, read_sentences
from trainables.readers.lemma_scripts import make_script
from trainables.records import TaggingRecord

#: Which word of a fused token gives it its tag when several stand equally high in the tree
#: (XTREME's conversion; its order for languages without one of their own).
FUSED_PRECEDENCE = tuple(
    "VERB NOUN PROPN PRON ADJ NUM ADV INTJ AUX ADP DET PART CCONJ SCONJ X SYM PUNCT _".split()  # noqa: SIM905
)
_SQUEEZED = str.maketrans("", "", " \u200c")


def _upos(word: Word) -> str:
    return word.upos


def _bundle(word: Word) -> str:
    return word.feats


def _upos_and_bundle(word: Word) -> str:
    return word.upos if word.feats == "_" else f"{word.upos}|{word.feats}"


def _lemma_script(word: Word) -> str:
    return make_script(word.form, word.lemma)


TAGS: dict[str, Callable[[Word], str]] = {
    "upos": _upos,
    "feats": _bundle,
    "upos+feats": _upos_and_bundle,
    "lemma_script": _lemma_script,
}


def read_conllu(context: ReadContext) -> Iterator[TaggingRecord]:
    """Read sentences; the id is ``sent_id`` where there is one.

    Options: ``tag`` (``upos``, ``feats``, ``upos+feats``, ``feature:Case`` for one feature, ``_``
    where a word lacks it, or ``lemma_script``, see ``lemma_scripts``), ``multiword`` (``split``:
    the syntactic words; ``fuse``: the surface tokens, tagged as their highest word in the tree, as
    in XTREME's udpos), ``squeeze`` (true removes spaces and zero-width non-joiners inside tokens,
    as XTREME does), ``label_map``.

    Raises:
        DataError: A line that is not CoNLL-U, ids out of order, or an unknown tag.
    """
    context.check_options("tag", "multiword", "squeeze", "label_map")
    tag_of = _tagger(context.option("tag", "upos"))
    multiword = context.option("multiword", "split")
    if multiword not in ("split", "fuse"):
        raise UnknownNameError("multiword option", multiword, ("split", "fuse"))
    squeezed = context.option("squeeze", False)
    path = context.path
    for index, sentence in enumerate(read_sentences(context)):
        words = sentence.words
        if multiword == "fuse":
            words = fuse(words, sentence.ranges)
        forms = (word.form.translate(_SQUEEZED) if squeezed else word.form for word in words)
        tags = None
        if context.labelled:
            tags = tuple(check_label(tag_of(word), context, path, sentence.line) for word in words)
        yield TaggingRecord(sentence.sent_id or str(index), tuple(forms), tags)


def _tagger(name: str) -> Callable[[Word], str]:
    if name.startswith("feature:"):
        wanted = name.removeprefix("feature:") + "="

        def feature(word: Word) -> str:
            values = (pair for pair in word.feats.split("|") if pair.startswith(wanted))
            return next(values, wanted + "_").removeprefix(wanted)

        return feature
    try:
        return TAGS[name]
    except KeyError:
        raise UnknownNameError("CoNLL-U tag", name, [*TAGS, "feature:Case"]) from None


def fuse(words: list[Word], ranges: list[Range]) -> list[Word]:
    """Replace the words of each multi-word token by the token, tagged as its highest word.

    Args:
        words: The syntactic words, word 1 first.
        ranges: Multi-word tokens in order, which do not overlap.
    """
    fused: list[Word] = []
    position = 1
    for token in ranges:
        fused += words[position - 1 : token.first - 1]
        span = range(token.first, token.last + 1)
        top = min(span, key=lambda i: (_depth(words, i), _rank(words[i - 1].upos), i))
        best = words[top - 1]
        fused.append(Word(token.form, best.lemma, best.upos, best.feats, best.head))
        position = token.last + 1
    return fused + words[position - 1 :]


def _depth(words: list[Word], position: int) -> int:
    """Number of words above; a cycle (malformed trees exist) counts as deepest."""
    depth = 0
    while 0 < position <= len(words) and depth <= len(words):
        position = words[position - 1].head
        depth += 1
    return depth


def _rank(upos: str) -> int:
    return FUSED_PRECEDENCE.index(upos) if upos in FUSED_PRECEDENCE else len(FUSED_PRECEDENCE)
