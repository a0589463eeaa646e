"""A private mosquitto: its own port and folder, gone when it is stopped.

    with Mosquitto(config="set_tcp_nodelay true") as broker:
        broker.address, broker.pid
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from rabbitmq import free_ports


class StartError(RuntimeError):
    """The broker did not come up; the message holds what it said."""


def program():
    """Where the broker is, or None where it is not installed; Debian's lies outside of a user's PATH."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")


class Mosquitto:
    def __init__(self, config="", start_seconds=20, taskset=None):
        self.config = config
        self.start_seconds = start_seconds
        self.taskset = taskset
        self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    @property
    def pid(self):
        return self.process.pid

    @property
    def address(self):
        return "127.0.0.1", self.port

    def start(self):
        binary = program()
        if binary is None:
            raise StartError("mosquitto is not installed")
        self.dir = tempfile.mkdtemp(prefix="linnet-mosquitto-")
        (self.port,) = free_ports(1)
        path = os.path.join(self.dir, "mosquitto.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n{self.config}")
        command = ["taskset", "-c", self.taskset] if self.taskset is not None else []
        try:
            with open(os.path.join(self.dir, "console"), "ab") as out:
                self.process = subprocess.Popen(command + [binary, "-c", path], cwd=self.dir, stdin=subprocess.DEVNULL,
                                                stdout=out, stderr=out)
            self._wait_until_it_listens()
        except BaseException:
            self.stop()
            raise
        return self

    def _wait_until_it_listens(self):
        deadline = time.monotonic() + self.start_seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise StartError(f"mosquitto ended with {self.process.returncode}\n{self._console()}")
            try:
                socket.create_connection(self.address, timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise StartError(f"mosquitto not up in {self.start_seconds} s\n{self._console()}")

    def _console(self):
        with open(os.path.join(self.dir, "console"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
