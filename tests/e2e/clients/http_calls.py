#!/usr/bin/python3
"""The hybrid call: POST, a plain pika worker, and the answer at once, later, as events, and after a restart."""

import base64
import contextlib
import http.client
import json
import os
import sys
import threading

import pika

from checks import check, equal, eventually, fresh, run

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import linnetd  # noqa: E402

LOGIN = {"Authorization": "Basic " + base64.b64encode(b"guest:guest").decode()}


def ask(broker, method, path, body=None, **headers):
    connection = http.client.HTTPConnection(*broker.address_of("http"), timeout=20)
    connection.request(method, path, body, LOGIN | {n.replace("_", "-"): v for n, v in headers.items()})
    response = connection.getresponse()
    return response.status, response.headers, response.read()


def call(broker, queue, body=b"order", **headers):
    return ask(broker, "POST", f"/v1/%2F/rpc/amq.default/{queue}", body, Content_Type="text/plain", **headers)


def events(broker, path, **headers):
    connection = http.client.HTTPConnection(*broker.address_of("http"), timeout=20)
    connection.request("GET", path, headers=LOGIN | {"Accept": "text/event-stream"} |
                       {n.replace("_", "-"): v for n, v in headers.items()})
    response = connection.getresponse()
    if response.status != 200:
        return response.status, []
    got, fields = [], {}
    for line in response:
        name, _, value = line.decode().rstrip("\n").partition(":")
        if name:
            fields[name] = value.strip()
        else:
            if "data" in fields:
                got.append((fields.get("id"), fields.get("event"), fields["data"]))
            fields = {}
    return 200, got


class Worker:
    """Any AMQP consumer that answers reply_to. `let` lets it go on with one request; `progress` is told before."""

    def __init__(self, broker, progress=0):
        self.broker, self.progress = broker, progress
        self.queue, self.let, self.seen = fresh("orders"), threading.Semaphore(0), []
        self.declare()

    def connect(self):
        return pika.BlockingConnection(pika.ConnectionParameters(*self.broker.address_of("amqp")))

    def declare(self):
        with contextlib.closing(self.connect()) as connection:
            connection.channel().queue_declare(self.queue, durable=True)

    def __enter__(self):
        self.connection = self.connect()
        self.channel = self.connection.channel()
        self.channel.basic_qos(prefetch_count=1)
        self.channel.basic_consume(self.queue, self.work)
        self.thread = threading.Thread(target=self.channel.start_consuming)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.connection.add_callback_threadsafe(self.channel.stop_consuming)
        self.thread.join()
        self.connection.close()

    def answer(self, channel, properties, body, **headers):
        channel.basic_publish("", properties.reply_to, body, pika.BasicProperties(
            correlation_id=properties.correlation_id, content_type="text/plain", headers=headers or None,
            delivery_mode=2))

    def work(self, channel, method, properties, body):
        self.seen.append(properties)
        for i in range(self.progress):
            self.answer(channel, properties, f"step {i + 1}".encode(), **{"x-progress": i + 1})
        self.let.acquire()
        self.answer(channel, properties, body.upper())
        channel.basic_ack(method.delivery_tag)


@contextlib.contextmanager
def broker():
    with linnetd.Linnetd(os.environ["LINNETD"], listen=("amqp=127.0.0.1:0", "http=127.0.0.1:0")) as started:
        yield started


@check("an answer in time is the answer to the POST")
def in_time():
    with broker() as b, Worker(b) as worker:
        worker.let.release()
        status, headers, body = call(b, worker.queue, Prefer="wait=15")
        equal((status, headers["Content-Type"], body), (200, "text/plain", b"ORDER"), "answer")
        equal(worker.seen[0].reply_to.startswith("amq.reply."), True, "what the worker is shown")


@check("one that takes longer is told of at a place of its own, with its progress")
def later():
    with broker() as b, Worker(b, progress=2) as worker:
        status, headers, _ = call(b, worker.queue, Prefer="wait=1")
        place = headers["Location"]
        equal((status, place.startswith("/v1/%2F/replies/")), (202, True), "not in time")
        equal(ask(b, "GET", place)[0], 202, "not yet")
        got = []
        reader = threading.Thread(target=lambda: got.append(events(b, place)))
        reader.start()
        worker.let.release()
        reader.join()
        equal(got, [(200, [("1", "progress", "step 1"), ("2", "progress", "step 2"), ("end", "result", "ORDER")])],
              "events")
        equal(events(b, place, Last_Event_ID="1")[1], [("2", "progress", "step 2"), ("end", "result", "ORDER")],
              "for one who comes back")
        equal(events(b, place, Last_Event_ID="end")[0], 204, "nothing more")
        equal(ask(b, "GET", place)[::2], (200, b"ORDER"), "as often as it is asked for")
        equal(ask(b, "DELETE", place)[0], 204, "not wanted any more")
        equal(ask(b, "GET", place)[0], 410, "gone")


@check("nobody there to answer is told at once")
def nobody():
    with broker() as b:
        worker = Worker(b)
        equal(call(b, worker.queue, Prefer="wait=15")[0], 503, "a queue without a consumer")
        equal(call(b, "no.such.queue", Prefer="wait=15")[0], 503, "no queue")
        equal(ask(b, "GET", "/v1/%2F/replies/" + "0" * 32)[0], 410, "a token that nobody knows")


@check("a second answer, and one to a token that is over, change nothing")
def twice():
    with broker() as b, Worker(b) as worker:
        place = call(b, worker.queue)[1]["Location"]
        eventually(lambda: worker.seen, "the worker has it")
        worker.let.release()
        eventually(lambda: ask(b, "GET", place)[0] == 200, "answered")
        with contextlib.closing(worker.connect()) as connection:
            worker.answer(connection.channel(), worker.seen[0], b"another")
        equal(ask(b, "GET", place)[2], b"ORDER", "the first one counts")


@check("the broker is killed between POST and answer: the answer arrives all the same, once")
def killed():
    with broker() as b:
        worker = Worker(b)
        lost = worker.connect()  # one that takes the request and never answers it
        lost.channel().basic_consume(worker.queue, lambda *_: None)
        place = call(b, worker.queue)[1]["Location"]
        b.kill()
        b.start_again()
        equal(ask(b, "GET", place)[0], 202, "it is known, and waits")
        with worker:
            worker.let.release()
            eventually(lambda: ask(b, "GET", place)[0] == 200, "answered")
            equal(ask(b, "GET", place)[2], b"ORDER", "answer")
            equal(len(worker.seen), 1, "requests")


run(120)
