#!/usr/bin/python3
"""Celery as its users run it: a worker process, and a client that sends tasks and waits for results.

The worker is a real `celery worker`; results come back over AMQP (`rpc://`). Chords, which need a
store that can be asked, are in celery_chord.py.
"""

import contextlib
import os
import threading
import time

from checks import check, equal, eventually, run
from celery_worker import clean_up, path_of, worker

import celery_tasks as tasks  # after celery_worker: it reads AMQP_URL
from celery import group
from celery.exceptions import TaskRevokedError

TASKS = int(os.environ.get("CELERY_TASKS", "10000"))
app = tasks.app


def executions(path):
    with contextlib.suppress(FileNotFoundError):
        return os.path.getsize(path)
    return 0


def lines(path):
    with contextlib.suppress(FileNotFoundError), open(path, encoding="ascii") as file:
        return file.read().splitlines()
    return []


@check(f"{TASKS} single tasks, each confirmed by the broker, through a worker with four threads")
def many_tasks():
    counter = path_of(f"tally-{time.monotonic_ns()}")
    with worker(app, "--pool", "threads", "--concurrency", "4", "--prefetch-multiplier", "64",
                "--without-gossip", "--without-mingle"):
        begun = time.monotonic()
        with app.producer_pool.acquire(block=True) as producer:
            for _ in range(TASKS):
                tasks.tally.apply_async((counter,), producer=producer)
        sent = time.monotonic()
        eventually(lambda: executions(counter) >= TASKS, f"{TASKS} tasks executed", 120, lambda: time.sleep(0.05))
        ended = time.monotonic()
    equal(executions(counter), TASKS, "executions")
    print(f"      {TASKS} tasks: sent in {sent - begun:.1f} s, done after {ended - begun:.1f} s", flush=True)


@check("results, errors, groups, countdowns, ETAs, expiry, retries, routing, control, events")
def features():
    with worker(app, "--pool", "threads", "--concurrency", "4", "--events") as process:
        for part in (results, delays, retries, routing, control, events):
            started = time.monotonic()
            part(process)
            print(f"      {part.__name__} ({time.monotonic() - started:.2f} s)", flush=True)


def results(_worker):
    equal(tasks.add.delay(2, 3).get(timeout=10), 5, "a result over the reply queue")
    equal(group(tasks.add.s(n, n) for n in range(50))().get(timeout=20), [2 * n for n in range(50)], "a group's results")
    equal((tasks.add.s(1, 2) | tasks.add.s(10))().get(timeout=10), 13, "a chain's result")
    try:
        tasks.fail.delay("on purpose").get(timeout=10)
    except ValueError as error:
        equal(str(error), "on purpose", "the task's exception")
    else:
        raise AssertionError("a failing task returned a result")


def delays(_worker):
    asked = time.time()
    late = tasks.ran_at.apply_async(countdown=1.5)
    soon = tasks.ran_at.delay()
    assert soon.get(timeout=10) - asked < 1.0, "a task without a countdown waited for one that has it"
    waited = late.get(timeout=10) - asked
    assert 1.4 < waited < 4, f"a countdown of 1.5 s took {waited:.1f} s"
    expired = tasks.ran_at.apply_async(countdown=0.5, expires=0.1)
    try:
        raise AssertionError(f"an expired task ran: {expired.get(timeout=10)}")
    except TaskRevokedError as error:
        equal(str(error), "expired", "the reason")


def retries(_worker):
    equal(tasks.flaky.delay(3).get(timeout=20), 3, "retries")
    try:
        tasks.flaky.delay(6).get(timeout=20)
    except Exception as error:  # celery raises the reconstructed MaxRetriesExceededError
        assert "flaky" in str(error) and "retr" in str(error).lower(), repr(error)
    else:
        raise AssertionError("more failures than retries, and yet a result")


def routing(_worker):
    equal(tasks.by_topic.delay().get(timeout=10), "routed", "over a topic exchange")


def control(process):
    inspect = app.control.inspect(timeout=5, destination=[process.worker_name])
    equal(inspect.ping(), {process.worker_name: {"ok": "pong"}}, "ping")
    assert "celery_tasks.add" in inspect.registered()[process.worker_name], "registered tasks"
    names = sorted(queue["name"] for queue in inspect.active_queues()[process.worker_name])
    equal(names, ["celery", "events", "ranked"], "active queues")
    waiting = tasks.ran_at.apply_async(countdown=60)
    eventually(lambda: any(inspect.scheduled()[process.worker_name]), "a scheduled task", 10)
    app.control.revoke(waiting.id, reply=True, timeout=5, destination=[process.worker_name])
    assert waiting.id in inspect.revoked()[process.worker_name], "the revoked task is not listed"
    app.control.cancel_consumer("events", destination=[process.worker_name], reply=True, timeout=5)
    app.control.add_consumer("added", destination=[process.worker_name], reply=True, timeout=5)
    equal(tasks.add.apply_async((1, 1), queue="added").get(timeout=10), 2, "over a queue consumed on request")
    app.control.rate_limit("celery_tasks.add", "1000/s", destination=[process.worker_name], reply=True, timeout=5)


def events(_worker):
    seen, ready = [], threading.Event()
    wanted = {"task-received", "task-started", "task-succeeded", "worker-heartbeat"}

    def listen():
        with app.connection_for_read() as connection:
            receiver = app.events.Receiver(connection, handlers={"*": lambda event: seen.append(event["type"])})
            consumed = receiver.itercapture(limit=None, timeout=20, wakeup=True)
            next(consumed, None)  # yields once the consumer is set up
            ready.set()
            for _ in consumed:
                if wanted <= set(seen):
                    return

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    assert ready.wait(10), "the event receiver did not start"
    # A worker sends its task events in batches, so one task alone may wait for company.
    eventually(lambda: wanted <= set(seen), f"all of {sorted(wanted)}", 30,
               lambda: tasks.add.delay(1, 1).get(timeout=10))
    listener.join(20)


def end_at_once(process):
    """Not warmly: with one thread, as the solo pool has it, Celery's handler of SIGTERM raises out of whatever is being done.
    In the middle of py-amqp's reading of a frame that loses the frame's header, and the worker waits for ever for the rest
    of another one. That workers end warmly is shown by those with threads."""
    process.kill()
    process.wait()


@check("priorities: tasks that waited are executed highest first")
def priorities():
    path = path_of("ranked")
    for priority in (1, 9, 5, 0, 7):
        tasks.ranked.apply_async((str(priority), path), priority=priority)
    with worker(app, "--pool", "solo", "--prefetch-multiplier", "1", queues="ranked") as alone:
        eventually(lambda: len(lines(path)) == 5, "five ranked tasks", 20)
        end_at_once(alone)
    order = lines(path)
    # A worker takes one task while it acknowledges another, so the very first may be followed out of rank.
    equal(order, ["9", "7", "5", "1", "0"], "order of execution")


@check("acks_late: a task whose worker is killed goes to the next worker, marked as redelivered")
def lost_worker():
    path = path_of("late")
    with worker(app, "--pool", "solo") as first:
        tasks.late.delay(path, 60)
        eventually(lambda: lines(path) == ["began False"], "the task began", 20)
        end_at_once(first)
    with worker(app, "--pool", "solo") as second:
        eventually(lambda: len(lines(path)) == 3, "the task on another worker", 30)
        end_at_once(second)
    equal(lines(path), ["began False", "began True", "ended"], "its history")


if __name__ == "__main__":
    run(240)
    clean_up()
