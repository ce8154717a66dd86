"""The benchmark of the stage store runs, and measures what it says."""

from __future__ import annotations

import sys

from benchmarks import store


def test_the_figures_are_printed(tmp_path, monkeypatch, capsys):
    arguments = ["store.py", "--share", "0.0005", "--rounds", "2", "--entries", "150"]
    monkeypatch.setattr(sys, "argv", [*arguments, "--folder", str(tmp_path)])
    store.main()
    printed = capsys.readouterr().out
    for label in (
        "store put",
        "put / durable save",
        "load / plain load",
        "miss",
        "open / read every",
    ):
        assert label in printed
    assert list(tmp_path.iterdir()) == []


def test_the_large_entry_is_that_of_the_encoder():
    tensors = store.encoder(1 / 256)
    assert len(tensors) == 2 + 24 * 6
    full = store.VOCABULARY * store.HIDDEN + 24 * 12 * store.HIDDEN**2
    total = sum(tensor.numel() for tensor in tensors.values())
    assert 0.9 < total / (full / 256) < 1.1
