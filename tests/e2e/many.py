"""The simulated fleet (tests/fleet/many), and the judge that holds a vault against it."""

import collections
import ipaddress
import os
import socket
import subprocess

from harness import Skip

MANY = os.path.join(os.environ["BUILD"], "tests/fleet/many/many")
LEDGER = os.path.join(os.environ["BUILD"], "tests/fleet/many/ledger")
FIRST = ipaddress.IPv4Address("127.64.0.0")

Held = collections.namedtuple("Held", "password changes logins refused proven")


class Many:
    """Some processes that stand for as many assets as one likes: asset N is with process N modulo
    their count."""

    def __init__(self, *options, processes=1, work=None):
        if not os.access(MANY, os.X_OK):
            raise Skip("there is no simulated fleet: it was built without libssh")
        work = work or os.environ["WORK"]
        self.controls = [os.path.join(work, f"many{n}.socket") for n in range(processes)]
        self.processes = [
            subprocess.Popen(
                [MANY, "--control", control, *[str(o) for o in options]],
                stdout=subprocess.PIPE,
                text=True,
            )
            for control in self.controls
        ]
        self.ports = [int(process.stdout.readline()) for process in self.processes]

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait()

    def address(self, number):
        return str(FIRST + number)

    def port(self, number):
        return self.ports[number % len(self.ports)]

    @staticmethod
    def _ask(control, line):
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(control)
            link.sendall(line.encode() + b"\n")
            return b"".join(iter(lambda: link.recv(1 << 20), b"")).decode()

    def ask(self, line):
        """The same of all processes; their answers, one after the other."""
        return "".join(self._ask(control, line) for control in self.controls)

    def trouble(self, word, first, last=None):
        said = self.ask(f"trouble {first} {first if last is None else last} {word}")
        assert said == "ok\n" * len(self.controls), said

    def latency(self, login_ms, command_ms):
        self.ask(f"latency {login_ms} {command_ms}")

    def stats(self):
        """Summed over the processes."""
        sums = collections.Counter()
        for line in self.ask("stats").splitlines():
            name, value = line.split()
            sums[name] += int(value)
        return sums

    def judge(self):
        """What every account holds: {(number, account): Held}."""
        held = {}
        for line in self.ask("judge").splitlines():
            number, account, password, changes, logins, refused, proven = line.split("\t")
            held[int(number), account] = Held(
                password, int(changes), int(logins), int(refused), proven == "1"
            )
        return held

    def rows(self, numbers, accounts):
        """For harness.Ops: all of them with the same accounts."""
        return [
            (f"asset{n}", self.address(n), self.port(n), "ops", "sudo", ";".join(accounts))
            for n in numbers
        ]


def ledger(ops):
    """Every password that the vault holds: {(number, account): {stage: [password, …]}}."""
    said = subprocess.run([LEDGER, ops.dir], check=True, text=True, stdout=subprocess.PIPE).stdout
    kept = {}
    for line in said.splitlines():
        asset, account, stage, _, password = line.split("\t")
        stages = kept.setdefault((int(asset.removeprefix("asset")), account), {})
        stages.setdefault(stage, []).append(password)
    return kept


def judge(ops, many, execution):
    """
    Holds each record against what the fleet holds and what the vault keeps; counts them by status.
    """
    held, kept = many.judge(), ledger(ops)
    counts = collections.Counter()
    for record in ops.records(execution):
        key = int(record["asset"].removeprefix("asset")), record["account"]
        _judge(record, held.get(key), kept[key])
        counts[record["status"]] += 1
    return counts


def _judge(record, held, kept):
    status = record["status"]
    (current,) = kept["current"]
    assert status in ("success", "failed", "unverified", "skipped"), record
    if held is None:
        assert status in ("failed", "skipped") and not record["sends"], ("never named", record)
    elif status == "success":
        assert held.password == current, ("success, and it holds another", record, held)
        assert held.proven, ("success, and no login was seen", record, held)
    elif status == "unverified":
        known = [password for stage in kept.values() for password in stage]
        assert held.password in known, ("unverified, and it holds none of ours", record, held)
    else:
        assert "pending" not in kept or record["reason"] == "in_doubt", (
            f"{status}, and in doubt",
            record,
        )
        assert held.password == current, (f"{status}, and it holds another", record, held)

