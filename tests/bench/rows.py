"""The rows of the table: how each is measured, and its targets."""

import array
import contextlib
import dataclasses
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time

import peers
from ask import answer_ms, engine
from lab import BENCH, LIMIT_S, LOCKSTEP, QUICK, WORK, Lab, Watched, adopt, cpu_of, floor_us
from lab import loop_us, median, slope, wait_until

RUNS = 3
NOT_DONE = "not measured"


class Unknown(Exception):
    """A row that there is not."""


@dataclasses.dataclass
class Row:
    """
    A figure with what it should be: at most, where `most` is said, else at least. Where there is
    none, `instead` tells why.
    """

    what: str
    value: float | None
    unit: str = ""
    least: float = None
    aim: float = None
    most: bool = False
    note: str = ""
    digits: int = 2
    instead: str = ""

    def text(self, value):
        return "" if value is None else f"{value:.{self.digits}f}{self.unit}"

    def shown(self):
        return self.text(self.value) or self.instead

    def _target(self, value):
        return "" if value is None else f"{'≤' if self.most else '≥'} {self.text(value)}"

    def least_shown(self):
        return self._target(self.least)

    def aim_shown(self):
        return self._target(self.aim)

    def verdict(self):
        def within(target):
            return self.value <= target if self.most else self.value >= target

        if self.value is None:
            return "FAILED" if self.instead == NOT_DONE else ""
        if self.least is None:
            return ""
        if not within(self.least):
            return "MISSED"
        return "aim" if self.aim is not None and within(self.aim) else "ok"

    def is_bad(self):
        return self.verdict() in ("MISSED", "FAILED")

    def told(self):
        return {**dataclasses.asdict(self), "verdict": self.verdict()}


def conditions():
    with open("/proc/cpuinfo") as file:
        models = {line.split(":")[1].strip() for line in file if line.startswith("model name")}
    version = subprocess.run([LOCKSTEP, "--version"], text=True, stdout=subprocess.PIPE).stdout
    return {
        "machine": f"{os.cpu_count()} cores, {', '.join(sorted(models)) or platform.machine()}",
        "kernel": platform.release(),
        "program": version.splitlines()[0],
        "load": f"{os.getloadavg()[0]:.1f} at the end; the bench itself makes two or three",
        "runs": f"the median of {RUNS}, where no other number is told",
    }


# ── What a rotation costs ──


@contextlib.contextmanager
def two_sizes(few=400, more=2000, window=200, **options):
    """Two labs whose difference tells what one more rotation costs; they know the host keys."""
    with Lab(few, window, name="few", **options) as small, Lab(
        more, window, name="more", **options
    ) as large:
        small.run()
        large.run()
        yield small, large


def more_us(small, large):
    """CPU of one more rotation, and of a run without any."""
    first, second = small.done_run().cpu_s, large.done_run().cpu_s
    each = slope(((small.count, first), (large.count, second)))
    return each * 1e6, (first - small.count * each) * 1e6


def rotation_us(wires=1):
    with two_sizes(wires=wires) as labs:
        return median([more_us(*labs)[0] for _ in range(RUNS)])


def beside_bare_us(kex):
    """A rotation of ours, one of the bare loop, and a run of ours without any."""
    lists = {"x25519": "curve25519-sha256", "nistp256": "ecdh-sha2-nistp256"}
    found = []
    with two_sizes(options=("--kex", lists[kex])) as labs:
        for _ in range(RUNS):
            ours, start = more_us(*labs)
            found.append((ours, loop_us(labs[1], 200, kex), start))
    return [median(each) for each in zip(*found)]


def measure_rotation(found, series, long):
    for kex in ("x25519", "nistp256"):
        floor = 2 * floor_us(kex, "ed25519")
        ours, bare, start = beside_bare_us(kex)
        floor = (floor + 2 * floor_us(kex, "ed25519")) / 2
        note = (
            f"a rotation {ours:.0f} µs, the bare loop {bare:.0f} µs, the floor {floor:.0f} µs "
            f"of CPU; a run begins and ends in {start / 1000:.0f} ms"
        )
        series.setdefault("rotation", []).append((kex, floor, bare, ours))
        found.append(
            Row(f"CPU ÷ crypto floor, {kex}", ours / floor, "", 2.4, 1.9, True, note)
        )
        found.append(Row(f"CPU ÷ bare loop, {kex}", ours / bare, "", 1.15, 1.0, True))


