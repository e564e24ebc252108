"""Samples of WFDB records: straight from their bytes against the package wfdb, which is also the twin in the tests.

    python -m benchmarks.records [--leads 12] [--frames 1000]

What is timed is one record whose header has been read: all of its signals as stored integers, in each format that is read directly.
"""

from __future__ import annotations

import argparse
import math
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.timing import best_times, machine
from tswork.data.readers.decoders.wfdb_headers import BYTES, read_header
from tswork.data.readers.decoders.wfdb_samples import ALIGNED, PAIRS, stored_samples, with_wfdb


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leads", type=int, default=12, help="signals of the record")
    parser.add_argument("--frames", type=int, default=1000, help="samples of each")
    parser.add_argument("--seconds", type=float, default=2.0, help="time for every figure")
    options = parser.parse_args()
    print(machine())
    print(f"{options.leads} signals of {options.frames} samples\nformat  direct ms  wfdb ms  ratio")
    with TemporaryDirectory() as folder:
        for form in (*ALIGNED, PAIRS):
            header = read_header(_record(Path(folder), form, options.leads, options.frames))
            places = list(range(options.leads))
            rivals = {"direct": partial(stored_samples, header, places), "wfdb": partial(with_wfdb, header, places)}
            times = best_times(rivals, seconds=options.seconds)
            direct, through = times["direct"] * 1000, times["wfdb"] * 1000
            print(f"{form:>6}  {direct:9.2f}  {through:7.2f}  {through / direct:4.0f}x")


def _record(folder: Path, form: str, leads: int, frames: int) -> Path:
    """A record of random samples."""
    lines = [f"{form} {leads} 100 {frames}", *[f"{form}.dat {form} 200 12 0"] * leads]
    (folder / f"{form}.hea").write_text("\n".join(lines) + "\n")
    samples, size = BYTES[form]
    content = np.random.default_rng(0).integers(0, 256, math.ceil(leads * frames * size / samples), dtype=np.uint8)
    (folder / f"{form}.dat").write_bytes(content.tobytes())
    return folder / f"{form}.hea"


if __name__ == "__main__":
    main()
