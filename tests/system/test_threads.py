from __future__ import annotations

import os
import subprocess
import sys

import pytest

from retail_seg.system.threads import let_waiting_threads_sleep


def test_waiting_threads_sleep_unless_the_environment_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    let_waiting_threads_sleep()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    monkeypatch.delenv("OMP_WAIT_POLICY")
    let_waiting_threads_sleep()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


def test_it_is_said_before_pytorch_is_there_to_read_it() -> None:
    modules = "retail_seg.cli.segmentation, retail_seg.cli.training, retail_seg.bench.comparison.worker"
    check = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_every_command_multiplies_in_one_thread_unless_the_environment_says_otherwise() -> None:
    check = (
        "import os, sys, click, retail_seg.cli as cli\n"
        "assert 'numpy' not in sys.modules\n"
        "cli.cli.main = lambda **more: click.echo(os.environ['OPENBLAS_NUM_THREADS'])\n"
        "cli.main()"
    )
    environment = {key: value for key, value in os.environ.items() if key != "OPENBLAS_NUM_THREADS"}
    for said, wanted in (({}, "1"), ({"OPENBLAS_NUM_THREADS": "3"}, "3")):
        words = [sys.executable, "-c", check]
        found = subprocess.run(words, env=environment | said, capture_output=True, text=True, check=True)
        assert found.stdout.strip() == wanted
