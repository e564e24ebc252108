"""Source and filter: pulses of the vocal folds and noise, shaped by resonances that move.

Fant's model (Acoustic Theory of Speech Production, 1960) in its usual digital form: one two-pole resonance a formant, in cascade.
The filter changes from frame to frame: overlapping frames of the source are filtered by their spectra and added, all frames in
one array operation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex128, Float64

FRAMES_PER_SECOND = 200
RINGING_SECONDS = 0.022
"""How long a frame's resonances are let to ring; the narrowest has then fallen by 42 dB."""
PIECE = 4096
"""Frames that are filtered at once; it bounds the memory."""
WIDTHS = (70.0, 100.0, 150.0, 220.0)
"""Bandwidths of the formants in Hz; higher ones have the last."""


@dataclass(frozen=True)
class Tracks:
    """What is spoken at the beginning of every frame: frequencies in Hz, amplitudes between 0 and 1."""

    pitch: Float64[np.ndarray, "frame"]
    formants: Float64[np.ndarray, "frame formant"]
    voice: Float64[np.ndarray, "frame"]
    noise: Float64[np.ndarray, "frame"]
    band: Float64[np.ndarray, "frame 2"]
    """Centre and width of the noise."""


def synthesise(
    tracks: Tracks, *, softness: float, breath: float, rate: int, draw: np.random.Generator
) -> Float64[np.ndarray, "time"]:
    """Speech from its tracks: one frame fewer than they have, of `rate / 200` samples each."""
    hop = rate // FRAMES_PER_SECOND
    frames = len(tracks.pitch)
    voiced = pulses(_at_samples(tracks.pitch, hop), rate)
    voiced = (voiced + breath * draw.standard_normal(len(voiced))) * _at_samples(tracks.voice, hop)
    hissing = draw.standard_normal(len(voiced)) * _at_samples(tracks.noise, hop)
    size = 1 << int(np.ceil(np.log2(2 * hop + RINGING_SECONDS * rate)))
    fall = 1 - np.exp(-2 * np.pi * softness / rate)
    soft = fall / np.fft.rfft([1, fall - 1], size)  # what falls by 6 dB an octave
    reach = -(-size // hop)
    summed = np.zeros((frames + reach, hop))
    widths = np.array([*WIDTHS, *WIDTHS[-1:] * tracks.formants.shape[1]])[: tracks.formants.shape[1]]
    window = np.sin(np.pi * np.arange(2 * hop) / (2 * hop)) ** 2  # two of them, a hop apart, sum to 1
    for first in range(0, frames, PIECE):
        rows = slice(first, min(first + PIECE, frames))
        formants = tracks.formants[rows]
        mouth = soft / _poles(formants, np.broadcast_to(widths, formants.shape), rate, size)
        teeth = np.fft.rfft([1, -1], size) / _poles(tracks.band[rows, :1], tracks.band[rows, 1:], rate, size)
        spectra = np.fft.rfft(_frames(voiced, hop, rows) * window, size) * mouth
        spectra += np.fft.rfft(_frames(hissing, hop, rows) * window, size) * teeth
        filtered = np.zeros((rows.stop - rows.start, reach * hop))
        filtered[:, :size] = np.fft.irfft(spectra, size)
        for step, block in enumerate(filtered.reshape(-1, reach, hop).transpose(1, 0, 2)):
            summed[rows.start + step : rows.stop + step] += block
    # Frame k is centred where the sound of frame k begins, so the first hop lies before the beginning.
    return np.asarray(summed[1:frames].reshape(-1))


def pulses(pitch: Float64[np.ndarray, "time"], rate: int) -> Float64[np.ndarray, "time"]:
    """A pulse whenever the phase of the pitch completes a turn, shared by the two samples that it falls between."""
    phase = np.cumsum(pitch / rate)
    at = np.flatnonzero(np.diff(np.floor(phase)) > 0) + 1
    late = (phase[at] - np.floor(phase[at])) / (pitch[at] / rate)
    train = np.zeros(len(pitch))
    train[at] = 1 - late
    train[at - 1] += late
    # Equal loudness whatever the pitch.
    return np.asarray(train / np.sqrt(pitch / rate))


def _at_samples(track: Float64[np.ndarray, "frame"], hop: int) -> Float64[np.ndarray, "time"]:
    """A track on straight lines between its frames."""
    return np.asarray(np.interp(np.arange((len(track) - 1) * hop), np.arange(len(track)) * hop, track))


def _frames(source: Float64[np.ndarray, "time"], hop: int, rows: slice) -> Float64[np.ndarray, "frame two_hops"]:
    """Frames of two hops around the beginning of each hop."""
    padded = np.pad(source, hop)
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * hop)[rows.start * hop : rows.stop * hop : hop]


def _poles(
    centres: Float64[np.ndarray, "frame pole"], widths: Float64[np.ndarray, "frame pole"], rate: int, size: int
) -> Complex128[np.ndarray, "frame bin"]:
    """The spectrum of the denominator of resonances in cascade, each with gain 1 at frequency 0."""
    radius = np.exp(-np.pi * widths / rate)
    middle = -2 * radius * np.cos(2 * np.pi * centres / rate)
    scale = 1 + middle + radius**2
    denominator = np.ones((len(centres), 1))
    for pole in range(centres.shape[1]):
        longer = np.pad(denominator, ((0, 0), (0, 2)))
        longer[:, 1:-1] += middle[:, pole, None] * denominator
        longer[:, 2:] += radius[:, pole, None] ** 2 * denominator
        denominator = longer / scale[:, pole, None]
    return np.asarray(np.fft.rfft(denominator, size))
