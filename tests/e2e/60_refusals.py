#!/usr/bin/env python3
"""Assets that refuse, in every way that a first day brings: each failure has its own name,
nothing is lost, and no password goes where it should not."""
# time limit: 240

import os
import string

from harness import PASSWORD, Fleet, Ops, main

fleet = None


def setup():
    global fleet
    fleet = Fleet("1-4", "5:accounts=app+a.b+_svc+x_1-y+Name+u-", "6:keyboard")


def row(n, admin="ops", become="sudo", accounts="app", name=None, port=None):
    address, real_port, _ = fleet.assets[n]
    return (name or f"asset{n}", address, port or real_port, admin, become, accounts)


def only(rows, told=("ops", "app")):
    """A vault of its own, so that budgets and pins of one test do not reach another."""
    made = Ops(fleet, rows=rows, limit=3, retries=0, settings='connect_timeout = "3s"')
    made.tell(*[("*", a, PASSWORD) for a in told])
    return made


def failure(made, expect=1):
    done = made.judged("run", "rotate", expect=expect)
    return made.records(done["execution"])


def reset(n, *accounts):
    fleet.sh(n, "chpasswd", stdin="".join(f"{a}:{PASSWORD}\n" for a in accounts))


def log_of(n):
    with open(os.path.join(os.environ["FLEET_DIR"], f"{n}.log")) as file:
        return file.read()


def test_connection_refused():
    (record,) = failure(only([row(1, port=2999)]))
    assert (record["status"], record["error"]["class"], record["error"]["code"]) == (
        "failed",
        "retry",
        "connect",
    ), record


def test_wrong_privileged_password():
    fleet.sh(1, "chpasswd", stdin="ops:another-One.5\n")
    before = log_of(1).count("Failed password") + log_of(1).count("error: PAM")
    made = only([row(1, accounts="app;deploy;svc")], told=("ops",))
    records = failure(made)
    assert len(records) == 3
    for record in records:
        assert (record["status"], record["error"]["class"], record["error"]["code"]) == (
            "failed",
            "permanent",
            "auth",
        ), record
    assert (
        log_of(1).count("Failed password") + log_of(1).count("error: PAM") - before == 1
    ), "one refused login stops the account's use on that asset"
    failure(made)
    again = failure(made)
    assert again[0]["error"]["code"] == "probe_budget", again
    reset(1, "ops")


def test_not_a_sudoer():
    fleet.sh(1, "sh", "-c", "mv /etc/sudoers.d/fleet /root/fleet")
    (record,) = failure(only([row(1)]))
    fleet.sh(1, "sh", "-c", "mv /root/fleet /etc/sudoers.d/fleet")
    assert record["status"] == "failed" and record["error"]["code"] == "become_denied", record
    assert fleet.holds(1, "app", PASSWORD)


def test_sudo_wants_another_password():
    fleet.sh(
        1,
        "sh",
        "-c",
        "echo 'Defaults rootpw' >/etc/sudoers.d/other; echo root:Other-1.pass | chpasswd",
    )
    (record,) = failure(only([row(1)]))
    fleet.sh(1, "rm", "/etc/sudoers.d/other")
    assert record["status"] == "failed" and record["error"]["code"] == "become_denied", record
    assert "password of root and not of ops" in record["error"]["message"], record


def test_a_password_sent_back_is_not_kept():
    """A sudo that quotes what it was told."""
    fake = '#!/bin/sh\nprintf %s "$3" | sed s/%p/ops/ >&2; read -r p; echo "no: $p" >&2; exit 1\n'
    fleet.sh(1, "cp", "-p", "/usr/bin/sudo", "/root/sudo")
    fleet.sh(
        1,
        "sh",
        "-c",
        "cat >/root/fake; chmod 755 /root/fake; cp /root/fake /usr/bin/sudo",
        stdin=fake,
    )
    (record,) = failure(only([row(1)]))
    fleet.sh(1, "cp", "-p", "/root/sudo", "/usr/bin/sudo")
    assert record["status"] == "failed", record
    assert "no: [secret]" in record["error"]["message"], record
    assert PASSWORD not in str(record), record


def test_a_login_that_asks_nothing_proves_nothing():
    fleet.sh(6, "sed", "-i", "1i auth sufficient pam_permit.so", "/etc/pam.d/sshd")
    (record,) = failure(only([row(6)]))
    fleet.sh(6, "sed", "-i", "1d", "/etc/pam.d/sshd")
    assert (record["status"], record["error"]["code"]) == ("failed", "no_method"), record
    assert fleet.holds(6, "app", PASSWORD)


def test_changed_host_key():
    made = only([row(2)])
    assert made.json("asset", "ping", "asset2")[0]["status"] == "ok"
    pinned = fleet.assets[2][2]
    fleet.do("rekey", 2)
    offered = fleet._out("fp", "2").split()[-1]
    assert offered != pinned
    seen = len(log_of(2))
    (record,) = failure(made)
    assert record["status"] == "failed" and record["error"]["code"] == "host_key", record
    assert pinned in record["error"]["message"] and offered in record["error"]["message"], record
    since = log_of(2)[seen:]
    assert "password" not in since.lower() and "Accepted" not in since, since
    made.run("asset", "trust", "asset2", "--yes", expect=0)
    done = made.json("run", "rotate")
    assert done["success"] == 1, done
    reset(2, "app")


