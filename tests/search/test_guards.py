from __future__ import annotations

import os
import socket

import pytest

from search.commands.guards import check_address, check_folder
from spaces.errors import InputError


def test_folders_that_are_there_or_can_be_made_pass(tmp_path, monkeypatch):
    check_folder("--out", tmp_path)
    check_folder("--out", tmp_path / "a" / "b")
    monkeypatch.chdir(tmp_path)
    check_folder("--out", (tmp_path / "a" / "b").relative_to(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["", "below", "far/below"])
def test_a_file_in_the_way_is_named(tmp_path, below):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(InputError, match=rf"^--out .*{below}: .*file is a file\. Give another"):
        check_folder("--out", file / below)


@pytest.mark.skipif(os.geteuid() == 0, reason="who is root may write everywhere")
def test_a_folder_that_is_read_only_is_named(tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(InputError, match="may not be written to"):
        check_folder("--run-dir", tmp_path / "run")


@pytest.mark.parametrize("address", [None, "auto"])
def test_what_only_ray_can_know_passes(address):
    check_address(address)


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_where_somebody_answers_passes_and_another_does_not(scheme):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"{scheme}127.0.0.1:{server.getsockname()[1]}"
        check_address(address)
    with pytest.raises(InputError, match=rf"--address {address}: nobody answers there \(.*refused"):
        check_address(address)


@pytest.mark.parametrize("address", ["head", "ray://head", ":6379", "head:", "head:0", "head:x1"])
def test_what_is_no_address_is_refused_with_the_forms_there_are(address):
    with pytest.raises(InputError, match=r"is no address of a cluster\. Write auto, HOST:6379"):
        check_address(address)
