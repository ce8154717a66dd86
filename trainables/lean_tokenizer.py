"""What training sets are tokenised with: a tokenizer's identity, and a leaner way to call it.

A fast tokenizer of transformers keeps track of every subword's place in the text and wraps what it
finds in a ``BatchEncoding``, also for callers that want token ids alone. Training sets are large
enough to tell the difference, an eighth of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spaces.fingerprints import fingerprint
from trainables.formats.base import Tokenizer

#: Options of a call after which token ids are all that can be asked for.
_IDS_ALONE = frozenset({"truncation", "max_length", "add_special_tokens"})


def tokenizer_identity(tokenizer: Tokenizer) -> str:
    """Return the fingerprint of whatever decides how a fast tokenizer splits a text."""
    backend = tokenizer.backend_tokenizer
    # What the last call asked for; every call sets it anew.
    backend.no_truncation()
    backend.no_padding()
    return fingerprint(
        {
            "backend": backend.to_str(),
            "truncation_side": tokenizer.truncation_side,
            "split_special_tokens": tokenizer.split_special_tokens,
        }
    )


class LeanTokenizer:
    """Stands for a fast tokenizer, and gives the same ids.

    Calls that ask for offsets, windows, words or tensors are passed on, and so is everything else.

    Args:
        tokenizer: A fast tokenizer of transformers.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)

    def __call__(
        self, text: str | Sequence[Any], text_pair: Sequence[str] | None = None, **options: Any
    ) -> Any:
        """Encode texts or pairs of texts as the tokenizer does, into ``input_ids`` alone."""
        truncation = options.get("truncation", False)
        if (
            isinstance(text, str)
            or not options.keys() <= _IDS_ALONE
            or not isinstance(truncation, bool)
            or (truncation and not options.get("max_length"))
        ):
            return self._tokenizer(text, text_pair, **options)
        backend = self._tokenizer.backend_tokenizer
        backend.no_padding()
        backend.encode_special_tokens = self._tokenizer.split_special_tokens
        if truncation:
            backend.enable_truncation(
                options["max_length"], direction=self._tokenizer.truncation_side
            )
        else:
            backend.no_truncation()
        encodings = backend.encode_batch_fast(
            list(text if text_pair is None else zip(text, text_pair, strict=True)),
            add_special_tokens=options.get("add_special_tokens", True),
        )
        return {"input_ids": [encoding.ids for encoding in encodings]}
