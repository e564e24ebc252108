"""Log-mel frames in batch, against one clip after another; and what the encoders behind them cost.

    python -m benchmarks.log_mel [--clips 64] [--seconds 3] [--rate 16000] [--device cpu]

Clips of noise from a tenth of the longest to the longest, evenly, in one padded batch that lies on the device. One by one means
what a loader without batches does: each clip by itself through the same front end, through torchaudio's `MelSpectrogram`, or
through librosa (which leaves out the normalisation), and then filled up to a batch. Times are multiples of real time: seconds of
sound a second, without padding. Runs of rivals alternate in one process, and the best of each counts; on a CPU in processor seconds,
which what else runs hardly changes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.timing import best_times, machine
from tswork.config import configure
from tswork.data.collection import DataInfo
from tswork.encoders.base import Encoder
from tswork.encoders.front_ends.base import FrontEnd
from tswork.random import seeded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=64, help="clips of the batch")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of the longest")
    parser.add_argument("--rate", type=int, default=16000, help="samples a second")
    parser.add_argument("--device", default="cpu", help="where the batch lies")
    options = parser.parse_args()
    print(machine())
    x, lengths = clips(options.clips, options.seconds, options.rate)
    x, lengths = x.to(options.device), lengths.to(options.device)
    info = DataInfo(("sound",), max_length=x.shape[1], rate=float(options.rate))
    sound = float(lengths.sum()) / options.rate
    print(f"\n{options.clips} clips, {sound:.1f} s of sound at {options.rate} Hz, on {options.device}")
    compare_front_ends(info, x, lengths, sound)
    compare_encoders(info, x, lengths, sound)


@torch.no_grad()
def compare_front_ends(info: DataInfo, x: Tensor, lengths: Tensor, sound: float) -> None:
    """The batch at once and clip by clip, and how far apart their frames are."""
    front: FrontEnd = configure("front_end", "log_mel").build(info).to(x.device)
    counts = lengths.tolist()
    rivals: dict[str, Callable[[], Tensor]] = {
        "in batch": lambda: synchronised(front(x, lengths).values),
        "one by one": lambda: filled([front(x[row : row + 1, :count]).values[0] for row, count in enumerate(counts)]),
        **others(info, x, counts),
    }
    apart = float((rivals["in batch"]() - rivals["one by one"]()).abs().max())
    best = best_times(rivals, seconds=10.0, clock=clock_of(x))
    for name, spent in best.items():
        print(
            f"{name:24} {1000 * spent:8.2f} ms, {sound / spent:8,.0f} times real time, {spent / best['in batch']:5.2f}x"
        )
    print(f"largest difference of the first two {apart:.1e}")


def others(info: DataInfo, x: Tensor, counts: list[int]) -> dict[str, Callable[[], Tensor]]:
    """torchaudio and librosa on one clip after another; the least energy is the front end's."""
    import librosa
    import torchaudio

    rate = int(info.rate or 0)
    window, hop = round(0.025 * rate), round(0.01 * rate)
    transform = torchaudio.transforms.MelSpectrogram(
        rate, n_fft=2 ** (window - 1).bit_length(), win_length=window, hop_length=hop, n_mels=80, f_min=20.0
    ).to(x.device)
    on_host = [x[row, :count, 0].cpu().numpy() for row, count in enumerate(counts)]

    def by_torchaudio() -> Tensor:
        return filled([transform(x[row, :count, 0]).clamp(min=1e-6).log().T for row, count in enumerate(counts)])

    def by_librosa() -> Tensor:
        options = {"n_fft": transform.n_fft, "win_length": window, "hop_length": hop, "n_mels": 80, "fmin": 20.0}
        found = [librosa.feature.melspectrogram(y=clip, sr=rate, htk=True, norm=None, **options) for clip in on_host]
        return filled([torch.from_numpy(one).clamp(min=1e-6).log().T.to(x.device) for one in found])

    return {"one by one, torchaudio": by_torchaudio, "one by one, librosa": by_librosa}


def compare_encoders(info: DataInfo, x: Tensor, lengths: Tensor, sound: float) -> None:
    """Parameters of the encoders of speech, and forward passes and training steps as multiples of real time."""
    for name in ("ecapa_small", "conformer_small"):
        with seeded(0):
            encoder: Encoder = configure("encoder", name).build(info).to(x.device)
        parameters = sum(one.numel() for one in encoder.parameters())

        def forward(encoder: Encoder = encoder) -> Tensor:
            with torch.no_grad():
                return synchronised(encoder(x, lengths).values)

        def step(encoder: Encoder = encoder) -> Tensor:
            encoder(x, lengths).values.square().mean().backward()
            return synchronised(x)

        best = best_times({"forward": forward, "forward and backward": step}, seconds=4.0, clock=clock_of(x))
        print(f"\n{name}, {parameters:,} parameters")
        for what, spent in best.items():
            print(f"{what:24} {1000 * spent:8.1f} ms, {sound / spent:8,.0f} times real time")


def clips(count: int, seconds: float, rate: int) -> tuple[Tensor, Tensor]:
    """Noise of lengths that rise evenly to the longest; zeros past each length."""
    lengths = torch.linspace(0.1 * seconds * rate, seconds * rate, count).round().long()
    with seeded(0):
        x = 0.1 * torch.randn(count, int(lengths.max()), 1)
    return torch.where((torch.arange(x.shape[1]) < lengths[:, None])[..., None], x, 0.0), lengths


def clock_of(x: Tensor) -> Callable[[], float]:
    """Processor seconds on a CPU, else seconds."""
    return time.process_time if x.device.type == "cpu" else time.perf_counter


def filled(frames: list[Tensor]) -> Tensor:
    """Frames of single clips as one batch."""
    return synchronised(torch.nn.utils.rnn.pad_sequence(frames, batch_first=True))


def synchronised(values: Tensor) -> Tensor:
    """The values, once a GPU has computed them."""
    if values.device.type == "cuda":
        torch.cuda.synchronize(values.device)
    return values


if __name__ == "__main__":
    main()
