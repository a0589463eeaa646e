#!/usr/bin/ruby
# frozen_string_literal: true

# Bunny, the Ruby client: with recovery off, as a script would use it, and on, behind a relay that cuts it off.

require "bunny"
require "securerandom"
require "socket"
require "timeout"

URL = ENV.fetch("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
QUIET = Logger.new(File::NULL)

Thread.report_on_exception = false
$stdout.sync = true
$checks = []

def check(title, &action)
  $checks << [title, action]
end

def fresh(prefix)
  "#{prefix}.#{SecureRandom.hex(6)}"
end

def equal(expected, got, what)
  raise "#{what}: expected #{expected.inspect}, got #{got.inspect}" unless expected == got
end

def eventually(what, seconds = 10)
  deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + seconds
  until (value = yield)
    raise "not within #{seconds} s: #{what}" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline

    sleep 0.005
  end
  value
end

def connect(url = URL, **options)
  Bunny.new(url, automatically_recover: false, logger: QUIET, **options).start
end

def with_channel
  connection = connect
  yield connection.create_channel, connection
  connection.close
end

# The channel must be closed with this exception, and the connection must survive it.
def refused(error_class, text)
  with_channel do |channel, connection|
    begin
      yield channel
      raise "#{error_class} expected"
    rescue error_class => e
      raise "#{text.inspect} is not in #{e.message.inspect}" unless e.message.include?(text)
    end
    connection.create_channel.close
  end
end

check "a wrong password and an unknown vhost are refused" do
  begin
    connect(URL.sub(%r{//[^@]*@}, "//guest:wrong@"))
    raise "a wrong password was accepted"
  rescue Bunny::AuthenticationFailureError
    nil
  end
  begin
    connect(URL.sub(%r{/[^/]*\z}, "/#{fresh('missing')}"))
    raise "an unknown vhost was opened"
  rescue Bunny::NotAllowedError, Bunny::AccessRefused => e
    raise "no NOT_ALLOWED in #{e.message}" unless e.message.include?("NOT_ALLOWED")
  end
end

check "publish, pop, subscribe; properties and headers come back" do
  with_channel do |channel|
    queue = channel.queue("", exclusive: true)
    headers = {
      "text" => "grün".b, "int" => -7, "big" => 2**40, "float" => 0.5, "yes" => true, "no" => false,
      "time" => Time.at(1_700_000_000), "list" => [1, "two", [3]], "table" => { "a" => { "b" => 1 } }
    }
    properties = {
      content_type: "text/plain", content_encoding: "utf-8", headers: headers, persistent: true, priority: 3,
      correlation_id: "c", reply_to: "r", expiration: "60000", message_id: "m", timestamp: 1_700_000_000, type: "t",
      user_id: "guest", app_id: "a"
    }
    queue.publish("hello", properties)
    info, got, body = queue.pop
    equal("hello", body, "body")
    equal([false, "", queue.name], [info.redelivered?, info.exchange, info.routing_key], "delivery info")
    equal(headers, got.headers, "headers")
    expected = properties.reject { |name, _| %i[persistent timestamp headers].include?(name) }
    equal(expected, expected.to_h { |name, _| [name, got[name]] }, "properties")
    equal([Time.at(1_700_000_000), 2], [got.timestamp, got.delivery_mode], "timestamp and delivery mode")
    equal([nil, nil, nil], queue.pop, "an empty queue")

    received = []
    channel.prefetch(10)
    queue.subscribe(manual_ack: true) do |delivery, _properties, content|
      received << content
      channel.ack(delivery.delivery_tag)
    end
    300.times { |n| queue.publish(n.to_s) }
    eventually("300 deliveries") { received.size == 300 }
    equal((0...300).map(&:to_s), received, "order")
    eventually("an empty queue") { queue.message_count.zero? }
  end
end

check "confirms: 1000 acknowledged, one refused by a full queue, one returned" do
  with_channel do |channel|
    channel.confirm_select
    queue = channel.queue("", exclusive: true)
    1000.times { |n| queue.publish(n.to_s) }
    equal(true, channel.wait_for_confirms, "confirms")
    equal([], channel.unconfirmed_set.to_a, "unconfirmed")
    equal(1000, queue.message_count, "messages")
    full = channel.queue("", exclusive: true, arguments: { "x-max-length" => 1, "x-overflow" => "reject-publish" })
    2.times { full.publish("x") }
    equal(false, channel.wait_for_confirms, "confirms with a full queue")
    equal(1, channel.nacked_set.size, "nacked")
    returned = Queue.new
    exchange = channel.direct("amq.direct")
    exchange.on_return { |info, _properties, body| returned << [info.reply_code, info.reply_text, body] }
    exchange.publish("back", routing_key: fresh("nowhere"), mandatory: true)
    equal([312, "NO_ROUTE", "back"], Timeout.timeout(10) { returned.pop }, "return")
  end
end

check "exchanges of each type, bindings between them, dead letters" do
  with_channel do |channel, connection|
    channel.confirm_select
    queue = channel.queue("", exclusive: true)
    reaches = lambda do |exchange, key, headers = {}|
      exchange.publish("m", routing_key: key, headers: headers)
      channel.wait_for_confirms
      !queue.pop.first.nil?
    end
    [[:direct, "k", "k", "x"], [:topic, "#.z", "a.z", "z.a"], [:fanout, "", "any", nil]].each do |type, pattern, hit, miss|
      exchange = channel.exchange(fresh(type), type: type)
      queue.bind(exchange, routing_key: pattern)
      equal(true, reaches.call(exchange, hit), "#{type} #{hit}")
      equal(false, reaches.call(exchange, miss), "#{type} #{miss}") if miss
      source = channel.exchange(fresh("source"), type: :fanout, auto_delete: true)
      exchange.bind(source)
      equal(false, reaches.call(source, "unheard"), "fanout to #{type}") unless type == :fanout
      equal(true, reaches.call(source, hit), "fanout to #{type}")
      exchange.unbind(source)
      equal(false, connection.exchange_exists?(source.name), "an auto-delete exchange without bindings")
      queue.unbind(exchange, routing_key: pattern)
      equal(false, reaches.call(exchange, hit), "#{type} without a binding")
      exchange.delete
    end
    headers = channel.headers("amq.headers", durable: true)
    queue.bind(headers, arguments: { "x-match" => "all", "a" => 1, "b" => "two" })
    equal(true, reaches.call(headers, "", "a" => 1, "b" => "two"), "headers, all")
    equal(false, reaches.call(headers, "", "a" => 1), "headers, some")
    dying = channel.queue("", exclusive: true, arguments: {
      "x-dead-letter-exchange" => "", "x-dead-letter-routing-key" => queue.name
    })
    dying.publish("rejected")
    channel.reject(dying.pop(manual_ack: true).first.delivery_tag)
    _, properties, = eventually("a dead letter") { (letter = queue.pop).first && letter }
    equal(["rejected", dying.name], properties.headers["x-death"].first.values_at("reason", "queue"), "x-death")
  end
end

check "prefetch, nack, reject, recover, transactions" do
  with_channel do |channel|
    queue = channel.queue("", exclusive: true)
    channel.tx_select
    queue.publish("forgotten")
    channel.tx_rollback
    %w[a b c d].each { |body| queue.publish(body) }
    channel.tx_commit
    equal(4, queue.message_count, "after the commit")
  end
  with_channel do |channel|
    queue = channel.queue("", exclusive: true)
    %w[a b c d].each { |body| queue.publish(body) }
    channel.prefetch(2)
    held = []
    consumer = queue.subscribe(manual_ack: true) { |info, _properties, body| held << [info.delivery_tag, body] }
    eventually("two deliveries") { held.size == 2 }
    channel.ack(held[0][0])
    eventually("a third after the ack") { held.size == 3 }
    equal(%w[a b c], held.map(&:last), "lent")
    consumer.cancel
    channel.nack(held[2][0], true, true)
    info, _, body = queue.pop(manual_ack: true)
    equal(["b", true], [body, info.redelivered?], "requeued")
    channel.reject(info.delivery_tag, false)
    queue.pop(manual_ack: true)
    channel.basic_recover(true)
    equal(%w[c d], [queue.pop.last, queue.pop.last], "recovered")
  end
end

check "remote calls over direct reply-to" do
  with_channel do |channel, connection|
    server = connection.create_channel
    service = server.queue("", exclusive: true)
    service.subscribe do |_info, properties, body|
      server.default_exchange.publish(body.upcase, routing_key: properties.reply_to, correlation_id: properties.correlation_id)
    end
    replies = Queue.new
    channel.basic_consume("amq.rabbitmq.reply-to", "", true) { |_info, properties, body| replies << [properties.correlation_id, body] }
    20.times do |n|
      channel.default_exchange.publish("call #{n}", routing_key: service.name, reply_to: "amq.rabbitmq.reply-to", correlation_id: n.to_s)
    end
    got = Timeout.timeout(10) { Array.new(20) { replies.pop } }
    equal((0...20).map { |n| [n.to_s, "CALL #{n}"] }, got, "replies")
  end
end

check "a consumer hears that its queue is gone, and may cancel itself" do
  with_channel do |channel, connection|
    queue = channel.queue(fresh("vanishing"))
    cancelled = Queue.new
    consumer = Bunny::Consumer.new(channel, queue)
    consumer.on_cancellation { |method| cancelled << method.consumer_tag }
    queue.subscribe_with(consumer)
    connection.create_channel.queue_delete(queue.name)
    equal(consumer.consumer_tag, Timeout.timeout(10) { cancelled.pop }, "cancelled consumer")
    other = channel.queue("", exclusive: true)
    tag = other.subscribe { nil }.consumer_tag
    equal(tag, channel.basic_cancel(tag).consumer_tag, "cancel-ok")
    equal(0, other.consumer_count, "consumers")
  end
end

check "404, 403, 405 and 406 arrive as their exceptions and close the channel only" do
  missing = fresh("missing")
  refused(Bunny::NotFound, "NOT_FOUND - no queue '#{missing}' in vhost '/'") { |c| c.queue(missing, passive: true) }
  refused(Bunny::NotFound, "NOT_FOUND - no exchange '#{missing}' in vhost '/'") { |c| c.direct(missing, passive: true) }
  refused(Bunny::AccessRefused, "reserved prefix 'amq.*'") { |c| c.queue("amq.mine") }
  with_channel do |channel|
    exchange = channel.fanout(fresh("fanout"), auto_delete: true)
    refused(Bunny::PreconditionFailed, "inequivalent arg 'type' for exchange '#{exchange.name}'") do |c|
      c.direct(exchange.name, auto_delete: true)
    end
    queue = channel.queue(fresh("mine"), exclusive: true)
    refused(Bunny::ResourceLocked, "RESOURCE_LOCKED") { |c| c.queue(queue.name, exclusive: true) }
    refused(Bunny::PreconditionFailed, "inequivalent arg 'x-max-length'") do |c|
      c.queue(same = fresh("bounded"), auto_delete: true, arguments: { "x-max-length" => 1 })
      c.connection.create_channel.queue(same, auto_delete: true, arguments: { "x-max-length" => 2 })
    end
    seen = Queue.new
    channel.on_error { |_channel, close| seen << close.reply_code }
    channel.basic_ack(99)
    equal(406, Timeout.timeout(10) { seen.pop }, "reply code for an unknown delivery tag")
  end
end

check "1 MiB bodies, an empty one, and many channels" do
  with_channel do |channel, connection|
    queue = channel.queue("", exclusive: true)
    [0, 1, 131_064, 131_065, 1 << 20].each do |size|
      body = "r" * size
      queue.publish(body)
      raise "#{size} bytes came back changed" unless queue.pop.last == body
    end
    channels = Array.new(100) { connection.create_channel }
    equal([0], channels.map { |c| c.queue(queue.name, passive: true).message_count }.uniq, "counts")
    channels.each(&:close)
  end
end

check "heartbeats keep an idle connection" do
  connection = connect(heartbeat: 1)
  sleep 3.5
  equal(true, connection.open?, "open")
  connection.create_channel.queue("", exclusive: true)
  connection.close
end

# Relays to the broker and can cut all connections at once.
class Relay
  attr_reader :port

  def initialize(host, broker_port)
    @server = TCPServer.new("127.0.0.1", 0)
    @port = @server.addr[1]
    @sockets = []
    Thread.new do
      while (near = @server.accept)
        far = TCPSocket.new(host, broker_port)
        @sockets.push(near, far)
        [[near, far], [far, near]].each { |from, to| Thread.new { relay(from, to) } }
      end
    end
  end

  def cut
    # Shutting down wakes the thread that reads a socket; that thread closes it.
    @sockets.shift.shutdown until @sockets.empty?
  rescue SystemCallError, IOError
    retry
  end

  private

  def relay(from, to)
    IO.copy_stream(from, to)
  rescue IOError, SystemCallError
    nil
  ensure
    begin
      to.shutdown # the thread that reads it closes it
    rescue SystemCallError, IOError
      nil
    end
    from.close
  end
end

check "recovery: connection, topology and consumer come back after a cut" do
  match = URL.match(%r{@([^:/]+)(?::(\d+))?})
  relay = Relay.new(match[1], (match[2] || 5672).to_i)
  connection = Bunny.new(URL.sub(/@[^\/]*/, "@127.0.0.1:#{relay.port}"), logger: QUIET, network_recovery_interval: 0.1,
                                                                         recover_from_connection_close: true).start
  channel = connection.create_channel
  exchange = channel.topic(fresh("recovered"), auto_delete: true)
  received = []
  channel.queue("", exclusive: true).bind(exchange, routing_key: "a.#").subscribe { |_i, _p, body| received << body }
  exchange.publish("before", routing_key: "a.b")
  eventually("a delivery before the cut") { received == ["before"] }
  recovered = Queue.new
  connection.after_recovery_completed { recovered << true }
  relay.cut
  Timeout.timeout(20) { recovered.pop }
  exchange.publish("after", routing_key: "a.b")
  eventually("a delivery after the cut") { received == %w[before after] }
  connection.close
end

begun = Process.clock_gettime(Process::CLOCK_MONOTONIC)
Thread.new do
  sleep 90
  puts "FAIL  the script's limit of 90 s has passed"
  exit!(1)
end
$checks.each do |title, action|
  started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  action.call
  puts format("ok    %s (%.2f s)", title, Process.clock_gettime(Process::CLOCK_MONOTONIC) - started)
rescue Exception => e # rubocop:disable Lint/RescueException -- Bunny raises into the main thread
  puts "FAIL  #{title}: #{e.full_message(highlight: false)}"
  exit!(1)
end
puts format("%d of %d checks passed in %.1f s", $checks.size, $checks.size, Process.clock_gettime(Process::CLOCK_MONOTONIC) - begun)
exit!(0)
