#!/usr/bin/env python3
"""Every rule of the checker catches the history that breaks it, and none objects to what is allowed."""

import unittest

from history import RULES, Group, History, Stream


def ids(*sequences, publisher=1):
    return [publisher << 40 | s for s in sequences]


class Checker(unittest.TestCase):
    def setUp(self):
        self.history = History(loose=("dead",))
        self.a, self.b, self.c, self.d = ids(0, 1, 2, 3)

    def published(self, *messages, queues=("q",), confirmed=True):
        for message in messages:
            self.history.publish(message, queues)
            if confirmed:
                self.history.confirm(message, queues)

    def settled(self, *messages):
        for message in messages:
            self.history.deliver("q", message, False)
            self.history.settle("q", message)

    def back(self, *messages, queue="q", redelivered=True):
        self.history.crash()
        self.history.recovered({queue: [(m, redelivered) for m in messages]})

    def found(self, *rules):
        self.assertEqual([rule for rule, _ in self.history.violations], list(rules), self.history.violations)


class Queue(Checker):
    def test_all_that_is_allowed(self):
        self.published(self.a, self.b)
        self.published(self.c, self.d, confirmed=False)
        self.settled(self.a)
        self.back(self.a, self.b, self.d)  # one settlement forgotten, one unconfirmed message lost
        self.history.deliver("q", self.a, True)
        self.history.requeue("q", self.a)
        self.back(self.a, self.b, self.d)
        self.found()
        self.assertEqual((self.history.came_back, self.history.alive), (1, 3))

    def test_what_was_never_delivered_needs_no_flag(self):
        self.published(self.a)
        self.back(self.a, redelivered=False)
        self.found()

    def test_lost(self):
        self.published(self.a, self.b)
        self.back(self.b)
        self.found("lost")

    def test_lost_although_it_had_come_back_once(self):
        self.published(self.a, confirmed=False)
        self.back(self.a)
        self.back()
        self.found("lost")

    def test_lost_from_one_of_two_queues(self):
        self.published(self.a, queues=("q", "r"))
        self.history.crash()
        self.history.recovered({"q": [(self.a, False)], "r": []})
        self.found("lost")

    def test_unpublished(self):
        self.back(self.a)
        self.found("unpublished")

    def test_resurrected_after_a_loss(self):
        self.published(self.a, confirmed=False)
        self.back()
        self.back(self.a)
        self.found("resurrected")

    def test_resurrected_after_a_settlement(self):
        self.published(self.a)
        self.settled(self.a)
        self.back()
        self.back(self.a)
        self.found("resurrected")

    def test_in_a_queue_that_it_was_not_routed_to(self):
        self.published(self.a)
        self.history.deliver("other", self.a, False)
        self.found("resurrected")

    def test_settled_came_back_unflagged(self):
        self.published(self.a)
        self.settled(self.a)
        self.back(self.a, redelivered=False)
        self.found("settled")

    def test_settled_came_back_unflagged_to_a_consumer(self):
        self.published(self.a)
        self.settled(self.a)
        self.history.crash()
        self.history.deliver("q", self.a, False)
        self.found("settled")

    def test_settled_came_back_without_a_crash(self):
        self.published(self.a)
        self.settled(self.a)
        self.history.deliver("q", self.a, True)
        self.found("settled")

    def test_settled_came_back_behind_a_later_confirm(self):
        self.published(self.a)
        self.settled(self.a)
        self.history.settles_processed("q", [self.a])
        self.published(self.b)
        self.back(self.a, self.b)
        self.found("settled")

    def test_a_confirm_of_what_was_published_before_covers_nothing(self):
        self.published(self.a)
        self.published(self.b, confirmed=False)
        self.settled(self.a)
        self.history.settles_processed("q", [self.a])
        self.history.confirm(self.b, ("q",))
        self.back(self.a, self.b)
        self.found()

    def test_settled_came_back_after_a_clean_stop(self):
        self.published(self.a)
        self.settled(self.a)
        self.history.settles_processed("q", [self.a])
        self.history.clean_stop()
        self.history.recovered({"q": [(self.a, True)]})
        self.found("settled")

    def test_delivered_came_back_unflagged(self):
        self.published(self.a)
        self.history.deliver("q", self.a, False)
        self.back(self.a, redelivered=False)
        self.found("unflagged")

    def test_requeued_came_back_unflagged(self):
        self.published(self.a)
        self.history.deliver("q", self.a, False)
        self.history.requeue("q", self.a)
        self.history.deliver("q", self.a, False)
        self.found("unflagged", "order")

    def test_heard_late_while_connections_are_closed(self):
        self.published(self.a)
        self.history.ending = True
        self.history.deliver("q", self.a, True, consumer=2)
        self.history.settle("q", self.a)
        self.history.deliver("q", self.a, False, consumer=1)
        self.found()

    def test_twice_in_the_queue(self):
        self.published(self.a)
        self.back(self.a, self.a)
        self.found("duplicate")

    def test_delivered_to_two(self):
        self.published(self.a)
        self.history.deliver("q", self.a, False)
        self.history.deliver("q", self.a, True)
        self.found("duplicate")

    def test_order_in_the_queue(self):
        self.published(self.a, self.b)
        self.back(self.b, self.a)
        self.found("order")

    def test_order_of_delivery(self):
        self.published(self.a, self.b)
        self.history.deliver("q", self.b, False)
        self.history.deliver("q", self.a, False)
        self.found("order")

    def test_two_consumers_need_no_order(self):
        self.published(self.a, self.b)
        self.history.deliver("q", self.b, False, consumer=1)
        self.history.deliver("q", self.a, False, consumer=2)
        self.found()

    def test_moved(self):
        other, = ids(0, publisher=2)
        self.published(self.a, other)
        self.back(self.a, other)
        self.back(other, self.a)
        self.found("moved")


