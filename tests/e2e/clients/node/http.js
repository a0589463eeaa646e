'use strict'
// What pages and servers written in JavaScript use: fetch and EventSource, crossing with MQTT.js.

const {EventSource} = require('eventsource')
const mqtt = require('mqtt')
const {assert, check, eventually, fresh, run} = require('./checks.js')

const base = `http://${process.env.HTTP_HOST ?? '127.0.0.1'}:${process.env.HTTP_PORT ?? '15672'}/v1/%2F`
const login = {authorization: `Basic ${Buffer.from('guest:guest').toString('base64')}`}
const ask = (method, path, body, headers = {}) => fetch(base + path, {method, body, headers: {...login, ...headers}})
const topicOf = prefix => fresh(prefix).replaceAll('.', '-')

const overMqtt = () => mqtt.connectAsync({host: process.env.MQTT_HOST ?? '127.0.0.1', protocolVersion: 5,
  port: Number(process.env.MQTT_PORT ?? 1883), username: 'guest', password: 'guest', clientId: fresh('http'),
  reconnectPeriod: 0})

// Its events as they come, once it is open.
async function listen(path, names) {
  const source = new EventSource(base + path, {
    fetch: (url, init) => fetch(url, {...init, headers: {...init.headers, ...login}})})
  source.got = []
  for (const name of names) {
    source.addEventListener(name, e => source.got.push({name, data: e.data, id: e.lastEventId}))
  }
  await eventually(() => source.readyState === EventSource.OPEN, 'the stream is open')
  return source
}

check('fetch publishes to a topic, MQTT.js gets it with its properties', async () => {
  const client = await overMqtt()
  const topic = topicOf('house')
  const got = []
  client.on('message', (name, payload, packet) => got.push({name, text: payload.toString(), ...packet.properties}))
  await client.subscribeAsync(`${topic}/#`, {qos: 1})
  const answer = await ask('POST', `/t/${topic}/kitchen`, '21', {'content-type': 'text/plain', 'x-h-unit': 'C',
    'correlation-id': 'c1', ttl: '60'})
  assert.equal(answer.status, 201)
  assert.ok((await answer.json()).id)
  await eventually(() => got.length === 1, 'it has come')
  assert.equal(got[0].name, `${topic}/kitchen`)
  assert.equal(got[0].text, '21')
  assert.equal(got[0].contentType, 'text/plain')
  assert.equal(got[0].correlationData.toString(), 'c1')
  assert.equal(got[0].userProperties.unit, 'C')
  await client.endAsync()
})

check('MQTT.js publishes, an EventSource gets it', async () => {
  const client = await overMqtt()
  const topic = topicOf('house')
  const source = await listen(`/events?topic=${topic}/%2B&event=message`, ['message', 'message;base64'])
  await client.publishAsync(`${topic}/hall`, 'two\nlines', {qos: 1, properties: {contentType: 'text/plain'}})
  await client.publishAsync(`${topic}/hall`, Buffer.from([0, 255]), {qos: 1})
  await eventually(() => source.got.length === 2, 'both have come')
  assert.equal(source.got[0].data, 'two\nlines')
  assert.equal(JSON.parse(source.got[1].data).base64, 'AP8=')
  source.close()
  await client.endAsync()
})

check('a retained message is the last value, whoever set it', async () => {
  const client = await overMqtt()
  const topic = topicOf('last')
  await client.publishAsync(topic, '1', {qos: 1, retain: true, properties: {contentType: 'text/plain'}})
  let answer = await ask('GET', `/t/${topic}`)
  assert.equal(await answer.text(), '1')
  const etag = answer.headers.get('etag')
  assert.equal((await ask('GET', `/t/${topic}`, undefined, {'if-none-match': etag})).status, 304)
  assert.equal((await ask('PUT', `/t/${topic}`, '2', {'content-type': 'text/plain'})).status, 201)
  const got = []
  client.on('message', (name, payload, packet) => got.push([payload.toString(), packet.retain]))
  await client.subscribeAsync(topic, {qos: 1})
  await eventually(() => got.length === 1, 'it is shown')
  assert.deepEqual(got, [['2', true]])
  assert.equal((await ask('DELETE', `/t/${topic}`)).status, 201)
  answer = await ask('GET', `/t/${topic}`)
  assert.equal(answer.status, 404)
  await client.endAsync()
})

check('an MQTT 5 worker answers a call at its Response Topic', async () => {
  const client = await overMqtt()
  const topic = topicOf('orders')
  client.on('message', (name, payload, packet) => {
    client.publish(packet.properties.responseTopic, payload.toString().toUpperCase(), {qos: 1, properties: {
      correlationData: packet.properties.correlationData, contentType: 'text/plain'}})
  })
  await client.subscribeAsync(topic, {qos: 1})
  const answer = await ask('POST', `/rpc/amq.topic/${topic}`, 'order', {prefer: 'wait=15'})
  assert.equal(answer.status, 200)
  assert.equal(await answer.text(), 'ORDER')
  assert.equal(answer.headers.get('content-type'), 'text/plain')
  await client.endAsync()
})

check('an MQTT requester is answered by a worker that knows only HTTP', async () => {
  const client = await overMqtt()
  const [topic, reply] = [topicOf('ask'), topicOf('reply')]
  const got = []
  client.on('message', (name, payload, packet) => got.push([name, payload.toString(),
    packet.properties.correlationData?.toString()]))
  await client.subscribeAsync(reply, {qos: 1})
  // The worker's queue is another MQTT session's, which stays when its connection ends.
  const queue = await mqtt.connectAsync({host: process.env.MQTT_HOST ?? '127.0.0.1', protocolVersion: 5,
    port: Number(process.env.MQTT_PORT ?? 1883), username: 'guest', password: 'guest', clientId: topic, clean: false,
    properties: {sessionExpiryInterval: 60}, reconnectPeriod: 0})
  await queue.subscribeAsync(topic, {qos: 1})
  await queue.endAsync()
  await client.publishAsync(topic, 'question', {qos: 1, properties: {responseTopic: reply,
    correlationData: Buffer.from('c7')}})
  const taken = await ask('GET', `/q/mqtt-subscription-${topic}?wait=10`)
  assert.equal(taken.status, 200)
  assert.equal(await taken.text(), 'question')
  const where = taken.headers.get('reply-to')
  assert.ok(where.startsWith('amq.reply.'))
  assert.equal((await ask('POST', `/q/${where}`, 'answer')).status, 201)
  assert.equal((await ask('DELETE', `/leases/${taken.headers.get('lease')}`)).status, 204)
  await eventually(() => got.length === 1, 'the answer has come')
  assert.deepEqual(got[0], [reply, 'answer', 'c7'])
  await client.endAsync()
})

check('the document says what there is', async () => {
  const document = await (await fetch(base.replace('/%2F', '/openapi.json'), {headers: login})).json()
  assert.equal(document.openapi, '3.0.3')
  assert.ok(Object.keys(document.paths).length > 10)
})

run(60)
