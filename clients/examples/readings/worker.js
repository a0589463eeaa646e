#!/usr/bin/env node
'use strict'
// Takes every reading off a durable queue, by AMQP, and publishes what a room's readings come to.
//
//     npm install amqplib && worker.js      AMQP_URL=amqp://guest:guest@localhost:5672
//
// Nothing here knows of MQTT: the topic readings/kitchen is the routing key readings.kitchen of the exchange amq.topic,
// and what is published to it with the key means.kitchen is the topic means/kitchen. The queue keeps what comes while no
// worker is there.

const amqp = require('amqplib')

const EXCHANGE = 'amq.topic'
const QUEUE = 'readings'

async function main() {
  const connection = await amqp.connect(process.env.AMQP_URL ?? 'amqp://guest:guest@localhost:5672')
  const channel = await connection.createChannel()
  await channel.assertQueue(QUEUE, {durable: true})
  await channel.bindQueue(QUEUE, EXCHANGE, 'readings.*')
  await channel.prefetch(100)
  const rooms = new Map()
  await channel.consume(QUEUE, message => {
    const room = message.fields.routingKey.split('.')[1]
    const {number, celsius} = JSON.parse(message.content)
    const before = rooms.get(room) ?? {count: 0, sum: 0}
    const now = {count: before.count + 1, sum: before.sum + celsius, last: number}
    rooms.set(room, now)
    const mean = {count: now.count, last: now.last, celsius: Number((now.sum / now.count).toFixed(2))}
    channel.publish(EXCHANGE, `means.${room}`, Buffer.from(JSON.stringify(mean)), {contentType: 'application/json'})
    channel.ack(message)
  })
  console.log('The worker is there.')
}

main().catch(error => {
  console.error(error.message)
  process.exit(1)
})
