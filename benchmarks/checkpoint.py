"""Measures saving and loading beside plain writing and reading, and prints ratios; benchmarks/checkpoint.sh runs it.

The program bench_checkpoint does both on every rank of a job, in turn. A ratio is taken within one turn; what is printed is the median over all turns.
"""
import argparse
import json
import os
import platform
import shutil
import statistics
import sys

from measuring import at_least_one, keep, run_in_folder, run_once

WHAT = """\
S ranks under mpirun each hold a part of an index (fp32, L2, random vectors) of the same size:

  save      every rank writes its file and syncs it; the pass that reads it back and compares it is measured by itself ("verify")
  beside    every rank fills a file of as many bytes with write() and syncs it
  load      every rank compares its file with its checksum, and reads it: what a server does before it answers
  beside    every rank reads the same file with read() into memory that was taken for it (malloc)

Both of a pair begin together on all ranks and take as long as the slowest needs; which comes first changes from turn to turn. Files are warm for reading:
they were read right before. Ratios are plain / dfaiss within one turn, the median over all turns: 1 is as fast, above 1 faster. cpu is the processor
time of the greediest rank, by the same rule; it says more than seconds where other programs use the machine.
memory    while saving: what a rank takes above what it had before, at the most; while loading: the same over what the loaded index takes in the end
"""

KINDS = {
    "flat": {"index_builder_type": "flat"},
    "ivf_simple": {"index_builder_type": "ivf_simple", "centroids": 256},
    "knnlm": {"index_builder_type": "knnlm", "centroids": 256, "code_size": 32},
    "hnswsq": {"index_builder_type": "hnswsq", "store_n": 16},
}


def say(text):
    print(f"checkpoint.sh: {text}", file=sys.stderr, flush=True)


def parse_options():
    parser = argparse.ArgumentParser(prog="benchmarks/checkpoint.sh", formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
                                     description="Measures saving and loading of checkpoints beside plain writing and reading of the same bytes.",
                                     epilog=WHAT)
    counts = (("mib", 512, "MiB of each server's file, about"), ("servers", 2, "server ranks"), ("rounds", 7, "turns"), ("dim", 128, "of the vectors"),
              ("timeout", 1800, "seconds for one kind"))
    for name, default, text in counts:
        parser.add_argument("--" + name, type=at_least_one, default=default, metavar="N", help=f"{text} (default {default})")
    parser.add_argument("--kind", nargs="+", choices=sorted(KINDS), default=["flat", "ivf_simple"], metavar="KIND",
                        help=f"of {', '.join(KINDS)} (default: flat ivf_simple; the others take long to build)")
    parser.add_argument("--storage", metavar="DIR", help="where files are written: the file system that is to be measured (default: a temporary folder)")
    parser.add_argument("--json", metavar="FILE", help="write every measurement, the medians and the environment there")
    parser.add_argument("--programs", metavar="DIR", help="a folder with the benchmark programs: nothing is installed or built")
    parser.add_argument("--no-install", action="store_true", help="install no packages")
    parser.add_argument("--mpirun", default="mpirun", help=argparse.SUPPRESS)
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(kind, options, folder):
    """The measurements of one kind: {"save": [...], "load": [...]}"""
    config, storage = os.path.join(folder, kind + ".json"), os.path.join(folder, kind)
    with open(config, "w", encoding="utf-8") as file:
        json.dump(dict(KINDS[kind], metric="l2", dim=options.dim), file)
    command = [options.mpirun, str(options.servers), os.path.join(options.programs, "bench_checkpoint"), "--storage", storage, "--config", config, "--bytes",
               str(options.mib << 20), "--rounds", str(options.rounds)]
    try:
        lines = [json.loads(line) for line in run_once(command, kind, options.timeout).splitlines()]
    finally:
        shutil.rmtree(storage, ignore_errors=True)
    return {what: [line for line in lines if line["what"] == what] for what in ("save", "load")}


def median(lines, value):
    return statistics.median(value(line) for line in lines)


def summarize(rounds):
    saves, loads = rounds["save"], rounds["load"]

    def ratio(lines, field):
        return median(lines, lambda line: line["plain_" + field] / max(line[field], 1e-9))

    return {
        "bytes": saves[0]["bytes"],
        "save_seconds": median(saves, lambda line: line["seconds"]),
        "save_ratio": ratio(saves, "seconds"),
        "save_cpu_ratio": ratio(saves, "cpu"),
        "verify_seconds": median(saves, lambda line: line["verify_seconds"]),
        "save_extra_bytes": max(line["extra_bytes"] for line in saves),
        "load_seconds": median(loads, lambda line: line["seconds"]),
        "load_ratio": ratio(loads, "seconds"),
        "load_cpu_ratio": ratio(loads, "cpu"),
        "load_memory_ratio": max(line["extra_bytes"] / max(line["left_bytes"], 1) for line in loads),
    }


def print_table(summary):
    heads = ("kind", "MiB", "save, s", "plain/save", "cpu", "verify, s", "extra, MiB", "load, s", "plain/load", "cpu", "peak/index")
    print(("{:<12}" + "{:>11}" * (len(heads) - 1)).format(*heads))
    for kind, found in summary.items():
        cells = (f"{found['bytes'] / 2**20:.0f}", f"{found['save_seconds']:.3f}", f"{found['save_ratio']:.2f}", f"{found['save_cpu_ratio']:.2f}",
                 f"{found['verify_seconds']:.3f}", f"{found['save_extra_bytes'] / 2**20:.1f}", f"{found['load_seconds']:.3f}", f"{found['load_ratio']:.2f}",
                 f"{found['load_cpu_ratio']:.2f}", f"{found['load_memory_ratio']:.3f}")
        print(f"{kind:<12}" + "".join(f"{cell:>11}" for cell in cells))


def run(options, folder):
    where = {"host": platform.node(), "cores": os.cpu_count(), "load_before": os.getloadavg()[0]}
    rounds = {}
    for kind in options.kind:
        say(f"{kind}: {options.servers} servers, {options.mib} MiB each")
        rounds[kind] = measure(kind, options, folder)
    where["load_after"] = os.getloadavg()[0]
    summary = {kind: summarize(found) for kind, found in rounds.items()}
    print(f"{options.servers} servers on {where['host']} ({where['cores']} cores, load {where['load_before']:.1f} to {where['load_after']:.1f}), "
          f"median of {options.rounds}")
    print_table(summary)
    if options.json:
        settings = {name: getattr(options, name) for name in ("mib", "servers", "rounds", "dim", "kind")}
        keep(options.json, {"what": WHAT, "environment": where, "settings": settings, "summary": summary, "rounds": rounds})


def main():
    options = parse_options()
    return 0 if options.check else run_in_folder(lambda folder: run(options, folder), say, options.storage)


if __name__ == "__main__":
    sys.exit(main())
