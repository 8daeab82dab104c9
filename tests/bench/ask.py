"""Asks an engine by its socket, and tells how long its answers take."""

import collections
import contextlib
import http.client
import json
import os
import socket
import statistics
import subprocess
import time

RUNS = 7

Answer = collections.namedtuple("Answer", "least median length")


@contextlib.contextmanager
def engine(lockstep, ops):
    """A daemon for as long as one asks."""
    daemon = subprocess.Popen(
        [os.path.join(os.path.dirname(lockstep), "../sbin/lockstepd"), "-C", ops],
        stderr=subprocess.DEVNULL,
    )
    try:
        _await_socket(daemon, os.path.join(ops, "vault/socket"))
        yield
    finally:
        daemon.terminate()
        daemon.wait()


def _await_socket(daemon, path):
    end = time.monotonic() + 60
    while not os.path.exists(path):
        if time.monotonic() > end or daemon.poll() is not None:
            raise RuntimeError("lockstepd does not listen")
        time.sleep(0.1)


def answer_ms(ops, method, params):
    """From the request to the last byte, and how many there are."""
    took, length = [], 0
    for _ in range(RUNS):
        link = http.client.HTTPConnection("localhost", timeout=60)
        link.sock = socket.socket(socket.AF_UNIX)
        link.sock.connect(os.path.join(ops, "vault/socket"))
        before = time.monotonic()
        link.request("POST", f"/v1/{method}", json.dumps(params))
        answer = link.getresponse()
        length = len(answer.read())
        took.append((time.monotonic() - before) * 1000)
        if answer.status != 200:
            raise RuntimeError(f"{method} {params}: {answer.status}")
        link.close()
    return Answer(min(took), statistics.median(took), length)
