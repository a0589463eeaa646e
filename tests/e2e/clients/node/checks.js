'use strict'
// What every script here shares: named checks, run in order, inside a time limit; and a TCP relay
// that can cut every connection through it, for clients that promise to come back.

const assert = require('node:assert/strict')
const {randomUUID} = require('node:crypto')
const net = require('node:net')

const url = process.env.AMQP_URL ?? 'amqp://guest:guest@127.0.0.1:5672/%2F'
const checks = []

// Another user's script may share the broker: names are made up anew each time.
const fresh = prefix => `${prefix}.${randomUUID().slice(0, 13)}`

const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

async function eventually(condition, what, ms = 10_000) {
  const deadline = Date.now() + ms
  while (!await condition()) {
    if (Date.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`)
    await sleep(5)
  }
}

function check(title, action) {
  checks.push({title, action})
}

async function runAll() {
  const begun = performance.now()
  for (const {title, action} of checks) {
    const started = performance.now()
    try {
      await action()
    } catch (error) {
      console.log(`FAIL  ${title}: ${error.stack ?? error}`)
      process.exit(1)
    }
    console.log(`ok    ${title} (${((performance.now() - started) / 1000).toFixed(2)} s)`)
  }
  console.log(`${checks.length} of ${checks.length} checks passed in ${((performance.now() - begun) / 1000).toFixed(1)} s`)
  process.exit(0)
}

function run(seconds) {
  setTimeout(() => {
    console.log(`FAIL  the script's limit of ${seconds} s has passed`)
    process.exit(1)
  }, seconds * 1000).unref()
  // A rejection or an error event that nobody listens to is a failure, too.
  for (const event of ['unhandledRejection', 'uncaughtException']) {
    process.on(event, error => {
      console.log(`FAIL  ${event}: ${error?.stack ?? error}`)
      process.exit(1)
    })
  }
  runAll()
}

// Relays to the broker; cut() resets all connections, close() also stops listening.
async function relay() {
  const {hostname, port} = new URL(url)
  const sockets = new Set()
  const server = net.createServer(near => {
    const far = net.connect(Number(port || 5672), hostname)
    for (const [from, to] of [[near, far], [far, near]]) {
      sockets.add(from)
      from.pipe(to)
      from.on('error', () => to.destroy())
      from.on('close', () => { sockets.delete(from); to.destroy() })
    }
  })
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  const through = new URL(url)
  through.hostname = '127.0.0.1'
  through.port = server.address().port
  const cut = () => { for (const socket of sockets) socket.destroy() }
  return {url: through.href, cut, close() { cut(); server.close() }}
}

module.exports = {assert, check, eventually, fresh, relay, run, sleep, url}
