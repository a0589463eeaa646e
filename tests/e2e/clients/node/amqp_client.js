'use strict'
// @cloudamqp/amqp-client: the low-level client and the session that reconnects.

const {AMQPClient, AMQPSession} = require('@cloudamqp/amqp-client')
const {assert, check, eventually, fresh, relay, run, url} = require('./checks.js')

const withChannel = action => async () => {
  const connection = await new AMQPClient(url).connect()
  await action(await connection.channel(), connection)
  await connection.close()
}

const ownQueue = async (channel, args) => (await channel.queueDeclare('', {exclusive: true, autoDelete: false}, args)).name
const bodyOf = message => message?.bodyToString()

check('a wrong password and an unknown vhost are refused', async () => {
  for (const change of [u => { u.password = 'no' }, u => { u.pathname = `/${fresh('missing')}` }]) {
    const wrong = new URL(url)
    change(wrong)
    await assert.rejects(new AMQPClient(wrong.href).connect(), /ACCESS_REFUSED|NOT_ALLOWED|403|530/i)
  }
})

check('publish, get and consume; properties and headers come back', withChannel(async channel => {
  const queue = await ownQueue(channel)
  const properties = {
    contentType: 'text/plain', contentEncoding: 'utf-8', deliveryMode: 2, priority: 3, correlationId: 'c', replyTo: 'r',
    expiration: '60000', messageId: 'm', timestamp: new Date(1700000000000), type: 't', userId: 'guest', appId: 'a',
    headers: {text: 'grün', int: -7, big: 2 ** 40, float: 0.5, yes: true, no: null, list: [1, 'two'], table: {a: {b: 1}}}
  }
  await channel.basicPublish('', queue, 'hello', properties)
  const message = await channel.basicGet(queue, {noAck: true})
  assert.equal(bodyOf(message), 'hello')
  assert.deepEqual({...message.properties}, properties)
  assert.equal(await channel.basicGet(queue), null)

  await channel.prefetch(10)
  const bodies = []
  const consumer = await channel.basicConsume(queue, {noAck: false}, async received => {
    bodies.push(bodyOf(received))
    await received.ack()
  })
  for (let n = 0; n < 500; ++n) await channel.basicPublish('', queue, String(n))
  await eventually(() => bodies.length === 500, '500 deliveries')
  assert.deepEqual(bodies, Array.from({length: 500}, (_, n) => String(n)))
  await consumer.cancel()
}))

check('confirms: acknowledged one by one and pipelined, nacked by a full queue, returned when mandatory',
  withChannel(async channel => {
    await channel.confirmSelect()
    const queue = await ownQueue(channel)
    const tags = await Promise.all(Array.from({length: 500}, (_, n) => channel.basicPublish('', queue, String(n))))
    assert.deepEqual(tags, Array.from({length: 500}, (_, n) => n + 1))
    assert.equal((await channel.queuePurge(queue)).messageCount, 500)
    const full = await ownQueue(channel, {'x-max-length': 0, 'x-overflow': 'reject-publish'})
    await assert.rejects(channel.basicPublish('', full, 'no room'))
    const returned = new Promise(resolve => { channel.onReturn = resolve })
    await channel.basicPublish('amq.topic', fresh('nowhere'), 'back', {}, true)
    const message = await returned
    assert.deepEqual([message.replyCode, bodyOf(message)], [312, 'back'])
  }))

check('prefetch, nack, reject, recover, transactions', withChannel(async (channel, connection) => {
  const queue = await ownQueue(channel)
  const transacted = await connection.channel()
  await transacted.txSelect()
  await transacted.basicPublish('', queue, 'forgotten')
  await transacted.txRollback()
  for (const body of ['a', 'b', 'c', 'd']) await transacted.basicPublish('', queue, body)
  await transacted.txCommit()
  await channel.basicQos(2)
  const held = []
  const consumer = await channel.basicConsume(queue, {noAck: false}, message => { held.push(message) })
  await eventually(() => held.length === 2, 'two deliveries')
  await held[0].ack()
  await eventually(() => held.length === 3, 'a third after the ack')
  await consumer.cancel()
  await channel.basicNack(held[2].deliveryTag, true, true)
  const again = await channel.basicGet(queue, {noAck: false})
  assert.deepEqual([bodyOf(again), again.redelivered], ['b', true])
  await again.reject(false)
  await channel.basicGet(queue, {noAck: false})
  await channel.basicRecover(true)
  assert.equal(bodyOf(await channel.basicGet(queue, {noAck: true})), 'c')
  assert.equal(bodyOf(await channel.basicGet(queue, {noAck: true})), 'd')
}))

