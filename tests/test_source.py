"""YAML with places: what is read, and that everything else is refused where it stands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tswork.errors import Location, PipelineInvalid
from tswork.source import MAX_DEPTH, merge, parse_yaml, read_yaml, replace_at, show_path


def faults(text: str) -> list[str]:
    with pytest.raises(PipelineInvalid) as refused:
        parse_yaml(text, "p.yaml")
    return [str(problem) for problem in refused.value.problems]


def test_values_follow_yaml_1_2() -> None:
    source = parse_yaml("a: 1e-3\nb: no\nc: 012\nd: 0x1F\ne: ~\nf:\ng: true\nh: 2016-01-01\ni: '1'\nj: 1:30", "p.yaml")
    assert source.data == {
        "a": 0.001, "b": "no", "c": 12, "d": 31, "e": None, "f": None, "g": True, "h": "2016-01-01", "i": "1", "j": "1:30",
    }  # fmt: skip


def test_every_value_knows_its_place() -> None:
    source = parse_yaml("stages:\n  train:\n    horizons: [24, 48]\n", "p.yaml")
    assert source.locate(("stages", "train", "horizons", 1)) == Location("p.yaml", 3, 20)
    assert str(source.locate(("stages", "train"))) == "p.yaml:3:5"
    assert source.locate(("stages", "train", "absent")) == source.locate(("stages", "train"))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: 1\nb: 2\na: 3", "p.yaml:3:1  the key 'a' stands twice (first at p.yaml:1:1). Remove one of the two."),
        ("a:\n\t- b", "p.yaml:2:1  is not valid YAML: found character '\\t' that cannot start any token. Indent with spaces; YAML allows no tabs."),
        ("", "p.yaml:1:1  is empty"),
        ("# only a comment\n", "p.yaml:1:1  is empty"),
        ("a: .inf", "p.yaml:1:4  a: .inf is not a finite number"),
        ("a: .nan", "p.yaml:1:4  a: .nan is not a finite number"),
        ("a: " + "1" * 5000, "p.yaml:1:4  a: a number of 5000 digits is too long"),
        ("a: !python/object:os.system x", "p.yaml:1:4  a: the tag !python/object:os.system is not read. Write plain text, numbers, lists and blocks."),
        ("a: 1\n---\nb: 2", "p.yaml:2:1  holds more than one document. Keep one pipeline a file."),
        ("<<: {a: 1}", "p.yaml:1:1  merge keys are not read. Use `extends:` or repeat the keys."),
        ("? [a, b]\n: 1", "p.yaml:1:3  a key should be text"),
        ("a: \0", "p.yaml  is a binary file, not YAML"),
        ("[" * 1000 + "]" * 1000, f"p.yaml:1:{MAX_DEPTH + 1}  is nested more than {MAX_DEPTH} deep"),
        ("a: {" * 1000, f"p.yaml:1:{4 * MAX_DEPTH}  is nested more than {MAX_DEPTH} deep"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_where_it_stands(text: str, fault: str) -> None:
    assert faults(text) == [fault]


def test_all_faults_of_a_tree_are_told_at_once() -> None:
    assert len(faults("a: .inf\nb: !x y\na: 2")) == 3


def test_an_alias_is_read_but_a_bomb_of_aliases_is_refused() -> None:
    assert parse_yaml("a: &x [1, 2]\nb: *x", "p.yaml").data == {"a": [1, 2], "b": [1, 2]}
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9))
    assert "holds more than" in faults(bomb)[0]


def test_files_that_are_not_text_are_refused(tmp_path: Path) -> None:
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("name: caf\xe9".encode("latin-1"))
    with pytest.raises(PipelineInvalid, match=r"latin\.yaml:1:10  is not UTF-8 text\. Save the file as UTF-8\."):
        read_yaml(latin)
    with pytest.raises(PipelineInvalid, match="there is no such file"):
        read_yaml(tmp_path / "absent.yaml")


def test_a_child_wins_key_by_key_and_keeps_its_places() -> None:
    parent = parse_yaml("seed: 1\nencoder: {uses: a, dim: 3}\nlist: [1, 2]", "parent.yaml")
    child = parse_yaml("seed: 2\nencoder: {dim: 4}\nlist: [3]", "child.yaml")
    merged = merge(parent, child)
    assert merged.data == {"seed": 2, "encoder": {"uses": "a", "dim": 4}, "list": [3]}
    assert str(merged.locate(("encoder", "uses"))) == "parent.yaml:2:17"
    assert str(merged.locate(("encoder", "dim"))) == "child.yaml:2:16"


def test_a_child_that_uses_something_else_replaces_the_block() -> None:
    parent = parse_yaml("encoder: {uses: a, dim: 3}", "parent.yaml")
    assert merge(parent, parse_yaml("encoder: {uses: b}", "c")).data == {"encoder": {"uses": "b"}}


def test_a_value_is_put_at_a_path_and_blocks_are_made_on_the_way() -> None:
    source = parse_yaml("stages: {train: {uses: x}}", "p.yaml")
    value = parse_yaml("5", "-s argument 1")
    changed = replace_at(source, ("stages", "train", "epochs"), value)
    assert changed.data == {"stages": {"train": {"uses": "x", "epochs": 5}}}
    assert changed.locate(("stages", "train", "epochs")) == value.marks[()]
    assert replace_at(source, ("data", "split", "by"), value).data["data"] == {"split": {"by": 5}}
    with pytest.raises(PipelineInvalid, match=r"stages\.train\.uses: is not a block"):
        replace_at(source, ("stages", "train", "uses", "name"), value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats(allow_nan=False, allow_infinity=False) | st.text("abc \n:#é", max_size=8),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text("abcé", min_size=1, max_size=4), children, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(json_values.filter(lambda value: value is not None))
def test_json_is_read_as_what_it_says(value: object) -> None:
    assert parse_yaml(json.dumps(value), "p.yaml").data == value


def test_paths_are_shown_as_people_write_them() -> None:
    assert show_path(("stages", "a", "horizons", 2)) == "stages.a.horizons[2]"
