"""A private rabbitmq-server: its own ports, node name, epmd, cookie and data, gone when it is stopped.

Nothing is shared with a RabbitMQ the machine may already run: the directories live under one
temporary folder, and the node registers with an epmd that is started for it alone. The server's
own scripts are used, not Debian's wrappers, which would switch to the user `rabbitmq`.

    with Rabbitmq(definitions=..., plugins=("rabbitmq_random_exchange",)) as broker:
        broker.port, broker.pid, broker.ctl("list_queues")
"""

import base64
import contextlib
import glob
import hashlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time


class StartError(RuntimeError):
    """The broker did not come up; the message holds the end of its log."""


def script_dir():
    """Where rabbitmq-server's own scripts are, or None where it is not installed."""
    found = glob.glob("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin") + glob.glob(
        "/opt/rabbitmq*/sbin")
    return sorted(found)[-1] if found else None


def free_ports(count):
    """Ports that were free a moment ago, all different: they are held until the last is known."""
    held = []
    try:
        for _ in range(count):
            s = socket.socket()
            s.bind(("127.0.0.1", 0))
            held.append(s)
        return [s.getsockname()[1] for s in held]
    finally:
        for s in held:
            s.close()


def password_hash(password):
    """RabbitMQ's salted SHA-256, as its definitions file wants it."""
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


class Rabbitmq:
    def __init__(self, definitions=None, plugins=(), config="", start_seconds=60, taskset=None):
        self.definitions = definitions
        self.plugins = plugins
        self.config = config
        self.start_seconds = start_seconds
        self.taskset = taskset
        self.pid = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    @property
    def address(self):
        return "127.0.0.1", self.port

    def start(self):
        scripts = script_dir()
        if scripts is None:
            raise StartError("rabbitmq-server is not installed")
        self.scripts = scripts
        self.dir = tempfile.mkdtemp(prefix="linnet-rabbitmq-")
        self.port, self.dist_port, self.epmd_port = free_ports(3)
        self.env = self._environment()
        self._write_files()
        try:
            self._spawn()
            self._wait_until_it_listens()
        except BaseException:
            self.stop()
            raise
        return self

    def _path(self, name):
        return os.path.join(self.dir, name)

    def _environment(self):
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("RABBITMQ_", "ERL_"))}
        return keep | {
            "HOME": self.dir,
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"linnet{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self.dist_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS":
                "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_MNESIA_BASE": self._path("mnesia"),
            "RABBITMQ_LOG_BASE": self._path("log"),
            "RABBITMQ_GENERATED_CONFIG_DIR": self._path("generated"),
            "RABBITMQ_PID_FILE": self._path("pid"),
            "RABBITMQ_CONFIG_FILE": self._path("rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": self._path("env.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": self._path("advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": self._path("enabled_plugins"),
            "RABBITMQ_LOGS": self._path("log/node.log"),
        }

    def _write_files(self):
        for name in ("mnesia", "log", "generated"):
            os.mkdir(self._path(name))
        self._write("env.conf", "")
        self._write("advanced.config", "[].\n")
        self._write("enabled_plugins", "[" + ",".join(self.plugins) + "].\n")
        self._write(".erlang.cookie", secrets.token_hex(16))
        os.chmod(self._path(".erlang.cookie"), 0o400)
        config = self.config
        if self.definitions is not None:
            self._write("definitions.json", json.dumps(self.definitions))
            config += f"\nload_definitions = {self._path('definitions.json')}\n"
        self._write("rabbitmq.conf", config)

    def _write(self, name, text):
        with open(self._path(name), "w", encoding="utf-8") as f:
            f.write(text)

    def _spawn(self):
        # epmd is started here, not by the node, so that it is ours to end: one that the node
        # started would be a daemon of its own and outlive it.
        self.epmd = subprocess.Popen(
            ["epmd", "-port", str(self.epmd_port), "-address", "127.0.0.1"],
            env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._spawn_server()

    def _spawn_server(self):
        self.out = open(self._path("console"), "ab")
        command = [os.path.join(self.scripts, "rabbitmq-server")]
        if self.taskset is not None:
            command = ["taskset", "-c", self.taskset] + command
        self.process = subprocess.Popen(
            command, env=self.env, stdout=self.out, stderr=self.out, stdin=subprocess.DEVNULL,
            start_new_session=True, cwd=self.dir)

    def _wait_until_it_listens(self):
        deadline = time.monotonic() + self.start_seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise StartError(f"rabbitmq-server ended early\n{self.log_tail()}")
            # The listener opens last in the boot, and the log line comes after it.
            if "Server startup complete" in self.log_text():
                self.pid = int(open(self._path("pid"), encoding="ascii").read())
                return
            time.sleep(0.1)
        raise StartError(f"rabbitmq-server not up in {self.start_seconds} s\n{self.log_tail()}")

    def kill(self):
        """kill -9 of the whole node, and gone once this returns."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.out.close()

    def start_again(self):
        """The same node on the same data, after kill()."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path("log/node.log"))
        self._spawn_server()
        self._wait_until_it_listens()
        return self

    def log_text(self):
        try:
            with open(self._path("log/node.log"), encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def log_tail(self, lines=40):
        with open(self._path("console"), encoding="utf-8", errors="replace") as f:
            return "\n".join((f.read() + self.log_text()).splitlines()[-lines:])

    def ctl(self, *args, tool="rabbitmqctl", timeout=60):
        """Runs rabbitmqctl (or another of its tools) against this node; its standard output."""
        command = [os.path.join(self.scripts, tool), "-q", *args]
        return subprocess.run(command, env=self.env, check=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout

    def stop(self):
        process, epmd = getattr(self, "process", None), getattr(self, "epmd", None)
        if process is not None:
            # The script leads its own process group (start_new_session), so the group is exactly
            # what was started here. SIGTERM lets the node close its files; then there is no mercy.
            self._end_group(process, signal.SIGTERM, 10) or self._end_group(
                process, signal.SIGKILL, 5)
        if epmd is not None and epmd.poll() is None:
            epmd.kill()
            epmd.wait()
        if hasattr(self, "out"):
            self.out.close()
        shutil.rmtree(self.dir, ignore_errors=True)
        self.pid = None

    @staticmethod
    def _end_group(process, sig, seconds):
        try:
            os.killpg(process.pid, sig)
        except ProcessLookupError:
            return True
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True
