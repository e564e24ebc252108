"""`tswork doctor`: what is installed, which device there is, and whether the parts really work."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import TYPE_CHECKING, Any

from tswork.cli.options import Json, print_json
from tswork.wording import counted

if TYPE_CHECKING:
    import numpy as np

    from tswork.data.readers.decoders.base import Decoder

PACKAGES = (
    "torch",
    "torchaudio",
    "transformers",
    "tsai",
    "librosa",
    "scikit-learn",
    "mlflow",
    "lightning-fabric",
    "aeon",
    "soundfile",
    "soxr",
    "pandas",
    "pyarrow",
)


def doctor(as_json: Json = False) -> None:
    """Check the installation: versions, device, two real steps of training, sounds, records, synthesis, and every encoder."""
    import typer

    checks: dict[str, Callable[[], str]] = {
        "device": _device,
        "training": _train_two_steps,
        "sound": _decode_sounds,
        "EDF recordings": _decode_edf,
        "WFDB records": _decode_wfdb,
        "speech synthesis": _say_a_word,
        "audio features": _log_mel,
        "tsai backbone": _tsai_forward,
        "bundled data": _bundled_data,
        "tracking": _tracking,
    }
    versions = {name: _version(name) for name in PACKAGES}
    results = {name: _try(check) for name, check in {**checks, **_encoders()}.items()}
    healthy = all(ok is not False for ok, _ in results.values()) and all(versions.values())
    if as_json:
        report = {name: {"ok": ok, "detail": detail} for name, (ok, detail) in results.items()}
        print_json({"healthy": healthy, "versions": versions, "checks": report})
    else:
        for name, version in versions.items():
            typer.echo(f"{'ok ' if version else 'BAD'}  {name} {version or 'is not installed'}")
        for name, (ok, detail) in results.items():
            typer.echo(f"{'-- ' if ok is None else 'ok ' if ok else 'BAD'}  {name}: {detail}")
    if not healthy:
        raise typer.Exit(1)


def _try(check: Callable[[], str]) -> tuple[bool | None, str]:
    """Whether a check passed (None: it needs a package or a checkpoint that is not there), and what it says."""
    from tswork.errors import ModelUnfit, PackageMissing

    try:
        return True, check()
    except (ModelUnfit, PackageMissing) as missing:
        return None, str(missing)
    except Exception as error:
        return False, f"{type(error).__name__}: {error}"


def _encoders() -> dict[str, Callable[[], str]]:
    """For each encoder a look at what this machine has for it."""
    from tswork.encoders.base import Encoder
    from tswork.registry import components

    return {f"encoder {one.name}": getattr(one.target, "usable", Encoder.usable) for one in components("encoder")}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        return f"{torch.cuda.get_device_name()} with {free / 2**30:.1f} of {total / 2**30:.1f} GiB free, CUDA {torch.version.cuda}"
    return f"CPU, {counted(torch.get_num_threads(), 'thread')} (no CUDA device)"


def _train_two_steps() -> str:
    """Two steps of TS2Vec on a few waves must change the weights and leave them finite."""
    import numpy as np
    import torch

    from tswork.config import configure
    from tswork.context import Context
    from tswork.data.collection import Collection, DataInfo, Part
    from tswork.training.loop import train

    time = np.arange(64, dtype=np.float32)
    waves = np.stack([np.sin(time * (1 + case) / 9) for case in range(8)])[..., None]
    part = Part.whole(Collection.from_array(waves))
    block = {"uses": "ts2vec", "iterations": 2, "encoder": {"uses": "dilated_conv", "depth": 3, "dim": 16, "hidden": 8}}
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    method = configure("method", block).build()
    start = method.build(DataInfo.of(part), generator=torch.Generator().manual_seed(0))
    trained = train(method, train=part, validation=part, info=DataInfo.of(part), context=Context(device), name="doctor")
    weights = [value for value in trained.models[0].state_dict().values() if value.is_floating_point()]
    if not all(bool(torch.isfinite(value).all()) for value in weights):
        raise RuntimeError("weights are not finite after two steps")
    moved = any(not torch.equal(a.cpu(), b) for a, b in zip(weights, start.state_dict().values(), strict=False))
    if not moved:
        raise RuntimeError("two steps did not change the weights")
    return f"two steps of ts2vec on {device} in {trained.seconds:.1f} s"


def _decode_sounds() -> str:
    from tswork.cli.sound_check import decode_sounds

    return decode_sounds()


def _decode_edf() -> str:
    """A recording of one signal, 500 samples in two records of a second, written byte by byte."""
    import numpy as np

    from tswork.data.readers.decoders.edf import Edf, EdfConfig

    def cells(*texts: tuple[object, int]) -> bytes:
        return "".join(f"{text}".ljust(width) for text, width in texts).encode()

    codes = np.arange(500, dtype="<i2")
    dates = (("", 160), ("01.01.00", 8), ("00.00.00", 8))
    head = cells((0, 8), *dates, (512, 8), ("", 44), (2, 8), (1, 8), (1, 4))
    signal = cells(
        ("Fp1", 16), ("", 80), ("uV", 8), (-100, 8), (100, 8), (-1000, 8), (1000, 8), ("", 80), (250, 8), ("", 32)
    )
    return _decoded(Edf(EdfConfig()), {"doctor.edf": head + signal + codes.tobytes()}, codes / 10, "EDF recording")


def _decode_wfdb() -> str:
    """A record of one signal, 500 samples at 250 Hz, in a format that needs the package."""
    import numpy as np

    from tswork.data.readers.decoders.hea import Hea, HeaConfig

    codes = np.arange(500, dtype="<i2")
    header = f"doctor 1 250 500\ndoctor.dat 24 10(0)/uV 24 0 0 {codes.sum(dtype=np.int64) % 2**16} 0 Fp1\n"
    wide = codes.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3]
    files = {"doctor.hea": header.encode(), "doctor.dat": wide.tobytes()}
    return _decoded(Hea(HeaConfig()), files, codes / 10, "WFDB record")


def _say_a_word() -> str:
    from tswork.data.making.espeak import LICENCE, opened

    with opened(needed_by="the maker 'espeak_varieties'") as engine:
        engine.use("it")
        phonemes = engine.phonemes("La casa")
        return f"eSpeak NG {engine.version} ({LICENCE}) says {phonemes}: {counted(len(engine.say(phonemes)), 'sample')} at {engine.rate} Hz"


def _decoded(decoder: Decoder[Any], files: dict[str, bytes], wanted: np.ndarray, what: str) -> str:
    """Reads the first of some files, which must hold the wanted values."""
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from tswork.data.spec import DataOptions

    with TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        read = decoder.read(Path(folder) / next(iter(files)), DataOptions())
    if abs(read.values[:, 0] - wanted).max() > 1e-3:
        raise RuntimeError(f"a {what} came back different")
    return f"{what} decoded: {counted(len(read.values), 'sample')} at {read.rate:g} Hz"


def _log_mel() -> str:
    import torch
    import torchaudio

    spectrogram = torchaudio.transforms.MelSpectrogram(16000, n_fft=400, hop_length=160, n_mels=40)(torch.randn(16000))
    return f"mel spectrogram {tuple(spectrogram.shape)} with torchaudio"


def _tsai_forward() -> str:
    import torch

    from tswork.config import configure
    from tswork.data.collection import DataInfo

    encoder = configure("encoder", {"uses": "tsai", "model": "InceptionTimePlus"}).build(
        DataInfo(("x",), max_length=32)
    )
    frames = encoder.eval()(torch.randn(2, 32, 1))
    return f"InceptionTimePlus gives frames {tuple(frames.values.shape)}"


def _bundled_data() -> str:
    from pathlib import Path

    from tswork.data.opening import open_collection
    from tswork.data.places import Places
    from tswork.data.spec import DataSpec

    block = {"reader": "aeon", "set": "ArrowHead", "label": "label", "split": {"by": "official"}}
    collection = open_collection(DataSpec.parse(block), Places.here(Path.cwd()))
    return f"ArrowHead from aeon: {len(collection)} series of {counted(len(collection.classes), 'class', 'classes')}"


def _tracking() -> str:
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from tswork.tracking.client import Tracking

    with TemporaryDirectory() as folder:
        tracking = Tracking.open(Path(folder), experiment="doctor")
        run = tracking.start("doctor", parent=None)
        tracking.params(run, {"answer": 42})
        tracking.client.set_terminated(run)
    return "an MLflow run was written to a new SQLite store"
