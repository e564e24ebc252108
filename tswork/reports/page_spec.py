"""What stands on a page of results: a YAML file that names experiments, rows and published figures.

title: TS2Vec
text: What this page answers, in Markdown.
records: [ts2vec.records.jsonl.gz]         # results of earlier runs, kept beside the page
sections:
  - title: ETTh1, univariate
    runs: [ts2vec-etth1-univariate]        # experiments, or pipeline files relative to this file
    stage: forecast                        # of a pipeline with several protocols; none: its only one
    metrics: [mse, mae]                    # the first is tested
    candidate: ts2vec                      # the row tested against the others; none: the first judged stage
    at: h24                                # a horizon, or a share of the labels (10%); none: the whole
    rows: {persistence: Persistence, ts2vec: TS2Vec}      # what is shown, in this order; none: all rows
    published: {ts2vec: [0.110, 0.252]}    # beside them, one figure a metric
  - title: Encoders
    runs: [ts2vec-encoders]                # of a sweep over an option: a line for each of its values
    variants: {LSTM: {encoder: {uses: recurrent, cell: lstm}}, GRU: {encoder: {uses: recurrent, cell: gru}}}
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from tswork.config import Config, Many
from tswork.errors import PipelineInvalid
from tswork.source import read_yaml
from tswork.validation import validate


class SectionSpec(Config):
    """One table of a page."""

    title: str
    runs: Many[str] = Field(min_length=1, description="experiments, or pipeline files relative to the page's file")
    text: str = Field(default="", description="Markdown above the table")
    stage: str | None = Field(
        default=None, description="stage of the protocol, where the runs have several; none: their only one"
    )
    metrics: Many[str] = Field(
        default=(), description="metrics shown, the first is tested; none: the protocol's headline"
    )
    candidate: str | None = Field(default=None, description="row tested against the others; none: the first")
    at: str = Field(
        default="", description="place in the results: a horizon (h24), a share of the labels (10%); empty: the whole"
    )
    rows: dict[str, str] | None = Field(default=None, description="rows shown with their labels, in order; none: all")
    published: dict[str, Many[float]] = Field(
        default_factory=dict, description="published figures of a row, one a metric"
    )
    over_sets: bool = Field(default=False, description="several data sets: means over them instead of a table for each")
    variants: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="a sweep over an option: one line for each label, of the results whose methods have these options; rows go across",
    )

    @model_validator(mode="after")
    def _one_kind_of_table(self) -> SectionSpec:
        if self.variants and (self.over_sets or self.published or len(self.metrics) > 1):
            raise ValueError("`variants` shows one metric, without `over_sets` and `published`")
        return self


class PageSpec(Config):
    """A page of tables."""

    title: str
    text: str = Field(default="", description="Markdown below the title")
    records: Many[str] = Field(
        default=(),
        description="files of results that outlive the store of runs, relative to the page's file; --keep writes the first",
    )
    sections: Many[SectionSpec] = Field(min_length=1)


def read_page(path: Path) -> PageSpec:
    """The page that a file describes. Raises `PipelineInvalid` with every fault and its place."""
    spec, problems = validate(PageSpec, read_yaml(path))
    if spec is None:
        raise PipelineInvalid(problems)
    return spec
