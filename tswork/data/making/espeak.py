"""eSpeak NG in this process: text to phonemes, and phonemes to samples in memory; nothing is played.

Library and data come with the package `espeakng-loader`, the extra `espeak`. They are free software under the GPL-3.0 or later, not under
the licence of tswork, and are loaded only where they are asked for. The interface is the one of eSpeak NG's `speak_lib.h`.

The library keeps noise and phases from call to call, and initialising it anew does not reset them: what is said depends on all that was
said before, by anyone in the process. So each engine loads a copy of its own, and equal calls in equal order give equal samples on one
machine. The library refuses languages that it does not have by a code and then goes on with the voice before; variants that it does not
have it accepts without a word. Both are refused here.
"""

from __future__ import annotations

import ctypes
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from jaxtyping import Int16

from tswork.errors import PackageMissing, PipelineInvalid, Problem, TsworkError

LICENCE = "GPL-3.0-or-later"
VARIANTS = ("voices", "!v")
"""The folder of variants below the data."""

SYNCHRONOUS, DONT_EXIT = 2, 0x8000
UTF8, PHONEMES = 1, 0x100
SPEED, VOLUME, PITCH, RANGE = 1, 2, 3, 4
LOUD = 70
"""Of the usual 100, at which some variants touch full scale."""

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Espeak:
    """An engine of its own; `opened` makes one."""

    def __init__(self, library: ctypes.CDLL, data: Path) -> None:
        self._library = library
        self._data = data
        self._pieces: list[bytes] = []
        self._callback = _Callback(self._take)  # must live as long as the library may call it
        library.espeak_Info.restype = ctypes.c_char_p
        library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        library.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.c_int]
        library.espeak_Synth.argtypes = [
            ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint,
            ctypes.c_void_p, ctypes.c_void_p,
        ]  # fmt: skip
        self.rate: int = library.espeak_Initialize(SYNCHRONOUS, 0, str(data).encode(), DONT_EXIT)
        if self.rate <= 0:
            remedy = "It takes no path longer than about 150 characters; install it in a folder nearer to the root."
            raise TsworkError(f"eSpeak NG does not start with the data in {data} (code {self.rate}). {remedy}")
        library.espeak_SetSynthCallback(self._callback)
        self.version: str = library.espeak_Info(None).decode()

    @property
    def variants(self) -> list[str]:
        """Names that may follow a language and `+`."""
        return sorted(path.name for path in self._data.joinpath(*VARIANTS).iterdir())

    def gender(self, variant: str) -> str:
        """What the file of a variant says, or `unknown`."""
        text = self._data.joinpath(*VARIANTS, variant).read_text(encoding="utf-8", errors="replace")
        found = re.search(r"^\s*gender\s+(male|female)\b", text, re.MULTILINE | re.IGNORECASE)
        return found[1].lower() if found else "unknown"

    def check(self, variants: Sequence[str]) -> None:
        """Raises `PipelineInvalid` with all variants that there are none of."""
        known = set(self.variants)
        remedy = f"Its variants are the files in {self._data.joinpath(*VARIANTS)}, such as f1 and m1."
        problems = [
            Problem(f"eSpeak NG {self.version} has no variant {name!r}", "voices", remedy=remedy)
            for name in dict.fromkeys(variants)
            if name not in known
        ]
        if problems:
            raise PipelineInvalid(problems)

    def use(
        self, language: str, variant: str | None = None, *, pitch: int = 50, melody: int = 50, speed: int = 175
    ) -> None:
        """Go on in this voice. Pitch and the range of the melody from 0 to 100 (50 is usual), speed in words a minute.

        Raises `PipelineInvalid` for a language or variant that there is none of; the voice stays what it was.
        """
        if variant is not None:
            self.check([variant])
        code = self._library.espeak_SetVoiceByName((f"{language}+{variant}" if variant else language).encode())
        if code:
            raise PipelineInvalid(
                [Problem(f"eSpeak NG {self.version} has no voice {language!r} (code {code})", "voices")]
            )
        for option, value in ((VOLUME, LOUD), (PITCH, pitch), (RANGE, melody), (SPEED, speed)):
            self._library.espeak_SetParameter(option, value, 0)

    def phonemes(self, text: str) -> str:
        """Of a text without pauses inside, sounds apart by dots and words by spaces."""
        rest = ctypes.pointer(ctypes.c_char_p(text.encode()))
        clauses = []
        while rest.contents.value:
            clauses.append(self._library.espeak_TextToPhonemes(rest, UTF8, ord(".") << 8).decode())
        return " ".join(clause for clause in clauses if clause)

    def say(self, phonemes: str) -> Int16[np.ndarray, "time"]:
        """Samples of phonemes as `phonemes` gives them. The engine leaves out sounds that it does not know."""
        # Inside the brackets `|` keeps sounds apart that would be read as one sign.
        text = f"[[{phonemes.replace('.', '|')}]]".encode()
        self._pieces.clear()
        code = self._library.espeak_Synth(text, len(text) + 1, 0, 0, 0, UTF8 | PHONEMES, None, None)
        sound = np.frombuffer(b"".join(self._pieces), dtype=np.int16)
        if code or not len(sound):
            raise TsworkError(f"eSpeak NG {self.version} does not say {phonemes!r} (code {code})")
        return sound

    def _take(self, samples: Any, count: int, _: int | None) -> int:
        if samples and count > 0:
            self._pieces.append(ctypes.string_at(samples, 2 * count))
        return 0


@contextmanager
def opened(*, needed_by: str) -> Iterator[Espeak]:
    """An engine that nothing was said with yet. Raises `PackageMissing` where the package or its library does not load."""
    try:
        import espeakng_loader

        data = Path(espeakng_loader.get_data_path())
        library = _copy(Path(espeakng_loader.get_library_path()))
    except (ImportError, OSError, RuntimeError) as error:
        raise PackageMissing("espeakng-loader", needed_by, "pip install 'tswork[espeak]'", str(error)) from error
    engine = Espeak(library, data)
    try:
        yield engine
    finally:
        library.espeak_Terminate()


def _copy(path: Path) -> ctypes.CDLL:
    """A library whose variables are its own: the same file would be the same library. Loaded, it needs its file no more."""
    with TemporaryDirectory(prefix="tswork-espeak-", ignore_cleanup_errors=True) as folder:
        return ctypes.CDLL(shutil.copy(path, folder))