class DeadLetters(Checker):
    def bury(self):
        self.published(self.a)
        self.history.deliver("q", self.a, False)
        self.history.bury("q", self.a, "dead")
        self.history.crash()

    def test_on_either_side_or_on_both(self):
        for source, target in ([self.a], []), ([], [self.a]), ([self.a], [self.a, self.a]):
            self.history = History(loose=("dead",))
            self.bury()
            self.history.recovered({"q": [(m, True) for m in source], "dead": [(m, False) for m in target]})
            self.found()

    def test_risen_and_acknowledged(self):
        self.bury()
        self.history.deliver("q", self.a, True)
        self.history.settle("q", self.a)
        self.history.crash()
        self.history.recovered({"q": [], "dead": []})
        self.found()

    def test_lost_between(self):
        self.bury()
        self.history.recovered({"q": [], "dead": []})
        self.found("lost")

    def test_unconfirmed_it_may_vanish(self):
        for confirmed, rules in (False, ()), (True, ("lost",)):
            self.history = History(loose=("dead",))
            self.published(self.a, confirmed=False)
            self.history.deliver("q", self.a, False)
            self.history.bury("q", self.a, "dead")
            if confirmed:  # a little late
                self.history.confirm(self.a, ("q",))
            self.history.crash()
            self.history.recovered({"q": [], "dead": []})
            self.found(*rules)

    def test_lost_after_it_had_arrived(self):
        self.bury()
        self.history.recovered({"q": [], "dead": [(self.a, False)]})
        self.history.crash()
        self.history.recovered({"q": [], "dead": []})
        self.found("lost")


class Transactions(Checker):
    def transaction(self, acknowledge=()):
        group = Group()
        for message in acknowledge:
            self.published(message)
            self.history.deliver("q", message, False)
            self.history.settle_in(group, "q", message)
        self.history.publish(self.c, ("q",), group)
        self.history.publish(self.d, ("q", "r"), group)
        return group

    def content(self, *messages, other=()):
        self.history.crash()
        self.history.recovered({"q": [(m, True) for m in messages], "r": [(m, True) for m in other]})

    def test_committed_is_for_good(self):
        group = self.transaction([self.a])
        self.history.commit_sent(group)
        self.history.committed(group)
        self.content(self.a, self.c, self.d)
        self.found("settled", "lost")

    def test_unanswered_is_all_or_nothing(self):
        for q, r in ([self.a], []), ([self.c, self.d], [self.d]):
            self.history = History()
            self.history.commit_sent(self.transaction([self.a]))
            self.content(*q, other=r)
            self.found()

    def test_parts_that_others_have_settled_already_say_nothing(self):
        group = self.transaction()
        self.history.commit_sent(group)
        self.history.deliver("q", self.c, False)
        self.history.settle("q", self.c)
        self.history.settles_processed("q", [self.c])
        self.published(self.b)
        self.content(self.b, self.d, other=[self.d])
        self.found()

    def test_torn(self):
        for q, r in ([self.a, self.c], []), ([], []), ([self.a, self.c, self.d], [self.d]), ([self.c, self.d], []):
            self.history = History()
            self.history.commit_sent(self.transaction([self.a]))
            self.content(*q, other=r)
            self.found("torn")

    def test_rolled_back_is_never_seen(self):
        self.history.rolled_back(self.transaction([self.a]))
        self.content(self.a, self.c)
        self.found("uncommitted")

    def test_delivered_before_the_commit(self):
        self.transaction()
        self.history.deliver("q", self.c, False)
        self.found("uncommitted")

    def test_rolled_back_settlement_is_void(self):
        self.history.rolled_back(self.transaction([self.a]))
        self.content()
        self.found("lost")


