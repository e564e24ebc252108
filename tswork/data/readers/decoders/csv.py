"""Recordings as CSV files, plain or gzipped: a row a time step, a column a channel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from tswork.config import Config
from tswork.data.cells import numbers, order_faults, stamps
from tswork.data.channels import choose_channels
from tswork.data.faults import fault, refuse
from tswork.data.readers.decoders.base import Decoder, Outline, Recording, called
from tswork.data.spec import DataOptions
from tswork.data.tables import Form, read_header, read_table
from tswork.errors import did_you_mean
from tswork.registry import register


class CsvConfig(Config):
    separator: str = Field(default=",", min_length=1, max_length=1, description="between cells")
    decimal: Literal[".", ","] = Field(default=".", description="decimal point or comma")
    header: bool = Field(default=True, description="whether the first line names the channels")
    date_format: str | None = Field(default=None, description="format of the time stamps (strptime); none: ISO 8601")


@register("decoder", "csv", version=1, config=CsvConfig)
class Csv(Decoder[CsvConfig]):
    """A CSV file a recording; `time` names a column of time stamps, all other columns are channels."""

    suffixes = (".csv", ".csv.gz")

    def outline(self, path: Path, options: DataOptions) -> Outline:
        names = called([name for name in read_header(path, self._form) if name], options)
        return Outline(_without_time(path, names, options))

    def read(self, path: Path, options: DataOptions) -> Recording:
        """Only the channels that the block asks for, so that other columns may hold text."""
        table = read_table(path, self._form, text=[options.time] if options.time else [], columns=options.columns)
        channels, faults = choose_channels(_without_time(path, table.columns, options), options, place=table.head)
        refuse(faults)
        times = stamps(table, options.time, self.config.date_format, faults) if options.time else None
        if times is not None and not faults:
            faults += order_faults(table, times)
        values = numbers(table, channels, faults, form=self._form)
        refuse(faults)
        return Recording(values, tuple(channels), times=times)

    @property
    def _form(self) -> Form:
        wording = "decoders: [{{uses: csv, {}}}]"
        return Form(self.config.separator, self.config.decimal, self.config.header, wording)


def _without_time(path: Path, names: Sequence[str], options: DataOptions) -> tuple[str, ...]:
    if options.time is not None and options.time not in names:
        raise fault(path, f"has no time column {options.time!r}", did_you_mean(options.time, names), line=1)
    return tuple(name for name in names if name != options.time)
