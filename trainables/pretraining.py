"""Makes a small XLM-R from text: a Unigram tokenizer and masked-language-model training.

One thread and fixed seeds, so that the same text gives the same model on one machine. The sizes
are the caller's; everything else is XLM-R's (Conneau et al. 2020, arXiv:1911.02116).
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import sentencepiece
import torch
from torch import Tensor
from transformers import XLMRobertaConfig, XLMRobertaForMaskedLM, XLMRobertaTokenizer

#: Share of the subwords to predict, and how they are hidden (Devlin et al., arXiv:1810.04805).
MASKED_SHARE = 0.15
REPLACED_BY_MASK, LEFT_ALONE = 0.8, 0.1
IGNORED = -100
SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>")
PAD_ID, EOS_ID = 1, 2


def train_tokenizer(texts: Sequence[str], vocab_size: int) -> XLMRobertaTokenizer:
    """Train a Unigram tokenizer with XLM-R's special tokens in XLM-R's order.

    Args:
        texts: Lines of every language.
        vocab_size: Subwords, special tokens included; fewer if the text does not hold as many.
    """
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=model,
        model_type="unigram",
        vocab_size=vocab_size - 2,  # its own three special tokens become our five
        hard_vocab_limit=False,
        character_coverage=0.9995,
        num_threads=1,  # the order of threads would show in the scores
        minloglevel=2,
    )
    trained = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    pieces = [
        (trained.id_to_piece(i), trained.get_score(i))
        for i in range(trained.get_piece_size())
        if not (trained.is_control(i) or trained.is_unknown(i))
    ]
    vocab = [*((token, 0.0) for token in SPECIAL_TOKENS), *pieces, ("<mask>", 0.0)]
    return XLMRobertaTokenizer(vocab=vocab)


def make_config(
    vocab_size: int, *, hidden_size: int, num_layers: int, num_heads: int, max_tokens: int
) -> XLMRobertaConfig:
    """Return an XLM-R configuration of the given size.

    Args:
        vocab_size: Subwords.
        hidden_size: Width; the feed-forward layers are four times as wide.
        num_layers: Layers.
        num_heads: Attention heads.
        max_tokens: Longest input; positions start at 2, as in XLM-R.
    """
    return XLMRobertaConfig(
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        num_hidden_layers=num_layers,
        num_attention_heads=num_heads,
        intermediate_size=4 * hidden_size,
        max_position_embeddings=max_tokens + 2,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.1,
        bos_token_id=0,
        pad_token_id=PAD_ID,
        eos_token_id=EOS_ID,
    )


def mask_tokens(
    input_ids: Tensor,
    vocab_size: int,
    mask_id: int,
    generator: torch.Generator,
    share: float = MASKED_SHARE,
) -> tuple[Tensor, Tensor]:
    """Hide a share of the subwords: most masked, some exchanged, some left as they are.

    Args:
        input_ids: Padded token ids, `R x T`.
        vocab_size: Subwords, of which those from 4 up to ``vocab_size - 2`` may be put in.
        mask_id: Id of ``<mask>``.
        generator: Source of the choices.
        share: Share of the subwords that are hidden; special tokens never are.

    Returns:
        Inputs and labels, both `R x T`; the label is -100 where nothing was hidden.
    """
    hidden = (torch.rand(input_ids.shape, generator=generator) < share) & (input_ids > EOS_ID)
    labels = input_ids.masked_fill(~hidden, IGNORED)
    how = torch.rand(input_ids.shape, generator=generator)
    random = torch.randint(4, vocab_size - 1, input_ids.shape, generator=generator)
    inputs = input_ids.masked_fill(hidden & (how < REPLACED_BY_MASK), mask_id)
    exchanged = hidden & (how >= REPLACED_BY_MASK + LEFT_ALONE)
    return torch.where(exchanged, random, inputs), labels


def train_masked_lm(
    model: XLMRobertaForMaskedLM,
    next_batch: Callable[[], Tensor],
    *,
    steps: int,
    learning_rate: float,
    mask_id: int,
    generator: torch.Generator,
    share: float = MASKED_SHARE,
    progress: Callable[[int, float], None] | None = None,
) -> None:
    """Train a masked language model in place; linear warm-up over 5% and linear decay.

    Args:
        model: The model.
        next_batch: Returns padded token ids, `R x T`.
        steps: Batches.
        learning_rate: At its highest.
        mask_id: Id of ``<mask>``.
        generator: Source of the masks.
        share: Share of the subwords that are hidden.
        progress: Called with step and loss after every step.
    """
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.01
    )
    warmup = max(1, round(0.05 * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min((s + 1) / warmup, (steps - s) / max(1, steps - warmup))
    )
    model.train()
    for step in range(steps):
        batch = next_batch()
        inputs, labels = mask_tokens(batch, model.config.vocab_size, mask_id, generator, share)
        states = model.roberta(
            input_ids=inputs, attention_mask=(batch != PAD_ID).long()
        ).last_hidden_state
        chosen = labels != IGNORED
        # The vocabulary is computed at the hidden places only, a seventh of them.
        loss = torch.nn.functional.cross_entropy(model.lm_head(states[chosen]), labels[chosen])
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if progress is not None:
            progress(step + 1, float(loss.detach()))


def pad(rows: Sequence[Sequence[int]]) -> Tensor:
    """Return rows of token ids, padded, `R x T`."""
    tensors = [torch.from_numpy(np.asarray(row, dtype=np.int64)) for row in rows]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=PAD_ID)


def save_model(model: XLMRobertaForMaskedLM, tokenizer: XLMRobertaTokenizer, folder: Path) -> None:
    """Write a Hugging Face folder; the weights are renamed into place last.

    So their presence means completeness, whenever the process may have been killed.

    Args:
        model: The model, its language-model head included.
        tokenizer: Its tokenizer.
        folder: Made if missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as staging:
        tokenizer.save_pretrained(staging)
        model.save_pretrained(staging)
        files = sorted(Path(staging).iterdir(), key=lambda file: file.suffix == ".safetensors")
        for file in files:
            file.replace(folder / file.name)
