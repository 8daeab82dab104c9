#!/usr/bin/env python3
"""Looks for every secret wherever one could leak: argv, environment, logs, temporary files, the
vault's files, core images of core and wires."""
# time limit: 240

import glob
import os
import re
import subprocess
import threading
import time

from harness import WORK, Fleet, Ops, Skip, children, main

ACCOUNTS = ("app", "deploy", "svc")
ADMIN = "Adm1n-Only.Secret_77"
ROOT = "R00t-Only.Secret_66"
TOLD = "T0ld-Once.Secret_55"
# By su, and by sudo that allows two commands: both on a terminal.
SETUP = """
case $1 in
2) rm /etc/sudoers.d/fleet;;
3) echo 'ops ALL=(root) /usr/sbin/chpasswd, /usr/bin/getent shadow *' >/etc/sudoers.d/fleet;;
esac
"""
fleet = ops = None


def setup():
    global fleet, ops
    if os.environ.get("VALGRIND"):
        raise Skip("valgrind's own memory is no core image of ours")
    script = os.path.join(WORK, "setup.sh")
    with open(script, "w") as file:
        file.write(SETUP)
    fleet = Fleet(f"1-3:setup={script}")
    fleet.sh(2, "chpasswd", stdin=f"root:{ROOT}\n")
    for n in fleet.assets:
        fleet.sh(n, "chpasswd", stdin=f"ops:{ADMIN}\n" + "".join(f"{a}:{TOLD}\n" for a in ACCOUNTS))
    ops = Ops(
        fleet,
        rows=[
            (f"asset{n}", a, p, "ops", "su" if n == 2 else "sudo", "app;deploy;svc")
            for n, (a, p, _) in sorted(fleet.assets.items())
        ],
    )
    ops.tell(("*", "ops", ADMIN), ("asset2", "root", ROOT), *[("*", a, TOLD) for a in ACCOUNTS])


class Watch(threading.Thread):
    """Reads argv and environment of every process, over and over: ours, the assets' own, all."""

    def __init__(self):
        super().__init__(daemon=True)
        self.seen = set()
        self.ends = False

    def run(self):
        while not self.ends:
            for path in glob.glob("/proc/[0-9]*/cmdline") + glob.glob("/proc/[0-9]*/environ"):
                try:
                    with open(path, "rb") as file:
                        self.seen.add(file.read())
                except OSError:
                    pass


def ranges_of(pid, dumped):
    """The readable ranges that the kernel would put into a core file, or would leave out of one."""
    ranges, current = [], None
    with open(f"/proc/{pid}/smaps") as file:
        for line in file:
            head = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) ", line)
            if head:
                current = (int(head[1], 16), int(head[2], 16), head[3], line.split()[-1])
            elif line.startswith("VmFlags:") and current:
                flags = line.split()[1:]
                if (
                    ("dd" not in flags) == dumped
                    and "rd" in flags
                    and "io" not in flags
                    and current[3] not in ("[vvar]", "[vsyscall]", "[vvar_vclock]")
                ):
                    ranges.append(current[:2])
    return ranges


def image(pid, dumped=True):
    parts = []
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for low, high in ranges_of(pid, dumped):
            try:
                memory.seek(low)
                parts.append(memory.read(high - low))
            except (OSError, ValueError, OverflowError):
                pass
    return b"".join(parts)


def images_during_run():
    """Core and wires, stopped at many moments of a run: what a core file would
    have, and what it leaves out."""
    found, kept_out = [], []
    engine = ops.start("run", "rotate", "--json", "-v")
    while engine.poll() is None:
        for pid in [engine.pid, *children(engine.pid)]:
            try:
                os.kill(pid, 19)
                found.append(image(pid))
                kept_out.append(image(pid, dumped=False))
                os.kill(pid, 18)
            except OSError:
                pass
        time.sleep(0.01)
    out, err = engine.communicate(timeout=60)
    assert engine.returncode == 0, err
    return found, kept_out, (out + err).encode()


def secrets():
    found = {ADMIN.encode(), ROOT.encode()}
    for n in fleet.assets:
        for account in ACCOUNTS:
            shown = ops.json("account", "show", f"asset{n}", account)
            for version in shown["versions"]:
                told = ops.json(
                    "account", "reveal", f"asset{n}", account, "--version", version["number"]
                )
                found.add(told["secret"].encode())
    return found


def files_under(*tops):
    for top in tops:
        for folder, _, names in os.walk(top):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path) and not os.path.islink(path):
                    yield path


def test_no_secret_in_the_open():
    watch = Watch()
    started = time.time()
    watch.start()
    images, kept_out, text = images_during_run()
    ops.json("run", "rotate")
    watch.ends = True
    watch.join()
    assert len(images) > 10, "too few images to say anything"
    known = secrets()
    assert len(known) == 3 + 2 * 9, len(known)

    held = sum(any(secret in data for secret in known) for data in kept_out)
    print(
        f"      {len(images)} images; in {held} a secret was in memory that is not dumped",
        flush=True,
    )
    assert held > 0, "no image was taken while a secret was in memory"

    def absent(where, data):
        for secret in known:
            assert secret not in data, f"{secret.decode()} stands in {where}"

    absent("the output", text)
    for seen in watch.seen:
        absent("an argv or environment: " + repr(seen[:80]), seen)
    for number, data in enumerate(images):
        absent(f"core image {number}", data)
    for path in files_under(ops.dir, "/tmp", "/var/tmp", "/dev/shm"):
        try:
            if os.path.getmtime(path) < started or os.path.getsize(path) > 64 << 20:
                continue
            with open(path, "rb") as file:
                absent(path, file.read())
        except OSError:
            pass
    for n in fleet.assets:
        logs = fleet.sh(
            n,
            "sh",
            "-c",
            "cat /var/log/* /tmp/* /var/tmp/* /root/.*history /home/*/.*history "
            "2>/dev/null || true",
        )
        absent(f"the files of asset{n}", logs.encode())


def test_the_search_finds_what_is_there():
    """The image of a process that holds a secret in ordinary memory has it."""
    holder = subprocess.Popen(
        [
            "python3",
            "-c",
            "import time; s = 'Held-' + 'In.Memory_9'; print(flush=True); " "time.sleep(60)",
        ],
        stdout=subprocess.PIPE,
    )
    holder.stdout.readline()
    assert b"Held-In.Memory_9" in image(holder.pid)
    holder.kill()
    holder.wait()


main()
