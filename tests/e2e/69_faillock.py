#!/usr/bin/env python3
"""Assets that lock an account after three refused logins (pam_faillock): whatever is refused, told
wrong, killed or tried again, no account is locked by us."""
# time limit: 200

import os
import random
import signal
import subprocess
import threading
import time

from harness import PASSWORD, WORK, Fleet, Ops, children, main, ssh_opens

LIMIT = 3
SECONDS = 100 if os.environ.get("LONG") else 15
GROUPS = 6
ACCOUNTS = [f"g{g}-{kind}" for g in range(GROUPS) for kind in ("right", "wrong", "unknown")]
SETUP = r"""
options="deny=3 unlock_time=900 fail_interval=900 nodelay"
case $1 in [246]) options="$options even_deny_root root_unlock_time=900" ;; esac
cat >/etc/pam.d/common-auth <<END
auth required pam_faillock.so preauth $options
auth [success=1 default=ignore] pam_unix.so nullok nodelay
auth [default=die] pam_faillock.so authfail $options
auth required pam_permit.so
END
sed -i '1i account required pam_faillock.so' /etc/pam.d/common-account
mkdir -p /run/faillock
cp -p /usr/sbin/chpasswd /root/chpasswd
case $1 in
1 | 4) ;;
2 | 5) printf '#!/bin/sh\ncat >/dev/null\necho no >&2\nexit 1\n' >/usr/sbin/chpasswd ;;
3 | 6) printf '#!/bin/sh\ncat >/dev/null\n' >/usr/sbin/chpasswd ;;
esac
"""
NODES = """
node "/" {{ lockout = {{ limit = 3, window = "15m" }} }}
""" + "".join(
    """task "group%d" {{ accounts = "g%d-*", nodes = {{ "/" }}, secret = random "plain",
	verify = "{verify}" }}
"""
    % (g, g)
    for g in range(GROUPS)
)

fleet = ops = watch = None


class Watch(threading.Thread):
    """Asks every asset, over and over, how many failures it counts for each account."""

    def __init__(self, assets):
        super().__init__(daemon=True)
        self.assets = assets
        self.peak = {}
        self.looks = 0
        self.over = False
        self.lock = threading.Lock()

    def look(self):
        with self.lock:
            self._look()

    def forget(self):
        with self.lock:
            for asset in self.assets:
                fleet.sh(asset, "faillock", "--reset")
            self.peak.clear()

    def _look(self):
        for asset in self.assets:
            user = None
            for line in fleet.sh(asset, "faillock").splitlines():
                if line.endswith(":"):
                    user = line[:-1]
                    count = 0
                elif line.rstrip().endswith(" V"):
                    count += 1
                    key = asset, user
                    self.peak[key] = max(count, self.peak.get(key, 0))
        self.looks += 1

    def run(self):
        while not self.over:
            self.look()
            time.sleep(0.02)

    def check(self):
        self.look()
        locked = {k: v for k, v in self.peak.items() if v >= LIMIT}
        assert not locked, f"locked by us: {locked}"


def setup():
    global fleet, ops, watch
    path = os.path.join(WORK, "faillock.sh")
    with open(path, "w") as file:
        file.write(SETUP)
    names = "+".join(ACCOUNTS)
    options = f"accounts={names},setup={path}"
    fleet = Fleet(f"1-3:{options}", f"4-6:keyboard,{options}")
    watch = Watch(list(fleet.assets))
    watch.start()


def made(name, become="sudo", verify="login"):
    """A vault of its own, whose window of attempts begins anew: so do the counts of the assets."""
    watch.forget()
    rows = [
        (f"asset{n}", a, p, "ops", become, ";".join(ACCOUNTS))
        for n, (a, p, _) in fleet.assets.items()
    ]
    new = Ops(fleet, name=name, rows=rows, deadline="300ms", retries=2, limit=LIMIT)
    path = os.path.join(new.dir, "lockstep.lua")
    with open(path) as file:
        text = file.read()
    start = text.index('node "/"')
    new.write("lockstep.lua", text[:start] + NODES.format(verify=verify))
    new.tell(("*", "ops", PASSWORD))
    for g in range(GROUPS):
        new.tell(("*", f"g{g}-right", PASSWORD), ("*", f"g{g}-wrong", "not-This-1."))
    return new


def test_it_would_lock():
    """Three refused logins do lock here: else nothing below proves anything."""
    address, port, _ = fleet.assets[1]
    for _ in range(LIMIT):
        assert not ssh_opens(address, port, "g0-right", "wrong.Password-1")
    assert not ssh_opens(address, port, "g0-right", PASSWORD)
    watch.look()
    assert watch.peak[1, "g0-right"] == LIMIT, watch.peak


def test_runs_over_and_over():
    ops = made("over")
    for _ in range(3):
        for g in range(2):
            ops.run("run", f"group{g}")
        watch.check()
    ops.run("record", "retry", *[r["id"] for r in ops.json("record", "list")][:20])
    watch.check()


def test_the_admins_password_is_wrong():
    ops = made("admin")
    ops.tell(("*", "ops", "not-This-1."))
    for g in range(2):
        ops.run("run", f"group{g}")
    ops.run("asset", "ping", "*")
    ops.tell(("*", "ops", "nor-That-1."))
    ops.run("run", "group0")
    ops.run("asset", "ping", "*")
    watch.check()


def test_roots_password_is_wrong():
    """Where su elevates, it is root's password that is refused."""
    ops = made("root", become="su")
    ops.tell(("*", "root", "not-This-1."))
    for _ in range(2):
        for g in range(2):
            ops.run("run", f"group{g}")
        ops.run("asset", "ping", "*")
    ops.tell(("*", "root", "nor-That-1."))
    ops.run("run", "group0")
    watch.check()


def test_su_proves():
    ops = made("su", verify="su")
    for _ in range(3):
        ops.run("run", "group0")
    watch.check()


def kill(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def test_kills_at_random():
    seed = int(os.environ.get("SEED", random.randrange(2**32)))
    print(f"      SEED={seed}", flush=True)
    dice = random.Random(seed)
    ops = made("kills")
    end = time.monotonic() + SECONDS
    kills = 0
    while time.monotonic() < end:
        group = dice.randrange(GROUPS)
        engine = ops.start("run", f"group{group}", "--json")
        try:
            engine.wait(timeout=dice.uniform(0.02, 2.5))
        except subprocess.TimeoutExpired:
            kills += 1
            victims = children(engine.pid) if dice.random() < 0.5 else []
            kill(victims + ([engine.pid] if not victims or dice.random() < 0.5 else []))
        engine.communicate(timeout=100)
        if dice.random() < 0.3:
            told = f"g{dice.randrange(GROUPS)}-wrong"
            ops.run("account", "import", "-", stdin=f"asset,account,password\n*,{told},Wrong-1.x\n")
        watch.check()
    for g in range(2):
        ops.run("run", f"group{g}")
    watch.check()
    print(f"      {kills} kills, {watch.looks} looks, peak {max(watch.peak.values(), default=0)}")
    watch.over = True


main()
