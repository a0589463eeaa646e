#!/usr/bin/python3
"""py-amqp, the client under kombu and Celery, used directly."""

import datetime
import decimal
import socket
import ssl
import time
from urllib.parse import unquote, urlparse

import amqp
from amqp import exceptions as errors

from checks import CA_FILE, TLS_URL, URL, Skip, check, equal, fresh, run


def connect(url=URL, **changes):
    parts = urlparse(url)
    options = {
        "host": f"{parts.hostname}:{parts.port or 5672}",
        "userid": unquote(parts.username),
        "password": unquote(parts.password),
        "virtual_host": unquote(parts.path[1:]) or "/",
        "connect_timeout": 10,
    } | changes
    connection = amqp.Connection(**options)
    connection.connect()
    return connection


def with_channel(function):
    def wrapped():
        with connect() as connection:
            function(connection.channel())

    return wrapped


def drain(channel, condition, what, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        try:
            channel.connection.drain_events(timeout=0.1)
        except socket.timeout:
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds} s: {what}") from None


def own_queue(channel, **options):
    return channel.queue_declare(exclusive=True, auto_delete=False, **options).queue


def refused(error, action, text):
    with connect() as connection:
        channel = connection.channel()
        try:
            action(channel)
        except error as raised:
            assert text in raised.reply_text, f"{text!r} not in {raised.reply_text!r}"
        else:
            raise AssertionError(f"{error.__name__} expected")
        connection.channel().close()


@check("PLAIN and AMQPLAIN let in; a wrong password does not")
def mechanisms():
    for mechanism in ("PLAIN", "AMQPLAIN"):
        connection = connect(login_method=mechanism)
        assert mechanism.encode() in connection.mechanisms, connection.mechanisms
        connection.close()
        try:
            connect(login_method=mechanism, password="wrong")
        except errors.AccessRefused as error:
            equal(error.reply_code, 403, f"{mechanism} reply code")
        else:
            raise AssertionError(f"{mechanism}: a wrong password was accepted")


@check("the broker's limits are taken, 100 channels get their numbers")
def tuning():
    connection = connect(heartbeat=30)
    equal((connection.frame_max, connection.channel_max, connection.heartbeat), (131072, 2047, 30), "tuned")
    channels = [connection.channel() for _ in range(100)]
    equal(sorted(channel.channel_id for channel in channels), list(range(1, 101)), "channel numbers")
    connection.close()


@check("publish with confirms, get and consume; header values of every kind come back")
@with_channel
def round_trip(channel):
    channel.confirm_select()
    queue = own_queue(channel)
    headers = {
        "text": "grün", "true": True, "false": False, "small": 7, "negative": -7, "large": 2**40, "float": 2.5,
        "decimal": decimal.Decimal("12.34"), "time": datetime.datetime(2030, 1, 2, 3, 4, 5), "nothing": None,
        "list": ["a", 1, ["b"], {"c": 2}], "table": {"nested": {"deep": [True]}},
    }
    message = amqp.Message(
        "héllo", content_type="text/plain", content_encoding="utf-8", application_headers=headers, delivery_mode=2,
        priority=4, correlation_id="c", reply_to="r", expiration="60000", message_id="m", type="t", user_id="guest",
        app_id="a", timestamp=1700000000)
    channel.basic_publish_confirm(message, routing_key=queue, timeout=10)
    received = channel.basic_get(queue, no_ack=True)
    equal(received.body, "héllo", "body")
    equal(received.headers, headers, "headers")
    equal({k: v for k, v in received.properties.items() if k != "application_headers"},
          {k: v for k, v in message.properties.items() if k != "application_headers"}, "properties")
    equal(channel.basic_get(queue), None, "an empty queue")

    bodies = []
    channel.basic_qos(0, 10, False)
    channel.basic_consume(queue, callback=lambda m: (bodies.append(m.body), channel.basic_ack(m.delivery_tag)))
    for number in range(500):
        channel.basic_publish(amqp.Message(str(number)), routing_key=queue)
    drain(channel, lambda: len(bodies) == 500, "500 deliveries")
    equal(bodies, [str(n) for n in range(500)], "order")


@check("unroutable mandatory messages come back, nacked publishes raise")
@with_channel
def returned(channel):
    back = []
    channel.events["basic_return"].add(lambda *fields: back.append(fields))
    channel.basic_publish(amqp.Message("back"), "amq.direct", fresh("nowhere"), mandatory=True)
    drain(channel, lambda: back, "a return")
    error, exchange, _key, message = back[0]
    equal((error.reply_code, exchange, message.body), (312, "amq.direct", "back"), "return")
    channel.confirm_select()
    full = own_queue(channel, arguments={"x-max-length": 0, "x-overflow": "reject-publish"})
    try:
        channel.basic_publish_confirm(amqp.Message("no room"), routing_key=full, timeout=10)
    except errors.MessageNacked:
        pass
    else:
        raise AssertionError("a publish into a full queue was confirmed")