class Delays(Checker):
    def setUp(self):
        super().setUp()
        self.now = 100.0
        self.history = History(unordered=("q",), patience=5, clock=lambda: self.now)
        for message, due in (self.a, 120.0), (self.b, 110.0):
            self.history.publish(message, ("q",), due=due)
            self.history.confirm(message, ("q",))

    def test_all_that_is_allowed(self):
        self.back()
        self.now = 122.0
        self.back(self.b)  # the other is a little late
        self.back(self.b, self.a)
        self.found()

    def test_lost(self):
        self.now = 126.0
        self.back(self.b)
        self.found("lost")

    def test_early_in_the_queue(self):
        self.now = 115.0
        self.back(self.b, self.a)
        self.found("early")

    def test_early_to_a_consumer(self):
        self.now = 119.9
        self.history.deliver("q", self.a, False)
        self.found("early")

    def test_twice(self):
        self.now = 130.0
        self.back(self.b, self.a, self.a)
        self.found("duplicate")


class DelaysAcrossLogs(Checker):
    def setUp(self):
        super().setUp()
        self.history = History(unordered=("q",), doubled=("q",), clock=lambda: 130.0)
        self.history.publish(self.a, ("q",), due=120.0)
        self.history.confirm(self.a, ("q",))

    def test_twice_after_a_crash(self):
        self.back(self.a, self.a)
        self.history.deliver("q", self.a, True)
        self.history.deliver("q", self.a, True)
        self.history.settle("q", self.a)
        self.history.settles_processed("q", [self.a])
        self.published(self.b)
        self.back(self.a, self.b)
        self.found()

    def test_twice_and_unflagged(self):
        self.back(self.a, self.a, redelivered=False)
        self.found("duplicate")

    def test_twice_without_a_crash(self):
        self.history.deliver("q", self.a, True)
        self.history.deliver("q", self.a, True)
        self.found("duplicate")

    def test_settled_came_back_unflagged(self):
        self.settled(self.a)
        self.history.crash()
        self.history.deliver("q", self.a, False)
        self.found("settled")

    def test_lost(self):
        self.back()
        self.history.clock = lambda: 150.0
        self.back()
        self.found("lost")


class Streams(Checker):
    def setUp(self):
        super().setUp()
        self.stream = Stream(self.history, "s")
        for message in (self.a, self.b):
            self.stream.publish(message)
            self.stream.confirm(message)
        self.stream.publish(self.c)

    def test_all_that_is_allowed(self):
        self.stream.recovered([(0, self.a), (1, self.b)])
        self.stream.publish(self.d)
        self.stream.deliver(2, self.d)
        self.stream.recovered([(1, self.b), (2, self.d)], 1)
        self.found()

    def test_lost(self):
        self.stream.recovered([(0, self.a)])
        self.found("lost")

    def test_lost_what_had_come_back(self):
        self.stream.recovered([(0, self.a), (1, self.b), (2, self.c)])
        self.stream.recovered([(1, self.b)], 1)
        self.found("lost")

    def test_gap(self):
        self.stream.recovered([(0, self.a), (2, self.b)])
        self.found("gap")

    def test_order(self):
        self.stream.recovered([(0, self.b), (1, self.a)])
        self.found("order")

    def test_duplicate(self):
        self.stream.recovered([(0, self.a), (1, self.b), (2, self.b)])
        self.found("duplicate")

    def test_rewritten(self):
        self.stream.recovered([(0, self.a), (1, self.b)])
        self.stream.publish(self.d)
        self.stream.deliver(1, self.d)
        self.found("rewritten")

    def test_resurrected(self):
        self.stream.recovered([(0, self.a), (1, self.b)])
        self.stream.deliver(2, self.c)
        self.found("resurrected")

    def test_unpublished(self):
        self.stream.recovered([(0, self.a), (1, self.b), (2, self.d)])
        self.found("unpublished")


class Driver(Checker):
    def test_findings_of_the_driver_itself(self):
        for rule in ("corrupt", "topology"):
            self.history.violate(rule, "found")
        self.found("corrupt", "topology")

    def test_every_rule_is_tested(self):
        with open(__file__, encoding="utf-8") as file:
            text = file.read()
        for rule in RULES:
            self.assertIn(f'"{rule}"', text)


if __name__ == "__main__":
    unittest.main()
