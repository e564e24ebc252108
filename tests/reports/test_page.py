"""Pages of results: every figure comes from the runs, published ones stand beside them, and training is judged plainly."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.reports.judged import judgement
from tswork.errors import PipelineInvalid
from tswork.reports.page import Material, write_page
from tswork.reports.page_spec import PageSpec, SectionSpec, read_page
from tswork.reports.section import SectionEmpty
from tswork.tracking.reading import Judgement

FIGURES = {"majority": 0.5, "random": 0.75, "ts2vec": 0.875}


def page(*sections: SectionSpec, text: str = "") -> PageSpec:
    return PageSpec(title="Results", text=text, sections=sections)


def written(section: SectionSpec, *judged: object) -> str:
    return write_page(page(section), [Material(judged, 1.25)], command="tswork report x.yaml")  # type: ignore[arg-type]


def rows(text: str) -> dict[str, list[str]]:
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {line[0].strip("*"): line for line in lines}


def test_a_table_has_mean_and_spread_over_seeds_and_the_test_against_every_row() -> None:
    several = [judgement({**FIGURES, "ts2vec": value}, seed=seed) for seed, value in ((1, 0.8), (2, 0.9))]
    table = rows(written(SectionSpec(title="Waves", runs=("waves",)), *several))
    assert table["row"] == ["row", "accuracy", "seeds", "ts2vec minus row", "significant"]
    assert table["ts2vec"][1:3] == ["0.8500 ± 0.0707", "2"]
    assert table["majority"][3].startswith("+0.3500 (+0.")
    assert table["majority"][4] == "yes"


def test_published_figures_and_labels_stand_where_they_belong_and_other_rows_stay_away() -> None:
    section = SectionSpec(
        title="Waves",
        runs=("waves",),
        rows={"random": "untrained", "ts2vec": "TS2Vec"},
        published={"ts2vec": (0.9,)},
    )
    table = rows(written(section, judgement(FIGURES)))
    assert list(table) == ["row", "---", "untrained", "TS2Vec"]
    assert table["TS2Vec"][1:4] == ["0.8750", "0.9", "1"]
    assert table["untrained"][2] == ""


def test_it_is_said_what_training_adds_to_the_untrained_encoder() -> None:
    text = written(SectionSpec(title="Waves", runs=("waves",)), judgement(FIGURES))
    assert "- ts2vec: training takes accuracy from 0.7500 to 0.8750, " in text
    worse = written(SectionSpec(title="Waves", runs=("waves",)), judgement({**FIGURES, "ts2vec": 0.75}))
    assert "not a significant difference" in worse


def test_training_of_a_pretrained_encoder_is_told_from_where_it_began() -> None:
    figures = {**FIGURES, "as_loaded": 0.8}
    text = written(SectionSpec(title="Waves", runs=("waves",)), judgement(figures))
    assert "- ts2vec: training takes accuracy from 0.8000 to 0.8750, " in text


def test_several_data_sets_can_share_one_table_with_the_rank_test() -> None:
    judged = [judgement(FIGURES, data=f"set {number}", seed=1, content=str(number) * 64) for number in range(6)]
    text = written(SectionSpec(title="Sets", runs=("waves",), over_sets=True), *judged)
    table = rows(text)
    assert table["row"][:4] == ["row", "mean of 6", "wins / ties / losses", "p (Holm)"]
    assert table["random"][1:3] == ["0.7500", "6 / 0 / 0"]
    assert table["ts2vec"][2] == ""


def test_a_figure_that_is_not_defined_is_a_dash_and_no_row_is_the_best_for_it() -> None:
    section = SectionSpec(title="Waves", runs=("waves",))
    text = written(section, judgement({**FIGURES, "majority": math.nan}))
    assert "nan" not in text
    assert rows(text)["majority"][1:] == ["-", "0", "", ""] or rows(text)["majority"][1:3] == ["-", "0"]
    assert "| **ts2vec** | 0.8750 " in text
    nothing = written(section, judgement(dict.fromkeys(FIGURES, math.nan)))
    assert "nan" not in nothing
    assert "**" not in nothing
    sets = [judgement(FIGURES), judgement({**FIGURES, "random": math.nan}, data="calm", content="c" * 64)]
    table = rows(written(SectionSpec(title="Sets", runs=("waves",), over_sets=True), *sets))
    assert table["row"] == ["row", "mean of 1", "wins / ties / losses", "p (Holm)", "calm", "waves"]
    assert table["random"] == ["random", "0.7500", "", "", "-", "0.750"]


def of_dim(dim: int, figures: dict[str, float], **options: Any) -> Judgement:
    return judgement(figures, dim=dim, **options)


VARIANTS: dict[str, dict[str, Any]] = {
    "narrow": {"encoder": {"dim": 8}},
    "wide": {"encoder": {"uses": "dilated_conv", "dim": 16}},
}


def test_a_sweep_over_an_option_is_a_line_for_each_value_with_rows_across() -> None:
    narrow, wide = of_dim(8, FIGURES), of_dim(16, {**FIGURES, "random": 0.9, "ts2vec": 0.7})
    rows_shown = {"random": "untrained", "ts2vec": "TS2Vec"}
    section = SectionSpec(title="Widths", runs=("waves",), candidate="ts2vec", rows=rows_shown, variants=VARIANTS)
    table = rows(written(section, narrow, wide))
    head = ["", "untrained", "TS2Vec", "seeds", "TS2Vec minus untrained", "significant"]
    assert next(line for line in written(section, narrow, wide).splitlines() if "untrained" in line) == (
        f"| {' | '.join(head)} |"
    )
    assert table["narrow"][1:4] == ["0.7500", "**0.8750**", "1"]
    assert table["wide"][1:4] == ["**0.9000**", "0.7000", "1"]
    assert table["narrow"][4].startswith("+0.1250 (")
    assert table["wide"][4].startswith("-0.2000 (")


def test_the_lines_of_a_sweep_are_compared_within_themselves() -> None:
    section = SectionSpec(title="Widths", runs=("waves",), candidate="ts2vec", variants=VARIANTS)
    alone = rows(written(section.model_copy(update={"variants": {"narrow": VARIANTS["narrow"]}}), of_dim(8, FIGURES)))
    beside = rows(written(section, of_dim(8, FIGURES), of_dim(16, {**FIGURES, "random": 0.1})))
    assert alone["narrow"] == beside["narrow"]


def test_several_data_sets_of_a_sweep_are_a_table_each() -> None:
    judged = [of_dim(dim, FIGURES, data=data, content=data[-1] * 64) for dim in (8, 16) for data in ("set 1", "set 2")]
    text = written(SectionSpec(title="Widths", runs=("waves",), variants=VARIANTS), *judged)
    assert text.index("**set 1**") < text.index("| narrow |") < text.index("**set 2**")
    assert text.count("| narrow |") == text.count("| wide |") == 2


def test_a_line_of_a_sweep_without_results_and_two_that_share_some_are_refused() -> None:
    section = SectionSpec(title="Widths", runs=("waves",), variants=VARIANTS)
    with pytest.raises(SectionEmpty, match="section 'Widths': there are no results of the variants wide"):
        written(section, of_dim(8, FIGURES))
    both = section.model_copy(update={"variants": {**VARIANTS, "any": {"encoder": {"uses": "dilated_conv"}}}})
    with pytest.raises(SectionEmpty, match="a result is of two variants: narrow, any"):
        written(both, of_dim(8, FIGURES))
    with pytest.raises(ValueError, match="`variants` shows one metric"):
        SectionSpec(title="Widths", runs=("waves",), variants=VARIANTS, over_sets=True)


def test_the_page_says_what_wrote_it_and_what_it_cost() -> None:
    text = written(SectionSpec(title="Waves", runs=("waves",), text="Some words."), judgement(FIGURES))
    assert text.startswith("# Results\n\nWritten by `tswork report x.yaml` from finished runs; not edited by hand.")
    assert "## Waves\n\nSome words." in text
    assert "1 result; the runs of this table took 1.2 hours by the clock" in text


def test_of_a_pipeline_with_two_protocols_a_section_shows_the_stage_it_names() -> None:
    first = judgement(FIGURES)
    tuned = replace(first, stage="tune", key="t", made={**first.made, "protocol": {"uses": "finetune_fraction"}})
    both = SectionSpec(title="Waves", runs=("waves",), metrics=("accuracy",))
    with pytest.raises(SectionEmpty, match=r"hold several protocols \(.*\); choose one with `stage:`"):
        written(both, first, tuned)
    assert written(both.model_copy(update={"stage": "probe"}), first, tuned) == written(both, first)
    with pytest.raises(SectionEmpty, match=r"section 'Waves': there is no stage 'prob'\. Did you mean 'probe'\?"):
        written(both.model_copy(update={"stage": "prob"}), first, tuned)


def test_a_section_without_results_is_named() -> None:
    with pytest.raises(SectionEmpty, match="section 'Waves': no finished protocol stage was found"):
        written(SectionSpec(title="Waves", runs=("waves",)))
    with pytest.raises(SectionEmpty, match="there is no metric 'mse'"):
        written(SectionSpec(title="Waves", runs=("waves",), metrics=("mse",)), judgement(FIGURES))


def test_a_file_with_faults_is_refused_with_all_of_them_and_their_places(tmp_path: Path) -> None:
    file = tmp_path / "page.yaml"
    file.write_text("title: Results\nsections:\n  - {title: Waves, run: [waves]}\n  - {runs: []}\n")
    with pytest.raises(PipelineInvalid) as refused:
        read_page(file)
    text = str(refused.value)
    assert "page.yaml:3" in text
    assert "sections[0].run: unknown key. Did you mean 'runs'?" in text
    assert "sections[1].title" in text


def test_a_page_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "page.yaml"
    file.write_text("title: Results\nsections:\n  - {title: Waves, runs: [waves], published: {ts2vec: [0.9, 1]}}\n")
    assert read_page(file).sections[0].published == {"ts2vec": (0.9, 1.0)}
