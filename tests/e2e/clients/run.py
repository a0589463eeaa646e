#!/usr/bin/python3
"""Runs one client script against a broker of its own, and ends both.

    run.py --binary build/dev/broker/app/linnetd -- /usr/bin/python3 pika_blocking.py
    run.py --rabbitmq -- node node/amqplib.js
    AMQP_URL=amqp://guest:guest@localhost/%2F run.py -- ruby bunny.rb

The broker is the first of: --rabbitmq (a private rabbitmq-server), --binary or $LINNETD (a fresh
linnetd), the one that $AMQP_URL already names. The script finds it in the environment: AMQP_URL, and
AMQPS_URL with AMQP_CA_FILE where TLS is on offer. Its status is ours; 124 means that time ran out.
"""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from brokers import broker  # noqa: E402


def run(command, environment, seconds):
    """The command's exit status; its whole process group is ended when time is up."""
    # A group of its own: workers that a script started are ended with it.
    process = subprocess.Popen(command, env=os.environ | environment, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        print(f"FAIL  not done in {seconds} s: {' '.join(command)}", flush=True)
        return 124
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rabbitmq", action="store_true", help="start a private rabbitmq-server")
    parser.add_argument("--binary", default=os.environ.get("LINNETD"), help="start this linnetd (default: $LINNETD)")
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE of linnetd's configuration")
    parser.add_argument("--seconds", type=float, default=180, help="how long the script may take")
    parser.add_argument("command", nargs="+", help="the client script and its arguments")
    arguments = parser.parse_args()
    kind = "rabbitmq" if arguments.rabbitmq else "linnetd" if arguments.binary else "given"
    if kind == "given" and "AMQP_URL" not in os.environ:
        parser.error("no broker: give --rabbitmq, --binary, $LINNETD or $AMQP_URL")
    if not shutil.which(arguments.command[0]):
        sys.exit(f"{arguments.command[0]} is not installed")
    with broker(kind, arguments.binary, arguments.set) as environment:
        begun = time.monotonic()
        status = run(arguments.command, environment, arguments.seconds)
        print(f"{kind}: status {status} after {time.monotonic() - begun:.1f} s", flush=True)
        if status != 0:
            sys.exit(status)  # inside, so that the broker's log is shown


if __name__ == "__main__":
    main()
