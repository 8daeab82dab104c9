#!/usr/bin/env python3
"""Every way to privileges on real assets: sudo in its moods, su, doas, single commands."""

import os
import subprocess
import textwrap

from harness import PASSWORD, WORK, Fleet, Ops, main

ROOT_PASSWORD = "Root-Pass.2"

# What sudoers of each asset say beside the fleet's own line, which lets ops do all with a password.
MOODS = {
    1: "Defaults lecture=always",
    2: "Defaults requiretty",
    3: "Defaults use_pty",
    4: "Defaults requiretty, use_pty\nops ALL=(ALL) NOPASSWD: ALL",
    9: "Defaults rootpw",
}
FEW = "ops ALL=(root) %s /usr/sbin/chpasswd, /usr/bin/getent shadow *"
ONLY = {
    5: FEW % "NOPASSWD:",
    6: "Defaults use_pty\n" + FEW % "",
    7: "Defaults timestamp_timeout=0\n" + FEW % "",
    8: "",
}
SU = (10, 11, 16)
DOAS = {12: "permit ops as root", 13: "permit nopass ops as root", 14: "permit nobody as root"}

# What rc files and banners print looks like a prompt, everywhere, and terminals are made to echo.
SETUP = """
echo 'stty sane 2>/dev/null; printf "Password: "; printf "Password: " >&2' >>/home/ops/.bashrc
cat /home/ops/.bashrc >>/root/.bashrc
printf 'Password: ' >/etc/banner
echo 'Banner /etc/banner' >>/etc/ssh/sshd_config
case $1 in
{cases}
esac
"""

fleet = ops = None
done = {}


def setup():
    global fleet, ops
    cases = []
    for n, mood in MOODS.items():
        cases.append(f"{n}) echo '{mood}' >>/etc/sudoers.d/fleet;;")
    for n, only in ONLY.items():
        cases.append(f"{n}) echo '{only}' >/etc/sudoers.d/fleet;;")
    for n in SU:
        cases.append(f"{n}) rm /etc/sudoers.d/fleet; echo 'root:{ROOT_PASSWORD}' | chpasswd;;")
    for n, line in DOAS.items():
        cases.append(f"{n}) rm /etc/sudoers.d/fleet; echo '{line}' >/etc/doas.conf;;")
    script = os.path.join(WORK, "setup.sh")
    with open(script, "w") as file:
        file.write(SETUP.format(cases=textwrap.indent("\n".join(cases), "\t")))
    rsa = os.path.join(WORK, "rsa")
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-N", "", "-f", rsa], check=True)
    fleet = Fleet(
        f"1-14:setup={script}", f"15-16:setup={script},dropbear", f"17:key={rsa}.pub,nopasswd"
    )
    rows = []
    for n, (address, port, _) in sorted(fleet.assets.items()):
        become = "su" if n in SU else "doas" if n in DOAS else "sudo"
        rows.append((f"asset{n}", address, port, "ops", become, "app;deploy"))
    ops = Ops(fleet, rows=rows)
    ops.tell_all(("ops", "app"))
    row = f"asset,account,key_file\nasset17,ops,{rsa}\n"
    ops.run("account", "import", "-", stdin=row, expect=0)
    ops.tell(*[(f"asset{n}", "root", ROOT_PASSWORD) for n in (10, 16)])
    told = ops.json("run", "rotate", expect=1)
    for record in ops.records(told["execution"]):
        done[int(record["asset"][5:]), record["account"]] = record


def expect_success(*numbers):
    for n in numbers:
        for account in ("app", "deploy"):
            record = done[n, account]
            assert record["status"] == "success" and record["error"] is None, record
    ops.check_all_open(("app", "deploy"), numbers)


def expect_untouched(n, status, word, text):
    """Nothing was sent, and the error says why."""
    for account in ("app", "deploy"):
        record = done[n, account]
        assert record["status"] == status and record["new_version"] is None, record
        error = record["error"] or {"code": record["reason"], "message": record["detail"]}
        assert error["code"] == word and text in error["message"], record
    assert fleet.holds(n, "app", PASSWORD)


def test_sudo_in_its_moods():
    expect_success(1, 2, 3, 4)


def test_single_commands():
    expect_success(5, 6)


def test_single_commands_and_no_ticket():
    expect_untouched(7, "failed", "become_denied", "timestamp_timeout")


def test_not_in_sudoers():
    expect_untouched(8, "failed", "become_denied", "not in the sudoers file")


def test_the_password_of_another():
    expect_untouched(9, "failed", "become_denied", "asks for the password of root")
    log = fleet.sh(9, "sh", "-c", "cat /var/log/* 2>/dev/null || true")
    assert "incorrect password" not in log, log


def test_su():
    expect_success(10)


def test_su_without_a_secret_of_root():
    expect_untouched(11, "skipped", "no_admin", "password of root")


def test_doas():
    expect_success(12, 13)
    expect_untouched(14, "failed", "become_denied", "doas")


def test_a_server_that_keeps_what_it_read():
    """dropbear reads an account's hash once a connection: the proof needs one of its own."""
    expect_success(15, 16)


def test_an_rsa_key_is_refused_with_a_reason():
    expect_untouched(17, "failed", "auth", "SHA-1 alone")


def test_single_commands_by_hash():
    ops.write(
        "tasks/by-hash.lua",
        'task "by-hash" { accounts = "app", assets = { "asset5", "asset6" }, '
        'secret = random "plain", verify = "hash" }\n',
    )
    with open(os.path.join(ops.dir, "lockstep.lua"), "a") as file:
        file.write('include "tasks/*.lua"\n')
    told = ops.json("run", "by-hash")
    for record in ops.records(told["execution"]):
        assert record["status"] == "success" and record["proof"] == "hash", record
    ops.check_all_open(("app",), (5, 6))


main()
