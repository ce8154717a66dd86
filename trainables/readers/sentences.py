"""Where the sentences of an English paragraph begin and end.

LAReQA's candidates are sentences. Its own files say where they are, but SQuAD's, which it is
trained on, do not, so its authors infer them. These are rules of our own for the same purpose: a
sentence ends at a full stop, question or exclamation mark before white space and a capital or a
digit, unless what stands there is an abbreviation or an initial. A test holds them to an F1 of 0.98
against the boundaries that LAReQA gives for its English paragraphs.
"""

from __future__ import annotations

import re

#: The end of a sentence, with what may close it (quotes, brackets, notes such as ``[4]``), and the
#: white space behind it.
_END = re.compile(
    r"""[.?!]["'\u2019\u201d)\]]*(?:\[[^\]\s][^\]]{0,24}\])*(\s+)(?=["'\u2018\u201c(\[]*[A-Z0-9])"""
)
#: What a full stop does not end a sentence after: titles, initials, and abbreviations that are
#: followed by a name or a number.
_ABBREVIATION = re.compile(
    r"""(?:^|[\s("'\u2018\u201c\[])(?:
        [A-Z](?:\.[A-Z])*
        | Mrs? | Ms | Messrs | Dr | Prof | Rev | Fr | Msgr | St | Ste | Sts | Mt | Ft
        | Lt | Gen | Col | Maj | Adm | Capt | Sgt | Cmdr | Rep | Gov | Sen | Pres | Hon
        | Jan | Feb | Aug | Sept? | Oct | Nov | Dec
        | [Nn]o | [Vv]ol | [Aa]rt | [Cc]h | [Pp]p? | [Ff]ig | [Ss]ec | Op
        | vs? | cf | ca? | b | d | r | e\.g | i\.e | approx | et\ al
    )\.$""",
    re.VERBOSE,
)
#: Words that begin a sentence even after an initial or an abbreviation such as ``U.S.``
_OPENER = re.compile(
    r"""["'\u2018\u201c(\[]*(?:The|This|That|These|Those|It|Its|He|She|They|We|In|On|At|By|For|From|With
    |However|Meanwhile|During|After|Before|Although|While|When|As|Some|Several|Many|But|And)\b""",
    re.VERBOSE,
)


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Return the sentences of a paragraph as start and end, in characters.

    Sentences are in order, do not overlap, and leave out the white space between them.

    Args:
        text: The paragraph.

    >>> text = "Dr. W. Smith came. Who? The U.S. Army!"
    >>> [text[start:end] for start, end in split_sentences(text)]
    ['Dr. W. Smith came.', 'Who?', 'The U.S. Army!']
    """
    spans = []
    start = len(text) - len(text.lstrip())
    for end in _END.finditer(text):
        before = text[max(start, end.start(1) - 20) : end.start(1)]
        if _ABBREVIATION.search(before) and not _OPENER.match(text, end.end()):
            continue
        spans.append((start, end.start(1)))
        start = end.end()
    stop = len(text.rstrip())
    if start < stop:
        spans.append((start, stop))
    return spans
