#!/usr/bin/env python3
"""`linnet queue move` as the broker hears it: what it asks for at a time, and what it makes of a broker that is silent."""

import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import linnetd  # noqa: E402

METHOD = 1
GET, GET_OK = (60, 70), (60, 71)


def frames(source, header_bytes):
    """Each as it came, with its method; what precedes them first."""
    with source.makefile("rb") as stream:
        if header_bytes:
            yield stream.read(header_bytes), None
        while len(head := stream.read(7)) == 7:
            kind, _, size = struct.unpack(">BHL", head)
            rest = stream.read(size + 1)
            yield head + rest, struct.unpack(">HH", rest[:4]) if kind == METHOD else None


class Between:
    """Between a client and its broker. It takes note of every get, and passes on only so many."""

    def __init__(self, broker_port, gets_max=None):
        self.gets_max = gets_max
        self.gets = []  # for each, how many had been answered
        self.answered = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.broker_port = broker_port
        self.threads = [threading.Thread(target=self.serve)]
        self.threads[0].start()

    def serve(self):
        with self.listener.accept()[0] as client, socket.create_connection(("127.0.0.1", self.broker_port)) as broker:
            back = threading.Thread(target=self.carry, args=(broker, client, 0))
            back.start()
            self.carry(client, broker, 8)
            back.join()

    def carry(self, source, to, header_bytes):
        try:
            for frame, method in frames(source, header_bytes):
                if method == GET:
                    self.gets.append(self.answered)
                    if self.gets_max is not None and len(self.gets) > self.gets_max:
                        continue
                self.answered += method == GET_OK
                to.sendall(frame)
            to.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the other side has gone

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.threads[0].join()
        self.listener.close()


class Transfer(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory(prefix="linnet-cli-"))
        self.broker = self.enterContext(linnetd.Linnetd(listen=("amqp=127.0.0.1:0", "http=127.0.0.1:0")))
        self.amqp = self.url(self.broker.port)
        for queue in ("from", "to"):
            self.cli("queue", "create", queue)

    @staticmethod
    def url(port):
        return f"amqp://guest:guest@127.0.0.1:{port}"

    def cli(self, *words, code=0, given=""):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("RABBITMQ_", "AMQP_"))}
        env |= {"LINNET_URL": "http://guest:guest@127.0.0.1:{}".format(self.broker.address_of("http")[1]),
                "XDG_CONFIG_HOME": self.folder}
        done = subprocess.run([os.environ["LINNET"], *words], env=env, input=given, text=True, timeout=60,
                              capture_output=True, check=False)
        self.assertEqual(done.returncode, code, f"{words}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def fill(self, count):
        self.cli("pub", self.amqp, "-k", "from", "--lines", "-q", given="".join(f"{i}\n" for i in range(count)))

    def payloads(self, queue):
        return self.cli("sub", self.amqp, "--queue", queue, "--wait", "1").splitlines()

    def test_silence_is_no_end(self):
        self.fill(10)
        with Between(self.broker.port, gets_max=4) as between:
            said = self.cli("queue", "move", "from", "to", "--amqp-url", self.url(between.port), "--timeout", "3000",
                            code=3)
        self.assertIn("did not come in time", said)
        self.assertIn("They are in the queue still", said)
        self.assertEqual(self.payloads("to"), [str(i) for i in range(4)])
        self.assertEqual(self.payloads("from"), [str(i) for i in range(4, 10)])

    def test_as_much_is_asked_for_as_has_come(self):
        self.fill(500)
        with Between(self.broker.port) as between:
            self.cli("queue", "move", "from", "to", "--amqp-url", self.url(between.port))
        self.assertEqual(len(between.gets), 500)
        for asked, answered in enumerate(between.gets):
            self.assertLessEqual(asked + 1 - answered, max(1, min(answered, 64)), f"the {asked}. get")
        self.assertEqual(self.payloads("to"), [str(i) for i in range(500)])


if __name__ == "__main__":
    unittest.main()
