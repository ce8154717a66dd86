from __future__ import annotations

import os
import subprocess
import sys

START = "import threading; from trainables.watchdog import watch_this_process, watched\n"


def run(code):
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    return subprocess.run(
        [sys.executable, "-c", START + code], env=environment, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip


def test_a_process_that_hangs_ends_and_says_where():
    done = run(
        "def train_for_ever(live):\n"
        "    live(); threading.Event().wait()\n"
        "watch_this_process(0.3)\n"
        "with watched() as live:\n"
        "    train_for_ever(live)\n"
    )
    assert done.returncode == 1
    assert "Timeout (0:00:00.3" in done.stderr
    assert "in train_for_ever" in done.stderr


def test_signs_of_life_keep_it_and_nothing_is_watched_outside():
    done = run(
        "watch_this_process(1)\n"
        "with watched() as live:\n"
        "    for _ in range(15):\n"
        "        threading.Event().wait(0.1); live()\n"
        "threading.Event().wait(1.2)\n"
        "print('alive')\n"
    )
    assert (done.returncode, done.stdout) == (0, "alive\n")


def test_elsewhere_nothing_is_watched():
    done = run("with watched() as live:\n    live()\nprint('alive')\n")
    assert done.stdout == "alive\n"
