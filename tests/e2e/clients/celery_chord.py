#!/usr/bin/python3
"""Celery's default pool (prefork) and its chord, whose parts meet in a result store all can read.

The store is a folder: it has no counter, so Celery joins the chord with a task that looks, and retries
itself with a countdown until every part is there. That way the chord lives on the broker alone.
"""

import os

from celery_worker import clean_up, path_of, worker

os.makedirs(path_of("results"))
os.environ["CELERY_RESULTS"] = f"file://{path_of('results')}"

import celery_tasks as tasks  # noqa: E402  (reads AMQP_URL and CELERY_RESULTS)
from celery import chord  # noqa: E402
from checks import check, equal, run  # noqa: E402


@check("a prefork worker: results, a chord, and a chord whose part fails")
def chords():
    with worker(tasks.app, "--pool", "prefork", "--concurrency", "2"):
        equal(tasks.add.delay(4, 5).get(timeout=20), 9, "a result")
        result = chord([tasks.add.s(n, n) for n in range(20)], tasks.total.s())()
        equal(result.get(timeout=60), sum(2 * n for n in range(20)), "the chord's result")
        try:
            chord([tasks.add.s(1, 1), tasks.fail.s("one part")], tasks.total.s())().get(timeout=60)
        except Exception as error:  # celery rebuilds the exception's class from its name
            assert "one part" in str(error), repr(error)
        else:
            raise AssertionError("a chord with a failed part had a result")


if __name__ == "__main__":
    run(120)
    clean_up()
