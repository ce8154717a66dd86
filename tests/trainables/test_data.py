"""Loading a task: where its records come from, what is missing, and what identifies them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from spaces.errors import DataError, UnknownNameError
from spaces.tasks import Catalogue, Task, load_catalogue
from trainables import data
from trainables.data import (
    available,
    available_languages,
    check_sources,
    data_fingerprint,
    is_labelled,
    label_names,
    load_records,
    resolve_paths,
)
from trainables.metrics import gold_labels
from trainables.records import (
    ChoiceRecord,
    ClassificationRecord,
    QuestionRecord,
    RetrievalRecord,
    TaggingRecord,
)

CATALOGUE = load_catalogue()
REAL = os.environ.get("TASKORDER_DATA_ROOT")
needs_real_data = pytest.mark.skipif(not REAL, reason="needs TASKORDER_DATA_ROOT")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("TASKORDER_HUB_ROOT", raising=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data root in XTREME's layout with a little of xnli, udpos, squad and tatoeba."""
    files = {
        "xnli/train-en.tsv": "a\tb\tneutral\r\n",
        "xnli/dev-en.tsv": "a\tb\tneutral\r\n",
        "xnli/dev-de.tsv": "c\td\tentailment\r\ne\tf\tneutral\r\n",
        "xnli/test-de.tsv": "c\td\r\n",
        "udpos/train-en.tsv": "a\tDET\nb\tNOUN\n",
        "UD_German-GSD/de_gsd-ud-test.conllu": conllu("s1", "ADJ"),
        "UD_German-HDT/de_hdt-ud-test.conllu": conllu("s1", "VERB"),
        "squad/train-v1.1.json": squad("q", "q"),
        "squad/dev-v1.1.json": squad("d"),
        "xquad/xquad.de.json": squad("x"),
        "tatoeba/tatoeba.deu-eng.deu": "ja\nnein\n",
        "tatoeba/tatoeba.deu-eng.eng": "yes\nno\n",
        "tatoeba/fr-en.fr": "oui\n",
        "tatoeba/fr-en.en": "yes\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def conllu(sent_id: str, upos: str) -> str:
    return f"# sent_id = {sent_id}\n1\tx\tx\t{upos}\t_\t_\t0\troot\t_\t_\n\n"


def squad(*ids: str) -> str:
    questions = [
        {"id": key, "question": "?", "answers": [{"text": "Haus", "answer_start": 0}]}
        for key in ids
    ]
    return json.dumps({"data": [{"paragraphs": [{"context": "Haus", "qas": questions}]}]})


def load(name: str, split: Any, language: str, root: Path | None, **more: Any) -> list[Any]:
    return load_records(
        CATALOGUE[name], split, language, data_root=root, catalogue=CATALOGUE, **more
    )


def make(**fields: Any) -> Task:
    base = {
        "name": "mine",
        "version": 1,
        "format": "token_classification",
        "roles": ["intermediate", "target"],
        "description": "",
        "metric": "accuracy",
        "languages": ["en", "de"],
    }
    return Task.model_validate(base | fields)


# --- files ----------------------------------------------------------------------------------


def test_records_of_a_file(root: Path) -> None:
    assert load("xnli", "dev", "de", root) == [
        ClassificationRecord("0", "c", "d", "entailment"),
        ClassificationRecord("1", "e", "f", "neutral"),
    ]
    assert [record.id for record in load("xnli", "dev", "de", root, limit=1)] == ["0"]


def test_several_treebanks_are_read_together(root: Path) -> None:
    records = load("udpos", "test", "de", root)
    assert [record.id for record in records] == ["de_gsd-ud-test/s1", "de_hdt-ud-test/s1"]
    assert [record.tags for record in records] == [("ADJ",), ("VERB",)]
    paths = resolve_paths(CATALOGUE["udpos"], "test", "de", root)
    assert [path.name for path in paths] == ["de_gsd-ud-test.conllu", "de_hdt-ud-test.conllu"]


def test_training_and_english_dev_come_from_the_training_task(root: Path) -> None:
    assert [record.id for record in load("xquad", "train", "en", root)] == ["q", "q#2"]
    assert [record.id for record in load("xquad", "dev", "en", root)] == ["d"]
    assert [record.id for record in load("xquad", "test", "de", root)] == ["x"]
    assert not available(CATALOGUE["xquad"], "dev", "de", root)


def test_blanked_test_sets_are_known_as_such(root: Path) -> None:
    def labelled(name: str, split: Any, language: str) -> bool:
        return is_labelled(CATALOGUE[name], split, language, data_root=root)

    assert labelled("xnli", "dev", "de")
    assert not labelled("xnli", "test", "de")
    assert labelled("tatoeba", "test", "de")
    assert not labelled("tatoeba", "test", "fr")
    assert labelled("xquad", "test", "de")
    assert labelled("udpos", "test", "de")


def test_a_limit_keeps_the_candidates_of_the_queries(root: Path) -> None:
    records = load("tatoeba", "test", "de", root, limit=1)
    assert [record.id for record in records] == ["q0", "c0", "c1"]
    assert gold_labels(records) == {"q0": ("c0",)}


def test_available_languages_follow_the_tasks_order(root: Path) -> None:
    assert available_languages(CATALOGUE["xnli"], "dev", root) == ("de", "en")
    assert available_languages(CATALOGUE["xnli"], "test", root) == ("de",)
    assert available_languages(CATALOGUE["panx"], "dev", root) == ()


def test_a_missing_file_names_everything_one_needs_to_know(root: Path) -> None:
    with pytest.raises(DataError) as caught:
        load("xnli", "dev", "fr", root)
    message = str(caught.value)
    for part in (
        "task 'xnli' has no dev data in 'fr'",
        "xnli/dev-fr.tsv",
        "XNLI-1.0/xnli.dev.tsv",
        f"below the data root {root}",
        "Languages that are there: de, en.",
        "hub/facebook/xnli",
    ):
        assert part in message


def test_without_a_data_root_the_message_asks_for_one() -> None:
    with pytest.raises(DataError, match=r"there is no data root\. Give the folder .* --data-root"):
        load("xnli", "dev", "fr", None)


def test_an_empty_file_is_an_error(root: Path) -> None:
    (root / "xnli/dev-en.tsv").write_text("\n")
    with pytest.raises(DataError, match="task 'xnli', dev split, 'en': there is no record"):
        load("xnli", "dev", "en", root)


def test_errors_inside_a_file_give_file_and_line(root: Path) -> None:
    (root / "xnli/dev-en.tsv").write_text("a\tb\tneutral\nc\n")
    with pytest.raises(DataError, match=r"dev-en\.tsv:2: found 1, expected 3 columns"):
        load("xnli", "dev", "en", root)


def test_a_wrong_option_names_the_task(root: Path) -> None:
    task = make(
        files={
            "train": [
                {"paths": ["udpos/train-en.tsv"], "reader": "token_tags", "options": {"x": 1}}
            ]
        }
    )
    with pytest.raises(ValueError, match="task 'mine', train split: unknown reader option 'x'"):
        load_records(task, "train", "en", data_root=root)


# --- generated records ----------------------------------------------------------------------


def test_generated_tasks_need_no_data_root() -> None:
    task = CATALOGUE["mini_xnli"]
    assert load_records(task, "dev", task.languages[0], data_root=None)
    assert available_languages(task, "dev", None) == task.languages
    check_sources(task, None, None, role="target", splits=("train", "dev"))
    assert set(label_names(task, data_root=None)) >= {"entailment"}


# --- identity -------------------------------------------------------------------------------


def fingerprint(name: str, split: Any, language: str, root: Path | None) -> str:
    return data_fingerprint(CATALOGUE[name], split, language, data_root=root, catalogue=CATALOGUE)


def test_fingerprint_follows_the_bytes_not_the_place(root: Path, tmp_path_factory: Any) -> None:
    elsewhere = tmp_path_factory.mktemp("copy")
    (elsewhere / "xnli").mkdir()
    copy = elsewhere / "xnli/dev-de.tsv"
    copy.write_bytes((root / "xnli/dev-de.tsv").read_bytes())
    first = fingerprint("xnli", "dev", "de", root)
    assert len(first) == 64
    assert fingerprint("xnli", "dev", "de", elsewhere) == first
    copy.write_bytes(copy.read_bytes().replace(b"neutral", b"Neutral"))
    os.utime(copy, ns=(1, 1))
    assert fingerprint("xnli", "dev", "de", elsewhere) != first


def test_fingerprint_sees_every_file_that_is_read(root: Path) -> None:
    before = fingerprint("tatoeba", "test", "de", root), fingerprint("udpos", "test", "de", root)
    english = root / "tatoeba/tatoeba.deu-eng.eng"
    english.write_text("yes\nNo!\n")
    os.utime(english, ns=(1, 1))
    (root / "UD_German-HDT/de_hdt-ud-test.conllu").unlink()
    after = fingerprint("tatoeba", "test", "de", root), fingerprint("udpos", "test", "de", root)
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_a_file_is_hashed_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    digest = data.hashlib.file_digest

    def counting(file: Any, name: str) -> Any:
        calls.append(file.name)
        return digest(file, name)

    monkeypatch.setattr(data.hashlib, "file_digest", counting)
    assert fingerprint("xnli", "dev", "en", root) == fingerprint("xnli", "dev", "en", root)
    assert len(calls) == 1


def test_fingerprint_of_a_target_is_that_of_its_training_task(root: Path) -> None:
    assert fingerprint("xquad", "train", "en", root) == fingerprint("squad1", "train", "en", root)


def test_generated_fingerprints_are_the_same_in_every_process() -> None:
    task = CATALOGUE["mini_xnli"]
    here = data_fingerprint(task, "dev", task.languages[0], data_root=None)
    code = (
        "from spaces.tasks import load_catalogue; from trainables.data import data_fingerprint;"
        "task = load_catalogue()['mini_xnli'];"
        "print(data_fingerprint(task, 'dev', task.languages[0], data_root=None))"
    )
    environment = dict(os.environ, PYTHONHASHSEED="7", PYTHONPATH=os.pathsep.join(sys.path))
    there = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert there.stdout.strip() == here


def test_importing_the_module_loads_nothing_heavy() -> None:
    code = (
        "import sys, trainables.data, trainables.metrics;"
        "sys.exit([name for name in ('torch', 'datasets', 'transformers', 'seqeval', 'pandas')"
        " if name in sys.modules] or 0)"
    )
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# --- labels ---------------------------------------------------------------------------------


def test_labels_are_the_closed_list_or_those_of_training(root: Path) -> None:
    files = {"train": [{"paths": ["udpos/train-{lang}.tsv"], "reader": "token_tags"}]}
    assert label_names(make(files=files), data_root=root) == ("DET", "NOUN")
    assert label_names(make(files=files, labels=["NOUN", "DET"]), data_root=root) == ("NOUN", "DET")
    assert label_names(CATALOGUE["squad1"], data_root=root) == ()


def test_labels_follow_the_training_set(root: Path) -> None:
    files = {"train": [{"paths": ["udpos/train-{lang}.tsv"], "reader": "token_tags"}]}
    task = make(files=files)
    label_names(task, data_root=root)
    path = root / "udpos/train-en.tsv"
    path.write_text("a\tX\n")
    os.utime(path, ns=(1, 1))
    assert label_names(task, data_root=root) == ("X",)


# --- what `check` asks ----------------------------------------------------------------------


def test_check_sources_returns_the_languages(root: Path) -> None:
    found = check_sources(
        CATALOGUE["xnli"], None, root, role="target", splits=("train", "dev", "test")
    )
    assert found == {"train": ("en",), "dev": ("de", "en"), "test": ("de",)}
    found = check_sources(CATALOGUE["xnli"], ["de"], root, role="target", splits=("train", "dev"))
    assert found == {"train": ("en",), "dev": ("de",)}


def test_check_sources_refuses_what_is_listed_and_missing(root: Path) -> None:
    with pytest.raises(DataError, match="task 'xnli' has no dev data in 'fr'"):
        check_sources(CATALOGUE["xnli"], ["de", "fr"], root, role="target", splits=("dev",))
    with pytest.raises(DataError, match="task 'xnli' has no train data in 'de'"):
        check_sources(CATALOGUE["xnli"], ["de"], root, role="intermediate")
    with pytest.raises(UnknownNameError, match="task 'xnli': unknown language 'fi'"):
        check_sources(CATALOGUE["xnli"], ["fi"], root, role="target")
    with pytest.raises(DataError, match="task 'panx' has no dev data"):
        check_sources(CATALOGUE["panx"], None, root, role="target", splits=("dev",))


def test_check_sources_refuses_empty_files(root: Path) -> None:
    (root / "squad/train-v1.1.json").write_bytes(b"")
    with pytest.raises(DataError, match="empty, but task 'squad1' reads its train split there"):
        check_sources(CATALOGUE["xquad"], None, root, role="target")


# --- the hub --------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets.disable_progress_bars()


def write_rows(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = "\n".join(json.dumps(row) for row in rows)
    (folder / f"{name}.jsonl").write_text(lines + "\n", encoding="utf-8")


@pytest.mark.usefixtures("cache")
def test_a_local_folder_in_hub_layout_with_class_numbers(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "tokens": datasets.List(datasets.Value("string")),
            "ner_tags": datasets.List(datasets.ClassLabel(names=["O", "B-PER", "I-PER"])),
        }
    )
    rows = {"tokens": [["Anna", "lacht"], ["Ja"]], "ner_tags": [[1, 0], [0]]}
    folder = tmp_path / "hub/unimelb-nlp/wikiann/de"
    folder.mkdir(parents=True)
    table = datasets.Dataset.from_dict(rows, features=features)
    table.to_parquet(str(folder / "validation-00000-of-00001.parquet"))
    assert load("panx", "dev", "de", tmp_path) == [
        TaggingRecord("0", ("Anna", "lacht"), ("B-PER", "O")),
        TaggingRecord("1", ("Ja",), ("O",)),
    ]
    assert available_languages(CATALOGUE["panx"], "dev", tmp_path) == ("de",)
    assert len(data_fingerprint(CATALOGUE["panx"], "dev", "de", data_root=tmp_path)) == 64


@pytest.mark.usefixtures("cache")
def test_a_card_that_declares_configurations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "elsewhere/facebook/xnli"
    write_rows(folder / "x", "dev", [{"premise": "a", "hypothesis": "b", "label": "neutral"}])
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: de\n  data_files:\n"
        "  - split: validation\n    path: x/dev.jsonl\n---\n"
    )
    monkeypatch.setenv("TASKORDER_HUB_ROOT", str(tmp_path / "elsewhere"))
    assert load("xnli", "dev", "de", None) == [ClassificationRecord("0", "a", "b", "neutral")]
    with pytest.raises(DataError, match=r"the dev split of .* cannot be loaded: "):
        load("xnli", "dev", "fr", None)


