#!/usr/bin/env python3
"""The same API over TLS: its listener, who is let in, and what comes from a hostile network."""
# time limit: 120

import ctypes
import hashlib
import json
import os
import re
import socket
import ssl
import subprocess
import threading
import time

from harness import LOG, Fleet, Ops, ask_as, code_of, main, short_dir, wait_for

PEOPLE = """
role "seer" { "view", "reveal" }
role "runner" { "view", "run", nodes = "/prod" }
user "ann" { role = "admin" }
user "run" { role = "runner" }
user "see" { role = "seer", uid = 4401 }
user "see2" { role = "seer" }
user "hold" { role = "seer" }
user "late" { role = "seer" }
"""

place = short_dir()
PATH = os.path.join(place, "engine")
ADDRESS = os.environ["FLEET_PREFIX"] + ".1"
PORT = 8443
certificates = ""
ttl = "0"
ops = daemon = None


# ── Certificates ──────────────────────────────────────────────────────────────────────────────


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True)


def file(name):
    return os.path.join(place, name)


def make_ca(name):
    openssl(
        *["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
        *["-keyout", file(f"{name}.key"), "-out", file(f"{name}.pem"), "-days", "2"],
        *["-subj", f"/CN={name}"],
    )


def make_certificate(name, ca, subject=None):
    with open(file(f"{name}.ext"), "w") as out:
        out.write(f"subjectAltName=IP:{ADDRESS}\n")
    openssl(
        *["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
        *["-keyout", file(f"{name}.key"), "-out", file(f"{name}.csr")],
        *["-subj", f"/CN={subject or name}"],
    )
    openssl(
        *["x509", "-req", "-in", file(f"{name}.csr"), "-CA", file(f"{ca}.pem")],
        *["-CAkey", file(f"{ca}.key"), "-CAcreateserial", "-days", "2"],
        *["-extfile", file(f"{name}.ext"), "-out", file(f"{name}.pem")],
    )


def listen(**more):
    fields = {"address": f"{ADDRESS}:{PORT}", "client_ca": file("people.pem")}
    fields.update(certificate=file("own.pem"), key=file("own.key"))
    fields.update(more)
    return ", ".join(f'{name} = "{value}"' for name, value in fields.items() if value)


def policy(**more):
    text = f'socket = "{PATH}", mfa_ttl = {ttl}, listen = {{ {listen(**more)} }},'
    ops.write("lockstep.lua", ops.policy_text(settings=text, more=PEOPLE + certificates))


def fingerprint(name):
    with open(file(f"{name}.pem")) as pem:
        der = ssl.PEM_cert_to_DER_cert(pem.read())
    return ":".join(f"{byte:02X}" for byte in hashlib.sha256(der).digest())


def start():
    global daemon
    daemon = ops.lockstepd()


def log():
    with open(LOG) as told:
        return told.read()


def setup():
    global ops, certificates
    os.chmod(place, 0o755)
    for name in ("home", "people", "strange"):
        make_ca(name)
    make_certificate("own", "home")
    make_certificate("next", "home", "next")
    for name, ca in (("cara", "people"), ("carb", "people"), ("stranger", "strange")):
        make_certificate(name, ca)
    both = f'"SHA256:{fingerprint("cara")}", "SHA256:{fingerprint("stranger")}"'
    certificates = f'user "car" {{ role = "seer", certificate = {{ {both} }} }}\n'
    fleet = Fleet("1")
    ops = Ops(fleet)
    policy()
    ops.tell_all(("ops", "app"))
    start()
    wait_for(lambda: "event=listening" in log())


# ── A client that is not ours ─────────────────────────────────────────────────────────────────


def context(certificate=None, **more):
    made = ssl.create_default_context(cafile=file("home.pem"))
    for name, value in more.items():
        setattr(made, name, value)
    if certificate:
        made.load_cert_chain(file(f"{certificate}.pem"), file(f"{certificate}.key"))
    return made


def connect(certificate=None, timeout=30, **more):
    link = socket.create_connection((ADDRESS, PORT), timeout=timeout)
    return context(certificate, **more).wrap_socket(link, server_hostname=ADDRESS)


def read_answer(link):
    answer = b""
    while part := link.recv(65536):
        answer += part
    head, _, body = answer.decode().partition("\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def post(method, params=None, token=None, certificate=None, head=""):
    body = json.dumps(params or {})
    if token is not None:
        head += f"Authorization: Bearer {token}\r\n"
    head += f"Content-Length: {len(body)}\r\n"
    with connect(certificate) as link:
        link.sendall(f"POST /v1/{method} HTTP/1.1\r\n{head}\r\n{body}".encode())
        return read_answer(link)


def local(method="whoami"):
    """At the socket, as the vault's owner: seconds that it took."""
    begun = time.monotonic()
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(30)
        link.connect(PATH)
        link.sendall(f"POST /v1/{method} HTTP/1.1\r\nContent-Length: 0\r\n\r\n".encode())
        assert read_answer(link)[0] == 200
    return time.monotonic() - begun


# ── The listener ──────────────────────────────────────────────────────────────────────────────


def test_nobody_is_let_in_unknown():
    status, answer = post("whoami")
    assert status == 401 and answer["exit"] == 3, answer
    status, answer = post("no.such.method")
    assert status == 401, answer
    assert ops.json("status")["listen"] == f"{ADDRESS}:{PORT}"


def test_only_todays_tls():
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with connect(minimum_version=version, maximum_version=version) as link:
            assert link.version() == version.name.replace("_", ".")
    for version in ("-tls1", "-tls1_1"):
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"{ADDRESS}:{PORT}", version]
            + ["-cipher", "ALL:@SECLEVEL=0"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert "Cipher is (NONE)" in done.stdout, (version, done.stdout)
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{ADDRESS}:{PORT}", "-tls1_2"]
        + ["-cipher", "AES128-SHA:AES256-SHA:ECDHE-ECDSA-AES128-SHA"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert "Cipher is (NONE)" in done.stdout, done.stdout


def test_plain_http_is_cut_off():
    with socket.create_connection((ADDRESS, PORT), timeout=20) as link:
        link.sendall(b"POST /v1/whoami HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        try:
            said = link.recv(1000)
        except ConnectionResetError:
            said = b""
        assert not said.startswith(b"HTTP"), said


def test_a_certificate_of_another_ca():
    """Also where the policy names it: both have to hold."""
    try:
        with connect("stranger") as link:
            link.sendall(b"POST /v1/whoami HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
            said = link.recv(1000)
        assert said == b"", said
    except (ssl.SSLError, ConnectionError):
        pass
    assert local() < 5


def test_large_heads_and_bodies():
    for head, expect in (
        ("X: " + "y" * 9000 + "\r\n", 431),
        ("X: y\r\n" * 2000, 431),
        (f"Content-Length: {100 << 20}\r\n", 413),
        ("Transfer-Encoding: chunked\r\n", 501),
    ):
        with connect() as link:
            link.sendall(f"POST /v1/whoami HTTP/1.1\r\n{head}\r\n".encode())
            status, answer = read_answer(link)
        assert status == expect, (head[:30], answer)
    # What keeps coming is not taken: the connection ends soon.
    begun = time.monotonic()
    try:
        with connect() as link:
            head = f"POST /v1/whoami HTTP/1.1\r\nContent-Length: {100 << 20}\r\n\r\n"
            link.sendall(head.encode())
            for _ in range(100 * 16):
                link.sendall(b"x" * 65536)
    except OSError:
        pass
    assert time.monotonic() - begun < 20
    assert int(re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{daemon.pid}/status").read())[1]) < 400000


def test_a_flood_shuts_nobody_out_here():
    """Handshakes that never end from several addresses: they go after 5 s, and the oldest first."""
    held = []
    for number in range(2, 7):
        for _ in range(20):
            link = socket.socket()
            link.settimeout(20)
            link.bind((os.environ["FLEET_PREFIX"] + f".{number}", 0))
            link.connect((ADDRESS, PORT))
            held.append(link)
    assert local() < 1, "the socket waits for a flood"
    # Someone who is quick gets in all the same.
    status, _ = post("whoami")
    assert status == 401
    begun = time.monotonic()
    for link in held:
        try:
            assert link.recv(1) == b""
        except ConnectionResetError:
            pass
        link.close()
    assert time.monotonic() - begun < 10, "handshakes that never end are kept"


def updates_of_keys(count):
    """A handshake, and so many records after it that have no data (RFC 8446, 4.6.3)."""
    tls, own = ctypes.CDLL("libssl.so.3"), ctypes.CDLL("libcrypto.so.3")
    for name in "TLS_client_method", "SSL_CTX_new", "SSL_new":
        getattr(tls, name).restype = ctypes.c_void_p
    for name in "BIO_s_mem", "BIO_new":
        getattr(own, name).restype = ctypes.c_void_p
    pointer = ctypes.c_void_p
    session = pointer(tls.SSL_new(pointer(tls.SSL_CTX_new(pointer(tls.TLS_client_method())))))
    came, leaves = (pointer(own.BIO_new(pointer(own.BIO_s_mem()))) for _ in range(2))
    tls.SSL_set_bio(session, came, leaves)
    tls.SSL_set_connect_state(session)
    room = ctypes.create_string_buffer(1 << 24)

    def left():
        size = own.BIO_read(leaves, room, len(room))
        return room.raw[: max(size, 0)]

    time.sleep(1.1)  # so many are let in a second
    link = socket.create_connection((ADDRESS, PORT), timeout=30)
    while tls.SSL_do_handshake(session) != 1:
        link.sendall(left())
        answer = link.recv(65536)
        assert answer, "the handshake was cut off"
        own.BIO_write(came, answer, len(answer))
    link.sendall(left())
    for _ in range(count):
        assert tls.SSL_key_update(session, 0) == 1 and tls.SSL_do_handshake(session) == 1
    return link, left()


def test_records_without_data_hold_nothing_up():
    link, records = updates_of_keys(150000)
    assert len(records) > 3000000
    sender = threading.Thread(target=lambda: send_all_that_is_taken(link, records))
    sender.start()
    slowest = 0
    while sender.is_alive():
        slowest = max(slowest, local())
    sender.join()
    link.close()
    assert slowest < 0.5, f"the socket waited {slowest:.1f} s"


def send_all_that_is_taken(link, data):
    try:
        link.sendall(data)
    except OSError:
        pass


def test_a_slow_request_ends():
    with connect() as link:
        link.sendall(b"POST /v1/whoami HTTP/1.1\r\n")
        status, answer = read_answer(link)
    assert status == 408, answer


# ── Tokens ────────────────────────────────────────────────────────────────────────────────────

shown_once = {}


def token(name, user, *more):
    """Makes one as the vault's owner does."""
    made = ops.json("token", "create", name, "--user", user, *more)
    shown_once[name] = made["token"]
    return made["token"]


def test_a_token_is_its_user_within_its_scope():
    every = ["--permissions", "view,run,edit", "--permissions", "audit"]
    ann, run = token("a", "ann"), token("r", "run", *every)
    some = token("some", "ann", *every)
    status, me = post("whoami", token=ann)
    assert status == 200, me
    assert (me["name"], me["owner"], me["origin"]) == ("ann", False, "tls"), me
    assert (me["token"], me["uid"]) == ("a", None), me
    assert post("overview", token=ann)[0] == 200
    status, answer = post("run", {"task": "rotate"}, token=ann)
    assert status == 403 and "made for less" in answer["error"], answer
    # Of what it was given, it may what its user may.
    status, answer = post("audit.list", token=run)
    assert status == 403 and "none of their roles" in answer["error"], answer
    assert post("audit.list", token=some)[0] == 200
    # Its user's limits hold, and so do its own.
    assert post("overview", token=run)[0] == 403
    assert post("asset.list", token=run)[1] == []
    near = token("n", "ann", "--nodes", "/prod")
    assert post("asset.list", token=near)[1] == []
    status, answer = post("account.show", {"asset": "asset1", "account": "app"}, token=near)
    assert status == 403 and "limited to" in answer["error"], answer
    assert len(post("asset.list", token=ann)[1]) == 1
    with connect() as link:
        link.sendall(f"GET /metrics HTTP/1.1\r\nAuthorization: Bearer {ann}\r\n\r\n".encode())
        assert link.recv(100).startswith(b"HTTP/1.1 200")
    with connect() as link:
        link.sendall(f"GET /metrics HTTP/1.1\r\nAuthorization: Bearer {near}\r\n\r\n".encode())
        assert link.recv(100).startswith(b"HTTP/1.1 403")


def test_a_run_over_tls_is_streamed():
    text = token("runs", "ann", "--permissions", "view,run")
    body = json.dumps({"task": "rotate"})
    with connect(timeout=60) as link:
        link.sendall(
            f"POST /v1/run HTTP/1.1\r\nAuthorization: Bearer {text}\r\nAccept: application/x-ndjson"
            f"\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        answer = b""
        while part := link.recv(65536):
            answer += part
    lines = [json.loads(line) for line in answer.partition(b"\r\n\r\n")[2].split(b"\n") if line]
    assert lines[-1]["event"] == "end" and lines[-1]["exit"] in (0, 1), lines
    assert len(lines) > 2, lines
    (entry,) = [e for e in ops.json("audit", "list", "--what", "run")]
    assert (entry["origin"], entry["user"], entry["token"]) == ("tls", "ann", "runs"), entry
    assert entry["address"].startswith("127.") and "uid" not in entry, entry


def test_what_is_no_token():
    good = shown_once["a"]
    other = Ops(ops.fleet, "other", more=PEOPLE)
    foreign = other.json("token", "create", "f", "--user", "ann")["token"]
    for bad, word in (
        (good[:-1], "a part of one"),
        (good + "0", "no token"),
        ("", "not said who asks"),
        (good[:10] + ("1" if good[10] == "0" else "0") + good[11:], "not known"),
        (foreign, "another vault"),
        ("x" * 7000, "no token"),
    ):
        status, answer = post("whoami", token=bad)
        assert status == 401 and word in answer["error"], (bad, answer)
        assert bad == "" or bad not in json.dumps(answer)
    status, answer = post("whoami", head="Authorization: Basic YTpi\r\n")
    assert status == 401, answer
    status, answer = post("whoami", token=good, head=f"Authorization: Bearer {good}\r\n")
    assert status == 400, answer


def test_expired_and_revoked():
    short = token("short", "ann", "--for", "1s")
    gone = token("gone", "ann")
    assert post("whoami", token=gone)[0] == 200
    ops.run("token", "revoke", "gone", expect=0)
    status, answer = post("whoami", token=gone)
    assert status == 401 and "revoked" in answer["error"], answer
    wait_for(lambda: post("whoami", token=short)[0] == 401)
    status, answer = post("whoami", token=short)
    assert "expired at" in answer["error"], answer
    told = {t["name"]: t for t in ops.json("token", "list")}
    assert told["short"]["expired"] and not told["a"]["expired"], told
    assert "gone" not in told and "token" not in told["a"], told
    # Its name is free again.
    token("short", "ann")


def test_tokens_that_are_not_made():
    for args, word in (
        (["a b", "--user", "ann"], "cannot be a token's name"),
        (["t", "--user", "amn"], 'did you mean "ann"'),
        (["t"], "--user"),
        (["t", "--user", "ann", "--permissions", "view,revael"], 'did you mean "reveal"'),
        (["t", "--user", "ann", "--nodes", "prod"], "no node"),
        (["t", "--user", "ann", "--for", "0s"], "from"),
        (["t", "--user", "ann", "--for", "4000d"], "from"),
        (["a", "--user", "ann"], "already"),
    ):
        done = ops.run("token", "create", *args, "--json")
        assert done.returncode == 2 and word in done.stderr, (args, done)
    done = ops.run("token", "create", "t", "--user", "ann")
    assert done.returncode == 2 and "--raw" in done.stderr, done
    assert "t" not in {t["name"] for t in ops.json("token", "list")}


def test_a_limit_that_is_none_limits_no_token():
    for key in "nodes", "tasks", "permissions":
        for wrong in "/prod", {}, None, [], 7:
            status, answer = at_socket(0, "token.create", name="w", user="ann", **{key: wrong})
            assert status == 400 and key in answer["error"], (key, wrong, answer)


def test_a_token_is_not_its_user_in_person():
    admin = token("admin", "ann", "--permissions", "view,run,edit,reveal,audit,admin")
    for method, params in (
        ("token.create", {"name": "more"}),
        ("token.create", {"name": "more", "user": "see"}),
        ("user.enroll", {}),
        ("user.confirm", {"code": "000000"}),
        ("token.revoke", {"name": "a"}),
    ):
        status, answer = post(method, params, token=admin)
        assert status == 403 and "in person" in answer["error"], (method, answer)
    status, _ = post("token.revoke", {"name": "admin"}, token=admin)
    assert status == 200 and post("whoami", token=admin)[0] == 401


def at_socket(uid, method, **params):
    return ask_as(PATH, uid, method, **params)


def test_to_reveal_takes_a_code():
    status, made = at_socket(4401, "user.enroll")
    assert status == 200, made
    secret = re.search(r"secret=([A-Z2-7]+)&", made["uri"])[1]
    status, answer = at_socket(4401, "user.confirm", code=code_of(secret, 30))
    assert status == 200, answer
    # Whoever has a factor needs a code of it for a token, too.
    status, answer = at_socket(4401, "token.create", name="own")
    assert status == 403 and answer["result"]["needs"] == "code", answer
    text = token("sees", "see", "--permissions", "reveal")
    what = {"asset": "asset1", "account": "app"}
    status, answer = post("account.reveal", what, token=text)
    assert status == 403 and answer["result"]["needs"] == "code", answer
    status, answer = post("account.reveal", dict(what, code="000000"), token=text)
    assert status == 403 and "secret" not in answer, answer
    status, answer = post("account.reveal", dict(what, code=code_of(secret)), token=text)
    assert status == 200 and answer["secret"], answer
    # It held for that request alone: another with the token is asked again.
    status, answer = post("account.reveal", what, token=text)
    assert status == 403 and answer["result"]["needs"] == "code", answer
    entry = ops.json("audit", "list", "--what", "reveal")[0]
    assert (entry["user"], entry["origin"], entry["token"]) == ("see", "tls", "sees"), entry


def test_a_reload_takes_the_user_of_a_token_away():
    kept = token("kept", "run")
    assert post("whoami", token=kept)[0] == 200
    with open(os.path.join(ops.dir, "lockstep.lua")) as file_:
        text = file_.read()
    ops.write("lockstep.lua", re.sub(r'user "run" .*\n', "", text))
    ops.run("reload", expect=0)
    status, answer = post("whoami", token=kept)
    assert status == 401 and "does not declare" in answer["error"], answer
    assert "kept" in {t["name"] for t in ops.json("token", "list")}
    ops.write("lockstep.lua", text)
    ops.run("reload", expect=0)
    assert post("whoami", token=kept)[0] == 200


def test_a_reload_between_head_and_body():
    kept = shown_once["kept"]
    with open(os.path.join(ops.dir, "lockstep.lua")) as file_:
        text = file_.read()
    with connect() as link:
        link.sendall(
            f"POST /v1/whoami HTTP/1.1\r\nAuthorization: Bearer {kept}\r\n"
            "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        assert b"100" in link.recv(100)
        ops.write("lockstep.lua", re.sub(r'user "run" .*\n', "", text))
        ops.run("reload", expect=0)
        link.sendall(b"{}")
        status, answer = read_answer(link)
    assert status == 403 and "any more" in answer["error"], answer
    ops.write("lockstep.lua", text)
    ops.run("reload", expect=0)


# ── Certificates ──────────────────────────────────────────────────────────────────────────────


def test_a_certificate_is_its_user():
    status, me = post("whoami", certificate="cara")
    assert status == 200, me
    assert (me["name"], me["roles"], me["token"], me["owner"]) == ("car", ["seer"], None, False), me
    status, answer = post("whoami", certificate="carb")
    assert status == 401 and "declares no user for that certificate" in answer["error"], answer
    # What lies in a file is not its user in person; a reveal takes a code.
    for method, params in (
        ("user.enroll", {}),
        ("token.create", {"name": "x"}),
        ("user.password", {"password": "x" * 20}),
    ):
        status, answer = post(method, params, certificate="cara")
        assert status == 403 and "by a certificate" in answer["error"], (method, answer)
    what = {"asset": "asset1", "account": "app"}
    status, answer = post("account.reveal", what, certificate="cara")
    assert status == 403 and "second factor" in answer["error"], answer
    # A token that is shown decides.
    status, me = post("whoami", certificate="cara", token=shown_once["a"])
    assert status == 200 and me["name"] == "ann", me
    assert post("whoami", certificate="cara", token="lst_x")[0] == 401


def test_a_reload_takes_a_certificate_away():
    global certificates
    before = certificates
    certificates = certificates.replace(fingerprint("cara"), fingerprint("carb").lower())
    policy()
    ops.run("reload", expect=0)
    assert post("whoami", certificate="cara")[0] == 401
    assert post("whoami", certificate="carb")[1]["name"] == "car"
    certificates = before
    policy()
    ops.run("reload", expect=0)
    policy(client_ca=None)
    done = ops.run("reload", expect=0)
    assert "asked for no certificate" in done.stderr + done.stdout, done
    assert post("whoami", certificate="cara")[0] == 401
    policy()
    ops.run("reload", expect=0)


# ── Logins ────────────────────────────────────────────────────────────────────────────────────

PASSWORD_OF_ANN = "Correct-Horse.77"
factors = {}


def set_password(user, password, expect=0):
    return ops.run("user", "password", user, stdin=password + "\n", expect=expect)


def enroll(user):
    """By the vault's owner, who needs no code for it."""
    made = ops.json("user", "enroll", user)
    factors[user] = re.search(r"secret=([A-Z2-7]+)&", made["uri"])[1]
    ops.run("user", "confirm", user, stdin=code_of(factors[user], 30) + "\n", expect=0)


def login(user, password, code=None, expect=200):
    params = {"user": user, "password": password}
    if code:
        params["code"] = code
    begun = time.monotonic()
    status, answer = post("login", params)
    assert status == expect, (user, status, answer)
    if status == 403:
        assert time.monotonic() - begun >= 0.99, "who is not let in is told too soon"
        refusals.add(answer["error"])
    return answer


refusals = set()


def test_passwords_are_set():
    done = set_password("ann", "too-short", expect=2)
    assert "12" in done.stderr, done
    set_password("ann", PASSWORD_OF_ANN)
    (ann,) = [u for u in ops.json("user", "list") if u["name"] == "ann"]
    assert ann["password"], ann
    status, answer = post("user.password", {"password": "x" * 20}, token=shown_once["some"])
    assert status == 403 and "in person" in answer["error"], answer
    with open(os.path.join(ops.dir, "vault", "data.mdb"), "rb") as kept:
        vault = kept.read()
    assert b"$y$" not in vault and PASSWORD_OF_ANN.encode() not in vault


def test_a_login_takes_password_and_code():
    login("ann", PASSWORD_OF_ANN, expect=403)
    enroll("ann")
    login("ann", PASSWORD_OF_ANN, "000000", expect=403)
    answer = login("ann", PASSWORD_OF_ANN, code_of(factors["ann"]))
    text = answer["token"]
    shown_once["login"] = text
    status, me = post("whoami", token=text)
    assert (me["name"], me["token"], me["owner"], me["origin"]) == ("ann", None, False, "tls"), me
    # With mfa_ttl = 0 the code held for the login alone.
    status, answer = post("account.reveal", {"asset": "asset1", "account": "app"}, token=text)
    assert status == 403 and answer["result"]["needs"] == "code", answer
    # In person a token can be made, for a code.
    status, answer = post("token.create", {"name": "inperson"}, token=text)
    assert status == 403 and answer["result"]["needs"] == "code", answer
    status, answer = post("logout", token=text)
    assert status == 200, answer
    status, answer = post("whoami", token=text)
    assert status == 401 and "login has ended" in answer["error"], answer
    status, answer = at_socket(0, "login", user="ann", password=PASSWORD_OF_ANN)
    assert status == 400 and "the kernel says who you are" in answer["error"], answer
    entries = ops.json("audit", "list", "--what", "login")
    assert [e["outcome"] for e in entries][::-1][-2:] == ["refused", "done"], entries
    assert entries[0]["origin"] == "tls" and entries[0]["address"].startswith("127."), entries


def test_a_code_holds_within_its_login():
    global ttl
    ttl = '"5m"'
    policy()
    ops.run("reload", expect=0)
    enroll("hold")
    set_password("hold", PASSWORD_OF_ANN)
    first = login("hold", PASSWORD_OF_ANN, code_of(factors["hold"]))["token"]
    what = {"asset": "asset1", "account": "app"}
    assert post("account.reveal", what, token=first)[0] == 200
    # Another of theirs is asked, by a token or at the socket; and so is what came after the end.
    program = token("hold", "hold", "--permissions", "reveal")
    status, answer = post("account.reveal", what, token=program)
    assert status == 403 and answer["result"]["needs"] == "code", answer
    second = login("hold", PASSWORD_OF_ANN, code_of(factors["hold"], -30))["token"]
    assert post("logout", token=first)[0] == 200
    assert post("account.reveal", what, token=first)[0] == 401
    assert post("account.reveal", what, token=second)[0] == 200
    # Whose factor is taken away is out.
    ops.run("user", "reset-mfa", "hold", expect=0)
    assert post("whoami", token=second)[0] == 401
    shown_once["first"], shown_once["second"] = first, second
    ttl = "0"
    policy()
    ops.run("reload", expect=0)


def test_what_was_not_judged_is_no_code():
    global ttl
    ttl = '"5m", mfa = "enrolled"'
    policy()
    ops.run("reload", expect=0)
    set_password("late", PASSWORD_OF_ANN)
    before = login("late", PASSWORD_OF_ANN, "garbage")["token"]
    assert post("whoami", token=before)[0] == 200
    enroll("late")
    # Who came in without the factor that counts now comes in anew.
    assert post("whoami", token=before)[0] == 401
    login("late", PASSWORD_OF_ANN, "garbage", expect=403)
    ttl = "0"
    policy()
    ops.run("reload", expect=0)


def test_nobody_is_told_what_is_wrong():
    before = len(ops.json("audit", "list", "--what", "login"))
    login("nobody-here", PASSWORD_OF_ANN, "123456", expect=403)  # no such user
    assert "nobody-here" not in log(), "what may be a password is in the log"
    login("run", PASSWORD_OF_ANN, "123456", expect=403)  # no password
    assert len(ops.json("audit", "list", "--what", "login")) == before, "anyone fills the log"
    login("ann", "Wrong-Horse.77", code_of(factors["ann"], -30), expect=403)
    assert len(ops.json("audit", "list", "--what", "login")) == before + 1
    assert len(refusals) == 1, refusals
    for params in ({"user": "ann"}, {"password": "x"}, {"user": "a" * 70, "password": "x"}):
        assert post("login", params)[0] == 400, params
    status, _ = post("login", {"user": "ann", "password": "x" * 5000})
    assert status == 413
    # Without a token nothing else is had.
    for method in ("logout", "whoami", "user.password", "methods"):
        assert post(method)[0] == 401, method


def test_wrong_passwords_lock_logins_out_and_nothing_else():
    for _ in range(3):
        login("ann", "Wrong-Horse.77", "123456", expect=403)
    answer = login("ann", PASSWORD_OF_ANN, code_of(factors["ann"], -30), expect=403)
    assert answer["error"] in refusals and len(refusals) == 1
    entries = ops.json("audit", "list", "--what", "login")
    wrong = [e for e in entries if e["outcome"] == "refused" and e["detail"] == "wrong password"]
    assert wrong and "not looked at" in log(), entries
    # Tokens and codes work: who guesses passwords keeps nobody from anything else.
    text = token("ann2", "ann", "--permissions", "reveal")
    what = {"asset": "asset1", "account": "app", "code": code_of(factors["ann"], -30)}
    status, answer = post("account.reveal", what, token=text)
    assert status == 200, answer
    # A new password takes the lock away.
    set_password("ann", PASSWORD_OF_ANN + "x")
    login("ann", PASSWORD_OF_ANN, expect=403)


def test_many_logins_wait_and_hold_nothing_up():
    ends = []

    def attempt(number):
        status, _ = post("login", {"user": f"u{number}", "password": "x" * 12})
        ends.append(status)

    threads = [threading.Thread(target=attempt, args=(n,)) for n in range(14)]
    for thread in threads:
        thread.start()
    slowest = max(local() for _ in range(10))
    for thread in threads:
        thread.join()
    assert slowest < 1, slowest
    assert set(ends) <= {403, 503} and len(ends) == 14, ends


# ── lockstep as a client ──────────────────────────────────────────────────────────────────────


def token_file(name, text, mode=0o600):
    path = file(f"{name}.token")
    with open(path, "w") as out:
        out.write(text + "\n")
    os.chmod(path, mode)
    return path


def remote(*args, token=None, ca="home", url=None, **more):
    where = ["--server", url or f"https://{ADDRESS}:{PORT}", "--ca", file(f"{ca}.pem")]
    if token:
        where += ["--token-file", token]
    return ops.run(*where, *args, at=False, **more)


def test_the_command_asks_there():
    every = "view,run,edit,reveal,audit,admin"
    kept = token_file("client", token("client", "ann", "--permissions", every))
    me = json.loads(remote("whoami", "--json", token=kept, expect=0).stdout)
    assert (me["name"], me["token"], me["origin"]) == ("ann", "client", "tls"), me
    done = remote("whoami", "--json", token="-", stdin=shown_once["client"] + "\n", expect=0)
    assert json.loads(done.stdout) == me
    done = remote("run", "rotate", "--json", token=kept)
    ran = json.loads(done.stdout)
    assert done.returncode in (0, 1) and ran["total"] == 3, done
    listed = json.loads(remote("record", "list", "--json", token=kept, expect=0).stdout)
    assert len(listed) >= 3, listed
    for words in (
        ["status", "overview", "diff", "reload", "asset list", "account list", "task list"]
        + ["execution list", "notice list", "secret list", "user list", "audit list", "token list"]
        + ["account show asset1 app", "asset ping asset1", "audit verify", "account verify asset1"]
    ):
        done = remote(*words.split(), token=kept)
        assert done.returncode in (0, 1) and done.stdout, (words, done)
    # Two lines: the token, then the code that is asked for.
    wait_for(lambda: at_socket(0, "whoami")[0] == 200)
    given = shown_once["client"] + "\n" + code_of(factors["ann"], -30) + "\n"
    done = remote("account", "reveal", "asset1", "app", "--raw", token="-", stdin=given)
    # Each code counts once: this one did, or was given by an earlier test in the same half minute.
    assert done.returncode == 0 and done.stdout or "used already" in done.stderr, done


def test_what_needs_files_is_done_there():
    kept = file("client.token")
    for args, word in (
        (["check"], "policy's files"),
        (["task", "create", "t", "--accounts", "app", "--rule", "plain"], "policy's files"),
        (["vault", "backup", file("copy")], "vault's own file"),
        (["vault", "check"], "vault's own file"),
        (["vault", "restore", file("copy"), "--yes"], "vault's own file"),
        (["vault", "export", file("out"), "--recipient", file("own.pem")], "vault's own file"),
        (["init", file("new")], "without --server"),
    ):
        done = remote(*args, token=kept)
        assert done.returncode == 2 and word in done.stderr, (args, done)
    assert not os.path.exists(file("copy")) and not os.path.exists(file("new"))


def test_the_command_says_why_it_cannot_ask():
    kept = file("client.token")
    text = shown_once["client"]
    for more, word in (
        ({"token": kept, "ca": "strange"}, "--ca names the CA"),
        ({"token": kept, "url": f"https://{ADDRESS}:1"}, "nothing was asked"),
        ({"token": kept, "url": f"https://localhost:{PORT}"}, "nothing was asked"),
        ({"token": kept, "url": f"http://{ADDRESS}:{PORT}"}, "https://HOST:PORT"),
        ({"token": kept, "url": f"https://a:b@{ADDRESS}:{PORT}"}, "https://HOST:PORT"),
        ({"token": text}, "others can see"),
        ({"token": file("none")}, "No such file"),
        ({"token": token_file("open", text, 0o644)}, "chmod 600"),
        ({"token": token_file("empty", "")}, "no token in it"),
        ({"token": token_file("cut", text[:30])}, "a part of one"),
        ({"token": token_file("long", "x" * 5000)}, "no token in it"),
        ({"token": "-", "stdin": ""}, "no token in it"),
        ({}, "--token-file"),
    ):
        done = remote("whoami", **more)
        assert done.returncode in (2, 3) and word in done.stderr, (more, done)
        assert text not in done.stderr, (more, done)
    done = ops.run("--ca", file("home.pem"), "whoami")
    assert done.returncode == 2 and "--server" in done.stderr, done
    done = ops.run("login", "ann")
    assert done.returncode == 2 and "--server" in done.stderr, done


def test_the_command_logs_in_and_out():
    enroll("see2")
    set_password("see2", PASSWORD_OF_ANN)
    given = f"{PASSWORD_OF_ANN}\n{code_of(factors['see2'])}\n"
    done = remote("login", "see2", "--raw", stdin=given, expect=0)
    shown_once["raw"] = done.stdout
    assert done.stdout.startswith("lss_") and done.stdout not in done.stderr, done
    kept = token_file("login", done.stdout)
    assert json.loads(remote("whoami", "--json", token=kept).stdout)["name"] == "see2"
    remote("logout", token=kept, expect=0)
    done = remote("whoami", token=kept)
    assert done.returncode == 3 and "lockstep login" in done.stderr, done
    done = remote("login", "see2", "--raw", stdin="not-the-password\n000000\n")
    assert done.returncode == 2 and "nobody is let in by that" in done.stderr, done


def test_the_command_shows_a_certificate():
    with open(file("cara.both"), "w") as both:
        for part in ("cara.pem", "cara.key"):
            with open(file(part)) as text:
                both.write(text.read())
    done = remote("--identity", file("cara.both"), "whoami", "--json", expect=0)
    assert json.loads(done.stdout)["name"] == "car"
    done = remote("--identity", file("none"), "whoami")
    assert done.returncode == 3 and "--identity" in done.stderr, done


def test_nothing_stays_in_memory():
    """Of what was shown and typed, in the daemon, once it was answered."""
    wanted = {name: text.encode() for name, text in shown_once.items() if len(text) > 20}
    wanted["password"] = PASSWORD_OF_ANN.encode()
    wanted["what has to be found"] = PATH.encode()
    found = set()
    with open(f"/proc/{daemon.pid}/maps") as maps, open(f"/proc/{daemon.pid}/mem", "rb") as mem:
        for line in maps:
            span, modes = line.split()[:2]
            low, high = (int(part, 16) for part in span.split("-"))
            if not modes.startswith("rw") or "[v" in line or high - low > 1 << 28:
                continue
            try:
                mem.seek(low)
                part = mem.read(high - low)
            except OSError:
                continue
            found |= {name for name, text in wanted.items() if text in part}
    assert found == {"what has to be found"}, found


def test_no_token_is_kept_or_told():
    entries = ops.json("audit", "list", "--what", "token")
    assert {e["object"] for e in entries} >= {"a", "gone", "sees"}, entries
    assert any("revoked" in e["detail"] for e in entries)
    page = log() + json.dumps(ops.json("audit", "list")) + ops.run("token", "list", "--csv").stdout
    with open(os.path.join(ops.dir, "vault", "data.mdb"), "rb") as kept:
        vault = kept.read()
    shown_once["password"] = PASSWORD_OF_ANN
    for name, text in shown_once.items():
        assert text not in page, name
        assert text.encode() not in vault, name


# ── Reloading ─────────────────────────────────────────────────────────────────────────────────


def shown():
    with connect() as link:
        return dict(pair[0] for pair in link.getpeercert()["subject"])["commonName"]


def refused(*words):
    done = ops.run("reload")
    assert done.returncode in (2, 3), done
    assert all(word in done.stderr for word in words), (words, done.stderr)
    assert shown() == "next" and local() < 5


def test_a_reload_takes_a_new_certificate():
    assert shown() == "own"
    policy(certificate=file("next.pem"), key=file("next.key"))
    told = ops.json("diff", expect=None)
    fields = {field["field"] for field in told["settings"]}
    assert {"listen.certificate", "listen.key"} <= fields, told
    daemon.send_signal(1)
    wait_for(lambda: shown() == "next")


def test_what_is_wrong_with_a_certificate_changes_nothing():
    good = {"certificate": file("next.pem"), "key": file("next.key")}
    with open(file("broken.pem"), "w") as out:
        out.write("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    policy(**dict(good, certificate=file("broken.pem")))
    refused("broken.pem", "certificate")
    policy(**dict(good, certificate=file("none.pem")))
    refused("none.pem", "No such file")
    policy(**dict(good, key=file("own.key")))
    refused("own.key", "not that of the certificate")
    policy(**dict(good, client_ca=file("broken.pem")))
    refused("broken.pem", "client_ca")
    os.chmod(file("next.key"), 0o640)
    policy(**good)
    refused("next.key", "open to others", "chmod 400")
    os.chmod(file("next.key"), 0o400)
    with socket.create_server((ADDRESS, PORT + 1)):
        policy(**dict(good, address=f"{ADDRESS}:{PORT + 1}"))
        refused(f"{ADDRESS}:{PORT + 1}", "in use")
    assert "event=reload_refused" in log()
    policy(**good)
    ops.run("reload", expect=0)
    assert shown() == "next"


def test_no_listener_and_another_one():
    global PORT
    ops.write("lockstep.lua", ops.policy_text(settings=f'socket = "{PATH}",', more=PEOPLE))
    ops.run("reload", expect=0)
    try:
        connect()
        raise AssertionError("it listens still")
    except ConnectionRefusedError:
        pass
    assert ops.json("status")["listen"] is None
    PORT += 2
    policy()
    ops.run("reload", expect=0)
    assert shown() == "own"


def test_a_start_without_a_certificate_goes_on():
    daemon.terminate()
    assert daemon.wait(timeout=60) == 0
    policy(certificate=file("broken.pem"))
    start()
    assert local() < 5 and ops.json("status")["listen"] is None
    assert "event=not_listening" in log()
    policy()
    ops.run("reload", expect=0)
    assert shown() == "own"


def test_the_end():
    """At once, by the second signal, with logins that wait for their hash and their answer."""

    def attempt(number):
        try:
            post("login", {"user": f"u{number}", "password": "x" * 12})
        except (OSError, IndexError):
            pass  # cut off, before or within the answer

    threads = [threading.Thread(target=attempt, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    time.sleep(0.25)
    daemon.terminate()
    time.sleep(0.02)
    daemon.terminate()
    assert daemon.wait(timeout=60) == 0
    for thread in threads:
        thread.join()


main()
