"""A broker for one test, with TLS: a fresh linnetd, a private rabbitmq-server, or the one that is given.

    with broker("linnetd", binary) as environment:
        environment["AMQP_URL"], environment["AMQPS_URL"], environment["AMQP_CA_FILE"]
        environment["MQTT_HOST"], environment["MQTT_PORT"]  # linnetd's alone
"""

import contextlib
import os
import subprocess
import tempfile

import linnetd
import rabbitmq

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
def broker(kind, binary=None, settings=()):
    """Starts a broker with TLS and yields the environment that leads to it. `settings` are linnetd's alone."""
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
            # Two plain listeners: the second is for clients that prove IPv6.
            listen = ("amqp=127.0.0.1:0", "amqp=[::1]:0", "amqps=127.0.0.1:0", "mqtt=127.0.0.1:0",
                      "http=127.0.0.1:0")
            with linnetd.Linnetd(binary, TLS_OF_LINNETD.format(dir=folder), settings, listen) as server:
                try:
                    found = urls(server.address, server.address_of("amqps"), folder)
                    found["MQTT_HOST"], port = server.address_of("mqtt")
                    found["MQTT_PORT"] = str(port)
                    found["HTTP_HOST"], port = server.address_of("http")
                    found["HTTP_PORT"] = str(port)
                    found["AMQP_IPV6_PORT"] = server.ports["amqp"][1].rpartition(":")[2]
                    yield found
                    # A client must never bring the daemon down, nor keep it from ending.
                    if server.process.poll() is not None:
                        raise SystemExit(f"linnetd ended with {server.process.returncode}")
                    if (status := server.terminate()) != 0:
                        raise SystemExit(f"linnetd ended with {status} after SIGTERM")
                except BaseException:
                    print(f"---- the end of linnetd's log\n{server.log_tail(15)}\n----", flush=True)
                    raise
