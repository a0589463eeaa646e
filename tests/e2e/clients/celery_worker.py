"""A Celery worker process for the scripts beside this one, and a folder that goes when they end."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from checks import URL, equal, eventually

HERE = os.path.dirname(os.path.abspath(__file__))
SCRATCH = tempfile.mkdtemp(prefix="linnet-celery-")
os.environ["AMQP_URL"] = URL  # read by celery_tasks, here and in the worker


def path_of(name):
    return os.path.join(SCRATCH, name)


def clean_up():
    shutil.rmtree(SCRATCH, ignore_errors=True)


@contextlib.contextmanager
def worker(app, *options, queues="celery,ranked,events"):
    """A worker process, handed out once it has answered a ping, ended warmly."""
    log_path = path_of(f"worker-{time.monotonic_ns()}.log")
    name = f"w{time.monotonic_ns()}@localhost"
    command = [sys.executable, "-m", "celery", "-A", "celery_tasks", "worker", "-n", name, "-Q", queues,
               "--loglevel", "WARNING", *options]
    with open(log_path, "wb") as log:
        process = subprocess.Popen(command, cwd=HERE, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    process.worker_name = name
    try:
        eventually(lambda: app.control.ping(destination=[name], timeout=0.5) or process.poll() is not None,
                   "a ping answered by the worker", 60)
        assert process.poll() is None, "the worker ended at once"
        yield process
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            equal(process.wait(30), 0, "the worker's status after SIGTERM")
    except BaseException:
        with open(log_path, encoding="utf-8", errors="replace") as log:
            sys.stderr.write("".join(log.readlines()[-60:]))
        raise
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
