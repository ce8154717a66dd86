"""A run in a bucket: a real S3 server on loopback, read through s3fs."""

from __future__ import annotations

import fsspec
import pandas as pd
import pytest

from analysis import leaderboard, load_run, load_runs
from analysis.page import render_page
from spaces.errors import RunDirectoryError
from spaces.tables import TABLES
from tests.analysis.synthetic import write_synthetic_run


@pytest.fixture(scope="module")
def bucket(s3):
    """URL of a folder of runs."""
    return f"{s3}/runs"


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    return write_synthetic_run(tmp_path_factory.mktemp("s3") / "demo")


@pytest.fixture(scope="module")
def url(bucket, local):
    fsspec.filesystem("s3").put(str(local), f"{bucket}/demo", recursive=True)
    return f"{bucket}/demo"


def test_a_run_in_a_bucket_is_the_run_on_disk(url, local):
    remote, here = load_run(url), load_run(local)
    assert remote.problems == ()
    assert remote.location == url
    assert remote.study == here.study
    assert remote.finished
    for table in TABLES:
        pd.testing.assert_frame_equal(getattr(remote, table), getattr(here, table))
    assert url in render_page(remote)


def test_runs_of_a_bucket_and_of_a_disk_go_together(url, local):
    both = load_runs([url, local])
    board = leaderboard(both)
    assert board["run"].nunique() == 2
    halves = [part.drop(columns="run").reset_index(drop=True) for _, part in board.groupby("run")]
    pd.testing.assert_frame_equal(*halves)


def test_what_is_damaged_in_a_bucket_is_told_and_the_rest_loads(bucket, url):
    files = fsspec.filesystem("s3")
    files.copy(url, f"{bucket}/damaged", recursive=True)
    files.pipe(f"{bucket}/damaged/tables/scores.parquet", b"not a table")
    files.rm(f"{bucket}/damaged/tables/stages.parquet")
    run = load_run(f"{bucket}/damaged")
    assert run.scores.empty
    assert run.stages.empty
    assert len(run.trials) > 50
    assert len(run.problems) == 2
    with pytest.raises(RunDirectoryError, match="scores"):
        load_run(f"{bucket}/damaged", strict=True)


def test_no_run_in_a_bucket_is_named(bucket):
    with pytest.raises(RunDirectoryError, match=f"{bucket}/nothing"):
        load_run(f"{bucket}/nothing")
