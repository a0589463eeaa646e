'use strict'
// MQTT.js: both versions, its own reconnecting, and amqplib on the other side of the crossing.

const amqp = require('amqplib')
const mqtt = require('mqtt')
const {assert, check, eventually, fresh, run, url} = require('./checks.js')

const broker = `mqtt://${process.env.MQTT_HOST ?? '127.0.0.1'}:${process.env.MQTT_PORT ?? '1883'}`
const name = () => fresh('js').replaceAll('.', '-')
const topicOf = prefix => fresh(prefix).replaceAll('.', '/')

async function connected(options = {}) {
  const client = await mqtt.connectAsync(broker, {username: 'guest', password: 'guest', clientId: name(),
    reconnectPeriod: 0, ...options})
  client.got = []
  client.on('message', (topic, payload, packet) => client.got.push({...packet, topic, text: payload.toString()}))
  return client
}

for (const protocolVersion of [3, 4, 5]) {
  const protocolId = protocolVersion === 3 ? 'MQIsdp' : 'MQTT'
  check(`every quality of service in protocol level ${protocolVersion}`, async () => {
    const client = await connected({protocolVersion, protocolId})
    const topic = topicOf('qos')
    await client.subscribeAsync(`${topic}/#`, {qos: 2})
    for (let i = 0; i < 30; ++i) await client.publishAsync(`${topic}/${i}`, String(i), {qos: i % 3})
    await eventually(() => client.got.length === 30, 'all have come')
    assert.deepEqual(client.got.map(m => Number(m.text)), [...Array(30).keys()])
    assert.deepEqual(client.got.map(m => m.qos), [...Array(30).keys()].map(i => i % 3))
    await client.endAsync()
  })
}

check('properties of MQTT 5 come through, aliases go both ways', async () => {
  const client = await connected({protocolVersion: 5, autoAssignTopicAlias: true, properties: {topicAliasMaximum: 5}})
  const topic = topicOf('properties')
  const grants = await client.subscribeAsync(topic, {qos: 1, properties: {subscriptionIdentifier: 9}})
  assert.equal(grants[0].qos, 1)
  const properties = {contentType: 'text/plain', responseTopic: 'back', correlationData: Buffer.from([0, 255]),
    userProperties: {a: ['1', '2'], b: '3'}}
  for (let i = 0; i < 3; ++i) await client.publishAsync(topic, 'x', {qos: 1, properties})
  await eventually(() => client.got.length === 3, 'all have come')
  for (const message of client.got) {
    assert.equal(message.topic, topic)
    const {contentType, responseTopic, correlationData, userProperties, subscriptionIdentifier} = message.properties
    assert.deepEqual({contentType, responseTopic, correlationData, userProperties: {...userProperties}}, properties)
    assert.equal(subscriptionIdentifier, 9)
  }
  await client.endAsync()
})

check('a session that is kept goes on after the socket was cut', async () => {
  const topic = topicOf('cut')
  const client = await connected({clean: false, reconnectPeriod: 50})
  await client.subscribeAsync(topic, {qos: 2})
  const publisher = await connected()
  const back = new Promise(resolve => client.once('connect', resolve))
  client.stream.destroy()
  for (let i = 0; i < 20; ++i) await publisher.publishAsync(topic, String(i), {qos: 2})
  assert.equal((await back).sessionPresent, true)
  await eventually(() => client.got.length === 20, 'all have come')
  assert.deepEqual(client.got.map(m => Number(m.text)), [...Array(20).keys()])
  await client.endAsync()
  await publisher.endAsync()
})

check('a will, retained, waits for whoever asks', async () => {
  const topic = topicOf('will')
  const victim = await connected({will: {topic, payload: 'gone', qos: 1, retain: true}})
  victim.stream.destroy()
  const client = await connected()
  await client.subscribeAsync(topic, {qos: 1})
  await eventually(() => client.got.length === 1, 'the will has come')
  assert.equal(client.got[0].text, 'gone')
  await client.publishAsync(topic, '', {qos: 1, retain: true})
  await client.endAsync()
})

check('a wrong password is refused', async () => {
  for (const [protocolVersion, code] of [[4, 4], [5, 0x86]]) {
    await assert.rejects(connected({protocolVersion, password: 'no'}), error => error.code === code)
  }
})

check('what amqplib publishes comes over MQTT, and back', async () => {
  const connection = await amqp.connect(url)
  const channel = await connection.createConfirmChannel()
  const topic = topicOf('cross')
  const key = topic.replaceAll('/', '.')
  const {queue} = await channel.assertQueue('', {exclusive: true})
  await channel.bindQueue(queue, 'amq.topic', `${key}.up`)
  const client = await connected({protocolVersion: 5})
  await client.subscribeAsync(`${topic}/down`, {qos: 1})
  channel.publish('amq.topic', `${key}.down`, Buffer.from('to MQTT'), {persistent: true, headers: {n: 7}})
  await eventually(() => client.got.length === 1, 'it has come')
  assert.equal(client.got[0].text, 'to MQTT')
  assert.equal(client.got[0].properties.userProperties.n, '7')
  await client.publishAsync(`${topic}/up`, 'to AMQP', {qos: 1})
  const message = await channel.get(queue, {noAck: true})
  assert.equal(message.content.toString(), 'to AMQP')
  await client.endAsync()
  await connection.close()
})

run(80)
