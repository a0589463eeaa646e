/* The ring's wake-up with the sleeping flag (broker/lockfree/doorbell.hpp).
 *
 * Two peers each publish items in their rings; one shard drains them, and sleeps when it has seen
 * nothing. Every access here is one step and all are seen in one order, as the sequentially
 * consistent operations of the code are; what weaker orders would do is shown by
 * doorbell_model_test.
 *
 * Claims: the shard is never asleep for good while an item lies in a ring (everything sent is
 * drained in the end); at most one eventfd write a sleep.
 *
 * Broken variants:
 *   NO_SECOND_LOOK        the shard announces its sleep and blocks without looking again
 *   RING_BEFORE_PUBLISH   a peer reads the flag before it stores its tail
 */

#define PEERS 2
#define ITEMS 2

byte tail[PEERS];         /* published, written by peer i */
byte head[PEERS];         /* drained, written by the shard */
bool sleeping = false;    /* the bell's flag */
byte eventfd = 0;         /* its counter; a read takes it all */
byte rung_this_sleep = 0; /* ghost */

#define all_empty (tail[0] == head[0] && tail[1] == head[1])
#define all_done (head[0] == ITEMS && head[1] == ITEMS)

inline ring_if_needed(seen, was) {
    seen = sleeping;                                /* the load of must_wake() */
    if
    :: seen ->
        atomic {                                    /* its exchange */
            was = sleeping;
            sleeping = false;
            rung_this_sleep = rung_this_sleep + was;
            assert(rung_this_sleep <= 1)
        }
        if
        :: was -> eventfd++                         /* write(2), at some later time */
        :: else
        fi
    :: else
    fi
}

active [PEERS] proctype peer() {
    byte sent = 0;
    bool seen, was;
    do
    :: sent < ITEMS ->
#ifdef RING_BEFORE_PUBLISH
        ring_if_needed(seen, was);
        sent++;
        tail[_pid] = sent
#else
        sent++;
        tail[_pid] = sent;
        ring_if_needed(seen, was)
#endif
    :: sent == ITEMS -> break
    od
}

active proctype shard() {
    byte i;
    bool found;
    bool sleep;
    do
    :: all_done -> break
    :: else ->
        /* One turn: drain each ring, each look a step of its own. */
        found = false;
        for (i : 0 .. PEERS - 1) {
            if
            :: tail[i] != head[i] -> head[i] = tail[i]; found = true
            :: else
            fi
        }
        if
        :: found -> skip
        :: else ->
            atomic { sleeping = true; rung_this_sleep = 0 }
#ifdef NO_SECOND_LOOK
            sleep = true;
#else
            sleep = true;
            for (i : 0 .. PEERS - 1) {
                if
                :: tail[i] != head[i] -> sleep = false
                :: else
                fi
            }
#endif
            if
            /* Blocked for ever here, with an item in a ring, is spin's "invalid end state". */
            :: sleep -> atomic { eventfd > 0 -> eventfd = 0 }
            :: else
            fi;
            sleeping = false
        fi
    od
}

ltl all_is_drained { <> all_done }
