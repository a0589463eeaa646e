#!/bin/sh
# The command line tools that come with librabbitmq, used as their manual pages show.
set -eu

url=${AMQP_URL:-amqp://guest:guest@127.0.0.1:5672/%2F}
queue="tools.$$.$(od -An -N4 -tx4 /dev/urandom | tr -d ' ')"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
limit="timeout 20"

fail() {
    echo "FAIL  $1"
    exit 1
}

expect() {  # what, expected, got
    [ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"
    echo "ok    $1"
}

# status: the command's own, kept from `set -e`.
status_of() {
    status=0
    "$@" >"$scratch/out" 2>"$scratch/err" || status=$?
    echo "$status"
}

expect "amqp-declare-queue names the queue" "$queue" "$($limit amqp-declare-queue --url "$url" -d -q "$queue")"
expect "declaring it again otherwise is refused" 1 "$(status_of $limit amqp-declare-queue --url "$url" -q "$queue")"
grep -q 'PRECONDITION_FAILED' "$scratch/err" || fail "no PRECONDITION_FAILED in: $(cat "$scratch/err")"

$limit amqp-publish --url "$url" -r "$queue" -p -C text/plain -b 'hello, tools'
expect "amqp-get fetches what amqp-publish sent" "hello, tools" "$($limit amqp-get --url "$url" -q "$queue")"
expect "amqp-get tells that a queue is empty" 2 "$(status_of $limit amqp-get --url "$url" -q "$queue")"

printf 'from standard input' | $limit amqp-publish --url "$url" -r "$queue"
expect "a body from standard input" "from standard input" "$($limit amqp-get --url "$url" -q "$queue")"

head -c 3000000 /dev/urandom >"$scratch/large"
$limit amqp-publish --url "$url" -r "$queue" <"$scratch/large"
$limit amqp-get --url "$url" -q "$queue" >"$scratch/received"
cmp -s "$scratch/large" "$scratch/received" || fail "3 MB came back changed"
echo "ok    3 MB through many frames"

seq 1 200 | $limit amqp-publish --url "$url" -r "$queue" -l
expect "amqp-consume hands each message to a command, in order" "$(seq 1 200 | tr '\n' ' ')" \
    "$($limit amqp-consume --url "$url" -q "$queue" -c 200 -p 10 cat | tr '\n' ' ')"
expect "every consumed message was acknowledged" 2 "$(status_of $limit amqp-get --url "$url" -q "$queue")"

# A server-named queue bound to an exchange: the consumer prints its name once it is ready.
$limit amqp-consume --url "$url" -e amq.topic -r "$queue.#" -c 1 cat >"$scratch/out" 2>"$scratch/name" &
consumer=$!
tries=0
until [ -s "$scratch/name" ] || [ $tries -ge 100 ]; do
    sleep 0.05
    tries=$((tries + 1))
done
# Naming the queue precedes binding it, so the message is repeated until it has arrived.
while kill -0 $consumer 2>/dev/null; do
    $limit amqp-publish --url "$url" -e amq.topic -r "$queue.a.b" -b 'over a topic'
    sleep 0.1
done
wait $consumer || fail "amqp-consume ended with $?: $(cat "$scratch/name")"
expect "amqp-consume on a queue of its own, bound to amq.topic" "over a topic" "$(cat "$scratch/out")"

expect "an unknown exchange is refused" 1 "$(status_of $limit amqp-publish --url "$url" -e "$queue.missing" -r k -b x)"
expect "a wrong password is refused" 1 \
    "$(status_of $limit amqp-get --url "$(echo "$url" | sed 's|//[^@]*@|//guest:wrong@|')" -q "$queue")"

$limit amqp-publish --url "$url" -r "$queue" -b one
$limit amqp-publish --url "$url" -r "$queue" -b two
expect "amqp-delete-queue tells how many messages went" 2 "$($limit amqp-delete-queue --url "$url" -q "$queue")"
expect "the queue is gone" 1 "$(status_of $limit amqp-get --url "$url" -q "$queue")"
echo "all checks passed"
