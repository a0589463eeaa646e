'use strict'
// The crossing matrix: what is published in one protocol and consumed in another, with all properties compared.
// {AMQP, MQTT 3.1.1, MQTT 5, MQTT over WebSocket, AMQP over WebSocket} x the same x {transient, durable}; then what is
// retained, and the mark of a redelivery.
//
// Every client reads a message into the same neutral words; what must be in them says expected().

const {AMQPWebSocketClient} = require('@cloudamqp/amqp-client')
const amqplib = require('amqplib')
const mqtt = require('mqtt')
const {once} = require('node:events')
const WebSocket = require('ws')
const {assert, check, fresh, run, url} = require('./checks.js')

globalThis.WebSocket ??= WebSocket
const http = `${process.env.HTTP_HOST ?? '127.0.0.1'}:${process.env.HTTP_PORT ?? '15675'}`
const mqttHost = `${process.env.MQTT_HOST ?? '127.0.0.1'}:${process.env.MQTT_PORT ?? '1883'}`
const root = fresh('cross').replaceAll(/[.-]/g, '')

// What a cell sends: everything that one of the protocols can say.
const ttl = 90_500
const sent = durable => ({
  contentType: 'text/plain', contentEncoding: 'identity', priority: 3, ttl, correlation: 'c-1', messageId: 'm-1',
  timestamp: 1_700_000_000, type: 'reading', appId: 'sensor', userId: 'guest', durable,
  headers: {count: 7, ok: true, text: 'grün', list: [1, 'two'], nested: {a: 1}},
})

// Messages by topic, for whoever waits for them.
class inbox {
  #waiting = new Map()
  #there = new Map()
  put(topic, message) {
    const take = this.#waiting.get(topic)
    this.#waiting.delete(topic)
    take ? take(message) : this.#there.set(topic, message)
  }
  async get(topic) {
    const here = this.#there.get(topic)
    this.#there.delete(topic)
    return here ?? await new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`nothing came for ${topic}`)), 10_000)
      this.#waiting.set(topic, message => { clearTimeout(late); resolve(message) })
    })
  }
}

// ---- AMQP ----------------------------------------------------------------------------------------

const neutralOfAmqp = (p, {body, redelivered}) => ({
  body, redelivered, contentType: p.contentType, contentEncoding: p.contentEncoding, priority: p.priority,
  ttl: p.expiration === undefined ? undefined : Number(p.expiration), correlation: p.correlationId,
  messageId: p.messageId, timestamp: p.timestamp instanceof Date ? p.timestamp.getTime() / 1000 : p.timestamp,
  type: p.type, appId: p.appId, userId: p.userId, durable: p.deliveryMode === 2,
  headers: Object.keys(p.headers ?? {}).length === 0 ? undefined : p.headers,
})
const amqpProperties = (m, timestamp) => ({
  contentType: m.contentType, contentEncoding: m.contentEncoding, priority: m.priority, expiration: String(m.ttl),
  correlationId: m.correlation, messageId: m.messageId, timestamp, type: m.type, appId: m.appId, userId: m.userId,
  headers: m.headers, deliveryMode: m.durable ? 2 : 1,
})
const keyOf = topic => topic.replaceAll('/', '.').replaceAll('+', '*')
const topicOf = key => key.replaceAll('.', '/')
const queueOf = durable => [fresh('cross'), {durable, exclusive: !durable, autoDelete: false}]

async function amqp(durable, acknowledges = true) {
  const connection = await amqplib.connect(url)
  const channel = await connection.createConfirmChannel()
  const received = new inbox()
  return {
    async listen(filter, queue) {
      const [name, options] = queue ?? queueOf(durable)
      await channel.assertQueue(name, options)
      await channel.bindQueue(name, 'amq.topic', keyOf(filter))
      await channel.consume(name, m => {
        if (m === null) return  // the queue has gone
        received.put(topicOf(m.fields.routingKey),
          neutralOfAmqp(m.properties, {body: m.content.toString(), redelivered: m.fields.redelivered}))
        if (acknowledges) channel.ack(m)
      })
      this.forget = () => channel.deleteQueue(name)
    },
    publish: (topic, body, m) => new Promise((resolve, reject) =>
      channel.publish('amq.topic', keyOf(topic), Buffer.from(body), amqpProperties(m, m.timestamp),
        error => error ? reject(error) : resolve())),
    retain: (topic, body) => new Promise((resolve, reject) =>
      channel.publish('amq.topic', keyOf(topic), Buffer.from(body), {headers: {'x-retain': true}, deliveryMode: 2},
        error => error ? reject(error) : resolve())),
    get: topic => received.get(topic),
    end: () => connection.close(),
  }
}

