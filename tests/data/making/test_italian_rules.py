"""Regional rules on phonemes: what each variety says, where a rule applies, and what a strength means."""

from __future__ import annotations

import numpy as np
import pytest

from tswork.data.making.italian_rules import RULES, Spoken, Variety, speak


def said(phonemes: str, variety: Variety, *, strength: float = 1.0, seed: int = 0) -> Spoken:
    return speak(phonemes, RULES[variety], strength=strength, draw=np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("word", "north", "tuscany", "south"),
    [
        ("l.a k.'a.z.a", "l.a k.'a.z.a", "l.a h.'a.z.a", "l.a k.'a.s.a"),  # la casa
        ("v.i.tS.'i.n.a", "v.i.tS.'i.n.a", "v.i.S.'i.n.a", "v.i.tS.'i.n.a"),  # vicina
        ("p.'a.dZ.i.n.a", "p.'a.dZ.i.n.a", "p.'a.Z.i.n.a", "p.'a.dZ:.i.n.a"),  # pagina
        ("kw.'a.n.t.o", "kw.'a.n.t.o", "kw.'a.n.t.o", "kw.'a.n.d.o"),  # quanto
        ("k.'a.m.p.o", "k.'a.m.p.o", "k.'a.m.p.o", "k.'a.m.b.o"),  # campo
        ("a.n.k.'o.R.a", "a.n.k.'o.R.a", "a.n.k.'o.R.a", "a.n.g.'o.R.a"),  # ancora
        ("p.'E.n.s.a", "p.'E.n.s.a", "p.'E.n.s.a", "p.'E.n.ts.a"),  # pensa
        ("s.'u.b.i.t.o", "s.'u.b.i.t.o", "s.'u.b.i.T.o", "s.'u.b:.i.t.o"),  # subito
        ("g.'a.t:.o", "g.'a.t.o", "g.'a.t:.o", "g.'a.t:.o"),  # gatto
        ("m.'a.m.m.a", "m.'a.m.a", "m.'a.m.m.a", "m.'a.m.m.a"),  # mamma
        ("g.w.'E.R.*.a", "g.w.'E.R.a", "g.w.'E.R.*.a", "g.w.'E.R.*.a"),  # guerra
        ("n.e.ss.,U.n.o", "n.e.s.,U.n.o", "n.e.ss.,U.n.o", "n.e.ss.,U.n.o"),  # nessuno
        ("p.'i.ts2:.a", "p.'i.ts.a", "p.'i.ts2:.a", "p.'i.ts2:.a"),  # pizza
        ("k.'a.s.a", "k.'a.z.a", "k.'a.s.a", "k.'a.s.a"),  # a voiceless casa
    ],
)
def test_what_varieties_say(word: str, north: str, tuscany: str, south: str) -> None:
    assert said(word, "standard").phonemes == word
    assert said(word, "north").phonemes == north
    assert said(word, "tuscany").phonemes == tuscany
    assert said(word, "south").phonemes == south


def test_gorgia_goes_over_words_and_not_over_pauses_consonants_or_the_beginning() -> None:
    assert said("m.,i.;.a k.'O.z.a", "tuscany").phonemes == "m.,i.;.a h.'O.z.a"
    assert said("l.a k.j.'a.v.e", "tuscany").phonemes == "l.a h.j.'a.v.e"
    for untouched in ("k.'a.z.a", "i.l k.'a.z.o", "l.a._| k.'a.z.a", "f.@-.*.'e.s.k.o", "k.@-.*.'e.m.a"):
        assert said(untouched, "tuscany") == Spoken(untouched, 0, 0)


def test_long_consonants_and_s_are_matters_of_one_word() -> None:
    assert said("n.o.n n.'a.v.e", "north").places == 0
    assert said("l.a s.'e.*.a", "north").places == 0
    assert said("k.o.n s.'a.l.e", "south").places == 0
    assert said("i.n k.a.m.p.'a.n^.n^.a", "south") == Spoken("i.n g.a.m.b.'a.n^.n^.a", 2, 2)


def test_no_rule_makes_a_place_of_another() -> None:
    """What `n t > n d` leaves is not taken up again, nor does a vowel count that a rule has moved beside a sound."""
    assert said("a.n.t.'i.k.o", "south").phonemes == "a.n.d.'i.k.o"
    for variety in RULES:
        once = said("l.a m.'a.m.m.a p.'E.n.s.a a.l k.'a.m.p.o", variety)
        assert once.places == once.changed


def test_strength_0_says_what_the_standard_says() -> None:
    phonemes = "i.l m.'E.d.i.k.o v.'i.z.i.t.a tS.'E.n.t.o g.'a.t:.I"
    for variety in RULES:
        spoken = said(phonemes, variety, strength=0.0)
        assert (spoken.phonemes, spoken.changed) == (phonemes, 0)
        assert spoken.places == said(phonemes, variety).places


def test_strength_is_the_share_of_places_that_change() -> None:
    many = " ".join(["l.a k.'a.z.a"] * 2000)
    for strength in (0.2, 0.7):
        spoken = said(many, "tuscany", strength=strength)
        assert spoken.places == 2000
        assert abs(spoken.changed / 2000 - strength) < 4 * np.sqrt(strength * (1 - strength) / 2000)
        assert spoken.phonemes.count("h") == spoken.changed


def test_what_changes_at_a_strength_changes_at_any_higher_one() -> None:
    many = " ".join(["l.a k.'a.z.a"] * 50)
    weak, strong = (said(many, "tuscany", strength=strength).phonemes.split(" ") for strength in (0.3, 0.8))
    assert all(after == "h.'a.z.a" for before, after in zip(weak, strong, strict=True) if before == "h.'a.z.a")