# ── Memory ──


def memory_of(in_flight, wires):
    """KB a session: all assets wait for a command's answer, each with one session."""
    options = ("--command-ms", 60000)
    with Lab(in_flight, in_flight, wires=wires, name="memory", options=options) as lab:
        with Watched(lab) as command:
            time.sleep(1)
            wait_until(lambda: lab.many.stats()["logins"] >= in_flight, 240)
            time.sleep(2)
            many = command.memory_kb()
    return many


def measure_memory(found, series, long):
    counts = (500, 1000, 2500, 5000, 10000) if long else (500, 2500, 5000)
    points = [(count, memory_of(count, 1)) for count in counts]
    each = slope((points[0], points[-1]))
    series["memory"] = points
    found.append(
        Row("resident memory a session", each, " KB", 64, 60, True, digits=1,
            note=f"{points[-1][0]} sessions on one wire: {points[-1][1] / 1024:.0f} MB")
    )


# ── Many at work ──


STEPS = 7  # login, elevation, two looks, the change, the proof's login and its echo


def watched_run(lab):
    """How long it took, the CPU of each of its processes, and whether all went well."""
    each_s, begun = {}, time.monotonic()
    with Watched(lab) as command:
        while command.process.poll() is None:
            if time.monotonic() - begun > LIMIT_S:
                raise RuntimeError(f"it did not end within {LIMIT_S} s")
            each_s.update(command.each_cpu_s())
            time.sleep(0.1)
    return time.monotonic() - begun, each_s.values(), command.process.returncode == 0


def window_of(in_flight, wires, count, latency_ms=500):
    """
    How many a second there were, and how many there could have been: as many as the window lets in;
    as the cores do with the fleet's own work, and the busiest of the processes with one core, when
    the last rotation's latency is over.
    """
    options = ("--login-ms", latency_ms, "--command-ms", latency_ms)
    rotation_s = STEPS * latency_ms / 1000
    with Lab(
        count, in_flight, wires=wires, fleets=wires, name="window", options=options
    ) as lab:
        before_s = lab.many.stats()["cpu_ms"] / 1000
        took_s, each_s, fine = watched_run(lab)
        fleet_s = lab.many.stats()["cpu_ms"] / 1000 - before_s
    work_s = max((sum(each_s) + fleet_s) / os.cpu_count(), *each_s, fleet_s / wires)
    could_s = max(count / in_flight * rotation_s, work_s + rotation_s)
    return count / took_s, count / could_s, fine


def measure_window(found, series, long):
    sizes = [(250, 1, 1500), (1000, 1, 4000), (5000, 1, 15000)]
    if long:
        sizes = [(250, 1, 2500), (500, 1, 4000), (2000, 1, 10000), *sizes[2:], (10000, 2, 40000)]
    for in_flight, wires, count in sizes:
        rate, limit, fine = window_of(in_flight, wires, count)
        series.setdefault("window", []).append((in_flight, rate, limit))
        note = f"{rate:.0f} a second of at most {limit:.0f}" + ("" if fine else "; some FAILED")
        wanted = in_flight >= 5000
        found.append(
            Row(
                f"{in_flight} in work on {wires} wire{'s' * (wires > 1)} ÷ what could be",
                rate / limit if fine else 0.0,
                least=0.9 if wanted else None,
                aim=0.95 if wanted else None,
                note=note,
            )
        )


def measure_idle(found, series, long):
    count, seconds = 10000, 10
    options = ("--command-ms", 10 * 60 * 1000)
    with Lab(count, count, wires=2, fleets=2, name="idle", options=options) as lab:
        with Watched(lab) as command:
            wait_until(lambda: lab.many.stats()["logins"] >= count, 300)
            time.sleep(5)
            before = command.cpu_s()
            time.sleep(seconds)
            share = (command.cpu_s() - before) / seconds * 100
    found.append(Row(f"{count} idle sessions, of a core", share, " %", 0.5, 0.2, True))


