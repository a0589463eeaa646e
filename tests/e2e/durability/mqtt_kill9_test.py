#!/usr/bin/python3
"""kill -9 in the middle of MQTT traffic, again and again: nothing is lost, and nothing of QoS 2 comes twice.

    mqtt_kill9_test.py --cycles 200 --shards 1

A publisher and a subscriber, both with sessions that are kept, exchange numbered messages of both qualities while the
broker is killed at any moment. Both keep to the letter of MQTT 3.1.1: what is unfinished is sent again with its
identifier, and what has been taken once is known by its identifier until it is released. In the end no identifier may be
left that nobody has released: when identifiers come round, 32 767 messages later, the client would take the next
message of that identifier for the one that it has.
"""

import argparse
import os
import random
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from linnetd import Linnetd  # noqa: E402
from mqtt_test import Client, text  # noqa: E402

WINDOW = 20  # publishes under way
GONE = (OSError, AssertionError, EOFError)  # what a client sees of a broker that was killed


class Publisher:
    """Sends numbers with QoS 1 and 2 by turns, and again what the broker has not finished."""

    def __init__(self):
        self.next = 0
        self.unanswered = {}  # identifier -> (qos, number); of QoS 2: until PUBREC
        self.released = set()  # PUBREL sent, until PUBCOMP
        self.accepted = {1: set(), 2: set()}

    def free_id(self):
        used = self.unanswered.keys() | self.released
        return next(i for i in range(1, 65536) if i not in used)

    def send(self, client, identifier, dup):
        qos, number = self.unanswered[identifier]
        client.publish(f"k/{qos}", str(number), qos, identifier, dup=dup)

    def run(self, client, stop):
        for identifier in sorted(self.unanswered, key=lambda i: self.unanswered[i][1]):
            self.send(client, identifier, dup=True)
        for identifier in sorted(self.released):
            client.answer(0x62, identifier)
        while not stop.is_set() or self.unanswered or self.released:
            while not stop.is_set() and len(self.unanswered) + len(self.released) < WINDOW:
                identifier = self.free_id()
                self.unanswered[identifier] = (1 + self.next % 2, self.next)
                self.next += 1
                self.send(client, identifier, dup=False)
            first, body = client.get()
            identifier = int.from_bytes(body[:2], "big")
            if first == 0x40:
                qos, number = self.unanswered.pop(identifier)
                self.accepted[qos].add(number)
            elif first == 0x50:
                if identifier in self.unanswered:
                    qos, number = self.unanswered.pop(identifier)
                    self.accepted[qos].add(number)
                    self.released.add(identifier)
                client.answer(0x62, identifier)
            elif first == 0x70:
                self.released.discard(identifier)


class Subscriber:
    """Counts what it receives; of QoS 2 as MQTT's method A has it: an identifier is known until PUBREL."""

    def __init__(self):
        self.got = {1: {}, 2: {}}
        self.taken = set()
        self.wanted = None  # ends once these have come

    def run(self, client):
        while self.wanted is None or any(self.wanted[qos] - self.got[qos].keys() for qos in (1, 2)) or self.taken:
            first, body = client.get()
            if first >> 4 == 3:
                qos, at = first >> 1 & 3, 2 + int.from_bytes(body[:2], "big")
                identifier, number = int.from_bytes(body[at:at + 2], "big"), int(body[at + 2:])
                if qos == 1 or identifier not in self.taken:
                    self.got[qos][number] = self.got[qos].get(number, 0) + 1
                if qos == 2:
                    self.taken.add(identifier)
                client.answer(0x40 if qos == 1 else 0x50, identifier)
            elif first == 0x62:
                identifier = int.from_bytes(body, "big")
                self.taken.discard(identifier)
                client.answer(0x70, identifier)


def quietly(function, *arguments):
    try:
        function(*arguments)
    except GONE:
        pass


def cycle(broker, publisher, subscriber, dice):
    """One life of the broker, until it is killed."""
    stop = threading.Event()
    clients, threads = [], []
    for name, party, more in (("subscriber", subscriber, ()), ("publisher", publisher, (stop,))):
        client = Client(broker.address_of("mqtt"), name)
        clients.append(client)
        threads.append(threading.Thread(target=quietly, args=(party.run, client, *more), daemon=True))
        threads[-1].start()
    time.sleep(dice.uniform(0.02, 0.3))
    broker.kill()
    for thread, client in zip(threads, clients):
        thread.join(20)
        if thread.is_alive():
            raise AssertionError("a client does not notice that the broker is gone")
        client.socket.close()


def finish(broker, publisher, subscriber):
    """The last life: everything unfinished is brought to an end."""
    stop = threading.Event()
    stop.set()
    client = Client(broker.address_of("mqtt"), "publisher")
    publisher.run(client, stop)
    subscriber.wanted = publisher.accepted
    client = Client(broker.address_of("mqtt"), "subscriber")
    client.socket.settimeout(10)
    try:
        subscriber.run(client)
    except socket.timeout:
        pass  # what is missing is said below
    # And nothing more comes.
    client.socket.settimeout(1)
    subscriber.wanted = None
    quietly(subscriber.run, client)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=10)
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    dice = random.Random(arguments.seed)
    publisher, subscriber = Publisher(), Subscriber()
    settings = (f"shards={arguments.shards}",)
    with Linnetd(settings=settings, listen=("amqp=127.0.0.1:0", "mqtt=127.0.0.1:0"), start_seconds=60) as broker:
        client = Client(broker.address_of("mqtt"), "subscriber")
        client.send(0x82, b"\0\1" + text("k/1") + b"\1" + text("k/2") + b"\2")
        first, _ = client.get()
        if first != 0x90:
            raise AssertionError(f"{first:#x} in place of SUBACK")
        client.socket.close()
        for number in range(arguments.cycles):
            cycle(broker, publisher, subscriber, dice)
            broker.start_again()
            if (number + 1) % 20 == 0:
                print(f"      {number + 1} kills, {publisher.next} published", flush=True)
        finish(broker, publisher, subscriber)
    lost = {qos: publisher.accepted[qos] - subscriber.got[qos].keys() for qos in (1, 2)}
    twice = {qos: sorted(n for n, times in subscriber.got[qos].items() if times > 1) for qos in (1, 2)}
    print(f"      {arguments.cycles} kills: QoS 1: {len(publisher.accepted[1])} accepted, {len(lost[1])} lost, "
          f"{len(twice[1])} came again; QoS 2: {len(publisher.accepted[2])} accepted, {len(lost[2])} lost, "
          f"{len(twice[2])} came twice", flush=True)
    if lost[1] or lost[2] or twice[2] or subscriber.taken:
        raise AssertionError(f"lost {sorted(lost[1] | lost[2])[:20]}, twice {twice[2][:20]}, not released "
                             f"{sorted(subscriber.taken)[:20]} (seed {arguments.seed})")
    print("ok    nothing was lost, and nothing of QoS 2 came twice", flush=True)


if __name__ == "__main__":
    main()
