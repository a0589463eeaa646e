#!/bin/sh
# mosquitto_pub and mosquitto_sub, used as their manual pages show.
set -eu

host=${MQTT_HOST:-127.0.0.1}
port=${MQTT_PORT:-1883}
topic="tools/$$/$(od -An -N4 -tx4 /dev/urandom | tr -d ' ')"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
limit="timeout 20"
login="-h $host -p $port -u guest -P guest"

fail() {
    echo "FAIL  $1"
    exit 1
}

expect() {  # what, expected, got
    [ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"
    echo "ok    $1"
}

# Starts a subscriber that ends after so many messages, and waits until it is subscribed: debug output says so.
subscribe() {  # count, arguments...
    count=$1
    shift
    : >"$scratch/out"
    $limit stdbuf -oL mosquitto_sub $login -d -C "$count" "$@" >"$scratch/out" 2>&1 &
    subscriber=$!
    tries=0
    until grep -q '^Subscribed' "$scratch/out" || [ $tries -ge 400 ]; do
        sleep 0.05
        tries=$((tries + 1))
    done
}
expect_received() {  # what, expected
    wait $subscriber || fail "$1: mosquitto_sub ended with $?: $(cat "$scratch/out")"
    expect "$1" "$2" "$(grep -v -e '^Client ' -e '^Subscribed' "$scratch/out" | tr '\n' ' ')"
}

for version in mqttv31 mqttv311 mqttv5; do
    for qos in 0 1 2; do
        subscribe 3 -V $version -q $qos -t "$topic/#"
        # One client: between several there is no order, once each is gone before its message has been read.
        printf '1\n2\n3\n' | $limit mosquitto_pub $login -V $version -q $qos -t "$topic/a" -l || fail "mosquitto_pub: $?"
        expect_received "$version, QoS $qos" "1 2 3 "
    done
done

# On the built-in defaults who gives no name is guest; who gives a wrong password is nobody.
subscribe 1 -t "$topic/nameless"
$limit mosquitto_pub -h $host -p $port -t "$topic/nameless" -m "hello" || fail "mosquitto_pub without a name: $?"
expect_received "no name is needed from this machine" "hello "
if $limit mosquitto_pub -h $host -p $port -u guest -P wrong -t "$topic/nameless" -m "hello" 2>/dev/null; then
    fail "a wrong password was taken"
fi

$limit mosquitto_pub $login -q 1 -r -t "$topic/kept" -m "the last value"
expect "a retained message waits for its subscriber" "the last value" \
    "$($limit mosquitto_sub $login -q 1 -C 1 -t "$topic/kept")"
$limit mosquitto_pub $login -q 1 -r -n -t "$topic/kept"

subscribe 1 -V mqttv5 -q 1 -t "$topic/will"
$limit mosquitto_sub $login -t "$topic/unused" --will-topic "$topic/will" --will-payload "it broke" >/dev/null 2>&1 &
victim=$!
sleep 1
kill -9 $(pgrep -P $victim) 2>/dev/null || true
expect_received "a will is published when its connection breaks" "it broke "
wait $victim || true

$limit mosquitto_sub $login -c -i "$topic" -q 1 -t "$topic/later" -E
$limit mosquitto_pub $login -q 1 -t "$topic/later" -m "while you were out"
expect "a session that is kept gets what came meanwhile" "while you were out" \
    "$($limit mosquitto_sub $login -c -i "$topic" -q 1 -t "$topic/later" -C 1)"

seq 1 500 >"$scratch/lines"
subscribe 500 -V mqttv5 -q 1 -t "$topic/lines"
$limit mosquitto_pub $login -V mqttv5 -q 1 -t "$topic/lines" -l <"$scratch/lines"
expect_received "500 lines in their order" "$(tr '\n' ' ' <"$scratch/lines")"

status=0
$limit mosquitto_pub -h "$host" -p "$port" -u guest -P wrong -t x -m y >/dev/null 2>&1 || status=$?
expect "a wrong password is refused" 4 "$status"

head -c 3000000 /dev/urandom >"$scratch/large"
subscribe 1 -q 1 -t "$topic/large" -F %l
$limit mosquitto_pub $login -q 1 -t "$topic/large" -f "$scratch/large"
expect_received "3 MB in one message" "3000000 "

expect "the broker tells of itself" "linnet" \
    "$($limit mosquitto_sub $login -C 1 -t '$SYS/broker/version' | cut -d ' ' -f 1)"
$limit mosquitto_sub $login -C 1 -t '$SYS/broker/load/messages/received/1min' | grep -Eq '^[0-9]+\.[0-9]{2}$' ||
    fail "a load is a number"
