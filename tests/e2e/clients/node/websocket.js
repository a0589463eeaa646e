'use strict'
// What browsers use: MQTT.js and @cloudamqp/amqp-client over WebSocket, on one port; and the two of them together.

const {AMQPWebSocketClient} = require('@cloudamqp/amqp-client')
const http = require('node:http')
const mqtt = require('mqtt')
const WebSocket = require('ws')
const {assert, check, eventually, fresh, run} = require('./checks.js')

globalThis.WebSocket ??= WebSocket
const base = `${process.env.HTTP_HOST ?? '127.0.0.1'}:${process.env.HTTP_PORT ?? '15675'}`
const topicOf = prefix => fresh(prefix).replaceAll('.', '/')

async function overMqtt(options = {}, path = '/ws') {
  const client = await mqtt.connectAsync(`ws://${base}${path}`, {username: 'guest', password: 'guest',
    clientId: fresh('ws'), reconnectPeriod: 0, ...options})
  client.got = []
  client.on('message', (topic, payload, packet) => client.got.push({...packet, topic, payload}))
  return client
}
const overAmqp = async (path = '/ws/amqp') =>
  await new AMQPWebSocketClient(`ws://${base}${path}`, '/', 'guest', 'guest').connect()

const get = (path, headers = {}) => new Promise((resolve, reject) => {
  http.get(`http://${base}${path}`, {headers}, response => {
    let text = ''
    response.on('data', chunk => { text += chunk })
    response.on('end', () => resolve({status: response.statusCode, type: response.headers['content-type'], text}))
  }).on('error', reject)
})

check('probes are answered, and other paths are not', async () => {
  for (const path of ['/livez', '/readyz', '/startupz']) assert.equal((await get(path)).status, 200)
  const missing = await get('/nothing/here')
  assert.equal(missing.status, 404)
  assert.equal(missing.type, 'application/problem+json')
  assert.equal(JSON.parse(missing.text).status, 404)
})

for (const protocolVersion of [4, 5]) {
  check(`MQTT.js, protocol level ${protocolVersion}: every quality of service, and a payload of 3 MiB`, async () => {
    const client = await overMqtt({protocolVersion})
    const topic = topicOf('qos')
    await client.subscribeAsync(`${topic}/#`, {qos: 2})
    for (let i = 0; i < 300; ++i) client.publish(`${topic}/${i}`, String(i), {qos: i % 3})
    const large = Buffer.alloc(3 << 20, 'linnet ')
    await client.publishAsync(`${topic}/large`, large, {qos: 1})
    await eventually(() => client.got.length === 301, 'all have come')
    assert.ok(client.got.find(m => m.topic.endsWith('/large')).payload.equals(large))
    assert.deepEqual(new Set(client.got.filter(m => m.payload.length < 10).map(m => Number(m.payload))),
      new Set(Array(300).keys()))
    await client.endAsync()
  })
}

check('a will is published when the socket is cut', async () => {
  const topic = topicOf('will')
  const other = await overMqtt()
  await other.subscribeAsync(topic)
  const victim = await overMqtt({will: {topic, payload: 'gone', qos: 1}})
  victim.stream.destroy()
  await eventually(() => other.got.length === 1, 'the will has come')
  await other.endAsync()
})

check('AMQP: publish, consume, confirm, a body of 3 MiB', async () => {
  for (const path of ['/ws/amqp', '/amqp']) {
    const connection = await overAmqp(path)
    const channel = await connection.channel()
    await channel.confirmSelect()
    const {name: queue} = await channel.queueDeclare('', {exclusive: true})
    const large = new Uint8Array(3 << 20).fill(7)
    const got = []
    await channel.basicConsume(queue, {noAck: true}, message => got.push(message))
    for (let i = 0; i < 200; ++i) await channel.basicPublish('', queue, String(i))
    await channel.basicPublish('', queue, large)
    await eventually(() => got.length === 201, 'all have come')
    assert.deepEqual(got.slice(0, 200).map(m => m.bodyToString()), Array.from({length: 200}, (_, i) => String(i)))
    assert.equal(got[200].bodySize, large.length)
    await connection.close()
  }
})

check('a page publishes over MQTT, a worker consumes over AMQP, and answers', async () => {
  const topic = topicOf('cross')
  const key = topic.replaceAll('/', '.')
  const connection = await overAmqp()
  const channel = await connection.channel()
  const {name: queue} = await channel.queueDeclare('', {exclusive: true})
  await channel.queueBind(queue, 'amq.topic', `${key}.ask`)
  await channel.basicConsume(queue, {noAck: true}, message =>
    channel.basicPublish('amq.topic', `${key}.answer`, message.bodyToString().toUpperCase(), {deliveryMode: 2}))
  const page = await overMqtt()
  await page.subscribeAsync(`${topic}/answer`, {qos: 1})
  await page.publishAsync(`${topic}/ask`, 'hello', {qos: 1})
  await eventually(() => page.got.length === 1, 'the answer has come')
  assert.equal(page.got[0].payload.toString(), 'HELLO')
  await page.endAsync()
  await connection.close()
})

check('what is no handshake, or for a protocol that is not spoken, is refused', async () => {
  assert.equal((await get('/ws', {Upgrade: 'websocket', Connection: 'Upgrade'})).status, 426)
  for (const [path, protocols] of [['/ws/mqtt', ['v12.unknown']], ['/elsewhere', []]]) {
    const opened = await new Promise(resolve => {
      const socket = new WebSocket(`ws://${base}${path}`, protocols)
      socket.on('open', () => { socket.terminate(); resolve(true) })
      socket.on('error', () => resolve(false))
    })
    assert.equal(opened, false, path)
  }
})

check('a text message ends the connection with 1003', async () => {
  const code = await new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://${base}/ws`, 'mqtt')
    socket.on('open', () => socket.send('text'))
    socket.on('close', resolve)
    socket.on('error', reject)
  })
  assert.equal(code, 1003)
})

run(80)
