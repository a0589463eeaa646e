#!/usr/bin/python3
"""Makes what is ordered: a plain pika consumer, which knows nothing of HTTP or of pages.

    worker.py [--seconds 1]        AMQP_URL=amqp://guest:guest@localhost/%2F

Each step is told as progress (a message with the header x-progress), the last word is the answer. An order is
acknowledged when it is done: one whose worker dies is made by the next one.
"""

import argparse
import os
import time

import pika

STEPS = ("taken up", "in the making", "on its way")


def make(channel, method, properties, body, seconds):
    def tell(text, **headers):
        channel.basic_publish("", properties.reply_to, text, pika.BasicProperties(
            correlation_id=properties.correlation_id, content_type="text/plain", delivery_mode=2,
            headers=headers or None))

    for number, step in enumerate(STEPS, 1):
        tell(step, **{"x-progress": number})
        time.sleep(seconds)
    tell(f"Here you are: {body.decode(errors='replace')}")
    channel.basic_ack(method.delivery_tag)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1, help="how long a step takes")
    seconds = parser.parse_args().seconds
    connection = pika.BlockingConnection(
        pika.URLParameters(os.environ.get("AMQP_URL", "amqp://guest:guest@localhost/%2F")))
    channel = connection.channel()
    channel.queue_declare("orders", durable=True)
    channel.basic_qos(prefetch_count=1)
    channel.basic_consume("orders", lambda *order: make(*order, seconds))
    print("The kitchen is open.", flush=True)
    channel.start_consuming()


if __name__ == "__main__":
    main()
