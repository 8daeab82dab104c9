"""The rows of the table: how each is measured, and its targets."""

import array
import dataclasses
import math
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time

import peers
from lab import BENCH, LIMIT_S, LOCKSTEP, QUICK, WORK, Lab, Watched, cpu_of, floor_us, loop_us
from lab import median, slope, wait_until

RUNS = 3


class Unknown(Exception):
    """A row that there is not."""


@dataclasses.dataclass
class Row:
    """A figure with what it should be: at most, where `most` is said, else at least."""

    what: str
    value: float
    unit: str = ""
    least: float = None
    aim: float = None
    most: bool = False
    note: str = ""
    digits: int = 2

    def text(self, value):
        return "" if value is None else f"{value:.{self.digits}f}{self.unit}"

    def shown(self):
        return self.text(self.value)

    def _target(self, value):
        return "" if value is None else f"{'≤' if self.most else '≥'} {self.text(value)}"

    def least_shown(self):
        return self._target(self.least)

    def aim_shown(self):
        return self._target(self.aim)

    def verdict(self):
        def within(target):
            return self.value <= target if self.most else self.value >= target

        if self.least is None:
            return ""
        if not within(self.least):
            return "MISSED"
        return "aim" if self.aim is not None and within(self.aim) else "ok"

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


def rotation_us(kex, count=2000, few=400, window=200, wires=1):
    """Lockstep's and the bare loop's, each by what another rotation costs."""
    lists = {"x25519": "curve25519-sha256", "nistp256": "ecdh-sha2-nistp256"}
    ours, bare, starts = [], [], []
    options = ("--kex", lists[kex])
    with Lab(few, window, wires=wires, name="few", options=options) as small, Lab(
        count, window, wires=wires, name="more", options=options
    ) as large:
        # The first run asks for the host keys, the others know them.
        small.run()
        large.run()
        for _ in range(RUNS):
            first, second = small.run().cpu_s, large.run().cpu_s
            ours.append(slope(((few, first), (count, second))) * 1e6)
            starts.append((first - few * ours[-1] / 1e6) * 1e3)
            bare.append(loop_us(large, window, kex))
    return median(ours), median(bare), median(starts)


def measure_rotation(found, series, long):
    for kex in ("x25519", "nistp256"):
        floor = 2 * floor_us(kex, "ed25519")
        ours, bare, start = rotation_us(kex)
        floor = (floor + 2 * floor_us(kex, "ed25519")) / 2
        note = (
            f"a rotation {ours:.0f} µs, the bare loop {bare:.0f} µs, the floor {floor:.0f} µs "
            f"of CPU; a run begins and ends in {start:.0f} ms"
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
    with Lab(count, 500, name="hostile", options=options, waits=QUICK) as lab:
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
    rates = {"memory": [], "disk": [], "late": []}
    count = 2000
    try:
        with Lab(count, 1000, place=memory, options=options) as fast, Lab(
            count, 1000, name="disk", options=options
        ) as disk:
            fast.run()
            disk.run()
            for _ in range(RUNS):
                rates["memory"].append(count / fast.run().wall_s)
                rates["disk"].append(count / disk.run().wall_s)
                rates["late"].append(count / disk.run(env=late).wall_s)
    finally:
        shutil.rmtree(memory, ignore_errors=True)
    base = median(rates["memory"])
    found.append(Row("durable ÷ not durable", median(rates["disk"]) / base, "", 0.95, 0.98))
    late_what = "durable, each fsync 10 ms later ÷ not durable"
    found.append(Row(late_what, median(rates["late"]) / base, "", 0.95, 0.98))


def measure_wires(found, series, long):
    one, _, _ = rotation_us("x25519", wires=1)
    two, _, _ = rotation_us("x25519", wires=2)
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


def measure_history(found, series, long):
    """Ten million records take half an hour to be put into a vault."""
    if not long:
        return
    place = os.path.join(WORK, "history")
    shutil.rmtree(place, ignore_errors=True)
    subprocess.run([LOCKSTEP, "init", place], stdout=subprocess.DEVNULL, check=True)
    fill = [os.path.join(BENCH, "history"), place, "100000", "10000000", "100000", "300"]
    subprocess.run(fill, check=True)
    for what, words in {
        "overview": ["overview"],
        "a page of failures": ["record", "list", "--status", "failed", "--limit", "100"],
    }.items():
        took = [
            cpu_of([LOCKSTEP, "-q", "-C", place, *words]).cpu_s * 1000 for _ in range(7)
        ]
        found.append(Row(f"10,000,000 records: {what}", median(took), " ms", 50, 5, True, digits=1))
    shutil.rmtree(place)


def measure_peers(found, series, long):
    """The same work by others, on the same fleet."""
    count = 100
    with Lab(2000, 200, name="peers") as lab:
        lab.run()
        ours = median([lab.run().cpu_s for _ in range(RUNS)]) / 2000 * 1000
        series["peers"] = [("lockstep", ours)]
        for peer in peers.installed(long):
            cost = peer.cpu_ms(lab, count)
            if cost is None:
                continue
            series["peers"].append((peer.name, cost))
            note = f"{cost:.1f} ms a host, and {ours:.2f} ms"
            found.append(
                Row(
                    f"{peer.name} ÷ lockstep, CPU",
                    cost / ours,
                    " ×",
                    peer.least,
                    peer.aim,
                    note=note,
                    digits=1,
                )
            )


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


def measure(wanted, long):
    for name in wanted:
        if name not in MEASURES:
            raise Unknown(f"there is no row {name}: there are {', '.join(MEASURES)}")
    found, series = [], {}
    for name, take in MEASURES.items():
        if wanted and name not in wanted:
            continue
        begun = time.monotonic()
        try:
            take(found, series, long)
        except (RuntimeError, subprocess.SubprocessError, OSError) as why:
            found.append(Row(f"{name}: not measured", math.nan, least=0.0, note=str(why)[-500:]))
        print(f"bench: {name} in {time.monotonic() - begun:.0f} s", file=sys.stderr)
    return found, series
