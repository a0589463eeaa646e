'use strict'
// Requests and answers across protocols: amqplib and MQTT.js (5), neither of which knows of the other.

const amqp = require('amqplib')
const mqtt = require('mqtt')
const {assert, check, eventually, fresh, run, url} = require('./checks.js')

const broker = `mqtt://${process.env.MQTT_HOST ?? '127.0.0.1'}:${process.env.MQTT_PORT ?? '1883'}`
const topicOf = prefix => fresh(prefix).replaceAll('.', '/')
const keyOf = topic => topic.replaceAll('/', '.')
const binary = Buffer.from([0xff, 0x00, 0x01, 0xfe])

async function mqttClient() {
  const client = await mqtt.connectAsync(broker, {username: 'guest', password: 'guest', protocolVersion: 5,
    clientId: fresh('js').replaceAll('.', '-'), reconnectPeriod: 0})
  client.got = []
  client.on('message', (topic, payload, {properties}) => client.got.push({topic, text: payload.toString(), properties}))
  return client
}

// An AMQP connection with a queue of requests that the topic leads to.
async function amqpClient(topic) {
  const connection = await amqp.connect(url)
  const channel = await connection.createConfirmChannel()
  channel.returned = []
  channel.on('return', message => channel.returned.push(message.fields.routingKey))
  const {queue} = await channel.assertQueue('', {exclusive: true})
  if (topic) await channel.bindQueue(queue, 'amq.topic', keyOf(topic))
  return {connection, channel, queue}
}
const published = (channel, key, body, options) => new Promise((resolve, reject) =>
  channel.publish('', key, Buffer.from(body), options, error => error ? reject(error) : resolve()))

async function next(channel, queue) {
  let message
  await eventually(async () => (message = await channel.get(queue, {noAck: true})) !== false, 'a message has come')
  return message
}

// What an unmodified responder does: to the response topic, with the correlation that it was shown.
async function mqttResponder(topic, respond = (request, answer) => answer(request.text.toUpperCase())) {
  const client = await mqttClient()
  await client.subscribeAsync(topic, {qos: 1})
  client.on('message', (_topic, payload, {properties}) => {
    const {responseTopic, correlationData} = properties ?? {}
    respond({text: payload.toString(), responseTopic, correlationData}, (text, more = {}) =>
      client.publishAsync(responseTopic, text, {qos: 1, properties: {...correlationData && {correlationData}, ...more}}))
  })
  return client
}

check('an AMQP requester with a queue of its own is answered by MQTT.js', async () => {
  const topic = topicOf('ask')
  const responder = await mqttResponder(topic)
  const {connection, channel, queue} = await amqpClient()
  channel.publish('amq.topic', keyOf(topic), Buffer.from('question'), {replyTo: queue, correlationId: '17'})
  const answer = await next(channel, queue)
  assert.equal(answer.content.toString(), 'QUESTION')
  assert.equal(answer.properties.correlationId, '17')
  assert.match(responder.got[0].properties.responseTopic, /^\$reply\/[0-9a-f]{32}$/)
  await connection.close()
  await responder.endAsync()
})

check('and one with direct reply-to, whose correlation is restored', async () => {
  const topic = topicOf('direct')
  const responder = await mqttResponder(topic, async ({text, responseTopic}, answer) => {
    if (text === 'silent') await responder.publishAsync(responseTopic, 'no correlation said', {qos: 1})
    else await answer('echoed')
  })
  const {connection, channel} = await amqpClient()
  const answers = []
  await channel.consume('amq.rabbitmq.reply-to', message => answers.push(message), {noAck: true})
  for (const [correlationId, body] of [['1', 'silent'], ['2', 'spoken']]) {
    channel.publish('amq.topic', keyOf(topic), Buffer.from(body), {replyTo: 'amq.rabbitmq.reply-to', correlationId})
  }
  await eventually(() => answers.length === 2, 'both are answered')
  assert.deepEqual(answers.map(a => [a.properties.correlationId, a.content.toString()]).sort(),
    [['1', 'no correlation said'], ['2', 'echoed']])
  await connection.close()
  await responder.endAsync()
})

