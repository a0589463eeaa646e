#!/usr/bin/python3
"""Streams with pika: places to begin, many readers, filters, retention, large messages."""

import datetime
import functools

import pika
from pika.exceptions import ConnectionClosedByBroker

from checks import URL, check, equal, eventually, fresh, run

STREAM = {"x-queue-type": "stream"}


def with_channel(function):
    """Hands the check a fresh channel of a fresh connection, and a name for a stream that is deleted afterwards."""

    @functools.wraps(function)
    def wrapped():
        connection = pika.BlockingConnection(pika.URLParameters(URL))
        name = fresh("stream")
        function(connection.channel(), name)
        connection.channel().queue_delete(name)
        connection.close()

    return wrapped


def declare(channel, name, **arguments):
    channel.queue_declare(name, durable=True, arguments=STREAM | arguments)
    channel.confirm_delivery()


def put(channel, name, bodies, headers=None):
    for body in bodies:
        channel.basic_publish("", name, body, pika.BasicProperties(headers=headers, delivery_mode=2))


def read(channel, name, count, prefetch=100, ack=True, **arguments):
    """That many messages from a consumer of its own, as (offset, body); fewer when no more come for a second."""
    found = []
    channel.basic_qos(prefetch_count=prefetch)
    arguments = {key.replace("_", "-"): value for key, value in arguments.items()}
    for method, properties, body in channel.consume(name, inactivity_timeout=1, arguments=arguments):
        if method is None:
            break
        found.append((properties.headers["x-stream-offset"], body))
        if ack:
            channel.basic_ack(method.delivery_tag)
        if len(found) == count:
            break
    channel.cancel()
    return found


def numbered(first, end):
    return [(i, b"%d" % i) for i in range(first, end)]


@check("a stream is read again and again, from anywhere")
@with_channel
def replay(channel, name):
    declare(channel, name)
    put(channel, name, [b"%d" % i for i in range(100)])
    equal(read(channel, name, 100, x_stream_offset="first"), numbered(0, 100))
    equal(read(channel, name, 100, x_stream_offset="first"), numbered(0, 100))
    equal(read(channel, name, 40, x_stream_offset=60), numbered(60, 100))
    equal(read(channel, name, 1, x_stream_offset="last"), numbered(99, 100))
    equal(read(channel, name, 100, x_stream_offset="1h"), numbered(0, 100))
    equal(read(channel, name, 100, x_stream_offset=datetime.datetime(2020, 1, 1)), numbered(0, 100))
    equal(read(channel, name, 1), [], "next")


@check("a consumer at the end gets what comes")
@with_channel
def live(channel, name):
    declare(channel, name)
    put(channel, name, [b"old"])
    other = pika.BlockingConnection(pika.URLParameters(URL))
    reader = other.channel()
    reader.basic_qos(prefetch_count=10)
    got = []
    reader.basic_consume(name, lambda c, m, p, body: got.append((p.headers["x-stream-offset"], body)))
    put(channel, name, [b"new", b"newer"])
    for _ in range(100):
        other.process_data_events(0.1)
        if len(got) == 2:
            break
    equal(got, [(1, b"new"), (2, b"newer")])
    other.close()


@check("credit bounds what is unacknowledged")
@with_channel
def credit(channel, name):
    declare(channel, name)
    put(channel, name, [b"%d" % i for i in range(20)])
    equal(read(channel, name, 20, prefetch=5, ack=False, x_stream_offset="first"), numbered(0, 5))
    equal(read(channel, name, 20, prefetch=5, x_stream_offset="first"), numbered(0, 20))


@check("filters choose by value and by header")
@with_channel
def filters(channel, name):
    declare(channel, name)
    put(channel, name, [b"a"], {"x-stream-filter-value": "apple", "region": "north", "n": 1})
    put(channel, name, [b"b"], {"x-stream-filter-value": "banana", "region": "south", "n": 2})
    put(channel, name, [b"c"], {"region": "north"})
    first = {"x_stream_offset": "first"}
    equal(read(channel, name, 1, **first, x_stream_filter="apple"), [(0, b"a")])
    equal(read(channel, name, 2, **first, x_stream_filter=["apple", "banana"]), [(0, b"a"), (1, b"b")])
    equal(read(channel, name, 2, **first, x_stream_filter="banana", x_stream_match_unfiltered=True),
          [(1, b"b"), (2, b"c")])
    equal(read(channel, name, 2, **first, x_stream_filter_headers={"region": "north"}), [(0, b"a"), (2, b"c")])
    equal(read(channel, name, 2, **first,
               x_stream_filter_headers={"x-match": "any", "region": "south", "n": 1}), [(0, b"a"), (1, b"b")])


@check("what is beyond the size goes, by whole segments")
@with_channel
def retention(channel, name):
    declare(channel, name, **{"x-max-length-bytes": 2_000_000, "x-stream-max-segment-size-bytes": 1_000_000})
    put(channel, name, [b"%05d" % i + bytes(10_000) for i in range(600)])
    found = read(channel, name, 600, x_stream_offset="first")
    first = found[0][0]
    equal([offset for offset, _ in found], list(range(first, 600)))
    equal(all(body[:5] == b"%05d" % offset for offset, body in found), True)
    equal(200 < first < 500, True, f"about 2 MB are kept, from {first} on")


@check("large messages come back whole")
@with_channel
def large(channel, name):
    declare(channel, name)
    big = [bytes([i]) * (3_000_000 + i) for i in range(4)]
    put(channel, name, big)
    equal([body for _, body in read(channel, name, 4, prefetch=1, x_stream_offset="first")], big)


@check("a nack is refused")
@with_channel
def nack(channel, name):
    declare(channel, name)
    put(channel, name, [b"m"])
    other = pika.BlockingConnection(pika.URLParameters(URL))
    reader = other.channel()
    reader.basic_qos(prefetch_count=1)
    for method, _, _ in reader.consume(name, arguments={"x-stream-offset": "first"}):
        reader.basic_nack(method.delivery_tag)
        break
    try:
        # It returns with whatever comes first, which need not be the close.
        eventually(lambda: other.is_closed, "the broker closes", step=lambda: other.process_data_events(0.1))
        code = None
    except ConnectionClosedByBroker as closed:
        code = closed.reply_code
    equal(code, 540)


if __name__ == "__main__":
    run(120)