# ── Hostile assets ──

HOSTILE = ("banner", "flood", "silent", "drip", "hang", "reset", "disconnect")


def lag_ms(counts):
    """How long turns are at most in 99 % of the time that the loops work."""
    steps = [step * count for step, count in enumerate(counts)]
    left = sum(steps) * 0.01
    for step in range(len(steps) - 1, 0, -1):
        left -= steps[step]
        if left < 0:
            return step / 100
    raise RuntimeError("the wires' loops were not looked at")


def measured_lag_ms(lab):
    path = os.path.join(WORK, "loop_lag")
    if os.path.exists(path):
        os.unlink(path)
    preload = os.path.join(BENCH, "loop_lag.so")
    lab.run(env=dict(os.environ, LD_PRELOAD=preload, LOOP_LAG_FILE=path))
    counts = array.array("Q")
    with open(path, "rb") as file:
        counts.frombytes(file.read())
    return lag_ms(counts)


def measure_hostile(found, series, long):
    count, ratios = 3000, []
    options = ("--login-ms", 20, "--command-ms", 20)
    # On a busy machine a login may not end in time, and leave a doubt: that has a deadline.
    more = {"waits": QUICK, "deadline": "20s"}
    with Lab(count, 300, name="hostile", options=options, **more) as lab:
        lab.run()
        for run in range(RUNS):
            clean = lab.run()
            for n in range(count // 100):
                lab.many.trouble(HOSTILE[n % len(HOSTILE)], 1 + n * 100)
            hostile = lab.run()
            if run == RUNS - 1:
                lag = measured_lag_ms(lab)
            lab.many.trouble("none", 1, count)
            ratios.append(clean.cpu_s / hostile.cpu_s * 0.99)
    what = "CPU with 1 % hostile assets, clean ÷ hostile"
    found.append(Row(what, median(ratios), "", 0.95, 0.98))
    note = "of CPU, by the time that they take: as long as one lasts timers and the core wait"
    found.append(Row("a turn of a wire's loop, p99", lag, " ms", 5, 2, True, note))


# ── Durable ──


def measure_durable(found, series, long):
    """Not durable is a vault in memory; the late one's fsync takes ten milliseconds more."""
    memory = tempfile.mkdtemp(prefix="lockstep-bench.", dir="/dev/shm")
    late = dict(os.environ, LD_PRELOAD=os.path.join(BENCH, "late_sync.so"))
    options = ("--login-ms", 20, "--command-ms", 20)
    ratios = {"durable ÷ not durable": [], "durable, each fsync 10 ms later ÷ not durable": []}
    count = 3000
    try:
        with Lab(count, 1000, place=memory, options=options) as fast, Lab(
            count, 1000, name="disk", options=options
        ) as disk:
            fast.run()
            disk.run()
            for _ in range(RUNS):
                base_s = fast.run().wall_s
                for ratio, env in zip(ratios.values(), (None, late)):
                    ratio.append(base_s / disk.run(env=env).wall_s)
    finally:
        shutil.rmtree(memory, ignore_errors=True)
    for what, ratio in ratios.items():
        found.append(Row(what, median(ratio), "", 0.95, 0.98))


def measure_wires(found, series, long):
    one, two = rotation_us(wires=1), rotation_us(wires=2)
    found.append(Row("rotations a CPU second, two wires ÷ one", one / two, "", 0.93, 0.97))


# ── A large inventory, a long history ──


def measure_assets(found, series, long):
    count = 1000000
    place = os.path.join(WORK, "million")
    shutil.rmtree(place, ignore_errors=True)
    subprocess.run([LOCKSTEP, "init", place], stdout=subprocess.DEVNULL, check=True)
    with open(os.path.join(place, "inventory/assets.csv"), "w") as file:
        file.write("name,address,platform,node,admin,become,accounts\n")
        for n in range(count):
            file.write(f"host{n},10.{n >> 16}.{n >> 8 & 255}.{n & 255},linux,/site{n % 50},")
            file.write("ops,sudo,app;deploy\n")
    command = [LOCKSTEP, "-q", "-C", place, "asset", "list", "host9999*"]
    took, memory = [], []
    for _ in range(RUNS):
        said = subprocess.run(
            ["/usr/bin/env", "python3", "-c", MEASURED, *command],
            text=True, stdout=subprocess.PIPE, check=True,
        ).stdout.split()
        took.append(float(said[-2]))
        memory.append(float(said[-1]))
    shutil.rmtree(place)
    found.append(Row(f"{count} assets loaded and selected from", median(took), " s", 10, 3, True))
    found.append(Row(f"{count} assets, memory", median(memory), " MB", 400, 200, True, digits=0))


MEASURED = """
import resource, subprocess, sys, time
begun = time.monotonic()
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
took = time.monotonic() - begun
print(took, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
"""


ASKED = {
    "overview": ("overview", {}),
    "a page of failures": ("record.list", {"status": "failed", "limit": 100}),
}


def measure_history(found, series, long):
    """From the request to the last byte of the answer, by an engine that runs."""
    records = 10000000 if long else 1000000
    place = os.path.join(WORK, "history")
    shutil.rmtree(place, ignore_errors=True)
    subprocess.run([LOCKSTEP, "init", place], stdout=subprocess.DEVNULL, check=True)
    fill = [os.path.join(BENCH, "history"), place, records // 100, records, 100000, 300]
    subprocess.run([str(word) for word in fill], check=True)
    size = os.stat(os.path.join(place, "vault/data.mdb")).st_blocks * 512 / 1e9
    note = f"of {records // 100:,} executions and 100,000 accounts; the vault has {size:.1f} GB"
    with engine(LOCKSTEP, place):
        for what, (method, params) in ASKED.items():
            took = answer_ms(place, method, params).median
            what = f"{records:,} records: {what}"
            found.append(Row(what, took, " ms", 50, 5, True, note, digits=1))
    shutil.rmtree(place)


def peer_row(peer, lab, ours):
    row = Row(f"{peer.name} ÷ lockstep, CPU", None, " ×", peer.least, peer.aim, digits=1)
    if not peer.is_there():
        row.instead = "not installed"
        return row
    try:
        cost = peer.cost_ms(lab)
    except peers.NotDone as why:
        row.instead, row.note = NOT_DONE, str(why)
        return row
    row.value = cost / ours
    row.note = f"{peer.version()}, {cost:.1f} ms and {ours:.2f} ms of CPU for one host more"
    return row


def measure_peers(found, series, long):
    """The same work by others, on the same fleet."""
    with two_sizes() as labs:
        ours = median([more_us(*labs)[0] for _ in range(RUNS)]) / 1000
        rows = [peer_row(peer, labs[1], ours) for peer in peers.PEERS]
    found += rows
    costs = [
        (peer.name, row.value * ours)
        for peer, row in zip(peers.PEERS, rows)
        if row.value is not None
    ]
    if costs:
        series["peers"] = [("lockstep", ours), *costs]


MEASURES = {
    "rotation": measure_rotation,
    "memory": measure_memory,
    "window": measure_window,
    "idle": measure_idle,
    "hostile": measure_hostile,
    "durable": measure_durable,
    "wires": measure_wires,
    "assets": measure_assets,
    "peers": measure_peers,
    "history": measure_history,
}


def children_cpu_s():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure(wanted, long):
    for name in wanted:
        if name not in MEASURES:
            raise Unknown(f"there is no row {name}: there are {', '.join(MEASURES)}")
    adopt()
    found, series = [], {}
    for name, take in MEASURES.items():
        if wanted and name not in wanted:
            continue
        begun, before_s = time.monotonic(), children_cpu_s()
        try:
            take(found, series, long)
        except (RuntimeError, subprocess.SubprocessError, OSError) as why:
            found.append(Row(name, None, note=str(why)[-500:], instead=NOT_DONE))
        took_s, used_s = time.monotonic() - begun, children_cpu_s() - before_s
        print(f"bench: {name} in {took_s:.0f} s, {used_s:.0f} s of CPU", file=sys.stderr)
    return found, series
