#!/usr/bin/env python3
"""From exec to exit: how long a start takes, what it says and to whom, SIGTERM that drains, exit codes."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

import harness
import raw_amqp as amqp
from harness import MIB, Client, Linnetd

CLOSE_OK = amqp.method_frame(0, "connection.close-ok")
BINARY = os.environ["LINNETD"]


class Started:
    """linnetd with its standard output and its standard error apart."""

    def __init__(self, folder, *arguments, **environment):
        self.ports_file = os.path.join(folder, "ports.json")
        self.process = subprocess.Popen(
            [BINARY, "--listen", "amqp=127.0.0.1:0", "--ports-file", self.ports_file, *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder, text=True,
            env={"PATH": os.environ["PATH"], "HOME": folder} | environment)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def first_line(self):
        return self.process.stdout.readline()

    def address(self):
        with open(self.ports_file, encoding="ascii") as file:
            host, _, port = json.load(file)["amqp"][0].rpartition(":")
        return host, int(port)

    def end(self):
        self.process.terminate()
        out, err = self.process.communicate(timeout=10)
        return self.process.returncode, out, err


class Start(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="linnet-robustness-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def test_the_line_on_standard_output_in_text(self):
        with Started(self.folder, "--shards", "1") as daemon:
            self.assertEqual(daemon.first_line(), "Server startup complete; 1 shard, 1 listener\n")
            harness.works(daemon.address())  # said when it is true
            code, out, err = daemon.end()
            self.assertEqual((code, out), (0, ""))
            self.assertIn("stopped", err.splitlines()[-1])

    def test_the_line_on_standard_output_in_json(self):
        with Started(self.folder, "--log-format", "json", "--shards", "2") as daemon:
            line = json.loads(daemon.first_line())
            self.assertEqual(line["msg"], "Server startup complete; 2 shards, 1 listener")
            harness.works(daemon.address())
            code, out, err = daemon.end()
            self.assertEqual((code, out), (0, ""))
            messages = [json.loads(line)["msg"] for line in err.splitlines()]  # every line is an object
            self.assertIn("stopped", messages)

    def test_pid_file_and_ports_file(self):
        pid_file = os.path.join(self.folder, "pid")
        with Started(self.folder, "--pid-file", pid_file, "--listen", "amqp=[::1]:0") as daemon:
            daemon.first_line()
            with open(pid_file, encoding="ascii") as file:
                self.assertEqual(file.read(), f"{daemon.process.pid}\n")
            with open(daemon.ports_file, encoding="ascii") as file:
                ports = json.load(file)
            self.assertEqual(list(ports), ["amqp"])
            self.assertRegex(" ".join(ports["amqp"]), r"^127\.0\.0\.1:\d+ \[::1\]:\d+$")
            harness.works(("::1", int(ports["amqp"][1].rpartition(":")[2])))
            self.assertEqual(daemon.end()[0], 0)
            self.assertFalse(os.path.exists(pid_file))

    def test_a_port_that_is_taken(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with Started(self.folder, "--listen", f"amqp=127.0.0.1:{port}") as daemon:
                _, err = daemon.process.communicate(timeout=5)
            self.assertEqual(daemon.process.returncode, 1)
            self.assertRegex(err, rf"cannot bind 127\.0\.0\.1:{port}: Address already in use")
            self.assertFalse(os.path.exists(daemon.ports_file))

    def test_how_long_it_takes_and_what_it_weighs(self):
        times = []
        for _ in range(5):
            began = time.monotonic()
            with Started(self.folder) as daemon:
                daemon.first_line()
                with socket.create_connection(daemon.address(), 5) as sock:
                    sock.sendall(amqp.HEADER)
                    self.assertEqual(sock.recv(1), b"\x01")
                times.append(time.monotonic() - began)
                resident = harness.resident_bytes(daemon.process.pid)
                self.assertEqual(daemon.end()[0], 0)
        print(f"exec to first accepted connection: {min(times) * 1000:.0f} ms at best, {max(times) * 1000:.0f} at worst; "
              f"idle: {resident / MIB:.1f} MiB resident")
        self.assertLess(min(times), 1)  # the aim is 25 ms; a loaded machine is allowed more
        self.assertLess(resident, 16 * MIB)

    def test_a_supervisor_is_told(self):
        path = os.path.join(self.folder, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
            supervisor.bind(path)
            supervisor.settimeout(5)
            with Started(self.folder, NOTIFY_SOCKET=path) as daemon:
                self.assertIn("READY=1", supervisor.recv(4096).decode().split("\n"))
                harness.works(daemon.address())
                daemon.process.send_signal(signal.SIGHUP)
                reloading = supervisor.recv(4096).decode().split("\n")
                self.assertIn("RELOADING=1", reloading)
                self.assertTrue([line for line in reloading if line.startswith("MONOTONIC_USEC=")])
                self.assertIn("READY=1", supervisor.recv(4096).decode().split("\n"))
                daemon.process.terminate()
                self.assertIn("STOPPING=1", supervisor.recv(4096).decode().split("\n"))
                self.assertEqual(daemon.process.wait(10), 0)

    def test_a_watchdog_is_fed(self):
        path = os.path.join(self.folder, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
            supervisor.bind(path)
            supervisor.settimeout(5)
            with Started(self.folder, NOTIFY_SOCKET=path, WATCHDOG_USEC="200000") as daemon:
                supervisor.recv(4096)
                for _ in range(3):
                    self.assertEqual(supervisor.recv(4096), b"WATCHDOG=1")
                self.assertEqual(daemon.end()[0], 0)


class CheckConfig(unittest.TestCase):
    def check(self, text, *arguments):
        with tempfile.TemporaryDirectory(prefix="linnet-robustness-") as folder:
            path = os.path.join(folder, "linnet.toml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            done = subprocess.run([BINARY, "--check-config", "--config", path, *arguments], capture_output=True,
                                  text=True, timeout=10, env={"HOME": folder})
            return done.returncode, done.stdout.replace(path, "FILE"), done.stderr.replace(path, "FILE")

    def test_valid(self):
        code, out, err = self.check('[limits]\nqueues = 5\n')
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"^FILE is valid \([^)]+\)\n$")

    def test_wrong(self):
        for name, text, expected in (
                ("a key that is none", "[limits]\nqeues = 5\n", r'FILE:2:1 .*did you mean "(limits\.)?queues"'),
                ("not TOML", "[limits\n", r"FILE:\d+:\d+ "),
                ("another type", '[limits]\nqueues = "many"\n', r"FILE:2:\d+ "),
                ("an unknown user", '[[permission]]\nuser = "nobody"\nvhost = "/"\n', r"FILE:\d+:\d+ .*nobody")):
            with self.subTest(name):
                code, out, err = self.check(text)
                self.assertEqual((code, out), (78, ""))
                self.assertRegex(err, expected)

    def test_all_errors_at_once(self):
        _, _, err = self.check("[limits]\nqeues = 5\nchanels = 3\n")
        self.assertEqual(len(err.splitlines()), 2)

    def test_a_file_that_is_not_there_and_an_option_that_is_none(self):
        for arguments, code in ((("--check-config", "--config", "/nowhere/linnet.toml"), 78), (("--no-such-option",), 64)):
            with self.subTest(arguments):
                done = subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=10, env={})
                self.assertEqual((done.returncode, done.stdout), (code, ""))
                self.assertNotEqual(done.stderr, "")

    def test_a_wrong_configuration_does_not_start(self):
        with tempfile.TemporaryDirectory(prefix="linnet-robustness-") as folder:
            with Started(folder, "--set", "limits.queues=many") as daemon:
                out, _ = daemon.process.communicate(timeout=5)
            self.assertEqual((daemon.process.returncode, out), (78, ""))


class Ending(unittest.TestCase):
    def setUp(self):
        self.broker = Linnetd(settings=("drain_timeout=5s",)).start()
        self.addCleanup(self.broker.stop)

    def assert_nobody_listens(self):
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(self.broker.address, 5)

    def test_clients_are_told_and_waited_for(self):
        clients = [Client(self.broker.address) for _ in range(5)]
        with harness.closing_all(clients):
            self.broker.signal(signal.SIGTERM)
            for client in clients:
                close = client.receive(0, 5)
                self.assertEqual(close.name, "connection.close")
                self.assertEqual((close.values["reply_code"], close.values["reply_text"], close.values["class_id"],
                                  close.values["method_id"]), (320, "CONNECTION_FORCED - shutdown", 0, 0))
            self.assert_nobody_listens()
            self.assertIsNone(self.broker.process.poll())
            for client in clients:
                client.send(CLOSE_OK)
                self.assertEqual(client.receive(0, 5).name, amqp.EOF)
                client.close()
            began = time.monotonic()
            self.assertEqual(self.broker.process.wait(5), 0)
            self.assertLess(time.monotonic() - began, 1)

    def test_one_that_does_not_answer_is_cut_at_the_drain_timeout(self):
        with Client(self.broker.address) as client:
            began = time.monotonic()
            self.assertEqual(self.broker.terminate(10), 0)
            took = time.monotonic() - began
            self.assertGreater(took, 4.5)
            self.assertLess(took, 7.5)
            self.assertEqual(client.receive(0, 1).values["reply_code"], 320)
            self.assertEqual(client.receive(0, 1).name, amqp.EOF)

    def test_a_second_signal_hurries(self):
        with Client(self.broker.address) as client:
            self.broker.signal(signal.SIGTERM)
            self.assertEqual(client.receive(0, 5).values["reply_code"], 320)
            began = time.monotonic()
            self.broker.signal(signal.SIGTERM)
            self.assertEqual(self.broker.process.wait(5), 0)
            self.assertLess(time.monotonic() - began, 2)

    def test_half_open_ones_do_not_hold_it_up(self):
        # Told nothing: there is nothing that a client in its handshake would understand.
        stages = (b"", amqp.HEADER, amqp.HEADER + harness.start_ok()[:30])
        sockets = [socket.create_connection(self.broker.address, 5) for _ in stages]
        with harness.closing_all(sockets):
            for sock, said in zip(sockets, stages):
                sock.sendall(said)
            harness.works(self.broker.address)
            self.broker.signal(signal.SIGTERM)
            for sock in sockets:
                harness.drained(sock, 3)
                sock.close()
            self.assertEqual(self.broker.process.wait(3), 0)

    def test_under_load_it_ends_all_the_same(self):
        def publish(client):
            block = harness.publishing("load", bytes(1000)) * 100
            while client.send(block):
                pass

        def consume(client):
            while (event := client.receive(1, 5)) and event.name != amqp.EOF:
                pass

        with harness.closing_all([Client(self.broker.address) for _ in range(6)]) as clients:
            clients[0].declare("load")
            clients[3].call(1, "basic.consume", queue="load", no_ack=True)
            threads = [threading.Thread(target=publish, args=[c], daemon=True) for c in clients[:3]]
            threads.append(threading.Thread(target=consume, args=[clients[3]], daemon=True))
            for thread in threads:
                thread.start()
            time.sleep(0.5)
            began = time.monotonic()
            self.broker.signal(signal.SIGTERM)
            time.sleep(0.2)
            self.broker.signal(signal.SIGTERM)  # these clients know no close
            self.assertEqual(self.broker.process.wait(10), 0)
            self.assertLess(time.monotonic() - began, 5)
            for thread in threads:
                thread.join(5)
                self.assertFalse(thread.is_alive())


if __name__ == "__main__":
    unittest.main()