check('an MQTT.js requester is answered by amqplib, whatever its correlation', async () => {
  const [topic, back] = [topicOf('do'), topicOf('back')]
  const requester = await mqttClient()
  await requester.subscribeAsync(back, {qos: 1})
  const {connection, channel, queue} = await amqpClient(topic)
  const ask = async correlationData => {
    await requester.publishAsync(topic, 'question', {qos: 1, properties: {responseTopic: back, correlationData}})
    return next(channel, queue)
  }
  const long = Buffer.alloc(1000, 'l')
  for (const [correlationData, seen] of [[Buffer.from('c-1'), 'c-1'], [binary, undefined], [long, undefined]]) {
    const {properties} = await ask(correlationData)
    assert.match(properties.replyTo, /^amq\.reply\.[0-9a-f]{32}$/)
    assert.equal(properties.correlationId, seen)
    assert.equal(properties.headers['x-reply-to-topic'], keyOf(back))
    if (!seen) assert.deepEqual(Buffer.from(properties.headers['x-correlation-id']), correlationData)
    // Confirmed, and with whatever the responder makes of the correlation.
    await published(channel, properties.replyTo, 'answer', {correlationId: properties.correlationId, mandatory: true})
    const answer = await eventually(() => requester.got.length === 1, 'the answer has come').then(() => requester.got.pop())
    assert.equal(answer.topic, back)
    assert.deepEqual(answer.properties.correlationData, correlationData)
  }
  assert.deepEqual(channel.returned, [])
  await connection.close()
  await requester.endAsync()
})

check('what answers nobody is returned: a second answer, a forged token', async () => {
  const [topic, back] = [topicOf('twice'), topicOf('back')]
  const requester = await mqttClient()
  await requester.subscribeAsync(back, {qos: 1})
  const {connection, channel, queue} = await amqpClient(topic)
  await requester.publishAsync(topic, 'question', {qos: 1, properties: {responseTopic: back}})
  const {replyTo} = (await next(channel, queue)).properties
  const forged = `amq.reply.${'0'.repeat(32)}`
  await published(channel, replyTo, 'first', {mandatory: true})
  await published(channel, replyTo, 'second', {mandatory: true})
  await published(channel, forged, 'guessed', {mandatory: true})
  await published(channel, forged, 'guessed', {})
  assert.deepEqual(channel.returned, [replyTo, forged])
  await eventually(() => requester.got.length === 1, 'the first has come')
  const reasons = []
  requester.on('packetreceive', packet => packet.cmd === 'puback' && reasons.push(packet.reasonCode))
  await requester.publishAsync(`$reply/${'0'.repeat(32)}`, 'guessed', {qos: 1})
  assert.deepEqual(reasons, [0x10], 'no matching subscribers')
  assert.deepEqual(requester.got.map(m => m.text), ['first'])
  await connection.close()
  await requester.endAsync()
})

check('as many answers as the requester wants, progress besides', async () => {
  const [topic, back] = [topicOf('many'), topicOf('back')]
  const requester = await mqttClient()
  await requester.subscribeAsync(back, {qos: 1})
  const {connection, channel, queue} = await amqpClient(topic)
  const ask = async userProperties => {
    await requester.publishAsync(topic, 'question', {qos: 1, properties: {responseTopic: back, ...userProperties && {userProperties}}})
    return (await next(channel, queue)).properties.replyTo
  }
  const many = await ask({'x-reply-multiple': 'true'})
  for (const text of ['1', '2', '3']) await published(channel, many, text, {mandatory: true})
  const one = await ask()
  await published(channel, one, '50%', {mandatory: true, headers: {'x-progress': 50}})
  await published(channel, one, 'done', {mandatory: true})
  await published(channel, one, 'too many', {mandatory: true})
  assert.deepEqual(channel.returned, [one])
  await eventually(() => requester.got.length === 5, 'all have come')
  assert.deepEqual(requester.got.map(m => m.text), ['1', '2', '3', '50%', 'done'])
  assert.equal(requester.got[3].properties.userProperties['x-progress'], '50')
  await connection.close()
  await requester.endAsync()
})

check('a thousand requests under way at once, each with its own answer', async () => {
  const topic = topicOf('load')
  const responder = await mqttResponder(topic, ({text}, answer) => answer(`${text}!`))
  const {connection, channel} = await amqpClient()
  const answers = new Map()
  await channel.consume('amq.rabbitmq.reply-to',
    message => answers.set(message.properties.correlationId, message.content.toString()), {noAck: true})
  for (let i = 0; i < 1000; ++i) {
    channel.publish('amq.topic', keyOf(topic), Buffer.from(`q${i}`),
      {replyTo: 'amq.rabbitmq.reply-to', correlationId: String(i), persistent: true})
  }
  await eventually(() => answers.size === 1000, 'all are answered', 30_000)
  for (let i = 0; i < 1000; ++i) assert.equal(answers.get(String(i)), `q${i}!`)
  await connection.close()
  await responder.endAsync()
})

run(80)
