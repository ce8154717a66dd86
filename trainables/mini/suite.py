"""The tasks of the suite: which generator makes each one's records, and how many."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path

from spaces.errors import InputError, UnknownNameError
from spaces.fingerprints import fingerprint
from trainables.mini.completion import completions
from trainables.mini.corpus import raw_text, translations
from trainables.mini.inference import entailment, paraphrase
from trainables.mini.languages import LANGUAGES
from trainables.mini.questions import questions
from trainables.mini.tagging import name_tag, noise, part_of_speech, supertag, tagged
from trainables.records import Record

Generator = Callable[[tuple[str, str], str, int], Iterable[Record]]

TASKS: dict[str, Generator] = {
    "mini_supertag": partial(tagged, tag=supertag),
    "mini_qa": questions,
    "mini_qa_unanswerable": partial(questions, unanswerable=0.33),
    "mini_entail": entailment,
    "mini_paraphrase": paraphrase,
    "mini_completion": completions,
    "mini_noise": noise,
    "mini_mlm": raw_text,
    "mini_pos": partial(tagged, tag=part_of_speech),
    "mini_ner": partial(tagged, tag=name_tag),
    "mini_xnli": entailment,
    "mini_xqa": questions,
    "mini_tatoeba": translations,
}
SPLITS = ("train", "dev", "test")
TARGETS = frozenset({"mini_pos", "mini_ner", "mini_xnli", "mini_xqa", "mini_tatoeba"})
# Targets are poor in labelled data, as they are in earnest: what else a model can do then matters.
TRAIN_SIZE = 8000
TARGET_TRAIN_SIZE = 2000
EVALUATION_SIZE = 240
RETRIEVAL_SIZE = 200


def records(task: str, split: str, language: str) -> list[Record]:
    """Return one split of a task of the suite in one language.

    Args:
        task: Name of a task of ``TASKS``.
        split: "train", "dev" or "test".
        language: One of ``LANGUAGES``. Only the English-like one has training data, but for raw
            text, which every language has.

    Raises:
        UnknownNameError: No such task, split or language.
        InputError: No such split in that language.

    Examples:
        >>> records("mini_xqa", "dev", "en")[0].question.endswith("?")
        True
    """
    for kind, name, known in (
        ("task of mini", task, TASKS),
        ("split", split, SPLITS),
        ("language of mini", language, LANGUAGES),
    ):
        if name not in known:
            raise UnknownNameError(kind, name, known)
    if task == "mini_tatoeba" and (split == "train" or language == "en"):
        raise InputError("mini_tatoeba has dev and test in every language but 'en'.")
    if split == "train" and language != "en" and task != "mini_mlm":
        raise InputError(f"{task} has training data in 'en' only, not in {language!r}.")
    return list(TASKS[task]((task, split), language, size(task, split)))


def size(task: str, split: str) -> int:
    """Return the number of examples of a split, without making them.

    Args:
        task: Name of a task of ``TASKS``.
        split: "train", "dev" or "test".
    """
    if split == "train":
        return TARGET_TRAIN_SIZE if task in TARGETS else TRAIN_SIZE
    return RETRIEVAL_SIZE if task == "mini_tatoeba" else EVALUATION_SIZE


@cache
def identity() -> str:
    """Return a fingerprint of whatever decides the records: this package's own source."""
    folder = Path(__file__).parent
    sources = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.py")}
    return fingerprint(sources)