@check("exchanges of all types, bindings between them, their removal")
@with_channel
def exchanges(channel):
    channel.confirm_select()
    queue = own_queue(channel)

    def reaches(exchange, key, **properties):
        channel.basic_publish_confirm(amqp.Message("m", **properties), exchange, key, timeout=10)
        return channel.basic_get(queue, no_ack=True) is not None

    for kind, bound, hit, miss in (("direct", "k", "k", "x"), ("topic", "a.*.#", "a.b.c.d", "a"), ("fanout", "", "x", None)):
        exchange = fresh(kind)
        channel.exchange_declare(exchange, kind, auto_delete=False)
        channel.queue_bind(queue, exchange, bound)
        assert reaches(exchange, hit), f"{kind} {hit}"
        assert miss is None or not reaches(exchange, miss), f"{kind} {miss}"
        outer = fresh("outer")
        channel.exchange_declare(outer, "fanout", auto_delete=False)
        channel.exchange_bind(exchange, outer)
        assert reaches(outer, hit), f"fanout to {kind}"
        channel.exchange_unbind(exchange, outer)
        channel.exchange_delete(outer)
        channel.queue_unbind(queue, exchange, bound)
        assert not reaches(exchange, hit), f"{kind} after unbind"
        channel.exchange_delete(exchange)
    channel.queue_bind(queue, "amq.headers", arguments={"x-match": "any", "colour": "red", "size": 3})
    assert reaches("amq.headers", "", application_headers={"size": 3}), "headers, any"
    assert not reaches("amq.headers", "", application_headers={"size": 4}), "headers, none"


@check("reject, recover and transactions")
@with_channel
def settling(channel):
    queue = own_queue(channel)
    for number in range(3):
        channel.basic_publish(amqp.Message(str(number)), routing_key=queue)
    first = channel.basic_get(queue)
    channel.basic_reject(first.delivery_tag, requeue=True)
    again = channel.basic_get(queue)
    equal((again.body, again.delivery_info["redelivered"]), ("0", True), "requeued")
    channel.basic_recover(requeue=True)
    equal(channel.basic_get(queue, no_ack=True).body, "0", "recovered")
    equal(channel.queue_purge(queue), 2, "purged")
    channel.tx_select()
    channel.basic_publish(amqp.Message("rolled back"), routing_key=queue)
    channel.tx_rollback()
    channel.basic_publish(amqp.Message("committed"), routing_key=queue)
    channel.tx_commit()
    equal(channel.queue_delete(queue), 1, "messages deleted with the queue")


@check("consumer cancellation by the broker, and by basic.cancel")
@with_channel
def cancellation(channel):
    queue = own_queue(channel)
    cancelled = []
    tag = channel.basic_consume(queue, callback=lambda m: None, on_cancel=cancelled.append)
    channel.basic_cancel(tag)
    equal(cancelled, [], "a consumer that left by itself")
    tag = channel.basic_consume(queue, callback=lambda m: None, on_cancel=cancelled.append)
    channel.queue_delete(queue)
    drain(channel, lambda: cancelled, "basic.cancel")
    equal(cancelled, [tag], "cancelled")


@check("each refusal arrives as the exception of its code")
@with_channel
def refusals(channel):
    mine, missing = own_queue(channel), fresh("missing")
    refused(errors.NotFound, lambda c: c.queue_declare(missing, passive=True), f"no queue '{missing}' in vhost '/'")
    refused(errors.NotFound, lambda c: c.exchange_declare(missing, "direct", passive=True), f"no exchange '{missing}'")
    refused(errors.ResourceLocked, lambda c: c.queue_purge(mine), "cannot obtain exclusive access to locked queue")
    refused(errors.AccessRefused, lambda c: c.queue_declare("amq.mine"), "reserved prefix 'amq.*'")
    refused(errors.PreconditionFailed, lambda c: c.exchange_declare("amq.topic", "fanout", durable=True, auto_delete=False),
            "inequivalent arg 'type' for exchange 'amq.topic' in vhost '/'")
    try:
        with connect() as connection:
            connection.channel().exchange_declare(fresh("odd"), "no-such-type")
    except errors.AMQPError as error:
        equal(error.reply_code, 503, "unknown exchange type")
        assert "unknown exchange type 'no-such-type'" in error.reply_text, error.reply_text
    else:
        raise AssertionError("an unknown exchange type was accepted")
    try:
        with connect() as connection:
            connection.channel().basic_publish(amqp.Message("now"), routing_key=mine, immediate=True)
            connection.channel()
    except errors.AMQPNotImplementedError as error:
        equal(error.reply_code, 540, "immediate")
    else:
        raise AssertionError("immediate was accepted")


@check("heartbeats: an idle connection that ticks stays open")
def heartbeats():
    connection = connect(heartbeat=2)
    until = time.monotonic() + 5
    while time.monotonic() < until:
        connection.heartbeat_tick()
        try:
            connection.drain_events(timeout=0.5)
        except socket.timeout:
            pass
    connection.channel().close()
    equal(connection.connected, True, "connected")
    connection.close()


@check("5 MiB bodies over TLS and in the clear")
def large():
    if not TLS_URL:
        raise Skip("AMQPS_URL is not set")
    tls = {"ca_certs": CA_FILE, "cert_reqs": ssl.CERT_REQUIRED}
    for connection in (connect(), connect(TLS_URL, ssl=tls)):
        channel = connection.channel()
        channel.confirm_select()
        queue, body = own_queue(channel), bytes(range(256)) * (5 << 12)
        channel.basic_publish_confirm(amqp.Message(body), routing_key=queue, timeout=20)
        assert channel.basic_get(queue, no_ack=True).body == body, "the body came back changed"
        connection.close()


if __name__ == "__main__":
    run(60)
