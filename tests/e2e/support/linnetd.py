"""A linnetd of the test's own: started on free loopback ports, found through its ports file, ended by pid.

    with Linnetd(config=TOML_TEXT) as broker:
        host, port = broker.address

The binary is $LINNETD (or the argument). Whatever it writes is kept and shown if it fails to start.
A daemon that was killed or ended comes back with start_again(): same settings, same data folder, fresh ports.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time


class StartError(RuntimeError):
    """The daemon did not come up; the message holds what it said."""


class Linnetd:
    def __init__(self, binary=None, config=None, settings=(), listen=("amqp=127.0.0.1:0",),
                 start_seconds=20, taskset=None, env=None, data_dir=None):
        self.binary = binary or os.environ.get("LINNETD")
        self.config = config
        self.settings = settings
        self.listen = listen
        self.start_seconds = start_seconds
        self.taskset = taskset
        self.extra_env = env or {}
        self.data_dir = data_dir
        self.process = None
        self.ports = {}

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    @property
    def pid(self):
        return self.process.pid

    @property
    def address(self):
        return self.address_of("amqp")

    @property
    def port(self):
        return self.address[1]

    def address_of(self, protocol):
        host, _, port = self.ports[protocol][0].rpartition(":")
        return host.strip("[]"), int(port)

    def start(self):
        if not self.binary or not os.access(self.binary, os.X_OK):
            raise StartError(f"no linnetd to run: LINNETD is {self.binary!r}")
        self.dir = tempfile.mkdtemp(prefix="linnetd-test-")
        self.ports_file = os.path.join(self.dir, "ports.json")
        self.log = os.path.join(self.dir, "log")
        self.data_dir = self.data_dir or os.path.join(self.dir, "data")
        try:
            self._spawn()
            self._wait_for_ports()
        except BaseException:
            self.stop()
            raise
        return self

    def spawn_again(self):
        """The same daemon on the same folder, without waiting until it serves."""
        if self.process.poll() is None:
            raise StartError("it still runs")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.ports_file)
        self._spawn()

    def start_again(self):
        self.spawn_again()
        self._wait_for_ports()
        return self

    def kill(self):
        """kill -9, and gone once this returns."""
        self.process.kill()
        self.process.wait()

    def _command(self):
        command = ["taskset", "-c", self.taskset] if self.taskset is not None else []
        command += [self.binary, "--ports-file", self.ports_file,
                    "--set", f"data_dir={self.data_dir}"]
        for listen in self.listen:
            command += ["--listen", listen]
        if self.config is not None:
            path = os.path.join(self.dir, "linnet.toml")
            with open(path, "w", encoding="utf-8") as f:
                f.write(self.config)
            command += ["--config", path]
        for setting in self.settings:
            command += ["--set", setting]
        return command

    def _spawn(self):
        # Nothing of the caller's configuration may leak in through the environment.
        env = {k: v for k, v in os.environ.items()
               if not k.startswith("LINNET") and k != "NOTIFY_SOCKET"}
        env |= {"HOME": self.dir, "XDG_CONFIG_HOME": self.dir, "XDG_STATE_HOME": self.dir}
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self.dir,
                env=env | self.extra_env)

    def _wait_for_ports(self):
        deadline = time.monotonic() + self.start_seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise StartError(f"linnetd ended with {self.process.returncode}\n{self.log_tail()}")
            try:
                with open(self.ports_file, encoding="utf-8") as f:
                    self.ports = json.load(f)
                return
            except (FileNotFoundError, json.JSONDecodeError):
                time.sleep(0.01)
        raise StartError(f"linnetd wrote no ports file in {self.start_seconds} s\n{self.log_tail()}")

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def log_tail(self, lines=40):
        return "\n".join(self.log_text().splitlines()[-lines:])

    def signal(self, number):
        self.process.send_signal(number)

    def terminate(self, seconds=15):
        """SIGTERM and the exit status; a daemon that does not end in time is killed and reported."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            try:
                self.terminate()
            except subprocess.TimeoutExpired:
                pass
        shutil.rmtree(self.dir, ignore_errors=True)
