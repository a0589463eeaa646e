"""The Celery application that celery_client.py drives and that its worker process serves."""

import os
import time

from celery import Celery
from kombu import Exchange, Queue

app = Celery(
    "linnet_e2e",
    broker=os.environ["AMQP_URL"],
    # Results over AMQP by default; a chord needs a backend that can be asked, and brings its own URL.
    backend=os.environ.get("CELERY_RESULTS", "rpc://"),
)
app.conf.update(
    broker_connection_retry=False,
    broker_transport_options={"confirm_publish": True},
    result_expires=300,
    task_default_queue="celery",
    task_queues=[
        Queue("celery", Exchange("celery", type="direct"), routing_key="celery"),
        Queue("ranked", Exchange("ranked", type="direct"), routing_key="ranked",
              queue_arguments={"x-max-priority": 10}),
        Queue("events", Exchange("topics", type="topic"), routing_key="order.#"),
    ],
    task_routes={
        "celery_tasks.ranked": {"queue": "ranked"},
        "celery_tasks.by_topic": {"exchange": "topics", "routing_key": "order.created.eu"},
    },
    worker_send_task_events=True,
    worker_hijack_root_logger=False,
)


@app.task(ignore_result=True)
def tally(path):
    """Leaves one byte in a file: appending is atomic, so the size counts the executions."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, b".")
    os.close(descriptor)


@app.task
def add(left, right):
    return left + right


@app.task
def total(numbers):
    return sum(numbers)


@app.task
def fail(text):
    raise ValueError(text)


@app.task(bind=True, max_retries=5)
def flaky(self, failures):
    """Fails `failures` times; each retry is a new message with an ETA. Returns the retries it took."""
    if self.request.retries < failures:
        raise self.retry(countdown=0.05)
    return self.request.retries


@app.task
def ran_at():
    return time.time()


@app.task(bind=True)
def ranked(self, name, path):
    with open(path, "a", encoding="ascii") as file:
        file.write(name + "\n")


@app.task
def by_topic():
    return "routed"


@app.task(bind=True, acks_late=True, reject_on_worker_lost=True)
def late(self, path, seconds):
    """Tells that it began, works, tells that it ended. Its message is acknowledged only then."""
    redelivered = bool(self.request.delivery_info.get("redelivered"))
    with open(path, "a", encoding="ascii") as file:
        file.write(f"began {redelivered}\n")
    # The first attempt is cut short by the death of its worker; the second need not wait.
    time.sleep(0 if redelivered else seconds)
    with open(path, "a", encoding="ascii") as file:
        file.write("ended\n")