async function amqpOverWebSocket(durable, acknowledges = true) {
  const connection = await new AMQPWebSocketClient(`ws://${http}/ws/amqp`, '/', 'guest', 'guest').connect()
  const channel = await connection.channel()
  await channel.confirmSelect()
  const received = new inbox()
  return {
    async listen(filter, queue) {
      const [name, options] = queue ?? queueOf(durable)
      await channel.queueDeclare(name, options)
      await channel.queueBind(name, 'amq.topic', keyOf(filter))
      await channel.basicConsume(name, {noAck: false}, m => {
        received.put(topicOf(m.routingKey),
          neutralOfAmqp(m.properties, {body: m.bodyToString(), redelivered: m.redelivered}))
        if (acknowledges) m.ack()
      })
      this.forget = () => channel.queueDelete(name)
    },
    publish: (topic, body, m) =>
      channel.basicPublish('amq.topic', keyOf(topic), body, amqpProperties(m, new Date(m.timestamp * 1000))),
    retain: (topic, body) =>
      channel.basicPublish('amq.topic', keyOf(topic), body, {headers: {'x-retain': true}, deliveryMode: 2}),
    get: topic => received.get(topic),
    end: () => connection.close(),
  }
}

// ---- MQTT ----------------------------------------------------------------------------------------

// AMQP's properties that MQTT has not are user properties of these names.
const named = {contentEncoding: 'content-encoding', priority: 'priority', messageId: 'message-id',
  timestamp: 'timestamp', type: 'type', appId: 'app-id', userId: 'user-id'}
const numbers = new Set(['priority', 'timestamp'])

function neutralOfMqtt(packet, payload) {
  const p = packet.properties ?? {}
  const headers = {...p.userProperties}
  const m = {body: payload.toString(), redelivered: packet.dup, durable: packet.qos > 0, retain: packet.retain,
    contentType: p.contentType, correlation: p.correlationData?.toString(),
    ttl: p.messageExpiryInterval === undefined ? undefined : p.messageExpiryInterval * 1000}
  for (const [field, name] of Object.entries(named)) {
    m[field] = numbers.has(field) && headers[name] !== undefined ? Number(headers[name]) : headers[name]
    delete headers[name]
  }
  return {...m, headers: Object.keys(headers).length === 0 ? undefined : headers}
}
function mqttProperties(m) {
  const userProperties = Object.fromEntries(Object.entries(m.headers).map(([k, v]) => [k, textOf(v)]))
  for (const [field, name] of Object.entries(named)) userProperties[name] = String(m[field])
  return {contentType: m.contentType, correlationData: Buffer.from(m.correlation),
    messageExpiryInterval: Math.ceil(m.ttl / 1000), userProperties: {...userProperties, twice: ['1', '2']}}
}
const textOf = value => typeof value === 'object' ? JSON.stringify(value) : String(value)

const overMqtt = (protocolVersion, server) => async (durable, acknowledges = true, clientId = fresh('cross')) => {
  const v5 = protocolVersion === 5
  const client = mqtt.connect(server, {clientId, protocolVersion, clean: !durable, username: 'guest', password: 'guest',
    reconnectPeriod: 0, ...(v5 && durable && {properties: {sessionExpiryInterval: 60}})})
  const received = new inbox()
  client.on('message', (topic, payload, packet) => received.put(topic, neutralOfMqtt(packet, payload)))
  if (!acknowledges) client.handleMessage = () => {}  // it answers once that calls back
  // Listened to from the first packet on: what a session has kept comes with CONNACK.
  await once(client, 'connect')
  return {
    clientId,
    listen: filter => client.subscribeAsync(filter, {qos: durable ? 1 : 0, ...(v5 && {rap: true})}),
    publish: (topic, body, m) =>
      client.publishAsync(topic, body, {qos: m.durable ? 1 : 0, ...(v5 && {properties: mqttProperties(m)})}),
    retain: (topic, body) => client.publishAsync(topic, body, {qos: 1, retain: true}),
    get: topic => received.get(topic),
    end: () => client.endAsync(true),
    async forget() {
      await client.endAsync(true)
      await (await mqtt.connectAsync(server, {clientId, protocolVersion, clean: true, username: 'guest',
        password: 'guest', reconnectPeriod: 0})).endAsync()
    },
  }
}

