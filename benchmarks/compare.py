"""Measures dfaiss beside plain faiss and prints ratios; benchmarks/search.sh runs it.

For every kind of index three systems hold the same vectors at the same time, and take turns: the one that is measured runs, the others are stopped
(SIGSTOP), so that they cost no processor time. A ratio is taken within one turn of all three; what is printed is the median over all turns.
"""
import argparse
import datetime
import json
import os
import platform
import queue
import signal
import statistics
import subprocess
import sys
import threading
import time

from measuring import Failure, at_least_one, keep, run_in_folder, run_once

WHAT = """\
Three systems hold the same vectors (fp32, L2), trained on the same random sample with the same seed:

  dfaiss    S server ranks with T threads each and one client rank under mpirun, driven by the code of `dfaiss build` and `dfaiss search`
  (a)       undivided: one faiss index in one process, S x T OpenMP threads; faiss's C API alone
  (b)       lockstep: S shards of the same rows as the servers', with copies of one trained index, in one process without MPI; a thread for
            each shard (T OpenMP threads inside), all start a batch together, one of them merges

searching  closed loop of one caller: the next batch is sent when the last is answered. queries/s counts the time inside calls; p50 and p99 are
           those of the calls of one turn (p99 of few calls is their slowest; "calls" in the JSON says how many there were). recall is |found
           in the true first k| / k of at least 256 fixed queries, by exact neighbours of the whole data set
cpu        processor time of all processes of a system for one query (dfaiss: servers, client, and their waiting for each other), in us; it says
           more than queries/s where other programs use the machine
ingest     vectors/s from the first row read (from a warm file) until all rows are in the index; training is not in it
memory     resident bytes of all processes (dfaiss: servers and client) after ingest, the input unmapped; shared libraries counted in each

Ratios are dfaiss / other within one turn, the median over all turns; above 1 is good for queries/s and ingest, below 1 for times, cpu and memory.
The systems take turns: of three that hold an index one runs, the other two are stopped. On a machine with fewer cores than ranks (S x T + 1)
the client shares cores with the servers. Compare figures only within one run, and on a machine that does nothing else.
"""

SYSTEMS = ("dfaiss", "undivided", "lockstep")
OTHERS = (("undivided", "a"), ("lockstep", "b"))
KINDS = ("flat", "ivf_simple", "ivfsq", "knnlm", "hnswsq")


def kind_settings(kind, options):
    """The configuration of a kind for dfaiss, the same for faiss's index factory, and the size of its training sample."""
    lists = options.nlist
    config = {"index_builder_type": kind, "dim": options.dim, "metric": "l2", "seed": options.seed}
    sample = min(options.rows, 256 * lists)
    if kind == "flat":
        return {"config": config, "factory": "Flat", "effort": 0, "construction": 0, "sample": 0}
    if kind == "hnswsq":
        config.update(store_n=32, ef_construction=100, nprobe=options.ef_search)
        return {"config": config, "factory": "HNSW32_SQ8", "effort": options.ef_search, "construction": 100, "sample": sample}
    config.update(centroids=lists, nprobe=options.nprobe)
    codes = {"ivf_simple": "Flat", "ivfsq": "SQfp16", "knnlm": f"PQ{options.code_size}x8np"}
    if kind == "knnlm":
        config.update(code_size=options.code_size, bits_per_vector=8)
    return {"config": config, "factory": f"IVF{lists},{codes[kind]}", "effort": options.nprobe, "construction": 0, "sample": sample}


# ---- processes ----


