"""What listening costs with NumPy alone, on one thread: processor, instructions, memory.

    python benchmarks/listening.py [MODEL ...] [--seconds 600] [--wav FILE]
    python benchmarks/listening.py [MODEL ...] --instructions
    python benchmarks/listening.py [MODEL ...] --hours 24

Other options are those of `minikws listen`, which runs in a process of its own: on a file in its
usual blocks of two seconds, and read in portions of 20 ms, as a quick microphone would bring them.
Costs are differences between two lengths of sound, so that the start drops out. With --hours,
sound goes through a pipe as fast as it is taken, and the memory is read after every minute of it.

Reasons to doubt the figures: the machine is shared; the sound is noise, which says few words
(--wav takes a recording); valgrind shows programs a processor without AVX-512.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ["MINIKWS_JIT"] = "0"
for _pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_pool] = "1"

SHARED = Path(os.environ.get("MINIKWS_SHARED", Path(__file__).parents[2] / "shared" / "data"))
PUBLISHED = SHARED / "tflm" / "micro_speech_quantized.tflite"
ITS_OPTIONS = ["--labels", "silence,unknown,yes,no", "--frontend", "micro"]
RATE_HZ = 16_000
LISTEN = "import sys; from minikws.cli.main import main; sys.exit(main(['listen', *sys.argv[1:]]))"
SMALL = "from minikws.streaming import sources; sources.BLOCK_BYTES = 640; "
COUNTED_S = (2, 12)  # lengths whose instructions are counted
CACHEGRIND = ["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
FOR_VALGRIND = {  # NumPy and OpenBLAS find AVX-512 by themselves, which valgrind does not know
    "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL "
    "AVX512_SPR",
    "OPENBLAS_CORETYPE": "Haswell",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--seconds", type=int, default=600, help="of sound (default 600)")
    parser.add_argument("--wav", type=Path, help="the sound (default: noise that comes and goes)")
    parser.add_argument("--instructions", action="store_true", help="count them by valgrind")
    parser.add_argument("--hours", type=int, help="of sound through a pipe; show the memory")
    args, options = parser.parse_known_args()
    if not args.models:
        options = [*ITS_OPTIONS, *options]
    if args.instructions and not shutil.which("valgrind"):
        raise SystemExit("no tool counts instructions here; install one with: apt install valgrind")
    for model in args.models or [PUBLISHED]:
        if not model.is_file():
            print(f"{model} is absent; give the paths of .tflite files")
        elif args.hours:
            memory(model, options, sound(args.wav, 3600), args.hours)
        else:
            costs(model, options, args)


def costs(model: Path, options: list[str], args: argparse.Namespace) -> None:
    """Print what a second of sound costs, and what the start costs."""
    from minikws.audio import write_wav

    lengths, measure, scale, unit = (args.seconds // 10, args.seconds), processor_s, 100.0, "%"
    if args.instructions:
        lengths, measure, scale, unit = COUNTED_S, instructions, 1e-6, "million instructions"
    print(f"\n{model.name}: {unit} for a second of sound, and what the start takes")
    with tempfile.TemporaryDirectory() as folder:
        files = [
            str(write_wav(Path(folder) / f"{seconds}.wav", sound(args.wav, seconds), RATE_HZ))
            for seconds in lengths
        ]
        for portions, code in (("blocks of 2 s", LISTEN), ("portions of 20 ms", SMALL + LISTEN)):
            command = [sys.executable, "-c", code, str(model), "--quiet", *options]
            short, long = (scale * measure([*command, "--input", file]) for file in files)
            each = (long - short) / (lengths[1] - lengths[0])
            print(f"{portions:<18} {each:8.2f} {short - each * lengths[0]:8.0f}", flush=True)


def processor_s(command: list[str]) -> float:
    """Return the processor's time of a process, the least of three turns."""

    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    times = []
    for _ in range(3):
        before = used()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(used() - before)
    return min(times)


def instructions(command: list[str]) -> float:
    """Return how many instructions a process runs."""
    env = {**os.environ, **FOR_VALGRIND}
    done = subprocess.run(
        ["valgrind", *CACHEGRIND, *command], env=env, capture_output=True, text=True
    )
    found = re.search(r"I\s+refs:\s+([\d,]+)", done.stderr)
    if done.returncode or not found:
        raise SystemExit(f"valgrind could not run it:\n{done.stderr[-1000:]}")
    return float(found[1].replace(",", ""))


def memory(model: Path, options: list[str], hour: Any, hours: int) -> None:
    """Feed a listening process by a pipe; print its memory after each hour of sound."""
    command = [sys.executable, "-c", LISTEN, str(model), "-", "--quiet", *options]
    minutes = [minute.tobytes() for minute in hour.astype("<i2").reshape(60, -1)]
    seen = []
    print(f"\n{model.name}: kB of memory that listen holds")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        for number in range(1, 60 * hours + 1):
            process.stdin.write(minutes[number % 60])
            status = Path(f"/proc/{process.pid}/status").read_text()
            seen.append(int(status.partition("VmRSS:")[2].split()[0]))
            if number % 60 == 0:
                print(f"after {number // 60:3} h  {seen[-1]}", flush=True)
    start, peak = seen[0], max(seen)
    print(f"after a minute {start}, end {seen[-1]}, peak {peak}, growth {peak - start}")


def sound(wav: Path | None, seconds: int) -> Any:
    """Return (n,) int16: a recording again and again, or noise that is loud once a second."""
    import numpy as np

    from minikws.audio import read_wav

    if wav is not None:
        return np.resize(read_wav(wav).samples[:, 0], seconds * RATE_HZ)
    loudness = 3000 * np.sin(np.pi * np.arange(60 * RATE_HZ) / RATE_HZ) ** 2
    noise = np.random.default_rng(0).normal(0, 1, len(loudness)) * loudness
    return np.resize(noise.astype(np.int16), seconds * RATE_HZ)


if __name__ == "__main__":
    main()
