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
