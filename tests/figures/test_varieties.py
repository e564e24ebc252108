"""Trees, spaces, places and similarity as figures, and the page: what they show, and that no text of the data becomes markup."""

from __future__ import annotations

import base64
import io
import json
import re
import wave

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from tests.figures.test_figures import drawn
from tswork.figures.confusion import confusion_matrix
from tswork.figures.dendrogram import dendrogram
from tswork.figures.point_page import point_page, sound_address
from tswork.figures.points import embedding_picture, look, place_map
from tswork.figures.similarity import similarity_map
from tswork.metrics.linkage import average_linkage


def names_of(figure: Figure) -> list[str]:
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def test_a_tree_names_all_its_leaves_and_joins_them_at_their_heights() -> None:
    line = np.array([0.0, 1, 10])
    joins = average_linkage(np.abs(line[:, None] - line))
    figure = dendrogram(joins, ["a", "b", "c"], title="regions", classes={"a": "x", "b": "x", "c": "y"})
    assert sorted(names_of(figure)) == ["a", "b", "c"]
    heights = sorted(float(np.asarray(one.get_xdata()).max()) for one in figure.axes[0].lines)
    assert heights == [1, 9.5]
    colours = {label.get_text(): label.get_color() for label in figure.axes[0].get_yticklabels()}
    assert colours["a"] == colours["b"] != colours["c"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["x", "y"]
    assert drawn(figure).startswith(b"\x89PNG")


def test_equal_members_make_a_tree_too() -> None:
    assert drawn(dendrogram(average_linkage(np.zeros((3, 3))), ["a", "b", "c"])).startswith(b"\x89PNG")


def test_every_class_of_a_space_has_a_look_of_its_own() -> None:
    names = [f"region {number:02d}" for number in range(20)]
    looks = list(look(names))
    assert [name for name, _, _ in looks] == names
    assert len({(colour, mark) for _, colour, mark in looks}) == 20
    figure = embedding_picture(np.arange(40.0).reshape(20, 2), names, axes=("first component", "second component"))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == names
    assert figure.axes[0].get_xlabel() == "first component"
    assert figure.axes[0].get_aspect() == 1.0, "a distance is as long across as it is upwards"


def test_axes_that_mean_nothing_carry_no_numbers() -> None:
    figure = embedding_picture(np.arange(6.0).reshape(3, 2), ["a", "b", "b"])
    assert list(figure.axes[0].get_xticks()) == []


def test_places_are_drawn_east_to_the_right_and_north_up() -> None:
    degrees = np.array([[45.0, 9.0], [38.0, 15.5]])
    figure = place_map(degrees, ["lombardia", "calabria"], np.array([1.0, -2.0]), title="ours")
    by_class = figure.axes[0].collections
    assert [np.asarray(one.get_offsets()).tolist() for one in by_class] == [[[15.5, 38.0]], [[9.0, 45.0]]]
    assert not figure.axes[0].texts
    named = place_map(degrees, ["lombardia", "calabria"], np.array([1.0, -2.0]), names=["Milano", "Reggio"])
    assert [text.get_text() for text in named.axes[0].texts] == ["Milano", "Reggio"]
    assert figure.axes[0].get_aspect() == pytest.approx(1 / np.cos(np.radians(41.5)))
    assert drawn(figure).startswith(b"\x89PNG")


def test_a_dollar_sign_in_a_name_opens_no_formula() -> None:
    names, distances = ["US$ and $A", "$\\frac$", "c"], np.ones((3, 3)) - np.eye(3)
    pairs = {"one": np.repeat(names, 3), "other": names * 3, "truth": np.repeat(names, 3), "predicted": names * 3}
    table = pd.DataFrame({**pairs, "count": 1, "cosine": 0.5})
    figures = [
        dendrogram(average_linkage(distances), names, classes={name: name for name in names}),
        embedding_picture(np.arange(6.0).reshape(3, 2), names),
        place_map(np.array([[45.0, 9.0], [38.0, 15.5], [40.0, 14.0]]), names, np.ones(3), names=names),
        similarity_map(table),
        confusion_matrix(table),
    ]
    for figure in figures:
        assert drawn(figure).startswith(b"\x89PNG")


def test_similarity_stands_in_its_cells() -> None:
    table = pd.DataFrame({"one": ["a", "a", "b", "b"], "other": ["a", "b"] * 2, "cosine": [1.0, -0.43, -0.43, 1.0]})
    figure = similarity_map(table, title="ours")
    assert [text.get_text() for text in figure.axes[0].texts] == ["1.0", "-0.4", "-0.4", "1.0"]


def content(html: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="content">(.*?)</script>', html, re.DOTALL)
    assert found
    read: dict[str, object] = json.loads(found.group(1))
    return read


def test_a_page_holds_what_was_given_and_looks_nowhere_else() -> None:
    html = point_page(np.array([[0.0, 5], [2, 1]]), ["a", "b"], [{"id": "1"}, {"id": "2"}], title="ours")
    found = content(html)
    assert found["points"] == [[0, 0], [1, 1]]
    assert found["about"] == [{"id": "1"}, {"id": "2"}]
    assert found["sounds"] == [None, None]
    assert "default-src 'none'" in html
    assert not re.search(r"(src|href)\s*=\s*[\"']?http", html)
    assert html.count("http") == html.count("http://www.w3.org/2000/svg") + html.count("http-equiv")


def test_text_of_the_data_is_never_markup() -> None:
    evil = "</script><img src=x onerror=alert(1)>&\"'\u2028"
    html = point_page(np.zeros((1, 2)), [evil], [{evil: evil}], title=evil, note=evil)
    assert "<img" not in html
    assert html.count("</script>") == 2  # the page's own
    found = content(html)
    assert (found["classes"], found["about"]) == ([evil], [{evil: evil}])


@pytest.mark.parametrize("samples", [np.array([0.0, 0.5, -2.0, np.nan]), np.array([0, 16383, -32767, 0], np.int16)])
def test_a_sound_is_a_file_of_its_own(samples: np.ndarray) -> None:
    address = sound_address(samples, 8000.0)
    kind, _, data = address.partition(",")
    assert kind == "data:audio/wav;base64"
    with wave.open(io.BytesIO(base64.b64decode(data))) as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate(), sound.getnframes()) == (1, 2, 8000, 4)
        assert np.frombuffer(sound.readframes(4), "<i2").tolist() == [0, 16383, -32767, 0]
