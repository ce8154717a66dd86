"""The sentences of a CoNLL-U file as raw text."""

from __future__ import annotations

from collections.abc import Iterator

from trainables.readers.base import ReadContext
from trainables.readers.conllu import Sentence, read_sentences
from trainables.records import TextRecord


def read_conllu_text(context: ReadContext) -> Iterator[TextRecord]:
    """Read the text of each sentence: its comment ``# text =``, or its tokens where it has none.

    Raises:
        DataError: As ``read_sentences``.
    """
    context.check_options()
    for index, sentence in enumerate(read_sentences(context)):
        yield TextRecord(sentence.sent_id or str(index), sentence.text or rebuild_text(sentence))


def rebuild_text(sentence: Sentence) -> str:
    """Join the surface tokens of a sentence; ``SpaceAfter=No`` says where no space follows.

    >>> from trainables.readers.conllu import Range, Word
    >>> words = [Word("zu", "zu", "ADP", "_", 3), Word("dem", "der", "DET", "_", 3)]
    >>> words += [Word("Haus", "Haus", "NOUN", "_", 0, False), Word(".", ".", "PUNCT", "_", 3)]
    >>> rebuild_text(Sentence(words=words, ranges=[Range(1, 2, "Zum")]))
    'Zum Haus.'
    """
    pieces: list[str] = []
    starts = {token.first: token for token in sentence.ranges}
    position = 1
    while position <= len(sentence.words):
        token = starts.get(position)
        surface = token or sentence.words[position - 1]
        pieces.append(surface.form + (" " if surface.space_after else ""))
        position = token.last + 1 if token else position + 1
    return "".join(pieces).strip()
