"""What every Python client script here shares: named checks, run in order, inside a time limit.

A script decorates its checks with `@check("what it shows")` and ends with `run(seconds)`. The first
check that raises ends the script with status 1 and says which one it was. The limit is a real alarm:
a client that waits for ever on a broker that never answers fails like any other check.
"""

import os
import signal
import sys
import time
import traceback
import uuid

URL = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
TLS_URL = os.environ.get("AMQPS_URL")  # unset: the broker under test offers no TLS
CA_FILE = os.environ.get("AMQP_CA_FILE")

_checks = []


class Skip(Exception):
    """Raised by a check that the environment cannot show; its text says what was missing."""


def check(title):
    def register(function):
        _checks.append((title, function))
        return function

    return register


def fresh(prefix):
    """A name nobody else uses, so that scripts may share one broker."""
    return f"{prefix}.{uuid.uuid4().hex[:12]}"


def equal(got, expected, what="value"):
    if got != expected:
        raise AssertionError(f"{what}: expected {expected!r}, got {got!r}")


def eventually(condition, what, seconds=10.0, step=lambda: time.sleep(0.01)):
    """Runs `step` until `condition()` holds, at most `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        step()


def run(seconds):
    def expired(_signal, _frame):
        raise TimeoutError(f"the script's limit of {seconds} s has passed")

    signal.signal(signal.SIGALRM, expired)
    signal.alarm(seconds)
    begun, passed = time.monotonic(), 0
    for title, function in _checks:
        started = time.monotonic()
        try:
            function()
        except Skip as reason:
            print(f"skip  {title}: {reason}", flush=True)
            continue
        except BaseException as error:  # a client may raise anything, KeyboardInterrupt included
            traceback.print_exc()
            print(f"FAIL  {title}: {type(error).__name__}: {error}", flush=True)
            # Not sys.exit: a client's threads or exit hooks must not turn a failure into a hang.
            sys.stderr.flush()
            os._exit(1)
        passed += 1
        print(f"ok    {title} ({time.monotonic() - started:.2f} s)", flush=True)
    print(f"{passed} of {len(_checks)} checks passed in {time.monotonic() - begun:.1f} s", flush=True)
