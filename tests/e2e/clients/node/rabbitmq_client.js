'use strict'
// rabbitmq-client: publishers, consumers and callers that reconnect by themselves, and bare channels.

const {Connection, ConsumerStatus} = require('rabbitmq-client')
const {assert, check, eventually, fresh, relay, run, url} = require('./checks.js')

function connect(at = url, options = {}) {
  const connection = new Connection({url: at, retryLow: 20, retryHigh: 100, ...options})
  connection.on('error', () => {})  // reported again by whoever waits
  return connection
}

const withConnection = action => async () => {
  const connection = connect()
  await connection.onConnect(10_000)
  await action(connection)
  await connection.close()
}

const ownQueue = async target => (await target.queueDeclare({exclusive: true})).queue

check('wrong credentials and unknown vhosts are refused', async () => {
  for (const options of [{password: 'no'}, {vhost: fresh('missing')}]) {
    const connection = new Connection({...options, hostname: new URL(url).hostname, port: new URL(url).port || 5672})
    const error = await new Promise(resolve => connection.once('error', resolve))
    assert.match(error.code, /ACCESS_REFUSED|NOT_ALLOWED/)
    connection.unsafeDestroy()
  }
})

check('a confirming publisher, a consumer with concurrency, every way of settling', withConnection(async connection => {
  const queue = fresh('work')
  const seen = new Map()
  const consumer = connection.createConsumer({
    queue, queueOptions: {autoDelete: true}, qos: {prefetchCount: 20}, concurrency: 10,
    exchanges: [{exchange: `${queue}.x`, type: 'topic', autoDelete: true}],
    queueBindings: [{exchange: `${queue}.x`, routingKey: 'job.*'}]
  }, message => {
    const times = (seen.get(message.body.n) ?? 0) + 1
    seen.set(message.body.n, times)
    assert.equal(message.redelivered, times > 1)
    if (message.body.n % 50 === 0 && times === 1) return ConsumerStatus.REQUEUE
    return message.body.n % 7 === 0 ? ConsumerStatus.DROP : ConsumerStatus.ACK
  })
  await new Promise(resolve => consumer.once('ready', resolve))
  const publisher = connection.createPublisher({confirm: true})
  await Promise.all(Array.from({length: 500}, (_, n) =>
    publisher.send({exchange: `${queue}.x`, routingKey: 'job.any', durable: true}, {n})))
  await eventually(() => consumer.stats.acknowledged + consumer.stats.dropped === 500, '500 settled messages')
  assert.equal(seen.size, 500)
  assert.equal(consumer.stats.requeued, 10)
  await publisher.close()
  await consumer.close()
}))

check('a mandatory message to nowhere is returned, an unknown exchange rejects the publish', withConnection(async connection => {
  const publisher = connection.createPublisher({confirm: true, maxAttempts: 1})
  const returned = new Promise(resolve => publisher.on('basic.return', resolve))
  await publisher.send({exchange: 'amq.direct', routingKey: fresh('nowhere'), mandatory: true}, 'back')
  const message = await returned
  assert.deepEqual([message.replyCode, message.body], [312, 'back'])
  await assert.rejects(publisher.send({exchange: fresh('missing'), routingKey: 'k'}, 'lost'), {code: 'NOT_FOUND'})
  await publisher.send({exchange: 'amq.direct', routingKey: 'k'}, 'a new channel serves the next one')
  await publisher.close()
}))

check('remote calls: replies reach their callers', withConnection(async connection => {
  const queue = fresh('service')
  const server = connection.createConsumer({queue, queueOptions: {autoDelete: true}, concurrency: 5},
    async (message, reply) => reply(message.body * 2))
  await new Promise(resolve => server.once('ready', resolve))
  const client = connection.createRPCClient({confirm: true, timeout: 10_000})
  const replies = await Promise.all(Array.from({length: 50}, (_, n) => client.send(queue, n)))
  assert.deepEqual(replies.map(reply => reply.body), Array.from({length: 50}, (_, n) => 2 * n))
  await client.close()
  await server.close()
}))

