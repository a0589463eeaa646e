'use strict'
// The order desk (clients/examples/order-desk) in Chromium, with its workers: ordered, followed, reloaded, answered once,
// although the broker is killed meanwhile.

const {mkdtempSync, rmSync} = require('node:fs')
const {tmpdir} = require('node:os')
const {join} = require('node:path')
const {freePort, start: startProgram, withPage} = require('./browser.js')
const {assert, check, run} = require('./checks.js')

const example = process.env.ORDER_DESK
const python = process.env.PYTHON ?? '/usr/bin/python3'

// A program of the example, once it has said a line that fits.
const start = async (script, args, env, line) =>
  (await startProgram([python, join(example, script), ...args], env, line)).match

const urls = (http, amqp, mqtt) => ({LINNET_URL: `http://guest:guest@${http}`, AMQP_URL: `amqp://guest:guest@${amqp}/%2F`,
  MQTT_URL: `mqtt://guest:guest@${mqtt}`})

const kitchens = [
  {name: 'AMQP', script: 'worker.py', call: 'amq.default/orders', again: true},
  // A client of MQTT comes back by itself.
  {name: 'MQTT', script: 'mqtt_worker.py', call: 'amq.topic/orders', again: false}]

async function openDesk(kitchen, env) {
  const [, desk] = await start('desk.py', ['--port', '0', '--call', kitchen.call], env, /open: (\S+)/)
  return desk
}

async function order(page, desk, what) {
  await page.goto(desk)
  await page.fill('input', what)
  await page.click('button')
}

const answered = (page, text) =>
  page.waitForFunction(text => document.querySelector('#result').textContent === text, text, {timeout: 60000})

for (const kitchen of kitchens) {
  check(`${kitchen.name}: an order is made, step by step, and a page that is reloaded goes on with it`, async () => {
    const {HTTP_HOST, HTTP_PORT, AMQP_URL, MQTT_HOST, MQTT_PORT} = process.env
    const env = {...urls(`${HTTP_HOST}:${HTTP_PORT}`, '', `${MQTT_HOST}:${MQTT_PORT}`), AMQP_URL}
    const desk = await openDesk(kitchen, env)
    await withPage(async page => {
      await order(page, desk, 'nothing')
      await answered(page, 'The kitchen is closed.')

      await start(kitchen.script, ['--seconds', '0.3'], env, /open/)
      await order(page, desk, 'two eggs')
      await page.waitForSelector('#progress li')
      await page.reload()
      await answered(page, 'Here you are: two eggs')
      assert.deepEqual(await page.locator('#progress li').allTextContents(),
        ['taken up', 'in the making', 'on its way'])

      // What has been answered is answered again, as often as the page is loaded.
      await page.reload()
      await answered(page, 'Here you are: two eggs')
      const picture = process.env.ORDER_DESK_PICTURE
      if (picture && kitchen.name === 'AMQP') await page.screenshot({path: picture})
    })
  })
}

// ---- A broker that is killed ---------------------------------------------------------------------

// A daemon of the test's own, at the same ports and on the same folder as often as it is started.
class Broker {
  async prepare() {
    this.folder = mkdtempSync(join(tmpdir(), 'order-desk-broker-'))
    this.at = {}
    for (const protocol of ['http', 'amqp', 'mqtt']) this.at[protocol] = `127.0.0.1:${await freePort()}`
    return this
  }

  start() {
    const listen = Object.entries(this.at).flatMap(([protocol, at]) => ['--listen', `${protocol}=${at}`])
    const command = [process.env.LINNETD, ...listen, '--set', 'shards=2', '--set', `data_dir=${this.folder}/data`]
    return startProgram(command, {HOME: this.folder}, /Server startup complete/)
      .then(started => { this.process = started.child })
  }

  kill() {
    const gone = new Promise(resolve => this.process.once('exit', resolve))
    this.process.kill('SIGKILL')
    return gone
  }
}

// How many answers an EventSource hears in some seconds.
const countAnswers = page => page.evaluate(() => new Promise(resolve => {
  let answers = 0
  const source = new EventSource(location.hash.slice(1))
  source.addEventListener('result', () => { ++answers })
  setTimeout(() => { source.close(); resolve(answers) }, 1500)
}))

for (const kitchen of kitchens) {
  check(`${kitchen.name}: a broker that is killed before the answer loses nothing`, async () => {
    const broker = await new Broker().prepare()
    const env = urls(broker.at.http, broker.at.amqp, broker.at.mqtt)
    await broker.start()
    const desk = await openDesk(kitchen, env)
    await start(kitchen.script, ['--seconds', '1'], env, /open/)
    await withPage(async page => {
      await order(page, desk, 'a cake')
      await page.waitForSelector('#progress li')
      await broker.kill()
      await page.reload()
      await broker.start()
      if (kitchen.again) await start(kitchen.script, ['--seconds', '0.1'], env, /open/)
      await answered(page, 'Here you are: a cake')
      assert.equal(await countAnswers(page), 1)
    })
    await broker.kill()
    rmSync(broker.folder, {recursive: true, force: true})
  })
}

run(180)