const protocols = {
  'AMQP': {open: amqp, family: 'amqp'},
  'MQTT 3.1.1': {open: overMqtt(4, `mqtt://${mqttHost}`), family: 'mqtt3'},
  'MQTT 5': {open: overMqtt(5, `mqtt://${mqttHost}`), family: 'mqtt5'},
  'MQTT over WebSocket': {open: overMqtt(5, `ws://${http}/ws`), family: 'mqtt5'},
  'AMQP over WebSocket': {open: amqpOverWebSocket, family: 'amqp'},
}
const names = Object.keys(protocols)

// ---- What must have come ---------------------------------------------------------------------------

function expected(from, to, m, body) {
  const bare = {body, redelivered: false, durable: m.durable, ...(to !== 'amqp' && {retain: false})}
  if (from === 'mqtt3' || to === 'mqtt3') return bare
  const texts = Object.fromEntries(Object.entries(m.headers).map(([k, v]) => [k, textOf(v)]))
  const headers = from === 'mqtt5' ? {...texts, twice: ['1', '2']} : to === 'amqp' ? m.headers : texts
  const all = {...m, ...bare, headers}
  // Seconds, rounded up, less what it has waited; AMQP's text is the publisher's.
  all.ttl = from === 'amqp' && to === 'amqp' ? m.ttl : Math.ceil(m.ttl / 1000) * 1000
  if (from === 'amqp' && to === 'amqp') return all
  if (from === 'mqtt5' && to === 'amqp') {
    // Only the broker says who somebody is: what an MQTT client claims is a header like any other.
    delete all.userId
    all.headers = {...headers, 'user-id': m.userId}
  }
  return all
}

function compare(got, wanted, to) {
  const defined = Object.fromEntries(Object.entries(got).filter(([, value]) => value !== undefined))
  if (to !== 'amqp' && defined.ttl !== undefined && wanted.ttl !== undefined) {
    assert.ok(defined.ttl > 0 && defined.ttl <= wanted.ttl, `expiry ${defined.ttl} of ${wanted.ttl}`)
    defined.ttl = wanted.ttl
  }
  assert.deepEqual(defined, wanted)
}

// ---- The matrix --------------------------------------------------------------------------------------

for (const durable of [false, true]) {
  const how = durable ? 'durable' : 'transient'
  const at = {}
  check(`${how}: a client of each protocol listens`, async () => {
    for (const [i, name] of names.entries()) {
      at[name] = await protocols[name].open(durable)
      await at[name].listen(`${root}/${how}/+/${i}`)
    }
  })
  for (const [i, from] of names.entries()) {
    for (const [j, to] of names.entries()) {
      check(`${how}: ${from} to ${to}`, async () => {
        const topic = `${root}/${how}/${i}/${j}`
        const m = sent(durable)
        await at[from].publish(topic, `${from} to ${to}`, m)
        const {family} = protocols[to]
        compare(await at[to].get(topic), expected(protocols[from].family, family, m, `${from} to ${to}`), family)
      })
    }
  }
  check(`${how}: they leave nothing behind`, async () => {
    for (const name of names) {
      if (durable) await at[name].forget()
      await at[name].end()
    }
  })
}

for (const [i, from] of names.entries()) {
  check(`${from}: what is retained comes to whoever subscribes later`, async () => {
    const topic = `${root}/retained/${i}`
    const publisher = await protocols[from].open(false)
    await publisher.retain(topic, 'kept')
    for (const to of names.filter(name => protocols[name].family !== 'amqp')) {
      const late = await protocols[to].open(false)
      await late.listen(topic)
      const got = await late.get(topic)
      assert.deepEqual([got.body, got.retain], ['kept', true], to)
      await late.end()
    }
    await publisher.retain(topic, '')
    await publisher.end()
  })
}

for (const [j, to] of names.entries()) {
  check(`${to}: what was not acknowledged comes again, marked`, async () => {
    const topic = `${root}/again/${j}`
    const {open, family} = protocols[to]
    const queue = [fresh('cross'), {durable: true, exclusive: false, autoDelete: false}]
    const first = await open(true, false)
    await first.listen(topic, queue)
    const publisher = await protocols[names[(j + 1) % names.length]].open(true)
    await publisher.publish(topic, 'again', sent(true))
    assert.equal((await first.get(topic)).redelivered, false)
    await first.end()
    const second = await (family === 'amqp' ? open(true) : open(true, true, first.clientId))
    if (family === 'amqp') await second.listen(topic, queue)
    const got = await second.get(topic)
    assert.deepEqual([got.body, got.redelivered], ['again', true])
    await second.forget()
    await second.end()
    await publisher.end()
  })
}

run(120)
