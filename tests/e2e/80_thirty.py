#!/usr/bin/env python3
"""Thirty real assets, four accounts each, through every way in: root, sudo with a password, su, a
key, a gateway, a chain of two. All succeed, the new secrets open, the old ones are refused, and it
takes less than a minute. Nor does a policy that is loaded anew all the time lose or double any."""
# time limit: 240

import itertools
import json
import os
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from harness import PASSWORD, WORK, Fleet, Ops, main, opens, wait_for

ACCOUNTS = ("app", "deploy", "svc", "web")
ROOT, SUDO, SU, KEY, GATEWAY, CHAIN = (range(n, n + 5) for n in (1, 6, 11, 16, 21, 26))
FIRST, SECOND = 6, 21  # the gateways: SECOND is reached through FIRST
SECONDS = 60
RELOADS, PAUSE = (1000, 0) if os.environ.get("LONG") else (50, 0.1)
FILES = ("lockstep.lua", "inventory/assets.csv")
fleet = ops = None


def gateway_of(n):
    return SECOND if n in CHAIN else FIRST if n in GATEWAY else None


def way(n):
    """Admin and become."""
    if n in ROOT:
        return "root", "none"
    return "ops", "su" if n in SU else "sudo"


def setup():
    global fleet, ops
    key = os.path.join(WORK, "key")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    accounts = "accounts=" + "+".join(ACCOUNTS)
    fleet = Fleet(
        f"{ROOT[0]}-{ROOT[-1]}:root,{accounts}",
        f"{SUDO[0]}-{SU[-1]}:{accounts}",
        f"{KEY[0]}-{KEY[-1]}:key={key}.pub,nopasswd,{accounts}",
        f"{GATEWAY[0]}-{GATEWAY[-1]}:behind={FIRST},{accounts}",
        f"{CHAIN[0]}-{CHAIN[-1]}:behind={SECOND},{accounts}",
        net="veth",
    )
    ops = Ops(fleet, rows=[], deadline="5s")
    lines = ["name,address,port,platform,admin,become,accounts,gateway"]
    for n, (address, port, _) in sorted(fleet.assets.items()):
        through = gateway_of(n)
        gateway = f"asset{through}" if through else ""
        admin, become = way(n)
        listed = ";".join(ACCOUNTS)
        lines.append(f"asset{n},{address},{port},linux,{admin},{become},{listed},{gateway}")
    ops.write("inventory/assets.csv", "\n".join(lines) + "\n")
    text = 'task "all" { accounts = { "app", "deploy", "svc", "web" }, nodes = { "/" }, '
    with open(os.path.join(ops.dir, "lockstep.lua"), "a") as file:
        file.write(text + 'secret = random "plain", verify = "login" }\n')
    told = ["asset,account,password,key_file,passphrase"]
    for n in fleet.assets:
        if n in KEY:
            told.append(f"asset{n},ops,,{key},")
        else:
            told.append(f"asset{n},{way(n)[0]},{PASSWORD},,")
        if n in SU:
            told.append(f"asset{n},root,{PASSWORD},,")
        told += [f"asset{n},{account},{PASSWORD},," for account in ACCOUNTS]
    ops.run("account", "import", "-", stdin="\n".join(told) + "\n", expect=0)


def ssh_opens(n, user, password):
    """A login by plain ssh, from where the asset can be reached."""
    address, port, _ = fleet.assets[n]
    command = [
        *("sshpass", "-d0", "ssh", "-F", "none", "-p", str(port)),
        *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
        *("-o", "PubkeyAuthentication=no", "-o", "NumberOfPasswordPrompts=1"),
        *("-o", "LogLevel=ERROR", f"{user}@{address}", "echo in"),
    ]
    if gateway_of(n):
        command = [os.environ["FLEET"], "sh", str(gateway_of(n)), *command]
    done = subprocess.run(
        command, input=password + "\n", env=fleet.env, text=True, capture_output=True
    )
    return done.returncode == 0 and "in" in done.stdout


def test_all_succeed_in_a_minute():
    done = ops.judged("run", "all")
    assert done["success"] == done["total"] == 120, done
    print(f"      {done['elapsed_ms'] / 1000:.1f} s", flush=True)
    assert done["elapsed_ms"] < SECONDS * 1000, done


