"""Readers by name: one module per file format, from the files of a release to records."""

from __future__ import annotations

from trainables.readers.base import ReadContext, Reader
from trainables.readers.ccg import read_ccg_columns, read_ccgbank, read_supertags
from trainables.readers.choices import read_choices_csv, read_choices_jsonl, read_hellaswag_text
from trainables.readers.conllu_text import read_conllu_text
from trainables.readers.lareqa import read_lareqa, read_squad_sentences
from trainables.readers.mewslix import read_mewslix, read_mewslix_pairs
from trainables.readers.morphology import read_conllu
from trainables.readers.pairs import read_jsonl, read_table_pairs, read_tsv
from trainables.readers.parallel import read_aligned, read_bucc, read_sorted
from trainables.readers.squad import read_squad
from trainables.readers.tagging import read_token_tags
from trainables.readers.text import read_bible, read_plain

__all__ = ["READERS", "ReadContext", "Reader"]

READERS: dict[str, Reader] = {
    "tsv_pairs": read_tsv,
    "table_pairs": read_table_pairs,
    "jsonl_pairs": read_jsonl,
    "token_tags": read_token_tags,
    "conllu": read_conllu,
    "conllu_text": read_conllu_text,
    "supertags": read_supertags,
    "ccg_columns": read_ccg_columns,
    "ccgbank": read_ccgbank,
    "squad": read_squad,
    "choices_jsonl": read_choices_jsonl,
    "cosmosqa_csv": read_choices_csv,
    "hellaswag_text": read_hellaswag_text,
    "aligned_text": read_aligned,
    "sorted_text": read_sorted,
    "bucc": read_bucc,
    "lareqa": read_lareqa,
    "squad_sentences": read_squad_sentences,
    "mewslix": read_mewslix,
    "mewslix_pairs": read_mewslix_pairs,
    "plain_text": read_plain,
    "bible_xml": read_bible,
}
