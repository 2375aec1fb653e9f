"""WAV files to 16-bit samples and back: the only room that knows how sound lies in a file.

In comes a path or the bytes of a RIFF WAVE file; out go int16 samples and the rate that the
header names. In the order that sound takes: `riff` finds it in the file, `pcm` turns its bytes
into samples, `read` does both, `clip` cuts them to a model's rate and length, `write` goes the
other way. `values` holds the one rule between 16-bit samples and real values, `folder` finds
the files.
"""

from minikws.audio.clip import read_clip, resample
from minikws.audio.folder import folder_wavs, wav_files
from minikws.audio.read import Wav, read_wav
from minikws.audio.riff import WavHead, find_wav_head
from minikws.audio.values import FULL_SCALE, from_float, to_float
from minikws.audio.write import encode_wav, wav_bytes, write_wav

__all__ = [
    "FULL_SCALE",
    "Wav",
    "WavHead",
    "encode_wav",
    "find_wav_head",
    "folder_wavs",
    "from_float",
    "read_clip",
    "read_wav",
    "resample",
    "to_float",
    "wav_bytes",
    "wav_files",
    "write_wav",
]
