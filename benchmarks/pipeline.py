"""A whole run of a pipeline: time of every stage, and the largest memory of all its processes together.

    TSWORK_DATA=... python -m benchmarks.pipeline pipelines/ts2vec/etth1_univariate.yaml [-s sweep.seed=[42]]

Runs `tswork run FILE --json` in a temporary root and looks at the resident memory of the process and its children twenty
times a second; memory that two of them share is counted in both. Results are printed below, so that one sees that the work was
done.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from benchmarks.timing import machine

CHECKOUT = Path(__file__).resolve().parents[1]
EVERY_SECONDS = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pipeline", type=Path, nargs="?", default=CHECKOUT / "pipelines" / "quickstart.yaml")
    parser.add_argument("-s", dest="overrides", action="append", default=[], help="an override, as `tswork run -s`")
    options = parser.parse_args()
    print(machine())
    overrides = [word for override in options.overrides for word in ("-s", override)]
    with TemporaryDirectory() as root:
        seconds, peak, document = run([str(options.pipeline.resolve()), "--root", root, *overrides])
    print(
        f"\n{options.pipeline.name}: {seconds:.1f} s in all, largest memory {peak / 2**30:.2f} GiB ({peak / 1e9:.2f} GB)"
    )
    for member in document.get("members", [document]):
        print(f"\n{member['name'] or 'the only member'}")
        for stage in member["stages"]:
            print(f"  {stage['name']:16} {stage['seconds']:8.1f} s  {stage['status']}")
        for name, value in member["results"].items():
            if "@" not in name and name.count("/") == 2:
                print(f"  {name:48} {value:.4f}")


def run(arguments: list[str]) -> tuple[float, int, dict[str, Any]]:
    """Seconds, largest memory in bytes, and the document of one `tswork run`. Exits when it fails."""
    command = [sys.executable, "-c", "from tswork.cli.main import main; main()", "run", *arguments, "--json"]
    path = os.pathsep.join([str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])])
    with TemporaryDirectory() as folder, (Path(folder) / "out").open("w+") as output:
        started = time.perf_counter()
        process = psutil.Popen(command, env={**os.environ, "PYTHONPATH": path}, stdout=output)
        peak = 0
        while process.poll() is None:
            peak = max(peak, memory(process))
            time.sleep(EVERY_SECONDS)
        seconds = time.perf_counter() - started
        if process.returncode != 0:
            sys.exit(f"the run ended with {process.returncode}")
        output.seek(0)
        document: dict[str, Any] = json.load(output)
    return seconds, peak, document


def memory(process: psutil.Process) -> int:
    """Resident memory of a process and its children in bytes; those that end meanwhile count nothing."""
    total = 0
    try:
        for one in (process, *process.children(recursive=True)):
            total += one.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total


if __name__ == "__main__":
    main()
