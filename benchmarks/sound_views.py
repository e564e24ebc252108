"""Views of sound that a training step waits for, against plain forms of the same sums.

    OMP_NUM_THREADS=1 python -m benchmarks.sound_views [--clips 40] [--samples 4493] [--rate 8000]

Speed: what each tap of the sinc reads is gathered, one tap after another. Equaliser: filters by Fourier transforms of whole clips. Pink
noise: white noise, its transform, its shape and the way back. Runs of rivals alternate in one process, and the best of each counts, in
processor seconds. The default number of samples is a prime, as lengths of clips often are or nearly are, on which transforms are slow.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.timing import best_times, machine
from tswork.augment.equaliser import TAPS, taps_of, through
from tswork.augment.noise import coloured
from tswork.augment.tape import ZERO_CROSSINGS, played, speeds_of
from tswork.random import seeded

FACTORS = (0.88, 0.92, 0.96, 1.0, 1.04, 1.09, 1.14)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=40, help="clips of the batch")
    parser.add_argument("--samples", type=int, default=4493, help="length of the longest")
    parser.add_argument("--rate", type=int, default=8000, help="samples a second")
    options = parser.parse_args()
    print(machine())
    with seeded(0):
        x = torch.randn(options.clips, options.samples, 1)
        lengths = torch.randint(options.samples // 4, options.samples + 1, (options.clips,))
        lengths[0] = options.samples
        chosen, decibels = torch.randint(len(FACTORS), (options.clips,)), torch.randn(options.clips, 5)
    sound = float(lengths.sum()) / options.rate
    print(f"\n{options.clips} clips, {sound:.1f} s of sound at {options.rate} Hz")
    longest = math.ceil(x.shape[1] / min(FACTORS))
    speeds, taps = speeds_of(FACTORS, x.device), taps_of(decibels)
    draws = torch.Generator().manual_seed(0)
    compare("speed", lambda: played(x, speeds, chosen, longest), lambda: tap_by_tap(x, chosen, longest), sound)
    compare("equaliser", lambda: through(x, taps), lambda: by_transforms(x, taps), sound)
    compare("pink noise", lambda: coloured(x, 0.5, draws), lambda: there_and_back(x, draws), sound, alike=False)


def compare(
    name: str, ours: Callable[[], Tensor], plain: Callable[[], Tensor], sound: float, *, alike: bool = True
) -> None:
    """One line: times, their ratio, and how far apart the values are."""
    spent = best_times({"ours": ours, "plain": plain}, clock=time.process_time)
    apart = f", {float((ours() - plain()).abs().max()):.0e} apart" if alike else ""
    print(
        f"{name:12} {1000 * spent['ours']:7.2f} ms ({sound / spent['ours']:7,.0f} times real time),"
        f" plain {1000 * spent['plain']:7.2f} ms: {spent['plain'] / spent['ours']:5.1f}x{apart}"
    )


def tap_by_tap(x: Tensor, chosen: Tensor, longest: int) -> Tensor:
    """Every clip at its speed, by one gather for each tap."""
    factor = torch.tensor(FACTORS, dtype=torch.float64)[chosen][:, None]
    places = torch.arange(longest, dtype=torch.float64) * factor
    reach, whole = math.ceil(ZERO_CROSSINGS * max(FACTORS)), places.floor().long()
    scale = factor.clamp(min=1).float()
    filled = functional.pad(x, (0, 0, reach - 1, 2 * reach))
    index = whole.clamp(max=x.shape[1] + reach - 1)[..., None]
    share, found = (places - whole).float(), torch.zeros(len(x), longest, 1)
    for tap in range(2 * reach):
        distance = (share - (tap + 1 - reach)) / scale
        window = torch.cos(distance * (math.pi / 2 / ZERO_CROSSINGS)).square() / scale
        weight = (torch.sinc(distance) * window).masked_fill(distance.abs() >= ZERO_CROSSINGS, 0)
        found += weight[..., None] * filled[:, tap:].gather(1, index)
    return found


def by_transforms(x: Tensor, taps: Tensor) -> Tensor:
    """Each clip through its filter, as a product of spectra."""
    size = x.shape[1] + TAPS
    spectrum = torch.fft.rfft(x, n=size, dim=1) * torch.fft.rfft(taps, n=size, dim=1)[..., None]
    whole: Tensor = torch.fft.irfft(spectrum, n=size, dim=1)
    return whole[:, TAPS // 2 : TAPS // 2 + x.shape[1]]


def there_and_back(x: Tensor, draws: torch.Generator) -> Tensor:
    """Pink noise of white noise."""
    spectrum = torch.fft.rfft(torch.randn(x.shape, generator=draws), dim=1)
    shape = torch.arange(spectrum.shape[1]).clamp(min=1).rsqrt()
    noise: Tensor = torch.fft.irfft(spectrum * shape[:, None], n=x.shape[1], dim=1)
    return noise


if __name__ == "__main__":
    main()
