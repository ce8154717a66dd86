"""The tasks of the suite: which generator makes each one's records, and how many."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from spaces.errors import InputError, UnknownNameError
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
    size = EVALUATION_SIZE
    if task == "mini_tatoeba":
        if split == "train" or language == "en":
            raise InputError("mini_tatoeba has dev and test in every language but 'en'.")
        size = RETRIEVAL_SIZE
    elif split == "train":
        if language != "en" and task != "mini_mlm":
            raise InputError(f"{task} has training data in 'en' only, not in {language!r}.")
        size = TARGET_TRAIN_SIZE if task in TARGETS else TRAIN_SIZE
    return list(TASKS[task]((task, split), language, size))
