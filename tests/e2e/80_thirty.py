#!/usr/bin/env python3
"""Thirty real assets, four accounts each, through every way in: root, sudo with a password, su, a
key, a gateway, a chain of two. All succeed, the new secrets open, the old ones are refused, and it
takes less than a minute."""
# time limit: 240

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

from harness import PASSWORD, WORK, Fleet, Ops, main, opens

ACCOUNTS = ("app", "deploy", "svc", "web")
ROOT, SUDO, SU, KEY, GATEWAY, CHAIN = (range(n, n + 5) for n in (1, 6, 11, 16, 21, 26))
FIRST, SECOND = 6, 21  # the gateways: SECOND is reached through FIRST
SECONDS = 60
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


main()
