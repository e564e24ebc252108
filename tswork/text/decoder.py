"""A pre-norm transformer decoder that reads an encoder's frames and says the next token.

Vaswani et al., "Attention Is All You Need", NeurIPS 2017; pre-norm as in Xiong et al., "On Layer Normalization in the
Transformer Architecture", ICML 2020. Token embeddings times the root of the width, sinusoidal positions, linear output, weight
matrices by Glorot and Bengio (AISTATS 2010), in the sizes that COCONUT's authors use for SLURP. Padding frames are masked as keys of
the attention across; padding tokens come after all real ones, which cannot look ahead: a clip gives the same logits alone and in a
padded batch.

With `pooled` it attends to one more position before the frames: the clip's one vector, through a projection of its own. It is never
masked, so that also a clip without frames has something to read. No paper; an encoder whose frames alone teach the attention little
may have learned its vector long before.

To write text, `begin` computes keys and values of the frames once, which all hypotheses of an utterance share, and `step` adds
one token, whose keys and values are kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tswork.config import ADDED_LATER, Config
from tswork.encoders.base import Frames, valid_steps
from tswork.encoders.transformer import positions
from tswork.errors import ModelUnfit

KeysValues = tuple[Tensor, Tensor]


class TextDecoderConfig(Config):
    dim: int = Field(default=768, ge=2, description="width of a token; even, and a multiple of `heads`")
    layers: int = Field(default=6, ge=1, description="layers")
    heads: int = Field(default=8, ge=1, description="attention heads")
    widening: int = Field(default=4, ge=1, description="width of the feed-forward part as a multiple of `dim`")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="dropout in training")
    pooled: bool = Field(
        default=False,
        description="attend to the sequence's one vector too, as `pooling` makes it, before its frames",
        json_schema_extra=ADDED_LATER,
    )


@dataclass
class DecoderState:
    """What is known of utterances that are being written: keys and values of what is heard, and of the tokens so far."""

    across: list[KeysValues]
    """Of each layer, `(batch, head, frame, width)`."""
    seen: Bool[Tensor, "batch 1 1 frame"]
    own: list[KeysValues]
    """Of each layer, `(batch * beam, head, token, width)`."""

    @property
    def written(self) -> int:
        """Tokens so far."""
        return self.own[0][0].shape[2] if self.own else 0

    def select(self, source: Int[Tensor, "batch beam"], beams: int) -> None:
        """Go on with other hypotheses: those at places `source` among the `beams` of each utterance."""
        first = torch.arange(len(source), device=source.device)[:, None] * beams
        rows = (first + source).flatten()
        self.own = [(keys[rows], values[rows]) for keys, values in self.own]


class TextDecoder(nn.Module):
    """Logits of the next token, given frames and the tokens so far; with `pooled`, given the pooled vectors too."""

    def __init__(
        self, config: TextDecoderConfig, *, vocabulary: int, frame_dim: int, vector_dim: int | None = None
    ) -> None:
        super().__init__()
        if config.dim % config.heads or config.dim % 2:
            reason = f"a width of {config.dim} does not fit {config.heads} heads"
            raise ModelUnfit("the decoder", reason, "Choose an even multiple.")
        self.dim, self.vocabulary = config.dim, vocabulary
        self.embed = nn.Embedding(vocabulary, config.dim)
        self.bridge = nn.Identity() if frame_dim == config.dim else nn.Linear(frame_dim, config.dim)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.dim)
        self.out = nn.Linear(config.dim, vocabulary)
        self.dropout = nn.Dropout(config.dropout)
        self.lead: nn.Linear | None = None
        if config.pooled:
            self.lead = nn.Linear(frame_dim if vector_dim is None else vector_dim, config.dim)
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)

    @property
    def pooled(self) -> bool:
        """Whether it reads pooled vectors beside frames."""
        return self.lead is not None

    def forward(
        self, inputs: Int[Tensor, "batch token"], frames: Frames, vectors: Float[Tensor, "batch width"] | None = None
    ) -> Float[Tensor, "batch token vocabulary"]:
        """The logits of what follows each input token, all at once. Without `pooled`, vectors are not read."""
        state = self.begin(frames, vectors)
        hidden = self._embedded(inputs, 0)
        for layer, across in zip(self._stack, state.across, strict=True):
            hidden, _ = layer(hidden, across, state.seen, None)
        logits: Tensor = self.out(self.norm(hidden))
        return logits

    def begin(self, frames: Frames, vectors: Float[Tensor, "batch width"] | None = None) -> DecoderState:
        """Nothing written yet, one hypothesis an utterance."""
        values, lengths = self.bridge(frames.values), frames.lengths
        if self.lead is not None:
            assert vectors is not None, "a decoder with `pooled` reads the pooled vectors"
            values, lengths = torch.cat([self.lead(vectors)[:, None], values], dim=1), lengths + 1
        # An utterance of no frames may look at its first padding frame, so that no softmax is over nothing.
        seen = valid_steps(lengths.clamp(min=1), values.shape[1])[:, None, None, :]
        return DecoderState([layer.across.keys_values(values) for layer in self._stack], seen, [])

    def step(self, state: DecoderState, tokens: Int[Tensor, "batch beam"]) -> Float[Tensor, "batch beam vocabulary"]:
        """The logits of what follows one more token of each hypothesis; the state takes it in."""
        hidden = self._embedded(tokens.reshape(-1, 1), state.written)
        own: list[KeysValues] = []
        for index, (layer, across) in enumerate(zip(self._stack, state.across, strict=True)):
            before = state.own[index] if state.own else _nothing(hidden, layer.own.heads)
            hidden, known = layer(hidden, across, state.seen, before)
            own.append(known)
        state.own = own
        logits: Tensor = self.out(self.norm(hidden[:, 0]))
        return logits.view(*tokens.shape, -1)

    @property
    def _stack(self) -> list[DecoderLayer]:
        return [layer for layer in self.layers if isinstance(layer, DecoderLayer)]

    def _embedded(self, tokens: Int[Tensor, "rows token"], first: int) -> Float[Tensor, "rows token dim"]:
        embedded = self.embed(tokens) * math.sqrt(self.dim)
        place = positions(embedded.new_zeros(1, first + tokens.shape[1], self.dim))[first:]
        hidden: Tensor = self.dropout(embedded + place)
        return hidden


class DecoderLayer(nn.Module):
    """Attention among the tokens, attention to the frames, and feed-forward, each behind a layer norm and beside a skip."""

    def __init__(self, config: TextDecoderConfig) -> None:
        super().__init__()
        self.first, self.second, self.third = (nn.LayerNorm(config.dim) for _ in range(3))
        self.own, self.across = Attention(config), Attention(config)
        self.widen = nn.Linear(config.dim, config.widening * config.dim)
        self.narrow = nn.Linear(config.widening * config.dim, config.dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        hidden: Float[Tensor, "rows token dim"],
        across: KeysValues,
        seen: Bool[Tensor, "batch 1 1 frame"],
        before: KeysValues | None,
    ) -> tuple[Float[Tensor, "rows token dim"], KeysValues]:
        """The tokens one layer up, and the keys and values of all tokens so far; `before` None: these are all."""
        normed = self.first(hidden)
        known = self.own.keys_values(normed)
        if before is not None:
            known = torch.cat([before[0], known[0]], dim=2), torch.cat([before[1], known[1]], dim=2)
        hidden = hidden + self.dropout(self.own(normed, known, causal=before is None))
        # Hypotheses of one utterance stand side by side as queries to its frames.
        asked = self.second(hidden).reshape(len(seen), -1, hidden.shape[2])
        hidden = hidden + self.dropout(self.across(asked, across, seen=seen).reshape(hidden.shape))
        return hidden + self.dropout(self.narrow(functional.gelu(self.widen(self.third(hidden))))), known


class Attention(nn.Module):
    """Attention to keys and values that are given."""

    def __init__(self, config: TextDecoderConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.ask = nn.Linear(config.dim, config.dim)
        self.know = nn.Linear(config.dim, 2 * config.dim)
        self.out = nn.Linear(config.dim, config.dim)
        self.rate = config.dropout

    def keys_values(self, source: Float[Tensor, "rows step dim"]) -> KeysValues:
        """Keys and values of a source, by head."""
        keys, values = self.know(source).chunk(2, dim=2)
        return self._by_head(keys), self._by_head(values)

    def forward(
        self,
        asked: Float[Tensor, "rows query dim"],
        known: KeysValues,
        *,
        seen: Bool[Tensor, "rows 1 1 step"] | None = None,
        causal: bool = False,
    ) -> Float[Tensor, "rows query dim"]:
        mixed = functional.scaled_dot_product_attention(
            self._by_head(self.ask(asked)),
            *known,
            attn_mask=seen,
            dropout_p=self.rate if self.training else 0.0,
            is_causal=causal,
        )
        result: Tensor = self.out(mixed.transpose(1, 2).reshape(asked.shape))
        return result

    def _by_head(self, steps: Float[Tensor, "rows step dim"]) -> Float[Tensor, "rows head step width"]:
        rows, length, dim = steps.shape
        return steps.view(rows, length, self.heads, dim // self.heads).transpose(1, 2)


def _nothing(hidden: Float[Tensor, "rows token dim"], heads: int) -> KeysValues:
    rows, _, dim = hidden.shape
    none = hidden.new_zeros(rows, heads, 0, dim // heads)
    return none, none
