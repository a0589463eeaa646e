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
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import linnetd  # noqa: E402
import rabbitmq  # noqa: E402

TLS_OF_LINNETD = """\
[tls]
cert_file = "{dir}/server.pem"
key_file = "{dir}/server.key"
ca_file = "{dir}/ca.pem"
verify = "peer"
"""

TLS_OF_RABBITMQ = """\
listeners.ssl.1 = 127.0.0.1:{port}
ssl_options.cacertfile = {dir}/ca.pem
ssl_options.certfile = {dir}/server.pem
ssl_options.keyfile = {dir}/server.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = false
"""


def certificates(folder):
    """A certificate authority of the moment, and a server certificate for localhost signed by it."""

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=60)

    with open(os.path.join(folder, "names"), "w", encoding="ascii") as file:
        file.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Test authority")
    for name in ("server", "client"):
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-out", f"{name}.pem", "-days", "2", "-extfile", "names")


def urls(address, tls_address, folder):
    """What a script finds in its environment."""
    found = {"AMQP_URL": "amqp://guest:guest@{}:{}/%2F".format(*address)}
    if tls_address:
        found["AMQPS_URL"] = "amqps://guest:guest@localhost:{}/%2F".format(tls_address[1])
        found["AMQP_CA_FILE"] = os.path.join(folder, "ca.pem")
    return found


@contextlib.contextmanager
def broker(kind, binary=None):
    """Starts a broker with TLS and yields the environment that leads to it."""
    if kind == "given":
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="linnet-clients-") as folder:
        certificates(folder)
        if kind == "rabbitmq":
            tls_port = rabbitmq.free_ports(1)[0]
            with rabbitmq.Rabbitmq(config=TLS_OF_RABBITMQ.format(port=tls_port, dir=folder)) as server:
                yield urls(server.address, ("127.0.0.1", tls_port), folder)
        else:
            listen = ("amqp=127.0.0.1:0", "amqps=127.0.0.1:0")
            with linnetd.Linnetd(binary, TLS_OF_LINNETD.format(dir=folder), listen=listen) as server:
                yield urls(server.address, server.address_of("amqps"), folder)
                # A client must never bring the daemon down, nor keep it from ending.
                if server.process.poll() is not None:
                    raise SystemExit(f"linnetd ended with {server.process.returncode}\n{server.log_tail()}")
                if (status := server.terminate()) != 0:
                    raise SystemExit(f"linnetd ended with {status} after SIGTERM\n{server.log_tail()}")


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
    parser.add_argument("--seconds", type=float, default=180, help="how long the script may take")
    parser.add_argument("command", nargs="+", help="the client script and its arguments")
    arguments = parser.parse_args()
    kind = "rabbitmq" if arguments.rabbitmq else "linnetd" if arguments.binary else "given"
    if kind == "given" and "AMQP_URL" not in os.environ:
        parser.error("no broker: give --rabbitmq, --binary, $LINNETD or $AMQP_URL")
    with broker(kind, arguments.binary) as environment:
        begun = time.monotonic()
        status = run(arguments.command, environment, arguments.seconds)
        print(f"{kind}: status {status} after {time.monotonic() - begun:.1f} s", flush=True)
    sys.exit(status)


if __name__ == "__main__":
    main()
