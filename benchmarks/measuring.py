"""What the benchmarks share: the numbers they take, the programs they run, and how one runs to its end and leaves nothing behind."""
import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile


class Failure(Exception):
    """A line for the person who runs the benchmark."""


def at_least_one(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("expected a number from 1")
    return value


def run_once(command, what, timeout):
    """Runs a program of ours to its end; its standard output."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        raise Failure(f"{what} took longer than {timeout:.0f} s (--timeout)") from None
    if done.returncode != 0:
        raise Failure(f"{what} failed with exit code {done.returncode}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def keep(path, results):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)
        file.write("\n")


def _stop(number, _frame):
    sys.exit(128 + number)


def run_in_folder(run, say, parent=None):
    """run(folder) with a temporary folder, which goes whatever happens; the exit code of the benchmark."""
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGHUP, _stop)
    folder = tempfile.mkdtemp(prefix="dfaiss-benchmark-", dir=parent)
    try:
        run(folder)
    except Failure as failure:
        say(str(failure))
        return 1
    except OSError as failure:
        say(f"{failure.filename or ''}: {failure.strerror}")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0