def children(pid):
    """Processes whose parent is `pid`."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


class System:
    """One program that holds an index: reads commands from a FIFO and answers each with a line of JSON."""

    def __init__(self, name, command, folder, timeout):
        self.name, self.timeout = name, timeout
        fifo = os.path.join(folder, name + ".commands")
        if not os.path.exists(fifo):
            os.mkfifo(fifo)
        self.log = os.path.join(folder, name + ".log")
        # Opened for both directions this end never waits; the program sees the end of the commands when it is closed.
        self.commands = os.open(fifo, os.O_RDWR | os.O_CLOEXEC)
        self.lines = queue.Queue()
        environment = dict(os.environ, OMP_PROC_BIND="false", OMP_DYNAMIC="false")
        environment.pop("OMP_NUM_THREADS", None)
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command + ["--commands", fifo], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                                            env=environment, start_new_session=True, text=True)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def answer(self, limit=None):
        """The next line; fails when the program ends, or says nothing for too long."""
        try:
            line = self.lines.get(timeout=limit or self.timeout)
        except queue.Empty:
            raise Failure(f"{self.name} has not answered within {limit or self.timeout:.0f} s (--timeout)") from None
        try:
            return json.loads(line) if line else self._ended()
        except ValueError:
            raise Failure(f"{self.name} answered {line.strip()!r}, which is no JSON") from None

    def _ended(self):
        code = self.process.wait()
        with open(self.log, encoding="utf-8", errors="replace") as file:
            said = file.read().strip()[-2000:]
        raise Failure(f"{self.name} has ended with exit code {code}: {said or 'it said nothing'}")

    def search(self, batch, seconds):
        before = self._processor_seconds()
        os.write(self.commands, f"search {batch} {seconds}\n".encode())
        measured = self.answer(self.timeout + 20 * seconds)
        measured["cpu_us"] = (self._processor_seconds() - before) / measured["answered"] * 1e6
        return measured

    def _processor_seconds(self):
        ticks = 0
        for pid in self._pids():
            try:
                with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                    fields = file.read().rpartition(")")[2].split()
            except OSError:
                continue
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def _pids(self):
        # The ranks of an MPI job are children of mpirun, or of a daemon that it started; mpirun itself goes on.
        found, waiting = [], children(self.process.pid)
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            waiting.extend(children(pid))
        return found if found else [self.process.pid]

    def signal(self, number):
        for pid in self._pids():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def end(self):
        """Lets the program end by itself, and makes it end where it does not. Its ranks end with it."""
        self.signal(signal.SIGCONT)
        os.close(self.commands)
        for number in (None, signal.SIGTERM, signal.SIGKILL):
            if number:
                ranks = self._pids()
                self.process.send_signal(number)
                if number == signal.SIGKILL:
                    for pid in ranks:
                        try:
                            os.kill(pid, number)
                        except ProcessLookupError:
                            pass
            try:
                self.process.wait(timeout=10)
                break
            except subprocess.TimeoutExpired:
                continue


# ---- measuring ----


class Benchmark:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.data = options.data or os.path.join(folder, "data")

    def program(self, name):
        path = os.path.join(self.options.programs, name)
        if not os.access(path, os.X_OK):
            raise Failure(f"there is no program {path}")
        return path

    def generate(self):
        """Makes the data set, unless --data keeps one that was made alike."""
        options = self.options
        wanted = {"rows": options.rows, "dim": options.dim, "queries": options.queries, "k": max(options.k, 10), "seed": options.seed}
        stamp = os.path.join(self.data, "made.json")
        try:
            with open(stamp, encoding="utf-8") as file:
                if json.load(file) == wanted:
                    return
        except (OSError, ValueError):
            pass
        say(f"generating {options.rows} x {options.dim} vectors and {options.queries} queries with their exact neighbours")
        run_once([self.program("dfaiss"), "generate", "--out", self.data, "--rows", str(options.rows), "--dim", str(options.dim), "--queries",
                  str(options.queries), "-k", str(wanted["k"]), "--seed", str(options.seed), "--quiet"], "dfaiss generate", options.timeout)
        with open(stamp, "w", encoding="utf-8") as file:
            json.dump(wanted, file)

    def command(self, system, settings):
        options = self.options
        common = ["--data", os.path.join(self.data, "base.fbin"), "--queries", os.path.join(self.data, "query.fbin"), "--truth",
                  os.path.join(self.data, "groundtruth.ibin"), "--k", str(options.k), "--effort", str(settings["effort"]), "--sample",
                  str(settings["sample"]), "--seed", str(options.seed)]
        plain = common + ["--factory", settings["factory"], "--construction", str(settings["construction"])]
        if system == "undivided":
            return [self.program("bench_faiss"), *plain, "--threads", str(options.threads * options.servers)]
        if system == "lockstep":
            return [self.program("bench_lockstep"), *plain, "--shards", str(options.servers), "--threads", str(options.threads)]
        storage = os.path.join(self.folder, "storage")
        config = os.path.join(self.folder, "config.json")
        with open(config, "w", encoding="utf-8") as file:
            json.dump(settings["config"], file)
        return [options.mpirun, str(options.servers + 1), self.program("bench_dfaiss"), *common, "--config", config, "--storage", storage, "--threads",
                str(options.threads)]

    def measure_kind(self, kind):
        """All rounds of one kind: {"ingest": [{system: built}], "search": {batch: [{system: measured}]}}"""
        settings = kind_settings(kind, self.options)
        result = {"settings": settings, "ingest": [], "search": {batch: [] for batch in self.options.batch}}
        for build in range(self.options.builds):
            running = {}
            try:
                self._build(kind, build, settings, running, result)
                self._search(kind, build, running, result)
            finally:
                for system in running.values():
                    system.end()
        return result

    def _build(self, kind, build, settings, running, result):
        os.makedirs(os.path.join(self.folder, "storage"), exist_ok=True)
        built = {}
        for name in turn(build):
            say(f"{kind}, build {build + 1} of {self.options.builds}: {name}")
            running[name] = System(name, self.command(name, settings), self.folder, self.options.timeout)
            built[name] = running[name].answer()
            running[name].signal(signal.SIGSTOP)
        result["ingest"].append(built)

    def _search(self, kind, build, running, result):
        for number in range(self.options.rounds):
            say(f"{kind}, build {build + 1} of {self.options.builds}: search round {number + 1} of {self.options.rounds}")
            for batch in self.options.batch:
                measured = {}
                for name in turn(build + number):
                    running[name].signal(signal.SIGCONT)
                    measured[name] = running[name].search(batch, self.options.seconds)
                    running[name].signal(signal.SIGSTOP)
                result["search"][batch].append(measured)


def turn(number):
    """The systems in the order of a turn: another one is first each time."""
    first = number % len(SYSTEMS)
    return SYSTEMS[first:] + SYSTEMS[:first]


# ---- results ----


def medians(rounds, keys):
    """The median of each key for each system, and of the ratios dfaiss / other that were taken within one turn."""
    systems = {name: {key: statistics.median(measured[name][key] for measured in rounds) for key in keys} for name in SYSTEMS}
    ratios = {letter: {key: statistics.median(measured["dfaiss"][key] / measured[name][key] for measured in rounds) for key in keys}
              for name, letter in OTHERS}
    return {**systems, "ratios": ratios}


def summarize(kinds):
    summary = []
    for kind, result in kinds.items():
        search = [{"batch": batch, **medians(rounds, ("qps", "cpu_us", "p50_us", "p99_us", "recall"))} for batch, rounds in result["search"].items()]
        summary.append({"kind": kind, "search": search, "ingest": medians(result["ingest"], ("ingest_rate", "rss_bytes", "rss_servers"))})
    return summary


def group(row, key, width, digits):
    """The values of the three systems, then the ratios."""
    return ("".join(f" {row[name][key]:>{width}.{digits}f}" for name in SYSTEMS) + " " +
            "".join(f" {row['ratios'][letter][key]:>6.3f}" for _, letter in OTHERS))


def heading(width):
    return f" {'dfaiss':>{width}} {'(a)':>{width}} {'(b)':>{width}}  {'/(a)':>6} {'/(b)':>6}"


def print_search(summary, k):
    print(f"\n{'searching':<16} {'queries/s':^46} {'cpu us/query':^43} {'recall@' + str(k):^20}")
    print(f"{'kind':<10} {'batch':>5}" + heading(10) + " " + heading(9) + f"  {'dfaiss':>7} {'(a)':>6} {'(b)':>6}")
    for kind in summary:
        for row in kind["search"]:
            print(f"{kind['kind']:<10} {row['batch']:>5}" + group(row, "qps", 10, 1) + " " + group(row, "cpu_us", 9, 1) + "  " +
                  "".join(f" {row[name]['recall']:.4f}" for name in SYSTEMS))
    print(f"\n{'one call':<16} {'p50, us':^43} {'p99, us':^43}")
    print(f"{'kind':<10} {'batch':>5}" + heading(9) + " " + heading(9))
    for kind in summary:
        for row in kind["search"]:
            print(f"{kind['kind']:<10} {row['batch']:>5}" + group(row, "p50_us", 9, 0) + " " + group(row, "p99_us", 9, 0))


def print_ingest(summary):
    print(f"\n{'building':<10} {'ingest, vectors/s':^46} {'memory, bytes':^52}")
    print(f"{'kind':<10}" + heading(10) + " " + heading(12))
    for kind in summary:
        print(f"{kind['kind']:<10}" + group(kind["ingest"], "ingest_rate", 10, 0) + " " + group(kind["ingest"], "rss_bytes", 12, 0))


def processor():
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.lower().startswith(("model name", "cpu model", "hardware")):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def environment(benchmark):
    versions = json.loads(run_once([benchmark.program("dfaiss"), "--version", "--json"], "dfaiss --version", 60))
    return {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "cpu": processor(),
            "cores": len(os.sched_getaffinity(0)), "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "system": platform.platform(), "versions": versions, "load_before": os.getloadavg()[0]}


def print_head(options, where):
    versions = where["versions"]
    faiss = versions.get("faiss", {})
    print(f"{where['date']}  {where['cpu']}, {where['cores']} cores; faiss {faiss.get('version')} ({faiss.get('simd')}), {versions.get('mpi')}, "
          f"dfaiss {versions.get('dfaiss')}")
    print(f"{options.rows} x {options.dim} vectors, nlist {options.nlist}, nprobe {options.nprobe} (hnswsq: efSearch {options.ef_search}), k {options.k}; "
          f"{options.servers} servers x {options.threads} threads against {options.servers * options.threads} threads; "
          f"{options.builds} builds x {options.rounds} rounds of {options.seconds} s")
    print(f"load of the machine: {where['load_before']:.2f} before, {where['load_after']:.2f} after (this benchmark keeps "
          f"{options.servers * options.threads} threads busy)")
    print("(a): one undivided faiss index in one process; (b): shards in lockstep in one process, without MPI. Medians; ratios are medians of paired ratios.")


# ---- the command ----


def say(text):
    print(f"search.sh: {text}", file=sys.stderr, flush=True)


def numbers(text):
    values = [int(word) for word in text.split(",")]
    if not values or any(value < 1 for value in values):
        raise argparse.ArgumentTypeError("expected numbers from 1, with commas between")
    return values


def positive(text):
    value = float(text)
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError("expected seconds, above 0")
    return value


def parse_options():
    parser = argparse.ArgumentParser(prog="benchmarks/search.sh", formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
                                     description="Measures searching and ingest of dfaiss beside plain faiss, side by side in one run.", epilog=WHAT)
    counts = (("rows", 200000, "vectors"), ("dim", 128, "their dimension"), ("queries", 2000, "different queries"), ("servers", 2, "server ranks"),
              ("threads", 1, "threads of each server"), ("k", 10, "neighbours asked for"), ("nlist", 256, "inverted lists"), ("nprobe", 16, "lists probed"),
              ("ef-search", 64, "efSearch of hnswsq"), ("code-size", 32, "PQ sub-quantizers of knnlm"), ("builds", 3, "times that every index is built"),
              ("rounds", 3, "turns of searching with each build"), ("seed", 1, "of data and training sample"))
    for name, default, text in counts:
        parser.add_argument("--" + name, type=at_least_one, default=default, metavar="N", help=f"{text} (default {default})")
    parser.add_argument("--kind", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND", help=f"of {', '.join(KINDS)} (default: all)")
    parser.add_argument("--batch", type=numbers, default=[1, 128, 1000], metavar="LIST", help="queries a call (default 1,128,1000)")
    parser.add_argument("--seconds", type=positive, default=1.0, metavar="S", help="of one measurement, or 5 calls where those take longer (default 1)")
    parser.add_argument("--timeout", type=positive, default=1800.0, metavar="S", help="for a program to build its index, or to answer (default 1800)")
    parser.add_argument("--data", metavar="DIR", help="keep the generated data there, and use it again (default: a temporary folder)")
    parser.add_argument("--json", metavar="FILE", help="write every measurement, the medians, ratios and the environment there")
    parser.add_argument("--programs", metavar="DIR", help="a folder with dfaiss and the benchmark programs: nothing is installed or built")
    parser.add_argument("--no-install", action="store_true", help="install no packages")
    parser.add_argument("--mpirun", default="mpirun", help=argparse.SUPPRESS)
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if max(options.batch) > options.queries:
        parser.error(f"--batch {max(options.batch)} needs as many --queries; there are {options.queries}")
    if options.nprobe > options.nlist:
        parser.error(f"--nprobe is {options.nprobe}; there are {options.nlist} lists")
    if options.code_size and "knnlm" in options.kind and options.dim % options.code_size:
        parser.error(f"--code-size is {options.code_size}; it must divide --dim, which is {options.dim}")
    return options


def run(options, folder):
    benchmark = Benchmark(options, folder)
    where = environment(benchmark)
    benchmark.generate()
    kinds = {kind: benchmark.measure_kind(kind) for kind in options.kind}
    where["load_after"] = os.getloadavg()[0]
    summary = summarize(kinds)
    print_head(options, where)
    print_search(summary, options.k)
    print_ingest(summary)
    if options.json:
        settings = {key: value for key, value in vars(options).items() if key not in ("programs", "mpirun", "json", "data", "check", "no_install")}
        keep(options.json, {"what": WHAT, "environment": where, "settings": settings, "summary": summary, "rounds": kinds})


def main():
    options = parse_options()
    if options.check:
        return 0
    begun = time.monotonic()
    code = run_in_folder(lambda folder: run(options, folder), say)
    if code == 0:
        say(f"done after {time.monotonic() - begun:.0f} s")
    return code


if __name__ == "__main__":
    sys.exit(main())
