"""Beam search over a batch with kept keys and values against one utterance after another without, in one process and by turns.

    python -m benchmarks.decoding [--utterances 8] [--beams 10] [--steps 30] [--frames 100] [--dim 256] [--layers 6]

Decoders are untrained, frames are noise of unequal length, and the end is made so unlikely that every text has `--steps` tokens,
so that both forms do the same work. The plain form (`tests/reference/decoding.py`) takes the beams of one utterance as a batch
and runs the whole decoder on every prefix anew. On a CPU, times are processor seconds of all threads; on a GPU they are seconds by
the clock. Whether both write the same tokens is shown, too.

Runs where only torch, numpy, scipy and scikit-learn are installed, as `benchmarks/gpu.py` does.
"""

from __future__ import annotations

import argparse

import torch

from benchmarks import stand_ins

ABSENT = stand_ins.provide()

from benchmarks.timing import CLOCK, DEVICE, best_times, machine  # noqa: E402
from tests.reference import decoding as plain  # noqa: E402
from tswork.encoders.base import Frames  # noqa: E402
from tswork.random import seeded  # noqa: E402
from tswork.text.decoder import TextDecoder, TextDecoderConfig  # noqa: E402
from tswork.text.search import Written, beam_search  # noqa: E402
from tswork.text.tokenizer import END  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=8)
    parser.add_argument("--beams", type=int, default=10)
    parser.add_argument("--steps", type=int, default=30, help="tokens that are written")
    parser.add_argument(
        "--frames", type=int, default=100, help="frames of the longest utterance; the shortest has half"
    )
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--vocabulary", type=int, default=1000)
    parser.add_argument("--least", type=int, default=2, help="runs of each form; the best counts")
    options = parser.parse_args()
    print(machine())
    if ABSENT:
        print(f"stand-ins for {', '.join(ABSENT)}")
    decoder = untrained(options.dim, options.layers, options.vocabulary)
    frames = noise(options.utterances, options.frames, options.dim)

    def ours() -> Written:
        return beam_search(decoder, frames, beams=options.beams, longest=options.steps)

    def theirs() -> list[tuple[list[int], float]]:
        return plain.beam_search(decoder, frames, beams=options.beams, longest=options.steps)

    print(f"\n{options.utterances} utterances, {options.beams} beams, {options.steps} tokens, {options.frames} frames")
    best = best_times({"ours": ours, "plain": theirs}, seconds=0, least=options.least, clock=CLOCK)
    for name, spent in best.items():
        print(f"{name:15} {spent:10.3f} s   plain / this {best['plain'] / spent:8.1f}")
    print(f"same tokens in {agreement(ours(), theirs())} utterances")


def untrained(dim: int, layers: int, vocabulary: int) -> TextDecoder:
    """A decoder that hardly ever ends."""
    config = TextDecoderConfig(dim=dim, layers=layers, heads=8)
    with seeded(0):
        decoder = TextDecoder(config, vocabulary=vocabulary, frame_dim=dim)
    with torch.no_grad():
        decoder.out.weight.mul_(4.0)  # a spread of probabilities as of a trained one
        decoder.out.bias[END] = -100.0
    return decoder.eval().to(DEVICE)


def noise(utterances: int, longest: int, dim: int) -> Frames:
    """Frames of utterances from half the longest length up."""
    values = torch.randn(utterances, longest, dim, generator=torch.Generator().manual_seed(0))
    lengths = torch.linspace(longest // 2, longest, utterances).long()
    return Frames(values.to(DEVICE), lengths.to(DEVICE))


def agreement(ours: Written, theirs: list[tuple[list[int], float]]) -> str:
    """How many utterances got the same tokens from both."""
    same = [
        ids[:length].tolist() == tokens
        for ids, length, (tokens, _) in zip(ours.tokens.ids, ours.tokens.lengths.tolist(), theirs, strict=True)
    ]
    return f"{sum(same)} of {len(same)}"


if __name__ == "__main__":
    main()