def test_the_old_secrets_are_gone():
    for n in fleet.assets:
        entries = fleet.shadow(n)
        for account in ACCOUNTS:
            assert not opens(entries[account], PASSWORD), (n, account)


def test_plain_ssh_agrees():
    """One account of each asset, another in turn."""
    secrets = {}
    for n in fleet.assets:
        account = ACCOUNTS[n % len(ACCOUNTS)]
        secrets[n] = account, ops.reveal(f"asset{n}", account)["secret"]

    def agrees(n):
        account, secret = secrets[n]
        return ssh_opens(n, account, secret) and not ssh_opens(n, account, PASSWORD)

    with ThreadPoolExecutor(4) as pool:
        for n, agreed in zip(fleet.assets, pool.map(agrees, fleet.assets)):
            assert agreed, n


# ── Reloads during a rotation ─────────────────────────────────────────────────────────────────


def variants():
    """Policies that follow one another: files to write, and whether that is one with mistakes."""
    with open(os.path.join(ops.dir, "lockstep.lua")) as file:
        base = file.read()
    with open(os.path.join(ops.dir, "inventory/assets.csv")) as file:
        assets = file.read()
    less = "".join(assets.splitlines(keepends=True)[:-1])
    platform = 'platform "own" {{ extends = "linux" }} -- {0}\n'
    for n in itertools.count():
        also = base + 'include "own.lua"\n'
        yield base.replace("length = 20", "length = 22"), assets, None, False
        yield base.replace('task "all"', 'task "others"'), assets, None, False
        yield base, less, None, False
        yield base + 'task "broken" { acounts = "app" }\n', assets, None, True
        if n % 16 == 3:
            yield also, assets, platform.format(n % 3), False
        yield base, assets, None, False


def post(method):
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(60)
        link.connect(os.path.join(ops.dir, "vault", "socket"))
        link.sendall(f"POST /v1/{method} HTTP/1.1\r\nContent-Length: 0\r\n\r\n".encode())
        text = b""
        while part := link.recv(65536):
            text += part
    return int(text.split()[1])


def load(policy, assets, own, bad):
    """Whether it was taken: wires keep the platforms of eight loads, and the ninth has to wait."""
    ops.write("lockstep.lua", policy)
    ops.write("inventory/assets.csv", assets)
    if own:
        ops.write("own.lua", own)
    status = post("reload")
    assert status == 400 if bad else status in (200, 503), (status, policy)
    return status == 200


def rotated_while_reloading(policies, base):
    """A rotation, and how many reloads there were and were taken while it lasted."""
    before = ops.shadows()
    run = ops.start("run", "all", "--json")
    done = taken = 0
    wait_for(lambda: ops.json("status")["executions"])
    while run.poll() is None:
        taken += load(*next(policies))
        done += 1
        time.sleep(PAUSE)
    out, err = run.communicate()
    assert run.returncode == 0, (out, err)
    wait_for(lambda: load(*base))
    told = json.loads(out)
    assert told["success"] == told["total"] == 120, told
    ops.judge(told["execution"], before)
    return told["execution"], done, taken


def test_reloads_lose_and_double_nothing():
    policies = variants()
    base = (*[open(os.path.join(ops.dir, f)).read() for f in FILES], None, False)
    daemon = ops.lockstepd()
    executions, done, taken = [], 0, 0
    try:
        while done < RELOADS:
            execution, more, took = rotated_while_reloading(policies, base)
            executions.append(execution)
            done, taken = done + more, taken + took
        assert ops.json("status")["doubts"] == 0
    finally:
        daemon.terminate()
        daemon.wait(timeout=60)
    assert taken > done / 2, (done, taken)
    print(f"      {done} reloads ({taken} taken) in {len(executions)} rotations", flush=True)
    versions = {}
    for record in [r for e in executions for r in ops.records(e)]:
        assert record["sends"] == 1, record
        versions.setdefault((record["asset"], record["account"]), []).append(record["new_version"])
    assert len(versions) == 120
    for (asset, account), made in versions.items():
        # One after the other, each once, and the last is what the vault and the asset have.
        assert sorted(made) == list(range(min(made), min(made) + len(executions))), made
        assert ops.reveal(asset, account)["version"] == max(made), (asset, account, made)


main()
