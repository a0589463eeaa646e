'use strict'
// amqplib: the promise API and the callback API, as their manuals show.

const amqp = require('amqplib')
const callbackApi = require('amqplib/callback_api')
const {assert, check, eventually, fresh, relay, run, url} = require('./checks.js')

const withChannel = (kind, action) => async () => {
  const connection = await amqp.connect(url)
  const channel = await connection[kind]()
  await action(channel, connection)
  await connection.close()
}
const plain = action => withChannel('createChannel', action)
const confirmed = action => withChannel('createConfirmChannel', action)

const ownQueue = async (channel, options) => (await channel.assertQueue('', {exclusive: true, ...options})).queue

// The channel must be closed with this code, and the connection must survive it.
async function refused(code, text, action) {
  const connection = await amqp.connect(url)
  const channel = await connection.createChannel()
  const closed = new Promise(resolve => channel.on('error', resolve))
  await Promise.resolve(action(channel)).catch(() => {})
  const error = await closed
  assert.equal(error.code, code)
  assert.match(error.message, text)
  await connection.createChannel()
  await connection.close()
}

check('both mechanisms are let in, a wrong password is not; the server says who it is', async () => {
  for (const credentials of [amqp.credentials.plain('guest', 'guest'), amqp.credentials.amqplain('guest', 'guest')]) {
    const connection = await amqp.connect(url, {credentials})
    assert.equal(connection.connection.serverProperties.capabilities.publisher_confirms, true)
    await connection.close()
  }
  await assert.rejects(amqp.connect(url, {credentials: amqp.credentials.plain('guest', 'no')}), /ACCESS_REFUSED|403/)
})

check('2000 confirmed publishes, consumed in order under a prefetch of 10, every property kept', confirmed(async channel => {
  const queue = await ownQueue(channel, {durable: true})
  const properties = {
    contentType: 'text/plain', contentEncoding: 'utf-8', priority: 3, correlationId: 'c', replyTo: 'r', expiration: '60000',
    messageId: 'm', timestamp: 1700000000, type: 't', userId: 'guest', appId: 'a', deliveryMode: 2,
    headers: {text: 'grün', int: 7, big: 2 ** 40, float: 0.5, yes: true, no: null, list: [1, 'two'], table: {a: {b: 1}}}
  }
  const received = []
  await channel.prefetch(10)
  const {consumerTag} = await channel.consume(queue, message => {
    received.push(message)
    channel.ack(message)
  })
  for (let n = 0; n < 2000; ++n) channel.sendToQueue(queue, Buffer.from(String(n)), n ? {} : properties)
  await channel.waitForConfirms()
  await eventually(() => received.length === 2000, '2000 deliveries')
  received.forEach((message, n) => assert.equal(message.content.toString(), String(n)))
  for (const [name, value] of Object.entries(properties)) assert.deepEqual({...received[0].properties}[name], value, name)
  await channel.cancel(consumerTag)
  assert.equal((await channel.checkQueue(queue)).messageCount, 0)
}))

check('prefetch limits what is lent; nack, reject and recover give it back', plain(async channel => {
  const queue = await ownQueue(channel)
  for (let n = 0; n < 5; ++n) channel.sendToQueue(queue, Buffer.from(String(n)))
  await channel.prefetch(2)
  const held = []
  const {consumerTag} = await channel.consume(queue, message => held.push(message))
  await eventually(() => held.length === 2, 'two deliveries')
  channel.ack(held[0])
  await eventually(() => held.length === 3, 'a third after the ack')
  await channel.cancel(consumerTag)
  channel.nack(held[2], true, true)
  const again = await channel.get(queue)
  assert.equal(again.content.toString(), '1')
  assert.equal(again.fields.redelivered, true)
  channel.reject(again, false)
  await channel.get(queue)
  await channel.recover()
  const left = []
  for (let message; (message = await channel.get(queue, {noAck: true}));) left.push(message.content.toString())
  assert.deepEqual(left, ['2', '3', '4'])
}))

check('a mandatory message to nowhere comes back; a full queue nacks', confirmed(async channel => {
  const returned = new Promise(resolve => channel.once('return', resolve))
  channel.publish('amq.topic', fresh('nowhere'), Buffer.from('back'), {mandatory: true})
  const message = await returned
  assert.equal(message.fields.replyCode, 312)
  assert.equal(message.content.toString(), 'back')
  await channel.waitForConfirms()
  const queue = await ownQueue(channel, {arguments: {'x-max-length': 1, 'x-overflow': 'reject-publish'}})
  channel.sendToQueue(queue, Buffer.from('first'))
  await channel.waitForConfirms()
  channel.sendToQueue(queue, Buffer.from('second'))
  await assert.rejects(channel.waitForConfirms())
}))