check('exchanges of each type, bindings, and their removal', withChannel(async channel => {
  await channel.confirmSelect()
  const queue = await ownQueue(channel)
  const reaches = async (exchange, key, headers = {}) => {
    await channel.basicPublish(exchange, key, 'm', {headers})
    return await channel.basicGet(queue, {noAck: true}) !== null
  }
  for (const [type, pattern, hit, miss] of [['direct', 'k', 'k', 'x'], ['fanout', '', 'any'], ['topic', '*.b.#', 'a.b', 'b']]) {
    const exchange = fresh(type)
    await channel.exchangeDeclare(exchange, type, {durable: false})
    await channel.queueBind(queue, exchange, pattern)
    assert.equal(await reaches(exchange, hit), true, `${type} ${hit}`)
    if (miss) assert.equal(await reaches(exchange, miss), false, `${type} ${miss}`)
    await channel.exchangeBind(exchange, 'amq.fanout')
    assert.equal(await reaches('amq.fanout', hit), true, `amq.fanout to ${type}`)
    await channel.exchangeUnbind(exchange, 'amq.fanout')
    await channel.queueUnbind(queue, exchange, pattern)
    assert.equal(await reaches(exchange, hit), false, `${type} without a binding`)
    await channel.exchangeDelete(exchange)
  }
  await channel.queueBind(queue, 'amq.headers', '', {'x-match': 'all', a: 1, b: 'two'})
  assert.equal(await reaches('amq.headers', '', {a: 1, b: 'two'}), true, 'headers')
  assert.equal(await reaches('amq.headers', '', {a: 1}), false, 'headers')
}))

check('channel.flow is answered', withChannel(async channel => {
  assert.equal(await channel.basicFlow(true), true)
}))

check('errors close the channel only; a queue delete cancels its consumer', withChannel(async (channel, connection) => {
  const missing = fresh('missing')
  for (const [code, action] of [
    [404, c => c.queueDeclare(missing, {passive: true})], [404, c => c.queueBind(missing, 'amq.direct', 'k')],
    [403, c => c.queueDeclare('amq.mine')], [406, c => c.exchangeDeclare('amq.topic', 'direct')]
  ]) {
    await assert.rejects(connection.channel().then(action), new RegExp(code))
  }
  const queue = await ownQueue(channel)
  const consumer = await channel.basicConsume(queue, {noAck: true}, () => {})
  const ended = assert.rejects(consumer.wait(5000), /cancelled by the server/i)
  await channel.queueDelete(queue)
  await ended
}))

check('bodies around the frame size, and 10 MiB', async () => {
  const connection = await new AMQPClient(`${url}?frameMax=8192`).connect()
  const channel = await connection.channel()
  await channel.confirmSelect()
  const queue = await ownQueue(channel)
  for (const size of [0, 1, 8183, 8184, 8185, 10 << 20]) {
    const body = Buffer.alloc(size, 'linnet')
    await channel.basicPublish('', queue, body)
    const message = await channel.basicGet(queue, {noAck: true})
    assert.ok(body.equals(message.body ?? Buffer.alloc(0)), `${size} bytes came back changed`)
  }
  await connection.close()
})

check('sessions: remote calls, and subscriptions that survive a cut connection', async () => {
  const broker = await relay()
  let connects = 0
  const session = await AMQPSession.connect(broker.url, {
    reconnectInterval: 20, maxReconnectInterval: 100, logger: null, onconnect: () => { ++connects }
  })
  const name = fresh('session')
  const queue = await session.queue(name, {durable: true, autoDelete: false})
  const received = []
  await queue.subscribe({prefetch: 5}, message => { received.push(message.bodyString()) })
  const service = fresh('service')
  await session.rpcServer(service, message => `${message.bodyString()}!`)
  for (let round = 1; round <= 3; ++round) {
    await queue.publish(`round ${round}`, {deliveryMode: 2})
    await eventually(() => received.includes(`round ${round}`), `round ${round}`)
    assert.equal((await session.rpcCall(service, `call ${round}`, {timeout: 5000})).bodyString(), `call ${round}!`)
    broker.cut()
    await eventually(() => connects === round + 1, 'the session is back')
  }
  await queue.publish('last')
  await eventually(() => received.includes('last'), 'the last message')
  await queue.delete()
  await session.stop()
  broker.close()
})

run(60)