@pytest.mark.usefixtures("cache")
def test_hub_rows_of_every_format(tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    answers = {"text": ["Haus"], "answer_start": [4]}
    questions = [
        {"id": "english-1", "question": "?", "context": "Das Haus", "answers": answers},
        {"id": "finnish-1", "question": "?", "context": "Das Haus", "answers": answers},
    ]
    write_rows(hub / "google-research-datasets/tydiqa/secondary_task", "validation", questions)
    assert [r.id for r in load("tydiqa", "test", "fi", tmp_path)] == ["finnish-1"]
    assert isinstance(load("tydiqa", "test", "fi", tmp_path)[0], QuestionRecord)

    row = {"ind": 3, "ctx": "a", "endings": ["b", "c", "d", "e"]}
    write_rows(hub / "Rowan/hellaswag", "validation", [row | {"label": "2"}])
    write_rows(hub / "Rowan/hellaswag", "test", [row | {"label": ""}])
    assert load("hellaswag", "dev", "en", tmp_path) == [
        ChoiceRecord("3", "a", "", ("b", "c", "d", "e"), 2)
    ]
    assert load("hellaswag", "test", "en", tmp_path)[0].label is None

    sentences = [{"source_sentence": "ja", "target_sentence": "yes"}]
    write_rows(hub / "google/xtreme/tatoeba.deu", "validation", sentences)
    assert load("tatoeba", "test", "de", tmp_path) == [
        RetrievalRecord("q0", "ja", True, ("c0",)),
        RetrievalRecord("c0", "yes", False, ()),
    ]

    pair = {"premise": "a", "hypothesis": "b"}
    undecided = [pair | {"label": None}, pair | {"label": "neutral"}]
    write_rows(hub / "stanfordnlp/snli", "validation", undecided)
    write_rows(hub / "stanfordnlp/snli", "test", undecided)
    assert [record.label for record in load("snli", "dev", "en", tmp_path)] == ["neutral"]
    assert [record.label for record in load("snli", "test", "en", tmp_path)] == [None, "neutral"]


@pytest.mark.usefixtures("cache")
def test_malformed_hub_rows_name_the_row(tmp_path: Path) -> None:
    rows = [{"premise": "a", "hypothesis": "b", "label": "maybe"}]
    write_rows(tmp_path / "hub/facebook/xnli/de", "validation", rows)
    with pytest.raises(DataError, match="facebook/xnli:row 1: the label 'maybe'"):
        load("xnli", "dev", "de", tmp_path)


def test_the_network_is_for_tasks_the_data_root_lacks_altogether(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not available(CATALOGUE["hellaswag"], "dev", "en", root)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert available(CATALOGUE["hellaswag"], "dev", "en", root)
    assert available(CATALOGUE["hellaswag"], "dev", "en", None)
    assert not available(CATALOGUE["xnli"], "dev", "fr", root)
    assert available(CATALOGUE["xnli"], "dev", "fr", None)


@pytest.mark.usefixtures("cache")
def test_a_hub_out_of_reach_is_a_data_error(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")

    def unreachable(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with pytest.raises(DataError, match=r"ConnectionError: no route\. Check the network, or put"):
        load("hellaswag", "dev", "en", None)


# --- real releases --------------------------------------------------------------------------


@needs_real_data
@pytest.mark.parametrize(
    ("name", "split", "language", "count"),
    [
        *(("ud_feats", "train", "en", 1270), ("ud_feats", "dev", "en", 700)),
        *(("ud_upos", "dev", "tr", 600), ("ud_feats", "test", "wo", 470)),
        *(("mnli", "train", "en", 3500), ("mnli", "dev", "en", 500)),
        *(("snli", "train", "en", 2500), ("snli", "dev", "en", 144)),
        *(("anli", "train", "en", 1200), ("anli", "dev", "en", 400)),
        *(("qqp", "train", "en", 4500), ("qqp", "dev", "en", 500)),
        *(("squad1", "train", "en", 2282), ("squad1", "dev", "en", 705)),
        *(("squad2", "train", "en", 2442), ("squad2", "dev", "en", 1407)),
        *(("hellaswag", "train", "en", 250), ("hellaswag", "dev", "en", 120)),
        *(("cosmosqa", "train", "en", 1200), ("cosmosqa", "dev", "en", 600)),
        *(("commonsenseqa", "train", "en", 120), ("commonsenseqa", "dev", "en", 40)),
        *(("siqa", "train", "en", 1600), ("siqa", "dev", "en", 1200)),
        *(("copa", "train", "en", 400), ("copa", "dev", "en", 100)),
        *(("xnli", "train", "en", 500), ("xnli", "dev", "sw", 1000), ("xnli", "test", "de", 500)),
        *(("pawsx", "dev", "es", 1000), ("pawsx", "test", "de", 500)),
        *(("udpos", "train", "en", 7000), ("udpos", "dev", "hi", 700)),
        *(("panx", "train", "en", 4000), ("panx", "dev", "de", 1500), ("panx", "test", "en", 500)),
        *(("xquad", "train", "en", 2282), ("xquad", "test", "tr", 632)),
        *(("mlqa", "dev", "de", 480), ("mlqa", "dev", "en", 705)),
        *(("tydiqa", "train", "en", 1500), ("tydiqa", "test", "sw", 499)),
        *(("xcopa", "dev", "et", 100), ("xcopa", "test", "zh", 500)),
        *(("tatoeba", "test", "sw", 2 * 390), ("tatoeba", "test", "zh", 2 * 1000)),
        *(("bucc2018", "dev", "zh", 2 * 1628), ("raw_text", "train", "tr", 3435)),
        *(("bible", "train", "sw", 4108), ("bible", "train", "et", 4550 - 78)),
    ],
)
def test_counts_of_the_real_releases(name: str, split: Any, language: str, count: int) -> None:
    records = load(name, split, language, Path(str(REAL)))
    assert len(records) == count
    assert len({record.id for record in records}) == count


@needs_real_data
def test_xtremes_sorted_tatoeba_gets_its_gold_back() -> None:
    root = Path(str(REAL))
    files = {
        "test": [
            {
                "paths": [
                    [
                        "tatoeba_xtreme/{lang}-en.{lang}",
                        "tatoeba_xtreme/{lang}-en.en",
                        "tatoeba/tatoeba.{lang3}-eng.eng",
                    ]
                ],
                "reader": "sorted_text",
            }
        ]
    }
    task = make(format="retrieval", languages=["sw"], files=files)
    texts = {}
    for source in (task, CATALOGUE["tatoeba"]):
        records = load_records(source, "test", "sw", data_root=root)
        by_id = {record.id: getattr(record, "text", "") for record in records}
        texts[source.name] = [
            (by_id[query].strip(), by_id[gold[0]].strip())
            for query, gold in gold_labels(records).items()
        ]
    assert texts["mine"] == texts["tatoeba"]


@needs_real_data
def test_masakhaner_and_hub_fixtures_are_read() -> None:
    root = Path(str(REAL))
    files = {
        "test": [
            {
                "paths": ["masakhaner1/{lang3}/test.txt"],
                "reader": "token_tags",
                "options": {"separator": " "},
            }
        ]
    }
    task = make(languages=["ha"], files=files)
    assert len(load_records(task, "test", "ha", data_root=root)) == 552
    fixtures = root / "hf_fixtures"
    catalogue: Catalogue = CATALOGUE
    for name, split, language, count in (
        ("pawsx", "train", "de", 4),
        ("pawsx", "test", "zh", 4),
        ("anli", "test", "en", 15),
        ("mnli", "train", "en", 5),
        ("snli", "train", "en", 3),
        ("hellaswag", "test", "en", 2),
        ("cosmosqa", "test", "en", 2),
        ("commonsenseqa", "test", "en", 2),
    ):
        records = load_records(
            catalogue[name], split, language, data_root=fixtures, catalogue=catalogue
        )
        assert len(records) == count, name


def test_a_generated_task_trains_in_its_own_language_alone_but_for_text():
    catalogue = load_catalogue()
    assert available(catalogue["mini_pos"], "train", "en", None)
    assert available(catalogue["mini_mlm"], "train", "sib", None)
    assert not available(catalogue["mini_pos"], "train", "sib", None)
    with pytest.raises(DataError, match="'mini_pos' has no train data in 'sib': it is generated"):
        check_sources(catalogue["mini_pos"], ["sib"], None, role="intermediate")
