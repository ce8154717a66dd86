"""Makes the shipped model: a Unigram tokenizer and a small XLM-R, masked-language-model trained.

    python -m trainables.mini.pretrain [--out DIR] [--steps N] [--seed S]

One thread and fixed seeds: run twice on one machine with the same versions, it writes the same
bytes. The weights are stored as float16; load them with ``dtype=torch.float32``.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import torch
from torch import Tensor
from transformers import XLMRobertaConfig, XLMRobertaForMaskedLM, XLMRobertaTokenizer

from trainables.mini import LANGUAGES, MODEL_DIR, corpus
from trainables.mini.vocabulary import train_vocabulary

VOCABULARY_SIZE = 500
HIDDEN_SIZE = 64
LAYERS = 3
POSITIONS = 128
MAX_SUBWORDS = 80
BATCH_SIZE = 32
STEPS = 9000
LEARNING_RATE = 3e-3
WARMUP_SHARE = 0.05
MASKED_SHARE = 0.2
# Share of batches that hold a passage and its translation side by side (Lample and Conneau 2019,
# arXiv:1901.07291). XLM-R itself has none: it finds the likeness of languages in terabytes of text,
# of which there is one megabyte here.
# Share of short answers to a question just asked that are masked whole, so that they have to be
# found rather than completed (Guu et al. 2020, arXiv:2002.08909).
ANSWER_MASKED_SHARE = 0.5
LONGEST_ANSWER = 7
TRANSLATED_SHARE = 0.5
START, PADDING, SEPARATOR = 0, 1, 2
IGNORED = -100


def build_tokenizer(texts: list[str]) -> XLMRobertaTokenizer:
    """Train a Unigram tokenizer with XLM-R's special tokens in XLM-R's order.

    Args:
        texts: Lines of all languages.
    """
    special = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
    pieces = train_vocabulary(texts, size=VOCABULARY_SIZE - len(special) - 1)
    return XLMRobertaTokenizer(vocab=[*special, *pieces, ("<mask>", 0.0)])


def build_config(vocabulary_size: int) -> XLMRobertaConfig:
    """Return the model's sizes; XLM-R's own settings wherever size is not the point.

    Args:
        vocabulary_size: Number of subwords.
    """
    return XLMRobertaConfig(
        vocab_size=vocabulary_size,
        hidden_size=HIDDEN_SIZE,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        intermediate_size=4 * HIDDEN_SIZE,
        max_position_embeddings=POSITIONS + 2,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        # Dropout of 0.1 takes so much from 64 numbers that nothing is learned in 100 steps.
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
    )


def mask(
    input_ids: Tensor, answers: Tensor, vocabulary_size: int, mask_id: int, chance: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Hide 20 % of the subwords: 80 % masked, 10 % exchanged, 10 % left as they are.

    Args:
        input_ids: `batch x length`.
        answers: True at answers, half of which are masked whole, `batch x length`.
        vocabulary_size: Number of subwords.
        mask_id: Id of ``<mask>``.
        chance: Where the choices come from.

    Returns:
        Input and labels, both `batch x length`; the label is ``IGNORED`` where nothing was hidden.
    """
    ordinary = input_ids > SEPARATOR
    asked = torch.rand((len(input_ids), 1), generator=chance) < ANSWER_MASKED_SHARE
    whole = answers & asked
    hidden = (torch.rand(input_ids.shape, generator=chance) < MASKED_SHARE) & ordinary | whole
    labels = input_ids.masked_fill(~hidden, IGNORED)
    how = torch.rand(input_ids.shape, generator=chance)
    exchanged = torch.randint(4, vocabulary_size - 1, input_ids.shape, generator=chance)
    masked = input_ids.masked_fill(hidden & (how < 0.8) | whole, mask_id)
    return torch.where(hidden & (how >= 0.9) & ~whole, exchanged, masked), labels


