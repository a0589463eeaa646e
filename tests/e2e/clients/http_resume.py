#!/usr/bin/python3
"""An event stream that is cut again and again: with Last-Event-ID nothing is missed, and nothing comes twice.

    http_resume.py [DISCONNECTS] [SEED]     60 disconnects, and a seed that is printed

pika publishes to a stream, then to a topic (fewer times, and never more than what stays of it), while the reader's connection is closed after some random number of bytes, in the middle of an
event or between two, politely or by a reset. As an EventSource does, the reader goes on from the last event that it has
seen whole.
"""

import base64
import http.client
import os
import random
import socket
import struct
import sys
import threading
import time

import pika

from checks import URL, check, equal, fresh, run

DISCONNECTS = int(sys.argv[1]) if len(sys.argv) > 1 else 60
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 32)
LOGIN = "Basic " + base64.b64encode(b"guest:guest").decode()
RESET = struct.pack("ii", 1, 0)
BYTES_MAX = 12_000
STREAM_AHEAD_MAX = 2_000
TOPIC_AHEAD_MAX = 500


class Reader:
    """What an EventSource keeps when its connection ends, and what it has been told so far."""

    def __init__(self, path, luck):
        self.path, self.luck = path, luck
        self.last = None
        self.seen = []
        self.disconnects = 0

    def connect_and_lose(self):
        connection = http.client.HTTPConnection(os.environ["HTTP_HOST"], int(os.environ["HTTP_PORT"]), timeout=20)
        fields = {"Authorization": LOGIN, "Accept": "text/event-stream"}
        if self.last is not None:
            fields["Last-Event-ID"] = self.last
        connection.request("GET", self.path, headers=fields)
        # Linger belongs to the socket, which the connection forgets once the response has taken it over.
        if self.luck.random() < 0.5:
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        response = connection.getresponse()
        equal(response.status, 200, "status")
        text, left = b"", self.luck.randrange(BYTES_MAX)
        while left > 0:
            part = response.read1(left)
            assert part, "the broker ended the stream"
            text += part
            left -= len(part)
        response.close()
        connection.close()
        self.disconnects += 1
        # The last piece is an event that was cut, or nothing.
        for event in text.split(b"\n\n")[:-1]:
            self.take(event.decode())

    def take(self, event):
        said = dict(line.split(": ", 1) for line in event.splitlines() if line and not line.startswith(":"))
        if "data" not in said:
            return
        equal(said.get("event"), "text/plain", "kind of event")
        self.last = said["id"]
        self.seen.append(int(said["data"].split()[0]))


def publish(exchange, key, reader, ahead_max, done):
    connection = pika.BlockingConnection(pika.URLParameters(URL))
    channel = connection.channel()
    number = 0
    while not done.is_set():
        # Always something to come, and never so much that the reader is busy with the past alone.
        if number - len(reader.seen) > ahead_max:
            time.sleep(0.001)
            continue
        channel.basic_publish(exchange, key, f"{number} {'x' * (number % 97)}", pika.BasicProperties(
            content_type="text/plain", delivery_mode=2))
        number += 1
    connection.close()


def resume(path, exchange, key, ahead_max, disconnects, first=None):
    reader = Reader(path, random.Random(SEED))
    if first is not None:
        first(reader)
    done = threading.Event()
    publisher = threading.Thread(target=publish, args=(exchange, key, reader, ahead_max, done))
    publisher.start()
    try:
        while reader.disconnects < disconnects:
            reader.connect_and_lose()
            equal(reader.seen, list(range(len(reader.seen))), "events in order")
    finally:
        done.set()
        publisher.join()
    print(f"      {len(reader.seen)} events in {reader.disconnects} connections", flush=True)
    assert len(reader.seen) >= disconnects


@check(f"a stream, {DISCONNECTS} disconnects, seed {SEED}: nothing is missed, nothing comes twice")
def resume_stream():
    queue = fresh("resume")
    connection = pika.BlockingConnection(pika.URLParameters(URL))
    connection.channel().queue_declare(queue, durable=True, arguments={"x-queue-type": "stream"})
    connection.close()
    resume(f"/v1/%2F/q/{queue}/events?from=first", "", queue, STREAM_AHEAD_MAX, DISCONNECTS)


@check(f"a topic, {DISCONNECTS // 3} disconnects, seed {SEED}: likewise")
def resume_topic():
    topic = fresh("resume").replace(".", "-")  # a level may hold a dot, but a key would say it otherwise
    # A live topic begins where its first reader comes, who is told at once where that is.
    first = http.client.HTTPConnection(os.environ["HTTP_HOST"], int(os.environ["HTTP_PORT"]), timeout=20)
    first.request("GET", f"/v1/%2F/events?topic={topic}", headers={"Authorization": LOGIN})
    history = first.getresponse()

    def begin(reader):
        text = b""
        while b"id: " not in text or not text.endswith(b"\n\n"):
            text += history.read1(1000)
        reader.last = next(line[4:] for line in text.decode().splitlines() if line.startswith("id: "))
        history.close()
        first.close()

    resume(f"/v1/%2F/events?topic={topic}", "amq.topic", topic, TOPIC_AHEAD_MAX, DISCONNECTS // 3, begin)


run(90 + DISCONNECTS)