def test_account_is_not_there():
    made = only([row(3, accounts="app;nobody-here")])
    made.write(
        "tasks/gone.lua",
        'task "gone" { accounts = "nobody-here", nodes = { "/" }, ' 'secret = random "plain" }\n',
    )
    with open(os.path.join(made.dir, "lockstep.lua"), "a") as file:
        file.write('include "tasks/*.lua"\n')
    done = made.json("run", "gone", expect=1)
    (record,) = made.records(done["execution"])
    assert (record["status"], record["reason"]) == ("skipped", "absent"), record


def test_locked_expired_nologin():
    fleet.sh(
        3,
        "sh",
        "-c",
        "usermod -L app; chage -E 2020-01-01 deploy; usermod -s /usr/sbin/nologin svc",
    )
    made = only([row(3, accounts="app;deploy;svc")])
    found = {r["account"]: (r["status"], r["reason"]) for r in failure(made)}
    fleet.sh(3, "sh", "-c", "usermod -U app; chage -E -1 deploy; usermod -s /bin/bash svc")
    assert found == {
        "app": ("skipped", "locked"),
        "deploy": ("skipped", "expired"),
        "svc": ("skipped", "no_proof"),
    }, found
    for account in ("app", "deploy", "svc"):
        assert fleet.holds(3, account, PASSWORD), account


def test_the_asset_refuses_the_change():
    fleet.sh(
        3,
        "sh",
        "-c",
        "chmod 755 /usr/sbin/chpasswd; cp -p /usr/sbin/chpasswd /root/real; "
        "printf '#!/bin/sh\\ncat >/dev/null\\necho pam: too simple >&2\\nexit 1\\n' "
        ">/root/fake; chmod 755 /root/fake; cp /root/fake /usr/sbin/chpasswd",
    )
    made = only([row(3)])
    (record,) = failure(made)
    fleet.sh(3, "cp", "-p", "/root/real", "/usr/sbin/chpasswd")
    assert (record["status"], record["error"]["code"]) == ("failed", "refused"), record
    assert "too simple" in record["error"]["message"], record
    told = made.reveal("asset3", "app")
    assert told["secret"] == PASSWORD and not told["in_doubt"], told
    assert made.json("run", "rotate")["success"] == 1
    reset(3, "app")


def test_the_asset_accepts_and_does_not_apply():
    fleet.sh(
        3,
        "sh",
        "-c",
        "cp -p /usr/sbin/chpasswd /root/real; printf '#!/bin/sh\\ncat >/dev/null\\n' "
        ">/root/fake; chmod 755 /root/fake; cp /root/fake /usr/sbin/chpasswd",
    )
    (record,) = failure(only([row(3)]))
    fleet.sh(3, "cp", "-p", "/root/real", "/usr/sbin/chpasswd")
    assert (record["status"], record["error"]["code"]) == ("failed", "not_applied"), record


def test_changed_by_hand_is_a_mismatch():
    made = only([row(4)])
    fleet.sh(
        4,
        "sh",
        "-c",
        "cp -p /usr/sbin/chpasswd /root/real; printf '#!/bin/sh\\ncat >/dev/null\\n' "
        ">/root/fake; chmod 755 /root/fake; cp /root/fake /usr/sbin/chpasswd; "
        "echo app:By-hand.77 | /root/real",
    )
    (record,) = failure(made)
    fleet.sh(4, "cp", "-p", "/root/real", "/usr/sbin/chpasswd")
    assert (record["status"], record["reason"]) == ("unverified", "accepted_does_not_open"), record
    assert made.json("account", "show", "asset4", "app")["state"] == "mismatch"


def test_every_printable_character():
    made = only([row(1)])
    made.write(
        "tasks/odd.lua",
        """
rule "odd" { length = 120, lower = 0, upper = 0, digit = 0, symbol = { min = 90, set = [[%s]] } }
task "odd" { accounts = "app", nodes = { "/" }, secret = random "odd" }
"""
        % "".join(c for c in string.punctuation if c != "]"),
    )
    with open(os.path.join(made.dir, "lockstep.lua"), "a") as file:
        file.write('include "tasks/*.lua"\n')
    wanted, seen = set(string.punctuation) - {"]"}, set()
    for turn in range(10):
        if turn >= 3 and wanted <= seen:
            break
        done = made.json("run", "odd")
        assert done["success"] == 1, made.records(done["execution"])
        secret = made.reveal("asset1", "app")["secret"]
        assert fleet.holds(1, "app", secret)
        seen.update(secret)
    assert wanted <= seen, sorted(wanted - seen)
    reset(1, "app")


def test_passwords_told_with_every_character():
    secret = " " + "".join(chr(c) for c in range(33, 127)) + " "
    fleet.sh(1, "chpasswd", stdin=f"ops:{secret}\n")
    made = only([row(1)], told=("app",))
    made.tell(("asset1", "ops", secret))
    assert made.json("run", "rotate")["success"] == 1
    assert made.reveal("asset1", "ops")["secret"] == secret
    reset(1, "ops", "app")


def test_odd_account_names():
    names = "app;a.b;_svc;x_1-y;Name;u-"
    made = only([row(5, accounts=names)], told=("ops",))
    made.write(
        "tasks/all.lua", 'task "all" { accounts = "*", nodes = { "/" }, secret = random "plain" }\n'
    )
    with open(os.path.join(made.dir, "lockstep.lua"), "a") as file:
        file.write('include "tasks/*.lua"\n')
    done = made.json("run", "all")
    assert done["success"] == 6 and done["skipped"] == 1, made.records(done["execution"])
    made.check_all_open(names.split(";"), [5])


main()