check('direct, fanout, topic, headers and chained exchanges; dead letters', confirmed(async channel => {
  const queue = await ownQueue(channel)
  const reaches = async (exchange, key, headers) => {
    channel.publish(exchange, key, Buffer.from('m'), {headers})
    await channel.waitForConfirms()
    return await channel.get(queue, {noAck: true}) !== false
  }
  for (const [type, pattern, hit, miss] of [['direct', 'k', 'k', 'x'], ['topic', '#.z', 'a.b.z', 'z.a'], ['fanout', '', 'any']]) {
    const {exchange} = await channel.assertExchange(fresh(type), type, {autoDelete: true})
    await channel.bindQueue(queue, exchange, pattern)
    assert.equal(await reaches(exchange, hit), true, `${type} ${hit}`)
    if (miss) assert.equal(await reaches(exchange, miss), false, `${type} ${miss}`)
    await channel.bindExchange(exchange, 'amq.direct', hit)
    assert.equal(await reaches('amq.direct', hit), true, `through amq.direct to ${type}`)
    await channel.unbindExchange(exchange, 'amq.direct', hit)
    await channel.unbindQueue(queue, exchange, pattern)
    // An auto-delete exchange ends with its last binding.
    await refused(404, /no exchange/, c => c.checkExchange(exchange))
  }
  await channel.bindQueue(queue, 'amq.headers', '', {'x-match': 'all', a: 1, b: 'two'})
  assert.equal(await reaches('amq.headers', '', {a: 1, b: 'two', c: 3}), true, 'headers')
  assert.equal(await reaches('amq.headers', '', {a: 1}), false, 'headers')
  const dying = await ownQueue(channel, {deadLetterExchange: '', deadLetterRoutingKey: queue, messageTtl: 20})
  channel.sendToQueue(dying, Buffer.from('late'))
  let dead
  await eventually(async () => (dead = await channel.get(queue, {noAck: true})), 'a dead letter')
  assert.equal(dead.properties.headers['x-death'][0].reason, 'expired')
  assert.equal(dead.properties.headers['x-first-death-queue'], dying)
}))

check('remote calls over direct reply-to', plain(async (channel, connection) => {
  const server = await connection.createChannel()
  const service = await ownQueue(server)
  await server.consume(service, message => {
    server.sendToQueue(message.properties.replyTo, Buffer.from(message.content.toString().toUpperCase()),
      {correlationId: message.properties.correlationId})
    server.ack(message)
  })
  const replies = new Map()
  await channel.consume('amq.rabbitmq.reply-to', m => replies.set(m.properties.correlationId, m.content.toString()), {noAck: true})
  for (let n = 0; n < 50; ++n) {
    channel.sendToQueue(service, Buffer.from(`call ${n}`), {replyTo: 'amq.rabbitmq.reply-to', correlationId: String(n)})
  }
  await eventually(() => replies.size === 50, '50 replies')
  for (let n = 0; n < 50; ++n) assert.equal(replies.get(String(n)), `CALL ${n}`)
}))

check('a consumer hears that its queue is gone', plain(async channel => {
  const queue = await ownQueue(channel)
  const told = new Promise(resolve => channel.consume(queue, resolve).then(() => channel.deleteQueue(queue)))
  assert.equal(await told, null)
}))

check('404, 403, 405 and 406 close the channel only', plain(async (channel, connection) => {
  const queue = await ownQueue(channel)
  const missing = fresh('missing')
  await refused(404, /NOT_FOUND - no queue/, c => c.checkQueue(missing))
  await refused(404, /NOT_FOUND - no exchange/, c => c.publish(missing, 'k', Buffer.from('x')))
  await refused(403, /ACCESS_REFUSED/, c => c.assertQueue('amq.mine'))
  await refused(405, /RESOURCE_LOCKED/, c => c.purgeQueue(queue))
  await refused(406, /inequivalent arg 'type'/, c => c.assertExchange('amq.topic', 'direct'))
  await refused(406, /unknown delivery tag 42/, c => c.ack({fields: {deliveryTag: 42}}))
}))

check('bodies around the frame size, and 10 MiB', async () => {
  const connection = await amqp.connect(`${url}?frameMax=8192`)
  const channel = await connection.createConfirmChannel()
  const queue = await ownQueue(channel)
  for (const size of [0, 1, 8183, 8184, 8185, 10 << 20]) {
    const body = Buffer.alloc(size, 'linnet')
    channel.sendToQueue(queue, body)
    await channel.waitForConfirms()
    assert.ok(body.equals((await channel.get(queue, {noAck: true})).content), `${size} bytes came back changed`)
  }
  await connection.close()
})

check('the callback API: open, publish with a callback, consume, close', () => new Promise((resolve, reject) => {
  const orFail = next => (error, value) => error ? reject(error) : next(value)
  callbackApi.connect(url, orFail(connection => connection.createConfirmChannel(orFail(channel => {
    channel.assertQueue('', {exclusive: true}, orFail(({queue}) => {
      channel.consume(queue, message => {
        channel.ack(message)
        connection.close(message.content.toString() === 'hello' ? resolve : reject)
      }, {}, orFail(() => channel.sendToQueue(queue, Buffer.from('hello'), {}, orFail(() => {}))))
    }))
  }))))
}))

check('recovery: a cut connection is opened again, set up again, and consumes again', async () => {
  const broker = await relay()
  const queue = fresh('recovered')
  const received = []
  let setups = 0
  const connection = await amqp.connect(broker.url, {recovery: {
    initialDelay: 20, maxDelay: 100,
    async setup(model) {
      ++setups
      const channel = await model.createChannel()
      await channel.assertQueue(queue, {autoDelete: false})
      await channel.consume(queue, message => { received.push(message.content.toString()); channel.ack(message) })
    }
  }})
  connection.on('disconnect', () => {})
  connection.on('error', () => {})
  broker.cut()
  await eventually(() => setups === 2, 'a second set-up')
  await plain(async channel => {
    channel.sendToQueue(queue, Buffer.from('after'))
    await eventually(() => received.length === 1, 'a delivery after the cut')
    assert.deepEqual(received, ['after'])
    await channel.deleteQueue(queue)
  })()
  await connection.close()
  broker.close()
})

run(60)
