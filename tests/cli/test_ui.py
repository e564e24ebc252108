"""`tswork ui` stops what it started."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import psutil

from tswork.cli.ui import serve

SERVER = """
import pathlib, subprocess, sys
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
pathlib.Path(sys.argv[1]).write_text(str(worker.pid))
worker.wait()
"""


def test_a_server_that_is_told_to_stop_leaves_no_process_behind(tmp_path: Path) -> None:
    """Terminating the command left MLflow's server, which held the port."""
    file = tmp_path / "worker"

    def stop() -> None:
        for _ in range(600):
            time.sleep(0.1)
            if file.exists() and file.read_text():
                break
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop).start()
    assert serve([sys.executable, "-c", SERVER, str(file)]) == 0
    worker = int(file.read_text())
    assert not psutil.pid_exists(worker) or psutil.Process(worker).status() == psutil.STATUS_ZOMBIE


def test_how_a_server_ends_by_itself_is_handed_on() -> None:
    assert serve([sys.executable, "-c", "raise SystemExit(3)"]) == 3
