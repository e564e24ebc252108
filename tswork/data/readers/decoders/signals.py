"""What the decoders of medical recordings share: channels chosen by name, one rate among them, and units.

A record may hold signals of several rates and units (EEG beside temperature). The ones that a data block asks for must have
one rate; voltages become another unit only where the decoder is told to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from tswork.config import Config
from tswork.data.channels import choose_channels, near_channel
from tswork.data.faults import refuse, some
from tswork.data.readers.decoders.base import Outline, called
from tswork.data.spec import DataOptions
from tswork.errors import Location, Problem

EXPONENTS = {"V": 0, "mV": -3, "uV": -6, "nV": -9}
"""Powers of ten of voltages."""
WRITTEN = {"v": "V", "mv": "mV", "uv": "uV", "nv": "nV"}
"""Ways in which files write them."""


class SignalConfig(Config):
    unit: Literal["V", "mV", "uV"] | None = Field(
        default=None, description="unit that voltages are converted to; none: every channel as it is recorded"
    )


@dataclass(frozen=True)
class Signal:
    """One signal of a record: its name in the file, its unit (empty: not told), samples a second, number of samples."""

    name: str
    unit: str
    rate: float
    length: int


def plain_unit(text: str) -> str:
    """A unit as the house writes it: `uV` for any kind of micro sign and for small letters."""
    text = text.strip().replace("Â", "").replace("µ", "u").replace("μ", "u")
    return WRITTEN.get(text, text)


def outlined(signals: Sequence[Signal], path: Path, options: DataOptions, unit: str | None) -> Outline:
    """What is known of a record; rate and length are those of the channels that the block asks for.

    Raises `DataInvalid` as `chosen` does.
    """
    places = chosen(signals, path, options, unit)
    first = signals[places[0] if places else 0]
    units = tuple(unit if unit is not None and one.unit in EXPONENTS else one.unit for one in signals)
    return Outline(called([one.name for one in signals], options), first.rate, first.length, units)


def chosen(
    signals: Sequence[Signal], path: Path, options: DataOptions, unit: str | None, *, all_there: bool = False
) -> list[int]:
    """Places of the signals that a data block asks for, in its order; all where it names none.

    Raises `DataInvalid` with all of: no signals, names that several of them have, rates that differ, units that cannot become
    the asked one, and with `all_there` names that no signal has.
    """
    place = Location(str(path))
    names = called([one.name for one in signals], options)
    wanted, _ = choose_channels(names, options)
    found = [names.index(name) for name in wanted if name in names]
    faults = [] if signals else [Problem("holds no signals", location=place)]
    twice = dict.fromkeys(name for name in wanted if names.count(name) > 1)
    faults += [
        Problem(
            f"has {names.count(name)} signals called {name!r}", location=place, remedy="Choose others with `channels:`."
        )
        for name in twice
    ]
    rates: dict[float, list[str]] = {}
    for one in found:
        rates.setdefault(signals[one].rate, []).append(names[one])
    if len(rates) > 1:
        told = "; ".join(f"{rate:g} ({some(those)})" for rate, those in rates.items())
        text = f"has channels of different rates: {told} samples a second"
        faults.append(Problem(text, location=place, remedy="Choose channels of one rate with `channels:`."))
    for one in found if unit is not None else ():
        if signals[one].unit not in EXPONENTS:
            text = f"{names[one]!r} is in {signals[one].unit or 'no unit'}, which cannot become {unit}"
            remedy = f"Leave it out of `channels:`, or leave out `unit: {unit}`."
            faults.append(Problem(text, location=place, remedy=remedy))
    for name in wanted if all_there else ():
        if name not in names:
            remedy = near_channel(name, names)
            faults.append(Problem(f"has no channel {name!r}", location=place, remedy=remedy))
    refuse(faults)
    return found


def factor(signal: Signal, unit: str | None) -> float:
    """What values in a signal's own unit are multiplied by to be in the asked one."""
    return 1.0 if unit is None else 10.0 ** (EXPONENTS[signal.unit] - EXPONENTS[unit])
