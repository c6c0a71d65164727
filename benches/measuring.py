"""What the benchmarks share: how a command is measured, and how two are compared."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FULL = os.environ.get("GOCACHEVET_CAMPAIGN") == "full"
TIME = shutil.which("gtime") or "/usr/bin/time"


def fail(message):
    sys.exit(f"{Path(sys.argv[0]).name}: {message}")


def needs(*tools):
    for tool in (TIME, *tools):
        if not shutil.which(tool):
            fail(f"needs {tool}")


def rounds(full, short=1):
    return int(os.environ.get("BENCH_ROUNDS", full if FULL else short))


def program():
    """The program that is measured: BENCH_BINARY, or a release build."""
    if named := os.environ.get("BENCH_BINARY"):
        return Path(named).resolve()
    subprocess.run(["cargo", "build", "--quiet", "--locked", "--release"], cwd=ROOT, check=True)
    return ROOT / "target" / "release" / "gocachevet"


def wipe(path):
    """Removes a folder, or a cache whose trees Go made read-only."""
    if path.exists():
        subprocess.run(["chmod", "-R", "u+rwX", str(path)], check=True)
        shutil.rmtree(path)


def size(path):
    return sum(file.lstat().st_size for file in path.rglob("*") if file.is_file())


def measured(command, **options):
    """CPU seconds, wall seconds and peak memory in MB of a command that has to succeed."""
    with tempfile.NamedTemporaryFile("r") as told:
        words = [TIME, "-o", told.name, "-f", "%U %S %e %M", *map(str, command)]
        done = subprocess.run(words, capture_output=True, text=True, **options)
        if done.returncode:
            fail(f"{command} ended with {done.returncode}: {done.stderr[-2000:]}{done.stdout[-2000:]}")
        user, system, wall, peak = map(float, told.read().split())
        return user + system, wall, peak / 1000


def compared(pairs):
    """Medians of (ours, theirs), each with CPU and wall first: `CPU | wall | their CPU | their wall | ratios`."""
    figures = [statistics.median(pair[side][kind] for pair in pairs) for side in (0, 1) for kind in (0, 1)]
    figures += [statistics.median(ours[kind] / max(theirs[kind], 0.01) for ours, theirs in pairs) for kind in (0, 1)]
    return " | ".join(f"{figure:.2f}" for figure in figures)


def header(*more):
    names = ["gocachevet", "against", "CPU s", "wall s", "other CPU s", "other wall s", "CPU ratio", "wall ratio", *more]
    print("| " + " | ".join(names) + " |\n|---|---|" + "---:|" * (len(names) - 2))
