'use strict'
// The readings (clients/examples/readings) in Chromium: sensors by MQTT, the worker by AMQP, the page by WebSocket.

const mqtt = require('mqtt')
const {join} = require('node:path')
const {start, stop, withPage} = require('./browser.js')
const {assert, check, eventually, run, sleep} = require('./checks.js')

const example = process.env.READINGS
const python = process.env.PYTHON ?? '/usr/bin/python3'
const {HTTP_HOST, HTTP_PORT, MQTT_HOST, MQTT_PORT} = process.env
const env = {MQTT_URL: `mqtt://guest:guest@${MQTT_HOST}:${MQTT_PORT}`}

const sensor = room => start([python, join(example, 'sensor.py'), room, '--seconds', '0.1'], env)
const worker = () => start(['node', join(example, 'worker.js')], {}, /there/)
const text = (page, room, name) =>
  page.textContent(`tr[data-room="${room}"] .${name}`, {timeout: 10000})
const waitFor = (page, room, name, condition) => page.waitForFunction(([room, name, condition]) => {
  const cell = document.querySelector(`tr[data-room="${room}"] .${name}`)
  return cell && new Function('value', `return ${condition}`)(cell.textContent)
}, [room, name, condition], {timeout: 20000})

// The last reading and the last mean of the kitchen.
async function listen() {
  const client = await mqtt.connectAsync(env.MQTT_URL)
  const heard = {client, means: {}, readings: {}}
  client.on('message', (topic, payload) => { heard[topic.split('/')[0]] = JSON.parse(payload) })
  await client.subscribeAsync(['readings/kitchen', 'means/kitchen'], {qos: 1})
  // Until no mean has come for a while.
  heard.settled = async () => {
    for (let last; last !== heard.means.last;) {
      last = heard.means.last
      await sleep(300)
    }
  }
  return heard
}

check('readings are shown live, with what a worker makes of them', async () => {
  const [, url] = (await start(['node', join(example, 'page.js'), '0'], {}, /shown at (\S+)/)).match
  await withPage(async page => {
    await page.setViewportSize({width: 640, height: 320})
    await page.goto(`${url}?broker=ws://${HTTP_HOST}:${HTTP_PORT}/ws`)
    await page.waitForFunction(() => document.querySelector('#state').textContent === 'live')
    const heard = await listen()
    const {child: first} = await worker()
    const {child: kitchen} = await sensor('kitchen')
    await sensor('cellar')
    await waitFor(page, 'kitchen', 'count', 'value >= 5')
    await waitFor(page, 'cellar', 'count', 'value >= 5')
    assert.match(await text(page, 'kitchen', 'now'), /^\d+(\.\d+)? °C$/)
    const picture = process.env.READINGS_PICTURE
    if (picture) await page.screenshot({path: picture})
    await sensor('<b>attic')
    await waitFor(page, '<b>attic', 'room', 'value === "<b>attic"')

    // The queue keeps what comes while no worker is there: the next one has all of it.
    await stop(first)
    await heard.settled()
    const done = heard.means.last
    await eventually(() => heard.readings.number >= done + 10, 'the sensor goes on')
    await stop(kitchen)
    await worker()
    await eventually(() => heard.means.last === heard.readings.number, 'the worker has the last one')
    assert.ok(heard.means.count >= heard.means.last - done, `${heard.means.count} since ${done}`)
    await waitFor(page, 'kitchen', 'count', `value === '${heard.means.count}'`)
    await heard.client.endAsync()

    // Retained: somebody new has the last reading at once, also of a sensor that is gone.
    await page.reload()
    await waitFor(page, 'kitchen', 'now', 'value !== ""')
  })
})

run(80)
