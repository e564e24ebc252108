"""Fine-tunings that outlive an interruption of their protocol: the best network of several recipes, as files and back.

The networks of all recipes are pieces of the one that is chosen among them. So for what is finished there is one network on disk, and
those of other recipes only while the choice is open.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from tswork.context import Context
from tswork.data.collection import DataInfo, Part
from tswork.methods.model import Model
from tswork.methods.weights import changing_weights_of, load_changing_weights, read_weights, write_weights
from tswork.protocols.fine_tuning import Recipe, Tuned, fine_tune, tuned_model
from tswork.recorder import Tee

WEIGHTS = "weights.safetensors"
ABOUT = "tuned.json"


@dataclass(frozen=True, eq=False)
class Tuning:
    """Whose encoder is fine-tuned, and on what."""

    name: str
    """Row and share, as curves and errors say it."""
    source: Model
    drawn: Part
    """The labelled items."""
    part: Callable[[], Part]
    """The same as the network reads them; made when a network has to be trained."""
    validation: Part
    info: DataInfo

    def best(self, recipes: Sequence[Recipe], context: Context) -> Tuned:
        """The best on the validation part of the networks that the recipes give, the first of equal ones.

        Those that the context has kept are not trained again. Raises what `fine_tune` raises.
        """
        if len(recipes) == 1:
            return self._tuned(recipes[0], self.name, context)

        def choose(inner: Context) -> Tuned:
            found = [self._tuned(one, f"{self.name}/{one.learning_rate:g}", inner) for one in recipes]
            return max(found, key=lambda one: one.score)

        return self._kept([asdict(one) for one in recipes], choose, context)

    def _tuned(self, recipe: Recipe, name: str, context: Context) -> Tuned:
        def tune(inner: Context) -> Tuned:
            named = replace(inner, recorder=Tee([inner.recorder], prefix=f"{name}/"))
            return fine_tune(self.source, recipe, self.part(), self.validation, self.info, named, name=name)

        return self._kept(asdict(recipe), tune, context)

    def _kept(self, recipes: object, make: Callable[[Context], Tuned], context: Context) -> Tuned:
        items = hashlib.sha256(np.ascontiguousarray(self.drawn.spans.numpy()).data).hexdigest()
        key = {"tuned": self.name, "recipes": recipes, "items": items, "seed": context.seed}
        return context.kept(key, make, write=write_tuned, read=lambda folder: self._read(folder, context))

    def _read(self, folder: Path, context: Context) -> Tuned:
        about = json.loads((folder / ABOUT).read_text())
        recipe = Recipe(**about.pop("recipe"))
        model = tuned_model(self.source, recipe, self.info, seed=0)
        load_changing_weights(model, read_weights(folder / WEIGHTS), source=str(folder))
        return Tuned(model.to(context.device).eval(), recipe=recipe, **about)


def write_tuned(folder: Path, tuned: Tuned) -> None:
    """The weights that differ from those the encoder was built with, and what is known of the training."""
    write_weights(folder / WEIGHTS, changing_weights_of(tuned.model))
    about = {"recipe": asdict(tuned.recipe), "score": tuned.score, "steps": tuned.steps, "stopped": tuned.stopped}
    (folder / ABOUT).write_text(json.dumps(about))
