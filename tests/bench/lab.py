"""What all measurements share: a policy for the simulated fleet, and commands whose time on a
processor, time on the clock and memory are told."""

import collections
import ctypes
import os
import shutil
import signal
import statistics
import subprocess
import time

from harness import LOCKSTEP, WORK, Ops, children
from many import Many

BENCH = os.path.join(os.environ["BUILD"], "tests/bench")
TASK = """task "many" {{ nodes = {{ "/" }}, accounts = {{ "app*" }}, secret = random "plain",
	limits = {{ in_flight = {window} }} }}"""
PATIENT = 'connect_timeout = "5m", login_timeout = "5m",'
QUICK = 'connect_timeout = "2s", login_timeout = "2s",'
FIRST_PASSWORD = "First-Pass.1"

# One that takes longer has stopped, and is no figure.
LIMIT_S = 600
PR_SET_CHILD_SUBREAPER = 36

Used = collections.namedtuple("Used", "cpu_s wall_s code")


def cpu_of(command, env=None):
    """Runs it; the time of a processor is that of all its processes, waited for or left behind."""
    before, begun = set(children(os.getpid())), time.monotonic()
    process = subprocess.Popen(
        ["timeout", "-k", "5", str(LIMIT_S), *command],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise RuntimeError(f"{command}: {said.decode(errors='replace')}")
    used_s = usage.ru_utime + usage.ru_stime
    wall_s = time.monotonic() - begun
    while orphans := set(children(os.getpid())) - before:
        used_s += sum(ended_cpu_s(orphan) for orphan in orphans)
    return Used(used_s, wall_s, process.returncode)


def adopt():
    """Whoever loses its parent is ours to wait for."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def ended_cpu_s(child):
    """Ends it, where it has not; what it took."""
    os.kill(child, signal.SIGTERM)
    _, _, usage = os.wait4(child, 0)
    return usage.ru_utime + usage.ru_stime


class Lab:
    """Assets, a policy that rotates an account of each, and its vault."""

    def __init__(
        self,
        count,
        window=500,
        accounts=1,
        wires=1,
        fleets=1,
        place=WORK,
        name="lab",
        options=(),
        waits=PATIENT,
        deadline="5m",
    ):
        work = os.path.join(WORK, f"{name}.many")
        os.makedirs(work, exist_ok=True)
        self.many = Many(*options, processes=fleets, work=work)
        self.count = count
        self.names = names = [f"app{n}" for n in range(accounts)]
        settings = f"wires = {wires}, in_flight = {window}, {waits}"
        self.ops = Ops(
            None,
            name=os.path.join(place, name),
            deadline=deadline,
            settings=settings,
            more=TASK.format(window=window),
            rows=self.many.rows(range(1, count + 1), names),
        )
        self.ops.tell(*[("*", account, FIRST_PASSWORD) for account in ["ops", *names]])

    def command(self, *more):
        return [LOCKSTEP, "-q", "-C", self.ops.dir, "run", "many", *more]

    def run(self, *more, env=None):
        return cpu_of(self.command(*more), env=env)

    def done_run(self):
        """One after which all accounts were set and logged in to, by what the fleet saw."""
        before = self.many.stats()["changes"]
        used = self.run()
        changes = self.many.stats()["changes"] - before
        held = self.many.judge().items()
        proven = sum(one.proven for (_, name), one in held if name in self.names)
        if used.code != 0 or min(changes, proven) < self.count * len(self.names):
            raise RuntimeError(f"{changes} of {self.count} were set, {proven} logged in to")
        return used

    def close(self):
        self.many.stop()
        shutil.rmtree(self.ops.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def family(pid):
    """A process and all that it started."""
    found = [pid]
    for one in found:
        found += children(one)
    return found


def memory_kb(pid):
    """What it has of its own: shared pages are nobody's."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            for line in file:
                if line.startswith("Pss:"):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0


def cpu_s(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Watched:
    """A command at work, looked at from outside; ended when one has seen enough."""

    def __init__(self, lab, *more):
        self.process = subprocess.Popen(
            lab.command(*more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def memory_kb(self):
        """Of its wires together."""
        return sum(memory_kb(pid) for pid in family(self.process.pid)[1:])

    def cpu_s(self):
        return sum(self.each_cpu_s().values())

    def each_cpu_s(self):
        return {pid: cpu_s(pid) for pid in family(self.process.pid)}

    def end(self):
        """Its wires end with it."""
        wires = family(self.process.pid)[1:]
        self.process.kill()
        self.process.wait()
        for wire in set(wires) & set(children(os.getpid())):
            os.waitpid(wire, 0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def wait_until(what, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return
        time.sleep(0.1)
    raise RuntimeError("it did not come so far in time")


def floor_us(kex, host_key):
    """Of one handshake."""
    said = subprocess.run(
        [os.path.join(BENCH, "floor"), kex, host_key, "1"],
        check=True,
        text=True,
        stdout=subprocess.PIPE,
    ).stdout
    return float(said)


def loop_us(lab, window, kex):
    """The bare loop's time of a processor for a rotation."""
    names = {"x25519": "curve25519-sha256", "nistp256": "ecdh-sha2-nistp256"}
    used = []
    for count in (lab.count // 5, lab.count):
        words = [1, count, lab.many.ports[0], window, names[kex], "ssh-ed25519"]
        said = subprocess.run(
            [os.path.join(BENCH, "loop"), *[str(word) for word in words]],
            check=True,
            text=True,
            stdout=subprocess.PIPE,
        ).stdout.split()
        used.append((count, float(said[2])))
    return slope(used) * 1e6


def slope(points):
    """What each more costs, whatever the beginning does."""
    (count, few), (more_count, more) = points
    return (more - few) / (more_count - count)


median = statistics.median