class Passages:
    """Batches of passages, whole, cut in two segments or beside their translations.

    Two segments look as the pairs of fine-tuning do: ``<s> first </s></s> second </s>``.

    Args:
        tokenizer: Cuts text into subwords.
        texts: Passages of each language, translations of one another by position.
        chance: Where the choices come from.
    """

    def __init__(
        self,
        tokenizer: XLMRobertaTokenizer,
        texts: dict[str, list[str]],
        chance: torch.Generator,
    ) -> None:
        self._ids = {
            code: [
                tokenizer(_sentences(line), add_special_tokens=False)["input_ids"] for line in lines
            ]
            for code, lines in texts.items()
        }
        self._codes = tuple(texts)
        self._chance = chance

    def batch(self) -> tuple[Tensor, Tensor]:
        """Return one batch, padded, and where its answers are, both `batch x length`."""
        translated = torch.rand((), generator=self._chance).item() < TRANSLATED_SHARE
        rows, answers = [], []
        for _ in range(BATCH_SIZE):
            code = self._codes[self._number(len(self._codes))]
            line = self._number(len(self._ids[code]))
            answer = 0
            if translated and code != "en":
                first, second = ("en", code) if self._number(2) else (code, "en")
                segments = [self._flat(first, line), self._flat(second, line)]
            else:
                sentences = self._ids[code][line]
                if len(sentences) == 3 and len(sentences[2]) <= LONGEST_ANSWER:
                    answer = len(sentences[2])
                cut = 1 if len(sentences) > 1 and self._number(2) else len(sentences)
                segments = [_joined(sentences[:cut]), _joined(sentences[cut:])]
            row = [START, *segments[0], SEPARATOR]
            row += [SEPARATOR, *segments[1], SEPARATOR] if segments[1] else []
            rows.append(torch.tensor(row[:POSITIONS]))
            # The full stop and the separator after an answer stay.
            places = torch.arange(len(rows[-1])) - (len(row) - 1 - answer)
            answers.append((places >= 0) & (places < answer - 1))
        pad = torch.nn.utils.rnn.pad_sequence
        return (
            pad(rows, batch_first=True, padding_value=PADDING),
            pad(answers, batch_first=True, padding_value=False),
        )

    def _flat(self, code: str, line: int) -> list[int]:
        return _joined(self._ids[code][line])

    def _number(self, count: int) -> int:
        return int(torch.randint(count, (), generator=self._chance))


def _joined(sentences: list[list[int]]) -> list[int]:
    return [piece for sentence in sentences for piece in sentence]


def _sentences(passage: str) -> list[str]:
    return re.split(r"(?<=[.?]) ", passage)


def train(
    tokenizer: XLMRobertaTokenizer, texts: dict[str, list[str]], *, steps: int, seed: int
) -> XLMRobertaForMaskedLM:
    """Train the masked language model from scratch.

    Args:
        tokenizer: Its tokenizer.
        texts: Passages of each language, translations of one another by position.
        steps: Number of batches.
        seed: Of the weights, the batches and the masks.
    """
    torch.manual_seed(seed)
    chance = torch.Generator().manual_seed(seed)
    model = XLMRobertaForMaskedLM(build_config(len(tokenizer)))
    model.train()
    passages = Passages(tokenizer, texts, chance)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=LEARNING_RATE, total_steps=steps, pct_start=WARMUP_SHARE,
        anneal_strategy="linear", cycle_momentum=False,
    )  # fmt: skip
    for step in range(steps):
        input_ids, answers = passages.batch()
        inputs, labels = mask(input_ids, answers, len(tokenizer), tokenizer.mask_token_id, chance)
        loss = _loss(model, inputs, input_ids != PADDING, labels)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if (step + 1) % 500 == 0:
            print(f"step {step + 1} of {steps}: loss {loss.item():.3f}", flush=True)
    return model


def _loss(model: XLMRobertaForMaskedLM, inputs: Tensor, attended: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy at the hidden subwords; the vocabulary is computed at those only."""
    states = model.roberta(input_ids=inputs, attention_mask=attended.long()).last_hidden_state
    chosen = labels != IGNORED
    return torch.nn.functional.cross_entropy(model.lm_head(states[chosen]), labels[chosen])


def save(model: XLMRobertaForMaskedLM, tokenizer: XLMRobertaTokenizer, folder: Path) -> None:
    """Write a Hugging Face folder with weights in float16.

    Args:
        model: The trained model, its language-model head included.
        tokenizer: Its tokenizer.
        folder: Where to; made if missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.model_max_length = POSITIONS
    tokenizer.save_pretrained(folder)
    model.half().save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["dtype"] = "float32"
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Pre-train the mini model.")
    parser.add_argument("--out", type=Path, default=MODEL_DIR)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    texts = {code: corpus(code) for code in LANGUAGES}
    tokenizer = build_tokenizer([line for lines in texts.values() for line in lines])
    model = train(tokenizer, texts, steps=arguments.steps, seed=arguments.seed)
    save(model, tokenizer, arguments.out)


if __name__ == "__main__":
    main()
