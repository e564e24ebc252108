"""A page of points that one can look into: what each item is, and what it sounds like. One file, no outside scripts.

All text of the data reaches the page as JSON whose `<`, `>` and `&` are escaped, and is written into the document as text alone, so that no
label or id can become markup. The page forbids itself any connection.
"""

from __future__ import annotations

import base64
import io
import json
import wave
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from jaxtyping import Float, Int16

from tswork.figures.points import look

FULL_SCALE = 32767
SHAPES = {
    "o": "M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0z",
    "s": "M-4.5,-4.5h9v9h-9z",
    "v": "M0,5.5L5.5,-4.5H-5.5z",
    "^": "M0,-5.5L5.5,4.5H-5.5z",
    "D": "M0,-6L6,0L0,6L-6,0z",
}
"""Marks of the figures as paths about the origin."""


def point_page(
    points: Float[np.ndarray, "item 2"],
    classes: Sequence[str],
    about: Sequence[Mapping[str, str]],
    *,
    title: str,
    note: str = "",
    sounds: Sequence[str | None] | None = None,
) -> str:
    """The page. `about` has what is shown of each item (id, speaker, ...), `sounds` an address (`data:...`) or None for each."""
    low, high = points.min(axis=0), points.max(axis=0)
    placed = (points - low) / np.where(high > low, high - low, 1.0)
    content: dict[str, Any] = {
        "points": [[round(float(x), 4), round(1 - float(y), 4)] for x, y in placed],
        "classes": list(classes),
        "about": [dict(one) for one in about],
        "sounds": list(sounds) if sounds is not None else [None] * len(points),
        "look": {name: [colour, SHAPES[mark]] for name, colour, mark in look(classes)},
    }
    return PAGE.replace("%TITLE%", escape(title)).replace("%NOTE%", escape(note)).replace("%CONTENT%", _json(content))


def sound_address(samples: Float[np.ndarray, "time"] | Int16[np.ndarray, "time"], rate: float) -> str:
    """A sound as a `data:` address of a WAV file of 16 bits; floats are cut to -1 to 1."""
    if samples.dtype != np.int16:
        samples = (np.clip(np.nan_to_num(samples), -1, 1) * FULL_SCALE).astype(np.int16)
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(round(rate))
        sound.writeframes(np.ascontiguousarray(samples.astype("<i2")).tobytes())
    return "data:audio/wav;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def _json(content: Any) -> str:
    """JSON that may stand inside a script element whatever its strings hold."""
    text = json.dumps(content, ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; media-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%TITLE%</title>
<style>
body { margin: 1rem; font: 14px/1.4 system-ui, sans-serif; color: #222; }
main { display: flex; gap: 1rem; align-items: flex-start; flex-wrap: wrap; }
svg { border: 1px solid #ddd; touch-action: manipulation; }
path { stroke: white; stroke-width: 0.5; cursor: default; }
path.sounding { cursor: pointer; }
path.faint { opacity: 0.08; }
path:focus { outline: none; stroke: black; stroke-width: 2; }
button { display: block; border: 0; background: none; font: inherit; padding: 1px 4px; cursor: pointer; }
button.off { opacity: 0.35; }
button svg { border: 0; vertical-align: -1px; margin-right: 0.5em; }
#about { min-height: 6em; white-space: pre-line; }
</style>
</head>
<body>
<h1 style="font-size: 1.1rem">%TITLE%</h1>
<p>%NOTE%</p>
<main>
<svg id="plane" width="760" height="620" role="img" aria-label="one point an item"></svg>
<div><div id="about" aria-live="polite"></div><div id="classes"></div></div>
</main>
<script type="application/json" id="content">%CONTENT%</script>
<script>
"use strict";
const data = JSON.parse(document.getElementById("content").textContent);
const plane = document.getElementById("plane"), about = document.getElementById("about");
const hidden = new Set(), marks = [], player = new Audio();
const width = 760, height = 620, margin = 18;
function tell(item) {
  about.textContent = Object.entries(data.about[item]).map(([name, value]) => name + ": " + value).join("\\n")
    + (data.sounds[item] ? "\\nclick to hear it" : "");
}
function draw(kind) { return document.createElementNS("http://www.w3.org/2000/svg", kind); }
function marked(name) {
  const [colour, shape] = data.look[name], mark = draw("path");
  mark.setAttribute("d", shape);
  mark.setAttribute("fill", colour);
  return mark;
}
function play(item) {
  if (data.sounds[item]) { player.src = data.sounds[item]; player.play(); }
}
data.points.forEach(([x, y], item) => {
  const mark = marked(data.classes[item]);
  const place = [margin + x * (width - 2 * margin), margin + y * (height - 2 * margin)];
  mark.setAttribute("transform", "translate(" + place + ")");
  mark.setAttribute("tabindex", 0);
  if (data.sounds[item]) mark.classList.add("sounding");
  mark.addEventListener("mouseenter", () => tell(item));
  mark.addEventListener("focus", () => tell(item));
  mark.addEventListener("click", () => play(item));
  mark.addEventListener("keydown", event => { if (event.key === "Enter") play(item); });
  marks.push(mark);
  plane.append(mark);
});
for (const name of Object.keys(data.look)) {
  const button = document.createElement("button"), sign = draw("svg");
  for (const [key, value] of [["width", 12], ["height", 12], ["viewBox", "-6 -6 12 12"]]) sign.setAttribute(key, value);
  sign.append(marked(name));
  button.append(sign, name);
  button.addEventListener("click", () => {
    if (!hidden.delete(name)) hidden.add(name);
    button.classList.toggle("off", hidden.has(name));
    marks.forEach((mark, item) => mark.classList.toggle("faint", hidden.has(data.classes[item])));
  });
  document.getElementById("classes").append(button);
}
</script>
</body>
</html>
"""