check('bare channels: qos, get, nack, recover, transactions', withConnection(async connection => {
  const channel = await connection.acquire()
  const queue = await ownQueue(channel)
  await channel.txSelect()
  await channel.basicPublish(queue, 'rolled back')
  await channel.txRollback()
  for (const body of ['a', 'b', 'c']) await channel.basicPublish(queue, body)
  await channel.txCommit()
  await channel.close()

  const other = await connection.acquire()
  const held = []
  await other.basicQos({prefetchCount: 2})
  const {consumerTag} = await other.basicConsume({queue}, message => held.push(message))
  await eventually(() => held.length === 2, 'two deliveries')
  other.basicAck({deliveryTag: held[0].deliveryTag})
  await eventually(() => held.length === 3, 'a third after the ack')
  await other.basicCancel(consumerTag)
  other.basicNack({deliveryTag: held[2].deliveryTag, multiple: true, requeue: true})
  const again = await other.basicGet(queue)
  assert.deepEqual([again.body, again.redelivered, again.messageCount], ['b', true, 1])
  await other.basicRecover({requeue: true})
  assert.deepEqual([(await other.basicGet({queue, noAck: true})).body, (await other.basicGet({queue, noAck: true})).body], ['b', 'c'])
  assert.equal(await other.basicGet(queue), undefined)
  await other.close()
}))

check('exchanges of each type and bindings between them', withConnection(async connection => {
  const channel = await connection.acquire()
  await channel.confirmSelect()
  const queue = await ownQueue(channel)
  const reaches = async (exchange, routingKey, headers) => {
    await channel.basicPublish({exchange, routingKey, headers}, 'm')
    return await channel.basicGet({queue, noAck: true}) !== undefined
  }
  for (const [type, routingKey, hit, miss] of [['direct', 'k', 'k', 'x'], ['fanout', '', 'any'], ['topic', 'a.*', 'a.b', 'a.b.c']]) {
    const exchange = fresh(type)
    await channel.exchangeDeclare({exchange, type})
    await channel.queueBind({exchange, queue, routingKey})
    assert.equal(await reaches(exchange, hit), true, `${type} ${hit}`)
    if (miss) assert.equal(await reaches(exchange, miss), false, `${type} ${miss}`)
    await channel.exchangeBind({source: 'amq.topic', destination: exchange, routingKey: hit})
    assert.equal(await reaches('amq.topic', hit), true, `amq.topic to ${type}`)
    await channel.exchangeUnbind({source: 'amq.topic', destination: exchange, routingKey: hit})
    await channel.exchangeDelete({exchange})
  }
  await channel.queueBind({exchange: 'amq.match', queue, arguments: {'x-match': 'any', a: 1, b: 2}})
  assert.equal(await reaches('amq.match', '', {b: 2}), true, 'headers')
  assert.equal(await reaches('amq.match', '', {b: 3}), false, 'headers')
  await channel.close()
}))

check('a cut connection comes back: consumer, publisher and caller go on', async () => {
  const broker = await relay()
  const connection = connect(broker.url)
  let connected = 0
  connection.on('connection', () => ++connected)
  const queue = fresh('survives')
  const received = []
  const consumer = connection.createConsumer({queue, queueOptions: {durable: true}}, (message, reply) => {
    received.push(message.body)
    return message.replyTo ? reply('pong') : undefined
  })
  consumer.on('error', () => {})
  await new Promise(resolve => consumer.once('ready', resolve))
  const publisher = connection.createPublisher({confirm: true, maxAttempts: 5})
  const caller = connection.createRPCClient({confirm: true, maxAttempts: 5, timeout: 5000})
  for (let round = 0; round < 3; ++round) {
    await publisher.send({routingKey: queue, durable: true}, `round ${round}`)
    assert.equal((await caller.send(queue, `ping ${round}`)).body, 'pong')
    const ready = new Promise(resolve => consumer.once('ready', resolve))
    broker.cut()
    await ready
  }
  await publisher.send({routingKey: queue, durable: true}, 'last')
  await eventually(() => received.includes('last'), 'the last message')
  assert.equal(connected, 4)
  for (let round = 0; round < 3; ++round) {
    assert.ok(received.includes(`round ${round}`) && received.includes(`ping ${round}`), `round ${round} is missing`)
  }
  await caller.close()
  await publisher.close()
  await consumer.close()
  await connection.queueDelete({queue})
  await connection.close()
  broker.close()
})

check('a consumer whose queue was deleted declares it again', withConnection(async connection => {
  const queue = fresh('deleted')
  const consumer = connection.createConsumer({queue, queueOptions: {autoDelete: true}}, () => {})
  const errors = []
  consumer.on('error', error => errors.push(error))
  await new Promise(resolve => consumer.once('ready', resolve))
  const again = new Promise(resolve => consumer.once('ready', resolve))
  await connection.queueDelete({queue})
  await again
  assert.equal(errors.length, 1)
  assert.equal((await connection.queueDeclare({queue, passive: true})).consumerCount, 1)
  await consumer.close()
}))

run(60)
