"""A private nginx with one worker: its own port and folder, gone when it is stopped.

    with Nginx(locations="location / { return 204; }", modules=("ngx_nchan_module",)) as server:
        server.port, server.pid  # the worker's

What nginx's manual offers for many connections that are kept is set: no access log, no limit to the requests of a
connection, room for all of them.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time

from rabbitmq import free_ports

MODULES = "/usr/lib/nginx/modules"

CONF = """
daemon off;
{user}
{modules}
worker_processes 1;
worker_rlimit_nofile 20000;
pid {folder}/pid;
error_log {folder}/error.log warn;
events {{
    worker_connections 15000;
}}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {http}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        {locations}
    }}
}}
"""


class StartError(RuntimeError):
    """The server did not come up; the message holds what it said."""


def program():
    """Where the server is, or None where it is not installed; Debian's lies outside of a user's PATH."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


class Nginx:
    def __init__(self, locations, http="", modules=(), start_seconds=20, taskset=None):
        self.locations = locations
        self.http = http
        self.modules = modules
        self.start_seconds = start_seconds
        self.taskset = taskset
        self.process = None
        self.pid = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self):
        binary = program()
        if binary is None:
            raise StartError("nginx is not installed")
        for module in self.modules:
            if not os.path.exists(self._module_path(module)):
                raise StartError(f"nginx's module {module} is not installed")
        self.dir = tempfile.mkdtemp(prefix="linnet-nginx-")
        (self.port,) = free_ports(1)
        path = os.path.join(self.dir, "nginx.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write(self._configuration())
        command = ["taskset", "-c", self.taskset] if self.taskset is not None else []
        command += [binary, "-p", self.dir, "-c", path, "-e", os.path.join(self.dir, "error.log")]
        try:
            with open(os.path.join(self.dir, "console"), "ab") as out:
                self.process = subprocess.Popen(command, cwd=self.dir, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
            self._wait_for_worker()
        except BaseException:
            self.stop()
            raise
        return self

    @staticmethod
    def _module_path(module):
        return os.path.join(MODULES, module + ".so")

    def _configuration(self):
        # A worker that root starts would be another user's, who may not enter the folder.
        user = "user root;" if os.geteuid() == 0 else ""
        modules = "\n".join(f"load_module {self._module_path(m)};" for m in self.modules)
        return CONF.format(user=user, modules=modules, folder=self.dir, http=self.http, port=self.port,
                           locations=self.locations)

    def _wait_for_worker(self):
        deadline = time.monotonic() + self.start_seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise StartError(f"nginx ended with {self.process.returncode}\n{self._said()}")
            # The master opens the listener before it has a worker.
            with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as f:
                workers = f.read().split()
            if workers:
                self.pid = int(workers[0])
                return
            time.sleep(0.05)
        raise StartError(f"nginx not up in {self.start_seconds} s\n{self._said()}")

    def _said(self):
        text = ""
        for name in ("console", "error.log"):
            path = os.path.join(self.dir, name)
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as f:
                    text += f.read()
        return text

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
        self.pid = None
