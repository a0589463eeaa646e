#!/usr/bin/python3
"""What Linnet adds to RabbitMQ's queues and exchanges, through pika: delays, retries, deduplication, groups.

Nothing here asserts a time but that something is not early.
"""

import functools
import time

import pika
from pika.exceptions import ChannelClosedByBroker

from checks import URL, check, equal, eventually, fresh, run


def with_channel(function):
    @functools.wraps(function)
    def wrapped():
        connection = pika.BlockingConnection(pika.URLParameters(URL))
        function(connection.channel())
        connection.close()

    return wrapped


def queue_of(channel, **arguments):
    named = {"x-" + key.replace("_", "-"): value for key, value in arguments.items()}
    return channel.queue_declare(fresh("feature"), durable=True, arguments=named).method.queue


def persistent(**more):
    return pika.BasicProperties(delivery_mode=2, **more)


def gathered(channel, queue, count, then, **consume):
    """Consumes until `count` deliveries have come; `then(method, number)` settles each. Their (body, time)."""
    got = []

    def on_message(_, method, properties, body):
        got.append((body, time.monotonic(), properties))
        then(method, len(got))

    tag = channel.basic_consume(queue, on_message, **consume)
    eventually(
        lambda: len(got) >= count, f"{count} deliveries", 20, lambda: channel.connection.process_data_events(0.05)
    )
    channel.basic_cancel(tag)
    return got


@check("messages of a delayed-message exchange come in the order of their delays, none early")
@with_channel
def delayed(channel):
    channel.confirm_delivery()
    queue = queue_of(channel)
    exchange = fresh("later")
    channel.exchange_declare(exchange, "x-delayed-message", durable=True, arguments={"x-delayed-type": "direct"})
    channel.queue_bind(queue, exchange, "k")
    begun = time.monotonic()
    for delay in (600, 200, 400, 0):
        channel.basic_publish(exchange, "k", str(delay).encode(), persistent(headers={"x-delay": delay}))
    got = gathered(channel, queue, 4, lambda m, _: channel.basic_ack(m.delivery_tag))
    equal([body for body, _, _ in got], [b"0", b"200", b"400", b"600"], "order")
    for body, at, _ in got:
        assert at - begun >= int(body) / 1000, f"{body} after {at - begun} s"
    channel.exchange_delete(exchange)
    channel.queue_delete(queue)


@check("a message that fails is tried again after growing pauses, then dead-lettered")
@with_channel
def retried(channel):
    grave = queue_of(channel)
    queue = queue_of(
        channel, retry_base=100, retry_limit=3, dead_letter_exchange="", dead_letter_routing_key=grave
    )
    channel.basic_publish("", queue, b"bad", persistent())
    got = gathered(channel, queue, 3, lambda m, _: channel.basic_nack(m.delivery_tag, requeue=True))
    times = [at for _, at, _ in got]
    assert times[1] - times[0] >= 0.1 and times[2] - times[1] >= 0.2, times
    eventually(lambda: channel.queue_declare(grave, passive=True).method.message_count == 1, "the dead letter")
    _, properties, body = channel.basic_get(grave, auto_ack=True)
    equal(body, b"bad")
    equal(properties.headers["x-death"][0]["reason"], "delivery_limit", "reason")
    channel.queue_delete(queue)
    channel.queue_delete(grave)


@check("what is published twice with one message id is taken once, and confirmed twice")
@with_channel
def deduplicated(channel):
    channel.confirm_delivery()
    queue = queue_of(channel, deduplication_window=60_000)
    for number in (1, 1, 2, 1):
        channel.basic_publish("", queue, str(number).encode(), persistent(message_id=f"id-{number}"))
    equal(channel.queue_declare(queue, passive=True).method.message_count, 2, "messages")
    channel.queue_delete(queue)


@check("of a grouped queue a key has one consumer, and its order")
@with_channel
def grouped(channel):
    queue = queue_of(channel, group_by="customer")
    other = channel.connection.channel()
    heard = {}
    seen = {}

    def listener(name, on):
        def on_message(_, method, properties, body):
            key = properties.headers["customer"]
            heard.setdefault(key, []).append(int(body))
            seen.setdefault(key, set()).add(name)
            on.basic_ack(method.delivery_tag)

        return on_message

    for number in range(200):
        channel.basic_publish("", queue, str(number).encode(), persistent(headers={"customer": number % 7}))
    for name, on in (("one", channel), ("two", other)):
        on.basic_qos(prefetch_count=300)
    channel.basic_consume(queue, listener("one", channel))
    other.basic_consume(queue, listener("two", other))
    eventually(
        lambda: sum(map(len, heard.values())) == 200, "all", 20, lambda: channel.connection.process_data_events(0.05)
    )
    for key, numbers in heard.items():
        equal(numbers, sorted(numbers), f"order of {key}")
    channel.queue_delete(queue)


@check("arguments out of range are refused")
def refused():
    for arguments in (
        {"x-retry-factor": 0},
        {"x-retry-limit": 0},
        {"x-retry-base": -1},
        {"x-deduplication-window": 2**31},
        {"x-group-by": ""},
        {"x-group-by": "k", "x-max-priority": 3},
    ):
        connection = pika.BlockingConnection(pika.URLParameters(URL))
        try:
            connection.channel().queue_declare(fresh("bad"), arguments=arguments)
        except ChannelClosedByBroker as closed:
            equal(closed.reply_code, 406, f"reply code for {arguments}")
        else:
            raise AssertionError(f"{arguments} were taken")
        connection.close()


if __name__ == "__main__":
    run(120)
