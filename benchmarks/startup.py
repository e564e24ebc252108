"""How long one waits for the command: help, importing the package, and the plan of a pipeline that is finished.

    python -m benchmarks.startup [--runs 7]

Each is a process of its own. A small pipeline (waves, TS2Vec, a probe) runs once in a temporary root, which also warms the
cache of files; then every command runs several times, and the best and the middle of them are shown.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.timing import machine
from tests.pipeline.waves import write_pipeline

TSWORK = [sys.executable, "-c", "from tswork.cli.main import main; main()"]
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import tswork": [sys.executable, "-c", "import tswork"],
    "tswork --help": [*TSWORK, "--help"],
    "tswork list": [*TSWORK, "list"],
    "tswork validate": [*TSWORK, "validate", "waves.yaml"],
    "tswork plan, finished": [*TSWORK, "plan", "waves.yaml"],
    "tswork run, finished": [*TSWORK, "run", "waves.yaml"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7, help="times that every command is run")
    runs = parser.parse_args().runs
    print(machine())
    with TemporaryDirectory() as folder:
        write_pipeline(Path(folder))
        seconds(COMMANDS["tswork run, finished"], folder)
        for name, command in COMMANDS.items():
            spent = [seconds(command, folder) for _ in range(runs)]
            print(f"{name:24} best {min(spent):6.2f} s, median {statistics.median(spent):6.2f} s")


def seconds(command: list[str], folder: str) -> float:
    """Of one process. Raises `CalledProcessError` when it fails."""
    path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": path}, capture_output=True, check=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
