#!/usr/bin/env node
'use strict'
// Serves the page, and MQTT.js for it; the readings come to the page from the broker itself.
//
//     npm install mqtt && page.js [PORT]

const {readFileSync} = require('node:fs')
const http = require('node:http')
const {join} = require('node:path')

const files = {
  '/': ['text/html', join(__dirname, 'index.html')],
  '/mqtt.js': ['text/javascript', require.resolve('mqtt/dist/mqtt.min')],
}

const server = http.createServer((request, response) => {
  const [type, path] = files[request.url.split('?')[0]] ?? []
  if (!path) return response.writeHead(404).end()
  response.writeHead(200, {'content-type': type}).end(readFileSync(path))
})
server.listen(Number(process.argv[2] ?? 8081), '127.0.0.1', () =>
  console.log(`The readings are shown at http://127.0.0.1:${server.address().port}/`))
